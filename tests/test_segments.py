"""Runs, transitions, boundaries, votes, sweeps, fits of each record: against brute force and on planted signals."""

import itertools

import numpy as np
import pytest
import torch
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics import adjusted_mutual_info_score
from torch.nn import functional

import ecg_widget as ecg
from ecg_widget import clusters as cl
from ecg_widget.clusters.embedding import interpolate

K = 4
CLUSTERS = hnp.arrays(np.int64, st.tuples(st.integers(1, 4), st.integers(1, 25)), elements=st.integers(-1, K - 1))


def seg(cluster, **more):
    n, cells = cluster.shape
    grid = ("record", "cell")
    return xr.Dataset(
        {"cluster": (grid, cluster), "proportion": (("record", "cluster"), np.zeros((n, K)))}
        | {name: (grid, values) for name, values in more.items()},
        coords={"record": [f"r{i}" for i in range(n)], "centre": ("cell", np.arange(cells) * 0.04 + 0.1)},
    )


def embedding(truth, *, noise=0.2, features=6, valid=None, seed=0):
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(truth.max() + 1, features)) * 3
    values = (centres[truth] + rng.normal(size=(*truth.shape, features)) * noise).astype(np.float32)
    return xr.DataArray(
        values,
        dims=("record", "cell", "feature"),
        coords={
            "record": [f"r{i}" for i in range(len(truth))],
            "centre": ("cell", np.arange(truth.shape[1]) * 0.04),
            "valid": (("record", "cell"), np.ones(truth.shape, bool) if valid is None else valid),
        },
    )


def slow_runs(row):
    """One cell after the other."""
    found, previous = [], -1
    for cell, cluster in enumerate(row):
        if cluster < 0:
            previous = -1
            continue
        if cluster == previous:
            found[-1][2] = cell
        else:
            found.append([int(cluster), cell, cell])
        previous = cluster
    return found


@given(CLUSTERS)
@settings(max_examples=80, deadline=None)
def test_runs_are_those_found_cell_by_cell(cluster):
    found = cl.runs(seg(cluster))
    got = list(zip(*(found[name].values.tolist() for name in ("row", "cluster", "first", "last")), strict=True))
    assert got == [(r, *run) for r, row in enumerate(cluster) for run in slow_runs(row)]
    if cluster.shape[1] > 1:
        np.testing.assert_allclose(found["stop"] - found["start"], (found["last"] - found["first"] + 1) * 0.04)


@given(CLUSTERS)
@settings(max_examples=80, deadline=None)
def test_counts_and_lengths_are_kept(cluster):
    s = seg(cluster)
    moves, lengths = cl.transitions(s), cl.run_lengths(s)
    valid = cluster >= 0
    pairs = valid[:, 1:] & valid[:, :-1]
    np.testing.assert_array_equal(moves.sum(("cluster", "next_cluster")), pairs.sum(1))
    for r, row in enumerate(cluster):
        want = np.zeros((K, K), int)
        for a, b in itertools.pairwise(row):
            if a >= 0 and b >= 0:
                want[a, b] += 1
        np.testing.assert_array_equal(moves.values[r], want)
    np.testing.assert_array_equal(lengths["n_runs"].sum("cluster"), [len(slow_runs(row)) for row in cluster])
    if cluster.shape[1] > 1:
        total = (lengths["n_runs"] * lengths["mean_length"]).sum("cluster")
        np.testing.assert_allclose(total, valid.sum(1) * 0.04, atol=1e-9)
        assert (lengths["longest"].fillna(0) >= lengths["mean_length"].fillna(0) - 1e-9).all()


@given(CLUSTERS, st.permutations(range(K)))
@settings(max_examples=40, deadline=None)
def test_names_of_clusters_do_not_matter(cluster, order):
    order = np.array(order)
    renamed = np.where(cluster >= 0, order[cluster], -1)
    a, b = cl.transitions(seg(cluster)), cl.transitions(seg(renamed))
    np.testing.assert_array_equal(b.values[:, order][:, :, order], a.values)
    np.testing.assert_array_equal(cl.boundary_cells(seg(cluster)), cl.boundary_cells(seg(renamed)))
    np.testing.assert_array_equal(
        cl.run_lengths(seg(renamed))["n_runs"].values[:, order], cl.run_lengths(seg(cluster))["n_runs"]
    )


@given(CLUSTERS)
@settings(max_examples=60, deadline=None)
def test_uncertainty_is_a_mean_of_boundary_and_interior(cluster):
    rng = np.random.default_rng(0)
    entropy = np.where(cluster >= 0, rng.random(cluster.shape), np.nan)
    found = cl.uncertainty(seg(cluster, entropy=entropy, margin=entropy / 2, probability=1 - entropy / 2))
    share = found["boundary_share"].values
    parts = share * found["entropy_boundary"].fillna(0) + (1 - share) * found["entropy_interior"].fillna(0)
    for r, row in enumerate(cluster):
        if (row < 0).all():
            assert np.isnan(found["entropy"].values[r])
        else:
            assert found["entropy"].values[r] == pytest.approx(np.nanmean(entropy[r]))
            assert parts.values[r] == pytest.approx(found["entropy"].values[r])
    for c in range(K):
        mine = entropy[cluster == c]
        got = found["cluster_entropy"].values[c]
        assert np.isnan(got) if not mine.size else got == pytest.approx(mine.mean())


def test_uncertainty_of_classes():
    cluster = np.zeros((3, 5), np.int64)
    entropy = np.array([[0.1] * 5, [0.2] * 5, [0.6] * 5])
    s = seg(cluster, entropy=entropy, margin=entropy, probability=entropy)
    label = xr.DataArray([[1, 0], [1, 1], [0, np.nan]], dims=("record", "target"), coords={"target": ["A", "B"]})
    found = cl.uncertainty(s, label.assign_coords(record=s["record"]))
    np.testing.assert_allclose(found["class_entropy"], [0.15, 0.2])
    assert found["class_records"].values.tolist() == [2, 1]
    with pytest.raises(ValueError, match="expected the 3 records"):
        cl.uncertainty(s, label.assign_coords(record=["x", "y", "z"]))


def test_boundaries_are_more_ambiguous_on_real_activations():
    ds = ecg.simulate(6, seed=0)
    found = cl.uncertainty(ecg.TimeClusters(8, random_state=0).fit_predict(ecg.activations(ecg.load_network(), ds)))
    assert (found["entropy_boundary"] > found["entropy_interior"]).all()


# ---- Matching


@given(st.integers(2, 12), st.integers(1, 6), st.integers(0, 1000))
@settings(max_examples=40, deadline=None)
def test_centres_are_matched_to_themselves(k, features, seed):
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(k, features))
    order = rng.permutation(k)
    np.testing.assert_array_equal(cl.match_centers(centres[order], centres), order)
    with pytest.raises(ValueError, match="expected centres"):
        cl.match_centers(centres[:-1], centres)


def test_clusters_of_other_layers_and_other_networks_are_matched_in_time():
    ds, net = ecg.simulate(6, seed=0), ecg.load_network()
    torch.manual_seed(0)
    from ecg_widget.architectures import ResNet1d

    mine = ecg.TimeClusters(6, random_state=0).fit_predict(ecg.activations(net, ds))
    for other in (ecg.activations(net, ds, "finest"), ecg.activations(ResNet1d(12, 5), ds)):
        theirs = ecg.TimeClusters(6, random_state=1).fit_predict(other)
        slots = cl.match_clusters(theirs, mine)
        assert sorted(slots.tolist()) == list(range(6))


# ---- Many fits


def test_votes_agree_on_clear_clusters_and_not_on_noise():
    rng = np.random.default_rng(1)
    truth = rng.integers(0, K, (5, 80))
    tc = ecg.TimeClusters(K, n_init=4, random_state=0)
    clear = cl.vote(tc, embedding(truth), n_fits=6)
    noise = cl.vote(tc, embedding(truth, noise=60.0), n_fits=6)
    assert adjusted_mutual_info_score(truth.ravel(), clear["cluster"].values.ravel()) > 0.95
    assert float(clear["vote_entropy"].mean()) < 0.02
    assert float(noise["vote_entropy"].mean()) > 0.2
    np.testing.assert_allclose(clear["share"].sum("cluster"), 1, atol=1e-6)
    np.testing.assert_allclose(noise["agreement"], noise["share"].max("cluster"))
    again = cl.vote(tc, embedding(truth), n_fits=6)
    xr.testing.assert_identical(again, clear)
    with pytest.raises(ValueError, match="n_fits: expected a whole number of at least 2, got 1"):
        cl.vote(tc, embedding(truth), n_fits=1)


def test_votes_leave_masked_cells_alone():
    truth = np.random.default_rng(1).integers(0, K, (3, 50))
    valid = np.ones(truth.shape, bool)
    valid[1] = False
    found = cl.vote(ecg.TimeClusters(K, random_state=0), embedding(truth, valid=valid), n_fits=3)
    assert (found["cluster"].values[1] == -1).all()
    assert np.isnan(found["vote_entropy"].values[1]).all()
    assert np.isnan(found["proportion"].values[1]).all()


def test_a_record_of_its_own_keeps_the_names_of_all_records():
    """Each record's cells are shifted by the same vector, less than clusters are apart: own fits follow, names stay."""
    rng = np.random.default_rng(4)
    truth = rng.integers(0, K, (4, 90))
    x = embedding(truth)
    x = x + xr.DataArray(rng.normal(size=(4, 6)).astype(np.float32) * 0.5, dims=("record", "feature"))
    tc = ecg.TimeClusters(K, n_init=5, random_state=0).fit(x)
    own = cl.fit_each_record(tc, x)
    everyone = tc.predict(x)
    assert (own["cluster"].values == everyone["cluster"].values).mean() > 0.95
    shift = own["center"].values - tc.cluster_centers_
    assert np.abs(shift).mean() > 0.1  # each record has its own centres
    np.testing.assert_allclose(own["proportion"].sum("cluster"), 1, atol=1e-6)
    assert own["tau"].dims == ("record",)


def test_a_record_with_too_few_cells_has_no_clusters():
    truth = np.random.default_rng(4).integers(0, K, (3, 40))
    valid = np.ones(truth.shape, bool)
    valid[2, 2:] = False
    own = cl.fit_each_record(ecg.TimeClusters(K, random_state=0), embedding(truth, valid=valid))
    assert (own["cluster"].values[2] == -1).all()
    for name in ("entropy", "margin", "probability", "proportion", "center", "tau"):
        assert np.isnan(own[name].values[2]).all(), name
    assert (own["cluster"].values[:2] >= 0).all()


def test_sweep_finds_the_planted_number():
    truth = np.random.default_rng(5).integers(0, 5, (4, 120))
    table = cl.sweep(ecg.TimeClusters(n_init=5, random_state=0), embedding(truth, noise=0.1), range(2, 9))
    assert int(table["n_clusters"][int(table["silhouette"].values.argmax())]) == 5
    assert (np.diff(table["inertia"]) < 0).all()
    for row, k in enumerate(table["n_clusters"].values):
        slots = table["slot"].values[row]
        assert sorted(slots[:k].tolist()) == sorted(set(slots[:k].tolist()))
        assert (slots[k:] == -1).all()
    with pytest.raises(ValueError, match="expected at least one number"):
        cl.sweep(ecg.TimeClusters(), embedding(truth), [])


# ---- Interpolation, for comparison with the vision method


@given(st.integers(2, 20), st.integers(2, 60), st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_half_pixel_bicubic_is_that_of_pytorch(coarse, fine, seed):
    values = torch.randn(2, coarse, 3, generator=torch.Generator().manual_seed(seed))
    at, grid = ((np.arange(n) + 0.5) / n for n in (coarse, fine))
    if coarse == fine:
        return
    want = functional.interpolate(values.transpose(1, 2)[:, :, None], size=(1, fine), mode="bicubic")[:, :, 0]
    torch.testing.assert_close(interpolate(values, at, grid, "bicubic"), want.transpose(1, 2), atol=2e-5, rtol=1e-4)


@given(st.integers(2, 20), st.integers(1, 60))
@settings(max_examples=40, deadline=None)
def test_interpolation_keeps_constants_and_lines(coarse, fine):
    at, grid = np.arange(coarse) * 0.16 + 0.05, np.linspace(0.05, (coarse - 1) * 0.16 + 0.05, fine)
    line = torch.as_tensor(at)[None, :, None].float()
    torch.testing.assert_close(interpolate(line, at, grid)[0, :, 0], torch.as_tensor(grid).float(), atol=1e-5, rtol=0)
    one = torch.ones(1, coarse, 1)
    for kind in ("linear", "bicubic"):
        torch.testing.assert_close(interpolate(one, at, grid, kind), torch.ones(1, fine, 1), atol=1e-5, rtol=0)
    with pytest.raises(ValueError, match="expected 'linear' or 'bicubic', got 'nearest'"):
        interpolate(one, at, grid, "nearest")


def test_an_unknown_grid_is_refused():
    with pytest.raises(ValueError, match="grid: expected 'true' or 'half-pixel', got 'nave'"):
        ecg.activations(ecg.load_network(), ecg.simulate(1), grid="nave")


# ---- What must hold of every fit


@given(st.integers(2, 6), st.integers(1, 5), st.integers(0, 10_000), st.sampled_from(["l2", None]), st.booleans())
@settings(max_examples=40, deadline=None)
def test_identities_of_every_fit(k, channels, seed, normalization, weighted):
    rng = np.random.default_rng(seed)

    def layer(cells, n_channels, stride):
        values = rng.normal(size=(3, cells, n_channels)).astype(np.float32) * (rng.random((3, cells, 1)) > 0.1)
        return xr.DataArray(
            values,
            dims=("record", "cell", "channel"),
            coords={
                "record": ["a", "b", "c"],
                "centre": ("cell", np.arange(cells) * stride),
                "valid": (("record", "cell"), rng.random((3, cells)) > 0.2),
            },
        )

    acts = {"fine": layer(30, channels + 1, 0.04), "coarse": layer(10, channels, 0.12)}
    tc = ecg.TimeClusters(k, normalization=normalization, weighted=weighted, random_state=seed).fit(acts)
    x, q, s = cl.embed(acts, normalization=normalization, weighted=weighted), tc.predict_proba(acts), tc.predict(acts)
    valid = s["valid"].values
    assert np.isfinite(x.values).all()
    if normalization == "l2":
        weights = np.square(x.attrs["weights"]).sum()
        assert float((x**2).sum("feature").max()) <= weights * (1 + 1e-5)  # less only where a layer is all zero
    np.testing.assert_allclose(q.values[valid].sum(-1), 1, atol=1e-5)
    entropy = s["entropy"].values[valid]
    assert ((entropy >= 0) & (entropy <= 1)).all()
    distance = ((x.values[valid][:, None].astype(float) - tc.cluster_centers_.astype(float)) ** 2).sum(-1)
    chosen = distance[np.arange(len(distance)), s["cluster"].values[valid]]
    np.testing.assert_allclose(chosen, distance.min(1), atol=1e-4)
    np.testing.assert_allclose(s["proportion"].sum("cluster").values[valid.any(1)], 1, atol=1e-5)
    assert (s["cluster"].values[~valid] == -1).all()
    assert tc.tau_ > 0
    tc.tau_ = 1e-12
    assert float(np.nanmedian(tc.predict(acts)["entropy"].values)) < 1e-6  # argmin; ties of all-zero cells stay
