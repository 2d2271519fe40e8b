"""Stability: do clusters come out alike when nothing that matters has changed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import combinations
from typing import Any

import numpy as np
import torch
import xarray as xr
from sklearn.base import clone
from sklearn.metrics import adjusted_rand_score
from torch import nn

from ecg_widget.activations import Activations, activations
from ecg_widget.clusters import TimeClusters, embed
from ecg_widget.clusters.embedding import channel_statistics
from ecg_widget.networks import as_network

__all__ = ["perturbed_input", "stability"]


def stability(
    net: nn.Module,
    ds: xr.Dataset,
    clusters: TimeClusters | None = None,
    *,
    layers: str | Iterable[str] | None = None,
    n_clusters: Iterable[int] | None = None,
    n_seeds: int = 10,
    n_bootstrap: int = 10,
    shifts: Iterable[int] | None = None,
    snr_db: Iterable[float] = (30.0, 20.0, 10.0),
    held_out: xr.Dataset | None = None,
    random_state: int = 0,
    device: torch.device | str | None = None,
) -> xr.Dataset:
    """Fit again with other seeds and other records, segment again with the signal shifted and noisy, and compare.

    Two segmentations are compared by the adjusted Rand index (Hubert and Arabie 1985) over all valid cells: 1 where
    they cut alike whatever the clusters are called, 0 on average for cuts that have nothing to do with each other.
    Seeds: every pair of fits that differ in their random state alone. Bootstrap: a fit to records drawn with
    replacement against the first fit. Shift: the network's input is moved by whole samples, less than a cell, and each
    cell is compared with the one that lies nearest to the same piece of signal. Noise: white, added to each lead at a
    signal-to-noise ratio.

    What it means: how much of a picture is owed to chance. What it does not mean: that stable clusters are meaningful;
    two clusters, beats and all else, are nearly always stable. A bad value: below .8 over seeds, where a second fit
    tells another story (more starts, `n_init`, help where k-means ends in a poor optimum; where two optima are equally
    good nothing does, choose another number of clusters), or a shift below the bootstrap: clusters then depend on the
    phase of the cells. For comparison, attribution maps of two trainings of a network agree at r = .41 to .65 (Arends
    et al. 2026).

    Parameters
    ----------
    net
        An `ECGNetwork` or any module.
    ds
        Records to fit.
    clusters
        An estimator whose parameters are used (it is not fitted); `TimeClusters()` if None.
    layers
        As in `ecg_widget.activations`.
    n_clusters
        Numbers of clusters to try; that of `clusters` alone if None.
    n_seeds
        Fits with different random states, at least 2.
    n_bootstrap
        Fits to drawn records; 0 for none.
    shifts
        In samples of the network's input; 1 to one less than a cell if None, none if empty.
    snr_db
        Signal-to-noise ratios in dB.
    held_out
        Records on which segmentations are compared; `ds` if None.
    random_state
        Seed of what is drawn; fits use it and the numbers that follow.
    device
        Where the network runs; where it is if None.

    Returns
    -------
    xarray.Dataset
        Adjusted Rand indices ``ari_seed (n_clusters, pair)``, ``ari_bootstrap (n_clusters, draw)``,
        ``ari_shift (n_clusters, shift)``, ``ari_noise (n_clusters, snr)``; medians ``(n_clusters)`` of the first two,
        ``median_seed`` and ``median_bootstrap``; ``inertia (n_clusters, seed)``, sum of the fitted cells' squared
        distances. Coords ``shift`` in s, ``snr`` in dB.

    Raises
    ------
    ValueError
        Numbers out of range; records that do not fit the network.

    Examples
    --------
    >>> import ecg_widget as ecg
    >>> result = stability(ecg.load_network(), ecg.simulate(4), n_clusters=[3], n_seeds=2, n_bootstrap=1, shifts=[1])
    >>> result["ari_noise"].dims, result["ari_seed"].shape
    (('n_clusters', 'snr'), (1, 1))
    """
    for name, value, least in (("n_seeds", n_seeds, 2), ("n_bootstrap", n_bootstrap, 0)):
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise ValueError(f"{name}: expected a whole number of at least {least}, got {value!r}")
    template = TimeClusters() if clusters is None else clusters
    numbers = [template.n_clusters] if n_clusters is None else list(n_clusters)
    chosen = layers if layers is None or isinstance(layers, str) else list(layers)
    network = as_network(net, ds)
    fitted = activations(network, ds, chosen, device=device)
    statistics = {name: channel_statistics(layer) for name, layer in fitted.items()}

    def embedded(acts: Activations) -> xr.DataArray:
        stated = statistics if template.normalization == "zscore" else None
        return embed(
            acts,
            normalization=template.normalization,
            weighted=template.weighted,
            interpolation=template.interpolation,
            statistics=stated,
        )

    x = embedded(fitted)
    test_ds = ds if held_out is None else held_out
    test = x if held_out is None else embedded(activations(network, held_out, chosen, device=device))
    rate = float(network.spec.sampling_rate)
    stride = min(float(layer.attrs["stride"]) for layer in fitted.values())
    steps = list(range(1, round(stride * rate))) if shifts is None else list(shifts)
    levels = list(snr_db)
    rng = np.random.default_rng(random_state)
    centre = test["centre"].values

    def again(change: Callable[[torch.Tensor], torch.Tensor], later_s: float = 0.0) -> tuple[xr.DataArray, np.ndarray]:
        """The embedding of a changed input, and the cells of the unchanged one to hold its cells against."""
        with perturbed_input(network, change):
            other = embedded(activations(network, test_ds, chosen, device=device))
        return other, np.abs(centre[None, :] - (centre - later_s)[:, None]).argmin(1)

    changed = [again(_shift(step), step / rate) for step in steps]
    changed += [again(_noise(snr, int(rng.integers(2**31)))) for snr in levels]
    valid = test["valid"].transpose("record", "cell").values
    draws = [rng.integers(ds.sizes["record"], size=ds.sizes["record"]) for _ in range(n_bootstrap)]
    rows = []
    for k in numbers:
        every = [clone(template).set_params(n_clusters=k, random_state=random_state + s).fit(x) for s in range(n_seeds)]
        labels = [_labels(fit, test)[valid] for fit in every]
        first = every[0]
        drawn = [clone(first).set_params(random_state=random_state).fit(x.isel(record=rows_)) for rows_ in draws]
        rows.append(
            {
                "ari_seed": [adjusted_rand_score(a, b) for a, b in combinations(labels, 2)],
                "ari_bootstrap": [adjusted_rand_score(labels[0], _labels(fit, test)[valid]) for fit in drawn],
                "changed": [_compare(_labels(first, test), _labels(first, y), at) for y, at in changed],
                "inertia": [fit.inertia_ for fit in every],
            }
        )
    return _table(rows, numbers, [s / rate for s in steps], levels).assign_attrs(
        network=network.name,
        layers=list(fitted),
        n_init=template.n_init,
        random_state=random_state,
        n_records=ds.sizes["record"],
        compared_on="held-out records" if held_out is not None else "the fitted records",
    )


@contextmanager
def perturbed_input(net: nn.Module, change: Callable[[torch.Tensor], torch.Tensor]) -> Iterator[None]:
    """Change what a network reads, between its preprocessing and its first layer, for as long as the block lasts.

    Parameters
    ----------
    net
        An `ECGNetwork`, or any module that is called as it is.
    change
        Input ``(record, lead, time)`` to another one of that shape; where a network reads windows, before they are
        cut.

    Examples
    --------
    >>> layer = nn.Identity()
    >>> with perturbed_input(layer, torch.neg):
    ...     layer(torch.ones(2))
    tensor([-1., -1.])
    """

    def replace(_module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        return (change(inputs[0]), *inputs[1:])

    handle = net.register_forward_pre_hook(replace)
    try:
        yield
    finally:
        handle.remove()


def _shift(step: int) -> Callable[[torch.Tensor], torch.Tensor]:
    """Later by some samples; the value of the end stays where nothing comes in."""

    def change(x: torch.Tensor) -> torch.Tensor:
        at = torch.arange(x.shape[-1], device=x.device) - step
        return x[..., at.clamp(0, x.shape[-1] - 1)]

    return change


def _noise(snr: float, seed: int) -> Callable[[torch.Tensor], torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)

    def change(x: torch.Tensor) -> torch.Tensor:
        noise = torch.randn(x.shape, generator=generator, dtype=torch.float32).to(x)
        return x + noise * x.std(-1, keepdim=True) * 10 ** (-snr / 20)

    return change


def _labels(fit: TimeClusters, x: xr.DataArray) -> np.ndarray:
    return fit.predict(x)["cluster"].transpose("record", "cell").values


def _compare(here: np.ndarray, there: np.ndarray, at: np.ndarray) -> float:
    both = (here[:, at] >= 0) & (there >= 0)
    return float(adjusted_rand_score(here[:, at][both], there[both]))


def _table(
    rows: list[dict[str, list[float]]], numbers: list[int], shifts: list[float], levels: list[float]
) -> xr.Dataset:
    def stacked(name: str, part: slice = slice(None)) -> np.ndarray:
        return np.array([row[name][part] for row in rows], np.float64).reshape(len(rows), -1)

    dims = {
        "ari_seed": ("pair", stacked("ari_seed")),
        "ari_bootstrap": ("draw", stacked("ari_bootstrap")),
        "ari_shift": ("shift", stacked("changed", slice(len(shifts)))),
        "ari_noise": ("snr", stacked("changed", slice(len(shifts), None))),
        "inertia": ("seed", stacked("inertia")),
    }
    out = xr.Dataset(
        {name: (("n_clusters", dim), values, {"units": "1"}) for name, (dim, values) in dims.items()},
        {"n_clusters": numbers, "shift": ("shift", shifts, {"units": "s"}), "snr": ("snr", levels, {"units": "dB"})},
    )
    for name in ("seed", "bootstrap"):
        out[f"median_{name}"] = out[f"ari_{name}"].median("pair" if name == "seed" else "draw")
    return out
