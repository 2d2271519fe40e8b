"""The pieces in which a network sees recordings: whole records, or windows of those that are long."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from ecg_widget.lengths import END, own_samples
from ecg_widget.networks import ECGNetwork

LONG_S = 60.0  # longer recordings are seen in windows: no network was trained on minutes, no screen shows them
SPAN_S = 30.0  # shown first: three screens, so that the page can move before it asks
WINDOW_S = 10.0  # the length of a resting ECG, which networks are trained on


@dataclass(frozen=True)
class Piece:
    """One window of one record; of a record that is not long, its only one.

    Attributes
    ----------
    row
        Of the record.
    window
        Its number, from 0.
    """

    row: int
    window: int


@dataclass(frozen=True)
class Windows:
    """How recordings are cut; those of a ragged set end where they do.

    Parameters
    ----------
    ds
        Of the data contract; its samples may be lazy, only those of the pieces that are taken are read.
    n_samples
        Of one window; None where records are seen whole.

    Examples
    --------
    >>> import ecg_widget as ecg
    >>> windows = Windows(ecg.simulate(1, duration=95), 5000)
    >>> windows.count, windows.between(0, 12.0, 31.5), windows.take([Piece(0, 1)])["record"].values.tolist()
    (10, [Piece(row=0, window=1), Piece(row=0, window=2), Piece(row=0, window=3)], ['0000-NORM 10 s'])
    """

    ds: xr.Dataset
    n_samples: int | None

    @property
    def long(self) -> bool:
        """Whether records are cut at all."""
        return self.n_samples is not None

    @property
    def rate(self) -> float:
        """Sampling rate, Hz."""
        return float(self.ds["time"].attrs["sampling_rate"])

    @property
    def start(self) -> float:
        """Time of the first sample, s."""
        return float(self.ds["time"][0])

    @property
    def end(self) -> float:
        """One sample interval behind the last sample, s."""
        return self.start + self.ds.sizes["time"] / self.rate

    @property
    def seconds(self) -> float:
        """Length of one window, s."""
        return (self.n_samples or self.ds.sizes["time"]) / self.rate

    @property
    def count(self) -> int:
        """Windows of one record; the last one may end behind the recording."""
        return 1 if self.n_samples is None else -(-self.ds.sizes["time"] // self.n_samples)

    def count_of(self, row: int) -> int:
        """Windows of one record of a ragged set: those that begin before its end."""
        if self.n_samples is None or END not in self.ds.coords:
            return self.count
        own = int(own_samples(self.ds.isel(record=[row]))[0])
        return max(1, -(-own // self.n_samples))

    def start_of(self, window: int) -> float:
        """Time at which a window begins, s."""
        return self.start + window * self.seconds

    def between(self, row: int, t0: float, t1: float) -> list[Piece]:
        """The pieces of a record that meet an interval of time, s; at least one."""
        if not self.long:
            return [Piece(row, 0)]
        first = int(np.floor((t0 - self.start) / self.seconds + 1e-9))
        last = int(np.ceil((t1 - self.start) / self.seconds - 1e-9))
        count = self.count_of(row)
        first = min(max(first, 0), count - 1)
        return [Piece(row, w) for w in range(first, min(max(last, first + 1), count))]

    def span(self, span: Sequence[float] = ()) -> tuple[float, float] | None:
        """The part of a long recording that answers a request: whole windows; None for recordings shown whole.

        Parameters
        ----------
        span
            Beginning and end in s; empty for the beginning of the recording.

        Raises
        ------
        ValueError
            Not two finite numbers in ascending order.
        """
        if not self.long:
            return None
        given = list(span) or [self.start, self.start + SPAN_S]
        if len(given) != 2 or not np.isfinite(given).all() or given[0] >= given[1]:
            raise ValueError(f"span: expected a beginning before an end, in s, got {given}")
        pieces = self.between(0, max(given[0], self.start), min(given[1], self.end))
        return self.start_of(pieces[0].window), min(self.start_of(pieces[-1].window + 1), self.end)

    def beside(self, span: tuple[float, float]) -> list[tuple[float, float]]:
        """The spans of the same length after and before one, as far as the recording goes."""
        length = span[1] - span[0]
        spans = [(max(span[0] + step, self.start), min(span[1] + step, self.end)) for step in (length, -length)]
        return [(t0, t1) for t0, t1 in spans if t0 < t1]

    def every(self) -> list[Piece]:
        """All pieces, record by record in time."""
        return [Piece(row, w) for row in range(self.ds.sizes["record"]) for w in range(self.count_of(row))]

    def spread(self, n: int) -> list[Piece]:
        """At most so many pieces, evenly chosen: among records first, then in time."""
        rows = self.ds.sizes["record"]
        chosen = _evenly(rows, min(n, rows))
        return [piece for row in chosen for piece in self.spread_in(int(row), n // len(chosen))]

    def spread_in(self, row: int, n: int) -> list[Piece]:
        """At most so many pieces of one record, evenly chosen in time; at least one."""
        count = self.count_of(row)
        return [Piece(row, int(w)) for w in _evenly(count, min(max(n, 1), count))]

    def take(self, pieces: Sequence[Piece]) -> xr.Dataset:
        """Read pieces; each becomes a record that begins at 0 s, filled up with a gap behind the recording's end.

        Returns
        -------
        xarray.Dataset
            ``signal (record, lead, time)`` in the order of `pieces`; windows are named by record and beginning.
        """
        if self.n_samples is None:
            rows = [piece.row for piece in pieces]
            return self.ds if rows == list(range(self.ds.sizes["record"])) else self.ds.isel(record=rows)
        signal = self.ds["signal"]
        out = np.full((len(pieces), signal.sizes["lead"], self.n_samples), np.nan, np.float32)
        for values, piece in zip(out, pieces, strict=True):
            first = piece.window * self.n_samples
            part = signal.isel(record=piece.row, time=slice(first, first + self.n_samples)).values
            values[:, : part.shape[1]] = part
        names = self.ds["record"].values.astype(str)
        time = xr.Variable("time", np.arange(self.n_samples) / self.rate, self.ds["time"].attrs)
        return xr.Dataset(
            {"signal": (("record", "lead", "time"), out, signal.attrs)},
            {
                "record": [f"{names[p.row]} {self.start_of(p.window):g} s" for p in pieces],
                "lead": self.ds["lead"].variable,
                "time": time,
            },
            dict(self.ds.attrs),
        )


def cut(net: object, ds: xr.Dataset) -> Windows:
    """Decide how a network sees recordings.

    Parameters
    ----------
    net
        An `ECGNetwork`, any module, or activations in its place. Where it says how long its input is, windows have this
        length; a network that reads windows by itself (see `InputSpec`'s ``hop``) gets `WINDOW_S` of them.
    ds
        Records of the data contract, each seen whole up to `LONG_S`.
    """
    rate = float(ds["time"].attrs["sampling_rate"])
    if ds.sizes["time"] / rate <= LONG_S:
        return Windows(ds, None)
    spec = net.spec if isinstance(net, ECGNetwork) else None
    fixed = spec is not None and spec.n_samples is not None and spec.hop is None
    seconds = spec.n_samples / spec.sampling_rate if spec and spec.n_samples and fixed else WINDOW_S
    return Windows(ds, max(1, round(seconds * rate)))


def _evenly(n: int, count: int) -> np.ndarray:
    """`count` different numbers below `n`, in the middle of as many equal parts."""
    return np.floor((np.arange(count) + 0.5) * n / count).astype(int)
