"""Least and greatest samples of a long recording, so that no peak is lost on a screen that has fewer columns.

One level suffices: over the blocks of a day, an envelope takes a millisecond, less than its way to the screen.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import xarray as xr

from ecg_widget.validation import check_rate

__all__ = ["BLOCK", "Pyramid"]

BLOCK = 128  # samples; 9 bytes for each of a lead's blocks, 2 % of what its samples would take
_PER_COLUMN = 8  # blocks in a column from which on its edges lie on blocks: an edge is off by at most 1/16 column
_PIECE = 1 << 20  # samples of all leads that are read at a time


class Pyramid:
    """Least and greatest samples of blocks of a recording, read piece by piece, once, when needed or ahead of it.

    A day of 3 leads at 250 Hz takes 4.6 MB, an hour of 12 leads at 500 Hz 1.5 MB: 9 bytes for each `BLOCK` samples of
    a lead. Any number of threads may ask and build at the same time: a piece is read once, and who waits for another's
    piece waits for one piece.

    Parameters
    ----------
    signal
        ``(lead, time)`` float32, in memory or in its file, with the coordinate ``time`` of the data contract; NaN is a
        gap.

    Raises
    ------
    ValueError
        Other dims; a time axis without ``attrs["sampling_rate"]``.

    Examples
    --------
    >>> import ecg_widget as ecg
    >>> pyramid = Pyramid(ecg.simulate(1, duration=60)["signal"][0])
    >>> pyramid.read, pyramid.envelope(0, 60, 800).shape, pyramid.build(), pyramid.read
    (0.0, (12, 800, 2), True, 1.0)
    """

    def __init__(self, signal: xr.DataArray) -> None:
        if signal.dims != ("lead", "time") or 0 in signal.shape:
            raise ValueError(
                f"signal: expected dims ('lead', 'time'), none empty, got {dict(signal.sizes)}; use .isel(record=0)"
            )
        if "time" not in signal.coords or "sampling_rate" not in signal["time"].attrs:
            raise ValueError("signal: expected the coordinate time with attrs['sampling_rate'] in Hz, got none")
        self.signal = signal
        self.rate = check_rate(signal["time"].attrs["sampling_rate"])
        self.start = float(signal["time"][0])
        n_leads, self.n_samples = signal.shape
        n_blocks = -(-self.n_samples // BLOCK)
        self._least = np.full((n_leads, n_blocks), np.nan, np.float32)
        self._greatest = np.full((n_leads, n_blocks), np.nan, np.float32)
        self._falls = np.zeros((n_leads, n_blocks), bool)  # whether the greatest comes before the least
        self._piece = max(1, _PIECE // n_leads // BLOCK)  # blocks
        self._done = np.zeros(-(-n_blocks // self._piece), bool)
        self._lock = threading.Lock()

    @property
    def read(self) -> float:
        """Share of the recording that was read, 0 to 1."""
        return float(self._done.mean())

    @property
    def nbytes(self) -> int:
        """Memory that it holds."""
        return self._least.nbytes + self._greatest.nbytes + self._falls.nbytes

    def build(self, stop: threading.Event | None = None, progress: Callable[[float], object] | None = None) -> bool:
        """Read what was not read yet.

        Parameters
        ----------
        stop
            Looked at between pieces: once it is set, no further one is read.
        progress
            Called with `read` after each piece.

        Returns
        -------
        bool
            Whether everything is read.
        """
        for piece in range(len(self._done)):
            if self._done[piece]:
                continue
            if stop is not None and stop.is_set():
                return False
            self._ensure(piece)
            if progress is not None:
                progress(self.read)
        return bool(self._done.all())

    def edges(self, t0: float, t1: float, columns: int) -> np.ndarray:
        """Samples at which the columns of `envelope` begin, and where the last one ends: ``(columns + 1,)``.

        Evenly spaced over the part of ``t0`` to ``t1`` (s) that the recording covers, to the sample; in columns of
        1024 samples and more to the block, which is at most 1/16 of a column off.
        """
        return self._edges(t0, t1, columns)[0]

    def envelope(self, t0: float, t1: float, columns: int, *, wait: bool = True) -> np.ndarray:
        """Least and greatest sample of each column of a screen.

        Parameters
        ----------
        t0, t1
            Seconds of the recording.
        columns
            How many; their edges are those of `edges`.
        wait
            Whether to read what is missing first. Otherwise long columns show what was read.

        Returns
        -------
        numpy.ndarray
            ``(lead, column, 2)`` float32, exactly the least and the greatest sample; gaps do not count, and NaN stands
            where there is nothing else, or nothing was read yet.

        Raises
        ------
        ValueError
            A span outside the recording; no column.
        """
        edges, step = self._edges(t0, t1, columns)
        if step == 1:
            return self._exactly(edges)
        low, high = int(edges[0]) // BLOCK, -(-int(edges[-1]) // BLOCK)
        if wait:
            for piece in range(low // self._piece, -(-high // self._piece)):
                self._ensure(piece)
        at = edges[:-1] // BLOCK - low
        least = np.fmin.reduceat(self._least[:, low:high], at, axis=1)
        return np.stack([least, np.fmax.reduceat(self._greatest[:, low:high], at, axis=1)], axis=2)

    def decimated(self, t0: float, t1: float, n: int) -> xr.DataArray:
        """Of every `n` samples the least and the greatest, in the order in which they occurred.

        A line through them passes through every peak. Groups begin at multiples of `n` from the recording's start, so
        that they are the same wherever one looks. Those of a multiple of `BLOCK` samples are taken from the blocks,
        others from the samples.

        Parameters
        ----------
        t0, t1
            Seconds of the recording, widened to whole groups.
        n
            At least 1, which gives every sample.

        Returns
        -------
        xarray.DataArray
            ``(lead, time)`` float32, two "samples" for each group, evenly spaced. attrs: ``decimation``,
            ``sampling_rate`` of this array (2 / n of the recorded one) and ``sampling_rate_recorded``, Hz. Gaps do not
            count; a group of nothing else is NaN.

        Raises
        ------
        ValueError
            A span outside the recording; `n` below 1.

        Examples
        --------
        >>> import ecg_widget as ecg
        >>> pyramid = Pyramid(ecg.simulate(1, duration=60)["signal"][0])
        >>> part = pyramid.decimated(10, 50, 256)
        >>> part.shape, part.attrs["sampling_rate"], float(part.time[0])
        ((12, 158), 3.90625, 9.728)
        """
        if n < 1:
            raise ValueError(f"n: expected at least 1 sample in a group, got {n}")
        first, last = self._samples(t0, t1)
        if n == 1:
            return self._wire(self._values(first, last), first, n)
        low, high = first // n, -(-last // n)
        out = np.empty((len(self._least), high - low, 2), np.float32)
        per = max(1, _PIECE // len(self._least) // n)  # groups
        for group in range(low, high, per):
            end = min(high, group + per)
            if n % BLOCK:
                values = self._values(group * n, min(end * n, self.n_samples))
                least, greatest, falls = _extremes(values, n)
            else:
                least, greatest, falls = self._of_blocks(group, end, n // BLOCK)
            here = out[:, group - low : end - low]
            here[..., 0] = np.where(falls, greatest, least)
            here[..., 1] = np.where(falls, least, greatest)
        return self._wire(out.reshape(len(out), -1), low * n, n)

    def _edges(self, t0: float, t1: float, columns: int) -> tuple[np.ndarray, int]:
        """Edges of columns, and what they are multiples of."""
        first, last = self._samples(t0, t1)
        if columns < 1:
            raise ValueError(f"columns: expected at least 1, got {columns}")
        step = BLOCK if last - first >= columns * _PER_COLUMN * BLOCK else 1
        exact = first + (last - first) * np.arange(columns + 1) / columns
        edges = np.rint(exact / step).astype(np.int64) * step
        edges[-1] = last if last == self.n_samples else min(edges[-1], self.n_samples)
        return edges, step

    def _samples(self, t0: float, t1: float) -> tuple[int, int]:
        if not t0 < t1:
            raise ValueError(f"span: expected t0 < t1, got {t0} and {t1} s")
        end = self.start + self.n_samples / self.rate
        first, last = (round((min(max(t, self.start), end) - self.start) * self.rate) for t in (t0, t1))
        if first == last:
            raise ValueError(f"span: expected a sample or more of {self.start:g} to {end:g} s, got {t0:g} to {t1:g} s")
        return first, last

    def _values(self, first: int, last: int) -> np.ndarray:
        return self.signal.variable[:, first:last].values

    def _ensure(self, piece: int) -> None:
        """Read a piece unless somebody did."""
        if self._done[piece]:
            return
        with self._lock:
            if self._done[piece]:
                return
            low = piece * self._piece
            high = min(low + self._piece, self._least.shape[1])
            found = _extremes(self._values(low * BLOCK, min(high * BLOCK, self.n_samples)), BLOCK)
            self._least[:, low:high], self._greatest[:, low:high], self._falls[:, low:high] = found
            self._done[piece] = True

    def _exactly(self, edges: np.ndarray) -> np.ndarray:
        """The envelope from the samples themselves, columns piece by piece."""
        out = np.full((len(self._least), len(edges) - 1, 2), np.nan, np.float32)
        column = 0
        while column < len(edges) - 1:
            end = int(np.searchsorted(edges, edges[column] + _PIECE // len(out), side="right")) - 1
            end = min(max(end, column + 1), len(edges) - 1)
            some = column + np.flatnonzero(np.diff(edges[column : end + 1]))  # columns narrower than a sample are empty
            if some.size:
                values = self._values(int(edges[column]), int(edges[end]))
                at = edges[some] - edges[column]
                out[:, some, 0] = np.fmin.reduceat(values, at, axis=1)
                out[:, some, 1] = np.fmax.reduceat(values, at, axis=1)
            column = end
        return out

    def _of_blocks(self, group: int, end: int, width: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Extremes of groups of whole blocks and their order."""
        low, high = group * width, min(end * width, self._least.shape[1])
        for piece in range(low // self._piece, -(-high // self._piece)):
            self._ensure(piece)
        least, lowest = _first(np.fmin, self._least[:, low:high], width)
        greatest, highest = _first(np.fmax, self._greatest[:, low:high], width)
        falls = np.take_along_axis(_groups(self._falls[:, low:high], width, fill=False), lowest[..., None], 2)[..., 0]
        return least, greatest, np.where(lowest == highest, falls, highest < lowest)

    def _wire(self, values: np.ndarray, first: int, n: int) -> xr.DataArray:
        rate = self.rate if n == 1 else 2 * self.rate / n
        time = self.start + first / self.rate + np.arange(values.shape[1]) / rate
        return xr.DataArray(
            values,
            dims=("lead", "time"),
            coords={
                "lead": self.signal["lead"].variable,
                "time": ("time", time, {"units": "s", "sampling_rate": rate}),
            },
            attrs={**self.signal.attrs, "decimation": n, "sampling_rate": rate, "sampling_rate_recorded": self.rate},
            name="signal",
        )


def _groups(values: np.ndarray, width: int, *, fill: Any) -> np.ndarray:
    """``(lead, sample)`` as ``(lead, group, width)``, the last group filled up."""
    missing = -values.shape[1] % width
    if missing:
        values = np.concatenate([values, np.full((len(values), missing), fill, values.dtype)], axis=1)
    return values.reshape(len(values), -1, width)


def _first(extreme: np.ufunc, values: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray]:
    """The least (`numpy.fmin`) or greatest of every `width` and where it is first; NaN where there is nothing else."""
    worst = np.float32(np.inf if extreme is np.fmin else -np.inf)
    groups = _groups(values, width, fill=worst)
    gap = np.isnan(groups)
    if gap.any():
        groups = np.where(gap, worst, groups)
    at = groups.argmin(axis=2) if extreme is np.fmin else groups.argmax(axis=2)
    found = np.take_along_axis(groups, at[..., None], axis=2)[..., 0]
    found[np.isinf(found)] = np.nan
    return found, at


def _extremes(values: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Least and greatest of every `width` samples, and whether the greatest comes first."""
    least, lowest = _first(np.fmin, values, width)
    greatest, highest = _first(np.fmax, values, width)
    return least, greatest, highest < lowest
