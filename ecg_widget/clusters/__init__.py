"""Activations -> embedding -> k-means -> soft assignment: the estimator `TimeClusters`, and what is read off it."""

from ecg_widget.clusters.embedding import embed
from ecg_widget.clusters.estimator import DEFAULT_CLUSTERS, TimeClusters
from ecg_widget.clusters.kmeans import KMeansResult, kmeans, kmeans_many
from ecg_widget.clusters.matching import match_centers, match_clusters
from ecg_widget.clusters.repeated import fit_each_record, sweep, vote
from ecg_widget.clusters.starts import best_starts, kmeans_plus_plus, neighbour_start
from ecg_widget.clusters.summaries import boundary_cells, run_lengths, runs, transitions, uncertainty

__all__ = [
    "DEFAULT_CLUSTERS",
    "KMeansResult",
    "TimeClusters",
    "best_starts",
    "boundary_cells",
    "embed",
    "fit_each_record",
    "kmeans",
    "kmeans_many",
    "kmeans_plus_plus",
    "match_centers",
    "match_clusters",
    "neighbour_start",
    "run_lengths",
    "runs",
    "sweep",
    "transitions",
    "uncertainty",
    "vote",
]
