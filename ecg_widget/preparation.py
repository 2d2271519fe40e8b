"""From a recording of any rate, lead order and unit to what a network reads, and which samples of it are real."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
import xarray as xr

from ecg_widget.leads import LEADS, canonical_leads
from ecg_widget.lengths import trimmed
from ecg_widget.records import millivolts, resample, validate_ecg

__all__ = ["InputSpec", "Prepared", "prepare"]

_SHORTEST = 0.5  # s: less than a heartbeat at 120/min is no ECG to a network
_FLAT = 0.1  # s: exact zeros in all leads for so long are no signal; a shorter run may be a crossing of the baseline
_SILENT = 1e-6  # mV: a standard deviation below is that of rounding errors
_ORDER = 3  # of the Butterworth band-pass, run forwards and backwards


@dataclass(frozen=True)
class InputSpec:
    """What a network reads.

    Parameters
    ----------
    leads
        In the network's order, any spelling.
    sampling_rate
        Hz.
    n_samples
        The network reads exactly so many samples: shorter recordings are padded with zeros on both sides, longer ones
        are cropped to their middle, unless `hop` is stated. None: any length.
    units
        Of one step of the input: ``"mV"``, ``"uV"``, ``"1e-4V"``, ...
    normalise
        ``"zscore"``: each lead of each record has mean 0 and standard deviation 1 over its valid samples. None: as is.
    band
        Pass band in Hz of a zero-phase Butterworth filter of order 3, run both ways; None: no filter.
    hop
        Longer recordings are read in windows of `n_samples`, so many samples apart; the last one ends with the
        recording. None: they are not.

    Raises
    ------
    TypeError, ValueError
        With what was expected and what came.

    Examples
    --------
    >>> InputSpec(leads=("ii", "V5"), sampling_rate=400, n_samples=4096, units="1e-4V").leads
    ('II', 'V5')
    """

    leads: tuple[str, ...] = LEADS
    sampling_rate: float = 100.0
    n_samples: int | None = None
    units: str = "mV"
    normalise: str | None = None
    band: tuple[float, float] | None = None
    hop: int | None = None

    def __post_init__(self) -> None:
        if isinstance(self.leads, str):  # type: ignore[unreachable]  # what a caller without types may write
            raise TypeError(f"leads: expected a tuple of names, got the text {self.leads!r}")
        object.__setattr__(self, "leads", tuple(canonical_leads(self.leads)))
        if not self.leads:
            raise ValueError("leads: expected at least one name, got none")
        if isinstance(self.sampling_rate, bool) or not isinstance(self.sampling_rate, (int, float)):
            raise TypeError(f"sampling_rate: expected a number in Hz, got {self.sampling_rate!r}")
        if not 1 <= self.sampling_rate <= 1e5:
            raise ValueError(f"sampling_rate: expected 1 to 100000 Hz, got {self.sampling_rate!r}")
        object.__setattr__(self, "sampling_rate", float(self.sampling_rate))
        if self.n_samples is not None and (not isinstance(self.n_samples, int) or not 1 <= self.n_samples <= 2**24):
            raise ValueError(f"n_samples: expected a whole number from 1 to {2**24} or None, got {self.n_samples!r}")
        millivolts(self.units)
        if self.normalise not in (None, "zscore"):
            raise ValueError(f"normalise: expected None or 'zscore', got {self.normalise!r}")
        if self.band is not None:
            low, high = (float(edge) for edge in self.band)
            if not 0 < low < high < self.sampling_rate / 2:
                raise ValueError(
                    f"band: expected 0 < low < high < {self.sampling_rate / 2:g} Hz (half the rate), got {self.band}"
                )
            object.__setattr__(self, "band", (low, high))
        self._check_hop()

    def _check_hop(self) -> None:
        if self.hop is None:
            return
        if self.n_samples is None:
            raise ValueError("hop: expected None for a network of any length, got a number; state n_samples too")
        if isinstance(self.hop, bool) or not isinstance(self.hop, int) or not 1 <= self.hop <= self.n_samples:
            raise ValueError(f"hop: expected a whole number from 1 to n_samples={self.n_samples}, got {self.hop!r}")

    def window_starts(self, n_samples: int) -> list[int]:
        """First samples of the windows in which a recording of so many samples is read; ``[0]`` if it is read whole.

        Examples
        --------
        >>> InputSpec(n_samples=300, hop=200).window_starts(1000)
        [0, 200, 400, 600, 700]
        """
        if self.n_samples is None or self.hop is None or n_samples <= self.n_samples:
            return [0]
        last = n_samples - self.n_samples
        return [*range(0, last, self.hop), last]

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON; ``InputSpec(**d)`` makes it again."""
        out = asdict(self)
        if self.hop is None:  # files and fingerprints of networks without windows stay what they were
            del out["hop"]
        return {**out, "leads": list(self.leads), "band": None if self.band is None else list(self.band)}


@dataclass(frozen=True)
class Prepared:
    """A recording as a network reads it.

    Parameters
    ----------
    x
        ``(record, lead, time)`` float32, finite, in the network's units.
    valid
        ``(record, time)`` bool: False on gaps, on blank stretches and on padding.
    start_s
        Time of sample 0 on the recording's axis, s; before its start where zeros were added.
    sampling_rate
        Hz.
    """

    x: torch.Tensor
    valid: torch.Tensor
    start_s: float
    sampling_rate: float


def prepare(ds: xr.Dataset, spec: InputSpec) -> Prepared:
    """Bring a recording to what a network reads.

    Leads in the network's order, resampled, gaps bridged by straight lines (a lead without any sample: zeros),
    filtered, scaled, padded. A sample is valid unless a lead is NaN there, or all leads are exactly 0 for 0.1 s or
    longer or up to an end of the record, or padding put it there. Blank stretches are decided on the recording's own
    samples and stay exactly 0.

    Parameters
    ----------
    ds
        Of the data contract, any rate; of a ragged set records of one length.
    spec
        What the network reads.

    Raises
    ------
    ValueError
        A lead that the network reads is not in the recording; the recording is shorter than 0.5 s; records that
        end at different times.

    Examples
    --------
    >>> from ecg_widget.records import from_arrays
    >>> ds = from_arrays(np.ones((1, 500)), sampling_rate=500, leads=["II"], units="mV")
    >>> p = prepare(ds, InputSpec(leads=("II",), units="uV", n_samples=120))
    >>> p.x.shape, p.valid.sum().item(), p.start_s, p.x.max().item()
    (torch.Size([1, 1, 120]), 100, -0.1, 1000.0)
    """
    ds = trimmed(validate_ecg(ds))
    there = ds["lead"].values.tolist()
    if missing := [lead for lead in spec.leads if lead not in there]:
        raise ValueError(
            f"lead: expected {list(spec.leads)} for this network, got {there}; missing: {', '.join(missing)}. "
            "Leads are never filled in: record them, or use a network for the leads at hand"
        )
    old_rate = float(ds["time"].attrs["sampling_rate"])
    if (seconds := ds.sizes["time"] / old_rate) < _SHORTEST:
        raise ValueError(
            f"time: expected at least {_SHORTEST} s, got {ds.sizes['time']} samples at {old_rate:g} Hz = "
            f"{seconds:.3g} s; check the sampling rate or join the pieces"
        )
    plain = ds[["signal"]].sel(lead=list(spec.leads)).load()  # once: resampling checks and reads it again
    blank = _blank(plain["signal"].values, old_rate)
    values = resample(plain, spec.sampling_rate)["signal"].values.astype(np.float64)
    blank = _at_rate(blank, old_rate, spec.sampling_rate, values.shape[-1])
    gap = np.isnan(values)
    valid = ~(gap.any(axis=1) | blank)
    _bridge(values, gap)
    if spec.band is not None:
        values = _band_pass(values, spec.band, spec.sampling_rate)
    values /= millivolts(spec.units)
    if spec.normalise == "zscore":
        _zscore(values, valid, _SILENT / millivolts(spec.units))
    values[np.broadcast_to(blank[:, None], values.shape)] = 0
    start = float(ds["time"][0])
    if spec.n_samples is not None and (spec.hop is None or values.shape[-1] < spec.n_samples):
        values, valid, shift = _fit(values, valid, spec.n_samples)
        start += shift / spec.sampling_rate
    x = torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))
    return Prepared(x, torch.from_numpy(np.ascontiguousarray(valid)), start, spec.sampling_rate)


def _blank(values: np.ndarray, rate: float) -> np.ndarray:
    """Where all leads are exactly 0 for `_FLAT` or up to an end: ``(record, lead, time)`` to ``(record, time)``."""
    zero = (values == 0).all(axis=1)
    out: np.ndarray = np.zeros_like(zero)
    shortest = int(np.ceil(_FLAT * rate - 1e-9))
    for flags, row in zip(zero, out, strict=True):
        edges = np.flatnonzero(np.diff(flags, prepend=False, append=False))
        for first, last in edges.reshape(-1, 2):
            row[first:last] = last - first >= shortest or first == 0 or last == flags.size
    return out


def _at_rate(flags: np.ndarray, old: float, new: float, n_new: int) -> np.ndarray:
    """A flag at another rate: set where one of the two samples beside it is set, as `resample` treats gaps."""
    position = np.arange(n_new) * (old / new)
    last = flags.shape[-1] - 1
    before = np.minimum(np.floor(position + 1e-6).astype(int), last)
    after = np.minimum(np.ceil(position - 1e-6).astype(int), last)
    return np.asarray(flags[:, before] | flags[:, after])


def _bridge(values: np.ndarray, gap: np.ndarray) -> None:
    at = np.arange(values.shape[-1])
    for record, lead in zip(*np.nonzero(gap.any(axis=-1)), strict=True):
        hole, row = gap[record, lead], values[record, lead]
        row[hole] = 0 if hole.all() else np.interp(at[hole], at[~hole], row[~hole])


def _band_pass(values: np.ndarray, band: tuple[float, float], rate: float) -> np.ndarray:
    from scipy import signal as dsp  # noqa: PLC0415  (slow to import, and few networks filter)

    sos = dsp.butter(_ORDER, band, "bandpass", fs=rate, output="sos")
    pad = min(values.shape[-1] - 1, int(3 * rate / band[0]))  # the slow edge of the band rings for about 1 / low
    return np.asarray(dsp.sosfiltfilt(sos, values, axis=-1, padlen=pad))


def _zscore(values: np.ndarray, valid: np.ndarray, silent: float) -> None:
    weight = valid[:, None].astype(np.float64)
    count = np.maximum(weight.sum(axis=-1, keepdims=True), 1)
    mean = (values * weight).sum(axis=-1, keepdims=True) / count
    deviation = np.sqrt((((values - mean) * weight) ** 2).sum(axis=-1, keepdims=True) / count)
    values -= mean
    values /= np.where(deviation > silent, deviation, 1)


def _fit(values: np.ndarray, valid: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray, int]:
    """Pad or crop around the middle; the third result is the place of the new sample 0 on the old axis."""
    have = values.shape[-1]
    if have >= n:
        first = (have - n) // 2
        return values[..., first : first + n], valid[..., first : first + n], first
    left = (n - have) // 2
    sides = ((0, 0), (left, n - have - left))
    return np.pad(values, ((0, 0), *sides)), np.pad(valid, sides), -left
