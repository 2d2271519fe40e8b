"""SCP-ECG files (EN 1064, ISO 11073-91064), versions 1 and 2: the rhythm of section 6.

Samples as 16-bit numbers or Huffman codes, plain or as first or second differences, whole or less the reference beat
of section 5, at one rate or with bimodal compression. Version 3 is not read. Patient, devices, dates, texts and
diagnoses stay in the file: of section 1 the entries on filters and the model of the device alone are looked at.
"""

from __future__ import annotations

import binascii
import math
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import xarray as xr

from ecg_widget.formats.channels import Stored, chosen, dataset, factor, named
from ecg_widget.formats.device import device
from ecg_widget.formats.limits import LAZY_VALUES, check_header
from ecg_widget.formats.scp_bimodal import expanded, n_stored
from ecg_widget.formats.scp_codes import read_tables
from ecg_widget.formats.scp_sections import Beats, Lead, read_beats, read_facts, read_leads, read_packed
from ecg_widget.records import RecordError

NAME = "SCP-ECG"

_PREAMBLE = 6  # bytes: checksum, size
_HEADER = 16  # of a section: checksum, number, size, two versions, six reserved
_LARGEST = 8 << 20  # bytes; a resting ECG has 10 to 100 kB
_MOST_MEANS = 16  # samples for which one stored number may stand; 4 is usual
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
        ``attrs["compression"]`` says so where the file lost something to make it small.

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
        stored, compression = _stored(path, sections, leads, units, names)
        filters, model = read_facts(sections.get(1, b""))
    except struct.error as error:
        raise RecordError(f"{file}: expected complete sections, got too few bytes: {error}") from None
    attrs = {"source": file, "format": NAME, "reader": f"ecg_widget {__version__}", "filters": filters, **device(model)}
    if compression:
        attrs["compression"] = compression
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
) -> tuple[Stored, str]:
    """The leads, and how they were compressed with loss, "" for not at all."""
    file = path.name
    subtracted, found = read_leads(file, sections[3])
    spelled = named(file, [lead.code for lead in found], _LEADS, names, leads)
    keep = chosen(file, spelled, leads)
    rhythm = read_packed(file, 6, sections[6], len(found))
    beats, reference = None, None
    if subtracted or rhythm.bimodal:
        missing = [str(number) for number in (4, 5) if number not in sections]
        if missing:
            raise RecordError(
                f"{file}: sections: expected 4 and 5, since a reference beat was taken away or samples have two rates, "
                f"got none of {', '.join(missing)}"
            )
        beats = read_beats(file, sections[4])
        reference = read_packed(file, 5, sections[5], len(found))
    interval = rhythm.interval if reference is None else reference.interval
    means, rest = divmod(rhythm.interval, interval)
    if rest or not 1 <= means <= _MOST_MEANS:
        raise RecordError(
            f"{file}: section 6: interval: expected 1 to {_MOST_MEANS} times the {interval} us of the reference beat, "
            f"got {rhythm.interval} us"
        )
    zones = beats.protected(f"{file}: section 4") if beats and means > 1 else []
    start = min(lead.first for lead in found)
    n_samples = max(lead.last for lead in found) - start + 1
    rate = 1e6 / interval
    check_header(file, n_channels=len(found), n_samples=n_samples, rate=rate)
    if n_samples * len(found) > LAZY_VALUES:
        raise RecordError(
            f"{file}: size: expected at most {LAZY_VALUES} values, got {n_samples} for {len(found)} leads"
        )
    tables = read_tables(file, sections[2]) if 2 in sections else None
    step = math.gcd(rhythm.nanovolts, reference.nanovolts) if reference and subtracted else rhythm.nanovolts
    scale = factor(f"{file}: section 6: amplitude", f"{step}nV", units) / step  # mV of a nanovolt

    decoded_leads = []  # a lead that is longer than its data is found here, before memory is taken for all of them
    for i in keep:
        lead = found[i]
        if means > 1 and beats:
            values = rhythm.samples(i, n_stored(lead.first, lead.last, zones, means), tables, whole=True)
            taken = beats.subtracted if subtracted else []
            values = expanded(values, lead.first, lead.last, zones, means, subtracted=taken)
        else:
            values = rhythm.samples(i, lead.n_samples, tables)
        values = values * rhythm.nanovolts
        if subtracted and beats and reference:
            length = round(beats.length * 1000 / interval)
            _add(values, lead, reference.samples(i, length, tables) * reference.nanovolts, beats)
        decoded_leads.append(values)
    nanovolts = np.full((len(keep), n_samples), np.nan)
    for row, (i, values) in enumerate(zip(keep, decoded_leads, strict=True)):
        nanovolts[row, found[i].first - start : found[i].last - start + 1] = values

    def part(rows: Sequence[int], first: int, last: int) -> np.ndarray:
        return nanovolts[list(rows), first:last] * scale

    stored = Stored(path, [spelled[i] for i in keep], rate, n_samples, [step * scale] * len(keep), part, n_samples)
    return stored, f"bimodal: {rate / means:g} Hz outside {len(zones)} protected zones" if means > 1 else ""


def _add(values: np.ndarray, lead: Lead, beat: np.ndarray, beats: Beats) -> None:
    """Put the reference beat back where it was taken away; beats of other types than 0 were left whole."""
    for kind, first, fiducial, last in beats.places:
        shift = fiducial - beats.fiducial  # sample of the recording before sample 1 of the beat
        low = max(first, lead.first, shift + 1)
        high = min(last, lead.last, shift + beat.size)
        if kind == 0 and low <= high:
            values[low - lead.first : high - lead.first + 1] += beat[low - shift - 1 : high - shift]
