"""Times of HL7 version 3: points in time (TS) and quantities (PQ)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from fractions import Fraction

from ecg_widget.formats.xml_document import Element, attribute, finite
from ecg_widget.records import RecordError

__all__ = ["SECONDS", "Clock", "seconds"]

SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "min": 60.0}
"""Units of time, in s."""

_POINT = re.compile(r"(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(?:\.(\d{1,9})\d{0,9})?(?:([+-])(\d\d)(\d\d))?", re.ASCII)
_LATEST = 1e12  # in any unit: ms count that far for 30 years
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Clock:
    """How a sequence's samples lie in time.

    Parameters
    ----------
    rate
        Hz.
    absolute
        Whether times are points in time, and not counted from some event.
    start
        s, of the first sample on that clock; None where the file does not say.
    """

    rate: float
    absolute: bool
    start: Fraction | None


def seconds(where: str, element: Element) -> Fraction:
    """Give what an element's ``value`` states: s of a quantity with a unit, or s since 1970 of a point in time.

    Raises
    ------
    RecordError
        No time, or a point in time that is not given to the second.

    Examples
    --------
    >>> from xml.etree.ElementTree import XML
    >>> float(seconds("x.xml: head", XML('<head value="332" unit="ms"/>')))
    0.332
    >>> float(seconds("x.xml: head", XML('<head value="19700101000001.5"/>')))
    1.5
    """
    value = attribute(where, element, "value")
    unit = (element.get("unit") or "").strip()
    if unit:
        if unit not in SECONDS:
            raise RecordError(f"{where}: unit: expected one of {', '.join(SECONDS)}, got {unit[:20]!r}")
        number = finite(where, value)
        if abs(number) > _LATEST:
            raise RecordError(f"{where}: expected a time up to {_LATEST:g}, got {number:g} {unit}")
        return Fraction(number * SECONDS[unit])
    point = _POINT.fullmatch(value)
    if point is None:
        raise RecordError(f"{where}: expected a time as YYYYMMDDhhmmss.fff, or with a unit, got {value[:32]!r}")
    *whole, part, sign, hours, minutes = point.groups()
    zone = timedelta(hours=int(hours or 0), minutes=int(minutes or 0))
    try:
        moment = datetime(*map(int, whole), tzinfo=timezone(-zone if sign == "-" else zone))  # type: ignore[misc,arg-type]
        since = moment - _EPOCH
    except (ValueError, OverflowError) as error:
        raise RecordError(f"{where}: expected a time, got {value[:32]!r}: {error}") from None
    return Fraction(since.days * 86400 + since.seconds) + Fraction(int((part or "0").ljust(9, "0")), 10**9)
