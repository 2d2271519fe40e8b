"""Faithfulness: whether the runs that a method calls important move the output when they are taken away."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
import xarray as xr
from scipy import stats
from torch import nn

from ecg_widget.activations import Activations
from ecg_widget.evaluation.attributions import grad_cam, input_gradients
from ecg_widget.explanation import cell_contributions
from ecg_widget.explanation.perturbation import bridge, cell_of_sample, place_runs, raw_outputs
from ecg_widget.explanation.perturbation import runs as runs_of
from ecg_widget.networks import ECGNetwork, as_network

__all__ = ["METHODS", "compare_orders", "faithfulness"]

METHODS = ("contribution", "gradcam", "ig")


def faithfulness(
    net: nn.Module,
    ds: xr.Dataset,
    activations: Activations,
    segmentation: xr.Dataset,
    *,
    target: str | None = None,
    methods: Sequence[str] = METHODS,
    attributions: Mapping[str, xr.DataArray] | None = None,
    n_steps: int = 10,
    largest_share: float = 0.5,
    baseline: xr.DataArray | np.ndarray | None = None,
    n_random: int = 5,
    random_state: int = 0,
    batch_size: int = 256,
    device: torch.device | str | None = None,
) -> xr.Dataset:
    """Take the runs of a segmentation away in the order in which a method ranks them, and watch the output.

    Runs are ranked by their mean value a cell. Deletion replaces them, most important first (MoRF), least important
    first (LeRF), by straight lines between their borders in all leads; insertion begins with the signal all deleted and
    puts runs back, most important first. At every step the same share of cells is gone for every method: the run at the
    border is cut. Beside each order, runs of its very lengths are deleted at random places, because long runs matter
    more than short ones whatever they show. The area over the perturbation curve (AOPC, Samek et al. 2017, doi
    10.1109/TNNLS.2016.2599820) is the mean fall of the output over the steps.

    What it means: whether an order finds what this network depends on. What it does not mean: that the network is right
    to depend on it, or that a doctor would; and a straight line is not a signal that the network was trained on, which
    random runs answer in part, because they suffer from it alike. A bad value: a method whose ``aopc_morf`` is not
    above its ``aopc_random`` (``p_value`` above .01), or not above its ``aopc_lerf``.

    Parameters
    ----------
    net
        An `ECGNetwork` or any module.
    ds
        Records.
    activations, segmentation
        Of the same records, as `ecg_widget.activations` and `TimeClusters.predict` return them.
    target
        The output that is watched; None: for each record the one that is largest.
    methods
        Which orders: ``"contribution"``, the clusters' own (`cell_contributions`); ``"gradcam"`` (Selvaraju et al.
        2017) of the deepest layer; ``"ig"``, integrated gradients of the input (Sundararajan et al. 2017, from zero,
        50 steps); the last two by Captum.
    attributions
        Further orders: name -> ``(record, cell)`` on the grid of `segmentation`, larger is more important.
    n_steps
        Steps of each curve.
    largest_share
        Share of a record's valid cells that is gone after the last step, at most 1.
    baseline
        Of contributions, where the head allows no exact ones: see `cell_contributions`.
    n_random
        Random placements for each record and order.
    random_state
        Their seed.
    batch_size
        Signals in one forward pass.
    device
        Where to run; where the network is if None.

    Returns
    -------
    xarray.Dataset
        Falls of the output ``(explanation, record, step)``: ``morf``, ``lerf``, ``random`` (mean over placements), and
        its rise by insertion, ``insertion`` and ``insertion_random``; their means over steps ``(explanation, record)``:
        ``aopc_morf``, ``aopc_lerf``, ``aopc_random``, ``aopc_insertion``, ``aopc_insertion_random``; and what
        `compare_orders` finds in them. Coords: ``share (step)``; ``watched (record)``, the target.

    Raises
    ------
    ValueError
        Records that differ; a target or method that does not exist; an attribution of another shape or with NaN;
        numbers out of range.
    ImportError
        Captum is not installed and ``"gradcam"`` or ``"ig"`` is asked for.

    Examples
    --------
    >>> import ecg_widget as ecg
    >>> net, ds = ecg.load_network(), ecg.simulate(2)
    >>> acts = ecg.activations(net, ds)
    >>> seg = ecg.TimeClusters(8, random_state=0).fit(acts).predict(acts)
    >>> result = faithfulness(net, ds, acts, seg, methods=["contribution"], n_steps=2, n_random=1)
    >>> result["morf"].dims, result["share"].values
    (('explanation', 'record', 'step'), array([0.25, 0.5 ]))
    """
    if not np.array_equal(ds["record"].values, segmentation["record"].values):
        raise ValueError(
            f"expected a recording and a segmentation of the same records, got {ds.sizes['record']} and "
            f"{segmentation.sizes['record']} that differ; predict the records that you pass"
        )
    if not 0 < largest_share <= 1:
        raise ValueError(f"largest_share: expected a share in (0, 1], got {largest_share!r}")
    for name, value in {"n_steps": n_steps, "n_random": n_random}.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ValueError(f"{name}: expected a whole number of at least 1, got {value!r}")
    network = as_network(net, ds)
    watched = _watched(network, activations.output, target)
    values = _values(
        network, ds, activations, segmentation, methods=methods, watched=watched, baseline=baseline, device=device
    )
    for name, given in (attributions or {}).items():
        values[name] = _given(name, given, segmentation)
    if not values:
        raise ValueError(f"methods: expected one or more of {METHODS} or an attribution, got none")
    shares = largest_share * np.arange(1, n_steps + 1) / n_steps
    rng = np.random.default_rng(random_state)
    cluster = segmentation["cluster"].transpose("record", "cell").values
    curves = np.full((len(_CURVES), len(values), len(cluster), n_steps), np.nan)
    for row, labels in enumerate(cluster):
        if not (labels >= 0).any():
            continue
        prepared = network.prepare(ds.isel(record=slice(row, row + 1)))
        x = prepared.x[0].numpy()
        time = prepared.start_s + np.arange(x.shape[1]) / prepared.sampling_rate
        owner = cell_of_sample(time, segmentation["centre"].values)
        gone = np.stack([_masks(labels, v[row], shares, n_random, rng) for v in values.values()])
        flat = gone.reshape(-1, len(labels))
        alone = np.stack([np.zeros(len(labels), bool), labels >= 0])  # the signal as it is, and all deleted
        signals = bridge(x, np.concatenate([alone, flat])[:, owner])
        output = raw_outputs(network, signals, batch_size=batch_size, device=device)[:, watched[row]]
        moved = output[2:].reshape(gone.shape[:-1])
        curves[:, :, row] = _falls(moved, whole=output[0], empty=output[1], n_random=n_random)
    out = xr.Dataset(
        {
            name: (("explanation", "record", "step"), c, {"units": "logit"})
            for name, c in zip(_CURVES, curves, strict=True)
        },
        {
            "explanation": list(values),
            "record": ds["record"].variable,
            "share": ("step", shares, {"units": "1", "long_name": "share of valid cells"}),
            "watched": ("record", [network.targets[i] for i in watched]),
        },
        {
            "network": network.name,
            "largest_share": largest_share,
            "n_random": n_random,
            "random_state": random_state,
        },
    )
    return compare_orders(out)


_CURVES = ("morf", "lerf", "random", "insertion", "insertion_random")


def _watched(network: ECGNetwork, output: xr.DataArray, target: str | None) -> np.ndarray:
    """Index of the output that is watched for each record."""
    if not network.targets:
        raise ValueError(f"net: expected a network with outputs to watch, got the encoder {network.name}")
    if target is None:
        return output.values.argmax(1)
    if target not in network.targets:
        raise ValueError(f"target: expected one of {list(network.targets)} or None, got {target!r}")
    return np.full(output.sizes["record"], network.targets.index(target))


def _values(
    network: ECGNetwork,
    ds: xr.Dataset,
    activations: Activations,
    segmentation: xr.Dataset,
    *,
    methods: Sequence[str],
    watched: np.ndarray,
    baseline: xr.DataArray | np.ndarray | None,
    device: torch.device | str | None,
) -> dict[str, np.ndarray]:
    """Importance ``(record, cell)`` by each method."""
    rows = np.arange(len(watched))
    out: dict[str, np.ndarray] = {}
    for method in methods:
        if method == "contribution":
            every = cell_contributions(network, activations, segmentation, baseline=baseline, device=device)
            out[method] = every.transpose("record", "target", "cell").values[rows, watched]
        elif method == "gradcam":
            out[method] = grad_cam(network, ds, activations, segmentation, watched, device=device)
        elif method == "ig":
            out[method] = input_gradients(network, ds, segmentation, watched, device=device)
        else:
            raise ValueError(f"methods: expected some of {METHODS}, got {method!r}; pass others as attributions")
    return out


def _given(name: str, attribution: xr.DataArray, segmentation: xr.Dataset) -> np.ndarray:
    shape = (segmentation.sizes["record"], segmentation.sizes["cell"])
    if set(attribution.dims) != {"record", "cell"} or attribution.transpose("record", "cell").shape != shape:
        raise ValueError(f"attributions[{name!r}]: expected (record, cell) {shape}, got {dict(attribution.sizes)}")
    values = attribution.transpose("record", "cell").values
    valid = segmentation["valid"].transpose("record", "cell").values
    if not np.isfinite(values[valid]).all():
        raise ValueError(
            f"attributions[{name!r}]: expected a number for each valid cell, got NaN or infinity in "
            f"{int((~np.isfinite(values) & valid).sum())} of {int(valid.sum())}"
        )
    return values


def _masks(
    labels: np.ndarray, value: np.ndarray, shares: np.ndarray, n_random: int, rng: np.random.Generator
) -> np.ndarray:
    """Cells that are gone ``(kind, step, cell)``: MoRF, LeRF and random ones, then what insertion has not yet put back.

    Kinds: 0 MoRF, 1 LeRF, 2 insertion, then `n_random` deletions and `n_random` insertions of random runs.
    """
    every = runs_of(labels)
    mean = np.array([value[first:stop].mean() for first, stop, _ in every])
    down = [np.arange(first, stop) for first, stop, _ in every[np.argsort(-mean, kind="stable")]]
    placed = [place_runs([len(cells) for cells in down], labels >= 0, rng) for _ in range(n_random)]
    budget = np.rint(shares * (labels >= 0).sum()).astype(int)
    out = np.zeros((3 + 2 * n_random, len(shares), len(labels)), bool)
    for kind, order in enumerate([down, down[::-1], down, *placed, *placed]):
        cells = np.concatenate(order)
        for step, count in enumerate(budget):
            out[kind, step, cells[:count]] = True
    back = [2, *range(3 + n_random, 3 + 2 * n_random)]
    out[back] = ~out[back] & (labels >= 0)
    return out


def _falls(moved: np.ndarray, *, whole: float, empty: float, n_random: int) -> np.ndarray:
    """Curves ``(curve, method, step)`` of outputs ``(method, kind, step)``."""
    insertion = moved - empty
    fall = whole - moved
    return np.stack(
        [
            fall[:, 0],
            fall[:, 1],
            fall[:, 3 : 3 + n_random].mean(1),
            insertion[:, 2],
            insertion[:, 3 + n_random :].mean(1),
        ]
    )


def compare_orders(curves: xr.Dataset) -> xr.Dataset:
    """Add what the curves of `faithfulness` come to, over all records that they hold.

    A large data set is gone through in parts, which `xarray.concat` joins along ``record``.

    Parameters
    ----------
    curves
        With ``morf``, ``lerf``, ``random``, ``insertion``, ``insertion_random`` ``(explanation, record, step)``.

    Returns
    -------
    xarray.Dataset
        Also ``aopc_morf (explanation, record)`` and so on, means over steps; ``aopc_difference (explanation)``, mean
        over records of MoRF less random; ``p_value (explanation)``, Wilcoxon signed-rank, and ``p_value_t``, paired t
        test, both one-sided for MoRF above random; ``p_value_versus``, Wilcoxon, two-sided, against the first
        explanation. NaN where there is nothing to test.

    Examples
    --------
    >>> fall = np.linspace(1, 2, 20).reshape(1, 10, 2)
    >>> falls = {name: (("explanation", "record", "step"), fall * times)
    ...          for name, times in zip(_CURVES, (3, 0, 1, 3, 1))}
    >>> found = compare_orders(xr.Dataset(falls, {"explanation": ["contribution"]}))
    >>> found["aopc_difference"].values, found["p_value"].values.round(4)
    (array([3.]), array([0.001]))
    """
    out = curves.copy()
    units = {"units": "logit"}
    for name in _CURVES:
        out[f"aopc_{name}"] = out[name].mean("step").assign_attrs(units)
    morf, random = (out[f"aopc_{n}"].transpose("explanation", "record").values for n in ("morf", "random"))
    known = np.isfinite(morf).all(0)
    morf, random = morf[:, known], random[:, known]
    out["aopc_difference"] = ("explanation", (morf - random).mean(1) if known.any() else morf.sum(1) * np.nan, units)
    tests = {
        "p_value": [_p(stats.wilcoxon, m, r, "greater") for m, r in zip(morf, random, strict=True)],
        "p_value_t": [_p(stats.ttest_rel, m, r, "greater") for m, r in zip(morf, random, strict=True)],
        "p_value_versus": [_p(stats.wilcoxon, morf[0], m, "two-sided") for m in morf],
    }
    out.attrs["n_records"] = int(known.sum())
    return out.assign({name: ("explanation", p, {"units": "1"}) for name, p in tests.items()})


def _p(test: Any, a: np.ndarray, b: np.ndarray, alternative: str) -> float:
    """The p value of a paired test; NaN where there is nothing to test: a single record, or no difference at all."""
    if len(a) < 2 or not np.any(a != b):
        return float("nan")
    return float(test(a, b, alternative=alternative).pvalue)
