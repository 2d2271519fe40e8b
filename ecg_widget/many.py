"""Sets of recordings that stay in their files: a record is read when its samples are asked for, one at a time.

What such a set has in common (leads, rate, and length unless it is ragged) is taken from its first record. Every other
one is held against it when it is read, so that opening 100,000 records costs one.
"""

from __future__ import annotations

import contextlib
import math
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

import numpy as np
import xarray as xr

from ecg_widget.formats.limits import LAZY_VALUES, MOST_VALUES, check_header
from ecg_widget.lazy import LazyArray, lazy_dataset
from ecg_widget.lengths import with_ends
from ecg_widget.records import RecordError

__all__ = ["OpenOne", "check_choices", "different_names", "located", "open_many", "parts_of"]


class OpenOne(Protocol):
    """Gives the recording at a path; its samples may stay there where `whole` is False, or there are very many."""

    def __call__(self, path: str, *, whole: bool) -> xr.Dataset:  # noqa: D102  (said above)
        ...


_PIECE = 1 << 20  # samples of each lead in one read
_MOST_TOLD = 1000  # records that are listed as left out
_UNREADABLE = ("error", "skip", "nan")


@dataclass(frozen=True)
class _Grid:
    """What all records of a set have in common."""

    leads: tuple[str, ...]
    rate: float
    n_samples: int

    @classmethod
    def of(cls, ds: xr.Dataset) -> _Grid:
        leads = tuple(str(lead) for lead in ds["lead"].values)
        return cls(leads, float(ds["time"].attrs["sampling_rate"]), ds.sizes["time"])

    def check(self, ds: xr.Dataset, *, ragged: bool, length: int) -> None:
        """Hold a record against it; `length`: samples that are expected of this one."""
        if ds.sizes["record"] != 1:
            raise RecordError(f"records: expected one in each file of a set, got {ds.sizes['record']}; open it alone")
        got = _Grid.of(ds)
        if got.leads != self.leads:
            hint = "choose leads that all have with leads=[...]"
            raise RecordError(
                f"leads: expected {list(self.leads)} as in the first record, got {list(got.leads)}; {hint}"
            )
        if got.rate != self.rate:
            hint = "open records of one rate together, then resample()"
            raise RecordError(
                f"sampling rate: expected {self.rate:g} Hz as in the first record, got {got.rate:g}; {hint}"
            )
        if got.n_samples != length:
            hint = "the catalogue is wrong" if ragged else "records of several lengths are opened with ragged=True"
            whose = "as stated for it" if ragged else "as in the first record"
            raise RecordError(f"samples: expected {length} {whose}, got {got.n_samples}; {hint}")


@dataclass(frozen=True)
class _Reading:
    """Gives pieces of a set as `ecg_widget.lazy.LazyArray` asks for them; nothing that was read is kept."""

    paths: Sequence[str]
    names: Sequence[str]
    open_one: OpenOne
    grid: _Grid
    lengths: np.ndarray | None
    unreadable: str

    def __call__(self, outer: tuple[np.ndarray, ...], first: int, last: int) -> np.ndarray:
        rows, leads = outer
        out = np.full((len(rows), len(leads), last - first), np.nan, np.float32)
        for row, place in zip(rows.tolist(), out, strict=True):
            length = self.grid.n_samples if self.lengths is None else int(self.lengths[row])
            end = min(last, length)
            if first >= end:
                continue
            try:
                with _about(self.names[row]):
                    place[:, : end - first] = self._part(row, length, first, end)[leads]
            except RecordError as error:
                if self.unreadable != "nan":
                    raise
                place[:] = np.nan
                warnings.warn(f"{error}; its samples are NaN", UserWarning, stacklevel=2)
        return out

    def _part(self, row: int, length: int, first: int, end: int) -> np.ndarray:
        ds = self.open_one(self.paths[row], whole=first == 0 and end == length)
        self.grid.check(ds, ragged=self.lengths is not None, length=length)
        return np.asarray(ds["signal"][0, :, first:end].values)


def open_many(
    paths: Sequence[str],
    names: Sequence[str],
    open_one: OpenOne,
    *,
    attrs: Mapping[str, Any],
    about: xr.Dataset | None = None,
    lengths: np.ndarray | None = None,
    lazy: bool | None = None,
    ragged: bool = False,
    unreadable: str = "error",
) -> xr.Dataset:
    """Open a set of recordings of one rate and one set of leads, one record a file.

    Parameters
    ----------
    paths, names
        Of the records; names differ.
    open_one
        Opens one of the paths.
    attrs
        Of the result; those of the first record fill in ``reader`` and ``filters``.
    about
        What else is known of the records: variables and coordinates with the dim ``record``, in the same order.
    lengths
        Samples of each record, where they are known; looked up in every file for a ragged set where they are not.
    lazy, ragged, unreadable
        As in `ecg_widget.records.open_ecg`.

    Returns
    -------
    xarray.Dataset
        ``signal (record, lead, time)``, and what `about` holds. Ragged: ``time`` as long as the longest record, NaN
        behind the others, and the coordinate ``end (record)``, see `ecg_widget.lengths`.

    Raises
    ------
    RecordError
        No record; a first record that cannot be read. Others are told when they are read, by name.
    """
    check_choices(ragged=ragged, unreadable=unreadable)
    if not len(paths):
        raise RecordError("records: expected at least one, got none")
    if about is None:
        about = xr.Dataset(coords={"record": ("record", list(names))})
    if unreadable == "skip" or (ragged and lengths is None):
        grid, first, found, told = _looked(paths, names, open_one, ragged=ragged, unreadable=unreadable)
        keep = np.flatnonzero(found >= 0) if unreadable == "skip" else np.arange(len(found))
        paths, names = [paths[int(i)] for i in keep], [names[int(i)] for i in keep]
        about, found = about.isel(record=keep), np.where(found < 0, found.max(), found)[keep]
    else:
        first, told = _first(paths, names, open_one, unreadable)
        grid = _Grid.of(first)
        found = np.full(len(paths), grid.n_samples) if lengths is None else np.asarray(lengths)
    if (shortest := int(found.min())) < 1:
        raise RecordError(f"n_samples: expected at least 1 for every record, got {shortest}")
    grid = _Grid(grid.leads, grid.rate, int(found.max()))
    shape = (len(paths), len(grid.leads), grid.n_samples)
    in_memory = math.prod(shape) <= LAZY_VALUES if lazy is None else not lazy
    if in_memory and math.prod(shape) > MOST_VALUES:
        raise RecordError(
            f"size: expected at most {MOST_VALUES} values in memory, got {math.prod(shape)}; use lazy=True"
        )
    check_header("records", n_channels=len(grid.leads), n_samples=grid.n_samples, rate=grid.rate)
    reading = _Reading(paths, names, open_one, grid, found if ragged else None, unreadable)
    facts = {key: first.attrs[key] for key in ("reader", "filters") if key in first.attrs}
    if told:
        facts["unreadable"] = list(told.values())[:_MOST_TOLD]
        facts["n_unreadable"] = len(told)
    array = LazyArray(shape, np.float32, reading, _PIECE)
    ds = lazy_dataset(array, sampling_rate=grid.rate, leads=grid.leads, records=names, attrs={**facts, **attrs})
    ds = ds.assign(about.drop_vars("record").variables)
    ds = ds.set_coords([name for name in about.coords if name in ds.variables])
    if ragged:
        ds = with_ends(ds, found)
    if in_memory:
        ds["signal"].load()
    return ds


def _first(
    paths: Sequence[str], names: Sequence[str], open_one: OpenOne, unreadable: str
) -> tuple[xr.Dataset, dict[str, str]]:
    """The record that the others are held against: the first, or the first good one where bad ones are NaN; and why."""
    told: dict[str, str] = {}
    for path, name in zip(paths, names, strict=True):
        try:
            first = _named(name, open_one, path)
            _Grid.of(first).check(first, ragged=True, length=first.sizes["time"])
        except RecordError as error:
            if unreadable != "nan":
                raise
            told[name] = str(error)
        else:
            return first, told
    raise _none(told)


def _looked(
    paths: Sequence[str], names: Sequence[str], open_one: OpenOne, *, ragged: bool, unreadable: str
) -> tuple[_Grid, xr.Dataset, np.ndarray, dict[str, str]]:
    """Open every record without its samples: the first good one, samples of each (-1: unreadable), and why."""
    first: xr.Dataset | None = None
    lengths = np.full(len(paths), -1, np.int64)
    told: dict[str, str] = {}
    for i, (path, name) in enumerate(zip(paths, names, strict=True)):
        try:
            ds = _named(name, open_one, path)
            grid = _Grid.of(ds if first is None else first)
            with _about(name):
                grid.check(ds, ragged=ragged, length=ds.sizes["time"] if ragged else grid.n_samples)
        except RecordError as error:
            if unreadable == "error":
                raise
            told[name] = str(error)
            continue
        first = ds if first is None else first
        lengths[i] = ds.sizes["time"]
    if first is None:
        raise _none(told)
    return _Grid.of(first), first, lengths, told


def _none(told: Mapping[str, str]) -> RecordError:
    why = next(iter(told.values()))
    return RecordError(f"records: expected at least one that can be read, got {len(told)} of which none can: {why}")


def _named(name: str, open_one: OpenOne, path: str) -> xr.Dataset:
    with _about(name):
        return open_one(path, whole=False)


@contextlib.contextmanager
def _about(name: str) -> Iterator[None]:
    """Say of which record an error is."""
    try:
        yield
    except (RecordError, OSError) as error:
        told = error if isinstance(error, RecordError) else f"expected a file that can be read, got {error}"
        raise RecordError(f"record {name!r}: {told}") from error


def check_choices(*, ragged: bool, unreadable: str) -> None:
    """Refuse other values of two options of `ecg_widget.records.open_ecg`.

    Raises
    ------
    TypeError, ValueError
        With what was expected and what came.
    """
    if not isinstance(ragged, (bool, np.bool_)):
        raise TypeError(f"ragged: expected True or False, got {ragged!r}")
    if unreadable not in _UNREADABLE:
        raise ValueError(f"unreadable: expected one of {', '.join(map(repr, _UNREADABLE))}, got {unreadable!r}")


def located(
    leads: Sequence[str] | None, units: str | None, options: Mapping[str, Any], *, within: Path | None = None
) -> OpenOne:
    """Open paths of any format, found by content; the reader of the one before is asked first.

    Parameters
    ----------
    leads, units, options
        As in `ecg_widget.records.open_ecg`.
    within
        A folder that no file may lie outside of, wherever links lead; None where the caller has named the files.
    """
    from ecg_widget import formats  # noqa: PLC0415  (formats import this module)

    home = None if within is None else within.resolve()
    last: list[ModuleType] = []

    def open_one(path: str, *, whole: bool) -> xr.Dataset:
        reader, place = formats.find(Path(path), first=last[-1] if last else None)
        if reader.NAME == "catalogue" or (place.is_dir() and reader.NAME != "zarr"):
            raise RecordError(f"{place.name}: expected one recording, got a set of them ({reader.NAME}); open it alone")
        for file in (place, *(place.with_name(part) for part in parts_of(place))):
            if home is not None and not file.resolve().is_relative_to(home):
                raise RecordError(f"{file.name}: expected a file below {home.name}, got a link out of it")
        last[:] = [reader]
        known = reader.read.__kwdefaults__ or {}
        lazy = None if whole else "lazy" in known
        unmarked = {"annotations": "none"} if "annotations" in known else {}  # a set has the signal alone
        return formats.read_with(reader, place, leads=leads, units=units, lazy=lazy, **{**unmarked, **options})

    return open_one


def parts_of(path: Path) -> list[str]:
    """Names of the files that belong to a recording beside its own: those that a WFDB header speaks of.

    Raises
    ------
    RecordError
        A header that is too large or no text.
    """
    from ecg_widget.formats.wfdb_header import read_lines  # noqa: PLC0415  (formats import this module)

    found: dict[str, None] = {}
    headers = [path.name]
    for name in headers:  # segments are added as they are named; each header is read once, whoever names it
        header = path.with_name(name)
        if header.suffix != ".hea" or not header.is_file():
            continue
        lines, _ = read_lines(header)
        several = bool(lines) and "/" in lines[0].split()[0]
        named = dict.fromkeys(line.split()[0] for line in lines[1:])
        listed = [f"{part}.hea" if several else part for part in named if not {"/", "\0"} & set(part)]
        headers += [part for part in listed if several and part not in found and part != path.name]
        found.update(dict.fromkeys(listed))
    return list(found)


def different_names(paths: Iterable[str], folder: Path | None = None) -> list[str]:
    """Names for recordings: the files' stems where they differ, else their paths below `folder` without suffix.

    Examples
    --------
    >>> different_names(["/a/1.hea", "/a/2.hea"]), different_names(["/a/1.hea", "/b/1.hea"], Path("/"))
    (['1', '2'], ['a/1', 'b/1'])
    """
    listed = [Path(path) for path in paths]
    stems = [path.stem for path in listed]
    if len(set(stems)) == len(stems):
        return stems
    whole = [(path if folder is None else path.relative_to(folder)) for path in listed]
    names = [str(path.with_suffix("").as_posix()) for path in whole]
    return names if len(set(names)) == len(names) else [path.as_posix() for path in whole]
