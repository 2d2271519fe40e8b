"""The state behind the sliders: deterministic, cached, one computation at a time, errors that say what to do."""

import contextlib
import threading
import time

import numpy as np
import pytest
import torch
import xarray as xr

import ecg_widget as ecg
from ecg_widget import captured, fits
from ecg_widget.clusters import TimeClusters
from ecg_widget.clusters.interruption import Interrupted, interruptible, somebody_waits, stop_if_interrupted
from ecg_widget.networks import ECGNetwork, InputSpec, PooledResNet1d
from ecg_widget.parts import principal_components


@pytest.fixture(scope="module")
def net():
    return ecg.load_network()


@pytest.fixture(scope="module")
def ds():
    return ecg.simulate(6, seed=1)


@pytest.fixture
def explorer(net, ds):
    return ecg.Explorer(net, ds)


def counting(monkeypatch, owner, name):
    calls, original = [], getattr(owner, name)

    def count(*args, **kwargs):
        calls.append(args)
        return original(*args, **kwargs)

    monkeypatch.setattr(owner, name, count)
    return calls


def test_result_is_the_pipeline(explorer, net, ds):
    record = ds["record"].values[2]
    result = explorer.result(record, explorer.default_layers, 10)
    acts = ecg.activations(net, ds)
    tc = TimeClusters(max_cells=fits.FIT_CELLS, random_state=0).fit(acts)
    seg = tc.predict(acts).isel(record=2)
    np.testing.assert_array_equal(result["cluster"], seg["cluster"])
    np.testing.assert_allclose(result["entropy"], seg["entropy"], atol=1e-5)
    np.testing.assert_allclose(result["proportion"], seg["proportion"], atol=1e-6)
    con = ecg.contributions(net, acts, tc.predict(acts)).isel(record=2)
    np.testing.assert_allclose(result["contribution"], con, atol=1e-5)
    np.testing.assert_allclose(result["prediction"], ecg.predict(net, ds).isel(record=2), atol=1e-6)
    total = result["contribution"].sum("cluster") + result["contribution_masked"] + result["intercept"]
    np.testing.assert_allclose(total, result["logit"], atol=1e-4)
    assert result.attrs["completeness_error"] < 1e-5
    assert result.attrs["layers"] == ["blocks.1", "blocks.2", "blocks.3"]
    assert result["centre"].attrs["units"] == "s"


def test_the_way_does_not_matter(net, ds):
    """Clusters and colours of a choice are the same, whatever was looked at before."""
    straight, wandering = ecg.Explorer(net, ds), ecg.Explorer(net, ds)
    record = str(ds["record"].values[0])
    for layers, k in [(["blocks.0"], 3), (["blocks.3"], 20), (wandering.default_layers, 15), (["blocks.2"], 8)]:
        wandering.result(record, layers, k)
    a, b = (e.result(record, ["blocks.2", "blocks.3"], 13) for e in (straight, wandering))
    xr.testing.assert_identical(a, b)


def test_colours_keep_their_meaning(explorer, ds):
    """From one number of clusters to the next most cells keep their colour; every colour is on the palette."""
    before, kept = None, []
    for k in range(2, 21):
        seg = explorer.segmentation(n_clusters=k)
        slots = seg["slot"].values
        assert len(set(slots.tolist())) == k
        assert slots.max() < max(k, fits.ANCHOR)  # at most ten clusters stay within the palette of ten
        cells = slots[seg["cluster"].values]
        if before is not None:
            kept.append((cells == before).mean())
        before = cells
    assert min(kept) > 0.6
    assert np.median(kept) > 0.8
    other = explorer.segmentation(["blocks.2"])
    assert sorted(other["slot"].values.tolist()) == list(range(fits.ANCHOR))


def test_one_forward_pass_serves_every_layer(monkeypatch, explorer, ds):
    calls = counting(monkeypatch, captured, "activations")
    for layers in explorer.choices:
        for record in ds["record"].values[:3]:
            explorer.result(str(record), layers, 5)
    # One record tells how much there is room for; then all of them, every layer in the same pass.
    assert [ds.sizes["record"] for _, ds, *_ in calls] == [1, 6]


def test_results_are_kept_and_bounded(monkeypatch, explorer, ds):
    found = counting(monkeypatch, TimeClusters, "fit")
    record = str(ds["record"].values[0])
    a = explorer.result(record, explorer.default_layers, 9)
    n = len(found)
    assert explorer.result(record, explorer.default_layers, 9) is a
    explorer.result(str(ds["record"].values[1]), explorer.default_layers, 9)
    assert len(found) == n


def test_close_frees_everything(explorer, ds):
    explorer.result(str(ds["record"].values[0]), explorer.default_layers, 5)
    assert explorer.cache_used > 1_000_000
    explorer.close()
    assert explorer.cache_used == 0


def test_one_computation_at_a_time(monkeypatch, explorer, ds):
    now, most, guard = [0], [0], threading.Lock()
    original = TimeClusters.fit

    def watched(self, *args, **kwargs):
        with guard:
            now[0] += 1
            most[0] = max(most[0], now[0])
        try:
            return original(self, *args, **kwargs)
        finally:
            with guard:
                now[0] -= 1

    monkeypatch.setattr(TimeClusters, "fit", watched)
    record = str(ds["record"].values[0])
    errors = []

    def work(k):
        try:
            explorer.result(record, explorer.default_layers, k)
        except Exception as error:  # noqa: BLE001
            errors.append(error)

    threads = [threading.Thread(target=work, args=(k,)) for k in (3, 9, 15, 4, 20, 6)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert errors == []
    assert most[0] == 1


def test_progress_is_told(explorer, ds):
    told = []
    explorer.on_progress = told.append
    explorer.result(str(ds["record"].values[0]), explorer.default_layers, 8)
    assert any(t.startswith("running ") and t.endswith(" on 6 records") for t in told)
    assert any(t.startswith("finding 8 clusters in") for t in told)


def test_map_is_the_principal_components(explorer, ds):
    record = str(ds["record"].values[0])
    result = explorer.result(record, explorer.default_layers, 10)
    x = explorer.embedding(explorer.default_layers).sel(record=record).values
    x = x - x.mean(0)
    u, s, _ = np.linalg.svd(x, full_matrices=False)
    np.testing.assert_allclose(np.abs(result["map"]), np.abs(u[:, :2] * s[:2]), atol=1e-3)
    np.testing.assert_allclose(result.attrs["map_explained"], (s**2 / (s**2).sum())[:2], rtol=1e-3)


def test_other_heads_get_integrated_gradients_from_the_mean_of_all_records():
    torch.manual_seed(0)
    net = ECGNetwork(PooledResNet1d(12, 2), InputSpec(), ["a", "b"], "softmax")
    explorer = ecg.Explorer(net, ecg.simulate(3))
    result = explorer.result("0000-NORM", ["blocks.1"], 4)
    assert np.isfinite(result["entropy"]).all()
    assert float(result["prediction"].sum()) == pytest.approx(1, abs=1e-5)
    assert result.attrs["contribution_method"].startswith("integrated gradients, 64 steps; intercept")
    assert result.attrs["completeness_error"] < 1e-3
    total = result["contribution"].sum("cluster") + result["contribution_masked"] + result["intercept"]
    np.testing.assert_allclose(total, result["logit"], atol=1e-4)
    others = [explorer.result(str(r), ["blocks.1"], 4)["intercept"] for r in explorer.ds["record"].values[1:]]
    assert all(np.array_equal(result["intercept"], o) for o in others), "one baseline for all records"


def test_outputs_that_do_not_follow_from_a_layer_say_so_and_everything_else_works():
    class Beside(PooledResNet1d):
        def forward(self, x):
            return super().forward(x) + x.std((1, 2))[:, None]

    net = ECGNetwork(Beside(12, 2), InputSpec(), ["a", "b"])
    result = ecg.Explorer(net, ecg.simulate(1)).result("0000-NORM", ["blocks.1"], 4)
    assert "contribution" not in result
    assert "expected the outputs to follow from its cells alone" in result.attrs["contribution_note"]


def test_one_record_of_nothing_beside_others(net):
    ds = ecg.simulate(3, seed=4)
    ds["signal"].values[1] = 0
    explorer = ecg.Explorer(net, ds)
    empty = explorer.result(str(ds["record"].values[1]), explorer.default_layers, 5)
    assert not empty["valid"].any()
    assert (empty["cluster"] == -1).all()
    assert np.isnan(empty["prediction"]).all()
    assert np.isnan(empty["map"]).all()
    good = explorer.result(str(ds["record"].values[0]), explorer.default_layers, 5)
    assert good["valid"].all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda e: e.result("nobody", e.default_layers, 5), "record: expected one of"),
        (lambda e: e.result("0000-NORM", ["blocks.7"], 5), "layers: expected one or more of"),
        (lambda e: e.result("0000-NORM", [], 5), "layers: expected one or more of"),
        (
            lambda e: e.result("0000-NORM", e.default_layers, 1),
            "n_clusters: expected a whole number from 2 to 20, got 1",
        ),
        (lambda e: e.result("0000-NORM", e.default_layers, 21), "from 2 to 20, got 21"),
    ],
)
def test_what_does_not_exist_is_named(explorer, call, message):
    with pytest.raises(ValueError, match=message):
        call(explorer)


def test_more_clusters_than_cells(net):
    explorer = ecg.Explorer(net, ecg.simulate(1, duration=1))
    assert explorer.result("0000-NORM", ["blocks.3"], 5).sizes["cluster"] == 5
    with pytest.raises(ValueError, match=r"at most the 13 valid cells of these records in blocks\.3, got 20"):
        explorer.result("0000-NORM", ["blocks.3"], 20)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_gives_the_same_segments(net, ds):
    record = str(ds["record"].values[0])
    cpu, gpu = (ecg.Explorer(net, ds, device=d) for d in ("cpu", "cuda"))
    a, b = (e.result(record, e.default_layers, 8) for e in (cpu, gpu))
    assert (a["cluster"] == b["cluster"]).mean() > 0.99
    assert b.attrs["device"].startswith("cuda:0 (")


def test_two_explorers_of_one_network_do_not_meet(net):
    """Running a cell again opens a second one while the first still computes; hooks and modes are the network's own."""
    sets = [ecg.simulate(n, seed=n) for n in (5, 9)]
    want = [ecg.activations(net, ds)["blocks.3"] for ds in sets]
    wrong, errors = [], []

    def work(ds, one):
        try:
            found = [ecg.activations(net, ds, batch_size=3)["blocks.3"] for _ in range(6)]
            wrong.extend(not np.allclose(x, one, atol=1e-5) for x in found)
        except Exception as error:  # noqa: BLE001
            errors.append(error)

    threads = [threading.Thread(target=work, args=pair) for pair in zip(sets, want, strict=True)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert errors == []
    assert not any(wrong)


@pytest.mark.parametrize(("shape", "rank"), [((288, 448), 288), ((100, 448), 1), ((300, 16), 16), ((64, 80), 0)])
def test_components_of_many_cells_are_those_of_a_dense_solver_and_the_same_each_time(shape, rank):
    rng = np.random.default_rng(rank)
    x = rng.standard_normal((shape[0], rank)) @ rng.standard_normal((rank, shape[1]))
    found, explained = principal_components(x.astype(np.float32), np.ones(len(x), bool))
    again, _ = principal_components(x.astype(np.float32), np.ones(len(x), bool))
    left, size, _ = np.linalg.svd(x - x.mean(0))
    expected = left[:, :2] * size[:2] * (size[:2] > 1e-6 * max(size[0], 1))
    signs = np.sign((found * expected).sum(0))
    np.testing.assert_allclose(found * signs, expected, atol=1e-4 * max(size[0], 1))
    np.testing.assert_allclose(explained, size[:2] ** 2 / max((size**2).sum(), 1e-30), atol=1e-6)
    assert np.array_equal(found, again)


def test_work_that_nobody_waits_for_rests_while_somebody_waits_and_then_goes_on():
    steps, stop, begun = [], threading.Event(), threading.Event()

    def work() -> None:
        with contextlib.suppress(Interrupted), interruptible(stop):
            while True:
                stop_if_interrupted()
                steps.append(1)
                begun.set()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    assert begun.wait(5)
    with somebody_waits():
        stop_if_interrupted()  # of this thread somebody waits: it goes on
        wait_until(lambda: still(steps))
        with somebody_waits():
            pass
        assert still(steps)
    before = len(steps)
    wait_until(lambda: len(steps) > before)
    with somebody_waits():
        stop.set()
        thread.join(1)  # it need not be served to be ended
        assert not thread.is_alive()


def still(steps: list[int]) -> bool:
    before = len(steps)
    time.sleep(0.02)
    return len(steps) == before


def wait_until(holds) -> None:
    until = time.monotonic() + 5
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.002)
