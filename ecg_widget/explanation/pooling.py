"""Attributions of the input, of whatever method, summed over clusters."""

from __future__ import annotations

import numpy as np
import xarray as xr

from ecg_widget.explanation.perturbation import cell_of_sample


def pool_attribution(attribution: xr.DataArray, segmentation: xr.Dataset) -> xr.DataArray:
    """Sum an attribution of the input over the leads and over the samples of each cluster.

    A sample belongs to the cell whose centre is nearest, as where clusters are drawn. Sums keep what the attribution
    adds up to: if it is complete for a prediction, so are its sums over clusters.

    What it means: which clusters the attribution fell on. What it does not mean: more than the attribution itself
    means; a saliency map without completeness has none after pooling. A bad value: most of the sum in ``masked``, which
    is attribution of padding or gaps.

    Parameters
    ----------
    attribution
        ``(record, lead, time)`` or ``(record, time)``, further dims such as ``target`` are kept; coordinate ``time`` in
        s on the axis of the recording; finite.
    segmentation
        As `TimeClusters.predict` returns, of the same records.

    Returns
    -------
    xarray.DataArray
        ``(record, cluster, ...)`` float64; the coordinate ``masked (record, ...)`` is what fell on masked cells. attrs
        of the attribution and ``completeness_error``, the largest absolute difference between the sum over clusters and
        masked cells and the sum over the attribution, relative to the largest absolute sum, or to 1 if that is larger.

    Raises
    ------
    ValueError
        Dims or coordinates that are missing, values that are not finite, records that differ.

    Examples
    --------
    >>> seg = xr.Dataset(
    ...     {"cluster": (("record", "cell"), [[0, 1]]), "proportion": (("record", "cluster"), [[0.5, 0.5]])},
    ...     {"record": ["a"], "centre": ("cell", [0.5, 1.5])},
    ... )
    >>> ig = xr.DataArray([[1.0, 2.0, 4.0]], {"record": ["a"], "time": [0.0, 0.8, 1.6]}, ("record", "time"))
    >>> pool_attribution(ig, seg).values
    array([[3., 4.]])
    """
    if missing := {"record", "time"} - set(attribution.dims):
        raise ValueError(
            f"attribution: expected dims (record, lead, time) or (record, time), got {attribution.dims}; "
            f"missing: {sorted(missing)}"
        )
    if "time" not in attribution.coords:
        raise ValueError("attribution: expected a coordinate time in s, got none; assign_coords(time=ds['time'])")
    if "record" not in attribution.coords or not np.array_equal(
        attribution["record"].values, segmentation["record"].values
    ):
        raise ValueError(
            "expected an attribution and a segmentation of the same records, got "
            f"{attribution.sizes['record']} and {segmentation.sizes['record']} that differ or have no names"
        )
    summed = attribution.astype(np.float64)
    if "lead" in summed.dims:
        summed = summed.sum("lead", skipna=False)
    summed = summed.transpose("record", "time", ...)
    values = summed.values
    if not np.isfinite(values).all():
        raise ValueError("attribution: expected finite values, got NaN or infinity; put 0 where nothing is attributed")
    cluster = segmentation["cluster"].transpose("record", "cell").values
    owner = cluster[:, cell_of_sample(attribution["time"].values, segmentation["centre"].values)]
    n_clusters = segmentation.sizes["cluster"]
    member = np.where(owner < 0, n_clusters, owner)[:, :, None] == np.arange(n_clusters + 1)
    pooled = np.einsum("ntk,nt...->nk...", member, values)
    whole = values.sum(1)
    error = np.abs(pooled.sum(1) - whole).max(initial=0) / max(1.0, float(np.abs(whole).max(initial=0)))
    rest = summed.dims[2:]
    return xr.DataArray(
        pooled[:, :n_clusters],
        dims=("record", "cluster", *rest),
        coords={
            "record": segmentation["record"].variable,
            **{n: c.variable for n, c in summed.coords.items() if c.dims and set(c.dims) <= set(rest)},
            "masked": (("record", *rest), pooled[:, n_clusters]),
        },
        attrs={**attribution.attrs, "completeness_error": float(error)},
        name=attribution.name or "attribution",
    )
