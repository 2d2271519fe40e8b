"""Small valid recordings of every format, from which the damaged ones are made."""

from __future__ import annotations

import io
import tempfile
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

SHARED = Path(__file__).resolve().parents[2] / ".." / "shared" / "data" / "formats"
LARGEST = 400_000  # bytes of a shared file: larger ones make every case slow and hide damage among samples


@dataclass(frozen=True)
class Seed:
    """Files below one folder, the one to open, and options with which it may be opened, too."""

    name: str
    files: dict[str, bytes]
    target: str
    options: tuple[dict[str, Any], ...] = field(default=({},))


def _take(name: str, folder: Path, target: str, *options: dict[str, Any]) -> Seed:
    files = {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}
    return Seed(name, files, target, ({}, *options))


def _one(name: str, data: bytes, *options: dict[str, Any]) -> Seed:
    return Seed(name, {name: data}, name, ({}, *options))


def _wfdb(folder: Path) -> list[Seed]:
    import wfdb

    from ecg_widget.leads import LEADS

    out = []
    rng = np.random.default_rng(0)
    for form in ("8", "16", "24", "32", "80", "160", "212", "310", "311", "516"):
        here = folder / f"f{form}"
        here.mkdir()
        values = rng.integers(-20, 20, (120, 3)).cumsum(axis=0)
        values = np.clip(values, -100, 100)
        if form == "8":  # the library writes none: differences, one byte each
            (here / "r.dat").write_bytes(np.diff(values, axis=0, prepend=0).astype(np.int8).tobytes())
            lines = [f"r.dat 8 200(0)/mV 12 0 0 0 0 {lead}" for lead in LEADS[:3]]
            (here / "r.hea").write_text("\n".join(["r 3 250 120", *lines]) + "\n")
        elif form in ("160", "212", "310", "311"):  # nor these: any bytes are samples
            (here / "r.dat").write_bytes(bytes(rng.integers(0, 256, 960, dtype=np.uint8)))
            lines = [f"r.dat {form} 200(0)/mV 10 0 0 0 0 {lead}" for lead in LEADS[:3]]
            (here / "r.hea").write_text("\n".join(["r 3 250 120", *lines]) + "\n")
        else:
            wfdb.wrsamp("r", 250, ["mV"] * 3, list(LEADS[:3]), d_signal=values, fmt=[form] * 3,
                        adc_gain=[200.0] * 3, baseline=[0] * 3, write_dir=str(here))  # fmt: skip
        options: dict[str, Any] = {"gain": 200.0, "units": "mV", "comments": True}
        if form == "16":
            marks = np.arange(5, 115, 10)
            wfdb.wrann("r", "atr", marks, ["N", "V", "(", "p", ")", "+", "N", "(", "t", ")", "N"], fs=250,
                       aux_note=["", "", "", "", "", "(AFIB", "", "", "", "", ""], write_dir=str(here))  # fmt: skip
            options["annotations"] = "atr"
        out.append(_take(f"wfdb {form}", here, "r", options))
    here = folder / "segments"
    here.mkdir()
    for i in range(2):
        wfdb.wrsamp(f"s{i}", 250, ["mV"], ["II"], d_signal=rng.integers(-99, 99, (60, 1)), fmt=["16"],
                    adc_gain=[200.0], baseline=[0], write_dir=str(here))  # fmt: skip
    (here / "m.hea").write_text("m/3 1 250 150\ns0 60\n~ 30\ns1 60\n")
    out.append(_take("wfdb segments", here, "m"))
    return out


def _edf(folder: Path) -> list[Seed]:
    import edfio

    rng = np.random.default_rng(0)
    out = []
    for name, kind, signal in (("a.edf", edfio.Edf, edfio.EdfSignal), ("a.bdf", edfio.Bdf, edfio.BdfSignal)):
        signals = [
            signal(rng.normal(0, 0.5, 400), 100, label=label, physical_dimension="mV", physical_range=(-5, 5))
            for label in ("ECG I", "ECG II", "V1")
        ]
        file = kind(signals, annotations=[edfio.EdfAnnotation(1.0, 0.5, "note")])
        file.write(folder / name)
        out.append(_one(name, (folder / name).read_bytes(), {"texts": True}))
    return out


def _dicom(folder: Path) -> list[Seed]:
    import pydicom
    from pydicom.data import get_testdata_file

    ds = pydicom.dcmread(get_testdata_file("waveform_ecg.dcm", download=False))
    for item in ds.WaveformSequence:
        item.NumberOfWaveformSamples = 20
        item.WaveformData = item.WaveformData[: 20 * 12 * 2]
    ds.WaveformAnnotationSequence = ds.WaveformAnnotationSequence[11:17]
    for position, mark in enumerate(ds.WaveformAnnotationSequence, start=3):
        mark.ReferencedSamplePositions = position
    ds.save_as(folder / "a.dcm")
    return [_one("a.dcm", (folder / "a.dcm").read_bytes(), {"group": 0})]


def _xml() -> list[Seed]:
    import test_aecg
    import test_muse
    import test_sierra

    few = test_aecg._digits(60)
    leads = (test_aecg._sequence(lead, digits) for lead, digits in few.items())
    aecg = test_aecg._document(test_aecg._series(test_aecg._set(*leads)))
    muse = test_muse._document(test_muse._waveform(test_muse._samples(60)))
    return [
        _one("aecg.xml", aecg.encode(), {"complete": True}),
        _one("muse.xml", muse.encode(), {"checksums": "ignore"}),
        _one("sierra104.xml", test_sierra._document().encode("utf-16"), {"calibration": "keep"}),
        _one("sierra103.xml", test_sierra._document("1.03").encode(), {"calibration": "keep"}),
    ]


def _binary() -> list[Seed]:
    import binary_files

    rng = np.random.default_rng(0)
    samples = [rng.integers(-40, 40, 100).cumsum() for _ in range(12)]
    loose = {"checksum": False}
    beat = [rng.integers(-40, 40, 40) for _ in samples]
    coded = binary_files.scp(samples, beat=beat, fiducial=20, places=((0, 11, 30, 50), (0, 51, 70, 90)))
    more = {"beat": beat, "fiducial": 20, "places": ((0, 31, 50, 70),), "zones": ((31, 70),)}
    thinned = binary_files.scp(samples, order=1, bimodal=1, means=4, **more)
    stored = binary_files.scp(samples, table=None, code=binary_files.plain)
    return [
        _one("a.ecg", binary_files.ishne(np.stack(samples).astype(np.int16)), loose, {**loose, "length": "file"}),
        _one("coded.scp", coded, loose),
        _one("thinned.scp", thinned, loose),
        _one("stored.scp", stored, loose),
    ]


def _tables(folder: Path) -> list[Seed]:
    import ecg_widget as ecg

    values = np.random.default_rng(0).normal(size=(2, 100)).round(3)
    lines = ["time_s,I (mV),II (mV)", *(f"{i / 100},{a},{b}" for i, (a, b) in enumerate(values.T))]
    plain = io.BytesIO()
    np.save(plain, values.astype("f4"))
    archive = io.BytesIO()
    np.savez(archive, signal=values, sampling_rate=100.0, units="mV", leads=["I", "II"], records=["a"])
    stated = {"sampling_rate": 100, "units": "mV"}
    out = [
        _one("a.csv", "\n".join(lines).encode(), stated),
        Seed("a.npy", {"a.npy": plain.getvalue()}, "a.npy", ({**stated, "lead_names": ["I", "II"]},)),
        _one("a.npz", archive.getvalue()),
    ]
    ds = ecg.from_arrays(values, sampling_rate=100, leads=["I", "II"], units="mV", records=["a"])
    for name in ("a.nc", "a.zarr"):
        here = folder / name.replace(".", "-")
        here.mkdir()
        ecg.write_dataset(here / name, ds)
        out.append(_take(name, here, name))
    here = folder / "zarr2"
    here.mkdir()
    ds.to_zarr(here / "b.zarr", zarr_format=2)
    out.append(_take("b.zarr", here, "b.zarr"))
    return out


def _hdf5(folder: Path) -> list[Seed]:
    import h5py

    rng = np.random.default_rng(0)
    said = {"sampling_rate": 250.0, "units": "uV", "leads": ["I", "II", "V1"]}
    with h5py.File(folder / "plain.h5", "w") as file:
        file.create_dataset("ecg", data=rng.integers(-99, 99, (3, 200)).astype("<i2")).attrs.update(said)
    with h5py.File(folder / "deep.h5", "w", libver="latest") as file:
        stored = file.create_dataset(
            "study/ecg", data=rng.normal(size=(2, 3, 100)), chunks=(1, 3, 50), compression="gzip"
        )
        stored.attrs.update({**said, "dims": ["record", "lead", "time"]})
        file["study"].attrs["name"] = "a text of any length"
        file["names"] = np.array(["a", "bc"], h5py.string_dtype())
    return [
        _one("plain.h5", (folder / "plain.h5").read_bytes()),
        _one("deep.h5", (folder / "deep.h5").read_bytes(), {"dataset": "study/ecg"}),
    ]


def _folders(folder: Path) -> list[Seed]:
    import code15_folder
    import ptbxl_folder
    import test_ludb

    names = ("ptbxl", "ludb", "code15")
    for name in names:
        (folder / name).mkdir()
    ptbxl_folder.write(folder / "ptbxl")
    test_ludb.write(folder / "ludb", n_samples=300)
    code15_folder.write(folder / "code15", n=6, n_files=1, compression="gzip")
    (folder / "set").mkdir()
    table = ["path,record,patient,fold,n_samples,label:MI"]
    values = np.random.default_rng(0).integers(-9, 9, 50)
    rows = "".join(f"{k / 50},{v / 9:.3f},{v / 5:.3f}\n" for k, v in enumerate(values))
    for i in range(3):
        (folder / "set" / f"{i}.csv").write_text("time_s,II (mV),V1 (mV)\n" + rows)
        table.append(f"{i}.csv,r{i},p{i},{i},50,{i % 2}")
    (folder / "set" / "list.csv").write_text("\n".join(table) + "\n")
    single = next((folder / "code15").glob("*.hdf5"))
    return [
        *(_take(name, folder / name, ".", {"missing": "drop"}) for name in names),
        _take("catalogue", folder / "set", "list.csv", {"ragged": True}, {"unreadable": "skip"}),
        _one("code15.hdf5", single.read_bytes(), {"units": "mV"}),
    ]


def _shared() -> list[Seed]:
    """The real files beside the project, where they are and are small."""
    out = []
    for path in sorted(SHARED.rglob("*")) if SHARED.is_dir() else ():
        if not path.is_file() or path.stat().st_size > LARGEST:
            continue
        if path.suffix in (".hea", ".mat", ".dat", ".atr"):
            if path.suffix == ".hea" and path.stem in ("A0001", "mitdb100_60s"):
                beside = [p for p in path.parent.glob(f"{path.stem}.*") if p.stat().st_size <= LARGEST]
                out.append(Seed(f"shared {path.name}", {p.name: p.read_bytes() for p in beside}, path.stem))
        elif path.suffix != ".csv" or path.parent.name == "csv":
            out.append(Seed(f"shared {path.name}", {path.name: path.read_bytes()}, path.name))
    return out


def make(*, shared: bool = True) -> dict[str, list[Seed]]:
    """Seeds by the name of the reader that opens them; a reader without any is an error of this file."""
    from ecg_widget import formats
    from ecg_widget.records import open_ecg

    with tempfile.TemporaryDirectory() as name, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        folder = Path(name)
        found = [
            *_wfdb(folder),
            *_edf(folder),
            *_dicom(folder),
            *_xml(),
            *_binary(),
            *_tables(folder),
            *_hdf5(folder),
            *_folders(folder),
        ]
        found += _shared() if shared else []
        out: dict[str, list[Seed]] = {reader.NAME: [] for reader in formats.readers()}
        for i, seed in enumerate(found):
            here = folder / f"seed{i}"
            write(here, seed.files)
            reader = next((r for r in formats.readers() if r.locate(here / seed.target)), None)
            if reader is not None:
                out[reader.NAME].append(seed)
            if not seed.name.startswith("shared"):
                for options in seed.options:  # what is refused before it is damaged would hide all that comes after
                    open_ecg(here / seed.target, **options).load()
    if empty := [reader for reader, seeds in out.items() if not seeds]:
        raise SystemExit(f"expected a seed for each reader, got none for {', '.join(empty)}; add one to {__file__}")
    return out


def write(folder: Path, files: dict[str, bytes]) -> None:
    """Put a seed's files into a folder."""
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
