"""Leads and signals made from others by explicit steps, each of which is recorded."""

from __future__ import annotations

import numpy as np
import xarray as xr

from ecg_widget.leads import lead_order
from ecg_widget.validation import check_rate, validate_ecg

__all__ = ["derive_leads", "filter_ecg"]

_ORDER = 4  # of the Butterworth filters in each direction
_NOTCH_Q = 30.0  # width of the notch: frequency / 30 at -3 dB, in each direction


def derive_leads(ds: xr.Dataset, method: str = "limb") -> xr.Dataset:
    """Add leads that are missing, computed from others by a published linear map.

    ================= ============================ ======================== ====================================
    method            needs                        gives                    published by
    ================= ============================ ======================== ====================================
    ``limb``          I, II                        III, aVR, aVL, aVF       Einthoven 1912, Goldberger 1942
    ``dower``         X, Y, Z                      the twelve               Dower et al. 1980
    ``easi``          ES, AS, AI                   the twelve               Feild et al. 2002
    ``inverse dower`` I, II, V1 to V6              X, Y, Z                  Edenbrandt and Pahlm 1988
    ``kors``          I, II, V1 to V6              X, Y, Z                  Kors et al. 1990
    ================= ============================ ======================== ====================================

    The first is exact: III = II - I, aVR = -(I + II) / 2, aVL = I - II / 2, aVF = II - I / 2. The others are
    regressions, and what they give is not what electrodes would have measured. X, Y, Z are Frank's leads, to the left,
    the feet and the back; ``vx`` and the like are understood.

    Parameters
    ----------
    ds
        Of the contract, with the leads that the method needs. Samples that are still in a file are read.
    method
        Of the table.

    Returns
    -------
    xarray.Dataset
        With the leads in canonical order; ``ds`` itself where none is missing; leads that are there stay as they are.
        ``attrs["derived_leads"]`` names them, ``attrs["derivations"]`` says how each came. A gap in a lead that is
        needed is one in them. Other variables along leads are NaN for the new ones; ``wave`` with leads is refused.

    Raises
    ------
    ValueError
        Another method, a lead that it needs is missing, or a variable that cannot be continued.

    Examples
    --------
    >>> from ecg_widget import load_example
    >>> ds = derive_leads(load_example().sel(lead=["I", "II"]))
    >>> ds.lead.values.tolist(), ds.attrs["derived_leads"]
    (['I', 'II', 'III', 'aVR', 'aVL', 'aVF'], 'III, aVR, aVL, aVF')
    >>> derive_leads(load_example(), "kors").lead.values.tolist()[-3:]
    ['X', 'Y', 'Z']
    """
    from ecg_widget.lead_systems import SYSTEMS, lead_named  # noqa: PLC0415  (brings the model of the heart)

    validate_ecg(ds)
    if method not in SYSTEMS:
        raise ValueError(f"method: expected one of {', '.join(SYSTEMS)}, got {method!r}")
    system = SYSTEMS[method]
    there = [str(lead) for lead in ds["lead"].values]
    spelled = [lead_named(lead) for lead in there]
    if missing := [lead for lead in system.needs if lead not in spelled]:
        raise ValueError(
            f"lead: expected {', '.join(system.needs)}, to derive others from, got no {' and no '.join(missing)}"
        )
    if twice := [lead for lead in system.needs if spelled.count(lead) > 1]:
        raise ValueError(f"lead: expected {twice[0]} once, got {[n for n in there if lead_named(n) == twice[0]]}")
    rows = [i for i, lead in enumerate(system.gives) if lead not in spelled]
    new = [system.gives[i] for i in rows]
    if not new:
        return ds
    for name, variable in ds.data_vars.items():
        if "lead" in variable.dims and name != "signal" and variable.dtype.kind != "f":
            raise ValueError(f"{name}: no rule to give this variable to derived leads; drop it with ds.drop_vars")
    values = ds["signal"].values
    needed = [spelled.index(lead) for lead in system.needs]
    out = np.empty((values.shape[0], len(there) + len(new), values.shape[2]), np.float32)
    for old, whole in zip(values, out, strict=True):  # one record at a time: float64 copies of a corpus would not fit
        whole[: len(there)] = old
        whole[len(there) :] = system.matrix[rows] @ old[needed].astype(np.float64)
    names = [*there, *new]
    wide = ds.drop_vars("signal").reindex(lead=names)
    wide = wide.assign(signal=(ds["signal"].dims, out, ds["signal"].attrs))[list(ds.data_vars)]
    told = ", ".join([*_derived(ds), *new])
    how = f"{', '.join(new)} from {', '.join(there[i] for i in needed)}: {method} ({system.source})"
    how = "; ".join(text for text in (str(ds.attrs.get("derivations", "")), how) if text)
    return validate_ecg(wide.isel(lead=lead_order(names)).assign_attrs(_attrs(ds), derived_leads=told, derivations=how))


def _derived(ds: xr.Dataset) -> list[str]:
    """Names of leads that were computed before: a list as readers give it, or text as it is written here."""
    stated = ds.attrs.get("derived_leads", [])
    return [name.strip() for name in stated.split(",") if name.strip()] if isinstance(stated, str) else list(stated)


def filter_ecg(  # noqa: C901  (one check a line)
    ds: xr.Dataset, *, low: float | None = None, high: float | None = None, notch: float | None = None
) -> xr.Dataset:
    """Filter without delay: Butterworth sections of order 4 run forwards and backwards, so -6 dB at the edges.

    Parameters
    ----------
    ds
        Of the contract. Gaps are bridged by straight lines while filtering and are gaps again afterwards.
    low
        Hz: what is slower goes (baseline).
    high
        Hz: what is faster goes (muscle).
    notch
        Hz: what is taken out (mains), 1/30 of it wide.

    Returns
    -------
    xarray.Dataset
        Without ``adc_step``, which no longer holds. ``attrs["filters"]`` names the steps; a quality report is dropped.

    Raises
    ------
    ValueError
        No filter, or a frequency that is not between 0 and half the sampling rate, or `low` not under `high`.

    Examples
    --------
    >>> from ecg_widget import load_example
    >>> filter_ecg(load_example(), low=0.5, notch=50).attrs["filters"].split("; ")[-1]
    'notch 50 Hz (Q 30, zero phase)'
    """
    from scipy import signal as dsp  # noqa: PLC0415  (slow to import)

    validate_ecg(ds)
    rate = check_rate(ds["time"].attrs["sampling_rate"])
    edges = {"low": low, "high": high, "notch": notch}
    given = {name: value for name, value in edges.items() if value is not None}
    if not given:
        raise ValueError("filter: expected at least one of low, high and notch in Hz, got none")
    for name, value in given.items():
        if isinstance(value, bool) or not 0 < float(value) < rate / 2:
            raise ValueError(f"{name}: expected a frequency between 0 and {rate / 2:g} Hz, half the rate, got {value}")
    if low is not None and high is not None and not low < high:
        raise ValueError(f"low, high: expected low < high, got {low} and {high} Hz")
    steps = []
    if low is not None:
        sos = dsp.butter(_ORDER, low, "highpass", fs=rate, output="sos")
        steps.append((sos, 3.0 / low, f"high-pass {low:g} Hz (Butterworth {_ORDER}, zero phase)"))
    if high is not None:
        sos = dsp.butter(_ORDER, high, "lowpass", fs=rate, output="sos")
        steps.append((sos, 3.0 / high, f"low-pass {high:g} Hz (Butterworth {_ORDER}, zero phase)"))
    if notch is not None:
        sos = dsp.tf2sos(*dsp.iirnotch(notch, _NOTCH_Q, fs=rate))
        steps.append((sos, 3.0 * _NOTCH_Q / notch, f"notch {notch:g} Hz (Q {_NOTCH_Q:g}, zero phase)"))
    values = ds["signal"].values
    out = np.empty_like(values)
    for i, leads in enumerate(values):  # one record at a time: float64 copies of a corpus would not fit
        x, gap = leads.astype(np.float64), np.isnan(leads)
        for row, hole in zip(x, gap, strict=True):
            if hole.any():
                at = np.arange(x.shape[1])
                row[hole] = 0.0 if hole.all() else np.interp(at[hole], at[~hole], row[~hole])
        for sos, memory, _ in steps:
            pad = min(x.shape[1] - 1, round(memory * rate))  # as long as the filter remembers
            x = dsp.sosfiltfilt(sos, x, axis=1, padtype="odd" if pad else None, padlen=pad)
        out[i] = np.where(gap, np.nan, x)
    filters = "; ".join(t for t in (str(ds.attrs.get("filters", "")), *(step[2] for step in steps)) if t)
    rest = ds.drop_vars("adc_step", errors="ignore")
    rest.attrs = _attrs(ds)
    return rest.assign(signal=(ds["signal"].dims, out, ds["signal"].attrs)).assign_attrs(filters=filters)


def _attrs(ds: xr.Dataset) -> dict[str, object]:
    """Attrs without a report on the signal as it was."""
    return {str(k): v for k, v in ds.attrs.items() if k != "quality"}
