"""Alignment with waves: what must hold without any data, and what the shipped network reaches on LUDB."""

import re
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

import ecg_widget as ecg
from ecg_widget.evaluation import alignment, cell_landmarks, delineate, intervals
from ecg_widget.evaluation.alignment import counts, scores, shift, signal_segmentation
from ecg_widget.evaluation.boundaries import boundary_counts, match
from ecg_widget.evaluation.landmarks import SEGMENTS, segments

STEP = 0.04
README = (Path(__file__).resolve().parents[1] / "README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def ds():
    return ecg.simulate(6, seed=3)


def cells_of(ds, n=None):
    n = n or int(ds["time"].values[-1] / STEP)
    return xr.DataArray(
        np.zeros((ds.sizes["record"], n)),
        dims=("record", "cell"),
        coords={"record": ds["record"].values, "centre": ("cell", np.arange(n) * STEP)},
    )


def segmentation(cluster, cells, k):
    return xr.Dataset(
        {"cluster": (("record", "cell"), cluster.astype(np.int16))}, coords=cells.coords, attrs={"n_clusters": k}
    )


def value(result, name, source="network", **at):
    return float(result[name].sel(source=source, **at))


def small(seg, ds, **options):
    return alignment(seg, ds, n_shifts=30, n_bootstrap=30, **options)


def test_majority_of_known_samples_over_leads():
    rate, n = 100, 100
    waves = np.zeros((1, 3, n), np.int8)
    waves[0, :, 20:24] = [[1] * 4, [1] * 4, [0] * 4]  # two of three leads say P
    waves[0, :, 40:44] = 2
    known = np.ones_like(waves, bool)
    known[0, :2, 60:64] = False  # one of three leads knows: too few
    known[0, 0, 80:84] = False
    ds = ecg.from_arrays(np.zeros((1, 3, n)), sampling_rate=rate, leads=["I", "II", "III"], units="mV", records=["a"])
    dims = ("record", "lead", "time")
    ds = ds.assign(wave=(dims, waves), wave_known=(dims, known))
    at = [0.215, 0.415, 0.615, 0.815, 0.9]
    cells = xr.DataArray(
        np.zeros((1, 5)), dims=("record", "cell"), coords={"record": ["a"], "centre": ("cell", np.array(at))}
    )
    truth = cell_landmarks(ds, cells)
    assert truth.attrs["flag_meanings"] == "none P QRS T"
    narrow = xr.DataArray(
        np.zeros((1, 25)),
        dims=("record", "cell"),
        coords={"record": ["a"], "centre": ("cell", 0.015 + np.arange(25) * STEP)},
    )  # cells of exactly four samples
    found = cell_landmarks(ds, narrow).values[0]
    assert found[5] == 1
    assert found[10] == 2
    assert found[15] == -1
    assert found[20] == 0
    assert (np.delete(found, [5, 10, 15]) == 0).all()
    masked = narrow.assign_coords(valid=(("record", "cell"), np.arange(25)[None] != 10))
    assert cell_landmarks(ds, masked).values[0, 10] == -1


def test_segments_of_a_beat_and_of_what_is_lacking():
    def named(track):
        return [SEGMENTS[i] if i >= 0 else "?" for i in segments(np.array(track))]

    assert named([0, 1, 0, 2, 0, 3, 0, 1]) == ["?", "P", "PQ", "QRS", "ST", "T", "TP", "P"]
    assert named([2, 0, 2]) == ["QRS", "?", "QRS"]  # no T marked: it may hide there
    assert named([1, 0, 1]) == ["P", "TP", "P"]
    assert named([1, 0, -1, 0, 2]) == ["P", "?", "?", "?", "QRS"]
    assert named([2, 3, 1, 2]) == ["QRS", "T", "P", "QRS"]


def test_the_waves_themselves_align_fully(ds):
    cells = cells_of(ds)
    truth = cell_landmarks(ds, cells)
    result = small(segmentation(truth.values, cells, 4), ds)
    for name in ("ami", "nmi", "v_measure", "homogeneity", "completeness", "purity"):
        assert value(result, name) == pytest.approx(1)
    np.testing.assert_allclose(result["iou"].sel(source="network"), 1)
    np.testing.assert_allclose(result["boundary_f1"].sel(source="network"), 1)
    assert value(result, "shifted_mean") < 0.2
    assert value(result, "z") > 20
    assert (result["boundary_f1_shifted"].sel(source="network") < 1).all()
    assert float(result["ratio"]) > 1.5
    assert result["ratio_95"].sel(bound="low") <= result["ratio"] <= result["ratio_95"].sel(bound="high")
    probability = result["probability"].sel(source="network")
    np.testing.assert_allclose(np.diag(probability), 1)
    np.testing.assert_allclose(probability.sum("landmark"), 1)
    known = truth.values[truth.values >= 0]
    np.testing.assert_allclose(result["purity_majority"], np.bincount(known).max() / len(known))
    np.testing.assert_allclose(np.diag(result["lift"].sel(source="network")), len(known) / np.bincount(known))
    assert small(segmentation(truth.values, cells, 4), ds, landmarks="segments").sizes["landmark"] == 6


def test_clusters_without_relation_do_not_align(ds):
    cells = cells_of(ds)
    random = np.random.default_rng(0).integers(0, 5, cells.shape)
    result = small(segmentation(random, cells, 5), ds)
    assert abs(value(result, "ami")) < 0.01
    assert abs(value(result, "z")) < 5
    assert value(result, "purity") < float(result["purity_majority"]) + 0.02
    assert value(result, "ami", "signal") > 0.05
    assert float(result["ratio"]) < 0.2


def test_an_empty_cluster_and_masked_cells(ds):
    cells = cells_of(ds)
    truth = cell_landmarks(ds, cells).values.copy()
    track = truth.copy()
    track[:, :50] = -1
    result = small(segmentation(track, cells, 6), ds)
    assert value(result, "ami") == pytest.approx(1)
    assert np.isnan(result["probability"].sel(source="network", cluster=5)).all()
    assert result.attrs["n_cells"] == int(((truth >= 0) & (track >= 0)).sum())


def test_same_seed_same_result(ds):
    acts = ecg.activations(ecg.load_network(), ds, ["blocks.3"])
    seg = ecg.TimeClusters(5, random_state=0).fit_predict(acts)
    xr.testing.assert_identical(small(seg, ds), small(seg, ds))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3)), min_size=2, max_size=200))
def test_scores_are_those_of_scikit_learn(pairs):
    track, truth = np.array(pairs).T
    found = scores(counts(track[None], truth[None], (5, 4)).sum(axis=0))
    assert found["ami"] == pytest.approx(metrics.adjusted_mutual_info_score(truth, track), abs=1e-9)
    assert found["nmi"] == pytest.approx(metrics.normalized_mutual_info_score(truth, track), abs=1e-9)
    homogeneity, completeness, v = metrics.homogeneity_completeness_v_measure(truth, track)
    assert found["homogeneity"] == pytest.approx(homogeneity, abs=1e-9)
    assert found["completeness"] == pytest.approx(completeness, abs=1e-9)
    assert found["v_measure"] == pytest.approx(v, abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(0, 60), max_size=7, unique=True),
    st.lists(st.integers(0, 60), max_size=7, unique=True),
    st.integers(0, 6),
)
def test_matching_is_the_largest_there_is(a, b, tolerance):
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import maximum_bipartite_matching

    a, b = np.sort(np.array(a, float)), np.sort(np.array(b, float))
    best = 0
    if len(a) and len(b):
        near = csr_array((np.abs(a[:, None] - b) <= tolerance).astype(int))
        best = int((maximum_bipartite_matching(near) >= 0).sum())
    assert match(a, b, tolerance) == best


def test_boundaries_beside_unknown_cells_do_not_count():
    track = np.array([[0, 1, 1, 0, 0, 1]])
    truth = np.array([[0, 1, -1, 2, 2, 2]])
    hits, ours, theirs = boundary_counts(track, truth, np.arange(6) * STEP)
    assert (hits.tolist(), ours, theirs) == ([1, 1], 2, 1)


def test_shift_rotates_valid_cells_only():
    track = np.array([[-1, 0, 1, 2, 3, -1]])
    for share in np.linspace(0, 0.999, 20):
        out = shift(track, np.array([share]))
        assert out[0, [0, 5]].tolist() == [-1, -1]
        assert sorted(out[0, 1:5].tolist()) == [0, 1, 2, 3]
        assert (out != track).any()


def test_signal_baseline_reads_the_signal_only(ds):
    cells = cells_of(ds)
    seg = signal_segmentation(ds, cells, 4)
    again = signal_segmentation(ds[["signal"]], cells, 4)
    np.testing.assert_array_equal(seg["cluster"], again["cluster"])
    gap = ds.copy(deep=True)
    gap["signal"][0, 3, 100:200] = np.nan
    at = cells["centre"].values
    rate = ds["time"].attrs["sampling_rate"]
    inside = (at > 101 / rate) & (at < 198 / rate)
    assert (signal_segmentation(gap, cells, 4)["cluster"].values[0, inside] == -1).all()


def test_errors_say_what_to_do(ds):
    cells = cells_of(ds)
    seg = segmentation(np.zeros(cells.shape), cells, 2)
    with pytest.raises(ValueError, match=r"wave: expected .*delineate\(ds\) finds some"):
        alignment(seg, ds[["signal"]])
    with pytest.raises(ValueError, match="expected the records of the recording"):
        alignment(seg.isel(record=slice(2)), ds)
    with pytest.raises(ValueError, match="expected 'waves' or 'segments', got 'beats'"):
        alignment(seg, ds, landmarks="beats")
    known = xr.zeros_like(ds["wave"], dtype=bool)
    with pytest.raises(ValueError, match="at least two of"):
        alignment(seg, ds.assign(wave_known=known))


def test_delineation_finds_simulated_waves_and_admits_failure(ds):
    found = delineate(ds)
    assert found["wave"].dims == ("record", "time")
    assert found.attrs["wave_source"].startswith("NeuroKit2")
    both = found["wave_known"].values
    truth = ds["wave"].values if ds["wave"].ndim == 2 else ds["wave"].values[:, 1]
    assert metrics.cohen_kappa_score(truth[both], found["wave"].values[both]) > 0.4
    assert (found["not_found"] >= 0).all()
    flat = ecg.from_arrays(np.zeros((1, 12, 1000)), sampling_rate=100, leads=list(ecg.LEADS), units="mV")
    nothing = delineate(flat)
    assert not nothing["wave_known"].any()
    assert (nothing["not_found"] == 1).all()
    assert np.isnan(intervals(flat).sel(feature="heart_rate")).all()
    with pytest.raises(ValueError, match="leads: expected some of"):
        delineate(flat.sel(lead=["I"]))


def test_intervals_of_a_known_rhythm(ds):
    measured = intervals(ds)
    assert measured.dims == ("record", "feature")
    rate = ds["time"].attrs["sampling_rate"]
    for record in range(ds.sizes["record"]):
        wave = ds["wave"].values[record] if ds["wave"].ndim == 2 else ds["wave"].values[record, 1]
        onsets = np.flatnonzero(np.diff((wave == 2).astype(int)) == 1) / rate
        expected = 60 / np.median(np.diff(onsets))
        assert float(measured.sel(feature="heart_rate")[record]) == pytest.approx(expected, rel=0.1)


@pytest.mark.real_data
def test_the_shipped_network_sees_waves_better_than_the_raw_signal(shared_data):
    """Last three blocks, default number of clusters; the same setting as in test_fidelity_on_patients."""
    ds = ecg.open_ecg(shared_data / "ludb")
    acts = ecg.activations(ecg.load_network(), ds)
    result = alignment(ecg.TimeClusters(random_state=0).fit_predict(acts), ds, n_shifts=100, n_bootstrap=200)
    assert value(result, "z") > 20
    assert value(result, "ami") > 0.3
    assert float(result["ratio"]) >= 1.8
    assert float(result["ratio_95"].sel(bound="low")) > 1.5
    said = re.search(r"^\| 10 \| .*", README, re.MULTILINE)[0]
    ami, _, ratio = (float(cell.split("(")[0]) for cell in said.split("|")[5:8])
    assert ami == pytest.approx(value(result, "ami"), abs=0.01)
    assert ratio == pytest.approx(float(result["ratio"]), abs=0.1)
