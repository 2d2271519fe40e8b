"""Uncertainty against errors: scikit-learn's and SciPy's numbers, and a risk-coverage curve by hand."""

import numpy as np
import pytest
import xarray as xr
from scipy import stats
from sklearn.metrics import roc_auc_score

import ecg_widget as ecg
from ecg_widget.clusters import uncertainty as mean_entropies
from ecg_widget.evaluation import uncertainty
from ecg_widget.evaluation.uncertainty import predictive_entropy


def segmentation(entropy, edge=None):
    """Records of eight cells, two runs of four; `edge` is the entropy of the two cells at their border."""
    entropy = np.asarray(entropy, float)
    cells = np.repeat(entropy[:, None], 8, 1)
    if edge is not None:
        cells[:, 3:5] = np.asarray(edge)[:, None]
    dims = ("record", "cell")
    return xr.Dataset(
        {
            "cluster": (dims, np.tile([0] * 4 + [1] * 4, (len(entropy), 1)).astype(np.int16)),
            "entropy": (dims, cells),
            "margin": (dims, 1 - cells),
            "probability": (dims, 1 - cells),
            "valid": (dims, np.ones(cells.shape, bool)),
            "proportion": (("record", "cluster"), np.full((len(entropy), 2), 0.5)),
        },
        {"record": [f"r{i}" for i in range(len(entropy))], "centre": ("cell", np.arange(8) * 0.1)},
    )


def of_records(values, targets=("A", "B")):
    values = np.asarray(values)
    names = [f"r{i}" for i in range(len(values))]
    return xr.DataArray(values, {"record": names, "target": list(targets)}, ("record", "target"))


@pytest.fixture
def random():
    rng = np.random.default_rng(0)
    seg = segmentation(rng.random(60), rng.random(60))
    return seg, of_records(rng.random((60, 2))), of_records(rng.random((60, 2)) < 0.5)


def test_numbers_are_those_of_scikit_learn_and_scipy(random):
    seg, prob, label = random
    result = uncertainty(seg, prob, label, n_bootstrap=50)
    error = ((prob.values >= 0.5) != label.values).any(1)
    own = mean_entropies(seg)
    values = {name: own[name].values for name in ("entropy", "entropy_boundary", "entropy_interior")}
    values["predictive"] = predictive_entropy(prob.values)
    assert result["measure"].values.tolist() == list(values)
    for name, value in values.items():
        one = result.sel(measure=name)
        assert float(one["auroc"]) == roc_auc_score(error, value)
        assert float(one["auroc_low"]) < float(one["auroc"]) < float(one["auroc_high"])
        assert float(one["spearman"]) == pytest.approx(stats.spearmanr(value, values["predictive"]).statistic)
        np.testing.assert_array_equal(one["value"], value)
    assert float(result["error_rate"]) == error.mean()
    assert float(result["risk"]) == ((prob.values >= 0.5) != label.values).mean()
    assert float(result["spearman"].sel(measure="predictive")) == pytest.approx(1)


def test_the_curve_by_hand():
    # Wrong labels of 2: r0 none, r1 one, r2 two, r3 none. Order of certainty: r3, r0, r2, r1.
    prob = of_records([[0.9, 0.1], [0.9, 0.9], [0.1, 0.9], [0.2, 0.2]])
    label = of_records([[True, False], [True, False], [True, False], [False, False]])
    result = uncertainty(segmentation([0.2, 0.9, 0.5, 0.1]), prob, label, n_bootstrap=10)
    one = result.sel(measure="entropy")
    np.testing.assert_allclose(result["coverage"], [0.25, 0.5, 0.75, 1])
    np.testing.assert_allclose(one["selective_risk"], [0, 0, 1 / 3, 3 / 8])
    np.testing.assert_allclose(one["aurc"], (1 / 3 + 3 / 8) / 4)
    assert float(one["auroc"]) == 1
    # The best order asks r1, with one wrong label, before r2, with two.
    np.testing.assert_allclose(result["aurc_best"], (0 + 0 + 1 / 6 + 3 / 8) / 4)
    assert float(result["risk"]) == 3 / 8


def test_equal_uncertainty_shares_the_risk():
    prob, label = of_records([[0.9, 0.1]] * 4), of_records([[True, False], [True, True]] * 2)
    result = uncertainty(segmentation([0.5] * 4), prob, label, n_bootstrap=10)
    np.testing.assert_allclose(result["selective_risk"], 0.25)  # a constant is no order, and no better than any
    assert float(result["auroc"].sel(measure="entropy")) == 0.5
    assert np.isnan(result["spearman"]).all()


def test_where_entropy_has_nothing_to_do_with_errors_the_interval_holds_a_half():
    rng = np.random.default_rng(3)
    prob = of_records(rng.random((200, 2)))
    wrong = rng.random((200, 2)) < 0.2
    label = of_records((prob.values >= 0.5) ^ wrong)
    entropy = rng.random(200)
    result = uncertainty(segmentation(entropy), prob, label, n_bootstrap=200).sel(measure="entropy")
    assert float(result["auroc_low"]) < 0.5 < float(result["auroc_high"])
    assert float(result["aurc"]) == pytest.approx(float(wrong.mean()), abs=0.06)
    taught = uncertainty(segmentation(entropy / 2 + wrong.any(1) / 3), prob, label, n_bootstrap=200)
    assert float(taught["auroc_low"].sel(measure="entropy")) > 0.8
    assert float(taught["aurc"].sel(measure="entropy")) < float(wrong.mean()) / 2


def test_records_are_found_by_name_and_those_without_prediction_left_out(random):
    seg, prob, label = random
    expected = uncertainty(seg, prob, label, n_bootstrap=5)
    mixed = uncertainty(seg, prob[::-1, ::-1], label[::-1], n_bootstrap=5)
    xr.testing.assert_allclose(mixed["auroc"], expected["auroc"])
    prob[3] = np.nan
    seg["entropy"][5], seg["cluster"][5] = np.nan, -1
    fewer = uncertainty(seg, prob, label, n_bootstrap=5)
    assert fewer.attrs["n_left_out"] == 2
    assert fewer.sizes["record"] == 58
    assert np.isfinite(fewer["auroc"]).all()
    with pytest.raises(KeyError):
        uncertainty(seg, prob[1:], label)


def test_where_there_is_nothing_to_rank(random):
    seg, prob, _ = random
    right = uncertainty(seg, prob, prob >= 0.5, n_bootstrap=5)
    assert np.isnan(right["auroc"]).all()
    assert float(right["risk"]) == 0
    whole = seg.copy(deep=True)
    whole["cluster"][:] = 0  # no boundary anywhere
    label = of_records(np.random.default_rng(1).random((60, 2)) < 0.5)
    one_run = uncertainty(whole, prob, label, n_bootstrap=5)
    assert float(one_run["auroc"].sel(measure="entropy_boundary")) == 0.5
    assert np.isfinite(one_run["auroc"].sel(measure="entropy"))


def test_errors(random):
    seg, prob, label = random
    with pytest.raises(ValueError, match=r"probabilities in \[0, 1\]"):
        uncertainty(seg, prob * 3, label)
    with pytest.raises(ValueError, match="got none"):
        uncertainty(seg, prob * np.nan, label)


def test_predictive_entropy():
    np.testing.assert_allclose(
        predictive_entropy(np.array([[0.5, 0.5], [0, 1], [0.25, 0.5]])), [1, 0, (0.8112781245 + 1) / 2]
    )
    assert np.isnan(predictive_entropy(np.array([[np.nan, 0.5]]))).all()


@pytest.mark.real_data
def test_on_real_records(shared_data):
    net = ecg.load_network()
    ds = ecg.open_ecg(shared_data / "ptbxl", folds=[9])
    seg = ecg.TimeClusters(random_state=0).fit_predict(ecg.activations(net, ds))
    result = uncertainty(seg, ecg.predict(net, ds), ds["label"], n_bootstrap=100)
    assert result.attrs["n_records"] == 81
    assert float(result["auroc_low"].sel(measure="predictive")) > 0.5
    assert float(result["spearman"].sel(measure="entropy")) > 0
