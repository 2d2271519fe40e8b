"""CODE-15% (Ribeiro et al. 2021, doi 10.5281/zenodo.4916206): its folder, or one HDF5 file of that layout.

The folder holds ``exams.csv`` and HDF5 files, each with ``exam_id (exam,)`` and ``tracings (exam, time, lead)`` at
400 Hz, padded with zeros at both ends to 4096 samples. Padding stays as it is: exact zeros in all leads count as no
signal wherever a network reads them (`ecg_widget.preparation`). Rows whose exam is 0 fill up a file and are left out.

The files state no unit. The authors' description says 1e-4 V, but copies in mV go round, so unless a unit is stated,
1e-4 V is held against what hearts give: over some exams of each file, the largest lead of the median exam must span
0.8 to 8 mV, a decade, so that of two units ten times apart at most one can pass. What was assumed is in ``attrs``.
"""

from __future__ import annotations

import functools
import math
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import xarray as xr

from ecg_widget.formats import hdf5, tables
from ecg_widget.formats.code15_exams import DIAGNOSES, TABLE, Exams, exam_ids, fold_of, listed
from ecg_widget.formats.limits import LAZY_VALUES, MOST_VALUES
from ecg_widget.lazy import LazyArray, lazy_dataset
from ecg_widget.leads import canonical_leads
from ecg_widget.records import RecordError, from_arrays, millivolts

__all__ = ["DIAGNOSES", "NAME", "ages", "count", "fold_of", "locate", "read", "sizes"]

NAME = "CODE-15"

_KEYS = {"exam_id", "patient_id", "trace_file"}
_LEADS = ("DI", "DII", "DIII", "AVR", "AVL", "AVF", "V1", "V2", "V3", "V4", "V5", "V6")  # as the authors list them
_RATE = 400.0  # Hz
_ASSUMED = "1e-4V"
_PLAUSIBLE = (0.8, 8.0)  # mV; medians of 16 exams of PTB-XL: 1.8 to 3.6, single ones 1.2 to 14
_ENDS = (0.001, 0.999)  # quantiles: a spike on one lead is no QRS complex
_EXAMS = 16  # of each file that are looked at
_NEAR = 4  # rows: reading over so many that are not wanted is cheaper than another read
_ROWS = 256  # rows read at once: 50 MB
_LONGEST = 1 << 16  # samples of an exam; CODE-15% has 4096


def locate(path: Path) -> Path | None:
    """Find the folder, or an HDF5 file of the layout: the path itself, or the folder of ``exams.csv``."""
    folder = path.parent if path.name == TABLE else path
    if tables.has_columns(folder / TABLE, _KEYS):
        return folder
    return path if hdf5.is_hdf5(path) and hdf5.names(path, "exam_id", "tracings") else None


def read(
    path: Path,
    *,
    leads: Sequence[str] | None = None,
    units: str | None = None,
    n_folds: int = 10,
    missing: str = "error",
    part: slice | None = None,
    most: int | None = None,
    lazy: bool | None = False,
) -> xr.Dataset:
    """Read exams.

    Parameters
    ----------
    path
        The folder; or one HDF5 file, which alone tells neither ages nor diagnoses nor patients.
    leads, units
        As in `ecg_widget.records.open_ecg`. A stated unit is believed.
    n_folds
        Into how many folds the patients are dealt by a hash of their pseudonym (`fold_of`).
    missing
        What becomes of exams of the table that no file holds, and of exams in files that the table does not list:
        ``"error"``, or ``"drop"`` for a partial copy.
    part
        Which of the exams, in the order of the files, to read: a corpus can be read piece by piece. None: all.
    most
        So many exams at most, of whole patients drawn by another hash of their pseudonym. None: all.
    lazy
        As in `ecg_widget.records.open_ecg`. What is read later is held against the assumed unit when it is read.

    Returns
    -------
    xarray.Dataset
        Named after the exams. Of a folder: ``label (record, target)`` bool with the coordinate ``target``
        (`DIAGNOSES`), and the coordinates ``age (record)`` and ``predicted_age (record)`` in years (NaN where the table
        has none; the latter is what the authors' network said), ``patient (record)`` (a pseudonym) and ``fold
        (record)``. ``attrs``: ``stored_units`` (which, and who said so), ``missing`` and ``unlisted`` (how many were
        dropped).

    Raises
    ------
    RecordError
        Table or files that are damaged, hostile or absent; values that are no ECG in 1e-4 V where no unit is stated.
    ValueError
        Other options; a part without exams.
    ImportError
        h5py is not installed.
    """
    if path.is_dir():
        exams = listed(path, n_folds=n_folds, missing=missing, most=most)
        folder = path
    else:
        exams, folder = _alone(path), path.parent
    here = exams.pick(slice(None) if part is None else part)
    if not len(here):
        raise ValueError(f"part: expected some of {len(exams)} exams, got {part}")
    attrs = {
        "source": path.name,
        "format": NAME,
        "reader": f"h5py {hdf5.library().__version__}",
        "filters": "",
    }
    records = [str(exam) for exam in here.exam]
    first, names, stored = _signals(folder, here.pick(slice(1)), leads, units)
    shape = (len(here), *first.shape[1:])
    if math.prod(shape) > LAZY_VALUES if lazy is None else lazy:
        attrs["stored_units"] = stored if units is not None else f"{stored}; other files are checked when they are read"
        array = LazyArray(shape, np.float32, _Reading(folder, here, names, units, shape[2]), _LONGEST)
        ds = lazy_dataset(array, sampling_rate=_RATE, leads=names, records=records, attrs=attrs)
    else:
        values, names, attrs["stored_units"] = _signals(folder, here, leads, units)
        ds = from_arrays(values, sampling_rate=_RATE, leads=names, units="mV", records=records, attrs=attrs)
    if not path.is_dir():
        return ds
    years = {"units": "years"}
    return ds.assign(label=(("record", "target"), here.label)).assign_coords(
        target=("target", list(DIAGNOSES)),
        age=("record", here.age, years),
        predicted_age=("record", here.predicted, years),
        patient=("record", [str(p) for p in here.patient]),
        fold=("record", here.fold.astype(np.int16)),
    ).assign_attrs(missing=exams.absent, unlisted=exams.unlisted)  # fmt: skip


def count(path: Path, *, n_folds: int = 10, missing: str = "error", most: int | None = None) -> dict[int, int]:
    """Exams that `read` would find, by fold, without reading a sample.

    Parameters
    ----------
    path, n_folds, missing, most
        As for `read`; a folder.

    Returns
    -------
    dict
        Fold -> number of exams, of folds that have any.

    Raises
    ------
    RecordError, ValueError, ImportError
        As `read`, for what the table and the lists of exams tell.
    """
    found = Counter(listed(path, n_folds=n_folds, missing=missing, most=most).fold.tolist())
    return dict(sorted(found.items()))


def ages(
    path: Path,
    records: Sequence[str] | None = None,
    *,
    n_folds: int = 10,
    missing: str = "error",
    most: int | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Look up true ages and those that the authors' network gave, without reading a sample.

    Parameters
    ----------
    path, n_folds, missing, most
        As for `read`; a folder.
    records
        Names of exams; None: all, in the order of `read`.

    Returns
    -------
    tuple of numpy.ndarray
        ``(record,)`` float32 years each; NaN where the table has none.

    Raises
    ------
    KeyError
        An exam that `read` would not find.
    RecordError, ValueError, ImportError
        As `count`.
    """
    exams = listed(path, n_folds=n_folds, missing=missing, most=most)
    if records is None:
        return exams.age, exams.predicted
    place = {str(exam): i for i, exam in enumerate(exams.exam.tolist())}
    at = [place[name] for name in records]
    return exams.age[at], exams.predicted[at]


def sizes(path: Path) -> dict[str, int]:
    """Bytes of the HDF5 files of a folder, which tell a finished download from a partial one."""
    return {p.name: p.stat().st_size for p in sorted(path.iterdir()) if p.is_file() and hdf5.is_hdf5(p)}


def _alone(path: Path) -> Exams:
    """The exams of one file, of which nothing else is known."""
    ids = exam_ids(path)
    rows = np.flatnonzero(ids)
    if not len(rows):
        raise RecordError(f"{path.name}: exam_id: expected exams, got rows that fill up the file only")
    none = np.full(len(rows), np.nan, np.float32)
    zero = np.zeros(len(rows), np.int64)
    label = np.zeros((len(rows), len(DIAGNOSES)), bool)
    return Exams(ids[rows], zero, none, none, label, zero, rows, zero, (path.name,), 0, 0)


def _signals(
    folder: Path, exams: Exams, leads: Sequence[str] | None, units: str | None
) -> tuple[np.ndarray, list[str], str]:
    """Millivolts ``(exam, lead, time)`` float32, the leads' names, and what is known of the stored unit."""
    names = canonical_leads(_LEADS)
    wanted = names if leads is None else canonical_leads(leads)
    if unknown := [lead for lead in wanted if lead not in names]:
        raise RecordError(f"{folder.name}: leads: expected {', '.join(unknown)}, got {', '.join(names)}")
    columns = [i for i, name in enumerate(names) if name in wanted]
    values: np.ndarray | None = None
    stated = []
    for i in np.unique(exams.file):
        path, at = folder / exams.files[i], np.flatnonzero(exams.file == i)
        if units is None:
            stat = path.stat()
            stated.append(_checked(path, stat.st_size, stat.st_mtime_ns))
        with hdf5.opened(path) as file:
            tracings = hdf5.dataset(file, path.name, "tracings", "f", 3)
            _check_shape(path.name, tracings, file)
            if values is None:
                _check_size(folder.name, len(exams), len(columns), tracings.shape[1])
                values = np.empty((len(exams), len(columns), tracings.shape[1]), np.float32)
            if tracings.shape[1] != values.shape[2]:
                raise RecordError(
                    f"{path.name}: tracings: expected {values.shape[2]} samples as in the files before it, got "
                    f"{tracings.shape[1]}"
                )
            for first, last in _runs(exams.row[at]):
                rows = exams.row[at[first:last]]
                block = np.asarray(tracings[int(rows[0]) : int(rows[-1]) + 1])[rows - rows[0]]
                values[at[first:last]] = block[:, :, columns].transpose(0, 2, 1)
        if np.isinf(values[at]).any():
            bad = exams.exam[at][np.isinf(values[at]).any(axis=(1, 2))][0]
            raise RecordError(f"{path.name}: tracings: expected finite values, got infinity in exam {bad}")
    if values is None:
        raise RecordError(f"{folder.name}: expected at least one exam, got none")
    values *= np.float32(millivolts(units or _ASSUMED))
    told = f"{units}, stated by the caller" if units is not None else f"{_ASSUMED}, assumed: {'; '.join(stated)}"
    return values, [names[i] for i in columns], told


class _Reading:
    """Gives pieces of exams as `ecg_widget.lazy.LazyArray` asks for them; a file is opened once in a call."""

    def __init__(self, folder: Path, exams: Exams, names: list[str], units: str | None, n_samples: int) -> None:
        self.folder, self.exams, self.names, self.units, self.n_samples = folder, exams, names, units, n_samples

    def __call__(self, outer: tuple[np.ndarray, ...], first: int, last: int) -> np.ndarray:
        at, places = np.unique(outer[0], return_inverse=True)  # in the order of the files, each exam once
        values, _, _ = _signals(self.folder, self.exams.pick(at), self.names, self.units)
        if values.shape[2] != self.n_samples:
            raise RecordError(
                f"{self.folder.name}: tracings: expected {self.n_samples} samples as in the first file, got "
                f"{values.shape[2]}"
            )
        return values[places][:, outer[1], first:last]


def _runs(rows: np.ndarray) -> list[tuple[int, int]]:
    """Ascending rows as stretches without wide gaps, none of them long: first and last + 1 of each."""
    cuts, start = [0], 0
    for i in range(1, len(rows)):
        if rows[i] - rows[i - 1] > _NEAR or rows[i] - rows[start] >= _ROWS:
            cuts.append(i)
            start = i
    return list(pairwise([*cuts, len(rows)]))


def _check_shape(file: str, tracings: object, opened: object) -> None:
    n_exams, n_samples, n_leads = tracings.shape  # type: ignore[attr-defined]  # an h5py dataset of three dimensions
    there = len(hdf5.dataset(opened, file, "exam_id", "iu", 1))
    if n_exams != there or n_leads != len(_LEADS) or n_samples > _LONGEST:
        raise RecordError(
            f"{file}: tracings: expected ({there}, time, {len(_LEADS)}) for {there} exams of at most {_LONGEST} "
            f"samples, got ({n_exams}, {n_samples}, {n_leads})"
        )


def _check_size(name: str, n_exams: int, n_leads: int, n_samples: int) -> None:
    if (n := n_exams * n_leads * n_samples) > MOST_VALUES:
        raise RecordError(
            f"{name}: size: expected at most {MOST_VALUES} values at a time, got {n}; read it piece by piece with "
            "part=slice(...)"
        )


@functools.lru_cache(maxsize=64)
def _checked(path: Path, size: int, changed: int) -> str:
    """Hold a file's values against the assumed unit; `size` and `changed` tell one state of it from another."""
    del size, changed
    ids = exam_ids(path)
    rows = np.flatnonzero(ids)
    spans = []
    with hdf5.opened(path) as file:
        tracings = hdf5.dataset(file, path.name, "tracings", "f", 3)
        _check_shape(path.name, tracings, file)
        for row in np.unique(rows[np.linspace(0, len(rows) - 1, _EXAMS).astype(int)]) if len(rows) else []:
            exam = np.asarray(tracings[int(row)], float)
            signal = exam[(exam != 0).any(axis=1) & np.isfinite(exam).all(axis=1)]
            if len(signal):
                low, high = np.quantile(signal, _ENDS, axis=0)
                spans.append(float((high - low).max()))
    if not spans:
        return f"{path.name}: no signal to check it against"
    span, (low, high) = float(np.median(spans)), _PLAUSIBLE
    told = f"the largest lead of {path.name} spans {span * millivolts(_ASSUMED):.3g} mV (median of {len(spans)} exams)"
    if not low <= span * millivolts(_ASSUMED) <= high:
        other = [u for u in ("mV", "uV", "V") if low <= span * millivolts(u) <= high]
        hint = f"in {other[0]} it would be {span * millivolts(other[0]):.3g} mV" if other else "no other unit fits"
        raise RecordError(
            f"{path.name}: units: expected values in {_ASSUMED}, {low:g} to {high:g} mV in the largest lead, but "
            f"{told}; {hint}: state what the file holds with units={(other or ['...'])[0]!r}"
        )
    return told
