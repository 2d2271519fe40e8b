"""Heat maps: clusters against landmarks, and against targets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from ecg_widget.figures.measures import axes_or_new

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_alignment", "plot_association"]

SIGNIFICANT = 0.05


def plot_alignment(result: xr.Dataset, *, source: str = "network", ax: Axes | None = None) -> Axes:
    """What each cluster lies on: probability of a landmark given the cluster.

    Parameters
    ----------
    result
        What `ecg_widget.evaluation.alignment` returned.
    source
        ``"network"`` or ``"signal"``.
    ax
        Where to draw; a new figure if None.

    Returns
    -------
    matplotlib.axes.Axes

    Examples
    --------
    >>> p = {"probability": (("source", "cluster", "landmark"), np.eye(2)[None]), "ami": ("source", [0.4])}
    >>> axes = plot_alignment(xr.Dataset(p, {"source": ["network"], "landmark": ["P", "QRS"]}))
    >>> [t.get_text() for t in axes.get_xticklabels()]
    ['P', 'QRS']
    """
    ax = axes_or_new(ax)
    one = result.sel(source=source)
    ax.set_title(f"P(landmark | cluster), AMI {float(one['ami']):.2f}")
    values = one["probability"].transpose("cluster", "landmark")
    _heat_map(ax, values, label="probability", cmap="Blues", vmin=0, vmax=1)
    return ax


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
    stars = np.where(one["q_value"].values < SIGNIFICANT, "*", "")
    ax.set_title(f"Share of a cluster and {source} label, * q < {SIGNIFICANT}")
    label = "Spearman's correlation"  # signed and symmetric: white is none
    _heat_map(ax, one["correlation"], label=label, stars=stars, cmap="RdBu_r", vmin=-1, vmax=1)
    return ax


def _heat_map(ax: Axes, values: xr.DataArray, *, label: str, stars: np.ndarray | None = None, **colours: Any) -> None:
    """Draw ``(cluster, something)`` with its numbers; nothing is written where there is none."""
    image = ax.imshow(values.values, aspect="auto", **colours)
    for (row, column), value in np.ndenumerate(values.values):
        if np.isfinite(value):
            text = f"{value:.2f}{'' if stars is None else stars[row, column]}"
            ax.text(column, row, text, ha="center", va="center", color="w" if abs(value) > 0.6 else "k")
    other = str(values.dims[1])
    ax.set_xticks(np.arange(values.shape[1]), values[other].values.astype(str))
    ax.set_yticks(np.arange(len(values)), [chr(ord("A") + c) for c in range(len(values))])
    ax.set(xlabel=other, ylabel="cluster")
    ax.figure.colorbar(image, ax=ax, label=label)
