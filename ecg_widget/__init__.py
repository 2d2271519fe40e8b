"""See an ECG as a neural network sees it.

The public names, nothing else. ``import ecg_widget`` needs torch, numpy, scikit-learn and xarray alone;
the widget, and with it Jupyter, is imported when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

from ecg_widget import datasets as datasets
from ecg_widget.activations import activations, list_layers, receptive_field
from ecg_widget.artifacts import load_clusters, save_clusters
from ecg_widget.clusters import TimeClusters, embed
from ecg_widget.comparison import compare_segments
from ecg_widget.derivation import derive_leads, filter_ecg
from ecg_widget.explanation import contributions
from ecg_widget.explorer import Explorer
from ecg_widget.networks import ECGNetwork, InputSpec, load_network, predict
from ecg_widget.quality import quality
from ecg_widget.records import LEADS, RecordError, from_arrays, load_example, open_ecg, resample, validate_ecg
from ecg_widget.simulate import simulate
from ecg_widget.stored_activations import activations_from_arrays
from ecg_widget.subsets import select
from ecg_widget.writing import cluster_runs, read_segments, write_annotations, write_dataset, write_segments

if TYPE_CHECKING:
    from ecg_widget.figures.comparison import plot_comparison
    from ecg_widget.figures.segments import plot_segments
    from ecg_widget.live import ECGWidget, explore
    from ecg_widget.side_by_side import ECGComparison, compare

__all__ = [
    "LEADS",
    "ECGComparison",
    "ECGNetwork",
    "ECGWidget",
    "Explorer",
    "InputSpec",
    "RecordError",
    "TimeClusters",
    "__version__",
    "activations",
    "activations_from_arrays",
    "cluster_runs",
    "compare",
    "compare_segments",
    "contributions",
    "derive_leads",
    "embed",
    "explore",
    "filter_ecg",
    "from_arrays",
    "list_layers",
    "load_clusters",
    "load_example",
    "load_network",
    "open_ecg",
    "plot_comparison",
    "plot_segments",
    "predict",
    "quality",
    "read_segments",
    "receptive_field",
    "resample",
    "save_clusters",
    "select",
    "simulate",
    "validate_ecg",
    "write_annotations",
    "write_dataset",
    "write_segments",
]


def __getattr__(name: str) -> Any:
    if name in {"ECGWidget", "explore"}:
        from ecg_widget import live  # noqa: PLC0415  (needs Jupyter)

        return getattr(live, name)
    if name in {"ECGComparison", "compare"}:
        from ecg_widget import side_by_side  # noqa: PLC0415  (needs Jupyter)

        return getattr(side_by_side, name)
    if name == "plot_comparison":
        from ecg_widget.figures.comparison import plot_comparison  # noqa: PLC0415  (only who draws needs it)

        return plot_comparison
    if name == "plot_segments":
        from ecg_widget.figures.segments import plot_segments  # noqa: PLC0415  (only who draws needs it)

        return plot_segments
    raise AttributeError(f"module 'ecg_widget' has no attribute {name!r}")


def load_ipython_extension(shell: Any) -> None:
    """Add the magics ``%ecg`` and ``%%ecg``: what ``%load_ext ecg_widget`` does."""
    from ecg_widget import magics  # noqa: PLC0415  (needs IPython)

    magics.load(shell)


def unload_ipython_extension(shell: Any) -> None:
    """Take the magics away again: what ``%unload_ext ecg_widget`` does."""
    from ecg_widget import magics  # noqa: PLC0415  (needs IPython)

    magics.unload(shell)
