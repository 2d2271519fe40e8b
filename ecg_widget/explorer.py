"""`Explorer`: the state behind the sliders, without Jupyter. One lock, bounded caches, results that never change."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from typing import Any, TypeVar

import numpy as np
import torch
import xarray as xr
from torch import nn

from ecg_widget.activations import Activations, activations
from ecg_widget.ahead import Ahead
from ecg_widget.clusters import embed
from ecg_widget.clusters.embedding import channel_statistics
from ecg_widget.clusters.kmeans import nobody_waits
from ecg_widget.fits import ANCHOR, N_CLUSTERS, Fit, Fits, matched_records
from ecg_widget.layers import choose_layers, in_network_order, list_layers
from ecg_widget.networks import as_network
from ecg_widget.records import validate_ecg
from ecg_widget.results import record_result

CACHE_BYTES = 1 << 29  # embeddings kept; the least recently used go first
RESULTS = 512  # kept; some ten kB each for a recording of 10 s

log = logging.getLogger(__name__)
T = TypeVar("T")


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
        Records in one forward pass.

    Attributes
    ----------
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
        batch_size: int = 64,
    ) -> None:
        validate_ecg(ds)
        self.network = net if isinstance(net, Activations) else as_network(net, ds)
        if isinstance(net, Activations) and not np.array_equal(net.output["record"].values, ds["record"].values):
            raise ValueError("activations: expected those of the records of ds, in their order, got others")
        self.ds = ds
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self.random_state = random_state
        self.batch_size = batch_size
        self._lock = threading.RLock()
        self._results: OrderedDict[Hashable, xr.Dataset] = OrderedDict()
        self._fits: dict[tuple[str, ...], Fits] = {}
        self.ahead = Ahead()
        self._embeddings: OrderedDict[Hashable, xr.DataArray] = OrderedDict()
        self._activations: Activations | None = None
        self._means: dict[str, xr.DataArray] = {}
        self.on_progress: Callable[[str], None] = lambda _text: None
        listed = list_layers(self.network)
        self.default_layers = choose_layers(self.network, layers)
        every = in_network_order(self.network, [*listed, *self.default_layers])
        self._listed = every
        self.choices = [[name] for name in every]
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
        if not set(names) <= set(self._listed):
            self.activations(names)  # raises for a layer that cannot be shown, which must not be offered
        order = {name: i for i, name in enumerate(self._listed)}
        self.choices = sorted([*self.choices, names], key=lambda choice: [order[name] for name in reversed(choice)])
        return True

    @property
    def device_name(self) -> str:
        """Where it computes, for people: ``"cpu"`` or ``"cuda:0 (NVIDIA H200)"``."""
        if self.device.type != "cuda":
            return str(self.device)
        index = self.device.index if self.device.index is not None else torch.cuda.current_device()
        return f"cuda:{index} ({torch.cuda.get_device_name(index)})"

    def activations(self, layers: Sequence[str] = ()) -> Activations:
        """Activations of all records: one forward pass captures every layer that the slider offers.

        Parameters
        ----------
        layers
            Further layers that must be there.
        """
        if isinstance(self.network, Activations):
            return self.network
        with self._lock:
            have = self._activations
            wanted = in_network_order(self.network, [*self._listed, *layers])
            if have is None or not set(wanted) <= set(have):
                self._tell(f"running {self.network.name} on {_count(self.ds.sizes['record'], 'record')}")
                have = activations(self.network, self.ds, wanted, batch_size=self.batch_size, device=self.device)
                self._activations = have
                self._listed = wanted
            return have

    def embedding(self, layers: Sequence[str]) -> xr.DataArray:
        """Embedding ``(record, cell, feature)`` of one choice of layers, see `ecg_widget.embed`."""
        names = self.check_layers(layers)
        with self._lock:
            acts = self.activations(names)
            return self._kept(
                self._embeddings,
                tuple(names),
                lambda: embed({name: acts[name] for name in names}, device=self.device),
                lambda cache: sum(x.nbytes for x in cache.values()) > CACHE_BYTES,
            )

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
            cells = int(self.embedding(names)["valid"].sum())
            if cells < low:
                raise ValueError(
                    f"signal: expected cells to cluster, got {cells} valid cells: nearly all of the recording is a "
                    "gap or exactly zero in all leads; look at ds['signal']"
                )
            if n_clusters > cells:
                raise ValueError(
                    f"n_clusters: expected at most the {cells} valid cells of these records in {' + '.join(names)}, "
                    f"got {n_clusters}; use fewer clusters, a finer layer or longer recordings"
                )
            fits = self._fits_of(names)
            if draft and n_clusters not in fits:
                return fits.draft(int(n_clusters))
            if n_clusters not in fits:
                self._tell(f"finding {n_clusters} clusters in {_count(cells, 'cell')}")
            return fits.exact(self.embedding(names), int(n_clusters))

    def segmentation(self, layers: Sequence[str] | None = None, n_clusters: int = ANCHOR) -> xr.Dataset:
        """Segments of all records, as `TimeClusters.predict` gives, with each cluster's colour ``slot (cluster)``."""
        names = self.default_layers if layers is None else list(layers)
        with self._lock:
            return self.fit(names, n_clusters).segmentation(self.embedding(names))

    def result(self, record: str, layers: Sequence[str], n_clusters: int, *, draft: bool = False) -> xr.Dataset:
        """Everything the page shows of one record for one choice of layers and number of clusters.

        Parameters
        ----------
        record
            Name of a record.
        layers, n_clusters
            The choice.
        draft
            Whether a first answer will do where the exact one takes longer; ``attrs["draft"]`` says whether it is one.

        Returns
        -------
        xarray.Dataset
            ``cluster, entropy, margin, probability, valid (cell)``, ``map (cell, component)``,
            ``proportion (cluster)``, ``slot (cluster)``, ``logit, prediction (target)``; where the outputs follow from
            the deepest layer also ``contribution (cluster, target)``, ``contribution_masked (target)``,
            ``intercept (target)``. Coords ``centre (cell)`` and ``width (cell)`` in s. attrs name the record, layers,
            tau, network, device and method.

        Raises
        ------
        ValueError
            A record, layer or number of clusters that does not exist.
        """
        names = self.check_layers(layers)
        row = self._row(record)
        with self._lock:
            if draft and not self._soon(tuple(names), n_clusters):
                return self._result(row, names, n_clusters, draft=True)
            return self._kept(
                self._results,
                (row, tuple(names), int(n_clusters)),
                lambda: self._result(row, names, n_clusters),
                lambda cache: len(cache) > RESULTS,
            )

    def prefetch(
        self, record: str, layers: Sequence[str], n_clusters: int, ready: Callable[[dict[int, xr.Dataset]], None]
    ) -> None:
        """Compute the results of all numbers of clusters in the background, nearest first.

        Parameters
        ----------
        record, layers, n_clusters
            The choice that is shown.
        ready
            Called in the background, now and then and at the end, with the results that are there.
        """
        names = self.check_layers(layers)
        with self._lock:
            high = min(N_CLUSTERS[1], self._fits_of(tuple(names)).n_cells)
        order = sorted(range(N_CLUSTERS[0], high + 1), key=lambda k: (abs(k - n_clusters), k))
        self.ahead.start(order, lambda k: self.result(record, names, k), ready)

    def signal(self, record: str) -> xr.Dataset:
        """The recording of one record as it was given, ``signal (lead, time)``."""
        return self.ds[["signal"]].isel(record=self._row(record))

    def close(self) -> None:
        """Free every cache, device memory too."""
        self.ahead.interrupt()
        with self._lock:
            self._results.clear()
            self._fits.clear()
            self._embeddings.clear()
            self._means.clear()
            self._activations = None
            self.on_progress = lambda _text: None
            if self.device.type == "cuda":
                torch.cuda.empty_cache()

    def _row(self, record: str) -> int:
        names = self.ds["record"].values.astype(str).tolist()
        if record not in names:
            raise ValueError(f"record: expected one of {names[:5]}{'...' if len(names) > 5 else ''}, got {record!r}")
        return names.index(record)

    def _tell(self, text: str) -> None:
        """Say what the user waits for; nobody waits for the background."""
        if not nobody_waits():
            self.on_progress(text)

    def _fits_of(self, names: tuple[str, ...]) -> Fits:
        if names not in self._fits:
            default, reference = tuple(self.default_layers), None
            if names != default:
                colours = self._fits_of(default)
                anchor = colours.draft(colours.anchor)
                reference = anchor.segmentation(matched_records(self.embedding(default)))
            x = self.embedding(names)
            self._tell(f"finding {ANCHOR} clusters in {_count(int(x['valid'].sum()), 'cell')}")
            self._fits[names] = Fits(x, reference, random_state=self.random_state, device=self.device)
        return self._fits[names]

    def _soon(self, names: tuple[str, ...], k: int) -> bool:
        """Whether the exact result is there, or takes no longer than a draft."""
        fits = self._fits_of(names)
        return k in fits or fits.whole

    def _result(self, row: int, names: list[str], k: int, *, draft: bool = False) -> xr.Dataset:
        fit = self.fit(names, k, draft=draft)
        one = slice(row, row + 1)
        acts = self.activations(names)
        acts = Activations({n: a.isel(record=one) for n, a in acts.items()}, acts.output.isel(record=one))
        out = record_result(
            self.network, acts, self.embedding(names).isel(record=one), fit, self._mean_activation(names)
        )
        out.attrs |= {"layers": list(names), "draft": draft, "device": self.device_name}
        return out

    def _mean_activation(self, names: Sequence[str]) -> xr.DataArray:
        """Mean of the deepest layer over all records ``(channel,)``, where integrated gradients begin."""
        name, layer = list(self.activations(names).items())[-1]
        if name not in self._means:
            text = f"mean activation of the valid cells of {_count(layer.sizes['record'], 'record')}"
            self._means[name] = xr.DataArray(channel_statistics(layer)[0], dims="channel", attrs={"long_name": text})
        return self._means[name]

    def _kept(
        self, cache: OrderedDict[Hashable, T], key: Hashable, make: Callable[[], T], full: Callable[[Any], bool]
    ) -> T:
        if key not in cache:
            cache[key] = make()
            while len(cache) > 1 and full(cache):
                cache.popitem(last=False)
        cache.move_to_end(key)
        return cache[key]


def _count(n: int, noun: str) -> str:
    return f"{n:,} {noun}{'' if n == 1 else 's'}".replace(",", "\N{NARROW NO-BREAK SPACE}")
