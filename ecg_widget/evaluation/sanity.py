"""Sanity: clusters and contributions must change when the network's weights are thrown away."""

from __future__ import annotations

import copy
from collections.abc import Iterable

import numpy as np
import torch
import xarray as xr
from scipy import stats
from sklearn.base import clone
from sklearn.metrics import adjusted_mutual_info_score, adjusted_rand_score
from torch import nn

from ecg_widget.activations import Activations, activations
from ecg_widget.clusters import TimeClusters
from ecg_widget.evaluation.alignment import signal_segmentation
from ecg_widget.evaluation.cells import redraw
from ecg_widget.evaluation.landmarks import cell_landmarks
from ecg_widget.explanation import cell_contributions
from ecg_widget.networks import ECGNetwork, as_network, inference, like_weights

__all__ = ["sanity"]


def sanity(
    net: nn.Module,
    ds: xr.Dataset,
    clusters: TimeClusters | None = None,
    *,
    layers: str | Iterable[str] | None = None,
    n_seeds: int = 3,
    random_state: int = 0,
    device: torch.device | str | None = None,
) -> xr.Dataset:
    """Randomise the weights from the output to the input, stage by stage, and compare with the trained network.

    The cascade of Adebayo et al. (2018, Sanity checks for saliency maps): the first stage gives the layers behind the
    deepest clustered one new random weights, each further stage those of one more block as well. New weights come from
    each layer's own initialisation; statistics of batch normalisation are reset. After each stage clusters are fitted
    anew and compared with the trained network's by the adjusted Rand index, contributions of cells by rank correlation;
    where the records have waves, their alignment with them too.

    What it means: how much of what is drawn the training put there. What it does not mean: that the rest is wrong; a
    random network keeps the shape of the signal, a QRS complex stays apart from a baseline, so the index falls towards
    that of what any filter sees and not to 0. A bad value: an index near 1 with all weights random, where clusters are
    those of the signal alone; a rank correlation near 1 after the first stage, where contributions do not depend on the
    head. That clusters do not change in the first stage is by design: they are taken before the head. Alignment is
    another question than the index: a random filter bank sees the waves as the raw signal does, so compare it with
    ``ami_signal``; a trained network that is not above its random copy owes its alignment to the signal.

    Parameters
    ----------
    net
        An `ECGNetwork` or any module; a copy is randomised.
    ds
        Records; with ``wave``, alignment is measured.
    clusters
        An estimator whose parameters are used; `TimeClusters(random_state=random_state)` if None.
    layers
        As in `ecg_widget.activations`.
    n_seeds
        Draws of random weights.
    random_state
        Seed of the weights.
    device
        Where to run; where the network is if None.

    Returns
    -------
    xarray.Dataset
        Along ``stage`` ("trained", then the name of what was randomised last) and ``seed``: ``ari``, adjusted Rand
        index with the clusters of the trained network; ``proportion_distance``, mean over records of half the summed
        absolute difference of sorted cluster shares; ``contribution_rank``, mean over targets of Spearman's correlation
        of cell contributions, NaN where there are none; ``output_rank``, the same of outputs. ``refit (seed)``: the
        index between two fits to the trained network that differ in their seed, what chance alone leaves of it. Where
        `ds` has waves, ``ami (stage, seed)``, adjusted mutual information of clusters with none, P, QRS and T, and
        ``ami_signal (seed)``, that of k-means on the raw leads with as many clusters at the same cells.

    Raises
    ------
    ValueError
        `n_seeds` below 1; records that do not fit the network.

    Examples
    --------
    >>> import ecg_widget as ecg
    >>> result = sanity(ecg.load_network(), ecg.simulate(3), n_seeds=1)
    >>> result["stage"].values.tolist()
    ['trained', 'head', 'blocks.3', 'blocks.2', 'blocks.1', 'blocks.0', 'stem']
    >>> result["ari"].values[:2, 0].tolist()
    [1.0, 1.0]
    """
    if isinstance(n_seeds, bool) or not isinstance(n_seeds, int) or n_seeds < 1:
        raise ValueError(f"n_seeds: expected a whole number of at least 1, got {n_seeds!r}")
    template = TimeClusters(random_state=random_state) if clusters is None else clusters
    chosen = layers if layers is None or isinstance(layers, str) else list(layers)
    network = as_network(net, ds)
    trained = activations(network, ds, chosen, device=device)
    names = list(trained)
    reference = clone(template).fit_predict(trained)
    evidence = _evidence(network, trained, reference)
    stages = _stages(network, ds, names)
    truth = cell_landmarks(ds, reference) if "wave" in ds else None
    measures = ("ari", "proportion_distance", "contribution_rank", "output_rank", *(() if truth is None else ("ami",)))
    values = {name: np.full((len(stages) + 1, n_seeds), np.nan) for name in measures}
    refit = np.empty(n_seeds)
    for seed in range(n_seeds):
        other = clone(template).set_params(random_state=random_state + 1 + seed)
        refit[seed] = _agreement(reference, other.fit_predict(trained))
        damaged = copy.deepcopy(network).eval()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(random_state + seed)
            for stage, modules in enumerate([[], *stages.values()]):
                redraw(damaged.module.get_submodule(name) for name in modules)
                acts = activations(damaged, ds, names, device=device)
                found = clone(template).fit_predict(acts)
                row = {
                    "ari": _agreement(reference, found),
                    "proportion_distance": _distance(reference, found),
                    "contribution_rank": _rank(evidence, _evidence(damaged, acts, found), ("record", "cell")),
                    "output_rank": _rank(trained.output, acts.output, ("record",)),
                }
                if truth is not None:
                    row["ami"] = _alignment(found, truth)
                for name, value in row.items():
                    values[name][stage, seed] = value
    out = xr.Dataset(
        {
            **{name: (("stage", "seed"), v, {"units": "1"}) for name, v in values.items()},
            "refit": ("seed", refit, {"units": "1"}),
        },
        {"stage": ["trained", *stages], "seed": random_state + np.arange(n_seeds)},
        {
            "network": network.name,
            "layers": names,
            "n_clusters": template.n_clusters,
            "n_records": ds.sizes["record"],
        },
    )
    if truth is None:
        return out
    signal = [
        signal_segmentation(ds, reference, template.n_clusters, random_state=random_state + seed)
        for seed in range(n_seeds)
    ]
    return out.assign(ami_signal=("seed", [_alignment(s, truth) for s in signal], {"units": "1"}))


def _stages(network: ECGNetwork, ds: xr.Dataset, layers: list[str]) -> dict[str, list[str]]:
    """What each stage randomises: name of a part of the network -> its modules with weights, from output to input.

    Order is that in which modules run, not that in which they are registered. What runs behind the deepest of `layers`
    is one stage, "head"; before it, a part is a block that a layer name names, or a child of the network.
    """
    module = network.module
    modules = dict(module.named_modules())
    ran: list[str] = []
    handles = [
        child.register_forward_hook(lambda _m, _i, _o, name=name: ran.append(name)) for name, child in modules.items()
    ]
    try:
        with inference(network) as place:
            x, _ = network.windows(network.prepare(ds.isel(record=slice(0, 1))).x)
            module(like_weights(x, network, place))
    finally:
        for handle in handles:
            handle.remove()
    order = list(dict.fromkeys(ran))
    weighted = [name for name in order if any(True for _ in modules[name].parameters(recurse=False))]
    behind = set(order[order.index(layers[-1]) + 1 :])
    parents = {name.rsplit(".", 1)[0] for name in layers if "." in name}
    out: dict[str, list[str]] = {}
    for name in reversed(weighted):
        out.setdefault("head" if name in behind else _part(name, parents), []).append(name)
    return out


def _part(name: str, parents: set[str]) -> str:
    """The block that a module belongs to: the child of the deepest parent of clustered layers, else of the network."""
    within = [parent for parent in parents if name.startswith(f"{parent}.")]
    start = max(map(len, within)) + 1 if within else 0
    return name[:start] + name[start:].split(".", maxsplit=1)[0]


def _evidence(network: ECGNetwork, acts: Activations, segmentation: xr.Dataset) -> xr.DataArray | None:
    try:
        return cell_contributions(network, acts, segmentation)
    except ValueError:  # outputs that cannot be split, said in the result by NaN
        return None


def _rank(a: xr.DataArray | None, b: xr.DataArray | None, dims: tuple[str, ...]) -> float:
    """Mean over targets of Spearman's correlation over all else."""
    if a is None or b is None or not a.sizes["target"]:
        return float("nan")
    one, two = (v.transpose("target", *dims).values.reshape(v.sizes["target"], -1) for v in (a, b))
    with np.errstate(invalid="ignore", divide="ignore"):
        every = [stats.spearmanr(p, q).statistic for p, q in zip(one, two, strict=True) if np.ptp(p) and np.ptp(q)]
    return float(np.mean(every)) if every else float("nan")


def _agreement(a: xr.Dataset, b: xr.Dataset) -> float:
    one, two = (v["cluster"].transpose("record", "cell").values for v in (a, b))
    both = (one >= 0) & (two >= 0)
    return float(adjusted_rand_score(one[both], two[both]))


def _alignment(segmentation: xr.Dataset, truth: xr.DataArray) -> float:
    cluster = segmentation["cluster"].transpose("record", "cell").values
    both = (cluster >= 0) & (truth.values >= 0)
    return float(adjusted_mutual_info_score(truth.values[both], cluster[both]))


def _distance(a: xr.Dataset, b: xr.Dataset) -> float:
    one, two = (np.sort(v["proportion"].transpose("record", "cluster").values, axis=1) for v in (a, b))
    return float(np.nanmean(np.abs(one - two).sum(1) / 2))
