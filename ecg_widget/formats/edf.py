"""EDF, EDF+ and BDF files, read with edfio after `ecg_widget.formats.edf_header` has vetted the header.

A file may hold channels of many kinds, rates and units; those of an ECG are read. Gaps of EDF+D become NaN. Patient,
recording, dates and the texts of annotations, which people type, stay in the file; the library does not see the former.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from ecg_widget.formats.channels import Stored, chosen, dataset, factor
from ecg_widget.formats.edf_header import (
    Channel,
    Header,
    check_channel,
    kind_of,
    read_annotations,
    read_header,
    record_starts,
)
from ecg_widget.formats.limits import check_header
from ecg_widget.leads import LEADS, canonical_lead
from ecg_widget.records import RecordError

NAME = "EDF"

_PIECE = 1 << 20  # values of all channels in one read
_ECG = re.compile(r"(?:ECG|EKG)|(?:-aVR|ML(?:I{1,3}|[1-3])|MV\d|M?CL\d|CM\d|CC\d|V\d{1,2}R?|V?[XYZ])$", re.IGNORECASE)
_FILTER = re.compile(r"\b(HP|LP|N):\s*(\d+(?:\.\d+)?)\s*(k?)Hz", re.IGNORECASE)
_FILTERS = {"HP": "high-pass", "LP": "low-pass", "N": "notch"}


def locate(path: Path) -> Path | None:
    """Return the path if its file begins as EDF or BDF does."""
    return path if kind_of(path) else None


def read(
    path: Path,
    *,
    leads: Sequence[str] | None = None,
    units: str | None = None,
    names: Sequence[str] | None = None,
    rate: float | None = None,
    texts: bool = False,
    lazy: bool | None = None,
) -> xr.Dataset:
    """Read one EDF, EDF+ or BDF file.

    Without `leads`, the channels are read whose label is a lead or begins with ECG or EKG; where none is, all are.

    Parameters
    ----------
    path, leads, lazy
        As in `ecg_widget.records.open_ecg`.
    units
        The unit of channels whose header states none; an error where it states another one.
    names
        Names for all channels with samples, in the file's order, instead of their labels, where these do not tell
        which leads they are, or are the same.
    rate
        Hz: read the channels of this sampling rate, where there are several.
    texts
        Keep the annotations in ``attrs``: ``annotation_onset`` and ``annotation_duration`` (s from the first sample),
        ``annotation_text``. They are free text, and may tell of the patient.

    Returns
    -------
    xarray.Dataset
        One record, named after the file. ``attrs``: ``other_channels`` (labels of those left in the file) and, for
        files with gaps, ``gaps`` (number) and ``gap_rounding`` (s; the most by which a start was moved to a sample).

    Raises
    ------
    RecordError
        Truncated, absurd or contradictory; annotations alone; several rates; a channel without a voltage.

    Examples
    --------
    >>> locate(Path("no-such-file.edf")) is None
    True
    """
    file = path.name
    try:
        import edfio  # noqa: PLC0415  (an extra: needed here alone)
    except ImportError as error:
        raise ImportError(f'{file}: expected the package edfio, got none; pip install "ecg-widget[edf]"') from error
    header = read_header(path)
    if names is not None:
        header = _renamed(header, names)
    channels = _choose(header, leads, rate)
    for channel in channels:
        check_channel(header, channel)
    factors = [factor(f"{file}: channel {c.position} ({c.label})", c.dimension, units) for c in channels]
    starts = record_starts(header)
    places, moved = _places(header, channels[0], starts)
    n_samples = int(places[-1]) + channels[0].per_record
    check_header(file, n_channels=len(channels), n_samples=n_samples, rate=header.rate(channels[0]))
    attrs: dict[str, Any] = {
        "source": file,
        "format": header.kind + (f"+{header.variant}" if header.variant else ""),
        "reader": f"edfio {edfio.__version__}",
        "filters": _filters(channels),
    }
    others = [c.label for c in header.signals if c not in channels]
    if others:
        attrs["other_channels"] = others
    if header.variant == "D":
        attrs["gaps"] = int((np.diff(places) > channels[0].per_record).sum())
        attrs["gap_rounding"] = moved
    if texts:
        found = read_annotations(header)
        attrs["annotation_onset"] = [round(onset - float(starts[0]), 9) for onset, _, _ in found]
        attrs["annotation_duration"] = [span for _, span, _ in found]
        attrs["annotation_text"] = [text for _, _, text in found]
    samples = _Samples(header, channels, factors, places)
    steps = [abs(c.step) * f for c, f in zip(channels, factors, strict=True)]
    per_piece = channels[0].per_record * max(1, _PIECE // header.values_a_record)
    spelled = [canonical_lead(channel.label) for channel in channels]
    stored = Stored(path, spelled, header.rate(channels[0]), n_samples, steps, samples.part, per_piece)
    return dataset(stored, attrs, lazy=lazy)


class _Samples:
    """Reads samples of chosen channels of one rate, record by record."""

    def __init__(
        self, header: Header, channels: Sequence[Channel], factors: Sequence[float], places: np.ndarray
    ) -> None:
        self.header, self.channels, self.factors, self.places = header, channels, factors, places

    def part(self, rows: Sequence[int], first: int, last: int) -> np.ndarray:
        """Read as `ecg_widget.formats.channels.Stored` asks."""
        per_record = self.channels[0].per_record
        begin = max(0, int(np.searchsorted(self.places, first, "right")) - 1)
        end = int(np.searchsorted(self.places, last, "left"))
        values = np.full((len(rows), last - first), np.nan)
        at = (self.places[begin:end, None] + np.arange(per_record)).ravel() - first
        inside = (at >= 0) & (at < last - first)
        if inside.any():
            digital = self._digital(begin, end)
            for row, channel in enumerate(self.channels[i] for i in rows):
                raw = digital[self.header.signals.index(channel)][inside].astype(np.float64)
                volts = (raw - channel.digital[0]) * channel.step + channel.physical[0]
                values[row, at[inside]] = volts * self.factors[rows[row]]
        return values

    def _digital(self, begin: int, end: int) -> list[np.ndarray]:
        """Data records as a small file of their own, which the library decodes; without the patient's fields."""
        import edfio  # noqa: PLC0415  (an extra: needed here alone)

        header = self.header
        with header.path.open("rb") as stream:
            head = bytearray(stream.read(header.size))
            stream.seek(header.size + begin * header.bytes_a_record)
            data = stream.read((end - begin) * header.bytes_a_record)
        if len(data) != (end - begin) * header.bytes_a_record:
            raise RecordError(f"{header.path.name}: data records {begin} to {end}: the file is shorter than it was")
        head[8:168] = b" " * 160
        head[236:244] = str(end - begin).encode().ljust(8)
        source = io.BytesIO(bytes(head) + data)
        if header.kind == "BDF":
            signals = edfio.read_bdf(source, header_encoding="latin-1").signals
        else:
            signals = edfio.read_edf(source, lazy_load_data=False, header_encoding="latin-1").signals
        if [s.samples_per_data_record for s in signals] != [c.per_record for c in header.signals]:
            raise RecordError(f"{header.path.name}: expected the library to find the channels of the header's text")
        return [s.digital for s in signals]


def _choose(header: Header, leads: Sequence[str] | None, rate: float | None) -> list[Channel]:
    file = header.path.name
    if not header.signals:
        raise RecordError(f"{file}: channels: expected at least one with samples, got annotations only")
    found = list(header.signals)
    if leads is None:
        found = [c for c in found if _is_ecg(c.label)] or found
    if rate is not None:
        found = [c for c in found if abs(header.rate(c) - rate) <= 1e-6 * rate]
        if not found:
            raise RecordError(f"{file}: rate: expected one of {_rates(header, header.signals)}, got {rate:g} Hz")
    channels = [found[i] for i in chosen(file, [c.label for c in found], leads)]
    if len({c.per_record for c in channels}) != 1:
        raise RecordError(
            f"{file}: sampling rate: expected one for all channels, got {_rates(header, channels)}; choose with rate= "
            "(Hz) or leads="
        )
    return channels


def _renamed(header: Header, names: Sequence[str]) -> Header:
    labels = [c.label for c in header.signals]
    if isinstance(names, str) or len(names) != len(labels):
        raise RecordError(
            f"{header.path.name}: names: expected {len(labels)}, one for each of the channels {labels}, got {names!r}"
        )
    signals = tuple(replace(c, label=name) for c, name in zip(header.signals, names, strict=True))
    return replace(header, signals=signals)


def _is_ecg(label: str) -> bool:
    try:
        name = canonical_lead(label)
    except ValueError:
        return False
    return name in LEADS or _ECG.match(name) is not None or _ECG.match(label) is not None


def _rates(header: Header, channels: Sequence[Channel]) -> str:
    if header.duration <= 0:
        return "none"
    rates = sorted({c.per_record for c in channels})
    return "; ".join(
        f"{n / header.duration:g} Hz ({', '.join(c.label for c in channels if c.per_record == n)})" for n in rates
    )


def _places(header: Header, channel: Channel, starts: np.ndarray) -> tuple[np.ndarray, float]:
    """First sample of every data record on the time axis, and the most by which one was moved to get there, s."""
    file, rate, length = header.path.name, header.rate(channel), channel.per_record
    exact = (starts - starts[0]) * rate
    regular = np.arange(header.n_records) * length
    if header.variant != "D":
        off = np.abs(exact - regular) > 0.5
        if off.any():
            i = int(np.argmax(off))
            raise RecordError(
                f"{file}: data record {i}: start: expected {regular[i] / rate:g} s after the first, as in a continuous "
                f"file ({header.kind}+{header.variant}), got {exact[i] / rate:g} s"
            )
        return regular, 0.0
    places = np.empty(header.n_records, np.int64)
    free = 0
    for i, start in enumerate(exact):
        if start < free - 0.5:
            raise RecordError(
                f"{file}: data record {i}: start: expected at least {free / rate:g} s after the first, where the "
                f"record before it ends, got {start / rate:g} s"
            )
        places[i] = max(free, round(float(start)))
        free = int(places[i]) + length
    return places, round(float(np.abs(exact - places).max()) / rate, 9)


def _filters(channels: Sequence[Channel]) -> str:
    """What the channels state in the form that EDF+ asks for; other text is not taken over."""
    found: dict[str, set[float]] = {}
    for channel in channels:
        for kind, value, kilo in _FILTER.findall(channel.prefiltering):
            hertz = float(value) * (1000 if kilo else 1)
            if hertz > 0:
                found.setdefault(_FILTERS[kind.upper()], set()).add(hertz)
    return ", ".join(
        f"{name} {'/'.join(f'{v:g}' for v in sorted(found[name]))} Hz" for name in _FILTERS.values() if name in found
    )
