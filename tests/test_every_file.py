"""Every file of `../shared/data/formats` opens with the values of an independent reader, or raises what is documented.

A file that is in no list here fails the first test: nothing is passed over.
"""

from __future__ import annotations

import warnings

import h5py
import numpy as np
import pydicom
import pyedflib
import pytest
import wfdb
from scipy.signal import resample_poly

from ecg_widget.leads import canonical_lead
from ecg_widget.records import LEADS, RecordError, open_ecg

pytestmark = pytest.mark.real_data


def by_wfdb(path):
    record = wfdb.rdrecord(str(path.with_suffix("")))
    return dict(zip(record.sig_name, record.p_signal.T, strict=True)), record.fs


def by_pyedflib(path):
    with pyedflib.EdfReader(str(path)) as reader:
        labels = reader.getSignalLabels()
        signals = {label.removeprefix("ECG "): reader.readSignal(i) for i, label in enumerate(labels)}
        assert {reader.getPhysicalDimension(i) for i in range(len(labels))} == {"mV"}
        return signals, reader.getSampleFrequency(0)


def by_pydicom(path):
    ds = pydicom.dcmread(path)
    item = ds.WaveformSequence[0]
    names = [c.ChannelSourceSequence[0].CodeMeaning for c in item.ChannelDefinitionSequence]
    return dict(zip(names, ds.waveform_array(0).T / 1000, strict=True)), item.SamplingFrequency  # stored in uV


def by_ecgdatakit(module, name):
    def read(path):
        import importlib

        parser = getattr(importlib.import_module(f"ecgdatakit.parsing.parsers.{module}"), name)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = parser().parse(path)
        volts = {}
        for lead in found.leads:
            scale = {"uV": 1e-3, "\u00b5V": 1e-3, "mV": 1.0, "nV": 1e-6}[lead.resolution_unit]
            volts[lead.label] = np.asarray(lead.samples) * lead.resolution * scale
        return volts, found.leads[0].sampling_rate

    return read


def by_sierraecg(path):
    import sierraecg

    found = sierraecg.read_file(str(path))
    return {lead.label: lead.samples * 0.005 for lead in found.leads}, 500  # both files state 5 uV a step


def by_loadtxt(path):
    names = path.read_text().partition("\n")[0].split(",")
    values = np.loadtxt(path, delimiter=",", skiprows=1)
    assert names[0] == "time_s"
    return dict(zip(names[1:], values.T[1:], strict=True)), 1 / np.median(np.diff(values[:, 0]))


CHECKS = {  # by folder or file: options, reader, and leads that are not read or not compared, with the reason
    "wfdb/mitdb100_60s.dat": ({}, by_wfdb),
    "wfdb/ptb_s0010_10s.dat": ({}, by_wfdb),
    "mat/a103l.mat": ({"leads": ["II", "V"]}, by_wfdb),  # the third is a pulse wave without a voltage
    "edf/ptbxl_00001_edfplus.edf": ({}, by_pyedflib),
    "dicom/pydicom_waveform_ecg.dcm": ({}, by_pydicom),
    "hl7_aecg/fda_Example_aECG.xml": ({}, by_ecgdatakit("hl7_aecg", "HL7aECGParser")),
    "muse_xml/introecg_MUSE_example.xml": ({}, by_ecgdatakit("ge_muse_xml", "GEMuseXMLParser")),
    "sierra_xml/129DYPRG_v1_03.xml": ({"calibration": "keep"}, by_sierraecg),
    "sierra_xml/demo_v1_04.xml": ({"calibration": "keep"}, by_sierraecg),
    "scp/ecgtoolkit_Example.scp": ({}, by_ecgdatakit("scp_ecg", "SCPECGParser")),
    "ishne/ptbxl_00001_ishne.ecg": ({}, by_ecgdatakit("ishne_holter", "ISHNEHolterParser")),
    "csv/ptbxl_00001_500hz.csv": ({"units": "mV"}, by_loadtxt),
    **{f"cinc2021/cpsc/A{i:04d}.mat": ({}, by_wfdb) for i in range(1, 11)},
}
REFUSED = {
    "edf/wfdb_test_edfann.edf": "channels: expected at least one with samples, got annotations only",
    "cinc2021/scored_diagnoses_2021.csv": "expected content of one of",  # a table of diagnoses
    "wfdb/mitdb100_60s.atr": "expected content of one of",  # belongs to the record beside it
}
ELSEWHERE = {"hdf5/ptbxl_code15_layout.hdf5"}  # below: the same signal as its WFDB record


def test_every_file_is_in_a_list(shared_data):
    formats = shared_data / "formats"
    here = {str(p.relative_to(formats)) for p in formats.rglob("*") if p.is_file() and p.suffix != ".hea"}
    assert here == {*CHECKS, *REFUSED, *ELSEWHERE}


@pytest.mark.parametrize("name", list(CHECKS))
def test_values_are_those_of_another_reader(shared_data, name):
    options, reader = CHECKS[name]
    path = shared_data / "formats" / name
    ds = open_ecg(path, **options)
    signals, rate = reader(path)
    assert ds.time.attrs["sampling_rate"] == pytest.approx(rate)
    theirs = {canonical_lead(label): values for label, values in signals.items()}
    derived = set(ds.attrs.get("derived_leads", []))
    compared = [lead for lead in ds.lead.values.tolist() if lead not in derived - set(theirs)]
    assert len(compared) >= min(len(theirs), 2)
    if "leads" not in options:
        assert set(theirs) <= set(compared)
    for lead in compared:
        values = np.asarray(theirs[lead], float)
        assert ds.sizes["time"] == len(values)
        np.testing.assert_allclose(ds.signal.sel(lead=lead).values[0], values, rtol=2e-6, atol=2e-6, err_msg=lead)
    if "adc_step" in ds and name != "csv/ptbxl_00001_500hz.csv":  # samples are whole steps
        steps = ds.adc_step.values[0]
        assert np.isfinite(steps).any()
        assert (steps[np.isfinite(steps)] > 0).all()
    assert ds.attrs["filters"] is not None


@pytest.mark.parametrize(("name", "message"), list(REFUSED.items()))
def test_what_is_no_recording_is_refused(shared_data, name, message):
    with pytest.raises(RecordError, match=message) as caught:
        open_ecg(shared_data / "formats" / name)
    assert name.rpartition("/")[2] in str(caught.value)


def test_one_recording_in_five_formats(shared_data, tmp_path):
    """PTB-XL's record 1 at 500 Hz; EDF+, ISHNE and CSV are beside the project, WFDB and HDF5 are written by libraries."""
    formats = shared_data / "formats"
    table, _ = by_loadtxt(formats / "csv/ptbxl_00001_500hz.csv")
    digital = np.stack([np.round(table[lead] * 1000) for lead in table]).astype(np.int64)  # uV
    wfdb.wrsamp("w", 500, ["mV"] * 12, list(table), d_signal=digital.T, fmt=["16"] * 12, adc_gain=[1000.0] * 12,
                baseline=[0] * 12, write_dir=str(tmp_path))  # fmt: skip
    with h5py.File(tmp_path / "h.h5", "w") as file:
        said = {"sampling_rate": 500, "units": "uV", "leads": list(table)}
        file.create_dataset("ecg", data=digital.astype(np.int16).T).attrs.update(said)
    opened = {
        "CSV": open_ecg(formats / "csv/ptbxl_00001_500hz.csv", units="mV"),
        "EDF": open_ecg(formats / "edf/ptbxl_00001_edfplus.edf"),
        "ISHNE": open_ecg(formats / "ishne/ptbxl_00001_ishne.ecg"),
        "WFDB": open_ecg(tmp_path / "w"),
        "HDF5": open_ecg(tmp_path / "h.h5"),
    }
    steps = {name: float(ds.adc_step.max()) if "adc_step" in ds else 0.001 for name, ds in opened.items()}
    for name, ds in opened.items():
        assert ds.lead.values.tolist() == list(LEADS)
        assert ds.signal.shape == (1, 12, 5000)
        for other, there in opened.items():
            apart = float(np.abs(ds.signal.values - there.signal.values).max())
            assert apart <= max(steps[name], steps[other]) + 1e-6, (name, other, apart)


def test_the_hdf5_layout_holds_the_wfdb_record(shared_data):
    """Exam 30 is PTB-XL's record 30, brought from 500 to 400 Hz with SciPy's polyphase filter and padded with zeros."""
    path = shared_data / "formats/hdf5/ptbxl_code15_layout.hdf5"
    exam = open_ecg(path, units="mV").signal.sel(record="30").values
    record = open_ecg(shared_data / "ptbxl/records500/00000/00030_hr").signal.values[0]
    np.testing.assert_allclose(exam[:, 48:4048], resample_poly(record.astype(float), 4, 5, axis=1), atol=1e-6)
    assert not exam[:, :48].any()
    assert not exam[:, 4048:].any()
    with h5py.File(path) as file:  # every exam is as it lies there
        np.testing.assert_array_equal(open_ecg(path, units="mV").signal.values, file["tracings"][()].transpose(0, 2, 1))
