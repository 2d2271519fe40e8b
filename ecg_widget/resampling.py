"""Change of sampling rate; public as `ecg_widget.records.resample`."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import xarray as xr
from scipy import signal as dsp

_HALF_LENGTH = 20  # samples of the slower rate on each side of the filter's centre
_BETA = 8.0  # Kaiser: 80 dB stop band, so that what aliases stays under one step of a 12-bit converter
_LARGEST_RATIO = 10_000  # the filter has 40 taps for each: above, a rate is a typing error more often than a wish


def resample(ds: xr.Dataset, rate: float) -> xr.Dataset:
    """See `ecg_widget.records.resample`; `ds` is valid and `rate` positive here."""
    old = float(ds["time"].attrs["sampling_rate"])
    if rate == old:
        return ds
    up, down = _ratio(old, rate)
    known = {"signal", "wave", "wave_known", "beat_known", "adc_step"}
    for name, variable in (*ds.data_vars.items(), *ds.coords.items()):
        if "time" in variable.dims and name not in known | {"time"}:
            raise ValueError(f"{name}: no rule to bring this variable to another rate; drop it with ds.drop_vars")
    n_old = ds.sizes["time"]
    n_new = -(-n_old * up // down)
    window = dsp.firwin(2 * _HALF_LENGTH * max(up, down) + 1, 1 / max(up, down), window=("kaiser", _BETA))
    # Padding by whole input periods of the ratio keeps the grid. SciPy's own padtype="antireflect" does the same but
    # kills the process (SIGFPE) on a single sample.
    periods = -(-_HALF_LENGTH * max(up, down) // (up * down)) + 1
    edge, skip = periods * down, periods * up
    values = np.asarray(ds["signal"].values)
    out = np.empty((*values.shape[:2], n_new), np.float32)
    position = np.arange(n_new) * down  # in 1/up of an old sample
    before = np.minimum(position // up, n_old - 1)
    after = np.minimum(-(-position // up), n_old - 1)
    for record, leads in enumerate(values):  # one record at a time: float64 copies of a corpus would not fit
        gap = np.isnan(leads)
        whole = np.where(gap, 0, leads).astype(np.float64)
        if gap.any():
            whole = _bridge(whole, gap)
        level = whole.mean(axis=1, keepdims=True)  # filtering around the mean keeps a constant exactly constant
        padded = np.pad(whole - level, ((0, 0), (edge, edge)), mode="reflect", reflect_type="odd")
        fresh = dsp.resample_poly(padded, up, down, axis=1, window=window)[:, skip : skip + n_new] + level
        fresh[gap[:, before] | gap[:, after]] = np.nan
        out[record] = fresh
    time = xr.Variable(
        "time", float(ds["time"][0]) + np.arange(n_new) / rate, {**ds["time"].attrs, "sampling_rate": rate}
    )
    nearest = np.minimum((2 * position + up) // (2 * up), n_old - 1)
    rest = ds.drop_vars(["signal", "adc_step", "time"], errors="ignore").isel(time=nearest, missing_dims="ignore")
    step = f"resampled from {old:g} Hz to {rate:g} Hz"
    filters = "; ".join(text for text in (str(ds.attrs.get("filters", "")), step) if text)
    return (
        rest.assign(signal=(ds["signal"].dims, out, ds["signal"].attrs))
        .assign_coords(time=time)
        .assign_attrs(filters=filters)[[name for name in ds.data_vars if name != "adc_step"]]
    )


def _ratio(old: float, new: float) -> tuple[int, int]:
    ratio = Fraction(new / old).limit_denominator(_LARGEST_RATIO)
    if not 0 < ratio.numerator <= _LARGEST_RATIO or abs(float(ratio) * old / new - 1) > 1e-9:
        raise ValueError(
            f"sampling_rate: expected a ratio of whole numbers up to {_LARGEST_RATIO} to the present {old:g} Hz, "
            f"got {new:g} Hz; round the rate"
        )
    return ratio.numerator, ratio.denominator


def _bridge(leads: np.ndarray, gap: np.ndarray) -> np.ndarray:
    """Straight lines over gaps, so that the filter meets no jump; the caller blanks them afterwards."""
    out = leads.copy()
    at = np.arange(leads.shape[1])
    for row, hole in zip(out, gap, strict=True):
        if hole.any() and not hole.all():
            row[hole] = np.interp(at[hole], at[~hole], row[~hole])
    return out
