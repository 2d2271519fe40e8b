"""Cells of many recordings in bounded memory: a sample of them to fit on, centres, and the share of each cluster."""

from __future__ import annotations

import copy
from collections.abc import Iterable

import numpy as np
import torch
import xarray as xr
from torch import nn

from ecg_widget.activations import Activations
from ecg_widget.clusters import TimeClusters, embed
from ecg_widget.clusters.products import two_nearest
from ecg_widget.networks import ECGNetwork

__all__ = ["fit_centres", "on_one_grid", "pooled", "proportions", "randomised", "redraw", "sample_cells"]

Arrays = dict[str, np.ndarray]


def on_one_grid(acts: Activations) -> dict[str, xr.DataArray]:
    """All layers, unscaled, at the cells of the finest: sampled cells can then be embedded like whole recordings."""
    joined = embed(acts, normalization=None, weighted=False)
    owner = joined["layer"].values
    joined = joined.drop_vars("layer").rename(feature="channel")
    return {name: joined.isel(channel=owner == name) for name in acts}


def sample_cells(layers: dict[str, xr.DataArray], per_record: int, rng: np.random.Generator) -> Arrays:
    """Draw the same number of valid cells from each record; fewer where there are not so many.

    Returns
    -------
    dict
        ``values (record, cell, channel)`` float32 of all layers, ``valid (record, cell)``, ``channels (layer,)``.
    """
    first = next(iter(layers.values()))
    valid = first["valid"].transpose("record", "cell").values
    lottery = np.where(valid, rng.random(valid.shape), np.inf)
    chosen = np.argsort(lottery, axis=1, kind="stable")[:, :per_record]
    values = np.concatenate([a.transpose("record", "cell", "channel").values for a in layers.values()], axis=2)
    return {
        "values": np.take_along_axis(values, chosen[..., None], axis=1),
        "valid": np.take_along_axis(valid, chosen, axis=1),
        "channels": np.array([a.sizes["channel"] for a in layers.values()]),
    }


def fit_centres(sample: Arrays, names: list[str], clusters: TimeClusters) -> tuple[Arrays, np.ndarray]:
    """Cluster sampled cells.

    Returns
    -------
    tuple
        What `proportions` needs: ``centres (cluster, feature)`` and, for z-scores, ``mean`` and ``scale (channel,)``;
        and as many cells drawn at random ``(cluster, feature)``, the control that no k-means has moved.
    """
    layers = _as_layers(sample, names)
    fitted = clusters.fit(layers)
    x = fitted._embedding(layers)  # noqa: SLF001  (the same package; embeds with the fitted statistics)
    rows = x.values[sample["valid"]]
    drawn = np.random.default_rng(0).choice(len(rows), fitted.n_clusters, replace=False)
    out = {"centres": fitted.cluster_centers_}
    if fitted.statistics_:
        mean, scale = zip(*(fitted.statistics_[name] for name in names), strict=True)
        out |= {"mean": np.concatenate(mean), "scale": np.concatenate(scale)}
    return out, rows[drawn]


def proportions(layers: dict[str, xr.DataArray], fits: list[Arrays], clusters: TimeClusters) -> np.ndarray:
    """Share of each record's valid cells in each cluster, for several fits ``(fit, record, cluster)`` float32."""
    out = []
    embedded: xr.DataArray | None = None
    for fit in fits:
        if embedded is None or "mean" in fit:
            embedded = embed(
                layers,
                normalization=clusters.normalization,
                weighted=clusters.weighted,
                statistics=_statistics(fit, layers) if "mean" in fit else None,
            )
        out.append(_shares(embedded, fit["centres"]))
    return np.stack(out).astype(np.float32)


def pooled(layers: dict[str, xr.DataArray]) -> np.ndarray:
    """Mean and maximum over valid cells of every channel ``(record, 2 channels)``; zeros where no cell is valid."""
    parts = []
    for layer in layers.values():
        kept = layer.where(layer["valid"])
        parts += [kept.mean("cell"), kept.max("cell")]
    return np.nan_to_num(np.concatenate([p.transpose("record", "channel").values for p in parts], axis=1))


def randomised(net: ECGNetwork, seed: int = 0) -> ECGNetwork:
    """Copy a network and draw all its weights anew, as they were before any training.

    Layers start as their class does; a parameter of a module without such a rule is shuffled.

    Examples
    --------
    >>> import ecg_widget as ecg
    >>> net = ecg.load_network()
    >>> randomised(net).fingerprint == net.fingerprint
    False
    """
    out = copy.deepcopy(net)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        redraw(out.module.modules())
    out.name, out.provenance = f"{net.name}, weights drawn anew", {}
    return out.eval()


def redraw(modules: Iterable[nn.Module]) -> None:
    """Give modules, not their children, new weights in place, from PyTorch's generator.

    Examples
    --------
    >>> layer = nn.BatchNorm1d(2)
    >>> layer.running_mean += 1
    >>> redraw([layer])
    >>> layer.running_mean
    tensor([0., 0.])
    """
    with torch.no_grad():
        for module in modules:
            reset = getattr(module, "reset_parameters", None)
            if callable(reset):
                reset()
                continue
            for parameter in module.parameters(recurse=False):
                flat = parameter.flatten()
                parameter.copy_(flat[torch.randperm(len(flat))].reshape(parameter.shape))


def _as_layers(sample: Arrays, names: list[str]) -> dict[str, xr.DataArray]:
    n_records, n_cells = sample["valid"].shape
    coords = {
        "record": np.arange(n_records),
        "centre": ("cell", np.arange(n_cells, dtype=float)),
        "valid": (("record", "cell"), sample["valid"]),
    }
    parts = np.split(sample["values"], np.cumsum(sample["channels"])[:-1], axis=2)
    dims = ("record", "cell", "channel")
    return {name: xr.DataArray(part, coords, dims) for name, part in zip(names, parts, strict=True)}


def _statistics(fit: Arrays, layers: dict[str, xr.DataArray]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    at = np.cumsum([a.sizes["channel"] for a in layers.values()])[:-1]
    return dict(zip(layers, zip(np.split(fit["mean"], at), np.split(fit["scale"], at), strict=True), strict=True))


def _shares(x: xr.DataArray, centres: np.ndarray) -> np.ndarray:
    rows = torch.as_tensor(x.values.reshape(-1, x.sizes["feature"]))
    at = torch.as_tensor(centres)
    cluster = two_nearest(rows, at)[0].reshape(x.sizes["record"], -1)
    valid = torch.as_tensor(x["valid"].transpose("record", "cell").values)
    counts = (nn.functional.one_hot(cluster, len(centres)) * valid[..., None]).sum(1)
    return (counts / valid.sum(1, keepdim=True).clamp(min=1)).numpy()
