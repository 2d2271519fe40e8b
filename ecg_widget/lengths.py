"""Records of several lengths in one set: where each ends, so that what fills up the axis is never taken for signal.

A ragged set has the coordinate ``end (record)`` in s on the axis ``time``, one sample interval behind the record's last
sample; ``signal`` is NaN from there. A time rather than a number of samples: it stays true where the set is resampled
or cut in time.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import xarray as xr

__all__ = ["END", "by_length", "is_ragged", "own_cells", "own_samples", "trimmed", "with_ends"]

END = "end"
_ATTRS = {"units": "s", "long_name": "one sample interval behind the last sample"}


def with_ends(ds: xr.Dataset, n_samples: np.ndarray) -> xr.Dataset:
    """Say how many samples each record has, from the beginning of ``time``.

    Examples
    --------
    >>> import ecg_widget as ecg
    >>> with_ends(ecg.simulate(2, duration=10), np.array([2500, 5000]))["end"].values.tolist()
    [5.0, 10.0]
    """
    rate, start = float(ds["time"].attrs["sampling_rate"]), float(ds["time"][0])
    return ds.assign_coords({END: ("record", start + n_samples / rate, _ATTRS)})


def own_samples(ds: xr.Dataset) -> np.ndarray:
    """How many samples of ``time`` lie before the end of each record ``(record,)``.

    Examples
    --------
    >>> import ecg_widget as ecg
    >>> own_samples(ecg.simulate(2, duration=10)).tolist()
    [5000, 5000]
    """
    n = ds.sizes["time"]
    if END not in ds.coords:
        return np.full(ds.sizes["record"], n)
    rate, start = float(ds["time"].attrs["sampling_rate"]), float(ds["time"][0])
    return np.clip(np.rint((ds[END].values - start) * rate), 0, n).astype(np.int64)


def is_ragged(ds: xr.Dataset) -> bool:
    """Whether a record ends before ``time`` does."""
    return END in ds.coords and bool((own_samples(ds) < ds.sizes["time"]).any())


def trimmed(ds: xr.Dataset) -> xr.Dataset:
    """Records of one length without what fills up the axis behind them.

    Raises
    ------
    ValueError
        They differ in length; none has a sample on this axis.

    Examples
    --------
    >>> import ecg_widget as ecg
    >>> ds = with_ends(ecg.simulate(2, duration=10), np.array([2500, 5000]))
    >>> trimmed(ds.isel(record=[0])).sizes["time"]
    2500
    """
    if not is_ragged(ds):
        return ds.drop_vars(END, errors="ignore")
    lengths = np.unique(own_samples(ds))
    if len(lengths) > 1:
        rate = float(ds["time"].attrs["sampling_rate"])
        raise ValueError(
            f"time: expected records of one length, got {len(lengths)} lengths from {lengths[0] / rate:g} to "
            f"{lengths[-1] / rate:g} s (coordinate 'end'); choose those of one, as in "
            f"ds.isel(record=ds['end'].values == ds['end'].values[0])"
        )
    if lengths[0] == 0:
        raise ValueError("time: expected samples before the records' end, got none: they end before this axis begins")
    return ds.isel(time=slice(int(lengths[0]))).drop_vars(END)


def by_length(ds: xr.Dataset) -> Iterator[tuple[np.ndarray, xr.Dataset]]:
    """Records of one length together: which they are ``(n,)``, and these alone, trimmed; the shortest first."""
    own = own_samples(ds)
    for length in np.unique(own):
        rows = np.flatnonzero(own == length)
        yield rows, trimmed(ds.isel(record=rows))


def own_cells(layer: xr.DataArray, centres: np.ndarray) -> np.ndarray:
    """Which cells of a grid belong to one record whose layer ``(record=1, cell, ...)`` says how many it has.

    Parameters
    ----------
    layer
        With the coordinate ``n_cells (record)`` where records differ in length.
    centres
        Of the other grid, s.
    """
    if "n_cells" not in layer.coords or (n := int(layer["n_cells"].values[0])) >= layer.sizes["cell"]:
        return np.ones(len(centres), bool)
    edge = layer["centre"].values[n - 1] + layer.attrs["stride"] / 2
    return np.asarray(centres < edge)
