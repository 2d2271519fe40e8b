"""The ECG data contract as checks; public as `ecg_widget.records.validate_ecg`."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from ecg_widget.lazy import is_lazy
from ecg_widget.leads import canonical_lead
from ecg_widget.time_axis import SampleIndex

WAVES = ("none", "P", "QRS", "T")
"""What the values 0 to 3 of the variable ``wave`` mean."""

BEATS = {
    1: ("N", "normal"),
    2: ("L", "left_bundle_branch_block"),
    3: ("R", "right_bundle_branch_block"),
    4: ("a", "aberrated_atrial_premature"),
    5: ("V", "ventricular_premature"),
    6: ("F", "fusion_of_ventricular_and_normal"),
    7: ("J", "junctional_premature"),
    8: ("A", "atrial_premature"),
    9: ("S", "supraventricular_premature"),
    10: ("E", "ventricular_escape"),
    11: ("j", "junctional_escape"),
    12: ("/", "paced"),
    13: ("Q", "unclassifiable"),
    25: ("B", "bundle_branch_block"),
    30: ("?", "unclassified_while_learning"),
    34: ("e", "atrial_escape"),
    35: ("n", "supraventricular_escape"),
    38: ("f", "fusion_of_paced_and_normal"),
    41: ("r", "r_on_t_ventricular_premature"),
}
"""Symbol and meaning of the values of the variable ``beat`` above 0: the beat annotations of PhysioNet, by code."""

_JITTER = 1e-3  # largest departure of a time stamp from the regular grid, in samples


def validate_ecg(ds: xr.Dataset) -> xr.Dataset:
    """Check a Dataset against the contract of `ecg_widget.records` and give it back unchanged.

    Raises
    ------
    TypeError
        Not a Dataset, or a variable of another dtype.
    ValueError
        Missing variable or coordinate, wrong dims, units, lead names, time axis or values; the message says what was
        expected, what came and how to fix it.

    Examples
    --------
    >>> from ecg_widget.records import from_arrays
    >>> ds = from_arrays(np.zeros((1, 100)), sampling_rate=100, leads=["II"], units="mV")
    >>> ds.signal.attrs["units"] = "uV"
    >>> validate_ecg(ds)
    Traceback (most recent call last):
    ValueError: signal.attrs['units']: expected 'mV', got 'uV'; convert with from_arrays(..., units='uV')
    """
    if not isinstance(ds, xr.Dataset):
        raise TypeError(
            f"ECG: expected an xarray.Dataset with the variable 'signal', got {type(ds).__name__}; "
            "make one with from_arrays(signal, sampling_rate=..., leads=..., units=...)"
        )
    if "signal" not in ds.data_vars:
        raise ValueError(f"ECG: expected the variable 'signal', got {sorted(map(str, ds.data_vars))}; rename yours")
    signal = ds["signal"]
    if signal.dims != ("record", "lead", "time"):
        raise ValueError(
            f"signal: expected dims ('record', 'lead', 'time'), got {signal.dims}; use expand_dims and "
            "transpose('record', 'lead', 'time')"
        )
    if signal.dtype != np.float32:
        raise TypeError(f"signal: expected dtype float32, got {signal.dtype}; use .astype('float32')")
    if 0 in signal.shape:
        raise ValueError(f"signal: expected at least one record, lead and sample, got {dict(signal.sizes)}")
    units = signal.attrs.get("units")
    if units != "mV":
        how = f"convert with from_arrays(..., units={units!r})" if units else "set ds.signal.attrs['units']"
        raise ValueError(f"signal.attrs['units']: expected 'mV', got {units!r}; {how}")
    for name in ("record", "lead", "time"):
        if name not in ds.coords:
            raise ValueError(f"{name}: expected a coordinate of that name, got {sorted(map(str, ds.coords))}")
    _check_names(ds)
    _check_time(ds)
    _check_optional(ds)
    _check_beats(ds)
    # Values that are still in a file, or to be computed, are checked where they are read.
    if not is_lazy(signal) and np.isinf(signal.values).any():
        raise ValueError("signal: expected finite values or NaN for gaps, got infinity; mark the samples as NaN")
    return ds


def check_rate(value: Any) -> float:
    """Give a sampling rate as a float; anything but a finite number > 0 is an error."""
    try:
        rate = float(value)
    except (TypeError, ValueError):
        raise TypeError(f"sampling_rate: expected a number in Hz, got {value!r}") from None
    if not np.isfinite(rate) or rate <= 0:
        raise ValueError(f"sampling_rate: expected a finite number > 0 in Hz, got {value!r}")
    return rate


def _check_names(ds: xr.Dataset) -> None:
    for name in ("record", "lead"):
        values = ds[name].values.tolist()
        if not all(isinstance(v, str) for v in values):
            raise TypeError(f"{name}: expected text, got dtype {ds[name].dtype}; use .astype(str)")
        if len(set(values)) != len(values):
            twice = next(v for i, v in enumerate(values) if v in values[:i])
            raise ValueError(f"{name}: expected each name once, got {twice!r} more than once; rename one of them")
    for lead in ds["lead"].values.tolist():
        if canonical_lead(lead) != lead:
            raise ValueError(
                f"lead: expected {canonical_lead(lead)!r}, got {lead!r}; use from_arrays, or assign_coords(lead=...)"
            )


def _check_time(ds: xr.Dataset) -> None:
    time = ds["time"]
    if time.dtype != np.float64:
        raise TypeError(f"time: expected float64 seconds from the start, got {time.dtype}; use np.arange(n) / rate")
    if time.attrs.get("units") != "s":
        raise ValueError(f"time.attrs['units']: expected 's', got {time.attrs.get('units')!r}")
    if "sampling_rate" not in time.attrs:
        raise ValueError("time.attrs['sampling_rate']: expected the rate in Hz, got none; set it")
    rate = check_rate(time.attrs["sampling_rate"])
    index = ds.xindexes.get("time")
    if isinstance(index, SampleIndex) and abs(index.rate * time.size / rate - time.size) <= _JITTER:
        return  # regular by construction, and too long to be written out
    values = time.values
    if not np.abs((values - values[0]) * rate - np.arange(values.size)).max() <= _JITTER:  # True for NaN as well
        step = float(np.median(np.diff(values))) if values.size > 1 else float("nan")
        raise ValueError(
            f"time: expected steps of {1 / rate:.6g} s (attrs['sampling_rate'] = {rate:g} Hz), got a median step of "
            f"{step:.6g} s or an irregular axis; use resample() to change the rate, and NaN in signal for gaps"
        )


def _check_optional(ds: xr.Dataset) -> None:
    allowed: dict[str, tuple[tuple[str, ...], ...]] = {
        "wave": (("record", "time"), ("record", "lead", "time")),
        "wave_known": (("record", "time"), ("record", "lead", "time")),
        "beat": (("record", "nth_beat"),),
        "beat_time": (("record", "nth_beat"),),
        "beat_known": (("record", "time"),),
        "label": (("record", "target"),),
        "patient": (("record",),),
        "end": (("record",),),
        "adc_step": (("record", "lead"),),
    }
    for name, dims in allowed.items():
        if name in ds and ds[name].dims not in dims:
            raise ValueError(f"{name}: expected dims {' or '.join(map(str, dims))}, got {ds[name].dims}")
    if "wave" in ds:
        wave = ds["wave"]
        if wave.dtype != np.int8:
            raise TypeError(f"wave: expected dtype int8, got {wave.dtype}; use .astype('int8')")
        if not is_lazy(wave) and not ((wave.values >= 0) & (wave.values < len(WAVES))).all():
            raise ValueError(f"wave: expected 0 none, 1 P, 2 QRS, 3 T, got {np.unique(wave.values).tolist()}")
    if "wave_known" in ds:
        if ds["wave_known"].dtype != bool:
            raise TypeError(f"wave_known: expected dtype bool, got {ds['wave_known'].dtype}; use .astype(bool)")
        if "wave" not in ds or ds["wave"].dims != ds["wave_known"].dims:
            raise ValueError("wave_known: expected the variable 'wave' with the same dims beside it; drop or add one")
    if "label" in ds and "target" not in ds.coords:
        raise ValueError("label: expected a coordinate 'target' with the names of the targets, got none")


def _check_beats(ds: xr.Dataset) -> None:
    if not {"beat", "beat_time", "beat_known"} & set(ds.variables):
        return
    kinds = {"beat": np.dtype(np.int8), "beat_time": np.dtype(np.float64), "beat_known": np.dtype(bool)}
    for name, dtype in kinds.items():
        if name not in ds:
            raise ValueError(f"{name}: expected it beside the other variables of beats, got none; drop or add them all")
        if ds[name].dtype != dtype:
            raise TypeError(f"{name}: expected dtype {dtype}, got {ds[name].dtype}; use .astype({str(dtype)!r})")
    if is_lazy(ds["beat"]) or is_lazy(ds["beat_time"]):
        return
    beat, time = ds["beat"].values, ds["beat_time"].values
    if strange := sorted(set(np.unique(beat).tolist()) - {0, *BEATS}):
        raise ValueError(f"beat: expected 0 none, or codes of beats {sorted(BEATS)}, got {strange[:5]}")
    if not np.array_equal(np.isnan(time), beat == 0) or (np.diff(time, axis=1) < 0).any():
        raise ValueError("beat_time: expected ascending s for each beat, NaN where beat is 0, got others")
