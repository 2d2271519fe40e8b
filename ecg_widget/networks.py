"""Networks together with what they need to be used: what they read, what their outputs mean, where they come from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn

from ecg_widget.architectures import ARCHITECTURES, PooledResNet1d, ResNet1d, RibeiroResNet
from ecg_widget.inference import inference, like_weights
from ecg_widget.lengths import by_length
from ecg_widget.preparation import InputSpec, Prepared, prepare
from ecg_widget.records import validate_ecg
from ecg_widget.weight_files import read_weights, write_weights

__all__ = [
    "ECGNetwork",
    "InputSpec",
    "PooledResNet1d",
    "Prepared",
    "ResNet1d",
    "RibeiroResNet",
    "as_network",
    "inference",
    "like_weights",
    "load_network",
    "output_kind",
    "predict",
    "to_prediction",
]

_BUNDLED = Path(__file__).parent / "weights" / "ptbxl_resnet1d.safetensors"
_OUTPUTS = ("identity", "sigmoid", "softmax")


class ECGNetwork(nn.Module):
    """A module with its preprocessing, its targets and its provenance.

    Layers are named as in ``net.module.named_modules()``: ``"blocks.3"``.

    Parameters
    ----------
    module
        ``(batch, lead, time)`` float32 to ``(batch, target)``. Used as it is, not copied.
    spec
        What it reads.
    targets
        A different name for each output; None for an encoder, whose layers can be looked at but which says nothing.
    output
        What turns the module's values into predictions: ``"sigmoid"`` and ``"softmax"`` give probabilities,
        ``"identity"`` keeps values (age in years, say).
    name
        For display; default the module's class.
    provenance
        Data, licence, seed, command, scores: JSON.

    Raises
    ------
    TypeError, ValueError
        With what was expected and what came; also where the module's first convolution takes another number of leads.

    Examples
    --------
    >>> net = ECGNetwork(ResNet1d(2, 1), spec=InputSpec(leads=("I", "II")), targets=["AF"], output="sigmoid")
    >>> net.name, net(torch.zeros(1, 2, 300)).shape
    ('ResNet1d', torch.Size([1, 1]))
    """

    def __init__(
        self,
        module: nn.Module,
        spec: InputSpec,
        targets: Sequence[str] | None,
        output: str = "identity",
        *,
        name: str = "",
        provenance: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        if not isinstance(module, nn.Module):
            raise TypeError(f"module: expected a torch.nn.Module, got {type(module).__name__}")
        if not isinstance(spec, InputSpec):
            raise TypeError(f"spec: expected an InputSpec, got {type(spec).__name__}")
        if targets is not None and (
            isinstance(targets, str) or not targets or not all(isinstance(t, str) and t for t in targets)
        ):
            raise ValueError(f"targets: expected a name for each output of the network, got {targets!r}")
        targets = tuple(targets or ())
        if len(set(targets)) != len(targets):
            raise ValueError(f"targets: expected different names, got {list(targets)}")
        if output not in _OUTPUTS:
            raise ValueError(f"output: expected one of {_OUTPUTS}, got {output!r}")
        _check_leads(module, len(spec.leads))
        self.module = module
        self.spec = spec
        self.targets = targets
        self.output = output
        self.name = name or type(module).__name__
        self.provenance: dict[str, Any] = dict(provenance or {})

    def forward(self, x: Tensor) -> Tensor:
        """Logits or values ``(record, target)`` of a prepared input ``(record, lead, time)``.

        A recording that is read in windows gets their mean.
        """
        windows, count = self.windows(x)
        try:
            out = self.module(windows)
        except RuntimeError as error:
            if "channels" not in str(error):
                raise
            raise ValueError(
                f"network {self.name}: expected to read {x.shape[1]} leads (its InputSpec), got the error: {error}"
            ) from error
        if not self.targets:
            return x.new_zeros((len(x), 0))
        if not isinstance(out, Tensor) or out.shape != (windows.shape[0], len(self.targets)):
            got = tuple(out.shape) if isinstance(out, Tensor) else type(out).__name__
            raise ValueError(
                f"network {self.name}: expected an output ({windows.shape[0]}, {len(self.targets)}) for "
                f"{windows.shape[0]} records and targets {list(self.targets)}, got {got}; state the targets in the "
                "order of the outputs"
            )
        return out if count == 1 else out.reshape(len(x), count, -1).mean(dim=1)

    def windows(self, x: Tensor) -> tuple[Tensor, int]:
        """What the module reads of a prepared input: ``(record * window, lead, time)``, and windows a record.

        Examples
        --------
        >>> net = ECGNetwork(ResNet1d(1, 2), InputSpec(("II",), n_samples=300, hop=150), ["a", "b"])
        >>> net.windows(torch.zeros(2, 1, 1000))[0].shape, net(torch.zeros(2, 1, 1000)).shape
        (torch.Size([12, 1, 300]), torch.Size([2, 2]))
        """
        starts = self.spec.window_starts(x.shape[-1])
        if len(starts) == 1:
            return x, 1
        parts = [x[..., start : start + (self.spec.n_samples or 0)] for start in starts]
        return torch.stack(parts, dim=1).flatten(0, 1), len(starts)

    def to_prediction(self, values: Tensor) -> Tensor:
        """Logits ``(..., target)`` to probabilities; values as they are where `output` is ``"identity"``."""
        return to_prediction(values, self.output)

    @property
    def output_kind(self) -> str:
        """``"probability"`` or ``"value"``."""
        return output_kind(self.output)

    def prepare(self, ds: xr.Dataset) -> Prepared:
        """Bring a recording to what this network reads; see `ecg_widget.preparation.prepare`."""
        return prepare(ds, self.spec)

    @property
    def fingerprint(self) -> str:
        """SHA-256 (hexadecimal) of architecture, input, targets, output and weights: equal if and only if all are."""
        digest = hashlib.sha256(json.dumps(self._description(), sort_keys=True).encode())
        for key, value in sorted(self.module.state_dict().items()):
            if isinstance(value, Tensor):
                plain = value.detach().cpu().contiguous()
                digest.update(f"{key} {plain.dtype} {tuple(plain.shape)}".encode())
                digest.update(plain.flatten().view(torch.uint8).numpy().tobytes())
        return digest.hexdigest()

    def save(self, path: str | Path, *, half: bool = False) -> None:
        """Write a weights file that `load_network` reads.

        Parameters
        ----------
        path
            Of the file; replaced whole or not at all.
        half
            Store convolutions and matrices in float16, half the size. Scores must then be those of the stored weights.

        Raises
        ------
        ValueError
            The module is none of `ecg_widget.architectures.ARCHITECTURES`; a weight that is not finite.
        """
        if type(self.module) is not ARCHITECTURES.get(type(self.module).__name__):
            raise ValueError(
                f"module: expected one of {sorted(ARCHITECTURES)}, whose settings a weights file can state, got "
                f"{type(self.module).__name__}; keep its state_dict with torch.save and wrap it in ECGNetwork anew"
            )
        about = {**self._description(), "name": self.name, "provenance": self.provenance}
        write_weights(path, self.module.state_dict(), about, half=half)

    def _description(self) -> dict[str, Any]:
        return {
            "architecture": type(self.module).__name__,
            "config": self.module.config if type(self.module) in ARCHITECTURES.values() else repr(self.module),
            "spec": self.spec.to_dict(),
            "targets": list(self.targets),
            "output": self.output,
        }


def load_network(path: str | Path | None = None) -> ECGNetwork:
    """Read a weights file; without a path, the network that comes with the package.

    Parameters
    ----------
    path
        A file that `ECGNetwork.save` wrote. Code in files is never run.

    Returns
    -------
    ECGNetwork
        In eval mode, float32, on the CPU.

    Raises
    ------
    FileNotFoundError
        No such file.
    ValueError
        Not such a file, or one whose parts do not fit together: names the file, what was expected and what came.

    Examples
    --------
    >>> net = load_network()
    >>> net.targets, net.spec.sampling_rate
    (('NORM', 'MI', 'STTC', 'CD', 'HYP'), 100.0)
    """
    module, about = read_weights(_BUNDLED if path is None else Path(path))
    net = ECGNetwork(
        module,
        about["spec"],
        about["targets"] or None,
        about["output"],
        name=about["name"],
        provenance=about["provenance"],
    )
    return net.eval()


def as_network(net: nn.Module, ds: xr.Dataset) -> ECGNetwork:
    """Give any module the frame of an `ECGNetwork` that feeds it the recording as it stands.

    Parameters
    ----------
    net
        An `ECGNetwork` (given back as it is) or a module that reads ``ds``: its leads, rate, length and millivolts.
    ds
        Of the data contract; its first record is run once to count the outputs.

    Returns
    -------
    ECGNetwork
        Targets ``"output 0"``, ...; predictions are plain values. A module whose output has three dimensions is an
        encoder, without targets. For preprocessing, probabilities and names make the `ECGNetwork` yourself.

    Raises
    ------
    ValueError
        The module cannot read this recording.

    Examples
    --------
    >>> from ecg_widget.records import load_example
    >>> as_network(ResNet1d(12, 2), load_example()).targets
    ('output 0', 'output 1')
    """
    if isinstance(net, ECGNetwork):
        return net
    validate_ecg(ds)
    spec = InputSpec(leads=tuple(ds["lead"].values.tolist()), sampling_rate=float(ds["time"].attrs["sampling_rate"]))
    probe = ECGNetwork(net, spec, ["output 0"])
    x = probe.prepare(ds.isel(record=slice(1))).x
    with inference(probe) as device:
        try:
            out = net(like_weights(x, net, device))
        except (RuntimeError, ValueError) as error:
            raise ValueError(
                f"network {probe.name}: expected to read (record, lead, time) = {tuple(x.shape)} at "
                f"{spec.sampling_rate:g} Hz, got the error: {error}; state what it reads with "
                "ECGNetwork(module, spec=InputSpec(...), targets=[...])"
            ) from error
    first = out[0] if isinstance(out, (tuple, list)) and out else out
    if isinstance(first, Tensor) and first.ndim == 3:
        return ECGNetwork(net, spec, None)
    if not isinstance(out, Tensor) or out.ndim != 2:
        got = tuple(out.shape) if isinstance(out, Tensor) else type(out).__name__
        raise ValueError(f"network {probe.name}: expected an output (record, target), got {got}; wrap it in a module")
    return ECGNetwork(net, spec, [f"output {i}" for i in range(out.shape[1])])


def predict(
    net: nn.Module, ds: xr.Dataset, *, batch_size: int = 64, device: str | torch.device | None = None
) -> xr.DataArray:
    """What a network says about each record.

    Parameters
    ----------
    net
        An `ECGNetwork`, or any module (see `as_network`).
    ds
        Of the data contract; each record of a ragged set is seen as long as it is.
    batch_size
        Records that are read, prepared and run at a time.
    device
        None: where the network is. Otherwise the network is moved there and back.

    Returns
    -------
    xarray.DataArray
        ``(record, target)`` float32; NaN for a record without a single valid sample. ``attrs``: ``output``
        ``"probability"`` or ``"value"``, ``network``.

    Raises
    ------
    ValueError
        A recording that the network cannot read.

    Examples
    --------
    >>> from ecg_widget.records import load_example
    >>> p = predict(load_network(), load_example())
    >>> p.dims, p.attrs["output"]
    (('record', 'target'), 'probability')
    """
    if not isinstance(batch_size, int) or batch_size < 1:
        raise ValueError(f"batch_size: expected a whole number of records > 0, got {batch_size!r}")
    network = as_network(net, ds)
    out = np.empty((ds.sizes["record"], len(network.targets)), np.float32)
    with inference(network, device) as place:
        for rows, alike in by_length(ds):
            for first in range(0, len(rows), batch_size):
                part = network.prepare(alike.isel(record=slice(first, first + batch_size)))
                values = network.to_prediction(network(like_weights(part.x, network, place)))
                found = values.float().cpu().numpy()
                here = rows[first : first + batch_size]
                out[here] = np.where(part.valid.any(dim=1).numpy()[:, None], found, np.nan)
    return xr.DataArray(
        out,
        {"record": ds["record"].values, "target": list(network.targets)},
        ("record", "target"),
        "prediction",
        {"output": network.output_kind, "network": network.name},
    )


def to_prediction(values: Tensor, output: str) -> Tensor:
    """Logits ``(..., target)`` to probabilities by ``"sigmoid"`` or ``"softmax"``; as they are by ``"identity"``.

    Examples
    --------
    >>> to_prediction(torch.zeros(1, 2), "softmax")
    tensor([[0.5000, 0.5000]])
    """
    if output == "sigmoid":
        return values.sigmoid()
    return values.softmax(dim=-1) if output == "softmax" else values


def output_kind(output: str) -> str:
    """``"probability"`` or ``"value"``, what `to_prediction` gives."""
    return "value" if output == "identity" else "probability"


def _check_leads(module: nn.Module, n_leads: int) -> None:
    first = next((m for m in module.modules() if isinstance(m, nn.Conv1d)), None)
    if first is None or first.in_channels in (1, n_leads):  # 1: may run on each lead alone; forward() will tell
        return
    raise ValueError(
        f"network {type(module).__name__}: expected {first.in_channels} leads (its first convolution), got {n_leads}; "
        "choose them with ds.sel(lead=[...]), or state them with ECGNetwork(module, spec=InputSpec(leads=...))"
    )
