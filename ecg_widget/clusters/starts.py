"""Where Lloyd's algorithm starts: it ends in one of several optima, and which one decides what a picture shows."""

from __future__ import annotations

import numpy as np
import torch

from ecg_widget.clusters.kmeans import kmeans_many
from ecg_widget.clusters.products import squared_distances, two_nearest

DRAFT_ROWS = 4_096  # rows of the trial runs: enough to tell good starts from poor ones
DRAFT_ITERATIONS = 20
FINALISTS = 3
SAME = 2e-4  # of the sum of squared distances: trial runs that are closer are taken for one optimum


def kmeans_plus_plus(
    x: torch.Tensor, n_clusters: int, rng: np.random.RandomState, *, first: torch.Tensor | None = None
) -> torch.Tensor:
    """Choose starting centres far apart: greedy k-means++ (Arthur and Vassilvitskii 2007).

    Each next centre is the best of ``2 + int(log(n_clusters))`` candidates drawn with probability proportional to the
    squared distance to the centres so far, the rule of scikit-learn.

    Parameters
    ----------
    x
        ``(row, feature)``.
    n_clusters
        Number of centres, at most the number of rows.
    rng
        Source of randomness; the draws are made on the CPU, so that a seed means the same on every device.
    first
        ``(cluster, feature)``, centres that are there already, at most `n_clusters`; a row drawn at random if None.

    Returns
    -------
    torch.Tensor
        ``(cluster, feature)``: `first`, then rows of `x`.
    """
    trials = 2 + int(np.log(n_clusters))
    centers = x[[int(rng.randint(len(x)))]] if first is None else first.to(x)
    nearest = squared_distances(x, centers).amin(1)
    while len(centers) < n_clusters:
        cumulative = nearest.double().cumsum(0)
        draws = torch.as_tensor(rng.uniform(size=trials), device=x.device) * cumulative[-1]
        candidates = torch.searchsorted(cumulative, draws, right=True).clamp_(max=len(x) - 1)
        lower = torch.minimum(nearest[:, None], squared_distances(x, x[candidates]))
        best = int(lower.sum(0, dtype=torch.float64).argmin())
        centers = torch.cat([centers, x[candidates[best], None]])
        nearest = lower[:, best]
    return centers


def best_starts(x: torch.Tensor, n_clusters: int, n_init: int, rng: np.random.RandomState) -> list[torch.Tensor]:
    """Choose starting centres by trial runs on a few thousand rows, every one from its own k-means++ start.

    Ten trial runs on 4,096 rows take half the time of one run on 30,000 and tell good optima from poor ones. Good ones
    that differ by a thousandth in the sum of squared distances they cannot tell apart: the best three that are not the
    same are for the caller to run to the end.

    Parameters
    ----------
    x
        ``(row, feature)``.
    n_clusters
        At most the number of rows.
    n_init
        Number of trials; 1 for a k-means++ start among all rows, without a trial.
    rng
        Source of randomness.

    Returns
    -------
    list of torch.Tensor
        At most three ``(cluster, feature)``, the best first.

    Examples
    --------
    >>> x = torch.tensor([[0.0], [0.1], [5.0], [5.1], [9.0]])
    >>> starts = best_starts(x, 3, 5, np.random.RandomState(0))
    >>> starts[0].sort(0).values.flatten().round(decimals=2).tolist()
    [0.05, 5.05, 9.0]
    """
    if n_init > 1 and len(x) > max(DRAFT_ROWS, n_clusters):
        drawn = rng.permutation(len(x))[: max(DRAFT_ROWS, n_clusters)]
        x = x[torch.as_tensor(np.sort(drawn), device=x.device)]
    mean = x.mean(0)
    x = x - mean  # distances of centred data lose fewer digits
    if n_init == 1:
        return [kmeans_plus_plus(x, n_clusters, rng) + mean]
    starts = [kmeans_plus_plus(x, n_clusters, rng) for _ in range(n_init)]
    trials = sorted(kmeans_many(x, starts, max_iter=DRAFT_ITERATIONS, tol=1e-4), key=lambda trial: trial.inertia)
    finalists = trials[:1]
    for trial in trials[1:]:
        if len(finalists) < FINALISTS and trial.inertia > (1 + SAME) * finalists[-1].inertia:
            finalists.append(trial)
    return [trial.centers + mean for trial in finalists]


def neighbour_start(
    x: torch.Tensor, centers: torch.Tensor, n_clusters: int, rng: np.random.RandomState
) -> torch.Tensor:
    """Start from centres of another number of clusters, so that a fit is quick and its clusters are recognised.

    Where there are too few, further ones are chosen as k-means++ does. Where there are too many, those are left out,
    one by one, whose rows lose least by going to their second nearest centre.

    Parameters
    ----------
    x
        ``(row, feature)``.
    centers
        ``(cluster, feature)``, those of a fit to `x`.
    n_clusters
        At least 1, at most the number of rows.
    rng
        Source of randomness.

    Returns
    -------
    torch.Tensor
        ``(n_clusters, feature)``, the kept ones in their order.

    Examples
    --------
    >>> x = torch.tensor([[0.0], [0.0], [1.0], [7.0], [8.0]])
    >>> neighbour_start(x, torch.tensor([[0.0], [1.0], [7.0]]), 2, np.random.RandomState(0)).flatten().tolist()
    [0.0, 7.0]
    >>> len(neighbour_start(x, torch.tensor([[0.1], [7.0]]), 3, np.random.RandomState(0)))
    3
    """
    if len(centers) == n_clusters:
        return centers.to(x)
    mean = x.mean(0)
    x, kept = x - mean, centers.to(x) - mean
    while len(kept) > n_clusters:
        labels, first, second = two_nearest(x, kept)
        loss = torch.zeros(len(kept), dtype=torch.float64, device=x.device)
        loss.index_add_(0, labels, (second - first).double())
        kept = torch.cat([kept[: loss.argmin()], kept[loss.argmin() + 1 :]])
    return kmeans_plus_plus(x, n_clusters, rng, first=kept) + mean
