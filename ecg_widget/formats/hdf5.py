"""HDF5 files opened with h5py as data and nothing else: no links out of the file, no plugins, no absurd chunks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ecg_widget.records import RecordError

__all__ = ["dataset", "is_hdf5", "library", "names", "opened"]

_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_HEAD = 1 << 16  # bytes; the names of the first datasets lie in the first kilobyte
_FILTERS = {1: "gzip", 2: "shuffle", 3: "fletcher32", 4: "szip", 32000: "lzf"}  # others would load a plugin
_LARGEST_CHUNK = 1 << 28  # bytes that one read may have to unpack; h5py's own choice is at most 1 MiB


def is_hdf5(path: Path) -> bool:
    """Tell whether a file begins as HDF5 does."""
    if not path.is_file():
        return False
    with path.open("rb") as stream:
        return stream.read(len(_SIGNATURE)) == _SIGNATURE


def names(path: Path, *wanted: str) -> bool:
    """Tell whether the head of a file holds these names, without a library that could read it."""
    with path.open("rb") as stream:
        head = stream.read(_HEAD)
    return all(name.encode() in head for name in wanted)


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


def dataset(file: Any, where: str, name: str, kinds: str, n_dims: int) -> Any:
    """Give a dataset whose values lie in the file itself.

    Parameters
    ----------
    file
        As `opened` gives it.
    where
        The file's name, for errors.
    name
        Of the dataset, in the root group.
    kinds
        Of its type, as in ``numpy.dtype.kind``.
    n_dims
        Of its shape.
    """
    h5py = library()
    links, key = file.id.links, name.encode()  # `name in file` would follow a link, into another file too
    if not links.exists(key) or links.get_info(key).type != h5py.h5l.TYPE_HARD:
        got = "a link" if links.exists(key) else "none"
        raise RecordError(f"{where}: {name}: expected a dataset in the file itself, got {got}")
    found = file[name]
    if not isinstance(found, h5py.Dataset) or found.external or found.is_virtual:
        raise RecordError(f"{where}: {name}: expected a dataset with its values in the file, got {found!r:.80}")
    if len(found.shape or ()) != n_dims or found.dtype.kind not in kinds or 0 in found.shape:
        raise RecordError(
            f"{where}: {name}: expected {n_dims} dimensions, none of them empty, and a type of kind {kinds!r}, got "
            f"shape {found.shape}, {found.dtype}"
        )
    plist = found.id.get_create_plist()
    strange = {plist.get_filter(i)[0] for i in range(plist.get_nfilters())} - set(_FILTERS)
    if strange:
        raise RecordError(f"{where}: {name}: expected the filters {sorted(_FILTERS.values())}, got {sorted(strange)}")
    chunk = int(np.prod(found.chunks or (1,), dtype=np.float64)) * found.dtype.itemsize
    if chunk > _LARGEST_CHUNK:
        raise RecordError(f"{where}: {name}: expected chunks of at most {_LARGEST_CHUNK} bytes, got {chunk}")
    return found
