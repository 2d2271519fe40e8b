"""Headers of EDF, EDF+ and BDF files, vetted before a library sees them; the start of every data record.

Fields on the patient, the recording and its date are not looked at.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ecg_widget.formats.limits import LARGEST_FILE, MOST_CHANNELS, RATES
from ecg_widget.records import RecordError

__all__ = ["Channel", "Header", "check_channel", "kind_of", "read_annotations", "read_header", "record_starts"]

_MAGIC = {b"0       ": "EDF", b"\xffBIOSEMI": "BDF"}
_BYTES = {"EDF": 2, "BDF": 3}  # of a sample
_FIELDS = (  # of every channel, in the file's order, with their lengths
    ("label", 16),
    ("transducer", 80),
    ("dimension", 8),
    ("physical minimum", 8),
    ("physical maximum", 8),
    ("digital minimum", 8),
    ("digital maximum", 8),
    ("prefiltering", 80),
    ("samples in each data record", 8),
    ("reserved", 32),
)
_LARGEST_RECORD = 1 << 28  # bytes; the format advises 61,440, some writers make one record of hours
_ENDS = ("minimum", "maximum")
_ONSET = re.compile(rb"([+-]\d{1,12}(?:\.\d{1,12})?)\x14\x14")  # the first entry of a record, without text
_WHEN = re.compile(rb"([+-]\d{1,12}(?:\.\d{1,12})?)(?:\x15(\d{1,12}(?:\.\d{1,12})?))?\x14")


@dataclass(frozen=True)
class Channel:
    """One channel as the header states it.

    Parameters
    ----------
    position
        Among all channels, annotations too.
    label, dimension, prefiltering
        Texts; ``dimension`` is the unit.
    physical, digital
        The two values of the unit and the two steps that they belong to.
    per_record
        Samples in each data record.
    first
        Where they begin in a data record, in samples of all channels.
    """

    position: int
    label: str
    dimension: str
    prefiltering: str
    physical: tuple[float, float]
    digital: tuple[int, int]
    per_record: int
    first: int

    @property
    def step(self) -> float:
        """One digital step in the unit."""
        return (self.physical[1] - self.physical[0]) / (self.digital[1] - self.digital[0])


@dataclass(frozen=True)
class Header:
    """What the file says of itself.

    Parameters
    ----------
    path
        The file.
    kind
        ``"EDF"`` or ``"BDF"``.
    variant
        ``"C"`` or ``"D"`` for EDF+ and BDF+, continuous or with gaps; "" for plain EDF and BDF.
    size
        Of the header, bytes.
    n_records
        Data records.
    duration
        Of a data record, s.
    signals, annotations
        The ordinary channels and those that hold annotations.
    values_a_record
        Samples of all channels in a data record.
    """

    path: Path
    kind: str
    variant: str
    size: int
    n_records: int
    duration: float
    signals: tuple[Channel, ...]
    annotations: tuple[Channel, ...]
    values_a_record: int

    @property
    def bytes_a_record(self) -> int:
        """Size of a data record."""
        return self.values_a_record * _BYTES[self.kind]

    def rate(self, channel: Channel) -> float:
        """Hz."""
        return channel.per_record / self.duration


def kind_of(path: Path) -> str | None:
    """Tell EDF and BDF by the first bytes and by the length that the header states of itself."""
    if not path.is_file():
        return None
    with path.open("rb") as stream:
        head = stream.read(256)
    size = head[184:192].strip()
    return _MAGIC.get(head[:8]) if len(head) == 256 and size.isdigit() else None


def read_header(path: Path) -> Header:
    """Read and vet the header of a file that `kind_of` knows.

    Raises
    ------
    RecordError
        A field that is no number, out of range or in conflict with another or with the file's size.
    """
    file = path.name
    size = path.stat().st_size
    if size > LARGEST_FILE:
        raise RecordError(f"{file}: size: expected at most {LARGEST_FILE} bytes, got {size}")
    kind = kind_of(path) or "EDF"
    with path.open("rb") as stream:
        head = stream.read(256)
        n_channels = _whole(file, "number of channels", head[252:256], 1, MOST_CHANNELS)
        length = _whole(file, "header size", head[184:192], 512, 256 * (MOST_CHANNELS + 1))
        if length != 256 * (n_channels + 1) or length > size:
            raise RecordError(
                f"{file}: header size: expected {256 * (n_channels + 1)} bytes for {n_channels} channels in a file of "
                f"{size}, got {length}"
            )
        table = stream.read(length - 256)
    channels = _channels(file, table, n_channels)
    total = sum(channel.per_record for channel in channels)
    a_record = total * _BYTES[kind]
    if a_record > _LARGEST_RECORD:
        raise RecordError(f"{file}: data record: expected at most {_LARGEST_RECORD} bytes, got {a_record}")
    stated = _whole(file, "number of data records", head[236:244], -1, 10**8)
    n_records = (size - length) // a_record if stated == -1 else stated  # -1: the recorder did not finish
    if n_records < 1 or (stated != -1 and size != length + n_records * a_record):
        raise RecordError(
            f"{file}: data: expected {stated} data records of {a_record} bytes, got {size - length} bytes after the "
            "header: the file is truncated or was changed"
        )
    marks = tuple(c for c in channels if c.label == f"{kind} Annotations")
    signals = tuple(c for c in channels if c not in marks)
    reserved = head[192:236]
    variant = next((v for v in "CD" if reserved.startswith(f"{kind}+{v}".encode())), "")
    duration = _number(file, "duration of a data record", head[244:252])
    if signals and not 0 < duration < 1e7:
        raise RecordError(f"{file}: duration of a data record: expected more than 0 s, got {duration:g}")
    return Header(path, kind, variant, length, n_records, duration, signals, marks, total)


def record_starts(header: Header) -> np.ndarray:
    """Seconds from the stated start of the recording to each data record ``(n_records,)``.

    EDF+ and BDF+ keep the time of every record in the first entry of its annotations.
    """
    if not header.variant:
        return np.arange(header.n_records) * header.duration
    file = header.path.name
    if not header.annotations:
        raise RecordError(
            f"{file}: {header.kind}+{header.variant}: expected a channel '{header.kind} Annotations' that keeps the "
            "time of the data records, got none"
        )
    starts = np.empty(header.n_records)
    for i, entries in enumerate(_strips(header, header.annotations[0])):
        raw = entries[:32].tobytes()
        found = _ONSET.match(raw)
        if found is None:
            raise RecordError(f"{file}: data record {i}: expected its start as '+seconds', got {raw!r}")
        starts[i] = float(found[1])
    return starts


def read_annotations(header: Header) -> list[tuple[float, float, str]]:
    """Onset and duration (s; NaN where none is stated) and text of every annotation, in order of onset."""
    found = []
    for k, mark in enumerate(header.annotations):
        for entries in _strips(header, mark):
            for j, entry in enumerate(entries.tobytes().split(b"\x00")):
                when = _WHEN.match(entry)
                if when is None or (k == 0 and j == 0):  # the first entry of a record keeps the time
                    continue
                span = float(when[2]) if when[2] else float("nan")
                texts = entry[when.end() :].split(b"\x14")
                found += [(float(when[1]), span, text.decode("utf-8", "replace")) for text in texts if text]
    return sorted(found, key=lambda annotation: annotation[0])


def _strips(header: Header, mark: Channel) -> Iterator[np.ndarray]:
    """Bytes of an annotation channel, record by record."""
    width = _BYTES[header.kind]
    data = np.memmap(header.path, np.uint8, "r", header.size, (header.n_records, header.bytes_a_record))
    for record in data:
        yield record[mark.first * width : (mark.first + mark.per_record) * width]


def _channels(file: str, table: bytes, n_channels: int) -> list[Channel]:
    columns = {}
    at = 0
    for name, length in _FIELDS:
        columns[name] = [table[at + i * length : at + (i + 1) * length] for i in range(n_channels)]
        at += n_channels * length
    found: list[Channel] = []
    for i in range(n_channels):
        label, dimension, prefiltering = (
            columns[name][i].decode("latin-1").strip() for name in ("label", "dimension", "prefiltering")
        )
        where = f"channel {i} ({label}): "
        low, high = (_number(file, f"{where}physical {end}", columns[f"physical {end}"][i]) for end in _ENDS)
        bottom, top = (
            _whole(file, f"{where}digital {end}", columns[f"digital {end}"][i], -(1 << 23), (1 << 23) - 1)
            for end in _ENDS
        )
        per_record = _whole(file, f"{where}samples in each data record", columns[_FIELDS[8][0]][i], 1, 10**8)
        first = found[-1].first + found[-1].per_record if found else 0
        found.append(Channel(i, label, dimension, prefiltering, (low, high), (bottom, top), per_record, first))
    return found


def _number(file: str, field: str, raw: bytes) -> float:
    try:
        value = float(raw.decode("ascii").strip().replace(",", "."))  # some writers take their country's comma
    except ValueError:
        value = float("nan")
    if not np.isfinite(value):
        raise RecordError(f"{file}: {field}: expected a number, got {raw!r}")
    return value


def _whole(file: str, field: str, raw: bytes, least: int, most: int) -> int:
    value = _number(file, field, raw)
    if value != int(value) or not least <= value <= most:
        raise RecordError(f"{file}: {field}: expected a whole number from {least} to {most}, got {raw!r}")
    return int(value)


def check_channel(header: Header, channel: Channel) -> None:
    """Refuse a channel that cannot be scaled or whose rate is none of an ECG."""
    where = f"{header.path.name}: channel {channel.position} ({channel.label})"
    if channel.digital[0] >= channel.digital[1] or channel.physical[0] == channel.physical[1]:
        raise RecordError(
            f"{where}: range: expected a digital minimum below the maximum and two physical values, got "
            f"{channel.digital} and {channel.physical}"
        )
    if not RATES[0] <= header.rate(channel) <= RATES[1]:
        raise RecordError(
            f"{where}: sampling rate: expected {RATES[0]:g} to {RATES[1]:g} Hz, got {header.rate(channel):g}"
        )
