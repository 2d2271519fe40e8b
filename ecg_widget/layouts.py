"""Which axis of a layer's output is time: convolutions and transformers do not agree, and class tokens have no time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

__all__ = ["CHANNELS_FIRST", "Layout", "capture", "layouts_by_shape", "replaced", "tensor_of"]

# Their output is (record, channel, time) by PyTorch's own definition.
_CHANNELS_FIRST = (
    nn.Conv1d,
    nn.ConvTranspose1d,
    nn.BatchNorm1d,
    nn.InstanceNorm1d,
    nn.GroupNorm,
    nn.MaxPool1d,
    nn.AvgPool1d,
    nn.AdaptiveAvgPool1d,
    nn.AdaptiveMaxPool1d,
)


@dataclass(frozen=True)
class Layout:
    """Where records, cells and channels are in a layer's output of three dimensions.

    Attributes
    ----------
    record, cell
        Axes of the output; the third holds the channels.
    before, after
        Tokens before the first cell and behind the last one that stand for no time: class tokens.
    constant
        How many of them there may be, from the numbers of tokens for a record and one twice as long.
    """

    record: int = 0
    cell: int = 2
    before: int = 0
    after: int = 0
    constant: int = 0

    @property
    def channel(self) -> int:
        """The remaining axis."""
        return 3 - self.record - self.cell

    def read(self, output: torch.Tensor) -> torch.Tensor:
        """The layer's output as ``(record, channel, cell)``, class tokens left out.

        Examples
        --------
        >>> Layout(cell=1, before=1).read(torch.zeros(2, 26, 64)).shape
        torch.Size([2, 64, 25])
        """
        cells = output.permute(self.record, self.channel, self.cell)
        return cells[..., self.before : cells.shape[2] - self.after]

    def write(self, output: torch.Tensor, cells: torch.Tensor) -> torch.Tensor:
        """The layer's output with other values ``(record, channel, cell)`` in its cells; class tokens stay.

        Examples
        --------
        >>> layout = Layout(cell=1, before=1)
        >>> layout.write(torch.zeros(1, 3, 2), torch.ones(1, 2, 2)).sum(2)
        tensor([[0., 2., 2.]])
        """
        out = output.clone()
        inside = out.permute(self.record, self.channel, self.cell)
        inside[..., self.before : inside.shape[2] - self.after] = cells.to(out)
        return out


CHANNELS_FIRST = Layout()


@contextmanager
def capture(
    module: nn.Module,
    layers: Sequence[str],
    *,
    layouts: Mapping[str, Layout] | None = None,
    stop: bool = False,
    into: Callable[[str, torch.Tensor], None] | None = None,
) -> Iterator[dict[str, torch.Tensor]]:
    """Collect the outputs of named layers of the forward passes in the block; hooks are removed whatever happens.

    Parameters
    ----------
    module
        Any module.
    layers
        Names as in ``module.named_modules()``.
    layouts
        Layer -> `Layout`: then outputs are ``(record, channel, cell)``. None: as the layer gives them.
    stop
        Leave the forward pass as soon as every layer has its output; `Reached` is raised inside the block.
    into
        Called with a layer and its output as soon as the layer has run, in place of keeping it: the memory is then free
        for the layers behind.

    Yields
    ------
    dict
        Layer -> tensor of three dimensions of the last forward pass, in the order in which they ran; of a tuple the
        first tensor of three dimensions.

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
            tensor = tensor_of(output)
            if tensor is None:
                raise ValueError(
                    f"layer {name!r}: expected an output (record, channel, cell), got {_described(output)}; choose a "
                    "layer before the pooling"
                )
            read = tensor if layouts is None else layouts[name].read(tensor)
            if into is not None:
                into(name, read)
                return
            outputs[name] = read
            if stop and len(outputs) == len(layers):
                raise Reached

        return keep

    handles = [modules[name].register_forward_hook(hook(name)) for name in layers]
    try:
        yield outputs
    finally:
        for handle in handles:
            handle.remove()


class Reached(Exception):  # noqa: N818  (control flow, not an error: the last wanted layer has its output)
    """Every layer that `capture` waits for has run."""


def tensor_of(output: Any) -> torch.Tensor | None:
    """The tensor of three dimensions in what a layer returns; of a tuple or list the first one.

    Examples
    --------
    >>> tensor_of((torch.zeros(2), torch.zeros(1, 2, 3))).shape
    torch.Size([1, 2, 3])
    """
    for candidate in output if isinstance(output, (tuple, list)) else [output]:
        if isinstance(candidate, torch.Tensor) and candidate.ndim == 3:
            return candidate
    return None


def replaced(output: Any, tensor: torch.Tensor) -> Any:
    """What a layer returns with another tensor in the place of the one that `tensor_of` finds.

    Examples
    --------
    >>> [t.ndim for t in replaced((torch.zeros(2), torch.zeros(1, 2, 3)), torch.ones(1, 2, 3))]
    [1, 3]
    """
    if isinstance(output, torch.Tensor):
        return tensor
    old = tensor_of(output)
    items = [tensor if item is old else item for item in output]
    return type(output)(*items) if hasattr(output, "_fields") else type(output)(items)


def layouts_by_shape(
    module: nn.Module, layers: Sequence[str], n_leads: int, n_samples: int, stated: Mapping[str, int]
) -> dict[str, Layout | None]:
    """What the shapes of outputs for other numbers of records and samples tell, None where they do not.

    Parameters
    ----------
    module
        In float64, in eval mode.
    layers
        Names as in ``module.named_modules()``.
    n_leads, n_samples
        Of one record.
    stated
        Layer -> axis of the cells, as somebody says.
    """
    shapes, inner = _shapes(module, layers, n_leads, n_samples)
    modules = dict(module.named_modules())
    out: dict[str, Layout | None] = {}
    for name in layers:
        seen = {run: sizes[name] for run, sizes in shapes.items()}
        try:
            out[name] = _shape_layout(modules[name], seen, inner[name])
        except ValueError as error:
            if name not in stated:
                raise ValueError(f"layer {name!r}: {error}; choose a layer before it") from None
            out[name] = None
        if name in stated:
            record = 0 if out[name] is None else out[name].record  # type: ignore[union-attr]
            if stated[name] not in {0, 1, 2} - {record}:
                raise ValueError(f"cell_axis: expected one of {sorted({0, 1, 2} - {record})}, got {stated[name]!r}")
            out[name] = Layout(record, stated[name])
    return out


def _shapes(
    module: nn.Module, layers: Sequence[str], n_leads: int, n_samples: int
) -> tuple[dict[tuple[int, int], dict[str, tuple[int, ...]]], dict[str, set[tuple[int, ...]]]]:
    """Shapes of the layers' outputs for two and three records and for two lengths, and those inside each layer."""
    inner: dict[str, set[tuple[int, ...]]] = {name: set() for name in layers}
    modules = dict(module.named_modules())
    shapes: dict[tuple[int, int], dict[str, tuple[int, ...]]] = {}

    def note(name: str) -> Any:
        return lambda _m, _i, out: inner[name].add(tuple(out.shape)) if isinstance(out, torch.Tensor) else None

    for n, length in ((2, n_samples), (3, n_samples), (2, 2 * n_samples)):
        handles = []
        if not shapes:
            leaves = [(name, leaf) for name in layers for leaf in modules.get(name, nn.Identity()).modules()]
            handles = [
                leaf.register_forward_hook(note(name)) for name, leaf in leaves if isinstance(leaf, _CHANNELS_FIRST)
            ]
        try:
            with torch.no_grad(), capture(module, layers, stop=True) as outputs, suppress(Reached):
                module(torch.zeros(n, n_leads, length, dtype=torch.float64))
        except (RuntimeError, ValueError, IndexError):  # a network of fixed length, or of one record at a time
            if not shapes:
                raise
            continue
        finally:
            for handle in handles:
                handle.remove()
        unreached = [name for name in layers if name not in outputs]
        if unreached:
            raise ValueError(f"layer {unreached[0]!r}: expected to run in the forward pass, but it was not reached")
        shapes[n, length] = {name: tuple(output.shape) for name, output in outputs.items()}
    return shapes, inner


def _shape_layout(
    layer: nn.Module, shapes: Mapping[tuple[int, int], tuple[int, ...]], inner: set[Any]
) -> Layout | None:
    """The layout as far as shapes tell it; None where they do not.

    `shapes`: (records, samples) of an input -> shape of the output; `inner`: shapes, for the first of these inputs, of
    those outputs inside `layer` whose layout PyTorch defines.
    """
    (records, samples), first = next(iter(shapes.items()))
    axes = {axis for axis in range(3) if first[axis] == records}
    for (n, length), shape in shapes.items():
        if length == samples:
            axes &= {axis for axis in range(3) if shape[axis] == n}
    if not axes:
        raise ValueError(f"expected an axis of the output for the {records} records, got the shape {first}")
    record = min(axes)
    if isinstance(layer, _CHANNELS_FIRST):
        return CHANNELS_FIRST if record == 0 else None
    longer = {
        axis
        for (n, length), shape in shapes.items()
        for axis in range(3)
        if n == records and length != samples and shape[axis] != first[axis]
    } - {record}
    if len(longer) > 1:
        raise ValueError(f"expected one axis of the output to follow the record's length, got two in the shape {first}")
    if longer:
        cell = longer.pop()
        double = [shape[cell] for (n, length), shape in shapes.items() if n == records and length == 2 * samples]
        return Layout(record, cell, constant=max(0, 2 * first[cell] - min(double)) if double else 0)
    if record == 0 and first in inner and first[1] != first[2]:
        return CHANNELS_FIRST
    return None


def _described(output: Any) -> list[Any]:
    candidates = output if isinstance(output, (tuple, list)) else [output]
    return [tuple(c.shape) if isinstance(c, torch.Tensor) else type(c).__name__ for c in candidates]


def _some(modules: dict[str, nn.Module]) -> str:
    names = [name for name in modules if name]
    shown = ", ".join(repr(n) for n in names[:12])
    return f"{shown}, ... ({len(names)} in all)" if len(names) > 12 else shown
