"""A folder of any recordings: which files are recordings, told by their content, and what a header names of them."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import numpy as np
import xarray as xr

from ecg_widget import formats, many
from ecg_widget.formats import zarr
from ecg_widget.formats.wfdb_header import read_lines
from ecg_widget.records import RecordError

__all__ = ["find_recordings", "read_folder"]

_LAYOUTS = ("ptbxl_database.csv", "scp_statements.csv", "exams.csv", "ludb.csv", ".zgroup", "zarr.json")
_MOST_FILES = 1_000_000  # below a folder
_MOST_TOLD = 1000  # files that are listed as no recordings
_DX = re.compile(r"#?\s*Dx:\s*(\S.*)", re.ASCII)
_CODE = re.compile(r"\d{6,18}", re.ASCII)  # of SNOMED CT


def read_folder(
    path: Path,
    *,
    leads: Sequence[str] | None = None,
    units: str | None = None,
    diagnoses: bool = False,
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
    diagnoses
        Whether the line ``Dx:`` of each WFDB header, as in the PhysioNet challenges of 2020 and 2021, becomes ``label
        (record, target)``; ``target`` are codes of SNOMED CT. Every header is looked at.

    Returns
    -------
    xarray.Dataset
        ``signal``, the records in order of their paths. ``attrs["ignored"]`` lists files that are no recordings, up to
        1000 of them, and ``attrs["n_ignored"]`` counts them.

    Raises
    ------
    RecordError
        No recordings; a first one that cannot be read; with `diagnoses` a record without a line ``Dx:``.
    """
    many.check_choices(ragged=ragged, unreadable=unreadable)
    if layout := [name for name in _LAYOUTS if (path / name).is_file()]:  # its labels would be lost without a word
        raise RecordError(
            f"{path.name}: expected a recording, got a folder of no known layout; it has {', '.join(layout)}, but not "
            "with the columns or files that go with it; pass the recordings as a list if these alone are wanted"
        )
    found, ignored = find_recordings(path)
    if not found:
        raise RecordError(
            f"{path.name}: expected a recording, got a folder of no known layout; none of its {len(ignored)} files is "
            "a recording"
        )
    names = many.different_names(found, path)
    attrs = {"source": path.name, "format": "folder", "n_ignored": len(ignored), "ignored": ignored[:_MOST_TOLD]}
    return many.open_many(
        found,
        names,
        many.located(leads, units, {}, within=path),
        attrs=attrs,
        about=_diagnosed(found, names) if diagnoses else None,
        lazy=lazy,
        ragged=ragged,
        unreadable=unreadable,
    )


def find_recordings(folder: Path) -> tuple[list[str], list[str]]:
    """Find every recording below a folder, by content; links are not followed.

    Parameters
    ----------
    folder
        Searched with all folders below it.

    Returns
    -------
    tuple
        Paths of the recordings, in order of their names; and of the other files, relative to `folder`.

    Raises
    ------
    RecordError
        More than a million files.
    """
    recordings: list[str] = []
    others: list[str] = []
    n_files = 0
    known: dict[str, ModuleType] = {}  # by suffix: of a hundred thousand files most are of one kind
    for here, folders, files in os.walk(folder):
        folders.sort()
        for name in list(folders):
            place = Path(here, name)
            if not place.is_symlink() and zarr.locate(place) is not None:
                recordings.append(str(place))
                folders.remove(name)
        n_files += len(files)
        if n_files > _MOST_FILES:
            raise RecordError(
                f"{folder.name}: expected at most {_MOST_FILES} files, got more; list them in a catalogue"
            )
        parts: set[str] = set()  # files that a header names: parts of its record
        for name in sorted(files, key=lambda file: (not file.endswith(".hea"), file)):
            if name in parts:
                continue
            path = Path(here, name)
            reader = _reader_of(path, known.get(path.suffix))
            if reader is None:
                others.append(str(path.relative_to(folder)))
                continue
            known[path.suffix] = reader
            recordings.append(str(path))
            if path.suffix == ".hea":
                parts.update(many.parts_of(path))
    left = {str(Path(at).parent / part) for at in recordings if at.endswith(".hea") for part in _segments(Path(at))}
    return sorted(at for at in recordings if at not in left), others


def _reader_of(path: Path, first: ModuleType | None) -> ModuleType | None:
    """The reader of a file that is a recording by itself."""
    if path.is_symlink() or not path.is_file():
        return None
    try:
        reader, place = formats.find(path, first=first)
    except (RecordError, OSError):
        return None
    return None if place != path or reader.NAME == "catalogue" else reader


def _segments(header: Path) -> list[str]:
    """Headers of the segments of a record of several: they are no records of their own."""
    return [part for part in many.parts_of(header) if part.endswith(".hea")]


def _diagnosed(paths: Sequence[str], names: Sequence[str]) -> xr.Dataset:
    """The labels that headers state."""
    codes = [_codes(Path(path)) for path in paths]
    targets = sorted({code for some in codes for code in some})
    place = {code: k for k, code in enumerate(targets)}
    label = np.zeros((len(codes), len(targets)), bool)
    for row, some in zip(label, codes, strict=True):
        row[[place[code] for code in some]] = True
    return xr.Dataset(
        {"label": (("record", "target"), label)},
        {"record": ("record", list(names)), "target": ("target", np.array(targets, dtype=str))},
    )


def _codes(path: Path) -> list[str]:
    comments = read_lines(path)[1] if path.suffix == ".hea" else []
    stated = [found[1] for line in comments if (found := _DX.fullmatch(line.strip()))]
    codes = [code.strip() for text in stated for code in text.split(",")]
    if not stated or not all(map(_CODE.fullmatch, codes)):
        got = ", ".join(codes)[:80] if stated else "none"
        raise RecordError(
            f"{path.name}: Dx: expected a line with codes of SNOMED CT, got {got}; open without diagnoses"
        )
    return codes
