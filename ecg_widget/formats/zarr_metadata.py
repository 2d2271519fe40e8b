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

__all__ = ["LARGEST_CHUNK", "Array", "Group", "is_group", "read_group"]

_MOST_ARRAYS = 64
LARGEST_CHUNK = 1 << 28  # bytes that one read may have to unpack
_LARGEST_TABLE = 1 << 28  # bytes of an array without time: names, labels
_CODECS = {"bytes", "blosc", "gzip", "zstd", "crc32c", "transpose", "vlen-utf8", "sharding_indexed"}
_PACKING = ("blosc", "gzip", "zstd")  # among them
_COMPRESSORS = {"blosc", "gzip", "zlib", "zstd", "lz4", "bz2"}  # of format 2, by their ids
_TYPES = {"bool", *(f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)), "float32", "float64"}
_TEXT = 64  # bytes of one text of variable length, for the size of a table


@dataclass(frozen=True)
class Array:
    """One array of a group.

    ``dtype`` is None for texts of variable length, ``chunks`` are what one read unpacks, ``packed`` names the codec with
    which a file is packed, "" where there is none or where a file is a shard.
    """

    name: str
    dims: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: np.dtype[Any] | None
    chunks: tuple[int, ...]
    attrs: dict[str, Any]
    packed: str = ""


@dataclass(frozen=True)
class Group:
    """A group of arrays; ``version`` is the format's, 2 or 3."""

    version: int
    arrays: dict[str, Array]
    attrs: dict[str, Any]


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
    attrs = meta.get("attributes", {}) if version == 3 else _attrs_2(file, path)
    return Group(version, arrays, _mapping(file, "attributes", attrs))


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
    inner, packed = _check_codecs(where, meta.get("codecs"))
    dtype = _type_3(where, meta.get("data_type"))
    return Array(
        folder.name,
        _dims(where, meta.get("dimension_names"), shape),
        shape,
        dtype,
        inner or chunks,
        _mapping(where, "attributes", meta.get("attributes", {})),
        packed,
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
    dims = _dims(where, attrs.pop("_ARRAY_DIMENSIONS", None), shape)
    return Array(folder.name, dims, shape, dtype, _whole_numbers(where, "chunks", meta.get("chunks")), attrs,
                 compressor or "")  # fmt: skip


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


def _check_codecs(where: str, given: Any) -> tuple[tuple[int, ...] | None, str]:
    """Refuse codecs that do more than unpack; give the shape of the chunks inside of shards, and what packs a file."""
    inner = None
    listed = given if isinstance(given, list) else [given]
    packed = [c["name"] for c in listed if isinstance(c, dict) and c.get("name") in _PACKING]
    if len(packed) > 1:
        raise RecordError(f"{where}: codec: expected one that packs, got {packed}")
    for codec in listed:
        name = codec.get("name") if isinstance(codec, dict) else codec
        if name not in _CODECS:
            raise RecordError(f"{where}: codec: expected one of {sorted(_CODECS)}, got {str(name)[:100]!r}")
        if name == "sharding_indexed":
            settings = _mapping(where, "sharding", codec.get("configuration"))
            inner = _whole_numbers(where, "chunks", settings.get("chunk_shape"))
            for part in ("codecs", "index_codecs"):
                deeper, inside = _check_codecs(where, settings.get(part))
                if deeper:
                    raise RecordError(f"{where}: codec: expected shards of chunks, got shards of shards")
                if inside == "blosc":  # it is not safe with damaged chunks, and those in a shard are not looked at
                    raise RecordError(f"{where}: codec: expected gzip or zstd inside of shards, got blosc")
    return inner, packed[0] if packed and inner is None else ""


def _check_sizes(where: str, array: Array) -> None:
    n_values = math.prod(array.shape)
    if n_values > MOST_VALUES:
        raise RecordError(f"{where}: size: expected at most {MOST_VALUES} values, got shape {array.shape}")
    item = _TEXT if array.dtype is None else array.dtype.itemsize
    if "time" not in array.dims and n_values * item > _LARGEST_TABLE:
        raise RecordError(f"{where}: size: expected at most {_LARGEST_TABLE} bytes, got {n_values * item}")
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
