"""Activations of several layers on one grid of cells, scaled so that each layer weighs what it should."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
import torch
import xarray as xr

Normalization = Literal["l2", "zscore"] | None
Interpolation = Literal["linear", "bicubic"]
Statistics = Mapping[str, tuple[np.ndarray, np.ndarray]]

CUBIC = -0.75  # of the convolution kernel; PyTorch's bicubic interpolation, which NAVE uses, has the same
EPS = 1e-8  # keeps the all-zero vector of a ReLU at zero instead of NaN


def embed(
    activations: Mapping[str, xr.DataArray],
    *,
    normalization: Normalization = "l2",
    weighted: bool = True,
    interpolation: Interpolation = "linear",
    statistics: Statistics | None = None,
    device: torch.device | str | None = None,
) -> xr.DataArray:
    """Put the activations of all layers on the cells of the finest one and concatenate their channels.

    Each layer is interpolated linearly in time from its true cell centres to those of the layer with the most cells,
    normalised at every cell, multiplied by ``w_l = (1 + C_1) / (1 + C_l)`` (C_1: channels of the finest layer; NAVE,
    arXiv 2411.19700) and concatenated. With ``"l2"`` the squared length of every cell is the sum of the squared
    weights (all-zero activations stay at zero), so k-means on it is weighted cosine clustering.

    Parameters
    ----------
    activations
        Layer name -> ``(record, cell, channel)`` with coords ``centre (cell)`` in s and ``valid (record, cell)``,
        as `ecg_widget.activations` returns.
    normalization
        ``"l2"`` over channels; ``"zscore"`` for each channel with the mean and standard deviation over valid cells;
        None for raw activations.
    weighted
        Whether layers are weighted.
    interpolation
        In time, ``"linear"`` or ``"bicubic"``. With ``activations(..., grid="half-pixel")`` the latter is what NAVE
        does to images; it is for comparison.
    statistics
        For ``"zscore"``: layer name -> (mean, standard deviation), each ``(channel,)``, of another set of records;
        computed from `activations` if None.
    device
        Where to compute; the CPU if None.

    Returns
    -------
    xarray.DataArray
        ``(record, cell, feature)`` float32, finite, with the coords of the finest layer, ``layer (feature)``, and attrs
        ``layers``, ``weights``, ``strides`` (s), ``normalization``, ``interpolation``, and ``fingerprint`` of the
        network where the activations have it.

    Raises
    ------
    ValueError
        No layer; layers of different records; a layer without ``centre`` or ``valid``; NaN in a valid cell.

    Examples
    --------
    >>> import ecg_widget as ecg
    >>> x = embed(ecg.activations(ecg.load_network(), ecg.simulate(2)))
    >>> x.dims, bool(np.allclose((x**2).sum("feature"), np.square(x.attrs["weights"]).sum(), atol=1e-4))
    (('record', 'cell', 'feature'), True)
    """
    layers = check_activations(activations)
    finest = max(layers.values(), key=lambda a: a.sizes["cell"])  # the first of them in network order
    grid, channels = finest["centre"].values, finest.sizes["channel"]
    parts, weights, owners = [], [], []
    for name, layer in layers.items():
        weight = (1 + channels) / (1 + layer.sizes["channel"]) if weighted else 1.0
        values = torch.as_tensor(layer.transpose("record", "cell", "channel").values, device=device)
        values = interpolate(values.float(), layer["centre"].values, grid, interpolation)
        if normalization == "l2":
            values = values / (values.norm(dim=2, keepdim=True) + EPS)
        elif normalization == "zscore":
            mean, scale = channel_statistics(layer) if statistics is None else statistics[name]
            values = (values - torch.as_tensor(mean, device=device)) / (torch.as_tensor(scale, device=device) + EPS)
        elif normalization is not None:
            raise ValueError(f"normalization: expected 'l2', 'zscore' or None, got {normalization!r}")
        parts.append(values * weight)
        weights.append(weight)
        owners += [name] * layer.sizes["channel"]
    joined = torch.cat(parts, dim=2).cpu().numpy()
    valid = finest["valid"].values
    if not np.isfinite(joined[valid]).all():
        raise ValueError("activations: expected finite values in valid cells, got NaN or infinity; check the network")
    return xr.DataArray(
        np.where(valid[..., None], joined, np.float32(0)),
        dims=("record", "cell", "feature"),
        coords={
            **{n: c.variable for n, c in finest.coords.items() if "channel" not in c.dims},
            "layer": ("feature", owners),
        },
        attrs={
            "layers": list(layers),
            "weights": weights,
            "strides": [float(layer.attrs.get("stride", np.nan)) for layer in layers.values()],
            "normalization": normalization or "none",
            "interpolation": interpolation,
            "fingerprint": str(finest.attrs.get("fingerprint", "")),
        },
        name="embedding",
    )


def check_activations(activations: Mapping[str, xr.DataArray]) -> dict[str, xr.DataArray]:
    """Layers that share their records, each with the coords that clustering needs."""
    if not isinstance(activations, Mapping) or not activations:
        raise ValueError(
            "activations: expected a mapping of one or more layer names -> DataArray (record, cell, channel), "
            f"got {type(activations).__name__}; ecg_widget.activations(net, ds) returns one"
        )
    first_name, first = next(iter(activations.items()))
    for name, layer in activations.items():
        if set(layer.dims) != {"record", "cell", "channel"}:
            raise ValueError(f"{name}: expected dims (record, cell, channel), got {layer.dims}")
        for coord, dims in {"centre": {"cell"}, "valid": {"record", "cell"}}.items():
            if coord not in layer.coords or set(layer.coords[coord].dims) != dims:
                raise ValueError(f"{name}: expected a coord {coord!r} {tuple(sorted(dims))}; assign_coords() adds it")
        if layer.sizes["record"] != first.sizes["record"] or not np.array_equal(
            layer["record"].values, first["record"].values
        ):
            raise ValueError(
                f"layers of different records: {first_name} has {first.sizes['record']} and {name} has "
                f"{layer.sizes['record']}; capture them in one call"
            )
    return dict(activations)


def interpolate(
    values: torch.Tensor, centre: np.ndarray, grid: np.ndarray, interpolation: Interpolation = "linear"
) -> torch.Tensor:
    """Interpolation along cells; beyond the first and the last centre, linear interpolation holds their value.

    Parameters
    ----------
    values
        ``(record, cell, channel)``.
    centre
        ``(cell,)`` s, ascending.
    grid
        ``(new cell,)`` s.
    interpolation
        ``"linear"``, or ``"bicubic"``: cubic convolution (Keys 1981) over four cells, those beyond the ends repeated.

    Returns
    -------
    torch.Tensor
        ``(record, new cell, channel)``.
    """
    if interpolation not in ("linear", "bicubic"):
        raise ValueError(f"interpolation: expected 'linear' or 'bicubic', got {interpolation!r}")
    if len(centre) == len(grid) and np.array_equal(centre, grid):
        return values
    last = len(centre) - 1
    position = np.interp(grid, centre, np.arange(len(centre), dtype=np.float64))
    if interpolation == "linear":
        left = np.minimum(position.astype(np.int64), max(last - 1, 0))
        taps = [(left, 1 - (position - left)), (np.minimum(left + 1, last), position - left)]
    else:
        if last:  # positions beyond the ends go on, as in PyTorch
            before, after = grid < centre[0], grid > centre[-1]
            position[before] = (grid[before] - centre[0]) / (centre[1] - centre[0])
            position[after] = last + (grid[after] - centre[-1]) / (centre[-1] - centre[-2])
        left = np.floor(position).astype(np.int64)
        taps = [((left + k).clip(0, last), _cubic(np.abs(position - left - k))) for k in (-1, 0, 1, 2)]
    out = torch.zeros((values.shape[0], len(grid), values.shape[2]), dtype=values.dtype, device=values.device)
    for index, share in taps:
        weight = torch.as_tensor(share, dtype=values.dtype, device=values.device)[None, :, None]
        out += values.index_select(1, torch.as_tensor(index, device=values.device)) * weight
    return out


def _cubic(distance: np.ndarray) -> np.ndarray:
    """The kernel of cubic convolution at distances of up to two cells."""
    d = distance
    near = ((CUBIC + 2) * d - (CUBIC + 3)) * d * d + 1
    far = ((CUBIC * d - 5 * CUBIC) * d + 8 * CUBIC) * d - 4 * CUBIC
    return np.where(d <= 1, near, np.where(d < 2, far, 0.0))


def channel_statistics(layer: xr.DataArray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation ``(channel,)`` float32 over the valid cells of one layer."""
    values = layer.transpose("record", "cell", "channel").values[layer["valid"].transpose("record", "cell").values]
    if not len(values):
        channels = layer.sizes["channel"]
        return np.zeros(channels, np.float32), np.ones(channels, np.float32)
    mean, scale = values.mean(0, dtype=np.float64), values.std(0, dtype=np.float64)
    return mean.astype(np.float32), scale.astype(np.float32)
