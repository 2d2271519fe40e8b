"""How SCP-ECG (EN 1064) packs samples: Huffman codes of section 2, differences, 16-bit integers."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ecg_widget.records import RecordError

__all__ = ["DEFAULT", "Code", "Table", "decoded", "read_tables", "summed"]

_DEFAULT = 19999  # stands in section 2 for the table of the standard
_LONGEST = 32  # bits
_MOST_TABLES = 64
_PADDING = 16  # bits; up to an even number of bytes


@dataclass(frozen=True)
class Code:
    """One code: a prefix, then the bits of a value where there are more.

    Parameters
    ----------
    extra
        Bits that follow the prefix: a signed value, most significant bit first.
    switch
        Whether it names the next table rather than a sample.
    value
        Of the sample where there are no extra bits, or the number of the table, from 1.
    """

    extra: int
    switch: bool
    value: int


Table = dict[int, Code]
"""Codes by their prefix, written as a binary number behind a leading 1, so that its length is part of it."""


def _standard() -> Table:
    table = {0b10: Code(0, False, 0)}
    for size in range(1, 9):
        prefix = ((1 << size) - 1) << 2 | 1 << (size + 2)  # the leading 1, `size` ones, a zero, the sign
        table[prefix] = Code(0, False, size)
        table[prefix | 1] = Code(0, False, -size)
    table[0b11111111110] = Code(8, False, 0)
    table[0b11111111111] = Code(16, False, 0)
    return table


DEFAULT = _standard()
"""The standard's own table: 0 for 0, ones and a zero for small values, 8 or 16 bits for others."""


def read_tables(file: str, body: bytes) -> list[Table]:
    """Read section 2.

    Parameters
    ----------
    file
        For errors.
    body
        Of the section, without its header.
    """
    try:
        (n_tables,) = struct.unpack_from("<H", body)
        if n_tables == _DEFAULT:
            return [DEFAULT]
        if not 1 <= n_tables <= _MOST_TABLES:
            raise RecordError(f"{file}: section 2: tables: expected {_DEFAULT} or 1 to {_MOST_TABLES}, got {n_tables}")
        at = 2
        tables: list[Table] = []
        for number in range(1, n_tables + 1):
            (n_codes,) = struct.unpack_from("<H", body, at)
            at += 2
            tables.append({})
            for prefix, total, mode, value, bits in struct.iter_unpack("<BBBhI", body[at : at + 9 * n_codes]):
                if not 1 <= prefix <= total <= _LONGEST or mode not in (0, 1):
                    raise RecordError(
                        f"{file}: section 2: table {number}: expected 1 to {_LONGEST} bits, prefix within the whole, "
                        f"and mode 0 or 1, got {prefix} of {total} bits and mode {mode}"
                    )
                first = f"{bits & ((1 << prefix) - 1):0{prefix}b}"[::-1]  # stored with the first bit lowest
                tables[-1][int("1" + first, 2)] = Code(total - prefix, mode == 0, value)
            at += 9 * n_codes
            if at > len(body):
                raise RecordError(f"{file}: section 2: expected {at} bytes, got {len(body)}")
    except struct.error as error:
        raise RecordError(f"{file}: section 2: expected complete tables, got {len(body)} bytes: {error}") from None
    return tables


def decoded(where: str, data: bytes, n_samples: int, tables: Sequence[Table], *, whole: bool = False) -> np.ndarray:
    """Decode the bits of one lead ``(n_samples,)``.

    Parameters
    ----------
    where
        File, section and lead, for errors.
    data
        The bits, most significant first.
    n_samples
        As many as are expected.
    tables
        Of section 2; the first one is in force until a code names another.
    whole
        Whether nothing but padding may be left.

    Examples
    --------
    >>> decoded("x.scp", bytes([0b01001101, 0b11111111, 0b10000011, 0b00000000]), 4, [DEFAULT]).tolist()
    [0, 1, -2, 12]
    """
    if n_samples > 8 * len(data):
        raise RecordError(f"{where}: expected at most a sample a bit, got {n_samples} samples in {len(data)} bytes")
    out, left = _decode(where, format(int.from_bytes(data, "big"), f"0{8 * len(data)}b"), n_samples, tables)
    if whole and left >= _PADDING:
        raise RecordError(f"{where}: expected {n_samples} samples and no more, got {left} bits behind them")
    return out


def _decode(where: str, bits: str, n_samples: int, tables: Sequence[Table]) -> tuple[np.ndarray, int]:
    """Samples, and how many bits are left."""
    out = np.empty(n_samples, np.int64)
    table = tables[0]
    longest = max(table, default=0)
    at = 0
    for i in range(n_samples):
        while True:
            key, start = 1, at
            code = None
            while code is None:
                if at >= len(bits) or key > longest:
                    what = "the end" if at >= len(bits) else f"a code that is not in the table at bit {start}"
                    raise RecordError(f"{where}: expected {n_samples} samples, got {what} after {i}")
                key = key << 1 | (bits[at] == "1")
                at += 1
                code = table.get(key)
            if not code.switch:
                break
            if not 1 <= code.value <= len(tables):
                raise RecordError(f"{where}: expected a table from 1 to {len(tables)}, got {code.value}")
            table = tables[code.value - 1]
            longest = max(table, default=0)
        value = code.value
        if code.extra:
            raw = bits[at : at + code.extra]
            if len(raw) < code.extra:
                raise RecordError(f"{where}: expected {n_samples} samples, got the end after {i}")
            value = int(raw, 2) - (1 << code.extra if raw[0] == "1" else 0)
            at += code.extra
        out[i] = value
    return out, len(bits) - at


def summed(values: np.ndarray, order: int) -> np.ndarray:
    """Samples from their first or second differences, in the 16-bit arithmetic of the format.

    Parameters
    ----------
    values
        ``(n,)``; the first one, or two, are samples.
    order
        0, 1 or 2.

    Examples
    --------
    >>> summed(np.array([5, 1, -2]), 1).tolist(), summed(np.array([5, 6, 1, 0]), 2).tolist()
    ([5, 6, 4], [5, 6, 8, 10])
    """
    if order == 0 or not values.size:
        return values
    slopes = values.copy()
    if order == 2:
        slopes[1:2] -= values[:1]
        slopes[1:] = np.cumsum(slopes[1:])
    return np.cumsum(slopes).astype(np.int16).astype(np.int64)
