"""Samples of WFDB records, whole or a piece at a time, read with the wfdb library under a vetted header."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ecg_widget.formats.wfdb_header import Header, Signal
from ecg_widget.records import RecordError

__all__ = ["Joined", "Plain", "Reading", "piece_of", "whole_only"]

_DIFFERENCES = 8  # this format holds differences: a sample is the sum of all before it
_PIECE = 1 << 20  # values of all channels in one read; they take 24 bytes each while they are converted


@dataclass(frozen=True)
class Plain:
    """Some signals of a record of one segment, vetted, with what turns their steps into mV.

    Parameters
    ----------
    header
        Of the record.
    keep
        Positions in ``header.signals``, ascending; of one sampling rate.
    factors
        mV of one of the header's units, for each signal.
    gains
        Steps of a unit, for each signal.
    """

    header: Header
    keep: tuple[int, ...]
    factors: tuple[float, ...]
    gains: tuple[float, ...]

    @property
    def file(self) -> str:
        """Name of the header."""
        return self.header.path.name

    @property
    def signals(self) -> list[Signal]:
        """Their lines in the header."""
        return [self.header.signals[i] for i in self.keep]

    @property
    def names(self) -> list[str]:
        """As the header spells them."""
        return [s.lead for s in self.signals]

    @property
    def per_frame(self) -> int:
        """Samples of each signal in a frame."""
        return self.signals[0].per_frame

    @property
    def rate(self) -> float:
        """Hz."""
        return self.header.rate * self.per_frame

    @property
    def n_samples(self) -> int:
        """Of each signal."""
        return self.header.n_samples * self.per_frame

    @property
    def steps(self) -> list[float]:
        """The mV of one step of the converter, for each signal."""
        return [abs(f / g) for f, g in zip(self.factors, self.gains, strict=True)]

    def whole(self) -> np.ndarray:
        """Every sample ``(signal, time)`` float64 in mV, NaN where there is none; warns where a checksum is wrong."""
        everyone = range(len(self.keep))
        record = self._record(everyone, 0, self.header.n_samples)
        _check_sums(self.file, self.signals, record.e_d_signal)
        return self._millivolts(record, everyone)

    def part(self, rows: Sequence[int], first: int, last: int) -> np.ndarray:
        """Samples ``first`` to ``last`` (exclusive) of the signals at these positions of `keep`, ascending, in mV."""
        frame = first // self.per_frame
        record = self._record(rows, frame, -(-last // self.per_frame))
        skip = first - frame * self.per_frame
        return self._millivolts(record, rows)[:, skip : skip + last - first]

    def _record(self, rows: Sequence[int], first: int, last: int) -> Any:
        """Frames ``first`` to ``last`` in steps of the converter, as the library gives them."""
        import wfdb  # noqa: PLC0415  (only this reader needs it)

        signals = [self.signals[row] for row in rows]
        record = wfdb.rdrecord(
            str(self.header.path.with_suffix("").resolve()),
            sampfrom=first,
            sampto=last,
            channels=[self.keep[row] for row in rows],
            physical=False,
            smooth_frames=False,
        )
        stated = [s.gain for s in signals]
        seen = (record.fs, record.sig_name, [g if s else 0 for g, s in zip(record.adc_gain, stated, strict=True)])
        if seen != (self.header.rate, [s.lead for s in signals], stated):
            raise RecordError(
                f"{self.file}: expected rate, leads and gains as in the header's text, the library got {seen}"
            )
        n_samples = (last - first) * self.per_frame
        if any(len(x) != n_samples for x in record.e_d_signal):
            raise RecordError(f"{self.file}: samples: expected {n_samples}, got {[len(x) for x in record.e_d_signal]}")
        return record

    def _millivolts(self, record: Any, rows: Sequence[int]) -> np.ndarray:
        record.adc_gain = [self.gains[row] for row in rows]
        volts = np.stack(record.dac(expanded=True))
        volts *= np.asarray([self.factors[row] for row in rows])[:, None]
        return volts


@dataclass(frozen=True)
class Joined:
    """Segments of a record one behind the other; what no segment holds is a gap.

    The library can join segments too, but stops at a gap in a record of fixed layout and takes the first unit for all.

    Parameters
    ----------
    file
        Name of the record's header.
    names
        Of the signals, as they are spelled in the record's layout.
    rate
        Hz.
    segments
        First sample of each segment that holds samples of these signals, its signals, and the positions in `names` of
        the latter.
    n_samples
        Of the whole.
    """

    file: str
    names: list[str]
    rate: float
    segments: tuple[tuple[int, Plain, tuple[int, ...]], ...]
    n_samples: int

    @property
    def steps(self) -> list[float] | None:
        """The mV of one step of the converter, for each signal; None where segments differ in it."""
        found: list[set[float]] = [set() for _ in self.names]
        for _, plain, rows in self.segments:
            for row, step in zip(rows, plain.steps, strict=True):
                found[row].add(step)
        return [step.pop() for step in found] if all(len(step) == 1 for step in found) else None

    def whole(self) -> np.ndarray:
        """As `Plain.whole`."""
        values = np.full((len(self.names), self.n_samples), np.nan)
        for start, plain, rows in self.segments:
            values[list(rows), start : start + plain.n_samples] = plain.whole()
        return values

    def part(self, rows: Sequence[int], first: int, last: int) -> np.ndarray:
        """As `Plain.part`."""
        values = np.full((len(rows), last - first), np.nan)
        for start, plain, there in self.segments:
            low, high = max(first, start), min(last, start + plain.n_samples)
            wanted = [i for i, row in enumerate(there) if row in rows]
            if low >= high or not wanted:
                continue
            places = [list(rows).index(there[i]) for i in wanted]
            values[places, low - first : high - first] = plain.part(wanted, low - start, high - start)
        return values


class Reading:
    """Gives pieces of a record as `ecg_widget.lazy.LazyArray` asks for them: one record, leads in a stated order."""

    def __init__(self, samples: Plain | Joined, order: Sequence[int]) -> None:
        self.samples, self.order = samples, np.asarray(order)

    def __call__(self, outer: tuple[np.ndarray, ...], first: int, last: int) -> np.ndarray:
        """The samples `first` to `last` (exclusive): ``(record, lead, time)`` float32."""
        rows, place = np.unique(self.order[outer[1]], return_inverse=True)
        try:
            with np.errstate(over="ignore"):  # said below
                values = self.samples.part(rows.tolist(), first, last).astype(np.float32)
        except RecordError:
            raise
        except Exception as error:  # a file that was changed or lost since may raise anything inside the library
            raise RecordError(
                f"{self.samples.file}: expected the record that was opened, got {type(error).__name__}: {error}"
            ) from error
        if np.isinf(values).any():
            raise RecordError(f"{self.samples.file}: signal: expected finite values or NaN for gaps, got infinity")
        return np.repeat(values[place][None], len(outer[0]), axis=0)


def piece_of(samples: Plain | Joined) -> int:
    """Samples along time in one read: the library reads all channels of a file and then picks."""
    plains = [samples] if isinstance(samples, Plain) else [plain for _, plain, _ in samples.segments]
    widest = max((sum(s.per_frame for s in p.header.signals) / p.per_frame for p in plains), default=1)
    return max(1, int(_PIECE / widest))


def whole_only(samples: Plain | Joined) -> str:
    """Why pieces of a record cannot be read exactly, "" where they can."""
    for plain in [samples] if isinstance(samples, Plain) else [plain for _, plain, _ in samples.segments]:
        if any(s.format == _DIFFERENCES for s in plain.signals):
            return "format 8 holds differences, whose sum is taken from the start"
        if any(s.skew for s in plain.header.signals):
            return "signals are skewed in their file"
        if not plain.header.counted:
            return f"{plain.header.path.name} does not state the number of samples, which the library then misses"
    return ""


def _check_sums(file: str, signals: Sequence[Signal], digital: Sequence[np.ndarray]) -> None:
    """Warn where the samples are not those over which the header's checksum was taken."""
    wrong = [
        s.lead
        for s, x in zip(signals, digital, strict=True)
        if s.checksum is not None and not s.skew and (int(np.sum(x, dtype=np.int64)) - s.checksum) % 65536
    ]
    if wrong:
        warnings.warn(
            f"{file}: checksum: expected the header's, got another for {', '.join(wrong)}; samples or header were "
            "changed after recording",
            UserWarning,
            stacklevel=6,
        )
