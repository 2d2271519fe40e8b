"""`Explorer`: the state behind the sliders, without Jupyter. One lock, bounded caches, results that never change."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
import xarray as xr
from torch import nn

from ecg_widget.activations import Activations
from ecg_widget.ahead import REST_S, Ahead
from ecg_widget.beats import cell_waves
from ecg_widget.caches import Cache
from ecg_widget.captured import FEW_PIECES, LONG_PIECES, Captured, Store
from ecg_widget.clusters import embed
from ecg_widget.clusters.kmeans import nobody_waits, stop_if_interrupted
from ecg_widget.fits import ANCHOR, N_CLUSTERS, Fit
from ecg_widget.fitted import Fitted
from ecg_widget.layers import choose_layers, in_network_order, list_layers
from ecg_widget.networks import as_network
from ecg_widget.pyramid import Pyramid
from ecg_widget.records import validate_ecg
from ecg_widget.results import density, record_result, whole_result
from ecg_widget.windows import Piece, Windows, cut

CACHE_BYTES = 1 << 29  # of activations, embeddings, fits and results together
PIECES_AT_ONCE = 256  # records or windows whose activations are there at once where all are run
SEGMENTS_S = 150.0  # of a long recording: the 120 that the page asks for at 1 min a screen, and their whole windows

Span = Sequence[float]


class Explorer:
    """Activations, embeddings, clusters and explanations of a set of records, computed once and kept.

    Parameters
    ----------
    net
        An `ECGNetwork` or any ``torch.nn.Module``; or `Activations` of `ds`, where there is no network: then there are
        no contributions, and predictions only where the activations come with outputs.
    ds
        Records of the data contract; clusters are shared by all of them.
    layers
        Layers clustered first, or a preset, see `ecg_widget.layers.choose_layers`; the last three blocks if None.
    device
        Torch device of network and clustering; CUDA where there is one, else the CPU, if None.
    random_state
        Seed of every fit: the same choice gives the same clusters, whatever was looked at before.
    batch_size
        Records in one forward pass; if None, 64 on a GPU and 16 on the CPU, where a move waits for the pass that runs.
    cache_bytes
        Bytes of activations, embeddings, fits and results that are kept. Of a set of records whose activations do not
        fit, clusters are found in evenly drawn ones; the others are run when they are looked at.
    store
        How activations are kept: ``"float16"`` halves their memory, see `ecg_widget.activations`.

    Attributes
    ----------
    windows : Windows
        How the recordings are cut where they are long.
    choices : list of list of str
        Layer choices in network order: each layer alone, and `layers` together behind the deepest of them.

    Raises
    ------
    ValueError
        Records that do not fit the network, or a layer that does not exist.

    Examples
    --------
    >>> import ecg_widget as ecg
    >>> explorer = Explorer(ecg.load_network(), ecg.simulate(2))
    >>> result = explorer.result("0001-IMI", explorer.default_layers, 5)
    >>> result.sizes["cluster"], result["contribution"].dims
    (5, ('cluster', 'target'))
    """

    def __init__(
        self,
        net: nn.Module | Activations,
        ds: xr.Dataset,
        *,
        layers: str | Sequence[str] | None = None,
        device: torch.device | str | None = None,
        random_state: int = 0,
        batch_size: int | None = None,
        cache_bytes: int = CACHE_BYTES,
        store: Store = "float32",
    ) -> None:
        validate_ecg(ds)
        self.windows = cut(net, ds)
        stored = isinstance(net, Activations)
        self.network = net if isinstance(net, Activations) else as_network(net, self.windows.take([Piece(0, 0)]))
        if isinstance(net, Activations) and not np.array_equal(net.output["record"].values, ds["record"].values):
            raise ValueError("activations: expected those of the records of ds, in their order, got others")
        self.ds = ds
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self.random_state = random_state
        self.ahead = Ahead()
        self.on_progress: Callable[[str], None] = lambda _text: None
        self._lock = threading.RLock()
        self._cache = Cache(cache_bytes)
        self._rows = {name: row for row, name in enumerate(ds["record"].values.astype(str).tolist())}
        self.default_layers = choose_layers(self.network, layers)
        listed = in_network_order(self.network, [*list_layers(self.network), *self.default_layers])
        self._captured = Captured(
            self.network,
            Windows(ds, None) if stored else self.windows,  # stored activations are of whole records
            listed,
            self._cache,
            device=self.device,
            batch_size=batch_size or (16 if self.device.type == "cpu" else 64),
            store=store,
            tell=self._tell,
        )
        self._fitted = Fitted(
            self._captured,
            self._cache,
            self.default_layers,
            device=self.device,
            random_state=random_state,
            tell=self._tell,
        )
        self.choices = [[name] for name in listed]
        self.offer(self.default_layers)

    def check_layers(self, layers: str | Sequence[str]) -> list[str]:
        """Layer names in network order, each once, presets resolved.

        Raises
        ------
        ValueError
            No name, or one that is not in ``net.named_modules()``.
        """
        return choose_layers(self.network, layers)

    def offer(self, layers: Sequence[str]) -> bool:
        """Add a choice of layers to `choices`, by its deepest layer in network order; False if it is there already."""
        names = self.check_layers(layers)
        if names in self.choices:
            return False
        with self._lock:
            self._captured.add_layers(names)  # raises for a layer that cannot be shown, which must not be offered
        order = {name: i for i, name in enumerate(self._captured.layers)}
        self.choices = sorted([*self.choices, names], key=lambda choice: [order[name] for name in reversed(choice)])
        return True

    @property
    def cache_used(self) -> int:
        """Bytes that are kept."""
        return self._cache.nbytes

    @property
    def device_name(self) -> str:
        """Where it computes, for people: ``"cpu"`` or ``"cuda:0 (NVIDIA H200)"``."""
        if self.device.type != "cuda":
            return str(self.device)
        index = self.device.index if self.device.index is not None else torch.cuda.current_device()
        return f"cuda:{index} ({torch.cuda.get_device_name(index)})"

    def geometry(self, layer: str) -> xr.DataArray:
        """Where the cells of a layer are and how far they see: its activations of one record or window."""
        with self._lock:
            return self._captured.geometry(layer)

    def embedding(self, layers: Sequence[str]) -> xr.DataArray:
        """Embedding ``(record, cell, feature)`` in which clusters of one choice of layers are found.

        Of all records; of evenly drawn ones where there are more than the cache has room for, and of evenly drawn
        windows of long recordings. See `ecg_widget.embed`.
        """
        names = self.check_layers(layers)
        with self._lock:
            return self._fitted.embedding(names)

    def fit(self, layers: Sequence[str], n_clusters: int, *, draft: bool = False) -> Fit:
        """Clusters for one choice; deterministic, whatever was looked at before, see `ecg_widget.fits`.

        Parameters
        ----------
        layers, n_clusters
            The choice.
        draft
            Whether a first answer from few cells will do.
        """
        names = tuple(self.check_layers(layers))
        low, high = N_CLUSTERS
        if not isinstance(n_clusters, (int, np.integer)) or not low <= n_clusters <= high:
            raise ValueError(f"n_clusters: expected a whole number from {low} to {high}, got {n_clusters!r}")
        with self._lock:
            if draft and self._fitted.drafts(names, n_clusters):
                return self._fitted.draft(names, n_clusters)
            return self._fitted.exact(names, n_clusters)

    def segmentation(self, layers: Sequence[str] | None = None, n_clusters: int = ANCHOR) -> xr.Dataset:
        """Segments of all records, as `TimeClusters.predict` gives, with each cluster's colour ``slot (cluster)``.

        Long recordings are run whole, window by window: an hour takes some seconds, and each window is a record.
        """
        names = self.check_layers(self.default_layers if layers is None else layers)
        with self._lock:
            fit = self.fit(names, n_clusters)
            every = self._captured.windows.every()
            if tuple(every) == self._captured.sample:
                return fit.segmentation(self.embedding(names))
            parts = []
            for first in range(0, len(every), PIECES_AT_ONCE):
                acts = self._captured.run(every[first : first + PIECES_AT_ONCE], names)
                parts.append(fit.segmentation(embed({name: acts[name] for name in names}, device=self.device)))
            return xr.concat(parts, "record", data_vars="minimal", coords="minimal", compat="override", join="override")

    def result(
        self, record: str, layers: Sequence[str], n_clusters: int, *, span: Span = (), draft: bool = False
    ) -> xr.Dataset:
        """Everything the page shows of one record for one choice of layers and number of clusters.

        Parameters
        ----------
        record
            Name of a record.
        layers, n_clusters
            The choice.
        span
            Beginning and end in s of the part of a long recording; see `ecg_widget.windows.Windows.span`.
        draft
            Whether a first answer will do where the exact one takes longer; ``attrs["draft"]`` says whether it is one.

        Returns
        -------
        xarray.Dataset
            ``cluster, entropy, margin, probability, valid (cell)``, ``map (cell, component)``,
            ``proportion, cohort_proportion, slot (cluster)``, ``logit, prediction (target)``, ``wave (cell)`` where
            the records have it; where the outputs follow from
            the deepest layer also ``contribution (cluster, target)``, ``contribution_masked (target)``,
            ``intercept (target)``. Coords ``centre (cell)`` and ``width (cell)`` in s. attrs name the record, layers,
            tau, network, device and method. Of a long recording: means over the windows of the span; without cells
            where it is longer than `SEGMENTS_S`; and ``density (window, cluster)``, uint8, 255 times the share of each
            cluster in windows drawn evenly from the whole recording, with their middles ``density_centre (window)``.

        Raises
        ------
        ValueError
            A record, layer or number of clusters that does not exist.
        """
        names = tuple(self.check_layers(layers))
        row = self._row(record)
        t0, t1 = self.windows.span(span) or (0.0, 0.0)
        with self._lock:
            stop_if_interrupted()
            draft = draft and self._fitted.drafts(names, n_clusters)
            key = ("draft" if draft else "result", row, names, int(n_clusters), t0, t1)
            return self._cache.get(key, lambda: self._result(row, names, n_clusters, (t0, t1), draft=draft))

    def prefetch(
        self,
        record: str,
        layers: Sequence[str],
        n_clusters: int,
        ready: Callable[[dict[int, xr.Dataset]], None],
        failed: Callable[[Exception], None],
        *,
        span: Span = (),
        rest_s: float = REST_S,
    ) -> None:
        """Compute in the background what the next moves will ask for, nearest first.

        All numbers of clusters; then, for the number that is shown, the choices of layers beside the one that is
        shown, and of a long recording the spans beside it.

        Parameters
        ----------
        record, layers, n_clusters, span
            What is shown.
        ready
            Called in the background, now and then and at the end, with the results that are there.
        failed
            Called in the background with the error that keeps what is shown from being computed.
        rest_s
            Before it begins, s.
        """
        names = self.check_layers(layers)
        with self._lock:
            high = self._fitted.most(names)
        order = sorted(range(N_CLUSTERS[0], high + 1), key=lambda k: (abs(k - n_clusters), k))
        place = self.choices.index(names) if names in self.choices else 0
        beside = self.choices[place + 1 : place + 2] + self.choices[max(place - 1, 0) : place]
        then = [partial(self.result, record, choice, n_clusters, span=span) for choice in beside]
        shown = self.windows.span(span)
        if shown is not None and shown[1] - shown[0] <= SEGMENTS_S:
            then = [partial(self.result, record, names, n_clusters, span=s) for s in self.windows.beside(shown)] + then
        self.ahead.start(order, lambda k: self.result(record, names, k, span=span), ready, failed, then, rest_s=rest_s)

    def signal(self, record: str, span: Span = ()) -> xr.Dataset:
        """The recording of one record as it was given, ``signal (lead, time)``; of a long one the span alone."""
        one = self.ds[["signal"]].isel(record=self._row(record))
        shown = self.windows.span(span)
        if shown is None:
            return one
        first, last = (round((t - self.windows.start) * self.windows.rate) for t in shown)
        return one.isel(time=slice(first, last))

    def pyramid(self, record: str) -> Pyramid:
        """Least and greatest samples of a long recording at several resolutions, read piece by piece."""
        with self._lock:
            signal = self.ds["signal"].isel(record=self._row(record))
            return self._cache.get(("pyramid", record), lambda: Pyramid(signal))

    def close(self) -> None:
        """Free every cache, device memory too."""
        self.ahead.interrupt()
        with self._lock:
            self._cache.clear()
            self.on_progress = lambda _text: None
            if self.device.type == "cuda":
                torch.cuda.empty_cache()

    def _row(self, record: str) -> int:
        if record not in self._rows:
            names = list(self._rows)
            raise ValueError(f"record: expected one of {names[:5]}{'...' if len(names) > 5 else ''}, got {record!r}")
        return self._rows[record]

    def _tell(self, text: str) -> None:
        """Say what the user waits for; nobody waits for the background."""
        if not nobody_waits():
            self.on_progress(text)

    def _result(
        self, row: int, names: tuple[str, ...], k: int, span: tuple[float, float], *, draft: bool = False
    ) -> xr.Dataset:
        fit = self.fit(names, k, draft=draft)
        if self.windows.long and span[1] - span[0] > SEGMENTS_S:
            out = whole_result(self.network, list(self._rows)[row], fit, span)
        else:
            captured = self._captured
            part = captured.part(row, names, span if self.windows.long else None)
            baseline = None if draft else captured.mean()  # which takes all records
            components = captured.components(part, row, names)
            out = record_result(self.network, part, fit, baseline, components)
        if self.windows.long:
            out = out.merge(
                self._density(row, names, fit, FEW_PIECES if draft else LONG_PIECES), combine_attrs="no_conflicts"
            )
        if "wave" in self.ds:
            waves = cell_waves(self.ds.isel(record=row), out["centre"].values)
            out["wave"] = ("cell", waves, self.ds["wave"].attrs)
        out.attrs |= {"layers": list(names), "draft": draft, "device": self.device_name}
        return out

    def _density(self, row: int, names: tuple[str, ...], fit: Fit, n: int) -> xr.Dataset:
        """Clusters over the whole of a long recording, in `n` windows of it."""
        captured, windows = self._captured, self.windows
        pieces = captured.windows.spread_in(row, n)
        key = ("density", row, names, fit, n)
        return self._cache.get(key, lambda: density(captured.embedding(pieces, names), fit, pieces, windows))
