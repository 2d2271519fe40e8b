"""How well predictions agree with labels, in both of the ways in which the field reports it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from sklearn.metrics import cohen_kappa_score, roc_auc_score

__all__ = ["score", "score_table"]

_DRAWS = 500  # bootstrap: the ends of a 95 % interval then move by about a tenth of its width between seeds


def score(labels: xr.DataArray, predictions: xr.DataArray, *, threshold: float = 0.5, seed: int = 0) -> dict[str, Any]:
    """Score probabilities against labels.

    Parameters
    ----------
    labels
        ``(record, target)`` bool.
    predictions
        ``(record, target)`` probabilities, for all records of `labels` and at least its targets.
    threshold
        What turns probabilities into hard labels.
    seed
        Of the bootstrap over records.

    Returns
    -------
    dict
        ``n_records``; ``auroc_macro``, mean over the targets that have both labels, ``auroc_macro_95`` (bootstrap) and
        ``auroc`` for each target; ``auroc_hard_labels``, the same macro mean for thresholded predictions; ``accuracy``,
        label-wise; ``kappa``, Cohen's, over all labels. None where undefined.

    Raises
    ------
    ValueError
        A prediction is NaN.
    KeyError
        A record or target has no prediction.

    Examples
    --------
    >>> y = xr.DataArray([[True], [False], [True]], {"record": list("abc"), "target": ["MI"]}, ("record", "target"))
    >>> s = score(y, y * 0.4)
    >>> s["auroc_macro"], s["auroc_hard_labels"], s["accuracy"]
    (1.0, 0.5, 0.333)
    """
    targets = [str(t) for t in labels["target"].values]
    truth = labels.transpose("record", "target").values.astype(bool)
    chosen = predictions.sel(record=labels["record"].values, target=targets).transpose("record", "target")
    values = chosen.values.astype(float)
    if np.isnan(values).any():
        bad = labels["record"].values[np.isnan(values).any(axis=1)][0]
        raise ValueError(f"predictions: expected a number for each record, got NaN for {bad!r}; leave such records out")
    hard = values >= threshold
    each = [_auroc(truth[:, i], values[:, i]) for i in range(len(targets))]
    rng = np.random.default_rng(seed)
    draws = [_macro(truth[rows], values[rows]) for rows in rng.integers(len(truth), size=(_DRAWS, len(truth)))]
    known = [d for d in draws if d is not None]
    return {
        "n_records": len(truth),
        "auroc_macro": _round(_macro(truth, values)),
        "auroc_macro_95": [_round(float(q)) for q in np.quantile(known, [0.025, 0.975])] if known else None,
        "auroc": {t: _round(a) for t, a in zip(targets, each, strict=True)},
        "auroc_hard_labels": _round(_macro(truth, hard.astype(float))),
        "accuracy": _round(float((truth == hard).mean())),
        "kappa": _round(float(cohen_kappa_score(truth.ravel(), hard.ravel()))) if len({*truth.ravel()}) > 1 else None,
    }


def score_table(scores: Mapping[str, Mapping[str, Any]], targets: Sequence[str]) -> str:
    """Lay several results of `score` out as text, one a line.

    Examples
    --------
    >>> y = xr.DataArray([[True], [False]], {"record": list("ab"), "target": ["MI"]}, ("record", "target"))
    >>> print(score_table({"oracle": score(y, y * 1.0)}, ["MI"]))
            AUROC  95 %         hard  accuracy  kappa  MI
    oracle  1.000  1.000-1.000  1.000  1.000     1.000  1.000
    """
    head = ["", "AUROC", "95 %", "hard", "accuracy", "kappa", *targets]
    rows = [head]
    for name, s in scores.items():
        interval = "-".join(f"{x:.3f}" for x in s["auroc_macro_95"]) if s["auroc_macro_95"] else "-"
        numbers = [s["auroc_hard_labels"], s["accuracy"], s["kappa"], *(s["auroc"][t] for t in targets)]
        rows.append([name, _text(s["auroc_macro"]), interval, *map(_text, numbers)])
    widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
    return "\n".join("  ".join(f"{c:<{w}}" for c, w in zip(row, widths, strict=True)).rstrip() for row in rows)


def _auroc(truth: np.ndarray, values: np.ndarray) -> float | None:
    return float(roc_auc_score(truth, values)) if 0 < truth.sum() < truth.size else None


def _macro(truth: np.ndarray, values: np.ndarray) -> float | None:
    each = [a for i in range(truth.shape[1]) if (a := _auroc(truth[:, i], values[:, i])) is not None]
    return float(np.mean(each)) if each else None


def _round(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def _text(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
