"""Lloyd's algorithm on the device of the data, block by block so that memory stays bounded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from threading import Event

import torch

from ecg_widget.clusters.products import BLOCK_ROWS, LEAST_TILES, products, sums, tile_rows, tiled, total
from ecg_widget.clusters.sketch import Rows

GATHERED_ROWS = 4_096  # compared with all centres at once
MOST_DOUBTS = 0.5  # share of rows that a sketch leaves unproved, above which it costs more than it saves
FEW_ITERATIONS = 5  # for which no sketch is made
CANCELLED = 1e-2  # share of the squared distances to the mean, below which their difference would lose digits


class Interrupted(Exception):  # noqa: N818  (nothing went wrong)
    """A computation was ended because nobody waits for it any more."""


_stop: ContextVar[Event | None] = ContextVar("stop", default=None)


@contextmanager
def interruptible(stop: Event) -> Iterator[None]:
    """Let an event end every `kmeans` of this thread between two iterations, with `Interrupted`.

    Parameters
    ----------
    stop
        Set by another thread.

    Examples
    --------
    >>> stop = Event()
    >>> stop.set()
    >>> with interruptible(stop):
    ...     kmeans(torch.tensor([[0.0], [1.0]]), torch.tensor([[0.0]]))
    Traceback (most recent call last):
    ...
    ecg_widget.clusters.kmeans.Interrupted
    """
    token = _stop.set(stop)
    try:
        yield
    finally:
        _stop.reset(token)


def nobody_waits() -> bool:
    """Whether this thread runs inside `interruptible`: what it computes may be thrown away."""
    return _stop.get() is not None


def stop_if_interrupted() -> None:
    """Raise `Interrupted` inside `interruptible` once its event is set."""
    if (stop := _stop.get()) is not None and stop.is_set():
        raise Interrupted


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
    rows = x if isinstance(x, Rows) else Rows(x)
    zero = rows.origin + rows.shift
    centers = init.to(rows.x) - zero
    state = _Assignment(rows, centers)
    limit = tol * state.variance()
    sketch = rows.sketch(len(centers)) if max_iter > FEW_ITERATIONS else None
    converged = False
    iteration = 0
    while iteration < max_iter and not converged:
        stop_if_interrupted()
        iteration += 1
        moved = state.means(centers)
        shift = total((moved - centers).square())
        centers = moved
        doubts = (sketch or rows).doubtful(centers, state.labels)
        if sketch and len(doubts) > MOST_DOUBTS * len(rows.x):
            sketch = None
        changed = state.reassign(doubts, centers)
        converged = shift <= limit or changed == 0
    return KMeansResult(centers + zero, state.labels, state.inertia(centers), iteration, converged)


class _Assignment:
    """The nearest centre of each row, and the sums and counts of each cluster, kept up to date by what changes."""

    def __init__(self, rows: Rows, centers: torch.Tensor) -> None:
        self._rows = rows
        self.labels = torch.empty(len(rows.x), dtype=torch.int64, device=rows.x.device)
        self._sums = torch.zeros(centers.shape, dtype=torch.float64, device=rows.x.device)
        offsets = rows.offsets(centers)
        for part, tiles in tiled(rows.x):
            near = products(tiles, centers).sub_(offsets)
            nearest = near.max(1, keepdim=True).indices
            self._sums += sums(near.zero_().scatter_(1, nearest, 1), tiles)  # rows that fill up are zeros
            self.labels[part] = nearest.flatten()[: part.stop - part.start]
        self._counts = torch.bincount(self.labels, minlength=len(centers))

    def variance(self) -> float:
        """Mean over features of the variance of the rows."""
        rows = self._rows
        off = (self._sums.sum(0) / len(rows.x) - rows.origin.double()).square()
        return (total(rows.squared) / len(rows.x) - total(off)) / rows.x.shape[1]

    def reassign(self, doubts: torch.Tensor, centers: torch.Tensor) -> int:
        """Compare some rows with all centres; the number that changed cluster."""
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
            self._sums += sums(near, gathered)
            new = nearest.flatten()[: len(some)]
            self._counts += torch.bincount(new, minlength=len(centers))
            self._counts -= torch.bincount(before.flatten()[: len(some)], minlength=len(centers))
            self.labels[some] = new
            changed += int(leaving.sum())
        return changed

    def means(self, centers: torch.Tensor) -> torch.Tensor:
        """Mean of each cluster's rows; an empty cluster takes the row that is farthest from its own centre."""
        total, counts = self._sums, self._counts.double()
        empty = (counts == 0).nonzero().flatten()
        if len(empty):
            total = total.clone()
            for cluster, row in zip(empty.tolist(), self._distances(centers).topk(len(empty)).indices, strict=True):
                donor, values = self.labels[row], self._rows.x[row].double()
                total[donor] -= values
                counts[donor] -= 1
                total[cluster], counts[cluster] = values, 1.0
        means = (total / counts.clamp(min=1)[:, None] - self._rows.origin.double()).to(centers)
        return torch.where((counts > 0)[:, None], means, centers)

    def inertia(self, centers: torch.Tensor) -> float:
        """Sum of squared distances to the centres."""
        rows, wide = self._rows, centers.double()
        scatter = total(rows.squared)
        about = self._sums - self._counts[:, None] * rows.origin.double()
        inertia = scatter + total((self._counts[:, None] * wide - 2 * about) * wide)
        if inertia > CANCELLED * scatter:
            return inertia
        return total(self._distances(centers))

    def _distances(self, centers: torch.Tensor) -> torch.Tensor:
        """Squared distance of each row to its centre ``(row,)``."""
        absolute = centers + self._rows.origin
        out = torch.empty_like(self._rows.squared)
        for start in range(0, len(out), BLOCK_ROWS):
            part = slice(start, start + BLOCK_ROWS)
            difference = self._rows.x[part] - absolute.index_select(0, self.labels[part])
            out[part] = torch.linalg.vector_norm(difference, dim=1).square_()
        return out
