"""When to believe a picture: what the clusters say of the network and of the heart, beside what nothing would say.

Each measure is a function that gives an `xarray.Dataset` and says in its docstring what it means, what it does not and
what a bad value looks like.
"""

from ecg_widget.evaluation.alignment import alignment
from ecg_widget.evaluation.delineation import delineate, intervals
from ecg_widget.evaluation.fidelity import fidelity
from ecg_widget.evaluation.landmarks import cell_landmarks

__all__ = [
    "alignment",
    "cell_landmarks",
    "delineate",
    "fidelity",
    "intervals",
]
