"""Label audit: which records to look at first when prediction, surrogate and label do not agree."""

from __future__ import annotations

from typing import Literal

import numpy as np
import xarray as xr
from sklearn.model_selection import GroupKFold

from ecg_widget.clusters import uncertainty as mean_entropies
from ecg_widget.evaluation.surrogates import forest_predictions

__all__ = ["audit", "surrogate_predictions"]

_ORDERS = ("suspicion", "disagreement", "entropy")


def audit(
    segmentation: xr.Dataset,
    predictions: xr.DataArray,
    labels: xr.DataArray,
    surrogate: xr.DataArray | None = None,
    *,
    by: Literal["suspicion", "disagreement", "entropy"] = "suspicion",
    groups: xr.DataArray | None = None,
    threshold: float = 0.5,
    random_state: int = 0,
) -> xr.Dataset:
    """Rank records for a second look at their labels.

    Two witnesses speak about each label: the network, and a surrogate that saw nothing but the shares of clusters and
    was trained on the labels of other records. A label is suspect as far as both contradict it.

    What it means: where to look first; on records the network was not trained on, records with wrong labels are more
    frequent at the top. What it does not mean: that a suspect label is wrong; both witnesses learned from labels and
    share their faults, and rare findings look suspect to both. A bad value: suspicion that is high for most records of
    one target; then the witnesses do not know that target, and its ranking says nothing. Never audit records on which
    the network was trained: it has learned their labels, the wrong ones too.

    Parameters
    ----------
    segmentation
        As `TimeClusters.predict` returns; ``record`` orders are taken from it.
    predictions
        ``(record, target)`` probabilities of the network.
    labels
        ``(record, target)`` bool.
    surrogate
        ``(record, target)`` probabilities of another witness; `surrogate_predictions` if None.
    by
        What ranks: ``"suspicion"``; ``"disagreement"``, the number of contradictions; ``"entropy"``, mean H. The others
        break ties.
    groups
        ``(record)``, patients, which the surrogate keeps apart.
    threshold
        What turns probabilities into labels.
    random_state
        Seed of the surrogate.

    Returns
    -------
    xarray.Dataset
        Records in order, first the ones to look at: ``rank``; ``suspicion (record, target)`` in [0, 1], the lesser of
        the two witnesses' differences to the label; ``worst (record)``, the largest of them, and ``suspect (record)``,
        its target; ``against_prediction``, ``against_surrogate``, ``witnesses_differ (record)``, numbers of targets;
        ``entropy (record)``, mean H; ``prediction``, ``surrogate``, ``label (record, target)``.

    Raises
    ------
    ValueError
        Another `by`.
    KeyError
        A record or target without prediction or label.

    Examples
    --------
    >>> import ecg_widget as ecg
    >>> net, ds = ecg.load_network(), ecg.simulate(12)
    >>> seg = ecg.TimeClusters(5, random_state=0).fit_predict(ecg.activations(net, ds))
    >>> prob = ecg.predict(net, ds)
    >>> table = audit(seg, prob, prob > 0.3, surrogate=1 - prob)
    >>> table["rank"].values[:3].tolist(), bool((table["worst"].diff("record") <= 0).all())
    ([1, 2, 3], True)
    """
    if by not in _ORDERS:
        raise ValueError(f"by: expected one of {_ORDERS}, got {by!r}")
    names, targets = segmentation["record"].values, labels["target"].values
    truth = labels.sel(record=names).transpose("record", "target").values.astype(bool)
    if surrogate is None:
        surrogate = surrogate_predictions(segmentation, labels, groups=groups, random_state=random_state)
    here = {"record": names, "target": targets}
    said = predictions.sel(here).transpose("record", "target").values.astype(float)
    other = surrogate.sel(here).transpose("record", "target").values.astype(float)
    suspicion = np.minimum(np.abs(said - truth), np.abs(other - truth))
    filled = np.where(np.isfinite(suspicion), suspicion, 0)
    entropy = mean_entropies(segmentation)["entropy"].values
    against = [((p >= threshold) != truth).sum(1) for p in (said, other)]
    keys = {
        "suspicion": filled.max(1),
        "disagreement": (against[0] + against[1]).astype(float),
        "entropy": np.where(np.isfinite(entropy), entropy, 0),
    }
    order = np.lexsort([keys[k] for k in reversed((by, *(o for o in _ORDERS if o != by)))])[::-1]
    both = ("record", "target")
    out = xr.Dataset(
        {
            "suspicion": (both, suspicion, {"units": "1"}),
            "worst": ("record", filled.max(1), {"units": "1"}),
            "suspect": ("record", targets[filled.argmax(1)]),
            "against_prediction": ("record", against[0]),
            "against_surrogate": ("record", against[1]),
            "witnesses_differ": ("record", ((said >= threshold) != (other >= threshold)).sum(1)),
            "entropy": ("record", entropy, {"units": "1"}),
            "prediction": (both, said, {"units": "1"}),
            "surrogate": (both, other, {"units": "1"}),
            "label": (both, truth),
        },
        here,
        {"by": by, "threshold": threshold, "surrogate": surrogate.attrs.get("method", "given")},
    ).isel(record=order)
    return out.assign(rank=("record", 1 + np.arange(len(order))))


def surrogate_predictions(
    segmentation: xr.Dataset,
    labels: xr.DataArray,
    *,
    groups: xr.DataArray | None = None,
    n_folds: int = 5,
    random_state: int = 0,
) -> xr.DataArray:
    """What a random forest on the shares of clusters says of each record, trained on the others' labels.

    Parameters
    ----------
    segmentation
        With ``proportion (record, cluster)``.
    labels
        ``(record, target)`` bool.
    groups
        ``(record)``, patients, whose records stay in one fold; each record on its own if None.
    n_folds
        Folds, at most one for each group.
    random_state
        Seed of the forests.

    Returns
    -------
    xarray.DataArray
        ``(record, target)`` probabilities, each from a forest that did not see the record or its patient; NaN for
        records without a valid cell.

    Raises
    ------
    ValueError
        Fewer than two groups.

    Examples
    --------
    >>> shares = xr.Dataset(
    ...     {"proportion": (("record", "cluster"), np.repeat([[0.9, 0.1], [0.1, 0.9]], 20, axis=0))},
    ...     {"record": np.arange(40)},
    ... )
    >>> y = (shares["proportion"][:, 1:] > 0.5).rename(cluster="target").assign_coords(target=["MI"])
    >>> p = surrogate_predictions(shares, y)
    >>> bool((p[:20] < 0.1).all() and (p[20:] > 0.9).all())
    True
    """
    names = segmentation["record"].values
    shares = segmentation["proportion"].transpose("record", "cluster").values
    truth = labels.sel(record=names).transpose("record", "target").values.astype(bool)
    known = np.flatnonzero(np.isfinite(shares).all(1))
    owner = (np.arange(len(names)) if groups is None else groups.sel(record=names).values)[known]
    folds = min(n_folds, len(np.unique(owner)))
    if folds < 2:
        raise ValueError(f"records: expected at least two patients to hold one out, got {folds}; pass surrogate=")
    out = np.full(truth.shape, np.nan)
    for train, test in GroupKFold(folds).split(shares[known], groups=owner):
        said = forest_predictions(
            shares[known[train]], truth[known[train]], shares[known[test]], random_state=random_state
        )
        out[known[test]] = said
    return xr.DataArray(
        out,
        {"record": names, "target": labels["target"].values},
        ("record", "target"),
        "surrogate",
        {"method": f"random forest on cluster shares, {folds} folds by {'record' if groups is None else 'patient'}"},
    )
