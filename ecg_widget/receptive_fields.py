"""Where in time a cell of a layer looks: centre, stride and width, found by probing the network with gradients."""

from __future__ import annotations

import copy
import weakref
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import nn

from ecg_widget.inference import exclusive
from ecg_widget.layouts import Layout, Reached, capture, layouts_by_shape

__all__ = ["Probe", "ReceptiveField", "capture", "probe", "receptive_fields"]

DRAWS = 4  # random inputs a probe: a ReLU that closes a path for one of them is open for another
LENGTHENED = (1, 2, 4, 8)  # a record shorter than a receptive field is probed on inputs so many times longer
ENOUGH = 8_192  # samples; longer records are probed on so many, where the network takes any length
GLOBAL_MASS = 0.95  # width of a receptive field without borders: the span of so much gradient
FOLLOWS = 0.9  # least correlation of centres with cells for an axis to be time
CLASS_TOKENS = 8  # most class tokens before the first cell, and behind the last


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
        centre is that of the local peak of the gradient and the width spans 95 % of what is above its background.
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


@dataclass(frozen=True)
class Probe:
    """What probing tells of a layer: where its cells look, and which axis of its output they are."""

    field: ReceptiveField
    layout: Layout


_cache: weakref.WeakKeyDictionary[nn.Module, dict[tuple[str, int, int | None], Probe]] = weakref.WeakKeyDictionary()


def receptive_fields(
    module: nn.Module, layers: Sequence[str], n_leads: int, n_samples: int
) -> dict[str, ReceptiveField]:
    """The receptive fields of `probe` alone.

    Examples
    --------
    >>> net = nn.Sequential(nn.Conv1d(12, 4, 9, stride=2, padding=4), nn.Conv1d(4, 4, 5, stride=2, padding=2))
    >>> receptive_fields(net, ["1"], n_leads=12, n_samples=500)
    {'1': ReceptiveField(offset=0.0, stride=4.0, width=17.0, bounded=True)}
    """
    return {name: found.field for name, found in probe(module, layers, n_leads, n_samples).items()}


def probe(
    module: nn.Module,
    layers: Sequence[str],
    n_leads: int,
    n_samples: int,
    *,
    cell_axis: Mapping[str, int] | None = None,
) -> dict[str, Probe]:
    """Probe several layers at once; each is probed once per module and length.

    The gradient of a random mixture of one cell's channels with respect to random inputs is nonzero exactly on the
    samples that the cell sees. Its first and last sample give the width, their middle the centre; several cells give
    the stride. The probe runs in float64 on the CPU on a copy of the module, where a product of small weights does not
    vanish and no fast convolution leaks rounding errors outside the receptive field.

    The axis of records is the one that follows their number, the axis of cells the one that follows the record's
    length. In a network of fixed length it is the axis along which the gradient wanders through the record. A token at
    either end of it whose gradient is not where its neighbours' lead one to expect is a class token: it is left out.

    Parameters
    ----------
    module
        Takes ``(record, lead, time)``.
    layers
        Names as in ``module.named_modules()``.
    n_leads, n_samples
        Shape of one record as the network sees it.
    cell_axis
        Layer -> axis of its output, 0 to 2, for layers that do not show which one is time.

    Returns
    -------
    dict
        Layer -> `Probe`, in the order of `layers`.

    Raises
    ------
    ValueError
        A layer that does not exist, is not reached, whose output has no time axis, or does not show which one it is.

    Examples
    --------
    >>> encoder = nn.TransformerEncoderLayer(8, 2, 16, dropout=0, batch_first=True)
    >>> class Patches(nn.Module):
    ...     def forward(self, x):
    ...         return x.unfold(2, 8, 8).mean(1)
    >>> torch.manual_seed(0) and None
    >>> found = probe(nn.Sequential(Patches(), encoder), ["1"], n_leads=2, n_samples=400)["1"]
    >>> found.layout.cell, found.field.stride, found.field.bounded
    (1, 8.0, False)
    """
    stated = dict(cell_axis or {})
    known = _cache.setdefault(module, {})
    missing = [name for name in layers if (name, n_samples, stated.get(name)) not in known]
    if missing:
        with exclusive(module):  # a copy takes the hooks of others along
            inert = copy.deepcopy(module)
        inert = inert.cpu().double().eval().requires_grad_(False)
        layouts = layouts_by_shape(inert, missing, n_leads, n_samples, stated)
        found: dict[str, ReceptiveField] = {}
        rough: dict[str, ReceptiveField] = {}
        lengths = [min(n_samples, ENOUGH) * factor for factor in LENGTHENED]
        for length in lengths if n_samples in lengths else [*lengths, n_samples]:
            wanted = [name for name in missing if name not in found]
            if not wanted:
                break
            try:
                fields = _probe(inert, wanted, n_leads, length, layouts)
            except (RuntimeError, ValueError):  # a network of fixed length
                if length == n_samples:
                    raise
                continue
            rough = {**fields, **rough}
            found |= {name: field for name, field in fields.items() if field.bounded}
            if length == lengths[0]:
                cut = [name for name in rough if name not in found]
                found |= {name: rough[name] for name in _endless(inert, cut, n_leads, lengths[-1], layouts)}
        for name in missing:
            layout = layouts[name]
            assert layout is not None
            known[name, n_samples, stated.get(name)] = Probe(found.get(name, rough[name]), layout)
    return {name: known[name, n_samples, stated.get(name)] for name in layers}


def _probe(
    module: nn.Module, layers: list[str], n_leads: int, n_samples: int, layouts: dict[str, Layout | None]
) -> dict[str, ReceptiveField]:
    """Receptive fields at one length; layouts that were open are decided."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(DRAWS, n_leads, n_samples, dtype=torch.float64, generator=generator).requires_grad_()
    with torch.enable_grad(), capture(module, layers, stop=True) as outputs:
        with suppress(Reached):
            module(x)
        fields = {}
        for name in layers:
            layout = layouts[name] or _wandering(name, outputs[name], x)
            layout = replace(layout, before=0, after=0)
            tokens = layout.read(outputs[name])
            if not tokens.requires_grad:
                raise ValueError(f"layer {name!r}: expected an output that depends on the signal, got a constant")
            mixture = torch.randn(tokens.shape[1], dtype=torch.float64, generator=generator)
            look = _Looker((tokens * mixture[None, :, None]).sum((0, 1)), x)
            fields[name] = _fit(look)
            open_ends = layouts[name] is None or layout.cell < layout.channel
            if open_ends or (layout.constant and not fields[name].bounded):
                before, after = _class_tokens(look, fields[name])
                layout = replace(layout, before=before, after=after)
                if before or after:
                    look = _Looker(look.mixed[before : len(look.mixed) - after], x)
                    fields[name] = _fit(look)
            layouts[name] = layout
    return fields


def _endless(
    module: nn.Module, names: list[str], n_leads: int, n_samples: int, layouts: Mapping[str, Layout | None]
) -> list[str]:
    """Layers whose middle cell sees the whole of the longest input too: no other length would tell more."""
    if not names:
        return []
    x = torch.randn(1, n_leads, n_samples, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    x.requires_grad_()
    out = []
    try:
        with torch.enable_grad(), capture(module, names, stop=True) as outputs, suppress(Reached):
            module(x)
        for name in names:
            layout = layouts[name]
            assert layout is not None
            cells = layout.read(outputs[name])
            mixture = torch.linspace(
                1, 2, cells.shape[1], dtype=torch.float64
            ).sin()  # a sum is constant after LayerNorm
            gradient = _Looker((cells * mixture[None, :, None]).sum((0, 1)), x).at(cells.shape[2] // 2)
            if gradient[0] > 0 and gradient[-1] > 0:
                out.append(name)
    except (RuntimeError, ValueError):  # a network of fixed length
        return names
    return out


class _Looker:
    """Gradients of one number for each cell, computed when asked for."""

    def __init__(self, mixed: torch.Tensor, x: torch.Tensor) -> None:
        self.mixed = mixed
        self.x = x
        self.n_samples = x.shape[2]
        self.samples = np.arange(self.n_samples)

    def at(self, cell: int) -> np.ndarray:
        """Sum over draws and leads of the absolute gradient, ``(sample,)``."""
        (gradient,) = torch.autograd.grad(self.mixed[cell], self.x, retain_graph=True, allow_unused=True)
        return np.zeros(self.n_samples) if gradient is None else gradient.abs().sum((0, 1)).numpy()

    def peak(self, gradient: np.ndarray) -> float:
        """Centroid of the highest peak above the background, which a global path adds to all samples."""
        weight = np.clip(gradient - np.median(gradient), 0, None)
        if not weight.any():
            return float("nan")
        stride = max(1, self.n_samples // len(self.mixed))
        centre = float(np.convolve(weight, np.ones(stride), "same").argmax())
        reach = self.n_samples / 4
        for _ in range(8):
            near = weight * (np.abs(self.samples - centre) <= max(2 * reach, stride))
            centre = float((near * self.samples).sum() / near.sum())
            reach = float(np.sqrt((near * (self.samples - centre) ** 2).sum() / near.sum()))
        return centre


def _wandering(name: str, output: torch.Tensor, x: torch.Tensor) -> Layout:
    """The layout of a network of fixed length: along the axis of cells, the gradient wanders through the record."""
    record = next(axis for axis in range(3) if output.shape[axis] == len(x))
    follows = []
    for axis in {0, 1, 2} - {record}:
        cells = Layout(record, axis).read(output)
        count = cells.shape[2]
        if count < 4 or not cells.requires_grad:
            continue
        mixture = torch.randn(cells.shape[1], dtype=torch.float64, generator=torch.Generator().manual_seed(1))
        look = _Looker((cells * mixture[None, :, None]).sum((0, 1)), x)
        at = np.unique(np.linspace(0.15 * count, 0.85 * count, 9).astype(int))
        centres = np.array([look.peak(look.at(int(i))) for i in at])
        if np.isfinite(centres).all() and np.ptp(centres) > 0:
            share = np.polyfit(at, centres, 1)[0] * count / look.n_samples
            if np.corrcoef(at, centres)[0, 1] > FOLLOWS and 0.5 < share < 1.5:
                follows.append(axis)
    if len(follows) != 1:
        raise ValueError(
            f"layer {name!r}: expected one axis of its output {tuple(output.shape)[1:]} to be time, got {len(follows)} "
            "that look along the record; choose another layer, or state the axis of the cells (0, 1 or 2): "
            f"cell_axis={{{name!r}: 1}}"
        )
    return Layout(record, follows[0])


def _class_tokens(look: _Looker, field: ReceptiveField) -> tuple[int, int]:
    """How many tokens before and behind the cells do not look where the line through the cells leads."""
    count = len(look.mixed)
    if count < 4:
        return 0, 0

    def share(cell: int) -> float:
        gradient = look.at(cell)
        near = np.abs(look.samples - (field.offset + field.stride * cell)) <= field.stride
        return float(gradient[near].sum() / gradient.sum()) if gradient.any() else 0.0

    usual = float(np.median([share(cell) for cell in {count // 4, count // 2, 3 * count // 4}]))
    most = min(CLASS_TOKENS, count // 4)
    ends = []
    for cells in (range(most), range(count - 1, count - 1 - most, -1)):
        strangers = 0
        for cell in cells:
            if share(cell) >= usual / 2:
                break
            strangers += 1
        ends.append(strangers)
    return ends[0], ends[1]


def _fit(look: _Looker) -> ReceptiveField:
    """Line through the centres of the probed cells, from those whose receptive field the record's ends do not cut."""
    n_cells, n_samples = len(look.mixed), look.n_samples
    middle = n_cells // 2
    cells = {n_cells // 4, middle - 1, middle, middle + 1, 3 * n_cells // 4} & set(range(n_cells))
    gradients = {cell: look.at(cell) for cell in sorted(cells)}
    spans = {cell: np.flatnonzero(g) for cell, g in gradients.items()}
    inside = {c: s for c, s in spans.items() if s.size and s[0] > 0 and s[-1] < n_samples - 1}
    if len(inside) >= 2:
        at = np.array(sorted(inside), dtype=np.float64)
        slope, offset = np.polyfit(at, [(inside[int(c)][0] + inside[int(c)][-1]) / 2 for c in at], 1)
        slope, offset = round(float(slope), 6), round(float(offset) * 2, 4) / 2
        slope = round(slope) if abs(slope - round(slope)) < 1e-6 else slope  # of convolutions: whole numbers
        return ReceptiveField(float(offset) + 0.0, float(slope), float(max(s[-1] - s[0] + 1 for s in inside.values())))
    gradients |= {c: look.at(c) for c in np.linspace(0.1 * n_cells, 0.9 * n_cells, 9).astype(int) if c < n_cells}
    widths = []
    for gradient in gradients.values():
        weight = np.clip(gradient - np.median(gradient), 0, None)
        mass = (weight if weight.any() else np.ones(n_samples)).cumsum()
        low, high = np.searchsorted(mass, [mass[-1] * (1 - GLOBAL_MASS) / 2, mass[-1] * (1 + GLOBAL_MASS) / 2])
        widths.append(high - low + 1)
    width = float(np.median(widths))
    centres = {cell: look.peak(gradient) for cell, gradient in gradients.items()}
    at = np.array(sorted(c for c in centres if np.isfinite(centres[c])), dtype=np.float64)
    slope, offset = n_samples / n_cells, (n_samples / n_cells - 1) / 2
    if len(at) >= 2:
        values = np.array([centres[int(c)] for c in at])
        fitted = float(np.polyfit(at, values, 1)[0])
        if abs(fitted * n_cells / n_samples - 1) <= 0.1:  # else centres do not move with the cells: no local path
            slope = round(fitted) if abs(fitted - round(fitted)) < max(0.02 * fitted, 1 / n_cells) else fitted
            offset = round(2 * float(np.median(values - slope * at))) / 2
    return ReceptiveField(float(offset), float(slope), width, bounded=False)
