"""The paper in a real JupyterLab: millimetres on the screen and in files, filters for the eye alone."""

import re
import struct
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from browser.lab import Notebook, tab

pytestmark = pytest.mark.browser

SHOTS = Path(__file__).parent / "shots"
SHOW = """import ecg_widget as ecg
w = ecg.explore(ecg.load_network(), ecg.load_example())
w"""
MM = 96 / 25.4
SVG = "{http://www.w3.org/2000/svg}"
MINUS = "\N{MINUS SIGN}"
PLAIN = {
    "arrangement": "3x4",
    "speed": "25",
    "gain": "10",
    "size": "fit",
    "colouring": "bands",
    "filter": "",
    "notch": "",
}

# The darkness of one column of pixels, and the middle of the ink line nearest to a place: to a tenth of a pixel.
INK = """(canvas, [x, from, to]) => {
    const { data } = canvas.getContext('2d').getImageData(Math.round(x), 0, 1, canvas.height);
    let sum = 0, weighted = 0;
    for (let y = Math.round(from); y < Math.round(to); y++) {
        const dark = Math.max(0, 195 - data[4 * y + 1]);
        sum += dark;
        weighted += dark * (y + 0.5);
    }
    return sum > 60 ? weighted / sum : null;
}"""


@pytest.fixture(scope="module")
def one_notebook(lab, browser):
    with tab(browser) as page:
        notebook = Notebook(page, lab, lab.write("paper.ipynb", SHOW))
        assert notebook.run_all() == []
        notebook.wait_for_status("^10 clusters")
        notebook.wait_until_exact()
        yield notebook
        notebook.shut_down()


@pytest.fixture
def paper(one_notebook):
    choose(one_notebook, **PLAIN)
    yield one_notebook
    errors, one_notebook.errors = one_notebook.errors, []
    assert errors == []


def choose(notebook, **settings):
    for name, value in settings.items():
        notebook.control(name).select_option(value)
    notebook.frames(3)


def saved(notebook, kind, tmp_path):
    with notebook.page.expect_download() as download:
        notebook.control(kind).click()
    path = tmp_path / f"figure.{kind}"
    download.value.save_as(path)
    return path


@pytest.mark.parametrize(("gain", "expected"), [("5", 5), ("10", 10), ("20", 20)])
def test_the_pulse_measures_its_millimetres_on_the_screen(paper, gain, expected):
    choose(paper, arrangement="leads", size="actual", gain=gain)
    baseline = {"5": 20, "10": 30, "20": 45}[gain]
    canvas = paper.control("waveform")
    foot = canvas.evaluate(INK, [1.5 * MM, (baseline - 2) * MM, (baseline + 2) * MM])
    top = canvas.evaluate(INK, [4.5 * MM, (baseline - expected - 2) * MM, (baseline - expected + 2) * MM])
    assert foot is not None
    assert (foot - top) / MM == pytest.approx(expected, abs=max(0.1, 0.01 * expected))  # 0.1 mm in 10
    assert f"25 mm/s, {gain} mm/mV (life size" in paper.page.locator("figcaption").inner_text()


def test_files_are_the_same_scene_in_millimetres(paper, tmp_path):
    choose(paper, arrangement="cabrera", colouring="trace", filter="0.5-40")
    root = ET.parse(saved(paper, "svg", tmp_path)).getroot()
    width, height = root.get("width"), root.get("height")
    assert root.get("viewBox") == f"0 0 {width.removesuffix('mm')} {height.removesuffix('mm')}"
    assert width == "265mm"
    parts = {g.get("data-ecg"): g for g in root.iter(f"{SVG}g") if g.get("data-ecg")}
    assert set(parts) >= {"paper", "grid", "colours", "strips", "traces", "text", "caption"}
    assert len(parts["traces"]) == 12
    pulses = re.findall(r"(-?[\d.]+) (-?[\d.]+)", parts["text"][0].get("d"))[:6]
    ys = [float(y) / 100 for _, y in pulses]
    assert max(ys) - min(ys) == pytest.approx(10, abs=0.1)
    written = " ".join(root.itertext())
    assert f"{MINUS}aVR" in written
    assert "display filter 0.5\N{EN DASH}40 Hz, zero-phase; the network saw the signal without it" in written
    png = saved(paper, "png", tmp_path).read_bytes()
    assert struct.unpack(">II", png[16:24])[0] == 265 * 12
    assert png[37:41] == b"pHYs"
    assert struct.unpack(">II", png[41:49]) == (12_000, 12_000)


def test_a_display_filter_is_badged_and_never_reaches_python(paper):
    before, result = paper.pixels(), paper.python("[w.result.attrs['n_clusters'], float(w.result.entropy.sum())]")
    paper.sent.clear()
    assert paper.control("badges").is_hidden()
    choose(paper, filter="0.5-40", notch="50")
    assert "display filter 0.5\N{EN DASH}40 Hz, notch 50 Hz" in paper.control("badges").inner_text()
    assert paper.pixels() != before
    sent = {name for message in paper.comm_sent() for name in message.get("state", {})}
    assert sent <= {"display"}
    assert paper.python("[w.result.attrs['n_clusters'], float(w.result.entropy.sum())]") == result
    choose(paper, filter="", notch="")
    assert paper.pixels() == before


def test_leads_are_chosen_by_boxes(paper):
    choose(paper, arrangement="leads")
    box = paper.control("leads")
    box.locator("summary").click()
    box.locator("input[value=V5]").check()
    paper.frames(3)
    assert "2 of 12 leads, simultaneous" in paper.page.locator("figcaption").inner_text()
    assert box.locator("summary").inner_text() == "Leads: II, V5"
    box.locator("input[value=V5]").uncheck()
    box.locator("summary").click()


def test_hover_reads_time_voltage_cluster_entropy_and_contribution(paper):
    canvas = paper.control("waveform")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    paper.page.mouse.move(box["x"] + 0.4 * box["width"], box["y"] + 0.5 * box["height"])
    paper.frames(3)
    text = paper.control("readout").inner_text()
    said = text.replace(MINUS, "-")
    assert re.match(r"\d\.\d\d s \S \w+ -?\d\.\d\d mV \S cluster [A-T], entropy \d\.\d\d", said), text
    found = re.search(r"cluster ([A-T]) adds ([+-]\d+\.\d\d) logit to (\w+)$", said)
    assert found, text
    letter, value, target = found.groups()
    cluster = f"list(w.result.slot.values).index(ord({letter!r}) - 65)"
    column = f"list(w.result.target.values).index({target!r})"
    exact = paper.python(f"float(w.result.contribution.values[{cluster}, {column}])")
    assert float(value) == pytest.approx(exact, abs=0.00501)


def test_the_look_of_the_paper_is_a_trait(paper):
    before = paper.pixels()
    choose(paper, arrangement="cabrera", speed="50")
    chosen = paper.pixels()
    for _ in range(50):
        if (display := paper.python("w.display")).get("speed") == 50:
            break
        paper.page.wait_for_timeout(50)
    assert display["arrangement"] == "cabrera"
    paper.python("w.display = {}\n1")
    paper.page.wait_for_function("select => select.value === '3x4'", arg=paper.control("arrangement").element_handle())
    paper.frames(3)
    assert paper.pixels() == before
    paper.python(f"w.display = {display!r}\n1")
    paper.page.wait_for_function("select => select.value === '50'", arg=paper.control("speed").element_handle())
    paper.frames(3)
    assert paper.pixels() == chosen


@pytest.mark.parametrize("theme", ["Light", "Dark"])
@pytest.mark.parametrize("width", [900, 1600])
def test_every_layout_is_shown(paper, theme, width):
    SHOTS.mkdir(exist_ok=True)
    paper.page.set_viewport_size({"width": width, "height": 1100})
    command = f"window.jupyterapp.commands.execute('apputils:change-theme', {{theme: 'JupyterLab {theme}'}})"
    paper.page.evaluate(f"async () => {{ await {command}; }}")
    paper.page.wait_for_function(f"() => document.body.dataset.jpThemeLight === '{str(theme == 'Light').lower()}'")
    seen = set()
    for arrangement in ("3x4", "3x4-simultaneous", "6x2", "cabrera", "rows", "leads"):
        choose(paper, arrangement=arrangement)
        seen.add(paper.pixels())
        name = f"paper_{arrangement}_{theme.lower()}_{width}.png"
        paper.page.locator("figure").screenshot(path=SHOTS / name)
    assert len(seen) == 6
