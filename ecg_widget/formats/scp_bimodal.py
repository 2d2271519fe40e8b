"""Bimodal compression of SCP-ECG (EN 1064, annex C): full rate in protected zones around QRS, means of samples between.

A mean stands for `factor` samples. Between two means the reader interpolates, at the ends of a span it repeats them,
and then takes the mean of three samples, but not across the ends of a zone from which a reference beat was taken away.
What was lost outside the protected zones stays lost.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ecg_widget.records import RecordError

__all__ = ["Zones", "check_zones", "expanded", "n_stored"]

Zones = Sequence[tuple[int, int]]
"""First and last sample of each zone."""


def check_zones(where: str, zones: Zones) -> list[tuple[int, int]]:
    """Refuse zones that overlap or run backwards; leave out empty ones, stated as 0 to 0."""
    found = [zone for zone in zones if zone != (0, 0)]
    free = 1
    for first, last in found:
        if not free <= first <= last:
            raise RecordError(f"{where}: protected zones: expected one from sample {free} on, got {first} to {last}")
        free = last + 1
    return found


def _spans(first: int, last: int, zones: Zones) -> list[tuple[int, bool]]:
    """Lengths of the parts of a lead, in order, and whether each is protected."""
    spans = []
    at = first
    for low, high in zones:
        low, high = max(low, first), min(high, last)  # noqa: PLW2901  (a zone ends where the lead does)
        if low <= high:
            spans += [(low - at, False), (high - low + 1, True)]
            at = high + 1
    return [span for span in (*spans, (last + 1 - at, False)) if span[0]]


def n_stored(first: int, last: int, zones: Zones, factor: int) -> int:
    """How many numbers stand for the samples `first` to `last` of a lead.

    Examples
    --------
    >>> n_stored(1, 20, [(9, 12)], 4)  # two means, four samples, two means
    8
    """
    return sum(n if whole else n // factor + n % factor for n, whole in _spans(first, last, zones))


def expanded(
    values: np.ndarray, first: int, last: int, zones: Zones, factor: int, *, subtracted: Zones = ()
) -> np.ndarray:
    """Samples ``(last - first + 1,)`` from the stored numbers ``(n_stored,)``.

    Parameters
    ----------
    values
        As decoded.
    first, last
        Samples of the lead, from 1.
    zones
        Protected; vetted by `check_zones`.
    factor
        Samples for which a mean stands.
    subtracted
        From which the reference beat was taken away.

    Examples
    --------
    >>> expanded(np.array([0, 4, 7, 8, 8]), 1, 11, [(9, 11)], 4).round(2).tolist()
    [0.0, 0.0, 0.33, 1.0, 2.0, 3.0, 3.67, 5.0, 7.0, 8.0, 8.0]
    """
    parts = []
    protected = []
    at = 0
    for n, whole in _spans(first, last, zones):
        n_means = 0 if whole else n // factor
        rest = n if whole else n % factor
        means, at = values[at : at + n_means], at + n_means
        if n_means:
            parts.append(np.interp(np.arange(n_means * factor), factor // 2 + factor * np.arange(n_means), means))
        parts.append(values[at : at + rest].astype(np.float64))
        at += rest
        protected.append(np.full(n, whole))
    rough = np.concatenate(parts)
    smooth = ~np.concatenate(protected)
    smooth[[0, -1]] = False
    for low, high in subtracted:
        for edge in (low - 1, low, high, high + 1):
            if first <= edge <= last:
                smooth[edge - first] = False
    inner = np.flatnonzero(smooth)
    out = rough.copy()
    out[inner] = (rough[inner - 1] + rough[inner] + rough[inner + 1]) / 3
    return out
