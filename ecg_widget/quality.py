"""Faults of a recording that a reader should know of: found and reported, never repaired."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import xarray as xr

from ecg_widget.lazy import is_lazy
from ecg_widget.lead_swaps import INDEPENDENT
from ecg_widget.leads import LEADS
from ecg_widget.lengths import own_samples
from ecg_widget.signal_checks import MAINS, Limits, Measures, measure
from ecg_widget.validation import validate_ecg

__all__ = ["annotate", "findings", "quality", "told"]


def quality(ds: xr.Dataset, *, limits: Limits | None = None) -> xr.Dataset:
    """Look for missing, flat, clipped and interchanged leads, gaps, a wrong scale and mains hum.

    An interchange of electrodes is told from the average beat by a model fitted on PTB-XL, and one of limb leads' names
    by their sums (I + III = II and so on). An exchange of LA and LL changes little in most hearts and is mostly missed,
    and so are those of neighbours among V3 to V6. Hum and interchanges are looked for in the middle minute. Hum is
    not looked for where the rate is under 112 Hz (50 Hz) or 132 Hz (60 Hz).

    Parameters
    ----------
    ds
        Of the contract; its samples are read.
    limits
        Where a measure becomes a finding.

    Returns
    -------
    xarray.Dataset
        ``gap`` (share), ``flat`` (s, longest still stretch), ``clipped`` (samples at an extreme) and ``span`` (mV),
        each ``(record, lead)``; ``hum (record, lead, mains)`` in mV, NaN where the rate does not tell; ``algebra
        (record)``, the largest departure from the sums of the limb leads as a share, NaN without them; ``swap
        (record)``, the likeliest interchange or ``""``, and ``swap_odds (record)``, log odds to none, NaN where it was
        not looked for; ``n_findings (record)``. ``attrs["quality"]``: JSON, a list of findings with ``record``,
        ``check``, ``leads``, ``value``, ``units`` and ``text``.

    Raises
    ------
    TypeError, ValueError
        Not of the contract.

    Examples
    --------
    >>> from ecg_widget import load_example
    >>> report = quality(load_example())
    >>> int(report.n_findings[0]), report.attrs["quality"]
    (0, '[]')
    """
    validate_ecg(ds)
    limits = limits or Limits()
    leads = [str(lead) for lead in ds["lead"].values]
    rate = float(ds["time"].attrs["sampling_rate"])
    records = [str(name) for name in ds["record"].values]
    found = [measure(ds["signal"][i, :, :n].values, leads, rate) for i, n in enumerate(own_samples(ds))]
    listed = [findings(m, leads, limits) for m in found]
    told = [{"record": name, **item} for name, items in zip(records, listed, strict=True) for item in items]
    per_lead = ("record", "lead")
    nothing = np.full(len(leads), np.nan)
    return xr.Dataset(
        {
            "gap": (per_lead, np.stack([m.gap for m in found]), {"units": "1"}),
            "flat": (per_lead, np.stack([m.still for m in found]), {"units": "s"}),
            "clipped": (per_lead, np.stack([m.at_extreme for m in found]), {"units": "1"}),
            "span": (per_lead, np.stack([m.span for m in found]), {"units": "mV"}),
            "hum": (
                (*per_lead, "mains"),
                np.stack([np.stack([m.hum.get(f, nothing) for f in MAINS], axis=1) for m in found]),
                {"units": "mV"},
            ),
            "algebra": ("record", [max(m.algebra.values(), default=np.nan) for m in found], {"units": "1"}),
            "swap": ("record", [m.swap[0] if m.swap and m.swap[1] > limits.swap else "" for m in found]),
            "swap_odds": ("record", [m.swap[1] if m.swap else np.nan for m in found], {"units": "1"}),
            "n_findings": ("record", [len(items) for items in listed]),
        },
        coords={"record": records, "lead": leads, "mains": ("mains", list(MAINS), {"units": "Hz"})},
        attrs={"quality": json.dumps(told)},
    )


TOLD = ("flat", "scale", "hum", "lead names", "swap")
MOST_TOLD = 8
LONGEST = 200  # characters of one finding
MOST_RECORDS = 256  # that are looked at without being asked: 3 ms each


def annotate(ds: xr.Dataset, *, check: bool | None) -> xr.Dataset:
    """Put ``quality(ds).attrs["quality"]`` into ``ds.attrs``, as `ecg_widget.records.open_ecg` describes it.

    Raises
    ------
    TypeError
        `check` is not True, False or None.
    """
    if check not in (None, True, False):
        raise TypeError(f"quality: expected True, False or None, got {check!r}")
    small = not is_lazy(ds["signal"]) and ds.sizes["record"] <= MOST_RECORDS
    if not (small if check is None else check):
        # Without a look, a report that the file brings stays; switched off, there is none.
        if check is None or "quality" not in ds.attrs:
            return ds
        out = ds.copy(deep=False)
        del out.attrs["quality"]
        return out
    return ds.assign_attrs(quality=quality(ds).attrs["quality"])


def told(ds: xr.Dataset, record: str) -> list[str]:
    """What the report in ``ds.attrs["quality"]`` says of one record, for who looks at its trace.

    Missing leads, gaps and clipped peaks are left out, which the picture shows itself. A report comes from a file, so
    whatever is not as expected in it is passed over, and what is long is cut.

    Examples
    --------
    >>> report = '[{"record": "a", "check": "hum", "text": "V1: 50 Hz hum of up to 0.1 mV"}]'
    >>> told(xr.Dataset(attrs={"quality": report}), "a"), told(xr.Dataset(attrs={"quality": "{"}), "a")
    (['V1: 50 Hz hum of up to 0.1 mV'], [])
    """
    report = ds.attrs.get("quality")
    try:
        found = json.loads(report) if isinstance(report, str) else []
    except (ValueError, RecursionError):
        return []
    return [
        str(finding["text"])[:LONGEST]
        for finding in (found if isinstance(found, list) else [])
        if isinstance(finding, dict)
        and finding.get("record") == record
        and finding.get("check") in TOLD
        and "text" in finding
    ][:MOST_TOLD]


def findings(measures: Measures, leads: list[str], limits: Limits) -> list[dict[str, Any]]:
    """What of one record's measures passes the limits.

    Parameters
    ----------
    measures
        As `ecg_widget.signal_checks.measure` gives them.
    leads
        Their leads.
    limits
        To hold them against.

    Returns
    -------
    list of dict
        ``check``: ``missing``, ``gap``, ``flat``, ``clipped``, ``scale``, ``hum``, ``lead names`` or ``swap``.
    """
    out: list[dict[str, Any]] = []

    def tell(check: str, where: list[str], value: float | None, units: str, text: str) -> None:
        value = None if value is None or not np.isfinite(value) else float(f"{value:.4g}")
        out.append({"check": check, "leads": where, "value": value, "units": units, "text": text})

    if absent := [lead for lead in LEADS if lead not in leads]:
        tell("missing", absent, len(absent), "1", f"{len(absent)} of 12 leads are missing: {', '.join(absent)}")
    for check, values, limit, units, text in (
        ("gap", 100 * measures.gap, 0.0, "%", "gaps, up to {:.3g} % of a lead"),
        ("flat", measures.still, limits.flat, "s", "flat for up to {:.3g} s"),
        ("clipped", measures.at_extreme, limits.clipped, "1", "clipped: {:.0f} samples too many at one extreme value"),
    ):
        if where := [lead for lead, v in zip(leads, values, strict=True) if v > limit]:
            tell(check, where, float(np.max(values)), units, f"{', '.join(where)}: {text.format(np.max(values))}")
    spans = measures.span[np.isfinite(measures.span) & (measures.still <= limits.flat)]
    if len(spans) and not limits.small <= (span := float(np.median(spans))) <= limits.large:
        fits = [(f, why) for f, why in _SCALES if limits.small <= span * f <= limits.large]
        hint = f"{fits[0][1]} would give {span * fits[0][0]:.3g} mV" if fits else "no usual factor explains it"
        tell("scale", leads, span, "mV", f"suspicious scale: the median lead spans {span:.3g} mV; {hint}")
    for mains, amplitude in measures.hum.items():
        if where := [lead for lead, v in zip(leads, amplitude, strict=True) if v > limits.hum]:
            top = float(amplitude.max())
            tell("hum", where, top, "mV", f"{', '.join(where)}: {mains:g} Hz hum of up to {top:.3g} mV")
    flat = {lead for lead, v in zip(leads, measures.still, strict=True) if v > limits.flat}
    sums = {} if flat & {"I", "II"} else {k: v for k, v in measures.algebra.items() if k not in flat}
    if off := [lead for lead, v in sums.items() if v > limits.algebra]:
        worst = max(sums.values())
        told = f"{', '.join(off)} differ from the sums of I and II by up to {100 * worst:.0f} %"
        tell("lead names", off, worst, "1", f"limb leads named or scaled wrongly: {told}")
    elif measures.swap and measures.swap[1] > limits.swap and not flat & set(INDEPENDENT):
        name, odds = measures.swap
        tell("swap", [], odds, "1", f"electrodes look interchanged: {name} (log odds {odds:.1f})")
    return out


_SCALES = (
    (1e-3, "microvolts read as millivolts: 1/1000"),
    (1e3, "millivolts read as microvolts: 1000 times"),
    (0.1, "a gain of 10: 1/10"),
    (10.0, "a gain of 1/10: 10 times"),
    (1e-2, "a gain of 100: 1/100"),
    (1e2, "a gain of 1/100: 100 times"),
)
