"""XLI, the compression of Philips Sierra XML: one block a lead, second differences packed by LZW with 10-bit codes.

A block is its length (int32), two bytes, the first difference's forerunner (int16) and the packed bytes: those of the
high halves of all values, then those of the low halves. Code 1023 ends a block. What a block may unpack to is given
beforehand, so that none can ask for more.
"""

from __future__ import annotations

import struct

import numpy as np

from ecg_widget.records import RecordError

__all__ = ["decode"]

_BITS = 10
_LAST = (1 << _BITS) - 2  # the last code that stands for bytes; the one after it is the end
_CENTRE = 64  # differences are stored this much higher
_HEADER = struct.Struct("<ihh")
_PADDING = 8  # bytes that a block may have beyond its codes
_HIGHEST = 1 << 15


def decode(file: str, data: bytes, n_leads: int, n_samples: int) -> list[np.ndarray]:
    """Unpack the blocks of the first leads.

    Parameters
    ----------
    file
        For errors.
    data
        All blocks; devices write 16 of them, whose last ones are unused.
    n_leads
        Blocks to read.
    n_samples
        Of each lead.

    Returns
    -------
    list of numpy.ndarray
        ``(time,)`` int64 for each lead, in steps of the converter.

    Raises
    ------
    RecordError
        Truncated, too long, or no such compression.

    Examples
    --------
    High halves 0 0, low halves 5 7, end:

    >>> packed = int("".join(f"{code:010b}" for code in (0, 0, 5, 7, 1023)) + "000000", 2).to_bytes(7, "big")
    >>> decode("x.xml", struct.pack("<ihh", 7, 1, 0) + packed, 1, 2)[0].tolist()
    [5, 7]
    """
    found = []
    at = 0
    for lead in range(n_leads):
        where = f"{file}: XLI block {lead}"
        if len(data) - at < _HEADER.size:
            raise RecordError(f"{where}: expected a header of {_HEADER.size} bytes, got {len(data) - at}")
        size, _, before = _HEADER.unpack_from(data, at)
        at += _HEADER.size
        if not 0 < size <= len(data) - at:
            raise RecordError(f"{where}: expected 1 to {len(data) - at} bytes, got {size}")
        packed = data[at : at + size]
        at += size
        if size > 2 * n_samples * _BITS // 8 + _PADDING:  # one code stands for one byte at least
            raise RecordError(f"{where}: expected the codes of {n_samples} samples, got {size} bytes")
        halves = np.frombuffer(_unpack(where, packed, 2 * n_samples), np.uint8).astype(np.uint16)
        words = (halves[:n_samples] << 8 | halves[n_samples:]).view(np.int16).astype(np.int64)
        found.append(_sum(where, words, before))
    return found


def _unpack(where: str, packed: bytes, expected: int) -> bytes:
    """LZW: codes of 10 bits, the first bit first; the table is never emptied."""
    bits = np.unpackbits(np.frombuffer(packed, np.uint8))
    n_codes = bits.size // _BITS
    weights = (1 << np.arange(_BITS - 1, -1, -1)).astype(np.int16)
    codes = bits[: n_codes * _BITS].reshape(n_codes, _BITS).astype(np.int16) @ weights
    table = [bytes([i]) for i in range(256)]
    out: list[bytes] = []
    length = 0
    last = b""
    for code in codes.tolist():
        if code > _LAST:
            break
        if code < len(table):
            entry = table[code]
        elif code == len(table) and last:
            entry = last + last[:1]
        else:
            raise RecordError(f"{where}: expected codes up to {len(table)}, got {code} after {length} bytes")
        if last and len(table) <= _LAST:
            table.append(last + entry[:1])
        out.append(entry)
        length += len(entry)
        last = entry
        if length > expected:
            break
    if length != expected:
        got = "more" if length > expected else f"{length}"
        raise RecordError(f"{where}: expected {expected} bytes when unpacked, got {got}")
    return b"".join(out)


def _sum(where: str, words: np.ndarray, before: int) -> np.ndarray:
    """Samples from their second differences; the first two are stored as they are."""
    if len(words) < 3:
        return words
    second = np.empty(len(words) - 2, np.int64)
    second[0] = -before
    second[1:] = _CENTRE - words[2:-1]
    slope = words[1] - words[0] + np.cumsum(second)
    samples = np.concatenate([words[:2], words[1] + np.cumsum(slope)])
    if np.abs(samples).max() > _HIGHEST:
        i = int(np.argmax(np.abs(samples) > _HIGHEST))
        raise RecordError(f"{where}: sample {i}: expected at most {_HIGHEST} in size, got {samples[i]}: it is damaged")
    return samples
