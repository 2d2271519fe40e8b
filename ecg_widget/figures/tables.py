"""Tidy tables: one row an observation, of what the figures draw. They go to CSV, parquet, Altair, seaborn or R."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from ecg_widget.clusters.summaries import uncertainty
from ecg_widget.palette import letter
from ecg_widget.parts import principal_components

__all__ = [
    "alignment_table",
    "association_table",
    "cell_table",
    "choice_table",
    "entropy_table",
    "risk_table",
]


def cell_table(segmentation: xr.Dataset, embedding: xr.DataArray) -> pd.DataFrame:
    """Every valid cell with its place on the two principal components of the embedding.

    Parameters
    ----------
    segmentation
        As `ecg_widget.TimeClusters.predict` gives: ``cluster, entropy, margin (record, cell)``.
    embedding
        ``(record, cell, feature)`` of the same records, as `ecg_widget.embed` gives.

    Returns
    -------
    pandas.DataFrame
        ``record``, ``cell``, ``time_s`` (its centre), ``cluster`` (0, 1, ...), ``letter`` (of its ``slot`` where the
        segmentation has them, as in the view), ``entropy`` and ``margin`` (0 to 1), ``component_1``, ``component_2``
        (units of the embedding). attrs ``explained``: the share of the variance of each component.

    Raises
    ------
    ValueError
        An embedding of other records or cells; records of one name; no valid cell.

    Examples
    --------
    >>> import ecg_widget as ecg
    >>> x = ecg.embed(ecg.activations(ecg.load_network(), ecg.simulate(2)))
    >>> table = cell_table(ecg.TimeClusters(3, random_state=0).fit_predict(x), x)
    >>> table.columns.tolist()[:5], bool((table["letter"].isin(["A", "B", "C"])).all())
    (['record', 'cell', 'time_s', 'cluster', 'letter'], True)
    """
    x = embedding.transpose("record", "cell", "feature")
    cluster = segmentation["cluster"].transpose("record", "cell").values
    if x.shape[:2] != cluster.shape or not np.array_equal(x["record"].values, segmentation["record"].values):
        raise ValueError(
            f"embedding: expected the {cluster.shape[0]} records of {cluster.shape[1]} cells of the segmentation, got "
            f"{x.shape[0]} of {x.shape[1]}, or others; embed the activations that were segmented"
        )
    _check_different("record", segmentation["record"].values)
    valid = cluster.ravel() >= 0
    if not valid.any():
        raise ValueError("segmentation: expected a valid cell, got none: all records are gaps or exactly zero")
    letters = [letter(slot) for slot in slots_of(segmentation)]
    components, explained = principal_components(x.values.reshape(valid.size, -1), valid)
    row, cell = np.divmod(np.flatnonzero(valid), cluster.shape[1])
    table = pd.DataFrame(
        {
            "record": segmentation["record"].values.astype(str)[row],
            "cell": cell,
            "time_s": segmentation["centre"].values[cell],
            "cluster": cluster.ravel()[valid],
            "letter": [letters[c] for c in cluster.ravel()[valid]],
            **{
                name: segmentation[name].transpose("record", "cell").values.ravel()[valid]
                for name in ("entropy", "margin")
            },
            "component_1": components[valid, 0],
            "component_2": components[valid, 1],
        }
    )
    table.attrs["explained"] = explained
    return table


def choice_table(
    sweep: xr.Dataset | None = None,
    stability: xr.Dataset | None = None,
    fidelity: Mapping[int, xr.Dataset] | None = None,
) -> pd.DataFrame:
    """What each number of clusters gives: inertia, stability and fidelity.

    Parameters
    ----------
    sweep
        Of `ecg_widget.clusters.sweep`.
    stability
        Of `ecg_widget.evaluation.stability`.
    fidelity
        Number of clusters -> what `ecg_widget.evaluation.fidelity` returned for it.

    Returns
    -------
    pandas.DataFrame
        ``n_clusters``; ``measure``: ``"explained"`` (share of the cells' squared distance to their mean), ``"inertia"``
        (squared units of the embedding), ``"silhouette"``, ``"stability, seeds"`` and ``"stability, records"``
        (adjusted Rand index, median), ``"fidelity, kappa"``, ``"fidelity, agreement"`` (means over folds); ``value``;
        ``low``, ``high``: the 10th and 90th percentile of the draws, or a standard deviation over folds either side.

    Raises
    ------
    ValueError
        Nothing given.

    Examples
    --------
    >>> found = xr.Dataset({"inertia": ("n_clusters", [9.0, 4.0])}, {"n_clusters": [2, 3]})
    >>> choice_table(found)[["n_clusters", "measure", "value"]].values.tolist()
    [[2, 'inertia', 9.0], [3, 'inertia', 4.0]]
    """
    if sweep is None and stability is None and not fidelity:
        raise ValueError("expected sweep=, stability= or fidelity=, got none; see ecg_widget.clusters.sweep")
    rows: list[tuple[int, str, float, float, float]] = []
    for name in ("explained", "inertia", "silhouette"):
        if sweep is not None and name in sweep:
            rows += [(int(k), name, float(v), np.nan, np.nan) for k, v in _pairs(sweep[name])]
    for name, text in (("ari_seed", "stability, seeds"), ("ari_bootstrap", "stability, records")):
        if stability is not None and name in stability and stability[name].size:
            low, middle, high = np.nanquantile(
                stability[name].transpose("n_clusters", ...).values, [0.1, 0.5, 0.9], axis=1
            )
            numbers = stability["n_clusters"].values
            drawn = zip(numbers, middle, low, high, strict=True)
            rows += [(int(k), text, float(m), float(a), float(b)) for k, m, a, b in drawn]
    for k, found in sorted((fidelity or {}).items()):
        if "clusters" not in found["surrogate"].values:
            names = found["surrogate"].values.tolist()
            raise ValueError(f"fidelity[{k}]: expected the surrogate 'clusters', got {names}")
        one = found.sel(surrogate="clusters")
        for score, text in (("kappa", "fidelity, kappa"), ("agreement", "fidelity, agreement")):
            if f"{score}_mean" in one:
                mean, sd = float(one[f"{score}_mean"]), float(one[f"{score}_sd"])
                rows.append((int(k), text, mean, mean - sd, mean + sd))
    return pd.DataFrame(rows, columns=["n_clusters", "measure", "value", "low", "high"])


def association_table(result: xr.Dataset) -> pd.DataFrame:
    """Clusters against classes, one row for each pair and source.

    Parameters
    ----------
    result
        Of `ecg_widget.evaluation.association`.

    Returns
    -------
    pandas.DataFrame
        ``source``, ``cluster``, ``letter``, ``target``, ``lift``, ``correlation``, ``p_value``, ``q_value``.

    Examples
    --------
    >>> dims = ("source", "cluster", "target")
    >>> names = ("lift", "correlation", "p_value", "q_value")
    >>> found = xr.Dataset({n: (dims, np.full((1, 2, 1), 0.5)) for n in names}, {"source": ["true"], "target": ["MI"]})
    >>> association_table(found)["letter"].tolist()
    ['A', 'B']
    """
    return _pairs_table(result, "target", ("lift", "correlation", "p_value", "q_value"))


def alignment_table(result: xr.Dataset) -> pd.DataFrame:
    """Clusters against waves, one row for each pair and source.

    Parameters
    ----------
    result
        Of `ecg_widget.evaluation.alignment`.

    Returns
    -------
    pandas.DataFrame
        ``source`` (the network's clusters, or those of the raw signal), ``cluster``, ``letter``, ``landmark``,
        ``probability`` of the landmark given the cluster, ``lift``, ``p_value``, ``q_value``.

    Examples
    --------
    >>> dims = ("source", "cluster", "landmark")
    >>> names = ("probability", "lift", "p_value", "q_value")
    >>> found = xr.Dataset({n: (dims, np.full((1, 1, 2), 0.5)) for n in names}, {"source": ["network"]})
    >>> alignment_table(found.assign_coords(landmark=["P", "QRS"]))["landmark"].tolist()
    ['P', 'QRS']
    """
    return _pairs_table(result, "landmark", ("probability", "lift", "p_value", "q_value"))


def entropy_table(segmentation: xr.Dataset, label: xr.DataArray) -> pd.DataFrame:
    """Mean entropy of every record, once for each class that it belongs to.

    Parameters
    ----------
    segmentation
        As `ecg_widget.TimeClusters.predict` gives.
    label
        ``(record, target)``, 1 where a record belongs to a class: true labels, or predictions above a threshold.

    Returns
    -------
    pandas.DataFrame
        ``target``, ``record``, ``entropy`` over all valid cells, ``entropy_interior`` away from boundaries (0 to 1).

    Raises
    ------
    ValueError
        Labels of other records.

    Examples
    --------
    >>> import ecg_widget as ecg
    >>> ds = ecg.simulate(3, seed=0)
    >>> seg = ecg.TimeClusters(4, random_state=0).fit_predict(ecg.activations(ecg.load_network(), ds))
    >>> entropy_table(seg, ds["label"]).columns.tolist()
    ['target', 'record', 'entropy', 'entropy_interior']
    """
    found = uncertainty(segmentation, label)
    belongs = label.transpose("record", "target").values == 1
    rows = [
        (str(target), str(record), float(found["entropy"][i]), float(found["entropy_interior"][i]))
        for t, target in enumerate(label["target"].values)
        for i, record in enumerate(found["record"].values)
        if belongs[i, t]
    ]
    return pd.DataFrame(rows, columns=["target", "record", "entropy", "entropy_interior"])


def risk_table(result: xr.Dataset) -> pd.DataFrame:
    """Risk over coverage, one row for each measure of uncertainty and share of records.

    Parameters
    ----------
    result
        Of `ecg_widget.evaluation.uncertainty`.

    Returns
    -------
    pandas.DataFrame
        ``measure``, ``coverage`` (share of records kept, least uncertain first), ``risk`` (share of wrong labels among
        them), ``auroc`` of the measure.

    Examples
    --------
    >>> curve = {"selective_risk": (("measure", "coverage"), [[0.0, 0.1]]), "auroc": ("measure", [0.7]), "risk": 0.1}
    >>> risk_table(xr.Dataset(curve, {"measure": ["entropy"], "coverage": [0.5, 1.0]}))["risk"].tolist()
    [0.0, 0.1]
    """
    curve = result["selective_risk"].rename("selective_risk")
    table = curve.to_dataframe().reset_index().rename(columns={"selective_risk": "risk"})
    auroc = {str(m): float(result["auroc"].sel(measure=m)) for m in result["measure"].values}
    return table[["measure", "coverage", "risk"]].assign(auroc=table["measure"].astype(str).map(auroc))


def slots_of(segmentation: xr.Dataset) -> list[int]:
    """The colour of each cluster: its ``slot`` where there is one, else its number."""
    if "slot" in segmentation:
        return [int(s) for s in segmentation["slot"].values]
    return list(range(segmentation.sizes["cluster"]))


def _check_different(what: str, names: Any) -> None:
    if len({str(name) for name in names}) != len(names):
        raise ValueError(f"{what}: expected different names, got {[str(name)[:40] for name in names[:10]]}")


def _pairs(values: xr.DataArray) -> Any:
    return zip(values["n_clusters"].values, values.values, strict=True)


def _pairs_table(result: xr.Dataset, other: str, names: tuple[str, ...]) -> pd.DataFrame:
    missing = [name for name in names if name not in result]
    if missing:
        raise ValueError(f"result: expected {', '.join(names)}, got none of {', '.join(missing)}; measure it anew")
    _check_different(other, result[other].values)
    shape = result[names[0]].transpose("source", "cluster", other)
    at = np.indices(shape.shape).reshape(3, -1)
    return pd.DataFrame(
        {
            "source": result["source"].values.astype(str)[at[0]],
            "cluster": at[1],
            "letter": [letter(int(c)) for c in at[1]],
            other: result[other].values.astype(str)[at[2]],
            **{name: result[name].transpose("source", "cluster", other).values.ravel() for name in names},
        }
    )
