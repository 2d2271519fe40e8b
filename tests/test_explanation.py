"""Contributions: exact, complete, and honest about heads that cannot be split."""

import numpy as np
import pytest
import torch

import ecg_widget as ecg
from ecg_widget.explanation import cell_shares
from ecg_widget.networks import ECGNetwork, InputSpec, PooledResNet1d, RibeiroResNet


def explained(net, ds, k=6, layers=None):
    acts = ecg.activations(net, ds, layers)
    seg = ecg.TimeClusters(k, random_state=0).fit(acts).predict(acts)
    return ecg.contributions(net, acts, seg), acts, seg


def test_complete_on_the_shipped_network_and_the_real_record():
    net, ds = ecg.load_network(), ecg.load_example()
    for k in (2, 8, 20):
        con, acts, _ = explained(net, ds, k)
        assert con.attrs["completeness_error"] < 1e-5
        total = con.sum("cluster") + con["masked"] + con["intercept"]
        np.testing.assert_allclose(total, acts.output, rtol=1e-5, atol=1e-5)
        # The error is measured against the network itself, not against the head that made the split.
        logits = net(net.prepare(ds).x).detach().numpy()
        np.testing.assert_allclose(total, logits, rtol=1e-5, atol=1e-5)


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
    con, _, seg = explained(net, ds)
    assert int((seg["cluster"] < 0).sum()) > 50
    assert float(np.abs(con["masked"]).max()) > 0
    assert con.attrs["completeness_error"] < 1e-5


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
    assert con.attrs["completeness_error"] < 1e-4


def test_other_heads_are_refused_not_guessed():
    net = ECGNetwork(PooledResNet1d(12, 3), InputSpec(), ["a", "b", "c"])
    with pytest.raises(ValueError, match="expected a head of the form mean over time"):
        explained(net, ecg.simulate(1))
    with pytest.raises(ValueError, match=r"behind layer 'blocks\.1'"):
        explained(ecg.load_network(), ecg.simulate(1), layers=["blocks.0", "blocks.1"])


def test_other_records_are_refused():
    net, ds = ecg.load_network(), ecg.simulate(3)
    _, acts, seg = explained(net, ds)
    with pytest.raises(ValueError, match="of the same records, got 3 and 2"):
        ecg.contributions(net, acts, seg.isel(record=slice(2)))


def test_shares_cover_every_coarse_cell():
    rng = np.random.default_rng(0)
    for _ in range(20):
        coarse = np.sort(rng.uniform(0, 10, rng.integers(1, 9)))
        fine = np.sort(rng.uniform(0, 10, rng.integers(1, 60)))
        shares = cell_shares(coarse, fine)
        np.testing.assert_allclose(shares.sum(1), 1)
        assert (shares >= 0).all()
