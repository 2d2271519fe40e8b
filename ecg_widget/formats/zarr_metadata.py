"""Metadata of zarr groups (formats 2 and 3), parsed strictly before the zarr library sees them.

The library looks up any codec that a file names, pickles among them, and believes any shape. So every array of the
group is held to plain types, to codecs that only unpack bytes, and to sizes that fit.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ecg_widget.formats.limits import LARGEST_HEADER, MOST_VALUES
from ecg_widget.records import RecordError

__all__ = ["LARGEST_CHUNK", "LARGEST_TABLE", "Array", "Group", "is_group", "read_group"]

_MOST_ARRAYS = 64
LARGEST_CHUNK = 1 << 27  # bytes that one read may have to unpack; Dask's own choice is as large
LARGEST_TABLE = 1 << 28  # bytes of an array without time: names, labels
_FIRST = {"bytes", "transpose", "vlen-utf8"}  # codecs that make bytes of values: the library's are safe
_PACKING = {"blosc", "gzip", "zstd", "crc32c"}  # codecs that make bytes of bytes: undone here
_CODECS = _FIRST | _PACKING | {"sharding_indexed"}
_MOST_PACKING = 3  # one that packs between two checksums
_LITTLE = {"name": "bytes", "configuration": {"endian": "little"}}
_MOST_IN_SHARD = 1 << 16  # chunks; the index of a shard is read with each of them
_COMPRESSORS = {"blosc", "gzip", "zlib", "zstd", "lz4", "bz2"}  # of format 2, by their ids
_TYPES = {"bool", *(f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)), "float32", "float64"}
_TEXT = 64  # bytes of one text of variable length, for the size of a table


@dataclass(frozen=True)
class Array:
    """One array of a group.

    ``dtype`` is None for texts of variable length, ``chunks`` are what one read unpacks, ``codecs`` those that made
    bytes of bytes, in the order of writing. ``shards`` is the shape of a file that holds several chunks, else empty;
    its index is its beginning (``index_first``) or its end, with a checksum or without. ``plain`` is what the file says
    of an array like it of which nothing is packed, by the names of the files of the metadata.
    """

    name: str
    dims: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: np.dtype[Any] | None
    chunks: tuple[int, ...]
    attrs: dict[str, Any]
    plain: dict[str, dict[str, Any]]
    codecs: tuple[str, ...] = ()
    shards: tuple[int, ...] = ()
    index_first: bool = False
    index_crc: bool = False


@dataclass(frozen=True)
class Group:
    """A group of arrays; ``version`` is the format's, 2 or 3, ``plain`` as in `Array`, by the keys of the store."""

    version: int
    arrays: dict[str, Array]
    attrs: dict[str, Any]
    plain: dict[str, dict[str, Any]]


def is_group(path: Path) -> bool:
    """Tell whether a folder is a zarr group."""
    if (path / ".zgroup").is_file():
        return True
    return (path / "zarr.json").is_file() and b'"group"' in (path / "zarr.json").read_bytes()[:LARGEST_HEADER]


def read_group(path: Path) -> Group:
    """Check the metadata of a group and of every array in it; values are not looked at."""
    file = path.name
    version = 3 if (path / "zarr.json").is_file() else 2
    meta = _json(file, path / ("zarr.json" if version == 3 else ".zgroup"))
    if meta.get("zarr_format") != version or (version == 3 and meta.get("node_type") != "group"):
        raise RecordError(f"{file}: expected a zarr group of format {version}, got {str(meta)[:100]}")
    arrays: dict[str, Array] = {}
    for folder in sorted(path.iterdir()):
        if not folder.is_dir():
            continue
        if len(arrays) == _MOST_ARRAYS:
            raise RecordError(f"{file}: arrays: expected at most {_MOST_ARRAYS}, got more")
        where = f"{file}: {folder.name}"
        arrays[folder.name] = (_array_3 if version == 3 else _array_2)(where, folder)
        _check_sizes(where, arrays[folder.name])
    attrs = _mapping(file, "attributes", meta.get("attributes", {}) if version == 3 else _attrs_2(file, path))
    if version == 3:
        plain: dict[str, dict[str, Any]] = {"zarr.json": {"zarr_format": 3, "node_type": "group", "attributes": attrs}}
    else:
        plain = {".zgroup": {"zarr_format": 2}, ".zattrs": attrs}
    plain |= {f"{name}/{key}": part for name, array in arrays.items() for key, part in array.plain.items()}
    return Group(version, arrays, attrs, plain)


def _array_3(where: str, folder: Path) -> Array:
    meta = _json(where, folder / "zarr.json")
    if (meta.get("zarr_format"), meta.get("node_type")) != (3, "array"):
        raise RecordError(f"{where}: expected an array of format 3, got {meta.get('node_type')!r}; groups hold arrays")
    if meta.get("storage_transformers"):
        raise RecordError(f"{where}: expected no storage transformers, got {str(meta['storage_transformers'])[:100]}")
    shape = _whole_numbers(where, "shape", meta.get("shape"))
    grid = _mapping(where, "chunk grid", meta.get("chunk_grid"))
    if grid.get("name") != "regular":
        raise RecordError(f"{where}: chunk grid: expected 'regular', got {grid.get('name')!r}")
    chunks = _whole_numbers(
        where, "chunks", _mapping(where, "chunk grid", grid.get("configuration")).get("chunk_shape")
    )
    first, packing, sharding = _codecs_3(where, meta.get("codecs"))
    shards: tuple[int, ...] = ()
    index: list[Any] = []
    if sharding is not None:
        settings = _mapping(where, "sharding", sharding.get("configuration"))
        shards, chunks = chunks, _whole_numbers(where, "chunks", settings.get("chunk_shape"))
        _check_shards(where, shards, chunks)
        outer = (first, packing)
        first, packing, deeper = _codecs_3(where, settings.get("codecs"))
        index = settings.get("index_codecs") or []
        if deeper is not None or outer != ([], []) or index not in ([_LITTLE], [_LITTLE, {"name": "crc32c"}]):
            raise RecordError(f"{where}: codec: expected shards of plain chunks with an index of integers, got others")
        if settings.get("index_location", "end") not in ("start", "end"):
            raise RecordError(f"{where}: index: expected 'start' or 'end', got {settings['index_location']!r:.50}")
    plain = {**meta, "codecs": first, "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": list(chunks)}}}
    return Array(
        folder.name,
        _dims(where, meta.get("dimension_names"), shape),
        shape,
        _type_3(where, meta.get("data_type")),
        chunks,
        _mapping(where, "attributes", meta.get("attributes", {})),
        {"zarr.json": plain},
        tuple(codec["name"] for codec in packing),
        shards,
        sharding is not None and settings.get("index_location") == "start",
        len(index) == 2,
    )


def _array_2(where: str, folder: Path) -> Array:
    meta = _json(where, folder / ".zarray")
    if meta.get("zarr_format") != 2:
        raise RecordError(f"{where}: expected an array of format 2, got {meta.get('zarr_format')!r}")
    shape = _whole_numbers(where, "shape", meta.get("shape"))
    filters = [_mapping(where, "filter", f).get("id") for f in meta.get("filters") or []]
    compressor = None if meta.get("compressor") is None else _mapping(where, "compressor", meta["compressor"]).get("id")
    if compressor is not None and compressor not in _COMPRESSORS:
        raise RecordError(f"{where}: compressor: expected one of {sorted(_COMPRESSORS)}, got {compressor!r}")
    text = meta.get("dtype")
    if text == "|O" and filters == ["vlen-utf8"]:
        dtype = None
    elif filters:
        raise RecordError(f"{where}: filters: expected none, or vlen-utf8 for text, got {filters} for {text!r}")
    else:
        dtype = _plain_type(where, text)
    attrs = _attrs_2(where, folder)
    plain = {".zarray": {**meta, "compressor": None}, ".zattrs": dict(attrs)}
    dims = _dims(where, attrs.pop("_ARRAY_DIMENSIONS", None), shape)
    chunks = _whole_numbers(where, "chunks", meta.get("chunks"))
    return Array(folder.name, dims, shape, dtype, chunks, attrs, plain, () if compressor is None else (compressor,))


def _type_3(where: str, given: Any) -> np.dtype[Any] | None:
    if given == "string":
        return None
    if isinstance(given, dict) and given.get("name") == "fixed_length_utf32":
        (size,) = _whole_numbers(
            where, "length", [_mapping(where, "type", given.get("configuration")).get("length_bytes")]
        )
        return np.dtype(f"U{size // 4}")
    return _plain_type(where, given)


def _plain_type(where: str, given: Any) -> np.dtype[Any]:
    try:
        dtype = np.dtype(given) if isinstance(given, str) else None
    except TypeError:
        dtype = None
    if dtype is None or not (dtype.name in _TYPES or dtype.kind == "U"):
        raise RecordError(f"{where}: type: expected numbers, truth values or text, got {str(given)[:100]!r}")
    return dtype


def _codecs_3(where: str, given: Any) -> tuple[list[Any], list[dict[str, Any]], dict[str, Any] | None]:
    """Codecs that make bytes of values, those that make bytes of bytes, and the one of shards; others are refused."""
    first: list[Any] = []
    packing: list[dict[str, Any]] = []
    sharding = None
    for given_one in given if isinstance(given, list) else [given]:
        codec = {"name": given_one} if isinstance(given_one, str) else given_one
        name = codec.get("name") if isinstance(codec, dict) else codec
        if not isinstance(name, str) or name not in _CODECS:
            raise RecordError(f"{where}: codec: expected one of {sorted(_CODECS)}, got {str(name)[:100]!r}")
        if name == "sharding_indexed":
            if sharding is not None:
                raise RecordError(f"{where}: codec: expected one of shards, got several")
            sharding = codec
        elif name in _PACKING:
            packing.append(codec)
        elif packing or sharding is not None:
            raise RecordError(f"{where}: codec: expected {name} before those that pack, got it behind {packing!r:.100}")
        else:
            first.append(given_one)
    if sum(codec["name"] != "crc32c" for codec in packing) > 1 or len(packing) > _MOST_PACKING:
        raise RecordError(f"{where}: codec: expected one that packs, got {[codec['name'] for codec in packing][:9]}")
    return first, packing, sharding


def _check_shards(where: str, shards: tuple[int, ...], chunks: tuple[int, ...]) -> None:
    whole = len(shards) == len(chunks) and all(n and outer % n == 0 for outer, n in zip(shards, chunks, strict=True))
    if not shards or not whole or math.prod(o // n for o, n in zip(shards, chunks, strict=True)) > _MOST_IN_SHARD:
        raise RecordError(
            f"{where}: shards: expected at most {_MOST_IN_SHARD} whole chunks in each, got {chunks} in {shards}"
        )


def _check_sizes(where: str, array: Array) -> None:
    n_values = math.prod(array.shape)
    if n_values > MOST_VALUES:
        raise RecordError(f"{where}: size: expected at most {MOST_VALUES} values, got shape {array.shape}")
    item = _TEXT if array.dtype is None else array.dtype.itemsize
    if "time" not in array.dims and n_values * item > LARGEST_TABLE:
        raise RecordError(f"{where}: size: expected at most {LARGEST_TABLE} bytes, got {n_values * item}")
    fill = next(iter(array.plain.values())).get("fill_value")  # of zarr.json or .zarray, which stands first
    if array.dtype is None and not (fill is None or (isinstance(fill, (str, int)) and len(str(fill)) <= _TEXT)):
        raise RecordError(f"{where}: fill value: expected at most {_TEXT} characters, got {str(fill)[:100]!r}")
    if len(array.chunks) != len(array.shape) or math.prod(array.chunks) * item > LARGEST_CHUNK:
        raise RecordError(
            f"{where}: chunks: expected {len(array.shape)} lengths and at most {LARGEST_CHUNK} bytes together, got "
            f"{array.chunks} of {item} bytes; write it again with smaller chunks, e.g. 2**18 samples"
        )


def _dims(where: str, given: Any, shape: tuple[int, ...]) -> tuple[str, ...]:
    if not isinstance(given, list) or len(given) != len(shape) or not all(isinstance(name, str) for name in given):
        raise RecordError(
            f"{where}: dimension names: expected {len(shape)}, as Dataset.to_zarr writes, got {given!r:.100}"
        )
    return tuple(given)


def _whole_numbers(where: str, what: str, given: Any) -> tuple[int, ...]:
    if not isinstance(given, list) or not all(type(n) is int and 0 <= n <= MOST_VALUES for n in given):
        raise RecordError(f"{where}: {what}: expected whole numbers from 0 to {MOST_VALUES}, got {str(given)[:100]}")
    return tuple(given)


def _mapping(where: str, what: str, given: Any) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise RecordError(f"{where}: {what}: expected a mapping, got {str(given)[:100]!r}")
    return dict(given)


def _attrs_2(where: str, folder: Path) -> dict[str, Any]:
    return _json(where, folder / ".zattrs") if (folder / ".zattrs").is_file() else {}


def _json(where: str, path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise RecordError(f"{where}: expected metadata in {path.name}, got none")
    if path.stat().st_size > LARGEST_HEADER:
        raise RecordError(f"{where}: {path.name}: expected at most {LARGEST_HEADER} bytes, got {path.stat().st_size}")
    try:
        found = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise RecordError(f"{where}: {path.name}: expected JSON, got {type(error).__name__}: {error}") from error
    return _mapping(where, path.name, found)
