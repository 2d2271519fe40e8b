from __future__ import annotations

import base64
import re
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from xml_lab import SECRETS, damage, damaged, opens_or_refuses

from ecg_widget.leads import LEADS
from ecg_widget.records import RecordError, open_ecg

STORED = ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6")
N = 400


def _samples(n=N, leads=STORED):
    rng = np.random.default_rng(5)
    return {lead: rng.integers(-3000, 3000, n).astype("<i2") for lead in leads}


def _lead(name, samples, **changes):
    data = samples.tobytes()
    fields = {
        "LeadByteCountTotal": len(data),
        "LeadTimeOffset": 0,
        "LeadSampleCountTotal": len(samples),
        "LeadAmplitudeUnitsPerBit": 4.88,
        "LeadAmplitudeUnits": "MICROVOLTS",
        "LeadID": name,
        "FirstSampleBaseline": 0,
        "LeadSampleSize": 2,
        "LeadOff": "FALSE",
        "LeadDataCRC32": zlib.crc32(data),
        "WaveFormData": "\n" + "\n".join(re.findall(".{1,72}", base64.b64encode(data).decode())),
        **changes,
    }
    return "<LeadData>" + "".join(f"<{k}>{v}</{k}>" for k, v in fields.items() if v is not None) + "</LeadData>"


def _waveform(samples, kind="Rhythm", lead_changes=None, **changes):
    fields = {
        "WaveformType": kind,
        "NumberofLeads": len(samples),
        "SampleType": "CONTINUOUS_SAMPLES",
        "SampleBase": 500,
        "SampleExponent": 0,
        "HighPassFilter": 5,
        "LowPassFilter": 150,
        "ACFilter": 60,
        **changes,
    }
    items = "".join(f"<{k}>{v}</{k}>" for k, v in fields.items() if v is not None)
    data = "".join(_lead(k, v, **(lead_changes or {}).get(k, {})) for k, v in samples.items())
    return f"<Waveform>{items}{data}</Waveform>"


def _document(*waveforms):
    last, first, birth, patient, place, note, day = SECRETS
    return (
        '<?xml version="1.0" encoding="ISO-8859-1"?>\n<!DOCTYPE RestingECG SYSTEM "restecg.dtd">\n<RestingECG>'
        f"<PatientDemographics><PatientID>{patient}</PatientID><DateofBirth>{birth}</DateofBirth>"
        f"<PatientLastName>{last}</PatientLastName><PatientFirstName>{first}</PatientFirstName></PatientDemographics>"
        f"<TestDemographics><SiteName>{place}</SiteName><AcquisitionDate>{day}</AcquisitionDate></TestDemographics>"
        f"<Diagnosis><DiagnosisStatement><StmtText>{note}</StmtText></DiagnosisStatement></Diagnosis>"
        + "".join(waveforms)
        + "</RestingECG>"
    )


@pytest.fixture
def muse(tmp_path):
    def write(*waveforms):
        path = tmp_path / "rest.xml"
        path.write_text(_document(*(waveforms or [_waveform(_samples())])), encoding="latin-1")
        return path

    return write


class TestMuse:
    def test_stored_and_derived_leads(self, muse):
        ds = open_ecg(muse(_waveform(_samples(60), "Median"), _waveform(_samples())))
        raw = {lead: values * 0.00488 for lead, values in _samples().items()}
        assert ds.lead.values.tolist() == list(LEADS)
        assert ds.time.attrs["sampling_rate"] == 500
        expected = {
            **raw,
            "III": raw["II"] - raw["I"],
            "aVR": -(raw["I"] + raw["II"]) / 2,
            "aVL": raw["I"] - raw["II"] / 2,
            "aVF": raw["II"] - raw["I"] / 2,
        }
        for lead in LEADS:
            np.testing.assert_allclose(ds.signal.sel(lead=lead)[0], expected[lead], atol=2e-6)
        assert ds.attrs["derived_leads"] == ["III", "aVR", "aVL", "aVF"]
        assert ds.attrs["filters"] == "high-pass 0.05 Hz, low-pass 150 Hz, notch 60 Hz"
        np.testing.assert_allclose(
            ds.adc_step.sel(lead=["I", "III", "aVR", "V6"])[0], [0.00488, 0.00488, 0.00244, 0.00488]
        )

    def test_lead_on_request(self, muse):
        path = muse()
        whole = open_ecg(path)
        for wanted in (["aVF"], ["V3"], ["II", "aVL"]):
            ds = open_ecg(path, leads=wanted)
            assert ds.lead.values.tolist() == wanted
            np.testing.assert_array_equal(ds.signal, whole.signal.sel(lead=wanted))
            assert ds.attrs["derived_leads"] == [lead for lead in wanted if lead.startswith("aV")]

    def test_stored_limb_leads_are_not_computed(self, muse):
        ds = open_ecg(muse(_waveform(_samples(leads=("I", "II", "III", "V1")))))
        np.testing.assert_allclose(
            ds.signal.sel(lead="III")[0], _samples(leads=("I", "II", "III", "V1"))["III"] * 0.00488, atol=1e-6
        )
        assert ds.attrs["derived_leads"] == ["aVR", "aVL", "aVF"]

    def test_nothing_to_derive_from(self, muse):
        ds = open_ecg(muse(_waveform(_samples(leads=("II", "V1")))))
        assert ds.lead.values.tolist() == ["II", "V1"]
        assert ds.attrs["derived_leads"] == []

    def test_different_steps(self, muse):
        ds = open_ecg(
            muse(_waveform(_samples(), lead_changes={"II": {"LeadAmplitudeUnitsPerBit": 2, "LeadDataCRC32": None}}))
        )
        one, two = _samples()["I"] * 0.00488, _samples()["II"] * 0.002
        np.testing.assert_allclose(ds.signal.sel(lead="aVL")[0], one - two / 2, atol=2e-6)
        assert np.isnan(ds.adc_step.sel(lead="aVL")).all()

    @pytest.mark.parametrize(("unit", "factor"), [("MILLIVOLTS", 1000.0), ("microvolts", 1.0)])
    def test_units(self, muse, unit, factor):
        ds = open_ecg(muse(_waveform(_samples(), lead_changes={"V1": {"LeadAmplitudeUnits": unit}})))
        np.testing.assert_allclose(ds.signal.sel(lead="V1")[0], _samples()["V1"] * 0.00488 * factor, rtol=1e-6)

    def test_units_of_the_caller(self, muse):
        path = muse(_waveform(_samples(), lead_changes={lead: {"LeadAmplitudeUnits": None} for lead in STORED}))
        with pytest.raises(RecordError, match=r"LeadAmplitudeUnits: units: expected a voltage, got 'none'"):
            open_ecg(path)
        np.testing.assert_array_equal(open_ecg(path, units="uV").signal, open_ecg(muse()).signal)
        with pytest.raises(RecordError, match="the caller mV"):
            open_ecg(muse(), units="mV")

    def test_rate_with_exponent(self, muse):
        ds = open_ecg(muse(_waveform(_samples(), SampleBase=25, SampleExponent=1)))
        assert ds.time.attrs["sampling_rate"] == 250

    def test_loose_electrode_is_told(self, muse):
        path = muse(_waveform(_samples(), lead_changes={"V2": {"LeadOff": "TRUE"}}))
        assert open_ecg(path).attrs["leads_off"] == ["V2"]
        assert "leads_off" not in open_ecg(path, leads=["V3"]).attrs

    def test_median_on_request(self, muse):
        path = muse(_waveform(_samples(60), "Median"), _waveform(_samples()))
        assert open_ecg(path, waveform=0).sizes["time"] == 60
        with pytest.raises(RecordError, match="waveform: expected 0 to 1, got 2"):
            open_ecg(path, waveform=2)

    def test_checksum(self, muse):
        path = muse(_waveform(_samples(), lead_changes={"V5": {"LeadDataCRC32": 17}}))
        with pytest.raises(RecordError, match=r"lead V5: LeadDataCRC32: expected \d+, which the samples give, got 17"):
            open_ecg(path)
        np.testing.assert_array_equal(open_ecg(path, checksums="ignore").signal, open_ecg(muse()).signal)
        assert open_ecg(path, leads=["V4"]).sizes["lead"] == 1
        with pytest.raises(ValueError, match="checksums: expected 'error' or 'ignore', got 'no'"):
            open_ecg(path, checksums="no")

    def test_nothing_of_the_patient(self, muse):
        ds = open_ecg(muse())
        said = repr(ds.to_dict(data=False)) + repr(ds.attrs)
        assert not [secret for secret in SECRETS if secret in said]

    @pytest.mark.parametrize(
        ("changes", "lead", "message"),
        [
            ({"kind": "Median"}, {}, "expected one Rhythm waveform, got 0"),
            ({"SampleType": "HUFFMAN"}, {}, "SampleType: expected CONTINUOUS_SAMPLES"),
            ({"SampleBase": None}, {}, "SampleBase: expected a value"),
            ({"SampleBase": "fast"}, {}, "SampleBase: expected a number, got 'fast'"),
            ({"SampleBase": 0}, {}, "sampling rate: expected"),
            ({"SampleExponent": 300}, {}, "SampleExponent: expected a whole number"),
            ({"NumberofLeads": 12}, {}, "NumberofLeads: expected 8 as there is data of, got 12"),
            ({}, {"LeadSampleCountTotal": 10**15}, "LeadSampleCountTotal: expected one for all leads"),
            ({}, {"LeadID": "I"}, "each lead once, got 'I' twice"),
            ({}, {"LeadID": "x" * 90}, "lead 2: lead name: expected 1 to 64"),
            ({}, {"LeadSampleSize": 4}, "lead V1: LeadSampleSize: expected 2 bytes, got '4'"),
            ({}, {"FirstSampleBaseline": 3}, "lead V1: FirstSampleBaseline: expected 0, got '3'"),
            ({}, {"LeadTimeOffset": 1250}, "lead V1: LeadTimeOffset: expected 0, got '1250'"),
            ({}, {"LeadAmplitudeUnitsPerBit": 0}, "LeadAmplitudeUnitsPerBit: expected a number > 0"),
            ({}, {"LeadAmplitudeUnitsPerBit": "1e300"}, "LeadAmplitudeUnitsPerBit: expected a step of 1e-09 to 1e"),
            ({}, {"LeadAmplitudeUnits": "MMHG"}, "expected a voltage, got 'MMHG'"),
            ({}, {"WaveFormData": "AAAA"}, "WaveFormData: expected 800 bytes, got 3"),
            ({}, {"WaveFormData": "AAA"}, "WaveFormData: expected base64"),
            ({}, {"WaveFormData": "A" * 4000}, "expected base64 of at most 800 bytes"),
            ({}, {"WaveFormData": None}, "WaveFormData: expected a value"),
        ],
    )
    def test_refused(self, muse, changes, lead, message):
        with pytest.raises(RecordError, match=message) as caught:
            open_ecg(muse(_waveform(_samples(), lead_changes={"V1": lead}, **changes)))
        assert "rest.xml" in str(caught.value)

    def test_absurd_count_in_all_leads(self, muse):
        lead_changes = {lead: {"LeadSampleCountTotal": 10**15} for lead in STORED}
        with pytest.raises(RecordError, match="LeadSampleCountTotal: expected at most"):
            open_ecg(muse(_waveform(_samples(), lead_changes=lead_changes)))

    def test_two_rhythms(self, muse):
        path = muse(_waveform(_samples()), _waveform(_samples(200)))
        with pytest.raises(RecordError, match=r"expected one Rhythm waveform, got 2.*choose with waveform="):
            open_ecg(path)
        assert open_ecg(path, waveform=1).sizes["time"] == 200

    @pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.97, 0.9999])
    def test_truncated(self, muse, share):
        path = muse()
        data = path.read_bytes()
        path.write_bytes(data[: int(len(data) * share)])
        with pytest.raises(RecordError, match=r"rest\.xml"):
            open_ecg(path)


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(changes=damage)
def test_hostile_bytes(tmp_path_factory, changes):
    path = Path(tmp_path_factory.getbasetemp()) / "muse-fuzz.xml"
    valid = _document(_waveform(_samples(20, ("I", "II", "V1"))))
    path.write_bytes(damaged(valid.encode("latin-1"), changes))
    opens_or_refuses(path)


@pytest.mark.real_data
def test_real_file(shared_data):
    from ecgdatakit.parsing.parsers.ge_muse_xml import GEMuseXMLParser

    path = shared_data / "formats/muse_xml/introecg_MUSE_example.xml"
    ds = open_ecg(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = {lead.label: lead for lead in GEMuseXMLParser().parse(path).leads}
    assert set(found) >= set(STORED)
    for lead in STORED:
        expected = np.asarray(found[lead].samples) * found[lead].resolution / 1000
        assert found[lead].resolution_unit in ("uV", "µV")
        np.testing.assert_allclose(ds.signal.sel(lead=lead)[0], expected, atol=1e-6)
    assert (dict(ds.sizes), ds.time.attrs["sampling_rate"]) == ({"record": 1, "lead": 12, "time": 5000}, 500)
    limb = {lead: ds.signal.sel(lead=lead)[0].values for lead in LEADS[:6]}
    np.testing.assert_allclose(limb["II"], limb["I"] + limb["III"], atol=1e-6)  # Einthoven
    np.testing.assert_allclose(limb["aVR"] + limb["aVL"] + limb["aVF"], 0, atol=1e-6)  # Goldberger
    assert ds.attrs["filters"] == "high-pass 0.16 Hz, low-pass 150 Hz"
    said = repr(ds.to_dict(data=False))
    for name in ("PatientFirstName", "SiteName", "OrderingMDLastName", "PatientID", "DateofBirth", "AcquisitionDate"):
        assert re.search(f"<{name}>(.*?)<", path.read_text("latin-1"))[1] not in said.replace(path.stem, "")
