"""Ours in the harness of ``../shared/tools/latency``, which knows two CSS selectors of ours and nothing else."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
from bench_latency import IMPORTS, OURS_SETUP, PICTURE
from rows import Row, unmeasured

HERE = Path(__file__).resolve().parent
TOOL = HERE.parents[2] / "shared" / "tools" / "latency"
SLIDERS = {"threshold": "threshold", "clusters": "K, stored"}  # ours, and what the latency bench calls them
# Made and waited for above the last cell, which is all that the harness times; from 0.2 each step up greys fewer cells.
WAIT = """import time
w = ecg.explore(ecg=ds, activations=acts, layers=["conv1"], threshold=0.2)
while w.ready is None or len(w.ready.results) < 19:
    time.sleep(0.2)"""
PEERS = {  # its own notebooks, and the CSS that it looks at
    "b_ipympl": ".jupyter-matplotlib-canvas-div canvas@@0",
    "c2_bokeh_push_notebook": "canvas.bk-layer@@0",
}


def measure(folder: Path, scene: Path, ours: dict[str, dict], *, short: bool) -> tuple[list[Row], dict]:
    """Run it; whether it agrees with our own figures, and how ours stands to the peers as it has them."""
    if not (TOOL / "latency.py").is_file():
        return [unmeasured("the neutral harness", "ms", f"no {TOOL.name} in ../shared/tools")], {}
    (folder / "scene.npz").symlink_to(scene.resolve())
    cells = [IMPORTS + OURS_SETUP, WAIT, "w"]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, folder / "ours.ipynb")
    steps = 5 if short else 20
    sliders = [f'{name}=input[data-ecg="{name}"]' for name in SLIDERS]
    found = {"ours": _run(folder, "ours", f"{PICTURE}@@0", sliders, steps)}
    handles = [f"{name}=.noUi-handle@@{i}" for i, name in enumerate(SLIDERS)]
    for name, picture in {} if short else PEERS.items():
        for file in (f"{name}.ipynb", "peer_data.py", "_cache.npz"):
            shutil.copy(TOOL / "notebooks" / file, folder)
        found[name] = _run(folder, name, picture, handles, steps)
    out = []
    for name, slider in SLIDERS.items():
        theirs = _median(found["ours"], name)
        own = ours.get(slider, {}).get("median")
        label = f"neutral harness, {slider}"
        if theirs is None:
            out.append(unmeasured(label, "ms", str(found["ours"]["error"])))
            continue
        out.append(Row(label, theirs, "ms", "<= 35"))
        if own:
            limit = max(10.0, 0.3 * own)  # agreement: within 30 % or 10 ms
            out.append(Row(f"{label}: difference from ours", abs(theirs - own), "ms", f"<= {limit:.3g}", f"ours {own}"))
        rivals = {peer: value for peer in PEERS if (value := _median(found.get(peer, {}), name)) is not None}
        if rivals:
            best = min(rivals, key=rivals.__getitem__)
            note = ", ".join(f"{peer} {value} ms" for peer, value in rivals.items())
            out.append(Row(f"{label}: fastest of its peers / ours", rivals[best] / theirs, "x", ">= 5", note))
    return out, found


def _median(found: dict, slider: str) -> float | None:
    settled = found.get("sliders", {}).get(slider, {}).get("settled_ms")
    return settled["median"] if settled else None


def _run(folder: Path, name: str, picture: str, sliders: list[str], steps: int) -> dict:
    out = folder / f"{name}.json"
    command = [sys.executable, str(TOOL / "latency.py"), str(folder / f"{name}.ipynb"), "--picture", picture]
    for slider in sliders:
        command += ["--slider", slider]
    command += ["--steps", str(steps), "--leak", "0", "--burst", "0", "--out", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    if not out.is_file():
        return {"error": done.stderr.strip().splitlines()[-1:]}
    found = json.loads(out.read_text())
    for slider in found["sliders"].values():
        slider.pop("raw", None)
    broken = [s["error"] for s in found["sliders"].values() if "error" in s]
    return {"error": broken} | found
