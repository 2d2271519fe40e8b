"""SCP-ECG files (EN 1064, ISO 11073-91064), versions 1 and 2: the rhythm of section 6.

Samples as 16-bit numbers or Huffman codes, plain or as first or second differences, whole or less the reference beat
of section 5. Not read: bimodal compression and residuals at a rate of their own, of which no file was found to check
a reader against, and version 3. Patient, devices, dates, texts and diagnoses stay in the file: of section 1 the three
entries on filters alone are looked at.
"""

from __future__ import annotations

import binascii
import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr

from ecg_widget.formats.channels import Stored, chosen, dataset, factor, named
from ecg_widget.formats.limits import LAZY_VALUES, check_header
from ecg_widget.formats.scp_codes import Table, decoded, read_tables, summed
from ecg_widget.records import RecordError

NAME = "SCP-ECG"

_PREAMBLE = 6  # bytes: checksum, size
_HEADER = 16  # of a section: checksum, number, size, two versions, six reserved
_LARGEST = 8 << 20  # bytes; a resting ECG has 10 to 100 kB
_LARGEST_CODED = 1 << 20  # bytes of coded samples; twelve leads of the largest size that the format can state
_MOST_LEADS = 85
_LEADS = {
    1: "I",
    2: "II",
    **{i + 2: f"V{i}" for i in range(1, 8)},
    **{i + 8: f"V{i}R" for i in range(2, 8)},
    16: "X",
    17: "Y",
    18: "Z",
    19: "CC5",
    20: "CM5",
    61: "III",
    62: "aVR",
    63: "aVL",
    64: "aVF",
    65: "-aVR",
    66: "V8",
    67: "V9",
    68: "V8R",
    69: "V9R",
    70: "D",
    71: "A",
    72: "J",
}


@dataclass(frozen=True)
class _Lead:
    code: int
    first: int  # sample of the common time axis, from 1
    last: int

    @property
    def n_samples(self) -> int:
        return self.last - self.first + 1


@dataclass(frozen=True)
class _Packed:
    """Section 5 or 6."""

    where: str
    nanovolts: int  # of a step
    interval: int  # us from sample to sample
    order: int  # of the differences
    bimodal: bool
    data: tuple[bytes, ...]  # of each lead

    def samples(self, lead: int, n_samples: int, tables: Sequence[Table] | None) -> np.ndarray:
        where = f"{self.where}: lead {lead}"
        data = self.data[lead]
        if tables is not None:
            values = decoded(where, data, n_samples, tables)
        elif 2 * n_samples > len(data):
            raise RecordError(f"{where}: expected {n_samples} samples, got {len(data)} bytes")
        else:
            values = np.frombuffer(data, "<i2", n_samples).astype(np.int64)
        return summed(values, self.order)


@dataclass(frozen=True)
class _Beats:
    """Section 4: where the reference beat was taken away."""

    length: int  # of the reference beat, ms
    fiducial: int  # its sample, from 1
    places: tuple[tuple[int, int, int, int], ...]  # type of the beat; first, fiducial and last sample, from 1


def locate(path: Path) -> Path | None:
    """Return the path if its file begins with a preamble and the list of sections as SCP-ECG has them."""
    if not path.is_file():
        return None
    with path.open("rb") as stream:
        head = stream.read(_PREAMBLE + _HEADER + 10)
    if len(head) < _PREAMBLE + _HEADER + 10:
        return None
    number, size = struct.unpack_from("<HI", head, _PREAMBLE + 2)
    first, _, place = struct.unpack_from("<HII", head, _PREAMBLE + _HEADER)
    return path if (number, first, place) == (0, 0, 7) and size % 10 == _HEADER % 10 else None


def read(
    path: Path,
    *,
    leads: Sequence[str] | None = None,
    units: str | None = None,
    names: Sequence[str] | None = None,
    checksum: bool = True,
) -> xr.Dataset:
    """Read one SCP-ECG file.

    Parameters
    ----------
    path, leads
        As in `ecg_widget.records.open_ecg`.
    units
        The file states them; an error where they are others.
    names
        Which leads the file holds, one name for each in its order, where the file's codes do not tell.
    checksum
        Whether file and sections must be what their checksums were taken of.

    Returns
    -------
    xarray.Dataset
        One record, named after the file; NaN where a lead was not recorded while others were.

    Raises
    ------
    RecordError
        Truncated, absurd or contradictory, a wrong checksum, leads without a name, or packed in a way that is not read.

    Examples
    --------
    >>> locate(Path("no-such-file.scp")) is None
    True
    """
    from ecg_widget import __version__  # noqa: PLC0415  (the package imports its readers' package)

    file = path.name
    try:
        sections = _sections(path, checksum=checksum)
        stored = _stored(path, sections, leads, units, names)
        filters = _filters(sections.get(1, b""))
    except struct.error as error:
        raise RecordError(f"{file}: expected complete sections, got too few bytes: {error}") from None
    attrs = {"source": file, "format": NAME, "reader": f"ecg_widget {__version__}", "filters": filters}
    return dataset(stored, attrs, lazy=False)


def _sections(path: Path, *, checksum: bool) -> dict[int, bytes]:
    """Bodies of the sections that the file has, by number."""
    file = path.name
    size = path.stat().st_size
    if size > _LARGEST:
        raise RecordError(f"{file}: size: expected at most {_LARGEST} bytes, got {size}")
    data = path.read_bytes()
    stated, stated_size = struct.unpack_from("<HI", data)
    if stated_size != len(data):
        raise RecordError(f"{file}: size: expected {stated_size} bytes as the file states, got {len(data)}")
    if checksum:
        _check(f"{file}: file", stated, data[2:])
    (length,) = struct.unpack_from("<I", data, _PREAMBLE + 4)
    sections = {}
    for number, at, expected in [(0, _PREAMBLE, length), *_pointers(data, length)]:
        where = f"{file}: section {number}"
        if at < _PREAMBLE or expected < _HEADER or at + expected > len(data):
            raise RecordError(f"{where}: expected it inside {len(data)} bytes, got bytes {at} to {at + expected}")
        stated, found, found_length, _, protocol = struct.unpack_from("<HHIBB", data, at)
        if (found, found_length) != (number, expected) or number in sections:
            raise RecordError(
                f"{where}: expected it once, with its number and {expected} bytes at byte {at}, got section {found} "
                f"of {found_length} bytes"
            )
        if checksum:
            _check(where, stated, data[at + 2 : at + expected])
        if protocol >= 30:
            raise RecordError(f"{where}: protocol version: expected 1.0 to 2.9, got {protocol / 10:g}")
        sections[number] = data[at + _HEADER : at + expected]
    missing = [str(number) for number in (3, 6) if number not in sections]
    if missing:
        raise RecordError(f"{file}: sections: expected 3 (leads) and 6 (rhythm), got none of {', '.join(missing)}")
    return sections


def _pointers(data: bytes, length: int) -> list[tuple[int, int, int]]:
    """Number, first byte and size of the sections 1 to 6 that section 0 lists; a size of 0 says that one is absent."""
    listed = struct.iter_unpack("<HII", data[_PREAMBLE + _HEADER : _PREAMBLE + max(length, _HEADER)][: 10 * 1000])
    return [(number, place - 1, size) for number, size, place in listed if 1 <= number <= 6 and size]


def _check(where: str, stated: int, data: bytes) -> None:
    computed = binascii.crc_hqx(data, 0xFFFF)
    if stated != computed:
        raise RecordError(
            f"{where}: checksum: expected {computed:04x}, got {stated:04x}: the file was changed; checksum=False reads "
            "it all the same"
        )


def _stored(
    path: Path,
    sections: Mapping[int, bytes],
    leads: Sequence[str] | None,
    units: str | None,
    names: Sequence[str] | None,
) -> Stored:
    file = path.name
    subtracted, found = _leads(file, sections[3])
    spelled = named(file, [lead.code for lead in found], _LEADS, names, leads)
    keep = chosen(file, spelled, leads)
    rhythm = _packed(file, 6, sections[6], len(found))
    beats = _beats(file, sections) if subtracted else None
    reference = _packed(file, 5, sections.get(5, b""), len(found)) if subtracted else None
    if rhythm.bimodal:
        raise RecordError(
            f"{file}: section 6: expected samples at one rate throughout, got bimodal compression, which is not read; "
            "export the recording without it, or as DICOM or aECG"
        )
    if reference is not None and reference.interval != rhythm.interval:
        raise RecordError(
            f"{file}: section 6: expected a residual at the interval of its reference beat, {reference.interval} us, "
            f"got {rhythm.interval} us, which is not read; export the recording without compression, or as DICOM or "
            "aECG"
        )
    start = min(lead.first for lead in found)
    n_samples = max(lead.last for lead in found) - start + 1
    rate = 1e6 / rhythm.interval
    check_header(file, n_channels=len(found), n_samples=n_samples, rate=rate)
    if n_samples * len(found) > LAZY_VALUES:
        raise RecordError(
            f"{file}: size: expected at most {LAZY_VALUES} values, got {n_samples} for {len(found)} leads"
        )
    tables = read_tables(file, sections[2]) if 2 in sections else None
    step = rhythm.nanovolts if reference is None else math.gcd(rhythm.nanovolts, reference.nanovolts)
    scale = factor(f"{file}: section 6: amplitude", f"{step}nV", units) / step  # mV of a nanovolt

    decoded_leads = []  # a lead that is longer than its data is found here, before memory is taken for all of them
    for i in keep:
        values = rhythm.samples(i, found[i].n_samples, tables) * rhythm.nanovolts
        if beats is not None and reference is not None:
            length = round(beats.length * 1000 / reference.interval)
            _add(values, found[i], reference.samples(i, length, tables) * reference.nanovolts, beats)
        decoded_leads.append(values)
    nanovolts = np.full((len(keep), n_samples), np.nan)
    for row, (i, values) in enumerate(zip(keep, decoded_leads, strict=True)):
        nanovolts[row, found[i].first - start : found[i].last - start + 1] = values

    def part(rows: Sequence[int], first: int, last: int) -> np.ndarray:
        return nanovolts[list(rows), first:last] * scale

    return Stored(path, [spelled[i] for i in keep], rate, n_samples, [step * scale] * len(keep), part, n_samples)


def _leads(file: str, body: bytes) -> tuple[bool, list[_Lead]]:
    """Section 3: whether a reference beat was taken away, and the leads."""
    n_leads, flags = struct.unpack_from("<BB", body)
    if not 1 <= n_leads <= _MOST_LEADS:
        raise RecordError(f"{file}: section 3: number of leads: expected 1 to {_MOST_LEADS}, got {n_leads}")
    found = []
    for i in range(n_leads):
        first, last, code = struct.unpack_from("<IIB", body, 2 + 9 * i)
        if not 1 <= first <= last:
            raise RecordError(f"{file}: section 3: lead {i}: expected samples from 1 upwards, got {first} to {last}")
        found.append(_Lead(code, first, last))
    return bool(flags & 1), found


def _packed(file: str, number: int, body: bytes, n_leads: int) -> _Packed:
    where = f"{file}: section {number}"
    nanovolts, interval, order, bimodal = struct.unpack_from("<HHBB", body)
    sizes = struct.unpack_from(f"<{n_leads}H", body, 6)
    if nanovolts < 1 or interval < 1 or order > 2:
        raise RecordError(
            f"{where}: expected an amplitude and an interval above 0 and differences of order 0, 1 or 2, got "
            f"{nanovolts} nV, {interval} us and {order}"
        )
    at = 6 + 2 * n_leads
    if at + sum(sizes) > len(body) or sum(sizes) > _LARGEST_CODED:
        raise RecordError(
            f"{where}: samples: expected at most {min(_LARGEST_CODED, len(body) - at)} bytes, got {sum(sizes)}"
        )
    data = []
    for size in sizes:
        data.append(body[at : at + size])
        at += size
    return _Packed(where, nanovolts, interval, order, number == 6 and bimodal != 0, tuple(data))


def _beats(file: str, sections: Mapping[int, bytes]) -> _Beats:
    missing = [str(number) for number in (4, 5) if number not in sections]
    if missing:
        raise RecordError(
            f"{file}: sections: expected 4 and 5, since a reference beat was taken away, got none of "
            f"{', '.join(missing)}"
        )
    length, fiducial, n_beats = struct.unpack_from("<HHH", sections[4])
    if 6 + 14 * n_beats > len(sections[4]):
        raise RecordError(f"{file}: section 4: expected {n_beats} beats, got {len(sections[4])} bytes")
    places = tuple(struct.iter_unpack("<HIII", sections[4][6 : 6 + 14 * n_beats]))
    return _Beats(length, fiducial, places)


def _add(values: np.ndarray, lead: _Lead, beat: np.ndarray, beats: _Beats) -> None:
    """Put the reference beat back where it was taken away; beats of other types than 0 were left whole."""
    for kind, first, fiducial, last in beats.places:
        shift = fiducial - beats.fiducial  # sample of the recording before sample 1 of the beat
        low = max(first, lead.first, shift + 1)
        high = min(last, lead.last, shift + beat.size)
        if kind == 0 and low <= high:
            values[low - lead.first : high - lead.first + 1] += beat[low - shift - 1 : high - shift]


def _filters(body: bytes) -> str:
    """Of section 1, where entries are a tag, a size and a value, the tags 27 to 29."""
    parts = []
    at = 0
    while at + 3 <= len(body) and body[at] != 255:
        tag, size = struct.unpack_from("<BH", body, at)
        value = body[at + 3 : at + 3 + size]
        at += 3 + size
        if tag == 27 and any(value[:2]) and size == 2:
            parts.append(f"high-pass {int.from_bytes(value, 'little') / 100:g} Hz")
        elif tag == 28 and any(value[:2]) and size == 2:
            parts.append(f"low-pass {int.from_bytes(value, 'little')} Hz")
        elif tag == 29 and size == 1 and value:
            parts += [name for bit, name in ((1, "notch 60 Hz"), (2, "notch 50 Hz")) if value[0] & bit]
    return ", ".join(parts)
