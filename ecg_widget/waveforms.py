"""Recordings as they travel to the page: int16, losslessly wherever a converter made them; long ones in parts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from ecg_widget.beats import r_peaks
from ecg_widget.explorer import Explorer
from ecg_widget.pyramid import BLOCK
from ecg_widget.quality import told
from ecg_widget.wire import quantise

MAX_SAMPLES = 60_000  # a lead; more are decimated to the screen
COLUMNS = 6_000  # of a decimated span: three screens of 2000 pixels
OVERVIEW_COLUMNS = 1_024


def waveform(explorer: Explorer, record: str, span: Sequence[float] = ()) -> xr.Dataset:
    """The recording of one record, or a span of a long one, for the page.

    Parameters
    ----------
    explorer, record
        Whose recording.
    span
        Beginning and end in s, see `ecg_widget.windows.Windows.span`.

    Returns
    -------
    xarray.Dataset
        ``signal (lead, time)`` int16 with ``attrs["scale"]`` in mV for each lead. attrs: ``record``,
        ``sampling_rate`` of what is given (Hz), ``source``, ``filters``, ``quantisation_error`` (mV), ``findings`` (see
        `ecg_widget.quality.told`); of a long recording also ``span`` (s), ``decimation`` and
        ``sampling_rate_recorded``: with a decimation of n > 1, of every n samples the least and the greatest are given
        in the order in which they occurred, so that no peak is lost. Coord ``r_peak (beat)`` in s where not decimated.

    Examples
    --------
    >>> import ecg_widget as ecg
    >>> one = waveform(ecg.Explorer(ecg.load_network(), ecg.load_example()), "example")
    >>> one["signal"].dtype, one["signal"].shape, one.attrs["quantisation_error"] < 1e-6
    (dtype('int16'), (12, 10000), True)
    """
    shown = explorer.windows.span(span)
    rate = explorer.windows.rate
    attrs = {"record": record, "sampling_rate": rate, **_facts(explorer.ds), "findings": told(explorer.ds, record)}
    if shown is not None:
        n = round((shown[1] - shown[0]) * rate)
        decimation = 1 if n <= MAX_SAMPLES else -(-n // COLUMNS)
        if decimation > BLOCK:  # whole blocks: once the pyramid is built, no sample is read for them
            decimation = -(-decimation // BLOCK) * BLOCK
        attrs |= {"span": list(shown), "decimation": decimation, "sampling_rate_recorded": rate}
        if decimation > 1:
            attrs["sampling_rate"] = 2 * rate / decimation
            one = explorer.pyramid(record).decimated(*shown, decimation)
            return _quantised(one, attrs)
    one = explorer.signal(record, span)["signal"].drop_vars("record")
    peaks = {"r_peak": ("beat", r_peaks(one), {"units": "s"})} if one.sizes["time"] <= MAX_SAMPLES else {}
    return _quantised(one, attrs).assign_coords(peaks)


def overview(explorer: Explorer, record: str) -> xr.Dataset | None:
    """Least and greatest of every lead of a long recording as far as it has been read; None where it is not long.

    Returns
    -------
    xarray.Dataset
        ``envelope (lead, column, bound)`` int16 with ``attrs["scale"]``, bound: least, greatest; ``-32768`` where
        nothing has been read yet or all is a gap; ``column_centre (column)`` in s. attrs: ``record``, ``start`` and
        ``end`` in s, ``sampling_rate`` in Hz, ``read`` from 0 to 1.
    """
    windows = explorer.windows
    if not windows.long:
        return None
    pyramid = explorer.pyramid(record)
    read = pyramid.read
    bounds = pyramid.envelope(windows.start, windows.end, OVERVIEW_COLUMNS, wait=False)
    n_leads, columns, _ = bounds.shape
    flat = xr.DataArray(bounds.reshape(n_leads, -1), dims=("lead", "time"))
    quantised, _ = quantise(flat)
    centre = windows.start + (np.arange(columns) + 0.5) * (windows.end - windows.start) / columns
    return xr.Dataset(
        {
            "envelope": (
                ("lead", "column", "bound"),
                quantised.values.reshape(bounds.shape),
                {"units": "mV", "scale": quantised.attrs["scale"]},
            )
        },
        {
            "lead": ("lead", explorer.ds["lead"].values.astype(str)),
            "column_centre": ("column", centre, {"units": "s"}),
        },
        {
            "record": record,
            "start": windows.start,
            "end": windows.end,
            "sampling_rate": windows.rate,
            "read": float(read),
        },
    )


def _quantised(signal: xr.DataArray, attrs: dict[str, object]) -> xr.Dataset:
    others = [name for name in signal.coords if name not in ("lead", "time")]  # who the patient is stays here
    values, error = quantise(signal.drop_vars(others))
    return xr.Dataset({"signal": values}, attrs={**attrs, "quantisation_error": error})


def _facts(ds: xr.Dataset) -> dict[str, str]:
    source = ds.attrs.get("source", "")
    return {"source": source if isinstance(source, str) else "", "filters": str(ds.attrs.get("filters", ""))}
