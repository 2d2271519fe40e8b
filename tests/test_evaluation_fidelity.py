"""Surrogate fidelity: planted relations are found, controls stay controls, and no record is judged by itself."""

import numpy as np
import pytest
import torch
import xarray as xr
from sklearn import metrics

import ecg_widget as ecg
from ecg_widget.evaluation import fidelity
from ecg_widget.evaluation.cells import fit_centres, on_one_grid, proportions, randomised, sample_cells
from ecg_widget.evaluation.surrogates import CLASSIFIER_SCORES, forest_predictions, hard_labels, surrogate_scores


class Tall(torch.nn.Module):
    """Says yes where lead II is above 0.5 mV for more than a tenth of the time, and keeps that in its only block."""

    def __init__(self):
        super().__init__()
        self.blocks = torch.nn.Sequential(torch.nn.Conv1d(12, 2, 1))
        with torch.no_grad():
            self.blocks[0].weight.zero_()
            self.blocks[0].weight[0, 1, 0], self.blocks[0].weight[1, 1, 0] = 20, -20
            self.blocks[0].bias.copy_(torch.tensor([-10.0, 10.0]))

    def forward(self, x):
        cells = torch.relu(self.blocks[0](x))
        return ((cells[:, 0] > 0).float().mean(1) - 0.1)[:, None] * 100


def recordings(n=60, seed=0):
    rng = np.random.default_rng(seed)
    signal = np.zeros((n, 12, 300), np.float32) + 0.01
    share = rng.uniform(0, 0.2, n)
    for i in range(n):
        signal[i, 1, : int(share[i] * 300)] = 1
    ds = ecg.from_arrays(signal, sampling_rate=100, leads=list(ecg.LEADS), units="mV")
    label = (share > 0.1) ^ (rng.random(n) < 0.2)
    return ds.assign(label=(("record", "target"), np.stack([label, ~label], 1))).assign_coords(
        target=["TALL", "NOT"], fold=("record", 1 + np.arange(n) % 3)
    )


def tall(output="sigmoid"):
    return ecg.ECGNetwork(Tall(), ecg.InputSpec(), ["TALL"], output).eval()


def run(net, ds, **options):
    return fidelity(
        net, ds, layers=["blocks.0"], clusters=ecg.TimeClusters(2), n_trees=40, measured=False, **options
    )  # fmt: skip


@pytest.fixture(scope="module")
def planted():
    return run(tall(), recordings())


def test_a_planted_relation_is_found_and_controls_are_there(planted):
    names = planted["surrogate"].values.tolist()
    assert names == [
        "network",
        "clusters",
        "majority",
        "random centroids",
        "random network",
        "pooled activations",
        "clusters, taught by labels",
    ]
    at = {n: planted.sel(surrogate=n) for n in names}
    assert float(at["network"]["agreement_pooled"]) == 1
    assert float(at["clusters"]["kappa_pooled"]) > 0.85
    assert float(at["majority"]["kappa_pooled"]) < 0.1
    assert float(at["clusters"]["auroc_network_pooled"]) > 0.95
    assert at["clusters"]["agreement"].dims == ("fold",)
    assert float(at["clusters"]["accuracy_pooled"]) == pytest.approx(float(at["network"]["accuracy_pooled"]), abs=0.1)


def test_scores_are_those_of_scikit_learn(planted):
    said = planted["prediction"].sel(surrogate="clusters").values[:, 0] >= 0.5
    network = planted["prediction"].sel(surrogate="network").values[:, 0] >= 0.5
    fold = planted["record_fold"].values
    kappas = [metrics.cohen_kappa_score(network[fold == f], said[fold == f]) for f in (1, 2, 3)]
    here = planted.sel(surrogate="clusters")
    np.testing.assert_allclose(here["kappa"], kappas)
    np.testing.assert_allclose(here["kappa_mean"], np.mean(kappas))
    np.testing.assert_allclose(here["kappa_sd"], np.std(kappas, ddof=1))
    np.testing.assert_allclose(here["agreement_pooled"], (network == said).mean())
    truth = recordings()["label"].values[:, 0]
    labelled = truth  # of one target: a record whose labels are all False has no class and does not count
    np.testing.assert_allclose(here["accuracy_pooled"], (said == truth)[labelled].mean())


def test_held_out_records_do_not_teach():
    """Another signal in fold 2 changes what is said of the other folds alone; fold 2's clusters and forests stay."""
    ds = recordings()
    first = run(tall(), ds)
    other = ds.copy(deep=True)
    rng = np.random.default_rng(9)
    there = ds["fold"].values == 2
    other["signal"][np.flatnonzero(there)] = rng.normal(size=(there.sum(), 12, 300)).astype(np.float32)
    kept = {}

    def keep(name, compute):
        kept[name] = compute()
        return kept[name]

    run(tall(), other, keep=keep)
    again = {}
    run(tall(), ds, keep=lambda name, compute: again.setdefault(name, compute()))
    np.testing.assert_array_equal(kept["fit-2"]["network-centres"], again["fit-2"]["network-centres"])
    assert not np.array_equal(kept["fit-1"]["network-centres"], again["fit-1"]["network-centres"])
    assert first.sizes["record"] == 60


def test_a_network_for_every_fold_is_imitated_on_its_own():
    """Cross-validation: each network is heard on its own fold alone, and taught to a forest on the others."""
    ds = recordings()
    one = run(tall(), ds)
    same = run({f: tall() for f in (1, 2, 3)}, ds)
    np.testing.assert_allclose(same["prediction"], one["prediction"])
    np.testing.assert_allclose(same["kappa"], one["kappa"])
    mute = tall()
    with torch.no_grad():
        mute.module.blocks[0].bias.fill_(-100)
    mixed = run({1: tall(), 2: mute, 3: tall()}, ds)
    said, whole = (r["prediction"].sel(surrogate="network").values[:, 0] >= 0.5 for r in (mixed, one))
    in_two = ds["fold"].values == 2
    assert not said[in_two].any()
    np.testing.assert_array_equal(said[~in_two], whole[~in_two])
    others = {"surrogate": "clusters", "fold": [1, 3]}
    np.testing.assert_allclose(mixed["agreement"].sel(others), one["agreement"].sel(others))
    with pytest.raises(ValueError, match=r"a network for each of the folds \[1, 2, 3\], got \[1, 2\]"):
        run({1: tall(), 2: tall()}, ds)
    other = ecg.ECGNetwork(Tall(), ecg.InputSpec(), ["NOT"], "sigmoid").eval()
    with pytest.raises(ValueError, match=r"expected the targets \['TALL'\] of all, got \['NOT'\]"):
        run({1: tall(), 2: other, 3: tall()}, ds)


def test_batches_and_one_dataset_are_the_same():
    ds = recordings()
    parts = [ds.isel(record=slice(i, i + 20)) for i in (0, 20, 40)]
    a = run(tall(), ds, cells_per_record=400)
    b = run(tall(), [lambda p=p: p for p in parts], cells_per_record=400)  # all cells: nothing is left to the draw
    for name in ("network", "clusters", "majority", "pooled activations"):  # cells drawn as centres come in an order
        assert float(a["agreement_pooled"].sel(surrogate=name)) == pytest.approx(
            float(b["agreement_pooled"].sel(surrogate=name)), abs=0.05
        )
    assert b["record"].values.tolist() == a["record"].values.tolist()


def test_same_seed_same_result(planted):
    xr.testing.assert_identical(planted, run(tall(), recordings()))


def test_values_are_imitated_by_regression():
    result = run(tall("identity"), recordings())
    here = result.sel(surrogate="clusters")
    assert float(here["r2_pooled"]) > 0.9
    assert float(here["spearman_pooled"]) > 0.9
    assert abs(float(result["r2_pooled"].sel(surrogate="majority"))) < 0.2
    assert "kappa" not in result


def test_errors_say_what_to_do():
    ds = recordings()
    with pytest.raises(ValueError, match="fold: expected the coordinate fold"):
        run(tall(), ds.drop_vars("fold"))
    with pytest.raises(ValueError, match="two or more different folds, got \\[1\\]"):
        run(tall(), ds.isel(record=ds["fold"].values == 1))
    ds["signal"][3] = 0
    with pytest.raises(ValueError, match="record '3': expected valid samples, got none; leave it out"):
        run(tall(), ds)


def test_proportions_are_those_of_the_estimator():
    """The bounded path (drawn cells, stored centres) assigns as TimeClusters does, also with z-scores."""
    ds = ecg.simulate(4, seed=1)
    acts = ecg.activations(ecg.load_network(), ds)
    grid = on_one_grid(acts)
    everything = sample_cells(grid, 10_000, np.random.default_rng(0))
    for normalization in ("l2", "zscore"):
        clusters = ecg.TimeClusters(5, normalization=normalization, random_state=0)
        fit, drawn = fit_centres(everything, list(acts), clusters)
        assert drawn.shape == fit["centres"].shape
        shares = proportions(grid, [fit, fit], clusters)
        assert shares.shape == (2, 4, 5)
        np.testing.assert_allclose(shares.sum(2), 1, atol=1e-5)
        np.testing.assert_allclose(shares[1], clusters.predict(grid)["proportion"], atol=1e-6)


def test_drawn_cells_are_valid_ones():
    ds = ecg.simulate(3, seed=1)
    ds["signal"][1, :, 300:] = np.nan
    grid = on_one_grid(ecg.activations(ecg.load_network(), ds, ["blocks.3"]))
    drawn = sample_cells(grid, 50, np.random.default_rng(0))
    there = grid["blocks.3"]["valid"].values.sum(1)
    assert drawn["valid"].sum(1).tolist() == np.minimum(there, 50).tolist()
    everywhere = grid["blocks.3"].values
    for record in range(3):
        pool = {cell.tobytes() for cell in everywhere[record][grid["blocks.3"]["valid"].values[record]]}
        assert all(cell.tobytes() in pool for cell in drawn["values"][record][drawn["valid"][record]])


def test_a_random_network_keeps_nothing():
    net = ecg.load_network()
    other = randomised(net, 1)
    for (name, a), b in zip(net.state_dict().items(), other.state_dict().values(), strict=True):
        if name.endswith("weight") and a.ndim > 1:
            assert abs(np.corrcoef(a.flatten(), b.flatten())[0, 1]) < 0.1
    assert randomised(net, 1).fingerprint == other.fingerprint
    assert randomised(net, 2).fingerprint != other.fingerprint
    assert ecg.load_network().fingerprint == net.fingerprint


def test_forest_with_missing_values_and_constant_targets():
    rng = np.random.default_rng(0)
    x = rng.random((80, 3))
    y = np.stack([x[:, 0] > 0.5, np.zeros(80, bool), np.ones(80, bool)], axis=1)
    x[::7, 0] = np.nan
    x[:, 2] = np.nan
    p = forest_predictions(x[:60], y[:60], x[60:], n_trees=50)
    assert p.shape == (20, 3)
    assert (p[:, 1] == 0).all()
    assert (p[:, 2] == 1).all()
    known = np.isfinite(x[60:, 0])
    assert ((p[known, 0] > 0.5) == y[60:][known, 0]).mean() > 0.8
    one = forest_predictions(x[:60], y[:60, :1], x[60:], n_trees=50)
    assert one.shape == (20, 1)


def test_softmax_takes_the_likeliest():
    said = xr.DataArray(
        np.array([[0.4, 0.35, 0.25], [0.2, 0.3, 0.5]]),
        dims=("record", "target"),
        coords={"target": list("abc")},
        attrs={"output": "probability", "hard": "softmax"},
    )
    other = np.array([[0.34, 0.33, 0.33], [0.6, 0.2, 0.2]])
    out = surrogate_scores({"other": other}, said, np.array([1, 2]))
    assert out["subset"].sel(surrogate="other").values.tolist() == [1, 0]
    assert out["agreement_pooled"].sel(surrogate="other").item() == pytest.approx(4 / 6)
    assert out["agreement_target"].sel(surrogate="other").values.tolist() == [0.5, 1, 0.5]
    assert hard_labels(np.array([[0.5, 0.49]]), "sigmoid").tolist() == [[True, False]]
    assert {f"{name}_pooled" for name in CLASSIFIER_SCORES} <= set(out.data_vars)
