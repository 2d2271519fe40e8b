"""Calipers: what is measured on the paper, as plain JSON between the page and Python."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any

__all__ = ["check_calipers"]

KINDS = ("time", "voltage", "march", "rr", "qt")
VALUES = ("ms", "bpm", "mV", "rr_ms", "bazett_ms", "fridericia_ms")
MOST = 1000
LONGEST_NAME = 10_000


def check_calipers(calipers: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Calipers as the page draws them.

    Parameters
    ----------
    calipers
        Each with ``kind`` (``"time"``, ``"voltage"``, ``"march"``, ``"rr"``, ``"qt"``), ``record``, ``lead``, ``start``
        and ``end`` in s; of a voltage ``start`` is the reference. The page adds what it measured: ``ms``; ``bpm`` of an
        R-R interval and of a march-out; ``mV`` of a voltage; of a QT interval ``rr_ms``, ``bazett_ms``
        (QT / RR ** (1/2), both in s) and ``fridericia_ms`` (QT / RR ** (1/3)), by the last R-R caliper of the record.

    Returns
    -------
    list of dict
        Copies of plain text and floats.

    Raises
    ------
    ValueError
        If one has another key, lacks one, or has a value that cannot be drawn.

    Examples
    --------
    >>> check_calipers([{"kind": "rr", "record": "1", "lead": "II", "start": 1, "end": 1.8}])[0]["end"]
    1.8
    >>> check_calipers([{"kind": "qtc", "record": "1", "lead": "II", "start": 1, "end": 1.8}])
    Traceback (most recent call last):
    ...
    ValueError: calipers[0]: expected a kind among time, voltage, march, rr, qt, got 'qtc'
    """
    if len(calipers) > MOST:
        raise ValueError(f"calipers: expected at most {MOST}, got {len(calipers)}")
    return [_checked(caliper, f"calipers[{i}]") for i, caliper in enumerate(calipers)]


def _checked(caliper: Mapping[str, Any], name: str) -> dict[str, Any]:
    if not isinstance(caliper, Mapping):
        raise ValueError(f"{name}: expected a dict, got {type(caliper).__name__}")  # noqa: TRY004  (one error for all)
    missing = [key for key in ("kind", "record", "lead", "start", "end") if key not in caliper]
    extra = sorted(set(map(str, caliper)) - {"kind", "record", "lead", "start", "end", *VALUES})
    if missing or extra:
        what = f"lacks {', '.join(missing)}" if missing else f"has {', '.join(extra)[:200]}"
        raise ValueError(
            f"{name}: expected kind, record, lead, start, end and among {', '.join(VALUES)}; this one {what}"
        )
    if caliper["kind"] not in KINDS:
        raise ValueError(f"{name}: expected a kind among {', '.join(KINDS)}, got {caliper['kind']!r}")
    for key in ("record", "lead"):
        if not isinstance(caliper[key], str) or len(caliper[key]) > LONGEST_NAME:
            raise ValueError(f"{name}: expected a name as {key}, got {str(caliper[key])[:80]!r}")
    numbers = {key: caliper[key] for key in ("start", "end", *VALUES) if key in caliper}
    for key, value in numbers.items():
        if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value):
            raise ValueError(f"{name}: expected a finite number as {key}, got {value!r}")
    return {key: caliper[key] for key in ("kind", "record", "lead")} | {k: float(v) for k, v in numbers.items()}
