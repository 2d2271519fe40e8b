"""Interchanged electrodes: the algebra of the limb leads, and how likely each interchange is given an average beat.

An interchange of limb electrodes leaves all sums such as I + III = II intact, so only the heart tells it. The average
beat of a record is described by how its leads go together in P, QRS and T (products of leads, and areas), and one
logistic model over these numbers says which interchange fits best. It is fitted on records taken as correct, each once
as it is and once with every interchange applied; `ecg_widget.evaluation.planted` fits and tests it over patients.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from ecg_widget.leads import LEADS

__all__ = [
    "INDEPENDENT",
    "LIMB",
    "SWAPS",
    "SwapModel",
    "average_beat",
    "beat_features",
    "describe",
    "shipped",
    "swap_leads",
]

INDEPENDENT = ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6")
"""The leads that the other four of the twelve follow from."""

LIMB = {
    "I": (1.0, 0.0),
    "II": (0.0, 1.0),
    "III": (-1.0, 1.0),
    "aVR": (-0.5, -0.5),
    "aVL": (1.0, -0.5),
    "aVF": (-0.5, 1.0),
}
"""Each limb lead from I and II (Einthoven 1912, Goldberger 1942)."""

# New (I, II) from the old (I, II). With RA, LA, LL as potentials: I = LA - RA, II = LL - RA, III = LL - LA = II - I.
# An interchange of limb electrodes leaves the Wilson terminal, and with it V1 to V6, as it is.
_ELECTRODES = {
    "RA-LA": ((-1.0, 0.0), (-1.0, 1.0)),  # I' = -I, II' = III
    "RA-LL": ((1.0, -1.0), (0.0, -1.0)),  # I' = -III, II' = -II
    "LA-LL": ((0.0, 1.0), (1.0, 0.0)),  # I' = II, II' = I
    "RA-LA-LL": ((-1.0, 1.0), (-1.0, 0.0)),  # LA, LL, RA where RA, LA, LL belong: I' = III, II' = -I
    "RA-LL-LA": ((0.0, -1.0), (1.0, -1.0)),  # LL, RA, LA where RA, LA, LL belong: I' = -II, II' = -III
}
_CHEST = {
    "V1-V2": (2, 1, 3, 4, 5, 6),
    "V1-V3": (3, 2, 1, 4, 5, 6),
    "V2-V3": (1, 3, 2, 4, 5, 6),
    "V3-V4": (1, 2, 4, 3, 5, 6),
    "V4-V5": (1, 2, 3, 5, 4, 6),
    "V4-V6": (1, 2, 3, 6, 5, 4),
    "V5-V6": (1, 2, 3, 4, 6, 5),
    "V1-V6 reversed": (6, 5, 4, 3, 2, 1),
}


def _matrices() -> dict[str, np.ndarray]:
    out = {}
    for name, limb in _ELECTRODES.items():
        out[name] = np.eye(8)
        out[name][:2, :2] = limb
    for name, order in _CHEST.items():
        out[name] = np.eye(8)[[0, 1, *(i + 1 for i in order)]]
    return out


SWAPS: dict[str, np.ndarray] = _matrices()
"""Name -> ``(8, 8)``: the leads `INDEPENDENT` as recorded with the interchange, from those without it."""

_RATE = 100.0  # Hz at which beats are averaged: P, QRS and T are told apart with it
_WINDOWS = {"P": (-0.24, -0.06), "QRS": (-0.06, 0.07), "T": (0.12, 0.42)}  # s from the fastest part of the QRS complex
_FEWEST = 3  # beats, for an average
_STEPS = {"P": 3, "QRS": 4, "T": 3}  # pieces of each window whose areas are features


def beat_features(signal: np.ndarray, rate: float) -> np.ndarray | None:
    """Numbers that describe a record's average beat.

    Parameters
    ----------
    signal
        ``(8, time)`` in mV, the leads `INDEPENDENT`, without NaN.
    rate
        Hz.

    Returns
    -------
    numpy.ndarray or None
        ``(feature,)``; None where there are too few beats.

    Examples
    --------
    >>> beat_features(np.zeros((8, 1000)), 100.0) is None
    True
    """
    beats = average_beat(signal, rate)
    return None if beats is None else describe(beats)


def average_beat(signal: np.ndarray, rate: float) -> np.ndarray | None:
    """Median beat ``(8, sample)`` at 100 Hz around the QRS complex, or None where there are too few beats."""
    from scipy import signal as dsp  # noqa: PLC0415  (slow to import)

    x = signal
    if rate != _RATE:
        n = round(signal.shape[1] * _RATE / rate)
        if n < 2 * _RATE:  # so few samples may be fewer than the mean below takes together
            return None
        at = np.arange(n) * (rate / _RATE)
        width = max(1, int(rate / _RATE))
        smooth = np.apply_along_axis(np.convolve, 1, signal, np.full(width, 1 / width), mode="same")
        grid = np.arange(signal.shape[1])
        x = np.stack([np.interp(at, grid, row) for row in smooth])
    if x.shape[1] < 2 * _RATE:
        return None
    x = dsp.sosfiltfilt(_high_pass(), x, axis=1)
    speed = np.abs(np.diff(x, axis=1)).sum(0)
    speed = np.convolve(speed, np.full(7, 1 / 7), mode="same")
    top = np.quantile(speed, 0.98)
    if not top > 0:
        return None
    peaks, _ = dsp.find_peaks(speed, height=0.4 * top, distance=int(0.25 * _RATE))
    before, after = (round(abs(t) * _RATE) for t in (_WINDOWS["P"][0], _WINDOWS["T"][1]))
    peaks = peaks[(peaks >= before) & (peaks < x.shape[1] - after)]
    if len(peaks) < _FEWEST:
        return None
    stack = x[:, peaks[:, None] + np.arange(-before, after)]  # (lead, beat, sample)
    beat = np.median(stack, axis=1)
    iso = slice(round((_WINDOWS["QRS"][0] - _WINDOWS["P"][0]) * _RATE) - 2, None)
    return beat - beat[:, iso][:, :3].mean(axis=1, keepdims=True)


@cache
def _high_pass() -> np.ndarray:
    from scipy import signal as dsp  # noqa: PLC0415  (slow to import)

    return dsp.butter(2, 0.6, "highpass", fs=_RATE, output="sos")


def describe(beat: np.ndarray) -> np.ndarray:
    """Describe an average beat ``(8, sample)`` by numbers ``(feature,)`` that do not depend on its size."""
    first = _WINDOWS["P"][0]
    out = []
    for name, (start, end) in _WINDOWS.items():
        part = beat[:, round((start - first) * _RATE) : round((end - first) * _RATE)]
        gram = part @ part.T
        size = np.sqrt(np.diag(gram))
        floor = 0.05 * np.sqrt((size**2).mean()) + 1e-9  # a lead without this wave correlates with nothing
        scale = size + floor
        out.append((gram / np.outer(scale, scale))[np.triu_indices(8, 1)])
        out.append(np.log(scale / np.sqrt((scale**2).mean())))
        pieces = np.array_split(part, _STEPS[name], axis=1)
        areas = np.stack([p.mean(axis=1) for p in pieces], axis=1)
        out.append((areas / (np.abs(part).mean() + 1e-9)).ravel())
    return np.concatenate(out)


def swap_leads(signal: np.ndarray, name: str) -> np.ndarray:
    """Give a 12-lead recording as it would be with an interchange.

    Parameters
    ----------
    signal
        ``(12, time)`` in the order of `ecg_widget.records.LEADS`.
    name
        A key of `SWAPS`.

    Examples
    --------
    >>> x = np.arange(12.0)[:, None]
    >>> swap_leads(x, "V1-V2")[6:8, 0].tolist()
    [7.0, 6.0]
    """
    rows = [LEADS.index(lead) for lead in INDEPENDENT]
    eight = SWAPS[name] @ signal[rows]
    limb = [np.tensordot(LIMB[lead], eight[:2], 1) for lead in LEADS[:6]]
    return np.concatenate([np.stack(limb), eight[2:]])


@dataclass(frozen=True)
class SwapModel:
    """A logistic model over `beat_features`.

    Parameters
    ----------
    names
        ``"none"``, then interchanges.
    weights
        ``(len(names), feature)``.
    bias
        ``(len(names),)``.
    """

    names: tuple[str, ...]
    weights: np.ndarray
    bias: np.ndarray

    def score(self, features: np.ndarray) -> tuple[str, float]:
        """The likeliest interchange, and the natural log of its odds to none."""
        logits = self.weights @ features + self.bias
        best = int(logits[1:].argmax()) + 1
        return self.names[best], float(logits[best] - logits[0])

    @classmethod
    def fit(cls, beats: np.ndarray, strength: float = 0.003) -> SwapModel:
        """Fit to the average beats ``(record, 8, sample)`` of records taken as correct.

        Parameters
        ----------
        beats
            As `average_beat` gives them.
        strength
            Inverse of the L2 penalty.
        """
        from sklearn.linear_model import LogisticRegression  # noqa: PLC0415  (fitting alone needs it)

        matrices = [np.eye(8), *SWAPS.values()]
        x = np.stack([describe(m @ beat) for beat in beats for m in matrices])
        mean, scale = x.mean(axis=0), x.std(axis=0) + 1e-9
        found = LogisticRegression(C=strength, max_iter=500).fit(
            (x - mean) / scale, np.tile(np.arange(len(matrices)), len(beats))
        )
        weights = found.coef_ / scale
        return cls(("none", *SWAPS), weights, found.intercept_ - weights @ mean)

    def save(self, path: Path, **facts: object) -> None:
        """Write the model and facts on how it was made as JSON."""
        text = json.dumps(
            {
                **facts,
                "names": self.names,
                "bias": [float(f"{v:.6g}") for v in self.bias],
                "weights": [[float(f"{v:.5g}") for v in row] for row in self.weights],
            }
        )
        path.write_text(text + "\n", encoding="utf-8")


@cache
def shipped() -> SwapModel:
    """Load the model that comes with the package.

    Examples
    --------
    >>> shipped().names[:3]
    ('none', 'RA-LA', 'RA-LL')
    """
    stored = json.loads((Path(__file__).parent / "weights" / "lead_swaps.json").read_text(encoding="utf-8"))
    return SwapModel(tuple(stored["names"]), np.asarray(stored["weights"]), np.asarray(stored["bias"]))
