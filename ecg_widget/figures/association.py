"""Heat map of clusters against targets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from ecg_widget.figures.measures import axes_or_new

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_association"]

SIGNIFICANT = 0.05


def plot_association(result: xr.Dataset, *, source: str = "predicted", ax: Axes | None = None) -> Axes:
    """Draw the correlation of each cluster's share with each target; a star where its q value is below .05.

    Parameters
    ----------
    result
        Of `ecg_widget.evaluation.association`.
    source
        ``"predicted"`` or ``"true"``.
    ax
        Where to draw; a new figure if None.

    Returns
    -------
    matplotlib.axes.Axes

    Examples
    --------
    >>> dims = ("source", "cluster", "target")
    >>> values = {name: (dims, np.full((1, 2, 1), 0.5)) for name in ("correlation", "q_value")}
    >>> ax = plot_association(xr.Dataset(values, {"source": ["predicted"], "target": ["MI"]}))
    >>> [text.get_text() for text in ax.get_yticklabels()]
    ['A', 'B']
    """
    ax = axes_or_new(ax)
    one = result.sel(source=source).transpose("cluster", "target", ...)
    values, q = one["correlation"].values, one["q_value"].values
    image = ax.imshow(values, cmap="RdBu_r", vmin=-1, vmax=1, aspect="auto")  # signed, symmetric: white is none
    for (cluster, target), value in np.ndenumerate(values):
        if np.isfinite(value):
            text = f"{value:.2f}{'*' if q[cluster, target] < SIGNIFICANT else ''}"
            ax.text(target, cluster, text, ha="center", va="center", color="w" if abs(value) > 0.6 else "k")
    ax.set_xticks(np.arange(values.shape[1]), one["target"].values.astype(str))
    ax.set_yticks(np.arange(len(values)), [chr(ord("A") + c) for c in range(len(values))])
    title = f"Share of a cluster and {source} label, * q < {SIGNIFICANT}"
    ax.set(xlabel="target", ylabel="cluster", title=title)
    ax.figure.colorbar(image, ax=ax, label="Spearman's correlation")
    return ax
