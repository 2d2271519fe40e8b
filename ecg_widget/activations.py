"""Choose layers of any network, capture their activations and place every cell at its true time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
import xarray as xr
from torch import nn

from ecg_widget.layers import choose_layers, list_layers
from ecg_widget.layouts import capture
from ecg_widget.networks import as_network, inference, like_weights, output_kind, to_prediction
from ecg_widget.receptive_fields import ReceptiveField, probe, receptive_fields

__all__ = [
    "Activations",
    "activations",
    "list_layers",
    "receptive_field",
]

Grid = Literal["true", "half-pixel"]


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
) -> Activations:
    """Run a network once and keep what the named layers put out.

    A layer may put out ``(record, channel, cell)``, as convolutions do, ``(record, cell, channel)`` or
    ``(cell, record, channel)``, as transformers do; a tuple counts with its first tensor of three dimensions. Class
    tokens are left out. See `ecg_widget.receptive_fields.probe` for how this is found.

    A network that reads recordings in windows (``InputSpec(n_samples=300, hop=150)``) has its cells put back on the
    recording's time axis: where windows overlap, the one whose middle is nearer has the cell.

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

    Returns
    -------
    Activations
        A dict: layer -> ``(record, cell, channel)`` float32, in network order. Coords: ``centre (cell)`` in s, the
        middle of the receptive field; ``width (cell)`` in s; ``valid (record, cell)``, False where the centre lies in
        padding, in a gap or outside the record; ``record``. attrs: ``layer``, ``stride`` in s, ``fingerprint`` of the
        network. Its attribute ``output (record, target)`` holds the network's raw outputs.

    Raises
    ------
    ValueError
        A layer that does not exist or has no time axis, or does not show which one it is; records that do not fit the
        network.

    Examples
    --------
    >>> import ecg_widget as ecg
    >>> acts = activations(ecg.load_network(), ecg.simulate(2))
    >>> list(acts), acts["blocks.3"].dims, round(acts["blocks.3"].attrs["stride"], 3)
    (['blocks.1', 'blocks.2', 'blocks.3'], ('record', 'cell', 'channel'), 0.08)
    """
    if grid not in ("true", "half-pixel"):
        raise ValueError(f"grid: expected 'true' or 'half-pixel', got {grid!r}")
    network = as_network(net, ds)
    names = choose_layers(network, layers)
    first = network.prepare(ds.isel(record=slice(0, 1)))
    windows, count = network.windows(first.x)
    found = probe(network.module, names, windows.shape[1], windows.shape[2], cell_axis=cell_axis)
    starts = network.spec.window_starts(first.x.shape[2])
    kept: dict[str, list[torch.Tensor]] = {name: [] for name in names}
    outputs, valid = [], []
    layouts = {name: probed.layout for name, probed in found.items()}
    centres: dict[str, np.ndarray] = {}
    with inference(network, device) as place, capture(network.module, names, layouts=layouts) as captured:
        step = max(1, batch_size // count)
        for row in range(0, ds.sizes["record"], step):
            prepared = network.prepare(ds.isel(record=slice(row, row + step)))
            captured.clear()
            outputs.append(network(like_weights(prepared.x, network, place)).float().cpu())
            for name in names:
                cells = captured[name].transpose(1, 2)  # (record * window, cell, channel)
                at = _samples(found[name].field, cells.shape[1], windows.shape[2], grid)
                keep, centres[name] = _owned(at, starts, windows.shape[2])
                cells = cells.reshape(len(prepared.x), -1, cells.shape[2])
                if count > 1:
                    cells = cells[:, torch.as_tensor(keep, device=cells.device)]
                kept[name].append(cells.float().cpu())
            valid.append(prepared.valid)
    time = _Axis(ds["record"].variable, torch.cat(valid).numpy(), first.start_s, first.sampling_rate)
    fingerprint = network.fingerprint
    return Activations(
        {
            name: _array(torch.cat(kept[name]).numpy(), centres[name], found[name].field, time).assign_attrs(
                layer=name, grid=grid, fingerprint=fingerprint
            )
            for name in names
        },
        xr.DataArray(
            torch.cat(outputs).numpy(),
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
