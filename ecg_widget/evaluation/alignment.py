"""How well clusters follow the waves of the heart, beside shifted clusters and clusters of the raw signal."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from scipy import stats
from sklearn.metrics import mutual_info_score
from sklearn.metrics.cluster import expected_mutual_information

from ecg_widget.clusters import TimeClusters
from ecg_widget.evaluation.boundaries import TOLERANCES, boundary_counts, f1
from ecg_widget.evaluation.landmarks import Landmarks, cell_landmarks

__all__ = ["alignment", "signal_segmentation"]

_BOUNDARY_SHIFTS = 20  # of the circular shifts, those for which boundaries are matched too: their mean is steady
_SIGNAL_STARTS = 4  # k-means starts for the raw signal: at least as many as clusters of activations get by default


def alignment(
    segmentation: xr.Dataset,
    ds: xr.Dataset,
    *,
    landmarks: Landmarks = "waves",
    n_shifts: int = 200,
    n_bootstrap: int = 500,
    random_state: int = 0,
) -> xr.Dataset:
    """Compare clusters with P, QRS and T on the clusters' own cells.

    What it means: adjusted mutual information (AMI) is 0 for clusters that know nothing of the waves and 1 for clusters
    that are the waves. What it does not: clusters may split a wave by its shape, which is worth knowing and lowers the
    score; no clustering into more clusters than landmarks reaches 1. What a bad value looks like: within the interval
    of the raw signal's clusters, of which the network is then no better view; or a z-score of a few units, since any
    track with the rhythm of the heart aligns a little.

    Parameters
    ----------
    segmentation
        What `TimeClusters.predict` returns for the records of `ds`.
    ds
        Of the data contract, with ``wave`` (and ``wave_known`` where only parts were annotated).
    landmarks
        ``"waves"``: none, P, QRS, T. ``"segments"``: TP, P, PQ, QRS, ST, T.
    n_shifts
        Circular shifts of each record's track, for the null.
    n_bootstrap
        Draws of records, for the 95 % intervals.
    random_state
        Of the shifts, the draws and the signal's clusters.

    Returns
    -------
    xarray.Dataset
        With the dimension ``source``: ``"network"``, the given clusters, and ``"signal"``, k-means on the raw leads at
        the same cells with the same number of clusters. ``ami``, ``nmi`` (arithmetic mean), ``homogeneity``,
        ``completeness``, ``v_measure`` (which equals ``nmi``), ``purity`` (source) in 0 to 1; ``purity_majority``, the
        purity of one single cluster; ``ami_95`` (source, bound), ``ratio`` of the network's AMI to the signal's and
        ``ratio_95`` (bound), from one and the same draws of records; ``shifted_mean``, ``shifted_sd`` and ``z``
        (source) against the shifts; ``probability`` (source, cluster, landmark) of a landmark given the cluster,
        ``lift``, the same over the landmark's share, NaN for an empty cluster, with ``p_value`` against the shifts, on
        both sides, and ``q_value``, adjusted for all clusters and landmarks of a source; ``iou`` (source, landmark) of
        the cluster that overlaps best; ``boundary_f1``, ``boundary_precision``, ``boundary_recall`` and
        ``boundary_f1_shifted`` (source, tolerance in s), one boundary matching one. attrs: ``n_cells``, ``n_records``.

    Raises
    ------
    ValueError
        No waves, other records, or fewer than two landmarks in the cells.

    Examples
    --------
    >>> import ecg_widget as ecg
    >>> ds = ecg.simulate(4, seed=0)
    >>> acts = ecg.activations(ecg.load_network(), ds)
    >>> seg = ecg.TimeClusters(8, random_state=0).fit_predict(acts)
    >>> result = alignment(seg, ds, n_shifts=20, n_bootstrap=20)
    >>> bool(result["ami"].sel(source="network") > result["shifted_mean"].sel(source="network"))
    True
    """
    truth = cell_landmarks(ds, segmentation, landmarks)
    names = truth.attrs["flag_meanings"].split()
    n_clusters = int(segmentation.attrs.get("n_clusters", int(segmentation["cluster"].max()) + 1))
    there = np.unique(truth.values[truth.values >= 0])
    if len(there) < 2:
        raise ValueError(
            f"wave: expected at least two of {names} among the cells, got {[names[i] for i in there]}; is wave_known "
            "False everywhere, or the recording without beats?"
        )
    signal = signal_segmentation(ds, segmentation, n_clusters, random_state=random_state)
    tracks = {"network": segmentation["cluster"].transpose("record", "cell").values, "signal": signal["cluster"].values}
    rng = np.random.default_rng(random_state)
    draws = rng.multinomial(
        truth.sizes["record"], np.full(truth.sizes["record"], 1 / truth.sizes["record"]), n_bootstrap
    )
    offsets = [rng.random(truth.sizes["record"]) for _ in range(n_shifts)]
    found = {name: _measure(track, truth, (n_clusters, len(names)), draws, offsets) for name, track in tracks.items()}
    return _dataset(found, truth, n_clusters)


def signal_segmentation(
    ds: xr.Dataset, cells: xr.Dataset | xr.DataArray, n_clusters: int, *, random_state: int = 0
) -> xr.Dataset:
    """k-means on the raw leads at given cells: what anyone can see without a network.

    Parameters
    ----------
    ds
        Of the data contract.
    cells
        With ``centre (cell)``, ``record`` and, if not all are, ``valid (record, cell)``.
    n_clusters
        Of k-means, the best of 4 starts.
    random_state
        Of the starts.

    Returns
    -------
    xarray.Dataset
        As of `TimeClusters.predict`.

    Examples
    --------
    >>> import ecg_widget as ecg
    >>> ds = ecg.simulate(2, seed=0)
    >>> signal_segmentation(ds, ecg.activations(ecg.load_network(), ds)["blocks.3"], 4)["cluster"].shape
    (2, 125)
    """
    centre, time = cells["centre"].values, ds["time"].values
    position = np.interp(centre, time, np.arange(len(time), dtype=float))
    left = np.minimum(position.astype(int), len(time) - 2)
    share = (position - left).astype(np.float32)
    values = ds["signal"].values
    at = values[..., left] * (1 - share) + values[..., left + 1] * share
    valid = np.isfinite(at).all(axis=1)
    if "valid" in cells.coords or (isinstance(cells, xr.Dataset) and "valid" in cells):
        valid &= cells["valid"].transpose("record", "cell").values
    x = xr.DataArray(
        np.where(valid[:, None], at, 0).transpose(0, 2, 1),
        dims=("record", "cell", "feature"),
        coords={"record": ds["record"].variable, "centre": ("cell", centre), "valid": (("record", "cell"), valid)},
    )
    return TimeClusters(n_clusters, n_init=_SIGNAL_STARTS, random_state=random_state).fit(x).predict(x)


def counts(track: np.ndarray, truth: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Cells of each record in each cluster and landmark: ``(record, cluster, landmark)``; -1 of either is left out."""
    use = (track >= 0) & (truth >= 0)
    record = np.broadcast_to(np.arange(len(track))[:, None], track.shape)[use]
    index = (record * shape[0] + track[use]) * shape[1] + truth[use]
    return np.bincount(index, minlength=len(track) * shape[0] * shape[1]).reshape(len(track), *shape)


def scores(table: np.ndarray, expected: float | None = None) -> dict[str, float]:
    """AMI, NMI, homogeneity, completeness, V-measure and purity of one table ``(cluster, landmark)`` of counts.

    Parameters
    ----------
    table
        Whole numbers >= 0, at least one > 0.
    expected
        Mutual information (nat) of tables with these margins by chance; computed if None.

    Examples
    --------
    >>> scores(np.array([[5, 0], [0, 5]]))["ami"], round(scores(np.array([[5, 5], [5, 5]]))["nmi"], 6)
    (1.0, 0.0)
    """
    table = table[table.sum(axis=1) > 0][:, table.sum(axis=0) > 0]
    n = int(table.sum())
    mutual = max(float(mutual_info_score(None, None, contingency=table)), 0.0)
    h_cluster, h_truth = float(stats.entropy(table.sum(axis=1))), float(stats.entropy(table.sum(axis=0)))
    chance = float(expected_mutual_information(table, n)) if expected is None else expected
    mean = (h_cluster + h_truth) / 2
    filled = table > 0
    same = bool((filled.sum(axis=0) == 1).all() and (filled.sum(axis=1) == 1).all())
    # As in scikit-learn: chance may equal the mean entropy where each cell is a cluster of its own.
    above = float(np.copysign(max(abs(mean - chance), np.finfo(float).eps), mean - chance))
    return {
        "ami": 1.0 if same else (mutual - chance) / above,
        "nmi": 1.0 if same else mutual / mean,
        "homogeneity": mutual / h_truth if h_truth else 1.0,
        "completeness": mutual / h_cluster if h_cluster else 1.0,
        "v_measure": 1.0 if same else mutual / mean,
        "purity": float(table.max(axis=1).sum() / n),
        "expected": chance,
    }


def shift(track: np.ndarray, offset: np.ndarray) -> np.ndarray:
    """Rotate each record's valid cells by a share ``(record,)`` in [0, 1) of their number, by one cell at least."""
    out = track.copy()
    for row, share in zip(out, offset, strict=True):
        valid = np.flatnonzero(row >= 0)
        if len(valid) > 1:
            row[valid] = np.roll(row[valid], 1 + int(share * (len(valid) - 1)))
    return out


def _measure(
    track: np.ndarray,
    landmarks: xr.DataArray,
    shape: tuple[int, int],
    draws: np.ndarray,
    offsets: list[np.ndarray],
) -> dict[str, Any]:
    truth, centre = landmarks.values, landmarks["centre"].values
    each = counts(track, truth, shape)
    table = each.sum(axis=0)
    out: dict[str, Any] = dict(scores(table))
    chance = out.pop("expected")  # hardly moves between draws and shifts, whose margins are about the same
    out["draws"] = np.array([scores(np.tensordot(w, each, 1), chance)["ami"] for w in draws])
    shifted = [shift(track, offset) for offset in offsets]
    tables = [counts(s, truth, shape).sum(axis=0) for s in shifted]
    null = np.array([scores(t, chance)["ami"] for t in tables])
    out["shifted_mean"], out["shifted_sd"] = null.mean(), null.std(ddof=1)
    out["z"] = (out["ami"] - out["shifted_mean"]) / out["shifted_sd"]
    total = table.sum(axis=1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        out["probability"] = table / total
        out["lift"] = out["probability"] / (table.sum(axis=0) / table.sum())
        out["iou"] = np.nanmax(table / (total + table.sum(axis=0) - table), axis=0)
    out["p_value"], out["q_value"] = _tested(table, np.array(tables).reshape(-1, *shape))
    precision, recall = _boundaries(track, truth, centre)
    out["boundary_precision"], out["boundary_recall"] = precision, recall
    out["boundary_f1"] = f1(precision, recall)
    chances = [f1(*_boundaries(s, truth, centre)) for s in shifted[:_BOUNDARY_SHIFTS]]
    out["boundary_f1_shifted"] = np.mean(chances, axis=0)
    out["table"] = table
    return out


def _tested(table: np.ndarray, shifted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How often shifts put as many cells of a cluster on a landmark, or as few; NaN for what never occurs."""
    above, below = (1 + (shifted >= table).sum(axis=0)), (1 + (shifted <= table).sum(axis=0))
    p = np.minimum(1, 2 * np.minimum(above, below) / (1 + len(shifted)))
    p = np.where(table.sum(axis=1, keepdims=True) * table.sum(axis=0) > 0, p, np.nan)
    q = np.full_like(p, np.nan)
    q[np.isfinite(p)] = stats.false_discovery_control(p[np.isfinite(p)])
    return p, q


def _boundaries(track: np.ndarray, truth: np.ndarray, centre: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    hits, ours, theirs = boundary_counts(track, truth, centre)
    with np.errstate(invalid="ignore", divide="ignore"):
        return hits / ours, hits / theirs


def _dataset(found: dict[str, dict[str, Any]], truth: xr.DataArray, n_clusters: int) -> xr.Dataset:
    dims = {
        "probability": ("source", "cluster", "landmark"),
        **dict.fromkeys(("lift", "p_value", "q_value"), ("source", "cluster", "landmark")),
        "iou": ("source", "landmark"),
        **{f"boundary_{n}": ("source", "tolerance") for n in ("precision", "recall", "f1", "f1_shifted")},
    }
    names = [n for n in found["network"] if n not in ("draws", "table")]
    data: dict[str, Any] = {
        n: (dims.get(n, ("source",)), np.stack([np.asarray(f[n], float) for f in found.values()])) for n in names
    }
    draws = np.stack([f["draws"] for f in found.values()])
    data["ami_95"] = (("source", "bound"), np.quantile(draws, [0.025, 0.975], axis=1).T)
    data["ratio"] = ((), found["network"]["ami"] / found["signal"]["ami"])
    data["ratio_95"] = (("bound",), np.quantile(draws[0] / draws[1], [0.025, 0.975]))
    table = found["network"]["table"]
    data["purity_majority"] = ((), table.sum(axis=0).max() / table.sum())
    return xr.Dataset(
        data,
        coords={
            "source": list(found),
            "cluster": np.arange(n_clusters),
            "landmark": truth.attrs["flag_meanings"].split(),
            "tolerance": ("tolerance", list(TOLERANCES), {"units": "s"}),
            "bound": ["low", "high"],
        },
        attrs={
            "n_cells": int(table.sum()),
            "n_records": int((truth.values >= 0).any(axis=1).sum()),
            "n_clusters": n_clusters,
            "cell_s": float(np.median(np.diff(truth["centre"].values))),
        },
    )
