"""Run somebody's module and leave it exactly as it was found."""

from __future__ import annotations

import contextlib
import threading
import weakref
from collections.abc import Iterator

import torch
from torch import Tensor, nn

__all__ = ["exclusive", "inference", "like_weights", "weights_type"]

_locks: weakref.WeakKeyDictionary[nn.Module, threading.RLock] = weakref.WeakKeyDictionary()
_locks_guard = threading.Lock()


@contextlib.contextmanager
def inference(net: nn.Module, device: str | torch.device | None = None) -> Iterator[torch.device]:
    """Run a module in eval mode without gradients, on its own device or another; leave it as it was.

    One thread at a time: mode, place and hooks are the module's own, and two views of one network share it.

    Parameters
    ----------
    net
        Each submodule's mode is restored, and its place where `device` moved it.
    device
        None: where the module is.

    Yields
    ------
    torch.device
        Where inputs must be.

    Raises
    ------
    ValueError
        `device` is given for a module that is spread over several.

    Examples
    --------
    >>> layer = nn.Dropout()
    >>> with inference(layer) as where:
    ...     print(where, layer.training)
    cpu False
    >>> layer.training
    True
    """
    places = {t.device for t in (*net.parameters(), *net.buffers())}
    home = next(iter(places), torch.device("cpu"))
    place = home if device is None else torch.device(device)
    move = bool(places) and places != {place} and device is not None
    if move and len(places) > 1:
        raise ValueError(f"device: expected None for a network spread over {sorted(map(str, places))}, got {place}")
    with exclusive(net):
        modes = [(module, module.training) for module in net.modules()]
        try:
            net.eval()
            if move:
                net.to(place)
            with torch.inference_mode():
                yield place
        finally:
            if move:
                net.to(home)
            for module, training in modes:
                module.training = training


def exclusive(net: nn.Module) -> threading.RLock:
    """A lock for everything that changes a module or hooks into it.

    It is the same for a module and what wraps it: that of the first part with weights of its own.

    Examples
    --------
    >>> layer = nn.Linear(1, 1)
    >>> exclusive(layer) is exclusive(nn.Sequential(layer))
    True
    """
    owner = next((part for part in net.modules() if next(part.parameters(recurse=False), None) is not None), net)
    with _locks_guard:
        return _locks.setdefault(owner, threading.RLock())


def like_weights(x: Tensor, net: nn.Module, device: torch.device) -> Tensor:
    """Bring an input to the floating-point type of a network's weights and to a device.

    Examples
    --------
    >>> like_weights(torch.zeros(1), nn.Linear(1, 1).double(), torch.device("cpu")).dtype
    torch.float64
    """
    return x.to(device, weights_type(net))


def weights_type(net: nn.Module) -> torch.dtype:
    """The floating-point type of a network's weights; float32 where it has none.

    Examples
    --------
    >>> weights_type(nn.Linear(1, 1).half())
    torch.float16
    """
    return next((p.dtype for p in net.parameters() if p.is_floating_point()), torch.float32)
