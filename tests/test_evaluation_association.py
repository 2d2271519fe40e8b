"""Shares against labels: planted relations are found, the sum of shares plants none, and chance is told apart."""

import matplotlib as mpl
import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from ecg_widget.evaluation import association, centred_log_ratio
from ecg_widget.figures import plot_association

mpl.use("agg")


def segmentation(shares):
    records = [f"r{i}" for i in range(len(shares))]
    return xr.Dataset({"proportion": (("record", "cluster"), np.asarray(shares, np.float32))}, {"record": records})


def targets(values, seg, **attrs):
    values = np.asarray(values)
    names = [f"T{i}" for i in range(values.shape[1])]
    return xr.DataArray(values, {"record": seg["record"].values, "target": names}, ("record", "target"), attrs=attrs)


def drawn(n=200, k=4, seed=0):
    return np.random.default_rng(seed).dirichlet(np.ones(k) * 3, n)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 20), st.integers(2, 12), st.integers(0, 1000))
def test_log_ratios_are_centred_and_finite(n, k, seed):
    shares = np.random.default_rng(seed).multinomial(20, np.ones(k) / k, n) / 20
    ratio = centred_log_ratio(segmentation(shares)["proportion"])
    np.testing.assert_allclose(ratio.sum("cluster"), 0, atol=1e-9)
    assert np.isfinite(ratio).all()
    rank = np.argsort(np.argsort(shares[0], kind="stable"), kind="stable")
    np.testing.assert_array_equal(np.argsort(np.argsort(ratio[0], kind="stable"), kind="stable"), rank)


def test_a_planted_relation_is_found_and_nothing_else():
    seg = segmentation(drawn())
    ratio = centred_log_ratio(seg["proportion"]).values
    rng = np.random.default_rng(1)
    truth = np.stack([ratio[:, 2] > np.median(ratio[:, 2]), rng.random(200) < 0.5, np.ones(200, bool)], axis=1)
    probability = targets(np.where(truth, 0.9, 0.1), seg, output="probability")
    found = association(seg, probability, targets(truth, seg))
    assert found["source"].values.tolist() == ["predicted", "true"]
    np.testing.assert_allclose(*(found["correlation"].sel(source=s) for s in ("predicted", "true")))
    assert found["correlation"][0, 2, 0] > 0.8
    assert found["q_value"][0, 2, 0] < 1e-6
    assert (found["q_value"][0, :, 1] > 0.05).all()
    assert np.isnan(found["correlation"][0, :, 2]).all(), "the same for all records"
    want = stats.spearmanr(ratio[:, 2], truth[:, 0])
    np.testing.assert_allclose(found["correlation"][1, 2, 0], want.statistic)
    p, q = (np.sort(found[name].values[0][:, :2].ravel()) for name in ("p_value", "q_value"))
    np.testing.assert_allclose(q, np.minimum.accumulate((p * len(p) / np.arange(1, len(p) + 1))[::-1])[::-1])


def test_shares_that_only_give_way_show_nothing():
    """One cluster grows with the label; the others shrink in their ratio to each other as little as before."""
    rng = np.random.default_rng(2)
    label = np.arange(300) % 2 == 0
    others = rng.dirichlet([30, 30, 30], 300)
    first = np.where(label, 0.6, 0.2) + rng.normal(0, 0.02, 300)
    seg = segmentation(np.column_stack([first, others * (1 - first)[:, None]]))
    correlation = association(seg, label=targets(label[:, None], seg))["correlation"].values[0, :, 0]
    assert correlation[0] > 0.8
    assert (correlation[1:] < 0).all()
    ratio = centred_log_ratio(seg["proportion"][:, 1:]).values  # among themselves nothing moved
    assert max(abs(stats.spearmanr(column, label).statistic) for column in ratio.T) < 0.15


def test_values_and_unknown_labels():
    seg = segmentation(drawn(60))
    values = np.random.default_rng(3).normal(size=(60, 1))
    values[:10] = np.nan
    found = association(seg, label=targets(values, seg))
    ratio = centred_log_ratio(seg["proportion"]).values
    np.testing.assert_allclose(found["correlation"][0, 1, 0], stats.spearmanr(ratio[10:, 1], values[10:, 0]).statistic)
    backwards = targets(values, seg).isel(record=slice(None, None, -1))
    xr.testing.assert_allclose(association(seg, label=backwards), found)


def test_errors_say_what_to_do():
    seg = segmentation(drawn(5))
    good = targets(np.ones((5, 1)), seg)
    with pytest.raises(ValueError, match="expected predictions or labels, got neither"):
        association(seg)
    with pytest.raises(ValueError, match="true: expected the 5 records of the segmentation"):
        association(seg, label=good.assign_coords(record=list("abcde")))
    with pytest.raises(ValueError, match=r"true: expected the targets \['T0'\], got \['MI'\]"):
        association(seg, good, good.assign_coords(target=["MI"]))
    with pytest.raises(ValueError, match="expected three or more, got 2"):
        association(seg.isel(record=[0, 1]), label=good[:2])


def test_figure_shows_what_was_measured():
    seg = segmentation(drawn(50))
    label = targets(np.random.default_rng(0).random((50, 3)) < 0.5, seg)
    found = association(seg, label=label)
    ax = plot_association(found, source="true")
    np.testing.assert_allclose(ax.images[0].get_array(), found["correlation"].sel(source="true"))
    assert ax.images[0].get_clim() == (-1, 1)
    texts = [text.get_text() for text in ax.texts]
    stars = (found["q_value"].sel(source="true") < 0.05).values.ravel()
    assert [t.endswith("*") for t in texts] == stars.tolist()
