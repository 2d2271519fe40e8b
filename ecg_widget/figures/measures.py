"""One figure for each measure of `ecg_widget.evaluation`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "plot_audit",
    "plot_faithfulness",
    "plot_fidelity",
    "plot_sanity",
    "plot_stability",
    "plot_uncertainty",
]

# Okabe and Ito's palette, told apart with any colour vision; grey is chance.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_CHANCE: Any = {"color": "0.5", "linestyle": "--", "linewidth": 1}


def axes_or_new(ax: Axes | None) -> Axes:
    """The axes given, or those of a new figure."""
    if ax is not None:
        return ax
    try:
        from matplotlib.figure import Figure  # noqa: PLC0415  (not pyplot: figures of its own register nowhere)
    except ImportError as error:
        raise ImportError(
            'figures are Matplotlib\'s, which is not installed: pip install "ecg-widget[evaluation]"'
        ) from error
    return Figure(figsize=(6, 4), layout="constrained").add_subplot()


def plot_faithfulness(result: xr.Dataset, *, ax: Axes | None = None) -> Axes:
    """Mean fall of the output as runs are deleted, most and least important first, and at random.

    Parameters
    ----------
    result
        What `ecg_widget.evaluation.faithfulness` returned.
    ax
        Where to draw; a new figure if None.

    Returns
    -------
    matplotlib.axes.Axes

    Examples
    --------
    >>> shape = (1, 2, 3)
    >>> curves = {name: (("explanation", "record", "step"), np.ones(shape)) for name in ("morf", "lerf", "random")}
    >>> coords = {"explanation": ["contribution"], "share": ("step", [0.1, 0.2, 0.3])}
    >>> plot_faithfulness(xr.Dataset(curves, coords, {"n_records": 2})).get_xlabel()
    'share of cells deleted'
    """
    ax = axes_or_new(ax)
    share = np.concatenate([[0], result["share"].values])
    n = result.sizes["explanation"]
    for i, (explanation, colour) in enumerate(zip(result["explanation"].values, _COLOURS, strict=False)):
        one = result.sel(explanation=explanation)
        width = 1.5 * (n - i)  # orders may coincide: those beneath show at the sides
        for name, style in (("morf", "-"), ("lerf", ":")):
            values = one[name].mean("record").values
            label = f"{explanation}, {'most' if name == 'morf' else 'least'} important first"
            ax.plot(share, np.concatenate([[0], values]), style, color=colour, label=label, linewidth=width)
    chance = result["random"].isel(explanation=0)
    mean = np.concatenate([[0], chance.mean("record").values])
    error = np.concatenate([[0], (chance.std("record") / np.sqrt(chance.sizes["record"])).values])
    ax.plot(share, mean, **_CHANCE, label="random runs of equal lengths")
    ax.fill_between(share, mean - 2 * error, mean + 2 * error, color="0.5", alpha=0.2, linewidth=0)
    ax.set(xlabel="share of cells deleted", ylabel="fall of the output (logit)")
    ax.set_title(f"Faithfulness, {result.attrs['n_records']} records")
    ax.legend(fontsize="small", frameon=False)
    return ax


def plot_stability(result: xr.Dataset, *, ax: Axes | None = None) -> Axes:
    """Adjusted Rand index over the number of clusters: seeds, bootstrap, shift and noise.

    Parameters
    ----------
    result
        What `ecg_widget.evaluation.stability` returned.
    ax
        Where to draw; a new figure if None.

    Returns
    -------
    matplotlib.axes.Axes

    Examples
    --------
    >>> ari = {"ari_seed": (("n_clusters", "pair"), np.ones((2, 3)))}
    >>> plot_stability(xr.Dataset(ari, {"n_clusters": [4, 8]})).lines[0].get_ydata()
    array([1., 1.])
    """
    ax = axes_or_new(ax)
    numbers = result["n_clusters"].values
    bands = [
        (text, result[name].transpose("n_clusters", ...).values)
        for name, text in (("ari_seed", "other seed"), ("ari_bootstrap", "other records"), ("ari_shift", "shifted"))
        if name in result
    ]
    if "ari_noise" in result:
        noise = result["ari_noise"]
        bands += [(f"noise, {snr:g} dB", noise.sel(snr=[snr]).values) for snr in noise["snr"].values]
    for i, (text, values) in enumerate(bands):
        known = np.isfinite(values).all(1) if values.shape[1] else np.zeros(len(values), bool)
        if not known.any():
            continue
        low, middle, high = np.quantile(values[known], [0.1, 0.5, 0.9], axis=1)
        colour, at = _COLOURS[i % len(_COLOURS)], numbers[known] + 0.12 * i  # side by side
        ax.plot(at, middle, "o-", color=colour, label=text, markersize=4)
        if values.shape[1] > 1:
            ax.errorbar(at, middle, [middle - low, high - middle], fmt="none", color=colour, alpha=0.5)
    ax.axhline(0.8, **_CHANCE)
    ax.set(xlabel="clusters", ylabel="adjusted Rand index", ylim=(0, 1.02), xticks=numbers)
    ax.set_title("Stability: median, 10th to 90th percentile")
    ax.legend(fontsize="small", frameon=False, loc="lower left")
    return ax


def plot_sanity(result: xr.Dataset, *, ax: Axes | None = None) -> Axes:
    """How clusters, contributions and outputs leave those of the trained network as its weights are thrown away.

    Parameters
    ----------
    result
        What `ecg_widget.evaluation.sanity` returned.
    ax
        Where to draw; a new figure if None.

    Returns
    -------
    matplotlib.axes.Axes

    Examples
    --------
    >>> values = {n: (("stage", "seed"), [[1.0], [0.2]]) for n in ("ari", "contribution_rank", "output_rank")}
    >>> values["refit"] = ("seed", [0.9])
    >>> plot_sanity(xr.Dataset(values, {"stage": ["trained", "head"]})).get_ylabel()
    'agreement with the trained network'
    """
    ax = axes_or_new(ax)
    stages = [str(s) for s in result["stage"].values]
    at = np.arange(len(stages))
    lines = (
        ("ari", "clusters (adjusted Rand index)"),
        ("contribution_rank", "contributions (rank correlation)"),
        ("output_rank", "outputs (rank correlation)"),
        ("ami", "alignment with waves (AMI)"),
    )
    lowest = 0.0
    for (name, text), colour in zip(lines, _COLOURS, strict=False):
        if name not in result or not np.isfinite(result[name]).all():
            continue
        lowest = min(lowest, float(result[name].min()))
        values = result[name].transpose("stage", "seed").values
        ax.plot(at, values.mean(1), "o-", color=colour, label=text, markersize=4)
        ax.fill_between(at, values.min(1), values.max(1), color=colour, alpha=0.15, linewidth=0)
    ax.axhline(float(result["refit"].mean()), **_CHANCE, label="clusters of another seed")
    if "ami_signal" in result:
        signal = float(result["ami_signal"].mean())
        ax.axhline(signal, **_CHANCE | {"linestyle": ":"}, label="alignment of the raw signal")
    ax.axhline(0, color="0.8", linewidth=1, zorder=0)
    ax.set_xticks(at, stages, rotation=30, ha="right")
    ax.set(xlabel="randomised from the output up to", ylabel="agreement with the trained network")
    ax.set_ylim(lowest - 0.05, 1.4)  # above 1 the legend
    ax.set_title("Sanity: cascading weight randomisation")
    ax.legend(fontsize="small", frameon=False, loc="upper center", ncols=2)
    return ax


def plot_uncertainty(result: xr.Dataset, *, ax: Axes | None = None) -> Axes:
    """Risk among the least uncertain records over their share.

    Parameters
    ----------
    result
        What `ecg_widget.evaluation.uncertainty` returned.
    ax
        Where to draw; a new figure if None.

    Returns
    -------
    matplotlib.axes.Axes

    Examples
    --------
    >>> curve = {"selective_risk": (("measure", "coverage"), [[0.0, 0.1]]), "auroc": ("measure", [0.7]), "risk": 0.1}
    >>> plot_uncertainty(xr.Dataset(curve, {"measure": ["entropy"], "coverage": [0.5, 1.0]})).get_xlabel()
    'coverage: share of records kept, least uncertain first'
    """
    ax = axes_or_new(ax)
    for measure, colour in zip(result["measure"].values, _COLOURS, strict=False):
        one = result.sel(measure=measure)
        ax.plot(
            result["coverage"],
            one["selective_risk"],
            color=colour,
            label=f"{str(measure).replace('_', ', ')} (AUROC {float(one['auroc']):.2f})",
        )
    ax.axhline(float(result["risk"]), **_CHANCE, label="random order")
    ax.set(xlabel="coverage: share of records kept, least uncertain first", ylabel="risk: share of wrong labels")
    ax.set_ylim(bottom=0)
    ax.set_title("Uncertainty against errors")
    ax.legend(fontsize="small", frameon=False)
    return ax


def plot_audit(result: xr.Dataset, *, n_records: int = 20, ax: Axes | None = None) -> Axes:
    """The records to look at first: what label, network and surrogate say of the suspect target.

    Parameters
    ----------
    result
        What `ecg_widget.evaluation.audit` returned.
    n_records
        How many.
    ax
        Where to draw; a new figure if None.

    Returns
    -------
    matplotlib.axes.Axes

    Examples
    --------
    >>> both = ("record", "target")
    >>> table = {n: (both, [[0.1]]) for n in ("prediction", "surrogate")}
    >>> table |= {"label": (both, [[True]]), "suspect": ("record", ["MI"])}
    >>> axes = plot_audit(xr.Dataset(table, {"record": ["a"], "target": ["MI"]}))
    >>> [t.get_text() for t in axes.get_yticklabels()]
    ['a, MI']
    """
    ax = axes_or_new(ax)
    some = result.isel(record=slice(n_records))
    targets = some["target"].values.astype(str).tolist()
    column = [targets.index(str(s)) for s in some["suspect"].values]
    at = np.arange(some.sizes["record"])
    marks = (("label", "k", "s"), ("prediction", _COLOURS[0], "o"), ("surrogate", _COLOURS[1], "^"))
    points = {n: some[n].transpose("record", "target").values[at, column].astype(float) for n, _, _ in marks}
    for y, values in enumerate(zip(*points.values(), strict=True)):
        ax.plot([min(values), max(values)], [y, y], color="0.8", zorder=1)
    for name, colour, marker in marks:
        ax.scatter(points[name], at, color=colour, marker=marker, label=name, zorder=2)
    ax.set_yticks(at, [f"{r}, {s}" for r, s in zip(some["record"].values, some["suspect"].values, strict=True)])
    ax.invert_yaxis()
    ax.set(xlabel="probability of the suspect target", xlim=(-0.03, 1.03))
    ax.set_title("Label audit: look at these first")
    ax.legend(fontsize="small", frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=3)
    return ax


def plot_fidelity(result: xr.Dataset, *, score: str = "kappa", ax: Axes | None = None) -> Axes:
    """How well each surrogate retells the network on held-out folds.

    Parameters
    ----------
    result
        What `ecg_widget.evaluation.fidelity` returned.
    score
        Which of its scores, mean and standard deviation over folds.
    ax
        Where to draw; a new figure if None.

    Returns
    -------
    matplotlib.axes.Axes

    Examples
    --------
    >>> scores = {"kappa_mean": ("surrogate", [1.0, 0.8, 0.0]), "kappa_sd": ("surrogate", [0.0, 0.1, 0.0])}
    >>> axes = plot_fidelity(xr.Dataset(scores, {"surrogate": ["network", "clusters", "majority"]}))
    >>> [t.get_text() for t in axes.get_yticklabels()]
    ['clusters', 'majority']
    """
    ax = axes_or_new(ax)
    shown = result.sel(surrogate=[s for s in result["surrogate"].values if str(s) != "network"])
    names = shown["surrogate"].values.astype(str)
    colours = [_COLOURS[0] if n.startswith("clusters") else "0.65" for n in names]
    ax.barh(np.arange(len(names)), shown[f"{score}_mean"], xerr=shown[f"{score}_sd"], color=colours)
    ax.set_yticks(np.arange(len(names)), names)
    ax.invert_yaxis()
    ax.set(xlabel=f"{score.replace('_', ' ')} with the network, mean and standard deviation over folds")
    ax.set_title("Surrogate fidelity")
    return ax
