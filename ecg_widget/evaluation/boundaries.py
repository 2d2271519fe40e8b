"""Where a track changes from one value to the next, and how many of two tracks' changes belong together."""

from __future__ import annotations

import numpy as np

__all__ = ["TOLERANCES", "boundary_counts", "f1", "match"]

TOLERANCES = (0.04, 0.08)
"""s: half the tolerance of the usual test of delineators for P and T ends, and about the whole of it."""


def boundary_counts(
    track: np.ndarray, truth: np.ndarray, centre: np.ndarray, tolerances: tuple[float, ...] = TOLERANCES
) -> tuple[np.ndarray, int, int]:
    """Count the boundaries of two tracks and how many match, one to one.

    Parameters
    ----------
    track, truth
        ``(record, cell)`` whole numbers; -1 is unknown, and what lies beside an unknown cell of either is left out.
    centre
        ``(cell,)`` s; a boundary lies half-way between two cells.
    tolerances
        s.

    Returns
    -------
    tuple
        Matches for each tolerance; boundaries of `track`; boundaries of `truth`.

    Examples
    --------
    >>> track, truth = np.array([[0, 0, 1, 1, 1, 0]]), np.array([[0, 1, 1, 1, 1, 1]])
    >>> boundary_counts(track, truth, np.arange(6) * 0.04)
    (array([1, 1]), 2, 1)
    """
    middle = (centre[1:] + centre[:-1]) / 2
    hits, ours, theirs = np.zeros(len(tolerances), np.int64), 0, 0
    known = (track >= 0) & (truth >= 0)
    both = known[:, 1:] & known[:, :-1]
    for record in range(len(track)):
        a = middle[both[record] & (np.diff(track[record].astype(int)) != 0)]
        b = middle[both[record] & (np.diff(truth[record].astype(int)) != 0)]
        ours, theirs = ours + len(a), theirs + len(b)
        hits += [match(a, b, tolerance) for tolerance in tolerances]
    return hits, ours, theirs


def match(a: np.ndarray, b: np.ndarray, tolerance: float) -> int:
    """Most pairs at most so far apart, each time in one pair at most; both ascending.

    Examples
    --------
    >>> match(np.array([0.0, 0.1, 0.2]), np.array([0.12]), 0.04), match(np.array([0.0]), np.array([1.0]), 0.04)
    (1, 0)
    """
    i = j = found = 0
    slack = tolerance + 1e-9  # times on a grid: a difference that equals the tolerance counts
    while i < len(a) and j < len(b):  # the earliest partner of the earliest time leaves most to the others
        if abs(a[i] - b[j]) <= slack:
            i, j, found = i + 1, j + 1, found + 1
        elif a[i] < b[j]:
            i += 1
        else:
            j += 1
    return found


def f1(precision: np.ndarray, recall: np.ndarray) -> np.ndarray:
    """Harmonic mean, 0 where both are 0 or one is undefined.

    Examples
    --------
    >>> f1(np.array([0.5, 0.0]), np.array([1.0, 0.0])).round(3).tolist()
    [0.667, 0.0]
    """
    total = precision + recall
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.nan_to_num(2 * precision * recall / total))
