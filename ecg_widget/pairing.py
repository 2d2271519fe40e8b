"""Which cluster of one explorer is which of another, for the choices that are shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import xarray as xr

from ecg_widget.caches import Cache
from ecg_widget.clusters.products import two_nearest
from ecg_widget.comparison import match_slots, measures, partners, pooled_overlap
from ecg_widget.explorer import Explorer

LABEL_BYTES = 32 << 20  # of labels that are kept, of both sides together

Choice = tuple[Sequence[str], int]


class Pairing:
    """Colours of the other side's clusters, found in the records in which clusters are found.

    Parameters
    ----------
    one, two
        Explorers of the same records. The colours of `one` stand, those of `two` follow.

    Examples
    --------
    >>> import ecg_widget as ecg
    >>> ds, net = ecg.simulate(3), ecg.load_network()
    >>> one, choice = Explorer(net, ds), (["blocks.3"], 4)
    >>> found = Pairing(one, Explorer(net, ds)).of(choice, choice)
    >>> found["slots"] == one.fit(*choice).slots.tolist(), found["records"], found["same"]
    (True, 3, 1.0)
    """

    def __init__(self, one: Explorer, two: Explorer) -> None:
        self._explorers = one, two
        self._labels = Cache(LABEL_BYTES)

    def of(self, a: Choice, b: Choice, *, shown: tuple[xr.Dataset, xr.Dataset] | None = None) -> dict[str, Any]:
        """The pairing of two choices, as JSON.

        Parameters
        ----------
        a, b
            Layers and number of clusters of each side.
        shown
            Results of both sides: where they are drafts, or where the sides have no records in common in which both
            found clusters, clusters are matched in these alone.

        Returns
        -------
        dict
            ``a, b``, each with ``layers, n_clusters``; ``slots``, by cluster of `b`; ``records``, how many records or
            windows it comes from; ``same, ami, ari, vi`` over all of them, see `compare_segments`, None where unknown.

        Raises
        ------
        ValueError
            There is nothing to compare.
        """
        parts = None
        if shown is None or not any(result.attrs["draft"] for result in shown):
            parts = self._common(a, b)
        if parts is None and shown is not None:
            parts = (*shown, self._explorers[0].ds)
        if parts is None:
            raise ValueError("pairing: expected records or windows in which both sides found clusters, got none")
        seconds, counts = pooled_overlap(*parts)
        slots = shown[0]["slot"].values if shown else self._explorers[0].fit(*a).slots
        found = measures(seconds, counts, partners(seconds))
        return {
            "a": {"layers": list(a[0]), "n_clusters": int(a[1])},
            "b": {"layers": list(b[0]), "n_clusters": int(b[1])},
            "slots": match_slots(seconds, np.asarray(slots)).tolist(),
            "records": int(parts[0].sizes.get("record", 1)),
            **{name: value if np.isfinite(value) else None for name, value in found.items()},
        }

    def clear(self) -> None:
        """Free what is kept."""
        self._labels.clear()

    def _common(self, a: Choice, b: Choice) -> tuple[xr.Dataset, xr.Dataset, xr.Dataset] | None:
        """Labels of the records, or windows of long ones, that both sides have; and where those begin and end."""
        one, two = (self._labelled(side, choice) for side, choice in zip((0, 1), (a, b), strict=True))
        windows = [explorer.windows for explorer in self._explorers]
        if windows[0].long and windows[0].n_samples != windows[1].n_samples:
            return None
        there = set(two["record"].values.tolist())
        records = [name for name in one["record"].values.tolist() if name in there]
        if not records:
            return None
        ds = self._explorers[0].ds
        if windows[0].long:
            time = xr.Variable("time", np.array([0.0, windows[0].seconds - 1 / windows[0].rate]), ds["time"].attrs)
            ds = xr.Dataset(coords={"time": time})
        return one.sel(record=records), two.sel(record=records), ds

    def _labelled(self, side: int, choice: Choice) -> xr.Dataset:
        explorer = self._explorers[side]
        layers, k = tuple(choice[0]), int(choice[1])

        def make() -> xr.Dataset:
            fit, x = explorer.fit(layers, k), explorer.embedding(layers).transpose("record", "cell", "feature")
            valid = x["valid"].transpose("record", "cell").values
            centers = torch.as_tensor(fit.clusters.cluster_centers_, device=fit.clusters.device)
            rows = torch.as_tensor(np.require(x.values[valid], np.float32, ["C", "W"]), device=centers.device)
            cluster = np.full(valid.shape, -1, np.int8)
            cluster[valid] = two_nearest(rows, centers)[0].cpu().numpy()
            names, centre = x["record"].values.astype(str), x["centre"].values
            return xr.Dataset(
                {"cluster": (("record", "cell"), cluster)},
                {"record": names, "centre": ("cell", centre)},
                {"n_clusters": k},
            )

        return self._labels.get((side, layers, k), make)
