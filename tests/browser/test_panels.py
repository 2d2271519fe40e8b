"""The panels in a real JupyterLab: what is chosen in them is on the trace and in Python, and the other way round."""

import re

import numpy as np
import pytest
from browser.lab import Notebook, tab

pytestmark = pytest.mark.browser

SETUP = """import ecg_widget as ecg
net = ecg.load_network()
ds = ecg.simulate(6, seed=3)
w = ecg.explore(net, ds, target="NORM", n_clusters=6)
w"""
CLUSTERS = """[[int(k) for k in w.result["cluster"].values], [float(c) for c in w.result["centre"].values], \
[int(s) for s in w.result["slot"].values], [float(p) for p in w.result["cohort_proportion"].values], \
[int(x) for x in w.result["wave"].values], w.selection, w.selected["selected"].values.tolist() \
if "selected" in w.selected else None]"""


@pytest.fixture(scope="module")
def notebook(lab, browser):
    with tab(browser, width=1600) as page:
        opened = Notebook(page, lab, lab.write("panels.ipynb", SETUP))
        assert opened.run_all() == []
        opened.wait_for_status("^6 clusters")
        opened.wait_until_exact()
        yield opened
        assert opened.errors == []
        opened.shut_down()


def open_tab(notebook, name):
    notebook.control(f"tab-{name}").click()
    notebook.frames()


def clear(notebook):
    notebook.python("w.selection, w.cluster_names = {}, {}\n1")
    notebook.frames(4)


def marked(notebook):
    """Pixels of the marks over the trace."""
    return notebook.control("marks").evaluate(
        """c => c.hidden || !c.width ? 0 : c.getContext('2d').getImageData(0, 0, c.width, c.height).data
            .filter((v, i) => i % 4 === 3 && v > 0).length"""
    )


def test_a_cluster_chosen_in_the_legend_is_selected_on_the_trace_and_in_python(notebook):
    clear(notebook)
    assert marked(notebook) == 0
    notebook.page.locator(".contribution .choose").nth(1).click()
    notebook.frames()
    assert marked(notebook) > 0
    cluster, _, slot, _, _, selection, selected = notebook.python(CLUSTERS)
    k = slot.index(sorted(slot)[1])
    assert selection["label"] == f"cluster {chr(65 + slot[k])}"
    assert selected == [c == k for c in cluster]
    notebook.page.locator(".contribution .choose").nth(1).click()
    assert notebook.python("w.selection") == {}


def test_python_selects_on_the_page(notebook):
    clear(notebook)
    notebook.python("w.selection = {'record': w.record, 'intervals': [[1.0, 2.0]], 'label': 'by hand'}\n1")
    notebook.control("selection").filter(has_text="1.00 s").wait_for()
    assert "by hand" in notebook.control("selection").inner_text()
    assert marked(notebook) > 0


def test_the_waterfall_ends_at_the_logit(notebook):
    open_tab(notebook, "waterfall")
    text = notebook.control("completeness").inner_text()
    found = re.search(r"add up to (\S+), the logit of NORM is (\S+): they differ by (\S+)", text)
    total, logit, missing = (float(x.replace("\u2212", "-").rstrip(",")) for x in found.groups())
    truth = notebook.python(
        'float(w.result["logit"].sel(target="NORM")) if "target" in w.result.indexes else \
float(w.result["logit"][list(w.result.target.values).index("NORM")])'
    )
    assert abs(logit - truth) < 6e-4
    assert abs(total - truth) < 6e-4
    assert missing < 1e-4


def test_shares_are_those_of_the_record_and_of_all(notebook):
    open_tab(notebook, "shares")
    cells = notebook.page.locator(".shares tbody tr").evaluate_all(
        "rows => rows.map(r => [...r.cells].map(c => c.innerText))"
    )
    cluster, _, slot, cohort, _, _, _ = notebook.python(CLUSTERS)
    known = np.array(cluster)[np.array(cluster) >= 0]
    for row, k in zip(cells, np.argsort(slot), strict=True):
        assert abs(float(row[2].rstrip(" %")) - 100 * (known == k).mean()) < 0.06
        assert abs(float(row[3].rstrip(" %")) - 100 * cohort[k]) < 0.06


def test_waves_count_the_cells_and_select_them(notebook):
    clear(notebook)
    open_tab(notebook, "waves")
    cluster, _, slot, _, wave, _, _ = notebook.python(CLUSTERS)
    k = int(np.bincount([c for c, w in zip(cluster, wave, strict=True) if w == 2]).argmax())
    button = notebook.page.locator(f'.waves [data-choice="{k}.2"]')
    mine = [w for c, w in zip(cluster, wave, strict=True) if c == k]
    assert int(button.inner_text()) == round(100 * mine.count(2) / len(mine) + 1e-9)
    button.click()
    _, _, _, _, _, selection, selected = notebook.python(CLUSTERS)
    assert selection["label"] == f"cluster {chr(65 + slot[k])} in QRS"
    assert selected == [c == k and w == 2 for c, w in zip(cluster, wave, strict=True)]


def test_a_transition_selects_the_cells_on_both_sides(notebook):
    clear(notebook)
    open_tab(notebook, "transitions")
    button = notebook.page.locator(".transitions .choose").first
    a, b = map(int, button.get_attribute("data-choice").split(">"))
    times = int(notebook.page.locator(".transitions tbody tr").first.locator("td").first.inner_text())
    button.click()
    cluster, *_, selected = notebook.python(CLUSTERS)
    at = [i for i in range(len(cluster) - 1) if (cluster[i], cluster[i + 1]) == (a, b)]
    assert times == len(at) > 0
    assert [i for i, s in enumerate(selected) if s] == sorted({*at, *(i + 1 for i in at)})


def test_mean_beats_are_drawn_of_all_beats(notebook):
    open_tab(notebook, "beats")
    peaks = np.array(notebook.python('[float(r) for r in w.waveform["r_peak"].values]'))
    whole = ((peaks >= 0.3) & (peaks + 0.5 < 10)).sum()
    assert f"Mean of {whole} beats" in notebook.page.locator(".beats .note").inner_text()
    assert notebook.page.locator(".beats canvas").count() == 6


def test_names_typed_in_the_page_follow_their_colour_and_are_kept_in_python(notebook):
    clear(notebook)
    open_tab(notebook, "names")
    row = notebook.page.locator('.naming tr[data-letter="A"]')
    row.locator('[data-field="name"]').fill("QRS <b>")
    notebook.page.locator('.naming tr[data-letter="B"] [data-field="merged"]').select_option("A")
    notebook.page.locator('.naming tr[data-letter="C"] [data-field="hidden"]').check()
    kept = {"A": {"name": "QRS <b>"}, "B": {"merged": "A"}, "C": {"hidden": True}}
    assert notebook.python("dict(w.cluster_names)") == kept
    given = notebook.page.locator(".contribution tr", has=notebook.page.locator('[data-label="cluster A"]')).locator(
        ".given"
    )
    assert given.inner_text() == "QRS <b>"
    assert notebook.page.locator('.contribution [data-label="cluster B"]').count() == 0
    notebook.drag("clusters", [8])
    notebook.wait_for_status("^8 clusters")
    assert given.inner_text() == "QRS <b>"
    assert notebook.python("dict(w.cluster_names)") == kept
    notebook.drag("clusters", [6])
    notebook.wait_for_status("^6 clusters")
    notebook.python("w.cluster_names = {'A': {'name': 'from Python'}}\n1")
    given.filter(has_text="from Python").wait_for()


def test_what_is_kept_for_comparison_stays_while_clusters_move(notebook):
    clear(notebook)
    notebook.control("pin").click()
    notebook.frames()
    assert "100 %" in notebook.control("pinned-text").inner_text()
    before = notebook.python(CLUSTERS)
    notebook.drag("clusters", [9])
    notebook.wait_for_status("^9 clusters")
    after = notebook.python(CLUSTERS)
    same = np.mean([before[2][a] == after[2][b] for a, b in zip(before[0], after[0], strict=True) if a >= 0 and b >= 0])
    text = notebook.control("pinned-text").inner_text()
    assert "6 clusters" in text
    assert f"{100 * same:.0f} %" in text
    assert notebook.control("pinned").is_visible()
    notebook.control("pin").click()
    notebook.drag("clusters", [6])
    notebook.wait_for_status("^6 clusters")
    assert not notebook.control("pinned").is_visible()


def test_panels_that_are_closed_draw_nothing(notebook):
    open_tab(notebook, "waterfall")
    notebook.page.evaluate(
        """() => {
            window.drawn = {};
            const fill = CanvasRenderingContext2D.prototype.fill;
            CanvasRenderingContext2D.prototype.fill = function (...args) {
                const name = this.canvas.dataset.ecg || 'other';
                window.drawn[name] = (window.drawn[name] || 0) + 1;
                return fill.apply(this, args);
            };
        }"""
    )
    notebook.drag("threshold", [i / 50 for i in range(10, 40)])
    notebook.frames()
    assert "map" not in notebook.page.evaluate("() => window.drawn")
    open_tab(notebook, "map")
    notebook.frames()
    assert notebook.page.evaluate("() => window.drawn.map") > 0
