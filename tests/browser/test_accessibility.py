"""The page without a kernel: axe-core in light and dark, every control by keyboard, hostile text, many cells."""

from pathlib import Path

import pytest

pytestmark = pytest.mark.browser

JS = Path(__file__).resolve().parents[2] / "js"
TABS = ("map", "waterfall", "shares", "beats", "waves", "transitions", "table", "names")
# Rules about the page around the widget, which is the host's.
HOSTS = "{'landmark-one-main': {enabled: false}, 'page-has-heading-one': {enabled: false}}"
AXE = f"""async () => (await axe.run(document, {{rules: {HOSTS}}})).violations.map(
    v => `${{v.id}}: ${{v.nodes[0].html}} ${{v.nodes[0].failureSummary}}`)"""
FOCUSED = """() => {
    const e = document.activeElement?.shadowRoot?.activeElement;
    return e && [e.dataset.ecg || e.dataset.field || e.dataset.choice || e.textContent || e.className, e.tagName,
        e.labels?.[0]?.textContent || e.getAttribute('aria-label') || e.textContent || e.title];
}"""


def settle(page):
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")


@pytest.mark.parametrize(("theme", "contrast"), [("light", False), ("dark", False), ("light", True), ("dark", True)])
def test_axe_finds_nothing_in_any_panel(shown, theme, contrast):
    page = shown(f"theme={theme}&waves=1", dark=theme == "dark")
    if contrast:
        page.emulate_media(forced_colors="active", color_scheme=theme)
    page.add_script_tag(path=str(JS / "node_modules/axe-core/axe.min.js"))
    page.evaluate("mock.receive({cluster_names: {B: {name: 'QRS', note: 'of the ventricles'}, F: {hidden: true}}})")
    page.locator(".contribution .choose").first.click()
    page.locator('[data-ecg="pin"]').click()
    page.locator('[data-ecg="arrangement"]').select_option("leads")
    page.locator('[data-ecg="leads"] summary').click()
    page.locator('[data-ecg="tool"]').select_option("rr")
    page.evaluate("mock.receive({calipers: [{kind: 'rr', record: '00001', lead: 'II', start: 1, end: 1.8}]})")
    for name in TABS:
        page.locator(f'[data-ecg="tab-{name}"]').click()
        settle(page)
        assert page.evaluate(AXE) == [], name


def test_every_control_is_reached_and_moved_with_the_keyboard_alone(shown):
    page = shown("waves=1")
    reached = {}
    for _ in range(90):
        page.keyboard.press("Tab")
        found = page.evaluate(FOCUSED)
        if found is None and reached:
            break
        if found:
            reached[found[0]] = found
    wanted = {"layers", "clusters", "threshold", "record", "target", "arrangement", "waveform", "pin", "tab-map", "map"}
    assert wanted <= set(reached), wanted - set(reached)
    assert {"0", "7"} <= set(reached), "clusters of the legend"
    assert [found for found in reached.values() if not found[2]] == [], "controls without a name"
    focus = "name => document.querySelector('.ecg-widget').shadowRoot.querySelector(`[data-ecg=\"${name}\"]`).focus()"
    for name, key, trait in (
        ("threshold", "ArrowRight", "threshold"),
        ("clusters", "ArrowRight", "n_clusters"),
        ("layers", "ArrowRight", "layers"),
        ("target", "ArrowDown", "target"),
        ("record", "ArrowDown", "record"),
    ):
        before = page.evaluate("trait => JSON.stringify(mock.get(trait))", trait)
        page.evaluate(focus, name)
        page.keyboard.press(key)
        page.wait_for_function("([trait, was]) => JSON.stringify(mock.get(trait)) !== was", arg=[trait, before])
    page.wait_for_timeout(400)
    page.evaluate(focus, "tab-map")
    for name in TABS[1:]:
        page.keyboard.press("ArrowRight")
        assert page.evaluate(FOCUSED)[0] == f"tab-{name}"
    page.keyboard.press("Home")
    page.keyboard.press("Tab")
    assert page.evaluate(FOCUSED)[0] == "map"
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    settle(page)
    page.keyboard.press("Enter")
    page.wait_for_function("() => mock.get('selection').intervals?.length > 0")
    page.keyboard.press("Escape")
    page.wait_for_function("() => !mock.get('selection').intervals")


def test_sliders_and_toggles_say_their_value(shown):
    page = shown()
    for name, text in (("clusters", "8 clusters"), ("threshold", "entropy 0.50")):
        assert page.locator(f'[data-ecg="{name}"]').get_attribute("aria-valuetext") == text
    button = page.locator(".contribution .choose").first
    button.click()
    settle(page)
    assert button.get_attribute("aria-pressed") == "true"
    page.locator('[data-ecg="clear-selection"]').click()
    settle(page)
    assert button.get_attribute("aria-pressed") == "false"


def test_forced_colours_and_reduced_motion_keep_letters_readable(shown):
    page = shown()
    page.emulate_media(forced_colors="active", reduced_motion="reduce")
    settle(page)
    key = page.locator(".contribution .choose").first
    colours = key.evaluate("e => [getComputedStyle(e).backgroundColor, getComputedStyle(e).color]")
    assert colours == ["rgb(63, 144, 218)", "rgb(0, 0, 0)"]
    moving = """() => [...document.querySelector('.ecg-widget').shadowRoot.querySelectorAll('*')].filter(e => {
        const s = getComputedStyle(e);
        return s.animationName !== 'none' || s.transitionDuration.split(',').some(d => parseFloat(d) > 0);
    }).length"""
    assert page.evaluate(moving) == 0


def test_hostile_names_are_text_everywhere(shown):
    page = shown("waves=1")
    name = "<script>window.hacked = 1</script><img src=x onerror=window.hacked=1>\u202e" + "x" * 9_900
    page.evaluate("name => mock.receive({cluster_names: {A: {name, note: name}, B: {name}}})", name)
    page.evaluate(
        "label => mock.receive({selection: {record: '00001', intervals: [[1, 2]], label}})",
        name,
    )
    for panel in TABS:
        page.locator(f'[data-ecg="tab-{panel}"]').click()
        settle(page)
        assert page.evaluate("() => window.hacked") is None
        assert page.locator(".ecg-widget script, .ecg-widget img").count() == 0
    assert page.locator(".contribution .given").first.inner_text() == name
    assert page.locator('[data-ecg="selection"]').inner_text().startswith("Selected: \u2068<script>")
    wide = "() => document.querySelector('.ecg-widget').shadowRoot.querySelector('.ecg').scrollWidth"
    assert page.evaluate(wide) <= page.viewport_size["width"]


def test_touch_draws_a_lasso(browser, url):
    context = browser.new_context(has_touch=True, viewport={"width": 900, "height": 1300})
    page = context.new_page()
    page.goto(f"{url}?")
    page.locator('[data-ecg="status"]').filter(has_text="clusters").wait_for()
    settle(page)
    page.locator('[data-ecg="map"]').scroll_into_view_if_needed()
    box = page.locator('[data-ecg="map"]').bounding_box()
    cdp = context.new_cdp_session(page)
    left, top, right, bottom = box["x"] + 25, box["y"] + 10, box["x"] + box["width"] - 10, box["y"] + 210
    corners = [(left, top), (right, top), (right, bottom), (left, bottom)]
    cdp.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [{"x": left, "y": top}]})
    for x, y in corners:
        cdp.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": [{"x": x, "y": y}]})
    cdp.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    page.wait_for_function("() => mock.get('selection').intervals?.length > 0")
    intervals = page.evaluate("() => mock.get('selection').intervals")
    assert sum(end - start for start, end in intervals) > 9  # nearly all of the 10 s
    context.close()


def test_the_map_holds_a_hundred_thousand_cells_and_all_of_them_are_there(shown):
    page = shown("seconds=10&stride=0.0001")
    page.locator('[data-ecg="tab-map"]').click()
    settle(page)
    canvas = page.locator('[data-ecg="map"]')
    box = canvas.bounding_box()
    page.mouse.move(box["x"] + 25, box["y"] + 10)
    page.mouse.down()
    for x, y in ((box["width"] - 10, 10), (box["width"] - 10, 210), (25, 210)):
        page.mouse.move(box["x"] + x, box["y"] + y)
    page.mouse.up()
    page.wait_for_function("() => mock.get('selection').intervals?.length > 0")
    assert page.evaluate("() => mock.get('selection').intervals.reduce((s, [a, b]) => s + b - a, 0)") > 9.9
