"""WFDB headers, parsed strictly before the wfdb library sees them.

The library's own parser skips what it does not understand and fills in defaults (gain 200, rate 250 Hz, unit mV), and
it opens any file that a header names, through fsspec. So a header is read here first (grammar: header(5) of the WFDB
Applications Guide), every field either understood or refused, and file names held to plain names in the same folder.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from ecg_widget.formats.limits import LARGEST_HEADER, check_header
from ecg_widget.records import RecordError

_NUMBER = r"-?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?"
_RECORD = re.compile(
    rf"(?P<name>[-\w]+)(?:/(?P<n_segments>\d+))?\s+(?P<n_signals>\d+)"
    rf"(?:\s+(?P<rate>\d+\.?\d*)(?:/{_NUMBER}(?:\({_NUMBER}\))?)?(?:\s+(?P<n_samples>\d+)(?:\s+\S.*)?)?)?",
    re.ASCII,
)
_SIGNAL = re.compile(
    rf"(?P<file>\S+)\s+(?P<format>\d+)(?:x(?P<per_frame>\d+))?(?::(?P<skew>\d+))?(?:\+(?P<offset>\d+))?"
    rf"(?:\s+(?P<gain>{_NUMBER})(?:\((?P<baseline>-?\d+)\))?(?:/(?P<units>\S+))?"
    rf"(?:\s+(?P<resolution>\d+)(?:\s+(?P<zero>-?\d+)(?:\s+(?P<initial>-?\d+)(?:\s+(?P<checksum>-?\d+)"
    rf"(?:\s+\d+(?:\s+(?P<description>\S.*))?)?)?)?)?)?)?"
)
_SEGMENT = re.compile(r"(?P<name>[-\w]{1,200}|~)\s+(?P<length>\d+)", re.ASCII)
# Letters, digits, hyphen, underscore, one dot: no folder, no URL, no fsspec chain ("::"), no "-" (standard input).
_PLAIN_NAME = re.compile(r"(?!-$)[-\w]{1,200}(?:\.\w{1,40})?", re.ASCII)  # no system has names of over 255 bytes

# Bits for each sample; the FLAC formats 508, 516 and 524 have no fixed number. Format 61 is left out: the library
# (4.3.1) fails on its byte order.
_BITS = {8: 8, 16: 16, 24: 24, 32: 32, 80: 8, 160: 16, 212: 12, 310: 32 / 3, 311: 32 / 3}
_COMPRESSED = {508, 516, 524}


@dataclass(frozen=True)
class Signal:
    """One signal line; ``gain`` is 0 and ``units`` "" where the header does not state them."""

    file: str
    format: int
    per_frame: int
    skew: int
    offset: int
    gain: float
    units: str
    checksum: int | None
    lead: str


@dataclass(frozen=True)
class Header:
    """One header file; ``segments`` (name, samples) is empty for a plain record.

    ``counted``: whether it states the number of samples; else this is what its files hold.
    """

    path: Path
    rate: float
    n_samples: int
    signals: tuple[Signal, ...] = ()
    segments: tuple[tuple[str, int], ...] = ()
    comments: tuple[str, ...] = field(default=(), repr=False)
    counted: bool = True


def read_lines(path: Path) -> tuple[list[str], list[str]]:
    """Give the header's lines and its comments, without blank lines."""
    size = path.stat().st_size
    if size > LARGEST_HEADER:
        raise RecordError(f"{path.name}: size: expected a header of at most {LARGEST_HEADER} bytes, got {size}")
    raw = path.read_bytes()
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        text = raw.decode("latin-1")  # old comments; every field that matters is ASCII
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return [x for x in lines if not x.startswith("#")], [x.lstrip("# ") for x in lines if x.startswith("#")]


def looks_like_header(path: Path) -> bool:
    """Tell whether a file begins as a header does."""
    with path.open("rb") as file:
        head = file.read(4096)
    first = next((x for x in head.splitlines() if x.strip() and not x.startswith(b"#")), b"")
    return b"\0" not in head and re.match(rb"\s*[^\s/]+(/\d+)?\s+\d+(\s|$)", first) is not None


def read_header(path: Path, *, role: Literal["record", "segment", "layout"] = "record") -> Header:
    """Parse and check one header; a segment has no segments of its own, and a layout segment no samples."""
    file = path.name
    lines, comments = read_lines(path)
    found = _RECORD.fullmatch(lines[0]) if lines else None
    if found is None:
        got = repr(lines[0][:100]) if lines else "nothing"
        raise RecordError(f"{file}: record line: expected 'name signals rate samples', got {got}")
    if found["rate"] is None:
        raise RecordError(f"{file}: sampling rate: expected it in the record line, got none; add it after the signals")
    if found["n_segments"] is not None:
        if role != "record":
            raise RecordError(f"{file}: expected a segment of one piece, got a record of several segments")
        return _multi(path, lines, found)
    rate, n_signals = float(found["rate"]), int(found["n_signals"])
    check_header(file, n_channels=n_signals, n_samples=1, rate=rate)
    if len(lines) != 1 + n_signals:
        raise RecordError(f"{file}: signal lines: expected {n_signals}, got {len(lines) - 1}")
    signals = tuple(_signal(file, i, line) for i, line in enumerate(lines[1:]))
    n_samples = -1 if found["n_samples"] is None else int(found["n_samples"])
    if role != "layout" or n_samples != 0:
        n_samples = _check_files(path, signals, n_samples)
        check_header(
            file,
            n_channels=sum(s.per_frame for s in signals),
            n_samples=n_samples,
            rate=rate * max(s.per_frame for s in signals),
        )
        for s in signals:
            if s.skew >= n_samples:
                raise RecordError(f"{file}: skew of {s.lead}: expected fewer than {n_samples} samples, got {s.skew}")
    return Header(path, rate, n_samples, signals, (), tuple(comments), counted=found["n_samples"] is not None)


def _multi(path: Path, lines: list[str], record: re.Match[str]) -> Header:
    file, rate, n_segments = path.name, float(record["rate"]), int(record["n_segments"])
    if len(lines) != 1 + n_segments or n_segments == 0:
        raise RecordError(f"{file}: segment lines: expected {n_segments}, at least 1, got {len(lines) - 1}")
    segments = []
    for line in lines[1:]:
        found = _SEGMENT.fullmatch(line)
        if found is None or found["name"] == "-":
            raise RecordError(f"{file}: segment line: expected 'name samples' with a plain name, got {line[:100]!r}")
        segments.append((found["name"], int(found["length"])))
    total = sum(length for _, length in segments)
    if int(record["n_samples"] or total) != total:
        raise RecordError(
            f"{file}: number of samples: expected {total}, the sum of the segments, got {record['n_samples']}"
        )
    check_header(file, n_channels=int(record["n_signals"]), n_samples=total, rate=rate)
    return Header(path, rate, total, (), tuple(segments), tuple(read_lines(path)[1]))


def _signal(file: str, i: int, line: str) -> Signal:
    found = _SIGNAL.fullmatch(line)
    if found is None:
        raise RecordError(
            f"{file}: signal line {i}: expected 'file format gain(baseline)/units resolution zero initial checksum "
            f"block lead', got {line[:100]!r}"
        )
    if not _PLAIN_NAME.fullmatch(found["file"]) and found["file"] != "~":
        raise RecordError(
            f"{file}: signal line {i}: file name: expected a plain name in the header's folder, got "
            f"{found['file'][:100]!r}"
        )
    form = int(found["format"])
    if form not in _BITS and form not in _COMPRESSED and not (form == 0 and found["file"] == "~"):
        raise RecordError(
            f"{file}: signal line {i}: format: expected one of {sorted({*_BITS, *_COMPRESSED})}, got {form}"
        )
    gain = float(found["gain"] or 0)
    if not math.isfinite(gain):
        raise RecordError(f"{file}: signal line {i}: gain: expected a finite number, got {found['gain']}")
    if not found["description"]:
        raise RecordError(f"{file}: signal line {i}: lead: expected a description, got none; add it to the line")
    return Signal(
        file=found["file"],
        format=form,
        per_frame=int(found["per_frame"] or 1) or 1,
        skew=int(found["skew"] or 0),
        offset=int(found["offset"] or 0),
        gain=gain,
        units=found["units"] or "",
        checksum=None if found["checksum"] is None else int(found["checksum"]),
        lead=found["description"],
    )


def _check_files(path: Path, signals: tuple[Signal, ...], n_samples: int) -> int:
    """Hold the files' sizes against the header before anything is allocated; give the number of frames."""
    file = path.name
    names = [s.file for s in signals]
    for name in dict.fromkeys(names):
        here = [i for i, n in enumerate(names) if n == name]
        group = [signals[i] for i in here]
        # The library takes format and offset of a file's first signal for all of them, and counts from it.
        if here[-1] - here[0] + 1 != len(here) or len({(s.format, s.offset) for s in group}) != 1:
            raise RecordError(f"{file}: {name}: expected consecutive signal lines of one format and offset, got others")
        data = path.with_name(name)
        if not data.is_file():
            raise RecordError(f"{file}: {name}: expected a signal file beside the header, got none")
        first = group[0]
        if first.format in _COMPRESSED:
            if n_samples < 0:
                raise RecordError(f"{file}: number of samples: expected it for format {first.format}, got none")
            continue
        frame = sum(s.per_frame for s in group)
        size = data.stat().st_size - first.offset
        present = int(size * 8 // (_BITS[first.format] * frame)) if size > 0 else 0
        if n_samples < 0:
            n_samples = present
        if present < n_samples or present == 0:
            raise RecordError(
                f"{file}: {name}: expected {n_samples} samples of {frame} values, got {present}: the file is truncated"
            )
    return n_samples
