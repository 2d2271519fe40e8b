"""What is drawn of the segments of one record: cells by look, clusters as they are named, merged and hidden."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import xarray as xr

from ecg_widget.palette import cluster_colours, letter

__all__ = ["MASKED", "UNCERTAIN", "Cells", "borders", "cells_of", "facts_of", "runs"]

UNCERTAIN, MASKED = -1, -2


@dataclass(frozen=True)
class Cells:
    """Cells of one record; `look` is a place in `slot`, or `UNCERTAIN`, or `MASKED`.

    Attributes
    ----------
    border
        ``(cell + 1,)`` s.
    look, entropy
        ``(cell,)``.
    slot
        Colour and letter of each cluster that is shown; those merged into another are gone.
    share
        ``(cluster,)`` of the cells that are not masked.
    parts
        By cluster, the letters of those merged into it.
    facts
        By letter: ``name``, ``note``, ``hidden``.
    """

    border: np.ndarray
    look: np.ndarray
    entropy: np.ndarray
    slot: list[int]
    share: np.ndarray
    threshold: float
    parts: list[list[str]]
    facts: Mapping[str, Mapping[str, Any]]

    @property
    def colours(self) -> list[str]:
        """Of each cluster."""
        return cluster_colours(self.slot)

    def hidden(self, cluster: int) -> bool:
        """Whether a cluster is as blank as the paper."""
        return cluster >= 0 and bool(self.facts.get(letter(self.slot[cluster]), {}).get("hidden"))


def borders(centre: np.ndarray, start: float, end: float) -> np.ndarray:
    """Borders between cells, as the page draws them: ``(cell + 1,)`` in s, from the centres of the cells in s.

    Examples
    --------
    >>> borders(np.array([1.0, 2.0]), 0.5, 9.0)
    array([0.5, 1.5, 2.5])
    """
    if centre.size == 0:
        return np.zeros(1)
    middle = (centre[1:] + centre[:-1]) / 2
    head, tail = (centre[1] - centre[0], centre[-1] - centre[-2]) if centre.size > 1 else (np.inf, np.inf)
    first = min(start, centre[0]) if centre[0] - start <= head else centre[0] - head / 2
    last = max(end, centre[-1]) if end - centre[-1] <= tail else centre[-1] + tail / 2
    return np.concatenate([[first], middle, [last]])


def runs(look: np.ndarray) -> list[tuple[int, int, int]]:
    """Neighbours that are equal: value, first, behind the last.

    Examples
    --------
    >>> runs(np.array([3, 3, -1]))
    [(3, 0, 2), (-1, 2, 3)]
    """
    cuts = [0, *(np.flatnonzero(np.diff(look)) + 1).tolist(), look.size]
    return [(int(look[a]), a, b) for a, b in pairwise(cuts) if b > a]


def facts_of(names: Mapping[str, Any] | None) -> dict[str, dict[str, Any]]:
    """What is known of clusters by letter: names alone are names.

    Raises
    ------
    ValueError
        As `ecg_widget.ECGWidget.cluster_names` does.

    Examples
    --------
    >>> facts_of({"A": "QRS", "B": {"merged": "A"}})
    {'A': {'name': 'QRS'}, 'B': {'merged': 'A'}}
    """
    from ecg_widget.selection import check_names  # noqa: PLC0415  (it imports PyTorch)

    return check_names({key: {"name": of} if isinstance(of, str) else of for key, of in (names or {}).items()})


def cells_of(
    seg: xr.Dataset, start: float, end: float, threshold: float, facts: Mapping[str, Mapping[str, Any]]
) -> Cells:
    """Cells of ``cluster, entropy (cell)`` and ``centre (cell)`` in s; the recording lasts from `start` to `end`."""
    cluster = seg["cluster"].values.astype(int)
    entropy = seg["entropy"].values
    valid = seg["valid"].values.astype(bool) if "valid" in seg else cluster >= 0
    n = seg.sizes.get("cluster", 0) or int(cluster.max(initial=-1)) + 1
    slot = seg["slot"].values.astype(int).tolist() if "slot" in seg.variables else list(range(n))
    into = _merged(slot, facts)
    kept = sorted(set(into))
    place = np.array([kept.index(target) for target in into], int)
    known = valid & (cluster >= 0)
    shown = np.where(known, place[np.where(known, cluster, 0)] if n else 0, MASKED)
    look = np.where(~known, MASKED, np.where(entropy > np.float32(threshold), UNCERTAIN, shown))
    share = np.bincount(shown[known], minlength=len(kept)) / max(int(known.sum()), 1)
    parts = [[letter(slot[k]) for k in range(n) if into[k] == target != k] for target in kept]
    border = borders(seg["centre"].values.astype(float), start, end)
    return Cells(border, look, entropy, [slot[k] for k in kept], share, threshold, parts, facts)


def _merged(slot: list[int], facts: Mapping[str, Mapping[str, Any]]) -> list[int]:
    """By cluster, the one that it is shown as: itself, unless it is merged into one that is there."""
    place = {letter(of): k for k, of in enumerate(slot)}
    into = [place.get(facts.get(letter(of), {}).get("merged", ""), k) for k, of in enumerate(slot)]
    for k, target in enumerate(into):
        at = target
        while into[at] != at:  # no ring, as the names have been checked
            at = into[at]
        into[k] = at
    return into
