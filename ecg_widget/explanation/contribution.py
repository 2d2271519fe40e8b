"""What each cluster, and each cell, adds to a prediction."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import torch
import xarray as xr
from torch import nn

from ecg_widget.activations import Activations
from ecg_widget.clusters.embedding import channel_statistics
from ecg_widget.explanation.approximations import integrated_gradients, shapley_values
from ecg_widget.explanation.heads import Evidence, Head, affine_evidence, head_tolerance, linear_evidence
from ecg_widget.lengths import own_cells
from ecg_widget.networks import ECGNetwork, inference

Method = Literal["auto", "exact", "ig", "shapley"]
_METHODS = ("auto", "exact", "ig", "shapley")


def contributions(
    net: nn.Module,
    activations: Activations,
    segmentation: xr.Dataset,
    method: Method = "auto",
    *,
    baseline: xr.DataArray | np.ndarray | None = None,
    n_steps: int = 64,
    device: torch.device | str | None = None,
) -> xr.DataArray:
    """Split every output of the network among the clusters: exactly where its head allows that.

    With ``s_tk`` the share of the deepest layer's cell t that lies in cluster k (sum over k is 1), the exact forms are

    - mean over time + Linear: ``C_kc = 1/T sum_t s_tk w_c . a_t`` (class activation maps, Zhou et al. 2016);
    - Flatten + Linear: ``C_kc = sum_t s_tk sum_ch W_c[ch, t] a_t[ch]`` (HiResCAM, Draelos and Carin 2020);
    - average and maximum over time + Linear: the maximum of each channel belongs to the first cell that reaches it;
    - any other head that is affine in the cells, by its gradient.

    The head is recognised by its result, not by its name: what is taken for the head must restore the network's own
    outputs from the deepest captured activations. For other heads there are two splits of the difference to a baseline
    activation: integrated gradients (Sundararajan et al. 2017), and Shapley values of the clusters, for which the head
    runs once for every set of clusters.

    What it means: how much of the logit rests on cells of a cluster. What it does not mean: that the network looks at
    nothing but the wave drawn under that cluster, because a deep cell sees more of the signal than it stands for (the
    coordinate ``width``); nor that the logit would change by so much without it, which `ablate_clusters` measures. The
    clusters may rest on several layers while the outputs are split over the deepest one only. A bad value: a
    ``completeness_error`` above 1e-4 for an exact form or 1e-2 for integrated gradients; then the split does not add up
    to the prediction that it claims to explain (more `n_steps` help).

    Parameters
    ----------
    net
        The network of `activations`.
    activations
        What `ecg_widget.activations` returned, the last layer with a time axis among them.
    segmentation
        What `TimeClusters.predict` returned for the same records.
    method
        ``"exact"``; ``"ig"``, integrated gradients; ``"shapley"``, exact Shapley values, for records with at most ten
        clusters; ``"auto"``: exact where the head allows it, else integrated gradients.
    baseline
        ``(channel,)``, for ``"ig"`` and ``"shapley"``: the activation that stands for no evidence. None: the mean over
        the valid cells of `activations`; state the mean of the records that were fitted if you explain others.
    n_steps
        For ``"ig"``: points on the way from the baseline.
    device
        Where to run the head; where the network is if None.

    Returns
    -------
    xarray.DataArray
        ``(record, cluster, target)`` float32 in units of the raw output (logits). Coords: ``masked (record, target)``,
        what cells in padding and gaps add; ``intercept (target)``, the bias or the output at the baseline;
        ``output (record, target)``, the raw output. attrs: ``method`` in words; ``approach``, one of ``"exact"``,
        ``"ig"``, ``"shapley"``; ``baseline`` in words; ``layer``; and ``completeness_error``, the largest absolute
        difference between ``sum_k + masked + intercept`` and ``output``, relative to the largest absolute output or to
        1 if that is larger where exact, relative to the largest absolute difference between output and intercept
        otherwise.

    Raises
    ------
    ValueError
        Records that differ; ``"exact"`` for a head of another form; outputs that do not follow from the layer alone;
        a baseline of another length; more than ten clusters in a record for ``"shapley"``.

    Examples
    --------
    >>> import ecg_widget as ecg
    >>> net, ds = ecg.load_network(), ecg.simulate(2)
    >>> acts = ecg.activations(net, ds)
    >>> seg = ecg.TimeClusters(4, random_state=0).fit(acts).predict(acts)
    >>> con = contributions(net, acts, seg)
    >>> con.dims, con.attrs["method"], con.attrs["completeness_error"] < 1e-5
    (('record', 'cluster', 'target'), 'mean over time + Linear', True)
    >>> contributions(net, acts, seg, "shapley").attrs["baseline"]
    'mean activation of the valid cells of 2 records'
    """
    if method not in _METHODS:
        raise ValueError(f"method: expected one of {_METHODS}, got {method!r}")
    layer = _deepest(activations, segmentation)
    output = activations.output
    if "n_cells" in layer.coords and bool((layer["n_cells"] < layer.sizes["cell"]).any()):
        options = {"method": method, "n_steps": n_steps, "device": device}
        return _of_lengths(net, layer, segmentation, output, _stated(layer, baseline), **options)
    shares = cell_shares(layer["centre"].values, segmentation["centre"].values)
    cluster = segmentation["cluster"].transpose("record", "cell").values
    # Masked cells are one more player, the last.
    member = np.where(cluster < 0, segmentation.sizes["cluster"], cluster)[:, :, None] == np.arange(
        segmentation.sizes["cluster"] + 1
    )
    if method == "shapley":
        with inference(net, device) as place, torch.inference_mode(mode=False), torch.enable_grad():
            values, start, said = _values(layer), *_baseline(layer, baseline)
            split, intercept = shapley_values(
                Head(net, layer, output, place), values, start, np.einsum("ti,nik->ntk", shares, member)
            )
        about = {"method": "exact Shapley values of the clusters", "approach": "shapley", "baseline": said}
    else:
        evidence, about = _evidence(
            net, layer, output, method=method, baseline=baseline, n_steps=n_steps, device=device
        )
        split = np.einsum("nik,nic->nkc", member, np.einsum("ti,ntc->nic", shares, evidence.cells))
        intercept = evidence.intercept
    return xr.DataArray(
        split[:, :-1].astype(np.float32),
        dims=("record", "cluster", "target"),
        coords={
            "record": layer["record"].variable,
            "target": output["target"].variable,
            "masked": (("record", "target"), split[:, -1].astype(np.float32)),
            "intercept": ("target", intercept.astype(np.float32)),
            "output": (("record", "target"), output.values),
        },
        attrs={**about, **_completeness(split.sum(1), intercept, output, about), "layer": layer.attrs["layer"]},
        name="contribution",
    )


def cell_contributions(
    net: nn.Module,
    activations: Activations,
    segmentation: xr.Dataset,
    method: Literal["auto", "exact", "ig"] = "auto",
    *,
    baseline: xr.DataArray | np.ndarray | None = None,
    n_steps: int = 64,
    device: torch.device | str | None = None,
) -> xr.DataArray:
    """What each cell of the cluster grid adds to every output; `contributions` are its sums over clusters.

    A deep cell's evidence is spread evenly over the time that it stands for, so neighbours that share a deep cell have
    equal values: a finer grid does not make the split finer.

    Parameters
    ----------
    net, activations, segmentation, method, baseline, n_steps, device
        As for `contributions`; Shapley values are of clusters, not of cells.

    Returns
    -------
    xarray.DataArray
        ``(record, cell, target)`` float32 in units of the raw output, with the coords of the grid; cells in padding and
        gaps included. Coords and attrs else as those of `contributions`.

    Raises
    ------
    ValueError
        As `contributions`.

    Examples
    --------
    >>> import ecg_widget as ecg
    >>> net, ds = ecg.load_network(), ecg.simulate(2)
    >>> acts = ecg.activations(net, ds)
    >>> seg = ecg.TimeClusters(4, random_state=0).fit(acts).predict(acts)
    >>> cells = cell_contributions(net, acts, seg)
    >>> bool(np.allclose(cells.sum("cell") + cells["intercept"], cells["output"], atol=1e-4))
    True
    """
    layer = _deepest(activations, segmentation)
    if method not in ("auto", "exact", "ig"):
        raise ValueError(f"method: expected 'auto', 'exact' or 'ig' for single cells, got {method!r}")
    output = activations.output
    evidence, about = _evidence(net, layer, output, method=method, baseline=baseline, n_steps=n_steps, device=device)
    shares = cell_shares(layer["centre"].values, segmentation["centre"].values)
    cells = np.einsum("ti,ntc->nic", shares, evidence.cells)
    return xr.DataArray(
        cells.astype(np.float32),
        dims=("record", "cell", "target"),
        coords={
            "record": layer["record"].variable,
            "centre": segmentation["centre"].variable,
            "target": output["target"].variable,
            "intercept": ("target", evidence.intercept.astype(np.float32)),
            "output": (("record", "target"), output.values),
        },
        attrs={
            **about,
            **_completeness(cells.sum(1), evidence.intercept, output, about),
            "layer": layer.attrs["layer"],
        },
        name="contribution",
    )


def cell_shares(coarse: np.ndarray, fine: np.ndarray) -> np.ndarray:
    """How much of each coarse cell lies in each fine cell.

    A cell reaches from the middle between it and the cell before to the middle between it and the next; the first and
    the last reach to the ends of the record, as far as either grid goes.

    Parameters
    ----------
    coarse, fine
        Cell centres in s, ascending.

    Returns
    -------
    numpy.ndarray
        ``(coarse cell, fine cell)`` in [0, 1]; rows sum to 1.

    Examples
    --------
    >>> cell_shares(np.array([1.0, 3.0]), np.array([0.5, 1.5, 2.5, 3.5]))
    array([[0.5, 0.5, 0. , 0. ],
           [0. , 0. , 0.5, 0.5]])
    """
    ends = [_reach(coarse), _reach(fine)]
    low, high = min(e[0] for e in ends), max(e[1] for e in ends)
    a, b = (np.concatenate([[low], (c[1:] + c[:-1]) / 2, [high]]) for c in (coarse, fine))
    overlap = np.minimum(a[1:, None], b[None, 1:]) - np.maximum(a[:-1, None], b[None, :-1])
    overlap = overlap.clip(min=0)
    return overlap / overlap.sum(1, keepdims=True)


def _reach(centre: np.ndarray) -> tuple[float, float]:
    half = (centre[1] - centre[0]) / 2 if len(centre) > 1 else 0.5
    return float(centre[0] - half), float(centre[-1] + half)


def _deepest(activations: Activations, segmentation: xr.Dataset) -> xr.DataArray:
    """The last captured layer, with its name, when everything fits together."""
    name, layer = list(activations.items())[-1]
    if not np.array_equal(layer["record"].values, segmentation["record"].values):
        raise ValueError(
            f"expected activations and segmentation of the same records, got {layer.sizes['record']} and "
            f"{segmentation.sizes['record']} that differ; predict the records whose activations you pass"
        )
    if not activations.output.sizes["target"]:
        raise ValueError("activations: expected outputs to split, got a network without a head, or none")
    return layer.assign_attrs(layer=name)


def _values(layer: xr.DataArray) -> np.ndarray:
    return layer.transpose("record", "cell", "channel").values.astype(np.float32, copy=False)


def _baseline(layer: xr.DataArray, given: xr.DataArray | np.ndarray | None) -> tuple[np.ndarray, str]:
    """The activation ``(channel,)`` that stands for no evidence, and what it is."""
    if given is None:
        count = int(layer["valid"].any("cell").sum())
        return channel_statistics(layer)[0], f"mean activation of the valid cells of {count} records"
    values = np.asarray(given, np.float64)
    if values.shape != (layer.sizes["channel"],) or not np.isfinite(values).all():
        raise ValueError(
            f"baseline: expected {layer.sizes['channel']} finite values, one a channel of {layer.attrs['layer']!r}, "
            f"got shape {values.shape}"
        )
    return values, str(getattr(given, "attrs", {}).get("long_name", "given activation"))


def _evidence(
    net: nn.Module,
    layer: xr.DataArray,
    output: xr.DataArray,
    *,
    method: str,
    baseline: xr.DataArray | np.ndarray | None,
    n_steps: int,
    device: torch.device | str | None,
) -> tuple[Evidence, dict[str, str]]:
    values = _values(layer)
    exact = {"approach": "exact", "baseline": "no activation"}
    if method != "ig":
        found = linear_evidence(
            net.module if isinstance(net, ECGNetwork) else net, values, output.values, head_tolerance(layer)
        )
        if found is not None:
            return found, {"method": found.method, **exact}
    if isinstance(n_steps, bool) or not isinstance(n_steps, int) or n_steps < 1:
        raise ValueError(f"n_steps: expected a whole number of at least 1, got {n_steps!r}")
    with inference(net, device) as place, torch.inference_mode(mode=False), torch.enable_grad():
        try:
            head = Head(net, layer, output, place)
        except ValueError as error:
            if method != "exact":
                raise
            raise ValueError(f"{_other_head(layer)}: {error}") from error
        if method != "ig":
            found = affine_evidence(head, values, output.values)
            if found is not None:
                return found, {"method": found.method, **exact}
            if method == "exact":
                raise ValueError(f"{_other_head(layer)}; method='ig' or 'shapley' splits the difference to a baseline")
        start, said = _baseline(layer, baseline)
        found = integrated_gradients(head, values, start, n_steps)
    return found, {"method": found.method, "approach": "ig", "baseline": said}


def _other_head(layer: xr.DataArray) -> str:
    return (
        "expected a head of the form mean over time + Linear, Flatten + Linear, average and maximum over time + Linear "
        f"or another affine one behind layer {layer.attrs['layer']!r}, got one whose outputs cannot be split exactly"
    )


def _stated(layer: xr.DataArray, given: xr.DataArray | np.ndarray | None) -> xr.DataArray:
    values, said = _baseline(layer, given)
    return xr.DataArray(values, dims="channel", attrs={"long_name": said})


def _of_lengths(
    net: nn.Module,
    layer: xr.DataArray,
    segmentation: xr.Dataset,
    output: xr.DataArray,
    baseline: xr.DataArray,
    **options: Any,
) -> xr.DataArray:
    """Records of each length alone, without the cells that fill up the axis behind them."""
    parts = []
    order = []
    for n in np.unique(layer["n_cells"].values):
        rows = np.flatnonzero(layer["n_cells"].values == n)
        own = own_cells(layer.isel(record=rows[:1]), segmentation["centre"].values)
        some = layer.isel(record=rows, cell=slice(int(n))).drop_vars("n_cells")
        acts = Activations({layer.attrs["layer"]: some}, output.isel(record=rows))
        order.append(rows)
        parts.append(contributions(net, acts, segmentation.isel(record=rows, cell=own), baseline=baseline, **options))
    first = parts[0]
    if not all(np.allclose(part["intercept"], first["intercept"], rtol=0, atol=1e-5) for part in parts):
        raise ValueError(
            "activations: expected records of one length for a split whose intercept depends on it, got several; take "
            "those of one length"
        )
    joined = xr.concat(parts, "record", coords="minimal", compat="override", join="override", combine_attrs="override")
    joined.attrs["completeness_error"] = max(part.attrs["completeness_error"] for part in parts)
    return joined.isel(record=np.argsort(np.concatenate(order)))


def _completeness(
    total: np.ndarray, intercept: np.ndarray, output: xr.DataArray, about: dict[str, str]
) -> dict[str, float | str]:
    """How far the parts are from the whole, relative to what was split."""
    truth = output.values.astype(np.float64)
    if about["approach"] == "exact":
        scale = max(1.0, float(np.abs(truth).max(initial=0)))
    else:
        scale = max(float(np.abs(truth - intercept).max(initial=0)), float(np.finfo(np.float32).tiny))
    error = float(np.abs(total + intercept - truth).max(initial=0)) / scale
    return {"completeness_error": error, "units": "logit"}
