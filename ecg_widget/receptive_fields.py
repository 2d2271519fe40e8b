"""Where in time a cell of a layer looks: centre, stride and width, found by probing the network with gradients."""

from __future__ import annotations

import copy
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

DRAWS = 4  # random inputs a probe: a ReLU that closes a path for one of them is open for another
LENGTHENED = (1, 2, 4, 8)  # a record shorter than a receptive field is probed on inputs so many times longer
ENOUGH = 8_192  # samples; longer records are probed on so many, where the network takes any length
GLOBAL_MASS = 0.95  # width of a receptive field without borders: the span of so much gradient


@dataclass(frozen=True)
class ReceptiveField:
    """Which samples of the input a layer's cells see, in samples of the network's input.

    Cell ``i`` has its centre at ``offset + stride * i`` and sees `width` samples around it.

    Attributes
    ----------
    offset
        Centre of cell 0; may be a half, and outside the record.
    stride
        Distance of neighbouring cells.
    width
        Samples from the first to the last one seen.
    bounded
        False where every cell sees the whole input (attention, squeeze-and-excitation, recurrent layers): then the
        centre is the centroid of the gradient above its background and the width spans 95 % of it.
    """

    offset: float
    stride: float
    width: float
    bounded: bool = True

    def centres(self, n_cells: int) -> np.ndarray:
        """Centres ``(cell,)`` in samples.

        Examples
        --------
        >>> ReceptiveField(offset=5.0, stride=16.0, width=209.0).centres(3)
        array([ 5., 21., 37.])
        """
        return self.offset + self.stride * np.arange(n_cells, dtype=np.float64)


class _Reached(Exception):  # noqa: N818  (control flow, not an error: the last wanted layer has its output)
    pass


_cache: weakref.WeakKeyDictionary[nn.Module, dict[tuple[str, int], ReceptiveField]] = weakref.WeakKeyDictionary()


def receptive_fields(
    module: nn.Module, layers: Sequence[str], n_leads: int, n_samples: int
) -> dict[str, ReceptiveField]:
    """Probe the receptive fields of several layers at once; each is probed once per module and length.

    The gradient of a random mixture of one cell's channels with respect to random inputs is nonzero exactly on the
    samples that the cell sees. Its first and last sample give the width, their middle the centre; several cells give
    the stride. The probe runs in float64 on the CPU on a copy of the module, where a product of small weights does not
    vanish and no fast convolution leaks rounding errors outside the receptive field.

    Parameters
    ----------
    module
        Takes ``(record, lead, time)``.
    layers
        Names as in ``module.named_modules()``.
    n_leads, n_samples
        Shape of one record as the network sees it.

    Returns
    -------
    dict
        Layer -> `ReceptiveField`, in the order of `layers`.

    Raises
    ------
    ValueError
        A layer that does not exist, is not reached, or whose output has no time axis.

    Examples
    --------
    >>> net = nn.Sequential(nn.Conv1d(12, 4, 9, stride=2, padding=4), nn.Conv1d(4, 4, 5, stride=2, padding=2))
    >>> receptive_fields(net, ["1"], n_leads=12, n_samples=500)
    {'1': ReceptiveField(offset=0.0, stride=4.0, width=17.0, bounded=True)}
    """
    known = _cache.setdefault(module, {})
    missing = [name for name in layers if (name, n_samples) not in known]
    if missing:
        probe = copy.deepcopy(module).cpu().double().eval().requires_grad_(False)
        found: dict[str, ReceptiveField] = {}
        rough: dict[str, ReceptiveField] = {}
        lengths = [min(n_samples, ENOUGH) * factor for factor in LENGTHENED]
        for length in lengths if n_samples in lengths else [*lengths, n_samples]:
            wanted = [name for name in missing if name not in found]
            if not wanted:
                break
            try:
                fields = _probe(probe, wanted, n_leads, length)
            except RuntimeError:  # a network of fixed length
                if length == n_samples:
                    raise
                continue
            rough = {**fields, **rough}
            found |= {name: field for name, field in fields.items() if field.bounded}
        known.update({(name, n_samples): found.get(name, rough[name]) for name in missing})
    return {name: known[name, n_samples] for name in layers}


@contextmanager
def capture(module: nn.Module, layers: Sequence[str], *, stop: bool = False) -> Iterator[dict[str, torch.Tensor]]:
    """Collect the outputs of named layers of the forward passes in the block; hooks are removed whatever happens.

    Parameters
    ----------
    module
        Any module.
    layers
        Names as in ``module.named_modules()``.
    stop
        Leave the forward pass as soon as every layer has its output (its exception ends inside the block's caller).

    Yields
    ------
    dict
        Layer -> tensor ``(record, channel, cell)`` of the last forward pass; of a tuple the first tensor of three
        dimensions.

    Raises
    ------
    ValueError
        A layer that does not exist, or whose output has no time axis.
    """
    modules = dict(module.named_modules())
    unknown = [name for name in layers if name not in modules or not name]
    if unknown:
        raise ValueError(
            f"layers: expected names of list_layers(net), got {unknown[0]!r}; this network has {_some(modules)}"
        )
    outputs: dict[str, torch.Tensor] = {}

    def hook(name: str) -> Any:
        def keep(_module: nn.Module, _inputs: Any, output: Any) -> None:
            outputs[name] = _tensor(name, output)
            if stop and len(outputs) == len(layers):
                raise _Reached

        return keep

    handles = [modules[name].register_forward_hook(hook(name)) for name in layers]
    try:
        yield outputs
    finally:
        for handle in handles:
            handle.remove()


def _tensor(name: str, output: Any) -> torch.Tensor:
    candidates = output if isinstance(output, (tuple, list)) else [output]
    for candidate in candidates:
        if isinstance(candidate, torch.Tensor) and candidate.ndim == 3:
            return candidate
    shapes = [tuple(c.shape) if isinstance(c, torch.Tensor) else type(c).__name__ for c in candidates]
    raise ValueError(
        f"layer {name!r}: expected an output (record, channel, cell), got {shapes}; choose a layer before the pooling"
    )


def _some(modules: dict[str, nn.Module]) -> str:
    names = [name for name in modules if name]
    shown = ", ".join(repr(n) for n in names[:12])
    return f"{shown}, ... ({len(names)} in all)" if len(names) > 12 else shown


def _probe(module: nn.Module, layers: list[str], n_leads: int, n_samples: int) -> dict[str, ReceptiveField]:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(DRAWS, n_leads, n_samples, dtype=torch.float64, generator=generator).requires_grad_()
    with torch.enable_grad(), capture(module, layers, stop=True) as outputs:
        with suppress(_Reached):
            module(x)
        unreached = [name for name in layers if name not in outputs]
        if unreached:
            raise ValueError(f"layer {unreached[0]!r}: expected to run in the forward pass, but it was not reached")
        fields = {}
        for name in layers:
            output = outputs[name]
            n_cells = output.shape[2]
            mixture = torch.randn(output.shape[1], dtype=torch.float64, generator=generator)
            mixed = (output * mixture[None, :, None]).sum((0, 1))
            middle = n_cells // 2
            cells = {n_cells // 4, middle - 1, middle, middle + 1, 3 * n_cells // 4} & set(range(n_cells))
            fields[name] = _fit({c: _gradient(mixed[c], x) for c in sorted(cells)}, n_cells, n_samples)
    return fields


def _gradient(mixed: torch.Tensor, x: torch.Tensor) -> np.ndarray:
    """Sum over draws and leads of the absolute gradient, ``(sample,)``."""
    (gradient,) = torch.autograd.grad(mixed, x, retain_graph=True)
    return gradient.abs().sum((0, 1)).numpy()


def _fit(gradients: dict[int, np.ndarray], n_cells: int, n_samples: int) -> ReceptiveField:
    """Line through the centres of the probed cells, from those whose receptive field the record's ends do not cut."""
    spans = {cell: np.flatnonzero(g) for cell, g in gradients.items()}
    inside = {c: s for c, s in spans.items() if s.size and s[0] > 0 and s[-1] < n_samples - 1}
    if len(inside) >= 2:
        centres = {cell: (s[0] + s[-1]) / 2 for cell, s in inside.items()}
        width, bounded = float(max(s[-1] - s[0] + 1 for s in inside.values())), True
    else:
        centres, widths = {}, []
        for cell, gradient in gradients.items():
            weight = np.clip(gradient - np.median(gradient), 0, None)  # a global path adds the same to all samples
            weight = weight if weight.sum() > 0 else np.ones(n_samples)
            mass = weight.cumsum() / weight.sum()
            centres[cell] = float((weight * np.arange(n_samples)).sum() / weight.sum())
            low, high = np.searchsorted(mass, [(1 - GLOBAL_MASS) / 2, (1 + GLOBAL_MASS) / 2])
            widths.append(high - low + 1)
        width, bounded = float(np.median(widths)), False
    if len(centres) < 2:
        return ReceptiveField((n_samples - 1) / 2, float(n_samples), width, bounded)
    cells = np.array(sorted(centres), dtype=np.float64)
    slope, offset = np.polyfit(cells, [centres[int(c)] for c in cells], 1)
    if bounded:  # strides of convolutions are whole numbers and centres whole or half ones
        slope, offset = round(slope, 6), round(offset * 2, 4) / 2
        slope = round(slope) if abs(slope - round(slope)) < 1e-6 else slope
    elif abs(slope * n_cells / n_samples - 1) > 0.1:  # the centroids do not move with the cells: no local path
        slope, offset = n_samples / n_cells, (n_samples / n_cells - 1) / 2
    return ReceptiveField(float(offset), float(slope), width, bounded)
