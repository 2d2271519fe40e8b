"""Readers, one a file: a format is found by the content of what a path names, never by the name.

A reader is a module of this package with

``NAME``
    the format as users know it;
``locate(path) -> Path | None``
    the file or folder to read if what `path` names is of this format, else None. It looks at content, reads little,
    imports no reader's library and accepts that nothing may exist at `path`;
``read(path, *, leads, units, **options) -> Dataset``
    the recording at a located path, as `ecg_widget.records.open_ecg` describes it, or `RecordError`. A reader that can
    leave the samples in the file has an option ``lazy``.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import xarray as xr

from ecg_widget.records import RecordError


@functools.cache
def readers() -> tuple[ModuleType, ...]:
    """Find the readers: adding one is adding its file.

    Examples
    --------
    >>> {"WFDB", "DICOM"} <= {reader.NAME for reader in readers()}
    True
    """
    modules = [importlib.import_module(f"{__name__}.{info.name}") for info in pkgutil.iter_modules(__path__)]
    return tuple(m for m in modules if hasattr(m, "locate"))


def read(
    path: Path, *, leads: Sequence[str] | None, units: str | None, lazy: bool | None = None, **options: Any
) -> xr.Dataset:
    """Open one path with the reader that knows its content; see `ecg_widget.records.open_ecg`."""
    if path.is_dir() and not any(reader.locate(path) for reader in readers()):
        from ecg_widget.folders import read_folder  # noqa: PLC0415  (it imports this module)

        check_options(path.name, "folder", read_folder, options)
        return read_folder(path, leads=leads, units=units, lazy=lazy, **options)
    reader, located = find(path)
    return read_with(reader, located, leads=leads, units=units, lazy=lazy, **options)


def read_with(
    reader: ModuleType,
    path: Path,
    *,
    leads: Sequence[str] | None,
    units: str | None,
    lazy: bool | None = None,
    **options: Any,
) -> xr.Dataset:
    """Open what `find` has found."""
    if "lazy" in (reader.read.__kwdefaults__ or {}):
        options["lazy"] = lazy
    elif lazy:
        able = ", ".join(r.NAME for r in readers() if "lazy" in (r.read.__kwdefaults__ or {}))
        raise RecordError(
            f"{path.name}: lazy: expected None or False for {reader.NAME}, which is read whole, got True; "
            f"formats that can be read in pieces: {able}"
        )
    check_options(path.name, reader.NAME, reader.read, options)
    ds: xr.Dataset = reader.read(path, leads=leads, units=units, **options)
    return ds


def find(path: Path, *, first: ModuleType | None = None) -> tuple[ModuleType, Path]:
    """Find the reader that knows what a path names, and the file or folder that it reads.

    Parameters
    ----------
    path
        As given by a caller.
    first
        A reader to ask before the others: files of one set are mostly of one format.

    Raises
    ------
    RecordError
        No reader knows it.
    """
    for reader in readers() if first is None else (first, *readers()):
        located = reader.locate(path)
        if located is not None:
            return reader, located
    names = ", ".join(reader.NAME for reader in readers())
    if not path.exists():
        raise RecordError(f"{path.name}: expected a file or a WFDB record of that name, got none; check the path")
    if path.is_dir():
        raise RecordError(f"{path.name}: expected a recording, got a folder of no known layout")
    size = path.stat().st_size
    raise RecordError(f"{path.name}: expected content of one of {names}, got {size} bytes of something else")


def check_options(file: str, name: str, function: Any, options: Mapping[str, Any]) -> None:
    """Refuse options that a reader does not have, naming those that it has."""
    known = function.__kwdefaults__ or {}
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise TypeError(
            f"{file}: the {name} reader has no option {', '.join(unknown)}; it knows "
            f"{', '.join(sorted(set(known) - {'leads', 'units', 'lazy'})) or 'none'} beside leads and units"
        )
