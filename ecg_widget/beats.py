"""Heart beats of one recording for the page's panels: R peaks, and the wave that each cell lies in."""

from __future__ import annotations

import numpy as np
import xarray as xr

BAND = (8.0, 25.0)  # Hz, where QRS stands out from P, T, drift and hum
REFRACTORY = 0.25  # s, below which no heart beats again
SHARE = 0.4  # of the usual height of a beat, above which there is one
BLOCK = 2.0  # s, in which every heart above 30 a minute beats
LEAST = 0.02  # mV in the band, summed over the leads: less is noise
UNKNOWN = -1


def r_peaks(ecg: xr.DataArray) -> np.ndarray:
    """Moment of the greatest deflection over all leads in each QRS.

    The energy between 8 and 25 Hz of all leads together, smoothed over 80 ms, has a hump for each QRS; a beat is a hump
    of at least 0.4 of the usual height (median of the greatest in each 2 s), 250 ms from any higher one. Its R peak is
    where the leads together are farthest from the baseline, within 60 ms. Gaps count as zero.

    Parameters
    ----------
    ecg
        ``(lead, time)`` in mV; coord ``time`` in s, evenly spaced.

    Returns
    -------
    numpy.ndarray
        ``(beat,)`` float64, s, ascending; empty where the recording is shorter than a second, sampled at less than
        60 Hz, or flat.

    Raises
    ------
    ValueError
        Dims that are not ``(lead, time)``.

    Examples
    --------
    >>> import ecg_widget as ecg
    >>> r_peaks(ecg.simulate(1)["signal"][0])[:3].round(2).tolist()
    [0.37, 1.26, 2.16]
    """
    from scipy import ndimage, signal  # noqa: PLC0415  (slow to import)

    if set(ecg.dims) != {"lead", "time"}:
        raise ValueError(f"ecg: expected dims (lead, time), got {ecg.dims}; choose one record with .sel(record=...)")
    time = ecg["time"].values.astype(float)
    if len(time) < 2:
        return np.zeros(0)
    rate = (len(time) - 1) / (time[-1] - time[0])
    if len(time) < rate or rate < 60:  # the band must lie below half of the rate
        return np.zeros(0)
    x = np.nan_to_num(ecg.transpose("lead", "time").values.astype(float))
    x -= np.median(x, axis=1, keepdims=True)
    band = signal.sosfiltfilt(signal.butter(2, BAND, "bandpass", fs=rate, output="sos"), x, axis=1)
    energy = ndimage.uniform_filter1d(np.sqrt((band**2).sum(0)), max(1, round(0.08 * rate)))
    block = round(BLOCK * rate)
    usual = float(np.median([energy[i : i + block].max() for i in range(0, len(energy), block)]))
    if usual < LEAST:
        return np.zeros(0)
    humps = signal.find_peaks(energy, height=SHARE * usual, distance=max(1, round(REFRACTORY * rate)))[0]
    drift = signal.butter(2, 0.5, "highpass", fs=rate, output="sos")
    away = np.sqrt((signal.sosfiltfilt(drift, x, axis=1) ** 2).sum(0))
    reach = round(0.06 * rate)
    found = [max(h - reach, 0) + int(away[max(h - reach, 0) : h + reach + 1].argmax()) for h in humps]
    return np.asarray(time[np.unique(np.array(found, int))])


def cell_waves(ds: xr.Dataset, centre: np.ndarray) -> np.ndarray:
    """Wave that the middle of each cell lies in, as most leads of a record have it.

    Parameters
    ----------
    ds
        One record with ``wave (time)`` or ``(lead, time)``; where only parts were marked also ``wave_known``.
    centre
        ``(cell,)`` s.

    Returns
    -------
    numpy.ndarray
        ``(cell,)`` int8: codes of ``wave``; -1 where no lead is marked there, or outside the recording.

    Raises
    ------
    ValueError
        No variable ``wave``.

    Examples
    --------
    >>> import ecg_widget as ecg
    >>> one = ecg.simulate(1).isel(record=0)
    >>> cell_waves(one, r_peaks(one["signal"])[:4]).tolist()  # 2 = QRS
    [2, 2, 2, 2]
    """
    if "wave" not in ds:
        raise ValueError(f"ds: expected a variable 'wave', got {sorted(map(str, ds.data_vars))}")
    wave = ds["wave"] if "lead" in ds["wave"].dims else ds["wave"].expand_dims("lead")
    codes = wave.transpose("lead", "time").values
    known = np.ones(codes.shape, bool)
    if "wave_known" in ds:
        marked = ds["wave_known"] if "lead" in ds["wave_known"].dims else ds["wave_known"].expand_dims("lead")
        known = np.broadcast_to(marked.transpose("lead", "time").values, codes.shape)
    time = ds["time"].values
    out = np.full(len(centre), UNKNOWN, np.int8)
    if len(time) < 2:
        return out
    step = (time[-1] - time[0]) / (len(time) - 1)
    at = np.rint((centre - time[0]) / step).astype(int)
    inside = (at >= 0) & (at < len(time))
    codes, known = codes[:, at[inside]], known[:, at[inside]]
    votes = np.stack([((codes == code) & known).sum(0) for code in range(int(codes.max(initial=0)) + 1)])
    out[inside] = np.where(votes.sum(0) > 0, votes.argmax(0), UNKNOWN)
    return out
