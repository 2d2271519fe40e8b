"""Many encoded Datasets in one run of bytes, equal buffers once: what an exported page carries.

``uint32`` little-endian length of a JSON header in UTF-8, the header, padding to 8 bytes, buffers that each begin at a
multiple of 8. In the header a buffer is ``{"at": offset behind the padding, "bytes": length}``.
The reader in the page is ``js/src/host.ts``.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from typing import Any

__all__ = ["pack"]

_ALIGN = 8


def pack(tree: Mapping[str, Any]) -> bytes:
    """Put a tree of JSON with binary leaves, as `ecg_widget.wire.encode` makes them, into one run of bytes.

    Examples
    --------
    >>> packed = pack({"a": {"data": memoryview(b"12345678")}, "b": {"data": memoryview(b"12345678")}})
    >>> packed.count(b"12345678"), packed[4:].split(b"}}")[0]
    (1, b'{"a":{"data":{"at":0,"bytes":8')
    """
    places: dict[bytes, int] = {}
    parts: list[bytes] = []
    length = 0

    def plain(value: Any) -> Any:
        nonlocal length
        if isinstance(value, Mapping):
            return {str(key): plain(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [plain(item) for item in value]
        if not isinstance(value, memoryview):
            return value
        raw = value.tobytes()
        if raw not in places:
            places[raw] = length
            padded = raw + bytes(-len(raw) % _ALIGN)
            parts.append(padded)
            length += len(padded)
        return {"at": places[raw], "bytes": len(raw)}

    header = json.dumps(plain(tree), ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    start = struct.pack("<I", len(header)) + header
    return b"".join([start, bytes(-len(start) % _ALIGN), *parts])
