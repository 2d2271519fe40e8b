"""No format lets a name, a birth date, an identifier, a place or free text out of its file unless it is asked for.

One file of each format is made with a text of its own in every field that may tell of a person; each is first found in
the file's bytes, then in nothing that the package makes of it.
"""

from __future__ import annotations

import csv
import datetime as dt
import pickle

import edfio
import h5py
import numpy as np
import pydicom
import pytest
import wfdb
import xarray as xr
from binary_files import ishne, scp
from code15_folder import write as code15_folder
from pydicom.data import get_testdata_file
from test_aecg import _annotations, _series, _twelve
from test_aecg import _document as aecg_document
from test_ludb import write as ludb_folder
from test_muse import _document as muse_document
from test_muse import _samples as muse_samples
from test_muse import _waveform
from test_sierra import _document as sierra_document
from xml_lab import SECRETS

import ecg_widget as ecg
from ecg_widget.formats import readers
from ecg_widget.privacy import is_personal
from ecg_widget.records import LEADS, from_arrays, open_ecg
from ecg_widget.writing import write_dataset

NAMES = ("Quislingovic", "Vidkunette", "PAT-4711", "Lazarettia", "hiccuped-at-noon", "DrStrangelove")
DAY = dt.date(1911, 11, 23)  # no ECG's own
DAYS = ("1911-11-23", "19111123", "23-NOV-1911", "23.11.11", "23/11/1911")
RNG = np.random.default_rng(5)


def volts(n=1000):
    t = np.arange(n) / 500
    return 0.2 * np.sin(2 * np.pi * (1 + np.arange(12)[:, None] / 7) * t) + RNG.normal(0, 0.01, (12, n))


def make_wfdb(folder):
    comments = [f"Age: 93 {NAMES[0]}", f"Dx: {NAMES[4]}", f"Site {NAMES[3]}"]
    wfdb.wrsamp("r", 500, ["mV"] * 12, list(LEADS), volts().T, fmt=["16"] * 12, comments=comments,
                base_date=DAY, base_time=dt.time(12, 34, 56), write_dir=str(folder))  # fmt: skip
    wfdb.wrann("r", "atr", np.array([10, 300]), ["+", "N"], aux_note=[NAMES[5], ""], fs=500, write_dir=str(folder))
    return folder / "r.hea"


def make_edf(folder, kind=edfio.Edf, signal=edfio.EdfSignal, name="r.edf"):
    signals = [signal(x, 500, label=f"ECG {lead}", physical_dimension="mV", physical_range=(-4, 4.5),
                      transducer_type=NAMES[3], prefiltering=f"HP:0.1Hz {NAMES[5]}"[:60])
               for x, lead in zip(volts(), LEADS, strict=True)]  # fmt: skip
    notes = [edfio.EdfAnnotation(0.5, None, NAMES[4])] if kind is edfio.Edf else []
    kind(signals, patient=edfio.Patient(code=NAMES[2], sex="F", birthdate=DAY, name=NAMES[0], additional=[NAMES[1]]),
         recording=edfio.Recording(startdate=dt.date(1986, 11, 23), hospital_administration_code=NAMES[3],
                                   investigator_technician_code=NAMES[5], equipment_code="serial-PAT-4711"),
         **({"annotations": notes} if notes else {})).write(folder / name)  # fmt: skip
    return folder / name


def make_dicom(folder):
    ds = pydicom.dcmread(get_testdata_file("waveform_ecg.dcm", download=False))
    ds.PatientName, ds.PatientID, ds.PatientBirthDate = f"{NAMES[0]}^{NAMES[1]}", NAMES[2], "19111123"
    ds.InstitutionName, ds.PatientComments, ds.OperatorsName = NAMES[3], NAMES[4], NAMES[5]
    ds.StudyDate = ds.ContentDate = "19111123"
    ds.AcquisitionDateTime, ds.DeviceSerialNumber, ds.StudyDescription = "19111123101112", NAMES[2], NAMES[4]
    ds.PatientAge, ds.PatientSex, ds.AccessionNumber, ds.StationName = "093Y", "F", NAMES[2], NAMES[3]
    ds.WaveformSequence[0].MultiplexGroupLabel = NAMES[4]
    ds.save_as(folder / "r.dcm")
    return folder / "r.dcm"


def make_xml(text, encoding="utf-8"):
    def make(folder):
        (folder / "r.xml").write_text(text(), encoding=encoding)
        return folder / "r.xml"

    return make


def make_ishne(folder):
    digital = (volts() * 400).astype(np.int16)
    (folder / "r.ecg").write_bytes(ishne(digital, rate=500, text=" ".join([*NAMES, *DAYS]).encode()))
    return folder / "r.ecg"


def make_scp(folder):
    (folder / "r.scp").write_bytes(scp([(x * 400).astype(int) for x in volts()]))
    return folder / "r.scp"


def make_csv(folder):
    rows = np.column_stack([np.arange(1000) / 500, volts().T])
    head = ",".join(["time_s", *(f"{lead} (mV)" for lead in LEADS)])
    np.savetxt(folder / "r.csv", rows, "%.5f", ",", header=head, comments="")
    return folder / "r.csv"  # a table has no place for names


def make_npz(folder):
    np.savez(folder / "r.npz", signal=volts(), sampling_rate=500.0, units="mV", leads=list(LEADS),
             patient_name=NAMES[0], birth_date=DAYS[0], comment=NAMES[4])  # fmt: skip
    return folder / "r.npz"


def told():
    return {"patient_name": NAMES[0], "PatientID": NAMES[2], "institution": NAMES[3], "history": NAMES[4],
            "operator": NAMES[5], "birth_date": DAYS[0], "acquisition_date": DAYS[1]}  # fmt: skip


def make_hdf5(folder):
    with h5py.File(folder / "r.h5", "w") as file:
        file.attrs.update(told())
        group = file.create_group("study")
        group.attrs.update(told())
        group["name"] = NAMES[1]
        group.create_dataset("ecg", data=volts()).attrs.update(
            sampling_rate=500, units="mV", leads=list(LEADS), DIMENSION_NOTE=NAMES[4], **told()
        )
    return folder / "r.h5"


def stranger():
    ds = from_arrays(volts(), sampling_rate=500, leads=LEADS, units="mV", attrs=told())
    ds = ds.assign(subject_name=("record", [NAMES[1]]), age_years=("record", [93]))
    ds.signal.attrs["comment"] = NAMES[4]
    return ds


def make_netcdf(folder):
    stranger().to_netcdf(folder / "r.nc", engine="netcdf4")
    return folder / "r.nc"


def make_zarr(folder):
    stranger().to_zarr(folder / "r.zarr", consolidated=False)
    return folder / "r.zarr"


def make_ptbxl(folder):
    from ptbxl_folder import write

    write(folder)
    for name in ("ptbxl_database.csv",):
        with (folder / name).open(newline="") as stream:
            head, *rows = csv.reader(stream)
        more = ["age", "report", "nurse", "site", "device", "recording_date"]
        values = ["93", NAMES[4], NAMES[5], NAMES[3], "serial-PAT-4711", DAYS[0]]
        with (folder / name).open("w", newline="") as stream:
            csv.writer(stream).writerows([[*head, *more], *([*row, *values] for row in rows)])
    for header in folder.rglob("*.hea"):
        header.write_text(header.read_text() + f"# {NAMES[0]} {DAYS[0]}\n")
    return folder


def make_ludb(folder):
    ludb_folder(folder, records=("1",))
    (folder / "ludb.csv").write_text(f'ID,Sex,Age,Rhythms,Electric axis\n1,"F\n","93\n",{NAMES[4]},{NAMES[3]}\n')
    header = folder / "data/1.hea"
    header.write_text(header.read_text() + f"#<age>: 93 {NAMES[0]} {DAYS[0]}\n")
    return folder


def make_code15(folder):
    code15_folder(folder, n=4, n_files=1)
    with (folder / "exams.csv").open(newline="") as stream:
        head, *rows = csv.reader(stream)
    with (folder / "exams.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows(
            [[*head, "name", "clinic", "day"], *([*r, NAMES[0], NAMES[3], DAYS[0]] for r in rows)]
        )
    with h5py.File(folder / "exams_part0.hdf5", "a") as file:
        file.attrs.update(told())
        file["tracings"].attrs.update(told())
    return folder


def make_catalogue(folder):
    make_wfdb(folder)
    head = ["path", "fold", "label:MI", "name", "born", "hospital", "note"]
    with (folder / "all.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([head, ["r.hea", 1, 0, NAMES[0], DAYS[0], NAMES[3], NAMES[4]]])
    return folder / "all.csv"


def make_aecg_text():
    text = aecg_document(_series(_twelve(), _annotations()))
    author = (f"<author><seriesAuthor><id extension='{NAMES[2]}'/><manufacturedSeriesDevice><id extension='{NAMES[2]}'/>"
              f"<manufacturerModelName>Model 5</manufacturerModelName></manufacturedSeriesDevice><assignedPerson><name>"
              f"{NAMES[5]}</name></assignedPerson></seriesAuthor></author>")  # fmt: skip
    return text.replace('<component><series><code code="RHYTHM"/>', f'<component><series><code code="RHYTHM"/>{author}')


FILES = {  # what is made, which of the texts it holds, and the options that keep some of them
    "WFDB": (make_wfdb, (NAMES[0], NAMES[3], NAMES[4], NAMES[5]), {"comments": True}),
    "EDF": (make_edf, (*NAMES, "23-NOV-1911"), {"texts": True}),
    "BDF": (lambda f: make_edf(f, edfio.Bdf, edfio.BdfSignal, "r.bdf"), (NAMES[0], NAMES[3]), {}),
    "DICOM": (make_dicom, (*NAMES, "19111123", "093Y"), {}),
    "HL7 aECG": (make_xml(make_aecg_text), (*SECRETS, NAMES[2], NAMES[5]), {}),
    "GE MUSE XML": (make_xml(lambda: muse_document(_waveform(muse_samples())), "latin-1"), SECRETS, {}),
    "Philips Sierra XML": (make_xml(sierra_document, "utf-16"), SECRETS, {}),
    "ISHNE": (make_ishne, (*NAMES, *DAYS, "Secretfirst", "Secretlast", "Secretid", "Secretdevice", "Secretowner"), {}),
    "SCP-ECG": (make_scp, ("Clark", "SBJ-123"), {}),
    "CSV": (make_csv, (), {}),
    "NumPy": (make_npz, (NAMES[0], DAYS[0], NAMES[4]), {}),
    "HDF5": (make_hdf5, (*NAMES, DAYS[0]), {}),
    "netCDF": (make_netcdf, (*NAMES, DAYS[0], DAYS[1]), {"personal": True}),
    "zarr": (make_zarr, (NAMES[0], *NAMES[2:], DAYS[0], DAYS[1]), {"personal": True}),
    "PTB-XL": (make_ptbxl, (NAMES[0], *NAMES[3:], DAYS[0]), {}),
    "LUDB": (make_ludb, (NAMES[0], NAMES[3], NAMES[4], DAYS[0]), {}),
    "catalogue": (make_catalogue, (NAMES[0], NAMES[3], NAMES[4], NAMES[5], DAYS[0]), {}),
    "CODE-15": (make_code15, (NAMES[0], NAMES[3], DAYS[0]), {}),
}


def forms(text):
    """The text as bytes of any encoding that a file may use."""
    return [text.encode(encoding) for encoding in ("utf-8", "utf-16-le", "utf-32-le")]


def found(texts, data):
    return [text for text in texts if any(form in data for form in forms(text))]


def everything(ds, tmp_path):
    """All that a Dataset holds, as bytes: what is printed, pickled, and written to netCDF."""
    ds = ds.load()
    path = write_dataset(tmp_path / "out.nc", ds)
    written = path.read_bytes()
    path.unlink()
    said = repr(ds) + str(ds.attrs) + str(ds.to_dict()) + "".join(str(v.attrs) for v in ds.variables.values())
    return said.encode() + pickle.dumps(ds) + written


def test_every_reader_is_here():
    assert {reader.NAME for reader in readers()} == set(FILES) - {"BDF"}


@pytest.mark.parametrize("name", list(FILES))
def test_nothing_leaves_the_file(name, tmp_path):
    make, texts, _ = FILES[name]
    folder = tmp_path / "in"
    folder.mkdir()
    path = make(folder)
    stored = b"".join(
        p.read_bytes() for p in ([path] if path.is_file() else []) + sorted(folder.rglob("*")) if p.is_file()
    )
    assert sorted(found(texts, stored)) == sorted(texts), "the file must hold what is looked for"
    ds = open_ecg(path)
    assert ds.attrs["format"] == name or name == "EDF"
    data = everything(ds, tmp_path)
    assert found([*texts, *NAMES, *SECRETS[:6], *DAYS, "serial-PAT", "Secret"], data) == []
    assert not [v for v in ds.variables.values() if v.dtype.kind in "mM"]
    assert float(ds.time[0]) == 0  # times count from the start
    assert not {"comments", "annotation_text"} & set(ds.attrs)


@pytest.mark.parametrize("name", [name for name, (_, _, options) in FILES.items() if options])
def test_what_is_asked_for_is_kept_and_not_exported(name, tmp_path):
    make, texts, options = FILES[name]
    folder = tmp_path / "in"
    folder.mkdir()
    ds = open_ecg(make(folder), **options)
    kept = found(texts, (repr(ds) + str(ds.attrs)).encode())
    assert kept, "the option must keep something"
    if "personal" in options:
        return  # what a user keeps under names of their own is written as it is
    for suffix in ("nc", "zarr"):
        path = write_dataset(tmp_path / f"out.{suffix}", ds)
        data = b"".join(p.read_bytes() for p in [path, *path.rglob("*")] if p.is_file())
        assert found(kept, data) == []
    path = write_dataset(tmp_path / "all.nc", ds, free_text=True)
    with h5py.File(path) as file:
        assert found(kept, str(dict(file.attrs)).encode())
    assert not found(kept, str(open_ecg(path).attrs).encode())
    assert "comments" in open_ecg(path).attrs.get("left_out", []) or name != "WFDB"
    assert found(kept, str(open_ecg(path, personal=True).attrs).encode())


def test_times_of_notes_are_relative(tmp_path):
    ds = open_ecg(make_edf(tmp_path), texts=True)
    assert ds.attrs["annotation_onset"] == [0.5]


@pytest.mark.parametrize(("name", "leads"), [("WFDB", None), ("DICOM", None), ("netCDF", None)])
def test_an_exported_page_tells_nobody(name, leads, tmp_path):
    make, texts, options = FILES[name]
    ds = open_ecg(make(tmp_path), leads=leads, **options).isel(time=slice(0, 1000))
    ds = ds.assign_coords(record=[NAMES[0]], patient=("record", [NAMES[2]]))
    if name == "DICOM":
        ds = ds.assign_attrs(source=f"{NAMES[3]}.dcm")
    w = ecg.explore(ecg.load_network(), ds)
    w.to_html(tmp_path / "page.html", n_clusters=[2, 3], layers=[w.layers])
    page = (tmp_path / "page.html").read_bytes()
    w.close()
    assert len(page) > 100_000
    assert found([*texts, *NAMES, *DAYS], page) == []


def test_our_own_names_are_not_personal(tmp_path):
    ours = ["source", "format", "reader", "filters", "quality", "device", "kind", "version", "calibration", "dataset",
            "derived_leads", "derivations", "missing", "unlisted", "stored_units", "other_channels", "leads_off", "gaps",
            "gap_rounding", "sequence_sets", "compression", "units", "sampling_rate", "flag_values", "flag_meanings",
            "flag_symbols", "long_name", "axis", "cf_role", "Conventions", "signal", "wave", "beat", "beat_time",
            "beat_known", "wave_known", "adc_step", "label", "target", "left_out"]  # fmt: skip
    assert not [name for name in ours if is_personal(name)]
    assert all(is_personal(name) for name in told())
    for ds in (ecg.simulate(1), ecg.load_example()):
        back = open_ecg(write_dataset(tmp_path / "a.nc", ds))
        assert "left_out" not in back.attrs
        assert set(ds.variables) == set(back.variables)
        assert set(ds.attrs) <= set(back.attrs)


def test_what_is_left_out_is_named(tmp_path):
    ds = open_ecg(make_netcdf(tmp_path))
    assert ds.attrs["left_out"] == sorted([*told(), "subject_name", "age_years", "signal.comment"])
    kept = open_ecg(tmp_path / "r.nc", personal=True)
    assert kept.attrs["institution"] == NAMES[3]
    assert kept.subject_name.values.tolist() == [NAMES[1]]
    xr.testing.assert_equal(kept.signal, ds.signal)
