"""Run the benchmarks of this folder one after the other; print one table and save one JSON.

    python tests/bench/run_all.py [--only latency,memory] [--short] [--json build/bench.json]

Each ``bench_NAME.py`` writes rows with ``--json FILE``: a list, or a dict with ``rows``, of ``{"name", "value", "unit",
"budget", "holds", "note"}``. What cannot be measured here is a row too, and says why. ``neutral`` is the harness of
``../shared/tools/latency``, run on ours, whose figures must agree with those of ``latency``.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import rows as table

HERE = Path(__file__).resolve().parent
NEUTRAL = "neutral"
PACKAGES = [
    "ecg-widget",
    "anywidget",
    "bokeh",
    "bqplot",
    "faiss-cpu",
    "fastkmeans",
    "ipykernel",
    "ipympl",
    "ipywidgets",
    "jupyter_bokeh",
    "jupyterlab",
    "matplotlib",
    "numpy",
    "playwright",
    "plotly",
    "scikit-learn",
    "torch",
    "xarray",
]


def run(name: str, folder: Path, scene: Path, *, short: bool) -> dict:
    """What one script wrote; a row that says so if it failed."""
    script, out = HERE / f"bench_{name}.py", folder / f"{name}.json"
    command = [sys.executable, str(script), "--json", str(out)]
    known = subprocess.run([sys.executable, str(script), "--help"], capture_output=True, text=True, check=False).stdout
    if short and "--short" in known:
        command.append("--short")
    if "--scene" in known:
        command += ["--scene", str(scene)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if not out.is_file():
        said = (done.stderr.strip() or done.stdout.strip() or "no output").splitlines()[-1]
        return {"rows": [table.unmeasured(name, "", f"exit code {done.returncode}: {said[:160]}").json()]}
    written = json.loads(out.read_text())
    written = {"rows": written} if isinstance(written, list) else written
    return {**written, "rows": [plain(row) for row in written["rows"]]}


def plain(row: dict) -> dict:
    """A row with all its keys, its budget as text."""
    budget = row.get("budget")
    text = "" if budget is None else budget if isinstance(budget, str) else f"< {budget:g}"
    return {"unit": "", "holds": None, "note": "", **row, "budget": text}


def main() -> int:
    there = sorted(path.stem.removeprefix("bench_") for path in HERE.glob("bench_*.py"))
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default=",".join([*there, NEUTRAL]), help=f"of {', '.join([*there, NEUTRAL])}")
    parser.add_argument("--short", action="store_true", help="fewer steps and sizes: does it run, not: how fast")
    parser.add_argument("--json", type=Path, default=Path("build/bench.json"), metavar="FILE")
    options = parser.parse_args()
    chosen = options.only.split(",")
    if unknown := sorted(set(chosen) - {*there, NEUTRAL}):
        parser.error(f"--only: expected of {', '.join([*there, NEUTRAL])}, got {', '.join(unknown)}")
    found: dict[str, dict] = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        scene = folder / "scene.npz"
        for name in chosen:
            print(f"{name} ...", file=sys.stderr, end=" ", flush=True)
            start = time.monotonic()
            if name == NEUTRAL:
                found[name] = neutral(folder, scene, found, short=options.short)
            else:
                found[name] = run(name, folder, scene, short=options.short)
            print(f"{time.monotonic() - start:.0f} s", file=sys.stderr, flush=True)
    rows = [{**row, "name": f"{name}: {row['name']}"} for name, each in found.items() for row in each["rows"]]
    machine, versions = table.machine(), table.versions(*PACKAGES)
    print(table.table(rows))
    verdicts = [row["holds"] for row in rows]
    print(
        f"\n{verdicts.count(True)} budgets hold, {verdicts.count(False)} are missed, "
        f"{sum(row['value'] is None for row in rows)} lines are unmeasured{' (--short)' if options.short else ''}"
    )
    print(", ".join(f"{key} {value}" for key, value in machine.items()))
    print(", ".join(f"{key} {value or 'is not installed'}" for key, value in versions.items()))
    options.json.parent.mkdir(parents=True, exist_ok=True)
    told = {"when": time.strftime("%F %T"), "short": options.short, "machine": machine, "versions": versions}
    options.json.write_text(json.dumps({**told, "rows": rows, "benchmarks": found}, indent=1))
    return 0


def neutral(folder: Path, scene: Path, found: dict[str, dict], *, short: bool) -> dict:
    import neutral as harness
    import scene as records

    if not scene.is_file():
        records.save(scene)
    root = folder / "neutral"
    root.mkdir()
    ours = found.get("latency", {}).get("measured", {}).get("ours", {})
    rows, measured = harness.measure(root, scene, ours, short=short)
    return {"rows": [row.json() for row in rows], "measured": measured}


if __name__ == "__main__":
    sys.exit(main())
