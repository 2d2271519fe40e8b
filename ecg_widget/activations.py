"""Choose layers of any network, capture their activations and place every cell at its true time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import xarray as xr
from torch import nn

from ecg_widget.networks import ECGNetwork, as_network, inference, like_weights
from ecg_widget.receptive_fields import ReceptiveField, capture, receptive_fields

DEFAULT_BLOCKS = 3  # the paper clusters the last three residual blocks


class Activations(dict[str, xr.DataArray]):
    """Layer name -> ``(record, cell, channel)``, in network order, with what the network said of the same records.

    Attributes
    ----------
    output : xarray.DataArray
        ``(record, target)`` float32, the raw outputs (logits or values) of the same forward pass.
    """

    def __init__(self, layers: dict[str, xr.DataArray], output: xr.DataArray) -> None:
        super().__init__(layers)
        self.output = output


def list_layers(net: nn.Module) -> list[str]:
    """Names of the layers one would look at: residual blocks in network order, else all with a time axis.

    A residual block is found by its structure, not its name: the children of the longest ``nn.Sequential`` or
    ``nn.ModuleList`` that all hold a convolution.

    Parameters
    ----------
    net
        An `ECGNetwork` or any ``torch.nn.Module``.

    Returns
    -------
    list of str
        As in ``net.named_modules()``, shallow to deep.

    Raises
    ------
    ValueError
        No layer with a convolution.

    Examples
    --------
    >>> import ecg_widget as ecg
    >>> list_layers(ecg.load_network())
    ['blocks.0', 'blocks.1', 'blocks.2', 'blocks.3']
    """
    module = net.module if isinstance(net, ECGNetwork) else net
    best: list[str] = []
    for name, child in module.named_modules():
        if isinstance(child, (nn.Sequential, nn.ModuleList)):
            blocks = [f"{name}.{n}".lstrip(".") for n, block in child.named_children() if _is_block(block)]
            best = blocks if len(blocks) > len(best) else best
    if not best:
        best = [name for name, child in module.named_children() if _is_block(child)]
    if not best:
        best = [name for name, child in module.named_modules() if name and isinstance(child, nn.Conv1d)]
    if not best:
        raise ValueError("expected a network with convolutions, got none; name the layers to look at: layers=[...]")
    return best


def _is_block(module: nn.Module) -> bool:
    """More than one layer, with a convolution over time among them."""
    return any(isinstance(m, nn.Conv1d) for m in module.modules()) and not isinstance(module, nn.Conv1d)


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
    x = network.prepare(ds.isel(record=slice(0, 1))).x
    return receptive_fields(network.module, [layer], x.shape[1], x.shape[2])[layer]


def activations(
    net: nn.Module,
    ds: xr.Dataset,
    layers: str | Sequence[str] | None = None,
    *,
    batch_size: int = 64,
    device: torch.device | str | None = None,
) -> Activations:
    """Run a network once and keep what the named layers put out.

    Parameters
    ----------
    net
        An `ECGNetwork`, or any ``torch.nn.Module`` that takes ``(record, lead, time)``: then the signal is fed as it
        stands in `ds`.
    ds
        Records of the data contract.
    layers
        Names of ``net.named_modules()``; the last three of `list_layers` if None.
    batch_size
        Records in one forward pass.
    device
        Where to run; where the network is if None. The network returns to where it was.

    Returns
    -------
    Activations
        A dict: layer -> ``(record, cell, channel)`` float32, in network order. Coords: ``centre (cell)`` in s, the
        middle of the receptive field; ``width (cell)`` in s; ``valid (record, cell)``, False where the centre lies in
        padding, in a gap or outside the record; ``record``. attrs: ``layer``, ``stride`` in s. Its attribute
        ``output (record, target)`` holds the network's raw outputs.

    Raises
    ------
    ValueError
        A layer that does not exist or has no time axis; records that do not fit the network.

    Examples
    --------
    >>> import ecg_widget as ecg
    >>> acts = activations(ecg.load_network(), ecg.simulate(2))
    >>> list(acts), acts["blocks.3"].dims, round(acts["blocks.3"].attrs["stride"], 3)
    (['blocks.1', 'blocks.2', 'blocks.3'], ('record', 'cell', 'channel'), 0.08)
    """
    network = as_network(net, ds)
    if layers is None:
        layers = list_layers(network)[-DEFAULT_BLOCKS:]
    names = in_network_order(network, [layers] if isinstance(layers, str) else layers)
    kept: dict[str, list[torch.Tensor]] = {name: [] for name in names}
    outputs, valid = [], []
    with inference(network, device) as place, capture(network.module, names) as captured:
        for first in range(0, ds.sizes["record"], batch_size):
            prepared = network.prepare(ds.isel(record=slice(first, first + batch_size)))
            captured.clear()
            outputs.append(network(like_weights(prepared.x, network, place)).float().cpu())
            unreached = [name for name in names if name not in captured]
            if unreached:
                raise ValueError(f"layer {unreached[0]!r}: expected to run in the forward pass, but it was not reached")
            for name, output in captured.items():
                kept[name].append(output.transpose(1, 2).float().cpu())
            valid.append(prepared.valid)
    fields = receptive_fields(network.module, names, prepared.x.shape[1], prepared.x.shape[2])
    time = _Axis(ds["record"].variable, torch.cat(valid).numpy(), prepared.start_s, prepared.sampling_rate)
    return Activations(
        {name: _array(name, torch.cat(kept[name]), fields[name], time) for name in names},
        xr.DataArray(
            torch.cat(outputs).numpy(),
            dims=("record", "target"),
            coords={"record": ds["record"].variable, "target": list(network.targets)},
            attrs={
                "output": network.output,
                "network": network.name,
                "input_shape": [prepared.x.shape[1], prepared.x.shape[2]],  # leads, samples
            },
            name="output",
        ),
    )


def in_network_order(net: ECGNetwork, layers: Sequence[str]) -> list[str]:
    """The same names, shallow to deep, each once; unknown ones stay for `capture` to refuse."""
    order = {name: i for i, (name, _) in enumerate(net.module.named_modules())}
    return sorted(dict.fromkeys(layers), key=lambda name: order.get(name, len(order)))


@dataclass(frozen=True)
class _Axis:
    """The network's input in time: which samples of each record are real, and when sample 0 was."""

    record: xr.Variable
    valid: np.ndarray
    start_s: float
    sampling_rate: float


def _array(name: str, values: torch.Tensor, field: ReceptiveField, time: _Axis) -> xr.DataArray:
    n_cells, n_samples = values.shape[1], time.valid.shape[1]
    samples = field.centres(n_cells)
    nearest = np.rint(samples).astype(int)
    inside = (nearest >= 0) & (nearest < n_samples)
    return xr.DataArray(
        values.numpy(),
        dims=("record", "cell", "channel"),
        coords={
            "record": time.record,
            "centre": ("cell", time.start_s + samples / time.sampling_rate, {"units": "s"}),
            "width": ("cell", np.full(n_cells, field.width / time.sampling_rate, np.float32), {"units": "s"}),
            "valid": (("record", "cell"), time.valid[:, nearest.clip(0, n_samples - 1)] & inside),
        },
        attrs={"layer": name, "stride": field.stride / time.sampling_rate},
        name="activation",
    )
