"""PTB-XL (Wagner et al. 2020, doi 10.1038/s41597-020-0495-6): its folder with labels, folds and patients.

The folder holds ``ptbxl_database.csv``, ``scp_statements.csv`` and WFDB records below ``records100`` and
``records500``. Labels are the five diagnostic superclasses of the benchmark (Strodthoff et al. 2021, doi
10.1109/JBHI.2020.3022989): every SCP code of a record, of any likelihood, whose statement is diagnostic counts for its
``diagnostic_class``; a record may have several or none.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import xarray as xr

from ecg_widget import many
from ecg_widget.formats import tables, wfdb
from ecg_widget.records import RecordError

NAME = "PTB-XL"
SUPERCLASSES = ("NORM", "MI", "STTC", "CD", "HYP")
"""Normal, myocardial infarction, ST/T change, conduction disturbance, hypertrophy."""

_DATABASE, _STATEMENTS = "ptbxl_database.csv", "scp_statements.csv"
_COLUMNS = {
    _DATABASE: {"ecg_id", "patient_id", "scp_codes", "strat_fold", "filename_lr", "filename_hr"},
    _STATEMENTS: {"", "diagnostic", "diagnostic_class"},
}
_FILES = {100: ("filename_lr", re.compile(r"records100/\d{5}/\d{5}_lr")),
          500: ("filename_hr", re.compile(r"records500/\d{5}/\d{5}_hr"))}  # fmt: skip
_CODE = re.compile(r"'([A-Z0-9_/]{1,16})': ([0-9.]{1,8})")
_CODES = re.compile(rf"\{{(?:{_CODE.pattern}(?:, {_CODE.pattern})*)?\}}")


def locate(path: Path) -> Path | None:
    """Find the folder: the path itself, or that of the two tables."""
    folder = path.parent if path.name in _COLUMNS else path
    return folder if all(tables.has_columns(folder / name, columns) for name, columns in _COLUMNS.items()) else None


def read(
    path: Path,
    *,
    leads: Sequence[str] | None = None,
    units: str | None = None,
    sampling_rate: int = 100,
    folds: Iterable[int] | None = None,
    missing: str = "error",
    part: slice | None = None,
    lazy: bool | None = False,
    ragged: bool = False,
    unreadable: str = "error",
) -> xr.Dataset:
    """Read the records of some folds.

    Parameters
    ----------
    path
        The folder.
    leads, units
        As in `ecg_widget.records.open_ecg`.
    sampling_rate
        100 or 500 Hz.
    folds
        Of ``strat_fold``, 1 to 10; None: all.
    missing
        What becomes of records of the table whose files are absent: ``"error"``, or ``"drop"`` for a partial copy.
    part
        Which of these records, in the order of the table, to read: a corpus can be read piece by piece. None: all.
    lazy, ragged, unreadable
        As in `ecg_widget.records.open_ecg`.

    Returns
    -------
    xarray.Dataset
        With ``label (record, target)`` bool and the coordinates ``target`` (`SUPERCLASSES`), ``patient (record)``
        (PTB-XL's pseudonym, to keep patients apart) and ``fold (record)``. ``attrs["missing"]`` counts what was
        dropped.

    Raises
    ------
    RecordError
        Tables or records that are damaged, unsafe or absent.
    ValueError
        Another rate, fold or `missing`.
    """
    rows, absent = _listed(path, sampling_rate, folds, missing)
    headers, patients, in_folds, labels = zip(*rows[part or slice(None)], strict=True)
    about = xr.Dataset(
        {"label": (("record", "target"), np.asarray(labels, bool))},
        {
            "record": ("record", [header.stem for header in headers]),
            "target": ("target", list(SUPERCLASSES)),
            "patient": ("record", list(patients)),
            "fold": ("record", np.asarray(in_folds, np.int8)),
        },
    )
    return many.open_many(
        [str(header) for header in headers],
        about["record"].values.tolist(),
        lambda path, *, whole: wfdb.read(Path(path), leads=leads, units=units, lazy=None if whole else True),
        attrs={"source": path.name, "format": NAME, "filters": "", "missing": absent},
        about=about,
        lazy=lazy,
        ragged=ragged,
        unreadable=unreadable,
    )


def count(
    path: Path, *, sampling_rate: int = 100, folds: Iterable[int] | None = None, missing: str = "error"
) -> dict[int, int]:
    """Records that `read` would find, by fold.

    Parameters
    ----------
    path, sampling_rate, folds, missing
        As for `read`.

    Returns
    -------
    dict
        Fold -> number of records, of folds that have any.

    Raises
    ------
    RecordError, ValueError
        As `read`, for what the tables tell.
    """
    rows, _ = _listed(path, sampling_rate, folds, missing)
    return dict(sorted(Counter(fold for _, _, fold, _ in rows).items()))


_Row = tuple[Path, str, int, list[bool]]


def _listed(path: Path, sampling_rate: int, folds: Iterable[int] | None, missing: str) -> tuple[list[_Row], int]:
    """Header, patient, fold and classes of each record, and how many are absent."""
    if sampling_rate not in _FILES:
        raise ValueError(f"sampling_rate: expected 100 or 500 Hz, got {sampling_rate!r}; resample() gives other rates")
    if missing not in ("error", "drop"):
        raise ValueError(f"missing: expected 'error' or 'drop', got {missing!r}")
    wanted = set(range(1, 11)) if folds is None else set(folds)
    if not wanted or not wanted <= set(range(1, 11)):
        raise ValueError(f"folds: expected numbers from 1 to 10, got {sorted(wanted)}")
    classes = _diagnostic_classes(path)
    column, pattern = _FILES[sampling_rate]
    rows: list[_Row] = []
    absent: list[str] = []
    for number, row in enumerate(tables.rows(path / _DATABASE), start=2):
        where = f"{_DATABASE}: line {number}"  # of the table, counting a row as one
        fold = tables.whole(where, "strat_fold", row["strat_fold"])
        if fold not in wanted:
            continue
        if not pattern.fullmatch(row[column]):
            raise RecordError(f"{where}: {column}: expected a name such as {pattern.pattern}, got {row[column][:80]!r}")
        header = path / f"{row[column]}.hea"
        if not header.is_file():
            absent.append(row[column])
            continue
        found = {classes.get(code) for code in _codes(where, row["scp_codes"])}
        patient = str(tables.whole(where, "patient_id", row["patient_id"]))
        rows.append((header, patient, fold, [c in found for c in SUPERCLASSES]))
    if absent and missing == "error":
        raise RecordError(
            f"{path.name}: expected the records of {_DATABASE}, {len(absent)} of {len(absent) + len(rows)} are absent, "
            f"the first is {absent[0]}; complete the download or pass missing='drop'"
        )
    if not rows:
        raise RecordError(f"{path.name}: expected records of folds {sorted(wanted)} at {sampling_rate} Hz, got none")
    return rows, len(absent)


def _diagnostic_classes(path: Path) -> dict[str, str]:
    return {
        row[""]: row["diagnostic_class"]
        for row in tables.rows(path / _STATEMENTS)
        if row["diagnostic"] in ("1", "1.0") and row["diagnostic_class"]
    }


def _codes(where: str, text: str) -> list[str]:
    if not _CODES.fullmatch(text):  # a pattern rather than a parser of Python: hostile nesting exhausts those
        raise RecordError(f"{where}: scp_codes: expected codes such as {{'NORM': 100.0}}, got {text[:80]!r}")
    return [code for code, _ in _CODE.findall(text)]
