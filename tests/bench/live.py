"""From the user's hand to changed pixels, in a real JupyterLab and a real Chromium, of any widget."""

from __future__ import annotations

import os
import statistics
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import rows  # noqa: F401  (finds browser.lab)
from browser.lab import Notebook, tab

PROBE = Path(__file__).resolve().with_name("probe.js")
QUIET_MS = 250  # without a change: the picture stands still
REST_MS = 30  # between two steps
WARM = 2  # first steps of a slider, not counted
TIMEOUT_MS = 60_000  # for a first picture
STEP_TIMEOUT_MS = 8_000


@dataclass
class Steps:
    """What the steps of one slider took, ms, and what came from the kernel in each."""

    first: list[float] = field(default_factory=list)
    last: list[float] = field(default_factory=list)
    bytes: list[int] = field(default_factory=list)
    messages: list[int] = field(default_factory=list)
    data_messages: list[int] = field(default_factory=list)
    unchanged: int = 0  # steps that changed nothing to see
    others: float = 0.0  # cores that other processes of this machine used meanwhile

    def facts(self) -> dict:
        first, last = sorted(self.first), sorted(self.last)
        if not first:
            return {"n": 0, "unchanged": self.unchanged}
        p95 = min(len(first) - 1, round(0.95 * (len(first) - 1)))
        return {
            "n": len(first),
            "median": round(statistics.median(last), 1),
            "p95": round(last[p95], 1),
            "max": round(last[-1], 1),
            "first_median": round(statistics.median(first), 1),
            "first_p95": round(first[p95], 1),
            "bytes": statistics.median(self.bytes) if self.bytes else None,
            "messages": statistics.median(self.messages) if self.messages else None,
            "widget_messages": statistics.median(self.data_messages) if self.data_messages else None,
            "unchanged": self.unchanged,
            "other_cores": round(self.others, 2),
        }


class Live:
    """A notebook whose last cell shows a widget, and the CSS of its picture."""

    def __init__(self, page, lab, name: str, picture: str, index: int | None = 0) -> None:
        page.add_init_script(path=PROBE)
        self.notebook = Notebook(page, lab, name)
        self.page, self.picture, self.index = page, picture, index

    def run(self, cell: int) -> dict[str, float]:
        """Run one cell; ms until its first picture, and until it stands still."""
        self.page.evaluate(
            """([css, index, cell]) => {
                const { content } = window.jupyterapp.shell.currentWidget;
                content.activeCellIndex = cell;
                window.probe.start(css, index, true);
                window.jupyterapp.commands.execute('notebook:run-cell');
            }""",
            [self.picture, self.index, cell],
        )
        found = self.page.evaluate("([q, t]) => window.probe.stop(q, t)", [QUIET_MS, TIMEOUT_MS])
        if not found["changes"]:
            raise RuntimeError(f"no picture: {self.notebook.cell_errors()} {self.notebook.errors[-3:]}")
        return {"first": found["changes"][0], "last": found["changes"][-1]}

    def step(self, act, steps: Steps | None = None) -> dict:
        """Act, and wait until the picture stands still."""
        received = self.notebook.received
        received.clear()
        self.page.evaluate("([css, index]) => window.probe.start(css, index)", [self.picture, self.index])
        act()
        found = self.page.evaluate("([q, t]) => window.probe.stop(q, t)", [QUIET_MS, STEP_TIMEOUT_MS])
        self.page.wait_for_timeout(REST_MS)
        if steps is not None and found["changes"] and found["seen"]:
            steps.first.append(found["changes"][0])
            steps.last.append(found["changes"][-1])
            steps.bytes.append(sum(len(frame) for frame in received))
            steps.messages.append(len(received))
            told = self.notebook.comm_received()
            steps.data_messages.append(sum("echo_update" not in str(m)[:200] for m in told))
        elif steps is not None:
            steps.unchanged += 1
        return found

    def keys(self, css: str, index: int = 0, *, n: int = 20, warm: int = WARM, direction: int = 1) -> Steps:
        """Steps by arrow key, back and forth where the slider ends, each after the picture stands still."""
        steps = Steps()
        where = [css, index]
        self.page.evaluate("([css, index]) => window.probe.show(css, index)", where)
        self.page.evaluate("([css, index]) => window.probe.focus(css, index)", where)
        with other_cores() as noise:
            for done in range(n + warm):
                state = self.page.evaluate("([css, index]) => window.probe.slider(css, index)", where)
                if state["value"] >= state["max"] - 1e-9:
                    direction = -1
                elif state["value"] <= state["min"] + 1e-9:
                    direction = 1
                key = "ArrowRight" if direction > 0 else "ArrowLeft"
                self.step(lambda key=key: self.page.keyboard.press(key), steps if done >= warm else Steps())
                if steps.unchanged > n // 3:
                    raise RuntimeError(f"{steps.unchanged} steps of {css} changed nothing to see")
        steps.others = noise[0]
        return steps

    def jump(self, css: str, index: int, value: float, steps: Steps) -> dict:
        """Set a native slider to a value, as a click on its track does."""
        return self.step(
            lambda: self.page.evaluate("(given) => window.probe.set(...given)", [css, index, value]), steps
        )


@contextmanager
def open_live(browser, lab, name: str, picture: str, index: int | None = 0):
    """A notebook in a fresh tab; its kernel ends with it."""
    with tab(browser, width=1500, height=1250) as page:
        live = Live(page, lab, name, picture, index)
        try:
            yield live
        finally:
            live.notebook.shut_down()


@contextmanager
def other_cores():
    """Cores that processes that are not ours use meanwhile; above 0.3 of 2, times are not to be trusted."""
    noise = [0.0]
    before, own, start = _busy_s(), _own_s(), time.monotonic()
    yield noise
    noise[0] = max(0.0, (_busy_s() - before) - (_own_s() - own)) / (time.monotonic() - start)


def _busy_s() -> float:
    times = psutil.cpu_times()
    return times.user + times.system + times.nice


def _own_s() -> float:
    total = 0.0
    for process in [psutil.Process(), *psutil.Process(os.getpid()).children(recursive=True)]:
        try:
            times = process.cpu_times()
        except psutil.Error:
            continue
        total += times.user + times.system
    return total
