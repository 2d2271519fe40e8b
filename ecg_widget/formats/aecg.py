"""HL7 annotated ECG (ANSI/HL7 V3 ECG R1): the rhythm series and the waves that were marked in it.

Values are origin + scale x digit in the units that both state. Derived series, such as representative beats, stay in
the file, as do subject, people, places, dates, statements and comments. Several sequence sets, which carts write that
record leads one group after the other, are put on one time axis, with gaps where a lead was not recorded.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from ecg_widget import __version__
from ecg_widget.formats.aecg_times import SECONDS, Clock, seconds
from ecg_widget.formats.aecg_waves import choose_set, wave_variables
from ecg_widget.formats.channels import Stored, chosen, dataset, factor
from ecg_widget.formats.device import device
from ecg_widget.formats.limits import RATES, STEPS, check_header, check_step
from ecg_widget.formats.xml_document import MOST_VALUES, Element, attribute, children, finite, parse, root_name, text
from ecg_widget.leads import canonical_lead
from ecg_widget.records import RecordError

NAME = "HL7 aECG"

_TYPE = "{http://www.w3.org/2001/XMLSchema-instance}type"
_MOST_GAPS = 16  # times as many values as are stored; twelve leads in groups of three need 4
_MOST_WITH_GAPS = 1 << 24  # values, the gaps among them
_PIECE = 1 << 20  # characters of digits made numbers in one go
_DIGITS = frozenset("0123456789+- ")
_LARGEST_DIGIT = 1 << 31  # converters have up to 32 bits
_FILTER = "MDC_ECG_CTL_VBL_ATTR_FILTER_"
_FILTERS = {"HIGH_PASS": "high-pass", "LOW_PASS": "low-pass", "NOTCH": "notch"}


def locate(path: Path) -> Path | None:
    """Return the path if its root element is that of an annotated ECG."""
    return path if root_name(path) == "AnnotatedECG" else None


def read(
    path: Path,
    *,
    leads: Sequence[str] | None = None,
    units: str | None = None,
    series: int | None = None,
    annotation_set: int | str | None = None,
    complete: bool = False,
) -> xr.Dataset:
    """Read one HL7 aECG file.

    Parameters
    ----------
    path, leads, units
        As in `ecg_widget.records.open_ecg`.
    series
        Index of the series to read, for files with several rhythm series.
    annotation_set
        Index of the annotation set whose waves to take; None for the only one that has waves; ``"none"`` for no waves.
    complete
        True where the set is known to have the waves of every beat: then there is no wave between two marked beats.
        Otherwise nobody knows whether one was skipped, and what lies between is unknown.

    Returns
    -------
    xarray.Dataset
        One record, named after the file. Where P, QRS or T waves are marked: ``wave`` and ``wave_known (record,
        time)``, or ``(record, lead, time)`` where marks belong to single leads. Within a beat, from its first mark to
        its last, what lies between the waves is none; a wave without its begin or end is known at the other one
        only. ``attrs``: ``sequence_sets`` (how many, where there are several).

    Raises
    ------
    RecordError
        No or several rhythm series or sets of waves, leads without unit, scale or samples, of different rate, damaged
        or overlapping, repeated or unnamed, marks outside the recording.

    Examples
    --------
    >>> locate(Path("no-such-file.xml")) is None
    True
    """
    file = path.name
    found = _choose(file, children(parse(path), "component/series"), series)
    sets = [_set(file, i, item) for i, item in enumerate(children(found, "component/sequenceSet"))]
    if not sets:
        raise RecordError(f"{file}: sequenceSet: expected at least one in the rhythm series, got none")
    rate = sets[0].clock.rate
    if any(abs(s.clock.rate - rate) > 1e-6 * rate for s in sets):
        raise RecordError(f"{file}: increment: expected one for all sets, got rates of {[s.clock.rate for s in sets]}")
    names = list(dict.fromkeys(name for s in sets for name in s.names))
    keep = [names[i] for i in chosen(file, names, leads)]
    starts = _starts(file, sets)
    n_samples = max(start + s.n_samples for start, s in zip(starts, sets, strict=True))
    check_header(file, n_channels=len(names), n_samples=n_samples, rate=rate)
    held = sum(s.n_samples * len(s.names) for s in sets)
    if held > MOST_VALUES:
        raise RecordError(f"{file}: digits: expected at most {MOST_VALUES} of all leads, got {held}")
    if n_samples * len(names) > max(held, min(_MOST_GAPS * held, _MOST_WITH_GAPS)):
        raise RecordError(
            f"{file}: head: expected sequence sets one after the other, got {n_samples} samples from the first to the "
            f"last, of {len(names)} leads, with {held} values in the file"
        )
    values, steps = _placed(file, sets, starts, keep, n_samples, units=units)
    attrs: dict[str, Any] = {
        "source": file,
        "format": NAME,
        "reader": f"ecg_widget {__version__}",
        "filters": _filters(file, found),
        **device(
            text(file, found, "author/seriesAuthor/manufacturerOrganization/name", ""),
            text(file, found, "author/seriesAuthor/manufacturedSeriesDevice/manufacturerModelName", ""),
        ),
    }
    if len(sets) > 1:
        attrs["sequence_sets"] = len(sets)
    stored = Stored(path, keep, rate, n_samples, steps.tolist(), lambda rows, a, b: values[list(rows), a:b], n_samples)
    ds = dataset(stored, attrs, lazy=False)
    marked = choose_set(file, children(found, "subjectOf/annotationSet"), annotation_set)
    if marked is None:
        return ds
    first = sets[starts.index(0)].clock
    return ds.assign(wave_variables(file, marked, first, n_samples, ds["lead"].values.tolist(), complete=complete))


@dataclass(frozen=True)
class _Set:
    clock: Clock
    names: list[str]
    sequences: list[Element]
    n_samples: int


def _choose(file: str, found: Sequence[Element], series: int | None) -> Element:
    codes = [_code(item)[:40] or "?" for item in found]
    if series is not None:
        if not 0 <= series < len(found):
            raise RecordError(f"{file}: series: expected 0 to {len(found) - 1}, got {series}; the file has {codes[:8]}")
        return found[series]
    rhythm = [i for i, code in enumerate(codes) if code.upper() == "RHYTHM"]
    if len(rhythm) != 1:
        raise RecordError(
            f"{file}: series: expected one with code RHYTHM, got {len(rhythm)} among {codes[:8]}; choose with series="
        )
    return found[rhythm[0]]


def _code(item: Element) -> str:
    code = item.find("code")
    return "" if code is None else (code.get("code") or "").strip()


def _set(file: str, i: int, item: Element) -> _Set:
    where = f"sequence set {i}"
    clock: Clock | None = None
    names: list[str] = []
    sequences: list[Element] = []
    counts: list[int] = []
    for sequence in children(item, "component/sequence"):
        code = _code(sequence)
        value = sequence.find("value")
        if value is None:
            raise RecordError(f"{file}: {where}: {code[:40] or 'sequence'}: value: expected one, got none")
        if code.upper().startswith("TIME_"):
            if clock is not None:
                raise RecordError(f"{file}: {where}: expected one sequence of times, got two")
            clock = _clock(file, where, code, value)
            continue
        try:
            names.append(canonical_lead(code))
        except ValueError as error:
            raise RecordError(f"{file}: {where}: sequence: code: {error}") from None
        sequences.append(value)
        digits = value.find("digits")
        counts.append(_count(digits.text or "") if digits is not None else 0)
    if clock is None:
        raise RecordError(f"{file}: {where}: expected a sequence of times, TIME_ABSOLUTE or TIME_RELATIVE, got none")
    if not names:
        raise RecordError(f"{file}: {where}: expected at least one lead, got none")
    if len(set(names)) != len(names):
        twice = next(name for k, name in enumerate(names) if name in names[:k])
        raise RecordError(f"{file}: {where}: expected each lead once, got {twice} twice")
    if len(set(counts)) != 1 or not counts[0]:
        heard = ", ".join(f"{name} {count}" for name, count in zip(names[:16], counts, strict=False))
        raise RecordError(f"{file}: {where}: digits: expected as many samples of each lead, got {heard}")
    return _Set(clock, names, sequences, counts[0])


def _count(text: str) -> int:
    return sum(len(piece.split()) for piece in _pieces(text))


def _pieces(text: str) -> Iterator[str]:
    """Parts of a long text, cut at blanks, so that its numbers never exist as text all at once."""
    at = 0
    while at < len(text):
        end = min(at + _PIECE, len(text))
        while end < len(text) and not text[end].isspace():
            end += 1
        yield text[at:end]
        at = end


def _clock(file: str, where: str, code: str, value: Element) -> Clock:
    where = f"{where}: {code[:40]}"
    kind = (value.get(_TYPE) or "").strip()
    if kind not in ("GLIST_TS", "GLIST_PQ"):
        raise RecordError(f"{file}: {where}: type: expected GLIST_TS or GLIST_PQ, got {kind[:20]!r}")
    increment = value.find("increment")
    unit = attribute(f"{file}: {where}: increment", increment, "unit")
    step = finite(f"{file}: {where}: increment", attribute(f"{file}: {where}: increment", increment, "value"))
    if unit not in SECONDS:
        raise RecordError(f"{file}: {where}: increment: unit: expected one of {', '.join(SECONDS)}, got {unit[:20]!r}")
    step *= SECONDS[unit]
    if not 1 / RATES[1] <= step <= 1 / RATES[0]:
        raise RecordError(
            f"{file}: {where}: increment: expected {1 / RATES[1]:g} to {1 / RATES[0]:g} s between samples, got {step:g}"
        )
    rate = 1 / step
    if abs(rate - round(rate)) < 1e-6 * rate:  # 0.002 s means 500 Hz
        rate = float(round(rate))
    head = value.find("head")
    start = None if head is None else seconds(f"{file}: {where}: head", head)
    return Clock(rate, absolute=kind == "GLIST_TS", start=start)


def _starts(file: str, sets: Sequence[_Set]) -> list[int]:
    """First sample of each set on the common time axis."""
    if len(sets) == 1:
        return [0]
    times = [s.clock.start for s in sets]
    if len({s.clock.absolute for s in sets}) != 1 or any(time is None for time in times):
        raise RecordError(f"{file}: head: expected the time at which each of the {len(sets)} sequence sets begins")
    known = [time for time in times if time is not None]
    return [round(float((time - min(known)) * s.clock.rate)) for time, s in zip(known, sets, strict=True)]


def _placed(
    file: str, sets: Sequence[_Set], starts: Sequence[int], keep: Sequence[str], n_samples: int, *, units: str | None
) -> tuple[np.ndarray, np.ndarray]:
    """Samples of the wanted leads on the common time axis, and their steps; in mV."""
    values = np.full((len(keep), n_samples), np.nan, np.float32)
    steps = np.full(len(keep), np.nan)
    for start, part in zip(starts, sets, strict=True):
        for name, sequence in zip(part.names, part.sequences, strict=True):
            if name in keep:
                row = keep.index(name)
                place = values[row, start : start + part.n_samples]
                if not np.isnan(place).all():
                    raise RecordError(
                        f"{file}: lead {name}: expected its sequence sets one after the other, got overlap"
                    )
                place[:], step = _volts(file, name, sequence, part.n_samples, units)
                steps[row] = step if np.isnan(steps[row]) else max(step, steps[row])
    return values, steps


def _volts(file: str, name: str, value: Element, n_samples: int, units: str | None) -> tuple[np.ndarray, float]:
    where = f"lead {name}"
    kind = (value.get(_TYPE) or "").strip()
    if kind != "SLIST_PQ":
        raise RecordError(f"{file}: {where}: type: expected SLIST_PQ, got {kind[:20]!r}")
    scale, origin = value.find("scale"), value.find("origin")
    step = finite(f"{file}: {where}: scale", attribute(f"{file}: {where}: scale", scale, "value"))
    if step == 0:
        raise RecordError(f"{file}: {where}: scale: expected a number other than 0, got 0")
    stated = "" if scale is None else scale.get("unit") or ""
    step *= factor(f"{file}: {where}: scale", stated, units)
    check_step(f"{file}: {where}: scale", step)
    zero = 0.0
    if origin is not None:
        zero = finite(f"{file}: {where}: origin", attribute(f"{file}: {where}: origin", origin, "value"))
        if zero:
            zero *= factor(f"{file}: {where}: origin", origin.get("unit") or "", units)
            if abs(zero) > STEPS[1]:
                raise RecordError(f"{file}: {where}: origin: expected up to {STEPS[1]:g} mV in size, got {zero:g} mV")
    digits = value.find("digits")
    out = np.empty(n_samples)
    at = 0
    for piece in _pieces((digits.text or "") if digits is not None else ""):
        numbers = piece.split()
        try:
            if not set(" ".join(numbers)) <= _DIGITS:
                raise ValueError  # noqa: TRY301  (said below, with what int() refuses)
            part = np.fromiter(map(int, numbers), np.int64, len(numbers))
        except (ValueError, OverflowError):
            strange = next((n for n in numbers if not set(n) <= _DIGITS), "others")
            raise RecordError(f"{file}: {where}: digits: expected whole numbers, got {strange[:20]!r}") from None
        if part.size and max(int(part.max()), -int(part.min())) > _LARGEST_DIGIT:
            raise RecordError(f"{file}: {where}: digits: expected numbers up to {_LARGEST_DIGIT}, got larger ones")
        out[at : at + part.size] = part
        at += part.size
    return out * step + zero, abs(step)


def _filters(file: str, series: Element) -> str:
    parts = []
    for kind, name in _FILTERS.items():
        found = set()
        for variable in children(series, "controlVariable/controlVariable"):
            if _code(variable) != _FILTER + kind:
                continue
            for part in children(variable, "component/controlVariable"):
                value = part.find("value")
                if value is not None and _code(part).endswith("_FREQ") and value.get("unit") == "Hz":
                    found.add(finite(f"{file}: {name} filter", attribute(f"{file}: {name} filter", value, "value")))
        if found - {0.0}:
            parts.append(f"{name} {'/'.join(f'{v:g}' for v in sorted(found - {0.0}))} Hz")
    return ", ".join(parts)
