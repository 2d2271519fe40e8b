"""Everything the page shows of one record for one choice of layers and clusters, as one Dataset."""

from __future__ import annotations

import numpy as np
import torch
import xarray as xr

from ecg_widget.activations import Activations
from ecg_widget.explanation import contributions
from ecg_widget.fits import Fit
from ecg_widget.networks import ECGNetwork


def record_result(
    network: ECGNetwork | Activations, acts: Activations, x: xr.DataArray, fit: Fit, baseline: xr.DataArray
) -> xr.Dataset:
    """Segments, map, outputs and contributions of one record.

    Parameters
    ----------
    network
        Or activations, where there is no network: then there are no contributions.
    acts, x
        Activations and embedding of this record alone.
    fit
        Its clusters.
    baseline
        ``(channel,)`` of the deepest layer, where integrated gradients begin.

    Returns
    -------
    xarray.Dataset
        See `ecg_widget.explorer.Explorer.result`.
    """
    segments = fit.clusters.predict(x)
    out = segments.isel(record=0).drop_vars("record")
    components, explained = _principal_components(x.values[0], x["valid"].values[0])
    raw = acts.output.isel(record=0)
    prediction = network.to_prediction(torch.from_numpy(np.array(raw.values))).numpy()
    known = bool(x["valid"].any())
    out["slot"] = ("cluster", fit.slots)
    out["map"] = (("cell", "component"), components)
    out["logit"] = ("target", raw.values, {"units": "logit"})
    out["prediction"] = ("target", prediction if known else np.full_like(prediction, np.nan), {"units": "1"})
    out = out.assign_coords(target=("target", raw["target"].values.astype(str)))
    out.attrs = {
        "record": str(x["record"].values[0]),
        "n_clusters": fit.clusters.n_clusters,
        "tau": float(fit.clusters.tau_),
        "network": network.name,
        "output": network.output_kind,
        "map_explained": explained,
        "completeness_error": None,
        "contribution_method": "",
        "contribution_note": "",
    }
    if isinstance(network, Activations) or not network.targets:
        out.attrs["contribution_note"] = "There is no network here whose outputs could be split among the clusters."
        return out
    try:
        split = contributions(network, acts, segments, baseline=baseline)
    except ValueError as error:  # outputs that do not follow from the layer: everything else still holds
        out.attrs["contribution_note"] = str(error)
        return out
    for name, values in {
        "contribution": split.isel(record=0),
        "contribution_masked": split["masked"].isel(record=0),
        "intercept": split["intercept"],
    }.items():
        out[name] = (values.dims, values.values, {"units": "logit"})
    layer = split.attrs["layer"]
    out.attrs |= {
        "completeness_error": split.attrs["completeness_error"],
        "contribution_method": f"{split.attrs['method']}, exact"
        if split.attrs["approach"] == "exact"
        else f"{split.attrs['method']}; intercept: output at the {split.attrs['baseline']}",
        "contribution_note": f"Clusters come from {' + '.join(segments.attrs['layers'])}, the split is of {layer} "
        f"alone, whose cells see {float(acts[layer]['width'].values[0]):.2g} s of signal each.",
    }
    return out


def _principal_components(x: np.ndarray, valid: np.ndarray) -> tuple[np.ndarray, list[float]]:
    """First two principal components ``(cell, component)`` of a record's valid cells and the variance they explain."""
    out = np.full((len(x), 2), np.nan, np.float32)
    rows = x[valid] - x[valid].mean(0) if valid.any() else x[valid]
    if len(rows) < 2:
        return out, [0.0, 0.0]
    u, s, v = np.linalg.svd(rows, full_matrices=False)
    signs = np.sign(v[:2, :][np.arange(min(2, len(v))), np.abs(v[:2]).argmax(1)])  # a sign of its own would be a draw
    count = min(2, len(s))
    out[np.flatnonzero(valid)[:, None], np.arange(count)] = u[:, :count] * s[:count] * signs[:count]
    total = float((s**2).sum()) or 1.0
    return out, [float(e) for e in (s[:2] ** 2 / total)] + [0.0] * (2 - count)
