"""Contributions: exact where the head allows it, complete, and honest about heads that cannot be split."""

import itertools
import math

import numpy as np
import pytest
import torch
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import ecg_widget as ecg
from ecg_widget.architectures import ResNet1d
from ecg_widget.explanation import ablate_clusters, cell_contributions, cell_shares, pool_attribution
from ecg_widget.explanation.perturbation import bridge, place_runs, runs
from ecg_widget.networks import ECGNetwork, InputSpec, PooledResNet1d, RibeiroResNet

SMALL = {"channels": (6, 8), "strides": (2, 2), "stem_channels": 4}


class ConcatHead(ResNet1d):
    """Average and maximum pooling, then one Linear, in either order."""

    def __init__(self, *, largest_first, **kwargs):
        super().__init__(12, 3, **(SMALL | kwargs))
        self.largest_first = largest_first
        self.head = nn.Linear(2 * 8, 3)

    def forward(self, x):
        cells = self.blocks(self.stem(x))
        pools = [cells.amax(-1), cells.mean(-1)]
        return self.head(torch.cat(pools if self.largest_first else pools[::-1], 1))


class DeepHead(ResNet1d):
    """A head of several layers behind a mean over time, with or without a ReLU in it; optionally reading the batch."""

    def __init__(self, *, relu, reads_batch=False):
        super().__init__(12, 3, **SMALL)
        self.reads_batch = reads_batch
        self.head = nn.Sequential(nn.BatchNorm1d(8), nn.Linear(8, 6), *([nn.ReLU()] if relu else []), nn.Linear(6, 3))
        self.head[0].running_mean.uniform_(-0.3, 0.3)
        self.head[0].running_var.uniform_(0.01, 0.1)

    def forward(self, x):
        n = x.shape[0] if self.reads_batch else -1
        return self.head(self.blocks(self.stem(x)).mean(-1).reshape(n, 8))


def network(module):
    torch.manual_seed(0)
    return ECGNetwork(module(), InputSpec(), ["a", "b", "c"]).eval()


def explained(net, ds, k=6, layers=None, method="auto", **kwargs):
    acts = ecg.activations(net, ds, layers)
    seg = ecg.TimeClusters(k, random_state=0).fit(acts).predict(acts)
    return ecg.contributions(net, acts, seg, method, **kwargs), acts, seg


def total(con):
    return con.sum("cluster") + con["masked"] + con["intercept"]


def test_complete_on_the_shipped_network_and_the_real_record():
    net, ds = ecg.load_network(), ecg.load_example()
    for k in (2, 8, 20):
        con, acts, _ = explained(net, ds, k)
        assert con.attrs["completeness_error"] < 1e-5
        np.testing.assert_allclose(total(con), acts.output, rtol=1e-5, atol=1e-5)
        # The error is measured against the network itself, not against the head that made the split.
        logits = net(net.prepare(ds).x).detach().numpy()
        np.testing.assert_allclose(total(con), logits, rtol=1e-5, atol=1e-5)


def test_formula_of_the_mean_head():
    """C_kc = 1/T sum_t s_tk w_c . a_t, from the definition, cell by cell."""
    net, ds = ecg.load_network(), ecg.simulate(2, seed=1)
    con, acts, seg = explained(net, ds, 5)
    deep = list(acts.values())[-1]
    linear = [m for m in net.module.modules() if isinstance(m, torch.nn.Linear)][-1]
    w = linear.weight.detach().numpy()
    s = cell_shares(deep["centre"].values, seg["centre"].values)
    want = np.zeros(con.shape)
    for n in range(2):
        for t in range(deep.sizes["cell"]):
            for i in np.flatnonzero(s[t]):
                want[n, seg["cluster"].values[n, i]] += s[t, i] * (w @ deep.values[n, t]) / deep.sizes["cell"]
    np.testing.assert_allclose(con.values, want, atol=1e-5)


def test_what_is_masked_is_reported_apart():
    net, ds = ecg.load_network(), ecg.simulate(1, seed=2)
    ds["signal"].values[:, :, :2000] = 0
    for method in ("exact", "ig", "shapley"):
        con, _, seg = explained(net, ds, method=method)
        assert int((seg["cluster"] < 0).sum()) > 50
        assert float(np.abs(con["masked"]).max()) > 0
        assert con.attrs["completeness_error"] < (1e-3 if method == "ig" else 1e-5)
        np.testing.assert_allclose(total(con), con["output"], atol=1e-3)


def test_flatten_head_is_exact():
    torch.manual_seed(0)
    net = ECGNetwork(
        RibeiroResNet(),
        InputSpec(sampling_rate=400, n_samples=4096, units="1e-4V"),
        [f"t{i}" for i in range(6)],
        "sigmoid",
    )
    con, _, _ = explained(net, ecg.simulate(1, seed=0), 4, layers=["blocks.3", "blocks.4"])
    assert con.attrs["method"] == "Flatten + Linear"
    assert con.attrs["completeness_error"] < 1e-5


@pytest.mark.parametrize("largest_first", [True, False])
def test_head_of_two_poolings_is_exact_in_either_order(largest_first):
    """Each channel's maximum belongs to the cell that reaches it."""
    net, ds = network(lambda: ConcatHead(largest_first=largest_first)), ecg.simulate(3)
    con, acts, seg = explained(net, ds, 4)
    assert con.attrs["method"] == "average and maximum over time + Linear"
    assert con.attrs["completeness_error"] < 1e-5
    deep = list(acts.values())[-1].values
    weight = net.module.head.weight.detach().numpy()
    largest, mean = (weight[:, :8], weight[:, 8:]) if largest_first else (weight[:, 8:], weight[:, :8])
    cells = cell_contributions(net, acts, seg)
    coarse = deep[1] @ mean.T / deep.shape[1]
    for channel in range(8):
        peak = deep[1, :, channel].argmax()
        coarse[peak] += largest[:, channel] * deep[1, peak, channel]
    shares = cell_shares(list(acts.values())[-1]["centre"].values, seg["centre"].values)
    np.testing.assert_allclose(cells.values[1], shares.T @ coarse, atol=1e-5)


def test_affine_heads_are_exact_whatever_they_are_made_of():
    con, _, _ = explained(network(lambda: DeepHead(relu=False)), ecg.simulate(2), method="exact")
    assert con.attrs["method"] == "affine head"
    assert con.attrs["completeness_error"] < 1e-5


@pytest.mark.parametrize("reads_batch", [False, True])
def test_other_heads_are_refused_not_guessed(reads_batch):
    """Also when one record is all there is: a single point lies on many affine functions."""
    net = network(lambda: DeepHead(relu=True, reads_batch=reads_batch))
    with pytest.raises(ValueError, match="expected a head of the form mean over time"):
        explained(net, ecg.simulate(1), method="exact")
    con, _, _ = explained(net, ecg.simulate(1))
    assert con.attrs["approach"] == "ig"


def test_a_layer_that_the_outputs_do_not_follow_from_is_refused():
    class Beside(DeepHead):
        def forward(self, x):
            return super().forward(x) + x.std((1, 2))[:, None]

    with pytest.raises(ValueError, match=r"expected the outputs to follow from its cells alone, got outputs that"):
        explained(network(lambda: Beside(relu=True)), ecg.simulate(2))


@pytest.mark.parametrize("method", ["ig", "shapley"])
@pytest.mark.parametrize("module", [lambda: PooledResNet1d(12, 3), lambda: DeepHead(relu=True)])
def test_approximations_are_complete_relative_to_the_baseline(module, method):
    con, acts, _ = explained(network(module), ecg.simulate(3), 5, method=method)
    assert con.attrs["completeness_error"] < (1e-3 if method == "ig" else 1e-5)
    np.testing.assert_allclose(total(con), acts.output, atol=1e-5)
    assert con.attrs["baseline"] == "mean activation of the valid cells of 3 records"
    zero = np.zeros(list(acts.values())[-1].sizes["channel"])
    given, _, _ = explained(network(module), ecg.simulate(3), 5, method=method, baseline=zero)
    np.testing.assert_allclose(total(given), acts.output, atol=1e-5)
    assert not np.allclose(given["intercept"], con["intercept"])


@pytest.mark.parametrize("method", ["ig", "shapley"])
def test_approximations_equal_the_exact_split_of_a_linear_head(method):
    """For a head that is linear in its cells both are the exact form of the difference to the baseline."""
    net, ds = ecg.load_network(), ecg.simulate(2)
    zero = np.zeros(128)
    exact, _, _ = explained(net, ds, 5)
    other, _, _ = explained(net, ds, 5, method=method, baseline=zero)
    np.testing.assert_allclose(other, exact, atol=2e-5)
    np.testing.assert_allclose(other["intercept"], exact["intercept"], atol=1e-5)


def test_integrated_gradients_are_those_of_captum():
    from captum.attr import IntegratedGradients

    net, ds = network(lambda: DeepHead(relu=True)), ecg.simulate(2)
    acts = ecg.activations(net, ds)
    seg = ecg.TimeClusters(3, random_state=0).fit(acts).predict(acts)
    deep = list(acts.values())[-1]
    got = cell_contributions(net, acts, seg, "ig")
    values = torch.from_numpy(deep.values).transpose(1, 2)
    base = torch.from_numpy(deep.values.mean((0, 1)))[None, :, None].expand(1, -1, values.shape[2])
    for target in range(3):
        want = IntegratedGradients(lambda a: net.module.head(a.mean(-1))).attribute(values, base, target, n_steps=500)
        shares = cell_shares(deep["centre"].values, seg["centre"].values)
        np.testing.assert_allclose(
            got.values[:, :, target], want.sum(1).detach().numpy() @ shares, atol=1e-4 * float(want.abs().sum())
        )


def test_shapley_values_are_those_of_the_definition():
    """Average over all orders of the clusters, by brute force, on the network's own head."""
    net, ds = network(lambda: PooledResNet1d(12, 3, **SMALL)), ecg.simulate(1)
    con, acts, seg = explained(net, ds, 3, method="shapley")
    deep = list(acts.values())[-1]
    base = deep.values.mean((0, 1))
    shares = cell_shares(deep["centre"].values, seg["centre"].values)
    member = seg["cluster"].values[0][:, None] == np.arange(3)
    weight = shares @ member

    def worth(players):
        present = weight[:, list(players)].sum(1, keepdims=True)
        cells = torch.from_numpy((base + present * (deep.values[0] - base)).astype(np.float32)).T[None]
        with torch.no_grad():
            return net.module.head(torch.cat([cells.mean(-1), cells.amax(-1)], 1)).numpy()[0]

    want = np.zeros((3, 3))
    for order in itertools.permutations(range(3)):
        for i, player in enumerate(order):
            want[player] += (worth(order[: i + 1]) - worth(order[:i])) / math.factorial(3)
    np.testing.assert_allclose(con.values[0], want, atol=1e-6)


def test_shapley_values_of_too_many_clusters_are_refused():
    net, ds = ecg.load_network(), ecg.simulate(4)
    with pytest.raises(ValueError, match="expected at most 10 in a record"):
        explained(net, ds, 20, method="shapley")


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"method": "lrp"}, "method: expected one of"),
        ({"method": "ig", "baseline": np.zeros(3)}, "baseline: expected 128 finite values"),
        ({"method": "ig", "n_steps": 0}, "n_steps: expected a whole number"),
    ],
)
def test_wrong_arguments_are_named(kwargs, message):
    with pytest.raises(ValueError, match=message):
        explained(ecg.load_network(), ecg.simulate(1), **kwargs)


def test_other_records_are_refused():
    net, ds = ecg.load_network(), ecg.simulate(3)
    _, acts, seg = explained(net, ds)
    for function in (ecg.contributions, cell_contributions):
        with pytest.raises(ValueError, match="of the same records, got 3 and 2"):
            function(net, acts, seg.isel(record=slice(2)))
    with pytest.raises(ValueError, match="of the same records, got 3 and 2"):
        ablate_clusters(net, ds, seg.isel(record=slice(2)))


def test_contributions_are_sums_of_cells():
    net, ds = ecg.load_network(), ecg.simulate(2)
    con, acts, seg = explained(net, ds)
    cells = cell_contributions(net, acts, seg)
    for k in range(6):
        np.testing.assert_allclose(cells.where(seg["cluster"] == k).sum("cell"), con.isel(cluster=k), atol=1e-5)


def test_a_network_is_left_as_it_was():
    net, ds = network(lambda: DeepHead(relu=True)), ecg.simulate(1)
    net.train()
    before = {n: p.clone() for n, p in net.state_dict().items()}
    explained(net, ds)
    assert all(m.training for m in net.modules())
    assert all(not m._forward_hooks for m in net.modules())
    assert all(torch.equal(before[n], p) for n, p in net.state_dict().items())
    assert all(p.grad is None for p in net.parameters())


@pytest.mark.real_data
def test_completeness_on_the_published_networks(shared_data):
    from published_networks import plaincnn7, smallresnet

    ds = ecg.open_ecg(shared_data / "ptbxl", missing="drop", folds=[9]).isel(record=slice(6))
    for make, layers, method, limit in (
        (smallresnet, ["1.blocks.0", "1.blocks.1"], "mean over time + Linear", 1e-5),
        (plaincnn7, ["block6.2", "block7.2"], "integrated gradients, 64 steps", 1e-3),
    ):
        con, _, _ = explained(make(), ds, 8, layers=layers)
        print(make.__name__, con.attrs["method"], con.attrs["completeness_error"])
        assert con.attrs["method"] == method
        assert con.attrs["completeness_error"] < limit
    con, _, _ = explained(plaincnn7(), ds, 8, layers=["block6.2", "block7.2"], method="shapley")
    assert con.attrs["completeness_error"] < 1e-5


# Ablation and pooling


def test_ablating_what_the_network_reads_changes_it_and_nothing_else_does():
    """A network that reads the largest value in lead II alone: only clusters with an R peak matter."""

    class Peak(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv1d(12, 4, 9, stride=4, padding=4)

        def forward(self, x):
            self.conv(x)
            return x[:, 1:2].amax(-1)

    ds = ecg.resample(ecg.simulate(2, seed=3), 100)
    peak = ds["signal"].sel(lead="II").argmax("time")
    cells = np.arange(250)
    cluster = np.ones((2, 250), np.int16)
    for n in range(2):  # cluster 0: 0.2 s around every sample near the maximum
        top = np.flatnonzero(ds["signal"].sel(lead="II").values[n] > 0.5 * float(ds["signal"].sel(lead="II")[n].max()))
        cluster[n, np.unique((top[:, None] + np.arange(-8, 9)).clip(0, 999) // 4)] = 0
    seg = xr.Dataset(
        {
            "cluster": (("record", "cell"), cluster),
            "proportion": (("record", "cluster"), np.stack([(cluster == k).mean(1) for k in range(3)], 1)),
        },
        {"record": ds["record"].variable, "centre": ("cell", 0.015 + 0.04 * cells)},
    )
    out = ablate_clusters(Peak(), ds, seg, n_random=5)
    assert peak.sizes["record"] == 2
    assert (out["effect"].isel(cluster=0) > 0.3).all()
    np.testing.assert_allclose(out["effect"].isel(cluster=1), 0, atol=1e-6)
    assert np.isnan(out["effect"].isel(cluster=2)).all(), "a cluster that is not there"
    assert (out["effect"] > out["random_mean"]).isel(cluster=0).all()


def test_bridge_is_straight_and_touches_nothing_else():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(3, 50))
    mask = np.zeros((2, 50), bool)
    mask[0, 10:20], mask[1] = True, True
    one, everything = bridge(x, mask)
    kept = ~mask[0]
    np.testing.assert_array_equal(one[:, kept], x[:, kept])
    np.testing.assert_allclose(one[:, 9:21], np.linspace(x[:, 9], x[:, 20], 12, axis=1))
    np.testing.assert_allclose(everything, np.linspace(x[:, 0], x[:, -1], 50, axis=1))


@settings(deadline=None, max_examples=50)
@given(st.lists(st.integers(1, 6), max_size=8), st.integers(0, 20), st.integers(0, 2**31))
def test_random_runs_have_the_lengths_asked_for(lengths, spare, seed):
    rng = np.random.default_rng(seed)
    valid = rng.permutation(np.arange(sum(lengths) + spare + 5) >= 5)
    placed = place_runs(lengths, valid, rng)
    assert [len(p) for p in placed] == lengths
    cells = np.concatenate([*placed, np.array([], int)])
    assert len(np.unique(cells)) == sum(lengths)
    assert valid[cells].all()


def test_random_runs_are_everywhere_alike():
    rng = np.random.default_rng(0)
    hits = np.zeros(10)
    for _ in range(4000):
        hits[place_runs([2], np.ones(10, bool), rng)[0]] += 1
    np.testing.assert_allclose(hits[1:-1], 4000 * 2 / 9, rtol=0.15)


@given(st.lists(st.integers(-1, 3), min_size=1, max_size=40))
def test_runs_rebuild_the_clusters(labels):
    out = np.full(len(labels), -1)
    found = runs(np.array(labels))
    for first, stop, cluster in found:
        out[first:stop] = cluster
    assert out.tolist() == labels
    same = (found[1:, 0] == found[:-1, 1]) & (found[1:, 2] == found[:-1, 2])
    assert not same.any(), "runs are as long as they can be"


def test_pooling_keeps_the_sum():
    net, ds = ecg.load_network(), ecg.simulate(2, seed=1)
    ds["signal"].values[0, :, :1500] = 0
    _, _, seg = explained(net, ds, 5)
    rng = np.random.default_rng(0)
    values = xr.DataArray(
        rng.normal(size=(*ds["signal"].shape, 3)),
        {**{d: ds[d] for d in ("record", "lead", "time")}, "target": ["a", "b", "c"]},
        ("record", "lead", "time", "target"),
    )
    for attribution in (values, values.sum("lead").isel(target=0, drop=True)):
        pooled = pool_attribution(attribution, seg)
        assert pooled.attrs["completeness_error"] < 1e-9
        whole = attribution.sum([d for d in attribution.dims if d not in ("record", "target")])
        np.testing.assert_allclose(pooled.sum("cluster") + pooled["masked"], whole)
        assert np.abs(pooled["masked"].isel(record=0)).min() > 0
    # A sample belongs to the nearest cell: an impulse lands in the cluster drawn there.
    impulse = xr.zeros_like(values.isel(target=0, drop=True))
    cell = 180
    sample = int(np.abs(ds["time"].values - seg["centre"].values[cell]).argmin())
    impulse[1, 4, sample] = 7.0
    pooled = pool_attribution(impulse, seg)
    assert pooled.values[1, int(seg["cluster"][1, cell])] == 7.0
    assert np.abs(pooled.values).sum() == 7.0


def test_pooling_refuses_what_it_cannot_place():
    net, ds = ecg.load_network(), ecg.simulate(1)
    _, _, seg = explained(net, ds, 3)
    good = ds["signal"] * 0
    for bad, message in (
        (good.rename(time="sample"), "missing: .'time'"),
        (good.drop_vars("time"), "expected a coordinate time"),
        (good.assign_coords(record=["other"]), "of the same records"),
        (good.where(good["time"] > 1), "expected finite values"),
    ):
        with pytest.raises(ValueError, match=message):
            pool_attribution(bad, seg)


def test_shares_cover_every_coarse_cell():
    rng = np.random.default_rng(0)
    for _ in range(20):
        coarse = np.sort(rng.uniform(0, 10, rng.integers(1, 9)))
        fine = np.sort(rng.uniform(0, 10, rng.integers(1, 60)))
        shares = cell_shares(coarse, fine)
        np.testing.assert_allclose(shares.sum(1), 1)
        assert (shares >= 0).all()
