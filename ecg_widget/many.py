"""Sets of recordings that stay in their files: a record is read when its samples are asked for, one at a time.

What such a set has in common (leads, rate, and length unless it is ragged) is taken from its first record. Every other
one is held against it when it is read, so that opening 100,000 records costs one.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import xarray as xr

from ecg_widget.formats.limits import LAZY_VALUES, MOST_VALUES
from ecg_widget.lazy import LazyArray, lazy_dataset
from ecg_widget.lengths import with_ends
from ecg_widget.records import RecordError

__all__ = ["check_choices", "different_names", "find_recordings", "located", "open_many"]

OpenOne = Callable[[str, bool], xr.Dataset]
"""``open_one(path, whole)`` gives the recording at a path; where `whole` is False it may leave the samples there."""

_PIECE = 1 << 20  # samples of each lead in one read
_MOST_FILES = 1_000_000  # below a folder
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
                place[:, : end - first] = self._part(row, length, first, end)[leads]
            except RecordError as error:
                if self.unreadable != "nan":
                    raise RecordError(f"record {self.names[row]!r}: {error}") from error
                place[:] = np.nan
                warnings.warn(f"record {self.names[row]!r} is NaN: {error}", UserWarning, stacklevel=2)
        return out

    def _part(self, row: int, length: int, first: int, end: int) -> np.ndarray:
        path = self.paths[row]
        try:
            ds = self.open_one(path, first == 0 and end == length)
            self.grid.check(ds, ragged=self.lengths is not None, length=length)
            return np.asarray(ds["signal"][0, :, first:end].values)
        except OSError as error:  # the file was taken away while it was read
            raise RecordError(f"{Path(path).name}: expected a file that can be read, got {error}") from error


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
    told: dict[str, str] = {}
    found: np.ndarray | None = lengths if ragged else None
    first: xr.Dataset | None = None
    if unreadable == "skip" or (ragged and lengths is None):
        first, found, told = _looked(paths, names, open_one, ragged=ragged, skip=unreadable == "skip")
        keep = np.flatnonzero(found >= 0)
        paths, names = [paths[i] for i in keep], [names[i] for i in keep]
        about, found = about.isel(record=keep), found[keep]
    else:
        first = _named(names[0], open_one, paths[0])
        if first.sizes["record"] != 1:
            raise RecordError(f"{Path(paths[0]).name}: records: expected one in each file, got {first.sizes['record']}")
    grid = _Grid.of(first)
    if ragged and found is not None:
        if (shortest := int(found.min())) < 1:
            raise RecordError(f"n_samples: expected at least 1 for every record, got {shortest}")
        grid = _Grid(grid.leads, grid.rate, int(found.max()))
    reading = _Reading(paths, names, open_one, grid, found if ragged else None, unreadable)
    facts = {key: first.attrs[key] for key in ("reader", "filters") if key in first.attrs}
    if told:
        facts["unreadable"] = [f"{name}: {why}" for name, why in list(told.items())[:_MOST_TOLD]]
        facts["n_unreadable"] = len(told)
    array = LazyArray((len(paths), len(grid.leads), grid.n_samples), np.float32, reading, _PIECE)
    ds = lazy_dataset(array, sampling_rate=grid.rate, leads=grid.leads, records=names, attrs={**facts, **attrs})
    ds = ds.assign(about.drop_vars("record").variables)
    ds = ds.set_coords([name for name in about.coords if name in ds.variables])
    if ragged and found is not None:
        ds = with_ends(ds, found)
    n_values = array.shape[0] * array.shape[1] * array.shape[2]
    if not (n_values > LAZY_VALUES if lazy is None else lazy):
        if n_values > MOST_VALUES:
            raise RecordError(f"size: expected at most {MOST_VALUES} values in memory, got {n_values}; use lazy=True")
        ds["signal"].load()
    return ds


def _looked(
    paths: Sequence[str], names: Sequence[str], open_one: OpenOne, *, ragged: bool, skip: bool
) -> tuple[xr.Dataset, np.ndarray, dict[str, str]]:
    """Open every record without its samples: the first good one, samples of each (-1: unreadable), and why."""
    first: xr.Dataset | None = None
    lengths = np.full(len(paths), -1, np.int64)
    told: dict[str, str] = {}
    for i, (path, name) in enumerate(zip(paths, names, strict=True)):
        try:
            ds = _named(name, open_one, path)
            grid = _Grid.of(ds if first is None else first)
            grid.check(ds, ragged=ragged, length=ds.sizes["time"] if ragged else grid.n_samples)
        except RecordError as error:
            if not skip:
                raise
            told[name] = str(error)
            continue
        first = ds if first is None else first
        lengths[i] = ds.sizes["time"]
    if first is None:
        name, why = next(iter(told.items()))
        raise RecordError(f"records: expected at least one that can be read, got {len(told)} of which none can: {why}")
    return first, lengths, told


def _named(name: str, open_one: OpenOne, path: str) -> xr.Dataset:
    try:
        return open_one(path, False)
    except RecordError as error:
        raise RecordError(f"record {name!r}: {error}") from error
    except OSError as error:
        raise RecordError(f"record {name!r}: expected a file that can be read, got {error}") from error


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


def located(leads: Sequence[str] | None, units: str | None, options: Mapping[str, Any]) -> OpenOne:
    """Open paths of any format, found by content; the reader of the one before is asked first."""
    from ecg_widget import formats  # noqa: PLC0415  (formats import this module)

    last: list[ModuleType] = []

    def open_one(path: str, whole: bool) -> xr.Dataset:  # noqa: FBT001  (one signature for all who open records)
        reader, place = formats.find(Path(path), first=last[-1] if last else None)
        last[:] = [reader]
        able = "lazy" in (reader.read.__kwdefaults__ or {})
        return formats.read_with(reader, place, leads=leads, units=units, lazy=not whole and able, **options)

    return open_one


def find_recordings(folder: Path) -> tuple[list[str], int]:
    """Find every recording below a folder, by content; links are not followed.

    Parameters
    ----------
    folder
        Searched with all folders below it.

    Returns
    -------
    tuple
        Paths of the recordings, in order of their names, and how many files are of no known format.

    Raises
    ------
    RecordError
        More than a million files.
    """
    from ecg_widget import formats  # noqa: PLC0415  (formats import this module)

    recordings: dict[str, None] = {}
    ignored = n_files = 0
    known: dict[str, ModuleType] = {}  # by suffix: of a hundred thousand files most are of one kind
    for here, folders, files in os.walk(folder):
        folders.sort()
        for name in list(folders):
            if (place := _group(Path(here, name))) is not None:
                recordings[str(place)] = None
                folders.remove(name)
        n_files += len(files)
        if n_files > _MOST_FILES:
            raise RecordError(
                f"{folder.name}: expected at most {_MOST_FILES} files, got more; list them in a catalogue"
            )
        for name in sorted(files):
            path = Path(here, name)
            if path.is_symlink():
                ignored += 1
                continue
            try:
                reader, place = formats.find(path, first=known.get(path.suffix))
            except RecordError:
                ignored += 1
                continue
            if place.is_dir() or reader.NAME == "catalogue":
                ignored += 1
                continue
            known[path.suffix] = reader
            recordings[str(place)] = None
    return list(recordings), ignored


def _group(path: Path) -> Path | None:
    """A folder that is one recording, as zarr's are."""
    from ecg_widget.formats import zarr  # noqa: PLC0415  (formats import this module)

    return None if path.is_symlink() else zarr.locate(path)


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
