"""ISHNE Holter files (F. Badilini, Ann Noninvasive Electrocardiol 1998;3:263-266), version 1.

A fixed header of 522 bytes, a block of free text, then 16-bit samples, all leads in turn. Names, identifier, sex, race,
dates, pacemaker, recorder and free text stay in the file. The sample value -32768, by which the format marks a lead
fault, becomes NaN.
"""

from __future__ import annotations

import binascii
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr

from ecg_widget.formats.channels import Stored, chosen, dataset, factor, named
from ecg_widget.formats.limits import LARGEST_FILE, LARGEST_HEADER, check_header
from ecg_widget.records import RecordError

NAME = "ISHNE"

_MAGIC = b"ISHNE1.0"
_FIXED = 522  # bytes before the free text
_SUMMED = 10  # the checksum is taken from here to the first sample
_MOST_LEADS = 12
_FAULT = -32768
_LEADS = {
    **dict(enumerate(("X", "Y", "Z", "I", "II", "III", "aVR", "aVL", "aVF"), 2)),
    **{i + 10: f"V{i}" for i in range(1, 7)},
    17: "ES",
    18: "AS",
    19: "AI",
}
_PIECE = 1 << 20  # values in one read


@dataclass(frozen=True)
class _Header:
    first: int  # byte of the first sample
    n_leads: int
    n_samples: int
    rate: int
    codes: tuple[int, ...]
    resolutions: tuple[int, ...]  # nV a step


def locate(path: Path) -> Path | None:
    """Return the path if its file begins as ISHNE does."""
    if not path.is_file():
        return None
    with path.open("rb") as stream:
        return path if stream.read(len(_MAGIC)) == _MAGIC else None


def read(
    path: Path,
    *,
    leads: Sequence[str] | None = None,
    units: str | None = None,
    names: Sequence[str] | None = None,
    length: str = "header",
    checksum: bool = True,
    lazy: bool | None = None,
) -> xr.Dataset:
    """Read one ISHNE file.

    Parameters
    ----------
    path, leads, lazy
        As in `ecg_widget.records.open_ecg`.
    units
        What one step is, as in ``"2.5uV"``, where the header states no resolution; an error where it states another.
    names
        Which leads the file holds, one name for each in its order, where the header's codes do not tell.
    length
        ``"header"``: as many samples as the header states, an error where the file holds another number; ``"file"``:
        all that are there. Some recorders write the longest possible duration into the header.
    checksum
        Whether the header must be what its checksum was taken of; a checksum of 0 means that none was taken.

    Returns
    -------
    xarray.Dataset
        One record, named after the file.

    Raises
    ------
    RecordError
        Truncated or absurd, a wrong checksum, leads without a name or a resolution.

    Examples
    --------
    >>> locate(Path("no-such-file.ecg")) is None
    True
    """
    from ecg_widget import __version__  # noqa: PLC0415  (the package imports its readers' package)

    file = path.name
    if length not in ("header", "file"):
        raise ValueError(f"length: expected 'header' or 'file', got {length!r}")
    header = _header(path, from_file=length == "file", checksum=checksum)
    found = named(file, header.codes, _LEADS, names, leads)
    keep = chosen(file, found, leads)
    steps = []
    for i in keep:
        nanovolts = header.resolutions[i]
        stated = f"{nanovolts}nV" if nanovolts > 0 else ""
        steps.append(factor(f"{file}: lead {i} ({found[i]}): resolution {nanovolts}", stated, units))

    def part(rows: Sequence[int], first: int, last: int) -> np.ndarray:
        with path.open("rb") as stream:
            stream.seek(header.first + first * header.n_leads * 2)
            data = stream.read((last - first) * header.n_leads * 2)
        samples = np.frombuffer(data, "<i2").reshape(last - first, header.n_leads)
        raw = samples[:, [keep[row] for row in rows]].T
        values = raw * np.array([[steps[row]] for row in rows])
        values[raw == _FAULT] = np.nan
        return values

    stored = Stored(
        path, [found[i] for i in keep], float(header.rate), header.n_samples, steps, part, _PIECE // header.n_leads
    )
    return dataset(
        stored, {"source": file, "format": NAME, "reader": f"ecg_widget {__version__}", "filters": ""}, lazy=lazy
    )


def _header(path: Path, *, from_file: bool, checksum: bool) -> _Header:
    file = path.name
    size = path.stat().st_size
    if not _FIXED < size <= LARGEST_FILE:
        raise RecordError(f"{file}: size: expected {_FIXED + 1} to {LARGEST_FILE} bytes, got {size}")
    with path.open("rb") as stream:
        fixed = stream.read(_FIXED)
        text_size, stated, text_first, first, version = struct.unpack_from("<4ih", fixed, _SUMMED)
        if not 0 <= text_size <= LARGEST_HEADER:
            raise RecordError(f"{file}: variable block: expected 0 to {LARGEST_HEADER} bytes, got {text_size}")
        if (text_first, first) != (_FIXED, _FIXED + text_size) or first >= size:
            raise RecordError(
                f"{file}: offsets: expected the variable block at byte {_FIXED} and the samples at "
                f"{_FIXED + text_size}, both inside {size} bytes, got {text_first} and {first}"
            )
        if checksum:
            _check(file, fixed + stream.read(text_size))
    if version != 1:
        raise RecordError(f"{file}: file version: expected 1, got {version}")
    (n_leads,) = struct.unpack_from("<h", fixed, 156)
    (rate,) = struct.unpack_from("<h", fixed, 272)
    if not 1 <= n_leads <= _MOST_LEADS:
        raise RecordError(f"{file}: number of leads: expected 1 to {_MOST_LEADS}, got {n_leads}")
    n_samples, rest = divmod(size - first, 2 * n_leads)
    if not from_file and (rest or stated != n_samples):
        raise RecordError(
            f"{file}: samples: expected {stated} of {n_leads} leads as the header states, got {size - first} bytes, "
            f"{n_samples} samples and {rest} bytes; if the file is complete, read what it holds with length='file'"
        )
    check_header(file, n_channels=n_leads, n_samples=n_samples, rate=rate)
    codes = struct.unpack_from(f"<{n_leads}h", fixed, 158)
    return _Header(first, n_leads, n_samples, rate, codes, struct.unpack_from(f"<{n_leads}h", fixed, 206))


def _check(file: str, head: bytes) -> None:
    """Hold the header against its checksum, CRC-CCITT; the format does not fix the order of the two bytes."""
    computed = binascii.crc_hqx(head[_SUMMED:], 0xFFFF).to_bytes(2, "little")
    stored = head[8:10]
    if stored not in (bytes(2), computed, computed[::-1]):
        raise RecordError(
            f"{file}: checksum: expected {computed.hex()} or {computed[::-1].hex()}, got {stored.hex()}: the header "
            "was changed; checksum=False reads it all the same"
        )
