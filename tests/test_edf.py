from __future__ import annotations

import datetime as dt
import warnings
from pathlib import Path

import edfio
import numpy as np
import pyedflib
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecg_widget.lazy import is_lazy
from ecg_widget.leads import LEADS
from ecg_widget.records import RecordError, open_ecg, resample

RNG = np.random.default_rng(11)
SECONDS = 8


def _signal(label, rate=250, unit="mV", kind=edfio.EdfSignal, **changes):
    scale = {"mV": 1.0, "uV": 1000.0, "V": 1e-3}.get(unit, 1.0)
    values = np.clip(RNG.normal(0, 0.7, rate * SECONDS), -3, 3) * scale
    return kind(values, rate, label=label, physical_dimension=unit, physical_range=(-4 * scale, 4.5 * scale), **changes)


def _edf(signals, **changes):
    changes.setdefault(
        "annotations", [edfio.EdfAnnotation(2.5, 1.0, "Mr Secret coughs"), edfio.EdfAnnotation(4, None, "ü")]
    )
    return edfio.Edf(
        signals,
        patient=edfio.Patient(code="Secretcode", sex="F", birthdate=dt.date(1950, 1, 2), name="Secretname"),
        recording=edfio.Recording(startdate=dt.date(2020, 3, 4), hospital_administration_code="Secrethospital"),
        **changes,
    )


@pytest.fixture
def write(tmp_path):
    def write(*signals, kind=_edf, **changes):
        path = tmp_path / "r.edf"
        kind(signals or [_signal("ECG II"), _signal("V1", unit="uV"), _signal("DI")], **changes).write(path)
        return path

    return write


@pytest.fixture
def gaps(write):
    """A file of six data records that begin at other times: EDF+D, or as it says itself."""

    def write_gaps(starts, variant=b"EDF+D", **changes):
        path = write(_signal("II"), data_record_duration=1, **changes)
        data = bytearray(path.read_bytes())
        data[192:197] = variant
        header, record = 256 * 3, 500 + 2 * _annotation_samples(data)
        data[236:244] = str(len(starts)).encode().ljust(8)
        for i, start in enumerate(starts):
            at = header + i * record + 500
            rest = bytes(data[at : header + (i + 1) * record])
            rest = f"+{start}\x14\x14\0".encode() + rest.split(b"\x14\x14\0", 1)[1]
            data[at : header + (i + 1) * record] = rest[: record - 500].ljust(record - 500, b"\0")
        path.write_bytes(data[: header + len(starts) * record])
        return path

    return write_gaps


def _annotation_samples(data):
    return int(bytes(data[256 + 2 * 216 + 8 : 256 + 2 * 216 + 16]))


def _pyedflib(path):
    with pyedflib.EdfReader(str(path)) as reader:
        return {
            reader.getLabel(i): (reader.readSignal(i), reader.getPhysicalDimension(i), reader.getSampleFrequency(i))
            for i in range(reader.signals_in_file)
        }


class TestEDF:
    @pytest.mark.parametrize("lazy", [False, True])
    def test_against_another_reader(self, write, lazy):
        path = write()
        ds = open_ecg(path, lazy=lazy)
        assert is_lazy(ds.signal) == lazy
        reference = _pyedflib(path)
        assert ds.lead.values.tolist() == ["I", "II", "V1"]
        for lead, label, scale in (("I", "DI", 1), ("II", "ECG II", 1), ("V1", "V1", 1e-3)):
            values, _, rate = reference[label]
            assert rate == ds.time.attrs["sampling_rate"]
            np.testing.assert_allclose(ds.signal.sel(lead=lead)[0], values * scale, atol=1e-6)
        np.testing.assert_allclose(ds.adc_step, 8.5 / 65535, rtol=1e-6)
        assert ds.attrs["format"] == "EDF+C"

    def test_reversed_and_right_leads_of_the_standard(self, write):
        labels = ["ECG -aVR", "ECG V3R", "ECG X", "v7", "Resp"]
        path = write(*(_signal(label) for label in labels))
        ds = open_ecg(path)
        assert ds.lead.values.tolist() == ["-aVR", "V3R", "X", "V7"]
        assert "aVR" not in ds.lead.values
        assert ds.attrs["other_channels"] == ["Resp"]
        np.testing.assert_allclose(ds.signal.sel(lead="-aVR")[0], _pyedflib(path)["ECG -aVR"][0], atol=1e-6)

    def test_bdf(self, tmp_path):
        path = tmp_path / "r.bdf"
        signals = [
            _signal("ECG V6", unit="uV", kind=edfio.BdfSignal),
            _signal("EXG1", unit="uV", kind=edfio.BdfSignal),
            _signal("ECG II", kind=edfio.BdfSignal),
        ]
        edfio.Bdf(signals, annotations=[edfio.EdfAnnotation(1, None, "x")]).write(path)
        reference = _pyedflib(path)
        for lazy in (False, True):
            ds = open_ecg(path, lazy=lazy)
            assert ds.attrs["format"] == "BDF+C"
            assert ds.attrs["other_channels"] == ["EXG1"]
            np.testing.assert_allclose(ds.signal.sel(lead="V6")[0], reference["ECG V6"][0] / 1000, atol=1e-6)
            np.testing.assert_allclose(ds.signal.sel(lead="II")[0], reference["ECG II"][0], atol=1e-6)
        np.testing.assert_allclose(ds.adc_step, 8.5 / (2**24 - 1), rtol=1e-4)
        assert open_ecg(path, texts=True).attrs["annotation_text"] == ["x"]

    def test_nothing_on_the_patient(self, write, monkeypatch):
        path = write()
        assert b"Secretname" in path.read_bytes()
        seen = []
        read = edfio.read_edf
        monkeypatch.setattr(edfio, "read_edf", lambda s, *a, **k: seen.append(s.getvalue()) or read(s, *a, **k))
        ds = open_ecg(path)
        assert "ecret" not in str(ds.to_dict()) + repr(ds.attrs)
        assert seen
        assert not any(b"Secretname" in s or b"Secrethospital" in s for s in seen)

    def test_texts_on_request(self, write):
        path = write()
        attrs = open_ecg(path, texts=True).attrs
        assert attrs["annotation_text"] == ["Mr Secret coughs", "ü"]
        expected = edfio.read_edf(path).annotations
        assert attrs["annotation_onset"] == [a.onset for a in expected]
        np.testing.assert_array_equal(attrs["annotation_duration"], [1.0, np.nan])

    def test_ecg_channels_are_chosen(self, write):
        path = write(
            _signal("EEG F4-A1", 200, "uV"),
            _signal("ECG V2"),
            _signal("EKG", 250),
            _signal("Resp", 25, "l"),
            _signal("MLII", 250),
        )
        ds = open_ecg(path)
        assert ds.lead.values.tolist() == ["V2", "EKG", "MLII"]
        assert ds.attrs["other_channels"] == ["EEG F4-A1", "Resp"]
        assert open_ecg(path, leads=["EEG F4-A1"]).time.attrs["sampling_rate"] == 200
        with pytest.raises(RecordError, match=r"r\.edf: leads: expected V9"):
            open_ecg(path, leads=["V9"])

    def test_several_rates(self, write):
        path = write(_signal("I", 500), _signal("II", 250), _signal("V1", 500))
        with pytest.raises(RecordError, match=r"got 250 Hz \(II\); 500 Hz \(I, V1\); choose with rate="):
            open_ecg(path)
        assert open_ecg(path, rate=500).lead.values.tolist() == ["I", "V1"]
        assert open_ecg(path, rate=250).sizes["time"] == 250 * SECONDS
        with pytest.raises(RecordError, match=r"rate: expected one of 250 Hz .* got 100 Hz"):
            open_ecg(path, rate=100)

    def test_channels_that_name_no_lead_are_all_read(self, write):
        assert open_ecg(write(_signal("ch 1"), _signal("ch 2"))).lead.values.tolist() == ["ch 1", "ch 2"]

    def test_units(self, write):
        path = write(_signal("I", unit=""), _signal("II", unit="uV"))
        with pytest.raises(RecordError, match=r"channel 0 \(I\): units: expected a voltage, got 'none'; state it"):
            open_ecg(path)
        with pytest.raises(RecordError, match=r"channel 1 \(II\): units: the file states uV, the caller mV"):
            open_ecg(path, units="mV")
        ds = open_ecg(path, units="mV", leads=["I"])
        np.testing.assert_allclose(ds.signal[0, 0], _pyedflib(path)["I"][0], atol=1e-6)
        assert float(abs(open_ecg(write(_signal("I", unit="V"))).signal).max()) > 1

    def test_micro_sign(self, write):
        path = write(_signal("I", unit="uV"))
        data = bytearray(path.read_bytes())
        _field(data, "unit", 0, int(data[252:256]), b"\xb5V")
        expected = open_ecg(path).signal
        path.write_bytes(data)
        np.testing.assert_array_equal(open_ecg(path).signal, expected)

    def test_names_instead_of_labels(self, write):
        path = write(_signal("ECG"), _signal("ECG"), _signal("Resp", 25, "l"))
        with pytest.raises(RecordError, match="each lead once, got 'ECG' twice"):
            open_ecg(path)
        ds = open_ecg(path, names=["II", "V5", "Resp"])
        assert ds.lead.values.tolist() == ["II", "V5"]
        values = edfio.read_edf(path).signals[1].data
        np.testing.assert_allclose(ds.signal.sel(lead="V5")[0], values, atol=1e-6)
        with pytest.raises(
            RecordError, match=r"names: expected 3, one for each of the channels \['ECG', 'ECG', 'Resp'\]"
        ):
            open_ecg(path, names=["II", "V5"])

    @pytest.mark.parametrize("kind", ["EDF", "EDFPLUS", "BDF", "BDFPLUS"])
    def test_files_of_another_writer(self, tmp_path, kind):
        path = tmp_path / "x.bin"
        values = RNG.normal(0, 1, (2, 2500))
        with pyedflib.EdfWriter(str(path), 2, getattr(pyedflib, f"FILETYPE_{kind}")) as writer:
            for i, (label, low, high) in enumerate((("II", -5, 5), ("V3", 5, -5))):  # V3 upside down
                top = 2**23 - 1 if "BDF" in kind else 32767
                writer.setSignalHeader(
                    i,
                    {"label": label, "dimension": "mV", "sample_frequency": 500, "physical_min": low}
                    | {"physical_max": high, "digital_min": -top - 1, "digital_max": top},
                )
            writer.setPatientName("Secretname")
            writer.writeSamples(list(values))
        ds = open_ecg(path)
        assert ds.attrs["format"] == kind.replace("PLUS", "+C")
        assert "ecret" not in str(ds.to_dict())
        np.testing.assert_allclose(ds.signal[0], values, atol=10 / (2**23 if "BDF" in kind else 32767))
        for i, (values_there, _, _) in enumerate(_pyedflib(path).values()):
            np.testing.assert_allclose(ds.signal[0, i], values_there, atol=1e-6)

    def test_a_recorder_that_did_not_finish(self, write):
        path = write(annotations=[], data_record_duration=1)
        expected = open_ecg(path).signal
        data = bytearray(path.read_bytes())
        data[236:244] = b"-1      "
        path.write_bytes(data[:-100])
        np.testing.assert_array_equal(open_ecg(path).signal, expected[..., : 7 * 250])

    def test_filters(self, write):
        signals = [
            _signal("I", prefiltering="HP:0.05Hz LP:150Hz N:50Hz"),
            _signal("II", prefiltering="Dr Secret LP: 0.1kHz"),
        ]
        ds = open_ecg(write(*signals))
        assert ds.attrs["filters"] == "high-pass 0.05 Hz, low-pass 100/150 Hz, notch 50 Hz"

    def test_pieces_across_records(self, write, monkeypatch):
        from ecg_widget.formats import edf

        path = write(data_record_duration=1)
        whole = open_ecg(path, lazy=False)
        monkeypatch.setattr(edf, "_PIECE", 1600)  # two data records
        np.testing.assert_array_equal(open_ecg(path).signal, whole.signal)
        later = open_ecg(path, lazy=True)
        np.testing.assert_array_equal(later.signal[0, 1, 240:1260:3], whole.signal[0, 1, 240:1260:3])
        np.testing.assert_array_equal(later.signal[0, ::-1, 1999], whole.signal[0, ::-1, 1999])
        assert is_lazy(later.signal)


class TestGaps:
    def test_gaps_are_nan(self, gaps):
        ds = open_ecg(gaps([0.5, 1.5, 4.5, 5.5, 10.5]), texts=True)
        assert ds.attrs["format"] == "EDF+D"
        assert (ds.attrs["gaps"], ds.attrs["gap_rounding"]) == (2, 0)
        assert ds.sizes["time"] == 11 * 250
        missing = np.isnan(ds.signal[0, 0]).values.reshape(11, 250)
        assert missing.all(1).tolist() == [i in (2, 3, 6, 7, 8, 9) for i in range(11)]
        assert int(missing.sum()) == 6 * 250
        assert ds.attrs["annotation_onset"] == [2.0, 3.5]  # from the first sample

    def test_samples_are_in_their_places(self, gaps):
        path = gaps([0, 1, 2, 30, 31, 33])
        ds, later = open_ecg(path), open_ecg(path, lazy=True)
        data = path.read_bytes()[256 * 3 :]
        records = np.frombuffer(data, "<i2").reshape(6, -1)[:, :250]
        values = (records + 32768.0) * 8.5 / 65535 - 4
        for at, expected in zip((0, 1, 2, 30, 31, 33), values, strict=True):
            np.testing.assert_allclose(ds.signal[0, 0, at * 250 : (at + 1) * 250], expected, atol=1e-5)
        np.testing.assert_array_equal(later.signal[0, 0, 400:8300], ds.signal[0, 0, 400:8300])
        assert bool(np.isnan(later.signal[0, 0, 1000:2000]).all())

    def test_a_start_between_two_samples(self, gaps):
        ds = open_ecg(gaps([0, 1, 3.001, 4.001]))
        assert ds.attrs["gap_rounding"] == pytest.approx(0.001)
        assert ds.sizes["time"] == 5 * 250

    @pytest.mark.parametrize("starts", [[0, 1, 1.5, 3], [0, 1, 0, 3]])
    def test_overlap(self, gaps, starts):
        with pytest.raises(RecordError, match=r"r\.edf: data record 2: start: expected at least 2 s after the first"):
            open_ecg(gaps(starts))

    def test_a_continuous_file_with_a_gap(self, gaps):
        with pytest.raises(RecordError, match=r"data record 2: start: expected 2 s .* continuous .*got 5 s"):
            open_ecg(gaps([0, 1, 5, 6], variant=b"EDF+C"))

    def test_an_endless_gap(self, gaps):
        with pytest.raises(RecordError, match="size: expected at most"):
            open_ecg(gaps([0, 99999999]))


def _field(data, name, i, n, value):
    """Change a field of channel `i` of `n`."""
    lengths = {
        "label": (0, 16),
        "unit": (96, 8),
        "pmin": (104, 8),
        "pmax": (112, 8),
        "dmin": (120, 8),
        "dmax": (128, 8),
        "count": (216, 8),
    }
    offset, length = lengths[name]
    at = 256 + offset * n + i * length
    data[at : at + length] = value.ljust(length)


class TestHostile:
    @pytest.mark.parametrize(
        ("at", "value", "message"),
        [
            (252, b"9999", "number of channels: expected a whole number from 1 to 1024, got b'9999'"),
            (252, b"-3  ", "number of channels"),
            (252, b"2   ", "header size: expected 768 bytes for 2 channels"),
            (184, b"99999999", "header size"),
            (236, b"99999999", "data: expected 99999999 data records of"),
            (236, b"0       ", "data: expected 0 data records"),
            (236, b"nan     ", "number of data records: expected a number, got b'nan     '"),
            (244, b"0       ", "duration of a data record: expected more than 0 s, got 0"),
            (244, b"1e-30   ", "sampling rate: expected 1 to 100000 Hz"),
            (244, b"-1      ", "duration of a data record"),
            (244, b"1e6     ", "sampling rate"),
            (244, b"inf     ", "duration of a data record: expected a number"),
        ],
    )
    def test_absurd_header(self, write, at, value, message):
        path = write(annotations=[])
        data = bytearray(path.read_bytes())
        data[at : at + len(value)] = value
        path.write_bytes(data)
        with pytest.raises(RecordError, match=rf"r\.edf: .*{message}"):
            open_ecg(path)

    @pytest.mark.parametrize(
        ("name", "value", "message"),
        [
            ("count", b"99999999", "data: expected 8 data records of 200001004 bytes"),
            ("count", b"0", "samples in each data record: expected a whole number from 1"),
            ("dmin", b"40000", "range: expected a digital minimum below the maximum"),
            ("dmax", b"1.5", "digital maximum: expected a whole number"),
            ("pmin", b"4.5", "range: expected"),
            ("pmax", b"\xff\xfe", "physical maximum: expected a number"),
            ("pmax", b"1e300", "infinity"),
            ("unit", b"mmHg", "units: expected a voltage, got 'mmHg'"),
            ("label", b"V1", "each lead once"),
            ("label", b"", "lead name: expected 1 to 64"),
        ],
    )
    def test_absurd_channel(self, write, name, value, message):
        path = write(_signal("ch"), _signal("V1"), _signal("aVR"), annotations=[])
        data = bytearray(path.read_bytes())
        n = int(data[252:256])
        _field(data, name, 0, n, value)
        if name in ("unit", "pmin", "pmax", "dmin", "dmax"):
            _field(data, "label", 0, n, b"V3")
        if value == b"":
            for i in (1, 2):
                _field(data, "label", i, n, b"other" + bytes([65 + i]))
        path.write_bytes(data)
        with pytest.raises(RecordError, match=rf"r\.edf: .*{message}"):
            open_ecg(path)

    def test_absurd_record(self, write):
        path = write(annotations=[])
        data = bytearray(path.read_bytes())
        for i in range(2):
            _field(data, "count", i, int(data[252:256]), b"99999999")
        path.write_bytes(data)
        with pytest.raises(RecordError, match="data record: expected at most 268435456 bytes, got 40000"):
            open_ecg(path)

    def test_annotations_only(self, tmp_path):
        path = tmp_path / "a.edf"
        edfio.Edf([], annotations=[edfio.EdfAnnotation(1, None, "x")]).write(path)
        with pytest.raises(RecordError, match="expected at least one with samples, got annotations only"):
            open_ecg(path)

    def test_without_time_keeping(self, write):
        path = write(annotations=[])
        data = bytearray(path.read_bytes())
        data[192:197] = b"EDF+D"
        n = int(data[252:256])
        _field(data, "label", n - 1, n, b"nothing")
        path.write_bytes(data)
        with pytest.raises(RecordError, match=r"EDF\+D: expected a channel 'EDF Annotations'"):
            open_ecg(path)

    def test_cut_anywhere(self, write):
        path = write(annotations=[])
        data = path.read_bytes()
        for end in [*range(0, 1300, 53), *range(1300, len(data), 1501), len(data) - 1]:
            path.write_bytes(data[:end])
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                with pytest.raises(RecordError):
                    open_ecg(path)

    def test_changed_after_opening(self, write):
        path = write()
        later = open_ecg(path, lazy=True)
        path.write_bytes(path.read_bytes()[:-999])
        with pytest.raises(RecordError, match=r"r\.edf: data records .* shorter than it was"):
            later.load()


_VALID = {}


def _valid(kind):
    if kind not in _VALID:
        signal, file = (edfio.BdfSignal, edfio.Bdf) if kind == "BDF" else (edfio.EdfSignal, edfio.Edf)
        values = RNG.normal(0, 1, (2, 200))
        signals = [
            signal(v, 100, label=n, physical_dimension="mV") for n, v in zip(("I", "ECG V1"), values, strict=True)
        ]
        data = bytearray(
            file(signals, annotations=[edfio.EdfAnnotation(0.5, 1, "x")], data_record_duration=1).to_bytes()
        )
        if kind == "EDF+D":
            data[192:197] = b"EDF+D"
        _VALID[kind] = bytes(data)
    return _VALID[kind]


@settings(max_examples=400, deadline=None, derandomize=True, database=None)
@given(
    kind=st.sampled_from(["EDF+C", "EDF+D", "BDF"]),
    changes=st.lists(
        st.tuples(st.integers(0, 1900), st.sampled_from(b"0123456789 -+.eE\x00\x14\x15\xff")), min_size=1, max_size=6
    ),
    cut=st.integers(0, 30),
)
def test_hostile_bytes(tmp_path_factory, kind, changes, cut):
    data = bytearray(_valid(kind))
    for at, value in changes:
        data[at % len(data)] = value
    path = Path(tmp_path_factory.getbasetemp()) / "fuzz.edf"
    path.write_bytes(data[: len(data) - max(0, cut - 25)])
    try:
        ds = open_ecg(path, texts=True, lazy=cut % 2 == 0)
        ds.isel(time=slice(0, 10_000)).load()
    except RecordError:
        return
    assert set(ds.data_vars) == {"signal", "adc_step"}


@pytest.mark.real_data
class TestSharedFiles:
    def test_twelve_leads(self, shared_data):
        path = shared_data / "formats/edf/ptbxl_00001_edfplus.edf"
        ds = open_ecg(path)
        assert ds.lead.values.tolist() == list(LEADS)
        for label, (values, unit, rate) in _pyedflib(path).items():
            assert (unit, rate) == ("mV", 500)
            np.testing.assert_allclose(ds.signal.sel(lead=label.removeprefix("ECG "))[0], values, atol=1e-6)

    def test_annotations_only(self, shared_data):
        with pytest.raises(RecordError, match=r"wfdb_test_edfann\.edf: channels: .* got annotations only"):
            open_ecg(shared_data / "formats/edf/wfdb_test_edfann.edf")

    def test_one_recording_in_three_formats(self, shared_data):
        formats = shared_data / "formats"
        edf = open_ecg(formats / "edf/ptbxl_00001_edfplus.edf", records=["1"])
        ishne = open_ecg(formats / "ishne/ptbxl_00001_ishne.ecg", records=["1"])
        step = float(max(edf.adc_step.max(), ishne.adc_step.max()))
        assert step == pytest.approx(0.001)  # uV of ISHNE, in mV
        assert float(abs(edf.signal - ishne.signal).max()) <= step
        table = np.genfromtxt(formats / "csv/ptbxl_00001_500hz.csv", delimiter=",", names=True)
        for lead in LEADS:  # the same recording as text, in whole uV
            for other in (edf, ishne):
                assert float(abs(other.signal.sel(lead=lead)[0].values - table[lead]).max()) <= 0.5 * step
        # The 500 Hz WFDB of record 1 is not beside the project; the database's own at 100 Hz was made from it.
        wfdb = open_ecg(shared_data / "ptbxl/records100/00000/00001_lr")
        for other in (edf, ishne):
            inner = slice(1, 9)
            slow = resample(other, 100).signal.sel(time=inner).values.ravel()
            assert np.corrcoef(slow, wfdb.signal.sel(time=inner).values.ravel())[0, 1] > 0.99
