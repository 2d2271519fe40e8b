"""Many fits instead of one: of each record, of drawn records, of every number of clusters."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import xarray as xr
from sklearn.base import clone
from sklearn.metrics import calinski_harabasz_score, davies_bouldin_score, silhouette_score
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from ecg_widget.clusters.embedding import embed
from ecg_widget.clusters.estimator import Activations, TimeClusters
from ecg_widget.clusters.matching import match_centers, match_clusters

__all__ = ["fit_each_record", "sweep", "vote"]

SCORED_CELLS = 2_000  # the silhouette compares all pairs of cells


def fit_each_record(clusters: TimeClusters, X: Activations) -> xr.Dataset:
    """Clusters of each record on its own, named after those of all records.

    Global clusters say which parts of records are alike across records; a record's own clusters describe its rhythm
    best and need no other record. Each record's clusters take the names of the global ones that their centres match, so
    a name means about the same everywhere, but proportions of different records rest on different centres.

    Parameters
    ----------
    clusters
        Fitted: the global clusters to match to. Not fitted: they are fitted to `X` first. Its parameters are used for
        each record.
    X
        As for `TimeClusters.fit`.

    Returns
    -------
    xarray.Dataset
        As `TimeClusters.predict` returns, and ``tau (record)``, ``center (record, cluster, feature)``. A record with
        fewer valid cells than clusters has none: cluster -1, NaN elsewhere.

    Examples
    --------
    >>> import ecg_widget as ecg
    >>> acts = ecg.activations(ecg.load_network(), ecg.simulate(3))
    >>> own = fit_each_record(ecg.TimeClusters(4, random_state=0), acts)
    >>> own["cluster"].dims, own["center"].dims, own["tau"].sizes["record"]
    (('record', 'cell'), ('record', 'cluster', 'feature'), 3)
    """
    x = _embedding(clusters, X)
    reference = clusters if _is_fitted(clusters) else clone(clusters).fit(x)
    parts, centers = [], []
    for row in range(x.sizes["record"]):
        one = x.isel(record=slice(row, row + 1))
        if int(one["valid"].sum()) < clusters.n_clusters:
            part = _nothing(reference.predict(one))
            center, tau = np.full_like(reference.cluster_centers_, np.nan), np.nan
        else:
            own = clone(clusters).fit(one)
            order = np.argsort(match_centers(own.cluster_centers_, reference.cluster_centers_))
            own.cluster_centers_, own.log_prior_ = own.cluster_centers_[order], own.log_prior_[order]
            part, center, tau = own.predict(one), own.cluster_centers_, own.tau_
        centers.append(center)
        parts.append(part.assign(tau=("record", [tau])))
    out = xr.concat(parts, "record", data_vars="minimal", coords="minimal", compat="override", join="override")
    out.attrs = {"layers": reference.layers_, "n_clusters": clusters.n_clusters, "fits": "one a record"}
    return out.assign(center=(("record", "cluster", "feature"), np.stack(centers)))


def vote(clusters: TimeClusters, X: Activations, *, n_fits: int = 10, bootstrap: bool = True) -> xr.Dataset:
    """How far fits that differ only by chance agree on every cell.

    Each fit has a seed of its own and, with `bootstrap`, records drawn with replacement. Its clusters take the names of
    those of one reference fit whose centres they match (Hungarian algorithm), and each cell gets one vote a fit. The
    entropy of the votes is low where all fits cut the record alike. It says how far the clusters depend on chance, not
    whether they mean anything; where one fit is ambiguous and all of them agree that it is, see the entropy of
    `TimeClusters.predict`.

    Parameters
    ----------
    clusters
        Its parameters are used; it is not fitted.
    X
        As for `TimeClusters.fit`.
    n_fits
        At least 2.
    bootstrap
        Whether records are drawn too. With one record, only the seeds differ.

    Returns
    -------
    xarray.Dataset
        ``share (record, cell, cluster)`` of the votes; ``cluster (record, cell)`` int16, the one with most votes, -1
        where masked; ``vote_entropy (record, cell)`` in [0, 1], entropy of the votes over log K; ``agreement
        (record, cell)``, the largest share; ``proportion (record, cluster)``. Coords of the embedding.

    Raises
    ------
    ValueError
        Fewer than two fits.

    Examples
    --------
    >>> import ecg_widget as ecg
    >>> acts = ecg.activations(ecg.load_network(), ecg.simulate(4))
    >>> found = vote(ecg.TimeClusters(4, random_state=0), acts, n_fits=5)
    >>> found["share"].dims, bool(((found["agreement"] >= 0.2) & (found["vote_entropy"] <= 1)).all())
    (('record', 'cell', 'cluster'), True)
    """
    if isinstance(n_fits, bool) or not isinstance(n_fits, (int, np.integer)) or n_fits < 2:
        raise ValueError(f"n_fits: expected a whole number of at least 2, got {n_fits!r}")
    x = _embedding(clusters, X)
    rng = check_random_state(clusters.random_state)
    k, n = clusters.n_clusters, x.sizes["record"]
    reference = clone(clusters).set_params(random_state=rng.randint(2**31 - 1)).fit(x)
    first = reference.predict(x)
    valid = first["valid"].transpose("record", "cell").values
    votes = np.zeros((*valid.shape, k), np.int32)
    for _ in range(n_fits):
        drawn = rng.randint(n, size=n) if bootstrap and n > 1 else np.arange(n)
        if int(x["valid"].isel(record=drawn).sum()) < k:  # by chance, only records without enough valid cells
            drawn = np.arange(n)
        fit = clone(clusters).set_params(random_state=rng.randint(2**31 - 1)).fit(x.isel(record=drawn))
        names = match_centers(fit.cluster_centers_, reference.cluster_centers_)
        found = fit.predict(x)["cluster"].transpose("record", "cell").values
        votes[valid, names[found[valid]]] += 1
    share = votes / n_fits
    with np.errstate(divide="ignore", invalid="ignore"):
        entropy = -np.where(share > 0, share * np.log(share), 0.0).sum(2) / np.log(k)
    most = np.where(valid, votes.argmax(2), -1)
    count = valid.sum(1, keepdims=True)
    counted = np.stack([(most == c).sum(1) for c in range(k)], axis=1)
    dims = ("record", "cell")
    return xr.Dataset(
        {
            "cluster": (dims, most.astype(np.int16)),
            "vote_entropy": (dims, np.where(valid, entropy.clip(0, 1), np.nan).astype(np.float32)),
            "agreement": (dims, np.where(valid, share.max(2), np.nan).astype(np.float32)),
            "share": ((*dims, "cluster"), np.where(valid[..., None], share, np.nan).astype(np.float32)),
            "proportion": (
                ("record", "cluster"),
                np.where(count > 0, counted / np.maximum(count, 1), np.nan).astype(np.float32),
            ),
        },
        coords={name: c.variable for name, c in x.coords.items() if "feature" not in c.dims and name != "valid"},
        attrs={"n_fits": int(n_fits), "bootstrap": bootstrap, "n_clusters": k, "layers": reference.layers_},
    ).assign(valid=(dims, valid))


def sweep(clusters: TimeClusters, X: Activations, n_clusters: Iterable[int] = range(2, 21)) -> xr.Dataset:
    """What each number of clusters gives, to choose one by.

    None of the measures knows what the clusters are for: the inertia always falls, and silhouettes favour few clusters.
    Look at which number serves the question asked, by `ecg_widget.evaluation`, and here at what it costs.

    Parameters
    ----------
    clusters
        Its other parameters are used.
    X
        As for `TimeClusters.fit`.
    n_clusters
        Numbers to try.

    Returns
    -------
    xarray.Dataset
        Along ``n_clusters``: ``inertia``; ``explained``, share of the cells' squared distance to their mean;
        ``silhouette``, ``calinski_harabasz``, ``davies_bouldin`` on 2000 cells at most; ``entropy``, mean over cells;
        ``smallest_share`` of the cells in a cluster; ``tau``; ``n_iter``; ``slot (n_clusters, cluster)``, the name that
        each cluster keeps from the number before it (`match_clusters`), -1 beyond the number of clusters.

    Raises
    ------
    ValueError
        No number, or one out of range.

    Examples
    --------
    >>> import ecg_widget as ecg
    >>> acts = ecg.activations(ecg.load_network(), ecg.simulate(3))
    >>> table = sweep(ecg.TimeClusters(random_state=0), acts, [2, 4, 8])
    >>> bool((table["explained"].diff("n_clusters") > 0).all()), table["slot"].values[0, :3].tolist()
    (True, [0, 1, -1])
    """
    numbers = sorted(set(n_clusters))
    if not numbers:
        raise ValueError("n_clusters: expected at least one number of clusters, got none")
    x = _embedding(clusters, X)
    cells = x.values[x["valid"].transpose("record", "cell").values]
    total = float(((cells - cells.mean(0, dtype=np.float64)) ** 2).sum())
    some = np.random.default_rng(0).permutation(len(cells))[:SCORED_CELLS]
    rows: list[dict[str, float]] = []
    slots = np.full((len(numbers), max(numbers)), -1, np.int64)
    before: xr.Dataset | None = None
    for row, k in enumerate(numbers):
        fit = clone(clusters).set_params(n_clusters=k).fit(x)
        found = fit.predict(x)
        slots[row, :k] = np.arange(k) if before is None else match_clusters(found, before)
        before = found.assign(slot=("cluster", slots[row, :k]))
        labels = found["cluster"].transpose("record", "cell").values[x["valid"].transpose("record", "cell").values]
        inertia = float(((cells - fit.cluster_centers_[labels]) ** 2).sum(dtype=np.float64))
        rows.append(
            {
                "inertia": inertia,
                "explained": 1 - inertia / total if total else np.nan,
                **_scores(cells[some], labels[some]),
                "entropy": float(found["entropy"].mean()),
                "smallest_share": float(np.bincount(labels, minlength=k).min() / len(labels)),
                "tau": fit.tau_,
                "n_iter": fit.n_iter_,
            }
        )
    return xr.Dataset(
        {name: ("n_clusters", np.array([row[name] for row in rows], np.float64)) for name in rows[0]}
        | {"slot": (("n_clusters", "cluster"), slots)},
        coords={"n_clusters": numbers},
        attrs={"layers": list(x.attrs.get("layers", [])), "scored_cells": len(some)},
    )


def _scores(cells: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    if not 2 <= len(np.unique(labels)) < len(labels):
        return dict.fromkeys(("silhouette", "calinski_harabasz", "davies_bouldin"), np.nan)
    return {
        "silhouette": float(silhouette_score(cells, labels)),
        "calinski_harabasz": float(calinski_harabasz_score(cells, labels)),
        "davies_bouldin": float(davies_bouldin_score(cells, labels)),
    }


def _embedding(clusters: TimeClusters, X: Activations) -> xr.DataArray:
    if isinstance(X, xr.DataArray):
        return X
    statistics = clusters.statistics_ if _is_fitted(clusters) and clusters.statistics_ else None
    return embed(
        X,
        normalization=clusters.normalization,
        weighted=clusters.weighted,
        interpolation=clusters.interpolation,
        statistics=statistics,
        device=clusters.device,
    )


def _is_fitted(clusters: TimeClusters) -> bool:
    try:
        check_is_fitted(clusters)
    except ValueError:  # NotFittedError
        return False
    return True


def _nothing(segmentation: xr.Dataset) -> xr.Dataset:
    """The same cells with no cluster."""
    out = segmentation.copy()
    for name in ("entropy", "margin", "probability", "proportion"):
        out[name] = xr.full_like(segmentation[name], np.nan)
    out["cluster"] = xr.full_like(segmentation["cluster"], -1)
    return out
