"""What electrodes pick up besides the heart: muscle, mains, baseline wander."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import fft

from ecg_widget.heart_vector import ELECTRODES, leads_of

_MAINS_SHARE = 0.1  # of the power of muscle and mains together
_MUSCLE_HZ = (15.0, 150.0)  # the electromyogram's band, cut off above by the recorder's own filter
_WANDER_HZ = ((0.05, 0.15), (0.15, 0.35), (0.2, 0.5))  # sway, breath, movement


@dataclass(frozen=True)
class Noise:
    """How much: ``snr`` in dB (inf = no muscle and mains noise), ``wander`` in mV RMS, ``mains`` in Hz (0 = none)."""

    snr: float
    wander: float
    mains: float

    def draw(self, rng: np.random.Generator, time: np.ndarray, rate: float, clean_power: float) -> np.ndarray | None:
        """Draw the disturbances of one record.

        Parameters
        ----------
        rng
            The record's stream.
        time, rate
            ``(time,)`` in s, and Hz.
        clean_power
            mV^2, mean over the 12 leads of the clean record's variance.

        Returns
        -------
        numpy.ndarray or None
            ``(9, time)``, mV, at `ecg_widget.heart_vector.ELECTRODES`; None where nothing is asked for.
        """
        total = None
        if np.isfinite(self.snr):
            total = _muscle(rng, time, rate)
            if 0 < self.mains <= 0.45 * rate:
                about = self.mains * (1 + 2e-4 * rng.standard_normal())
                hum = _tones(rng, time, [about], spread=0.4)
                total *= np.sqrt((1 - _MAINS_SHARE) / np.mean(total**2))
                total += hum * np.sqrt(_MAINS_SHARE / np.mean(hum**2))
            seen = leads_of(np.zeros((3, time.size)), total)
            total *= np.sqrt(clean_power / 10 ** (self.snr / 10) / lead_power(seen))
        if self.wander > 0:
            slow = _tones(rng, time, [rng.uniform(least, most) for least, most in _WANDER_HZ])
            slow *= self.wander / np.sqrt(np.mean(slow**2, axis=1, keepdims=True))
            total = slow if total is None else total + slow
        return total


def lead_power(leads: np.ndarray) -> float:
    """Mean over the leads of each one's variance; `leads` is ``(lead, time)`` in mV, the result in mV^2.

    Examples
    --------
    >>> lead_power(np.array([[1.0, -1.0], [0.0, 0.0]]))
    0.5
    """
    return float(np.mean(np.var(leads, axis=1, dtype=np.float64)))


def _tones(rng: np.random.Generator, time: np.ndarray, hertz: list[float], spread: float = 1.0) -> np.ndarray:
    """Sines of the same frequencies at all electrodes, each with an amplitude and a phase of its own."""
    angle = 2 * np.pi * np.asarray(hertz)[:, None] * time
    shape = (len(ELECTRODES), len(hertz))
    size, phase = rng.uniform(0.25, 1.0, shape), rng.uniform(0, 2 * np.pi * spread, shape)
    # sin(a + b) = sin a cos b + cos a sin b: one sine and cosine for all electrodes.
    tones: np.ndarray = (size * np.cos(phase)) @ np.sin(angle) + (size * np.sin(phase)) @ np.cos(angle)
    return tones


def _muscle(rng: np.random.Generator, time: np.ndarray, rate: float) -> np.ndarray:
    """Electromyogram: band noise that rises and falls slowly at each electrode."""
    length = fft.next_fast_len(time.size, real=True)
    f = fft.rfftfreq(length, 1 / rate)
    least, most = _MUSCLE_HZ[0], min(_MUSCLE_HZ[1], 0.45 * rate)
    gain = (1 / (1 + (least / np.maximum(f, 1e-3)) ** 4) / (1 + (f / most) ** 6)).astype(np.float32)
    white = rng.standard_normal((len(ELECTRODES), f.size, 2), np.float32).view(np.complex64)[..., 0]
    noise = fft.irfft(white * gain, length, axis=1)[:, : time.size]
    envelope = 1 + 0.5 * _tones(rng, time, [rng.uniform(0.05, 0.3)])
    muscle: np.ndarray = noise * envelope
    return muscle
