"""Which cluster of one fit is which cluster of another: a colour keeps its meaning while a slider moves."""

from __future__ import annotations

import numpy as np
import xarray as xr
from scipy.optimize import linear_sum_assignment


def match_clusters(segmentation: xr.Dataset, reference: xr.Dataset) -> np.ndarray:
    """Give each cluster the slot of the reference cluster it overlaps most, one to one.

    The assignment maximises the number of cells that keep their slot (Hungarian algorithm). Cells of the reference are
    looked up at the nearest centre in time, so that fits on different grids can be matched. Clusters without a partner
    take the lowest free slots in the order of their ids.

    Parameters
    ----------
    segmentation, reference
        As `TimeClusters.predict` returns, of the same records; ``slot (cluster)`` of the reference is used where
        present, else its cluster ids.

    Returns
    -------
    numpy.ndarray
        ``(cluster,)`` uint8, slot of each cluster of `segmentation`; all different.

    Raises
    ------
    ValueError
        The two hold different records.

    Examples
    --------
    >>> def seg(labels, k):
    ...     cells, shares = ("record", "cell"), ("record", "cluster")
    ...     centre = ("cell", np.arange(len(labels)) * 0.04)
    ...     return xr.Dataset({"cluster": (cells, [labels]), "proportion": (shares, [[1] * k])}, {"centre": centre})
    >>> match_clusters(seg([2, 2, 0, 1, 1, 1], 3), seg([0, 0, 1, 1, 1, 1], 2)).tolist()
    [2, 1, 0]
    """
    if segmentation.sizes["record"] != reference.sizes["record"]:
        raise ValueError(
            f"expected segmentations of the same records, got {segmentation.sizes['record']} and "
            f"{reference.sizes['record']} records"
        )
    k, k_reference = segmentation.sizes["cluster"], reference.sizes["cluster"]
    here = segmentation["cluster"].transpose("record", "cell").values
    there = reference["cluster"].transpose("record", "cell").values
    there = there[:, _nearest(segmentation["centre"].values, reference["centre"].values)]
    both = (here >= 0) & (there >= 0)
    overlap = np.bincount(here[both].astype(np.int64) * k_reference + there[both], minlength=k * k_reference)
    overlap = overlap.reshape(k, k_reference)
    rows, columns = linear_sum_assignment(overlap, maximize=True)
    partnered = overlap[rows, columns] > 0
    rows, columns = rows[partnered], columns[partnered]
    slots = reference["slot"].values if "slot" in reference else np.arange(k_reference)
    out = np.full(k, -1, dtype=np.int64)
    out[rows] = slots[columns]
    free = (s for s in range(k + k_reference + int(slots.max(initial=0)) + 1) if s not in set(out.tolist()))
    for cluster in np.flatnonzero(out < 0):
        out[cluster] = next(free)
    return out.astype(np.uint8)


def match_centers(centers: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Give each centre the reference centre it stands for, one to one, such that squared distances sum to the least.

    Both must live in one embedding. Fits on other layers, or of other networks, have no common space: match those by
    their overlap in time, see `match_clusters`.

    Parameters
    ----------
    centers, reference
        ``(cluster, feature)``, as many of each.

    Returns
    -------
    numpy.ndarray
        ``(cluster,)`` int64: the reference's index for each centre, a permutation.

    Raises
    ------
    ValueError
        Shapes that differ.

    Examples
    --------
    >>> match_centers(np.array([[9.0], [0.2], [4.0]]), np.array([[0.0], [5.0], [10.0]])).tolist()
    [2, 0, 1]
    """
    if np.shape(centers) != np.shape(reference) or np.ndim(centers) != 2:
        raise ValueError(
            f"expected centres (cluster, feature) of one shape, got {np.shape(centers)} and {np.shape(reference)}; "
            "fits on other layers or with another number of clusters are matched with match_clusters"
        )
    a, b = np.asarray(centers, np.float64), np.asarray(reference, np.float64)
    cost = (a**2).sum(1)[:, None] + (b**2).sum(1)[None, :] - 2 * a @ b.T
    rows, columns = linear_sum_assignment(cost)
    return columns[np.argsort(rows)]


def _nearest(at: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """Index of the centre nearest to each time."""
    borders = (centre[1:] + centre[:-1]) / 2
    return np.searchsorted(borders, at)
