"""Waves and intervals found by NeuroKit2, for recordings that nobody annotated, with what it does not find.

NeuroKit2 (Makowski et al. 2021, doi 10.3758/s13428-020-01516-y) delineates one lead; it also finds waves that are not
there, P in atrial fibrillation for one. So its results carry the share of waves not found and the agreement of leads,
and where experts have annotated, their annotation is the truth.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from ecg_widget.formats.ludb import waves
from ecg_widget.records import WAVES, validate_ecg

__all__ = ["INTERVALS", "delineate", "intervals"]

LEADS_TO_DELINEATE = ("II", "V2", "V5")  # inferior, anterior, lateral: one of them shows what another hides
INTERVALS = ("heart_rate", "rr_sd", "p_duration", "pr", "qrs", "qt", "qtc", "p_found", "t_found", "qrs_found")
"""Per minute; s; s; s; s; s; s (Bazett); share of beats; share of beats; share of beats."""

_MARKS = {"P": ("P_Onsets", "P_Peaks", "P_Offsets"), "QRS": ("R_Onsets", "R_Peaks", "R_Offsets"),
          "T": ("T_Onsets", "T_Peaks", "T_Offsets")}  # fmt: skip
_SYMBOLS = {"P": "p", "QRS": "N", "T": "t"}
_Beats = dict[str, np.ndarray]


def delineate(ds: xr.Dataset, *, leads: Sequence[str] = LEADS_TO_DELINEATE, method: str = "dwt") -> xr.Dataset:
    """Add waves found by NeuroKit2.

    Parameters
    ----------
    ds
        Of the data contract.
    leads
        Delineated one by one; a sample holds what most of them say.
    method
        Of `neurokit2.ecg_delineate`: ``"dwt"``, ``"cwt"`` or ``"prominence"``.

    Returns
    -------
    xarray.Dataset
        `ds` with ``wave (record, time)``; ``wave_known (record, time)`` bool, False before the first mark, behind the
        last and beside marks that are lacking; ``not_found (record, landmark)``, the share of onsets, peaks and ends of
        P, QRS and T that were not found, 1 where nothing was; ``lead_agreement (record)``, the mean share of samples
        on which two leads agree where both are known. ``attrs["wave_source"]`` names the method.

    Raises
    ------
    ImportError
        NeuroKit2 is not installed.
    ValueError
        A lead that is not there.

    Examples
    --------
    >>> import ecg_widget as ecg
    >>> found = delineate(ecg.simulate(1, seed=0)[["signal"]])
    >>> found["wave"].dims, found["not_found"].sizes["landmark"]
    (('record', 'time'), 3)
    """
    nk = _neurokit()
    validate_ecg(ds)
    if absent := [lead for lead in leads if lead not in ds["lead"].values]:
        raise ValueError(f"leads: expected some of {ds['lead'].values.tolist()}, got {absent}; state them with leads=")
    rate, n_time = float(ds["time"].attrs["sampling_rate"]), ds.sizes["time"]
    shape = (ds.sizes["record"], n_time)
    wave, known = np.zeros(shape, np.int8), np.zeros(shape, bool)
    lacking, agreement = np.ones((shape[0], len(_MARKS))), np.full(shape[0], np.nan)
    for record in range(shape[0]):
        signal = ds["signal"].isel(record=record).sel(lead=list(leads)).values
        beats = [_beats(nk, lead, rate, method) for lead in signal]
        tracks = [_track(b, n_time) for b in beats]
        wave[record], known[record] = _majority([np.where(k, w, -1) for w, k in tracks])
        lacking[record] = np.mean([_lacking(b) for b in beats], axis=0)
        agreement[record] = _agreement([np.where(k, w, -1) for w, k in tracks])
    out = ds.drop_vars(["wave", "wave_known"], errors="ignore").assign(
        wave=(("record", "time"), wave, {"flag_values": list(range(len(WAVES))), "flag_meanings": " ".join(WAVES)}),
        wave_known=(("record", "time"), known),
        not_found=(("record", "landmark"), lacking, {"units": "1"}),
        lead_agreement=(("record",), agreement, {"units": "1"}),
    )
    source = f"NeuroKit2 {nk.__version__} ecg_delineate({method!r}) of {', '.join(leads)}"
    return out.assign_coords(landmark=list(_MARKS)).assign_attrs(wave_source=source)


def intervals(ds: xr.Dataset, *, lead: str = "II", method: str = "dwt") -> xr.DataArray:
    """Heart rate and the intervals a reader measures, by NeuroKit2: what a surrogate knows without any network.

    Parameters
    ----------
    ds
        Of the data contract.
    lead
        The one that is measured.
    method
        Of `neurokit2.ecg_delineate`.

    Returns
    -------
    xarray.DataArray
        ``(record, feature)`` float32 with the features `INTERVALS`: medians over the beats, and the shares of beats
        whose P, T and QRS were found with both ends; NaN where a record gives none.

    Raises
    ------
    ImportError
        NeuroKit2 is not installed.
    KeyError
        The lead is not there.

    Examples
    --------
    >>> import ecg_widget as ecg
    >>> ds = ecg.simulate(1, seed=0)
    >>> 40 < float(intervals(ds).sel(feature="heart_rate")[0]) < 180
    True
    """
    nk = _neurokit()
    rate = float(ds["time"].attrs["sampling_rate"])
    values = [_measures(_beats(nk, x, rate, method), rate) for x in ds["signal"].sel(lead=lead).values]
    return xr.DataArray(
        np.asarray(values, np.float32),
        dims=("record", "feature"),
        coords={"record": ds["record"].values, "feature": list(INTERVALS)},
        attrs={"lead": lead, "source": f"NeuroKit2 {nk.__version__} ecg_delineate({method!r})"},
        name="intervals",
    )


def _neurokit() -> Any:
    try:
        import neurokit2  # noqa: PLC0415  (an extra: needed here alone)
    except ImportError as error:
        raise ImportError(
            'delineation: expected the package neurokit2, got none; pip install "ecg-widget[evaluation]"'
        ) from error
    return neurokit2


def _beats(nk: Any, signal: np.ndarray, rate: float, method: str) -> _Beats:
    """Samples of the marks, one entry a beat and NaN where not found; empty where the lead has no rhythm."""
    none = {name: np.empty(0) for names in _MARKS.values() for name in names}
    gap = np.isnan(signal)
    if gap.all() or np.ptp(signal[~gap]) == 0:
        return none
    whole = np.interp(np.arange(len(signal)), np.flatnonzero(~gap), signal[~gap]).astype(float)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of short signals and of empty slices; what it lacks is counted
        try:
            clean = nk.ecg_clean(whole, sampling_rate=int(rate))
            peaks = np.asarray(nk.ecg_peaks(clean, sampling_rate=int(rate))[1]["ECG_R_Peaks"], float)
            found = nk.ecg_delineate(clean, peaks.astype(int), sampling_rate=int(rate), method=method)[1]
        except Exception:  # noqa: BLE001  (it raises many kinds on signals without beats: then nothing was found)
            return none
    out = {name: np.asarray(found.get(f"ECG_{name}", []), float) for name in none if name != "R_Peaks"}
    return {**{k: v if len(v) == len(peaks) else np.full(len(peaks), np.nan) for k, v in out.items()}, "R_Peaks": peaks}


def _track(beats: _Beats, n_time: int) -> tuple[np.ndarray, np.ndarray]:
    marks: list[tuple[int, str]] = []
    for wave, names in _MARKS.items():
        symbols = ("(", _SYMBOLS[wave], ")")
        for name, symbol in zip(names, symbols, strict=True):
            at = beats[name]
            marks += [(int(a), symbol) for a in at[np.isfinite(at)] if 0 <= a < n_time]
    marks.sort(key=lambda mark: mark[0])
    return waves([at for at, _ in marks], [symbol for _, symbol in marks], n_time)


def _majority(tracks: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """What most of the leads that know say; the first of `WAVES` of equals. Known where half of the leads know."""
    votes = np.stack([sum((t == k).astype(int) for t in tracks) for k in range(len(WAVES))])
    return votes.argmax(axis=0).astype(np.int8), votes.sum(axis=0) * 2 >= len(tracks)


def _agreement(tracks: Sequence[np.ndarray]) -> float:
    pairs = [(a, b) for i, a in enumerate(tracks) for b in tracks[:i]]
    shares = [float((a == b)[use].mean()) for a, b in pairs if (use := (a >= 0) & (b >= 0)).any()]
    return float(np.mean(shares)) if shares else float("nan")


def _lacking(beats: _Beats) -> list[float]:
    each = [np.concatenate([beats[name] for name in names]) for names in _MARKS.values()]
    return [float(np.isnan(values).mean()) if len(values) else 1.0 for values in each]


def _measures(beats: _Beats, rate: float) -> list[float]:
    peaks = beats["R_Peaks"] / rate
    rr = np.diff(peaks)
    middle = float(np.median(rr)) if len(rr) else float("nan")
    spans = {
        "p": ("P_Onsets", "P_Offsets"),
        "pr": ("P_Onsets", "R_Onsets"),
        "qrs": ("R_Onsets", "R_Offsets"),
        "qt": ("R_Onsets", "T_Offsets"),
        "t": ("T_Onsets", "T_Offsets"),
    }
    length = {name: (beats[b] - beats[a]) / rate for name, (a, b) in spans.items()}
    median = {
        n: float(np.median(v[np.isfinite(v)])) if np.isfinite(v).any() else float("nan") for n, v in length.items()
    }
    found = [float(np.isfinite(length[n]).mean()) if len(peaks) else float("nan") for n in ("p", "t", "qrs")]
    spread = float(rr.std()) if len(rr) else float("nan")
    qtc = median["qt"] / np.sqrt(middle)
    return [60 / middle, spread, median["p"], median["pr"], median["qrs"], median["qt"], qtc, *found]
