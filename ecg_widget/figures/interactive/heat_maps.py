"""Clusters against classes and waves: how much more often than on average, and whether chance would do."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pandas as pd
import xarray as xr

from ecg_widget.figures.interactive.look import (
    LONG,
    beside,
    colour_bar,
    new_figure,
    plain,
    readable_on,
    signed_palette,
)
from ecg_widget.figures.tables import alignment_table, association_table

__all__ = ["alignment_map", "association_map"]

SIGNIFICANT = 0.05
_MOST_LIFT = 3.0  # powers of two: 8 times as often, or an eighth
_TITLES = {
    "predicted": "Predicted classes",
    "true": "True classes",
    "network": "Waves, the network's clusters",
    "signal": "Waves, clusters of the raw signal",
}


def association_map(result: xr.Dataset, *, value: Literal["lift", "correlation"] = "lift", theme: str = "light") -> Any:
    """Draw clusters against classes: predicted and true side by side, * where q < .05; a tap marks a pair in both.

    Parameters
    ----------
    result
        Of `ecg_widget.evaluation.association`.
    value
        ``"lift"``: share of a cluster in the records of a class over that in all records, coloured on a scale of
        logarithms. ``"correlation"``: Spearman's, of the centred log-ratio of the shares.
    theme
        ``"light"`` or ``"dark"``.

    Returns
    -------
    bokeh.models.Row

    Raises
    ------
    ValueError
        A result without these values.

    Examples
    --------
    >>> dims = ("source", "cluster", "target")
    >>> names = ("lift", "correlation", "p_value", "q_value")
    >>> found = xr.Dataset({n: (dims, np.full((1, 2, 1), 0.5)) for n in names}, {"source": ["true"], "target": ["MI"]})
    >>> association_map(found).children[0].title.text
    'True classes: lift, * q < 0.05'
    """
    if value not in ("lift", "correlation"):
        raise ValueError(f"value: expected 'lift' or 'correlation', got {value!r}")
    said = [("lift", "lift", "0.00"), ("correlation", "correlation", "0.00"), ("q", "q_value", "0.0000")]
    return _heat_maps(association_table(result), "target", value, said, theme)


def alignment_map(result: xr.Dataset, *, value: Literal["lift", "probability"] = "lift", theme: str = "light") -> Any:
    """Draw clusters against waves: those of the network beside those of the raw signal, * where q < .05.

    Parameters
    ----------
    result
        Of `ecg_widget.evaluation.alignment`.
    value
        ``"lift"``: how many times as often a cell of the cluster lies on the wave as any cell does.
        ``"probability"`` of the wave given the cluster.
    theme
        ``"light"`` or ``"dark"``.

    Returns
    -------
    bokeh.models.Row

    Raises
    ------
    ValueError
        A result without these values.

    Examples
    --------
    >>> dims = ("source", "cluster", "landmark")
    >>> names = ("probability", "lift", "p_value", "q_value")
    >>> found = xr.Dataset({n: (dims, np.full((1, 1, 2), 0.5)) for n in names}, {"source": ["network"]})
    >>> len(alignment_map(found.assign_coords(landmark=["P", "QRS"])).children)
    1
    """
    if value not in ("lift", "probability"):
        raise ValueError(f"value: expected 'lift' or 'probability', got {value!r}")
    said = [("P(wave | cluster)", "probability", "0.00"), ("lift", "lift", "0.00"), ("q", "q_value", "0.0000")]
    return _heat_maps(alignment_table(result), "landmark", value, said, theme)


def _heat_maps(table: pd.DataFrame, other: str, value: str, said: list[tuple[str, str, str]], theme: str) -> Any:
    """One for each source, all of one data source, so that what is selected in one is selected in all."""
    from bokeh.models import ColumnDataSource, FixedTicker, HoverTool, LinearColorMapper  # noqa: PLC0415
    from bokeh.palettes import Blues256  # noqa: PLC0415

    sources = list(dict.fromkeys(table["source"]))
    first = table[table["source"] == sources[0]]
    columns, rows = list(dict.fromkeys(first[other])), sorted(first["cluster"].unique())
    data: dict[str, Any] = {
        "x": [columns.index(o) for o in first[other]],
        "y": first["cluster"].to_numpy(),
        "letter": first["letter"].tolist(),
        "other": [plain(o, LONG) for o in first[other]],
    }
    if value == "lift":
        low, high, palette = -_MOST_LIFT, _MOST_LIFT, signed_palette()
    elif value == "correlation":
        low, high, palette = -1.0, 1.0, signed_palette()
    else:
        low, high, palette = 0.0, 1.0, list(Blues256[::-1])
    for i, source in enumerate(sources):
        one = table[table["source"] == source]
        for _, name, _ in said:
            data[f"{name}_{i}"] = one[name].to_numpy(np.float64)
        with np.errstate(divide="ignore"):
            shade = np.log2(data[f"{value}_{i}"]) if value == "lift" else data[f"{value}_{i}"]
        data[f"shade_{i}"] = np.clip(shade, low, high)
        star = np.where(one["q_value"].to_numpy() < SIGNIFICANT, "*", "")
        data[f"text_{i}"] = [
            f"{v:.2f}{s}" if np.isfinite(v) else "" for v, s in zip(data[f"{value}_{i}"], star, strict=True)
        ]
        data[f"ink_{i}"] = readable_on(data[f"shade_{i}"], high)
    shared = ColumnDataSource(data)
    mapper = LinearColorMapper(palette=palette, low=low, high=high, nan_color="#9a9a9a")
    kind = {"target": "class", "landmark": "wave"}[other]
    figures = []
    for i, source in enumerate(sources):
        fig = new_figure(
            f"{_TITLES.get(source, plain(source))}: {value}, * q < {SIGNIFICANT}",
            kind,
            "cluster",
            theme=theme,
            tools="tap,box_select",
            height=90 + 26 * len(rows),
            x_range=(-0.5, len(columns) - 0.5),
            y_range=(len(rows) - 0.5, -0.5),
        )
        fig.grid.visible = False
        cells = fig.rect(
            "x",
            "y",
            1,
            1,
            source=shared,
            fill_color={"field": f"shade_{i}", "transform": mapper},
            line_color=None,
            nonselection_fill_alpha=0.25,
        )
        fig.text(
            "x",
            "y",
            f"text_{i}",
            source=shared,
            text_color=f"ink_{i}",
            text_font_size="11px",
            text_align="center",
            text_baseline="middle",
        )
        fig.xaxis.ticker, fig.yaxis.ticker = FixedTicker(ticks=list(range(len(columns)))), FixedTicker(ticks=rows)
        fig.xaxis.major_label_overrides = {k: plain(c) for k, c in enumerate(columns)}
        fig.yaxis.major_label_overrides = {
            int(k): name for k, name in zip(first["cluster"], first["letter"], strict=True)
        }
        fig.xaxis.major_label_orientation = 0.0 if max(map(len, columns), default=0) <= 6 else 0.8
        tips = [("cluster", "@letter"), (kind, "@other")]
        tips += [(text, f"@{name}_{i}{{{form}}}") for text, name, form in said]
        fig.add_tools(HoverTool(tooltips=tips, renderers=[cells]))
        figures.append(fig)
    if value == "lift":
        colour_bar(figures[-1], mapper, "lift", theme=theme, ticks=FixedTicker(ticks=[-3, -2, -1, 0, 1, 2, 3]))
        bar = figures[-1].right[-1]
        bar.major_label_overrides = {-3: "1/8", -2: "1/4", -1: "1/2", 0: "1", 1: "2", 2: "4", 3: "8"}
    else:
        colour_bar(figures[-1], mapper, value, theme=theme)
    return beside(figures)
