"""Grad-CAM and integrated gradients by Captum, on the grid of the clusters: what other explanations would say."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
import xarray as xr

from ecg_widget.activations import Activations
from ecg_widget.explanation import cell_shares
from ecg_widget.explanation.perturbation import cell_of_sample
from ecg_widget.networks import ECGNetwork, inference, like_weights

__all__ = ["captum_attr", "grad_cam", "input_gradients"]

_RECORDS = 8  # records at a time: integrated gradients run 50 signals for each
_STEPS = 50  # Captum's own default


def captum_attr() -> Any:
    """The module ``captum.attr``.

    Raises
    ------
    ImportError
        Captum is not installed: names the extra that installs it.
    """
    try:
        import captum.attr  # noqa: PLC0415
    except ImportError as error:
        raise ImportError(
            "Grad-CAM and integrated gradients are Captum's, which is not installed: "
            'pip install "ecg-widget[evaluation]"'
        ) from error
    return captum.attr


def grad_cam(
    network: ECGNetwork,
    ds: xr.Dataset,
    activations: Activations,
    segmentation: xr.Dataset,
    watched: np.ndarray,
    *,
    device: torch.device | str | None = None,
) -> np.ndarray:
    """Grad-CAM of the deepest captured layer, without its ReLU, spread over the grid ``(record, cell)``.

    Parameters
    ----------
    network, ds, activations, segmentation
        Of the same records; the layer must put out ``(record, channel, cell)``.
    watched
        ``(record,)``, index of the target.
    device
        Where to run.

    Returns
    -------
    numpy.ndarray
        ``(record, cell)`` in units of the output.

    Raises
    ------
    ImportError
        Captum is not installed.
    ValueError
        A network that reads windows, or whose layer has another layout.

    Examples
    --------
    >>> import ecg_widget as ecg
    >>> net, ds = ecg.load_network(), ecg.simulate(2)
    >>> acts = ecg.activations(net, ds)
    >>> seg = ecg.TimeClusters(4, random_state=0).fit_predict(acts)
    >>> grad_cam(net, ds, acts, seg, np.array([0, 0])).shape == seg["cluster"].shape
    True
    """
    attr = captum_attr()
    name, layer = list(activations.items())[-1]
    if network.spec.hop is not None:
        raise ValueError(
            "gradcam: expected a network that reads whole recordings, got one that reads windows; leave 'gradcam' out "
            "of methods"
        )
    out = np.empty((len(watched), layer.sizes["cell"]))
    with _gradients(network, device) as place:
        explain = attr.LayerGradCam(network, network.module.get_submodule(name))
        for rows, x in _inputs(network, ds, place):
            found = explain.attribute(x, torch.as_tensor(watched[rows], device=place))
            tensor = found[0] if isinstance(found, tuple) else found
            if tensor.shape != (len(x), 1, layer.sizes["cell"]):
                raise ValueError(
                    f"gradcam: expected layer {name!r} to put out (record, channel, cell), got a map of shape "
                    f"{tuple(tensor.shape)}; leave 'gradcam' out of methods"
                )
            out[rows] = tensor[:, 0].detach().double().cpu().numpy()
    return out @ cell_shares(layer["centre"].values, segmentation["centre"].values)


def input_gradients(
    network: ECGNetwork,
    ds: xr.Dataset,
    segmentation: xr.Dataset,
    watched: np.ndarray,
    *,
    device: torch.device | str | None = None,
) -> np.ndarray:
    """Integrated gradients of the input from a signal of zeros, summed over leads and over the samples of each cell.

    Parameters
    ----------
    network, ds, segmentation
        Of the same records.
    watched
        ``(record,)``, index of the target.
    device
        Where to run.

    Returns
    -------
    numpy.ndarray
        ``(record, cell)`` in units of the output.

    Raises
    ------
    ImportError
        Captum is not installed.

    Examples
    --------
    >>> import ecg_widget as ecg
    >>> net, ds = ecg.load_network(), ecg.simulate(1)
    >>> seg = ecg.TimeClusters(4, random_state=0).fit_predict(ecg.activations(net, ds))
    >>> input_gradients(net, ds, seg, np.array([0])).shape == seg["cluster"].shape
    True
    """
    attr = captum_attr()
    centre = segmentation["centre"].values
    out = np.zeros((len(watched), len(centre)))
    with _gradients(network, device) as place:
        explain = attr.IntegratedGradients(network)
        for rows, x in _inputs(network, ds, place):
            target = torch.as_tensor(watched[rows], device=place)
            found = explain.attribute(x, target=target, n_steps=_STEPS, internal_batch_size=256)
            values = found.detach().double().sum(1).cpu().numpy()
            prepared = network.prepare(ds.isel(record=rows[:1]))
            time = prepared.start_s + np.arange(values.shape[1]) / prepared.sampling_rate
            member = cell_of_sample(time, centre)[:, None] == np.arange(len(centre))
            out[rows] = values @ member
    return out


@contextmanager
def _gradients(network: ECGNetwork, device: torch.device | str | None) -> Iterator[torch.device]:
    with inference(network, device) as place, torch.inference_mode(mode=False), torch.enable_grad():
        yield place


def _inputs(network: ECGNetwork, ds: xr.Dataset, place: torch.device) -> Iterator[tuple[np.ndarray, torch.Tensor]]:
    for first in range(0, ds.sizes["record"], _RECORDS):
        rows = np.arange(first, min(first + _RECORDS, ds.sizes["record"]))
        yield rows, like_weights(network.prepare(ds.isel(record=rows)).x, network, place)
