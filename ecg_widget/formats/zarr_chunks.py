"""Chunks of zarr arrays, unpacked here and handed to the zarr library as plain bytes.

The library's codecs believe the sizes that a chunk states: blosc reads behind the end of one that is shorter than it
says, which ends the process, and each of them takes as much memory as it is told to. So the library sees arrays whose
metadata name no codec that packs and no shards. What is stored is held against what it says and against what the
array has room for, and is then unpacked, once.
"""

from __future__ import annotations

import asyncio
import bz2
import importlib
import json
import math
import os
import re
import struct
import zlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, BinaryIO

from ecg_widget.formats.zarr_metadata import LARGEST_CHUNK, LARGEST_TABLE, Array, Group
from ecg_widget.records import RecordError

__all__ = ["plain_store", "unpack"]

_SLACK = 1 << 16  # bytes by which a chunk may grow when it is packed, beside an eighth
_ZSTD = b"\x28\xb5\x2f\xfd"
_ZSTD_ID = (0, 1, 2, 4)  # bytes of a dictionary's number, by two bits of the head
_ZSTD_SIZE = ("", "<H", "<I", "<Q")  # how the unpacked size is stored, by two others
_NOWHERE = (1 << 64) - 1  # in the index of a shard: a chunk that was never written
_KEY = re.compile(r"(c|c[/.](?=\d))?(\d+(?:[/.]\d+)*)?")


def plain_store(zarr: Any, path: Path, group: Group) -> Any:  # noqa: C901  (a class of the library's many methods)
    """A store of zarr, for reading, in which no chunk is packed and none lies in a shard.

    Parameters
    ----------
    zarr
        The library.
    path
        The group's folder.
    group
        Its metadata, checked; the library sees these and not the file's, which might have changed since.
    """

    class Plain(zarr.abc.store.Store):  # type: ignore[misc]  # the library is an extra
        supports_writes = supports_deletes = False
        supports_listing = True
        __hash__ = None  # type: ignore[assignment]  # as the library's own stores

        def __eq__(self, other: object) -> bool:
            return self is other

        async def get(self, key: str, prototype: Any = None, byte_range: Any = None) -> Any:
            if byte_range is not None:
                raise RecordError(f"{path.name}: {key}: expected to read a whole chunk, was asked for {byte_range}")
            plain = group.plain.get(key)
            data = await asyncio.to_thread(_chunk, path, group, key) if plain is None else json.dumps(plain).encode()
            buffer = (prototype or zarr.core.buffer.default_buffer_prototype()).buffer
            return None if data is None else buffer.from_bytes(data)

        async def get_partial_values(self, prototype: Any, key_ranges: Any) -> Any:
            return [await self.get(key, prototype, wanted) for key, wanted in key_ranges]

        async def exists(self, key: str) -> bool:
            return await self.get(key) is not None

        async def set(self, key: str, value: Any) -> None:
            raise NotImplementedError(f"{key}: for reading only, got {value!r:.40}")

        async def delete(self, key: str) -> None:
            raise NotImplementedError(f"{key}: for reading only")

        async def list(self) -> AsyncIterator[str]:
            for key in group.plain:
                yield key

        async def list_prefix(self, prefix: str) -> AsyncIterator[str]:
            for key in filter(lambda key: key.startswith(prefix), group.plain):
                yield key

        async def list_dir(self, prefix: str) -> AsyncIterator[str]:
            for name in _below(group, prefix):
                yield name

    return Plain(read_only=True)


def unpack(where: str, array: Array, data: bytes) -> bytes:
    """Unpack one chunk, or refuse one that is not what it says or not what its array has room for.

    Parameters
    ----------
    where
        The file's name and the chunk's, for errors.
    array
        Of the chunk, with the codecs that it went through.
    data
        As stored.

    Returns
    -------
    bytes
        Of numbers and texts of fixed length exactly as many as a chunk of the array has.

    Raises
    ------
    RecordError
        With what was expected and what came.
    """
    n_values = math.prod(array.chunks)
    most = LARGEST_CHUNK if array.dtype is None else n_values * array.dtype.itemsize
    try:
        for i, codec in reversed(list(enumerate(array.codecs))):
            data = _UNPACK[codec](data, most + 4 * array.codecs[:i].count("crc32c"))
        if array.dtype is None:
            _check_texts(data, n_values, LARGEST_TABLE // max(4 * math.prod(array.shape), 1))
        else:
            _check_length(data, most)
    except Exception as error:  # a codec may raise anything for damaged bytes
        size = "texts" if array.dtype is None else f"{most} bytes"
        how = f" packed with {', '.join(array.codecs)}" if array.codecs else ""
        raise RecordError(f"{where}: expected a chunk of {size}{how}, got {error or type(error).__name__}") from error
    return data


def _below(group: Group, prefix: str) -> list[str]:
    start = f"{prefix.strip('/')}/".lstrip("/")
    return sorted({key.removeprefix(start).split("/")[0] for key in group.plain if key.startswith(start)})


def _chunk(path: Path, group: Group, key: str) -> bytes | None:
    """A chunk, unpacked; None for what is not there, which the library fills."""
    name, _, rest = key.partition("/")
    array, parts = group.arrays.get(name), _KEY.fullmatch(rest)
    if array is None or parts is None or not rest:
        return None
    where, place = f"{path.name}: {key}", 0
    if array.shards:
        per = [outer // inner for outer, inner in zip(array.shards, array.chunks, strict=True)]
        at = [int(n) for n in re.findall(r"\d+", rest)]
        for n, count in zip(at, per, strict=True):
            place = place * count + n % count
        outer = iter(n // count for n, count in zip(at, per, strict=True))
        rest = re.sub(r"\d+", lambda _: str(next(outer)), rest)
    try:
        with (path / name / rest).open("rb") as stream:
            data = _in_shard(where, array, stream, place) if array.shards else _whole(where, array, stream)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None
    return None if data is None else unpack(where, array, data)


def _whole(where: str, array: Array, stream: BinaryIO) -> bytes:
    size, most = stream.seek(0, os.SEEK_END), _largest(array)
    if size > most:
        raise RecordError(f"{where}: expected a chunk of at most {most} bytes, got {size}")
    stream.seek(0)
    return stream.read(most)


def _in_shard(where: str, array: Array, stream: BinaryIO, place: int) -> bytes | None:
    """The chunk at a place of the index that a shard begins or ends with; None for one that was never written."""
    size = stream.seek(0, os.SEEK_END)
    n_index = 16 * math.prod(outer // inner for outer, inner in zip(array.shards, array.chunks, strict=True))
    n_crc = 4 * array.index_crc
    if size < n_index + n_crc:
        raise RecordError(f"{where}: expected a shard with an index of {n_index + n_crc} bytes, got {size} bytes")
    stream.seek(0 if array.index_first else size - n_index - n_crc)
    index = stream.read(n_index + n_crc)
    if array.index_crc and _crc32c(index[:-4]) != struct.unpack_from("<I", index, n_index)[0]:
        raise RecordError(f"{where}: expected a shard whose index has its checksum, got another; it is damaged")
    offset, length = struct.unpack_from("<QQ", index, 16 * place)
    if offset == length == _NOWHERE:
        return None
    if offset + length > size or length > _largest(array):
        raise RecordError(
            f"{where}: expected at most {_largest(array)} bytes in a shard of {size}, got {length} from {offset}"
        )
    stream.seek(offset)
    return stream.read(length)


def _largest(array: Array) -> int:
    """Bytes that a chunk has at most when it is packed."""
    size = LARGEST_CHUNK if array.dtype is None else math.prod(array.chunks) * array.dtype.itemsize
    return size + size // 8 + _SLACK


def _check_length(data: bytes, length: int) -> None:
    if len(data) != length:
        raise ValueError(f"{len(data)} bytes")


def _check_texts(data: bytes, n_texts: int, longest: int) -> None:
    """Texts of variable length: the library makes room for as many as a chunk says, and for each of the longest."""
    if (said := struct.unpack_from("<I", data)[0]) != n_texts:
        raise ValueError(f"{said} instead of {n_texts}")
    at = 4
    for _ in range(n_texts):
        (length,) = struct.unpack_from("<I", data, at)
        at += 4 + length
        if length > longest or at > len(data):
            raise ValueError(f"one of {length} bytes, where {min(longest, len(data))} have room")


def _blosc(data: bytes, most: int) -> bytes:
    size, block, here = struct.unpack_from("<III", data, 4)
    if here != len(data) or size > most or (size and not 0 < block <= size) or not data[3]:
        raise ValueError(f"{len(data)} bytes whose head says {here}, in blocks of {block} of {size} bytes")
    return bytes(importlib.import_module("numcodecs.blosc").decompress(data))


def _deflate(data: bytes, most: int) -> bytes:
    out = []
    while data:  # a file may be several one behind the other
        unpacker = zlib.decompressobj(47)  # 32 + 15: with a head of gzip or of zlib
        out.append(unpacker.decompress(data, most + 1))
        most -= len(out[-1])
        if most < 0 or not unpacker.eof:
            raise ValueError("more than that" if most < 0 else "one that is cut off")
        data = unpacker.unused_data
    return out[0] if len(out) == 1 else b"".join(out)


def _bzip(data: bytes, most: int) -> bytes:
    out = []
    while data:
        unpacker = bz2.BZ2Decompressor()
        out.append(unpacker.decompress(data, most + 1))
        most -= len(out[-1])
        if most < 0 or not unpacker.eof:
            raise ValueError("more than that" if most < 0 else "one that is cut off")
        data = unpacker.unused_data
    return out[0] if len(out) == 1 else b"".join(out)


def _zstd(data: bytes, most: int) -> bytes:
    if data[:4] != _ZSTD:
        raise ValueError(f"a head of {data[:4].hex()}")
    said = data[4]
    single, kind = bool(said & 0x20), said >> 6
    at = 5 + (not single) + _ZSTD_ID[said & 3]
    if kind == 0 and not single:
        raise ValueError("none that states its size")
    size = data[at] if kind == 0 else struct.unpack_from(_ZSTD_SIZE[kind], data, at)[0] + (256 if kind == 1 else 0)
    if size > most:
        raise ValueError(f"{size} bytes")
    return bytes(importlib.import_module("numcodecs.zstd").Zstd().decode(data))


def _lz4(data: bytes, most: int) -> bytes:
    if (size := struct.unpack_from("<I", data)[0]) > most:
        raise ValueError(f"{size} bytes")
    return bytes(importlib.import_module("numcodecs.lz4").LZ4().decode(data))


def _checked(data: bytes, most: int) -> bytes:
    del most
    if _crc32c(data[:-4]) != struct.unpack_from("<I", data, len(data) - 4)[0]:
        raise ValueError("another checksum; it is damaged")
    return data[:-4]


def _crc32c(data: bytes) -> int:
    try:
        crc32c = importlib.import_module("google_crc32c").value
    except ImportError:  # zarr had another library for it before 3.1
        crc32c = importlib.import_module("crc32c").crc32c
    return int(crc32c(data))


_UNPACK: dict[str, Callable[[bytes, int], bytes]] = {
    "blosc": _blosc, "gzip": _deflate, "zlib": _deflate, "bz2": _bzip, "zstd": _zstd, "lz4": _lz4, "crc32c": _checked,
}  # fmt: skip
