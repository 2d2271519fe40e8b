"""Waves that an HL7 annotated ECG marks: P, QRS and T with begin and end, of all leads or of one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

import numpy as np
import xarray as xr

from ecg_widget.formats.aecg_times import Clock, seconds
from ecg_widget.formats.xml_document import Element, children
from ecg_widget.leads import canonical_lead
from ecg_widget.records import WAVES, RecordError

__all__ = ["choose_set", "wave_variables"]

_CODES = {f"MDC_ECG_WAVC_{name}WAVE": WAVES.index(name) for name in ("P", "QRS", "T")}
_BEAT = "MDC_ECG_BEAT"
_LONGEST_SEGMENT = 0.6  # s; between waves of one beat there is less, so a longer way leads to another beat
_SLACK = 1.0  # samples by which a mark may lie outside: ends of recordings are rounded


@dataclass(frozen=True, order=True)
class Mark:
    """A wave; a side that the file does not give is None."""

    begin: int | None
    end: int | None
    wave: int
    lead: str | None
    beat: int | None


def choose_set(file: str, found: Sequence[Element], wanted: int | str | None) -> Element | None:
    """Give the annotation set to read waves from, or None where there is none.

    Raises
    ------
    RecordError
        Several have waves, or `wanted` is not there.
    """
    if wanted == "none":
        return None
    if wanted is None:
        able = [i for i, item in enumerate(found) if next(_waves(item), None) is not None]
        if len(able) > 1:
            raise RecordError(
                f"{file}: annotationSet: expected waves in one set, got them in sets {able}; choose with "
                "annotation_set=, or pass annotation_set='none'"
            )
        return found[able[0]] if able else None
    if isinstance(wanted, str) or not 0 <= wanted < len(found):
        raise RecordError(f"{file}: annotation_set: expected 'none' or 0 to {len(found) - 1}, got {wanted!r}")
    return found[wanted]


def wave_variables(
    file: str, item: Element, clock: Clock, n_samples: int, leads: Sequence[str], *, complete: bool
) -> dict[str, xr.DataArray]:
    """Give ``wave`` and ``wave_known`` of the data contract from an annotation set.

    Parameters
    ----------
    file
        For errors.
    item
        The set.
    clock
        Of the recording's first sample.
    n_samples
        Of the recording.
    leads
        Of the recording, in order.
    complete
        Whether every beat is marked.
    """
    marks = [
        Mark(*sides, wave, lead, beat)
        for i, (annotation, wave, beat) in enumerate(_waves(item))
        for sides, lead in _regions(f"{file}: wave {i}", annotation, clock, n_samples)
    ]
    single = any(mark.lead is not None for mark in marks)
    rows: list[str | None] = [*leads] if single else [None]
    painted = [
        _paint([m for m in marks if m.lead in (None, lead)], n_samples, clock.rate, complete=complete) for lead in rows
    ]
    dims = ("record", "lead", "time") if single else ("record", "time")
    shape = (1, len(rows), n_samples) if single else (1, n_samples)
    meaning = {"flag_values": list(range(len(WAVES))), "flag_meanings": " ".join(WAVES)}
    return {
        "wave": xr.DataArray(np.stack([wave for wave, _ in painted]).reshape(shape), dims=dims, attrs=meaning),
        "wave_known": xr.DataArray(np.stack([known for _, known in painted]).reshape(shape), dims=dims),
    }


def _waves(item: Element) -> Iterator[tuple[Element, int, int | None]]:
    """Annotations of P, QRS and T, and the number of the beat that holds them."""
    beats = 0
    waiting: list[tuple[Element, int | None]] = [(a, None) for a in reversed(children(item, "component/annotation"))]
    while waiting:
        annotation, beat = waiting.pop()
        code, value = annotation.find("code"), annotation.find("value")
        if code is not None and code.get("code") == _BEAT:
            beats += 1
            beat = beats  # what lies below is of this beat
        wave = _CODES.get((value.get("code") or "") if value is not None else "")
        if wave is not None and annotation.find("support/supportingROI") is not None:
            yield annotation, wave, beat
        waiting.extend((a, beat) for a in reversed(children(annotation, "component/annotation")))


def _regions(
    where: str, annotation: Element, clock: Clock, n_samples: int
) -> Iterator[tuple[tuple[int | None, int | None], str | None]]:
    """First and last sample of an annotation, and its lead, or None where it is of all."""
    for region in children(annotation, "support/supportingROI"):
        sides: list[tuple[int | None, int | None]] = []
        named: list[str | None] = []
        for boundary in children(region, "component/boundary"):
            code, value = boundary.find("code"), boundary.find("value")
            name = "" if code is None else (code.get("code") or "")
            if not name.upper().startswith("TIME_"):
                try:
                    named.append(canonical_lead(name))
                except ValueError as error:
                    raise RecordError(f"{where}: boundary: code: {error}") from None
            elif value is None:
                raise RecordError(f"{where}: boundary: value: expected one, got none")
            else:
                zero = _zero(where, clock, absolute=name.upper() == "TIME_ABSOLUTE")
                sides.append(_sides(where, value, zero, clock.rate, n_samples))
        if len(sides) != 1:
            raise RecordError(f"{where}: boundary: expected one of time, got {len(sides)}")
        for lead in named or [None]:
            yield sides[0], lead


def _zero(where: str, clock: Clock, *, absolute: bool) -> Fraction:
    """When the recording began, as a mark of this kind counts."""
    if absolute and (not clock.absolute or clock.start is None):
        raise RecordError(
            f"{where}: boundary: expected times relative to the recording's start, since no sequence of times tells "
            "when that was, got TIME_ABSOLUTE; pass annotation_set='none'"
        )
    # Relative times count from the first sample, unless that itself has a time on a relative clock.
    return clock.start if clock.start is not None and absolute == clock.absolute else Fraction(0)


def _sides(where: str, value: Element, zero: Fraction, rate: float, n_samples: int) -> tuple[int | None, int | None]:
    found: list[int | None] = []
    for side in ("low", "high"):
        element = value.find(side)
        if element is None or not element.get("value"):
            found.append(None)
            continue
        sample = float(seconds(f"{where}: {side}", element) - zero) * rate
        if not -_SLACK <= sample <= n_samples + _SLACK:
            raise RecordError(
                f"{where}: {side}: expected a time from 0 to {n_samples / rate:g} s after the start, got "
                f"{sample / rate:g} s; annotation_set='none' leaves the waves out"
            )
        found.append(min(max(round(sample), 0), n_samples - 1))
    begin, end = found
    if begin is not None and end is not None and end < begin:
        raise RecordError(f"{where}: expected an end after the begin, got samples {begin} to {end}")
    return begin, end  # both None for a point, such as a peak


def _paint(marks: Sequence[Mark], n_samples: int, rate: float, *, complete: bool) -> tuple[np.ndarray, np.ndarray]:
    """Which wave each sample lies in, and whether the marks say so."""
    wave, known = np.zeros(n_samples, np.int8), np.zeros(n_samples, bool)
    placed = sorted(
        ((m.begin if m.begin is not None else m.end, m.end if m.end is not None else m.begin, m) for m in marks),
        key=lambda item: (item[0] is None, item[0] or 0, item[1] or 0),
    )
    spans = [(a, b, m) for a, b, m in placed if a is not None and b is not None]
    for (_, left, before), (right, _, after) in pairwise(spans):
        beat = after.wave == before.wave + 1 and before.beat == after.beat
        if before.beat is None and (right - left) > _LONGEST_SEGMENT * rate:
            beat = False
        between = complete and before.wave == WAVES.index("T")
        if (beat or between) and before.end is not None and after.begin is not None:
            known[left : right + 1] = True
    twice = np.zeros(n_samples, bool)
    for a, b, m in spans:
        part = slice(a, b + 1)
        twice[part] |= (wave[part] != 0) & (wave[part] != m.wave)
        wave[part] = m.wave
        known[part] = True
    known[twice] = False  # a P on a T is both, which one number cannot say
    wave[~known] = 0
    return wave, known
