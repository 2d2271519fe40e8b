"""Results that nobody has asked for yet, computed in the background while the user looks."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence

import torch
import xarray as xr

from ecg_widget.clusters.kmeans import Interrupted, interruptible, stop_if_interrupted

REST_S = 0.05  # of the sliders, before work that nobody waits for begins
FIRST_REST_S = 0.4  # before it begins for a new view, whose page needs the processor to draw its first picture
TOLD_S = 1.0  # between two announcements of what is ready

log = logging.getLogger(__name__)


class Ahead:
    """One thread at a time that computes a result for each of several numbers, until it is interrupted."""

    def __init__(self) -> None:
        self._stop = threading.Event()

    def start(
        self,
        numbers: Sequence[int],
        compute: Callable[[int], xr.Dataset],
        ready: Callable[[dict[int, xr.Dataset]], None],
        failed: Callable[[Exception], None],
        then: Sequence[Callable[[], object]] = (),
        *,
        rest_s: float = REST_S,
    ) -> None:
        """Compute in the order given, in place of what was begun before.

        Parameters
        ----------
        numbers
            What to compute.
        compute
            Gives the result of one of them; k-means in it ends between two iterations when interrupted.
        ready
            Called with the results that are there: after the first, every second, and at the end.
        failed
            Called with what ends it before the first result, the one that somebody looks at.
        then
            Called one after the other when all numbers are done.
        rest_s
            Before anything is computed, s.
        """
        self.interrupt()
        stop = self._stop = threading.Event()

        def work() -> None:
            torch.set_num_threads(max(1, torch.get_num_threads() // 2))  # this thread's: the rest is for who waits
            there: dict[int, xr.Dataset] = {}
            stop.wait(rest_s)
            try:
                with interruptible(stop):
                    _work_through(numbers, compute, ready, there)
                    for call in then:
                        stop_if_interrupted()
                        call()
            except Interrupted:
                return
            except Exception as error:  # a thread has nobody to raise to; a choice raises again when it is made
                if stop.is_set():
                    return
                log.exception("computing ahead")
                if not there:
                    failed(error)

        threading.Thread(target=work, name="ecg-widget ahead", daemon=True).start()

    def interrupt(self) -> None:
        """End it, between two iterations of k-means at the latest."""
        self._stop.set()


def _work_through(
    numbers: Sequence[int],
    compute: Callable[[int], xr.Dataset],
    ready: Callable[[dict[int, xr.Dataset]], None],
    there: dict[int, xr.Dataset],
) -> None:
    told = time.monotonic()
    for number in numbers:
        stop_if_interrupted()
        there[number] = compute(number)
        stop_if_interrupted()
        if len(there) in (1, len(numbers)) or time.monotonic() - told > TOLD_S:
            ready(dict(there))
            told = time.monotonic()
