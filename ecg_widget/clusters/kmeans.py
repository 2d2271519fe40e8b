"""Lloyd's algorithm on the device of the data, block by block so that memory stays bounded."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch

from ecg_widget.clusters import device
from ecg_widget.clusters.interruption import (
    Interrupted,
    interruptible,
    nobody_waits,
    somebody_waits,
    stop_if_interrupted,
)
from ecg_widget.clusters.moments import inertia, means, refilled, variance
from ecg_widget.clusters.products import LEAST_TILES, products, sums, tile_rows, tiled, total
from ecg_widget.clusters.sketch import Rows

__all__ = [
    "Interrupted",
    "KMeansResult",
    "interruptible",
    "kmeans",
    "kmeans_many",
    "nobody_waits",
    "somebody_waits",
    "stop_if_interrupted",
]

GATHERED_ROWS = 4_096  # compared with all centres at once
MOST_DOUBTS = 0.5  # share of rows that a sketch leaves unproved, above which it costs more than it saves
FEW_ITERATIONS = 5  # for which no sketch is made


@dataclass(frozen=True)
class KMeansResult:
    """What Lloyd's algorithm ends with.

    Attributes
    ----------
    centers
        ``(cluster, feature)``, dtype and device of the data.
    labels
        ``(row,)`` int64, nearest centre of each row under the final `centers`.
    inertia
        Sum of squared distances of rows to their centres.
    n_iter
        Iterations run.
    converged
        Whether centres moved less than the tolerance within ``max_iter``.
    """

    centers: torch.Tensor
    labels: torch.Tensor
    inertia: float
    n_iter: int
    converged: bool


def kmeans(
    x: torch.Tensor | Rows,
    init: torch.Tensor,
    *,
    max_iter: int = 300,
    tol: float = 1e-5,
) -> KMeansResult:
    """Lloyd's algorithm with scikit-learn's stopping rule and empty-cluster rule.

    Parameters
    ----------
    x
        ``(row, feature)``, floating, finite; as `Rows` where several runs are made on them.
    init
        ``(cluster, feature)`` starting centres, at most as many as rows.
    max_iter
        Most iterations.
    tol
        Stop when the squared movement of all centres is at most `tol` times the mean variance of the features.

    Returns
    -------
    KMeansResult

    Notes
    -----
    Rows are compared with centres only where a centre may have become nearer than their own (`sketch`), and the sums of
    a cluster are changed by the rows that come and go. The same data give the same bits on any number of threads.

    Examples
    --------
    >>> result = kmeans(torch.tensor([[0.0], [0.1], [5.0], [5.1]]), torch.tensor([[0.0], [1.0]]))
    >>> sorted(round(float(c), 2) for c in result.centers), round(result.inertia, 3)
    ([0.05, 5.05], 0.01)
    """
    (result,) = kmeans_many(x, [init], max_iter=max_iter, tol=tol)
    return result


def kmeans_many(
    x: torch.Tensor | Rows,
    inits: Iterable[torch.Tensor],
    *,
    max_iter: int = 300,
    tol: float = 1e-5,
) -> list[KMeansResult]:
    """Several runs of `kmeans` on the same rows, of any numbers of clusters.

    On the CPU one after the other, with one sketch; elsewhere all of them in one pass over the rows, the centres of all
    runs in one product, and without waiting for the device inside the loop (`ecg_widget.clusters.device`). Memory is
    bounded: beside the rows there are their labels in each run, and the products of some thousand rows.

    Parameters
    ----------
    x, max_iter, tol
        As for `kmeans`.
    inits
        ``(cluster, feature)`` each.

    Returns
    -------
    list of KMeansResult
        Of each start.

    Examples
    --------
    >>> x = torch.tensor([[0.0], [0.1], [5.0], [5.1]])
    >>> [len(run.centers) for run in kmeans_many(x, [x[:2], x[:3]])]
    [2, 3]
    """
    rows = x if isinstance(x, Rows) else Rows(x)
    zero = rows.origin + rows.shift
    starts = [init.to(rows.x) - zero for init in inits]
    if rows.x.device.type == "cpu":
        runs = [_lloyd(rows, start, max_iter, tol) for start in starts]
    else:
        runs = device.lloyd(rows, starts, max_iter, tol) if starts else []
    return [KMeansResult(run[0] + zero, *run[1:]) for run in runs]


def _lloyd(rows: Rows, centers: torch.Tensor, max_iter: int, tol: float) -> device.Run:
    """One run on the CPU; centres are relative to the origin."""
    state = _Assignment(rows, centers)
    limit = tol * variance(rows, state.sums)
    sketch = rows.sketch(len(centers)) if max_iter > FEW_ITERATIONS else None
    converged = False
    iteration = 0
    while iteration < max_iter and not converged:
        stop_if_interrupted()
        iteration += 1
        moved = means(rows, centers, *refilled(rows, state.labels, centers, state.sums, state.counts))
        shift = total((moved - centers).square())
        centers = moved
        doubts = (sketch or rows).doubtful(centers, state.labels)
        if sketch and len(doubts) > MOST_DOUBTS * len(rows.x):
            sketch = None
        changed = state.reassign(doubts, centers)
        converged = shift <= limit or changed == 0
    left = inertia(rows, state.labels, centers, state.sums, state.counts)
    return centers, state.labels, left, iteration, converged


class _Assignment:
    """The nearest centre of each row, and the sums and counts of each cluster, kept up to date by what changes."""

    def __init__(self, rows: Rows, centers: torch.Tensor) -> None:
        self._rows = rows
        self.labels = torch.empty(len(rows.x), dtype=torch.int64, device=rows.x.device)
        self.sums = torch.zeros(centers.shape, dtype=torch.float64, device=rows.x.device)
        offsets = rows.offsets(centers)
        for part, tiles in tiled(rows.x):
            near = products(tiles, centers).sub_(offsets)
            nearest = near.max(1, keepdim=True).indices
            self.sums += sums(near.zero_().scatter_(1, nearest, 1), tiles)  # rows that fill up are zeros
            self.labels[part] = nearest.flatten()[: part.stop - part.start]
        self.counts = torch.bincount(self.labels, minlength=len(centers)).double()

    def reassign(self, doubts: torch.Tensor, centers: torch.Tensor) -> int:
        """Compare some rows with all centres; the number that changed cluster."""
        if not len(doubts):
            return 0
        offsets = self._rows.offsets(centers)
        changed = 0
        for some in torch.split(doubts, GATHERED_ROWS):
            size = tile_rows(len(some))
            tiles = max(-(-len(some) // size), LEAST_TILES)
            gathered = self._rows.x.new_empty(tiles * size, centers.shape[1])
            torch.index_select(self._rows.x, 0, some, out=gathered[: len(some)])
            gathered[len(some) :] = 0
            gathered = gathered.view(tiles, size, -1)
            near = products(gathered, centers).sub_(offsets)
            nearest = near.max(1, keepdim=True).indices
            before = nearest.clone()
            before.view(-1)[: len(some)] = self.labels[some]
            leaving = (nearest != before).to(near)
            # +1 where a row comes, -1 where it goes, 0 where it stays.
            near.zero_().scatter_(1, nearest, 1).scatter_(1, before, -leaving)
            self.sums += sums(near, gathered)
            self.counts += near.sum((0, 2))
            self.labels[some] = nearest.flatten()[: len(some)]
            changed += int(leaving.sum())
        return changed
