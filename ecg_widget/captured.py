"""Activations and embeddings of the pieces of recordings that are asked for, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal

import numpy as np
import torch
import xarray as xr

from ecg_widget.activations import Activations, activations
from ecg_widget.caches import Cache
from ecg_widget.clusters import embed
from ecg_widget.clusters.embedding import channel_statistics
from ecg_widget.clusters.kmeans import stop_if_interrupted
from ecg_widget.layers import in_network_order
from ecg_widget.lengths import own_cells
from ecg_widget.networks import ECGNetwork
from ecg_widget.parts import Part, principal_components
from ecg_widget.windows import Piece, Windows

Store = Literal["float32", "float16"]

SHARE = 3  # this part of the cache holds the activations that clusters are found in; embeddings are as large again
LEAST_PIECES = 64  # clusters are found in at least so many, with fewer layers captured where memory is short
FEW_PIECES = 8  # from which a first picture is drawn, however many there are: some thousand cells
LONG_PIECES = 128  # windows of long recordings in which clusters are found: 21 min of 24 h, drawn evenly


class Captured:
    """What a network makes of pieces of recordings; every candidate layer comes from one forward pass.

    Parameters
    ----------
    network
        Or `Activations` of the records, where there is no network; these are kept as they are.
    windows
        The pieces.
    layers
        Candidates, in network order.
    cache
        Where results are kept.
    device, batch_size
        Of the forward pass; `batch_size` in pieces.
    store
        How activations are kept: float16 takes half the memory.
    tell
        Called with a text before a computation that takes a while.
    """

    def __init__(
        self,
        network: ECGNetwork | Activations,
        windows: Windows,
        layers: Sequence[str],
        cache: Cache,
        *,
        device: torch.device,
        batch_size: int = 64,
        store: Store = "float32",
        tell: Callable[[str], None] = lambda _text: None,
    ) -> None:
        if store not in ("float32", "float16"):
            raise ValueError(f"store: expected 'float32' or 'float16', got {store!r}")
        self.network = network
        self.windows = windows
        self.layers = list(layers)
        self._cache = cache
        self._device = device
        self._batch_size = batch_size
        self._store = store
        self._tell = tell
        self._first: Activations | None = None
        self._sample: tuple[Piece, ...] | None = None
        self._begun: tuple[list[str], list[Activations]] = ([], [])  # a pass over the sample that was interrupted

    @property
    def few(self) -> tuple[Piece, ...]:
        """Evenly drawn pieces for a first answer."""
        return tuple(self.windows.spread(FEW_PIECES))

    @property
    def sample(self) -> tuple[Piece, ...]:
        """The pieces in which clusters are found: all, or as many evenly drawn ones as the cache has room for."""
        if self._sample is None:
            every = self.windows.ds.sizes["record"] * self.windows.count
            most = every
            if not isinstance(self.network, Activations) and every > 1:
                room = self._cache.limit // SHARE // max(1, self._piece_bytes(self.layers))
                most = min(max(room, LEAST_PIECES), LONG_PIECES if self.windows.long else every)
            self._sample = tuple(self.windows.every() if most >= every else self.windows.spread(most))
        return self._sample

    def add_layers(self, names: Sequence[str]) -> None:
        """Add candidates; those that a network cannot show raise ValueError, and then nothing has changed."""
        if set(names) <= set(self.layers):
            return
        wanted = in_network_order(self.network, [*self.layers, *names])
        first = self.run([Piece(0, 0)], wanted)
        self.layers, self._first = wanted, first

    def geometry(self, name: str) -> xr.DataArray:
        """One piece of one layer, ``(record=1, cell, channel)``: where its cells are and how far they see."""
        if isinstance(self.network, Activations):
            return self.network[name].isel(record=slice(1))
        if self._first is None or name not in self._first:
            self._first = self._one_by_one([Piece(0, 0)], self.layers)
        return self._first[name]

    def activations(self, pieces: Sequence[Piece], names: Sequence[str]) -> Activations:
        """Activations ``(record, cell, channel)`` of pieces, in their order, and the network's outputs.

        Parameters
        ----------
        pieces
            A piece becomes a record.
        names
            Layers that must be there; further ones may be.
        """
        if isinstance(self.network, Activations):
            return _rows(self.network, [piece.row for piece in pieces])
        if self._sample is not None and tuple(pieces) == self._sample:
            return self._sampled(names)
        held = self._held(names)
        if held is not None:
            row_of = {piece: row for row, piece in enumerate(self.sample)}
            if all(piece in row_of for piece in pieces):
                return _rows(held, [row_of[piece] for piece in pieces])
        return self._one_by_one(pieces, names)

    def embedding(self, pieces: Sequence[Piece], names: Sequence[str]) -> xr.DataArray:
        """Embedding ``(record, cell, feature)`` of pieces, see `ecg_widget.embed`."""
        pieces, names = tuple(pieces), tuple(names)
        whole = ("embedding", self.sample, names)
        if pieces != self.sample and whole in self._cache:
            row_of = {piece: row for row, piece in enumerate(self.sample)}
            if all(piece in row_of for piece in pieces):
                x: xr.DataArray = self._cache.get(whole, xr.DataArray)
                return x.isel(record=_pick([row_of[piece] for piece in pieces]))

        def make() -> xr.DataArray:
            acts = self.activations(pieces, names)
            return embed({name: acts[name] for name in names}, device=self._device)

        return self._cache.get(("embedding", pieces, names), make)

    def part(self, row: int, names: Sequence[str], span: tuple[float, float] | None) -> Part:
        """What is shown of one record.

        Parameters
        ----------
        row, names
            Of the record; layers.
        span
            Beginning and end in s, see `Windows.span`; None for the whole record.
        """
        windows = self.windows
        pieces = windows.between(row, *(span or (windows.start, windows.end)))
        x = self.embedding(pieces, names)
        centre = x["centre"].values
        inside, starts = np.full(len(centre), fill_value=True), np.zeros(1)
        if windows.long:
            inside = (centre >= 0) & (centre < windows.seconds)
            starts = np.array([windows.start_of(piece.window) for piece in pieces])
        elif span is not None:  # activations without their network: of the whole record, although it is long
            inside = (centre >= span[0]) & (centre < span[1])
        acts = self.activations(pieces, [*names, self.layers[-1]])
        if not windows.long:
            inside = inside & own_cells(acts[self.layers[-1]], centre)
            x, inside = x.isel(cell=inside), inside[inside]
        return Part(str(windows.ds["record"].values[row]), acts, x, starts, inside, span)

    def components(self, part: Part, row: int, names: Sequence[str]) -> tuple[np.ndarray, list[float]]:
        """Principal components of the cells of a part, see `principal_components`."""

        def make() -> tuple[np.ndarray, list[float]]:
            x = part.embedding.transpose("record", "cell", "feature")
            valid = x["valid"].transpose("record", "cell").values[:, part.inside].ravel()
            return principal_components(x.values[:, part.inside].reshape(valid.size, -1), valid)

        return self._cache.get(("map", row, tuple(names), part.span), make)

    def mean(self) -> xr.DataArray:
        """Mean of the deepest layer over the sample ``(channel,)``, where integrated gradients begin."""
        deepest = self.layers[-1]

        def make() -> xr.DataArray:
            layer = self.activations(self.sample, [deepest])[deepest]
            many = count(layer.sizes["record"], "window" if self.windows.long else "record")
            text = f"mean activation of the valid cells of {many}"
            return xr.DataArray(channel_statistics(layer)[0], dims="channel", attrs={"long_name": text})

        return self._cache.get(("mean", deepest), make)

    def run(self, pieces: Sequence[Piece], layers: Sequence[str]) -> Activations:
        """Run the network, keep nothing; `Interrupted` between two batches."""
        if isinstance(self.network, Activations):
            return _rows(self.network, [piece.row for piece in pieces])
        parts = []
        for first in range(0, len(pieces), self._batch_size):
            stop_if_interrupted()
            parts.append(self._pass(pieces[first : first + self._batch_size], layers, total=len(pieces)))
        return _joined(parts)

    def _pass(self, pieces: Sequence[Piece], layers: Sequence[str], *, total: int) -> Activations:
        """One batch of `total` pieces."""
        assert not isinstance(self.network, Activations)
        self._tell(f"running {self.network.name} on {count(total, 'window' if self.windows.long else 'record')}")
        ds = self.windows.take(pieces)
        return activations(
            self.network, ds, layers, batch_size=self._batch_size, device=self._device, dtype=self._store
        )

    def _sampled(self, names: Sequence[str]) -> Activations:
        """Of the whole sample: all candidates in one pass where they fit, else those nearest to the choice."""
        if len(self.sample) == 1:
            return self._one_by_one(self.sample, names)
        held = self._held(names)
        if held is not None:
            return held
        layers = self._that_fit(names)
        self._cache.drop("sample")
        if self._begun[0] != layers:
            self._begun = layers, []
        parts = self._begun[1]
        while (done := sum(part.output.sizes["record"] for part in parts)) < len(self.sample):
            stop_if_interrupted()
            parts.append(self._pass(self.sample[done : done + self._batch_size], layers, total=len(self.sample)))
        self._begun = [], []
        return self._cache.get("sample", lambda: _joined(parts))

    def _held(self, names: Sequence[str]) -> Activations | None:
        if "sample" not in self._cache:
            return None
        held: Activations = self._cache.get("sample", lambda: Activations({}, xr.DataArray()))
        return held if set(names) <= set(held) else None

    def _that_fit(self, names: Sequence[str]) -> list[str]:
        """The choice, the layer that outputs are split over, and further ones as long as there is room."""
        place = {name: i for i, name in enumerate(self.layers)}
        middle = np.mean([place[name] for name in names])
        chosen = [name for name in self.layers if name in {*names, self.layers[-1]}]
        room = self._cache.limit // SHARE - len(self.sample) * self._piece_bytes(chosen)
        for name in sorted(set(self.layers) - set(chosen), key=lambda n: abs(place[n] - middle)):
            room -= len(self.sample) * self._piece_bytes([name])
            if room < 0:
                break
            chosen.append(name)
        return sorted(chosen, key=lambda n: place[n])

    def _one_by_one(self, pieces: Sequence[Piece], names: Sequence[str]) -> Activations:
        """Kept by piece, so that a span that moves by a window computes one window."""
        missing = [p for p in pieces if not set(names) <= set(self._kept(p) or {})]
        if missing:
            layers = in_network_order(self.network, [*self.layers, *names])
            found = self.run(missing, layers)
            for row, piece in enumerate(missing):
                self._cache.drop(("piece", piece))
                self._cache.get(("piece", piece), partial(_row, found, row))
            if len(missing) == len(pieces):
                return found
        parts = [self._kept(piece) for piece in pieces]
        if any(part is None for part in parts):  # the cache is smaller than what is asked for
            return self.run(pieces, list(names))
        return _joined([part for part in parts if part is not None])

    def _kept(self, piece: Piece) -> Activations | None:
        key = ("piece", piece)
        return self._cache.get(key, lambda: Activations({}, xr.DataArray())) if key in self._cache else None

    def _piece_bytes(self, names: Sequence[str]) -> int:
        scale = 2 if self._store == "float16" else 4
        return sum(self.geometry(name).size * scale for name in names)


def _row(acts: Activations, row: int) -> Activations:
    """One record of all layers, which does not keep the others in memory."""
    return Activations(
        {name: a.isel(record=slice(row, row + 1)).copy() for name, a in acts.items()},
        acts.output.isel(record=slice(row, row + 1)).copy(),
    )


def _rows(acts: Activations, rows: Sequence[int]) -> Activations:
    """Some records of all layers."""
    pick = _pick(rows)
    return Activations({name: a.isel(record=pick) for name, a in acts.items()}, acts.output.isel(record=pick))


def _pick(rows: Sequence[int]) -> slice | list[int]:
    """An index that does not copy where the rows are neighbours."""
    neighbours = list(rows) == list(range(rows[0], rows[0] + len(rows)))
    return slice(rows[0], rows[0] + len(rows)) if neighbours else list(rows)


def _joined(parts: Sequence[Activations]) -> Activations:
    if len(parts) == 1:
        return parts[0]
    shared = [name for name in parts[0] if all(name in part for part in parts)]

    def join(arrays: Sequence[xr.DataArray]) -> xr.DataArray:
        return xr.concat(
            arrays, "record", coords="minimal", compat="override", join="override", combine_attrs="override"
        )

    return Activations({name: join([p[name] for p in parts]) for name in shared}, join([p.output for p in parts]))


def count(n: int, noun: str) -> str:
    """A number and its noun, for people.

    Examples
    --------
    >>> count(1, "cell"), count(20000, "cell").replace(chr(0x202F), " ")
    ('1 cell', '20 000 cells')
    """
    return f"{n:,} {noun}{'' if n == 1 else 's'}".replace(",", "\N{NARROW NO-BREAK SPACE}")
