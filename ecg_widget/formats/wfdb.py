"""WFDB records (PhysioNet), read with the wfdb library after `ecg_widget.formats.wfdb_header` has vetted the header.

Formats 8, 16, 24, 32, 80, 160, 212, 310, 311 and, with FLAC, 508, 516, 524; several samples a frame; several
segments, with a fixed or a variable layout. Samples that the format marks as invalid become NaN. Dates stay in the
file, and so do the comments, which hold age, sex and diagnoses, unless they are asked for.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from ecg_widget.formats.wfdb_header import Header, Signal, looks_like_header, read_header
from ecg_widget.leads import canonical_lead, canonical_leads
from ecg_widget.records import RecordError, from_arrays, millivolts

NAME = "WFDB"


def locate(path: Path) -> Path | None:
    """Find the header: the path itself, or beside the record or the signal file that the path names."""
    if path.is_file() and path.suffix == ".hea":
        return path if looks_like_header(path) else None
    for header in dict.fromkeys((path.with_name(path.name + ".hea"), path.with_suffix(".hea"))) if path.name else ():
        if not header.is_file() or not looks_like_header(header):
            continue
        if not path.exists() and header.stem == path.name:
            return header
        # A file beside a header belongs to it only if the header says so; an annotation file does not.
        text = header.read_bytes()[: 1 << 20].decode("latin-1")
        if path.is_file() and any(line.split()[:1] == [path.name] for line in text.splitlines()):
            return header
    return None


def read(
    path: Path,
    *,
    leads: Sequence[str] | None = None,
    units: str | None = None,
    gain: float | None = None,
    comments: bool = False,
) -> xr.Dataset:
    """Read one WFDB record.

    Parameters
    ----------
    path
        The header.
    leads, units
        As in `ecg_widget.records.open_ecg`.
    gain
        ADC steps for each unit, for signals whose header gives 0 or none ("uncalibrated"); an error where it gives one.
    comments
        Keep the header's comments in ``attrs["comments"]``. They tell of the patient.

    Returns
    -------
    xarray.Dataset
        One record, named after the header.

    Raises
    ------
    RecordError
        A header or signal file that is truncated, contradictory, absurd or unsafe; a signal without gain or voltage.
    """
    import wfdb  # noqa: PLC0415  (only this reader needs it)

    file = path.name
    if "::" in str(path):  # fsspec, through which the library opens files, would take it for a chain of file systems
        raise RecordError(f"{file}: path: expected no '::' in it, got {str(path)!r}; rename the folder")
    header = read_header(path)
    try:
        whole = _read_segments if header.segments else _read_plain
        values, names, steps, rate = whole(header, leads, units, gain)
    except RecordError:
        raise
    except Exception as error:  # a hostile file may raise anything inside the library
        raise RecordError(f"{file}: expected a complete record, got {type(error).__name__}: {error}") from error
    attrs: dict[str, Any] = {"source": file, "format": NAME, "reader": f"wfdb {wfdb.__version__}", "filters": ""}
    if comments:
        attrs["comments"] = list(header.comments)
    ds = from_arrays(values, sampling_rate=rate, leads=names, units="mV", records=[path.stem], attrs=attrs)
    if steps is None:
        return ds
    spelled = [canonical_lead(n) for n in names]
    step = xr.DataArray([steps], {"lead": spelled}, ("record", "lead"), attrs={"units": "mV"})
    return ds.assign(adc_step=step.sel(lead=ds["lead"]))


_Read = tuple[np.ndarray, list[str], list[float] | None, float]


def _read_plain(header: Header, leads: Sequence[str] | None, units: str | None, gain: float | None) -> _Read:
    import wfdb  # noqa: PLC0415  (only this reader needs it)

    file = header.path.name
    keep = _select(file, [s.lead for s in header.signals], leads)
    signals = [header.signals[i] for i in keep]
    per_frame = {s.per_frame for s in signals}
    if len(per_frame) != 1:
        rates = {s.lead: header.rate * s.per_frame for s in signals}
        raise RecordError(f"{file}: sampling rate: expected one for all leads, got {rates}; choose some with leads=")
    factors = [_factor(file, s, units) for s in signals]
    gains = [_gain(file, s, gain) for s in signals]
    record = wfdb.rdrecord(
        str(header.path.with_suffix("").resolve()), channels=keep, physical=False, smooth_frames=False
    )
    stated = [s.gain for s in signals]
    seen = (record.fs, record.sig_name, [g if s else 0 for g, s in zip(record.adc_gain, stated, strict=True)])
    if seen != (header.rate, [s.lead for s in signals], stated):
        raise RecordError(f"{file}: expected rate, leads and gains as in the header's text, the library got {seen}")
    n_samples = header.n_samples * per_frame.pop()
    if any(len(x) != n_samples for x in record.e_d_signal):
        raise RecordError(f"{file}: samples: expected {n_samples}, got {[len(x) for x in record.e_d_signal]}")
    _check_sums(file, signals, record.e_d_signal)
    record.adc_gain = gains
    volts = np.stack(record.dac(expanded=True))
    volts *= np.asarray(factors)[:, None]
    steps = [abs(f / g) for f, g in zip(factors, gains, strict=True)]
    return volts, [s.lead for s in signals], steps, header.rate * signals[0].per_frame


def _read_segments(header: Header, leads: Sequence[str] | None, units: str | None, gain: float | None) -> _Read:
    """Read segment by segment, each with its own gains and units; what no segment holds is a gap.

    The library can join segments too, but stops at a gap in a record of fixed layout and takes the first unit for all.
    """
    layout, parts = _vet_segments(header)
    names = [layout[i] for i in _select(header.path.name, layout, leads)]
    values = np.full((len(names), header.n_samples), np.nan)
    steps: list[set[float]] = [set() for _ in names]
    start = 0
    for (_, length), part in zip(header.segments, parts, strict=True):
        here = [name for name in names if part is not None and name in {s.lead for s in part.signals}]
        if part is not None and here and length:
            volts, found, adc, _ = _read_plain(part, [canonical_lead(name) for name in here], units, gain)
            for name, row, step in zip(found, volts, adc or (), strict=True):
                values[names.index(name), start : start + length] = row
                steps[names.index(name)].add(step)
        start += length
    one = [step.pop() for step in steps if len(step) == 1]
    return values, names, one if len(one) == len(names) else None, header.rate


def _vet_segments(header: Header) -> tuple[list[str], list[Header | None]]:
    """Check every segment's header before a sample is read; give the leads in order, and None for gaps."""
    file = header.path.name
    variable = header.segments[0][1] == 0
    layout: list[str] = []
    parts: list[Header | None] = []
    for i, (name, length) in enumerate(header.segments):
        if name == "~":
            parts.append(None)
            continue
        path = header.path.with_name(f"{name}.hea")
        if not path.is_file():
            raise RecordError(f"{file}: segment {name}: expected {path.name} beside the header, got none")
        part = read_header(path, role="layout" if variable and i == 0 else "segment")
        if (part.rate, part.n_samples) != (header.rate, length) or any(s.per_frame != 1 for s in part.signals):
            raise RecordError(
                f"{path.name}: expected {length} samples at {header.rate:g} Hz, one a frame, as {file} says, got "
                f"{part.n_samples} at {part.rate:g} Hz"
            )
        names = [s.lead for s in part.signals]
        layout = layout or names
        # A variable layout lets a segment lack leads; a fixed one has the same leads in the same order everywhere.
        if not set(names) <= set(layout) if variable else names != layout:
            raise RecordError(f"{path.name}: leads: expected {layout} as in the first segment, got {names}")
        parts.append(part)
    if not layout:
        raise RecordError(f"{file}: segments: expected at least one with signals, got gaps only")
    return layout, parts


def _select(file: str, names: Sequence[str], leads: Sequence[str] | None) -> list[int]:
    try:
        spelled = [canonical_lead(n) for n in names]
        missing = [lead for lead in leads or () if lead not in spelled]
        if missing:
            raise RecordError(f"{file}: leads: expected {', '.join(missing)}, got {', '.join(spelled)}")  # noqa: TRY301
        keep = [i for i, name in enumerate(spelled) if leads is None or name in leads]
        canonical_leads([names[i] for i in keep])
    except RecordError:
        raise
    except ValueError as error:
        raise RecordError(f"{file}: {error}") from None
    return keep


def _factor(file: str, signal: Signal, units: str | None) -> float:
    try:
        factor = millivolts(signal.units)
    except ValueError:
        if units is not None:
            return millivolts(units)
        convention = "" if signal.units else " (WFDB's convention is mV)"
        raise RecordError(
            f"{file}: {signal.lead}: units: expected a voltage, got {signal.units or 'none'!r}; state it with "
            f"units={convention}, or choose other leads with leads="
        ) from None
    if units is not None and millivolts(units) != factor:
        raise RecordError(f"{file}: {signal.lead}: units: the header says {signal.units}, the caller {units}")
    return factor


def _gain(file: str, signal: Signal, gain: float | None) -> float:
    if signal.gain != 0:
        if gain is not None and gain != signal.gain:
            raise RecordError(f"{file}: {signal.lead}: gain: the header says {signal.gain:g}, the caller {gain:g}")
        return signal.gain
    if gain is None or not np.isfinite(gain) or gain == 0:
        raise RecordError(
            f"{file}: {signal.lead}: gain: expected ADC steps for each unit, got 0 or none (uncalibrated), the caller "
            f"{gain}; state it with gain="
        )
    return float(gain)


def _check_sums(file: str, signals: Sequence[Signal], digital: Sequence[np.ndarray]) -> None:
    """Warn where the samples are not those over which the header's checksum was taken."""
    wrong = [
        s.lead
        for s, x in zip(signals, digital, strict=True)
        if s.checksum is not None and not s.skew and (int(np.sum(x, dtype=np.int64)) - s.checksum) % 65536
    ]
    if wrong:
        warnings.warn(
            f"{file}: checksum: expected the header's, got another for {', '.join(wrong)}; samples or header were "
            "changed after recording",
            UserWarning,
            stacklevel=5,
        )
