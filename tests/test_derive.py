from __future__ import annotations

import numpy as np
import pytest

from ecg_widget.derivation import derive_leads, filter_ecg
from ecg_widget.records import from_arrays, load_example


def tones(*frequencies, rate=500, seconds=10):
    t = np.arange(rate * seconds) / rate
    return from_arrays(
        np.stack([np.sin(2 * np.pi * f * t) for f in frequencies]), sampling_rate=rate, leads=["I", "II"], units="mV"
    )


def middle_gain(before, after, lead):
    a, b = (ds.signal.sel(lead=lead).values[0, 1500:3500] for ds in (before, after))
    return float(a @ b / (a @ a)), float(np.abs(b - a * (a @ b) / (a @ a)).max())


def test_derived_leads_are_those_that_the_device_stored():
    ds = load_example()
    out = derive_leads(ds.sel(lead=["I", "II", "V1"]).drop_vars("adc_step", errors="ignore"))
    assert out.lead.values.tolist() == ["I", "II", "III", "aVR", "aVL", "aVF", "V1"]
    stored = ds.signal.sel(lead=out.lead)
    np.testing.assert_allclose(out.signal.values, stored.values, atol=0.006)  # the device rounds each lead
    np.testing.assert_array_equal(out.signal.sel(lead=["I", "II", "V1"]), ds.signal.sel(lead=["I", "II", "V1"]))
    assert out.attrs["derived_leads"] == "III, aVR, aVL, aVF"
    assert derive_leads(out) is out


def test_a_gap_in_one_lead_is_one_in_those_derived_from_it():
    ds = tones(5, 7)
    ds.signal[0, 1, 100:200] = np.nan
    out = derive_leads(ds)
    assert np.isnan(out.signal.sel(lead="aVF").values[0]).nonzero()[0].tolist() == list(range(100, 200))


def test_no_leads_without_i_and_ii():
    with pytest.raises(ValueError, match="got no II"):
        derive_leads(load_example().sel(lead=["I", "V1"]))


def test_filters_pass_and_stop_without_delay():
    ds = tones(10, 50)
    out = filter_ecg(ds, notch=50)
    assert middle_gain(ds, out, "I") == pytest.approx((1, 0), abs=2e-3)
    assert middle_gain(ds, out, "II")[0] == pytest.approx(0, abs=1e-3)
    out = filter_ecg(ds, high=20)
    assert middle_gain(ds, out, "I") == pytest.approx((1, 0), abs=0.01)
    assert abs(middle_gain(ds, out, "II")[0]) < 2e-3
    out = filter_ecg(ds, low=30)
    assert abs(middle_gain(ds, out, "I")[0]) < 2e-3
    assert middle_gain(ds, filter_ecg(ds, low=50), "II")[0] == pytest.approx(0.5, abs=0.01)  # -6 dB at the edge


def test_gaps_stay_and_steps_are_recorded():
    ds = tones(10, 50)
    ds.signal[0, 0, 1000:1100] = np.nan
    ds.attrs.update(filters="old", quality="[]")
    out = filter_ecg(ds, low=0.5, high=40)
    np.testing.assert_array_equal(np.isnan(out.signal), np.isnan(ds.signal))
    assert out.attrs["filters"].split("; ") == [
        "old", "high-pass 0.5 Hz (Butterworth 4, zero phase)", "low-pass 40 Hz (Butterworth 4, zero phase)"]  # fmt: skip
    assert "quality" not in out.attrs
    assert ds.attrs["quality"] == "[]"


@pytest.mark.parametrize(("edges", "text"), [({}, "at least one"), ({"high": 250}, "between 0 and 250"),
                         ({"low": 40, "high": 0.5}, "low < high"), ({"notch": float("nan")}, "between")])  # fmt: skip
def test_senseless_edges_are_refused(edges, text):
    with pytest.raises(ValueError, match=text):
        filter_ecg(tones(1, 2), **edges)
