"""Script per frame in the page, without Jupyter: ``python tests/bench/bench_frames.py [--json FILE]``.

The page of ``js/test/page`` runs the widget's view beside a stand-in for the kernel, in Chromium with software
rendering. A step is what a user does once; its cost is the script of its event handlers and of the frames that
follow. `whole` is everything that the page's thread did for a step, layout and rasterisation included.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import rows as table
from browser.lab import FLAGS, chromium
from playwright.sync_api import CDPSession, Page, sync_playwright

JS = Path(__file__).resolve().parents[2] / "js"
BUDGET_MS = 8.0
GROWTH_MB = 5.0
FLAT = 1.3
STEPS = {"threshold": 122, "clusters": 76, "hover": 194, "record": 20, "resize": 24, "window": 122}
LEADS = "leads=I,II,III,aVR,aVL,aVF,V1,V2,V3,V4,V5,V6"
# Name, query and what a recording of this length has to move: over 60 s it comes by the span.
LENGTHS = (
    ("10 s", "seconds=10", ("threshold", "hover")),
    ("60 s", "seconds=60", ("threshold", "hover", "window")),
    ("10 min", f"hours={1 / 6}&{LEADS}", ("threshold", "hover", "pan")),
    ("24 h", f"hours=24&{LEADS}", ("threshold", "hover", "pan")),
)

Row = dict[str, Any]


@contextlib.contextmanager
def served(js: Path = JS) -> Iterator[str]:
    """Address of the page of a checkout."""
    server = subprocess.Popen(["node", "test/page/serve.mjs", "0"], cwd=js, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        yield server.stdout.readline().strip()
    finally:
        server.terminate()
        server.wait(30)


def opened(page: Page, url: str, query: str) -> CDPSession:
    page.goto(f"{url}?{query}")
    page.wait_for_function("() => window.moves && document.querySelector('.ecg-widget')")
    page.evaluate("async () => { await moves.settled(); await moves.settled(); await moves.prepare(); }")
    cdp = page.context.new_cdp_session(page)
    cdp.send("Performance.enable")
    return cdp


def metric(cdp: CDPSession, name: str) -> float:
    return next(m["value"] for m in cdp.send("Performance.getMetrics")["metrics"] if m["name"] == name)


def row(name: str, value: float, unit: str, budget: float | None = None) -> Row:
    return {
        "name": name,
        "value": round(value, 3),
        "unit": unit,
        "budget": budget,
        "holds": None if budget is None else value < budget,
    }


def step_costs(page: Page, cdp: CDPSession, move: str, prefix: str) -> list[Row]:
    """Median, 95th percentile and maximum of one kind of move; the first steps warm the compiler up."""
    page.evaluate(f"moves.{move}(8)")
    before = metric(cdp, "TaskDuration")
    costs = sorted(page.evaluate(f"moves.{move}({STEPS[move]})"))
    whole = 1000 * (metric(cdp, "TaskDuration") - before) / len(costs)
    name = f"{prefix} {move}"
    return [
        row(f"{name}, median", statistics.median(costs), "ms", BUDGET_MS),
        row(f"{name}, p95", costs[min(len(costs) - 1, int(0.95 * len(costs)))], "ms", BUDGET_MS),
        row(f"{name}, max", costs[-1], "ms"),
        row(f"{name}, whole", whole, "ms"),
    ]


def moves(page: Page, url: str) -> list[Row]:
    rows = []
    for colour in ("bands", "trace"):
        for seconds, kinds in ((10, ("threshold", "clusters", "hover", "resize", "record")), (30, ("window",))):
            cdp = opened(page, url, f"k=20&seconds={seconds}&rate=500")
            page.evaluate(f"moves.colour('{colour}')")
            for kind in kinds:
                rows += step_costs(page, cdp, kind, colour)
    return rows


def lengths(page: Page, url: str) -> list[Row]:
    """The same window of 10 s in ever longer recordings."""
    rows = []
    shortest: dict[str, float] = {}
    for name, query, kinds in LENGTHS:
        opened(page, url, f"k=20&rate=500&{query}")
        page.wait_for_timeout(2500)  # the stand-in answers, as a kernel does, a little later
        for kind in kinds:
            page.evaluate(f"moves.{kind}(8)")
            median = statistics.median(page.evaluate(f"moves.{kind}(61)"))
            rows.append(row(f"{name}, {kind}, median", median, "ms", BUDGET_MS))
            # Below half a millisecond the clock's own steps are what is compared.
            first = shortest.setdefault("window" if kind == "pan" else kind, median)
            rows.append(row(f"{name}, {kind}, over the shortest", max(median, 0.5) / max(first, 0.5), "ratio", FLAT))
    return rows


def work(page: Page, url: str) -> list[Row]:
    """What must be nothing: paints that nobody sees, and pixels that repaints of parts leave otherwise."""
    rows = []
    for colour in ("bands", "trace"):
        opened(page, url, "k=20&seconds=10&rate=500&gap=1&theme=light")
        page.evaluate(f"moves.colour('{colour}')")
        rows.append(
            row(f"{colour}, bytes that differ after partial repaints", page.evaluate("moves.differing()"), "", 1)
        )
    unseen, seen_again = page.evaluate("moves.unseen(60)")
    rows.append(row("paints off the screen, 60 moves", unseen, "", 1))
    rows.append(row("paints when seen again", seen_again, "", 3))
    return rows


def growth(page: Page, url: str) -> list[Row]:
    """Heap after 200 steps of each kind, over that before; garbage collected both times."""
    rows = []
    cdp = opened(page, url, "k=20&seconds=30&rate=500")
    for kind in ("threshold", "clusters", "hover", "window"):
        page.evaluate(f"moves.{kind}(40)")
        heap = []
        for steps in (0, 200):
            page.evaluate(f"moves.{kind}({steps})")
            for _ in range(2):
                cdp.send("HeapProfiler.collectGarbage")
            heap.append(metric(cdp, "JSHeapUsedSize") / 1e6)
        rows.append(row(f"heap growth over 200 steps of {kind}", heap[1] - heap[0], "MB", GROWTH_MB))
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="write the rows to this file")
    args = parser.parse_args()
    with served() as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=[*FLAGS, "--js-flags=--expose-gc"])
        page = browser.new_context(viewport={"width": 1400, "height": 1100}).new_page()
        page.on("pageerror", lambda error: print(f"page: {error}", file=sys.stderr))
        rows = moves(page, url) + lengths(page, url) + growth(page, url) + work(page, url)
        version = browser.version
        browser.close()
    print(f"Chromium {version}, software rendering, {table.machine()['cores']} cores, 12 leads x 5000 samples, K = 20")
    for r in rows:
        budget = "" if r["budget"] is None else f"  < {r['budget']:g} {'holds' if r['holds'] else 'MISSED'}"
        print(f"{r['name']:48s} {r['value']:9.2f} {r['unit']:5s}{budget}")
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
