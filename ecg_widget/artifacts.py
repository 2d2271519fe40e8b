"""Fitted clusters on disk: one safetensors file, numbers and JSON, never code.

The tensors are ``centers (cluster, feature)``, ``log_prior (cluster)`` and, for z-scored activations, ``mean/LAYER``
and ``scale/LAYER``. The metadata has one entry ``ecg_widget``: JSON with what else `TimeClusters` found and was told,
the fitted records, the network's fingerprint and the versions of the libraries. Equal fits give equal files.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import sklearn
import torch
import xarray as xr

from ecg_widget.clusters import TimeClusters
from ecg_widget.networks import ECGNetwork

__all__ = ["artifact_hash", "load_clusters", "save_clusters"]

_FORMAT = 1
_KIND = "clusters"
_LARGEST_FILE = 2**30  # bytes; 20 clusters of 2000 features are 160 kB, a million names of records some ten MB
_PARAMETERS = (
    "n_clusters",
    "normalization",
    "weighted",
    "interpolation",
    "max_iter",
    "tol",
    "n_init",
    "max_cells",
    "random_state",
)


def save_clusters(path: str | Path, clusters: TimeClusters, *, network: ECGNetwork | None = None) -> None:
    """Write fitted clusters to a file.

    Parameters
    ----------
    path
        Of the file, ``.safetensors`` by custom; replaced whole or not at all.
    clusters
        Fitted. Its `random_state` must be a number or None: a generator has no name that could be read back.
    network
        For its name and targets, for people; the fingerprint comes with the activations that were fitted. One with
        another fingerprint is refused.

    Raises
    ------
    ValueError
        Clusters that are not fitted, a generator as seed, another network.

    Examples
    --------
    >>> import tempfile
    >>> import ecg_widget as ecg
    >>> net, ds = ecg.load_network(), ecg.simulate(3)
    >>> clusters = ecg.TimeClusters(4, random_state=0).fit(ecg.activations(net, ds))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_clusters(f"{folder}/fit.safetensors", clusters, network=net)
    ...     again = load_clusters(f"{folder}/fit.safetensors", net)
    >>> bool((again.cluster_centers_ == clusters.cluster_centers_).all()), len(again.records_)
    (True, 3)
    """
    if network is not None and _fingerprint(clusters) not in ("", network.fingerprint):
        raise ValueError(
            f"network: expected the one that was fitted ({clusters.fingerprint_[:12]}), got {network.name} "
            f"({network.fingerprint[:12]})"
        )
    partial = Path(f"{path}.partial")
    partial.write_bytes(_bytes(clusters, network))
    partial.replace(path)


def artifact_hash(clusters: TimeClusters) -> str:
    """SHA-256 (hexadecimal) of the file that `save_clusters` would write: equal if and only if the fits are.

    Examples
    --------
    >>> import ecg_widget as ecg
    >>> acts = ecg.activations(ecg.load_network(), ecg.simulate(3))
    >>> fits = [ecg.TimeClusters(4, random_state=seed).fit(acts) for seed in (0, 0, 1)]
    >>> len({artifact_hash(fit) for fit in fits})
    2
    """
    return hashlib.sha256(_bytes(clusters, None)).hexdigest()


def load_clusters(
    path: str | Path, network: ECGNetwork | None = None, *, any_network: bool = False, device: str | None = None
) -> TimeClusters:
    """Read fitted clusters.

    Parameters
    ----------
    path
        A file that `save_clusters` wrote. Code in files is never run.
    network
        What the clusters shall be used with. Also without it, `TimeClusters.predict` refuses activations of another
        network than the fitted one.
    any_network
        Use them with another network all the same.
    device
        Torch device for predictions; the CPU if None.

    Returns
    -------
    TimeClusters
        Fitted.

    Raises
    ------
    FileNotFoundError
        No such file.
    ValueError
        Not such a file, or one whose parts do not fit together; a network other than the fitted one.

    Examples
    --------
    >>> import tempfile
    >>> import ecg_widget as ecg
    >>> net, ds = ecg.load_network(), ecg.simulate(2)
    >>> acts = ecg.activations(net, ds)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_clusters(f"{folder}/fit.safetensors", ecg.TimeClusters(3, random_state=0).fit(acts), network=net)
    ...     load_clusters(f"{folder}/fit.safetensors", net).predict(acts).sizes["cluster"]
    3
    """
    from safetensors import SafetensorError, safe_open  # noqa: PLC0415  (clusters are found without it)

    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: expected a file of clusters, found none")
    if path.stat().st_size > _LARGEST_FILE:
        raise ValueError(f"{path.name}: expected at most {_LARGEST_FILE} bytes, got {path.stat().st_size}")
    try:
        with safe_open(path, "np") as file:
            about = _about(file.metadata())
            arrays = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        clusters = _restore(about, arrays, any_network=any_network, device=device)
    except (SafetensorError, ValueError, TypeError, KeyError) as error:
        raise ValueError(f"{path.name}: not a file of fitted clusters: {error}") from error
    if network is not None and not any_network and clusters.fingerprint_ not in ("", network.fingerprint):
        raise ValueError(
            f"{path.name}: expected the network that was fitted, {about['network'] or 'of no name'} "
            f"({clusters.fingerprint_[:12]}), got {network.name} ({network.fingerprint[:12]}); fit again, or set "
            "any_network=True if you mean it"
        )
    return clusters


def _fingerprint(clusters: TimeClusters) -> str:
    """Of the network whose activations were fitted, empty if it is not known."""
    if not hasattr(clusters, "cluster_centers_"):
        raise ValueError("clusters: expected them fitted, got parameters alone; call fit first")
    return clusters.fingerprint_


def _bytes(clusters: TimeClusters, network: ECGNetwork | None) -> bytes:
    from safetensors.numpy import save  # noqa: PLC0415

    from ecg_widget import __version__  # noqa: PLC0415  (the package imports this module)

    _fingerprint(clusters)
    seed = clusters.random_state
    if seed is not None and not isinstance(seed, (int, np.integer)):
        raise ValueError(f"random_state: expected a number or None, got {seed!r}, which a file cannot hold")
    parameters = {name: getattr(clusters, name) for name in _PARAMETERS}
    about = {
        "format": _FORMAT,
        "kind": _KIND,
        "parameters": {**parameters, "random_state": None if seed is None else int(seed)},
        "layers": clusters.layers_,
        "weights": clusters.weights_,
        "strides": [stride if math.isfinite(stride) else None for stride in clusters.strides_],
        "tau": clusters.tau_,
        "inertia": clusters.inertia_,
        "n_iter": int(clusters.n_iter_),
        "records": clusters.records_,
        "fingerprint": clusters.fingerprint_,
        "network": "" if network is None else network.name,
        "versions": {
            "ecg_widget": __version__,
            "numpy": np.__version__,
            "scikit-learn": sklearn.__version__,
            "torch": str(torch.__version__),
            "xarray": xr.__version__,
        },
    }
    arrays = {"centers": clusters.cluster_centers_, "log_prior": clusters.log_prior_}
    for layer, (mean, scale) in clusters.statistics_.items():
        arrays |= {f"mean/{layer}": mean, f"scale/{layer}": scale}
    plain = {key: np.ascontiguousarray(value) for key, value in sorted(arrays.items())}
    text = json.dumps(about, sort_keys=True, default=_plain)
    return bytes(save(plain, {"ecg_widget": text}))


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"expected a plain value, got {value!r}")


def _about(metadata: Mapping[str, str] | None) -> dict[str, Any]:
    if not metadata or "ecg_widget" not in metadata:
        raise ValueError(f"metadata['ecg_widget']: expected a description, got {sorted(metadata or {})}")
    try:
        about = json.loads(metadata["ecg_widget"])
    except RecursionError as error:
        raise ValueError(f"metadata['ecg_widget']: expected plain JSON: {error}") from None
    if not isinstance(about, dict) or about.get("kind") != _KIND:
        raise ValueError("metadata['ecg_widget']: expected fitted clusters; load_network reads networks")
    if about.get("format") != _FORMAT:
        raise ValueError(f"format: expected {_FORMAT}, got {about.get('format')!r}; written by another ecg_widget")
    kinds = {"parameters": dict, "layers": list, "weights": list, "strides": list, "records": list, "versions": dict}
    for key, kind in {**kinds, "fingerprint": str, "network": str, "n_iter": int}.items():
        if not isinstance(about.get(key), kind):
            raise ValueError(f"{key}: expected {kind.__name__}, got {about.get(key)!r}")  # noqa: TRY004  (a file is wrong)
    if set(about["parameters"]) != set(_PARAMETERS):
        raise ValueError(f"parameters: expected {sorted(_PARAMETERS)}, got {sorted(about['parameters'])}")
    return about


def _restore(
    about: dict[str, Any], arrays: dict[str, np.ndarray], *, any_network: bool, device: str | None
) -> TimeClusters:
    clusters = TimeClusters(**about["parameters"], device=device, any_network=any_network)
    centers, prior = arrays["centers"], arrays["log_prior"]
    k = clusters.n_clusters
    if centers.ndim != 2 or centers.dtype != np.float32 or len(centers) != k or prior.shape != (k,):
        raise ValueError(
            f"centers: expected float32 ({k}, feature) and log_prior ({k},), got {centers.dtype} {centers.shape} and "
            f"{prior.shape}"
        )
    layers = about["layers"]
    statistics = {
        layer: (arrays[f"mean/{layer}"], arrays[f"scale/{layer}"]) for layer in layers if f"mean/{layer}" in arrays
    }
    expected = {"centers", "log_prior"} | {f"{part}/{layer}" for layer in statistics for part in ("mean", "scale")}
    if set(arrays) != expected:
        raise ValueError(f"tensors: expected {sorted(expected)}, got {sorted(arrays)}")
    for key, value in arrays.items():
        if not np.isfinite(value).all():
            raise ValueError(f"{key}: expected finite values, got NaN or infinity")
    numbers = {key: about.get(key) for key in ("tau", "inertia")}
    for key, number in numbers.items():
        if isinstance(number, bool) or not isinstance(number, (int, float)) or not 0 <= number < math.inf:
            raise ValueError(f"{key}: expected a number of at least 0, got {number!r}")
    if not numbers["tau"]:
        raise ValueError("tau: expected a number above 0, got 0")
    if len(about["weights"]) != len(layers) or len(about["strides"]) != len(layers):
        raise ValueError(f"weights, strides: expected one for each of the layers {layers}")
    clusters.cluster_centers_, clusters.log_prior_, clusters.statistics_ = centers, prior, statistics
    clusters.tau_, clusters.inertia_ = float(about["tau"]), float(about["inertia"])
    clusters.n_iter_, clusters.n_features_in_ = about["n_iter"], centers.shape[1]
    clusters.layers_, clusters.fingerprint_ = [str(layer) for layer in layers], about["fingerprint"]
    clusters.weights_ = [float(weight) for weight in about["weights"]]
    clusters.strides_ = [math.nan if stride is None else float(stride) for stride in about["strides"]]
    clusters.records_ = [str(record) for record in about["records"]]
    return clusters
