from __future__ import annotations

import numpy as np
import pytest

from ecg_widget import lead_systems
from ecg_widget.derivation import derive_leads, filter_ecg
from ecg_widget.heart_vector import DOWER
from ecg_widget.records import LEADS, from_arrays, load_example, open_ecg


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


def system(leads, seed=0, samples=50):
    values = np.random.default_rng(seed).normal(size=(len(leads), samples))
    return from_arrays(values, sampling_rate=500, leads=leads, units="mV")


def test_published_maps_agree_with_each_other():
    """The inverse was published 8 years later by others, as the least-squares inverse; the EASI paper has 12 rows."""
    inverse = lead_systems.SYSTEMS["inverse dower"].matrix
    np.testing.assert_allclose(inverse, np.linalg.pinv(DOWER), atol=6e-4)
    easi = lead_systems.SYSTEMS["easi"]
    printed = {"III": (-0.028, 1.272, -1.464), "aVR": (-0.012, -0.462, 0.031), "aVL": (0.027, -0.723, 1.082),
               "aVF": (-0.015, 1.185, -1.114)}  # fmt: skip
    for lead, row in printed.items():
        np.testing.assert_allclose(easi.matrix[easi.gives.index(lead)], row, atol=1.1e-3)
    kors = lead_systems.SYSTEMS["kors"].matrix  # least squares on patients, not an inverse, yet of the same dipole
    assert np.diag(kors @ DOWER) == pytest.approx([1, 1, 1], abs=0.25)


@pytest.mark.parametrize(
    ("method", "leads"), [("dower", ["vx", "VY", "Z"]), ("easi", ["ES", "AS", "AI"]), ("kors", LEADS[:2] + LEADS[6:]),
                          ("inverse dower", LEADS)])  # fmt: skip
def test_maps_give_what_the_matrix_says(method, leads):
    ds = system(leads)
    out = derive_leads(ds, method)
    of = lead_systems.SYSTEMS[method]
    given = np.stack([ds.signal.sel(lead=there).values[0] for n in of.needs for there in ds.lead.values
                      if lead_systems.lead_named(there) == n])  # fmt: skip
    np.testing.assert_allclose(out.signal.sel(lead=list(of.gives)).values[0], of.matrix @ given, atol=1e-5)
    np.testing.assert_array_equal(out.signal.sel(lead=ds.lead), ds.signal)  # what was measured stays
    assert out.attrs["derived_leads"] == ", ".join(of.gives)
    assert out.attrs["derivations"].endswith(f"{method} ({of.source})")
    assert derive_leads(out, method) is out
    if "III" in out.attrs["derived_leads"]:
        one, two, three = (out.signal.sel(lead=n).values for n in ("I", "II", "III"))
        np.testing.assert_allclose(three, two - one, atol=1e-5)


def test_a_frank_recording_of_the_dipole_comes_back():
    """Dower's leads of a dipole, and the inverse of them, are that dipole."""
    ds = system(["X", "Y", "Z"])
    twelve = derive_leads(ds, "dower").sel(lead=list(LEADS))
    back = derive_leads(twelve, "inverse dower")
    np.testing.assert_allclose(back.signal.sel(lead=["X", "Y", "Z"]).values, ds.signal.values, atol=0.01)
    assert back.attrs["derived_leads"].split(", ") == [*LEADS, "X", "Y", "Z"]
    assert len(back.attrs["derivations"].split("; ")) == 2


@pytest.mark.real_data
def test_derived_frank_leads_resemble_the_measured_ones(shared_data):
    """PTB records hold both. The patient has an infarction, for which Kors' map was made and Dower's torso was not."""
    ds = open_ecg(shared_data / "formats/wfdb/ptb_s0010_10s.hea")
    measured = ds.signal.sel(lead=["vx", "vy", "vz"]).values[0]
    for method, least in (("kors", (0.9, 0.9, 0.7)), ("inverse dower", (0.85, 0.9, 0.3))):
        out = derive_leads(ds.isel(lead=slice(0, 12)), method).signal.sel(lead=["X", "Y", "Z"]).values[0]
        together = [np.corrcoef(a, b)[0, 1] for a, b in zip(out, measured, strict=True)]
        assert (np.array(together) > least).all(), (method, together)
    out = derive_leads(ds.isel(lead=slice(12, None)), "dower")
    together = [np.corrcoef(out.signal.sel(lead=n)[0], ds.signal.sel(lead=n)[0])[0, 1] for n in LEADS]
    assert min(together[:3]) > 0.85
    assert min(together) > 0.2


def test_lists_of_derived_leads_are_continued():
    """Readers of XML name those they computed as a list."""
    ds = load_example().sel(lead=["I", "II", "III"]).drop_vars("adc_step", errors="ignore")
    assert derive_leads(ds.assign_attrs(derived_leads=["III"])).attrs["derived_leads"] == "III, aVR, aVL, aVF"
    assert derive_leads(ds.assign_attrs(derived_leads=[])).attrs["derived_leads"] == "aVR, aVL, aVF"


def test_senseless_derivations_are_refused():
    with pytest.raises(ValueError, match="method: expected one of limb, dower"):
        derive_leads(load_example(), "frank")
    with pytest.raises(ValueError, match="expected X, Y, Z, to derive others from, got no X and no Y and no Z"):
        derive_leads(load_example(), "dower")
    with pytest.raises(ValueError, match=r"expected X once, got \['X', 'vx'\]"):
        derive_leads(system(["X", "vx", "Y", "Z"]), "dower")
    ds = system(["I", "II"])
    marked = ds.assign(wave=(ds.signal.dims, np.zeros(ds.signal.shape, np.int8)))
    with pytest.raises(ValueError, match="wave: no rule"):
        derive_leads(marked)


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
