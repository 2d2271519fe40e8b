"""`Explorer`: the state behind the sliders, without Jupyter. One lock, bounded caches, results that never change."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
import xarray as xr
from torch import nn

from ecg_widget.activations import Activations, activations
from ecg_widget.clusters import DEFAULT_CLUSTERS, TimeClusters, embed, match_clusters
from ecg_widget.clusters.embedding import channel_statistics
from ecg_widget.explanation import contributions
from ecg_widget.layers import choose_layers, in_network_order, list_layers
from ecg_widget.networks import as_network
from ecg_widget.records import validate_ecg

N_CLUSTERS = (2, 20)  # range of the slider: above 20, colours cannot be told apart
ANCHOR = DEFAULT_CLUSTERS  # slots (colours) of every other number are matched, step by step, to those of this one
FIT_CELLS = 30_000  # cells a live fit uses at most: a slider must answer while it moves
MATCH_RECORDS = 64  # records on which clusters of two fits are matched
CACHE_BYTES = 1 << 29  # embeddings kept; the least recently used go first

log = logging.getLogger(__name__)
T = TypeVar("T")


@dataclass(frozen=True)
class Fit:
    """Clusters of one choice of layers and one number of clusters, and the slot (colour) that each keeps."""

    clusters: TimeClusters
    slots: np.ndarray
    sample: xr.Dataset  # segmentation of the records used for matching, with its slots


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
        self._fits: dict[Hashable, Fit] = {}
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
                self.on_progress(f"running {self.network.name} on {_count(self.ds.sizes['record'], 'record')}")
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

    def fit(self, layers: Sequence[str], n_clusters: int) -> Fit:
        """Clusters for one choice; deterministic, whatever was looked at before.

        Slots are matched along a fixed path: `ANCHOR` clusters of `default_layers` first, as many of other layers are
        matched to those, and every other number starts from its neighbour towards `ANCHOR` and is matched to it.
        """
        names = tuple(self.check_layers(layers))
        low, high = N_CLUSTERS
        if not isinstance(n_clusters, (int, np.integer)) or not low <= n_clusters <= high:
            raise ValueError(f"n_clusters: expected a whole number from {low} to {high}, got {n_clusters!r}")
        with self._lock:
            cells = int(self.embedding(names)["valid"].sum())
            if cells < N_CLUSTERS[0]:
                raise ValueError(
                    f"signal: expected cells to cluster, got {cells} valid cells: nearly all of the recording is a "
                    "gap or exactly zero in all leads; look at ds['signal']"
                )
            if n_clusters > cells:
                raise ValueError(
                    f"n_clusters: expected at most the {cells} valid cells of these records in {' + '.join(names)}, "
                    f"got {n_clusters}; use fewer clusters, a finer layer or longer recordings"
                )
            default = tuple(self.default_layers)
            reference = None if names == default else self._fit(default, self._anchor(default), None)
            anchor = self._anchor(names)
            found = self._fit(names, anchor, reference)
            step = 1 if n_clusters >= anchor else -1
            for k in range(anchor + step, int(n_clusters) + step, step):
                found = self._fit(names, k, found, found.clusters.cluster_centers_)
            return found

    def segmentation(self, layers: Sequence[str] | None = None, n_clusters: int = ANCHOR) -> xr.Dataset:
        """Segments of all records, as `TimeClusters.predict` gives, with each cluster's colour ``slot (cluster)``."""
        names = self.default_layers if layers is None else list(layers)
        with self._lock:
            fit = self.fit(names, n_clusters)
            return fit.clusters.predict(self.embedding(names)).assign(slot=("cluster", fit.slots))

    def result(self, record: str, layers: Sequence[str], n_clusters: int) -> xr.Dataset:
        """Everything the page shows of one record for one choice of layers and number of clusters.

        Parameters
        ----------
        record
            Name of a record.
        layers, n_clusters
            The choice.

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
            return self._kept(
                self._results,
                (row, tuple(names), int(n_clusters)),
                lambda: self._result(row, names, n_clusters),
                lambda cache: len(cache) > 256,
            )

    def signal(self, record: str) -> xr.Dataset:
        """The recording of one record as it was given, ``signal (lead, time)``."""
        return self.ds[["signal"]].isel(record=self._row(record))

    def close(self) -> None:
        """Free every cache, device memory too."""
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

    def _anchor(self, names: tuple[str, ...]) -> int:
        """`ANCHOR`, or as many as a very short recording has cells."""
        return max(N_CLUSTERS[0], min(ANCHOR, int(self.embedding(names)["valid"].sum())))

    def _fit(self, names: tuple[str, ...], k: int, reference: Fit | None, init: np.ndarray | None = None) -> Fit:
        if (names, k) not in self._fits:
            x = self.embedding(names)
            self.on_progress(f"finding {k} clusters in {_count(int(x['valid'].sum()), 'cell')}")
            clusters = TimeClusters(k, max_cells=FIT_CELLS, random_state=self.random_state, device=self.device)
            clusters.fit(x, init=init)
            every = -(-x.sizes["record"] // MATCH_RECORDS)
            sample = clusters.predict(x.isel(record=slice(None, None, every)))
            slots = np.arange(k, dtype=np.uint8) if reference is None else match_clusters(sample, reference.sample)
            self._fits[names, k] = Fit(clusters, slots, sample.assign(slot=("cluster", slots)))
        return self._fits[names, k]

    def _result(self, row: int, names: list[str], k: int) -> xr.Dataset:
        fit = self.fit(names, k)
        one = slice(row, row + 1)
        x = self.embedding(names).isel(record=one)
        segments = fit.clusters.predict(x)
        acts = self.activations(names)
        acts = Activations({n: a.isel(record=one) for n, a in acts.items()}, acts.output.isel(record=one))
        out = segments.isel(record=0).drop_vars("record")
        components, explained = _principal_components(x.values[0], x["valid"].values[0])
        raw = acts.output.isel(record=0)
        known = bool(x["valid"].any())
        prediction = self.network.to_prediction(torch.from_numpy(np.array(raw.values))).numpy()
        out["slot"] = ("cluster", fit.slots)
        out["map"] = (("cell", "component"), components)
        out["logit"] = ("target", raw.values, {"units": "logit"})
        out["prediction"] = ("target", prediction if known else np.full_like(prediction, np.nan), {"units": "1"})
        out = out.assign_coords(target=("target", raw["target"].values.astype(str)))
        out.attrs = {
            "record": str(x["record"].values[0]),
            "layers": list(names),
            "n_clusters": int(k),
            "tau": float(fit.clusters.tau_),
            "network": self.network.name,
            "output": self.network.output_kind,
            "device": self.device_name,
            "map_explained": explained,
            "completeness_error": None,
            "contribution_method": "",
            "contribution_note": "",
        }
        if isinstance(self.network, Activations) or not self.network.targets:
            out.attrs["contribution_note"] = "There is no network here whose outputs could be split among the clusters."
            return out
        try:
            split = contributions(self.network, acts, segments, baseline=self._mean_activation(names))
        except ValueError as error:  # outputs that do not follow from the layer: everything else still holds
            out.attrs["contribution_note"] = str(error)
            return out
        for name, values in {
            "contribution": split.isel(record=0),
            "contribution_masked": split["masked"].isel(record=0),
            "intercept": split["intercept"],
        }.items():
            out[name] = (values.dims, values.values, {"units": "logit"})
        layer = split.attrs["layer"]
        out.attrs |= {
            "completeness_error": split.attrs["completeness_error"],
            "contribution_method": f"{split.attrs['method']}, exact"
            if split.attrs["approach"] == "exact"
            else f"{split.attrs['method']}; intercept: output at the {split.attrs['baseline']}",
            "contribution_note": f"Clusters come from {' + '.join(names)}, the split is of {layer} alone, "
            f"whose cells see {float(acts[layer]['width'].values[0]):.2g} s of signal each.",
        }
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


def _principal_components(x: np.ndarray, valid: np.ndarray) -> tuple[np.ndarray, list[float]]:
    """First two principal components ``(cell, component)`` of a record's valid cells and the variance they explain."""
    out = np.full((len(x), 2), np.nan, np.float32)
    rows = x[valid] - x[valid].mean(0) if valid.any() else x[valid]
    if len(rows) < 2:
        return out, [0.0, 0.0]
    u, s, v = np.linalg.svd(rows, full_matrices=False)
    signs = np.sign(v[:2, :][np.arange(min(2, len(v))), np.abs(v[:2]).argmax(1)])  # a sign of its own would be a draw
    count = min(2, len(s))
    out[np.flatnonzero(valid)[:, None], np.arange(count)] = u[:, :count] * s[:count] * signs[:count]
    total = float((s**2).sum()) or 1.0
    return out, [float(e) for e in (s[:2] ** 2 / total)] + [0.0] * (2 - count)


def _count(n: int, noun: str) -> str:
    return f"{n:,} {noun}{'' if n == 1 else 's'}".replace(",", "\N{NARROW NO-BREAK SPACE}")
