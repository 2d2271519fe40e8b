"""Figures: static ones with Matplotlib, interactive ones with Bokeh, and the tidy tables behind them.

``plot_...`` takes what a measure of `ecg_widget.evaluation` returned and ``ax=``, and gives the `matplotlib.axes.Axes`
that it drew on. The others give Bokeh layouts, see `ecg_widget.figures.interactive`. ``..._table`` gives a
`pandas.DataFrame`, one row an observation.
"""

from ecg_widget.figures.comparison import plot_comparison, save_comparison
from ecg_widget.figures.heat_maps import plot_alignment, plot_association
from ecg_widget.figures.interactive import (
    alignment_map,
    association_map,
    cluster_choice,
    embedding_map,
    entropy_by_class,
    risk_coverage,
)
from ecg_widget.figures.measures import (
    plot_audit,
    plot_faithfulness,
    plot_fidelity,
    plot_sanity,
    plot_stability,
    plot_uncertainty,
)
from ecg_widget.figures.segments import plot_segments, save_segments
from ecg_widget.figures.tables import (
    alignment_table,
    association_table,
    cell_table,
    choice_table,
    entropy_table,
    risk_table,
)

__all__ = [
    "alignment_map",
    "alignment_table",
    "association_map",
    "association_table",
    "cell_table",
    "choice_table",
    "cluster_choice",
    "embedding_map",
    "entropy_by_class",
    "entropy_table",
    "plot_alignment",
    "plot_association",
    "plot_audit",
    "plot_comparison",
    "plot_faithfulness",
    "plot_fidelity",
    "plot_sanity",
    "plot_segments",
    "plot_stability",
    "plot_uncertainty",
    "risk_coverage",
    "risk_table",
    "save_comparison",
    "save_segments",
]
