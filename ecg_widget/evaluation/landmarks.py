"""What a cell lies on: the wave that most leads show there, as far as anyone has said."""

from __future__ import annotations

from typing import Literal

import numpy as np
import xarray as xr

from ecg_widget.records import WAVES, validate_ecg

__all__ = ["SEGMENTS", "Landmarks", "cell_landmarks", "segments"]

Landmarks = Literal["waves", "segments"]

SEGMENTS = ("TP", "P", "PQ", "QRS", "ST", "T")
"""What ``landmarks="segments"`` tells apart; ``"waves"`` joins TP, PQ and ST as none."""

_BETWEEN = {("P", "QRS"): "PQ", ("QRS", "T"): "ST", ("T", "P"): "TP", ("T", "QRS"): "TP", ("P", "P"): "TP"}
_LEAST_KNOWN = (
    0.5  # share of a cell's samples, over leads, that must be known: else its majority is that of a few leads
)


def cell_landmarks(ds: xr.Dataset, cells: xr.Dataset | xr.DataArray, landmarks: Landmarks = "waves") -> xr.DataArray:
    """Give every cell the landmark that holds most of its samples over all leads.

    A cell spans from half-way to the cell before it to half-way to the next. Only samples of known truth vote; a cell
    is unknown (-1) where they are fewer than half, and where the network's input was not valid.

    Parameters
    ----------
    ds
        Of the data contract, with ``wave`` and, where only parts were annotated, ``wave_known``.
    cells
        With the coordinates ``centre (cell)`` in s on the time axis of `ds` and ``record``, and ``valid (record,
        cell)`` if not all are: a segmentation or an array of activations.
    landmarks
        ``"waves"``: none, P, QRS, T. ``"segments"``: TP, P, PQ, QRS, ST, T.

    Returns
    -------
    xarray.DataArray
        ``(record, cell)`` int8, -1 where unknown; attrs ``flag_values``, ``flag_meanings``; the coordinate ``centre``.

    Raises
    ------
    ValueError
        No waves, records that differ, or another kind of landmarks.

    Examples
    --------
    >>> import ecg_widget as ecg
    >>> ds = ecg.simulate(1, seed=0)
    >>> truth = cell_landmarks(ds, ecg.activations(ecg.load_network(), ds)["blocks.3"])
    >>> truth.dims, truth.attrs["flag_meanings"], sorted(set(truth.values.ravel().tolist()))
    (('record', 'cell'), 'none P QRS T', [0, 1, 2, 3])
    """
    validate_ecg(ds)
    if "wave" not in ds:
        raise ValueError(
            "wave: expected the waves of each sample (as LUDB and simulate() have), got none; delineate(ds) finds some"
        )
    if landmarks not in ("waves", "segments"):
        raise ValueError(f"landmarks: expected 'waves' or 'segments', got {landmarks!r}")
    if not np.array_equal(ds["record"].values, cells["record"].values):
        raise ValueError("cells: expected the records of the recording in its order, got others; use sel(record=...)")
    names = WAVES if landmarks == "waves" else SEGMENTS
    edges = _edges(cells["centre"].values, ds["time"].values)
    truth = np.full((ds.sizes["record"], cells.sizes["cell"]), -1, np.int8)
    for out, record in zip(truth, range(len(truth)), strict=True):  # one at a time: counts of a corpus would not fit
        here = ds.isel(record=record)
        wave = np.atleast_2d(here["wave"].transpose(..., "time").values).astype(np.int8)
        if "wave_known" in ds:
            wave = np.where(np.atleast_2d(here["wave_known"].transpose(..., "time").values), wave, np.int8(-1))
        if landmarks == "segments":
            wave = np.stack([segments(lead) for lead in wave])
        votes = np.stack([(wave == k).sum(axis=0) for k in range(len(names))], axis=1)
        sums = np.concatenate([np.zeros((1, len(names)), np.int64), votes.cumsum(axis=0)])
        inside = sums[edges[1]] - sums[edges[0]]
        known = inside.sum(axis=1) >= _LEAST_KNOWN * np.maximum(edges[1] - edges[0], 1) * len(wave)
        out[known] = inside[known].argmax(axis=1)
    if "valid" in cells.coords or (isinstance(cells, xr.Dataset) and "valid" in cells):
        truth[~cells["valid"].transpose("record", "cell").values] = -1
    return xr.DataArray(
        truth,
        dims=("record", "cell"),
        coords={"record": ds["record"].variable, "centre": cells["centre"].variable},
        attrs={"flag_values": list(range(len(names))), "flag_meanings": " ".join(names)},
        name="landmark",
    )


def segments(wave: np.ndarray) -> np.ndarray:
    """Name what lies between the waves of one lead by the waves beside it.

    Between T and the next wave, and between two P waves, is TP; P to QRS is PQ, QRS to T is ST. Where a wave seems to
    be lacking (no T behind a QRS, no QRS behind a P), the stretch is unknown: it may hold one too flat to be marked.

    Parameters
    ----------
    wave
        ``(time,)``: -1 unknown, else as in `ecg_widget.records.WAVES`.

    Returns
    -------
    numpy.ndarray
        ``(time,)`` int8: -1 unknown, else an index into `SEGMENTS`.

    Examples
    --------
    >>> [SEGMENTS[i] for i in segments(np.array([3, 0, 1, 0, 2, 0, 3]))]
    ['T', 'TP', 'P', 'PQ', 'QRS', 'ST', 'T']
    >>> segments(np.array([0, 1, -1, 0, 2])).tolist()
    [-1, 1, -1, -1, 3]
    """
    out = np.full(wave.shape, -1, np.int8)
    starts = np.flatnonzero(np.diff(wave, prepend=-2))
    ends = np.append(starts[1:], len(wave))
    runs = [WAVES[wave[i]] if wave[i] >= 0 else "" for i in starts]
    beside = zip(["", *runs[:-1]], [*runs[1:], ""], strict=True)
    for first, last, run, pair in zip(starts, ends, runs, beside, strict=True):
        name = _BETWEEN.get(pair, "") if run == "none" else run
        if name in SEGMENTS:
            out[first:last] = SEGMENTS.index(name)
    return out


def _edges(centre: np.ndarray, time: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First sample of each cell and of what follows it; the outer cells are as wide as their neighbours' distance."""
    middle = (centre[1:] + centre[:-1]) / 2
    step = np.diff(centre)[[0, -1]] / 2 if len(centre) > 1 else np.full(2, np.inf)
    first = np.concatenate([[centre[0] - step[0]], middle])
    last = np.concatenate([middle, [centre[-1] + step[1]]])
    # A sample on the border of two cells belongs to the later one, whatever the rounding of its time.
    slack = 1e-6 * (time[1] - time[0] if len(time) > 1 else 1.0)
    return np.searchsorted(time, first - slack), np.searchsorted(time, last - slack)
