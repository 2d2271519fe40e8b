"""Simulated 12-lead ECGs with exact truth: for teaching, for tests and for pages without patients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from ecg_widget.heart_vector import (
    CLASSES,
    QRS,
    QRS_MS,
    QRS_MS_NORMAL,
    ST,
    SUPPORT,
    Beat,
    P,
    T,
    beat,
    leads_of,
    rotation,
)
from ecg_widget.leads import LEADS
from ecg_widget.noise import Noise, lead_power
from ecg_widget.validation import WAVES, check_rate, validate_ecg

_LEAD_IN = 2.5  # s before the record, so that its first samples hold the tail of earlier beats
_QRS_WINDOW, _WINDOW = (-0.05, 0.28), (-0.35, 0.85)  # s around the onset of QRS that hold its waves, and all the others
_SHORTEST_RR = 0.33  # s; 180 beats a minute


@dataclass(frozen=True)
class _Timeline:
    """All beats of one record.

    ``onset`` (beat,), s, of QRS. Of each Gaussian, (beat, component): ``peak``, s after the onset; ``rise`` and
    ``fall``, its flanks' standard deviations in s; ``size``, the factor on its amplitude.
    """

    onset: np.ndarray
    peak: np.ndarray
    rise: np.ndarray
    fall: np.ndarray
    size: np.ndarray


def simulate(
    n_records: int = 1,
    *,
    duration: float = 10.0,
    sampling_rate: float = 500.0,
    seed: int = 0,
    classes: Sequence[str] | str | None = None,
    snr: float = 24.0,
    wander: float = 0.05,
    mains: float = 50.0,
) -> xr.Dataset:
    """Simulate recordings of as many different hearts.

    A dipole made of Gaussian waves (`ecg_widget.heart_vector`) moves through each beat and is seen by Dower's leads.
    Each heart has its own rate, axis, amplitudes and intervals. RR varies with respiration, at 0.1 Hz and at random; in
    atrial fibrillation it is irregular, without P but with fibrillatory waves. QT follows RR by Fridericia's cube root.
    Noise enters at the electrodes, so that the limb leads' relations hold with it.

    Parameters
    ----------
    n_records
        >= 1. Record ``i`` is the same, bit for bit, however many are made.
    duration
        s, 1 to 3600.
    sampling_rate
        Hz, 50 to 10000. 500 is what PTB-XL and the AHA's recommendation for diagnostic ECGs (150 Hz bandwidth) have.
    seed
        >= 0; same seed, same bits (under one version of NumPy).
    classes
        Names out of `ecg_widget.heart_vector.CLASSES`, taken in turn; default: all seven.
    snr
        dB, power of the clean leads over that of muscle and mains noise, both as mean over the 12 leads of each record;
        ``inf`` = neither.
    wander
        mV, RMS of the baseline wander of each electrode; 0 = none.
    mains
        Hz, 50 or 60, a tenth of the noise's power; 0 = none. Above 0.45 of the sampling rate it is left out, as an
        anti-aliasing filter would.

    Returns
    -------
    xarray.Dataset
        ``signal (record, lead, time)`` float32 mV; ``wave (record, time)`` int8, the truth: a wave lasts from 2.3
        standard deviations before its first Gaussian's peak to 2.3 after its last one's; ``label (record, target)``
        uint8, one hot over all seven classes; ``patient (record)``.

    Examples
    --------
    >>> ds = simulate(3, seed=1, classes=["NORM", "AFIB"])
    >>> dict(ds.signal.sizes), ds.label.sel(target="AFIB").values.tolist()
    ({'record': 3, 'lead': 12, 'time': 5000}, [0, 1, 0])
    """
    names = _check_classes(classes)
    rate = _within("sampling_rate", check_rate(sampling_rate), 50, 10_000, "Hz")
    seconds = _within("duration", duration, 1, 3600, "s")
    count, root = _whole("n_records", n_records, 1), _whole("seed", seed, 0)
    if np.isnan(snr) or snr < -20:
        raise ValueError(f"snr: expected dB of at least -20, or inf for no noise, got {snr!r}")
    noise = Noise(float(snr), _within("wander", wander, 0, 10, "mV"), _within("mains", mains, 0, 400, "Hz"))
    n = round(seconds * rate)
    time = np.arange(n) / rate
    signal = np.empty((count, len(LEADS), n), np.float32)
    wave = np.empty((count, n), np.int8)
    for i in range(count):
        # One stream a record, keyed by its number: what is drawn for one never shifts another.
        rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence(root, spawn_key=(i,))))
        dipole, wave[i] = _heart(rng, names[i % len(names)], time, rate)
        signal[i] = leads_of(dipole)
        picked_up = noise.draw(rng, time, rate, lead_power(signal[i]))
        if picked_up is not None:
            signal[i] = leads_of(dipole, picked_up)
    given = [names[i % len(names)] for i in range(count)]
    targets = list(CLASSES)
    label = np.array([[name == target for target in targets] for name in given], np.uint8)
    flags = {"flag_values": list(range(len(WAVES))), "flag_meanings": " ".join(WAVES)}
    ds = xr.Dataset(
        {
            "signal": (("record", "lead", "time"), signal, {"units": "mV"}),
            "wave": (("record", "time"), wave, flags),
            "label": (("record", "target"), label, {"long_name": "class of the simulated heart"}),
            "patient": ("record", [f"simulated-{root}-{i}" for i in range(count)]),
        },
        {
            "record": ("record", [f"{i:04d}-{name}" for i, name in enumerate(given)]),
            "lead": ("lead", list(LEADS)),
            "time": ("time", time, {"units": "s", "sampling_rate": rate}),
            "target": ("target", targets, {"meanings": list(CLASSES.values())}),
        },
        {
            "source": f"simulate(seed={root})",
            "format": "simulated",
            "reader": "ecg_widget.simulate",
            "filters": "",
            "snr_db": noise.snr if np.isfinite(noise.snr) else "inf",  # JSON knows no infinity
            "wander_mV": noise.wander,
            "mains_Hz": noise.mains,
        },
    )
    return validate_ecg(ds)


def _check_classes(classes: Sequence[str] | str | None) -> list[str]:
    names = list(CLASSES) if classes is None else [classes] if isinstance(classes, str) else list(classes)
    unknown = [name for name in names if name not in CLASSES]
    if unknown or not names:
        raise ValueError(f"classes: expected names out of {', '.join(CLASSES)}, got {unknown or names!r}")
    return names


def _within(name: str, value: Any, least: float, most: float, unit: str) -> float:
    number = float(value)
    if not least <= number <= most:
        raise ValueError(f"{name}: expected {least:g} to {most:g} {unit}, got {value!r}")
    return number


def _whole(name: str, value: Any, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{name}: expected a whole number, got {type(value).__name__} {value!r}")
    if value < least:
        raise ValueError(f"{name}: expected at least {least}, got {value}")
    return int(value)


def _normal(rng: np.random.Generator, mean: float, deviation: float, least: float, most: float) -> float:
    return float(np.clip(rng.normal(mean, deviation), least, most))


def _heart(rng: np.random.Generator, name: str, time: np.ndarray, rate: float) -> tuple[np.ndarray, np.ndarray]:
    """Draw one heart and give its dipole (3, time) in mV and its waves (time,)."""
    body = _individual(rng, name)
    breath = (rng.uniform(0.18, 0.32), rng.uniform(0, 2 * np.pi))  # Hz, phase
    onset, interval = _rhythm(rng, name, float(time[-1]), breath)
    pr = _normal(rng, 0.160, 0.014, 0.128, 0.192)
    qtc = _normal(rng, 0.400, 0.013, 0.370, 0.430)
    qrs_end = float((body.time + SUPPORT * body.fall)[body.kind == QRS].max())
    if qrs_end > 0.115:  # depolarisation that lasts longer puts off the end of repolarisation
        qtc += qrs_end - 0.095
    # QT follows RR with memory (hysteresis): mostly the mean rate, a little the last interval.
    usual = 0.75 * interval.mean() + 0.25 * interval
    qt = qtc * np.cbrt(usual)

    n_beats = onset.size
    is_t, is_p, is_st = body.kind == T, body.kind == P, body.kind == ST
    stretch = np.ones((n_beats, body.kind.size))  # T widens with QT, and ST makes room
    stretch[:, is_t | is_st] = (qt / 0.400)[:, None]
    peak = body.time * np.where(is_st | is_t, stretch, 1.0)
    peak[:, is_p] -= pr
    peak[:, is_st] += qrs_end
    peak[:, is_t] += qt[:, None]
    rise, fall = body.rise * stretch, body.fall * stretch
    size = 1 + 0.035 * np.sin(2 * np.pi * breath[0] * onset + breath[1])[:, None] * np.ones(body.kind.size)
    size *= 1 + rng.normal(0, 0.012, size.shape)
    # A beat that comes soon meets a heart that is less full and repolarised: its T is lower.
    size[:, is_t] *= np.clip(interval / interval.mean(), 0.6, 1.15)[:, None] ** 0.4

    beats = _Timeline(onset, peak, rise, fall, size)
    dipole = _add_beats(beats, body, time, rate)
    if name == "AFIB":
        dipole += _fibrillation(rng, time)
    return dipole, _truth(beats, body.kind, time)


def _individual(rng: np.random.Generator, name: str) -> Beat:
    """Vary the typical beat: size, axis, width of QRS, each wave's own amplitude and direction."""
    typical = beat(name)
    mean, deviation, least, most = QRS_MS.get(name, QRS_MS_NORMAL)
    qrs = typical.kind == QRS
    length = (typical.time + SUPPORT * typical.fall)[qrs].max()
    wider = np.where(qrs, _normal(rng, mean, deviation, least, most) / 1000 / length, 1.0)
    p = typical.kind == P
    wider[p] = _normal(rng, 1.0, 0.07, 0.85, 1.15)
    narrow = name in {"LVH", "IMI"}  # criteria in mV leave less room
    build = np.exp(np.clip(rng.normal(0, 0.08 if narrow else 0.16), -0.3, 0.3))
    lying = {"IMI": 0, "CLBBB": -12}.get(name, -7)  # degrees; the block's late fronts run upwards
    turn = rotation(
        lying + np.clip(rng.normal(0, 6 if narrow else 11), -20, 20),
        np.clip(rng.normal(0, 4 if narrow else 7), -12, 12),
    )
    xyz = typical.xyz.copy()
    for wave in (P, QRS, T, ST):
        mine = typical.kind == wave
        own = rotation(*rng.normal(0, 4, 2)) if wave != ST else np.eye(3)
        xyz[mine] = xyz[mine] @ (own @ turn).T * build * np.exp(np.clip(rng.normal(0, 0.10), -0.2, 0.2))
    xyz *= np.exp(rng.normal(0, 0.05, (xyz.shape[0], 1)))
    return Beat(typical.kind, typical.time * wider, typical.rise * wider, typical.fall * wider, xyz)


def _rhythm(
    rng: np.random.Generator, name: str, end: float, breath: tuple[float, float]
) -> tuple[np.ndarray, np.ndarray]:
    """Onsets of QRS and the RR interval before each, in s."""
    irregular = name == "AFIB"
    mean = 60 / (_normal(rng, 92, 16, 64, 130) if irregular else _normal(rng, 70, 9, 52, 95))
    n = int((end + 2 * _LEAD_IN) / (mean * 0.5)) + 8
    chance = rng.standard_normal(n)
    first = -_LEAD_IN + rng.uniform(0, mean)
    phase = rng.uniform(0, 2 * np.pi)
    high, low = rng.uniform(0.015, 0.045), rng.uniform(0.01, 0.03)
    if irregular:  # RR in fibrillation is skewed to the right and without memory
        interval = np.maximum(mean * np.exp(0.22 * chance - 0.024), _SHORTEST_RR)
    else:
        about = first + mean * np.arange(n)
        interval = mean * (
            1
            + high * np.sin(2 * np.pi * breath[0] * about + breath[1])
            + low * np.sin(2 * np.pi * 0.1 * about + phase)
            + 0.008 * chance
        )
    onset = first + np.cumsum(interval)
    inside = onset < end + 1.0
    return onset[inside], interval[inside]


def _add_beats(beats: _Timeline, body: Beat, time: np.ndarray, rate: float) -> np.ndarray:
    """Sum the Gaussians of all beats."""
    n = time.size
    dipole = np.zeros((3, n))
    quick = body.kind == QRS
    for mine, (before, after) in ((quick, _QRS_WINDOW), (~quick, _WINDOW)):
        first = np.floor((beats.onset + before) * rate).astype(np.int64)
        offset = np.arange(int((after - before) * rate) + 1)
        at = (first[:, None] + offset) / rate - beats.onset[:, None]  # (beat, sample): s from the onset of QRS
        away = at[:, None, :] - beats.peak[:, mine, None]
        away *= np.where(away < 0, 1 / beats.rise[:, mine, None], 1 / beats.fall[:, mine, None])
        vectors = body.xyz[mine].T[None] * beats.size[:, None, mine]  # (beat, 3, component)
        loops = vectors @ np.exp(-0.5 * away * away)
        for start, one in zip(first.tolist(), loops, strict=True):
            lo, hi = max(start, 0), min(start + offset.size, n)
            if lo < hi:
                dipole[:, lo:hi] += one[:, lo - start : hi - start]
    return dipole


def _truth(beats: _Timeline, kind: np.ndarray, time: np.ndarray) -> np.ndarray:
    wave = np.zeros(time.size, np.int8)
    for which in (T, P, QRS):  # where waves meet, the later of this list is what a reader sees
        mine = kind == which
        if mine.any():
            starts = beats.onset + (beats.peak - SUPPORT * beats.rise)[:, mine].min(axis=1)
            ends = beats.onset + (beats.peak + SUPPORT * beats.fall)[:, mine].max(axis=1)
            for lo, hi in zip(np.searchsorted(time, starts), np.searchsorted(time, ends, "right"), strict=True):
                wave[lo:hi] = which
    return wave


def _fibrillation(rng: np.random.Generator, time: np.ndarray) -> np.ndarray:
    """Fibrillatory waves: two drifting oscillators, 4.5 to 8 Hz, largest in V1."""
    total = np.zeros((3, time.size))
    for direction, amplitude in (((-0.30, 0.45, -0.80), 0.055), ((0.10, 0.75, -0.25), 0.030)):
        rate, drift = rng.uniform(4.5, 8.0), rng.uniform(0.3, 0.9)
        a, b, c = rng.uniform(0, 2 * np.pi, 3)
        phase = 2 * np.pi * rate * time + 1.5 * np.sin(2 * np.pi * drift * time + a)
        shape = np.sin(phase + c) + 0.35 * np.sin(2 * phase + b)
        envelope = 1 + 0.4 * np.sin(2 * np.pi * 0.5 * drift * time + b)
        total += np.outer(direction, amplitude * rng.uniform(0.7, 1.4) * envelope * shape)
    return total
