from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from ecg_widget import wire
from ecg_widget.leads import canonical_leads
from ecg_widget.records import (
    LEADS,
    canonical_lead,
    from_arrays,
    load_example,
    millivolts,
    resample,
    validate_ecg,
)


def _ds(n=500, rate=500.0, leads=("I", "II")):
    values = np.linspace(-1, 1, n * len(leads)).reshape(len(leads), n)
    return from_arrays(values, sampling_rate=rate, leads=leads, units="mV")


class TestLeads:
    @pytest.mark.parametrize(
        ("given", "expected"),
        [
            ("i", "I"),
            ("DI", "I"),
            ("dii", "II"),
            ("D3", "III"),
            ("AVR", "aVR"),
            ("avl", "aVL"),
            (" v6 ", "V6"),
            ("Lead I (Einthoven)", "I"),
            ("Lead V1", "V1"),
            ("ECG aVF", "aVF"),
            ("MDC_ECG_LEAD_AVF", "aVF"),
            ("MDC_ECG_LEAD_V3R", "V3R"),
            ("MLII", "MLII"),
            ("D I", "I"),
            ("a VR", "aVR"),
            ("ECG Lead II", "II"),
            ("EKG-I", "I"),
            ("ECG - I", "I"),
            ("ECG -aVR", "-aVR"),  # as EDF+ names a reversed lead; as aVR it would be upside down
            ("Lead -AVR", "-aVR"),
            ("ECG--aVR", "-aVR"),
            ("aVR-", "-aVR"),
            ("aVR(-)", "-aVR"),
            ("MDC_ECG_LEAD_AVRneg", "-aVR"),
            ("v3r", "V3R"),
            ("MDC_ECG_LEAD_V4R", "V4R"),
            ("v7", "V7"),
            ("ECG X", "X"),
            ("MDC_ECG_LEAD_AI", "AI"),
            ("vx", "vx"),
            ("-aVR", "-aVR"),
        ],
    )
    def test_spellings(self, given, expected):
        assert canonical_lead(given) == expected

    @pytest.mark.parametrize("name", LEADS)
    def test_canonical_is_fixed_point(self, name):
        assert canonical_lead(name) == name

    @settings(max_examples=200, deadline=None)
    @given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=64))
    def test_any_name_reaches_a_fixed_point(self, name):
        try:
            once = canonical_lead(name)
        except ValueError:
            return
        assert canonical_lead(once) == once

    @pytest.mark.parametrize("name", ["", "  ", "x" * 65, "V\x001", "I\n"[:1] + "\u202e"])
    def test_refuses(self, name):
        with pytest.raises(ValueError, match="lead name: expected"):
            canonical_lead(name)

    def test_duplicates_name_both(self):
        with pytest.raises(ValueError, match=r"'I' twice \(entry 0: 'I', entry 2: 'DI'\)"):
            canonical_leads(["I", "II", "DI"])


class TestUnits:
    @pytest.mark.parametrize(
        ("units", "expected"),
        [
            ("mV", 1),
            ("MV", 1),
            ("V", 1e3),
            ("uV", 1e-3),
            ("\u00b5V", 1e-3),
            ("\u03bcV", 1e-3),
            ("nV", 1e-6),
            ("1e-4V", 0.1),
            ("10 uV", 0.01),
        ],
    )
    def test_factor(self, units, expected):
        assert millivolts(units) == pytest.approx(expected)

    @pytest.mark.parametrize("units", ["", "adu", "NU", "mmHg", "-1mV", "nanmV", "infV", "0V", "v", "xmV"])
    def test_refuses(self, units):
        with pytest.raises(ValueError, match="units: expected a voltage"):
            millivolts(units)


class TestFromArrays:
    def test_orders_and_converts(self):
        values = np.arange(15, dtype=np.int16).reshape(3, 5)
        ds = from_arrays(values, sampling_rate=100, leads=["MLII", "v1", "DI"], units="uV")
        assert ds.lead.values.tolist() == ["I", "V1", "MLII"]
        np.testing.assert_allclose(ds.signal.sel(lead="V1")[0], np.arange(5, 10) / 1000, rtol=1e-6)
        assert ds.signal.dtype == np.float32
        np.testing.assert_array_equal(ds.time, np.arange(5) / 100)

    def test_mask_becomes_gap(self):
        ds = from_arrays(np.ma.masked_equal([[1, -9, 2]], -9), sampling_rate=1, leads=["I"], units="mV")
        np.testing.assert_array_equal(np.isnan(ds.signal.values[0, 0]), [False, True, False])

    @pytest.mark.parametrize(
        ("change", "error", "message"),
        [
            ({"signal": np.zeros(5)}, ValueError, r"expected \(record, lead, time\)"),
            ({"signal": np.zeros((1, 2, 0))}, ValueError, "none of them empty"),
            ({"signal": np.zeros((2, 9), complex)}, TypeError, "real numbers"),
            ({"signal": np.full((2, 9), np.inf)}, ValueError, "infinity"),
            ({"leads": ["I"]}, ValueError, "leads: expected 2 names"),
            ({"leads": ["I", "i"]}, ValueError, "each lead once"),
            ({"units": "adu"}, ValueError, "units: expected a voltage"),
            ({"sampling_rate": 0}, ValueError, "sampling_rate: expected a finite number > 0"),
            ({"sampling_rate": np.nan}, ValueError, "sampling_rate"),
            ({"sampling_rate": "fast"}, TypeError, "sampling_rate: expected a number in Hz"),
            ({"records": ["a", "b"]}, ValueError, "records: expected 1 names"),
        ],
    )
    def test_refuses(self, change, error, message):
        arguments = {"signal": np.zeros((2, 9)), "sampling_rate": 100, "leads": ["I", "II"], "units": "mV"}
        with pytest.raises(error, match=message):
            from_arrays(**{**arguments, **change})

    def test_caller_array_is_untouched(self):
        values = np.ones((1, 1, 4))
        from_arrays(values, sampling_rate=1, leads=["I"], units="V")
        assert (values == 1).all()


class TestValidate:
    @pytest.mark.parametrize(
        ("break_it", "error", "message"),
        [
            (lambda d: d.signal, TypeError, "expected an xarray.Dataset"),
            (lambda d: d.rename(signal="ecg"), ValueError, "variable 'signal'"),
            (lambda d: d.transpose("record", "time", "lead"), ValueError, "expected dims"),
            (lambda d: d.astype("float64"), TypeError, "float32"),
            (lambda d: d.isel(time=slice(0)), ValueError, "at least one"),
            (lambda d: d.assign(signal=d.signal.assign_attrs(units="uV")), ValueError, "expected 'mV', got 'uV'"),
            (lambda d: d.drop_attrs(), ValueError, "got None; set ds.signal.attrs"),
            (lambda d: d.drop_vars("time"), ValueError, "time: expected a coordinate"),
            (lambda d: d.assign_coords(lead=["i", "II"]), ValueError, "expected 'I', got 'i'"),
            (lambda d: d.assign_coords(lead=["I", "I"]), ValueError, "'I' more than once"),
            (lambda d: d.assign_coords(record=[7]), TypeError, "record: expected text"),
            (lambda d: d.isel(time=slice(None, None, 2)), ValueError, r"median step of 0.004 s"),
            (lambda d: d.assign_coords(time=d.time.astype("float32")), TypeError, "time: expected float64"),
            (lambda d: d.where(d.time > 0.5, np.inf), ValueError, "infinity"),
            (lambda d: d.assign(wave=("time", np.zeros(500, np.int8))), ValueError, "wave: expected dims"),
            (
                lambda d: d.assign(wave=(("record", "time"), np.full((1, 500), 4, np.int8))),
                ValueError,
                "wave: expected 0 none",
            ),
            (lambda d: d.assign(wave=(("record", "time"), np.zeros((1, 500)))), TypeError, "wave: expected dtype int8"),
            (lambda d: d.assign(label=(("record", "target"), np.zeros((1, 2)))), ValueError, "coordinate 'target'"),
        ],
    )
    def test_says_what_is_wrong(self, break_it, error, message):
        with pytest.raises(error, match=message):
            validate_ecg(break_it(_ds()))

    def test_irregular_time(self):
        ds = _ds()
        time = ds.time.values.copy()
        time[300] = np.nan
        with pytest.raises(ValueError, match="irregular"):
            validate_ecg(ds.assign_coords(time=("time", time, ds.time.attrs)))

    def test_keeps_slices_and_selections(self):
        ds = _ds()
        part = ds.isel(time=slice(100, 200)).sel(lead=["II"])
        assert validate_ecg(part) is part


class TestExample:
    def test_real_and_lossless(self):
        ds = load_example()
        assert ds.lead.values.tolist() == list(LEADS)
        assert ds.sizes["time"] == 10_000
        assert ds.time.attrs["sampling_rate"] == 1000
        steps = ds.signal / ds.adc_step
        assert float(abs(steps - steps.round()).max()) < 1e-3
        _, error = wire.quantise(ds.signal[0])
        assert error < 1e-6

    def test_survives_netcdf(self, tmp_path):
        ds = load_example()
        ds.to_netcdf(tmp_path / "ecg.nc")
        with xr.open_dataset(tmp_path / "ecg.nc") as back:
            validate_ecg(back.load())
            xr.testing.assert_identical(back.signal, ds.signal)

    def test_no_private_data(self):
        text = repr(load_example().to_dict(data=False)).lower()
        for secret in ("642341", "19710123", "galliera", "20130125", "2721", "13002689", "042y", "female", "/"):
            assert secret not in text, secret


class TestResample:
    @pytest.mark.parametrize("new", [100, 250, 360, 400, 1000, 512.5])
    def test_sines_below_both_nyquist_frequencies_survive(self, new):
        old, hertz = 500.0, np.array([0.4, 3.0, 11.0, 25.0])[:, None]
        t = np.arange(5000) / old
        ds = from_arrays(
            np.sin(2 * np.pi * hertz * t + 0.7) + 2, sampling_rate=old, leads=["I", "II", "V1", "V2"], units="mV"
        )
        out = resample(ds, new)
        expected = np.sin(2 * np.pi * hertz * out.time.values + 0.7) + 2
        middle = (out.time.values > 0.5) & (out.time.values < 9.5)
        assert np.abs(out.signal[0].values - expected)[:, middle].max() < 2e-4
        assert out.time.attrs["sampling_rate"] == new
        assert out.sizes["time"] == pytest.approx(10 * new, abs=1)

    def test_what_would_alias_is_gone(self):
        t = np.arange(5000) / 500
        ds = from_arrays(np.sin(2 * np.pi * 70 * t)[None], sampling_rate=500, leads=["I"], units="mV")
        out = resample(ds, 100).signal[0, 0, 50:-50]
        assert float(abs(out).max()) < 1e-3  # decimation without a filter leaves a full 30 Hz sine
        assert np.abs(ds.signal.values[0, 0, ::5]).max() > 0.9

    def test_constant_stays_constant_to_the_edges(self):
        ds = from_arrays(np.full((1, 700), 1.25), sampling_rate=500, leads=["I"], units="mV")
        np.testing.assert_allclose(resample(ds, 100).signal, 1.25, atol=1e-6)

    def test_there_and_back(self):
        ds = load_example()
        smooth = resample(ds, 200)
        back = resample(resample(smooth, 800), 200)
        assert float(abs(back.signal - smooth.signal)[..., 20:-20].max()) < 5e-3

    def test_gaps_stay_gaps_and_do_not_spread(self):
        values = np.sin(2 * np.pi * 3 * np.arange(2000) / 500)[None].repeat(2, 0)
        values[0, 500:750] = np.nan
        out = resample(from_arrays(values, sampling_rate=500, leads=["I", "II"], units="mV"), 100)
        gap = np.isnan(out.signal[0].values)
        expected = (out.time.values > 0.998 - 1e-9) & (out.time.values < 1.5)
        np.testing.assert_array_equal(gap[0], expected)
        assert not gap[1].any()

    def test_all_gap_lead(self):
        out = resample(from_arrays(np.full((1, 500), np.nan), sampling_rate=500, leads=["I"], units="mV"), 100)
        assert np.isnan(out.signal).all()

    def test_wave_keeps_its_place_and_zero(self):
        ds = _ds(1000)
        wave = np.zeros((1, 1000), np.int8)
        wave[0, 400:500] = 2
        out = resample(ds.assign(wave=(("record", "time"), wave)), 100)
        at = out.time.values[out.wave[0].values == 2]
        assert (at.min(), at.max()) == (pytest.approx(0.8), pytest.approx(0.99))
        assert out.wave.dtype == np.int8

    def test_provenance(self):
        ds = load_example()
        assert resample(ds, 1000) is ds
        out = resample(ds, 100)
        assert out.attrs["filters"].endswith("resampled from 1000 Hz to 100 Hz")
        assert "adc_step" not in out
        validate_ecg(out)

    def test_keeps_start(self):
        out = resample(load_example().isel(time=slice(2000, 4000)), 250)
        assert float(out.time[0]) == 2.0

    def test_one_sample(self):
        assert resample(_ds(1), 100).sizes["time"] == 1

    def test_refuses(self):
        with pytest.raises(ValueError, match="ratio of whole numbers"):
            resample(_ds(), 123.456789)
        with pytest.raises(ValueError, match="sampling_rate"):
            resample(_ds(), -100)
        with pytest.raises(ValueError, match="rhythm: no rule"):
            resample(_ds().assign(rhythm=("time", np.zeros(500))), 100)


def test_import_is_light():
    code = (
        "import sys, ecg_widget.records; "
        "print([m for m in ('wfdb', 'pydicom', 'scipy.signal', 'matplotlib', 'anywidget') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
