"""Where the clusters are unsure: by class, and against the network's errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from ecg_widget.figures.interactive.look import LINES, LONG, new_figure, plain, with_legend
from ecg_widget.figures.tables import entropy_table, risk_table

__all__ = ["entropy_by_class", "risk_coverage"]


def entropy_by_class(segmentation: xr.Dataset, label: xr.DataArray, *, theme: str = "light") -> Any:
    """Draw the mean entropy of every record by class, its quartiles, and the mean of all records.

    A record of several classes is in each; select it in one and it is selected in all. High in one class: the clusters
    do not fit its records; look at those on top.

    Parameters
    ----------
    segmentation
        As `ecg_widget.TimeClusters.predict` gives.
    label
        ``(record, target)``, 1 where a record belongs to a class.
    theme
        ``"light"`` or ``"dark"``.

    Returns
    -------
    bokeh.plotting.figure

    Raises
    ------
    ValueError
        Labels of other records, or no record in any class.

    Examples
    --------
    >>> import ecg_widget as ecg
    >>> ds = ecg.simulate(4, seed=0)
    >>> seg = ecg.TimeClusters(4, random_state=0).fit_predict(ecg.activations(ecg.load_network(), ds))
    >>> entropy_by_class(seg, ds["label"]).yaxis.axis_label
    'mean entropy of a record (0 to 1)'
    """
    from bokeh.models import BoxSelectTool, ColumnDataSource, FixedTicker, HoverTool  # noqa: PLC0415

    table = entropy_table(segmentation, label).dropna(subset="entropy").reset_index(drop=True)
    if table.empty:
        raise ValueError("label: expected a record in a class, got none; 1 stands for a class")
    targets = [t for t in label["target"].values.astype(str) if (table["target"] == t).any()]
    at = table["target"].map({t: i for i, t in enumerate(targets)}).to_numpy()
    spread = np.random.default_rng(0).uniform(-0.28, 0.28, len(table))  # so that points do not hide each other
    source = ColumnDataSource(
        {
            "x": at + spread,
            "entropy": table["entropy"],
            "interior": table["entropy_interior"],
            "name": [plain(r, LONG) for r in table["record"]],
            "target": [plain(t, LONG) for t in table["target"]],
        }
    )
    fig = new_figure(
        f"Entropy by class, {table['record'].nunique()} records",
        "class (records)",
        "mean entropy of a record (0 to 1)",
        theme=theme,
        tools="tap,pan,wheel_zoom",
        x_range=(-0.6, len(targets) - 0.4),
    )
    quartiles = [np.quantile(table["entropy"][at == i], [0.25, 0.5, 0.75]) for i in range(len(targets))]
    low, middle, high = np.array(quartiles).T
    places = np.arange(len(targets))
    fig.quad(left=places - 0.36, right=places + 0.36, bottom=low, top=high, color=LINES[0], alpha=0.2)
    fig.segment(
        places - 0.36, middle, places + 0.36, middle, color=LINES[0], line_width=2, legend_label="median, quartiles"
    )
    dots = fig.scatter("x", "entropy", source=source, size=6, color=LINES[1], alpha=0.7, nonselection_alpha=0.1)
    mean = float(table.drop_duplicates("record")["entropy"].mean())
    across = {"line_dash": "dashed", "color": "#888888", "legend_label": f"mean of all records, {mean:.3f}"}
    fig.line([-0.6, len(targets) - 0.4], [mean, mean], **across)
    fig.xaxis.ticker = FixedTicker(ticks=places.tolist())
    fig.xaxis.major_label_overrides = {i: f"{plain(t)} ({int((at == i).sum())})" for i, t in enumerate(targets)}
    tips = [("record", "@name"), ("class", "@target"), ("entropy", "@entropy{0.000}"), ("interior", "@interior{0.000}")]
    fig.add_tools(HoverTool(tooltips=tips, renderers=[dots]), BoxSelectTool(renderers=[dots]))
    return with_legend(fig, theme=theme, beside=False)


def risk_coverage(result: xr.Dataset, *, theme: str = "light") -> Any:
    """Draw the risk among the least uncertain records over their share, for each measure of uncertainty.

    A curve on the dashed line is worth no more than a random order.

    Parameters
    ----------
    result
        Of `ecg_widget.evaluation.uncertainty`.
    theme
        ``"light"`` or ``"dark"``.

    Returns
    -------
    bokeh.plotting.figure

    Examples
    --------
    >>> curve = {"selective_risk": (("measure", "coverage"), [[0.0, 0.1]]), "auroc": ("measure", [0.7]), "risk": 0.1}
    >>> risk_coverage(xr.Dataset(curve, {"measure": ["entropy"], "coverage": [0.5, 1.0]})).title.text
    'Risk over coverage'
    """
    from bokeh.models import ColumnDataSource, HoverTool  # noqa: PLC0415

    table = risk_table(result)
    fig = new_figure(
        "Risk over coverage",
        "coverage: share of records kept, least uncertain first",
        "risk: share of wrong labels",
        theme=theme,
        tools="pan,wheel_zoom",
        x_range=(0, 1.01),
    )
    for i, measure in enumerate(dict.fromkeys(table["measure"])):
        one = table[table["measure"] == measure]
        text = plain(str(measure).replace("_", ", "))
        line = fig.line(
            "coverage",
            "risk",
            source=ColumnDataSource(one[["coverage", "risk"]].assign(named=text)),
            color=LINES[i % len(LINES)],
            line_width=2,
            legend_label=f"{text} (AUROC {one['auroc'].iloc[0]:.2f})",
        )
        tips = [("measure", "@named"), ("coverage", "@coverage{0.0%}"), ("risk", "@risk{0.000}")]
        fig.add_tools(HoverTool(tooltips=tips, renderers=[line], mode="vline"))
    overall = float(result["risk"])
    across = {"line_dash": "dashed", "color": "#888888", "legend_label": f"random order, {overall:.3f}"}
    fig.line([0, 1], [overall, overall], **across)
    fig.y_range.start = 0
    return with_legend(fig, theme=theme)
