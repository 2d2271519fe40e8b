"""What a user makes of the paper, as plain JSON between the page and Python: calipers, and how the paper looks."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any

__all__ = ["check_calipers", "check_display"]

KINDS = ("time", "voltage", "march", "rr", "qt")
VALUES = ("ms", "bpm", "mV", "rr_ms", "bazett_ms", "fridericia_ms", "column_ms")
MOST = 1000
LONGEST_NAME = 10_000
DISPLAY: dict[str, tuple[object, ...]] = {
    "arrangement": ("3x4", "3x4-simultaneous", "6x2", "cabrera", "rows", "leads"),
    "speed": (12.5, 25, 50),
    "gain": (5, 10, 20),
    "size": ("fit", "actual"),
    "colouring": ("bands", "trace", "strip"),
    "filter": ("", "0.5-40", "0.05-150"),
    "notch": ("", "50", "60"),
}


def check_calipers(calipers: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Calipers as the page draws them.

    Parameters
    ----------
    calipers
        Each with ``kind`` (``"time"``, ``"voltage"``, ``"march"``, ``"rr"``, ``"qt"``), ``record``, ``lead``, ``start``
        and ``end`` in s; of a voltage ``start`` is the reference. The page adds what it measured: ``ms``; ``bpm`` of an
        R-R interval and of a march-out; ``mV`` of a voltage; of a QT interval ``rr_ms``, ``bazett_ms``
        (QT / RR ** (1/2), both in s) and ``fridericia_ms`` (QT / RR ** (1/3)), by the last R-R caliper of the record;
        ``column_ms`` where an end was set while only the extremes of columns of so many ms were drawn, as in hours of a
        long recording: an end may be that far beside what it marks, and ``mV`` is between two extremes.

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


def check_display(display: Mapping[str, Any]) -> dict[str, Any]:
    """How the paper looks, as the page can show it.

    Parameters
    ----------
    display
        Any of ``arrangement``, ``speed`` in mm/s, ``gain`` in mm/mV, ``size``, ``colouring``, ``filter`` and ``notch``
        in Hz (for the eye alone), and ``leads``: names for the arrangement ``"leads"``, in their order.

    Returns
    -------
    dict
        A copy.

    Raises
    ------
    ValueError
        If a key or a value is none that the page has.

    Examples
    --------
    >>> check_display({"arrangement": "cabrera", "speed": 50})
    {'arrangement': 'cabrera', 'speed': 50}
    >>> check_display({"speed": 30})
    Traceback (most recent call last):
    ...
    ValueError: display: expected a speed among 12.5, 25, 50, got 30
    """
    checked = dict(display)
    for key, value in checked.items():
        if key == "leads":
            if not isinstance(value, (list, tuple)) or not all(isinstance(name, str) for name in value):
                raise ValueError(f"display: expected a list of names as leads, got {str(value)[:80]!r}")
            checked[key] = list(value)
        elif key not in DISPLAY:
            raise ValueError(f"display: expected keys among {', '.join([*DISPLAY, 'leads'])}, got {str(key)[:80]!r}")
        elif isinstance(value, bool) or value not in DISPLAY[key]:
            allowed = ", ".join(str(v) or "''" for v in DISPLAY[key])
            raise ValueError(f"display: expected a {key} among {allowed}, got {str(value)[:80]}")
    return checked
