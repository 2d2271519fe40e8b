"""Chunks of zarr arrays, looked at before a codec unpacks them.

The codecs believe the sizes that a chunk states: blosc reads behind the end of a chunk that is shorter than it says,
which ends the process, and any of them takes as much memory as it is told to. So what a chunk states is held against
what it has and against what the array's metadata leaves room for. Chunks inside of shards do not pass here; blosc is
refused there.
"""

from __future__ import annotations

import bz2
import math
import struct
import zlib
from pathlib import Path
from typing import Any

from ecg_widget.formats.zarr_metadata import LARGEST_CHUNK, Array, Group
from ecg_widget.records import RecordError

__all__ = ["check_chunk", "vetted_store"]

_METADATA = {"zarr.json", ".zarray", ".zattrs", ".zgroup", ".zmetadata"}
_GZIP_MOST = 1032  # bytes that deflate makes of one, at most
_PIECE = 1 << 16
_ZSTD = b"\x28\xb5\x2f\xfd"
_ZSTD_ID = (0, 1, 2, 4)  # bytes of a dictionary's number, by two bits of the header
_ZSTD_SIZE = ("", "<H", "<I", "<Q")  # how the unpacked size is stored, by two others


def vetted_store(zarr: Any, path: Path, group: Group) -> Any:
    """A store of zarr for a folder, for reading, that hands out no chunk unchecked.

    Parameters
    ----------
    zarr
        The library.
    path
        The folder.
    group
        Its metadata, checked.
    """

    class Vetted(zarr.storage.LocalStore):  # type: ignore[misc, name-defined]  # the library is an extra
        async def get(self, key: str, prototype: Any = None, byte_range: Any = None) -> Any:
            value = await super().get(key, prototype, byte_range)
            name, _, rest = key.partition("/")
            array = group.arrays.get(name)
            if value is not None and array is not None and array.packed and rest not in _METADATA:
                if byte_range is not None:
                    raise RecordError(f"{path.name}: {key}: expected to read a whole chunk, was asked for {byte_range}")
                check_chunk(f"{path.name}: {key}", array, value.to_bytes())
            return value

    return Vetted(path, read_only=True)


def check_chunk(where: str, array: Array, data: bytes) -> None:
    """Refuse a chunk that is not what it says, or is more than its array leaves room for.

    Parameters
    ----------
    where
        The file's name and the chunk's, for errors.
    array
        Of the chunk, with the codec it is packed with.
    data
        As stored.

    Raises
    ------
    RecordError
        With what was expected and what came.
    """
    most = LARGEST_CHUNK if array.dtype is None else math.prod(array.chunks) * array.dtype.itemsize
    try:
        size = _SIZES[array.packed](data, most)
    except (struct.error, zlib.error, OSError, EOFError, IndexError, ValueError) as error:
        raise RecordError(f"{where}: expected a chunk packed with {array.packed}, got {error}") from error
    if size > most:
        raise RecordError(f"{where}: expected a chunk of at most {most} bytes, got one that unpacks to {size} or more")


def _blosc(data: bytes, most: int) -> int:
    del most
    size, block, here = struct.unpack_from("<III", data, 4)
    if here != len(data) or (size and not 0 < block <= size) or not data[3]:
        raise ValueError(f"{len(data)} bytes whose head says {here}, in blocks of {block} of {size} bytes")
    return int(size)


def _deflate(data: bytes, most: int) -> int:
    if len(data) * _GZIP_MOST <= most:
        return 0
    total, rest = 0, data
    while rest and total <= most:  # a file may be several one behind the other
        unpack = zlib.decompressobj(47)  # 32 + 15: with a head of gzip or of zlib
        while rest and not unpack.eof and total <= most:
            total += len(unpack.decompress(rest, _PIECE))
            rest = unpack.unused_data if unpack.eof else unpack.unconsumed_tail
    return total


def _bzip(data: bytes, most: int) -> int:
    total, rest = 0, data
    while rest and total <= most:
        unpack = bz2.BZ2Decompressor()
        piece: bytes = rest
        while not unpack.eof and total <= most and (piece or not unpack.needs_input):
            total += len(unpack.decompress(piece, _PIECE))
            piece = b""
        rest = unpack.unused_data if unpack.eof else b""
    return total


def _zstd(data: bytes, most: int) -> int:
    del most
    if data[:4] != _ZSTD:
        raise ValueError(f"a head of {data[:4].hex()}")
    said = data[4]
    single, kind = bool(said & 0x20), said >> 6
    at = 5 + (not single) + _ZSTD_ID[said & 3]
    if kind == 0 and not single:
        raise ValueError("none that states its size")
    return data[at] if kind == 0 else struct.unpack_from(_ZSTD_SIZE[kind], data, at)[0] + (256 if kind == 1 else 0)


def _lz4(data: bytes, most: int) -> int:
    del most
    return int(struct.unpack_from("<I", data)[0])


_SIZES = {"blosc": _blosc, "gzip": _deflate, "zlib": _deflate, "bz2": _bzip, "zstd": _zstd, "lz4": _lz4}
