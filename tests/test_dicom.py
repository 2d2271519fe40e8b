from __future__ import annotations

import shutil
import warnings

import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file

from ecg_widget.records import LEADS, RecordError, open_ecg


@pytest.fixture
def dicom(tmp_path):
    """The pydicom example, changed by a function and written anew."""

    def write(change=lambda _: None):
        ds = pydicom.dcmread(get_testdata_file("waveform_ecg.dcm", download=False))
        change(ds)
        path = tmp_path / "changed.dcm"
        ds.save_as(path)
        return path

    return write


def _channel(ds, i=0):
    return ds.WaveformSequence[0].ChannelDefinitionSequence[i]


class TestDICOM:
    def test_values_are_those_of_pydicom(self):
        path = get_testdata_file("waveform_ecg.dcm", download=False)
        ds = open_ecg(path)
        reference = pydicom.dcmread(path).waveform_array(0).T / 1000
        np.testing.assert_allclose(ds.signal[0], reference, atol=1e-6)
        assert ds.attrs["filters"] == "high-pass 0.05 Hz, low-pass 300 Hz"
        assert ds.sizes["time"] == 10_000  # the rhythm, not the 1200 samples of the median beat

    def test_sensitivity_correction_and_baseline(self, dicom):
        def change(d):
            channel = _channel(d)
            channel.ChannelSensitivity = "2.5"
            channel.ChannelSensitivityCorrectionFactor = "1.1"
            channel.ChannelBaseline = "30"

        plain = open_ecg(dicom())
        ds = open_ecg(dicom(change))
        samples = plain.signal.sel(lead="I") / 0.00125
        np.testing.assert_allclose(ds.signal.sel(lead="I"), (samples * 2.5 * 1.1 + 30) / 1000, atol=1e-5)
        np.testing.assert_array_equal(ds.signal.sel(lead="II"), plain.signal.sel(lead="II"))

    @pytest.mark.parametrize(("unit", "factor"), [("mV", 1000.0), ("V", 1e6)])
    def test_units(self, dicom, unit, factor):
        ds = open_ecg(dicom(lambda d: setattr(_channel(d).ChannelSensitivityUnitsSequence[0], "CodeValue", unit)))
        np.testing.assert_allclose(ds.signal.sel(lead="I"), open_ecg(dicom()).signal.sel(lead="I") * factor, rtol=1e-6)

    @pytest.mark.parametrize(
        ("code", "lead"), [("2:65", "-aVR"), ("2:11", "V3R"), ("2:66", "V8"), ("2:16", "X"), ("5.6.3-9-9", "V7")]
    )
    def test_leads_beside_the_twelve(self, dicom, code, lead):
        def change(d):
            source = _channel(d, 11).ChannelSourceSequence[0]
            source.CodeValue, source.CodeMeaning = code, ""

        plain, ds = open_ecg(dicom()), open_ecg(dicom(change))
        assert ds.lead.values.tolist() == [*LEADS[:11], lead]
        np.testing.assert_array_equal(ds.signal.sel(lead=lead), plain.signal.sel(lead="V6"))

    def test_padding_is_a_gap(self, dicom):
        def change(d):
            item = d.WaveformSequence[0]
            data = np.frombuffer(item.WaveformData, "<i2").copy()
            data[12 * 40 : 12 * 50] = -32768
            item.WaveformData = data.tobytes()
            item.add_new("WaveformPaddingValue", "OW", np.int16(-32768).tobytes())

        ds = open_ecg(dicom(change))
        assert np.flatnonzero(np.isnan(ds.signal.values).all((0, 1))).tolist() == list(range(40, 50))
        assert int(np.isnan(ds.signal).sum()) == 120

    def test_group_on_request(self, dicom):
        ds = open_ecg(dicom(), group=1)
        assert ds.sizes["time"] == 1200
        with pytest.raises(RecordError, match="group: expected 0 to 1, got 5"):
            open_ecg(dicom(), group=5)

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda d: setattr(d, "SOPClassUID", "1.2.840.10008.5.1.4.1.1.2"), "SOP class: .* got CT Image Storage"),
            (lambda d: delattr(d, "WaveformSequence"), "WaveformSequence: expected at least one"),
            (
                lambda d: setattr(d.WaveformSequence[0], "WaveformOriginality", "DERIVED"),
                "expected one ORIGINAL group, got 0",
            ),
            (
                lambda d: setattr(d.WaveformSequence[1], "WaveformOriginality", "ORIGINAL"),
                "expected one ORIGINAL group, got 2",
            ),
            (lambda d: setattr(d.WaveformSequence[0], "SamplingFrequency", "0"), "sampling rate"),
            (
                lambda d: setattr(d.WaveformSequence[0], "SamplingFrequency", None),
                "SamplingFrequency: expected a value",
            ),
            (
                lambda d: setattr(d.WaveformSequence[0], "NumberOfWaveformSamples", 4_000_000_000),
                "size: expected at most",
            ),
            (
                lambda d: setattr(d.WaveformSequence[0], "NumberOfWaveformSamples", 10_001),
                "WaveformData: expected 240024 bytes",
            ),
            (lambda d: setattr(d.WaveformSequence[0], "NumberOfWaveformChannels", 11), "expected 11 channels, got 12"),
            (
                lambda d: setattr(d.WaveformSequence[0], "WaveformSampleInterpretation", "MB"),
                "WaveformSampleInterpretation",
            ),
            (
                lambda d: delattr(_channel(d), "ChannelSensitivity"),
                r"channel 0 \(I\): ChannelSensitivity: expected a value",
            ),
            (lambda d: setattr(_channel(d), "ChannelSensitivity", "0"), "sensitivity: expected a number other than 0"),
            (
                lambda d: delattr(_channel(d), "ChannelSensitivityUnitsSequence"),
                "expected a voltage, got 'none'; state it",
            ),
            (
                lambda d: setattr(_channel(d).ChannelSensitivityUnitsSequence[0], "CodeValue", "mm[Hg]"),
                r"got 'mm\[Hg\]'",
            ),
            (
                lambda d: setattr(_channel(d).ChannelSourceSequence[0], "CodeMeaning", "Lead II"),
                "expected code and meaning to agree",
            ),
            (
                lambda d: setattr(_channel(d), "ChannelSourceSequence", _channel(d, 1).ChannelSourceSequence),
                "each lead once",
            ),
            (
                lambda d: delattr(_channel(d), "ChannelSourceSequence"),
                "channel 0: ChannelSourceSequence: expected a lead",
            ),
            (lambda d: setattr(_channel(d), "ChannelSampleSkew", "5"), "skew"),
        ],
    )
    def test_refused(self, dicom, change, message):
        with pytest.raises(RecordError, match=message) as caught:
            open_ecg(dicom(change))
        assert "changed.dcm" in str(caught.value)

    def test_units_stated_by_the_caller(self, dicom):
        path = dicom(lambda d: delattr(_channel(d), "ChannelSensitivityUnitsSequence"))
        ds = open_ecg(path, units="uV")
        np.testing.assert_array_equal(ds.signal, open_ecg(get_testdata_file("waveform_ecg.dcm", download=False)).signal)
        with pytest.raises(RecordError, match="the file states uV, the caller mV"):
            open_ecg(dicom(), units="mV")

    @pytest.mark.parametrize("share", [0.001, 0.1, 0.5, 0.7, 0.99])
    def test_truncated(self, dicom, share):
        path = dicom()
        data = path.read_bytes()
        path.write_bytes(data[: int(len(data) * share)])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with pytest.raises(RecordError, match=r"changed\.dcm"):
                open_ecg(path)

    def test_name_does_not_matter(self, dicom, tmp_path):
        shutil.copy(dicom(), tmp_path / "ecg.hea")
        assert open_ecg(tmp_path / "ecg.hea").attrs["format"] == "DICOM"


class TestWaves:
    def test_marks_of_the_rhythm(self, dicom):
        ds = open_ecg(dicom())
        wave, known = ds.wave.values[0], ds.wave_known.values[0]
        assert ds.wave.dims == ("record", "time")
        for position in (1324, 2305, 3287, 4283, 5266, 6240, 7242, 8215, 9168):  # P onset, counted from 1
            p, qrs, end = position - 1, position + 160, position + 528
            assert (wave[[p - 1, p, p + 114, p + 115, qrs - 1]] == [0, 1, 1, 0, 0]).all()
            assert (wave[[qrs, qrs + 75, qrs + 76]] == [2, 2, 0]).all()
            assert known[p : qrs + 76].all()
            assert not known[qrs + 76 : end + 1].any()  # no onset of T
        assert not known[: 853 + 1].any()  # the median beat's marks, filed with the rhythm, contradict the first beat's
        assert known[854:1560].all()
        assert not known[9697:].any()
        assert not (wave[~known] != 0).any()
        rhythm = np.abs(np.gradient(ds.signal.sel(lead="II").values[0]))
        assert rhythm[wave == 2].mean() > 3 * rhythm[known & (wave == 0)].mean()

    def test_none_without_marks(self, dicom):
        assert "wave" not in open_ecg(dicom(lambda d: delattr(d, "WaveformAnnotationSequence")))
        assert "wave" not in open_ecg(dicom(), group=1)  # all marks are about the first group

    def test_marks_of_one_channel(self, dicom):
        def change(d):
            for item in d.WaveformAnnotationSequence:
                item.ReferencedWaveformChannels = [1, 2]

        ds = open_ecg(dicom(change), leads=["V1", "II"])
        assert ds.wave.dims == ("record", "lead", "time")
        assert bool(ds.wave_known.sel(lead="II").any())
        assert not ds.wave_known.sel(lead="V1").any()

    def test_marks_that_are_not_read_leave_all_unknown(self, dicom):
        def change(d):
            d.WaveformAnnotationSequence[40].TemporalRangeType = "SEGMENT"

        assert "wave" not in open_ecg(dicom(change))

    def test_outside(self, dicom):
        def change(d):
            d.WaveformAnnotationSequence[40].ReferencedSamplePositions = 10_001

        with pytest.raises(RecordError, match="ReferencedSamplePositions: expected 1 to 10000, got 10001"):
            open_ecg(dicom(change))


@pytest.mark.parametrize(
    ("bits", "kind", "dtype"),
    [(8, "SB", "i1"), (8, "UB", "u1"), (16, "US", "<u2"), (32, "SL", "<i4"), (32, "UL", "<u4")],
)
def test_sample_types(dicom, bits, kind, dtype):
    info = np.iinfo(dtype)
    samples = np.linspace(info.min, info.max, 12 * 100).astype(dtype)

    def change(d):
        item = d.WaveformSequence[0]
        item.NumberOfWaveformSamples = 100
        item.WaveformBitsAllocated = bits
        item.WaveformSampleInterpretation = kind
        item["WaveformData"].VR = "OB" if bits == 8 else "OW"
        item.WaveformData = samples.tobytes()
        del d.WaveformAnnotationSequence

    ds = open_ecg(dicom(change))
    expected = samples.reshape(100, 12).T.astype(float) * 0.00125
    np.testing.assert_allclose(ds.signal[0], expected, rtol=1e-6)


def test_a_stated_length_of_gigabytes_takes_no_memory(tmp_path):
    from ecg_widget.formats.dicom import _Bounded

    path = tmp_path / "short"
    path.write_bytes(b"0123456789")
    with _Bounded(path) as stream:
        assert stream.read(4) == b"0123"
        assert stream.read(1 << 62) == b"456789"  # would be a MemoryError
        assert stream.read() == b""
        stream.seek(8)
        assert stream.read(-1) == b"89"
