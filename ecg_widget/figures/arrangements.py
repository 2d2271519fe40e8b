"""Where each lead lies on ECG paper, as the page places it: columns, rows, and what the footer says of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

__all__ = ["GAIN", "LEFT", "SPEED", "WINDOW", "Area", "Arrangement", "Layout", "Trace", "arrange", "check_arrangement"]

Arrangement = Literal["3x4", "3x4-simultaneous", "6x2", "cabrera", "rows", "leads"]

SPEED, GAIN = 25.0, 10.0  # mm for a second and for a millivolt
WINDOW = 10.0  # s
LEFT = 10.0  # mm, room for the calibration pulse at usual speeds
_LARGE = 5.0  # mm
_LIMB = ("I", "II", "III", "aVR", "aVL", "aVF")
_CHEST = ("V1", "V2", "V3", "V4", "V5", "V6")
_THREES = (_LIMB[:3], _LIMB[3:], _CHEST[:3], _CHEST[3:])
_INVERTED = "\N{MINUS SIGN}aVR"  # upside down, it lies between I and II
_COLUMNS: dict[str, tuple[tuple[str, ...], ...]] = {
    "3x4": _THREES,
    "3x4-simultaneous": _THREES,
    "6x2": (_LIMB, _CHEST),
    "cabrera": (("aVL", "I", _INVERTED, "II", "aVF", "III"), _CHEST),
}
_TITLES = {"3x4": "3 × 4 + II", "6x2": "6 × 2", "cabrera": "Cabrera 6 × 2"}  # noqa: RUF001  (a multiplication sign)


@dataclass(frozen=True)
class Area:
    """A stretch of the time axis on the paper, mm and s."""

    t0: float
    t1: float
    x: float
    y: float
    height: float
    speed: float = SPEED

    def at(self, time: np.ndarray | float) -> np.ndarray:
        """Mm from the left of times in s, those outside at the area's edges."""
        return np.asarray(self.x + (np.clip(time, self.t0, self.t1) - self.t0) * self.speed)


@dataclass(frozen=True)
class Trace:
    """A lead, what is written beside it, -1 where it is upside down, and the y of its baseline in mm."""

    lead: str
    name: str
    sign: int
    area: Area
    baseline: float


@dataclass(frozen=True)
class Layout:
    """Areas with bands behind them, the traces over them, and their size in mm."""

    areas: list[Area]
    traces: list[Trace]
    facts: list[str]
    left: float
    inner: float
    height: float

    @property
    def label(self) -> float:
        """Mm from a baseline up to its lead's name."""
        return _baseline(self.height / max(len({trace.baseline for trace in self.traces}), 1)) - 4.0


def check_arrangement(arrangement: str, leads: Sequence[str], chosen: Sequence[str]) -> None:
    """Raise ValueError unless there is such an arrangement, with leads that there are for ``"leads"`` and for it alone.

    Examples
    --------
    >>> check_arrangement("leads", ["I", "II"], ["V1"])
    Traceback (most recent call last):
    ...
    ValueError: leads: expected names among ['I', 'II'], got 'V1'
    """
    if arrangement not in get_args(Arrangement):
        raise ValueError(f"arrangement: expected one of {', '.join(get_args(Arrangement))}, got {arrangement!r:.80}")
    if (arrangement == "leads") != bool(chosen):
        raise ValueError(
            f"leads: expected names of leads with arrangement='leads', and with it alone, got {list(chosen)} with "
            f"arrangement={arrangement!r}"
        )
    unknown = [name for name in chosen if name not in leads]
    if unknown:
        raise ValueError(f"leads: expected names among {list(leads)[:20]}, got {unknown[0]!r:.80}")


def arrange(
    arrangement: str,
    leads: Sequence[str],
    chosen: Sequence[str],
    window: tuple[float, float],
    *,
    top: float,
    speed: float = SPEED,
    gain: float = GAIN,
) -> Layout:
    """Place the leads of a window of at most 10 s.

    Parameters
    ----------
    arrangement, leads, chosen
        As `check_arrangement` allows; records without the twelve leads of columns are in rows.
    window
        Start and end, s.
    top
        mm, where the first row begins.
    speed, gain
        mm for a second and for a millivolt.

    Examples
    --------
    >>> one = arrange("leads", ["I", "II"], ["II"], (0.0, 10.0), top=5)
    >>> [trace.name for trace in one.traces], one.height, one.inner, one.facts
    (['II'], 40.0, 250.0, ['1 of 2 leads, simultaneous'])
    """
    t0, t1 = window
    left = LEFT if speed <= SPEED else 15.0
    columns = _COLUMNS.get(arrangement, ())
    if not columns or not set(_LIMB + _CHEST) <= set(leads):
        rows = list(chosen or leads)
        pitch = _pitch(40.0 if len(rows) == 1 else 25.0 if len(rows) <= 4 else 15.0, gain)
        area = Area(t0, t1, left, top, len(rows) * pitch, speed)
        traces = [Trace(name, name, 1, area, top + i * pitch + _baseline(pitch)) for i, name in enumerate(rows)]
        of = f" of {len(leads)}" if len(rows) < len(leads) else ""
        plural = "s" * (len(rows) != 1 or bool(of))
        fact = f"{len(rows)}{of} lead{plural}, simultaneous"
        return Layout([area], traces, [fact], left, max((t1 - t0) * speed, 100.0), area.height)
    span, tall = WINDOW / len(columns), len(columns[0])
    pitch = _pitch(25.0 if len(columns) == 4 else 20.0, gain)
    rhythm = len(columns) == 4
    sequential = arrangement != "3x4-simultaneous" and t1 - t0 > WINDOW - 0.5 * span
    areas, traces = [], []
    for c, names in enumerate(columns):
        first = t0 + c * span if sequential else t0
        column = Area(first, min(first + span, t1), left + c * span * speed, top, tall * pitch, speed)
        areas.append(column)
        for r, name in enumerate(names):
            lead, sign = ("aVR", -1) if name == _INVERTED else (name, 1)
            traces.append(Trace(lead, name, sign, column, top + r * pitch + _baseline(pitch)))
    strip = Area(t0, t1, left, top + tall * pitch, pitch, speed)
    if rhythm:
        areas.append(strip)
        traces.append(Trace("II", "II", 1, strip, strip.y + _baseline(pitch)))
    height = (tall + rhythm) * pitch
    if sequential:  # one time axis: bands run through all columns
        areas = [Area(t0, t1, left, top, height, speed)]
    seen = f"{min(span, t1 - t0):g} s"
    title = _TITLES[arrangement.removesuffix("-simultaneous")]
    how = f"sequential columns of {seen}" if sequential else f"simultaneous columns, first {seen}"
    facts = [f"{title}, {how}"]
    if len(leads) > 12:
        facts.append(f"{len(leads) - 12} more leads in the layout of rows")
    return Layout(areas, traces, facts, left, WINDOW * speed, height)


def _pitch(at10: float, gain: float) -> float:
    """Mm from row to row: multiples of a large square put every baseline on a heavy line."""
    wider = 1.6 if gain > GAIN else 0.6 if gain < GAIN else 1.0
    return max(2.0, float(np.ceil(at10 * wider / _LARGE))) * _LARGE


def _baseline(pitch: float) -> float:
    return float(np.floor(0.6 * pitch / _LARGE + 0.5)) * _LARGE
