"""Static figures with Matplotlib, one function for each measure of `ecg_widget.evaluation`.

Each takes what the measure returned and ``ax=``, and gives the `matplotlib.axes.Axes` that it drew on.
"""

from ecg_widget.figures.heat_maps import plot_alignment, plot_association
from ecg_widget.figures.measures import (
    plot_audit,
    plot_faithfulness,
    plot_fidelity,
    plot_sanity,
    plot_stability,
    plot_uncertainty,
)

__all__ = [
    "plot_alignment",
    "plot_association",
    "plot_audit",
    "plot_faithfulness",
    "plot_fidelity",
    "plot_sanity",
    "plot_stability",
    "plot_uncertainty",
]
