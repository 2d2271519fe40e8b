"""Sets of recordings: a catalogue, which is a CSV table with a column ``path``, and a folder of any recordings.

A catalogue lists one record a row. Its paths are relative to its folder and stay below it. Columns that are known:

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

Other columns are left in the file unless they are asked for: they may tell of the patient.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import xarray as xr

from ecg_widget import many
from ecg_widget.formats import tables
from ecg_widget.records import RecordError

NAME = "catalogue"

_LABEL = "label:"
_TRUTH = {"1": True, "true": True, "1.0": True, "0": False, "false": False, "0.0": False}
_KNOWN = {"path", "record", "patient", "fold", "n_samples"}
_LAYOUTS = ("ptbxl_database.csv", "scp_statements.csv", "exams.csv", "ludb.csv", ".zgroup", "zarr.json")
_HEAD = 1 << 16  # bytes of the names of the columns
_LONGEST = 1024  # characters of a path or a name


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
        coordinates ``patient``, ``fold`` and ``n_samples`` (of a ragged set).

    Raises
    ------
    RecordError
        A table that is damaged, or names files outside its folder; a first record that cannot be read.
    """
    many.check_choices(ragged=ragged, unreadable=unreadable)
    rows = list(tables.rows(path))
    if not rows:
        raise RecordError(f"{path.name}: expected a row for each record, got none")
    if missing := sorted(set(columns) - set(rows[0])):
        raise RecordError(
            f"{path.name}: columns: expected {', '.join(missing)}, got {', '.join(map(str, rows[0]))}"[:400]
        )
    places = [_place(f"{path.name}: line {i}", row["path"]) for i, row in enumerate(rows, start=2)]
    names = [row["record"] for row in rows] if "record" in rows[0] else many.different_names(places)
    if len(set(names)) != len(names) or max(map(len, names)) > _LONGEST or not all(names):
        raise RecordError(f"{path.name}: record: expected different names of at most {_LONGEST} characters, got others")
    folder = path.parent
    return many.open_many(
        [f"{folder}/{place}" for place in places],
        names,
        _inside(folder, many.located(leads, units, {})),
        attrs={"source": path.name, "format": NAME},
        about=_about(path.name, rows, names, columns),
        lengths=_whole(path.name, rows, "n_samples") if ragged and "n_samples" in rows[0] else None,
        lazy=lazy,
        ragged=ragged,
        unreadable=unreadable,
    )


def read_folder(
    path: Path,
    *,
    leads: Sequence[str] | None = None,
    units: str | None = None,
    ragged: bool = False,
    unreadable: str = "error",
    lazy: bool | None = None,
) -> xr.Dataset:
    """Open every recording below a folder of no layout that is known.

    Parameters
    ----------
    path
        The folder; links in it are not followed.
    leads, units, ragged, unreadable, lazy
        As in `ecg_widget.records.open_ecg`.

    Returns
    -------
    xarray.Dataset
        ``signal``, the records in order of their paths. ``attrs["ignored"]`` counts the files that are no recordings.

    Raises
    ------
    RecordError
        No recordings; a first one that cannot be read.
    """
    many.check_choices(ragged=ragged, unreadable=unreadable)
    if layout := [name for name in _LAYOUTS if (path / name).is_file()]:  # its labels would be lost without a word
        raise RecordError(
            f"{path.name}: expected a recording, got a folder of no known layout; it has {', '.join(layout)}, but not "
            "with the columns or files that go with it; pass the recordings as a list if these alone are wanted"
        )
    found, ignored = many.find_recordings(path)
    if not found:
        raise RecordError(
            f"{path.name}: expected a recording, got a folder of no known layout; none of its {ignored} files is a "
            "recording"
        )
    return many.open_many(
        found,
        many.different_names(found, path),
        _inside(path, many.located(leads, units, {})),
        attrs={"source": path.name, "format": "folder", "ignored": ignored},
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


def _inside(folder: Path, open_one: many.OpenOne) -> many.OpenOne:
    """The same, but for paths that a link leads out of the folder."""
    home = folder.resolve()

    def checked(path: str, whole: bool) -> xr.Dataset:  # noqa: FBT001  (one signature for all who open records)
        if not Path(path).resolve().is_relative_to(home):
            raise RecordError(f"{Path(path).name}: expected a file below {folder.name}, got a link out of it")
        return open_one(path, whole)

    return checked


def _about(file: str, rows: list[dict[str, str]], names: list[str], columns: Sequence[str]) -> xr.Dataset:
    out = xr.Dataset(coords={"record": ("record", names)})
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


def _whole(file: str, rows: list[dict[str, str]], column: str) -> np.ndarray:
    return np.array([tables.whole(f"{file}: line {i}", column, row[column]) for i, row in enumerate(rows, start=2)])
