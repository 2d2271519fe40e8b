"""Onsets and ends of P, QRS and T among the annotations of a DICOM waveform (PS3.3, C.10.10)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from ecg_widget.records import WAVES, RecordError

_MARK = re.compile(r"(P|QRS|T)(?:[ -]wave)? (onset|offset|end)", re.IGNORECASE)
_SCP = {"5.10.3-1": "P on", "5.10.3-2": "P off", "5.10.3-3": "QRS on", "5.10.3-4": "QRS off", "5.10.3-5": "T off"}
_ORDER = ("P on", "P off", "QRS on", "QRS off", "T on", "T off")

Beat = dict[str, int]


def beats(file: str, annotations: Sequence[Any], group: int, channel: int, n_samples: int) -> list[Beat] | None:
    """Collect the marks of one channel by annotation group.

    Parameters
    ----------
    file
        Name, for messages.
    annotations
        Items of WaveformAnnotationSequence.
    group, channel
        Of the multiplex group and its channel, from 0.
    n_samples
        Of the multiplex group.

    Returns
    -------
    list of dict or None
        For each beat the sample of ``"P on"``, ``"P off"``, ``"QRS on"``, ... as far as it is marked; None if a mark is
        placed in a way that is not read here, for then silence does not mean that there is no wave.

    Raises
    ------
    RecordError
        A mark outside the recording, or the same mark of one beat at two places.

    Examples
    --------
    >>> beats("a.dcm", [], 0, 0, 100)
    []
    """
    found: dict[int, Beat] = {}
    for item in annotations:
        mark = _mark(item)
        if mark is None or not _about(item, group, channel):
            continue
        position = item.get("ReferencedSamplePositions")
        if item.get("TemporalRangeType") != "POINT" or not isinstance(position, int):
            return None
        if not 1 <= position <= n_samples:  # the first sample has position 1
            raise RecordError(f"{file}: ReferencedSamplePositions: expected 1 to {n_samples}, got {position}")
        beat = found.setdefault(int(item.get("AnnotationGroupNumber") or 0), {})
        if beat.setdefault(mark, position - 1) != position - 1:
            raise RecordError(
                f"{file}: annotations: expected one {mark}set a beat, got {beat[mark] + 1} and {position}"
            )
    return sorted(found.values(), key=lambda beat: min(beat.values()))


def waves(marked: Sequence[Beat], n_samples: int) -> tuple[np.ndarray, np.ndarray]:
    """Tell which wave each sample lies in, and whether the marks say so.

    Parameters
    ----------
    marked
        Beats of `beats`, by their first mark.
    n_samples
        Of the recording.

    Returns
    -------
    tuple of numpy.ndarray
        ``(time,)`` int8 as in `ecg_widget.records.WAVES`, and ``(time,)`` bool. Unknown is what lies before the first
        and after the last mark, a wave of which one end is lacking as far as the mark beside it, and beats that
        overlap: some recorders file the marks of the median beat with those of the rhythm.

    Examples
    --------
    The onset of T is lacking, so what lies before its end is unknown as far as QRS:

    >>> wave, known = waves([{"QRS on": 1, "QRS off": 2, "T off": 5}, {"QRS on": 7, "QRS off": 8}], 10)
    >>> wave.tolist(), known.astype(int).tolist()
    ([0, 2, 2, 0, 0, 0, 0, 2, 2, 0], [0, 1, 1, 0, 0, 0, 1, 1, 1, 0])
    """
    wave, known = np.zeros(n_samples, np.int8), np.zeros(n_samples, bool)
    if not marked:
        return wave, known
    spans = [(min(beat.values()), max(beat.values())) for beat in marked]
    known[spans[0][0] : max(end for _, end in spans) + 1] = True
    doubtful = []
    reach, last = -1, (0, 0)
    for beat, (start, end) in zip(marked, spans, strict=True):
        marks = [name for name in _ORDER if name in beat]
        places = [beat[name] for name in marks]
        if start <= reach:
            doubtful += [last, (start, end)]
        if places != sorted(places):
            doubtful.append((start, end))
        for i, name in enumerate(marks):
            which, side = name.split()
            partner = f"{which} off" if side == "on" else f"{which} on"
            if partner not in beat:
                after = places[i + 1] if i + 1 < len(marks) else end + 1
                before = places[i - 1] + 1 if i else start
                doubtful.append((beat[name], after - 1) if side == "on" else (before, beat[name]))
            elif side == "on":
                wave[beat[name] : beat[partner] + 1] = WAVES.index(which)
        if end > reach:
            reach, last = end, (start, end)
    for start, end in doubtful:
        wave[start : end + 1], known[start : end + 1] = 0, False
    return wave, known


def _mark(item: Any) -> str | None:
    concept = (item.get("ConceptNameCodeSequence") or [None])[0]
    if concept is None:
        return None
    code = str(concept.get("CodeValue", ""))
    if concept.get("CodingSchemeDesignator") == "SCPECG" and code in _SCP:
        return _SCP[code]
    match = _MARK.fullmatch(str(concept.get("CodeMeaning", "")).strip())
    return f"{match[1].upper()} {'on' if match[2].lower() == 'onset' else 'off'}" if match else None


def _about(item: Any, group: int, channel: int) -> bool:
    """Whether an annotation speaks of a channel; numbers in the file count from 1, channel 0 means all of the group."""
    numbers = list(item.get("ReferencedWaveformChannels") or [])
    pairs = zip(numbers[::2], numbers[1::2], strict=False)
    return any(g == group + 1 and c in (0, channel + 1) for g, c in pairs)
