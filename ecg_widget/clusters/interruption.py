"""Ending a computation that nobody waits for any more, and letting it rest while somebody waits for another one."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from threading import Condition, Event

MOST_REST_S = 2.0  # at one place, whoever waits: so that nothing can stand still for ever
_LOOK_S = 0.005  # between two looks at the event while at rest


class Interrupted(Exception):  # noqa: N818  (nothing went wrong)
    """A computation was ended because nobody waits for it any more."""


_stop: ContextVar[Event | None] = ContextVar("stop", default=None)
_waiting: list[object] = []  # who waits, in any thread
_served = Condition()


@contextmanager
def interruptible(stop: Event) -> Iterator[None]:
    """Let an event end every `kmeans` of this thread between two iterations, with `Interrupted`.

    Parameters
    ----------
    stop
        Set by another thread.

    Examples
    --------
    >>> stop = Event()
    >>> stop.set()
    >>> with interruptible(stop):
    ...     stop_if_interrupted()
    Traceback (most recent call last):
    ...
    ecg_widget.clusters.interruption.Interrupted
    """
    token = _stop.set(stop)
    try:
        yield
    finally:
        _stop.reset(token)


def nobody_waits() -> bool:
    """Whether this thread runs inside `interruptible`: what it computes may be thrown away."""
    return _stop.get() is not None


@contextmanager
def somebody_waits() -> Iterator[None]:
    """Let everything in this process that nobody waits for rest meanwhile, at its next `stop_if_interrupted`.

    What this thread waits for may itself wait for a lock that such work holds: interrupt that work first.

    Examples
    --------
    >>> with somebody_waits():
    ...     stop_if_interrupted()  # of this thread somebody waits
    """
    token = object()
    with _served:
        _waiting.append(token)
    try:
        yield
    finally:
        with _served:
            _waiting.remove(token)
            _served.notify_all()


def stop_if_interrupted() -> None:
    """Inside `interruptible`: rest while `somebody_waits`; raise `Interrupted` once its event is set."""
    stop = _stop.get()
    if stop is None:
        return
    if _waiting and not stop.is_set():
        until = time.monotonic() + MOST_REST_S
        with _served:
            while _waiting and not stop.is_set() and time.monotonic() < until:
                _served.wait(_LOOK_S)
    if stop.is_set():
        raise Interrupted
