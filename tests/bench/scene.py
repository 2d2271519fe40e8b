"""What every widget in the comparison shows: 64 records of 12 leads x 5000 samples, 313 cells each of 256 channels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import xarray as xr

import ecg_widget as ecg

RECORDS, CELLS, CHANNELS = 64, 313, 256
STRIDE = 16  # samples from cell to cell
KERNEL = 33  # samples that a cell sees
N_CLUSTERS = 10
LAYERS = ("conv1", "conv2")


def records() -> xr.Dataset:
    return ecg.simulate(RECORDS, seed=0)


def arrays(ds: xr.Dataset) -> dict[str, np.ndarray]:
    """Two layers ``(record, cell, channel)``: random filters follow the waves, so that clusters come in runs."""
    draws = torch.Generator().manual_seed(0)
    signal = torch.from_numpy(ds["signal"].values)
    signal = signal / signal.std(dim=(0, 2), keepdim=True)
    first = torch.randn(CHANNELS, signal.shape[1], KERNEL, generator=draws) / KERNEL**0.5
    second = torch.randn(CHANNELS, CHANNELS, 3, generator=draws) / (3 * CHANNELS) ** 0.5
    conv = torch.nn.functional.conv1d
    out1 = conv(signal, first, stride=STRIDE, padding=KERNEL // 2).relu()
    out2 = conv(out1, second, padding=1).relu()
    found = {name: out.transpose(1, 2).numpy() for name, out in zip(LAYERS, (out1, out2), strict=True)}
    assert found[LAYERS[0]].shape == (RECORDS, CELLS, CHANNELS)
    return found


def activations(ds: xr.Dataset, layers: dict[str, np.ndarray]) -> ecg.Activations:
    stride = STRIDE / float(ds["time"].attrs["sampling_rate"])
    return ecg.activations_from_arrays(layers, ds, stride=stride, offset=0.0, width=KERNEL * stride / STRIDE)


def save(path: Path) -> None:
    """Write what the peers show: the first record, its labels for every number of clusters, and the same embedding."""
    torch.set_num_threads(1)  # small problems: threads that wait for each other would take longer
    ds = records()
    layers = arrays(ds)
    explorer = ecg.Explorer(activations(ds, layers), ds, layers=[LAYERS[0]])
    name = str(ds["record"].values[0])
    results = {k: explorer.result(name, [LAYERS[0]], k) for k in range(2, 21)}
    embedding = explorer.embedding([LAYERS[0]])
    assert bool(embedding["valid"].all())
    np.savez(
        path,
        signal=ds["signal"].values[0],
        leads=ds["lead"].values.astype(str),
        embedding=embedding.values.reshape(-1, CHANNELS),
        labels=np.stack([results[k]["cluster"].values for k in results]).astype(np.int16),
        entropy=np.stack([results[k]["entropy"].values for k in results]).astype(np.float32),
        **{f"layer_{name}": values for name, values in layers.items()},
    )
