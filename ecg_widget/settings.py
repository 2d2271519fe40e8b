"""Checks of the settings of an architecture, which may come from a file."""

from __future__ import annotations

__all__ = ["odd", "probability", "size", "sizes"]

_LARGEST = 65_536  # of any size: far above every published ECG network, far below what exhausts memory
_MOST_BLOCKS = 64


def size(name: str, value: object) -> int:
    """A whole number from 1 to 65536."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name}: expected a whole number, got {value!r}")
    if not 1 <= value <= _LARGEST:
        raise ValueError(f"{name}: expected a number from 1 to {_LARGEST}, got {value}")
    return value


def odd(name: str, value: object) -> int:
    """An odd size: of a kernel, so that its output has a sample in the middle."""
    width = size(name, value)
    if width % 2 == 0:
        raise ValueError(f"{name}: expected an odd number of samples, so that cells have a centre; got {width}")
    return width


def sizes(name: str, values: object) -> list[int]:
    """One to 64 sizes."""
    if not isinstance(values, (list, tuple)) or not 1 <= len(values) <= _MOST_BLOCKS:
        raise ValueError(f"{name}: expected 1 to {_MOST_BLOCKS} whole numbers, got {values!r}")
    return [size(f"{name}[{i}]", v) for i, v in enumerate(values)]


def probability(name: str, value: object) -> float:
    """A probability below 1."""
    if not isinstance(value, (int, float)) or not 0 <= value < 1:
        raise ValueError(f"{name}: expected a probability in [0, 1), got {value!r}")
    return float(value)
