"""The time axis of a long recording, computed where it is asked for: 24 h at 250 Hz would otherwise take 173 MB.

`xarray.indexes.RangeIndex` does not serve: it needs xarray 2025, multiplies by a rounded step where the contract
divides by the rate, and selects by ``method="nearest"`` alone, so that ``ds.sel(time=slice(10, 20))`` fails.
"""

from __future__ import annotations

import bisect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from xarray.backends import BackendArray
from xarray.core import indexing
from xarray.indexes import PandasIndex

__all__ = ["SampleIndex", "sample_times"]

SHORT = 1 << 20  # samples; a piece of so few has an ordinary coordinate of 8 MB and behaves as short records do
_AROUND = 2  # samples on each side of a label among which pandas chooses


@dataclass(frozen=True)
class _Grid:
    """Times ``start + (first + i * step) / rate`` of `size` samples, the very numbers of a stored coordinate."""

    size: int
    rate: float
    start: float = 0.0
    first: int = 0
    step: int = 1

    def at(self, i: Any) -> Any:
        return self.start + (self.first + i * self.step) / self.rate

    def cut(self, positions: range) -> _Grid:
        first = self.first + positions.start * self.step
        return replace(self, size=len(positions), first=first, step=self.step * positions.step)


class _Times(BackendArray):
    def __init__(self, grid: _Grid) -> None:
        self.grid = grid
        self.shape = (grid.size,)
        self.dtype = np.dtype(np.float64)

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:
        return indexing.explicit_indexing_adapter(key, self.shape, indexing.IndexingSupport.OUTER, self._take)

    def _take(self, key: tuple[Any, ...]) -> np.ndarray:
        (k,) = key
        positions = np.arange(*k.indices(self.grid.size)) if isinstance(k, slice) else np.asarray(k)
        return np.asarray(self.grid.at(positions))


class SampleIndex(xr.Index):
    """Index of a regular time axis that holds no times.

    Selection is that of a stored axis: ``ds.sel(time=slice(10, 20))`` includes both ends,
    ``ds.sel(time=10, method="nearest")`` works. A piece of at most `SHORT` samples gets an ordinary index.

    Parameters
    ----------
    size
        Samples.
    rate
        Hz.
    start
        Time of sample 0, s.

    Examples
    --------
    >>> coords = sample_times(250 * 86_400, 250.0)
    >>> ds = xr.Dataset(coords=coords)
    >>> float(ds.sel(time=slice(3600, 3601)).time[-1]), ds.sel(time=slice(3600, 3601)).sizes["time"]
    (3601.0, 251)
    """

    def __init__(self, size: int, rate: float, start: float = 0.0) -> None:
        self.grid = _Grid(size, rate, start)
        self.name: Any = "time"

    @property
    def rate(self) -> float:
        """Hz, of the samples that are left where only every n-th is."""
        return self.grid.rate / self.grid.step

    def create_variables(self, variables: Mapping[Any, xr.Variable] | None = None) -> dict[Any, xr.Variable]:
        """The coordinate, with the attrs of the one before."""
        before = (variables or {}).get(self.name)
        data = indexing.LazilyIndexedArray(_Times(self.grid))
        return {self.name: xr.Variable(self.name, data, None if before is None else before.attrs)}

    def isel(self, indexers: Mapping[Any, Any]) -> xr.Index | None:
        """By position: slices stay an index without times while they are long."""
        key = indexers[self.name]
        if isinstance(key, slice):
            positions = range(self.grid.size)[key]
            if len(positions) > SHORT and positions.step > 0:
                return self._like(self.grid.cut(positions))
            return self.stored(np.arange(positions.start, positions.stop, positions.step))
        chosen = np.asarray(key)
        return self.stored(np.where(chosen < 0, chosen + self.grid.size, chosen)) if chosen.ndim == 1 else None

    def sel(self, labels: dict[Any, Any], **options: Any) -> indexing.IndexSelResult:
        """By time, as pandas does it on the stored axis."""
        label = labels[self.name]
        if isinstance(label, slice) and label.step is None:
            first = 0 if label.start is None else self._before(label.start)
            last = self.grid.size if label.stop is None else self._before(label.stop, inclusive=True)
            return indexing.IndexSelResult({self.name: slice(first, max(first, last))})
        if not isinstance(label, slice) and np.ndim(label) == 0 and not isinstance(label, (xr.Variable, xr.DataArray)):
            near = self._before(label)
            first, last = max(0, near - _AROUND), min(self.grid.size, near + _AROUND)
            found = self.stored(np.arange(first, last)).sel(labels, **options)
            return indexing.IndexSelResult({self.name: first + found.dim_indexers[self.name]})
        return self.stored(np.arange(self.grid.size)).sel(labels, **options)

    def equals(self, other: xr.Index, *, exclude: frozenset[Any] | None = None) -> bool:  # noqa: ARG002  (xarray asks)
        """Whether it stands for the same times."""
        return isinstance(other, SampleIndex) and other.grid == self.grid

    def rename(self, name_dict: Mapping[Any, Any], dims_dict: Mapping[Any, Any]) -> SampleIndex:
        """The same times under another name."""
        if name_dict.get(self.name, self.name) != dims_dict.get(self.name, self.name):
            raise ValueError(f"{self.name}: expected one new name for the coordinate and its dimension, got two")
        out = self._like(self.grid)
        out.name = name_dict.get(self.name, self.name)
        return out

    @classmethod
    def concat(cls, indexes: Sequence[Any], dim: Any, positions: Any = None) -> PandasIndex:  # type: ignore[override]
        """Several axes one behind the other, as an ordinary index."""
        return PandasIndex.concat([i.stored(np.arange(i.grid.size)) for i in indexes], dim, positions)

    def to_pandas_index(self) -> pd.Index:
        """The times themselves."""
        return self.stored(np.arange(self.grid.size)).to_pandas_index()

    def _repr_inline_(self, max_width: int) -> str:
        return f"SampleIndex ({self.grid.size} samples, {self.rate:g} Hz)"[:max_width]

    def _like(self, grid: _Grid) -> SampleIndex:
        out = SampleIndex(grid.size, grid.rate, grid.start)
        out.grid, out.name = grid, self.name
        return out

    def stored(self, positions: np.ndarray) -> PandasIndex:
        """An ordinary index of some of the samples."""
        return PandasIndex(pd.Index(self.grid.at(positions), name=self.name, dtype=np.float64), self.name)

    def _before(self, label: float, *, inclusive: bool = False) -> int:
        """How many samples lie before a time, or before and on it."""
        find = bisect.bisect_right if inclusive else bisect.bisect_left
        return find(range(self.grid.size), float(label), key=self.grid.at)


def sample_times(n_samples: int, rate: float, start: float = 0.0) -> xr.Coordinates:
    """The coordinate ``time`` of the data contract, of a long recording without its values in memory.

    Parameters
    ----------
    n_samples
        Of each lead.
    rate
        Hz.
    start
        Time of sample 0, s.

    Examples
    --------
    >>> time = sample_times(21_600_000, 250.0)["time"]
    >>> float(time[-1]), time.attrs["sampling_rate"]
    (86399.996, 250.0)
    """
    index = SampleIndex(n_samples, rate, start)
    attrs = {"units": "s", "sampling_rate": rate}
    if n_samples <= SHORT:
        return xr.Coordinates({"time": ("time", index.grid.at(np.arange(n_samples)), attrs)})
    return xr.Coordinates(
        {"time": index.create_variables({"time": xr.Variable("time", [], attrs)})["time"]}, {"time": index}
    )
