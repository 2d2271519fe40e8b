"""How many clusters: what each number costs and keeps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from ecg_widget.figures.interactive.look import LINES, beside, new_figure, with_legend
from ecg_widget.figures.tables import choice_table

__all__ = ["cluster_choice"]

_SCALES = {
    "inertia": ("Inertia", "squared distance to the centres"),
    "explained": ("Structure", "share"),
    "silhouette": ("Structure", "share"),
    "stability, seeds": ("Stability", "adjusted Rand index"),
    "stability, records": ("Stability", "adjusted Rand index"),
    "fidelity, kappa": ("Fidelity on held-out folds", "score"),
    "fidelity, agreement": ("Fidelity on held-out folds", "score"),
}


def cluster_choice(
    sweep: xr.Dataset | None = None,
    stability: xr.Dataset | None = None,
    fidelity: Mapping[int, xr.Dataset] | None = None,
    *,
    theme: str = "light",
) -> Any:
    """Draw inertia, stability and fidelity over the number of clusters; tap a number to mark it in all of them.

    Parameters
    ----------
    sweep
        Of `ecg_widget.clusters.sweep`.
    stability
        Of `ecg_widget.evaluation.stability`.
    fidelity
        Number of clusters -> what `ecg_widget.evaluation.fidelity` returned for it.
    theme
        ``"light"`` or ``"dark"``.

    Returns
    -------
    bokeh.models.Row
        A figure for each of inertia, structure (share of the variance explained, silhouette), stability (median,
        10th to 90th percentile) and fidelity (mean and standard deviation over folds) that was given.

    Raises
    ------
    ValueError
        Nothing given.

    Examples
    --------
    >>> found = xr.Dataset({"inertia": ("n_clusters", [9.0, 4.0])}, {"n_clusters": [2, 3]})
    >>> cluster_choice(found).children[0].title.text
    'Inertia'
    """
    from bokeh.models import ColumnDataSource, FixedTicker, HoverTool, Range1d, Whisker  # noqa: PLC0415

    table = choice_table(sweep, stability, fidelity)
    numbers = sorted(table["n_clusters"].unique())
    wide = pd.DataFrame({"n_clusters": numbers})
    measures = list(dict.fromkeys(table["measure"]))
    for i, measure in enumerate(measures):
        one = table[table["measure"] == measure].set_index("n_clusters").reindex(numbers)
        for part in ("value", "low", "high"):
            wide[f"{part}_{i}"] = one[part].to_numpy(np.float64)
    source = ColumnDataSource(wide)
    x_range = Range1d(numbers[0] - 0.7, numbers[-1] + 0.7)
    figures = []
    for title in dict.fromkeys(_SCALES[m][0] for m in measures):
        here = [(i, m) for i, m in enumerate(measures) if _SCALES[m][0] == title]
        fig = new_figure(
            title, "clusters", _SCALES[here[0][1]][1], theme=theme, tools="tap,xbox_select", height=300, x_range=x_range
        )
        fig.xaxis.ticker = FixedTicker(ticks=numbers)
        if title != "Inertia":
            fig.y_range.end = 1.02
        for order, (i, measure) in enumerate(here):
            colour, text = LINES[order], measure.split(", ")[-1]
            look = {"color": colour, "legend_label": text}
            known = wide[np.isfinite(wide[f"value_{i}"])]  # a measure may lack some of the numbers
            fig.line(known["n_clusters"].tolist(), known[f"value_{i}"].tolist(), line_width=2, **look)
            dots = fig.scatter("n_clusters", f"value_{i}", source=source, size=8, nonselection_alpha=0.25, **look)
            if np.isfinite(wide[f"low_{i}"]).any():
                whisker = Whisker(base="n_clusters", lower=f"low_{i}", upper=f"high_{i}", source=source)
                whisker.line_color = whisker.upper_head.line_color = whisker.lower_head.line_color = colour
                whisker.upper_head.size = whisker.lower_head.size = 5
                fig.add_layout(whisker)
            numbers_said = [("clusters", "@n_clusters"), (text, f"@value_{i}{{0.000}}")]
            fig.add_tools(HoverTool(tooltips=numbers_said, renderers=[dots]))
        figures.append(with_legend(fig, theme=theme, beside=False) if len(here) > 1 else _without_legend(fig))
    return beside(figures)


def _without_legend(fig: Any) -> Any:
    fig.legend[0].visible = False
    return fig
