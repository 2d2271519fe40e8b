"""`TimeClusters`: a scikit-learn estimator over cells of activations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import torch
import xarray as xr
from sklearn.base import BaseEstimator, ClusterMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from ecg_widget.clusters.embedding import Interpolation, Normalization, channel_statistics, check_activations, embed
from ecg_widget.clusters.kmeans import kmeans_many
from ecg_widget.clusters.products import BLOCK_ROWS, squared_distances, two_nearest
from ecg_widget.clusters.starts import best_starts, neighbour_start

Activations = Mapping[str, xr.DataArray] | xr.DataArray

DEFAULT_CLUSTERS = 10
"""How many clusters where nobody says: of the even numbers from 4 to 20, the fewest with which, on the last three
blocks of the shipped network, a forest on their shares retells .93 of its labels (PTB-XL) and they align 1.8 times as
well as the raw signal (LUDB); ``ecg-widget evaluate`` prints both for any number."""

LEAST_ODDS = -200.0  # log: below, a probability counts as nothing
MEDIAN_ODDS = 9.0  # tau gives the median cell these odds between its two nearest clusters (METHOD, soft assignment)


class TimeClusters(ClusterMixin, BaseEstimator):  # type: ignore[misc]
    """Cluster the cells of an ECG network's activations over time.

    Every cell of every record is one row; k-means finds centres shared by all records; a softmax over squared distances
    says how sure each assignment is.

    Parameters
    ----------
    n_clusters
        Number of clusters, at least 2.
    normalization, weighted, interpolation
        How layers are joined, see `embed`; without effect when an embedding is given.
    max_iter, tol
        Lloyd's algorithm stops after `max_iter` iterations, or when the squared movement of all centres is at most
        `tol` times the mean variance of the features.
    n_init
        Number of k-means++ starts, compared by trial runs on 4,096 cells, see `best_starts`; the best three are run to
        the end. With a single start, other seeds give other clusters: `ecg_widget.evaluation.stability` says how far.
    max_cells
        Fit on at most about so many cells, the same number from each record, drawn at random.
    random_state
        Seed or RandomState of the starts and of the sample.
    device
        Torch device of the computation; the CPU if None.
    any_network
        Whether activations of another network than the fitted one may be predicted. Clusters of one network mean
        nothing in another one's activations, even where their shapes agree.

    Attributes
    ----------
    cluster_centers_ : numpy.ndarray
        ``(cluster, feature)`` float32. Clusters are sorted by falling share of the fitted cells: 0 is the largest.
    tau_ : float
        Temperature of the soft assignment: the median over fitted cells of the difference between the two least squared
        distances, divided by ln 9.
    log_prior_ : numpy.ndarray
        ``(cluster,)`` log of each cluster's share of the fitted cells.
    inertia_ : float
        Sum of squared distances of the fitted cells to their centres.
    n_iter_ : int
        Iterations of the run to the end.
    layers_ : list of str
        Names of the layers, empty when an embedding without that attribute was fitted.
    weights_, strides_ : list of float
        Of the layers; strides in s.
    fingerprint_ : str
        Of the network, empty where the activations do not tell.
    records_ : list of str
        Names of the fitted records.
    statistics_ : dict
        For ``normalization="zscore"``: layer -> (mean, standard deviation) over the fitted records.
    n_features_in_ : int
        Length of the embedding.

    Examples
    --------
    >>> import ecg_widget as ecg
    >>> ds = ecg.simulate(4, seed=0)
    >>> acts = ecg.activations(ecg.load_network(), ds)
    >>> seg = ecg.TimeClusters(n_clusters=5, random_state=0).fit(acts).predict(acts)
    >>> seg["proportion"].dims, bool(np.allclose(seg["proportion"].sum("cluster"), 1))
    (('record', 'cluster'), True)
    """

    def __init__(
        self,
        n_clusters: int = DEFAULT_CLUSTERS,
        *,
        normalization: Normalization = "l2",
        weighted: bool = True,
        interpolation: Interpolation = "linear",
        max_iter: int = 300,
        tol: float = 1e-5,
        n_init: int = 10,
        max_cells: int = 300_000,
        random_state: int | np.random.RandomState | None = None,
        device: torch.device | str | None = None,
        any_network: bool = False,
    ) -> None:
        self.n_clusters = n_clusters
        self.normalization = normalization
        self.weighted = weighted
        self.interpolation = interpolation
        self.max_iter = max_iter
        self.tol = tol
        self.n_init = n_init
        self.max_cells = max_cells
        self.random_state = random_state
        self.device = device
        self.any_network = any_network

    def fit(self, X: Activations, y: None = None, *, init: np.ndarray | None = None) -> Self:  # noqa: ARG002
        """Find the clusters.

        Parameters
        ----------
        X
            What `ecg_widget.activations` returns, or one embedding ``(record, cell, feature)`` with coord
            ``valid (record, cell)``. Cells that are not valid are never fitted.
        y
            Ignored.
        init
            ``(cluster, feature)`` starting centres in place of k-means++, such as ``cluster_centers_`` of another fit.
            Where they are not `n_clusters`, clusters are added or left out, see `neighbour_start`.

        Returns
        -------
        TimeClusters
            Itself.

        Raises
        ------
        ValueError
            Parameters out of range, or fewer valid cells than clusters.
        """
        _positive_int("n_clusters", self.n_clusters, least=2)
        for name in ("max_iter", "n_init", "max_cells"):
            _positive_int(name, getattr(self, name), least=1)
        rng = check_random_state(self.random_state)
        if not isinstance(X, xr.DataArray) and self.normalization == "zscore":
            self.statistics_ = {name: channel_statistics(layer) for name, layer in check_activations(X).items()}
        else:
            self.statistics_ = {}
        x = self._embedding(X)
        rows = self._sample(x, rng)
        if len(rows) < self.n_clusters:
            raise ValueError(
                f"expected at least n_clusters={self.n_clusters} valid cells, got {len(rows)}; use fewer "
                "clusters, a finer layer or longer recordings (padding and gaps do not count)"
            )
        if init is not None and (np.ndim(init) != 2 or np.shape(init)[1] != x.sizes["feature"] or not len(init)):
            raise ValueError(
                f"init: expected (cluster, feature) with {x.sizes['feature']} features, got {np.shape(init)}"
            )
        cells = torch.as_tensor(rows, device=self.device)
        if init is None:
            starts = best_starts(cells, self.n_clusters, self.n_init, rng)
        else:
            starts = [neighbour_start(cells, torch.as_tensor(np.asarray(init, np.float32)), self.n_clusters, rng)]
        runs = kmeans_many(cells, starts, max_iter=self.max_iter, tol=self.tol)
        best = min(runs, key=lambda run: run.inertia)
        counts = torch.bincount(best.labels, minlength=self.n_clusters)
        order = torch.argsort(counts, descending=True, stable=True)
        centers = best.centers[order]
        self.cluster_centers_ = centers.cpu().numpy()
        share = (counts[order].double() / len(rows)).clamp(min=1 / (len(rows) + 1))
        self.log_prior_ = share.log().cpu().numpy()
        self.inertia_, self.n_iter_ = best.inertia, best.n_iter
        self.tau_ = _temperature(cells, centers)
        self.layers_ = list(x.attrs.get("layers", []))
        self.weights_ = [float(w) for w in x.attrs.get("weights", [])]
        self.strides_ = [float(s) for s in x.attrs.get("strides", [])]
        self.fingerprint_ = str(x.attrs.get("fingerprint", ""))
        self.records_ = x["record"].values.astype(str).tolist() if "record" in x.coords else []
        self.n_features_in_ = x.sizes["feature"]
        return self

    def predict(self, X: Activations) -> xr.Dataset:
        """Assign every cell to its nearest cluster and say how sure that is.

        Parameters
        ----------
        X
            As for `fit`, of these or other records.

        Returns
        -------
        xarray.Dataset
            ``cluster (record, cell)`` int16, -1 where not valid; ``entropy (record, cell)`` in [0, 1], the entropy of
            ``q_k = softmax_k(log prior_k - d_k / tau)`` over log K, 1 where uniform; ``margin (record, cell)`` in
            [0, 1], (second least - least squared distance) / second least; ``probability (record, cell)``, the largest
            q; NaN where not valid; ``proportion (record, cluster)``, share of the record's valid cells in each cluster,
            NaN for a record without any; ``valid``; coords of the embedding; attrs ``layers``, ``n_clusters``, ``tau``.

        Raises
        ------
        ValueError
            An embedding of another length than the fitted one, or of other layers.
        """
        x, rows = self._checked(X)
        shape = (x.sizes["record"], x.sizes["cell"])
        labels, *soft = (
            torch.cat(part).view(shape) for part in zip(*map(self._assign, torch.split(rows, BLOCK_ROWS)), strict=True)
        )
        valid = torch.as_tensor(x["valid"].transpose("record", "cell").values, device=rows.device)
        cluster = torch.where(valid, labels, -1)
        record = torch.arange(len(valid), device=valid.device)[:, None] * (self.n_clusters + 1)
        counts = torch.bincount((record + cluster + 1).flatten(), minlength=len(valid) * (self.n_clusters + 1))
        hard = counts.view(len(valid), -1)[:, 1:]
        proportion = hard / hard.sum(1, keepdim=True)  # 0 / 0 is NaN: a record without a valid cell has no proportions
        texts = {
            "entropy": "normalised entropy of the soft assignment",
            "margin": "relative distance margin",
            "probability": "probability of the nearest cluster",
        }
        out = xr.Dataset(
            {
                "cluster": (("record", "cell"), cluster.to(torch.int16).cpu().numpy()),
                **{
                    name: (
                        ("record", "cell"),
                        torch.where(valid, values, torch.nan).cpu().numpy(),
                        {"units": "1", "long_name": text},
                    )
                    for (name, text), values in zip(texts.items(), soft, strict=True)
                },
                "proportion": (("record", "cluster"), proportion.float().cpu().numpy(), {"units": "1"}),
            },
            coords={n: c.variable for n, c in x.coords.items() if "feature" not in c.dims and n != "valid"},
            attrs={"layers": self.layers_, "n_clusters": self.n_clusters, "tau": self.tau_},
        )
        out["valid"] = x["valid"].variable
        return out

    def predict_proba(self, X: Activations) -> xr.DataArray:
        """Soft assignment ``(record, cell, cluster)`` float32; rows sum to 1, NaN where not valid."""
        x, rows = self._checked(X)
        parts = [
            torch.softmax(self._odds(self._distances(part)), 0).float().T for part in torch.split(rows, BLOCK_ROWS)
        ]
        q = torch.cat(parts).view(x.sizes["record"], x.sizes["cell"], -1).cpu().numpy()
        valid = x["valid"].transpose("record", "cell")
        coords = {n: c.variable for n, c in x.coords.items() if "feature" not in c.dims}
        return xr.DataArray(q, dims=("record", "cell", "cluster"), coords=coords, name="q").where(valid)

    def fit_predict(self, X: Activations, y: None = None, **kwargs: Any) -> xr.Dataset:
        """Fit, then predict the same records."""
        return self.fit(X, y, **kwargs).predict(X)

    def _embedding(self, X: Activations) -> xr.DataArray:
        if not isinstance(X, xr.DataArray):
            return embed(
                X,
                normalization=self.normalization,
                weighted=self.weighted,
                interpolation=self.interpolation,
                statistics=self.statistics_ or None,
                device=self.device,
            )
        if set(X.dims) != {"record", "cell", "feature"} or "valid" not in X.coords:
            raise ValueError(
                f"embedding: expected dims (record, cell, feature) and a coord valid (record, cell), got {X.dims} with "
                f"coords {sorted(map(str, X.coords))}; assign_coords(valid=...) marks the cells to use"
            )
        return X.transpose("record", "cell", "feature")

    def _sample(self, x: xr.DataArray, rng: np.random.RandomState) -> np.ndarray:
        """Valid cells ``(row, feature)``, the same number of each record where there are more than `max_cells`."""
        valid = x["valid"].transpose("record", "cell").values
        if valid.sum() > self.max_cells:
            quota = max(1, self.max_cells // max(1, int(valid.any(1).sum())))
            lottery = np.where(valid, rng.random_sample(valid.shape), np.inf)
            rank = lottery.argsort(1).argsort(1)
            valid = valid & (rank < quota)
        cells = x.values.reshape(-1, x.sizes["feature"]) if valid.all() else x.values[valid]
        return np.require(cells, np.float32, ["C", "W"])  # torch refuses to share what may not be written

    def _checked(self, X: Activations) -> tuple[xr.DataArray, torch.Tensor]:
        """Embedding of the fitted layers, and its cells ``(row, feature)``, valid or not."""
        check_is_fitted(self)
        x = self._embedding(X)
        layers = list(x.attrs.get("layers", []))
        if x.sizes["feature"] != self.n_features_in_ or layers != self.layers_:
            raise ValueError(
                f"expected an embedding of length {self.n_features_in_} from layers {self.layers_}, got length "
                f"{x.sizes['feature']} from {layers}; fit again, or capture the layers that were fitted"
            )
        fingerprint = str(x.attrs.get("fingerprint", ""))
        if fingerprint and self.fingerprint_ and fingerprint != self.fingerprint_ and not self.any_network:
            raise ValueError(
                f"expected activations of the network that was fitted ({self.fingerprint_[:12]}), got those of another "
                f"one ({fingerprint[:12]}); fit again, or set any_network=True if you mean it"
            )
        return x, torch.as_tensor(x.values.reshape(-1, x.sizes["feature"]), device=self.device)

    def _distances(self, rows: torch.Tensor) -> torch.Tensor:
        """``(cluster, row)``."""
        return squared_distances(rows, torch.as_tensor(self.cluster_centers_, device=self.device)).T

    def _assign(self, rows: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Nearest cluster, entropy, margin and largest probability of each row."""
        distances = self._distances(rows)
        odds = self._odds(distances)
        weight = odds.exp()
        whole = weight.sum(0)
        entropy = (whole.log() - odds.mul_(weight).sum(0) / whole) / np.log(self.n_clusters)
        nearest = distances.min(0)
        second = distances.scatter_(0, nearest.indices[None], torch.inf).amin(0)
        margin = (second - nearest.values) / second.clamp(min=torch.finfo(second.dtype).tiny)
        return nearest.indices, entropy.clamp_(0, 1).float(), margin, (1 / whole).float()

    def _odds(self, distances: torch.Tensor) -> torch.Tensor:
        """Of each cluster, log prior_k - d_k / tau, less that of the most probable one ``(cluster, cell)`` float64."""
        # The least distance first: a small tau cannot overflow then.
        shifted = (distances - distances.amin(0)).double().div_(-self.tau_)
        shifted += torch.as_tensor(self.log_prior_, device=distances.device)[:, None]
        return shifted.sub_(shifted.amax(0)).clamp_(min=LEAST_ODDS)


def _temperature(cells: torch.Tensor, centers: torch.Tensor) -> float:
    _, first, second = two_nearest(cells, centers)
    median = float(np.median((second.double() - first.double()).cpu().numpy()))
    return max(median / float(np.log(MEDIAN_ODDS)), float(np.finfo(np.float32).tiny))


def _positive_int(name: str, value: object, *, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise ValueError(f"{name}: expected a whole number of at least {least}, got {value!r}")
