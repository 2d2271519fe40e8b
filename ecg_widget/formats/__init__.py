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
from collections.abc import Sequence
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
    for reader in readers():
        located = reader.locate(path)
        if located is not None:
            known = reader.read.__kwdefaults__ or {}
            if "lazy" in known:
                options["lazy"] = lazy
            elif lazy:
                able = ", ".join(r.NAME for r in readers() if "lazy" in (r.read.__kwdefaults__ or {}))
                raise RecordError(
                    f"{path.name}: lazy: expected None or False for {reader.NAME}, which is read whole, got True; "
                    f"formats that can be read in pieces: {able}"
                )
            unknown = sorted(set(options) - set(known))
            if unknown:
                raise TypeError(
                    f"{path.name}: the {reader.NAME} reader has no option {', '.join(unknown)}; it knows "
                    f"{', '.join(sorted(set(known) - {'leads', 'units', 'lazy'})) or 'none'} beside leads and units"
                )
            ds: xr.Dataset = reader.read(located, leads=leads, units=units, **options)
            return ds
    names = ", ".join(reader.NAME for reader in readers())
    if not path.exists():
        raise RecordError(f"{path.name}: expected a file or a WFDB record of that name, got none; check the path")
    if path.is_dir():
        raise RecordError(
            f"{path.name}: expected a recording, got a folder of no known layout; pass its files as a list, e.g. "
            "sorted(folder.glob('*.hea'))"
        )
    size = path.stat().st_size
    raise RecordError(f"{path.name}: expected content of one of {names}, got {size} bytes of something else")
