"""When to believe a picture: what the clusters say of the network and of the heart, beside what nothing would say.

Each measure is a function that gives an `xarray.Dataset` and says in its docstring what it means, what it does not and
what a bad value looks like; `ecg_widget.figures` draws each.
"""

from ecg_widget.evaluation.alignment import alignment
from ecg_widget.evaluation.association import association, centred_log_ratio
from ecg_widget.evaluation.audit import audit, surrogate_predictions
from ecg_widget.evaluation.delineation import delineate, intervals
from ecg_widget.evaluation.faithfulness import compare_orders, faithfulness
from ecg_widget.evaluation.fidelity import fidelity
from ecg_widget.evaluation.landmarks import cell_landmarks
from ecg_widget.evaluation.sanity import sanity
from ecg_widget.evaluation.stability import stability
from ecg_widget.evaluation.uncertainty import uncertainty

__all__ = [
    "alignment",
    "association",
    "audit",
    "cell_landmarks",
    "centred_log_ratio",
    "compare_orders",
    "delineate",
    "faithfulness",
    "fidelity",
    "intervals",
    "sanity",
    "stability",
    "surrogate_predictions",
    "uncertainty",
]
