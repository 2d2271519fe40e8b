"""Selections and names that come from the page, R peaks, waves of cells, and the cohort's shares."""

from pathlib import Path

import numpy as np
import pytest
import traitlets
import xarray as xr

import ecg_widget as ecg
from ecg_widget.beats import cell_waves, r_peaks
from ecg_widget.selection import check_names, check_selection, selected

LUDB = Path(__file__).resolve().parents[2] / "shared" / "data" / "ludb" / "data"
RECORDS = np.array(["1", "<script>"])


@pytest.fixture(scope="module")
def simulated():
    return ecg.simulate(3, seed=1)


@pytest.fixture(scope="module")
def widget(simulated):
    w = ecg.explore(ecg.load_network(), simulated)
    yield w
    w.close()


def test_intervals_are_put_in_order_and_joined():
    value = {"record": "<script>", "intervals": [[3, 4], [1, 2], [2, 2.5]], "label": "A"}
    assert check_selection(RECORDS, value) == {
        "record": "<script>",
        "intervals": [[1.0, 2.5], [3.0, 4.0]],
        "label": "A",
    }
    assert check_selection(RECORDS, {"record": "1", "intervals": []}) == {}


@pytest.mark.parametrize(
    "value",
    [
        {"record": "2", "intervals": [[0, 1]]},
        {"record": ["1"], "intervals": [[0, 1]]},
        {"record": "1", "intervals": [[1, 1]]},
        {"record": "1", "intervals": [[0, float("nan")]]},
        {"record": "1", "intervals": [[0, 1, 2]]},
        {"record": "1", "intervals": "0123"},
        {"record": "1", "intervals": 3},
        {"record": "1", "intervals": [[0, 1]], "label": 3},
        {"record": "1", "other": 1},
        {"intervals": [[0, 1]]},
    ],
)
def test_a_selection_that_is_none_says_what_was_expected(value):
    with pytest.raises((ValueError, TypeError), match="expected") as error:
        check_selection(RECORDS, value)
    assert isinstance(error.value, ValueError)


@pytest.mark.parametrize(
    "value",
    [
        {"a": {"name": "P"}},
        {"A": "P"},
        {"A": {"name": 3}},
        {"A": {"colour": "red"}},
        {"A": {"merged": "Z"}},
        {"A": {"merged": "A"}},
        {"A": {"merged": "B"}, "B": {"merged": "C"}, "C": {"merged": "A"}},
        {"A": {"name": "x" * 20_001}},
        {"A": {"hidden": 1}},
    ],
)
def test_names_that_make_no_sense_are_refused(value):
    with pytest.raises(ValueError, match="expected"):
        check_names(value)


def test_hostile_names_are_kept_as_they_are():
    text = "<script>\u202e" + "x" * 9_990
    assert check_names({"T": {"name": text}}) == {"T": {"name": text}}


def test_the_widget_gives_the_selection_as_xarray_and_refuses_others(widget):
    assert widget.selected.sizes["interval"] == 0
    widget.selection = {"record": widget.record, "intervals": [[1.0, 1.5], [4.0, 4.2]], "label": "lasso"}
    out = widget.selected
    centre = widget.result["centre"].values
    truth = ((centre >= 1) & (centre < 1.5)) | ((centre >= 4) & (centre < 4.2))
    assert truth.any()
    np.testing.assert_array_equal(out["selected"], truth)
    assert out.attrs == {"record": widget.record, "label": "lasso"}
    with pytest.raises(traitlets.TraitError, match="name of a record"):
        widget.selection = {"record": "nobody", "intervals": [[0, 1]]}
    widget.cluster_names = {"A": {"name": "QRS"}}
    widget.n_clusters = 5
    assert widget.cluster_names == {"A": {"name": "QRS"}}
    with pytest.raises(traitlets.TraitError, match="letter"):
        widget.cluster_names = {"1": {"name": "QRS"}}
    assert "selected" not in selected({"record": "other", "intervals": [[0, 1]]}, widget.result)


def test_the_cohorts_shares_are_those_of_all_records(widget):
    layers, k = widget.layers, 10
    result = widget.explorer.result(widget.record, layers, k)
    cluster = widget.explorer.segmentation(layers, k)["cluster"].values
    shares = np.bincount(cluster[cluster >= 0], minlength=k) / (cluster >= 0).sum()
    np.testing.assert_allclose(result["cohort_proportion"], shares, atol=0.01)
    assert abs(float(result["cohort_proportion"].sum()) - 1) < 1e-6


def test_the_wave_of_a_cell_is_that_of_its_middle(widget, simulated):
    result = widget.result
    truth = simulated["wave"].isel(record=0).sel(time=result["centre"], method="nearest")
    np.testing.assert_array_equal(result["wave"], truth)


def test_leads_vote_and_what_nobody_marked_is_unknown():
    time = np.arange(5) / 100
    wave = xr.DataArray(np.array([[1, 2, 2, 0, 0], [1, 1, 2, 0, 3], [0, 2, 0, 3, 3]], np.int8), dims=("lead", "time"))
    known = xr.DataArray(np.array([[1, 1, 1, 0, 0], [1, 1, 1, 0, 1], [1, 1, 1, 0, 0]], bool), dims=("lead", "time"))
    ds = xr.Dataset({"wave": wave, "wave_known": known}, {"time": time})
    assert cell_waves(ds, np.array([0, 0.01, 0.02, 0.03, 0.04, 0.4, -1])).tolist() == [1, 2, 2, -1, 3, -1, -1]


def test_r_peaks_lie_in_the_simulators_qrs_one_a_beat(simulated):
    one = simulated.isel(record=0)
    qrs = (one["wave"].values == 2).astype(int)
    first, last = np.flatnonzero(np.diff(qrs) == 1) + 1, np.flatnonzero(np.diff(qrs) == -1)
    found = r_peaks(one["signal"])
    last = last[last > first[0]][: len(first)]
    for a, b in zip(first, last, strict=False):
        inside = (found >= one["time"].values[a]) & (found <= one["time"].values[b])
        assert inside.sum() == 1


@pytest.mark.parametrize("samples", [0, 1, 100])
def test_nothing_is_found_where_nothing_can_be(samples):
    ecg_ = xr.DataArray(np.zeros((2, samples)), dims=("lead", "time"), coords={"time": np.arange(samples) / 500})
    assert r_peaks(ecg_).size == 0
    flat = xr.DataArray(np.full((2, 5000), np.nan), dims=("lead", "time"), coords={"time": np.arange(5000) / 500})
    assert r_peaks(flat).size == 0


@pytest.mark.real_data
def test_r_peaks_agree_with_ludbs_cardiologists():
    wfdb = pytest.importorskip("wfdb")
    hits = marks = false = 0
    for header in sorted(LUDB.glob("*.hea"))[:60]:
        path = str(header.with_suffix(""))
        record, marked = wfdb.rdrecord(path), wfdb.rdann(path, "ii")
        truth = marked.sample[np.array(marked.symbol) == "N"] / record.fs
        time = np.arange(record.sig_len) / record.fs
        found = r_peaks(xr.DataArray(record.p_signal.T, dims=("lead", "time"), coords={"time": time}))
        found = found[(found > truth[0] - 0.1) & (found < truth[-1] + 0.1)]
        near = np.abs(found[:, None] - truth) < 0.075
        hits, marks, false = hits + near.any(0).sum(), marks + len(truth), false + (~near.any(1)).sum()
    print(f"{hits} of {marks} R peaks within 75 ms, {false} found that nobody marked")
    assert marks > 300
    assert hits / marks > 0.98
    assert false / marks < 0.02
