"""Recordings of the data contract that `ecg_widget.writing.write_dataset` or ``Dataset.to_netcdf`` wrote (netCDF 4)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from ecg_widget.formats import hdf5
from ecg_widget.formats.limits import check_header
from ecg_widget.privacy import without_personal
from ecg_widget.records import RecordError, millivolts, validate_ecg
from ecg_widget.validation import check_rate

NAME = "netCDF"

_DIMS = ("record", "lead", "time")
_LARGEST_TABLE = 1 << 28  # bytes of the texts of a variable


def locate(path: Path) -> Path | None:
    """Find a netCDF 4 file that holds a variable ``signal`` with a record, a lead and a time."""
    if not hdf5.is_hdf5(path):
        return None
    try:  # names may lie anywhere in such a file, behind the samples too
        with hdf5.opened(path) as stored:
            found = "_NCProperties" in stored.attrs and {"signal", *_DIMS} <= set(stored)
    except (ImportError, RecordError):
        found = hdf5.names(path, "_NCProperties", "signal", *_DIMS)  # so that `read` says what is missing or wrong
    return path if found else None


def read(
    path: Path, *, leads: Sequence[str] | None = None, units: str | None = None, personal: bool = False
) -> xr.Dataset:
    """Read one file.

    Parameters
    ----------
    path
        The file.
    leads, units
        As in `ecg_widget.records.open_ecg`.
    personal
        Keep attrs and variables whose names sound as if they told of a person, a place or a date, and free text. The
        contract's ``patient`` is kept anyhow.

    Returns
    -------
    xarray.Dataset
        With the stored variables and attrs; ``source``, ``format`` and ``reader`` are those of this file.
        ``attrs["left_out"]`` names what is not kept.

    Raises
    ------
    RecordError
        A file that does not hold a Dataset of the contract; absurd sizes, links, filters that would load a plugin.
    """
    file = path.name
    hdf5.check_heaps(path)
    with hdf5.opened(path) as stored:
        _check_variables(path, stored)
        signal = hdf5.dataset(stored, file, "signal", "f", 3)
        hdf5.dataset(stored, file, "time", "f", 1)
        rate = stored["time"].attrs.get("sampling_rate")
        try:
            rate = check_rate(np.asarray(rate).item() if rate is not None else None)
        except (TypeError, ValueError) as error:
            raise RecordError(f"{file}: time: {error}") from None
        n_records, n_leads, n_samples = signal.shape
        check_header(file, n_channels=n_leads, n_samples=n_samples * n_records, rate=rate)
    try:
        with xr.open_dataset(path, decode_times=False, decode_timedelta=False) as opened:
            ds = opened.load() if personal else without_personal(opened).load()
        stated = ds["signal"].attrs.get("units", units)
        if stated is None or millivolts(stated) != 1 or (units is not None and millivolts(units) != 1):
            raise RecordError(  # noqa: TRY301
                f"{file}: signal.attrs['units']: expected 'mV', got {stated!r}, the caller {units!r}"
            )
        for name in ("record", "lead"):
            ds[name] = ds[name].astype(str)
        there = ds["lead"].values.tolist()
        if missing := [lead for lead in leads or () if lead not in there]:
            raise RecordError(f"{file}: leads: expected {', '.join(missing)}, got {', '.join(there)}")  # noqa: TRY301
        if leads is not None:
            ds = ds.isel(lead=[i for i, lead in enumerate(there) if lead in leads])
        for variable in ds.variables.values():
            variable.encoding = {}
        ds.encoding = {}
        ds = validate_ecg(ds)
    except RecordError:
        raise
    except Exception as error:  # a hostile file may raise anything inside the library
        raise RecordError(f"{file}: {error}") from error
    filters = str(ds.attrs.get("filters", ""))
    return ds.assign_attrs(source=file, format=NAME, reader=f"xarray {xr.__version__}", filters=filters)


def _check_texts(path: Path, name: str, variable: Any) -> None:
    """Texts of variable length, by the lengths that the file states: the library takes that much before it looks."""
    size, place = path.stat().st_size, variable.id.get_offset()
    if place is None:
        raise RecordError(f"{path.name}: {name}: expected texts in one piece that is not packed, got others")
    stated = np.dtype([("length", "<u4"), ("address", "<u8"), ("index", "<u4")])
    if variable.size * stated.itemsize > size - place:
        raise RecordError(
            f"{path.name}: {name}: expected {variable.size} texts, got {size} bytes: the file is truncated"
        )
    lengths = np.fromfile(path, stated, variable.size, offset=place)["length"].astype(np.int64)
    if lengths.sum() > size or variable.size * int(lengths.max(initial=0)) > _LARGEST_TABLE:
        raise RecordError(
            f"{path.name}: {name}: expected texts of at most {size} bytes, which the file has, and of "
            f"{_LARGEST_TABLE} where each has room for the longest, got {lengths.sum()}, up to {lengths.max()} each"
        )


def _check_variables(path: Path, stored: Any) -> None:
    """Every variable, since xarray opens them all; h5py follows no link here."""
    for name in stored:
        if type(stored.get(name, getlink=True)).__name__ != "HardLink":
            raise RecordError(f"{path.name}: {name}: expected a variable in the file itself, got a link")
        if shape := getattr(stored[name], "shape", None):
            variable = hdf5.dataset(stored, path.name, name, "iufSUOb", len(shape))
            if variable.dtype.kind == "O":
                _check_texts(path, name, variable)
