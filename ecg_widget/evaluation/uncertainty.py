"""Uncertainty: whether ambiguous clusters go with wrong predictions."""

from __future__ import annotations

import numpy as np
import xarray as xr
from scipy import stats
from sklearn.metrics import roc_auc_score

from ecg_widget.clusters import uncertainty as mean_entropies

__all__ = ["predictive_entropy", "uncertainty"]

MEASURES = ("entropy", "entropy_boundary", "entropy_interior", "predictive")


def uncertainty(
    segmentation: xr.Dataset,
    predictions: xr.DataArray,
    labels: xr.DataArray,
    *,
    threshold: float = 0.5,
    n_bootstrap: int = 1000,
    random_state: int = 0,
) -> xr.Dataset:
    """Hold the entropy of the assignment against the network's errors, beside the network's own uncertainty.

    A record counts as an error where any thresholded prediction differs from its label. Each measure of uncertainty,
    the mean entropy H of a record's cells, that of cells at and away from boundaries, and the entropy of the predicted
    probabilities, ranks the records: AUROC for errors, and the curve of the risk (share of wrong labels) among the
    least uncertain records against their share, the coverage (El-Yaniv and Wiener 2010). The area under that curve
    (AURC) is compared with that of a random order, the overall risk, and of the best possible one.

    What it means: whether records with a high H are those to mistrust. What it does not mean: a calibrated probability
    of error; H says how ambiguous the representation is among the clusters, and a network can be sure and wrong. A bad
    value: an AUROC whose interval holds .5, or an AURC at or above ``risk``; then do not read H as doubt about the
    prediction. An AUROC below that of ``predictive`` says that the probabilities tell more.

    Parameters
    ----------
    segmentation
        As `TimeClusters.predict` returns.
    predictions
        ``(record, target)`` probabilities, as `ecg_widget.predict` returns.
    labels
        ``(record, target)`` bool. Both may hold more records and targets than are used: records of the segmentation,
        targets of the labels.
    threshold
        What turns probabilities into labels.
    n_bootstrap
        Draws of records for the 95 % intervals.
    random_state
        Their seed.

    Returns
    -------
    xarray.Dataset
        Along ``measure`` ("entropy", "entropy_boundary", "entropy_interior", "predictive"): ``auroc`` for errors and
        ``auroc_low``, ``auroc_high``; ``spearman``, rank correlation with the predictive entropy, and its ``p_value``;
        ``aurc``; ``selective_risk (measure, coverage)``. ``risk``, overall share of wrong labels; ``error_rate``, share
        of records with one; ``aurc_best``; ``value (measure, record)``; ``error (record)``. Records without a
        prediction or without a valid cell are left out; NaN where there is nothing to rank.

    Raises
    ------
    ValueError
        No record with both a prediction and a valid cell; predictions that are no probabilities.
    KeyError
        A record or target without prediction or label.

    Examples
    --------
    >>> import ecg_widget as ecg
    >>> net, ds = ecg.load_network(), ecg.simulate(8)
    >>> seg = ecg.TimeClusters(5, random_state=0).fit_predict(ecg.activations(net, ds))
    >>> prob = ecg.predict(net, ds)
    >>> result = uncertainty(seg, prob, prob > 0.3, n_bootstrap=20)
    >>> result["auroc"].dims, result["selective_risk"].dims
    (('measure',), ('measure', 'coverage'))
    """
    names = segmentation["record"].values
    targets = labels["target"].values
    chosen = predictions.sel(record=names, target=targets).transpose("record", "target").values.astype(float)
    truth = labels.sel(record=names).transpose("record", "target").values.astype(bool)
    if np.nanmin(chosen, initial=0) < 0 or np.nanmax(chosen, initial=0) > 1:
        raise ValueError(
            "predictions: expected probabilities in [0, 1], got other values; errors of networks that predict values "
            "are differences, not wrong labels"
        )
    entropies = mean_entropies(segmentation)
    values = np.stack([*(entropies[m].values for m in MEASURES[:-1]), predictive_entropy(chosen)])
    known = np.isfinite(values[0]) & np.isfinite(values[-1])
    if not known.any():
        raise ValueError("segmentation: expected a record with a prediction and a valid cell, got none")
    values, names = values[:, known], names[known]
    wrong = (chosen[known] >= threshold) != truth[known]
    error, loss = wrong.any(1), wrong.mean(1)
    rng = np.random.default_rng(random_state)
    draws = rng.integers(len(error), size=(n_bootstrap, len(error)))
    table: dict[str, list[float]] = {n: [] for n in ("auroc", "auroc_low", "auroc_high", "spearman", "p_value", "aurc")}
    curves = []
    for value in values:
        # A record of one cluster throughout has no boundary, and so no doubt there: it comes with the surest.
        filled = np.nan_to_num(value, nan=np.nanmin(value) if np.isfinite(value).any() else 0.0)
        low, high = np.nan, np.nan
        boot = [a for rows in draws if np.isfinite(a := _auroc(error[rows], filled[rows]))]
        if boot:
            low, high = np.quantile(boot, [0.025, 0.975])
        rank = stats.spearmanr(filled, values[-1]) if np.ptp(filled) and np.ptp(values[-1]) else None
        curve = _risk_curve(filled, loss)
        curves.append(curve)
        for name, number in (
            ("auroc", _auroc(error, filled)),
            ("auroc_low", low),
            ("auroc_high", high),
            ("spearman", np.nan if rank is None else rank.statistic),
            ("p_value", np.nan if rank is None else rank.pvalue),
            ("aurc", curve.mean()),
        ):
            table[name].append(float(number))
    return xr.Dataset(
        {
            **{name: ("measure", np.array(v), {"units": "1"}) for name, v in table.items()},
            "selective_risk": (("measure", "coverage"), np.stack(curves), {"units": "1"}),
            "risk": ((), float(loss.mean()), {"units": "1"}),
            "error_rate": ((), float(error.mean()), {"units": "1"}),
            "aurc_best": ((), float(_risk_curve(loss, loss).mean()), {"units": "1"}),
            "value": (("measure", "record"), values, {"units": "1"}),
            "error": ("record", error),
        },
        {
            "measure": list(MEASURES),
            "record": names,
            "coverage": ("coverage", np.arange(1, len(error) + 1) / len(error), {"units": "1"}),
        },
        {
            "threshold": threshold,
            "n_bootstrap": n_bootstrap,
            "n_records": len(error),
            "n_left_out": int((~known).sum()),
        },
    )


def predictive_entropy(probabilities: np.ndarray) -> np.ndarray:
    """Mean over targets of the binary entropy of each probability, in [0, 1].

    Parameters
    ----------
    probabilities
        ``(record, target)``.

    Examples
    --------
    >>> predictive_entropy(np.array([[0.5, 0.5], [0.0, 1.0]]))
    array([1., 0.])
    """
    p = np.clip(probabilities, 0, 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where((p > 0) & (p < 1), -(p * np.log2(p) + (1 - p) * np.log2(1 - p)), p * 0)
    return np.asarray(terms.mean(1) + 0.0)


def _auroc(error: np.ndarray, value: np.ndarray) -> float:
    return float(roc_auc_score(error, value)) if 0 < error.sum() < len(error) else float("nan")


def _risk_curve(value: np.ndarray, loss: np.ndarray) -> np.ndarray:
    """Mean loss of the 1, 2, ... least uncertain records; records of equal uncertainty share their mean loss."""
    order = np.argsort(value, kind="stable")
    ordered = value[order]
    _, group = np.unique(ordered, return_inverse=True)
    shared = np.bincount(group, loss[order]) / np.bincount(group)
    return np.cumsum(shared[group]) / np.arange(1, len(loss) + 1)
