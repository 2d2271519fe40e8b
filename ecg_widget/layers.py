"""Which layers of any network one would look at, in the order in which they run."""

from __future__ import annotations

import contextlib
import itertools
import weakref
from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import nn

from ecg_widget.inference import inference
from ecg_widget.layouts import tensor_of
from ecg_widget.networks import ECGNetwork

__all__ = ["DEFAULT_BLOCKS", "PRESETS", "choose_layers", "in_network_order", "list_layers"]

DEFAULT_BLOCKS = 3  # the paper clusters the last three residual blocks
PRESETS = ("last-three-blocks", "finest", "all")
"""Names for choices of layers: the paper's, the shallowest of `list_layers` (whose cells are closest), all of them."""

_TRIAL_SECONDS = 10.0  # of a standard ECG; a network that states no length is run once on so much
_TRIAL_LENGTHS = (1000, 5000, 4096, 2500, 2048, 512)  # samples, for networks of a fixed length that nobody stated
_TRIAL_LEADS = 4  # numbers of leads that are tried, those that a convolution reads, where nobody stated them
_CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)
_SMALL_GROUP = 0.1  # of the weights of the largest group of parts beside it
_ENOUGH_BLOCKS = 3  # so many parts side by side are the blocks or stages of a network; fewer are looked into

_runs: weakref.WeakKeyDictionary[nn.Module, tuple[tuple[str, ...], dict[str, int]]] = weakref.WeakKeyDictionary()


Layered = nn.Module | Mapping[str, object]  # a network, or the activations that are left of one


def list_layers(net: Layered) -> list[str]:
    """Names of the layers one would look at: residual blocks or stages as they run, else all with a time axis.

    Blocks are found by structure, not by name: three or more composite parts with weights side by side, whose outputs
    have a time axis. Groups of blocks (the stages of a deep network) count as one part each. Where there are fewer than
    three blocks, the parts before them (the stem) are listed too. A network without such parts lists its convolutions.

    Parameters
    ----------
    net
        An `ECGNetwork` or any ``torch.nn.Module``. It is run once on silence, in eval mode, and left as it was.
        Activations in its place list their layers.

    Returns
    -------
    list of str
        As in ``net.named_modules()``, shallow to deep.

    Raises
    ------
    ValueError
        No layer with a time axis.

    Examples
    --------
    >>> import ecg_widget as ecg
    >>> list_layers(ecg.load_network())
    ['blocks.0', 'blocks.1', 'blocks.2', 'blocks.3']
    >>> from ecg_widget.architectures import xresnet1d101
    >>> list_layers(xresnet1d101())
    ['stages.0', 'stages.1', 'stages.2', 'stages.3']
    """
    if isinstance(net, Mapping):
        return list(net)
    module = net.module if isinstance(net, ECGNetwork) else net
    ran = _ran(net)
    found = [name for unit in _blocks(module, "", ran) for name in _hookable(module, unit, ran)]
    if not found:
        leaves = [(name, m) for name, m in module.named_modules() if name and name in ran and _weighted(m)]
        found = [name for name, m in leaves if isinstance(m, nn.Conv1d)] or [name for name, _ in leaves]
    if not found:
        raise ValueError("expected a network with convolutions, got none; name the layers to look at: layers=[...]")
    return sorted(found, key=lambda name: ran[name])


def choose_layers(net: Layered, layers: str | Sequence[str] | None = None) -> list[str]:
    """Layer names and presets to layer names in network order, each once.

    Parameters
    ----------
    net
        An `ECGNetwork` or any ``torch.nn.Module``, or activations.
    layers
        One or more names of ``net.named_modules()`` or of `PRESETS`: ``"last-three-blocks"`` (also if None),
        ``"finest"``, ``"all"``.

    Returns
    -------
    list of str

    Raises
    ------
    ValueError
        No name, or one that is neither a layer nor a preset.

    Examples
    --------
    >>> import ecg_widget as ecg
    >>> net = ecg.load_network()
    >>> choose_layers(net, "last-three-blocks"), choose_layers(net, ["blocks.3", "finest"])
    (['blocks.1', 'blocks.2', 'blocks.3'], ['blocks.0', 'blocks.3'])
    """
    if isinstance(net, Mapping):
        known = set(net)
    else:
        known = {name for name, _ in (net.module if isinstance(net, ECGNetwork) else net).named_modules() if name}
    wanted = [PRESETS[0]] if layers is None else [layers] if isinstance(layers, str) else list(layers)
    names: list[str] = []
    for name in wanted:
        if name in known:
            names.append(name)
        elif name in PRESETS:
            listed = list_layers(net)
            names += {"finest": listed[:1], "all": listed}.get(name, listed[-DEFAULT_BLOCKS:])
        else:
            raise ValueError(
                f"layers: expected one or more of {list_layers(net)}, another layer of the network, or one of "
                f"{list(PRESETS)}; got {name!r}"
            )
    if not names:
        raise ValueError(f"layers: expected one or more of {list_layers(net)} or of {list(PRESETS)}, got no layer")
    return in_network_order(net, names)


def in_network_order(net: Layered, layers: Sequence[str]) -> list[str]:
    """The same names as the network runs them, each once; names that it does not run come last.

    Examples
    --------
    >>> import ecg_widget as ecg
    >>> in_network_order(ecg.load_network(), ["blocks", "blocks.3", "stem", "blocks.0"])
    ['stem', 'blocks.0', 'blocks.3', 'blocks']
    """
    ran = {name: i for i, name in enumerate(net)} if isinstance(net, Mapping) else _ran(net)
    return sorted(dict.fromkeys(layers), key=lambda name: ran.get(name, len(ran)))


def _ran(net: nn.Module) -> dict[str, int]:
    """Layers with an output of three dimensions -> when each was done, from one run on silence; kept per module.

    A network that cannot be run so (it reads another number of leads or samples) is taken to run its parts in the order
    in which they were made.
    """
    module = net.module if isinstance(net, ECGNetwork) else net
    names = tuple(name for name, _ in module.named_modules())
    kept = _runs.get(module)
    if kept is None or kept[0] != names:
        done = next((order for x in _trials(net, module) if (order := _run(module, x))), None)
        if done is None:
            done = {name: i for i, name in enumerate(_inside_out(module, ""))}
        kept = _runs[module] = (names, done)
    return kept[1]


def _trials(net: nn.Module, module: nn.Module) -> Iterator[torch.Tensor]:
    read = [m.in_channels for m in module.modules() if isinstance(m, nn.Conv1d)]
    leads = list(dict.fromkeys([*read[:1], 12, *read]))[:_TRIAL_LEADS]
    lengths: tuple[int, ...] = _TRIAL_LENGTHS
    if isinstance(net, ECGNetwork):
        leads = [len(net.spec.leads)]
        stated = net.spec.n_samples or round(_TRIAL_SECONDS * net.spec.sampling_rate)
        lengths = (stated,) if net.spec.n_samples else (stated, *lengths)
    dtype = next((p.dtype for p in module.parameters() if p.is_floating_point()), torch.float32)
    for length, n_leads in itertools.product(lengths, leads):
        yield torch.zeros(2, n_leads, length, dtype=dtype)


def _run(module: nn.Module, x: torch.Tensor) -> dict[str, int]:
    done: dict[str, int] = {}
    names = {m: name for name, m in module.named_modules() if name}

    def note(layer: nn.Module, _inputs: object, output: object) -> None:
        tensor = tensor_of(output)
        if tensor is not None and tensor.shape[2] > 1:  # one cell: pooled
            done[names[layer]] = len(done)

    handles = [layer.register_forward_hook(note) for layer in names]
    try:
        with contextlib.suppress(RuntimeError, ValueError, IndexError, TypeError), inference(module) as device:
            module(x.to(device))
            return done
    finally:
        for handle in handles:
            handle.remove()
    return {}


def _inside_out(module: nn.Module, prefix: str) -> Iterator[str]:
    """Names of a module's parts, children before their parents: the order in which a chain of parts is done."""
    for name, child in module.named_children():
        yield from _inside_out(child, f"{prefix}{name}.")
        yield f"{prefix}{name}"


def _weighted(module: nn.Module) -> bool:
    return next(module.parameters(), None) is not None


def _blocks(module: nn.Module, prefix: str, ran: dict[str, int]) -> list[str]:
    """Composite parts that make up a module; see `list_layers`."""
    units = {
        f"{prefix}{name}": child
        for name, child in module.named_children()
        if _weighted(child) and next(child.children(), None) is not None and _time(f"{prefix}{name}", ran)
    }
    groups = {name: child for name, child in units.items() if _is_group(child)}
    same = len(units) > 1 and not groups and len({type(child) for child in units.values()}) == 1
    if (len(units) >= _ENOUGH_BLOCKS and len(groups) in {0, *range(_ENOUGH_BLOCKS, len(units) + 1)}) or same:
        return list(units)
    if groups:
        inside = {name: _blocks(child, f"{name}.", ran) or [name] for name, child in groups.items()}
        heavy = _SMALL_GROUP * max(_size(child) for child in groups.values())  # a stem of several layers is lighter
        blocks = [block for name, child in groups.items() if _size(child) >= heavy for block in inside[name]]
        return blocks if len(blocks) >= _ENOUGH_BLOCKS else [b for name in units for b in inside.get(name, [name])]
    if not units:
        return []
    largest = max(units, key=lambda name: _size(units[name]))
    inside_largest = _blocks(units[largest], f"{largest}.", ran)
    if len(inside_largest) >= _ENOUGH_BLOCKS or (
        len(units) == 1 and any(_is_group(m) for m in units[largest].modules())
    ):
        return inside_largest
    return list(units)


def _size(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def _is_group(module: nn.Module) -> bool:
    """A container of parts that are composite themselves, as a stage is of residual blocks."""
    return isinstance(module, _CONTAINERS) and any(
        _weighted(child) and next(child.children(), None) is not None for child in module.children()
    )


def _time(name: str, ran: dict[str, int]) -> bool:
    return name in ran or any(other.startswith(f"{name}.") for other in ran)


def _hookable(module: nn.Module, name: str, ran: dict[str, int]) -> list[str]:
    """The part itself; all its children where it is a list that never runs; the last one where it ends in pooling."""
    if name in ran:
        return [name]
    part = module.get_submodule(name)
    children = [f"{name}.{child}" for child, _ in part.named_children()]
    found = [layer for child in children if _time(child, ran) for layer in _hookable(module, child, ran)]
    never_runs = isinstance(part, (nn.ModuleList, nn.ModuleDict)) or children[-1] in ran
    return found if never_runs else sorted(found, key=lambda n: ran[n])[-1:]
