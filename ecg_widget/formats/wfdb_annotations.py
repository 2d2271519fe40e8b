"""WFDB annotation files (annot(5) of the WFDB Applications Guide): beats and waves as variables of the contract.

The bytes are read here: the library never ends on some notes. Notes, which are free text, are passed over, but for the
one that states the time resolution.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr

from ecg_widget.formats.limits import LAZY_VALUES
from ecg_widget.lazy import LazyArray, lazy_variable
from ecg_widget.records import RecordError
from ecg_widget.validation import BEATS, WAVES

__all__ = ["PEAKS", "Marks", "find", "read_marks", "variables", "waves"]

REFERENCE = "atr"
"""The annotator that is looked for by itself: reference annotations, which people have checked."""

PEAKS = {"p": WAVES.index("P"), "N": WAVES.index("QRS"), "t": WAVES.index("T")}
"""Symbols of peaks, and the waves that they are of."""

_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9]{0,15}")
_LARGEST = 1 << 24  # bytes: four for each of 100,000 beats a day, and notes
_NOISE, _NOTE, _P, _T, _U, _VF, _VF_END, _ON, _OFF = 14, 22, 24, 27, 29, 32, 33, 39, 40
_SKIP, _NUM, _SUB, _CHN, _AUX = 59, 60, 61, 62, 63
_UNREADABLE = 0x30  # of a noise mark's subtype: no signal can be read, as of -1
_RESOLUTION = re.compile(rb"## time resolution: (\d{1,6}(?:\.\d{1,6})?)\0*")
_SYMBOLS = {_P: "p", _T: "t", **dict.fromkeys(BEATS, "N"), _ON: "(", _OFF: ")"}
_LONGEST_REST = 2.0  # s from one wave to the next; over longer ways somebody left beats out


@dataclass(frozen=True)
class Marks:
    """Annotations in order of time.

    Parameters
    ----------
    seconds
        From the first sample.
    codes
        What each says, as in WFDB's ``ecgcodes.h``.
    subtypes
        Of each.
    """

    seconds: np.ndarray
    codes: np.ndarray
    subtypes: np.ndarray


def find(header: Path, annotator: str | None) -> Path | None:
    """The annotation file that belongs to a header, or None.

    Parameters
    ----------
    header
        Of the record.
    annotator
        The file's extension, which must then be there; None for `REFERENCE` where it is; ``"none"`` for no file.

    Raises
    ------
    RecordError
        No such file, or an extension that is none.
    """
    if annotator == "none":
        return None
    name = REFERENCE if annotator is None else annotator
    if not isinstance(name, str) or not _PLAIN.fullmatch(name) or name in ("hea", "dat", "mat"):
        raise RecordError(
            f"{header.name}: annotations: expected 'none' or the extension of an annotation file, got {name!r:.40}"
        )
    path = header.with_suffix(f".{name}")
    if path.is_file():
        return path
    if annotator is None:
        return None
    raise RecordError(f"{header.name}: annotations: expected {path.name} beside the header, got none")


def read_marks(path: Path, rate: float, duration: float) -> Marks:
    """Read an annotation file.

    Parameters
    ----------
    path
        The file.
    rate
        Hz in which its times are, unless it states another.
    duration
        s of the recording.

    Raises
    ------
    RecordError
        Too large, cut, out of order, or of another recording.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "a.atr"
    ...     _ = path.write_bytes(bytes([50, 1 << 2, 100, 5 << 2, 0, 0]))  # a normal beat, a ventricular one, the end
    ...     marks = read_marks(path, 100, 2)
    >>> marks.seconds.tolist(), marks.codes.tolist()
    ([0.5, 1.5], [1, 5])
    """
    size = path.stat().st_size
    if size > _LARGEST:
        raise RecordError(f"{path.name}: expected at most {_LARGEST} bytes of annotations, got {size}")
    times, codes, subtypes, resolution = _parsed(path.name, path.read_bytes())
    marks = np.asarray(codes, np.int64)
    real = marks != 0  # 0 moves on in time only
    seconds = np.asarray(times, np.float64)[real] / (resolution or rate)
    if seconds.size and (seconds[0] < 0 or seconds[-1] >= duration or (np.diff(seconds) < 0).any()):
        raise RecordError(
            f"{path.name}: expected annotations in order, from 0 to {duration:g} s, got {seconds.min():g} to "
            f"{seconds.max():g} s; annotations='none' leaves them out"
        )
    return Marks(seconds, marks[real], np.asarray(subtypes, np.int64)[real])


def _parsed(file: str, data: bytes) -> tuple[list[int], list[int], list[int], float | None]:
    """Times, codes and subtypes of annotations, and the stated resolution in Hz."""
    times: list[int] = []
    codes: list[int] = []
    subtypes: list[int] = []
    resolution: float | None = None
    at = time = 0
    while at + 2 <= len(data):
        low, code = data[at], data[at + 1] >> 2  # words of 16 bits, six of them a code
        interval = low | (data[at + 1] & 3) << 8
        at += 2
        if code == _SKIP:
            words = data[at + 2 : at + 4] + data[at : at + 2]  # the upper half comes first
            time += int.from_bytes(words, "little", signed=True)
            at += 4
        elif code == _AUX:
            found = _RESOLUTION.fullmatch(data[at : at + interval]) if codes == [_NOTE] else None
            if found:  # this note is about the file, and marks nothing
                resolution = float(found[1])
                times, codes, subtypes = [], [], []
            at += interval + interval % 2
        elif code == _SUB and codes:
            subtypes[-1] = low - 256 if low > 127 else low
        elif (code, interval) == (0, 0):
            break
        elif code not in (_NUM, _SUB, _CHN):
            time += interval
            times.append(time)
            codes.append(code)
            subtypes.append(0)
    if at > len(data) or data[at - 2 : at] != bytes(2):
        raise RecordError(f"{file}: expected whole annotations and a mark of their end, got {len(data)} bytes without")
    if resolution == 0:
        raise RecordError(f"{file}: time resolution: expected more than 0 Hz, got 0")
    return times, codes, subtypes, resolution


class _Spans:
    """``(1, time)`` bool: true within spans of samples; reads as `ecg_widget.lazy.LazyArray` asks."""

    def __init__(self, firsts: np.ndarray, ends: np.ndarray) -> None:
        self.firsts, self.ends = firsts, ends

    def __call__(self, outer: tuple[np.ndarray, ...], first: int, last: int) -> np.ndarray:
        out = np.zeros((1, last - first), bool)
        for i in range(int(np.searchsorted(self.ends, first, "right")), len(self.firsts)):
            if self.firsts[i] >= last:
                break
            out[0, max(0, self.firsts[i] - first) : self.ends[i] - first] = True
        return np.repeat(out, len(outer[0]), axis=0)


def variables(file: str, marks: Marks, rate: float, n_samples: int, *, lazy: bool) -> dict[str, xr.Variable]:
    """Variables of the contract: ``beat``, ``beat_time`` and ``beat_known``; ``wave`` and ``wave_known``.

    Waves are there where a P, QRS or T is marked with an onset or an end. ``N`` is then the peak of a QRS, which tells
    no kind of beat; in other files beats are there. They are known from the first annotation to the last, but not in
    fibrillation, where nobody marks them, or where the signal is marked as unreadable.

    Parameters
    ----------
    file
        For errors.
    marks
        The annotations.
    rate, n_samples
        Of the leads, Hz.
    lazy
        Whether the samples stay in the file; then ``beat_known`` is painted when it is asked for.
    """
    out: dict[str, xr.Variable] = {}
    is_beat = np.isin(marks.codes, list(BEATS))
    waved = _waved(marks)
    if is_beat.any() and not waved:
        meaning = {
            "flag_values": [0, *BEATS],
            "flag_meanings": " ".join(["none", *(name for _, name in BEATS.values())]),
            "flag_symbols": " ".join(["-", *(symbol for symbol, _ in BEATS.values())]),
        }
        out["beat"] = xr.Variable(("record", "nth_beat"), marks.codes[is_beat].astype(np.int8)[None], meaning)
        out["beat_time"] = xr.Variable(("record", "nth_beat"), marks.seconds[is_beat][None], {"units": "s"})
        spans = _known(marks, rate, n_samples)
        shape = (1, n_samples)
        if lazy:
            out["beat_known"] = lazy_variable(("record", "time"), LazyArray(shape, bool, spans, 1 << 22))
        else:
            out["beat_known"] = xr.Variable(("record", "time"), spans((np.arange(1),), 0, n_samples))
    for part in waved:
        if n_samples > LAZY_VALUES:
            raise RecordError(
                f"{file}: annotations: expected waves of at most {LAZY_VALUES} samples, got them for {n_samples}; "
                "annotations='none' leaves them out"
            )
        if "wave" not in out:
            names = {"flag_values": list(range(len(WAVES))), "flag_meanings": " ".join(WAVES)}
            out["wave"] = xr.Variable(("record", "time"), np.zeros((1, n_samples), np.int8), names)
            out["wave_known"] = xr.Variable(("record", "time"), np.zeros((1, n_samples), bool))
        at = np.minimum(np.round(marks.seconds[part] * rate).astype(np.int64), n_samples - 1)
        symbols = [_SYMBOLS[code] for code in marks.codes[part].tolist()]
        first, last = int(at[0]), int(at[-1]) + 1
        wave, known = waves((at - first).tolist(), symbols, last - first)
        out["wave"].values[0, first:last] = np.where(known, wave, out["wave"].values[0, first:last])
        out["wave_known"].values[0, first:last] |= known
    return out


def _known(marks: Marks, rate: float, n_samples: int) -> _Spans:
    """Samples of which the annotator has said where beats are, and that there are no others."""
    known, unreadable, fibrillates = [], False, False
    since: float | None = float(marks.seconds[0])
    for second, code, subtype in zip(*(x.tolist() for x in (marks.seconds, marks.codes, marks.subtypes)), strict=True):
        if code == _NOISE:
            unreadable = subtype == -1 or subtype & _UNREADABLE == _UNREADABLE
        elif code in (_VF, _VF_END):
            fibrillates = code == _VF
        if (unreadable or fibrillates) and since is not None:
            known.append((since, second))
            since = None
        elif not unreadable and not fibrillates and since is None:
            since = second
    if since is not None:
        known.append((since, float(marks.seconds[-1])))
    samples = np.round(np.asarray(known, np.float64).reshape(-1, 2) * rate).astype(np.int64)
    return _Spans(samples[:, 0], np.minimum(samples[:, 1] + 1, n_samples))


def _waved(marks: Marks) -> list[np.ndarray]:
    """Annotations that bound or name waves, in parts between which nothing is known; none where none is bounded."""
    codes = marks.codes
    here = np.flatnonzero(np.isin(codes, list(_SYMBOLS)))
    side = np.isin(codes[here], (_ON, _OFF))
    bounds = ((codes[here][:-1] == _ON) & ~side[1:]) | (~side[:-1] & (codes[here][1:] == _OFF))
    if not bounds.any():
        return []
    # U waves and fibrillation are none of P, QRS and T, and not none.
    strange = np.flatnonzero(np.isin(codes, (_U, _VF, _VF_END, _NOISE)))
    rests = np.flatnonzero(np.diff(marks.seconds[here]) > _LONGEST_REST) + 1
    cuts = np.unique(np.concatenate([np.searchsorted(here, strange), rests]))
    return [part for part in np.split(here, cuts) if part.size]


def waves(samples: Sequence[int], symbols: Sequence[str], n_samples: int) -> tuple[np.ndarray, np.ndarray]:
    """Which wave each sample lies in, and whether the marks say so.

    Parameters
    ----------
    samples
        Of the marks, ascending.
    symbols
        ``(``, ``p``, ``N``, ``t`` or ``)`` for each.
    n_samples
        Of the recording.

    Returns
    -------
    tuple of numpy.ndarray
        ``(time,)`` int8 as in `ecg_widget.records.WAVES`, and ``(time,)`` bool.

    Examples
    --------
    The onset of the second wave is lacking, so what lies before its peak is unknown:

    >>> wave, known = waves([1, 2, 3, 6, 7], ["(", "p", ")", "N", ")"], 10)
    >>> wave.tolist(), known.astype(int).tolist()
    ([0, 1, 1, 1, 0, 0, 2, 2, 0, 0], [0, 1, 1, 1, 0, 0, 1, 1, 0, 0])
    """
    wave, known = np.zeros(n_samples, np.int8), np.zeros(n_samples, bool)
    if samples:
        known[samples[0] : samples[-1] + 1] = True
    for i in range(len(samples) - 1):
        (a, left), (b, right) = (samples[i], symbols[i]), (samples[i + 1], symbols[i + 1])
        if left in PEAKS and right == ")":
            wave[a : b + 1] = PEAKS[left]
        elif left == "(" and right in PEAKS:
            wave[a : b + 1] = PEAKS[right]
        elif (left, right) != (")", "("):  # a mark is lacking between the two
            known[a + 1 : b] = False
            for at, symbol in ((a, left), (b, right)):
                if symbol in PEAKS:
                    wave[at] = PEAKS[symbol]
    return wave, known
