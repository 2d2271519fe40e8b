"""METHOD sections 3 and 6: what must hold of embedding, k-means and soft assignment without any data."""

import numpy as np
import pytest
import torch
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_mutual_info_score

import ecg_widget as ecg
from ecg_widget.clusters import best_starts, embed, kmeans, kmeans_plus_plus, match_clusters, neighbour_start
from ecg_widget.clusters.embedding import interpolate


def layer(values, centre, *, valid=None, stride=None):
    n, cells, _ = values.shape
    return xr.DataArray(
        values.astype(np.float32),
        dims=("record", "cell", "channel"),
        coords={
            "record": [f"r{i}" for i in range(n)],
            "centre": ("cell", np.asarray(centre, float)),
            "width": ("cell", np.ones(cells, np.float32)),
            "valid": (("record", "cell"), np.ones((n, cells), bool) if valid is None else valid),
        },
        attrs={"stride": stride or 0.04},
    )


@pytest.fixture
def two_layers():
    rng = np.random.default_rng(1)
    fine = layer(rng.normal(size=(3, 40, 6)), np.arange(40) * 0.04)
    coarse = layer(rng.normal(size=(3, 10, 11)), np.arange(10) * 0.16 + 0.05, stride=0.16)
    return {"fine": fine, "coarse": coarse}


@pytest.fixture
def blobs():
    rng = np.random.default_rng(2)
    truth = rng.integers(0, 4, (5, 60))
    centres = rng.normal(size=(4, 7)) * 4
    x = centres[truth] + rng.normal(size=(5, 60, 7)) * 0.3
    da = layer(x, np.arange(60) * 0.04).rename(channel="feature")
    return da, truth


def test_squared_length_is_the_sum_of_squared_weights(two_layers):
    x = embed(two_layers)
    weights = np.array(x.attrs["weights"])
    np.testing.assert_allclose(weights, [1.0, 7 / 12])
    np.testing.assert_allclose((x**2).sum("feature"), (weights**2).sum(), rtol=1e-5)
    assert x["layer"].values.tolist() == ["fine"] * 6 + ["coarse"] * 11


def test_unweighted_and_unnormalised(two_layers):
    np.testing.assert_allclose((embed(two_layers, weighted=False) ** 2).sum("feature"), 2, rtol=1e-5)
    raw = embed({"fine": two_layers["fine"]}, normalization=None)
    np.testing.assert_array_equal(raw.values, two_layers["fine"].values)
    z = embed(two_layers, normalization="zscore", weighted=False).values[..., :6].reshape(-1, 6)
    np.testing.assert_allclose(z.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(z.std(0), 1, rtol=1e-4)
    with pytest.raises(ValueError, match="expected 'l2', 'zscore' or None, got 'cosine'"):
        embed(two_layers, normalization="cosine")


def test_zero_activations_stay_finite(two_layers):
    two_layers["fine"] = two_layers["fine"] * 0
    x = embed(two_layers)
    assert np.isfinite(x.values).all()
    assert (x.values[..., :6] == 0).all()


def test_layers_are_interpolated_from_their_true_centres():
    """A ramp in time comes back as the same ramp, whatever the offset and stride of the coarse cells."""
    grid, centre = np.arange(40) * 0.04, np.arange(12) * 0.13 + 0.021
    ramp = torch.tensor(centre)[None, :, None] * 3.0
    out = interpolate(ramp, centre, grid).squeeze().numpy()
    inside = (grid >= centre[0]) & (grid <= centre[-1])
    np.testing.assert_allclose(out[inside], grid[inside] * 3, rtol=1e-12)
    np.testing.assert_allclose(out[grid < centre[0]], centre[0] * 3)
    np.testing.assert_allclose(out[grid > centre[-1]], centre[-1] * 3)


def test_what_is_no_set_of_layers_is_refused(two_layers):
    with pytest.raises(ValueError, match="mapping of one or more layer names"):
        embed({})
    with pytest.raises(ValueError, match="different records: fine has 3 and coarse has 2"):
        embed({"fine": two_layers["fine"], "coarse": two_layers["coarse"].isel(record=slice(2))})
    with pytest.raises(ValueError, match="fine: expected a coord 'valid'"):
        embed({"fine": two_layers["fine"].drop_vars("valid")})
    with pytest.raises(ValueError, match=r"fine: expected dims \(record, cell, channel\)"):
        embed({"fine": two_layers["fine"].rename(cell="time")})
    bad = two_layers["fine"].copy()
    bad.values[0, 3, 0] = np.nan
    with pytest.raises(ValueError, match="expected finite values in valid cells"):
        embed({"fine": bad})


@pytest.mark.parametrize("k", [2, 5, 8, 20])
def test_kmeans_equals_scikit_learn_from_the_same_start(k):
    rng = np.random.default_rng(k)
    x = rng.normal(size=(3000, 24)).astype(np.float32) + 2
    start = kmeans_plus_plus(torch.tensor(x), k, np.random.RandomState(0))
    ours = kmeans(torch.tensor(x), start)
    theirs = KMeans(k, init=start.numpy(), n_init=1, tol=1e-5, max_iter=300, algorithm="lloyd").fit(x)
    np.testing.assert_array_equal(ours.labels.numpy(), theirs.labels_)
    assert ours.inertia == pytest.approx(theirs.inertia_, rel=1e-4)
    assert ours.converged


@pytest.mark.parametrize("k", [2, 3, 8, 13, 20])
def test_kmeans_equals_scikit_learn_on_real_activations(k):
    """The shipped network on the real record, and on simulated ones beside it.

    In float64, where no cell lies within rounding of the border between two clusters; in float32 one of thousands may.
    """
    net = ecg.load_network()
    for ds in (ecg.load_example(), ecg.simulate(12, seed=k)):
        x = embed(ecg.activations(net, ds)).values.astype(np.float64)
        x = x.reshape(-1, x.shape[-1])
        start = kmeans_plus_plus(torch.tensor(x), k, np.random.RandomState(0))
        ours = kmeans(torch.tensor(x), start)
        theirs = KMeans(k, init=start.numpy(), n_init=1, tol=1e-5, max_iter=300, algorithm="lloyd").fit(x)
        np.testing.assert_array_equal(ours.labels.numpy(), theirs.labels_)
        assert ours.inertia == pytest.approx(theirs.inertia_, rel=1e-4)
        single = kmeans(torch.tensor(x).float(), start.float())
        assert (single.labels == ours.labels).float().mean() > 0.999
        assert single.inertia == pytest.approx(theirs.inertia_, rel=1e-4)


def test_plus_plus_finds_far_blobs():
    x = torch.tensor(np.repeat(np.eye(6) * 100, 50, 0) + np.random.default_rng(0).normal(size=(300, 6)) * 0.01)
    start = kmeans_plus_plus(x.float(), 6, np.random.RandomState(3))
    assert len({int(row.argmax()) for row in start}) == 6


def test_ten_starts_end_in_the_same_optimum_whatever_the_seed():
    """Eight blobs of unequal weight that overlap, more rows than trial runs read: one start often misses some of them."""
    rng = np.random.RandomState(0)
    centres = rng.uniform(-10, 10, (8, 2))
    owner = rng.choice(8, 9000, p=np.arange(1, 9) / 36)
    x = torch.as_tensor(centres[owner] + rng.normal(0, 1, (9000, 2)), dtype=torch.float32)

    def inertias(n_init):
        for seed in range(8):
            yield min(kmeans(x, start).inertia for start in best_starts(x, 8, n_init, np.random.RandomState(seed)))

    once, often = list(inertias(1)), list(inertias(10))
    assert max(once) > 1.02 * min(once)
    assert max(often) < 1.001 * min(once)


def test_a_neighbour_starts_where_the_other_fit_ended():
    rng = np.random.RandomState(1)
    centres = rng.uniform(-10, 10, (9, 3))
    x = torch.as_tensor(centres[rng.choice(9, 5000)] + rng.normal(0, 1, (5000, 3)), dtype=torch.float32)
    kept = kmeans(x, best_starts(x, 9, 10, rng)[0]).centers
    for k in (4, 8, 10, 14):
        start = neighbour_start(x, kept, k, np.random.RandomState(0))
        assert len(start) == k
        shared = min(k, 9)
        gaps = torch.cdist(start[:shared].double(), kept.double()).min(1).values
        assert float(gaps.max()) < 1e-4
        alone = min(kmeans(x, best_starts(x, k, 1, np.random.RandomState(s))[0]).inertia for s in range(5))
        assert kmeans(x, start).inertia < 1.05 * alone
    assert torch.equal(neighbour_start(x, kept, 9, rng), kept)


def test_the_cluster_that_costs_least_is_left_out():
    x = torch.tensor([[0.0], [0.1], [0.2], [4.0], [4.2], [4.4], [20.0]])
    start = neighbour_start(x, torch.tensor([[0.1], [4.0], [4.3], [20.0]]), 3, np.random.RandomState(0))
    np.testing.assert_allclose(start.flatten(), [0.1, 4.3, 20.0], atol=1e-5)


def test_empty_clusters_are_refilled():
    x = torch.tensor([[0.0], [0.1], [10.0], [10.1], [20.0]])
    result = kmeans(x, torch.tensor([[0.0], [500.0], [600.0]]))
    assert len(torch.unique(result.labels)) == 3
    assert result.inertia == pytest.approx(0.01, abs=1e-3)


def test_same_seed_same_bits(blobs):
    x, _ = blobs
    a, b = (ecg.TimeClusters(4, random_state=7).fit(x) for _ in range(2))
    np.testing.assert_array_equal(a.cluster_centers_, b.cluster_centers_)
    assert a.tau_ == b.tau_
    xr.testing.assert_identical(a.predict(x), b.predict(x))


@pytest.fixture
def threads():
    """Sets the number of threads; what it was comes back."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.mark.parametrize(("rows", "features", "k"), [(40007, 65, 20), (11111, 101, 7), (130, 20, 3), (33000, 3, 5)])
def test_the_number_of_threads_changes_no_bit(threads, rows, features, k):
    """Plain matrix products of these shapes differ in their last bits between 1, 2 and 3 threads."""
    x = torch.randn(rows, features, generator=torch.Generator().manual_seed(0))
    found = []
    for n in (1, 2, 3):
        threads(n)
        found.append(kmeans(x, kmeans_plus_plus(x, k, np.random.RandomState(0)), max_iter=3))
    for other in found[1:]:
        assert torch.equal(other.centers, found[0].centers)
        assert torch.equal(other.labels, found[0].labels)
        assert other.inertia == found[0].inertia


def test_planted_clusters_are_found_and_shifted_ones_are_not(blobs):
    x, truth = blobs
    seg = ecg.TimeClusters(4, random_state=0).fit(x).predict(x)
    found = seg["cluster"].values
    assert adjusted_mutual_info_score(truth.ravel(), found.ravel()) > 0.95
    assert abs(adjusted_mutual_info_score(truth.ravel(), np.roll(found, 17, axis=1).ravel())) < 0.05


def test_ids_are_sorted_by_share(blobs):
    x, _ = blobs
    tc = ecg.TimeClusters(4, random_state=0).fit(x)
    counts = np.bincount(tc.predict(x)["cluster"].values.ravel(), minlength=4)
    assert (np.diff(counts) <= 0).all()
    np.testing.assert_allclose(np.exp(tc.log_prior_).sum(), 1, atol=1e-6)


def test_estimator_contract(blobs):
    x, _ = blobs
    tc = ecg.TimeClusters(n_clusters=3, normalization="zscore", random_state=5)
    copy = clone(tc)
    assert copy.get_params() == tc.get_params()
    assert tc.fit(x) is tc
    assert not hasattr(copy, "cluster_centers_")
    assert tc.set_params(n_clusters=4).n_clusters == 4
    with pytest.raises(Exception, match="not fitted"):
        copy.predict(x)


def test_soft_assignment(blobs):
    x, _ = blobs
    x = x + np.random.default_rng(0).normal(size=x.shape).astype(np.float32) * 2
    tc = ecg.TimeClusters(4, random_state=0).fit(x)
    q, seg = tc.predict_proba(x), tc.predict(x)
    np.testing.assert_allclose(q.sum("cluster"), 1, atol=1e-6)
    entropy = -(q * np.log(np.maximum(q, 1e-300))).sum("cluster") / np.log(4)
    np.testing.assert_allclose(seg["entropy"], entropy, atol=1e-5)
    assert float(seg["entropy"].min()) >= 0
    assert float(seg["entropy"].max()) <= 1
    np.testing.assert_allclose(seg["probability"], q.max("cluster"), atol=1e-6)
    # By the formulas, from scratch.
    d = ((x.values[:, :, None, :] - tc.cluster_centers_) ** 2).sum(-1)
    two = np.sort(d, axis=-1)[..., :2]
    np.testing.assert_allclose(seg["margin"], (two[..., 1] - two[..., 0]) / two[..., 1], atol=1e-4)
    assert tc.tau_ == pytest.approx(np.median(two[..., 1] - two[..., 0]) / np.log(9), rel=1e-4)
    z = tc.log_prior_ - d / tc.tau_
    want = np.exp(z - z.max(-1, keepdims=True))
    np.testing.assert_allclose(q, want / want.sum(-1, keepdims=True), atol=1e-3)


def test_tau_to_zero_gives_the_nearest_cluster(blobs):
    x, _ = blobs
    tc = ecg.TimeClusters(4, random_state=0).fit(x)
    nearest = tc.predict(x)["cluster"].values
    tc.tau_ = 1e-9
    np.testing.assert_array_equal(tc.predict_proba(x).argmax("cluster").values, nearest)
    assert float(tc.predict(x)["entropy"].max()) < 1e-6


def test_entropy_is_one_only_where_uniform():
    """Cells right between two clusters of equal share have entropy 1; the clusters' own cells have less."""
    values = np.array([[[-1.0], [-1.0], [1.0], [1.0], [0.0]]])
    valid = np.array([[True, True, True, True, False]])
    x = layer(values, np.arange(5)).rename(channel="feature").assign_coords(valid=(("record", "cell"), valid))
    tc = ecg.TimeClusters(2, random_state=0).fit(x)
    entropy = tc.predict(x.assign_coords(valid=(("record", "cell"), np.ones((1, 5), bool))))["entropy"].values[0]
    assert entropy[4] == pytest.approx(1, abs=1e-6)
    assert (entropy[:4] < 0.5).all()


def test_softmax_of_a_linear_layer(two_layers):
    """With cells of constant length q is softmax(W x + b): the first author's clustering module."""
    x = embed(two_layers)
    tc = ecg.TimeClusters(3, random_state=0).fit(x)
    w = 2 * tc.cluster_centers_ / tc.tau_
    b = tc.log_prior_ - (tc.cluster_centers_.astype(float) ** 2).sum(1) / tc.tau_
    q = torch.softmax(torch.tensor(x.values @ w.T + b), dim=-1)
    np.testing.assert_allclose(tc.predict_proba(x).values, q.numpy(), atol=1e-3)


@given(st.integers(0, 59), st.integers(1, 30))
@settings(max_examples=25, deadline=None)
def test_masked_cells_never_count(start, length):
    rng = np.random.default_rng(3)
    values = rng.normal(size=(2, 60, 5))
    valid = np.ones((2, 60), bool)
    valid[0, start : start + length] = False
    values[~valid] = 1e6  # had they been fitted, a cluster of their own would sit there
    x = layer(values, np.arange(60) * 0.04, valid=valid).rename(channel="feature")
    tc = ecg.TimeClusters(4, random_state=0).fit(x)
    assert np.abs(tc.cluster_centers_).max() < 100
    seg = tc.predict(x)
    assert (seg["cluster"].values[~valid] == -1).all()
    assert np.isnan(seg["entropy"].values[~valid]).all()
    np.testing.assert_allclose(seg["proportion"].sum("cluster"), 1, atol=1e-6)
    counted = [np.bincount(c[v], minlength=4) / v.sum() for c, v in zip(seg["cluster"].values, valid, strict=True)]
    np.testing.assert_allclose(seg["proportion"], counted, atol=1e-6)


def test_a_record_without_valid_cells_has_no_proportions(blobs):
    x, _ = blobs
    valid = np.ones((5, 60), bool)
    valid[2] = False
    x = x.assign_coords(valid=(("record", "cell"), valid))
    seg = ecg.TimeClusters(3, random_state=0).fit(x).predict(x)
    assert np.isnan(seg["proportion"].values[2]).all()
    np.testing.assert_allclose(seg["proportion"].isel(record=[0, 1, 3, 4]).sum("cluster"), 1, atol=1e-6)


def test_permuting_centroids_permutes_outputs_only(blobs):
    x, _ = blobs
    tc = ecg.TimeClusters(4, random_state=0).fit(x)
    before = tc.predict(x)
    order = np.array([2, 0, 3, 1])
    tc.cluster_centers_, tc.log_prior_ = tc.cluster_centers_[order], tc.log_prior_[order]
    after = tc.predict(x)
    np.testing.assert_array_equal(order[after["cluster"].values], before["cluster"].values)
    np.testing.assert_allclose(after["entropy"], before["entropy"], atol=1e-6)
    np.testing.assert_allclose(after["proportion"].values, before["proportion"].values[:, order])


def test_sample_takes_the_same_number_of_each_record():
    valid = np.ones((4, 100), bool)
    valid[1, 40:] = False
    x = layer(np.random.default_rng(0).normal(size=(4, 100, 3)), np.arange(100), valid=valid).rename(channel="feature")
    rows = ecg.TimeClusters(2, max_cells=80)._sample(x, np.random.RandomState(0))
    where = [sum((x.values[r] == row).all(-1).any() for row in rows) for r in range(4)]
    assert where == [20, 20, 20, 20]


def test_parameters_out_of_range(blobs):
    x, _ = blobs
    for params, message in [
        ({"n_clusters": 1}, "n_clusters: expected a whole number of at least 2, got 1"),
        ({"n_clusters": 2.5}, "n_clusters"),
        ({"max_iter": 0}, "max_iter"),
        ({"n_init": True}, "n_init"),
        ({"n_clusters": 500}, "expected at least n_clusters=500 valid cells, got 300"),
    ]:
        with pytest.raises(ValueError, match=message):
            ecg.TimeClusters(**params).fit(x)
    tc = ecg.TimeClusters(3, random_state=0).fit(x)
    with pytest.raises(ValueError, match="expected an embedding of length 7"):
        tc.predict(x.isel(feature=slice(3)))
    for wrong in (np.zeros((3, 6)), np.zeros(7), np.zeros((0, 7))):
        with pytest.raises(ValueError, match=r"init: expected \(cluster, feature\) with 7 features"):
            tc.fit(x, init=wrong)
    assert tc.fit(x, init=tc.cluster_centers_[:2]).cluster_centers_.shape == (3, 7)
    with pytest.raises(ValueError, match=r"expected dims \(record, cell, feature\)"):
        tc.fit(x.rename(feature="channel"))


def test_matching_keeps_slots_when_labels_are_permuted(blobs):
    x, _ = blobs
    seg = ecg.TimeClusters(4, random_state=0).fit(x).predict(x)
    order = np.array([3, 1, 0, 2])
    other = seg.copy()
    other["cluster"] = (("record", "cell"), order[seg["cluster"].values].astype(np.int16))
    reference = seg.assign(slot=("cluster", np.uint8([7, 5, 0, 2])))
    slots = match_clusters(other, reference)
    np.testing.assert_array_equal(slots[order], [7, 5, 0, 2])


def test_matching_gives_new_clusters_free_slots(blobs):
    x, _ = blobs
    reference = ecg.TimeClusters(3, random_state=0).fit(x).predict(x)
    more = ecg.TimeClusters(9, random_state=0).fit(x).predict(x)
    slots = match_clusters(more, reference)
    assert sorted(slots.tolist()) == list(range(9))
    with pytest.raises(ValueError, match="5 and 2 records"):
        match_clusters(more, reference.isel(record=slice(2)))
