"""The whole path in a real JupyterLab and a real browser."""

import re
import shutil
from pathlib import Path

import pytest
from browser.lab import Notebook, tab

pytestmark = pytest.mark.browser

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
SHOTS = Path(__file__).parent / "shots"

SETUP = """import ecg_widget as ecg
import xarray as xr
net = ecg.load_network()
ds = ecg.load_example()"""
SHOW = """w = ecg.explore(net, ds)
w"""

# Labels by scikit-learn from the same embedding and centres; shares, entropy and status by NumPy.
SETTLED = """dict(now=[list(w.layers), w.n_clusters, w.record],
shown=[w.result.attrs["layers"], w.result.attrs["n_clusters"], w.result.attrs["record"]])""".replace("\n", " ")

CHECK = """
import numpy as np
from scipy.special import softmax
from sklearn.metrics import pairwise_distances, pairwise_distances_argmin
r = w.result
x = w.explorer.embedding(w.layers).sel(record=w.record)
tc = w.explorer.fit(w.layers, w.n_clusters).clusters
valid = x.valid.values
labels = pairwise_distances_argmin(x.values[valid], tc.cluster_centers_)
d = pairwise_distances(x.values[valid].astype(float), tc.cluster_centers_, "sqeuclidean")
q = softmax(tc.log_prior_ - d / tc.tau_, axis=1)
entropy = -(q * np.log(np.maximum(q, 1e-300))).sum(1) / np.log(w.n_clusters)
same = bool((r["cluster"].values[valid] == labels).all())
close = bool(np.allclose(r["entropy"].values[valid], entropy, atol=2e-3))
uncertain = float((r["entropy"].values[valid] > w.threshold).mean())
p = float(r["prediction"].sel(target=w.target)) if "target" in r.indexes else float(r["prediction"][list(r.target.values).index(w.target)])
"""
FACTS = 'dict(same=same, close=close, uncertain=uncertain, p=p, k=r.attrs["n_clusters"], layers=r.attrs["layers"], \
record=r.attrs["record"], target=w.target, error=w.error, threshold=w.threshold, n=int(valid.sum()), cells=int(valid.size))'


def agree(notebook, view=0):
    """The status text says what `w.result` says, and `w.result` is what scikit-learn and NumPy compute."""
    for _ in range(100):  # a trait is set before its answer is computed
        state = notebook.python(SETTLED)
        if state["now"] == state["shown"]:
            break
        notebook.page.wait_for_timeout(100)
    notebook.wait_for_status(f"^{state['now'][1]} clusters")
    facts = notebook.python(CHECK + FACTS)
    assert facts["error"] == ""
    assert facts["same"], "cluster labels differ from scikit-learn's"
    assert facts["close"], "entropies differ from NumPy's"
    text = notebook.status(view)
    found = re.match(r"(\d+) clusters, (\d+) % uncertain, (\S+) (-?\d\.\d\d)\b", text)
    assert found, text
    assert int(found[1]) == facts["k"]
    assert abs(int(found[2]) - 100 * facts["uncertain"]) <= 0.5 + 1e-6
    assert found[3] == facts["target"]
    assert abs(float(found[4]) - facts["p"]) <= 0.005 + 1e-6
    for layer in facts["layers"]:
        assert layer in text
    return facts


RESET = """
w.layers, w.n_clusters, w.target = w.explorer.default_layers, 10, "NORM"
w.threshold = first_threshold = globals().get("first_threshold", w.threshold)
1"""


@pytest.fixture(scope="module")
def one_notebook(lab, browser):
    """One kernel and one tab for all tests that only move sliders."""
    with tab(browser) as page:
        notebook = Notebook(page, lab, lab.write("live.ipynb", SETUP, SHOW))
        assert notebook.run_all() == []
        yield notebook
        notebook.shut_down()


@pytest.fixture
def live(one_notebook):
    """The widget as it is first shown; nothing may have been logged as an error when a test ends."""
    one_notebook.wait_for_status("^\\d+ clusters")
    one_notebook.python(RESET)
    one_notebook.wait_for_status(r"^10 clusters, \d+ % uncertain, NORM.*blocks\.1 \+ blocks\.2 \+ blocks\.3")
    one_notebook.sent.clear()
    one_notebook.received.clear()
    yield one_notebook
    errors, one_notebook.errors = one_notebook.errors, []
    assert errors == []


def test_quickstart_runs(lab, open_notebook):
    shutil.copy(NOTEBOOKS / "quickstart.ipynb", lab.root / "quickstart.ipynb")
    notebook = open_notebook("quickstart.ipynb")
    assert notebook.run_all() == []
    notebook.wait_for_status("10 clusters, .* % uncertain")
    assert agree(notebook)["layers"] == ["blocks.1", "blocks.2", "blocks.3"]


@pytest.mark.parametrize(
    ("slider", "key"), [("layers", "ArrowLeft"), ("clusters", "ArrowRight"), ("threshold", "ArrowLeft")]
)
def test_sliders_by_keyboard(live, slider, key):
    trait = {"layers": "layers", "clusters": "n_clusters", "threshold": "threshold"}[slider]
    value, pixels = live.python(f"w.{trait}"), live.pixels()
    live.control(slider).focus()
    for _ in range(3):
        before_status = live.status()
        live.page.keyboard.press(key)
        if slider != "threshold":
            live.page.wait_for_function(CHANGED, arg=before_status)
        live.frames(4)
        live.wait_for_status("^(?!.*computing)")
        now, drawn = live.python(f"w.{trait}"), live.pixels()
        assert now != value
        if slider != "threshold":  # a step of the threshold need not reach another cell
            assert drawn != pixels
        agree(live)
        value = now
    assert live.pixels() != pixels


CHANGED = """before => {
    let text = null;
    const look = root => root.querySelectorAll('*').forEach(e => {
        if (e.dataset?.ecg === 'status') text = e.innerText;
        if (e.shadowRoot) look(e.shadowRoot);
    });
    look(document);
    return text !== null && text !== before;
}"""


@pytest.mark.parametrize("slider", ["layers", "clusters", "threshold"])
def test_sliders_by_mouse(live, slider):
    trait = {"layers": "layers", "clusters": "n_clusters", "threshold": "threshold"}[slider]
    value, pixels, status = live.python(f"w.{trait}"), live.pixels(), live.status()
    box = live.control(slider).bounding_box()
    middle = box["y"] + box["height"] / 2
    start = 0.97 if slider == "layers" else 0.35
    live.page.mouse.move(box["x"] + box["width"] * start, middle)
    live.page.mouse.down()
    for share in (0.3, 0.25, 0.2, 0.15):
        live.page.mouse.move(box["x"] + box["width"] * share, middle, steps=3)
    live.page.mouse.up()
    live.page.wait_for_function(CHANGED, arg=status)
    live.wait_for_status(f"^{live.python('w.n_clusters')} clusters")
    live.frames(4)
    assert live.python(f"w.{trait}") != value
    assert live.pixels() != pixels
    agree(live)


def test_threshold_drag_needs_no_kernel(live):
    """60 ticks while the kernel is busy: the picture follows; all that is sent are coalesced syncs of one trait."""
    before = live.pixels()
    live.sent.clear()
    live.received.clear()
    busy = live.page.evaluate_handle(
        """() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel
            .requestExecute({code: 'import time; time.sleep(6)', store_history: false})"""
    )
    pictures = {before}
    for chunk in range(6):
        live.drag("threshold", [round(0.9 - 0.01 * (chunk * 10 + i), 2) for i in range(10)])
        live.frames()
        pictures.add(live.pixels())
    assert len(pictures) >= 5
    assert live.control("threshold").input_value() == "0.31"
    assert not live.page.evaluate("future => future.isDisposed", busy)
    sent = [message["state"] for message in live.comm_sent()]
    assert all(set(state) == {"threshold"} for state in sent)
    assert len(sent) <= 60
    answered = [message for message in live.comm_received() if message.get("method") == "update"]
    assert not any({"result", "waveform"} & set(message["state"]) for message in answered)
    live.page.evaluate("future => future.done", busy)
    live.frames(4)
    assert abs(live.python("w.threshold") - 0.31) < 1e-9
    agree(live)


def wait_until_ready(notebook):
    """Wait until all numbers of clusters have been computed ahead."""
    for _ in range(600):
        if notebook.python("0 if w.ready is None else len(w.ready.results)") == 19:
            break
        notebook.page.wait_for_timeout(100)
    notebook.control("ready").filter(has_text=re.compile("^$")).wait_for(state="attached")


def test_clusters_that_are_ready_need_no_kernel(live):
    """Once all numbers of clusters have been computed ahead, the slider moves the picture while the kernel is busy."""
    wait_until_ready(live)
    live.sent.clear()
    live.received.clear()
    busy = live.page.evaluate_handle(
        """() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel
            .requestExecute({code: 'import time; time.sleep(6)', store_history: false})"""
    )
    pictures = {live.pixels()}
    for k in (3, 7, 12, 20, 15):
        live.drag("clusters", [k])
        live.wait_for_status(f"^{k} clusters")
        live.frames()
        pictures.add(live.pixels())
    assert len(pictures) == 6
    assert not live.page.evaluate("future => future.isDisposed", busy)
    assert all(set(message["state"]) == {"n_clusters"} for message in live.comm_sent())
    live.page.evaluate("future => future.done", busy)
    live.frames(4)
    answered = [message for message in live.comm_received() if message.get("method") == "update"]
    assert not any({"result", "waveform"} & set(message["state"]) for message in answered)
    assert live.python("w.n_clusters") == 15
    agree(live)


COUNT = """
import threading
from ecg_widget.explorer import Explorer
_compute, _guard, counted = Explorer._result, threading.Lock(), dict(now=0, most=0, total=0)
def _counting(self, *a, **k):
    with _guard:
        counted["now"] += 1; counted["total"] += 1; counted["most"] = max(counted["most"], counted["now"])
    try:
        return _compute(self, *a, **k)
    finally:
        with _guard:
            counted["now"] -= 1
Explorer._result = _counting
w.explorer.ahead.interrupt()
w.explorer._cache.clear()  # nothing is ready
"""


def test_cluster_drag_ends_at_the_last_value(live):
    """60 ticks at 16 ms: the last value is on screen, and never more than one computation ran."""
    live.python(COUNT + "1")
    live.sent.clear()
    ticks = [2 + abs((i % 36) - 18) for i in range(59)] + [13]
    live.drag("clusters", ticks, gap_ms=16)
    live.wait_for_status("^13 clusters")
    counted = live.python("counted")
    assert counted["most"] == 1
    assert counted["total"] <= 2 * 19  # of each number of clusters at most a draft and the exact result
    assert live.python("w.n_clusters") == 13
    assert len([m for m in live.comm_sent() if "n_clusters" in m["state"]]) <= 60
    agree(live)


def test_python_moves_the_page(live):
    pixels = live.pixels()
    live.python("w.set_trait('n_clusters', 5) or 1")
    live.wait_for_status("^5 clusters")
    assert live.control("clusters").input_value() == "5"
    live.python("w.set_trait('layers', ['blocks.2']) or 1")
    live.wait_for_status(r"^5 clusters.*blocks\.2(?!.*blocks\.3)")
    live.python("w.set_trait('threshold', 0.0) or 1")
    live.wait_for_status("100 % uncertain|9[0-9] % uncertain")
    live.python("w.set_trait('target', 'MI') or 1")
    live.wait_for_status("% uncertain, MI 0")
    live.python("w.set_trait('layers', ['blocks.0', 'blocks.3']) or 1")  # a choice that was not on the slider
    live.wait_for_status(r"blocks\.0 \+ blocks\.3")
    assert live.pixels() != pixels
    agree(live)


def test_two_views_stay_in_step(lab, open_notebook):
    notebook = open_notebook(lab.write("two.ipynb", SETUP, SHOW, "w"), height=1900)
    assert notebook.run_all() == []
    for view in (0, 1):
        notebook.wait_for_status("^10 clusters", view)
    notebook.control("clusters", 0).focus()
    notebook.page.keyboard.press("ArrowRight")
    for view in (0, 1):
        notebook.wait_for_status("^11 clusters", view)
    notebook.drag("threshold", [0.2], view=1)
    notebook.frames(4)
    assert notebook.status(0) == notebook.status(1)
    assert notebook.control("threshold", 0).input_value() == "0.2"
    assert notebook.pixels(0) == notebook.pixels(1)
    agree(notebook)


def test_records_and_targets_are_selected(lab, open_notebook):
    notebook = open_notebook(
        lab.write(
            "records.ipynb", "import ecg_widget as ecg\nnet, ds = ecg.load_network(), ecg.simulate(4, seed=2)", SHOW
        )
    )
    assert notebook.run_all() == []
    notebook.wait_for_status("^10 clusters")
    pixels = notebook.pixels()
    names = notebook.python("w.choices['records']")
    notebook.control("record").select_option(index=2)
    notebook.page.wait_for_function("() => true")
    notebook.page.wait_for_timeout(100)
    notebook.control("target").select_option(label="CD")
    notebook.wait_for_status("uncertain, CD")
    assert notebook.python("w.record") == names[2]
    facts = agree(notebook)
    assert facts["record"] == names[2]
    assert facts["target"] == "CD"
    assert notebook.pixels() != pixels


def test_running_the_cell_again_frees_the_old_widget(live):
    for _ in range(20):
        live.run_cell(1)
    live.wait_for_status("^10 clusters")
    alive = live.python(
        "import gc, ipywidgets, ecg_widget.widget as ew\n"
        "gc.collect()\n"
        "dict(objects=sum(isinstance(o, ew.ECGWidget) for o in gc.get_objects()),"
        " registered=sum(isinstance(o, ew.ECGWidget) for o in ipywidgets.widgets.widget._instances.values()))"
    )
    assert alive["registered"] <= 2
    assert alive["objects"] <= 2
    agree(live)


def test_gaps_are_drawn_as_breaks_and_masked(lab, open_notebook):
    cell = "ds['signal'].values[:, :, 4000:6000] = float('nan')"
    notebook = open_notebook(lab.write("gap.ipynb", SETUP, cell, SHOW))
    assert notebook.run_all() == []
    notebook.wait_for_status("^10 clusters")
    facts = agree(notebook)
    assert facts["n"] == pytest.approx(0.8 * facts["cells"], abs=2)
    SHOTS.mkdir(exist_ok=True)
    notebook.page.screenshot(path=SHOTS / "gap.png")


@pytest.mark.parametrize(
    ("name", "cell", "message"),
    [
        ("zero", "ds['signal'].values[:] = 0", "got 0 valid cells"),
        ("short", "ds = ds.isel(time=slice(0, 1000))", ""),
    ],
)
def test_difficult_records_reach_the_view(lab, open_notebook, name, cell, message):
    notebook = open_notebook(lab.write(f"{name}.ipynb", SETUP, cell, SHOW))
    assert notebook.run_all() == []
    notebook.control("waveform").wait_for()
    notebook.frames(4)
    error = notebook.python("w.error")
    assert (message in error) if message else error == ""
    if message:
        assert message in notebook.control("error").inner_text()
    else:
        notebook.wait_for_status("^10 clusters")
        agree(notebook)


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("w = ecg.explore(net, ds.drop_sel(lead='V6'))", "missing: V6"),
        ("import torch; w = ecg.explore(torch.nn.Sequential(torch.nn.Conv1d(8, 4, 3)), ds)", "expected 8 leads"),
        ("ds['signal'].attrs['units'] = 'uV'; w = ecg.explore(net, ds)", "mV"),
        ("w = ecg.explore(net, ds, layers=['blocks.9'])", "blocks.9"),
        ("w = ecg.explore(net, ds, n_clusters=21)", "from 2 to 20, got 21"),
    ],
)
def test_errors_reach_python(lab, open_notebook, cell, message):
    notebook = open_notebook(lab.write("error.ipynb", SETUP, cell))
    errors = notebook.run_all()
    assert len(errors) == 1
    assert message in errors[0]


def test_errors_while_sliding_reach_the_view_and_go_away(live):
    live.python("w.explorer.result.__func__ and 1")
    live.python(
        "_result = w.explorer.result\n"
        "def _fail(*a, **k): raise RuntimeError('out of memory <b>here</b>')\n"
        "w.explorer.result = _fail\n"
        "1"
    )
    live.control("clusters").focus()
    live.page.keyboard.press("ArrowRight")
    live.control("error").filter(has_text="out of memory <b>here</b>").wait_for()
    assert live.python("w.error") == "out of memory <b>here</b>"
    live.python("w.explorer.result = _result\n1")
    live.page.keyboard.press("ArrowRight")
    live.wait_for_status("^12 clusters")
    live.frames(4)
    assert live.python("w.error") == ""
    assert "out of memory" not in live.control("error").inner_text()
    agree(live)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_screenshots(lab, open_notebook, theme):
    """For people to look at; that nothing is logged as an error is checked for every notebook."""
    notebook = open_notebook(lab.write("shot.ipynb", SETUP, SHOW), dark=theme == "dark")
    if theme == "dark":
        notebook.page.evaluate(
            "() => window.jupyterapp.commands.execute('apputils:change-theme', {theme: 'JupyterLab Dark'})"
        )
    assert notebook.run_all() == []
    notebook.wait_for_status("^10 clusters")
    wait_until_ready(notebook)
    notebook.page.wait_for_timeout(500)
    SHOTS.mkdir(exist_ok=True)
    notebook.page.screenshot(path=SHOTS / f"{theme}.png")
