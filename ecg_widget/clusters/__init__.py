"""Activations -> embedding -> k-means -> soft assignment: the estimator `TimeClusters`."""

from ecg_widget.clusters.embedding import embed
from ecg_widget.clusters.estimator import TimeClusters
from ecg_widget.clusters.kmeans import KMeansResult, kmeans, kmeans_plus_plus
from ecg_widget.clusters.matching import match_clusters

__all__ = ["KMeansResult", "TimeClusters", "embed", "kmeans", "kmeans_plus_plus", "match_clusters"]
