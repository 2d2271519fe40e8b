"""Runs of cells, and the input without them: a straight line from one border of a run to the other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from ecg_widget.networks import inference, like_weights

__all__ = ["bridge", "cell_of_sample", "place_runs", "raw_outputs", "runs"]


def runs(cluster: np.ndarray) -> np.ndarray:
    """Longest stretches of neighbouring cells of one cluster.

    Parameters
    ----------
    cluster
        ``(cell,)`` of one record, -1 where masked.

    Returns
    -------
    numpy.ndarray
        ``(run, 3)`` int64: first cell, the cell behind the last, cluster. Masked stretches are left out.

    Examples
    --------
    >>> runs(np.array([2, 2, -1, 0, 2])).tolist()
    [[0, 2, 2], [3, 4, 0], [4, 5, 2]]
    """
    cluster = np.asarray(cluster, np.int64)
    first = np.flatnonzero(np.diff(cluster, prepend=-2))
    stop = np.append(first[1:], len(cluster))
    out = np.stack([first, stop, cluster[first]], axis=1)
    return out[out[:, 2] >= 0]


def cell_of_sample(time: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """Index of the cell whose centre is nearest to each time, both in s.

    Examples
    --------
    >>> cell_of_sample(np.array([0.0, 0.9, 1.1, 9.0]), np.array([0.5, 1.5])).tolist()
    [0, 0, 1, 1]
    """
    return np.searchsorted((centre[1:] + centre[:-1]) / 2, time, side="right")


def bridge(x: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Replace samples by straight lines between their neighbours that stay.

    The first and the last sample of the record always stay, so a record without anything else is a straight line.

    Parameters
    ----------
    x
        ``(lead, time)``.
    mask
        ``(variant, time)`` bool, True where the signal goes.

    Returns
    -------
    numpy.ndarray
        ``(variant, lead, time)``, dtype of `x`.

    Examples
    --------
    >>> bridge(np.array([[0.0, 9.0, 9.0, 3.0, 5.0]]), np.array([[False, True, True, False, True]]))
    array([[[0., 1., 2., 3., 5.]]])
    """
    n = x.shape[1]
    keep = ~mask
    keep[:, [0, -1]] = True
    at = np.arange(n)
    left = np.maximum.accumulate(np.where(keep, at, 0), axis=1)
    right = np.minimum.accumulate(np.where(keep, at, n - 1)[:, ::-1], axis=1)[:, ::-1]
    share = ((at - left) / np.maximum(right - left, 1)).astype(x.dtype)[:, None]
    a, b = x[:, left].swapaxes(0, 1), x[:, right].swapaxes(0, 1)
    return a + share * (b - a)


def place_runs(lengths: Sequence[int] | np.ndarray, valid: np.ndarray, rng: np.random.Generator) -> list[np.ndarray]:
    """Put runs of given lengths at random places that do not overlap, every arrangement being equally likely.

    Parameters
    ----------
    lengths
        In cells.
    valid
        ``(cell,)`` bool: masked cells take no part, as if they were not there.
    rng
        Source of randomness.

    Returns
    -------
    list of numpy.ndarray
        The cells of each run, in the order of `lengths`.

    Raises
    ------
    ValueError
        More cells than are valid.

    Examples
    --------
    >>> place_runs([1, 3], np.ones(4, bool), np.random.default_rng(1))
    [array([0]), array([1, 2, 3])]
    """
    lengths = np.asarray(lengths, np.int64)
    cells = np.flatnonzero(valid)
    free = len(cells) - int(lengths.sum())
    if free < 0:
        raise ValueError(f"lengths: expected at most {len(cells)} cells in all, got {int(lengths.sum())}")
    order = rng.permutation(len(lengths))
    slots = np.sort(rng.choice(free + len(lengths), len(lengths), replace=False)) - np.arange(len(lengths))
    first = slots + np.concatenate([[0], np.cumsum(lengths[order])[:-1]]) if len(lengths) else slots
    out: list[np.ndarray] = [cells[:0]] * len(lengths)
    for run, start in zip(order, first, strict=True):
        out[run] = cells[start : start + lengths[run]]
    return out


def raw_outputs(
    net: nn.Module, x: np.ndarray, *, batch_size: int = 256, device: torch.device | str | None = None
) -> np.ndarray:
    """Raw outputs ``(variant, target)`` float64 of a network for prepared inputs ``(variant, lead, time)``."""
    out = []
    with inference(net, device) as place:
        for first in range(0, len(x), batch_size):
            batch = torch.from_numpy(np.ascontiguousarray(x[first : first + batch_size]))
            out.append(net(like_weights(batch, net, place)).double().cpu().numpy())
    return np.concatenate(out)
