"""Everything the page shows of one record for one choice of layers and clusters, as one Dataset."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import xarray as xr

from ecg_widget.activations import Activations
from ecg_widget.clusters.products import two_nearest
from ecg_widget.explanation import contributions
from ecg_widget.fits import Fit
from ecg_widget.networks import ECGNetwork
from ecg_widget.parts import Part
from ecg_widget.windows import Piece, Windows

DENSITY_WINDOWS = 512  # that a bar on the screen can show


def record_result(
    network: ECGNetwork | Activations,
    part: Part,
    fit: Fit,
    baseline: xr.DataArray | None,
    components: tuple[np.ndarray, list[float]],
) -> xr.Dataset:
    """Segments, map, outputs and contributions of a part of one record.

    Parameters
    ----------
    network
        Or activations, where there is no network: then there are no contributions.
    part
        Activations and embedding.
    fit
        Clusters.
    baseline
        ``(channel,)`` of the deepest layer, where integrated gradients begin; the part's own mean if None.
    components
        Of the part's cells, see `ecg_widget.parts.principal_components`.

    Returns
    -------
    xarray.Dataset
        See `ecg_widget.explorer.Explorer.result`. Outputs and contributions are means over the part's windows, without
        those that have no valid cell.
    """
    segments = fit.clusters.predict(part.embedding)
    variables, coords = part.in_time(segments)
    cells = segments["valid"].transpose("record", "cell").values.sum(1)
    known = bool(cells.any())
    weight = (cells > 0) / (cells > 0).sum() if known else np.full(len(cells), 1 / len(cells))
    raw = _mean(part.acts.output, weight)
    prediction = network.to_prediction(torch.from_numpy(raw.values.astype(np.float32))).numpy()
    share = segments["proportion"].transpose("record", "cluster").values
    proportion = np.nan_to_num(share).T @ (cells / cells.sum()) if known else share[0]
    variables["proportion"] = ("cluster", proportion.astype(np.float32), segments["proportion"].attrs)
    variables["cohort_proportion"] = ("cluster", cohort_proportion(fit), {"units": "1"})
    variables["slot"] = ("cluster", fit.slots)
    variables["map"] = (("cell", "component"), components[0])
    variables["logit"] = ("target", raw.values.astype(np.float32), {"units": "logit"})
    variables["prediction"] = ("target", prediction if known else np.full_like(prediction, np.nan), {"units": "1"})
    coords["target"] = ("target", raw["target"].values.astype(str))
    attrs: dict[str, Any] = {
        "record": part.record,
        "n_clusters": fit.clusters.n_clusters,
        "tau": float(fit.clusters.tau_),
        "network": network.name,
        "output": network.output_kind,
        "map_explained": components[1],
        "completeness_error": None,
        "contribution_method": "",
        "contribution_note": "",
    }
    if part.span is not None:
        attrs |= {"span": list(part.span), "windows": len(part.starts)}
    if isinstance(network, Activations) or not network.targets:
        attrs["contribution_note"] = "There is no network here whose outputs could be split among the clusters."
        return xr.Dataset(variables, coords, attrs)
    try:
        split = contributions(network, part.acts, segments, baseline=baseline)
    except ValueError as error:  # outputs that do not follow from the layer: everything else still holds
        attrs["contribution_note"] = str(error)
        return xr.Dataset(variables, coords, attrs)
    for name, values in {
        "contribution": _mean(split, weight),
        "contribution_masked": _mean(split["masked"], weight),
        "intercept": split["intercept"],
    }.items():
        variables[name] = (values.dims, values.values.astype(np.float32), {"units": "logit"})
    layer = split.attrs["layer"]
    attrs |= {
        "completeness_error": split.attrs["completeness_error"],
        "contribution_method": f"{split.attrs['method']}, exact"
        if split.attrs["approach"] == "exact"
        else f"{split.attrs['method']}; intercept: output at the {split.attrs['baseline']}",
        "contribution_note": f"Clusters come from {' + '.join(segments.attrs['layers'])}, the split is of {layer} "
        f"alone, whose cells see {float(part.acts[layer]['width'].values[0]):.2g} s of signal each.",
    }
    return xr.Dataset(variables, coords, attrs)


def cohort_proportion(fit: Fit) -> np.ndarray:
    """Share of each cluster in the cells of all records that it was found in, ``(cluster,)`` float32; sums to 1."""
    share = np.exp(fit.clusters.log_prior_)
    return np.asarray(share / share.sum(), np.float32)


def _mean(values: xr.DataArray, weight: np.ndarray) -> xr.DataArray:
    """Mean over windows, in their order of dims without ``record``."""
    return values.dot(xr.DataArray(weight, dims="record"))


def whole_result(network: ECGNetwork | Activations, record: str, fit: Fit, span: tuple[float, float]) -> xr.Dataset:
    """Result of so long a span that its cells could not be told apart: none of them, see `density`."""
    targets = np.array(network.targets, dtype=str)
    unknown = ("target", np.full(len(targets), np.nan, np.float32))
    cells = {name: ("cell", np.zeros(0, np.float32), {"units": "1"}) for name in ("entropy", "margin", "probability")}
    return xr.Dataset(
        {
            "cluster": ("cell", np.zeros(0, np.int16)),
            **cells,
            "valid": ("cell", np.zeros(0, bool)),
            "map": (("cell", "component"), np.zeros((0, 2), np.float32)),
            "proportion": ("cluster", np.full(fit.clusters.n_clusters, np.nan, np.float32), {"units": "1"}),
            "cohort_proportion": ("cluster", cohort_proportion(fit), {"units": "1"}),
            "slot": ("cluster", fit.slots),
            "logit": (*unknown, {"units": "logit"}),
            "prediction": (*unknown, {"units": "1"}),
        },
        {
            "centre": ("cell", np.zeros(0), {"units": "s"}),
            "width": ("cell", np.zeros(0, np.float32), {"units": "s"}),
            "target": targets,
        },
        {
            "record": record,
            "n_clusters": fit.clusters.n_clusters,
            "tau": float(fit.clusters.tau_),
            "network": network.name,
            "output": network.output_kind,
            "map_explained": [0.0, 0.0],
            "completeness_error": None,
            "contribution_method": "",
            "contribution_note": "Zoom in to see what each segment adds: here a segment is narrower than a pixel.",
            "span": list(span),
            "windows": 0,
        },
    )


def density(x: xr.DataArray, fit: Fit, pieces: Sequence[Piece], windows: Windows) -> xr.Dataset:
    """Share of each cluster in windows of a long recording.

    Parameters
    ----------
    x
        Embedding ``(record, cell, feature)``: of the pieces, or of one record whole.
    fit
        Clusters.
    pieces
        What the rows of `x` are.
    windows
        How the recording is cut.

    Returns
    -------
    xarray.Dataset
        ``density (window, cluster)`` uint8, 255 times the share of the valid cells, with ``density_centre (window)`` in
        s; zero in windows without valid cells. attrs ``density_windows``: how many of how many windows.
    """
    valid = x["valid"].transpose("record", "cell").values
    rows = torch.as_tensor(x.values[valid], device=fit.clusters.device)
    label = two_nearest(rows, torch.as_tensor(fit.clusters.cluster_centers_, device=rows.device))[0].cpu().numpy()
    if x.sizes["record"] > 1 or windows.count == 1:
        number = np.array([piece.window for piece in pieces])[np.nonzero(valid)[0]]
        drawn = np.array([piece.window for piece in pieces])
    else:  # activations that came without a network are of the record as a whole
        number = np.floor((x["centre"].values[valid[0]] - windows.start) / windows.seconds).astype(int)
        drawn = np.arange(0, windows.count, -(-windows.count // DENSITY_WINDOWS))
    k = fit.clusters.n_clusters
    counts = np.bincount(number * k + label, minlength=windows.count * k).reshape(-1, k)[drawn]
    share = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    return xr.Dataset(
        {"density": (("window", "cluster"), np.rint(255 * share).astype(np.uint8))},
        {"density_centre": ("window", windows.start + (drawn + 0.5) * windows.seconds, {"units": "s"})},
        {"density_windows": [len(drawn), windows.count]},
    )
