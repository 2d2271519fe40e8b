"""xarray <-> the page: every array travels with its dims, coordinates and units.

An encoded Dataset is plain JSON with binary leaves, the shape that Jupyter's comm layer splits into buffers:

``{"attrs": {...}, "coords": {name: variable}, "data_vars": {name: variable}}`` with
``variable = {"dims": [...], "shape": [...], "dtype": str, "attrs": {...}, "data": buffer | list}``.

``dtype`` is a little-endian NumPy name (``float32``, ``int16``, ``uint8``, ...), ``"bool"`` (one byte each),
``"str"`` (``data`` is a JSON list) or ``"range"`` (a float64 axis that is regular to 1e-9 of its step: ``start`` and
``step`` instead of data).
``int16`` variables may carry ``"scale"``: a number, or one number for each entry of the first dim; the value is
then ``integer * scale`` and the integer ``-32768`` means NaN. The reader in the page is ``js/src/wire.ts``;
both are held to the same files in ``tests/fixtures/wire``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

GAP = -32768  # the int16 that no analogue-to-digital converter's symmetric range needs: stands for NaN

_PLAIN = {"float32", "float64", "int8", "uint8", "int16", "uint16", "int32", "uint32"}
_GAPS = 256  # so many of the gaps between levels settle the ADC's step; more would cost time alone
_REGULAR = 1e-9  # largest departure from start + i * step, relative to the step, that counts as a regular axis


def encode(ds: xr.Dataset) -> dict[str, Any]:
    """Turn a Dataset into JSON with binary leaves.

    Parameters
    ----------
    ds
        Variables of a dtype in the module's list; strings in one dimension or none. int64 is refused: the page has
        no such number. attrs must be JSON without NaN or infinity.

    Returns
    -------
    dict
        As in the module's text. Buffers are read-only memoryviews of contiguous little-endian data.

    Raises
    ------
    TypeError
        A dtype or an attribute that cannot be carried without loss.

    Examples
    --------
    >>> wire = encode(xr.Dataset({"entropy": ("cell", np.float32([0.1, 0.9]), {"units": "1"})}))
    >>> wire["data_vars"]["entropy"]["dims"], wire["data_vars"]["entropy"]["dtype"]
    (['cell'], 'float32')
    >>> decode(wire)["entropy"].values
    array([0.1, 0.9], dtype=float32)
    """
    return {
        "attrs": _json(ds.attrs, "attrs"),
        "coords": {str(name): _encode_variable(str(name), v.variable) for name, v in ds.coords.items()},
        "data_vars": {str(name): _encode_variable(str(name), v.variable) for name, v in ds.data_vars.items()},
    }


def decode(wire: Mapping[str, Any]) -> xr.Dataset:
    """Read what `encode` wrote; scaled integers come back as float32.

    Raises
    ------
    ValueError
        Data whose length does not fit dtype and shape.
    TypeError
        An unknown dtype.
    """
    coords = {name: _decode_variable(name, v) for name, v in wire["coords"].items()}
    data = {name: _decode_variable(name, v) for name, v in wire["data_vars"].items()}
    return xr.Dataset(data, coords, dict(wire["attrs"]))


def quantise(signal: xr.DataArray) -> tuple[xr.DataArray, float]:
    """Store a float signal as int16 with one scale a lead, without loss wherever an ADC made it.

    Parameters
    ----------
    signal
        ``(lead, time)``, float, NaN = gap.

    Returns
    -------
    quantised : xarray.DataArray
        ``(lead, time)`` int16; ``attrs["scale"]`` lists a number for each lead (units of `signal` for each step).
    error : float
        Largest absolute difference after the way back, in units of `signal`; within float32 rounding where each
        lead is a whole number of ADC steps, else at most half a step of 1/32767 of the lead's largest value.

    Examples
    --------
    >>> adc = xr.DataArray(np.float32([[0.0, 0.005, -0.015, np.nan]]), dims=("lead", "time"))
    >>> q, error = quantise(adc)
    >>> q.values.tolist(), round(q.attrs["scale"][0], 6), error < 1e-8
    ([[0, 1, -3, -32768]], 0.005, True)
    """
    values = np.asarray(signal.transpose("lead", "time").values, dtype=np.float64)
    if np.isinf(values).any():
        raise ValueError("signal: expected finite values or NaN for gaps, got infinity; mark the samples as NaN")
    scales = [_step(row[np.isfinite(row)]) for row in values]
    steps = np.asarray(scales)[:, None]
    with np.errstate(invalid="ignore"):
        whole = np.where(np.isnan(values), GAP, np.rint(values / steps)).astype(np.int16)
    back = np.where(whole == GAP, np.nan, whole * steps)
    error = float(np.nanmax(np.abs(back - values), initial=0.0))
    out = xr.DataArray(whole, dims=("lead", "time"), coords=signal.coords, attrs={**signal.attrs, "scale": scales})
    return out, error


def _step(values: np.ndarray) -> float:
    """The ADC step of one lead, or the finest that still fits int16."""
    levels = np.unique(np.abs(np.append(values, 0.0)))
    largest = float(levels[-1])
    if largest == 0:
        return 1.0
    rounding = largest * 2.0**-23  # float32 carries 24 bits: smaller differences are rounding, not steps
    finest = largest / (-GAP - 1)
    gaps, errors = np.diff(levels), (levels[1:] + levels[:-1]) * 2.0**-24
    gaps, first = np.unique(gaps, return_index=True)
    divisor, error = 0.0, np.inf
    for gap, gap_error in zip(gaps[:_GAPS].tolist(), errors[first].tolist(), strict=False):
        if gap > rounding:
            divisor = _common_divisor(gap, divisor, finest / 4)
            steps = max(round(gap / divisor), 1)
            if gap_error / steps < error:  # the more steps, the less rounding weighs: errors must not add up
                divisor, error = gap / steps, gap_error / steps
    step = max(divisor, finest)
    for level in levels[1 :: max(1, levels.size // _GAPS)]:  # the larger the level, the less its rounding weighs
        step = level / max(np.rint(level / step), 1)
    if np.rint(largest / step) < -GAP and np.abs(levels - np.rint(levels / step) * step).max() <= 2 * rounding:
        return _decimal(step, levels)
    return finest


def _common_divisor(a: float, b: float, tolerance: float) -> float:
    """Euclid's algorithm on numbers that carry rounding errors."""
    while b > tolerance:
        a, b = b, abs(a - b * round(a / b))
    return a


def _decimal(step: float, levels: np.ndarray) -> float:
    """The number a device's maker wrote down, where one restores every float32 bit: 0.005, not 0.00500000007."""
    single = levels.astype(np.float32)
    counts = np.rint(levels / step)
    candidates = [1 / round(1 / step)] if step < 1 else []
    for candidate in (*(float(f"{step:.{digits}g}") for digits in range(1, 10)), *candidates):
        if np.array_equal((counts * candidate).astype(np.float32), single):
            return float(candidate)
    return float(step)


def _encode_variable(name: str, variable: xr.Variable) -> dict[str, Any]:
    attrs = dict(variable.attrs)
    out: dict[str, Any] = {"dims": [str(d) for d in variable.dims], "shape": list(variable.shape)}
    values = variable.values
    if values.dtype.kind in "UO" or values.dtype.name.startswith("str"):
        if variable.ndim > 1 or not all(isinstance(v, str) for v in values.reshape(-1).tolist()):
            raise TypeError(f"{name}: expected text in at most one dimension, got {values.dtype} {variable.dims}")
        out |= {"dtype": "str", "data": [str(v) for v in values.reshape(-1)]}
    elif (axis := _regular(values)) is not None:
        out |= {"dtype": "range", "start": axis[0], "step": axis[1]}
    elif values.dtype == bool:
        out |= {"dtype": "bool", "data": _buffer(values.astype(np.uint8))}
    elif values.dtype.name in _PLAIN:
        out |= {"dtype": values.dtype.name, "data": _buffer(values)}
        if "scale" in attrs:
            if values.dtype != np.int16:
                raise TypeError(f"{name}: expected int16 beside attrs['scale'], got {values.dtype}")
            out["scale"] = attrs.pop("scale")
    else:
        raise TypeError(
            f"{name}: expected a dtype of {sorted(_PLAIN)}, bool or str, got {values.dtype}; convert it with .astype()"
        )
    return {**out, "attrs": _json(attrs, f"{name}.attrs")}


def _decode_variable(name: str, v: Mapping[str, Any]) -> xr.Variable:
    dims, shape, dtype = tuple(v["dims"]), tuple(v["shape"]), v["dtype"]
    attrs = dict(v["attrs"])
    size = math.prod(shape)
    if dtype == "range":
        values: np.ndarray = v["start"] + v["step"] * np.arange(size, dtype=np.float64)
    elif dtype == "str":
        if len(v["data"]) != size:
            raise ValueError(f"{name}: expected {size} texts for shape {shape}, got {len(v['data'])}")
        values = np.asarray(v["data"], dtype=str)
    elif dtype == "bool" or dtype in _PLAIN:
        stored = np.dtype("uint8" if dtype == "bool" else dtype).newbyteorder("<")
        raw = bytes(v["data"])
        if len(raw) != size * stored.itemsize:
            raise ValueError(f"{name}: expected {size * stored.itemsize} bytes of {dtype} {shape}, got {len(raw)}")
        values = np.frombuffer(raw, stored).astype(bool if dtype == "bool" else dtype)
        if "scale" in v:
            scale = np.asarray(v["scale"], np.float64).reshape(-1, *(1,) * (len(shape) - 1))
            whole = values.reshape(shape)
            values = np.where(whole == GAP, np.nan, whole * scale).astype(np.float32)
    else:
        raise TypeError(f"{name}: unknown dtype {dtype!r}; the page and the package are of different versions")
    return xr.Variable(dims, values.reshape(shape), attrs)


def _regular(values: np.ndarray) -> tuple[float, float] | None:
    if values.dtype != np.float64 or values.ndim != 1 or values.size < 3:
        return None
    step = (values[-1] - values[0]) / (values.size - 1)
    if not np.isfinite(step) or step <= 0:
        return None
    line = values[0] + step * np.arange(values.size)
    return (float(values[0]), float(step)) if np.abs(values - line).max() <= _REGULAR * step else None


def _buffer(values: np.ndarray) -> memoryview:
    little = np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<"))
    little.flags.writeable = False
    return memoryview(little.tobytes()) if little.size else memoryview(b"")


def _json(value: Any, where: str) -> Any:
    """Attributes as JSON that every browser parses; NaN does not (ipywidgets#3321)."""
    if isinstance(value, Mapping):
        return {str(k): _json(v, f"{where}[{k!r}]") for k, v in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [_json(v, f"{where}[{i}]") for i, v in enumerate(value)]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        raise TypeError(f"{where}: expected a finite number, got {value}; NaN travels in arrays, never in JSON")
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    raise TypeError(f"{where}: expected text, number, list or mapping, got {type(value).__name__}")
