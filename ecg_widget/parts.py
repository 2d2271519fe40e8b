"""`Part`: what is shown of one record, before it is clustered."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from scipy import linalg
from scipy.sparse.linalg import ArpackNoConvergence, eigsh

from ecg_widget.activations import Activations
from ecg_widget.caches import nbytes

_DENSE = 32  # rows of a matrix whose eigenvalues a dense solver finds at once


@dataclass(frozen=True)
class Part:
    """Neighbouring pieces of one record in time.

    Attributes
    ----------
    record
        Its name.
    acts, embedding
        ``(record, cell, ...)``, a piece each.
    starts
        ``(piece,)``, s: what is added to ``centre`` to get the recording's time.
    inside
        ``(cell,)`` bool: cells whose centre lies in their piece.
    span
        Beginning and end in s where only a part of the recording is shown.
    """

    record: str
    acts: Activations
    embedding: xr.DataArray
    starts: np.ndarray
    inside: np.ndarray
    span: tuple[float, float] | None

    @property
    def nbytes(self) -> int:
        """Of what is kept here and not in the cache already."""
        return nbytes(self.acts)

    def in_time(self, cells: xr.Dataset) -> tuple[dict[str, Any], dict[str, Any]]:
        """Variables ``(record, cell)``, a piece each, one after the other on the recording's time axis.

        Returns
        -------
        variables, coords : dict
            ``(cell)``, as `xarray.Dataset` takes them; ``centre`` and ``width`` in s.
        """
        centre = self.starts[:, None] + cells["centre"].values[self.inside]
        width = np.tile(cells["width"].values[self.inside], len(self.starts))
        return {
            str(name): ("cell", v.transpose("record", "cell").values[:, self.inside].ravel(), v.attrs)
            for name, v in cells.variables.items()  # not data_vars: `cluster`, the name of a dim too, is none of them
            if set(v.dims) == {"record", "cell"}
        }, {
            "centre": ("cell", centre.ravel(), cells["centre"].attrs),
            "width": ("cell", width, cells["width"].attrs),
        }


def principal_components(x: np.ndarray, valid: np.ndarray) -> tuple[np.ndarray, list[float]]:
    """First two principal components of the valid cells and the share of the variance that each explains.

    Parameters
    ----------
    x
        ``(cell, feature)``.
    valid
        ``(cell,)`` bool.

    Returns
    -------
    components : numpy.ndarray
        ``(cell, component)`` float32, NaN where not valid.
    explained : list of float
        Two shares.

    Examples
    --------
    >>> line = np.arange(4.0)[:, None] * np.array([[3.0, 4.0]])
    >>> components, explained = principal_components(line, np.ones(4, bool))
    >>> components[:, 0].round(1).tolist(), [round(share, 3) for share in explained]
    ([-7.5, -2.5, 2.5, 7.5], [1.0, 0.0])
    """
    out = np.full((len(x), 2), np.nan, np.float32)
    rows = x[valid] - x[valid].mean(0) if valid.any() else x[valid]
    if len(rows) < 2:
        return out, [0.0, 0.0]
    count = min(2, *rows.shape)
    wide = len(rows) < rows.shape[1]
    cross = (rows @ rows.T if wide else rows.T @ rows).astype(np.float64)  # either has the spectrum
    values, vectors = _largest(cross, count)
    explained = values / (float(np.trace(cross)) or 1.0)
    known = explained > np.finfo(np.float32).eps  # below, a direction is rounding
    axes = rows.T @ (vectors / np.sqrt(np.where(known, values, 1))) if wide else vectors
    axes = axes * np.sign(axes[np.abs(axes).argmax(0), np.arange(count)])  # a sign of its own would be a draw
    out[np.flatnonzero(valid)[:, None], np.arange(count)] = np.where(known, rows @ axes, 0)
    return out, [float(e) for e in explained] + [0.0] * (2 - count)


def _largest(cross: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The largest eigenvalues of a symmetric matrix, at least 0, and their vectors, the largest first.

    By Lanczos' method where the matrix is large: a dense solver's threads wait for those of torch, up to 0.1 s.
    """
    if len(cross) > _DENSE and cross.any():
        begin = np.random.default_rng(0).standard_normal(len(cross))  # the same every time; ones lie in the null space
        with suppress(ArpackNoConvergence):
            values, vectors = eigsh(cross, k=count, v0=begin)
            order = np.argsort(values)[::-1]
            return values[order].clip(min=0), vectors[:, order]
    values, vectors = linalg.eigh(cross, subset_by_index=(len(cross) - count, len(cross) - 1))
    return values[::-1].clip(min=0), vectors[:, ::-1]
