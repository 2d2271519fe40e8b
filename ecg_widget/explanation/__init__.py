"""What the clusters have to do with a prediction: contributions, ablation, attributions pooled by cluster."""

from ecg_widget.explanation.ablation import ablate_clusters
from ecg_widget.explanation.contribution import cell_contributions, cell_shares, contributions
from ecg_widget.explanation.pooling import pool_attribution

__all__ = ["ablate_clusters", "cell_contributions", "cell_shares", "contributions", "pool_attribution"]
