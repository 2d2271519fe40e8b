"""The part of a network behind one layer: recognised by its result, and run on given activations."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn

from ecg_widget.inference import like_weights
from ecg_widget.layouts import replaced, tensor_of
from ecg_widget.networks import ECGNetwork
from ecg_widget.receptive_fields import probe

# A head is taken for what it looks like when it restores every output to so much of the largest.
HEAD_TOLERANCE = 1e-4
ROUNDINGS = (
    4  # of a layer's activations that the outputs which follow from it may be off; they cancel for the most part
)
LEAST_OUTPUT = 0.1  # outputs below it are compared with it: rounding does not shrink with them
N_TRIALS = 16  # random activations for which a head must be affine
PASS_ELEMENTS = 1 << 24  # activations in one pass through a head: 64 MB in float32

MEAN = "mean over time + Linear"
FLATTEN = "Flatten + Linear"
CONCAT = "average and maximum over time + Linear"
AFFINE = "affine head"


@dataclass(frozen=True)
class Evidence:
    """What every cell of the deepest layer adds to every output.

    Attributes
    ----------
    cells
        ``(record, cell, target)`` float64.
    intercept
        ``(target,)`` float64, what the head says without any evidence.
    method
        In words.
    """

    cells: np.ndarray
    intercept: np.ndarray
    method: str


class Head:
    """Everything behind one layer as a function of that layer's activations.

    The network runs on an arbitrary input of the right shape while a hook puts the given activations in the place of
    the layer's output, so it works for any module. Whether that input does not matter, that is whether everything the
    outputs depend on passes through these cells, is checked on the network's own outputs.

    Parameters
    ----------
    net
        In eval mode.
    layer
        Its activations ``(record, cell, channel)``; their attribute ``layer`` names it.
    output
        The network's raw outputs ``(record, target)`` for the same records; its attribute ``input_shape`` is
        ``[leads, samples]``.
    device
        Where the network is.

    Raises
    ------
    ValueError
        The outputs cannot be restored from the layer alone.
    """

    def __init__(self, net: nn.Module, layer: xr.DataArray, output: xr.DataArray, device: torch.device) -> None:
        self.module = net.module if isinstance(net, ECGNetwork) else net
        self.name = str(layer.attrs.get("layer", ""))
        self.tolerance = head_tolerance(layer)
        self.device = device
        if "input_shape" not in output.attrs:
            raise ValueError(
                "activations: expected an attribute input_shape of their output, got none; pass what "
                "ecg_widget.activations(net, ds) returns"
            )
        leads, samples = output.attrs["input_shape"]
        self._layer = dict(self.module.named_modules())[self.name]
        self._layout = probe(self.module, [self.name], leads, samples)[self.name].layout
        noise = torch.randn((1, leads, samples), generator=torch.Generator().manual_seed(0))
        self._input = like_weights(noise, self.module, device)
        self._whole_batch = False
        values = layer.transpose("record", "cell", "channel").values
        # At least two records, so that a head that reads the number of records off its input shows.
        rows = np.arange(max(len(values), 2)) % len(values)
        problem = self._check(values[rows], output.values[rows])
        if problem:
            self._whole_batch = True
            problem = self._check(values[rows], output.values[rows])
        if problem:
            raise ValueError(
                f"layer {self.name!r}: expected the outputs to follow from its cells alone, got {problem}; capture the "
                "last layer with a time axis, without class tokens and without windows"
            )

    def __call__(self, cells: Tensor) -> Tensor:
        """``(record, cell, channel)`` to raw outputs ``(record, target)``; differentiable."""

        def swap(_module: nn.Module, _inputs: Any, output: Any) -> Any:
            old = tensor_of(output)
            assert old is not None
            sizes = list(old.shape)
            sizes[self._layout.record] = len(cells)
            return replaced(output, self._layout.write(old.detach().expand(sizes), cells.transpose(1, 2)))

        handle = self._layer.register_forward_hook(swap)
        try:
            x = self._input.expand(len(cells), -1, -1) if self._whole_batch else self._input
            out: Tensor = self.module(x)
        finally:
            handle.remove()
        return out

    def tensor(self, values: np.ndarray) -> Tensor:
        """Activations on the network's device in the type of its weights."""
        return like_weights(torch.from_numpy(np.ascontiguousarray(values)), self.module, self.device)

    def passes(self, n_rows: int, cells: int, channels: int) -> Iterator[np.ndarray]:
        """Rows 0 to `n_rows` in parts that bound the memory of one pass."""
        size = max(1, PASS_ELEMENTS // max(1, cells * channels))
        for first in range(0, n_rows, size):
            yield np.arange(first, min(first + size, n_rows))

    def _check(self, values: np.ndarray, wanted: np.ndarray) -> str:
        """What is wrong with the outputs that the layer alone gives; empty if nothing."""
        limit = self.tolerance * max(LEAST_OUTPUT, float(np.abs(wanted).max(initial=0)))
        for rows in self.passes(*values.shape):
            try:
                with torch.no_grad():
                    got = self(self.tensor(values[rows])).double().cpu().numpy()
            except (RuntimeError, IndexError, AssertionError) as error:
                return f"the error: {error}"
            if got.shape != wanted[rows].shape:
                return f"outputs {got.shape} for {len(rows)} records"
            off = float(np.abs(got - wanted[rows]).max(initial=0))
            if not off <= limit:
                return f"outputs that are off by {off:.2g}"
        return ""


def head_tolerance(layer: xr.DataArray) -> float:
    """How far outputs that follow from a layer may be off, relative to them: more where the layer was rounded.

    Examples
    --------
    >>> head_tolerance(xr.DataArray(0.0)), head_tolerance(xr.DataArray(0.0, attrs={"precision": "bfloat16"})) > 0.01
    (0.0001, True)
    """
    computed = torch.finfo(getattr(torch, layer.attrs.get("precision", "float32"))).eps
    return HEAD_TOLERANCE + ROUNDINGS * (float(layer.attrs.get("rounding_error", 0)) + computed)


def linear_evidence(
    net: nn.Module, values: np.ndarray, output: np.ndarray, tolerance: float = HEAD_TOLERANCE
) -> Evidence | None:
    """Evidence of a head that is one Linear layer behind a pooling or a flattening, None for another head.

    The head is recognised by its result, not by its name: a Linear layer of the network that restores all its outputs.

    Parameters
    ----------
    net
        The network.
    values
        ``(record, cell, channel)`` of the layer before the head.
    output
        ``(record, target)``, the network's raw outputs.
    tolerance
        How far the restored outputs may be off, relative to the largest; see `head_tolerance`.
    """
    _, cells, channels = values.shape
    values = values.astype(np.float64)
    limit = tolerance * max(LEAST_OUTPUT, float(np.abs(output).max(initial=0)))
    for linear in reversed([m for m in net.modules() if isinstance(m, nn.Linear)]):
        if linear.out_features != output.shape[1]:
            continue
        weight = linear.weight.detach().double().cpu().numpy()
        bias = np.zeros(len(weight)) if linear.bias is None else linear.bias.detach().double().cpu().numpy()
        for found, method in _linear_forms(values, weight, cells, channels):
            if np.abs(found.sum(1) + bias - output).max(initial=0) <= limit:
                return Evidence(found, bias, method)
    return None


def _linear_forms(
    values: np.ndarray, weight: np.ndarray, cells: int, channels: int
) -> Iterator[tuple[np.ndarray, str]]:
    """What each cell would add if the head had one of the forms that the shape of the weight allows."""
    n_inputs = weight.shape[1]
    if n_inputs == channels:
        yield values @ weight.T / cells, MEAN
    if n_inputs == channels * cells:
        yield np.einsum("nth,cht->ntc", values, weight.reshape(-1, channels, cells)), FLATTEN
        yield np.einsum("nth,cth->ntc", values, weight.reshape(-1, cells, channels)), FLATTEN
    if n_inputs == 2 * channels:
        peak = np.arange(cells)[:, None] == values.argmax(1)[:, None, :]  # the first of equal maxima takes it all
        first, second = weight[:, :channels], weight[:, channels:]
        for mean, largest in ((first, second), (second, first)):
            yield values @ mean.T / cells + (values * peak) @ largest.T, CONCAT


def affine_evidence(head: Head, values: np.ndarray, output: np.ndarray) -> Evidence | None:
    """Evidence of a head whose outputs are affine in the cells, whatever it is made of; None for another head.

    Batch normalisation or several Linear layers in a row are affine, a ReLU between them is not. The candidate is the
    gradient at the first record; it is held against the head itself at no activation and at random ones far around the
    records' mean, and against the outputs of all records.

    Parameters
    ----------
    head
        The part of the network behind the layer.
    values, output
        As for `linear_evidence`.
    """
    point = head.tensor(values[:1]).requires_grad_()
    out = head(point)
    slopes = [torch.autograd.grad(out[0, c], point, retain_graph=True)[0][0] for c in range(out.shape[1])]
    slope = torch.stack(slopes).double().cpu().numpy()
    intercept = output[0] - np.einsum("th,cth->c", values[0].astype(np.float64), slope)
    mean, spread = values.mean((0, 1), dtype=np.float64), values.std((0, 1), dtype=np.float64) + 1e-3
    rng = np.random.default_rng(0)
    # Far to all sides in every channel, and there again from cell to cell: a mean over time hides the latter alone.
    offset = rng.normal(0, 4, (N_TRIALS, 1, values.shape[2])) * (spread + np.abs(mean))
    trials = mean + offset + rng.normal(0, spread, (N_TRIALS, *values.shape[1:]))
    trials[0] = 0
    with torch.no_grad():
        wanted = head(head.tensor(trials.astype(np.float32))).double().cpu().numpy()
    evidence = np.einsum("nth,cth->ntc", values.astype(np.float64), slope)
    pairs = (
        (np.einsum("nth,cth->nc", trials.astype(np.float64), slope), wanted, HEAD_TOLERANCE),
        (evidence.sum(1), output, head.tolerance),
    )
    for sums, truth, tolerance in pairs:
        if not np.abs(sums + intercept - truth).max(initial=0) <= tolerance * max(
            1.0, float(np.abs(truth).max(initial=0))
        ):
            return None
    return Evidence(evidence, intercept, AFFINE)
