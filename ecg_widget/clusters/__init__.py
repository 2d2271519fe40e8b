"""Activations -> embedding -> k-means -> soft assignment: the estimator `TimeClusters`, and what is read off it."""

from ecg_widget.clusters.embedding import embed
from ecg_widget.clusters.estimator import TimeClusters
from ecg_widget.clusters.kmeans import KMeansResult, kmeans, kmeans_plus_plus
from ecg_widget.clusters.matching import match_centers, match_clusters
from ecg_widget.clusters.repeated import fit_each_record, sweep, vote
from ecg_widget.clusters.summaries import boundary_cells, run_lengths, runs, transitions, uncertainty

__all__ = [
    "KMeansResult",
    "TimeClusters",
    "boundary_cells",
    "embed",
    "fit_each_record",
    "kmeans",
    "kmeans_plus_plus",
    "match_centers",
    "match_clusters",
    "run_lengths",
    "runs",
    "sweep",
    "transitions",
    "uncertainty",
    "vote",
]
