"""Notebooks without a kernel: the picture shows with the network refused; a state shows the same in another kernel."""

import copy
import json
import re
from pathlib import Path

import nbformat
import pytest
from browser.lab import Notebook, tab
from nbclient import NotebookClient
from nbconvert import HTMLExporter
from playwright.sync_api import expect

pytestmark = pytest.mark.browser

QUICKSTART = Path(__file__).resolve().parents[2] / "notebooks" / "quickstart.ipynb"
VIEW = "application/vnd.jupyter.widget-view+json"
STATE = "application/vnd.jupyter.widget-state+json"
FRAME = "w.to_iframe(n_clusters=[9, 10], layers=['blocks.2', 'blocks.3'], height=700)"
PIXELS = """async canvas => {
    const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
    const digest = await crypto.subtle.digest('SHA-256', data);
    return [...new Uint8Array(digest)].map(b => b.toString(16).padStart(2, '0')).join('');
}"""


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    """The quickstart as nbclient leaves it, with the state of widgets, and one more cell."""
    notebook = nbformat.read(QUICKSTART, as_version=4)
    notebook.cells.append(nbformat.v4.new_code_cell(FRAME))
    folder = tmp_path_factory.mktemp("static")
    NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    ).execute()
    return notebook


def opened(page, path):
    """Open a file with all requests but its own refused; what was asked for."""
    asked = []

    def refuse(route):
        asked.append(route.request.url)
        route.abort()

    page.context.route(re.compile(r"^(?!file:)"), refuse)
    page.set_default_timeout(20_000)
    page.goto(path.as_uri())
    page.wait_for_load_state("load")
    return asked


def inks(image):
    """How many of the colours of clusters, traces and grid an element shows on the screen."""
    image.scroll_into_view_if_needed()
    # Drawn again into a canvas: a picture that could not be read has no size, and one of white has one colour.
    return image.evaluate(
        """async image => {
            await image.decode();
            const canvas = document.createElement('canvas');
            [canvas.width, canvas.height] = [600, 300];
            const context = canvas.getContext('2d');
            context.drawImage(image, 0, 0, 600, 300);
            const { data } = context.getImageData(0, 0, 600, 300);
            const colours = new Set();
            for (let i = 0; i < data.length; i += 4) colours.add((data[i] >> 4 << 8) | (data[i + 1] >> 4 << 4) | data[i + 2] >> 4);
            return colours.size;
        }"""
    )


def outputs_of(notebook, source):
    return next(cell.outputs for cell in notebook.cells if cell.source.endswith(source))


def exported(notebook, path):
    html, _ = HTMLExporter().from_notebook_node(notebook)
    path.write_text(html, encoding="utf-8")
    return path


def test_the_executed_quickstart_keeps_state_and_picture_apart(executed):
    view, still = outputs_of(executed, "\nw")
    assert VIEW in view.data
    assert "image/svg+xml" not in view.data
    assert set(still.data) == {"text/html", "image/svg+xml", "text/plain"}
    assert view.data[VIEW]["model_id"] in executed.metadata.widgets[STATE]["state"]


@pytest.mark.parametrize("state", ["kept", "left out"])
def test_nbconvert_shows_the_picture_once_without_kernel_and_network(browser, executed, tmp_path, state):
    notebook = copy.deepcopy(executed)
    if state == "left out":
        del notebook.metadata["widgets"]
    path = exported(notebook, tmp_path / "quickstart.html")
    with tab(browser, width=1000) as page:
        asked = opened(page, path)
        assert all(url.startswith("https://") for url in asked)  # nbconvert's own: MathJax, require.js, html-manager
        pictures = page.get_by_alt_text("ECG with segments as a network sees them; static picture")
        assert pictures.count() == 1
        assert pictures.is_visible()
        box = pictures.bounding_box()
        assert (box["width"], box["height"]) > (700, 350)
        assert inks(pictures) > 30
        assert "ECGWidget object" not in page.locator("body").inner_text()


def test_the_frame_is_live_without_kernel_and_network(browser, executed, tmp_path):
    path = exported(executed, tmp_path / "quickstart.html")
    with tab(browser, width=1000) as page:
        opened(page, path)
        frame = page.frame_locator("iframe[srcdoc]")
        canvas = frame.locator("[data-ecg=waveform]")
        page.locator("iframe[srcdoc]").scroll_into_view_if_needed()
        canvas.wait_for()
        assert frame.locator("[data-ecg=status]").inner_text().startswith("10 clusters")
        before = canvas.evaluate(PIXELS)
        slider = frame.locator("[data-ecg=clusters]")
        slider.focus()
        slider.press("ArrowLeft")
        frame.get_by_text(re.compile("^9 clusters")).wait_for()
        page.wait_for_timeout(100)
        assert canvas.evaluate(PIXELS) != before
        with page.expect_download() as download:
            frame.get_by_role("button", name="SVG").click()
        assert download.value.suggested_filename.endswith(".svg")
        # It reaches neither the page around it nor the network.
        inside = page.frames[1]
        assert inside.evaluate("() => { try { return parent.document.title; } catch (e) { return e.name; } }") == (
            "SecurityError"
        )
        assert inside.evaluate("() => fetch('https://example.org').then(() => 'sent', () => 'refused')") == "refused"


SETUP = """import json
import ecg_widget as ecg
w = ecg.explore(ecg.load_network(), ecg.simulate(3, seed=4))
w"""
CONTROLS = "c = w.controls()\nc"
KERNEL = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
SAVED = """async () => {
    const panel = window.jupyterapp.shell.currentWidget; await panel.context.save();
    return panel.context.model.toJSON().cells.flatMap(cell => (cell.outputs ?? []).map(o => Object.keys(o.data ?? {})));
}"""
# One after another, as a hand does; the other kernel is told all at once.
MOVES = """
w.n_clusters = 14
w.layers = ["blocks.0"]
w.record = w.choices["records"][2]
w.layers, w.n_clusters, w.threshold, w.target = ["blocks.1", "blocks.3"], 7, 0.33, "MI"
w.display = {"arrangement": "cabrera", "speed": 50, "colouring": "trace", "filter": "0.5-40"}
w.calipers = [dict(kind="rr", record=w.record, lead="II", start=0.5, end=1.25)]
w.selection = {"record": w.record, "intervals": [[1.0, 2.5]], "label": "one <b>beat</b>"}
w.cluster_names = {"A": {"name": "QRS", "note": "steep"}, "B": {"hidden": True}, "C": {"merged": "A"}}
1"""


def settled(notebook):
    """What the page shows once Python, page and measurements of calipers agree: a digest for each canvas."""
    notebook.wait_until_exact()
    notebook.control("calipers").locator("li").wait_for()
    before = None
    for _ in range(50):
        notebook.frames(4)
        notebook.page.wait_for_timeout(100)
        canvases = notebook.page.locator(".ecg-widget canvas")
        now = [
            c.evaluate(PIXELS)
            for c in canvases.all()
            if c.evaluate("c => c.width * c.height > 0 && !!c.getContext('2d')")
        ]
        if now == before:
            return now
        before = now
    raise AssertionError("the page does not come to rest")


@pytest.fixture(scope="module")
def first(lab, browser):
    """A kernel, a view in a tab, and its controls."""
    with tab(browser) as page:
        notebook = Notebook(page, lab, lab.write("first.ipynb", SETUP, CONTROLS))
        assert notebook.run_all() == []
        notebook.wait_for_status("^10 clusters")
        yield notebook
        assert notebook.errors == []
        notebook.shut_down()


def test_the_picture_is_saved_and_takes_no_room_beside_the_view(first):
    view, still, _ = first.page.evaluate(SAVED)
    assert set(still) == {"text/html", "image/svg+xml", "text/plain"}
    assert VIEW in view
    found = first.page.locator("div[class^=ecg-still]")
    assert found.count() == 1
    assert not found.is_visible()
    row = found.locator("xpath=ancestor::div[contains(@class, 'jp-OutputArea-child')]")
    assert row.evaluate("e => e.offsetHeight") == 0


def test_controls_and_view_move_together(first):
    page, rows = first.page, first.page.locator(".widget-inline-hbox")
    labels = [text.split("\n")[0] for text in rows.all_inner_texts()]
    assert labels == ["Layers", "Clusters", "Uncertainty threshold", "Record", "Target"]
    handle = rows.nth(1).locator(".noUi-handle")
    handle.focus()
    handle.press("ArrowRight")
    first.wait_for_status("^11 clusters")
    assert first.python("w.n_clusters") == 11
    first.control("clusters").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    first.wait_for_status("^13 clusters")
    first.python("1")  # the focus leaves the widget, which tells Python
    rows.nth(1).locator(".widget-readout", has_text="13").wait_for()
    records = first.python("w.choices['records']")
    rows.nth(3).locator("select").select_option(records[1])
    shown = first.control("record")
    expect(shown).to_have_value(records[1])
    shown.select_option(records[2])
    expect(rows.nth(3).locator("select")).to_have_value(records[2])


def test_a_received_notebook_shows_the_picture_and_then_the_same_view_from_a_state(lab, first, open_notebook, executed):
    """Not signed here, so not trusted: HTML is sanitised, SVG is not shown, and there is no model for the view.

    Then it is run, and shows what another kernel shows, pixel by pixel.
    """
    plain = first.pixels()
    first.python(MOVES)
    first.wait_for_status("^7 clusters")
    shown = settled(first)
    assert first.pixels() != plain
    assert len(set(shown)) > 1
    state = first.python("w.state")
    assert state["traits"]["cluster_names"]["B"] == {"hidden": True}

    cell = nbformat.v4.new_code_cell(SETUP, outputs=outputs_of(executed, "\nw"))
    nbformat.write(nbformat.v4.new_notebook(cells=[cell], metadata=KERNEL), lab.root / "received.ipynb")
    other = open_notebook("received.ipynb")
    picture = other.page.get_by_alt_text("ECG with segments as a network sees them; static picture")
    picture.wait_for()
    assert inks(picture) > 30
    assert other.run_all() == []
    other.wait_for_status("clusters")
    other.wait_until_exact()
    assert other.python("__import__('os').getpid()") != first.python("__import__('os').getpid()")
    other.python(f"w.state = json.loads({json.dumps(state)!r})\n1")
    other.wait_for_status("^7 clusters")
    assert settled(other) == shown
    assert other.python("w.state") == state
    other.python("w.threshold = 0.5\n1")
    other.frames(6)
    assert settled(other) != shown

    first.python("w.close()\n1")
    first.page.locator(".widget-inline-hbox").first.wait_for(state="detached")
