"""Two sides in one page: matched clusters have one colour, NumPy's numbers, linked controls; exported and live."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from browser.lab import tab
from browser.test_accessibility import AXE
from browser.test_export import Page

import ecg_widget as ecg
from ecg_widget.figures.scene import borders
from ecg_widget.palette import cluster_colours, letter

pytestmark = pytest.mark.browser
JS = Path(__file__).resolve().parents[2] / "js"
HOSTILE = '</script><img src=x onerror="document.title=1">\u202e' + "x" * 300
# RGB of a column of the canvas at heights in CSS px
COLUMN = """(canvas, [xs, ys]) => {
    const c = canvas.getContext('2d');
    const ratio = devicePixelRatio;
    return xs.map(x => ys.map(y => Array.from(c.getImageData(Math.round(x * ratio), Math.round(y * ratio), 1, 1).data.slice(0, 3))));
}"""


def conv():
    torch.manual_seed(0)
    layers = [torch.nn.Conv1d(12, 8, 25, stride=20, padding=12), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool1d(1)]
    return torch.nn.Sequential(*layers, torch.nn.Flatten(), torch.nn.Linear(8, 3))


@pytest.fixture(scope="module")
def comparison():
    ds = ecg.simulate(3, seed=5).assign_coords(record=["first", HOSTILE, "third"])
    made = ecg.compare(
        {"ours": ecg.load_network(), HOSTILE: conv()}, ds, layers=("blocks.3", None), n_clusters=5, threshold=1.0
    )
    yield made
    made.close()


@pytest.fixture(scope="module")
def exported(comparison, tmp_path_factory):
    path = tmp_path_factory.mktemp("export") / "comparison.html"
    numbers = {"n_clusters": [4, 5, 12], "other_n_clusters": [4, 5, 12]}
    size = comparison.export_size(records=comparison.choices["records"], names=True, **numbers)
    assert comparison.to_html(path, records=comparison.choices["records"], names=True, **numbers) == size
    return path


@pytest.fixture
def page(browser, exported):
    with tab(browser, width=1300) as opened:
        found = Page(opened, exported)
        yield found
        assert found.errors == []
        assert found.requests == [exported.as_uri()]


def times_inside(found, ds):
    """Times of record 0 that lie well inside a cell of either side, and both sides' slots there."""
    start, end = float(ds["time"][0]), float(ds["time"][-1]) + 1 / ds["time"].attrs["sampling_rate"]
    edges = [borders(found[f"centre_{s}"].values, start, end) for s in "ab"]
    times = np.linspace(0.5, 9.5, 400)
    clear = np.all([np.abs(times[:, None] - e).min(1) > 0.014 for e in edges], axis=0)
    times = times[clear]
    slots = [
        found[f"slot_{s}"].values[found[f"cluster_{s}"].values[0, np.searchsorted(e, times) - 1]]
        for s, e in zip("ab", edges, strict=True)
    ]
    return times, slots


def rgb(colour):
    return [int(colour[i : i + 2], 16) for i in (1, 3, 5)]


@pytest.mark.parametrize("k", [5, 12])
def test_pixels_of_both_rows_have_the_colour_of_numpys_match_and_the_line_says_where_they_differ(page, comparison, k):
    comparison.n_clusters = k
    page.slide("clusters", k)
    found = comparison.comparison
    times, (a, b) = times_inside(found, comparison.explorer.ds)
    together = list(dict.fromkeys([*found["slot_a"].values.tolist(), *found["slot_b"].values.tolist()]))
    colour = dict(zip(together, cluster_colours(together), strict=True))
    # 10 mm of margin, 250 mm for 10 s, 5 mm on the right: the paper's width gives the scale.
    canvas = page.get("compared")
    scale = float(re.search(r"on screen ([\d.]+) mm/s", page.page.locator("figcaption").inner_text())[1]) / 25
    per_mm = scale * 96 / 25.4
    columns = canvas.evaluate(COLUMN, [[(10 + 25 * t) * per_mm for t in times.tolist()], [2, 22, 28]])
    top = np.mean([seen[0] == rgb(colour[slot]) for seen, slot in zip(columns, a.tolist(), strict=True)])
    bottom = np.mean([seen[2] == rgb(colour[slot]) for seen, slot in zip(columns, b.tolist(), strict=True)])
    dark = np.mean([(seen[1] == [16, 18, 20]) == (x != y) for seen, x, y in zip(columns, a, b, strict=True)])
    assert 0.2 < np.mean(a == b) < 0.98
    # A column whose x is rounded from the footer's scale may lie in the cell beside it.
    assert min(top, bottom, dark) > 0.97


def test_numbers_on_the_page_are_numpys(page, comparison):
    comparison.n_clusters = 12
    page.slide("clusters", 12)
    found = comparison.comparison
    one = {m: float(found[f"record_{m}"][0]) for m in ("same", "ami", "ari", "vi")}
    text = page.get("agreement").inner_text()
    assert text.startswith(
        f"Matched clusters in {100 * one['same']:.0f} % of {float(found['compared'][0]):.1f} s; "
        f"AMI {one['ami']:.2f}, ARI {one['ari']:.2f}, VI {one['vi']:.2f} bit"
    )
    assert text.endswith(f"In all 3: {100 * float(found['same']):.0f} %, AMI {float(found['ami']):.2f}")
    page.get("confusion").locator("summary").click()
    page.frames()
    rows = page.get("confusion").locator("tbody tr").all_inner_texts()
    order = {s: np.argsort(found[f"slot_{s}"].values) for s in "ab"}
    seconds = found["record_overlap"].values[0][np.ix_(order["a"], order["b"])]
    assert len(rows) == 12
    for text, values, slot in zip(rows, seconds, np.sort(found["slot_a"].values), strict=True):
        head, *cells = text.split("\t")
        assert head.strip() == letter(int(slot))
        assert [0.0 if c == "\u2013" else float(c) for c in cells[:-1]] == pytest.approx(values, abs=0.0051)


def test_linked_clusters_move_together_and_apart_when_unlinked(page, comparison):
    page.slide("clusters", 4)
    assert page.get("other-clusters").input_value() == "4"
    assert page.get("other-status").inner_text().startswith("4 clusters, ")
    page.slide("other-clusters", 5)
    assert page.status.startswith("5 clusters, ")
    page.get("link-n_clusters").uncheck()
    page.slide("other-clusters", 12)
    assert page.status.startswith("5 clusters, ")
    assert page.get("other-status").inner_text().startswith("12 clusters, ")
    page.get("link-n_clusters").check()
    page.frames()
    assert page.get("other-status").inner_text().startswith("5 clusters, ")
    page.slide("other-clusters", 7)  # of which the page holds nothing
    assert "7 clusters" in page.get("other-error").inner_text()


def test_thresholds_hatch_one_side_or_both(page):
    shot = "canvas => canvas.toDataURL()"
    first = page.get("compared").evaluate(shot)
    assert page.get("link-threshold").is_checked()  # one threshold was given for both sides
    page.get("link-threshold").uncheck()
    page.slide("other-threshold", 0.1)
    alone = page.get("compared").evaluate(shot)
    assert alone != first
    assert "% uncertain" in page.get("other-status").inner_text()
    assert page.get("threshold").input_value() == "1"
    page.get("link-threshold").check()
    page.frames()
    assert page.get("other-threshold").input_value() == "1"
    assert page.get("compared").evaluate(shot) == first


def test_the_second_paper_stands_below_or_beside_and_shows_the_same_ecg_in_the_other_colours(page):
    second = page.get("other-waveform")
    assert second.is_hidden()
    page.choose("arrangement-of-sides", "below")
    one, two = page.get("waveform").bounding_box(), second.bounding_box()
    assert (two["width"], two["height"]) == (one["width"], one["height"])
    assert two["y"] > one["y"] + one["height"]
    page.choose("arrangement-of-sides", "beside")
    page.frames()
    one, two = page.get("waveform").bounding_box(), second.bounding_box()
    assert abs(two["y"] - one["y"]) < 2
    assert two["x"] >= one["x"] + one["width"]
    size = page.get("waveform").evaluate("c => [c.width, c.height]")
    assert second.evaluate("c => [c.width, c.height]") == size
    second.hover(position={"x": two["width"] / 2, "y": two["height"] / 3})
    page.frames()
    readout = page.get("other-readout").inner_text()
    assert re.search(r"^\d\.\d\d s · a .*cluster [A-Z], .* · b .*cluster [A-Z], .*matched", readout)
    assert page.get("readout").inner_text().split(" s ")[0]  # the first paper's readout follows


def test_names_are_text_and_every_record_is_there(page):
    assert page.page.title() != "1"
    assert HOSTILE[:40] in page.get("other-waveform").evaluate(
        "e => e.getRootNode().querySelector('.sides').textContent"
    )
    page.choose("record", HOSTILE)
    assert page.get("agreement").inner_text().startswith("Matched clusters in")
    assert page.page.locator("img").count() == 0


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing(browser, exported, theme):
    with tab(browser, dark=theme == "dark") as opened:
        found = Page(opened, exported)
        found.choose("arrangement-of-sides", "below")
        found.get("confusion").locator("summary").click()
        found.frames()
        axe = (JS / "node_modules/axe-core/axe.min.js").read_text()
        opened.evaluate(axe)
        assert opened.evaluate(AXE) == []


LIVE = """import ecg_widget as ecg, torch
torch.manual_seed(0)
other = torch.nn.Sequential(torch.nn.Conv1d(12, 8, 25, stride=20, padding=12), torch.nn.ReLU(),
                            torch.nn.AdaptiveAvgPool1d(1), torch.nn.Flatten(), torch.nn.Linear(8, 3))
c = w = ecg.compare({"ours": ecg.load_network(), "<b>other</b>": other}, ecg.simulate(2, seed=3), n_clusters=6)
c"""


def test_live_both_sides_follow_the_page_and_python(lab, open_notebook):
    notebook = open_notebook(lab.write("comparison.ipynb", LIVE))
    assert notebook.run_all() == []
    notebook.wait_for_status(r"^6 clusters")
    notebook.wait_until_exact()
    notebook.drag("clusters", [7, 8, 9])
    notebook.wait_for_status(r"^9 clusters")
    other = notebook.control("other-status")
    other.filter(has_text=re.compile("^9 clusters")).wait_for()
    state = "[c.n_clusters, c.other_n_clusters, c.other.sizes['cluster'], c.pairing['a']['n_clusters'], c.error]"
    assert notebook.python(state) == [9, 9, 9, 9, ""]
    same = notebook.python("c.comparison['record_same'].values[0]")
    notebook.control("agreement").filter(has_text=f"Matched clusters in {100 * same:.0f} %").wait_for()
    notebook.python("[c.set_trait('linked', []), c.set_trait('other_n_clusters', 4)]")
    other.filter(has_text=re.compile("^4 clusters")).wait_for()
    assert notebook.status().startswith("9 clusters")
    notebook.control("arrangement-of-sides").select_option("below")
    notebook.control("other-waveform").wait_for()
    notebook.control("record").select_option(index=1)
    notebook.wait_for_status(r"^9 clusters")
    notebook.frames(4)
    assert notebook.python("[c.record == c.other.attrs['record'], c.arrangement, c.other_error]") == [True, "below", ""]
    # Whatever is set in Python stands, and nothing is sent back and forth once all rests.
    notebook.page.wait_for_timeout(1500)
    sent = len(notebook.comm_sent())
    notebook.page.wait_for_timeout(600)
    assert len(notebook.comm_sent()) == sent
