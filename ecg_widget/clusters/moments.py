"""What the sums and counts of clusters tell: means, variance, inertia, and what becomes of an empty cluster."""

from __future__ import annotations

import torch

from ecg_widget.clusters.products import BLOCK_ROWS, total
from ecg_widget.clusters.sketch import Rows

CANCELLED = 1e-2  # share of the squared lengths, below which their difference would lose digits


def variance(rows: Rows, sums: torch.Tensor) -> float:
    """Mean over features of the variance of all rows, from the sums ``(cluster, feature)`` of any clusters."""
    n = len(rows.x)
    return max(0.0, total(rows.squared) / n - total((sums.sum(0) / n).square())) / rows.x.shape[1]


def refilled(
    rows: Rows, labels: torch.Tensor, centers: torch.Tensor, sums: torch.Tensor, counts: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Sums and counts after each empty cluster has taken the row that is farthest from its own centre.

    Parameters
    ----------
    rows
        All rows.
    labels
        ``(row,)`` int64.
    centers
        ``(cluster, feature)`` relative to the origin, by which the labels were found.
    sums, counts
        ``(cluster, feature)`` and ``(cluster,)`` float64; not changed.
    """
    if not counts.amin():
        empty = (counts == 0).nonzero().flatten().tolist()
        sums, counts = sums.clone(), counts.clone()
        for cluster, row in zip(empty, squared_to_own(rows, labels, centers).topk(len(empty)).indices, strict=True):
            donor, values = labels[row], rows.x[row].double()
            sums[donor] -= values
            counts[donor] -= 1
            sums[cluster], counts[cluster] = values, 1.0
    return sums, counts


def means(rows: Rows, centers: torch.Tensor, sums: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
    """Means ``(cluster, feature)`` relative to the origin; a centre stays where its cluster is empty."""
    found = (sums / counts.clamp(min=1)[:, None] - rows.origin.double()).to(centers)
    return torch.where((counts > 0)[:, None], found, centers)


def inertia(rows: Rows, labels: torch.Tensor, centers: torch.Tensor, sums: torch.Tensor, counts: torch.Tensor) -> float:
    """Sum of squared distances to the centres, without a look at the rows where that is exact enough."""
    absolute = centers.double() + rows.origin.double()
    length = total(rows.squared)
    found = length + total((counts[:, None] * absolute - 2 * sums) * absolute)
    return found if found > CANCELLED * length else total(squared_to_own(rows, labels, centers))


def squared_to_own(rows: Rows, labels: torch.Tensor, centers: torch.Tensor) -> torch.Tensor:
    """Squared distance of each row to its centre ``(row,)``."""
    absolute = centers + rows.origin
    out = torch.empty_like(rows.squared)
    for start in range(0, len(out), BLOCK_ROWS):
        part = slice(start, start + BLOCK_ROWS)
        difference = rows.x[part] - absolute.index_select(0, labels[part])
        out[part] = torch.linalg.vector_norm(difference, dim=1).square_()
    return out
