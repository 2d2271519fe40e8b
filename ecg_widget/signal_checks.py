"""What `ecg_widget.quality` measures in one record, and the limits it holds that against."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ecg_widget.lead_swaps import INDEPENDENT, LIMB, SwapModel, beat_features, shipped

__all__ = ["MAINS", "Limits", "Measures", "measure"]

MAINS = (50.0, 60.0)
"""Hz of the mains."""

_STILL = 0.010  # mV: a lead that moves less within a second carries no heart
_STILL_SHARE = 0.02  # of the median lead's span, where that is less: a wrong scale does not make leads flat
_WINDOW = 60.0  # s in the middle of a long recording, in which hum and interchanges are looked for
_AWAY = 0.3  # mV from the lead's median: a rail is not met at rest
_SIDE = (2.0, 6.0)  # Hz from the mains frequency: what hum must stand out of


@dataclass(frozen=True)
class Limits:
    """Where a measure becomes a finding; chosen on PTB-XL, see `ecg_widget.evaluation.planted`.

    Parameters
    ----------
    flat
        Longest still stretch of a lead, s.
    clipped
        Samples of a lead at one of its extremes, more than at the values next to it.
    hum
        Amplitude of the mains frequency, mV.
    small, large
        Span of the median lead, mV: outside, a scale is suspicious.
    algebra
        Largest departure from the sums of the limb leads, as a share of the lead.
    swap
        Log odds of an interchange to none.
    """

    flat: float = 2.1
    clipped: float = 5.5
    hum: float = 0.016
    small: float = 0.27
    large: float = 8.8
    algebra: float = 0.17
    swap: float = 1.8


@dataclass
class Measures:
    """Of one record; arrays have one value a lead."""

    gap: np.ndarray  # share of the samples
    still: np.ndarray  # s, the longest stretch
    at_extreme: np.ndarray  # samples more than at the values next to it
    span: np.ndarray  # mV, of the central 99.8 %
    hum: dict[float, np.ndarray] = field(default_factory=dict)  # mV, by frequency; none where the rate does not tell
    algebra: dict[str, float] = field(default_factory=dict)  # lead -> share
    swap: tuple[str, float] | None = None  # None: not all leads, or too few beats


def measure(signal: np.ndarray, leads: list[str], rate: float, model: SwapModel | None = None) -> Measures:
    """Measure one record.

    Parameters
    ----------
    signal
        ``(lead, time)`` in mV, NaN = gap.
    leads
        Their names.
    rate
        Hz.
    model
        For interchanges; default the one that comes with the package.
    """
    x = np.asarray(signal, np.float64)
    gap = np.isnan(x)
    padding = ~(np.nan_to_num(x) != 0).any(axis=0)  # zeros in all leads at the ends: filling, as CODE-15 has it
    inside = np.flatnonzero(~padding)
    if len(inside):
        x, hole = x[:, inside[0] : inside[-1] + 1], gap[:, inside[0] : inside[-1] + 1]
    else:
        hole = gap
    whole = _bridged(x, hole) if hole.any() else x
    alive = ~hole.all(axis=1)
    span = np.where(alive, np.ptp(np.quantile(whole, (0.001, 0.999), axis=1), axis=0), np.nan)
    least = min(_STILL, _STILL_SHARE * float(np.median(span[alive]))) if alive.any() else 0.0
    out = Measures(
        gap=gap.mean(axis=1),
        still=np.where(alive, _still(whole, hole, rate, least), 0.0),
        at_extreme=np.where(alive, _at_extreme(x, hole), 0),
        span=span,
    )
    middle = _middle(whole.shape[1], rate)
    part = whole[:, middle]
    out.hum = _hum(part, rate)
    out.algebra = _algebra(part, leads)
    if set(INDEPENDENT) <= set(leads) and alive.all():
        features = beat_features(part[[leads.index(lead) for lead in INDEPENDENT]], rate)
        out.swap = None if features is None else (model or shipped()).score(features)
    return out


def _middle(n: int, rate: float) -> slice:
    length = min(n, round(_WINDOW * rate))
    start = (n - length) // 2
    return slice(start, start + length)


def _bridged(x: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """Straight lines over gaps; zeros for a lead that is nothing else."""
    out, at = x.copy(), np.arange(x.shape[1])
    for row, gap in zip(out, hole, strict=True):
        row[gap] = 0.0 if gap.all() else np.interp(at[gap], at[~gap], row[~gap])
    return out


def _still(x: np.ndarray, hole: np.ndarray, rate: float, least: float) -> np.ndarray:
    """Longest stretch (s) of each lead in which no second moves by more than `least` (mV); gaps count as movement."""
    step = max(1, round(0.1 * rate))  # a tenth of a second, ten of which make the moving second
    n = x.shape[1] // step
    if n < 10:
        quiet = (np.ptp(x, axis=1) <= least) & ~hole.any(axis=1)
        return quiet * x.shape[1] / rate
    blocks = x[:, : n * step].reshape(len(x), n, step)
    low, high = (np.lib.stride_tricks.sliding_window_view(f(blocks, axis=2), 10, axis=1) for f in (np.min, np.max))
    broken = np.lib.stride_tricks.sliding_window_view(hole[:, : n * step].reshape(len(x), n, step).any(2), 10, axis=1)
    quiet = (high.max(2) - low.min(2) <= least) & ~broken.any(2)
    return np.array([(run + 9) * step / rate if (run := _longest(row)) else 0.0 for row in quiet])


def _longest(true: np.ndarray) -> int:
    edges = np.flatnonzero(np.diff(np.concatenate(([0], true.astype(np.int8), [0]))))
    return int((edges[1::2] - edges[::2]).max()) if len(edges) else 0


def _at_extreme(x: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """By how many samples the largest or least value of each lead is met more often than the values next to it.

    A rail is met again and again at exactly one value. A heart's peaks differ; where the converter's steps are coarse
    several meet at one value, but then the values below are met as often, so twice the most of three is taken off.
    """
    counts = np.zeros(len(x), np.int64)
    for i, (row, gap) in enumerate(zip(x, hole, strict=True)):
        if gap.all():
            continue
        away = row[~gap] - np.median(row[~gap])
        for side in (away, -away):
            top = side.max()
            if top > _AWAY:
                steps = np.round((top - side[side > 0.5 * top]) / (top * 1e-6))
                met = np.unique(steps, return_counts=True)[1]
                counts[i] = max(counts[i], met[0] - 2 * max(met[1:4], default=0))
    return counts


def _hum(x: np.ndarray, rate: float) -> dict[float, np.ndarray]:
    """Amplitude (mV) by which a mains frequency stands out of its neighbourhood; the heart has energy there too."""
    n = x.shape[1]
    out: dict[float, np.ndarray] = {}
    if n < 2 * rate:
        return out
    window = np.hanning(n)
    spectrum = np.abs(np.fft.rfft((x - x.mean(axis=1, keepdims=True)) * window, axis=1)) * (2 / window.sum())
    frequency = np.fft.rfftfreq(n, 1 / rate)
    for mains in MAINS:
        if mains + _SIDE[1] > rate / 2:
            continue
        away = np.abs(frequency - mains)
        peak = spectrum[:, away <= 1].max(axis=1)
        around = spectrum[:, (away >= _SIDE[0]) & (away <= _SIDE[1])]
        out[mains] = np.where(peak > 5 * np.median(around, axis=1), peak, 0.0)
    return out


def _algebra(x: np.ndarray, leads: list[str]) -> dict[str, float]:
    """Departure of III, aVR, aVL and aVF from what I and II make of them, as a share of the larger of the two."""
    if not {"I", "II"} <= set(leads):
        return {}
    rows = {lead: x[leads.index(lead)] - x[leads.index(lead)].mean() for lead in LIMB if lead in leads}
    size = np.sqrt(max(np.mean(rows["I"] ** 2), np.mean(rows["II"] ** 2)))
    out: dict[str, float] = {}
    for lead in list(LIMB)[2:]:
        if lead in rows and size > 0:
            a, b = LIMB[lead]
            out[lead] = float(np.sqrt(np.mean((rows[lead] - a * rows["I"] - b * rows["II"]) ** 2)) / size)
    return out
