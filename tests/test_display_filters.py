"""The page's display filters against SciPy: the fixture that the page's own tests read is what SciPy says today."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy import signal

FIXTURE = Path(__file__).parent / "fixtures" / "filters" / "sosfiltfilt.json"
# Band (Hz), notch (Hz), sampling rate (Hz): every choice of the page, and rates that leave a part of it out.
CASES = [
    ([0.5, 40], 0, 500),
    ([0.05, 150], 0, 500),
    ([0.5, 40], 50, 500),
    ([0.05, 150], 60, 1000),
    (None, 50, 250),
    (None, 60, 400),
    ([0.05, 150], 50, 100),
]
REACH = 0.45  # of the sampling rate: what lies above is left out
SECONDS = 2


def filtered(x: np.ndarray, band: list[float] | None, notch: float, rate: float) -> np.ndarray:
    """Butterworth of order 2 above, order 4 below, notch of Q 30: forwards and backwards."""
    sections = []
    if band is not None:
        sections.append(signal.butter(2, band[0], "highpass", fs=rate, output="sos"))
        if band[1] < REACH * rate:
            sections.append(signal.butter(4, band[1], "lowpass", fs=rate, output="sos"))
    if 0 < notch < REACH * rate:
        sections.append(signal.tf2sos(*signal.iirnotch(notch, 30, fs=rate)))
    if not sections:
        return x
    pad = min(int(np.ceil(rate / (band[0] if band else 1))), len(x) - 1)
    return signal.sosfiltfilt(np.vstack(sections), x, padtype="odd", padlen=pad)


def cases() -> list[dict]:
    rows = []
    for band, notch, rate in CASES:
        n = SECONDS * rate
        t = np.arange(n) / rate
        beats = sum(np.exp(-(((t - at) / 0.012) ** 2)) for at in (0.3, 1.15, 1.9))
        x = beats + 0.4 * t + 0.2 * np.sin(2 * np.pi * 50 * t) + 0.1 * np.cos(2 * np.pi * 60 * t) - 0.3
        x = x.round(4)
        y = filtered(x, band, notch, rate)[::10]
        rows.append({"band": band, "notch": notch, "rate": rate, "x": x.tolist(), "y": y.round(12).tolist()})
    return rows


def test_the_fixture_is_what_scipy_says():
    stored = json.loads(FIXTURE.read_text(encoding="utf-8"))
    for old, new in zip(stored, cases(), strict=True):
        assert (old["band"], old["notch"], old["rate"]) == (new["band"], new["notch"], new["rate"])
        np.testing.assert_allclose(old["x"], new["x"], atol=1e-12)
        np.testing.assert_allclose(old["y"], new["y"], atol=1e-9)


def test_a_filter_takes_out_what_it_says():
    rate, n = 500, 5000
    t = np.arange(n) / rate
    inner = slice(1500, 3500)
    for band, notch, frequency in (([0.5, 40], 0, 0.05), ([0.5, 40], 0, 120), (None, 50, 50), (None, 60, 60)):
        out = filtered(np.sin(2 * np.pi * frequency * t), band, notch, rate)
        assert np.abs(out[inner]).max() < 0.02, (band, notch, frequency)
    kept = filtered(np.sin(2 * np.pi * 10 * t), [0.5, 40], 50, rate)
    assert np.abs(kept[inner]).max() == pytest.approx(1, abs=0.02)


if __name__ == "__main__":
    FIXTURE.write_text(json.dumps(cases()) + "\n", encoding="utf-8")
