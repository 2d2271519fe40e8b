"""Calipers in a real JupyterLab: mouse, touch and keys place them, Python reads them, files keep them."""

import pytest
from browser.lab import Notebook, tab

pytestmark = pytest.mark.browser

SHOW = """import ecg_widget as ecg
w = ecg.explore(ecg.load_network(), ecg.load_example())
w"""
MM = 96 / 25.4
RATE = 1000  # Hz of the example
RHYTHM = 90  # mm, above the baseline of the rhythm strip


@pytest.fixture(scope="module")
def one_notebook(lab, browser):
    with tab(browser) as page:
        notebook = Notebook(page, lab, lab.write("calipers.ipynb", SHOW))
        assert notebook.run_all() == []
        notebook.wait_for_status("^10 clusters")
        notebook.wait_until_exact()
        notebook.control("size").select_option("actual")
        yield notebook
        notebook.shut_down()


@pytest.fixture
def paper(one_notebook):
    one_notebook.python("w.calipers = []\n1")
    one_notebook.control("tool").select_option("")
    one_notebook.control("waveform").scroll_into_view_if_needed()
    one_notebook.frames(3)
    yield one_notebook
    errors, one_notebook.errors = one_notebook.errors, []
    assert errors == []


def place(notebook, time, y=RHYTHM):
    box = notebook.control("waveform").bounding_box()
    return box["x"] + (10 + 25 * time) * MM, box["y"] + y * MM


def drag(notebook, tool, start, end, y=RHYTHM):
    notebook.control("tool").select_option(tool)
    mouse = notebook.page.mouse
    mouse.move(*place(notebook, start, y))
    mouse.down()
    mouse.move(*place(notebook, (start + end) / 2, y))
    mouse.move(*place(notebook, end, y))
    mouse.up()
    notebook.frames(4)


def calipers(notebook, count):
    for _ in range(50):
        found = notebook.python("w.calipers")
        if len(found) == count:
            return found
        notebook.page.wait_for_timeout(50)
    raise AssertionError(f"expected {count} calipers, got {found}")


def test_intervals_by_mouse_are_read_in_python(paper):
    before = paper.pixels()
    drag(paper, "rr", 0.5, 1.3)
    drag(paper, "qt", 0.45, 0.85)
    drag(paper, "march", 2.0, 1.6)
    rr, qt, march = calipers(paper, 3)
    assert paper.pixels() != before
    for one in (rr, qt, march):
        assert one["lead"] == "II"
        for end in ("start", "end"):
            assert one[end] * RATE == pytest.approx(round(one[end] * RATE), abs=1e-6), "on a sample"
    assert march["start"] < march["end"]
    seconds, beat = qt["end"] - qt["start"], rr["end"] - rr["start"]
    assert seconds == pytest.approx(0.4, abs=0.02)
    assert rr["bpm"] == pytest.approx(60 / beat, abs=0.01)
    assert qt["bazett_ms"] == pytest.approx(1000 * seconds / beat**0.5, abs=0.01)
    assert qt["fridericia_ms"] == pytest.approx(1000 * seconds / beat ** (1 / 3), abs=0.01)
    text = paper.control("calipers").inner_text()
    assert f"QTc {round(qt['bazett_ms'])} Bazett, {round(qt['fridericia_ms'])} Fridericia" in text


def test_a_voltage_is_the_difference_of_two_samples(paper):
    drag(paper, "voltage", 0.4, 0.6)
    [one] = calipers(paper, 1)
    exact = paper.python(
        f"float(w.waveform.signal.sel(lead='II').values[{round(one['end'] * RATE)}].astype(float) "
        f"- w.waveform.signal.sel(lead='II').values[{round(one['start'] * RATE)}]) "
        "* float(dict(zip(w.waveform.lead.values, w.waveform.signal.attrs['scale']))['II'])"
    )
    assert one["mV"] == pytest.approx(exact, abs=1e-4)


def test_keys_alone_place_move_and_remove_one(paper):
    paper.control("tool").select_option("time")
    paper.control("waveform").focus()
    for key in ("ArrowRight", "Enter", "Shift+ArrowRight", "Shift+ArrowRight", "ArrowLeft"):
        paper.page.keyboard.press(key)
    paper.frames(3)
    assert "19 ms" in paper.control("caliper").inner_text()
    paper.page.keyboard.press("Enter")
    assert calipers(paper, 1)[0]["ms"] == 19
    row = paper.control("calipers").locator("li")
    row.focus()
    paper.page.keyboard.press("ArrowRight")
    paper.page.keyboard.press("Shift+ArrowRight")
    paper.page.keyboard.press("Shift+ArrowRight")
    paper.frames(3)
    assert "18 ms" in row.inner_text()
    paper.page.keyboard.press("Delete")
    assert calipers(paper, 0) == []


def test_touch_taps_set_both_ends(paper):
    paper.control("tool").select_option("time")
    for time in (0.8, 1.2):
        paper.control("waveform").evaluate(
            """(canvas, [x, y]) => {
                canvas.setPointerCapture = () => {};
                const box = canvas.getBoundingClientRect();
                const init = { pointerType: 'touch', pointerId: 7, button: 0, bubbles: true,
                    clientX: box.left + x, clientY: box.top + y };
                canvas.dispatchEvent(new PointerEvent('pointerdown', init));
                canvas.dispatchEvent(new PointerEvent('pointerup', init));
                delete canvas.setPointerCapture;
            }""",
            [(10 + 25 * time) * MM, RHYTHM * MM],
        )
    [one] = calipers(paper, 1)
    assert one["ms"] == pytest.approx(400, abs=10)
    assert paper.control("waveform").evaluate("canvas => getComputedStyle(canvas).touchAction") == "none"


def test_python_sets_them_and_refuses_what_cannot_be_drawn(paper):
    before = paper.pixels()
    paper.python("w.calipers = [dict(kind='rr', record=w.record, lead='II', start=0.5, end=1.25)]\n1")
    paper.control("calipers").locator("li").wait_for()
    paper.frames(3)
    assert paper.pixels() != before
    refused = "import traitlets\ntry:\n    w.calipers = [dict(kind='rr')]\nexcept traitlets.TraitError as error:"
    assert "lacks record" in paper.python(f"{refused}\n    said = str(error)\nsaid")


def test_svg_keeps_them(paper, tmp_path):
    drag(paper, "rr", 0.5, 1.3)
    with paper.page.expect_download() as download:
        paper.control("svg").click()
    download.value.save_as(tmp_path / "c.svg")
    [rr] = calipers(paper, 1)
    assert f"RR {round(rr['ms'])} ms" in (tmp_path / "c.svg").read_text(encoding="utf-8")


def test_another_paper_takes_nothing_along_that_is_half_placed(paper):
    paper.control("tool").select_option("time")
    paper.page.mouse.click(*place(paper, 0.8))
    paper.frames(3)
    assert "0 ms" in paper.control("caliper").inner_text()
    paper.control("arrangement").select_option("rows")
    paper.frames(3)
    assert "drag on the trace" in paper.control("caliper").inner_text()
    paper.control("arrangement").select_option("3x4")
    assert paper.python("w.calipers") == []
