"""Writers of the binary formats for tests, from the published layouts and without the package's readers."""

from __future__ import annotations

import binascii
import struct

import numpy as np

ISHNE_CODES = tuple(range(5, 17))  # I to V6


def _crc(data: bytes) -> int:
    return binascii.crc_hqx(data, 0xFFFF)


def ishne(
    samples: np.ndarray,
    *,
    rate: int = 250,
    codes=ISHNE_CODES,
    nanovolts=2500,
    text: bytes = b"Mr Secret, cell 12",
    stated: int | None = None,
    checksum: int | None = None,
    n_leads: int | None = None,
    version: int = 1,
) -> bytes:
    """An ISHNE file of ``(lead, time)`` int16; `nanovolts` of a step, for all leads or for each."""
    leads, length = samples.shape
    resolutions = np.broadcast_to(nanovolts, leads).tolist()
    absent = [-9] * (12 - leads)
    head = struct.pack("<4ih", len(text), length if stated is None else stated, 522, 522 + len(text), version)
    head += b"Secretfirst".ljust(40, b"\0") + b"Secretlast".ljust(40, b"\0") + b"Secretid".ljust(20, b"\0")
    head += struct.pack("<14h", 1, 1, 9, 11, 1984, 1, 2, 2003, 4, 5, 2006, 7, 8, 9)
    head += struct.pack("<h", leads if n_leads is None else n_leads)
    head += struct.pack("<36h", *(*codes[:leads], *absent, *[1] * 12, *resolutions, *absent))
    head += struct.pack("<h", 2) + b"Secretdevice".ljust(40, b"\0") + struct.pack("<h", rate)
    head += b"Secretowner".ljust(80, b"\0") + b"".ljust(80, b"\0") + bytes(88)
    assert len(head) == 512
    head += text
    crc = _crc(head) if checksum is None else checksum
    return b"ISHNE1.0" + struct.pack("<H", crc) + head + samples.T.astype("<i2").tobytes()


def _section(number: int, body: bytes, protocol: int = 20) -> bytes:
    body += bytes(len(body) % 2)
    rest = struct.pack("<HIBB6x", number, 16 + len(body), 20, protocol) + body
    return struct.pack("<H", _crc(rest)) + rest


def scp_file(bodies: dict[int, bytes], protocol: int = 20) -> bytes:
    """An SCP-ECG file of these section bodies."""
    sections = {n: _section(n, body, protocol) for n, body in sorted(bodies.items())}
    place = 7 + 16 + 120
    pointers = struct.pack("<HII", 0, 136, 7)
    for n in range(1, 12):
        size = len(sections.get(n, b""))
        pointers += struct.pack("<HII", n, size, place if size else 0)
        place += size
    data = _section(0, pointers, protocol) + b"".join(sections.values())
    data = struct.pack("<I", 6 + len(data)) + data
    return struct.pack("<H", _crc(data)) + data


def _differences(values: np.ndarray, order: int) -> np.ndarray:
    out = values.astype(np.int64).copy()
    if order:
        out[order:] = np.diff(values, order)
    return out


def huffman(values: np.ndarray) -> bytes:
    """The bits of the standard's own table."""
    bits = ""
    for v in values.tolist():
        if v == 0:
            bits += "0"
        elif abs(v) <= 8:
            bits += "1" * abs(v) + "0" + ("1" if v < 0 else "0")
        elif -128 <= v < 128:
            bits += "1111111110" + format(v & 0xFF, "08b")
        else:
            bits += "1111111111" + format(v & 0xFFFF, "016b")
    bits += "0" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big") if bits else b""


def packed(values: list[np.ndarray], *, nanovolts: int, interval: int, order: int, code, bimodal: int = 0) -> bytes:
    """Section 5 or 6; `code` turns numbers into bytes."""
    data = [code(_differences(v, order)) for v in values]
    head = struct.pack("<HHBB", nanovolts, interval, order, bimodal)
    return head + b"".join(struct.pack("<H", len(d)) for d in data) + b"".join(data)


def plain(values: np.ndarray) -> bytes:
    """16-bit numbers."""
    return values.astype("<i2").tobytes()


def _thinned(values: np.ndarray, start: int, zones, means: int) -> np.ndarray:
    """Means of so many samples where none of them lies in a zone or behind the end; else the sample."""
    protected = np.zeros(values.size + means, bool)
    protected[values.size :] = True
    for first, last in zones:
        protected[max(0, first - start) : max(0, last - start + 1)] = True
    out, at = [], 0
    while at < values.size:
        together = means if not protected[at : at + means].any() else 1
        out.append(round(values[at : at + together].mean()))
        at += together
    return np.array(out)


def scp(
    samples: list[np.ndarray],
    *,
    codes=(1, 2, 3, 4, 5, 6, 7, 8, 61, 62, 63, 64),
    firsts=None,
    nanovolts: int = 2500,
    interval: int = 2000,
    order: int = 2,
    table: bytes | None = struct.pack("<H", 19999),
    code=huffman,
    beat: list[np.ndarray] | None = None,
    beat_nanovolts: int = 2500,
    beat_interval: int | None = None,
    fiducial: int = 0,
    places=(),
    bimodal: int = 0,
    zones=(),
    means: int = 1,
    protocol: int = 20,
) -> bytes:
    """An SCP-ECG file; with `beat`, the reference beat is taken away at `places` (type, first, fiducial, last).

    With `means`, the mean of so many samples stands for them outside `zones` (first, last).
    """
    firsts = firsts or [1] * len(samples)
    residual = [s.astype(np.int64).copy() for s in samples]
    if beat is not None:
        assert beat_nanovolts == nanovolts
        for kind, first, mark, last in places:
            if kind == 0:
                for r, b, start in zip(residual, beat, firsts, strict=True):
                    for at in range(first, last + 1):
                        if 0 <= at - start < r.size:
                            r[at - start] -= b[at - mark + fiducial - 1]
    if means > 1:
        residual = [_thinned(r, start, zones, means) for r, start in zip(residual, firsts, strict=True)]
    leads = b"".join(struct.pack("<IIB", f, f + s.size - 1, c) for f, s, c in zip(firsts, samples, codes, strict=False))
    bodies = {
        1: b"\x00\x06\x00Clark\x00\x02\x08\x00SBJ-123\x00"
        + struct.pack("<BHHBHHBHB", 27, 2, 5, 28, 2, 150, 29, 1, 2)
        + b"\xff\x00\x00",
        3: struct.pack("<BB", len(samples), (beat is not None) | 4 | len(samples) << 3 & 0xF8) + leads,
        6: packed(residual, nanovolts=nanovolts, interval=interval * means, order=order, code=code, bimodal=bimodal),
    }
    if table is not None:
        bodies[2] = table
    if beat is not None:
        length = round(beat[0].size * (beat_interval or interval) / 1000)
        body = struct.pack("<HHH", length, fiducial, len(places))
        bodies[4] = body + b"".join(struct.pack("<HIII", *p) for p in places)
        bodies[4] += b"".join(struct.pack("<II", *z) for z in zones)
        bodies[5] = packed(beat, nanovolts=beat_nanovolts, interval=beat_interval or interval, order=order, code=code)
    return scp_file(bodies, protocol)
