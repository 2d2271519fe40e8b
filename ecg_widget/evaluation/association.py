"""Which clusters go with which labels: shares of the clusters against what the network says and what is true."""

from __future__ import annotations

import warnings

import numpy as np
import xarray as xr
from scipy import stats

__all__ = ["association", "centred_log_ratio"]

LEAST_SHARE = 1e-4  # added to every share: the logarithm of a cluster that a record lacks


def centred_log_ratio(proportion: xr.DataArray) -> xr.DataArray:
    """Free shares from summing to 1: the logarithm of each, less the record's mean (Aitchison 1982).

    Shares are compositional: where one rises the others must fall, and plain correlations show that and nothing else.

    Parameters
    ----------
    proportion
        ``(record, cluster)``, as `ecg_widget.TimeClusters.predict` gives it.

    Returns
    -------
    xarray.DataArray
        ``(record, cluster)``; rows sum to 0, NaN for a record without a valid cell.

    Examples
    --------
    >>> shares = xr.DataArray([[0.5, 0.5], [0.9, 0.1]], dims=("record", "cluster"))
    >>> centred_log_ratio(shares).values.round(2).tolist()
    [[0.0, 0.0], [1.1, -1.1]]
    """
    logarithm = xr.ufuncs.log(proportion.astype(np.float64) + LEAST_SHARE)
    return logarithm - logarithm.mean("cluster")


def association(
    segmentation: xr.Dataset, prediction: xr.DataArray | None = None, label: xr.DataArray | None = None
) -> xr.Dataset:
    """Correlate the share of each cluster with each target, as predicted and as labelled, side by side.

    Spearman's rank correlation of the centred log-ratio of the shares with the labels; p values are adjusted for all
    clusters and targets of one source together (false discovery rate, Benjamini and Hochberg 1995).

    What it means: records that the network calls so spend more (or less) of their time in that cluster. What it does
    not: that the cluster makes the network say so (see `ecg_widget.contributions`), or that it lies on the wave that a
    cardiologist would look at (see `alignment`). A bad value: correlations with labels but none with predictions, where
    clusters show something that the network does not use; or a ``q_value`` above .05, where chance would do.

    Parameters
    ----------
    segmentation
        As `ecg_widget.TimeClusters.predict` gives it, with ``proportion (record, cluster)``.
    prediction
        ``(record, target)``: what `ecg_widget.predict` gives. Probabilities become labels at 0.5, values stay.
    label
        ``(record, target)``, bool or values, NaN where unknown.

    Returns
    -------
    xarray.Dataset
        ``correlation``, ``p_value``, ``q_value (source, cluster, target)``, NaN where a target is the same for all
        records; ``lift (source, cluster, target)``, mean share of a cluster in the records of a class over that in all
        records, NaN for values and for classes without a record; coord ``source``: ``"predicted"``, ``"true"``. attrs:
        ``method``, ``n_records``.

    Raises
    ------
    ValueError
        Neither predictions nor labels, other records, targets that differ, or fewer than three records.

    Examples
    --------
    >>> import ecg_widget as ecg
    >>> net, ds = ecg.load_network(), ecg.simulate(8, seed=0)
    >>> segments = ecg.TimeClusters(4, random_state=0).fit_predict(ecg.activations(net, ds))
    >>> found = association(segments, ecg.predict(net, ds))
    >>> found["q_value"].dims, found["source"].values.tolist()
    (('source', 'cluster', 'target'), ['predicted'])
    """
    given = {"predicted": _hard(prediction), "true": label}
    sources = {name: values for name, values in given.items() if values is not None}
    if not sources:
        raise ValueError("expected predictions or labels, got neither; pass prediction= or label=")
    records = segmentation["record"].values
    share = segmentation["proportion"].transpose("record", "cluster")
    ratio = centred_log_ratio(share).values
    if len(records) < 3:
        raise ValueError(f"record: expected three or more, got {len(records)}: two points are always on a line")
    targets = next(iter(sources.values()))["target"].values.tolist()
    tables = []
    for name, values in sources.items():
        if values["target"].values.tolist() != targets:
            raise ValueError(f"{name}: expected the targets {targets}, got {values['target'].values.tolist()}")
        if values.sizes["record"] != len(records) or (
            "record" in values.coords and set(values["record"].values) != set(records)
        ):
            raise ValueError(f"{name}: expected the {len(records)} records of the segmentation, got others")
        ordered = values.sel(record=records) if "record" in values.coords else values
        y = ordered.transpose("record", "target").values.astype(np.float64)
        tables.append((*_correlations(ratio, y), _lift(share.values.astype(np.float64), y)))
    dims = ("source", "cluster", "target")
    parts = [np.stack(part) for part in zip(*tables, strict=True)]
    return xr.Dataset(
        {n: (dims, part) for n, part in zip(("correlation", "p_value", "q_value", "lift"), parts, strict=True)},
        {"source": list(sources), "target": targets},
        {"method": "Spearman, centred log-ratio of shares; q: Benjamini-Hochberg", "n_records": len(records)},
    )


def _hard(prediction: xr.DataArray | None) -> xr.DataArray | None:
    if prediction is None or prediction.attrs.get("output") != "probability":
        return prediction
    return prediction >= 0.5


def _correlations(ratio: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    shape = (ratio.shape[1], values.shape[1])
    correlation, p = np.full(shape, np.nan), np.full(shape, np.nan)
    for target in range(shape[1]):
        known = np.isfinite(values[:, target]) & np.isfinite(ratio).all(axis=1)
        for cluster in range(shape[0]):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", stats.ConstantInputWarning)  # no correlation: NaN says so
                found = stats.spearmanr(ratio[known, cluster], values[known, target])
            correlation[cluster, target], p[cluster, target] = found.statistic, found.pvalue
    q = np.full(shape, np.nan)
    if (tested := np.isfinite(p)).any():
        q[tested] = stats.false_discovery_control(p[tested])
    return correlation, p, q


def _lift(share: np.ndarray, values: np.ndarray) -> np.ndarray:
    """``(cluster, target)``."""
    out = np.full((share.shape[1], values.shape[1]), np.nan)
    there = np.isfinite(share).all(axis=1)
    for target, column in enumerate(values.T):
        known = there & np.isfinite(column)
        if set(np.unique(column[known])) <= {0.0, 1.0} and (column[known] == 1).any():
            with np.errstate(invalid="ignore", divide="ignore"):
                out[:, target] = share[known & (column == 1)].mean(axis=0) / share[known].mean(axis=0)
    return out
