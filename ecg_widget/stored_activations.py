"""Activations without their network: arrays that somebody exported from another framework."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from ecg_widget.activations import Activations
from ecg_widget.preparation import InputSpec, prepare

__all__ = ["activations_from_arrays"]

_OUTPUTS = ("identity", "sigmoid", "softmax")


def activations_from_arrays(
    arrays: Mapping[str, ArrayLike],
    ds: xr.Dataset,
    *,
    stride: float | Mapping[str, float] | None = None,
    offset: float | Mapping[str, float] | None = None,
    centre: Mapping[str, ArrayLike] | None = None,
    width: float | Mapping[str, float] | None = None,
    cell_axis: int | Mapping[str, int] = 1,
    valid: Mapping[str, ArrayLike] | None = None,
    output: xr.DataArray | None = None,
    output_kind: str = "identity",
    name: str = "stored activations",
) -> Activations:
    """Give arrays the coords that clustering needs; what comes back serves wherever `ecg_widget.activations` does.

    Where in time the cells are cannot be found out without the network, and nothing is guessed: state `centre`, or
    `stride` and `offset`. For a convolutional network, cell 0 has its centre at the sum over layers of
    ``((kernel - 1) / 2 - padding) * (stride of all layers before)`` samples.

    Parameters
    ----------
    arrays
        Layer name -> ``(record, cell, channel)``, or ``(record, channel, cell)`` with ``cell_axis=2``; shallow to deep.
    ds
        The records, in the arrays' order.
    stride, offset
        Distance of neighbouring cells, and centre of cell 0 on the recordings' time axis, s; one for all layers or one
        each.
    centre
        Layer name -> centres ``(cell,)`` in s, ascending, in place of `stride` and `offset`.
    width
        Receptive field in s. None: not known; the distance of cells, the least it can be, is shown.
    cell_axis
        1 or 2.
    valid
        Layer name -> ``(record, cell)`` bool. None: False where the centre lies in a gap, in padding (all leads exactly
        zero) or outside the recording.
    output
        The network's raw outputs ``(record, target)`` with a coord ``target``, for predictions beside the clusters.
    output_kind
        How raw outputs become predictions: ``"sigmoid"``, ``"softmax"``, ``"identity"``.
    name
        Of the network, for display.

    Returns
    -------
    Activations

    Raises
    ------
    ValueError, TypeError
        Shapes that do not fit the records or each other, centres that do not ascend, values that are not finite in
        valid cells, times that are not stated.

    Examples
    --------
    >>> import ecg_widget as ecg
    >>> ds = ecg.simulate(2, duration=4)
    >>> exported = {"conv5": np.random.default_rng(0).normal(size=(2, 50, 16))}
    >>> acts = activations_from_arrays(exported, ds, stride=0.08, offset=0.04)
    >>> acts["conv5"].dims, float(acts["conv5"]["centre"][-1].round(2)), acts.targets
    (('record', 'cell', 'channel'), 3.96, ())
    >>> seg = ecg.TimeClusters(4, random_state=0).fit_predict(acts)
    """
    if not isinstance(arrays, Mapping) or not arrays:
        raise TypeError(f"arrays: expected a mapping of layer names -> arrays, got {type(arrays).__name__}")
    if output_kind not in _OUTPUTS:
        raise ValueError(f"output_kind: expected one of {_OUTPUTS}, got {output_kind!r}")
    rate = float(ds["time"].attrs["sampling_rate"])
    prepared = prepare(ds, InputSpec(leads=tuple(ds["lead"].values.tolist()), sampling_rate=rate))
    samples = prepared.valid.numpy()
    layers = {}
    for layer, given in arrays.items():
        axis = _of(cell_axis, layer)
        values = _values(layer, given, ds.sizes["record"], axis)
        at = _centres(layer, values.shape[1], _of(stride, layer), _of(offset, layer), (centre or {}).get(layer))
        nearest = np.rint((at - prepared.start_s) * rate).astype(int)
        inside = (nearest >= 0) & (nearest < samples.shape[1])
        seen = samples[:, nearest.clip(0, samples.shape[1] - 1)] & inside
        if valid is not None:
            seen = _mask(layer, valid, values.shape[:2])
        if not np.isfinite(values[seen]).all():
            raise ValueError(
                f"{layer}: expected finite values in valid cells, got NaN or infinity; mark them not valid"
            )
        step = float(np.median(np.diff(at))) if len(at) > 1 else float(_of(stride, layer) or 1 / rate)
        field = _of(width, layer)
        layers[layer] = xr.DataArray(
            values,
            dims=("record", "cell", "channel"),
            coords={
                "record": ds["record"].variable,
                "centre": ("cell", at, {"units": "s"}),
                "width": ("cell", np.full(len(at), step if field is None else field, np.float32), {"units": "s"}),
                "valid": (("record", "cell"), seen),
            },
            attrs={"layer": layer, "stride": step, "width_stated": field is not None},
            name="activation",
        )
    return Activations(layers, _output(output, ds, output_kind, name))


def _of(stated: Any, layer: str) -> Any:
    return stated.get(layer) if isinstance(stated, Mapping) else stated


def _values(layer: str, given: ArrayLike, n_records: int, axis: object) -> np.ndarray:
    values = np.asarray(given)
    if (
        values.ndim != 3
        or not np.issubdtype(values.dtype, np.number)
        or np.issubdtype(values.dtype, np.complexfloating)
    ):
        raise ValueError(f"{layer}: expected real numbers (record, cell, channel), got {values.dtype} {values.shape}")
    if axis not in (1, 2):
        raise ValueError(
            f"cell_axis: expected 1 for (record, cell, channel) or 2 for (record, channel, cell), got {axis!r}"
        )
    if axis == 2:
        values = values.swapaxes(1, 2)
    if len(values) != n_records or not values.size:
        raise ValueError(f"{layer}: expected {n_records} records as in ds, got {values.shape[0]} in {values.shape}")
    return np.ascontiguousarray(values, np.float32)


def _centres(layer: str, n_cells: int, stride: Any, offset: Any, centre: ArrayLike | None) -> np.ndarray:
    if centre is not None:
        at: np.ndarray = np.asarray(centre, np.float64)
    elif stride is None or offset is None:
        raise ValueError(
            f"{layer}: expected the times of its {n_cells} cells, got none: state centre={{{layer!r}: ...}}, or stride "
            "and offset (the centre of cell 0), in s"
        )
    else:
        at = float(offset) + float(stride) * np.arange(n_cells)
    if at.shape != (n_cells,) or not np.isfinite(at).all() or (np.diff(at) <= 0).any():
        raise ValueError(f"{layer}: expected {n_cells} ascending centres in s, got shape {at.shape}: {at[:4]} ...")
    return at


def _mask(layer: str, valid: Mapping[str, ArrayLike], shape: tuple[int, ...]) -> np.ndarray:
    mask = np.asarray(valid.get(layer))
    if mask.dtype != np.bool_ or mask.shape != shape:
        raise ValueError(f"valid[{layer!r}]: expected bool {shape}, got {mask.dtype} {mask.shape}")
    return mask


def _output(output: xr.DataArray | None, ds: xr.Dataset, kind: str, name: str) -> xr.DataArray:
    attrs = {"output": kind, "network": name}
    if output is None:
        empty = np.zeros((ds.sizes["record"], 0), np.float32)
        coords = {"record": ds["record"].variable, "target": np.array([], dtype=str)}
        return xr.DataArray(empty, dims=("record", "target"), coords=coords, attrs=attrs, name="output")
    if set(output.dims) != {"record", "target"} or "target" not in output.coords:
        raise ValueError(f"output: expected (record, target) with a coord target, got {output.dims}")
    values = output.transpose("record", "target")
    if values.sizes["record"] != ds.sizes["record"]:
        raise ValueError(f"output: expected {ds.sizes['record']} records as in ds, got {values.sizes['record']}")
    coords = {"record": ds["record"].variable, "target": values["target"].values.astype(str)}
    return xr.DataArray(
        values.values.astype(np.float32), dims=("record", "target"), coords=coords, attrs=attrs, name="output"
    )
