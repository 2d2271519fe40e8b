"""WFDB records (PhysioNet), read with the wfdb library after `ecg_widget.formats.wfdb_header` has vetted the header.

Formats 8, 16, 24, 32, 80, 160, 212, 310, 311 and, with FLAC, 508, 516, 524; several samples a frame; several
segments, with a fixed or a variable layout. Samples that the format marks as invalid become NaN. Dates stay in the
file, and so do the comments, which hold age, sex and diagnoses, unless they are asked for. Annotations of the record
become ``beat`` and ``wave``.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from ecg_widget.formats.limits import LAZY_VALUES
from ecg_widget.formats.wfdb_annotations import find, read_marks, variables
from ecg_widget.formats.wfdb_header import Header, Signal, looks_like_header, read_header
from ecg_widget.formats.wfdb_samples import Joined, Plain, Reading, piece_of, whole_only
from ecg_widget.lazy import LazyArray, lazy_dataset
from ecg_widget.leads import canonical_lead, canonical_leads, lead_order
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
    annotations: str | None = None,
    lazy: bool | None = None,
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
    annotations
        Extension of the annotation file beside the header, such as ``"atr"`` or ``"pu0"``; None for ``"atr"`` where
        there is one; ``"none"`` for none.
    lazy
        As in `ecg_widget.records.open_ecg`. A record read later is not held against its header's checksums, which need
        every sample. One of format 8, with skewed signals or of unstated length is read whole; True is then an error.

    Returns
    -------
    xarray.Dataset
        One record, named after the header. With an annotation file: ``beat``, ``beat_time`` and ``beat_known`` where
        beats are marked, ``wave`` and ``wave_known (record, time)`` where onsets or ends of waves are.

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
    attrs: dict[str, Any] = {"source": file, "format": NAME, "reader": f"wfdb {wfdb.__version__}", "filters": ""}
    if comments:
        attrs["comments"] = list(header.comments)
    try:
        samples = (_joined if header.segments else _plain)(header, leads, units, gain)
        later = _later(samples, lazy=lazy)
        values = None if later else samples.whole()
    except RecordError:
        raise
    except Exception as error:  # a hostile file may raise anything inside the library
        raise RecordError(f"{file}: expected a complete record, got {type(error).__name__}: {error}") from error
    spelled = [canonical_lead(n) for n in samples.names]
    if values is None:
        order = lead_order(spelled)
        array = LazyArray((1, len(order), samples.n_samples), np.float32, Reading(samples, order), piece_of(samples))
        ds = lazy_dataset(
            array, sampling_rate=samples.rate, leads=[spelled[i] for i in order], records=[path.stem], attrs=attrs
        )
    else:
        ds = from_arrays(
            values, sampling_rate=samples.rate, leads=samples.names, units="mV", records=[path.stem], attrs=attrs
        )
    if samples.steps is not None:
        step = xr.DataArray([samples.steps], {"lead": spelled}, ("record", "lead"), attrs={"units": "mV"})
        ds = ds.assign(adc_step=step.sel(lead=ds["lead"]))
    marked = find(path, annotations)
    if marked is None:
        return ds
    marks = read_marks(marked, header.rate, samples.n_samples / samples.rate)
    return ds.assign(variables(marked.name, marks, samples.rate, samples.n_samples, lazy=later))


def _later(samples: Plain | Joined, *, lazy: bool | None) -> bool:
    """Whether the samples stay in the file."""
    if not (samples.n_samples * len(samples.names) > LAZY_VALUES if lazy is None else lazy):
        return False
    why = whole_only(samples)
    if why and lazy:
        raise RecordError(f"{samples.file}: lazy: expected None or False for this record, got True: {why}")
    return not why


def _plain(header: Header, leads: Sequence[str] | None, units: str | None, gain: float | None) -> Plain:
    file = header.path.name
    keep = _select(file, [s.lead for s in header.signals], leads)
    signals = [header.signals[i] for i in keep]
    if len({s.per_frame for s in signals}) != 1:
        rates = {s.lead: header.rate * s.per_frame for s in signals}
        raise RecordError(f"{file}: sampling rate: expected one for all leads, got {rates}; choose some with leads=")
    factors = [_factor(file, s, units) for s in signals]
    gains = [_gain(file, s, gain) for s in signals]
    return Plain(header, tuple(keep), tuple(factors), tuple(gains))


def _joined(header: Header, leads: Sequence[str] | None, units: str | None, gain: float | None) -> Joined:
    layout, parts = _vet_segments(header)
    names = [layout[i] for i in _select(header.path.name, layout, leads)]
    found = {(s.lead, s.per_frame) for part in parts if part is not None for s in part.signals if s.lead in names}
    if len({per_frame for _, per_frame in found}) != 1:
        rates = ", ".join(f"{name} {header.rate * n:g} Hz" for name, n in sorted(found))
        raise RecordError(
            f"{header.path.name}: sampling rate: expected one for all leads and segments, got {rates}; choose some "
            "with leads="
        )
    ((_, per_frame), *_) = found
    segments = []
    start = 0
    for (_, length), part in zip(header.segments, parts, strict=True):
        here = [name for name in names if part is not None and name in {s.lead for s in part.signals}]
        if part is not None and here and length:
            plain = _plain(part, [canonical_lead(name) for name in here], units, gain)
            segments.append((start, plain, tuple(names.index(name) for name in plain.names)))
        start += length * per_frame
    return Joined(header.path.name, names, header.rate * per_frame, tuple(segments), header.n_samples * per_frame)


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
        if (part.rate, part.n_samples) != (header.rate, length):
            raise RecordError(
                f"{path.name}: expected {length} samples at {header.rate:g} Hz as {file} says, got {part.n_samples} at "
                f"{part.rate:g} Hz"
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
