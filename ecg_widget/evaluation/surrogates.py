"""Forests that imitate a network, and how well they do on records that they have not seen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from scipy.stats import spearmanr
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.impute import SimpleImputer
from sklearn.metrics import cohen_kappa_score, mean_absolute_error, r2_score, roc_auc_score
from sklearn.pipeline import make_pipeline

__all__ = [
    "CLASSIFIER_SCORES",
    "REGRESSOR_SCORES",
    "forest_predictions",
    "hard_labels",
    "regression_scores",
    "surrogate_scores",
]

N_TREES = 500
MIN_SAMPLES_LEAF = 5

CLASSIFIER_SCORES = ("agreement", "kappa", "subset", "auroc_network", "accuracy", "auroc", "auroc_hard")
"""With the network's labels: label-wise agreement, Cohen's kappa over all labels, share of records with all labels
equal, macro AUROC. With the true labels: label-wise accuracy, macro AUROC of probabilities, macro AUROC of hard labels.
"""
REGRESSOR_SCORES = ("r2", "mae", "spearman", "r2_label", "mae_label", "spearman_label")
"""With the network's values: R2, mean absolute error, Spearman's rank correlation; with the true values: the same."""


def hard_labels(values: np.ndarray, output: str) -> np.ndarray:
    """Which targets a network says yes to.

    Parameters
    ----------
    values
        ``(record, target)`` probabilities.
    output
        ``"softmax"``: the likeliest target; else every target of at least 0.5.

    Examples
    --------
    >>> hard_labels(np.array([[0.4, 0.35, 0.25]]), "softmax").tolist()
    [[True, False, False]]
    """
    if output == "softmax":
        return np.asarray(values.argmax(axis=1)[:, None] == np.arange(values.shape[1]))
    return np.asarray(values >= 0.5)


def forest_predictions(
    train: np.ndarray,
    target: np.ndarray,
    test: np.ndarray,
    *,
    n_trees: int = N_TREES,
    min_samples_leaf: int = MIN_SAMPLES_LEAF,
    random_state: int = 0,
    n_jobs: int | None = None,
) -> np.ndarray:
    """Fit one random forest for all targets and predict other records.

    Parameters
    ----------
    train
        ``(record, feature)``; NaN is replaced by the median and flagged.
    target
        ``(record, target)`` bool for a classifier, else numbers for a regressor.
    test
        ``(record, feature)``.
    n_trees, min_samples_leaf, random_state, n_jobs
        Of the forest.

    Returns
    -------
    numpy.ndarray
        ``(record, target)`` float64: probabilities or values.

    Examples
    --------
    >>> x = np.linspace(0, 1, 60)[:, None]
    >>> forest_predictions(x, x > 0.5, np.array([[0.1], [0.9]]), n_trees=20).round().tolist()
    [[0.0], [1.0]]
    """
    kind = RandomForestClassifier if target.dtype == bool else RandomForestRegressor
    forest = kind(n_trees, min_samples_leaf=min_samples_leaf, random_state=random_state, n_jobs=n_jobs)
    model = make_pipeline(SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True), forest)
    model.fit(train, target[:, 0] if target.shape[1] == 1 else target)
    if target.dtype != bool:
        return np.asarray(model.predict(test), float).reshape(len(test), -1)
    said = model.predict_proba(test)
    each, classes = ([said], [forest.classes_]) if target.shape[1] == 1 else (said, forest.classes_)
    # A target that is yes or no throughout has one class, and so one column.
    columns = [
        p[:, list(c).index(True)] if True in list(c) else np.zeros(len(test))
        for p, c in zip(each, classes, strict=True)
    ]
    return np.stack(columns, axis=1)


def regression_scores(values: np.ndarray, truth: np.ndarray) -> list[float]:
    """Hold values against true ones.

    Parameters
    ----------
    values, truth
        ``(record, target)``, finite.

    Returns
    -------
    list of float
        R2 and mean absolute error (means over targets), and Spearman's rank correlation (mean over targets that vary in
        both; NaN if none does).

    Examples
    --------
    >>> regression_scores(np.array([[1.0], [2.0], [4.0]]), np.array([[1.0], [2.0], [3.0]]))
    [0.5, 0.3333333333333333, 1.0]
    """
    r2 = float(r2_score(truth, values)) if len(values) > 1 else np.nan
    vary = [t for t in range(values.shape[1]) if np.ptp(values[:, t]) and np.ptp(truth[:, t])]
    ranks = [float(spearmanr(values[:, t], truth[:, t]).statistic) for t in vary]
    return [r2, float(mean_absolute_error(truth, values)), float(np.mean(ranks)) if ranks else np.nan]


def surrogate_scores(
    predictions: Mapping[str, np.ndarray],
    network: xr.DataArray,
    fold: np.ndarray,
    label: np.ndarray | None = None,
) -> xr.Dataset:
    """Score held-out predictions of surrogates against a network and, beside it, against the truth.

    Parameters
    ----------
    predictions
        Name -> ``(record, target)`` probabilities or values, each made without the record's fold.
    network
        ``(record, target)``, what is imitated; attrs ``output``: ``"probability"`` or ``"value"``; attrs ``hard``:
        ``"softmax"`` or ``"sigmoid"``.
    fold
        ``(record,)``.
    label
        ``(record, target)`` truth; rows that are all False (no class) or NaN count for fidelity alone.

    Returns
    -------
    xarray.Dataset
        ``<score> (surrogate, fold)``, ``<score>_mean``, ``<score>_sd`` over folds and ``<score>_pooled`` over all
        records at once ``(surrogate)``, for `CLASSIFIER_SCORES` or `REGRESSOR_SCORES`; ``agreement_target``,
        ``kappa_target`` ``(surrogate, target)`` or ``r2_target``, ``spearman_target``, pooled. The surrogate
        ``"network"`` is the network itself.

    Examples
    --------
    >>> said = xr.DataArray([[0.9], [0.2], [0.8], [0.1]], dims=("record", "target"), coords={"target": ["MI"]})
    >>> said.attrs.update(output="probability", hard="sigmoid")
    >>> out = surrogate_scores({"same": said.values}, said, np.array([1, 1, 2, 2]))
    >>> out["kappa_mean"].sel(surrogate="same").item(), out["agreement"].dims
    (1.0, ('surrogate', 'fold'))
    """
    values = network.transpose("record", "target").values.astype(float)
    rule = str(network.attrs["hard"])
    score = _classifier(rule) if network.attrs["output"] == "probability" else _regressor
    names = CLASSIFIER_SCORES if network.attrs["output"] == "probability" else REGRESSOR_SCORES
    everyone = {"network": values, **predictions}
    said = list(everyone.values())
    folds = np.unique(fold)
    rows = {"fold": [fold == f for f in folds], "pooled": [np.ones(len(fold), bool)]}
    table = {
        part: np.array([[score(p[m], values[m], None if label is None else label[m]) for m in masks] for p in said])
        for part, masks in rows.items()
    }
    data: dict[str, Any] = {}
    for i, name in enumerate(names):
        each = xr.DataArray(table["fold"][..., i], dims=("surrogate", "fold"))
        data[name] = each
        data[f"{name}_mean"] = each.mean("fold")
        data[f"{name}_sd"] = each.std("fold", ddof=1) if len(folds) > 1 else each.mean("fold") * np.nan
        data[f"{name}_pooled"] = ("surrogate", table["pooled"][:, 0, i])
    first = names[:2] if names is CLASSIFIER_SCORES else ("r2", "spearman")
    one = [[score(p[:, [t]], values[:, [t]], None) for t in range(values.shape[1])] for p in everyone.values()]
    if rule == "softmax" and names is CLASSIFIER_SCORES:  # one target alone is always the likeliest
        yes = {n: hard_labels(p, rule).astype(float) for n, p in everyone.items()}
        single = _classifier("sigmoid")
        one = [[single(p[:, [t]], yes["network"][:, [t]], None) for t in range(values.shape[1])] for p in yes.values()]
    for name in first:
        data[f"{name}_target"] = (("surrogate", "target"), np.array(one)[..., names.index(name)])
    return xr.Dataset(
        data,
        coords={"surrogate": list(everyone), "fold": folds, "target": network["target"].values},
        attrs={"n_records": len(fold), "output": network.attrs["output"]},
    )


def _classifier(rule: str) -> Any:
    def score(p: np.ndarray, network: np.ndarray, label: np.ndarray | None) -> list[float]:
        mine, theirs = hard_labels(p, rule), hard_labels(network, rule)
        out = [float((mine == theirs).mean()), _kappa(theirs, mine), float((mine == theirs).all(axis=1).mean())]
        out.append(_auroc(theirs, p))
        if label is None or not (has := label.astype(bool).any(axis=1)).any():
            return [*out, np.nan, np.nan, np.nan]
        truth = label[has].astype(bool)
        return [*out, float((mine[has] == truth).mean()), _auroc(truth, p[has]), _auroc(truth, mine[has].astype(float))]

    return score


def _regressor(p: np.ndarray, network: np.ndarray, label: np.ndarray | None) -> list[float]:
    out = regression_scores(p, network)
    if label is None or (has := np.isfinite(label.astype(float)).all(axis=1)).sum() < 2:
        return [*out, np.nan, np.nan, np.nan]
    return [*out, *regression_scores(p[has], label[has].astype(float))]


def _kappa(a: np.ndarray, b: np.ndarray) -> float:
    return float(cohen_kappa_score(a.ravel(), b.ravel())) if len(np.unique(np.stack([a, b]))) > 1 else float("nan")


def _auroc(truth: np.ndarray, values: np.ndarray) -> float:
    both = [t for t in range(truth.shape[1]) if 0 < truth[:, t].sum() < len(truth)]
    return float(np.mean([roc_auc_score(truth[:, t], values[:, t]) for t in both])) if both else float("nan")
