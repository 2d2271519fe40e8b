"""Print README's table of formats: ``python tests/formats_table.py``.

Readers and versions are those that opened a file of each format just now, under a name that tells nothing; the checks
are tests that exist. `test_formats_table.py` holds README to it.
"""

from __future__ import annotations

import re
import tempfile
import tomllib
from pathlib import Path

from test_privacy import FILES

from ecg_widget.formats import readers
from ecg_widget.records import open_ecg

BEGIN, END = "<!-- formats: begin (python tests/formats_table.py prints it) -->", "<!-- formats: end -->"
ROWS = {  # name: what users call it, what it is found by, what was checked, and the tests that did
    "WFDB": (
        "WFDB: formats 8 to 524, several rates, segments, challenge `.mat`, beats and waves of annotations",
        "the header's grammar",
        "wfdb: 13 files, and the annotations of LUDB; packing by hand; segments; hostile headers",
        ("test_every_file.py::test_values_are_those_of_another_reader", "test_wfdb.py::TestSegments",
         "test_wfdb_annotations.py::test_files_as_the_library_reads_them", "test_wfdb.py::TestHostileHeaders"),
    ),
    "EDF": (
        "EDF, EDF+, also with gaps",
        "version, header size",
        "pyedflib; files of two writers; damaged files",
        ("test_every_file.py::test_values_are_those_of_another_reader", "test_edf.py::TestSharedFiles"),
    ),
    "BDF": ("BDF, BDF+", "version, header size", "pyedflib, which wrote and read them", ("test_edf.py::TestEDF",)),
    "DICOM": (
        "DICOM 12-lead, General, Ambulatory; waves of annotations",
        "`DICM` at byte 128",
        "pydicom; damaged files",
        ("test_every_file.py::test_values_are_those_of_another_reader", "test_dicom.py::TestDICOM"),
    ),
    "HL7 aECG": (
        "HL7 aECG, with waves",
        "root element",
        "ecgdatakit; leads in groups; damaged and hostile files",
        ("test_every_file.py::test_values_are_those_of_another_reader", "test_aecg.py::TestSamples"),
    ),
    "GE MUSE XML": (
        "GE MUSE XML; four leads computed and named so",
        "root element",
        "ecgdatakit; CRC-32; damaged files",
        ("test_every_file.py::test_values_are_those_of_another_reader", "test_muse.py::TestMuse"),
    ),
    "Philips Sierra XML": (
        "Philips Sierra XML 1.03 to 1.04.02, with XLI",
        "root element",
        "sierraecg, ecgdatakit; the calibration pulse",
        ("test_every_file.py::test_values_are_those_of_another_reader", "test_sierra.py::TestSierra"),
    ),
    "ISHNE": (
        "ISHNE 1.0",
        "`ISHNE1.0`",
        "ecgdatakit; checksum; unknown lead codes refused; damaged files",
        ("test_every_file.py::test_values_are_those_of_another_reader", "test_ishne.py::test_shared_file"),
    ),
    "SCP-ECG": (
        "SCP-ECG 1.x, 2.x",
        "section 0",
        "ecgdatakit; bimodal compression against our own encoder only; damaged files",
        ("test_every_file.py::test_values_are_those_of_another_reader", "test_scp.py::TestSCP"),
    ),
    "CSV": (
        "CSV: a column a lead",
        "leads in the first row",
        "`numpy.loadtxt`; unit and rate stated or refused",
        ("test_every_file.py::test_values_are_those_of_another_reader",),
    ),
    "NumPy": (
        "`.npy`, `.npz`, no pickle",
        "magic, names in the archive",
        "what NumPy wrote reads back equal; unit, rate and leads stated or refused",
        ("test_tables.py::test_numpy_archives_and_arrays",),
    ),
    "HDF5": (
        "HDF5 of any layout, MATLAB 7.3: one dataset",
        "signature",
        "what h5py wrote reads back equal; unit, rate, leads and dimensions from attributes, or stated, or refused",
        ("test_hdf5_file.py::test_nothing_is_guessed", "test_every_file.py::test_one_recording_in_five_formats"),
    ),
    "netCDF": (
        "netCDF 4 of the contract",
        "its names",
        "what `write_dataset` wrote reads back equal",
        ("test_writing.py::test_a_recording_reads_back_equal",),
    ),
    "zarr": (
        "zarr 2 and 3 of the contract",
        "its metadata",
        "what `write_dataset` wrote reads back equal",
        ("test_writing.py::test_a_recording_reads_back_equal",),
    ),
    "PTB-XL": (
        "PTB-XL, its folder: labels, folds, patients",
        "its two tables",
        "wfdb; labels, folds and patients",
        ("test_formats.py::TestRealFiles", "test_ptbxl.py"),
    ),
    "LUDB": (
        "LUDB, its folder: waves of each lead",
        "its two lists",
        "wfdb; waves and what is unknown of them",
        ("test_formats.py::TestRealFiles", "test_ludb.py::test_unknown_is_apart_from_none"),
    ),
    "CODE-15": (
        "CODE-15 %, its folder or a file: labels, ages, folds, patients",
        "`exams.csv`, names in the file",
        "PTB-XL's WFDB in this layout; padding masked; the unit held against what hearts give",
        ("test_every_file.py::test_the_hdf5_layout_holds_the_wfdb_record", "test_code15.py::test_padding_is_masked"),
    ),
    "catalogue": (
        "a catalogue (CSV), any folder",
        "a column `path`",
        "wfdb; reads are counted; links, lengths, damaged records and tables",
        ("test_many.py::TestCatalogue", "test_many.py::TestFolder", "test_many.py::TestRagged"),
    ),
}  # fmt: skip


def opened(name: str, folder: Path) -> str:
    """The reader of a file of this format, whose name tells nothing where a format allows that."""
    path = FILES[name][0](folder)
    if path.is_file() and name not in ("WFDB", "catalogue"):  # these name files beside them
        path = path.rename(folder / "recording")
    ds = open_ecg(path)
    assert ds.attrs["format"] in (name, "EDF+C", "EDF", "BDF"), (name, ds.attrs["format"])
    return str(ds.attrs["reader"])


def extra(library: str) -> str:
    """Which extra of the package brings a library, "" for none."""
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for name, needs in project["optional-dependencies"].items():
        if name not in ("dev", "all") and any(re.match(rf"{library}\b", need, re.IGNORECASE) for need in needs):
            return name
    return ""


def table() -> str:
    """Between its marks."""
    lines = [BEGIN, "| format | found by | read with | checked against |", "|---|---|---|---|"]
    known = {reader.NAME: reader for reader in readers()}
    for name, (label, found_by, checked, _) in ROWS.items():
        with tempfile.TemporaryDirectory() as folder:
            said = opened(name, Path(folder))
        library = (
            "defusedxml" if "XML" in label or "aECG" in label else {"xarray": "netCDF4"}.get(*[said.split()[0]] * 2)
        )
        cell = ("own, defusedxml" if library == "defusedxml" else "own") if said.startswith("ecg_widget ") else said
        cell += f" (extra `{extra(library)}`)" if extra(library) else ""
        reader = known.get(name, known["EDF"])
        cell += "; in pieces" if "lazy" in (reader.read.__kwdefaults__ or {}) else ""
        lines.append(f"| {label} | {found_by} | {cell} | {checked} |")
    return "\n".join([*lines, END])


if __name__ == "__main__":
    print(table())
