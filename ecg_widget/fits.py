"""Clusters of one choice of layers for every number of clusters, in colours that keep their meaning.

All numbers lie on one path: `ANCHOR` clusters are found first, every other number starts from its neighbour towards
`ANCHOR`. The path is walked on a few thousand cells, and only the fit that is asked for uses more, so that a choice is
the same whatever was looked at before and takes no longer than one fit. Who cannot wait for it gets a draft: one quick
fit to few cells from the nearest number that is there.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import xarray as xr

from ecg_widget.clusters import DEFAULT_CLUSTERS, TimeClusters, match_clusters

N_CLUSTERS = (2, 20)  # range of the slider: above 20, colours cannot be told apart
ANCHOR = DEFAULT_CLUSTERS
FIT_CELLS = 30_000  # cells a fit uses at most: a slider must answer while it moves
DRAFT_CELLS = 4_096  # cells on which the path is walked
DRAFT_ITERATIONS = 10  # of Lloyd's algorithm for each step: a neighbour starts near its end
FIRST_ITERATIONS = 20  # of the very first draft, which starts from nothing


@dataclass(frozen=True, eq=False)  # a fit equals itself alone, so that it can be a key
class Fit:
    """Clusters, and the slot (colour) of each.

    Attributes
    ----------
    clusters
        Fitted.
    slots
        ``(cluster,)`` uint8, all different.
    """

    clusters: TimeClusters
    slots: np.ndarray

    def segmentation(self, x: xr.DataArray) -> xr.Dataset:
        """As `TimeClusters.predict` gives, with ``slot (cluster)``."""
        return self.clusters.predict(x).assign(slot=("cluster", self.slots))


class Fits:
    """Fits to one embedding, which is passed in where it is needed and not kept.

    Parameters
    ----------
    few
        Embedding ``(record, cell, feature)`` of some records, see `ecg_widget.embed`; at least two valid cells. First
        answers come from it, so that they are there before all records are.
    reference
        Segmentation of the same records with ``slot``: clusters take the slots of those that they overlap in time.
        None: slots are numbered.
    random_state
        Seed.
    device
        Torch device of the computation.

    Attributes
    ----------
    anchor
        Where the path begins: `ANCHOR`, or as many clusters as there are cells.
    first
        The first draft, to which all colours go back.

    Examples
    --------
    >>> import ecg_widget as ecg
    >>> x = ecg.embed(ecg.activations(ecg.load_network(), ecg.simulate(2)))
    >>> fits = Fits(x[:1])
    >>> fits.draft(3).slots.shape, fits.exact(x, 12).clusters.n_clusters
    ((3,), 12)
    """

    def __init__(
        self,
        few: xr.DataArray,
        reference: xr.Dataset | None = None,
        *,
        random_state: int = 0,
        device: torch.device | str | None = None,
    ) -> None:
        self._random_state = random_state
        self._device = device
        self._few = _drawn(few, random_state)
        self._cells: xr.DataArray | None = None  # on which the path is walked
        self.anchor = max(N_CLUSTERS[0], min(ANCHOR, self._few.sizes["cell"]))
        with _one_thread():
            first = self._new(self.anchor, n_init=1, max_iter=FIRST_ITERATIONS).fit(self._few)
        slots = np.arange(self.anchor, dtype=np.uint8)
        if reference is not None:
            slots = match_clusters(first.predict(few), reference)
        self.first = Fit(first, slots)
        self._exact: dict[int, Fit] = {}
        self._path: dict[int, Fit] = {}
        self._drafts: dict[int, Fit] = {self.anchor: self.first}

    def __contains__(self, n_clusters: int) -> bool:
        """Whether `exact` has been computed."""
        return n_clusters in self._exact

    @property
    def most(self) -> int:
        """Clusters that a draft may have."""
        return int(self._few.sizes["cell"])

    @property
    def nbytes(self) -> int:
        """Bytes of the cells that are kept."""
        return int(self._few.nbytes) + (0 if self._cells is None else int(self._cells.nbytes))

    def exact(self, x: xr.DataArray, n_clusters: int) -> Fit:
        """Clusters found in at most `FIT_CELLS` cells of the embedding, from where the path is.

        Parameters
        ----------
        x
            The embedding of all records; always the same one.
        n_clusters
            At most as many as valid cells.
        """
        if self._cells is None:
            self._cells = _drawn(x, self._random_state)
        if self.anchor not in self._exact:
            clusters = self._new(self.anchor, max_cells=FIT_CELLS).fit(x)
            self._exact[self.anchor] = self._path[self.anchor] = self._matched(clusters, self.first, self._cells)
        if n_clusters not in self._exact:
            near = self._step(n_clusters, self._cells)
            clusters = self._new(n_clusters, max_cells=FIT_CELLS).fit(x, init=near.clusters.cluster_centers_)
            self._exact[n_clusters] = self._matched(clusters, near, self._cells)
        return self._exact[n_clusters]

    def draft(self, n_clusters: int) -> Fit:
        """Clusters found in at most `DRAFT_CELLS` cells, many times sooner; which ones depends on what is there."""
        there = {**self._drafts, **self._path, **self._exact}
        if n_clusters not in there:
            near = there[min(there, key=lambda k: (abs(k - n_clusters), k))]
            with _one_thread():
                there[n_clusters] = self._drafts[n_clusters] = self._walked(n_clusters, near, self._few)
        return there[n_clusters]

    def _step(self, n_clusters: int, cells: xr.DataArray) -> Fit:
        """Clusters on the path from the anchor."""
        if n_clusters not in self._path:
            step = 1 if n_clusters > self.anchor else -1
            self._path[n_clusters] = self._walked(n_clusters, self._step(n_clusters - step, cells), cells)
        return self._path[n_clusters]

    def _walked(self, n_clusters: int, before: Fit, cells: xr.DataArray) -> Fit:
        clusters = self._new(n_clusters, max_iter=DRAFT_ITERATIONS)
        return self._matched(clusters.fit(cells, init=before.clusters.cluster_centers_), before, cells)

    def _new(self, n_clusters: int, **options: Any) -> TimeClusters:
        return TimeClusters(n_clusters, random_state=self._random_state, device=self._device, **options)

    def _matched(self, clusters: TimeClusters, before: Fit, cells: xr.DataArray) -> Fit:
        return Fit(clusters, match_clusters(clusters.predict(cells), before.segmentation(cells)))


@contextmanager
def _one_thread() -> Iterator[None]:
    """On so few cells threads wait for each other longer than they work, and far longer beside a browser that draws."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)  # of this thread of Python
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _drawn(x: xr.DataArray, random_state: int) -> xr.DataArray:
    """Some valid cells as one record, in their order; all of them where there are few."""
    rows = np.flatnonzero(x["valid"].transpose("record", "cell").values)
    if len(rows) > DRAFT_CELLS:
        rows = np.sort(np.random.RandomState(random_state).permutation(rows)[:DRAFT_CELLS])
    values = x.transpose("record", "cell", "feature").values.reshape(-1, x.sizes["feature"])[rows]
    coords = {
        "valid": (("record", "cell"), np.ones((1, len(rows)), bool)),
        "centre": ("cell", np.arange(len(rows), dtype=float)),
    }
    return xr.DataArray(values[None], coords, ("record", "cell", "feature"), attrs=x.attrs)
