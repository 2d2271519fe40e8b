"""Ending a computation that nobody waits for any more."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from threading import Event


class Interrupted(Exception):  # noqa: N818  (nothing went wrong)
    """A computation was ended because nobody waits for it any more."""


_stop: ContextVar[Event | None] = ContextVar("stop", default=None)


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


def stop_if_interrupted() -> None:
    """Raise `Interrupted` inside `interruptible` once its event is set."""
    if (stop := _stop.get()) is not None and stop.is_set():
        raise Interrupted
