from __future__ import annotations

import json

import numpy as np
import pytest
import xarray as xr

import ecg_widget as ecg
from ecg_widget import load_example, open_ecg
from ecg_widget.evaluation.planted import FAULTS, cross_validate, plant
from ecg_widget.quality import quality


def checks(ds):
    return {item["check"] for item in json.loads(quality(ds).attrs["quality"])}


def test_a_sound_recording_has_no_findings_and_says_so():
    assert load_example().attrs["quality"] == "[]"


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_planted_into_a_sound_recording_is_named(fault):
    ds = load_example()
    before = ds.signal.values.copy()
    for number in (0, 1):
        bad, _ = plant(before[0], 1000.0, fault, number, np.random.default_rng(number))
        changed = ds.assign(signal=(ds.signal.dims, bad[None].astype(np.float32), ds.signal.attrs))
        assert checks(changed) == {fault}
    np.testing.assert_array_equal(ds.signal.values, before)  # nothing is repaired


def test_missing_leads_gaps_names_and_scale():
    ds = load_example()
    assert checks(ds.sel(lead=["I", "II"])) == {"missing"}
    gap = ds.copy(deep=True)
    gap.signal[0, 3, 100:400] = np.nan
    (found,) = json.loads(quality(gap).attrs["quality"])
    assert (found["check"], found["value"]) == ("gap", 3.0)
    order = list(range(12))
    order[3], order[4] = 4, 3
    named = ds.assign(signal=(ds.signal.dims, ds.signal.values[:, order], ds.signal.attrs))
    assert "lead names" in checks(named)
    ten = ds.assign(signal=(ds.signal.dims, ds.signal.values * np.float32(10), ds.signal.attrs))
    assert checks(ten) == {"scale"}


def test_padding_is_not_flat():
    ds = load_example()
    padded = np.pad(ds.signal.values, ((0, 0), (0, 0), (4000, 4000)))
    from ecg_widget import from_arrays

    assert checks(from_arrays(padded, sampling_rate=1000, leads=ds.lead.values.tolist(), units="mV")) == set()


def test_all_gaps_or_constant_is_reported_not_raised():
    from ecg_widget import from_arrays

    for value, check in ((np.nan, "gap"), (0.5, "flat")):
        ds = from_arrays(
            np.full((12, 5000), value), sampling_rate=500, leads=load_example().lead.values.tolist(), units="mV"
        )
        assert check in checks(ds)


def test_opening_can_leave_it_out(tmp_path):
    from pydicom.data import get_testdata_file

    path = get_testdata_file("waveform_ecg.dcm", download=False)
    assert "quality" not in open_ecg(path, quality=False).attrs
    stored = tmp_path / "a.zarr"
    open_ecg(path).to_zarr(stored)
    assert "quality" in open_ecg(stored, lazy=True).attrs
    assert "quality" not in open_ecg(stored, lazy=True, quality=False).attrs
    with pytest.raises(TypeError, match="quality"):
        open_ecg(path, quality="yes")


@pytest.mark.real_data
def test_planted_faults_are_found_in_patients_that_nothing_was_fitted_on(shared_data):
    from ecg_widget.records import LEADS, from_arrays, resample

    ds = open_ecg(shared_data / "ptbxl", missing="drop", folds=[1, 2, 3, 4], quality=False)
    fast = resample(from_arrays(ds.signal.values, sampling_rate=100, leads=LEADS, units="mV"), 500)
    result = cross_validate(fast.signal.values, 500.0, ds.patient.values.tolist(), n_faults=100)
    assert np.mean([found for *_, found in result["planted"]]) >= 0.9  # a third of the records, so a weaker model
    assert len(result["alarms"]) <= 0.03 * ds.sizes["record"]


@pytest.mark.real_data
def test_few_of_the_real_records_are_reported(shared_data):
    ds = open_ecg(shared_data / "ptbxl", missing="drop", quality=True)
    told = json.loads(ds.attrs["quality"])
    assert len({item["record"] for item in told}) <= 0.02 * ds.sizes["record"]


def test_the_page_is_told_of_what_it_does_not_show_itself():
    from ecg_widget.explorer import Explorer
    from ecg_widget.quality import annotate, told
    from ecg_widget.waveforms import waveform

    ds = ecg.simulate(2, seed=0)
    name = str(ds["record"].values[1])
    hum = 0.2 * np.sin(2 * np.pi * 50 * ds["time"].values).astype(np.float32)
    ds["signal"][1] = ds["signal"][1] + hum
    ds = annotate(ds, check=True)
    assert waveform(Explorer(ecg.load_network(), ds), name).attrs["findings"] == told(ds, name) != []
    assert "50 Hz hum" in told(ds, name)[0]
    assert told(ds, str(ds["record"].values[0])) == []


@pytest.mark.parametrize(
    "report", ["[1, {}]", "{}", "nonsense", 3, '[{"record": "a", "check": "missing", "text": "x"}]', "[" * 5000]
)
def test_a_report_of_a_file_may_say_anything(report):
    from ecg_widget.quality import told

    assert told(xr.Dataset(attrs={"quality": report}), "a") == []


def test_a_long_report_is_cut():
    from ecg_widget.quality import told

    report = json.dumps([{"record": "a", "check": "hum", "text": "x" * 10_000}] * 100)
    found = told(xr.Dataset(attrs={"quality": report}), "a")
    assert len(found) == 8
    assert max(map(len, found)) == 200


@pytest.mark.parametrize("rate", [7.0, 250.0, 100_000.0])
def test_a_few_samples_at_any_rate_are_too_few_beats(rate):
    from ecg_widget.lead_swaps import average_beat

    assert average_beat(np.ones((8, 5)), rate) is None
