"""Arrays that stay in their file until samples of them are asked for."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from xarray.backends import BackendArray
from xarray.core import indexing

from ecg_widget.time_axis import sample_times

__all__ = ["LazyArray", "is_lazy", "lazy_dataset", "lazy_variable", "stacked"]

Reader = Callable[[tuple[np.ndarray, ...], int, int], np.ndarray]

_GAP = 4096  # samples between two wanted ones that are read over; a new read costs about as much


class LazyArray(BackendArray):
    """An array whose last dimension is time, read in pieces of bounded size; xarray indexes it without reading it.

    It keeps nothing that it has read and has no state: any number of threads may read at once where `read` allows it.

    Parameters
    ----------
    shape, dtype
        Of the whole.
    read
        ``read(outer, first, last)`` gives the samples ``first`` to ``last`` (exclusive) at the positions `outer`, one
        array of positions for each dimension before time: an array of shape ``(*map(len, outer), last - first)``.
    piece
        Most samples along time in one call of `read`.
    """

    def __init__(self, shape: Sequence[int], dtype: Any, read: Reader, piece: int) -> None:
        self.shape = tuple(shape)
        self.dtype = np.dtype(dtype)
        self.read = read
        self.piece = max(1, int(piece))

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:
        return indexing.explicit_indexing_adapter(key, self.shape, indexing.IndexingSupport.OUTER, self._take)

    def _take(self, key: tuple[Any, ...]) -> np.ndarray:
        outer = tuple(np.atleast_1d(np.arange(n)[k]) for n, k in zip(self.shape, key[:-1], strict=False))
        along = key[-1]
        if not isinstance(along, slice):
            positions: np.ndarray | range = np.atleast_1d(np.asarray(along)) % self.shape[-1]
        else:
            positions = range(self.shape[-1])[along]
        out = np.empty((*map(len, outer), len(positions)), self.dtype)
        if out.size:
            for first, last, here, inside in self._blocks(positions):
                out[..., here] = self.read(outer, first, last)[..., inside]
        return out[tuple(slice(None) if isinstance(k, slice) or np.ndim(k) else 0 for k in key)]

    def _blocks(self, positions: np.ndarray | range) -> Iterator[tuple[int, int, Any, Any]]:
        """What to read, where it goes and which of its samples: (first, last, places in the result, samples)."""
        if isinstance(positions, range) and abs(positions.step) <= min(_GAP, self.piece):
            for start in range(0, len(positions), per := self.piece // abs(positions.step)):
                run = positions[start : start + per]
                low, high = min(run[0], run[-1]), max(run[0], run[-1])
                inside = slice(None, None, run.step)
                yield low, high + 1, slice(start, start + len(run)), inside
            return
        at = np.asarray(positions)
        order = np.argsort(at, kind="stable")
        at = at[order]
        for group in np.split(np.arange(at.size), np.flatnonzero(np.diff(at) > _GAP) + 1):
            start, stop = int(group[0]), int(group[-1]) + 1
            while start < stop:
                low = int(at[start])
                end = min(stop, int(np.searchsorted(at, low + self.piece)))
                yield low, int(at[end - 1]) + 1, order[start:end], at[start:end] - low
                start = end


def is_lazy(array: xr.DataArray | xr.Variable) -> bool:
    """Whether the values are still in a file, or to be computed, so that looking at them all would cost.

    Examples
    --------
    >>> is_lazy(xr.DataArray([1.0]))
    False
    """
    variable = array.variable if isinstance(array, xr.DataArray) else array
    return variable.chunks is not None or not variable._in_memory  # noqa: SLF001  (xarray says it nowhere else)


def lazy_variable(dims: Sequence[Hashable], array: LazyArray, attrs: Mapping[str, Any] | None = None) -> xr.Variable:
    """An xarray variable over a `LazyArray`."""
    return xr.Variable(dims, indexing.LazilyIndexedArray(array), dict(attrs or {}))


def lazy_dataset(
    array: LazyArray,
    *,
    sampling_rate: float,
    leads: Sequence[str],
    records: Sequence[str],
    attrs: Mapping[str, Any],
    start: float = 0.0,
) -> xr.Dataset:
    """A Dataset of the data contract over ``(record, lead, time)`` float32 in mV that is not read yet.

    Parameters
    ----------
    array
        The samples, leads in the contract's order.
    sampling_rate
        Hz.
    leads, records
        Names as in the contract.
    attrs
        Of the Dataset.
    start
        Time of sample 0, s.
    """
    signal = lazy_variable(("record", "lead", "time"), array, {"units": "mV"})
    ds = xr.Dataset({"signal": signal}, {"record": list(records), "lead": list(leads)}, dict(attrs))
    return ds.assign_coords(sample_times(array.shape[-1], sampling_rate, start))


class _Parts:
    """Reads records of several variables as if they were one."""

    def __init__(self, parts: Sequence[xr.Variable]) -> None:
        self.rows = [(part, row) for part in parts for row in range(part.shape[0])]

    def __call__(self, outer: tuple[np.ndarray, ...], first: int, last: int) -> np.ndarray:
        rows = [self.rows[i] for i in outer[0]]
        return np.stack([part[row, outer[1], first:last].values for part, row in rows])


def stacked(parts: Sequence[xr.Variable]) -> xr.Variable:
    """Several lazy ``(record, lead, time)`` of the same leads and length as one, still unread.

    Examples
    --------
    >>> a = LazyArray((1, 1, 4), "f4", lambda outer, first, last: np.arange(first, last)[None, None], piece=3)
    >>> stacked([lazy_variable(("record", "lead", "time"), a)] * 2)[:, 0, ::-1].values
    array([[3., 2., 1., 0.],
           [3., 2., 1., 0.]], dtype=float32)
    """
    n_records = sum(part.shape[0] for part in parts)
    array = LazyArray((n_records, *parts[0].shape[1:]), parts[0].dtype, _Parts(parts), 1 << 20)
    return lazy_variable(parts[0].dims, array, parts[0].attrs)
