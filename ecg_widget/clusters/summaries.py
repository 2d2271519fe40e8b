"""What a segmentation says of records, clusters and classes: runs, transitions, and where it is unsure."""

from __future__ import annotations

import numpy as np
import xarray as xr

__all__ = ["boundary_cells", "run_lengths", "runs", "transitions", "uncertainty"]


def runs(segmentation: xr.Dataset) -> xr.Dataset:
    """Stretches of neighbouring cells of one cluster, in the order of records and time.

    A masked cell ends a run. A run reaches from the middle between its first cell and the one before to the middle
    between its last cell and the one behind, so that runs without a gap between them cover the time without one.

    Parameters
    ----------
    segmentation
        ``cluster (record, cell)``, -1 where masked, with the coord ``centre (cell)`` in s, as `TimeClusters.predict`
        returns.

    Returns
    -------
    xarray.Dataset
        Dim ``run``: ``row`` (index of the record), ``cluster``, ``first`` and ``last`` (cells), ``start`` and ``stop``
        (s); coord ``record``.

    Examples
    --------
    >>> seg = _example([0, 0, -1, 0, 1, 1, 1])
    >>> found = runs(seg)
    >>> found["cluster"].values.tolist(), found["first"].values.tolist(), found["last"].values.tolist()
    ([0, 0, 1], [0, 3, 4], [1, 3, 6])
    >>> (found["stop"] - found["start"]).values.round(3).tolist()
    [0.2, 0.1, 0.3]
    """
    cluster, centre = _clusters(segmentation)
    _, n_cells = cluster.shape
    starts = np.ones_like(cluster, dtype=bool)
    starts[:, 1:] = cluster[:, 1:] != cluster[:, :-1]
    row, first = np.nonzero(starts)
    flat = row * n_cells + first
    last = np.append(flat[1:], cluster.size) - 1 - row * n_cells
    inside = cluster[row, first] >= 0
    row, first, last = row[inside], first[inside], last[inside]
    edges = _edges(centre)
    return xr.Dataset(
        {
            "row": ("run", row),
            "cluster": ("run", cluster[row, first]),
            "first": ("run", first),
            "last": ("run", last),
            "start": ("run", edges[first], {"units": "s"}),
            "stop": ("run", edges[last + 1], {"units": "s"}),
        },
        coords={"record": ("run", segmentation["record"].values[row])} if "record" in segmentation.coords else {},
    )


def run_lengths(segmentation: xr.Dataset) -> xr.Dataset:
    """How many runs each cluster has in each record, and how long they are.

    Parameters
    ----------
    segmentation
        As for `runs`, with dim ``cluster`` (of ``proportion``).

    Returns
    -------
    xarray.Dataset
        ``n_runs (record, cluster)``; ``mean_length``, ``longest (record, cluster)`` in s, NaN where a record has no run
        of a cluster; ``record_length (record)``, mean over all runs of a record.

    Examples
    --------
    >>> found = run_lengths(_example([0, 0, -1, 0, 1, 1, 1]))
    >>> found["n_runs"].values.tolist(), found["mean_length"].values.round(3).tolist()
    ([[2, 1]], [[0.15, 0.3]])
    """
    found = runs(segmentation)
    n, k = segmentation.sizes["record"], segmentation.sizes["cluster"]
    length = (found["stop"] - found["start"]).values
    at = found["row"].values * k + found["cluster"].values
    count = np.bincount(at, minlength=n * k).reshape(n, k)
    total = np.bincount(at, length, minlength=n * k).reshape(n, k)
    longest = np.full(n * k, -np.inf)
    np.maximum.at(longest, at, length)
    dims, seconds = ("record", "cluster"), {"units": "s"}
    with np.errstate(invalid="ignore", divide="ignore"):
        mean, whole = total / count, total.sum(1) / count.sum(1)
    return xr.Dataset(
        {
            "n_runs": (dims, count),
            "mean_length": (dims, mean, seconds),
            "longest": (dims, np.where(np.isfinite(longest), longest, np.nan).reshape(n, k), seconds),
            "record_length": ("record", whole, seconds),
        },
        coords=_records(segmentation),
    )


def transitions(segmentation: xr.Dataset) -> xr.DataArray:
    """How often a cell of one cluster is followed by a cell of another, or of the same.

    Parameters
    ----------
    segmentation
        As for `run_lengths`. Pairs with a masked cell do not count.

    Returns
    -------
    xarray.DataArray
        ``(record, cluster, next_cluster)`` int64 counts; the diagonal holds the cells that stay.

    Examples
    --------
    >>> transitions(_example([0, 0, -1, 0, 1, 1, 1])).values.tolist()
    [[[1, 1], [0, 2]]]
    """
    cluster, _ = _clusters(segmentation)
    n, k = segmentation.sizes["record"], segmentation.sizes["cluster"]
    here, there = cluster[:, :-1], cluster[:, 1:]
    both = (here >= 0) & (there >= 0)
    at = (np.arange(n)[:, None] * k + here) * k + there
    counts = np.bincount(at[both], minlength=n * k * k).reshape(n, k, k)
    return xr.DataArray(
        counts, dims=("record", "cluster", "next_cluster"), coords=_records(segmentation), name="transitions"
    )


def boundary_cells(segmentation: xr.Dataset) -> xr.DataArray:
    """Cells with a neighbour of another cluster.

    Returns
    -------
    xarray.DataArray
        ``(record, cell)`` bool; False where masked, and beside a masked cell that is their only other neighbour.

    Examples
    --------
    >>> boundary_cells(_example([0, 0, -1, 0, 1, 1, 1])).values.astype(int).tolist()
    [[0, 0, 0, 1, 1, 0, 0]]
    """
    cluster, _ = _clusters(segmentation)
    changes = (cluster[:, 1:] != cluster[:, :-1]) & (cluster[:, 1:] >= 0) & (cluster[:, :-1] >= 0)
    out = np.zeros(cluster.shape, dtype=bool)
    out[:, 1:] |= changes
    out[:, :-1] |= changes
    return xr.DataArray(out, dims=("record", "cell"), coords=segmentation["cluster"].coords, name="boundary")


def uncertainty(segmentation: xr.Dataset, label: xr.DataArray | None = None) -> xr.Dataset:
    """Mean entropy of the assignment over records, clusters and classes, at boundaries and away from them.

    The entropy says how ambiguous a cell's place among the clusters is. It is no calibrated uncertainty of the
    network's prediction. Cells where one wave passes into the next are ambiguous by their nature, so look at the
    interior: a high entropy there means that the clusters do not fit the record.

    Parameters
    ----------
    segmentation
        As `TimeClusters.predict` returns.
    label
        ``(record, target)``, 1 where a record belongs to a class, 0 or NaN elsewhere: true or predicted labels.

    Returns
    -------
    xarray.Dataset
        ``entropy``, ``entropy_boundary``, ``entropy_interior``, ``boundary_share``, ``margin``, ``probability``
        ``(record)``, means over valid cells; ``cluster_entropy``, ``cluster_boundary``, ``cluster_interior``,
        ``cluster_probability`` ``(cluster)``, means over the cells of a cluster; with `label` ``class_entropy``,
        ``class_interior``, ``class_records (target)``, means over its records. NaN where nothing is to be averaged.

    Raises
    ------
    ValueError
        `label` of other records.

    Examples
    --------
    >>> import ecg_widget as ecg
    >>> ds = ecg.simulate(4, seed=0)
    >>> found = uncertainty(ecg.TimeClusters(5, random_state=0).fit_predict(ecg.activations(ecg.load_network(), ds)))
    >>> bool((found["entropy_boundary"] > found["entropy_interior"]).all())
    True
    """
    cluster, _ = _clusters(segmentation)
    edge = boundary_cells(segmentation).values
    cells = {
        name: segmentation[name].transpose("record", "cell").values.astype(np.float64)
        for name in ("entropy", "margin", "probability")
    }
    valid = cluster >= 0
    entropy, k = cells["entropy"], segmentation.sizes["cluster"]
    out = xr.Dataset(
        {
            "entropy": ("record", _mean(entropy, valid)),
            "entropy_boundary": ("record", _mean(entropy, edge)),
            "entropy_interior": ("record", _mean(entropy, valid & ~edge)),
            "boundary_share": ("record", _mean(edge.astype(np.float64), valid)),
            "margin": ("record", _mean(cells["margin"], valid)),
            "probability": ("record", _mean(cells["probability"], valid)),
        },
        coords=_records(segmentation),
    )
    of_cluster = [(cluster == c).reshape(1, -1) for c in range(k)]
    for name, values, where in (
        ("cluster_entropy", entropy, valid),
        ("cluster_boundary", entropy, edge),
        ("cluster_interior", entropy, valid & ~edge),
        ("cluster_probability", cells["probability"], valid),
    ):
        flat, inside = values.reshape(1, -1), where.reshape(1, -1)
        out[name] = ("cluster", np.concatenate([_mean(flat, member & inside) for member in of_cluster]))
    if label is None:
        return out
    members = label.transpose("record", "target")
    if members.sizes["record"] != len(cluster) or not np.array_equal(
        members["record"].values, segmentation["record"].values
    ):
        raise ValueError(
            f"label: expected the {len(cluster)} records of the segmentation, got {members.sizes['record']} that "
            "differ; select them with label.sel(record=segmentation['record'])"
        )
    belongs = members.values.T == 1
    for name in ("entropy", "entropy_interior"):
        values = np.broadcast_to(out[name].values, belongs.shape)
        short = "class_entropy" if name == "entropy" else "class_interior"
        out[short] = ("target", _mean(values, belongs & np.isfinite(values)))
    out["class_records"] = ("target", belongs.sum(1))
    return out.assign_coords(target=members["target"].values)


def _mean(values: np.ndarray, where: np.ndarray) -> np.ndarray:
    """Mean over the last axis where a mask holds, NaN where it never does."""
    count = where.sum(-1)
    total = np.where(where, values, 0.0).sum(-1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _clusters(segmentation: xr.Dataset) -> tuple[np.ndarray, np.ndarray]:
    if "cluster" not in segmentation or set(segmentation["cluster"].dims) != {"record", "cell"}:
        raise ValueError(
            f"segmentation: expected cluster (record, cell), as TimeClusters.predict returns, got {segmentation.dims}"
        )
    return segmentation["cluster"].transpose("record", "cell").values.astype(np.int64), segmentation["centre"].values


def _edges(centre: np.ndarray) -> np.ndarray:
    middles = (centre[1:] + centre[:-1]) / 2
    half = (centre[1] - centre[0]) / 2 if len(centre) > 1 else 0.5
    return np.concatenate([centre[:1] - half, middles, centre[-1:] + half])


def _records(segmentation: xr.Dataset) -> dict[str, xr.Variable]:
    return {"record": segmentation["record"].variable} if "record" in segmentation.coords else {}


def _example(clusters: list[int]) -> xr.Dataset:
    """One record on a grid of 0.1 s with two clusters."""
    return xr.Dataset(
        {"cluster": (("record", "cell"), [clusters]), "proportion": (("record", "cluster"), [[0.5, 0.5]])},
        coords={"record": ["a"], "centre": ("cell", np.arange(len(clusters)) * 0.1)},
    )
