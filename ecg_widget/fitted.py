"""Clusters of every choice of layers and number of clusters, in colours that agree between them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import xarray as xr

from ecg_widget.caches import Cache
from ecg_widget.captured import Captured, count
from ecg_widget.fits import N_CLUSTERS, Fit, Fits


class Fitted:
    """Fits to what a network makes of a set of records, found when they are asked for.

    Parameters
    ----------
    captured
        The embeddings.
    cache
        Where fits are kept.
    default
        The choice of layers whose colours all others take.
    device, random_state
        Of the clustering.
    tell
        Called with a text before a computation that takes a while.
    """

    def __init__(
        self,
        captured: Captured,
        cache: Cache,
        default: Sequence[str],
        *,
        device: torch.device,
        random_state: int,
        tell: Callable[[str], None],
    ) -> None:
        self._captured = captured
        self._cache = cache
        self._default = tuple(default)
        self._device = device
        self._random_state = random_state
        self._tell = tell

    def draft(self, names: Sequence[str], n_clusters: int) -> Fit:
        """A first answer from few cells."""
        return self._of(tuple(names)).draft(int(n_clusters))

    def exact(self, names: Sequence[str], n_clusters: int) -> Fit:
        """The answer from all records, or from those in which clusters are found.

        Raises
        ------
        ValueError
            Fewer valid cells than clusters.
        """
        names, x = tuple(names), self.embedding(names)
        cells, low = int(x["valid"].sum()), N_CLUSTERS[0]
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
        fits = self._of(names)
        if n_clusters not in fits:
            self._tell(f"finding {n_clusters} clusters in {count(cells, 'cell')}")
        return fits.exact(x, int(n_clusters))

    def embedding(self, names: Sequence[str]) -> xr.DataArray:
        """Embedding ``(record, cell, feature)`` in which clusters of a choice are found."""
        return self._captured.embedding(self._captured.sample, names)

    def drafts(self, names: Sequence[str], n_clusters: int) -> bool:
        """Whether a draft can be given, and the exact answer is not there yet."""
        names = tuple(names)
        if ("fits", names) not in self._cache and int(self._few(names)["valid"].sum()) < N_CLUSTERS[0]:
            return False
        fits = self._of(names)
        return n_clusters not in fits and n_clusters <= fits.most

    def most(self, names: Sequence[str]) -> int:
        """The largest number of clusters that a choice can have."""
        high = N_CLUSTERS[1]
        if self.drafts(names, high) or high in self._of(tuple(names)):
            return high
        return min(high, int(self.embedding(names)["valid"].sum()))

    def _of(self, names: tuple[str, ...]) -> Fits:
        def make() -> Fits:
            x, reference = self._few(names), None
            if names != self._default:
                reference = self._of(self._default).first.segmentation(self._few(self._default))
            return Fits(x, reference, random_state=self._random_state, device=self._device)

        return self._cache.get(("fits", names), make)

    def _few(self, names: tuple[str, ...]) -> xr.DataArray:
        """Some records, or all where these few have hardly a valid cell."""
        x = self._captured.embedding(self._captured.few, names)
        return x if int(x["valid"].sum()) >= N_CLUSTERS[1] else self.embedding(names)
