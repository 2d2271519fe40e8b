"""How much of a network's predictions the share of each cluster retells, beside what would retell them without it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
import xarray as xr
from sklearn.base import clone
from torch import nn

from ecg_widget.activations import activations
from ecg_widget.clusters import TimeClusters
from ecg_widget.evaluation.cells import fit_centres, on_one_grid, pooled, proportions, randomised, sample_cells
from ecg_widget.evaluation.surrogates import (
    MIN_SAMPLES_LEAF,
    N_TREES,
    forest_predictions,
    hard_labels,
    surrogate_scores,
)
from ecg_widget.networks import ECGNetwork, as_network

__all__ = ["CONTROLS", "Batches", "Keep", "fidelity"]

Arrays = dict[str, np.ndarray]
Layers = str | Sequence[str] | None
Batches = Sequence[Callable[[], xr.Dataset]]
"""Functions that each read some records; they are called in order and more than once, and one is held at a time."""
Keep = Callable[[str, Callable[[], Arrays]], Arrays]
"""``keep(name, compute)`` gives what ``compute()`` gives, perhaps from an earlier run."""

CONTROLS = ("majority", "random centroids", "random network", "pooled activations", "intervals")
"""The most frequent labels of the training folds; clusters around cells drawn at random; clusters of the same network
with weights drawn anew; mean and maximum of every channel that was clustered, which bound what clusters of them can
tell; heart rate, PR, QRS and QT without any network."""

_BATCH = 128  # records of an array that are run at a time
_TAUGHT = "clusters, taught by labels"
_SHARES = {
    "clusters": ("network", "network-"),
    "random centroids": ("network", "drawn-"),
    "random network": ("random", "random-"),
}  # surrogate -> whose cells, and which of a fit's arrays


def fidelity(
    net: nn.Module | Mapping[int, nn.Module],
    ds: xr.Dataset | Batches,
    *,
    layers: Layers = None,
    clusters: TimeClusters | None = None,
    cells_per_record: int = 100,
    n_trees: int = N_TREES,
    min_samples_leaf: int = MIN_SAMPLES_LEAF,
    measured: bool = True,
    random_state: int = 0,
    n_jobs: int | None = None,
    keep: Keep | None = None,
) -> xr.Dataset:
    """Imitate a network by a forest on cluster proportions and score it on folds that it has not seen.

    What it means: a high kappa says that how long a recording stays in which cluster is nearly all that the network
    says about it. What it does not: that the network decides so; forests may use what the network ignores. What a bad
    value looks like: agreement near that of the majority, or a kappa that random centroids, a random network or plain
    intervals reach as well. Records from which the network learned may be easier to imitate than new ones; ``fold``
    tells them apart.

    For every fold, clusters and forests are made from the other folds alone.

    Parameters
    ----------
    net
        An `ECGNetwork` or any ``torch.nn.Module``. Or one for every fold, which has not learned from it, as in
        cross-validation: each is imitated on its own fold by what was made with it from the others.
    ds
        Of the data contract with the coordinate ``fold (record)``, two or more different; ``label (record, target)``
        is scored too where it is there. Or `Batches` of such, for corpora that do not fit in memory.
    layers
        As in `ecg_widget.activations`.
    clusters
        Parameters of the clustering; default ``TimeClusters()``. It is cloned, never fitted.
    cells_per_record
        Cells of each record that are drawn to fit the clusters; proportions count all cells.
    n_trees, min_samples_leaf, n_jobs
        Of the forests.
    measured
        Whether to measure intervals (needs the extra ``evaluation``; 40 ms a record).
    random_state
        Of the draws, the clusters and the forests.
    keep
        Called as ``keep(name, compute)`` at every step: may store arrays, so that a run can be continued.

    Returns
    -------
    xarray.Dataset
        As of `ecg_widget.evaluation.surrogates.surrogate_scores`, with the surrogates ``"network"`` (itself),
        ``"clusters"``, the `CONTROLS`, and ``"clusters, taught by labels"`` where there are labels; ``prediction
        (surrogate, record, target)``, each made without the record's fold; ``patient`` and labels stay where they are.

    Raises
    ------
    ValueError
        No folds, fewer than two, a fold without a network, networks of different targets, or records without a valid
        sample.
    ImportError
        NeuroKit2 is not installed and `measured` is True.

    Examples
    --------
    >>> import ecg_widget as ecg
    >>> ds = ecg.simulate(12, seed=0)
    >>> ds = ds.assign_coords(fold=("record", [1, 2, 3] * 4))
    >>> result = fidelity(ecg.load_network(), ds, n_trees=10, measured=False, cells_per_record=50)
    >>> result["kappa_pooled"].sel(surrogate="network").item()
    1.0
    """
    batches, keep = _batches(ds), keep or _compute
    nets: Mapping[Any, nn.Module] = {None: net} if isinstance(net, nn.Module) else net
    spans = [keep(f"intervals-{i}", partial(_measure, read)) for i, read in enumerate(batches)] if measured else []
    parts = []
    for held, one in nets.items():
        study = _Study(one, batches, layers, TimeClusters() if clusters is None else clusters, random_state)
        forest = partial(
            forest_predictions,
            n_trees=n_trees,
            min_samples_leaf=min_samples_leaf,
            random_state=random_state,
            n_jobs=n_jobs,
        )
        kept = keep if held is None else partial(_suffixed, keep, f" network-{held}")
        parts.append(study.imitate(held, cells_per_record, forest, kept, [s["intervals"] for s in spans]))
    whole = parts[0] if None in nets else _joined(dict(zip(nets, parts, strict=True)))
    order = [n for n in ("clusters", *CONTROLS, _TAUGHT) if n in whole.predictions]
    result = surrogate_scores({n: whole.predictions[n] for n in order}, whole.said, whole.fold, whole.label)
    stacked = np.stack([whole.said.values, *(whole.predictions[n] for n in order)]).astype(np.float32)
    return (
        result.assign(prediction=(("surrogate", "record", "target"), stacked))
        .assign_coords({"record": whole.record, "record_fold": ("record", whole.fold)})
        .assign_attrs(
            network=study.runs["network"].name,
            layers=whole.layers,
            n_clusters=study.clusters.n_clusters,
            cells_per_record=cells_per_record,
            n_trees=n_trees,
            min_samples_leaf=min_samples_leaf,
            random_state=random_state,
        )
    )


@dataclass(frozen=True)
class _Part:
    """What one network says of all records, and how it is imitated on the folds that were held out."""

    record: np.ndarray
    fold: np.ndarray
    label: np.ndarray | None
    layers: list[str]
    said: xr.DataArray
    predictions: dict[str, np.ndarray]


def _joined(parts: Mapping[int, _Part]) -> _Part:
    """Take each fold from the part that held it out."""
    first = next(iter(parts.values()))
    folds, targets = np.unique(first.fold).tolist(), first.said["target"].values.tolist()
    if sorted(parts) != folds:
        raise ValueError(f"net: expected a network for each of the folds {folds}, got {sorted(parts)}")
    said = first.said.copy()
    predictions = {name: values.copy() for name, values in first.predictions.items()}
    for held, part in parts.items():
        if part.said["target"].values.tolist() != targets:
            raise ValueError(f"net: expected the targets {targets} of all, got {part.said['target'].values.tolist()}")
        here = part.fold == held
        said.values[here] = part.said.values[here]
        for name, values in predictions.items():
            values[here] = part.predictions[name][here]
    return replace(first, said=said, predictions=predictions)


class _Study:
    """What every step needs: the network and its random twin, the batches, the layers and the clustering."""

    def __init__(
        self, net: nn.Module, batches: Batches, layers: Layers, clusters: TimeClusters, random_state: int
    ) -> None:
        network = net if isinstance(net, ECGNetwork) else as_network(net, batches[0]())
        self.runs = {"network": network, "random": randomised(network, random_state)}
        self.batches, self.layers, self.clusters, self.seed = batches, layers, clusters, random_state

    def imitate(
        self,
        held: int | None,
        cells_per_record: int,
        forest: Callable[..., np.ndarray],
        keep: Keep,
        spans: list[np.ndarray],
    ) -> _Part:
        """Predict one fold, or each in turn, by clusters and forests of the others."""
        numbers = range(len(self.batches))
        about = [keep(f"cells-{i}", partial(self.read, i, cells_per_record)) for i in numbers]
        fold = np.concatenate([b["fold"] for b in about])
        if len(np.unique(fold)) < 2:
            raise ValueError(
                f"fold: expected two or more different folds, got {np.unique(fold).tolist()}; assign_coords(fold=...)"
            )
        folds = [f for f in np.unique(fold).tolist() if held in (None, f)]
        fits = [keep(f"fit-{f}", partial(self.fit, about, fold != f)) for f in folds]
        shares = [keep(f"shares-{i}", partial(self.assign, i, fits)) for i in numbers]
        features = {name: np.concatenate([s[name] for s in shares], axis=1) for name in _SHARES}
        features["pooled activations"] = np.concatenate([b["pooled"] for b in about])
        if spans:
            features["intervals"] = np.concatenate(spans)
        said = self.said(np.concatenate([b["output"] for b in about]))
        probable = said.attrs["output"] == "probability"
        goal = hard_labels(said.values, said.attrs["hard"]) if probable else said.values
        learn = partial(_imitate, forest, fold=fold, folds=folds)
        predictions = {n: keep(f"forest-{n}", partial(learn, x, goal))["p"] for n, x in features.items()}
        predictions["majority"] = _majority(goal, fold)
        label = np.concatenate([b["label"] for b in about]) if "label" in about[0] else None
        if label is not None:
            truth = label.astype(bool if probable else float)
            known = np.asarray(truth.any(axis=1) if probable else np.isfinite(truth).all(axis=1))
            taught = partial(learn, features["clusters"], truth, usable=known)
            predictions[_TAUGHT] = keep(f"forest-{_TAUGHT}", taught)["p"]
        record = np.concatenate([b["record"] for b in about])
        return _Part(record, fold, label, about[0]["names"].tolist(), said, predictions)

    def read(self, i: int, per_record: int) -> Arrays:
        """One batch: records, folds, labels, what the network says, pooled channels, and drawn cells."""
        ds = self.batches[i]()
        out: Arrays = {"record": ds["record"].values.astype(str), "fold": ds["fold"].values.astype(np.int64)}
        for name, net in self.runs.items():
            acts = activations(net, ds, self.layers)
            grid = on_one_grid(acts)
            sample = sample_cells(grid, per_record, np.random.default_rng([self.seed, i]))
            out |= {f"{name}-{key}": value for key, value in sample.items()}
            if name == "random":
                continue
            dead = ~next(iter(grid.values()))["valid"].values.any(axis=1)
            if dead.any():
                first = str(out["record"][dead][0])
                raise ValueError(f"record {first!r}: expected valid samples, got none; leave it out")
            out["names"], out["pooled"] = np.array(list(acts)), pooled(acts)
            out["output"] = net.to_prediction(torch.as_tensor(acts.output.values)).numpy()
            if "label" in ds and set(net.targets) <= set(ds["target"].values.tolist()):
                out["label"] = ds["label"].sel(target=list(net.targets)).transpose("record", "target").values
        return out

    def fit(self, about: list[Arrays], learn: np.ndarray) -> Arrays:
        """Centres of the network's and of the random network's cells, and cells drawn as centres."""
        out: Arrays = {}
        for name in self.runs:
            sample = {k: np.concatenate([b[f"{name}-{k}"] for b in about])[learn] for k in ("values", "valid")}
            sample["channels"] = about[0][f"{name}-channels"]
            clusters = clone(self.clusters).set_params(random_state=self.seed)
            if name == "random":
                clusters.set_params(n_init=1)  # nothing to be found there: more starts only cost time
            found, drawn = fit_centres(sample, about[0]["names"].tolist(), clusters)
            out |= {f"{name}-{key}": value for key, value in found.items()}
            if name == "network":
                out |= {f"drawn-{key}": value for key, value in {**found, "centres": drawn}.items()}
        return out

    def assign(self, i: int, fits: list[Arrays]) -> Arrays:
        """Proportions ``(fold, record, cluster)`` of one batch for every fold's clusters."""
        ds = self.batches[i]()
        grids = {name: on_one_grid(activations(net, ds, self.layers)) for name, net in self.runs.items()}
        out: Arrays = {}
        for name, (run, prefix) in _SHARES.items():
            own = [{k.removeprefix(prefix): v for k, v in f.items() if k.startswith(prefix)} for f in fits]
            out[name] = proportions(grids[run], own, self.clusters)
        return out

    def said(self, output: np.ndarray) -> xr.DataArray:
        """The network's predictions, with how they become labels."""
        net = self.runs["network"]
        rule = "softmax" if net.output == "softmax" else "sigmoid"
        attrs = {"output": net.output_kind, "hard": rule}
        return xr.DataArray(output.astype(float), {"target": list(net.targets)}, ("record", "target"), attrs=attrs)


def _measure(read: Callable[[], xr.Dataset]) -> Arrays:
    from ecg_widget.evaluation.delineation import intervals  # noqa: PLC0415  (an extra)

    return {"intervals": intervals(read()).values}


def _suffixed(keep: Keep, suffix: str, name: str, compute: Callable[[], Arrays]) -> Arrays:
    return keep(name + suffix, compute)


def _compute(_: str, compute: Callable[[], Arrays]) -> Arrays:
    return compute()


def _batches(ds: xr.Dataset | Batches) -> Batches:
    if not isinstance(ds, xr.Dataset):
        return ds
    if "fold" not in ds.coords:
        raise ValueError("fold: expected the coordinate fold (record), got none; assign_coords(fold=('record', ...))")
    return [partial(ds.isel, record=slice(first, first + _BATCH)) for first in range(0, ds.sizes["record"], _BATCH)]


def _imitate(
    forest: Callable[..., np.ndarray],
    x: np.ndarray,
    goal: np.ndarray,
    *,
    fold: np.ndarray,
    folds: Sequence[int],
    usable: np.ndarray | None = None,
) -> Arrays:
    """Predict some folds, each by a forest that has learned from all others; ``x``: ``([fold,] record, feature)``."""
    out = np.zeros(goal.shape)
    for i, f in enumerate(folds):
        here = x[i] if x.ndim == 3 else x  # the clusters are others for every fold
        train, test = (fold != f) & (True if usable is None else usable), fold == f
        out[test] = forest(here[train], goal[train], here[test])
    return {"p": out}


def _majority(goal: np.ndarray, fold: np.ndarray) -> np.ndarray:
    out = np.zeros(goal.shape)
    for f in np.unique(fold):
        mean = goal[fold != f].astype(float).mean(axis=0)
        out[fold == f] = mean >= 0.5 if goal.dtype == bool else mean
    return out
