"""Damage to files: bytes, numbers, words, and what lies inside archives and base64."""

from __future__ import annotations

import base64
import io
import random
import re
import struct
import zipfile
from collections.abc import Callable

ABSURD = (
    b"", b"0", b"-0", b"-1", b"1e308", b"-1e308", b"1e-320", b"1e999", b"nan", b"inf", b"-inf", b"255", b"65536",
    b"2147483647", b"2147483648", b"-2147483649", b"4294967296", b"99999999999999999999", b"9" * 400, b"0x10", b"1_0",
    b"1e5", b"0.0000001", "\u0663".encode(), "\u00bd".encode(), b"1,5", b" 1", b"+1",
)  # fmt: skip
WORDS = (
    b"../../../etc/passwd", b"/etc/passwd", b"..\\..\\x", b"file:///etc/passwd", b"http://localhost:9/x", b"a::b", b"~",
    b"-", b"\0", b"%s%n", b"{0}", b"__import__('os')", b"&x;", b"<![CDATA[", b"]]>", b"<!DOCTYPE a [<!ENTITY x 'y'>]>",
    b"<?xml version='1.0' encoding='utf-16'?>", b"\xff\xfe", b"\xef\xbb\xbf", b"\xc3\x28", b"\xed\xa0\x80", b"\r", b"\n",
    b"\n\n", b'"', b"'", b",", b";", b"II", b"I", b"V1", b"MDC_ECG_LEAD_II", b"mV", b"uV", b"adu", b"#", b"\t", b"A" * 5000,
)  # fmt: skip
INTEGERS = (
    0,
    1,
    -1,
    2,
    127,
    128,
    255,
    256,
    32767,
    32768,
    65535,
    65536,
    2**31 - 1,
    2**31,
    2**32 - 1,
    2**63 - 1,
    2**64 - 1,
)

_NUMBER = re.compile(rb"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")
_WORD = re.compile(rb"[A-Za-z_][\w.\-]{1,40}")
_BASE64 = re.compile(rb"[A-Za-z0-9+/\s]{200,}={0,2}")
_HEAD = 4096  # bytes in which formats keep what describes the rest

Mutation = Callable[[bytes, random.Random], bytes]


def _at(data: bytes, rng: random.Random) -> int:
    """A place, half of the time among those that describe the rest."""
    return rng.randrange(min(len(data), _HEAD) if rng.random() < 0.5 else len(data))


def bit(data: bytes, rng: random.Random) -> bytes:
    at = _at(data, rng)
    return data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :]


def noise(data: bytes, rng: random.Random) -> bytes:
    at, n = _at(data, rng), rng.choice((1, 2, 4, 16, 64))
    return data[:at] + rng.randbytes(n) + data[at + n :]


def integer(data: bytes, rng: random.Random) -> bytes:
    size = rng.choice((1, 2, 4, 8))
    value = rng.choice(INTEGERS) & (1 << 8 * size) - 1
    at = _at(data, rng) & ~(size - 1) if rng.random() < 0.5 else _at(data, rng)
    return data[:at] + value.to_bytes(size, rng.choice(("little", "big"))) + data[at + size :]


def real(data: bytes, rng: random.Random) -> bytes:
    value = rng.choice((float("nan"), float("inf"), -float("inf"), 1e308, 1e-320, -0.0, 1e38))
    kind = rng.choice(("<f", "<d", ">d"))
    at = _at(data, rng)
    raw = struct.pack(kind, value if kind[1] == "d" or abs(value) < 3e38 else float("inf"))
    return data[:at] + raw + data[at + len(raw) :]


def cut_end(data: bytes, rng: random.Random) -> bytes:
    return data[: _at(data, rng)]


def cut(data: bytes, rng: random.Random) -> bytes:
    at = _at(data, rng)
    return data[:at] + data[at + rng.choice((1, 2, 4, 8, 80, 256, 1000)) :]


def twice(data: bytes, rng: random.Random) -> bytes:
    at, n = _at(data, rng), rng.choice((1, 4, 16, 80, 256, 1000))
    return data[: at + n] + data[at:]


def append(data: bytes, rng: random.Random) -> bytes:
    return data + (rng.randbytes(rng.choice((1, 7, 512))) if rng.random() < 0.7 else data)


def number(data: bytes, rng: random.Random) -> bytes:
    return _replace(data, rng, _NUMBER, ABSURD)


def number_in_place(data: bytes, rng: random.Random) -> bytes:
    """Another number of the same width: fields of fixed width stay where they are."""
    found = _some(data, rng, _NUMBER)
    if found is None:
        return bit(data, rng)
    n = found.end() - found.start()
    other = rng.choice((b"9" * n, b"0" * n, b"1".ljust(n), b"-1".ljust(n)[:n], b"1" + b"0" * (n - 1), b" " * n))
    return data[: found.start()] + other + data[found.end() :]


def word(data: bytes, rng: random.Random) -> bytes:
    return _replace(data, rng, _WORD, WORDS)


def insert_word(data: bytes, rng: random.Random) -> bytes:
    at = _at(data, rng)
    return data[:at] + rng.choice(WORDS) + data[at:]


def lines(data: bytes, rng: random.Random) -> bytes:
    """A line left out, doubled or moved."""
    rows = data.split(b"\n")
    at = rng.randrange(len(rows))
    row = rows.pop(at)
    rows[rng.randrange(len(rows) + 1) : 0] = [row] * rng.choice((0, 1, 2))
    return b"\n".join(rows)


def encoding(data: bytes, rng: random.Random) -> bytes:
    text = data.decode("latin-1")
    return text.encode(rng.choice(("utf-16", "utf-16-be", "utf-8", "utf-32", "utf-7", "utf-8-sig")), "replace")


def inside(data: bytes, rng: random.Random) -> bytes:
    """Damage below a layer that would otherwise notice it: a member of an archive, or what base64 stands for."""
    if data.startswith(b"PK\x03\x04"):
        out = io.BytesIO()
        try:
            with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w") as new:
                names = old.namelist()
                chosen = rng.choice(names)
                for name in names:
                    content = old.read(name)
                    new.writestr(name, mutate(content, rng, deep=False) if name == chosen else content)
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, EOFError, zipfile.zlib.error):
            return bit(data, rng)
        return out.getvalue()
    found = _some(data, rng, _BASE64)
    if found is None:
        return number(data, rng)
    packed = b"".join(found[0].split())
    raw = base64.b64decode(packed[: len(packed) // 4 * 4])
    return data[: found.start()] + base64.b64encode(mutate(raw, rng, deep=False)) + data[found.end() :]


MUTATIONS: tuple[Mutation, ...] = (
    bit, bit, noise, integer, integer, real, cut_end, cut, twice, append, number, number, number_in_place, word,
    insert_word, lines, encoding, inside,
)  # fmt: skip


def mutate(data: bytes, rng: random.Random, *, deep: bool = True) -> bytes:
    """One to five pieces of damage, most often one or two."""
    for _ in range(rng.choice((1, 1, 1, 2, 2, 3, 5))):
        if not data:
            return rng.randbytes(8)
        data = rng.choice(MUTATIONS if deep else MUTATIONS[:-1])(data, rng)
    return data


def _some(data: bytes, rng: random.Random, pattern: re.Pattern[bytes]) -> re.Match[bytes] | None:
    """A match near a random place: a list of all would take longer than reading the file."""
    return pattern.search(data, max(0, _at(data, rng) - 8)) or pattern.search(data)


def _replace(data: bytes, rng: random.Random, pattern: re.Pattern[bytes], by: tuple[bytes, ...]) -> bytes:
    found = _some(data, rng, pattern)
    if found is None:
        return insert_word(data, rng)
    return data[: found.start()] + rng.choice(by) + data[found.end() :]
