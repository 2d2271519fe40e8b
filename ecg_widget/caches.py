"""One cache for everything that can be computed again: bounded in bytes, the least recently used goes first."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from typing import Any, TypeVar

import numpy as np
import torch
import xarray as xr

T = TypeVar("T")


class Cache:
    """Values by key, together at most so many bytes; the latest one stays even where it alone is larger.

    Parameters
    ----------
    limit
        Bytes.

    Examples
    --------
    >>> cache = Cache(1000)
    >>> for key in "abc":
    ...     _ = cache.get(key, lambda: np.zeros(50))
    >>> "a" in cache, "c" in cache, cache.nbytes
    (False, True, 800)
    """

    def __init__(self, limit: int) -> None:
        if isinstance(limit, bool) or not isinstance(limit, int) or limit < 0:
            raise ValueError(f"cache_bytes: expected a whole number of bytes, got {limit!r}")
        self.limit = limit
        self.nbytes = 0
        self._values: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()

    def __contains__(self, key: Hashable) -> bool:
        return key in self._values

    def __len__(self) -> int:
        return len(self._values)

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """The value, made if it is not there; what `make` itself asks for is kept as well."""
        if key not in self._values:
            value = make()
            size = nbytes(value)
            self._values[key] = value, size
            self.nbytes += size
            while self.nbytes > self.limit and len(self._values) > 1:
                self.nbytes -= self._values.popitem(last=False)[1][1]
        self._values.move_to_end(key)
        return self._values[key][0]

    def drop(self, key: Hashable) -> None:
        """Forget one value, if it is there."""
        if key in self._values:
            self.nbytes -= self._values.pop(key)[1]

    def clear(self) -> None:
        """Forget everything."""
        self._values.clear()
        self.nbytes = 0


def nbytes(value: object) -> int:
    """Bytes of the arrays in a value: an array, tensor, Dataset, mapping or list of them, or whatever says it itself.

    Examples
    --------
    >>> nbytes({"a": np.zeros(2), "b": [np.zeros(1, np.float32)]})
    20
    """
    if isinstance(value, (np.ndarray, torch.Tensor, xr.Dataset, xr.DataArray)):
        return int(value.nbytes)
    if isinstance(value, Mapping):
        return sum(nbytes(v) for v in value.values())
    if isinstance(value, (list, tuple)):
        return sum(nbytes(v) for v in value)
    return int(getattr(value, "nbytes", 0))
