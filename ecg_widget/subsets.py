"""Choosing records of a set by what is known of them, without reading a sample."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import xarray as xr

__all__ = ["select"]


def select(
    ds: xr.Dataset,
    *,
    label: str | Iterable[str] | Mapping[str, bool] | None = None,
    fold: int | Iterable[int] | None = None,
    patient: str | Iterable[str] | None = None,
    quality: str | Iterable[str] | xr.Dataset | None = None,
) -> xr.Dataset:
    """Keep the records that meet every condition that is given; their samples are not read.

    Parameters
    ----------
    ds
        Of the data contract; the variables and attrs that the conditions speak of are in it, as
        `ecg_widget.open_ecg` puts them there.
    label
        A name in ``target``: records that have it; several: that have any of them. A mapping such as ``{"MI": True,
        "NORM": False}``: records that agree with all of it.
    fold
        One or several, of the coordinate ``fold``.
    patient
        One or several, of ``patient``.
    quality
        ``"clean"``: records without findings in ``attrs["quality"]``. One or several names of checks, such as
        ``["flat", "swap"]``: records without findings of these. What `ecg_widget.quality` returned, for a set whose
        records were not looked at when it was opened: records without findings.

    Returns
    -------
    xarray.Dataset
        Records in the same order; ``attrs["quality"]`` tells of them alone.

    Raises
    ------
    TypeError, ValueError
        The set has no such variable; a name that it does not have; no record is left.

    Examples
    --------
    >>> import ecg_widget as ecg
    >>> ds = ecg.simulate(4, seed=0).assign_coords(fold=("record", [1, 1, 2, 3]))
    >>> select(ds, fold=[1, 3]).sizes["record"]
    3
    """
    if not isinstance(ds, xr.Dataset) or "record" not in ds.dims:
        raise TypeError(f"ds: expected an xarray.Dataset with the dim 'record', got {type(ds).__name__}")
    keep = np.ones(ds.sizes["record"], bool)
    if label is not None:
        keep &= _labelled(ds, label)
    for name, wanted in (("fold", fold), ("patient", patient)):
        if wanted is not None:
            keep &= _among(ds, name, wanted)
    if quality is not None:
        keep &= _sound(ds, quality)
    if not keep.any():
        conditions = {"label": label, "fold": fold, "patient": patient, "quality": quality}
        given = ", ".join(f"{k}={v!r:.60}" for k, v in conditions.items() if v is not None)
        raise ValueError(f"select: expected at least one of {len(keep)} records, none has {given}")
    out = ds.isel(record=np.flatnonzero(keep))
    if "quality" in ds.attrs:
        names = set(out["record"].values.tolist())
        told = [item for item in _findings(ds) if item.get("record") in names]
        out = out.assign_attrs(quality=json.dumps(told))
    return out


def _labelled(ds: xr.Dataset, label: str | Iterable[str] | Mapping[str, bool]) -> np.ndarray:
    if "label" not in ds or "target" not in ds.coords:
        raise ValueError(f"label: expected the variable 'label' (record, target), got {sorted(map(str, ds.variables))}")
    targets = [str(target) for target in ds["target"].values]
    names = [label] if isinstance(label, str) else list(label)
    if not names or (unknown := [name for name in names if name not in targets]):
        raise ValueError(f"label: expected one or several of {targets}, got {names if not names else unknown}")
    has = ds["label"].transpose("record", "target").values.astype(bool)[:, [targets.index(name) for name in names]]
    if not isinstance(label, Mapping):
        return np.asarray(has.any(axis=1))
    return np.asarray((has == np.array([bool(label[name]) for name in names])).all(axis=1))


def _among(ds: xr.Dataset, name: str, wanted: Any) -> np.ndarray:
    if name not in ds.variables or ds[name].dims != ("record",):
        there = sorted(str(n) for n, v in ds.variables.items() if v.dims == ("record",))
        raise ValueError(f"{name}: expected a coordinate {name} (record), got {there}")
    values = ds[name].values
    one = isinstance(wanted, (str, bytes)) or not isinstance(wanted, Iterable)
    chosen = [wanted] if one else list(wanted)
    known = set(values.tolist())
    if not chosen or (unknown := [value for value in chosen if value not in known]):
        some = sorted(known, key=str)[:10]
        got = repr(unknown[:10]) if chosen else "none"
        raise ValueError(f"{name}: expected some of {some}{'...' if len(known) > 10 else ''}, got {got:.200}")
    return np.isin(values, np.array(chosen, dtype=values.dtype))


def _sound(ds: xr.Dataset, quality: str | Iterable[str] | xr.Dataset) -> np.ndarray:
    records = ds["record"].values
    if isinstance(quality, xr.Dataset):
        if "n_findings" not in quality or set(records.tolist()) - set(quality["record"].values.tolist()):
            raise ValueError("quality: expected what ecg_widget.quality returned for these records, got something else")
        return np.asarray(quality["n_findings"].sel(record=records).values == 0)
    checks = [quality] if isinstance(quality, str) else list(quality)
    known = {"missing", "gap", "flat", "clipped", "scale", "hum", "lead names", "swap"}
    if not checks or (checks != ["clean"] and set(checks) - known):
        raise ValueError(f"quality: expected 'clean', some of {sorted(known)}, or a report, got {quality!r:.100}")
    if "quality" not in ds.attrs:
        raise ValueError(
            "quality: expected findings in ds.attrs['quality'], got none: nobody has looked at these records; pass "
            "quality=ecg_widget.quality(ds), which reads them, or open them with quality=True"
        )
    bad = {item.get("record") for item in _findings(ds) if checks == ["clean"] or item.get("check") in checks}
    return np.array([name not in bad for name in records.tolist()], bool)


def _findings(ds: xr.Dataset) -> list[dict[str, Any]]:
    try:
        found = json.loads(ds.attrs["quality"])
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"attrs['quality']: expected JSON as open_ecg writes it: {error}") from None
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        raise ValueError("attrs['quality']: expected a list of findings, as open_ecg writes it, got something else")
    return found
