"""The embedding as a map, and the same cells in time: what is selected in one is selected in the other."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from ecg_widget.captured import count
from ecg_widget.figures.interactive.look import LONG, UNCERTAIN, beside, new_figure, plain, with_legend
from ecg_widget.figures.tables import cell_table, slots_of
from ecg_widget.palette import cluster_colours

__all__ = ["embedding_map"]

_MOST_CELLS = 50_000  # more take seconds to open
_WEBGL_CELLS = 5_000
_HOVER = [
    ("cluster", "@letter"),
    ("record", "@name"),
    ("time", "@time_s{0.00} s"),
    ("entropy", "@entropy{0.00}"),
    ("margin", "@margin{0.00}"),
]


def embedding_map(
    segmentation: xr.Dataset,
    embedding: xr.DataArray,
    ds: xr.Dataset | None = None,
    *,
    record: str | None = None,
    lead: str = "II",
    threshold: float = 1.0,
    max_cells: int = 20_000,
    random_state: int = 0,
    theme: str = "light",
) -> Any:
    """Draw cells on the two principal components of the embedding, and those of one record in time beside it.

    Select with the lasso, the box or a tap in either: the same cells stand out in the other. A click in the legend
    hides a cluster.

    Parameters
    ----------
    segmentation
        As `ecg_widget.TimeClusters.predict` gives; its ``slot (cluster)`` decides the colours where it is there.
    embedding
        ``(record, cell, feature)`` of the same records, see `ecg_widget.embed`.
    ds
        The recordings: then one lead is drawn over the segments.
    record
        Whose segments are shown in time; the first if None. All its cells are on the map.
    lead
        Of `ds`.
    threshold
        Entropy above which a cell is uncertain, 0 to 1: a grey cross, grey and hatched in time. 1 for none.
    max_cells
        Of all records together; above, evenly drawn ones, and the title says so. At most 50 000.
    random_state
        Seed of the draw.
    theme
        ``"light"`` or ``"dark"``.

    Returns
    -------
    bokeh.models.Row

    Raises
    ------
    ValueError
        An embedding, a record or a lead that does not belong to the segmentation; a number out of range.

    Examples
    --------
    >>> import ecg_widget as ecg
    >>> ds = ecg.simulate(2)
    >>> x = ecg.embed(ecg.activations(ecg.load_network(), ds))
    >>> layout = embedding_map(ecg.TimeClusters(4, random_state=0).fit_predict(x), x, ds)
    >>> len(layout.children)
    2
    """
    from bokeh.models import ColumnDataSource  # noqa: PLC0415  (only who draws needs it)

    if not 0 <= threshold <= 1:
        raise ValueError(f"threshold: expected a number from 0 to 1, got {threshold!r}")
    if not 1 <= max_cells <= _MOST_CELLS:
        raise ValueError(f"max_cells: expected 1 to {_MOST_CELLS}, got {max_cells!r}")
    names = segmentation["record"].values.astype(str)
    shown = str(names[0]) if record is None else record
    if shown not in names:
        raise ValueError(f"record: expected one of {[plain(n) for n in names[:5]]}, got {record!r}")
    table = cell_table(segmentation, embedding)
    explained = table.attrs["explained"]
    if (n := int((table["record"] == shown).sum())) > max_cells:
        raise ValueError(f"max_cells: expected at least the {n} cells of record {plain(shown)!r}, got {max_cells}")
    some = _drawn(table, shown, max_cells, random_state)
    half = float(np.median(np.diff(segmentation["centre"].values))) / 2 if segmentation.sizes["cell"] > 1 else 0.05
    slots = slots_of(segmentation)
    colours = cluster_colours(slots)
    some = some.assign(
        name=[plain(n, LONG) for n in some["record"]],
        colour=[
            colours[c] if e <= threshold else UNCERTAIN for c, e in zip(some["cluster"], some["entropy"], strict=True)
        ],
        marker=np.where(some["entropy"] > threshold, "x", "circle"),
        hatch=np.where(some["entropy"] > threshold, "right_diagonal_line", "blank"),
        left=some["time_s"] - half,
        right=some["time_s"] + half,
    )
    source = ColumnDataSource(some.drop(columns=["record"]).reset_index(drop=True))
    here = (some["record"] == shown).to_numpy()
    return beside(
        [
            _map(
                source,
                dict(zip(some["letter"], np.array(colours)[some["cluster"]], strict=True)),
                explained,
                len(table),
                theme,
            ),
            _strip(source, here, shown, _trace(ds, shown, lead), theme),
        ]
    )


def _map(source: Any, colours: dict[str, str], explained: list[float], total: int, theme: str) -> Any:
    """Draw the map; `colours` of the letters, in which the legend has them, be a cluster's first cell uncertain."""
    from bokeh.models import CDSView, GroupFilter, HoverTool, LassoSelectTool  # noqa: PLC0415

    drawn = len(source.data["letter"])
    title = count(drawn, "cell") if drawn == total else f"{drawn} of {count(total, 'cell')}, evenly drawn"
    fig = new_figure(
        title,
        f"component 1 ({explained[0]:.0%} of the variance)",
        f"component 2 ({explained[1]:.0%})",
        theme=theme,
        tools="pan,wheel_zoom,box_select,tap",
        height=420,
        output_backend="webgl" if drawn > _WEBGL_CELLS else "canvas",
    )
    dots = []
    for name, colour in sorted(colours.items()):
        fig.scatter([np.nan], [np.nan], color=colour, size=8, legend_label=name)
        dot = fig.scatter(
            "component_1",
            "component_2",
            source=source,
            view=CDSView(filter=GroupFilter(column_name="letter", group=name)),
            marker="marker",
            color="colour",
            size=6,
            alpha=0.7,
            nonselection_alpha=0.08,
            legend_label=name,
        )
        dots.append(dot)
    lasso = LassoSelectTool(continuous=False)
    fig.add_tools(lasso, HoverTool(tooltips=_HOVER, renderers=dots))
    fig.toolbar.active_drag = lasso
    return with_legend(fig, theme=theme, title="cluster")


def _strip(source: Any, here: np.ndarray, record: str, trace: tuple[Any, Any, str] | None, theme: str) -> Any:
    from bokeh.models import BooleanFilter, BoxSelectTool, CDSView, HoverTool  # noqa: PLC0415

    low, high, label = 0.0, 1.0, ""
    if trace is not None:
        low, high = float(np.nanmin(trace[1], initial=0)), float(np.nanmax(trace[1], initial=0))
        low, high = low - 0.1 * (high - low or 1), high + 0.1 * (high - low or 1)
        label = f"lead {trace[2]} (mV)"
    fig = new_figure(
        f"record {plain(record)}",
        "time (s)",
        label,
        theme=theme,
        tools="xpan,xwheel_zoom,tap",
        height=420,
        y_range=(low, high),
    )
    fig.grid.visible = False
    bands = fig.quad(
        left="left",
        right="right",
        bottom=low,
        top=high,
        source=source,
        view=CDSView(filter=BooleanFilter(here.tolist())),
        fill_color="colour",
        line_color=None,
        fill_alpha=0.5,
        hatch_pattern="hatch",
        hatch_color=fig.title.text_color,
        hatch_alpha=0.5,
        hatch_scale=6,
        nonselection_fill_alpha=0.08,
        selection_fill_alpha=0.8,
    )
    if trace is None:
        fig.yaxis.visible = False
    else:
        fig.line(*trace[:2], color=fig.title.text_color, line_width=1.2)
    select = BoxSelectTool(dimensions="width", renderers=[bands])
    fig.add_tools(select, HoverTool(tooltips=_HOVER, renderers=[bands]))
    fig.toolbar.active_drag = select
    return fig


def _drawn(table: pd.DataFrame, record: str, most: int, random_state: int) -> pd.DataFrame:
    """All cells of the record that is shown, and evenly drawn ones of the others, in their order."""
    if len(table) <= most:
        return table
    first = np.flatnonzero((table["record"] == record).to_numpy())
    rest = np.flatnonzero((table["record"] != record).to_numpy())
    rng = np.random.default_rng(random_state)
    drawn = rng.choice(rest, min(len(rest), max(0, most - len(first))), replace=False)
    return table.iloc[np.sort(np.concatenate([first, drawn]))]


def _trace(ds: xr.Dataset | None, record: str, lead: str) -> tuple[Any, Any, str] | None:
    if ds is None:
        return None
    rows = np.flatnonzero(ds["record"].values.astype(str) == record)
    if not len(rows):
        raise ValueError(f"ds: expected the record {record!r} of the segmentation, got others")
    leads = ds["lead"].values.astype(str).tolist()
    if lead not in leads:
        raise ValueError(f"lead: expected one of {leads}, got {lead!r}")
    values = ds["signal"].isel(record=int(rows[0])).sel(lead=lead).values
    return ds["time"].values, values, lead
