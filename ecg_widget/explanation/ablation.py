"""What a prediction loses without a cluster: its runs are taken out of the signal."""

from __future__ import annotations

import numpy as np
import torch
import xarray as xr
from torch import nn

from ecg_widget.explanation.perturbation import bridge, cell_of_sample, place_runs, raw_outputs
from ecg_widget.explanation.perturbation import runs as runs_of
from ecg_widget.networks import as_network


def ablate_clusters(
    net: nn.Module,
    ds: xr.Dataset,
    segmentation: xr.Dataset,
    *,
    n_random: int = 20,
    random_state: int = 0,
    batch_size: int = 256,
    device: torch.device | str | None = None,
) -> xr.Dataset:
    """Take each cluster out of the signal and see how the outputs change, beside random runs of equal lengths.

    Every run of the cluster is replaced, in all leads of the network's input, by a straight line between the samples at
    its borders. Longer runs change outputs more whatever they show, so the same number of runs of the same lengths is
    also taken out at random places, several times.

    What it means: a causal effect on this network, of this way of taking a cluster out. What it does not mean: effects
    of clusters do not add up to the output (waves interact), and a straight line where a QRS complex was is no signal
    the network was trained on. A bad value: an effect within two standard deviations of random (``z`` between -2 and
    2); nothing then speaks for this cluster rather than for any stretches of such lengths.

    Parameters
    ----------
    net
        An `ECGNetwork` or any module, as in `ecg_widget.activations`.
    ds
        The records of `segmentation`.
    segmentation
        As `TimeClusters.predict` returns.
    n_random
        Random placements for each record and cluster.
    random_state
        Their seed.
    batch_size
        Signals in one forward pass.
    device
        Where to run; where the network is if None.

    Returns
    -------
    xarray.Dataset
        ``effect (record, cluster, target)``, output with everything less output without the cluster: positive where the
        cluster raised it; ``random_mean``, ``random_std``, the same of random runs; ``z``, how many standard deviations
        the effect is from random; ``share (record, cluster)`` of the record's valid cells; ``output (record, target)``.
        NaN for a cluster that the record does not have.

    Raises
    ------
    ValueError
        Records that differ.

    Examples
    --------
    >>> import ecg_widget as ecg
    >>> net, ds = ecg.load_network(), ecg.simulate(1)
    >>> acts = ecg.activations(net, ds)
    >>> seg = ecg.TimeClusters(4, random_state=0).fit(acts).predict(acts)
    >>> ablate_clusters(net, ds, seg, n_random=2)["effect"].dims
    ('record', 'cluster', 'target')
    """
    if not np.array_equal(ds["record"].values, segmentation["record"].values):
        raise ValueError(
            f"expected a recording and a segmentation of the same records, got {ds.sizes['record']} and "
            f"{segmentation.sizes['record']} that differ; predict the records that you pass"
        )
    if isinstance(n_random, bool) or not isinstance(n_random, int) or n_random < 2:
        raise ValueError(f"n_random: expected a whole number of at least 2, got {n_random!r}")
    network = as_network(net, ds)
    rng = np.random.default_rng(random_state)
    cluster = segmentation["cluster"].transpose("record", "cell").values
    n_clusters, n_targets = segmentation.sizes["cluster"], len(network.targets)
    change = np.full((len(cluster), n_clusters, 1 + n_random, n_targets), np.nan)
    output = np.empty((len(cluster), n_targets))
    for row, labels in enumerate(cluster):
        prepared = network.prepare(ds.isel(record=slice(row, row + 1)))
        x = prepared.x[0].numpy()
        time = prepared.start_s + np.arange(x.shape[1]) / prepared.sampling_rate
        owner = cell_of_sample(time, segmentation["centre"].values)
        every = runs_of(labels)
        here = np.unique(every[:, 2])
        gone = np.zeros((len(here), 1 + n_random, len(labels)), bool)
        for i, k in enumerate(here):
            of_cluster = every[every[:, 2] == k]
            gone[i, 0] = labels == k
            for draw in range(1, 1 + n_random):
                for cells in place_runs(of_cluster[:, 1] - of_cluster[:, 0], labels >= 0, rng):
                    gone[i, draw, cells] = True
        variants = np.concatenate([x[None], bridge(x, gone.reshape(-1, len(labels))[:, owner])])
        values = raw_outputs(network, variants, batch_size=batch_size, device=device)
        output[row] = values[0]
        change[row, here] = (values[0] - values[1:]).reshape(len(here), 1 + n_random, n_targets)
    effect, controls = change[:, :, 0], change[:, :, 1:]
    mean, spread = controls.mean(2), controls.std(2, ddof=1)
    dims = ("record", "cluster", "target")
    z = (effect - mean) / np.maximum(spread, np.finfo(np.float32).tiny)
    return xr.Dataset(
        {
            "effect": (dims, effect, {"units": "logit"}),
            "random_mean": (dims, mean, {"units": "logit"}),
            "random_std": (dims, spread, {"units": "logit"}),
            "z": (dims, z, {"units": "1"}),
            "share": segmentation["proportion"].variable,
            "output": (("record", "target"), output, {"units": "logit"}),
        },
        {"record": segmentation["record"].variable, "target": list(network.targets)},
        {
            "method": "straight line between the borders of each run, in all leads",
            "n_random": n_random,
            "random_state": random_state,
            "network": network.name,
        },
    )
