"""HDF5 files opened with h5py as data and nothing else: no links out of the file, no plugins, no absurd chunks."""

from __future__ import annotations

import functools
import mmap
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ecg_widget.records import RecordError

__all__ = ["check_heaps", "dataset", "is_hdf5", "library", "names", "opened"]

_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_BEGINS = (0, 512, 1024, 2048)  # bytes; MATLAB 7.3 puts a text of 512 before it
_HEAP, _OBJECT = b"GCOL\x01\0\0\0", 16  # what a heap begins with; bytes of its head, and of an object's
_HEAD = 1 << 16  # bytes; the names of the first datasets lie in the first kilobyte
_FILTERS = {1: "gzip", 2: "shuffle", 3: "fletcher32", 4: "szip", 32000: "lzf"}  # others would load a plugin
_LARGEST_CHUNK = 1 << 28  # bytes that one read may have to unpack; h5py's own choice is at most 1 MiB


def is_hdf5(path: Path) -> bool:
    """Tell whether a file begins as HDF5 does."""
    if not path.is_file():
        return False
    with path.open("rb") as stream:
        for at in _BEGINS:
            stream.seek(at)
            if stream.read(len(_SIGNATURE)) == _SIGNATURE:
                return True
    return False


def names(path: Path, *wanted: str) -> bool:
    """Tell whether the head of a file holds these names, without a library that could read it."""
    with path.open("rb") as stream:
        head = stream.read(_HEAD)
    return all(name.encode() in head for name in wanted)


def check_heaps(path: Path) -> None:
    """Refuse heaps, where texts of any length lie, that the library (2.0.0) would walk through without end.

    A heap is a head of 16 bytes and objects one behind the other, each with its size (HDF5 File Format Specification,
    III.E). The library steps over an object by the size that it states, which may be none.
    """
    stat = path.stat()
    _check_heaps(path, stat.st_size, stat.st_mtime_ns)


@functools.lru_cache(maxsize=64)
def _check_heaps(path: Path, size: int, changed: int) -> None:
    del changed  # `size` and `changed` tell one state of a file from another
    if not size:
        return
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        at = data.find(_HEAP)
        while at >= 0:
            end = at + struct.unpack_from("<Q", data, at + len(_HEAP))[0] if at + _OBJECT <= size else 0
            at = _walked(path.name, data, at + _OBJECT, min(end, size)) if end > at else at + 1
            at = data.find(_HEAP, at)


def _walked(file: str, data: mmap.mmap, at: int, end: int) -> int:
    """Step over the objects of a heap; give a place behind the first of them."""
    first = at
    while at + _OBJECT <= end:
        number, length = struct.unpack_from("<H6xQ", data, at)
        step = length if number == 0 else _OBJECT + -(-length // 8) * 8  # number 0 is what is free, with its head
        if step < _OBJECT or at + step > end:
            raise RecordError(f"{file}: heap: expected objects of 16 to {end - at} bytes, got {step} at byte {at}")
        at += step
    return first


def library() -> Any:
    """Import h5py, or say how to get it."""
    try:
        import h5py  # noqa: PLC0415  (an extra: needed here alone)
    except ImportError as error:
        raise ImportError('HDF5: expected the package h5py, got none; pip install "ecg-widget[hdf5]"') from error
    return h5py


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """Open a file for reading; whatever fails until it is closed is a `RecordError` that names it."""
    h5py = library()
    try:
        with h5py.File(path, "r") as file:
            yield file
    except RecordError:
        raise
    except Exception as error:  # a hostile file may raise anything inside the library
        raise RecordError(f"{path.name}: expected a complete HDF5 file, got {type(error).__name__}: {error}") from error


def dataset(file: Any, where: str, name: str, kinds: str, n_dims: int | None) -> Any:
    """Give a dataset whose values lie in the file itself.

    Parameters
    ----------
    file
        As `opened` gives it.
    where
        The file's name, for errors.
    name
        Of the dataset, in the root group, or with those of its groups: ``"study/ecg"``.
    kinds
        Of its type, as in ``numpy.dtype.kind``.
    n_dims
        Of its shape; None for any number.
    """
    h5py = library()
    found = file
    for step in name.split("/"):
        # `name in file` would follow a link, into another file too
        links: Any = found.id.links if isinstance(found, h5py.Group) else None
        there = bool(step) and links is not None and links.exists(step.encode())
        if not there or links.get_info(step.encode()).type != h5py.h5l.TYPE_HARD:
            got = "a link" if there else "none"
            raise RecordError(f"{where}: {name}: expected a dataset in the file itself, got {got}")
        found = found[step]
    if not isinstance(found, h5py.Dataset):
        raise RecordError(f"{where}: {name}: expected a dataset with its values in the file, got {found!r:.80}")
    n_found = len(found.shape or ())
    if n_found != (n_dims or n_found) or found.dtype.kind not in kinds or 0 in (found.shape or (0,)):
        raise RecordError(
            f"{where}: {name}: expected {n_dims or 'some'} dimensions, none of them empty, and a type of kind "
            f"{kinds!r}, got shape {found.shape}, {found.dtype}"
        )
    if found.external or found.is_virtual:  # asked last: for this the library looks into heaps of texts, too
        raise RecordError(f"{where}: {name}: expected a dataset with its values in the file, got {found!r:.80}")
    plist = found.id.get_create_plist()
    strange = {plist.get_filter(i)[0] for i in range(plist.get_nfilters())} - set(_FILTERS)
    if strange:
        raise RecordError(f"{where}: {name}: expected the filters {sorted(_FILTERS.values())}, got {sorted(strange)}")
    chunk = int(np.prod(found.chunks or (1,), dtype=np.float64)) * found.dtype.itemsize
    if chunk > _LARGEST_CHUNK:
        raise RecordError(f"{where}: {name}: expected chunks of at most {_LARGEST_CHUNK} bytes, got {chunk}")
    return found
