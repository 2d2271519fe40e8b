"""Results as JSON documents, and back: so that tables and figures can be made again without measuring again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

__all__ = ["from_document", "to_document"]

_MOST_DIGITS = 7  # significant ones: numbers are as exact as float32, and files a third of the size


def to_document(result: xr.Dataset) -> dict[str, Any]:
    """Say a dataset in JSON.

    Parameters
    ----------
    result
        Numbers, truth values and text; attributes that JSON can say.

    Returns
    -------
    dict
        ``variables`` and ``coords``: name -> ``dims``, ``kind`` (NumPy's), ``values`` (NaN is null), ``attrs``; and
        ``attrs``.

    Examples
    --------
    >>> to_document(xr.Dataset({"a": ("x", [1.5, np.nan])}))["variables"]["a"]
    {'dims': ['x'], 'kind': 'f', 'values': [1.5, None], 'attrs': {}}
    """
    return {
        "variables": {str(name): _say(v.variable) for name, v in result.data_vars.items()},
        "coords": {str(name): _say(v.variable) for name, v in result.coords.items()},
        "attrs": json.loads(json.dumps(result.attrs, default=_plain)),
    }


def from_document(document: Mapping[str, Any]) -> xr.Dataset:
    """Make the dataset of a document.

    Examples
    --------
    >>> ds = xr.Dataset({"a": ("x", [1.5, np.nan]), "b": ((), True)}, {"x": ["p", "q"]}, {"n": 2})
    >>> from_document(to_document(ds)).identical(ds)
    True
    """
    data, coords = ({name: _hear(v) for name, v in document[part].items()} for part in ("variables", "coords"))
    return xr.Dataset(data, coords, document["attrs"])


def _say(variable: xr.Variable) -> dict[str, Any]:
    values = variable.values
    kind = values.dtype.kind
    listed = values.tolist()
    if kind == "f":
        flat = [float(f"{v:.{_MOST_DIGITS}g}") if np.isfinite(v) else None for v in values.ravel().tolist()]
        listed = np.array(flat, object).reshape(values.shape).tolist()
    attrs = json.loads(json.dumps(variable.attrs, default=_plain))
    return {"dims": list(variable.dims), "kind": kind, "values": listed, "attrs": attrs}


def _hear(said: Mapping[str, Any]) -> xr.Variable:
    types: dict[str, Any] = {"f": np.float64, "i": np.int64, "u": np.int64, "b": bool, "U": str, "O": str}
    return xr.Variable(said["dims"], np.array(said["values"], types[said["kind"]]), said["attrs"])


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, (np.generic, np.ndarray)) else str(value)
