"""Forward passes that write what the layers put out where it stays: no list of batches, no joining, no second copy.

On a GPU nothing waits for anything: while batch i runs, batch i + 1 is prepared and travels from pinned memory on a
stream of its own, and what batch i - 1 put out is moved from pinned memory to its place.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from ecg_widget.inference import weights_type

__all__ = ["Extraction", "Part", "Precision", "Staging", "Travel", "autocast", "window_parts"]

Precision = Literal["float32", "bfloat16", "float16"]
Part = tuple[int, int, int, int]  # window, its first and last cell (exclusive), place of the first in the recording


class Extraction:
    """Places for the outputs of layers for a number of records, filled batch by batch.

    Parameters
    ----------
    n_records
        Of all batches.
    layers
        Names, each once.
    dtype
        Of what is kept, ``"float32"`` or ``"float16"``.
    device
        Where the network runs.
    """

    def __init__(self, n_records: int, layers: Sequence[str], dtype: str, device: torch.device) -> None:
        self.n_records = n_records
        self.layers = tuple(layers)
        self.dtype = np.dtype(dtype)
        self.arrays: dict[str, np.ndarray] = {}
        self.output: np.ndarray | None = None
        self._errors: dict[str, tuple[Tensor, Tensor]] = {}
        self._staging = Staging(device) if device.type == "cuda" else None

    def write(
        self, row: int, name: str, cells: Tensor, parts: Sequence[Part] | None = None, n_windows: int = 1
    ) -> None:
        """Keep what a layer has put out for one batch, while it still lies in the processor's cache.

        Parameters
        ----------
        row
            Of the batch's first record.
        name
            The layer.
        cells
            ``(record * window, channel, cell)``.
        parts
            The cells that are kept of each window, see `window_parts`; None where records are read whole.
        n_windows
            Of a record.
        """
        kept = [(0, 0, cells.shape[2], 0)] if parts is None else parts
        n = len(cells) // n_windows
        if name not in self.arrays:
            n_cells = sum(last - first for _, first, last, _ in kept)
            self.arrays[name] = np.empty((self.n_records, n_cells, cells.shape[1]), self.dtype)
        place = torch.from_numpy(self.arrays[name][row : row + n])
        windows = cells.reshape(n, -1, *cells.shape[1:])  # a view
        for window, first, last, at in kept:
            some = windows[:, window, :, first:last].transpose(1, 2)
            self._put(f"{name} {window}", some, place[:, at : at + last - first])
            if self.dtype == np.float16:
                self._note(name, some)

    def end_batch(self, row: int, output: Tensor) -> None:
        """Keep the network's outputs ``(record, target)`` of a batch, which ends with them."""
        if self.output is None:
            self.output = np.empty((self.n_records, output.shape[1]), np.float32)
        self._put("", output, torch.from_numpy(self.output[row : row + len(output)]))
        if self._staging is not None:
            self._staging.next_batch()

    def finish(self) -> None:
        """Wait for what is still on its way, in the same inference mode; refuse what the type cannot hold.

        Raises
        ------
        ValueError
            An activation beyond the range of float16.
        """
        if self._staging is not None:
            self._staging.finish()
        most = float(np.finfo(np.float16).max)
        for name, (_, peak) in self._errors.items():
            if float(peak) > most:
                raise ValueError(
                    f"dtype: expected activations up to {most:g} for float16, got "
                    f"{float(peak):.3g} in {name!r}; keep them in float32"
                )

    def rounding_error(self, layer: str) -> float:
        """Largest error that keeping a layer in its type made, relative to the layer's largest activation."""
        if layer not in self._errors:
            return 0.0
        error, peak = self._errors[layer]
        return float(error) / max(float(peak), float(np.finfo(np.float32).tiny))

    def _put(self, name: str, values: Tensor, place: Tensor) -> None:
        if self._staging is None:
            place.copy_(values)  # converts and transposes on its way: one pass over memory
        else:
            self._staging.put(name, values, place)

    def _note(self, name: str, values: Tensor) -> None:
        """Measure the rounding where the values are, without waiting for them."""
        now = (values - values.half().to(values.dtype)).abs().amax().float(), values.abs().amax().float()
        before = self._errors.get(name, now)
        self._errors[name] = torch.maximum(now[0], before[0]), torch.maximum(now[1], before[1])


class Staging:
    """Results on their way from a device: two sets of pinned buffers, one filled while the other is emptied.

    Parameters
    ----------
    device
        Of the results. On a CPU buffers are not pinned and nothing is waited for; the order is the same.
    """

    def __init__(self, device: torch.device) -> None:
        self.cuda = device.type == "cuda"
        self._buffers: tuple[dict[str, Tensor], dict[str, Tensor]] = ({}, {})
        self._batch = 0
        self._filling: list[tuple[Tensor, Tensor]] = []
        self._waiting: tuple[Any, list[tuple[Tensor, Tensor]]] | None = None

    def put(self, name: str, values: Tensor, place: Tensor) -> None:
        """Send one result of this batch to its place; `name` tells the results of a batch apart."""
        buffers = self._buffers[self._batch % 2]
        if name not in buffers or buffers[name].numel() < values.numel() or buffers[name].dtype != place.dtype:
            buffers[name] = torch.empty(values.numel(), dtype=place.dtype, pin_memory=self.cuda)
        buffer = buffers[name][: values.numel()].view(values.shape)
        buffer.copy_(values.to(place.dtype).contiguous(), non_blocking=True)
        self._filling.append((buffer, place))

    def next_batch(self) -> None:
        """Begin another batch: what the one before this sent arrives while this one runs."""
        event = None
        if self.cuda:
            event = torch.cuda.Event()  # type: ignore[no-untyped-call]
            event.record()
        before, self._waiting = self._waiting, (event, self._filling)
        self._filling = []
        self._batch += 1
        _arrive(before)

    def finish(self) -> None:
        """Wait for the last batch."""
        waiting, self._waiting = self._waiting, None
        _arrive(waiting)


def _arrive(batch: tuple[Any, list[tuple[Tensor, Tensor]]] | None) -> None:
    if batch is None:
        return
    event, results = batch
    if event is not None:
        event.synchronize()
    for buffer, place in results:
        place.copy_(buffer)


class Travel:
    """Brings inputs to where a network is, in the type of its weights.

    Parameters
    ----------
    network
        Its first floating-point weight says the type.
    device
        On CUDA inputs travel from pinned memory on a stream of their own, while the batch before them still runs.
    """

    def __init__(self, network: nn.Module, device: torch.device) -> None:
        self.device, self.dtype = device, weights_type(network)
        self._stream = None
        if device.type == "cuda":
            self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def __call__(self, x: Tensor) -> Tensor:
        """The input on the device."""
        if self._stream is None:
            return x.to(self.device, self.dtype)
        pinned = x.to(dtype=self.dtype).pin_memory()  # PyTorch keeps it until the copy is made
        with torch.cuda.stream(self._stream):
            moved = pinned.to(self.device, non_blocking=True)
        running = torch.cuda.current_stream(self.device)
        running.wait_stream(self._stream)
        moved.record_stream(running)
        return moved


def autocast(device: torch.device, precision: Precision) -> contextlib.AbstractContextManager[Any]:
    """The block in which a network computes in a precision.

    Raises
    ------
    ValueError
        An unknown precision.

    Examples
    --------
    >>> with autocast(torch.device("cpu"), "bfloat16"):
    ...     nn.Linear(2, 2)(torch.zeros(1, 2)).dtype
    torch.bfloat16
    """
    if precision not in ("float32", "bfloat16", "float16"):
        raise ValueError(f"precision: expected 'float32', 'bfloat16' or 'float16', got {precision!r}")
    if precision == "float32":
        return contextlib.nullcontext()
    return torch.autocast(device.type, getattr(torch, precision))


def window_parts(kept: np.ndarray, n_cells: int) -> list[Part]:
    """Runs of the cells that are kept of all windows of a record, one window's cells after the other's.

    Parameters
    ----------
    kept
        Ascending numbers of cells, window 0 having the first `n_cells`.
    n_cells
        Of a window.

    Examples
    --------
    >>> window_parts(np.array([0, 1, 2, 5, 6, 7]), 4)
    [(0, 0, 3, 0), (1, 1, 4, 3)]
    """
    runs = np.split(np.arange(len(kept)), np.flatnonzero((np.diff(kept) > 1) | np.diff(kept // n_cells)) + 1)
    return [
        (int(kept[run[0]]) // n_cells, int(kept[run[0]]) % n_cells, int(kept[run[-1]]) % n_cells + 1, int(run[0]))
        for run in runs
        if len(run)
    ]
