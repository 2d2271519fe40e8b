from __future__ import annotations

import shutil
import warnings

import numpy as np
import pytest
import wfdb

from ecg_widget.records import RecordError, open_ecg


def _edit(path, old, new, count=-1):
    text = path.read_text()
    assert old in text, (old, text)
    path.write_text(text.replace(old, new, count))


class TestWFDB:
    @pytest.mark.parametrize("suffix", ["", ".hea", ".dat"])
    def test_values_leads_and_units(self, record, digital, suffix):
        path = record()
        ds = open_ecg(str(path) + suffix)
        assert ds.lead.values.tolist() == ["I", "II", "V5"]
        in_mv = (digital - [10, -4, 0]) / [200.0, 0.4, 150000.0] * [1, 1e-3, 1e3]
        np.testing.assert_allclose(ds.signal[0].T, in_mv[:, [2, 0, 1]], rtol=2e-7)
        np.testing.assert_allclose(ds.adc_step[0], [1 / 150, 1 / 200, 1 / 400])
        assert ds.attrs["source"] == "r.hea"
        assert ds.record.values.tolist() == ["r"]
        assert ds.time.attrs["sampling_rate"] == 250

    @pytest.mark.parametrize("form", ["16", "24", "32", "80", "212", "516"])
    def test_formats_that_the_library_writes(self, record, digital, form):
        samples = digital % 100 if form == "80" else digital
        path = record(samples=samples, fmt=[form] * 3)
        np.testing.assert_allclose(open_ecg(path).signal.sel(lead="II")[0], (samples[:, 0] - 10) / 200, rtol=2e-7)

    @pytest.mark.parametrize("form", ["160", "310", "311"])
    def test_formats_packed_by_hand(self, record, digital, form):
        samples = digital % 500 - 250  # ten bits
        path = record(samples=samples)
        flat = samples.reshape(-1)
        first, second, third = (flat.reshape(-1, 3).T & 0x3FF).astype("<u4")
        packed = {
            "160": (flat + 32768).astype("<u2"),
            "310": ((first << 1) | ((third & 31) << 11) | (((second << 1) | ((third >> 5) << 11)) << 16)).astype("<u4"),
            "311": first | (second << 10) | (third << 20),
        }[form]
        path.with_suffix(".dat").write_bytes(packed.tobytes())
        _edit(path.with_suffix(".hea"), ".dat 16 ", f".dat {form} ")
        np.testing.assert_allclose(open_ecg(path).signal.sel(lead="II")[0], (samples[:, 0] - 10) / 200, rtol=2e-7)

    def test_differences(self, record, digital):
        samples = np.cumsum(digital % 9 - 4, axis=0)
        path = record(samples=samples)
        steps = np.diff(samples, axis=0, prepend=samples[:1])  # the header holds the first value
        path.with_suffix(".dat").write_bytes(steps.astype("i1").tobytes())
        _edit(path.with_suffix(".hea"), ".dat 16 ", ".dat 8 ")
        np.testing.assert_allclose(open_ecg(path).signal.sel(lead="II")[0], (samples[:, 0] - 10) / 200, rtol=2e-7)

    def test_leads_of_different_rates(self, record, tmp_path):
        samples = [np.arange(200), np.arange(400)]
        wfdb.wrsamp(
            "m",
            fs=100,
            units=["mV"] * 2,
            sig_name=["II", "V1"],
            e_d_signal=samples,
            samps_per_frame=[1, 2],
            fmt=["16"] * 2,
            adc_gain=[100.0] * 2,
            baseline=[0] * 2,
            write_dir=str(tmp_path),
        )
        with pytest.raises(RecordError, match=r"m.hea: sampling rate: .*'II': 100.*'V1': 200"):
            open_ecg(tmp_path / "m")
        ds = open_ecg(tmp_path / "m", leads="V1")
        assert ds.time.attrs["sampling_rate"] == 200
        np.testing.assert_allclose(ds.signal[0, 0], np.arange(400) / 100, rtol=1e-6)

    def test_invalid_samples_become_gaps(self, record, digital):
        digital[100:120, 1] = -32768
        ds = open_ecg(record(samples=digital))
        assert np.flatnonzero(np.isnan(ds.signal.sel(lead="V5")[0])).tolist() == list(range(100, 120))
        assert not np.isnan(ds.signal.sel(lead="I")).any()

    def test_chosen_leads_only(self, record):
        path = record(units=["mV", "NU", "V"])
        with pytest.raises(RecordError, match=r"r.hea: V5: units: expected a voltage, got 'NU'.*leads="):
            open_ecg(path)
        assert open_ecg(path, leads=["I", "ii"]).lead.values.tolist() == ["I", "II"]
        with pytest.raises(RecordError, match="expected aVF, got II, V5, I"):
            open_ecg(path, leads=["aVF"])

    def test_stated_units(self, record):
        path = record(units=["mV", "mV", "mV"])
        plain = open_ecg(path)
        _edit(path.with_suffix(".hea"), "/mV", "")
        with pytest.raises(RecordError, match=r"got 'none'; state it with units= \(WFDB's convention is mV\)"):
            open_ecg(path)
        np.testing.assert_array_equal(open_ecg(path, units="mV").signal, plain.signal)
        np.testing.assert_allclose(open_ecg(path, units="uV").signal, plain.signal / 1000, rtol=1e-6)

    def test_contradicted_units(self, record):
        with pytest.raises(RecordError, match="the header says mV, the caller uV"):
            open_ecg(record(units=["mV"] * 3), units="uV")

    @pytest.mark.parametrize("gain", ["0(10)/mV", "0/mV", None])
    def test_no_default_gain(self, record, digital, gain):
        path = record(samples=digital[:, :1])
        _edit(
            path.with_suffix(".hea"), "200.0(10)/mV" if gain else " 200.0(10)/mV 16 0", f"{gain}" if gain else " 0 16 0"
        )
        with pytest.raises(RecordError, match=r"ii: gain: expected ADC steps|units: expected"):
            open_ecg(path)
        ds = open_ecg(path, gain=100, units=None if gain else "mV")
        baseline = 10 if gain == "0(10)/mV" else 0
        np.testing.assert_allclose(ds.signal[0, 0], (digital[:, 0] - baseline) / 100, rtol=1e-6)

    def test_stated_gain_must_not_contradict(self, record):
        with pytest.raises(RecordError, match="gain: the header says 200, the caller 100"):
            open_ecg(record(), gain=100)

    def test_comments_stay_unless_asked_for(self, record):
        path = record(comments=["Age: 74", "Dx: 59118001"], base_date=None)
        assert "74" not in str(open_ecg(path).attrs)
        assert open_ecg(path, comments=True).attrs["comments"] == ["Age: 74", "Dx: 59118001"]

    def test_unknown_option_names_the_known(self, record):
        with pytest.raises(
            TypeError, match="WFDB reader has no option frequency; it knows annotations, comments, gain"
        ):
            open_ecg(record(), frequency=5)

    def test_changed_samples_are_told(self, record):
        path = record()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            open_ecg(path)
        data = bytearray(path.with_suffix(".dat").read_bytes())
        data[0] ^= 1
        path.with_suffix(".dat").write_bytes(bytes(data))
        with pytest.warns(UserWarning, match=r"checksum: .* for ii;"):
            open_ecg(path)

    def test_annotation_beside_a_header_is_no_record(self, record):
        path = record()
        path.with_suffix(".atr").write_bytes(b"\x00\x04\x00\x00")
        with pytest.raises(RecordError, match=r"r.atr: expected content of one of"):
            open_ecg(path.with_suffix(".atr"))


class TestSegments:
    def _write(self, record, tmp_path, digital, middle="s2 300"):
        record("s1", samples=digital[:500])
        record("s2", samples=digital[500:])
        (tmp_path / "whole.hea").write_text(f"whole/2 3 250 800\ns1 500\n{middle}\n")
        return tmp_path / "whole"

    def test_fixed_layout(self, record, tmp_path, digital):
        ds = open_ecg(self._write(record, tmp_path, digital))
        np.testing.assert_allclose(ds.signal, open_ecg(record(samples=digital)).signal, rtol=1e-6)
        assert "adc_step" in ds

    def test_gap_segment(self, record, tmp_path, digital):
        record("s1", samples=digital[:500])
        (tmp_path / "whole.hea").write_text("whole/2 3 250 800\ns1 500\n~ 300\n")
        ds = open_ecg(tmp_path / "whole")
        assert np.isnan(ds.signal[..., 500:]).all()
        assert not np.isnan(ds.signal[..., :500]).any()

    def test_variable_layout(self, record, tmp_path, digital):
        record("s1", samples=digital[:500, :2])
        record("s2", samples=digital[500:])
        layout = "lay 3 250 0\n~ 0 200/mV 0 0 0 0 0 ii\n~ 0 0.4/uV 0 0 0 0 0 V5\n~ 0 150000/V 0 0 0 0 0 DI\n"
        (tmp_path / "lay.hea").write_text(layout)
        (tmp_path / "whole.hea").write_text("whole/3 3 250 800\nlay 0\ns1 500\ns2 300\n")
        ds = open_ecg(tmp_path / "whole")
        whole = open_ecg(record(samples=digital))
        assert np.isnan(ds.signal.sel(lead="I")[0, :500]).all()
        np.testing.assert_allclose(ds.signal.sel(lead="II"), whole.signal.sel(lead="II"), rtol=1e-6)
        np.testing.assert_allclose(ds.signal.sel(lead="I")[0, 500:], whole.signal.sel(lead="I")[0, 500:], rtol=1e-6)

    def test_segments_of_several_rates(self, tmp_path):
        """As MIMIC-IV has them: a variable layout, a lead with several samples a frame, one that comes and goes."""
        rng = np.random.default_rng(4)
        fast, slow = rng.integers(-900, 900, 1600), rng.integers(-900, 900, 400)

        def part(name, first, last, *, resp):
            signals = [fast[4 * first : 4 * last], *([slow[first:last]] if resp else [])]
            n = len(signals)
            wfdb.wrsamp(name, fs=100, units=["mV"] * n, sig_name=["II", "aVR"][:n], e_d_signal=signals,
                        samps_per_frame=[4, 1][:n], fmt=["16"] * n, adc_gain=[200.0] * n, baseline=[0] * n,
                        write_dir=str(tmp_path))  # fmt: skip

        part("s1", 0, 100, resp=True)
        part("s2", 150, 400, resp=False)
        (tmp_path / "lay.hea").write_text("lay 2 100 0\n~ 0x4 200/mV 0 0 0 0 0 II\n~ 0 200/mV 0 0 0 0 0 aVR\n")
        (tmp_path / "whole.hea").write_text("whole/4 2 100 400\nlay 0\ns1 100\n~ 50\ns2 250\n")
        with pytest.raises(RecordError, match=r"whole.hea: sampling rate: .* got II 400 Hz, aVR 100 Hz; choose"):
            open_ecg(tmp_path / "whole")
        for lazy in (False, True):
            ds = open_ecg(tmp_path / "whole", leads=["II"], lazy=lazy)
            assert ds.time.attrs["sampling_rate"] == 400
            expected = fast / 200
            expected[400:600] = np.nan
            np.testing.assert_allclose(ds.signal.values[0, 0], expected, rtol=1e-6)
            np.testing.assert_allclose(ds.signal[0, 0, 390:611].values, expected[390:611], rtol=1e-6)
            ds = open_ecg(tmp_path / "whole", leads=["aVR"], lazy=lazy)
            expected = np.full(400, np.nan)
            expected[:100] = slow[:100] / 200
            np.testing.assert_allclose(ds.signal.values[0, 0], expected, rtol=1e-6)

    @pytest.mark.parametrize(
        ("middle", "message"),
        [
            ("../s2 300", "segment line: expected 'name samples' with a plain name"),
            ("/etc/s2 300", "segment line"),
            ("s3 300", "segment s3: expected s3.hea"),
            ("whole 300", "expected a segment of one piece"),
            ("s2 299", "number of samples: expected 799"),
        ],
    )
    def test_hostile(self, record, tmp_path, digital, middle, message):
        with pytest.raises(RecordError, match=message):
            open_ecg(self._write(record, tmp_path, digital, middle))

    def test_segments_must_agree(self, record, tmp_path, digital):
        path = self._write(record, tmp_path, digital)
        record("s2", samples=digital[500:], fs=500)
        with pytest.raises(RecordError, match=r"s2.hea: expected 300 samples at 250 Hz"):
            open_ecg(path)
        record("s2", samples=digital[500:], sig_name=["ii", "V6", "DI"])
        with pytest.raises(RecordError, match=r"s2.hea: leads"):
            open_ecg(path)

    def test_each_segment_has_its_own_unit(self, record, tmp_path, digital):
        path = self._write(record, tmp_path, digital)
        plain = open_ecg(path)
        record("s2", samples=digital[500:], units=["uV", "uV", "V"])
        ds = open_ecg(path)
        np.testing.assert_allclose(
            ds.signal.sel(lead="II")[0, 500:], plain.signal.sel(lead="II")[0, 500:] / 1000, rtol=1e-6
        )
        np.testing.assert_array_equal(ds.signal[..., :500], plain.signal[..., :500])
        assert "adc_step" not in ds

    def test_gaps_only(self, tmp_path):
        (tmp_path / "whole.hea").write_text("whole/1 3 250 800\n~ 800\n")
        with pytest.raises(RecordError, match="gaps only"):
            open_ecg(tmp_path / "whole")


class TestHostileHeaders:
    @pytest.mark.parametrize(
        ("old", "new", "message"),
        [
            ("r.dat", "../r.dat", "file name: expected a plain name"),
            ("r.dat", "/etc/passwd", "file name: expected a plain name"),
            ("r.dat", "A" * 5000, "file name: expected a plain name"),
            ("r.dat", "http://127.0.0.1/r.dat", "file name"),
            ("r.dat", "x::s3://bucket", "file name"),
            ("r.dat", "-", "file name"),
            ("r.dat", "gone.dat", "gone.dat: expected a signal file beside the header, got none"),
            (" 16 200.0", " 99 200.0", "format: expected one of"),
            ("200.0(10)", "nan(10)", "signal line 0: expected"),
            ("200.0(10)", "1e999(10)", "gain: expected a finite number"),
            ("200.0(10)/mV", "200.0(10)/mmHg", "units: expected a voltage, got 'mmHg'"),
            ("r 3 250 800", "r 3 250 801", "expected 801 samples of 3 values, got 800: the file is truncated"),
            ("r 3 250 800", "r 3 250 99999999999999", "truncated"),
            ("r 3 250 800", "r 3 1e9 800", "record line"),
            ("r 3 250 800", "r 3 999999999 800", "sampling rate: expected 1 to 100000 Hz"),
            ("r 3 250 800", "r 3 0 800", "sampling rate"),
            ("r 3 250 800", "r 3", "sampling rate: expected it in the record line"),
            ("r 3 250 800", "r 4 250 800", "signal lines: expected 4, got 3"),
            ("r 3 250 800", "r 999999999 250 800", "number of channels"),
            ("r 3 250 800", "r 0 250 800", "number of channels"),
            ("r 3 250 800", "r 3 250 0", "number of samples: expected at least 1"),
            ("r 3 250 800", "r/99999999 3 250 800", "segment lines"),
            ("0 V5", "0 II", "each lead once, got 'II' twice"),
            ("0 V5", "0", "signal line 1: lead: expected a description"),
            ("r.dat 16 200.0", "r.dat 16:900 200.0", "skew of ii: expected fewer than 800"),
        ],
    )
    def test_refused(self, record, old, new, message):
        path = record()
        _edit(path.with_suffix(".hea"), old, new, 1)
        with pytest.raises(RecordError, match=message) as caught:
            open_ecg(path.with_suffix(".hea"))
        assert "r.hea" in str(caught.value)

    def test_nothing_is_opened_before_the_check(self, record, monkeypatch):
        path = record()
        _edit(path.with_suffix(".hea"), "r.dat", "../r.dat")
        monkeypatch.setattr(wfdb, "rdrecord", lambda *a, **k: pytest.fail("the library saw the header"))
        with pytest.raises(RecordError, match="plain name"):
            open_ecg(path)

    def test_interleaved_files(self, record, digital):
        path = record()
        shutil.copy(path.with_suffix(".dat"), path.with_name("b.dat"))
        lines = path.with_suffix(".hea").read_text().splitlines()
        lines[2] = lines[2].replace("r.dat", "b.dat")
        path.with_suffix(".hea").write_text("\n".join(lines))
        with pytest.raises(RecordError, match="consecutive signal lines"):
            open_ecg(path)

    def test_truncated_data(self, record):
        path = record()
        data = path.with_suffix(".dat").read_bytes()
        path.with_suffix(".dat").write_bytes(data[:-1])
        with pytest.raises(RecordError, match=r"r.hea: r.dat: expected 800 samples of 3 values, got 799"):
            open_ecg(path)

    def test_enormous_header(self, record):
        path = record().with_suffix(".hea")
        path.write_text(path.read_text() + "#" * (2 << 20))
        with pytest.raises(RecordError, match="size: expected a header of at most"):
            open_ecg(path)

    @pytest.mark.parametrize(
        "content", [b"", b"\x00" * 300, b"hello world, this is text", b"x;y\n0.1;0.2\n", b"\xff\xfe\x00r 3 250"]
    )
    @pytest.mark.parametrize("name", ["x.hea", "x.dcm", "x"])
    def test_other_content(self, tmp_path, content, name):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(RecordError, match=f"{name}: expected content of one of .*DICOM, .*WFDB"):
            open_ecg(tmp_path / name)

    def test_cut_anywhere(self, record):
        path = record().with_suffix(".hea")
        text = path.read_bytes()
        for end in range(0, len(text) - 3, 3):
            path.write_bytes(text[:end])
            with pytest.raises(RecordError):
                open_ecg(path)
