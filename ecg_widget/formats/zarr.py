"""Recordings of the data contract that ``Dataset.to_zarr`` wrote, read in pieces or whole.

A group's metadata are vetted by `ecg_widget.formats.zarr_metadata` first. Variables along time stay in the file where
the recording is long; the others are read. Choose chunks that suit the way in which a recording is read, say all leads
of 2**16 to 2**18 samples: ``ds.to_zarr(path, encoding={"signal": {"chunks": (1, 3, 2**17)}})``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from ecg_widget.formats.limits import LAZY_VALUES, check_header
from ecg_widget.formats.zarr_chunks import plain_store
from ecg_widget.formats.zarr_metadata import LARGEST_CHUNK, Array, Group, is_group, read_group
from ecg_widget.lazy import LazyArray, lazy_variable
from ecg_widget.privacy import without_personal
from ecg_widget.records import RecordError, millivolts, validate_ecg
from ecg_widget.time_axis import SHORT, sample_times
from ecg_widget.validation import WAVES, check_rate

NAME = "zarr"

_DIMS = ("record", "lead", "time")
_PIECE = 1 << 20  # values in one read
_JITTER = 1e-3  # largest departure of a time stamp from the regular grid, in samples; as `validate_ecg` has it


def locate(path: Path) -> Path | None:
    """Find a zarr group that holds an array ``signal``."""
    return path if path.is_dir() and is_group(path) and (path / "signal").is_dir() else None


def read(
    path: Path,
    *,
    leads: Sequence[str] | None = None,
    units: str | None = None,
    personal: bool = False,
    lazy: bool | None = None,
) -> xr.Dataset:
    """Read one zarr group.

    Parameters
    ----------
    path
        The group's folder, of format 2 or 3.
    leads, units, lazy
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
    ImportError
        Without the package zarr.
    RecordError
        A group that does not hold a Dataset of the contract; objects, codecs that do more than unpack, absurd sizes.
    """
    group = read_group(path)
    _check_group(path.name, group)
    zarr = library()
    try:
        ds = _open(zarr, path, group, lazy=lazy)
        ds = ds if personal else without_personal(ds)
        ds = validate_ecg(_select(path.name, _in_millivolts(path.name, ds, units), leads))
    except RecordError:
        raise
    except Exception as error:  # a hostile file may raise anything inside the library
        raise RecordError(f"{path.name}: {error}") from error
    filters = str(ds.attrs.get("filters", ""))
    return ds.assign_attrs(source=path.name, format=NAME, reader=f"zarr {zarr.__version__}", filters=filters)


def library() -> Any:
    """Import zarr, or say how to get it."""
    try:
        import zarr  # type: ignore[import-not-found, unused-ignore]  # noqa: PLC0415  (an extra: needed here alone)
    except ImportError as error:
        raise ImportError('zarr: expected the package zarr, got none; pip install "ecg-widget[zarr]"') from error
    return zarr


def _check_group(file: str, group: Group) -> None:
    for name, dims in {"signal": _DIMS, **{dim: (dim,) for dim in _DIMS}}.items():
        if name not in group.arrays or group.arrays[name].dims != dims:
            got = f"dims {group.arrays[name].dims}" if name in group.arrays else f"only {sorted(group.arrays)}"
            raise RecordError(f"{file}: {name}: expected an array with dims {dims}, got {got}")
    sizes = dict(zip(_DIMS, group.arrays["signal"].shape, strict=True))
    for array in group.arrays.values():
        for dim, n in zip(array.dims, array.shape, strict=True):
            if sizes.setdefault(dim, n) != n:
                raise RecordError(f"{file}: {array.name}: expected {sizes[dim]} values along {dim}, got {n}")
    signal, time = group.arrays["signal"], group.arrays["time"]
    packed = signal.dtype is not None and signal.dtype.kind in "iu" and "scale_factor" in signal.attrs
    if signal.dtype != np.float32 and not packed:
        raise RecordError(f"{file}: signal: expected float32, or integers with a scale_factor, got {signal.dtype}")
    if time.dtype != np.float64 or {"scale_factor", "add_offset"} & set(time.attrs):
        raise RecordError(f"{file}: time: expected plain float64 seconds from the start, got {time.dtype} {time.attrs}")
    try:
        rate = check_rate(time.attrs.get("sampling_rate"))
    except (TypeError, ValueError) as error:
        raise RecordError(f"{file}: time: {error}") from None
    check_header(file, n_channels=sizes["lead"], n_samples=sizes["time"], rate=rate)


def _open(zarr: Any, path: Path, group: Group, *, lazy: bool | None) -> xr.Dataset:
    store = plain_store(zarr, path, group)
    ds = xr.open_dataset(
        store,
        engine="zarr",
        chunks=None,
        cache=False,
        consolidated=False,
        decode_times=False,
        decode_timedelta=False,
        drop_variables=["time"],  # xarray would write it out to make an index
        zarr_format=group.version,
    )
    stored = zarr.open_array(store, path="time", mode="r", zarr_format=group.version)
    attrs = group.arrays["time"].attrs
    later = math.prod(group.arrays["signal"].shape) > LAZY_VALUES if lazy is None else lazy
    for name in ds.variables:
        if "time" in ds[name].dims:
            array = _Reading(f"{path.name}: {name}", ds[name].variable).array(group.arrays[str(name)])
            ds[name] = lazy_variable(ds[name].dims, array, ds[name].attrs)
        else:
            ds[name].load()
    if not later:
        ds = ds.load()
    if stored.size <= SHORT or attrs.get("units") != "s":
        attrs.pop("_FillValue", None)
        return ds.assign_coords(time=("time", stored[:], attrs))
    rate = float(attrs["sampling_rate"])
    start = float(stored[0])
    for first in range(0, stored.size, SHORT):  # checked here and then known: the axis itself is 8 bytes a sample
        values = stored[first : first + SHORT]
        if not np.abs((values - start) * rate - np.arange(first, first + values.size)).max() <= _JITTER:
            raise RecordError(
                f"{path.name}: time: expected steps of 1 / {rate:g} s, got others after {values[0]:.3f} s"
            )
    return ds.assign_coords(sample_times(stored.size, rate, start))


class _Reading:
    """Gives pieces of a stored variable as `LazyArray` asks for them, as the contract's type and checked."""

    def __init__(self, where: str, variable: xr.Variable) -> None:
        self.where, self.variable = where, variable

    def array(self, stored: Array) -> LazyArray:
        """The variable as an array that is read later."""
        dtype = np.float32 if stored.name == "signal" else self.variable.dtype
        wide = math.prod(stored.shape[1:-1])
        at_once = max(1, min(4, LARGEST_CHUNK // max(1, math.prod(stored.chunks) * self.variable.dtype.itemsize)))
        return LazyArray(stored.shape, dtype, self, max(_PIECE // wide, at_once * stored.chunks[-1]))

    def __call__(self, outer: tuple[np.ndarray, ...], first: int, last: int) -> np.ndarray:
        """The samples `first` to `last` (exclusive)."""
        try:
            values = self.variable[(*outer, slice(first, last))].values
        except Exception as error:  # a broken chunk may raise anything inside the library
            raise RecordError(f"{self.where}: expected whole chunks, got {type(error).__name__}: {error}") from error
        if values.dtype.kind == "f":
            values = values.astype(np.float32, copy=False)
            if np.isinf(values).any():
                raise RecordError(f"{self.where}: expected finite values or NaN for gaps, got infinity")
        elif self.where.endswith(": wave") and not ((values >= 0) & (values < len(WAVES))).all():
            raise RecordError(f"{self.where}: expected 0 none, 1 P, 2 QRS, 3 T, got {np.unique(values).tolist()[:9]}")
        return values


def _in_millivolts(file: str, ds: xr.Dataset, units: str | None) -> xr.Dataset:
    stated = ds["signal"].attrs.get("units", units)
    if stated is None or millivolts(stated) != 1 or (units is not None and millivolts(units) != 1):
        raise RecordError(f"{file}: signal.attrs['units']: expected 'mV', got {stated!r}, the caller says {units!r}")
    ds["signal"].attrs["units"] = "mV"
    return ds


def _select(file: str, ds: xr.Dataset, leads: Sequence[str] | None) -> xr.Dataset:
    there = ds["lead"].values.tolist()
    if missing := [lead for lead in leads or () if lead not in there]:
        raise RecordError(f"{file}: leads: expected {', '.join(missing)}, got {', '.join(map(str, there))}")
    return ds if leads is None else ds.isel(lead=[i for i, lead in enumerate(there) if lead in leads])
