"""Bokeh companions in a browser without a network: selection travels between siblings, names are text."""

import numpy as np
import pytest
from bokeh.embed import file_html
from bokeh.resources import INLINE
from browser.lab import tab

import ecg_widget as ecg
from ecg_widget.evaluation import alignment
from ecg_widget.figures import alignment_map, cell_table, embedding_map

pytestmark = pytest.mark.browser

NAMES = ["<b>bold</b>", "<img src=x onerror=\"document.title='ran'\">", "$$x$$"]


@pytest.fixture(scope="module")
def parts():
    ds = ecg.simulate(3, seed=0).assign_coords(record=NAMES)
    x = ecg.embed(ecg.activations(ecg.load_network(), ds))
    return ecg.TimeClusters(6, random_state=0).fit_predict(x), x, ds


@pytest.fixture
def page(browser):
    with tab(browser) as opened:
        seen = []
        opened.on("request", lambda request: seen.append(request.url))
        opened.on("console", lambda message: message.type == "error" and seen.append(message.text))
        opened.on("pageerror", lambda error: seen.append(str(error)))
        yield opened
        assert [url for url in seen if not url.startswith(("file:", "data:", "blob:"))] == []


def show(page, tmp_path, layout) -> None:
    path = tmp_path / "figures.html"
    path.write_text(file_html(layout, INLINE, "figures"), encoding="utf-8")
    page.context.set_offline(True)
    page.goto(path.as_uri())
    page.wait_for_function("window.Bokeh && Bokeh.documents.length && Bokeh.documents[0].is_idle")


SELECTED = """() => Array.from(Bokeh.documents[0]._all_models.values())
    .filter(m => m.type === 'ColumnDataSource' && m.data.entropy).map(m => Array.from(m.selected.indices))[0]"""


def frame(page, number: int) -> dict:
    """Where a figure's frame is on the page."""
    return page.evaluate(
        """n => { const view = Array.from(Bokeh.index.get_by_id(Bokeh.documents[0].roots()[0].id).child_views)[n];
            const at = view.canvas_view.el.getBoundingClientRect(), box = view.frame.bbox;
            return {x: at.x + box.left, y: at.y + box.top, width: box.width, height: box.height,
                    start: view.model.x_range.start, end: view.model.x_range.end}; }""",
        number,
    )


def test_what_is_selected_in_time_is_selected_on_the_map(page, tmp_path, parts):
    segmentation, x, ds = parts
    show(page, tmp_path, embedding_map(segmentation, x, ds, record=NAMES[1]))
    box = frame(page, 1)
    left, right = box["x"] + 0.3 * box["width"], box["x"] + 0.6 * box["width"]
    middle = box["y"] + box["height"] / 2
    page.mouse.move(left, middle)
    page.mouse.down()
    page.mouse.move((left + right) / 2, middle)
    page.mouse.move(right, middle)
    page.mouse.up()
    page.wait_for_function(f"({SELECTED})().length > 0")
    found = page.evaluate(SELECTED)
    table = cell_table(segmentation, x)
    chosen = table.iloc[found]
    assert set(chosen["record"]) == {NAMES[1]}
    t0, t1 = (box["start"] + share * (box["end"] - box["start"]) for share in (0.3, 0.6))
    half = np.median(np.diff(segmentation["centre"])) / 2
    inside = table[(table["record"] == NAMES[1]) & (table["time_s"] - half > t0) & (table["time_s"] + half < t1)]
    assert set(inside.index) <= set(found)
    assert len(found) <= len(inside) + 2


def test_hover_shows_a_name_as_text(page, tmp_path, parts):
    segmentation, x, ds = parts
    show(page, tmp_path, embedding_map(segmentation, x, ds, record=NAMES[1]))
    box = frame(page, 1)
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 5)
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.get_by_text("<img src=x onerror").first.wait_for()
    assert page.title() == "figures"


def test_a_pair_tapped_in_one_heat_map_is_marked_in_its_sibling(page, tmp_path, parts):
    segmentation, _, ds = parts
    found = alignment(segmentation, ds, n_shifts=20, n_bootstrap=2)
    show(page, tmp_path, alignment_map(found))
    box = frame(page, 1)
    page.mouse.click(box["x"] + 2.5 / 4 * box["width"], box["y"] + 3.5 / 6 * box["height"])
    indices = page.wait_for_function(
        """() => { const all = Array.from(Bokeh.documents[0]._all_models.values())
            .filter(m => m.type === 'ColumnDataSource' && m.data.letter);
            return all.length === 1 && all[0].selected.indices.length ? Array.from(all[0].selected.indices) : null }"""
    ).json_value()
    assert indices == [3 * 4 + 2]  # cluster D, QRS
