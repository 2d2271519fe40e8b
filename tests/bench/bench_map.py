"""Script per frame with 100,000 cells on the map: ``python tests/bench/bench_map.py [--before CHECKOUT]``.

The page is that of bench_frames.py. With another checkout of the project, its page takes the same steps in the same
browser, in turns, so that both columns are of one run.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import sys
from pathlib import Path

import bench_frames as frames
import rows as table
from browser.lab import FLAGS, chromium
from playwright.sync_api import Page, sync_playwright

# 100,000 cells of one lead: what is measured is the map, not the trace.
QUERY = "k=20&seconds=400&rate=100&leads=II&stride={stride}"
STEPS = {"threshold": 122, "hover": 97}
ROUNDS = 3


def costs(page: Page, url: str, stride: float) -> dict[str, list[float]]:
    page.goto(f"{url}?{QUERY.format(stride=stride)}")
    page.wait_for_function("() => window.moves && document.querySelector('.ecg-widget')")
    page.evaluate("async () => { await moves.settled(); await moves.settled(); }")
    out = {}
    for move, steps in STEPS.items():
        page.evaluate(f"moves.{move}(8)")
        out[move] = page.evaluate(f"moves.{move}({steps})")
    return out


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--before", type=Path, help="another checkout, whose page is measured beside this one's")
    parser.add_argument("--cells", type=int, default=100_000)
    parser.add_argument("--json", type=Path, help="write the rows to this file")
    args = parser.parse_args()
    sides = {"now": frames.JS} | ({"before": args.before.resolve() / "js"} if args.before else {})
    with contextlib.ExitStack() as stack:
        urls = {name: stack.enter_context(frames.served(js)) for name, js in sides.items()}
        playwright = stack.enter_context(sync_playwright())
        browser = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        page = browser.new_context(viewport={"width": 1400, "height": 1100}).new_page()
        page.on("pageerror", lambda error: print(f"page: {error}", file=sys.stderr))
        found: dict[tuple[str, str], list[float]] = {}
        for _ in range(ROUNDS):
            for name, url in urls.items():
                for move, values in costs(page, url, 400 / args.cells).items():
                    found.setdefault((name, move), []).extend(values)
        version = browser.version
        browser.close()
    print(f"Chromium {version}, software rendering, {table.machine()['cores']} cores, {args.cells:,} cells, K = 20")
    rows = []
    for (name, move), values in sorted(found.items()):
        budget = frames.BUDGET_MS if name == "now" else None
        p95 = sorted(values)[int(0.95 * len(values))]
        rows.append(frames.row(f"map, {move}, {name}, median", statistics.median(values), "ms", budget))
        rows.append(frames.row(f"map, {move}, {name}, p95", p95, "ms"))
    for row in rows:
        print(f"{row['name']:40s} {row['value']:8.2f} ms  {'MISSED' if row['holds'] is False else ''}")
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
