"""Catalogues: tables with one recording a row, as CSV or as a DataFrame.

The paths of a CSV are relative to its folder and stay below it, links included: a table may come from somebody else.
Those of a DataFrame are the caller's own and taken as they are. Columns that are known:

``path``
    the recording's file, of any format (of WFDB with or without ``.hea``);
``record``
    its name; default: the file's name without suffix, or its path where those repeat;
``patient``, ``fold``
    text and a whole number;
``n_samples``
    how many samples the record has, which a ragged set then need not look up;
``label:NAME``
    0 or 1, false or true: whether the record has the label NAME.

Other columns are left out unless they are asked for: they may tell of the patient.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from ecg_widget import many
from ecg_widget.formats import tables
from ecg_widget.records import RecordError

NAME = "catalogue"

_LABEL = "label:"
_TRUTH = {"1": True, "true": True, "1.0": True, "0": False, "false": False, "0.0": False}
_KNOWN = {"path", "record", "patient", "fold", "n_samples"}
_HEAD = 1 << 16  # bytes of the names of the columns
_LONGEST = 1024  # characters of a path or a name

_Rows = Sequence[dict[str, str]]


def locate(path: Path) -> Path | None:
    """Find a table with a column ``path``."""
    if path.suffix == ".hea" or not path.is_file():
        return None
    columns = _columns(path)
    return path if "path" in columns and len(columns) == len(set(columns)) else None


def read(
    path: Path,
    *,
    leads: Sequence[str] | None = None,
    units: str | None = None,
    columns: Sequence[str] = (),
    ragged: bool = False,
    unreadable: str = "error",
    lazy: bool | None = None,
) -> xr.Dataset:
    """Open the records that a catalogue lists.

    Parameters
    ----------
    path
        The table.
    leads, units, ragged, unreadable, lazy
        As in `ecg_widget.records.open_ecg`.
    columns
        Other columns to keep, as coordinates ``(record)`` of text.

    Returns
    -------
    xarray.Dataset
        ``signal``; where the table has them ``label (record, target)`` bool with the coordinate ``target``, and the
        coordinates ``patient`` and ``fold``. Of a ragged set also ``end``, see `ecg_widget.lengths`.

    Raises
    ------
    RecordError
        A table that is damaged, or names files outside its folder; a first record that cannot be read.
    """
    rows = list(tables.rows(path))
    places = [_place(f"{path.name}: line {i}", row["path"]) for i, row in enumerate(rows, start=2)]
    return _open(
        path.name,
        rows,
        [f"{path.parent}/{place}" for place in places],
        many.different_names(places),
        many.located(leads, units, {}, within=path.parent),
        columns=columns,
        ragged=ragged,
        unreadable=unreadable,
        lazy=lazy,
    )


def read_frame(
    frame: pd.DataFrame,
    *,
    leads: Sequence[str] | None = None,
    units: str | None = None,
    columns: Sequence[str] = (),
    ragged: bool = False,
    unreadable: str = "error",
    lazy: bool | None = None,
) -> xr.Dataset:
    """Open the records that a DataFrame lists; its columns are those of a catalogue.

    Parameters
    ----------
    frame
        The table; its index is not looked at.
    leads, units, columns, ragged, unreadable, lazy
        As for `read`.

    Returns
    -------
    xarray.Dataset
        As of `read`.

    Raises
    ------
    ValueError
        No column ``path``, or columns of one name.
    RecordError
        As `read`.
    """
    names = [str(column) for column in frame.columns]
    if "path" not in names or len(set(names)) != len(names):
        raise ValueError(f"source: expected a DataFrame with a column 'path' and no name twice, got {names}")
    if any(column not in names for column in columns):
        raise ValueError(f"columns: expected some of {names}, got {list(columns)}")
    kept = [name for name in names if name in _KNOWN or name in columns or name.startswith(_LABEL)]
    values = [["" if missing else str(v) for v, missing in zip(c, c.isna(), strict=True)]
              for c in (frame.iloc[:, names.index(name)] for name in kept)]  # fmt: skip
    rows = [dict(zip(kept, row, strict=True)) for row in zip(*values, strict=True)]
    paths = [row["path"] for row in rows]
    if not all(paths):
        raise RecordError(f"DataFrame: row {paths.index('')}: path: expected a path, got none")
    return _open(
        "DataFrame",
        rows,
        paths,
        many.different_names(paths),
        many.located(leads, units, {}),
        columns=columns,
        ragged=ragged,
        unreadable=unreadable,
        lazy=lazy,
    )


def _open(
    file: str,
    rows: _Rows,
    paths: Sequence[str],
    names: Sequence[str],
    open_one: many.OpenOne,
    *,
    columns: Sequence[str],
    ragged: bool,
    unreadable: str,
    lazy: bool | None,
) -> xr.Dataset:
    many.check_choices(ragged=ragged, unreadable=unreadable)
    if not rows:
        raise RecordError(f"{file}: expected a row for each record, got none")
    if missing := sorted(set(columns) - set(rows[0])):
        raise RecordError(f"{file}: columns: expected {', '.join(missing)}, got {', '.join(map(str, rows[0]))}"[:400])
    if "record" in rows[0]:
        names = [row["record"] for row in rows]
    if len(set(names)) != len(names) or max(map(len, names)) > _LONGEST or not all(names):
        raise RecordError(f"{file}: record: expected different names of at most {_LONGEST} characters, got others")
    return many.open_many(
        paths,
        names,
        open_one,
        attrs={"source": file, "format": NAME},
        about=_about(file, rows, names, columns),
        lengths=_whole(file, rows, "n_samples") if ragged and "n_samples" in rows[0] else None,
        lazy=lazy,
        ragged=ragged,
        unreadable=unreadable,
    )


def _columns(path: Path) -> list[str]:
    with path.open("rb") as stream:
        head = stream.readline(_HEAD)
    if b"\0" in head:
        return []
    try:
        return next(csv.reader([head.decode("utf-8-sig").strip("\r\n")]), [])
    except (UnicodeDecodeError, csv.Error):
        return []


def _place(where: str, text: str) -> str:
    """A path below the catalogue's folder, or `RecordError`; links are looked at when the record is opened."""
    parts = PurePosixPath(text).parts
    strange = not text or len(text) > _LONGEST or not text.isprintable() or text.startswith(("/", "~"))
    if strange or ".." in parts or "\\" in text or ":" in text or not parts:
        raise RecordError(f"{where}: path: expected a relative path below the catalogue's folder, got {text[:80]!r}")
    return str(PurePosixPath(text))


def _about(file: str, rows: _Rows, names: Sequence[str], columns: Sequence[str]) -> xr.Dataset:
    out = xr.Dataset(coords={"record": ("record", list(names))})
    targets = [column.removeprefix(_LABEL) for column in rows[0] if column.startswith(_LABEL)]
    if targets:
        label = np.zeros((len(rows), len(targets)), bool)
        for i, row in enumerate(rows):
            for k, target in enumerate(targets):
                said = _TRUTH.get(row[_LABEL + target].strip().lower())
                if said is None:
                    got = row[_LABEL + target][:40]
                    raise RecordError(f"{file}: line {i + 2}: {_LABEL}{target}: expected 0 or 1, got {got!r}")
                label[i, k] = said
        out = out.assign(label=(("record", "target"), label)).assign_coords(target=("target", targets))
    coords: dict[str, Any] = {name: ("record", [row[name] for row in rows]) for name in columns if name not in _KNOWN}
    if "patient" in rows[0]:
        coords["patient"] = ("record", [row["patient"] for row in rows])
    if "fold" in rows[0]:
        coords["fold"] = ("record", _whole(file, rows, "fold").astype(np.int32))
    return out.assign_coords(coords)


def _whole(file: str, rows: _Rows, column: str) -> np.ndarray:
    return np.array([tables.whole(f"{file}: line {i}", column, row[column]) for i, row in enumerate(rows, start=2)])
