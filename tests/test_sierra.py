from __future__ import annotations

import base64
import struct
import tracemalloc
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from xml_lab import SECRETS, damage, damaged, opens_or_refuses

from ecg_widget.formats.sierra_xli import decode
from ecg_widget.leads import LEADS
from ecg_widget.records import RecordError, open_ecg

N = 600


def _recording(n=N, leads=12):
    """Limb leads that obey Einthoven up to rounding of a step, as devices record them."""
    rng = np.random.default_rng(7)
    smooth = np.cumsum(rng.integers(-6, 7, (leads, n)), axis=1)
    if leads == 12:
        i, ii = smooth[:2]
        noise = rng.integers(-1, 2, (4, n))
        smooth[2] = ii - i + noise[0]
        smooth[3] = -((i + ii) // 2) + noise[1]
        smooth[4] = (i - smooth[2]) // 2 + noise[2]
        smooth[5] = (ii + smooth[2]) // 2 + noise[3]
    return smooth


def _residuals(leads):
    stored = leads.copy()
    i, ii, iii, avr, avl, avf = leads[:6]
    stored[2:6] = ii - i - iii, -((i + ii) // 2) - avr, (i - iii) // 2 - avl, (ii + iii) // 2 - avf
    return stored


def _lzw(data):
    table = {bytes([k]): k for k in range(256)}
    codes, word = [], b""
    for byte in data:
        if word + bytes([byte]) in table:
            word += bytes([byte])
            continue
        codes.append(table[word])
        if len(table) <= 1022:
            table[word + bytes([byte])] = len(table)
        word = bytes([byte])
    bits = "".join(f"{code:010b}" for code in [*codes, table[word], 1023])
    bits += "0" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


def _block(samples):
    z = samples.astype(np.int64)
    last = 2 * z[1:-1] - z[:-2] - z[2:]
    words = np.concatenate([z[:2], last[1:] + 64, [64]]).astype(">i2").view(np.uint8).reshape(-1, 2)
    packed = _lzw(words.T.tobytes())
    return struct.pack("<ihh", len(packed), 1, last[0]) + packed


def _xli(leads, spare=4):
    blocks = [_block(lead) for lead in (_residuals(leads) if len(leads) == 12 else leads)]
    return b"".join([*blocks, *[_block(np.zeros(leads.shape[1]))] * spare])


def _document(version="1.04", *, data=None, waveform=None, signal=None, kind=None, more=""):
    data = _xli(_recording()) if data is None else data
    old = version == "1.03"
    attributes = {"dataencoding": "Base64", "durationperchannel": N * 2}
    facts = {
        "samplingrate": 500,
        "bitspersample": 16,
        "signaloffset": 0,
        "signalsigned": "True",
        "acquisitiontype": "STD-12",
        "numberchannelsallocated": 12,
    }
    if old:
        attributes |= {"compressflag": "True", "compressmethod": "XLI"}
        facts |= {"signalresolution": 5, "signalbandwidth": "0.05-150"}
    else:
        attributes |= {
            "compression": "XLI",
            "numberofleads": 12,
            "leadlabels": " ".join(LEADS),
            "samplespersecond": 500,
            "resolution": 5,
            "hipass": 0.15,
            "lowpass": 100,
            "notchfiltered": "True",
            "notchfilterfreqs": 60,
        }
        facts |= {"resolution": 5, "hipass": 0.15}
    attributes |= waveform or {}
    facts |= signal or {}
    last, first, birth, patient, place, note, day = SECRETS
    said = " ".join(f'{k}="{v}"' for k, v in attributes.items() if v is not None)
    return (
        f'<?xml version="1.0" encoding="{"UTF-8" if old else "UTF-16"}"?>'
        f'<restingecgdata xmlns="http://www3.medical.philips.com"><documentinfo><documenttype>{kind or ("SierraECG" if old else "PhilipsECG")}'
        f"</documenttype><documentversion>{version}</documentversion></documentinfo>"
        f'<dataacquisition date="{day}"><acquirer><institutionname>{place}</institutionname></acquirer><signalcharacteristics>'
        + "".join(f"<{k}>{v}</{k}>" for k, v in facts.items() if v is not None)
        + f"</signalcharacteristics></dataacquisition><patient><generalpatientdata><patientid>{patient}</patientid><name>"
        f"<lastname>{last}</lastname><firstname>{first}</firstname></name><dateofbirth>{birth}</dateofbirth></generalpatientdata>"
        f"</patient><interpretations><statement>{note}</statement></interpretations><waveforms><parsedwaveforms {said}>"
        f"{base64.b64encode(data).decode()}</parsedwaveforms>{more}</waveforms></restingecgdata>"
    )


@pytest.fixture
def sierra(tmp_path):
    def write(version="1.04", **changes):
        path = tmp_path / "page.xml"
        path.write_text(_document(version, **changes), encoding="utf-8" if version == "1.03" else "utf-16")
        return path

    return write


class TestSierra:
    @pytest.mark.parametrize("version", ["1.03", "1.04", "1.04.01", "1.04.02"])
    def test_values_are_the_recorded_ones_and_those_of_another_reader(self, sierra, version):
        import sierraecg

        path = sierra(version)
        ds = open_ecg(path)
        assert ds.lead.values.tolist() == list(LEADS)
        np.testing.assert_allclose(ds.signal[0], _recording() * 0.005, atol=1e-5)
        for lead in sierraecg.read_file(str(path)).leads:
            np.testing.assert_allclose(ds.signal.sel(lead=lead.label)[0], lead.samples * 0.005, atol=1e-5)
        assert ds.time.attrs["sampling_rate"] == 500
        assert ds.attrs["version"] == version
        assert ds.attrs["filters"] == (
            "high-pass 0.05 Hz, low-pass 150 Hz"
            if version == "1.03"
            else "high-pass 0.15 Hz, low-pass 100 Hz, notch 60 Hz"
        )
        np.testing.assert_allclose(ds.adc_step, 0.005)

    def test_uncompressed(self, sierra):
        samples = _recording()
        path = sierra(data=samples.astype("<i2").tobytes(), waveform={"compression": None})
        np.testing.assert_allclose(open_ecg(path).signal[0], samples * 0.005, atol=1e-5)
        path = sierra("1.03", data=samples.astype("<i2").tobytes(), waveform={"compressflag": "False"})
        np.testing.assert_allclose(open_ecg(path, leads=["V6", "III"]).signal[0], samples[[2, 11]] * 0.005, atol=1e-5)

    def test_fewer_leads(self, sierra):
        samples = _recording(leads=3)
        path = sierra(data=_xli(samples), waveform={"leadlabels": "V1 V2 V3 X", "numberofleads": 3})
        ds = open_ecg(path)
        assert ds.lead.values.tolist() == ["V1", "V2", "V3"]
        np.testing.assert_allclose(ds.signal[0], samples * 0.005, atol=1e-5)

    def test_calibration_pulse_is_no_ecg(self, sierra):
        samples = _recording()
        samples[:, -1:][(samples[:, -1:] == 0)] = 1
        pulse = np.repeat([0, 200, 0], [30, 100, 30])
        both = np.concatenate([samples, np.tile(pulse, (12, 1))], axis=1)
        data = both.astype("<i2").tobytes()
        path = sierra(data=data, waveform={"compression": None, "durationperchannel": both.shape[1] * 2})
        ds = open_ecg(path)
        assert ds.sizes["time"] == N
        assert ds.attrs["calibration"] == 0.32
        np.testing.assert_allclose(ds.signal[0], samples * 0.005, atol=1e-5)
        np.testing.assert_allclose(open_ecg(path, leads=["V1"]).signal[0], samples[6:7] * 0.005, atol=1e-5)
        kept = open_ecg(path, calibration="keep")
        assert kept.sizes["time"] == both.shape[1]
        assert "calibration" not in kept.attrs
        with pytest.raises(ValueError, match="calibration: expected 'drop' or 'keep'"):
            open_ecg(path, calibration="no")

    @pytest.mark.parametrize(
        "tail", [np.zeros(160, int), np.repeat([0, 199, 0], [30, 100, 30]), np.repeat([0, 200], [60, 100])]
    )
    def test_flat_end_is_kept(self, sierra, tail):
        both = np.concatenate([_recording(), np.tile(tail, (12, 1))], axis=1)
        path = sierra(
            data=both.astype("<i2").tobytes(), waveform={"compression": None, "durationperchannel": both.shape[1] * 2}
        )
        assert open_ecg(path).sizes["time"] == both.shape[1]

    def test_nothing_of_the_patient(self, sierra):
        said = repr(open_ecg(sierra()).to_dict(data=False))
        assert not [secret for secret in SECRETS if secret in said]

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"kind": "OtherECG"}, "documenttype and documentversion: expected .* got 'OtherECG' '1.04'"),
            ({"more": "<parsedwaveforms/>"}, "parsedwaveforms: expected one, got 2"),
            (
                {"waveform": {"samplespersecond": None}, "signal": {"samplingrate": None}},
                "samplespersecond or samplingrate: expected a value",
            ),
            ({"signal": {"samplingrate": 250}}, "samplespersecond: expected one value, got '500' .*'250'"),
            ({"waveform": {"resolution": 2.5}}, "resolution: expected one value, got '2.5'"),
            ({"waveform": {"resolution": "1e-320"}, "signal": {"resolution": None}}, "resolution: expected a step of"),
            ({"waveform": {"resolution": 0}, "signal": {"resolution": 0}}, "resolution: expected a number of uV > 0"),
            (
                {"waveform": {"resolution": None}, "signal": {"resolution": None}},
                "resolution or signalresolution: expected a value",
            ),
            ({"waveform": {"durationperchannel": "1e300"}}, "durationperchannel: expected up to"),
            ({"waveform": {"durationperchannel": 1202}}, "XLI block 0: expected 1202 bytes when unpacked, got 1200"),
            (
                {"waveform": {"durationperchannel": 1000}},
                "expected base64 of at most|codes of 500 samples|bytes when unpacked, got more",
            ),
            ({"waveform": {"durationperchannel": -5}}, "durationperchannel: expected up to"),
            ({"waveform": {"numberofleads": 99}}, "numberofleads: expected 1 to 12, got 99"),
            ({"waveform": {"leadlabels": "I I III aVR aVL aVF V1 V2 V3 V4 V5 V6"}}, "each lead once|limb leads"),
            (
                {"waveform": {"leadlabels": "II I III aVR aVL aVF V1 V2 V3 V4 V5 V6"}},
                "expected I II III aVR aVL aVF first, from which XLI builds",
            ),
            (
                {"waveform": {"leadlabels": None, "numberofleads": None}, "signal": {"acquisitiontype": "MASON"}},
                "acquisitiontype: expected STD-12 or 10-WIRE",
            ),
            (
                {"waveform": {"leadlabels": None, "numberofleads": None}, "signal": {"numberchannelsallocated": 16}},
                "acquisitiontype: expected .* with 16",
            ),
            (
                {"waveform": {"dataencoding": "Plain"}},
                "dataencoding: expected Base64, got 'Plain'|dataencoding: expected Base64, got Plain",
            ),
            ({"waveform": {"compression": "ZIP"}}, "compression: expected XLI or none, got 'ZIP'"),
            ({"signal": {"bitspersample": 12}}, "bitspersample: expected 16, got '12'"),
            ({"signal": {"signaloffset": 2048}}, "signaloffset: expected 0, got '2048'"),
            ({"signal": {"signalsigned": "False"}}, "signalsigned: expected true, got 'False'"),
            (
                {"waveform": {"compression": None}},
                "parsedwaveforms: expected 14400 bytes, got|expected base64 of at most 14400",
            ),
            ({"data": b""}, "XLI block 0: expected a header of 8 bytes, got 0"),
            ({"data": struct.pack("<ihh", -1, 1, 0)}, "XLI block 0: expected 1 to 0 bytes, got -1"),
        ],
    )
    def test_refused(self, sierra, changes, message):
        with pytest.raises(RecordError, match=message) as caught:
            open_ecg(sierra(**changes))
        assert "page.xml" in str(caught.value)

    def test_units_are_those_of_the_format(self, sierra):
        with pytest.raises(RecordError, match="the file states uV, the caller mV"):
            open_ecg(sierra(), units="mV")

    @pytest.mark.parametrize("share", [0.01, 0.2, 0.6, 0.9999])
    def test_truncated(self, sierra, share):
        path = sierra()
        data = path.read_bytes()
        path.write_bytes(data[: int(len(data) * share)])
        with pytest.raises(RecordError, match=r"page\.xml"):
            open_ecg(path)


class TestXLI:
    def test_round_trip_of_large_steps(self):
        samples = np.concatenate([np.arange(0, 9000, 30), np.full(300, 9000), np.arange(9000, -9000, -31)])
        np.testing.assert_array_equal(decode("x", _block(samples), 1, len(samples))[0], samples)

    def test_table_that_is_full(self):
        samples = np.random.default_rng(1).integers(-3000, 3000, 4000)
        np.testing.assert_array_equal(decode("x", _block(samples), 1, 4000)[0], samples)

    def test_bomb(self):
        """A short text of growing strings: 2 MB are announced as 20 samples."""
        packed = _lzw(bytes(2_000_000))
        data = struct.pack("<ihh", len(packed), 1, 0) + packed
        tracemalloc.start()
        try:
            with pytest.raises(RecordError, match="x: XLI block 0: expected the codes of 20 samples"):
                decode("x", data, 1, 20)
            packed = packed[:40]
            with pytest.raises(RecordError, match="x: XLI block 0: expected 40 bytes when unpacked, got more"):
                decode("x", struct.pack("<ihh", len(packed), 1, 0) + packed, 1, 20)
            assert tracemalloc.get_traced_memory()[1] < 5e6
        finally:
            tracemalloc.stop()

    def test_code_before_it_is_known(self):
        bits = f"{65:010b}{300:010b}" + "0" * 4
        packed = int(bits, 2).to_bytes(3, "big")
        with pytest.raises(RecordError, match="expected codes up to 256, got 300 after 1 bytes"):
            decode("x", struct.pack("<ihh", 3, 1, 0) + packed, 1, 20)

    def test_runaway_differences(self):
        words = np.full(500, 30000, ">i2").view(np.uint8).reshape(-1, 2)
        packed = _lzw(words.T.tobytes())
        with pytest.raises(RecordError, match=r"sample \d: expected at most 32768 in size, got"):
            decode("x", struct.pack("<ihh", len(packed), 1, 0) + packed, 1, 500)


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(changes=damage)
def test_hostile_bytes(tmp_path_factory, changes):
    path = Path(tmp_path_factory.getbasetemp()) / "sierra-fuzz.xml"
    valid = _document("1.03", data=_xli(_recording(30), spare=0), waveform={"durationperchannel": 60})
    path.write_bytes(damaged(valid.encode(), changes))
    opens_or_refuses(path)


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(changes=damage)
def test_hostile_blocks(tmp_path_factory, changes):
    """Damage below the base64, where only the samples are."""
    path = Path(tmp_path_factory.getbasetemp()) / "xli-fuzz.xml"
    data = damaged(
        _xli(_recording(30), spare=0), [change for change in changes if change[0] != "number"] or [("byte", 0, 9)]
    )
    path.write_text(_document("1.03", data=data, waveform={"durationperchannel": 60}))
    opens_or_refuses(path)


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("name", "n_ecg", "version", "secrets"),
    [
        ("129DYPRG_v1_03.xml", 5264, "1.03", ["1112010721168bdc", "GE EMS", "2011-12-01"]),
        ("demo_v1_04.xml", 5300, "1.04", ["ZZDEMO", "9999", "120190145", "1950-01-01", "2010-01-19"]),
    ],
)
def test_real_files(shared_data, name, n_ecg, version, secrets):
    import sierraecg
    from ecgdatakit.parsing.parsers.sierra_xml import SierraXMLParser

    path = shared_data / "formats/sierra_xml" / name
    ds, whole = open_ecg(path), open_ecg(path, calibration="keep")
    assert (ds.sizes["time"], whole.sizes["time"]) == (n_ecg, 5500)
    assert (ds.attrs["version"], ds.time.attrs["sampling_rate"]) == (version, 500)
    assert ds.attrs["filters"] == "high-pass 0.05 Hz, low-pass 150 Hz"
    assert ds.lead.values.tolist() == list(LEADS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        second = {lead.label: lead for lead in SierraXMLParser().parse(path).leads}
    for lead in sierraecg.read_file(str(path)).leads:
        np.testing.assert_allclose(whole.signal.sel(lead=lead.label)[0], lead.samples * 0.005, atol=1e-6)
        other = second[lead.label]
        np.testing.assert_allclose(
            whole.signal.sel(lead=lead.label)[0], other.samples * other.resolution / 1000, atol=1e-6
        )
        np.testing.assert_array_equal(ds.signal.sel(lead=lead.label)[0], whole.signal.sel(lead=lead.label)[0, :n_ecg])
    limb = {lead: ds.signal.sel(lead=lead)[0].values for lead in LEADS[:6]}
    np.testing.assert_allclose(limb["II"], limb["I"] + limb["III"], atol=0.0101)  # Einthoven, to two steps
    np.testing.assert_allclose(limb["aVR"] + limb["aVL"] + limb["aVF"], 0, atol=0.0151)
    np.testing.assert_allclose(whole.signal[0, :, 5400], 1)  # the pulse that was left out
    said = repr(ds.to_dict(data=False)).replace(path.stem, "")
    assert not [secret for secret in secrets if secret in said]
