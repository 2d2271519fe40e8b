"""Lloyd's algorithm on the device of the data, block by block so that memory stays bounded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from threading import Event

import torch
from torch.nn import functional

BLOCK_ROWS = 16_384  # rows a block: a block's distances (K <= 64, float32) stay within 4 MB of cache
TILE_ROWS = 128  # rows of one small matrix product, which one thread does alone
LEAST_TILES = (
    32  # products done at once: of fewer, a library cuts each among threads, and its bits depend on their number
)


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


def squared_distances(x: torch.Tensor, centers: torch.Tensor) -> torch.Tensor:
    """Squared Euclidean distances ``(row, cluster)``, never below 0.

    Parameters
    ----------
    x
        ``(row, feature)``.
    centers
        ``(cluster, feature)``.

    Examples
    --------
    >>> squared_distances(torch.tensor([[0.0, 3.0]]), torch.tensor([[0.0, 0.0], [4.0, 3.0]]))
    tensor([[ 9., 16.]])
    """
    out = x.new_empty((len(x), len(centers)))
    for rows, tiles in _tiles(x):
        cross = torch.bmm(tiles, centers.T.expand(len(tiles), -1, -1)).flatten(0, 1)
        out[rows] = cross[: rows.stop - rows.start]
    out.mul_(-2).add_(centers.square().sum(1)[None, :])
    return out.add_(x.square().sum(1)[:, None]).clamp_(min=0)


def _tiles(x: torch.Tensor) -> Iterator[tuple[slice, torch.Tensor]]:
    """Blocks of rows as tiles ``(tile, TILE_ROWS, feature)``, the last one filled up with zeros.

    A large matrix product is cut among threads wherever the library likes, and rows at a cut are added up in another
    order than the rest; a batch of many small products is cut between them. So the same data give the same bits on any
    number of threads.
    """
    for start in range(0, len(x), BLOCK_ROWS):
        block = x[start : start + BLOCK_ROWS]
        missing = max(-(-len(block) // TILE_ROWS), LEAST_TILES) * TILE_ROWS - len(block)
        filled = functional.pad(block, (0, 0, 0, missing)) if missing else block
        yield slice(start, start + len(block)), filled.reshape(-1, TILE_ROWS, x.shape[1])


def assign(x: torch.Tensor, centers: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Nearest centre of each row and the squared distance to it.

    Returns
    -------
    labels : torch.Tensor
        ``(row,)`` int64.
    distance : torch.Tensor
        ``(row,)``.
    """
    labels = torch.empty(len(x), dtype=torch.int64, device=x.device)
    distance = torch.empty(len(x), dtype=x.dtype, device=x.device)
    for start in range(0, len(x), BLOCK_ROWS):
        rows = slice(start, start + BLOCK_ROWS)
        nearest = squared_distances(x[rows], centers).min(1)
        labels[rows], distance[rows] = nearest.indices, nearest.values
    return labels, distance


def kmeans(
    x: torch.Tensor,
    init: torch.Tensor,
    *,
    max_iter: int = 300,
    tol: float = 1e-5,
) -> KMeansResult:
    """Lloyd's algorithm with scikit-learn's stopping rule and empty-cluster rule.

    Parameters
    ----------
    x
        ``(row, feature)``, floating, finite.
    init
        ``(cluster, feature)`` starting centres, at most as many as rows.
    max_iter
        Most iterations.
    tol
        Stop when the squared movement of all centres is at most `tol` times the mean variance of the features.

    Returns
    -------
    KMeansResult

    Examples
    --------
    >>> result = kmeans(torch.tensor([[0.0], [0.1], [5.0], [5.1]]), torch.tensor([[0.0], [1.0]]))
    >>> sorted(round(float(c), 2) for c in result.centers), round(result.inertia, 3)
    ([0.05, 5.05], 0.01)
    """
    mean = x.mean(0)
    x = x - mean  # distances of centred data lose fewer digits
    centers = init.to(x) - mean
    limit = tol * float(x.var(0, correction=0).mean())
    labels, distance = assign(x, centers)
    converged = False
    iteration = 0
    while iteration < max_iter and not converged:
        stop_if_interrupted()
        iteration += 1
        moved = _centroids(x, labels, distance, centers)
        shift = float((moved - centers).square().sum())
        centers, before = moved, labels
        labels, distance = assign(x, centers)
        converged = shift <= limit or torch.equal(labels, before)
    inertia = 0.0
    for start in range(0, len(x), BLOCK_ROWS):  # in a fixed order
        inertia += float(distance[start : start + BLOCK_ROWS].sum(dtype=torch.float64))
    return KMeansResult(centers + mean, labels, inertia, iteration, converged)


def _centroids(x: torch.Tensor, labels: torch.Tensor, distance: torch.Tensor, centers: torch.Tensor) -> torch.Tensor:
    """Mean of each cluster's rows; an empty cluster takes the row that is farthest from its own centre."""
    k = len(centers)
    sums = torch.zeros(centers.shape, dtype=torch.float64, device=x.device)
    for start in range(0, len(x), BLOCK_ROWS):  # fixed block order: the same bits however many threads add
        rows = slice(start, start + BLOCK_ROWS)
        one_hot = functional.one_hot(labels[rows], k).to(x.dtype)
        for (_, members), (_, tiles) in zip(_tiles(one_hot), _tiles(x[rows]), strict=True):
            sums += torch.bmm(members.transpose(1, 2), tiles).sum(0, dtype=torch.float64)
    counts = torch.bincount(labels, minlength=k).double()
    empty = (counts == 0).nonzero().squeeze(1)
    if len(empty):
        farthest = distance.topk(len(empty)).indices
        for cluster, row in zip(empty.tolist(), farthest.tolist(), strict=True):
            donor = labels[row]
            sums[donor] -= x[row].double()
            counts[donor] -= 1
            sums[cluster], counts[cluster] = x[row].double(), 1.0
    means = (sums / counts.clamp(min=1)[:, None]).to(x.dtype)
    return torch.where((counts > 0)[:, None], means, centers)
