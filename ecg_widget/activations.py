"""Choose layers of any network, capture their activations and place every cell at its true time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
import xarray as xr
from torch import nn

from ecg_widget.extraction import Extraction, Part, Precision, Travel, autocast, window_parts
from ecg_widget.layers import choose_layers, list_layers
from ecg_widget.layouts import capture
from ecg_widget.lengths import END, by_length
from ecg_widget.networks import ECGNetwork, as_network, inference, output_kind, to_prediction
from ecg_widget.receptive_fields import ReceptiveField, probe, receptive_fields

__all__ = [
    "Activations",
    "activations",
    "list_layers",
    "receptive_field",
]

Grid = Literal["true", "half-pixel"]

_SAME = 1e-6  # s: centres that differ by less are the same


class Activations(dict[str, xr.DataArray]):
    """Layer name -> ``(record, cell, channel)``, in network order, with what the network said of the same records.

    Attributes
    ----------
    output : xarray.DataArray
        ``(record, target)`` float32, the raw outputs (logits or values) of the same forward pass; no target where there
        is no network or no head.
    """

    def __init__(self, layers: Mapping[str, xr.DataArray], output: xr.DataArray) -> None:
        super().__init__(layers)
        self.output = output

    @property
    def name(self) -> str:
        """Of the network, for display."""
        return str(self.output.attrs.get("network", ""))

    @property
    def targets(self) -> tuple[str, ...]:
        """Names of the outputs; none where there is no network or no head."""
        return tuple(self.output["target"].values.astype(str).tolist())

    @property
    def output_kind(self) -> str:
        """``"probability"`` or ``"value"``."""
        return output_kind(self.output.attrs.get("output", "identity"))

    def to_prediction(self, values: torch.Tensor) -> torch.Tensor:
        """Logits ``(..., target)`` to probabilities; values as they are."""
        return to_prediction(values, self.output.attrs.get("output", "identity"))


def receptive_field(net: nn.Module, layer: str, ds: xr.Dataset) -> ReceptiveField:
    """Centre, stride and width of one layer's cells, in samples of the network's input.

    Parameters
    ----------
    net
        An `ECGNetwork` or any ``torch.nn.Module``.
    layer
        A name of ``net.named_modules()``.
    ds
        Records of the length to probe.

    Returns
    -------
    ReceptiveField

    Examples
    --------
    >>> import ecg_widget as ecg
    >>> receptive_field(ecg.load_network(), "blocks.3", ecg.simulate(1)).stride
    8.0
    """
    network = as_network(net, ds)
    x, _ = network.windows(network.prepare(ds.isel(record=slice(0, 1))).x)
    return receptive_fields(network.module, [layer], x.shape[1], x.shape[2])[layer]


def activations(
    net: nn.Module,
    ds: xr.Dataset,
    layers: str | Sequence[str] | None = None,
    *,
    batch_size: int = 64,
    device: torch.device | str | None = None,
    grid: Grid = "true",
    cell_axis: Mapping[str, int] | None = None,
    precision: Precision = "float32",
    dtype: Literal["float32", "float16"] = "float32",
) -> Activations:
    """Run a network once and keep what the named layers put out.

    A layer may put out ``(record, channel, cell)``, as convolutions do, ``(record, cell, channel)`` or
    ``(cell, record, channel)``, as transformers do; a tuple counts with its first tensor of three dimensions. Class
    tokens are left out. See `ecg_widget.receptive_fields.probe` for how this is found.

    A network that reads recordings in windows (``InputSpec(n_samples=300, hop=150)``) has its cells put back on the
    recording's time axis: where windows overlap, the one whose middle is nearer has the cell.

    Records of a ragged set are seen each as long as it is. Behind a record's own cells, of which the coordinate
    ``n_cells (record)`` tells, its last one is repeated and not valid. A network whose cells would stand at other times
    in each record, because it pads or cuts them to one length around the middle, takes records of one length at a time.

    Parameters
    ----------
    net
        An `ECGNetwork`, or any ``torch.nn.Module`` that takes ``(record, lead, time)``: then the signal is fed as it
        stands in `ds`.
    ds
        Records of the data contract.
    layers
        Names of ``net.named_modules()`` or presets, see `ecg_widget.layers.choose_layers`: ``"last-three-blocks"``
        (if None), ``"finest"``, ``"all"``.
    batch_size
        Records, or windows, in one forward pass.
    device
        Where to run; where the network is if None. The network returns to where it was.
    grid
        ``"true"``: cells stand at the centres of their receptive fields. ``"half-pixel"``: evenly over the recording,
        as image methods upsample; for comparison, the deepest cells of some networks are off by 0.1 s and more.
    cell_axis
        Layer -> axis of its output (0 to 2) that is time, for layers that do not show it.
    precision
        Of the forward pass; below ``"float32"`` by automatic mixed precision (`torch.autocast`). On the networks of
        ``tests/bench/bench_extraction.py``, which prints these errors, bfloat16 moves activations by up to 0.03 and
        float16 by up to 0.003 of a layer's largest one. It pays where the processor has such arithmetic:
        bfloat16 took 0.55 to 0.9 of the time on a CPU that has it. float16 is for GPUs.
    dtype
        In which the activations are kept: ``"float16"`` takes half the memory. ``attrs["rounding_error"]`` says what
        it costs, at most 0.0005 of a layer's largest activation; `embed`, `TimeClusters` and `contributions` compute
        in float32 or more whatever it is.

    Returns
    -------
    Activations
        A dict: layer -> ``(record, cell, channel)`` of `dtype`, in network order. Coords: ``centre (cell)`` in s, the
        middle of the receptive field; ``width (cell)`` in s; ``valid (record, cell)``, False where the centre lies in
        padding, in a gap or outside the record; ``record``. attrs: ``layer``, ``stride`` in s, ``fingerprint`` of the
        network, ``precision``, ``rounding_error`` (largest error of being kept in `dtype`, relative to the layer's
        largest activation). Its attribute ``output (record, target)`` holds the network's raw outputs.

    Raises
    ------
    ValueError
        A layer that does not exist or has no time axis, or does not show which one it is; records that do not fit the
        network, or of several lengths for one that places their cells differently; an activation too large for
        float16.

    Notes
    -----
    There is no option for compiled networks or for another memory layout, for the reasons that the same script prints:
    compiling takes seconds for 0.93 to 1.08 of the time on a CPU, and a network that was compiled before its layers are
    listened to does not show them; PyTorch has channels-last layouts for images and volumes alone and refuses them for
    ``(record, lead, time)``.

    Examples
    --------
    >>> import ecg_widget as ecg
    >>> acts = activations(ecg.load_network(), ecg.simulate(2))
    >>> list(acts), acts["blocks.3"].dims, round(acts["blocks.3"].attrs["stride"], 3)
    (['blocks.1', 'blocks.2', 'blocks.3'], ('record', 'cell', 'channel'), 0.08)
    """
    if grid not in ("true", "half-pixel"):
        raise ValueError(f"grid: expected 'true' or 'half-pixel', got {grid!r}")
    if dtype not in ("float32", "float16"):
        raise ValueError(f"dtype: expected 'float32' or 'float16', got {dtype!r}")
    if END in ds.coords:  # batches of a set have the same coordinates, whatever their lengths
        options = {"batch_size": batch_size, "device": device, "grid": grid, "cell_axis": cell_axis}
        return _of_lengths(as_network(net, ds), ds, layers, **options, precision=precision, dtype=dtype)
    network = as_network(net, ds)
    names = choose_layers(network, layers)
    first = network.prepare(ds.isel(record=slice(0, 1)))
    windows, count = network.windows(first.x)
    found = probe(network.module, names, windows.shape[1], windows.shape[2], cell_axis=cell_axis)
    starts = network.spec.window_starts(first.x.shape[2])
    valid = []
    layouts = {name: probed.layout for name, probed in found.items()}
    centres: dict[str, np.ndarray] = {}
    parts: dict[str, list[Part]] = {}
    row = 0
    with inference(network, device) as place:
        travel, kept = Travel(network, place), Extraction(ds.sizes["record"], names, dtype, place)

        def keep(name: str, cells: torch.Tensor) -> None:
            if name not in parts:
                at = _samples(found[name].field, cells.shape[2], windows.shape[2], grid)
                owned, centres[name] = _owned(at, starts, windows.shape[2])
                parts[name] = window_parts(owned, cells.shape[2])
            kept.write(row, name, cells, parts[name] if count > 1 else None, count)

        step = max(1, batch_size // count)
        with capture(network.module, names, layouts=layouts, into=keep):
            for row in range(0, ds.sizes["record"], step):
                prepared = network.prepare(ds.isel(record=slice(row, row + step)))
                with autocast(place, precision):
                    output = network(travel(prepared.x))
                kept.end_batch(row, output)
                valid.append(prepared.valid)
        kept.finish()
    time = _Axis(ds["record"].variable, torch.cat(valid).numpy(), first.start_s, first.sampling_rate)
    fingerprint = network.fingerprint
    return Activations(
        {
            name: _array(kept.arrays[name], centres[name], found[name].field, time).assign_attrs(
                layer=name,
                grid=grid,
                fingerprint=fingerprint,
                precision=precision,
                rounding_error=kept.rounding_error(name),
            )
            for name in names
        },
        xr.DataArray(
            kept.output,
            dims=("record", "target"),
            coords={"record": ds["record"].variable, "target": np.array(network.targets, dtype=str)},
            attrs={
                "output": network.output,
                "network": network.name,
                "input_shape": [windows.shape[1], windows.shape[2]],  # leads, samples
            },
            name="output",
        ),
    )


def _of_lengths(network: ECGNetwork, ds: xr.Dataset, layers: str | Sequence[str] | None, **options: Any) -> Activations:
    """Run records of each length alone and join what comes: no cell has seen what fills up the axis."""
    silent = ds["signal"].isel(record=slice(1)).variable.copy(data=np.zeros((1, *ds["signal"].shape[1:]), np.float32))
    one = xr.Dataset({"signal": silent}, {name: ds[name] for name in ("lead", "time")}).assign_coords(record=[""])
    whole = activations(network, one, layers, **options)
    n = ds.sizes["record"]
    values = {name: np.empty((n, *a.shape[1:]), a.dtype) for name, a in whole.items()}
    valid = {name: np.zeros(v.shape[:2], bool) for name, v in values.items()}
    n_cells = {name: np.zeros(n, np.int64) for name in values}
    errors = dict.fromkeys(values, 0.0)
    output = np.empty((n, whole.output.sizes["target"]), np.float32)
    for rows, alike in by_length(ds):
        part = activations(network, alike, layers, **options)
        output[rows] = part.output.values
        for name, a in part.items():
            own = a.sizes["cell"]
            there, here = whole[name]["centre"].values, a["centre"].values
            if own > len(there) or np.abs(there[:own] - here).max() > _SAME:
                raise ValueError(
                    f"ds: expected records of one length for network {network.name}, which has its cells at other "
                    f"times in records of {alike.sizes['time']} and {ds.sizes['time']} samples, got several; take "
                    "those of one length, as in ds.isel(record=ds['end'].values == ds['end'].values[0])"
                )
            values[name][rows, :own], values[name][rows, own:] = a.values, a.values[:, -1:]
            valid[name][rows, :own], n_cells[name][rows] = a["valid"].values, own
            errors[name] = max(errors[name], a.attrs["rounding_error"])
    record = ds["record"].variable

    def joined(name: str, a: xr.DataArray) -> xr.DataArray:
        coords = {"record": record, "centre": a["centre"].variable, "width": a["width"].variable}
        told = {"valid": (("record", "cell"), valid[name]), "n_cells": ("record", n_cells[name])}
        attrs = {**a.attrs, "rounding_error": errors[name]}
        return xr.DataArray(values[name], coords | told, a.dims, a.name, attrs)

    told = {"record": record, "target": whole.output["target"].variable}
    return Activations(
        {name: joined(name, a) for name, a in whole.items()},
        xr.DataArray(output, told, ("record", "target"), "output", whole.output.attrs),
    )


@dataclass(frozen=True)
class _Axis:
    """The network's input in time: which samples of each record are real, and when sample 0 was."""

    record: xr.Variable
    valid: np.ndarray
    start_s: float
    sampling_rate: float


def _samples(field: ReceptiveField, n_cells: int, n_samples: int, grid: Grid) -> np.ndarray:
    if grid == "true":
        return field.centres(n_cells)
    return (np.arange(n_cells) + 0.5) * n_samples / n_cells - 0.5


def _owned(centres: np.ndarray, starts: list[int], n_samples: int) -> tuple[np.ndarray, np.ndarray]:
    """Which cells of all windows of a record, one after the other, are kept, and their centres in samples.

    The border between two windows lies in the middle between their middles: there a cell of either is as far from the
    end of its window, where the network sees less.
    """
    middles = np.array(starts) + (n_samples - 1) / 2
    borders = np.concatenate([[-np.inf], (middles[1:] + middles[:-1]) / 2, [np.inf]])
    at = np.array(starts)[:, None] + centres[None]
    keep = np.flatnonzero((at >= borders[:-1, None]) & (at < borders[1:, None]))
    return keep, at.ravel()[keep]


def _array(values: np.ndarray, samples: np.ndarray, field: ReceptiveField, time: _Axis) -> xr.DataArray:
    stride = float(np.median(np.diff(samples))) if len(samples) > 1 else field.stride
    n_samples = time.valid.shape[1]
    nearest = np.rint(samples).astype(int)
    inside = (nearest >= 0) & (nearest < n_samples)
    return xr.DataArray(
        values,
        dims=("record", "cell", "channel"),
        coords={
            "record": time.record,
            "centre": ("cell", time.start_s + samples / time.sampling_rate, {"units": "s"}),
            "width": ("cell", np.full(len(samples), field.width / time.sampling_rate, np.float32), {"units": "s"}),
            "valid": (("record", "cell"), time.valid[:, nearest.clip(0, n_samples - 1)] & inside),
        },
        attrs={"stride": stride / time.sampling_rate},
        name="activation",
    )
