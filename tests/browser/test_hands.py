"""The page without a kernel, by keys alone and by fingers alone: every control is reached, and every one moves."""

import pytest

pytestmark = pytest.mark.browser

ROOT = "document.querySelector('.ecg-widget').shadowRoot"
TABS = ("map", "waterfall", "shares", "beats", "waves", "transitions", "table", "names")
# Everything that can be on the page at once: chosen leads, a caliper, a selection.
CHOSEN = """mock.receive({
    layers: ['blocks.1'], n_clusters: 4, threshold: 0.5, record: '00001', target: 'MI', cluster_names: {},
    display: {arrangement: 'leads', leads: ['II', 'V1']},
    calipers: [{kind: 'time', record: '00001', lead: 'II', start: 1, end: 1.8}],
    selection: {record: '00001', intervals: [[1, 2]], label: 'by hand'},
})"""
# What waits for the hand to rest is sent at once.
SENT = "() => document.querySelector('.ecg-widget').dispatchEvent(new FocusEvent('focusout'))"
# What is chosen, written and drawn in panels: what a control does must show there.
STATE = f"""async () => {{
    ({SENT})();
    await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));
    const pixels = [...{ROOT}.querySelectorAll('.panel canvas')].map(c => c.width && c.height ? c.toDataURL() : '');
    const traits = ['layers', 'n_clusters', 'threshold', 'record', 'target', 'calipers', 'display', 'selection',
        'cluster_names'].map(name => mock.get(name));
    const said = [...{ROOT}.querySelectorAll('.ecg *')].map(
        e => `${{e.getAttribute('aria-pressed')}}${{e.open}}${{e.scrollTop}}${{e.scrollLeft}}`);
    return JSON.stringify([pixels, traits, said, {ROOT}.querySelector('.ecg').textContent]);
}}"""
# What can be seen and used, one stop of the Tab key each.
CONTROLS = f"""() => {{
    const all = [...{ROOT}.querySelectorAll('button, input, select, summary, [tabindex]')];
    const stops = all.filter(e => e.tabIndex >= 0 && !e.disabled && e.checkVisibility({{visibilityProperty: true}}));
    all.forEach(e => delete e.dataset.stop);
    stops.forEach((e, i) => {{ e.dataset.stop = `${{i}}`; }});
    return stops.map(e => ({{
        name: e.dataset.ecg || e.dataset.field || e.dataset.choice || e.className || e.textContent,
        kind: e.getAttribute('role') || (e.tagName === 'INPUT' ? e.type : e.tagName),
        label: e.getAttribute('aria-label') || e.labels?.[0]?.textContent || e.textContent || e.title,
    }}));
}}"""
FOCUSED = f"() => {ROOT}.activeElement?.dataset.stop ?? null"
ARROWS = [("ArrowRight", "ArrowLeft"), ("ArrowLeft", "ArrowRight")]
KEYS = {
    "region": [("ArrowDown", "ArrowUp"), *ARROWS],
    "SELECT": [("ArrowDown", "ArrowUp"), ("ArrowUp", "ArrowDown")],
    "checkbox": [("Space", "Space")],
    "text": [("x", "Backspace")],
    "BUTTON": [("Enter", "Enter")],
    "SUMMARY": [("Enter", "Enter")],
}


def settle(page):
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")


def stops(page):
    page.evaluate(SENT)
    page.evaluate(CHOSEN)
    settle(page)
    return page.evaluate(CONTROLS)


def reached(page):
    """Places of what has the focus, while Tab is pressed from the top of the page to its end."""
    page.mouse.click(2, 2)
    found = []
    for _ in range(200):
        page.keyboard.press("Tab")
        at = page.evaluate(FOCUSED)
        if at is None and found:
            break
        if at is not None:
            found.append(int(at))
    return found


def moves(page, place, kind, count):
    """Whether a key changes anything; another one takes it back, so that all else stays as it is."""
    for there, back in KEYS.get(kind, ARROWS):
        now = stops(page)
        assert len(now) == count, ",".join(c["name"] for c in now[20:])
        page.evaluate(f"i => {ROOT}.querySelector(`[data-stop='${{i}}']`).focus()", place)
        before = page.evaluate(STATE)
        page.keyboard.press(there)
        changed = page.evaluate(STATE) != before
        page.keyboard.press(back)
        settle(page)
        if changed:
            return True
    return False


@pytest.mark.parametrize("panel", TABS)
def test_keys_alone_reach_and_move_every_control(shown, panel):
    page = shown("waves=1&seconds=30&delay=0&k=4")
    page.evaluate(f"() => {ROOT}.querySelector('[role=tab][aria-selected=true]').focus()")
    for _ in range(TABS.index(panel)):
        page.keyboard.press("ArrowRight")
    page.evaluate(CHOSEN)
    settle(page)
    page.evaluate(f"() => {ROOT}.querySelector('[data-ecg=leads] summary').focus()")
    page.keyboard.press("Enter")
    settle(page)
    found = stops(page)
    assert [control for control in found if not control["label"].strip()] == [], "controls without a name"
    order = reached(page)
    assert [control for i, control in enumerate(found) if i not in order] == []
    assert order == sorted(order), "in the order in which they stand"
    # What is not in a panel is the same beside each of them.
    tab = next(i for i, control in enumerate(found) if control["name"] == f"tab-{panel}")
    places = range(len(found)) if panel == "map" else range(tab, len(found))
    still = []
    for place in places:
        name, kind = found[place]["name"], found[place]["kind"]
        if name in {"svg", "png"}:
            page.evaluate(f"i => {ROOT}.querySelector(`[data-stop='${{i}}']`).focus()", place)
            with page.expect_download() as saved:
                page.keyboard.press("Enter")
            assert saved.value.suggested_filename.endswith(name)
        elif not moves(page, place, kind, len(found)):
            still.append(found[place])
    assert still == []


def touch(page, *points):
    """Fingers that move together: `points` are their places one after the other, each a list of x, y."""
    cdp = page.context.new_cdp_session(page)
    for i, places in enumerate(points):
        fingers = [{"x": x, "y": y, "id": finger} for finger, (x, y) in enumerate(places)]
        cdp.send("Input.dispatchTouchEvent", {"type": "touchMove" if i else "touchStart", "touchPoints": fingers})
        settle(page)
    cdp.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    settle(page)


def seconds_seen(page):
    text = page.locator('[data-ecg="position"]').get_attribute("aria-valuetext")
    ends = [[int(part) for part in clock.split(":")] for clock in text.split(" of ")[0].split(" to ")]
    start, end = (3600 * h + 60 * m + s for h, m, s in ends)
    return start, end - start


LONG = "hours=2&rate=250&leads=I,II,V1&delay=0"


def test_fingers_draw_the_paper_along_zoom_and_measure(shown):
    page = shown(LONG, touch=True)
    page.locator(".zooms button", has_text="30 s").click()
    page.locator('[data-ecg="position"]').evaluate(
        "e => { e.value = 600; e.dispatchEvent(new Event('input', {bubbles: true, composed: true})); }"
    )
    settle(page)
    canvas = page.locator('[data-ecg="waveform"]')
    box = canvas.bounding_box()
    y, middle = box["y"] + 60, box["x"] + box["width"] / 2
    assert seconds_seen(page) == (600, 30)
    touch(page, *[[(middle - 30 * i, y)] for i in range(6)])
    start, seen = seconds_seen(page)
    assert start > 602
    assert seen == 30
    apart = [[(middle - d, y), (middle + d, y)] for d in (30, 40, 60, 80, 120)]
    touch(page, *apart)
    assert seconds_seen(page)[1] == 10
    touch(page, *reversed(apart))
    assert seconds_seen(page)[1] > 10
    assert page.evaluate("() => visualViewport.scale") == 1
    page.locator(".zooms button", has_text="10 s").click()
    page.wait_for_function("() => mock.get('waveform').attrs.decimation === 1")
    page.locator('[data-ecg="tool"]').select_option("time")
    settle(page)
    touch(page, *[[(middle + 20 * i, y)] for i in range(6)])
    page.wait_for_function("() => mock.get('calipers').length === 1")
    [one] = page.evaluate("() => mock.get('calipers')")
    per_second = page.evaluate(f"() => {ROOT}.querySelector('[data-ecg=waveform]').getBoundingClientRect().width") / 265
    assert one["ms"] == pytest.approx(1000 * 100 / (25 * per_second), rel=0.05)
    assert "column_ms" not in one
    # A second finger takes back what the first one began.
    touch(page, [(middle - 50, y)], [(middle - 50, y), (middle + 50, y)], [(middle - 60, y), (middle + 60, y)])
    page.wait_for_timeout(600)
    assert len(page.evaluate("() => mock.get('calipers')")) == 1


def test_paper_that_is_wider_than_the_page_scrolls_under_a_finger(shown):
    page = shown("", touch=True, width=500)
    action = "e => getComputedStyle(e).touchAction"
    canvas = page.locator('[data-ecg="waveform"]')
    page.locator('[data-ecg="size"]').select_option("actual")
    settle(page)
    assert canvas.evaluate(action) == "manipulation"  # pan-x, pan-y and pinch-zoom
    box = canvas.bounding_box()
    touch(page, *[[(400 - 30 * i, box["y"] + 60)] for i in range(8)])
    page.wait_for_function(f"() => {ROOT}.querySelector('.scroll').scrollLeft > 100")


def test_calipers_on_hours_say_how_far_an_end_may_be_beside(shown):
    page = shown(LONG)
    page.locator(".zooms button", has_text="30 min").click()
    page.wait_for_function("() => mock.get('waveform').attrs.decimation > 1")
    settle(page)
    tool = page.locator('[data-ecg="tool"]')
    assert tool.locator("option:disabled").all_inner_texts() == ["R-R", "QT, QTc"]
    assert "R-R and QT need every sample" in tool.get_attribute("title")
    tool.select_option("time")
    settle(page)
    box = page.locator('[data-ecg="waveform"]').bounding_box()
    page.mouse.move(box["x"] + 200, box["y"] + 60)
    page.mouse.down()
    page.mouse.move(box["x"] + 500, box["y"] + 60, steps=4)
    page.mouse.up()
    page.wait_for_function("() => mock.get('calipers').length === 1")
    [one] = page.evaluate("() => mock.get('calipers')")
    attrs = page.evaluate("() => mock.get('waveform').attrs")
    assert one["column_ms"] == pytest.approx(1000 * attrs["decimation"] / attrs["sampling_rate_recorded"], abs=0.01)
    text = page.locator('[data-ecg="calipers"] li').inner_text()
    assert f"\u00b1 {round(one['column_ms'])} ms" in text
    assert "ends on extremes of columns" in text
    # What was measured so stays as it is where every sample is drawn.
    page.locator(".zooms button", has_text="10 s").click()
    page.wait_for_function("() => mock.get('waveform').attrs.decimation === 1")
    settle(page)
    tool.select_option("rr")
    assert tool.locator("option:disabled").count() == 0
    assert page.evaluate("() => mock.get('calipers')") == [one]


def test_keys_alone_move_through_a_long_recording(shown):
    page = shown(LONG)
    settle(page)
    found = page.evaluate(CONTROLS)
    order = reached(page)
    assert [control for i, control in enumerate(found) if i not in order] == []
    page.locator(".zooms button", has_text="30 s").focus()
    page.keyboard.press("Enter")
    settle(page)
    assert seconds_seen(page) == (0, 30)
    page.locator('[data-ecg="position"]').focus()
    for key, start in (("PageUp", 30), ("ArrowRight", 33), ("End", 7170), ("Home", 0)):
        page.keyboard.press(key)
        settle(page)
        assert seconds_seen(page)[0] == start, key
    page.locator('[data-ecg="waveform"]').focus()
    page.keyboard.press("PageDown")
    settle(page)
    assert seconds_seen(page)[0] == 30
