"""Traits and observers: what the page is sent, when, and how much of it."""

import gc
import importlib
import threading
import weakref

import numpy as np
import pytest
import traitlets
import xarray as xr

import ecg_widget as ecg
from ecg_widget import ahead as module_ahead
from ecg_widget import fits
from ecg_widget import widget as module
from ecg_widget.wire import decode, encode


class Comm:
    """Stands where the front end's channel is; keeps what is sent."""

    comm_id = "test"
    kernel = object()

    def __init__(self):
        self.sent = []

    def send(self, data=None, buffers=None, **_):
        self.sent.append((data, buffers or []))

    def on_msg(self, _callback):
        pass

    def on_close(self, _callback):
        pass

    def close(self, **_):
        pass


@pytest.fixture(scope="module")
def net():
    return ecg.load_network()


@pytest.fixture
def ds():
    return ecg.simulate(3, seed=1, duration=5, sampling_rate=100)


@pytest.fixture
def w(net, ds):
    widget = ecg.explore(net, ds)
    widget.comm = Comm()
    widget.explorer.prefetch = lambda *_, **__: None  # what is computed ahead has tests of its own
    yield widget
    widget.close()


@pytest.fixture
def ahead(monkeypatch, net):
    """A widget whose drafts see some of its cells, and the threads it would have started."""
    started = []

    def start(thread):
        started.append(thread)

    monkeypatch.setattr(threading.Thread, "start", start)
    monkeypatch.setattr(fits, "DRAFT_CELLS", 200)
    monkeypatch.setattr(module_ahead, "REST_S", 0)
    widget = ecg.explore(net, ecg.simulate(2, seed=1, duration=5, sampling_rate=100))
    widget.comm = Comm()
    yield widget, started
    widget.close()


def kmeans_module():
    """The package gives the function under this name."""
    return importlib.import_module("ecg_widget.clusters.kmeans")


def states(w):
    return [data["state"] for data, _ in w.comm.sent if data["method"] == "update"]


def move(w, **state):
    """What ipywidgets does with a message from the page."""
    w._handle_msg({"content": {"data": {"method": "update", "state": state, "buffer_paths": []}}, "buffers": []})


def test_first_state(w, ds):
    assert w.error == ""
    assert w.progress == ""
    assert w.layers == ["blocks.1", "blocks.2", "blocks.3"]
    assert w.record == ds["record"].values[0]
    assert w.target == "NORM"
    assert isinstance(w.result, xr.Dataset)
    assert w.choices["records"] == ds["record"].values.tolist()
    assert w.choices["targets"] == ["NORM", "MI", "STTC", "CD", "HYP"]
    assert [c["label"] for c in w.choices["layers"]] == ["blocks.0", "blocks.1", "blocks.2", "blocks.3", "blocks.1+2+3"]
    assert all(c["stride_ms"] > 0 and c["width_ms"] > c["stride_ms"] for c in w.choices["layers"])
    share = float((w.result["entropy"] > w.threshold).mean())
    assert 0.05 <= share <= 0.1


def test_what_the_page_gets_is_the_result(w):
    state = w.get_state(["result", "waveform"])
    for name in ("result", "waveform"):
        want = getattr(w, name)
        back = decode(state[name])
        assert back.attrs == want.attrs
        for variable in want.variables:
            if variable == "signal":
                np.testing.assert_allclose(back[variable], w.explorer.signal(w.record)["signal"], atol=5e-5)
            elif variable in {"centre", "time"}:  # a regular axis travels as start and step
                np.testing.assert_allclose(back[variable], want[variable], rtol=1e-12)
            else:
                np.testing.assert_array_equal(back[variable].values, want[variable].values)


def test_page_and_python_see_the_same_move(w):
    move(w, n_clusters=11)
    assert w.n_clusters == 11
    assert w.result.attrs["n_clusters"] == 11
    w.n_clusters = 4
    assert w.result.attrs["n_clusters"] == 4
    w.layers = ["blocks.2"]
    assert w.result.attrs["layers"] == ["blocks.2"]
    assert w.error == ""


def test_one_move_is_one_result(w):
    w.comm.sent.clear()
    move(w, n_clusters=11)
    results = [s for s in states(w) if "result" in s]
    assert len(results) == 1
    assert not any("waveform" in s for s in states(w))


def test_threshold_and_target_send_nothing_heavy(w):
    result = w.result
    w.comm.sent.clear()
    for i in range(60):
        move(w, threshold=i / 100)
    move(w, target="MI")
    assert w.result is result
    assert not any({"result", "waveform", "choices"} & set(s) for s in states(w))
    assert sum(sum(len(b) for b in buffers) for _, buffers in w.comm.sent) == 0


def test_a_drag_in_bytes(w):
    """60 ticks of the clusters slider: one result each of some kilobytes, never the recording."""
    for k in range(2, 21):
        move(w, n_clusters=k)
    w.comm.sent.clear()
    for i in range(60):
        move(w, n_clusters=2 + i % 19)
    results = [s for s in states(w) if "result" in s]
    assert len(results) == 60
    total = sum(sum(memoryview(b).nbytes for b in buffers) for _, buffers in w.comm.sent)
    assert total / 60 < 12_000
    assert not any("waveform" in s for s in states(w))


def test_another_record_comes_with_its_waveform_in_one_message(w, ds):
    w.comm.sent.clear()
    move(w, record=str(ds["record"].values[2]))
    heavy = [s for s in states(w) if {"result", "waveform"} & set(s)]
    assert len(heavy) == 1
    assert {"result", "waveform"} <= set(heavy[0])
    assert w.result.attrs["record"] == w.waveform.attrs["record"] == ds["record"].values[2]


def run(thread):
    """What a thread would do, here and now."""
    thread.run()


def test_all_numbers_of_clusters_are_computed_ahead(ahead):
    w, started = ahead
    w.n_clusters = 11
    order = []
    compute = w.explorer.result
    w.explorer.result = lambda record, layers, k, **more: order.append(k) or compute(record, layers, k, **more)
    run(started[-1])
    assert order == sorted(range(2, 21), key=lambda k: (abs(k - 11), k))
    assert sorted(w.ready.results) == list(range(2, 21))
    assert w.progress == "", "nobody waits for it"
    sent = [s["ready"] for s in states(w) if "ready" in s]
    assert 2 <= len(sent) <= 4, "the first one and the whole, not each of them"
    assert list(sent[-1]) == [str(k) for k in range(2, 21)]
    for k, encoded in w.get_state(["ready"])["ready"].items():
        want = compute(w.record, w.layers, int(k))
        np.testing.assert_array_equal(decode(encoded)["cluster"], want["cluster"])
        assert not want.attrs["draft"]


def test_a_move_to_what_is_ready_sends_no_byte(ahead):
    w, started = ahead
    move(w, n_clusters=11)
    run(started[-1])
    w.comm.sent.clear()
    for i in range(60):
        move(w, n_clusters=2 + i % 19)
        assert w.result.attrs["n_clusters"] == w.n_clusters
    assert not any({"result", "ready", "waveform"} & set(s) for s in states(w))
    assert sum(sum(memoryview(b).nbytes for b in buffers) for _, buffers in w.comm.sent) == 0
    state = w.get_state(["result"])  # a page that comes later gets the whole
    assert decode(state["result"]).attrs["n_clusters"] == w.n_clusters


def test_a_first_answer_for_the_page_and_the_end_result_for_python(ahead):
    w, started = ahead
    move(w, n_clusters=14)
    first = decode(w.get_state(["result"])["result"])
    assert first.attrs["draft"]
    run(started[-1])
    exact = decode(w.get_state(["result"])["result"])
    assert not exact.attrs["draft"]
    assert exact.attrs["n_clusters"] == 14
    colours = [r["slot"].values[r["cluster"].values] for r in (first, exact)]
    assert (colours[0] == colours[1]).mean() > 0.7
    move(w, layers=["blocks.2"])
    assert decode(w.get_state(["result"])["result"]).attrs["draft"]
    sent = len(states(w))
    assert not w.result.attrs["draft"], "who reads in Python waits"
    later = [s["result"]["attrs"]["draft"] for s in states(w)[sent:] if "result" in s]
    assert later == [False], "and the page has it too"
    assert w.progress == "", "nobody waits any more"
    w.n_clusters = 17
    w.layers = ["blocks.2"]
    w.n_clusters = 5
    assert not w.result.attrs["draft"], "who writes Python reads results at once"


def test_a_move_ends_what_nobody_waits_for(ahead):
    w, started = ahead
    move(w, n_clusters=11)
    first = started[-1]
    move(w, n_clusters=12)
    assert started[-1] is not first
    found, fit = [], ecg.TimeClusters.fit
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ecg.TimeClusters, "fit", lambda self, *a, **k: found.append(1) or fit(self, *a, **k))
        run(first)
    assert found == []
    assert w.ready is None
    w.explorer.ahead.interrupt()
    run(started[-1])
    assert w.ready is None


def test_a_fit_ends_between_two_iterations(ahead):
    w, started = ahead
    kmeans = kmeans_module()
    move(w, n_clusters=11)
    look, calls = kmeans.stop_if_interrupted, []

    def counted():
        calls.append(1)
        if len(calls) == 3:
            w.explorer.ahead.interrupt()
        look()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kmeans, "stop_if_interrupted", counted)
        run(started[-1])
    assert len(calls) == 3
    assert w.ready is None
    w.n_clusters = 12
    assert w.result.attrs["n_clusters"] == 12


def test_a_result_that_comes_after_the_interruption_is_not_announced(ahead):
    """Nor does a thread whose place another one has taken say what it computes: that text would stand for ever."""
    w, started = ahead
    move(w, n_clusters=11)
    compute, told = w.explorer.result, []
    w.explorer.on_progress = told.append
    with kmeans_module().interruptible(threading.Event()):
        compute(w.record, w.layers, 19)
    assert told == []

    def late(*args, **more):
        w.explorer.ahead.interrupt()
        return compute(*args, **more)

    w.explorer.result = late
    w.n_clusters = 12
    run(started[-1])
    assert w.ready is None


def test_what_was_computed_for_another_choice_is_not_shown(ahead):
    w, _ = ahead
    move(w, n_clusters=11)
    results = {11: w.explorer.result(w.record, w.layers, 11)}
    choice = w._choice
    w.layers = ["blocks.2"]
    w._take(choice, results)
    assert w.ready is None
    assert w.result.attrs["layers"] == ["blocks.2"]


def test_closing_ends_it(ahead):
    w, started = ahead
    move(w, n_clusters=11)
    w.close()
    run(started[-1])
    assert w.explorer.cache_used == 0


def test_the_page_cannot_write_what_python_writes(w):
    result, waveform = w.result, w.waveform
    move(w, result={"attrs": {}}, waveform=None)
    assert w.result is result
    assert w.waveform is waveform


def test_result_is_replaced_never_changed(w):
    before = w.result
    copy = before.copy(deep=True)
    w.n_clusters = 3
    xr.testing.assert_identical(before, copy)
    assert w.result is not before


def test_observers_are_told(w):
    seen = []
    w.observe(lambda change: seen.append(change.new.attrs["n_clusters"]), "result")
    w.n_clusters = 5
    w.n_clusters = 6
    assert seen == [5, 6]


@pytest.mark.parametrize(
    ("trait", "value", "message"),
    [
        ("n_clusters", 1, "from 2 to 20, got 1"),
        ("n_clusters", 21, "from 2 to 20, got 21"),
        ("threshold", 1.5, "from 0 to 1, got 1.5"),
        ("layers", ["blocks.9"], "blocks.9"),
        ("layers", [], "no layer"),
        ("record", "nobody", "got 'nobody'"),
        ("target", "XYZ", "got 'XYZ'"),
    ],
)
def test_bad_values_are_refused_and_nothing_changes(w, trait, value, message):
    before, result = getattr(w, trait), w.result
    with pytest.raises(traitlets.TraitError, match=message):
        setattr(w, trait, value)
    assert getattr(w, trait) == before
    assert w.result is result


def test_unknown_keywords_are_errors(net, ds):
    with pytest.raises(TypeError, match="clusters"):
        ecg.explore(net, ds, clusters=4)


def test_errors_while_computing_are_shown_and_go_away(monkeypatch, w):
    result, compute = w.result, w.explorer.result
    monkeypatch.setattr(
        w.explorer, "result", lambda *_, **__: (_ for _ in ()).throw(RuntimeError("CUDA out of memory"))
    )
    w.n_clusters = 7
    assert w.error == "CUDA out of memory"
    assert w.result is result
    assert w.progress == ""
    monkeypatch.setattr(w.explorer, "result", compute)
    w.n_clusters = 6
    assert w.error == ""
    assert w.result.attrs["n_clusters"] == 6


def test_a_record_without_signal_shows_the_trace_and_says_why(net):
    ds = ecg.simulate(1, duration=5, sampling_rate=100)
    ds["signal"].values[:] = 0
    w = ecg.explore(net, ds)
    assert "got 0 valid cells" in w.error
    assert w.result is None
    assert w.waveform is not None
    w.close()


def test_text_from_files_travels_as_text(net, ds):
    ds = ds.assign_coords(record=["<img src=x onerror=alert(1)>", "b", "c"])
    ds.attrs["source"] = ["a.hea", "b.hea", "c.hea"]
    w = ecg.explore(net, ds)
    assert encode(w.waveform)["attrs"]["record"] == "<img src=x onerror=alert(1)>"
    w.close()


def test_closed_widgets_are_freed(net, ds):
    w = ecg.explore(net, ds)
    gone, explorer = weakref.ref(w), weakref.ref(w.explorer)
    w.close()
    del w
    gc.collect()
    assert gone() is None
    assert explorer() is None


def test_bundle_is_text_not_a_watched_file(w, monkeypatch):
    assert isinstance(module._bundle(), str)
    assert "\n" in module._bundle()
    assert "import(" not in w._esm  # nothing is loaded at run time
    monkeypatch.setenv("ANYWIDGET_HMR", "1")
    assert module._bundle() == module._BUNDLE


def test_two_widgets_do_not_share_state(net, ds):
    a, b = ecg.explore(net, ds), ecg.explore(net, ds, n_clusters=4)
    a.n_clusters = 12
    assert b.n_clusters == 4
    assert b.result.attrs["n_clusters"] == 4
    a.close()
    b.n_clusters = 5
    assert b.error == ""
    b.close()
