"""Static figures with Matplotlib: segments on ECG paper, and one function for each measure of `ecg_widget.evaluation`.

Each of these takes what the measure returned and ``ax=``, and gives the `matplotlib.axes.Axes` that it drew on.
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
from ecg_widget.figures.segments import plot_segments, save_segments

__all__ = [
    "plot_alignment",
    "plot_association",
    "plot_audit",
    "plot_faithfulness",
    "plot_fidelity",
    "plot_sanity",
    "plot_segments",
    "plot_stability",
    "plot_uncertainty",
    "save_segments",
]
