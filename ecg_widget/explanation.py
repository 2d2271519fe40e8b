"""What each cluster adds to a prediction."""

from __future__ import annotations

import numpy as np
import xarray as xr
from torch import nn

from ecg_widget.activations import Activations
from ecg_widget.networks import ECGNetwork

HEAD_TOLERANCE = 1e-3  # a head is taken for what it looks like when it restores every output to so much of the largest


def contributions(net: nn.Module, activations: Activations, segmentation: xr.Dataset) -> xr.DataArray:
    """Split every output of the network exactly among the clusters.

    With ``s_tk`` the share of the deepest layer's cell t that lies in cluster k (sum over k is 1), the exact forms are

    - mean over time + Linear: ``C_kc = 1/T sum_t s_tk w_c . a_t`` (class activation maps, Zhou et al. 2016);
    - Flatten + Linear: ``C_kc = sum_t s_tk sum_ch W_c[ch, t] a_t[ch]`` (HiResCAM, Draelos and Carin 2020).

    The head is recognised by its result, not by its name: a Linear layer that restores the network's own outputs from
    the deepest captured activations. The clusters may rest on several layers while the outputs are split over the
    deepest one only, whose cells see more of the signal than they stand for.

    Parameters
    ----------
    net
        The network of `activations`.
    activations
        What `ecg_widget.activations` returned, the layer before the head among them.
    segmentation
        What `TimeClusters.predict` returned for the same records.

    Returns
    -------
    xarray.DataArray
        ``(record, cluster, target)`` float32 in units of the raw output (logits). Coords: ``masked (record, target)``,
        what cells in padding and gaps add; ``intercept (target)``; ``output (record, target)``, the raw output. attrs:
        ``method``, ``layer``, and ``completeness_error``, the largest absolute difference between
        ``sum_k + masked + intercept`` and ``output``, relative to the largest absolute output, or to 1 if that is
        larger.

    Raises
    ------
    ValueError
        Records that differ, or a head of another form (its outputs cannot be split exactly).

    Examples
    --------
    >>> import ecg_widget as ecg
    >>> net, ds = ecg.load_network(), ecg.simulate(2)
    >>> acts = ecg.activations(net, ds)
    >>> seg = ecg.TimeClusters(4, random_state=0).fit(acts).predict(acts)
    >>> con = contributions(net, acts, seg)
    >>> con.dims, con.attrs["method"], con.attrs["completeness_error"] < 1e-5
    (('record', 'cluster', 'target'), 'mean over time + Linear', True)
    """
    name, layer = list(activations.items())[-1]
    if not np.array_equal(layer["record"].values, segmentation["record"].values):
        raise ValueError(
            f"expected activations and segmentation of the same records, got {layer.sizes['record']} and "
            f"{segmentation.sizes['record']} that differ; predict the records whose activations you pass"
        )
    output = activations.output
    evidence, intercept, method = _evidence(net, name, layer, output)
    shares = cell_shares(layer["centre"].values, segmentation["centre"].values)
    fine = np.einsum("ti,ntc->nic", shares, evidence)
    cluster = segmentation["cluster"].transpose("record", "cell").values
    member = cluster[:, :, None] == np.arange(segmentation.sizes["cluster"])
    split = np.einsum("nik,nic->nkc", member, fine)
    masked = np.einsum("ni,nic->nc", cluster < 0, fine)
    restored = split.sum(1) + masked + intercept
    error = np.abs(restored - output.values).max(initial=0) / max(1.0, float(np.abs(output.values).max(initial=0)))
    return xr.DataArray(
        split.astype(np.float32),
        dims=("record", "cluster", "target"),
        coords={
            "record": layer["record"].variable,
            "target": output["target"].variable,
            "masked": (("record", "target"), masked.astype(np.float32)),
            "intercept": ("target", intercept.astype(np.float32)),
            "output": (("record", "target"), output.values),
        },
        attrs={"method": method, "layer": name, "completeness_error": float(error), "units": "logit"},
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


def _evidence(
    net: nn.Module, name: str, layer: xr.DataArray, output: xr.DataArray
) -> tuple[np.ndarray, np.ndarray, str]:
    """What each deep cell adds ``(record, cell, target)``, the intercept ``(target,)``, and the form of the head."""
    values = layer.transpose("record", "cell", "channel").values.astype(np.float64)
    _, cells, channels = values.shape
    module = net.module if isinstance(net, ECGNetwork) else net
    limit = HEAD_TOLERANCE * max(1.0, float(np.abs(output.values).max(initial=0)))
    for linear in reversed([m for m in module.modules() if isinstance(m, nn.Linear)]):
        if linear.out_features != output.sizes["target"]:
            continue
        weight = linear.weight.detach().double().cpu().numpy()
        intercept = np.zeros(len(weight)) if linear.bias is None else linear.bias.detach().double().cpu().numpy()
        if linear.in_features == channels:
            evidence, method = values @ weight.T / cells, "mean over time + Linear"
        elif linear.in_features == channels * cells:
            evidence = np.einsum("nth,cht->ntc", values, weight.reshape(-1, channels, cells))
            method = "Flatten + Linear"
        else:
            continue
        if np.abs(evidence.sum(1) + intercept - output.values).max(initial=0) <= limit:
            return evidence, intercept, method
    raise ValueError(
        f"expected a head of the form mean over time + Linear or Flatten + Linear behind layer {name!r}, got another "
        "one, whose outputs cannot be split exactly among clusters; capture the layer right before the head"
    )
