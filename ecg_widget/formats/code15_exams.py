"""Which exams a folder in CODE-15%'s layout holds: its table and the lists in its HDF5 files, joined and checked."""

from __future__ import annotations

import functools
import hashlib
import math
import re
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np

from ecg_widget.formats import hdf5, tables
from ecg_widget.records import RecordError

__all__ = ["DIAGNOSES", "TABLE", "Exams", "exam_ids", "fold_of", "listed"]

TABLE = "exams.csv"
DIAGNOSES = ("1dAVb", "RBBB", "LBBB", "SB", "ST", "AF")
"""First-degree AV block, right and left bundle branch block, sinus bradycardia and tachycardia, atrial fibrillation."""

_COLUMNS = {"exam_id", "patient_id", "age", "nn_predicted_age", "trace_file", *DIAGNOSES}
_FILE = re.compile(r"[-\w]{1,64}\.(?:hdf5|h5)", re.ASCII)
_TRUTH = {"true": True, "1": True, "1.0": True, "false": False, "0": False, "0.0": False}
_OLDEST = 150.0  # years; the table holds nobody above 110
_FILLER = 0  # the exam_id of rows that only fill up a file, one in each of CODE-15%


@dataclass(frozen=True)
class Exams:
    """Exams in the order of the files: arrays with one entry an exam, and what was left out."""

    exam: np.ndarray
    patient: np.ndarray
    age: np.ndarray
    predicted: np.ndarray
    label: np.ndarray
    file: np.ndarray
    row: np.ndarray
    fold: np.ndarray
    files: tuple[str, ...]
    absent: int
    unlisted: int

    def __len__(self) -> int:
        return len(self.exam)

    def pick(self, which: np.ndarray | slice) -> Exams:
        """Keep some of them."""
        arrays = (f.name for f in fields(self) if isinstance(getattr(self, f.name), np.ndarray))
        return replace(self, **{name: getattr(self, name)[which] for name in arrays})


def fold_of(patient: int, n_folds: int) -> int:
    """Assign a patient to a fold, 1 to `n_folds`, by a hash: the same on every machine and for every selection.

    Examples
    --------
    >>> fold_of(12, 10) == fold_of(12, 10), {fold_of(p, 3) for p in range(50)}
    (True, {1, 2, 3})
    """
    return _hash("fold", patient) % n_folds + 1


def exam_ids(path: Path) -> np.ndarray:
    """Exams of one HDF5 file ``(row,)`` int64; `RecordError` where one that is no filler comes twice."""
    with hdf5.opened(path) as file:
        stored = hdf5.dataset(file, path.name, "exam_id", "iu", 1)
        if len(stored) > tables.MOST_ROWS:
            raise RecordError(f"{path.name}: exam_id: expected at most {tables.MOST_ROWS} exams, got {len(stored)}")
        found = np.asarray(stored[()]).astype(np.int64)
    real = found[found != _FILLER]
    names, counts = np.unique(real, return_counts=True)
    if (counts > 1).any():
        raise RecordError(f"{path.name}: exam_id: expected each exam once, got {names[counts > 1][0]} more than once")
    return found


def listed(folder: Path, *, n_folds: int, missing: str, most: int | None) -> Exams:
    """List the exams of a folder; read once for as long as table and files stay as they are."""
    if missing not in ("error", "drop"):
        raise ValueError(f"missing: expected 'error' or 'drop', got {missing!r}")
    if not 2 <= n_folds <= 1000:
        raise ValueError(f"n_folds: expected a number from 2 to 1000, got {n_folds!r}")
    if most is not None and most < 1:
        raise ValueError(f"most: expected a number of exams > 0 or None, got {most!r}")
    there = sorted(path for path in folder.iterdir() if _FILE.fullmatch(path.name) and path.is_file())
    stamps = tuple((p.name, p.stat().st_size, p.stat().st_mtime_ns) for p in (folder / TABLE, *there))
    return _listed(folder, stamps, n_folds, missing, most)


@functools.lru_cache(maxsize=4)
def _listed(
    folder: Path, stamps: tuple[tuple[str, int, int], ...], n_folds: int, missing: str, most: int | None
) -> Exams:
    exams, absent = _joined(folder, {name for name, _, _ in stamps})
    if (absent or exams.unlisted) and missing == "error":
        raise RecordError(
            f"{folder.name}: expected the exams of {TABLE} in its HDF5 files and no others, got {len(absent)} of "
            f"{len(absent) + len(exams)} absent{f', the first is {absent[0]}' if absent else ''}, and {exams.unlisted} "
            "that the table does not list; complete the download or pass missing='drop'"
        )
    if not len(exams):
        raise RecordError(f"{folder.name}: expected exams of {TABLE} in its HDF5 files, got none")
    patients, of = np.unique(exams.patient, return_inverse=True)
    if most is not None and most < len(exams):
        order = np.array(sorted(range(len(patients)), key=lambda i: _hash("draw", int(patients[i]))))
        total = np.cumsum(np.bincount(of)[order])
        chosen = np.zeros(len(patients), bool)
        chosen[order[: max(1, int(np.searchsorted(total, most, side="right")))]] = True
        keep = chosen[of]
        exams, of = exams.pick(keep), of[keep]
    folds = np.array([fold_of(int(p), n_folds) for p in patients])
    return replace(exams, fold=folds[of])


def _joined(folder: Path, present: set[str]) -> tuple[Exams, list[str]]:
    """Exams that are in the table and in the file that it names, in the order of the files; and those that are not."""
    exam, numbers, labels, named = _table(folder)
    order = np.argsort(exam)
    names, counts = np.unique(exam, return_counts=True)
    if (counts > 1).any():
        raise RecordError(f"{TABLE}: exam_id: expected each exam once, got {names[counts > 1][0]} more than once")
    files = sorted(set(named) - {""}, key=lambda name: (len(name), name))  # part 2 before part 10
    of_file = np.array([files.index(name) if name else -1 for name in named])
    file, row, seen, unlisted = np.full(len(exam), -1), np.full(len(exam), -1), np.zeros(len(exam), bool), 0
    for i, name in enumerate(files):
        if name not in present:
            continue
        ids = exam_ids(folder / name)
        rows = np.flatnonzero(ids != _FILLER)
        at = order[np.minimum(np.searchsorted(exam[order], ids[rows]), len(exam) - 1)]
        known = exam[at] == ids[rows]
        ours = known & (of_file[at] == i)
        unlisted += int((~known).sum())
        file[at[ours]], row[at[ours]], seen[at[ours]] = i, rows[ours], True
    absent = [f"exam {e} of {n or 'no file'}" for e, n, here in zip(exam, named, seen, strict=True) if not here]
    everyone = Exams(
        exam=exam,
        patient=numbers[:, 0].astype(np.int64),
        age=numbers[:, 1].astype(np.float32),
        predicted=numbers[:, 2].astype(np.float32),
        label=labels,
        file=file,
        row=row,
        fold=np.zeros(len(exam), np.int64),
        files=tuple(files),
        absent=len(absent),
        unlisted=unlisted,
    )
    kept = everyone.pick(seen)
    return kept.pick(np.lexsort((kept.row, kept.file))), absent


def _table(folder: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[str]]:
    """Exam ``(row,)``; patient, age and predicted age ``(row, 3)``; diagnoses ``(row, 6)``; the file of each."""
    if not tables.has_columns(folder / TABLE, _COLUMNS):
        raise RecordError(f"{TABLE}: expected the columns {', '.join(sorted(_COLUMNS))}, got others")
    exam, numbers, labels, named = [], [], [], []
    for number, row in enumerate(tables.rows(folder / TABLE), start=2):
        where = f"{TABLE}: line {number}"  # of the table, counting a row as one
        if row["trace_file"] and not _FILE.fullmatch(row["trace_file"]):
            got = row["trace_file"][:80]
            raise RecordError(f"{where}: trace_file: expected a name such as exams_part0.hdf5, got {got!r}")
        exam.append(tables.whole(where, "exam_id", row["exam_id"]))
        patient = tables.whole(where, "patient_id", row["patient_id"])
        numbers.append([patient, _years(where, "age", row), _years(where, "nn_predicted_age", row)])
        labels.append([_truth(where, name, row[name]) for name in DIAGNOSES])
        named.append(row["trace_file"])
    if not exam:
        raise RecordError(f"{TABLE}: expected rows below the names of the columns, got none")
    return np.array(exam), np.array(numbers, float), np.array(labels, bool), named


def _years(where: str, column: str, row: dict[str, str]) -> float:
    """Age; NaN where the table has none."""
    try:
        value = float(row[column]) if row[column] else math.nan
    except ValueError:
        value = math.inf
    if not (math.isnan(value) or -_OLDEST <= value <= _OLDEST) or (column == "age" and value < 0):
        raise RecordError(f"{where}: {column}: expected 0 to {_OLDEST:g} years or nothing, got {row[column][:80]!r}")
    return value


def _truth(where: str, column: str, text: str) -> bool:
    if text.lower() not in _TRUTH:
        raise RecordError(f"{where}: {column}: expected True or False, got {text[:80]!r}")
    return _TRUTH[text.lower()]


def _hash(purpose: str, patient: int) -> int:
    return int.from_bytes(hashlib.sha256(f"{purpose} {patient}".encode()).digest()[:8], "big")
