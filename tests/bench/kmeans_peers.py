"""K-means of other packages, called alike: data ``(row, feature)``, starting centres, iterations -> centres, iterations."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec

import numpy as np

Fit = Callable[[np.ndarray, np.ndarray, int], tuple[np.ndarray, int]]


def ours(x: np.ndarray, start: np.ndarray, iterations: int) -> tuple[np.ndarray, int]:
    import torch

    from ecg_widget.clusters import kmeans

    found = kmeans(torch.from_numpy(x), torch.from_numpy(start), max_iter=iterations, tol=0)
    return found.centers.numpy(), found.n_iter


def lloyd(x: np.ndarray, start: np.ndarray, iterations: int) -> tuple[np.ndarray, int]:
    return _scikit_learn(x, start, iterations, "lloyd")


def elkan(x: np.ndarray, start: np.ndarray, iterations: int) -> tuple[np.ndarray, int]:
    return _scikit_learn(x, start, iterations, "elkan")


def _scikit_learn(x: np.ndarray, start: np.ndarray, iterations: int, algorithm: str) -> tuple[np.ndarray, int]:
    from sklearn.cluster import KMeans

    found = KMeans(len(start), init=start, n_init=1, max_iter=iterations, tol=0, algorithm=algorithm).fit(x)
    return found.cluster_centers_, found.n_iter_


def mini_batches(x: np.ndarray, start: np.ndarray, iterations: int) -> tuple[np.ndarray, int]:
    from sklearn.cluster import MiniBatchKMeans

    found = MiniBatchKMeans(
        len(start), init=start, n_init=1, max_iter=iterations, batch_size=4096, random_state=0, reassignment_ratio=0
    ).fit(x)
    return found.cluster_centers_, iterations


def faiss_cpu(x: np.ndarray, start: np.ndarray, iterations: int) -> tuple[np.ndarray, int]:
    import faiss

    found = faiss.Kmeans(
        x.shape[1], len(start), niter=iterations, max_points_per_centroid=len(x), min_points_per_centroid=1
    )
    found.train(x, init_centroids=start)
    found.index.search(x, 1)  # the labels, as all others give them
    return found.centroids, iterations


def fast_kmeans(x: np.ndarray, start: np.ndarray, iterations: int) -> tuple[np.ndarray, int]:
    """From rows of its own choice: it takes no starting centres."""
    from fastkmeans import FastKMeans

    found = FastKMeans(
        x.shape[1],
        len(start),
        niter=iterations,
        tol=-1.0,
        gpu=False,
        seed=0,
        max_points_per_centroid=None,
        use_triton=False,
    )
    found.fit_predict(x)
    return found.centroids, iterations


PEERS: dict[str, tuple[str, Fit]] = {
    "scikit-learn lloyd": ("sklearn", lloyd),
    "scikit-learn elkan": ("sklearn", elkan),
    "faiss-cpu": ("faiss", faiss_cpu),
    "fastkmeans": ("fastkmeans", fast_kmeans),
}
DISTRIBUTIONS = {"sklearn": "scikit-learn", "faiss": "faiss-cpu", "fastkmeans": "fastkmeans"}


def missing(module: str) -> bool:
    return find_spec(module) is None


def set_threads(n: int) -> None:
    """The same number for all; scikit-learn's is set around the whole run by ``threadpool_limits``."""
    import torch

    torch.set_num_threads(n)
    if not missing("faiss"):
        import faiss

        faiss.omp_set_num_threads(n)
