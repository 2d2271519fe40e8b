"""Latency from the user's hand to changed pixels, ours and the peers', side by side in one JupyterLab and Chromium.

    python tests/bench/bench_latency.py [--only ours,network,ipympl] [--steps 20] [--json FILE]

A step is an arrow key on the focused slider, sent through the browser; its time ends with the last frame in which the
picture changes before it stands still for 250 ms ("first": the first such frame, which with some libraries shows half
of the answer). The next step begins when it stands still. Of a K that is not ready, ours shows a first answer and then
the exact one: there, and for a cell's first picture, the first frame counts.
"""

from __future__ import annotations

import statistics
import tempfile
import traceback
from pathlib import Path

import rows as table
import scene
from browser.lab import Lab, chromium_browser
from live import Live, Steps, open_live
from peers import HANDLE, PEERS
from rows import Row, unmeasured

HERE = Path(__file__).resolve().parent
NOISY = 0.3  # cores that other processes used meanwhile
DOWN = {"threshold": -1}  # into the range where the cells' entropies lie: there, every step greys another cell
MOVES = {"threshold": "threshold", "K, stored": "K that is ready"}
SLIDERS = ("threshold", "K, stored", "K, fitted")
PICTURE = 'canvas[data-ecg="waveform"]'
COLD = (11, 14, 9, 6, 20, 2, 12, 8, 16, 4)  # jumps from 10 right after the cell has run: nothing is computed ahead
OURS_SETUP = """import ecg_widget as ecg
import numpy as np
import scene
ds = scene.records()
stored = np.load("scene.npz")
acts = scene.activations(ds, {name: stored[f"layer_{name}"] for name in scene.LAYERS})"""
OURS_SHOW = """w = ecg.explore(ecg=ds, activations=acts, layers=["conv1"])
w"""
NETWORK_SETUP = """import ecg_widget as ecg
net, ds = ecg.load_network(), ecg.simulate(64, seed=0)"""
QUICK_SETUP = """import ecg_widget as ecg
net, ds = ecg.load_network(), ecg.load_example()"""
NETWORK_SHOW = """w = ecg.explore(net, ds)
w"""
IMPORTS = (
    f"import sys\nsys.path[:0] = [{str(HERE)!r}, {str(HERE.parents[1])!r}]\n"  # this tree, wherever the kernel runs
)


def all_ready(live: Live, timeout_s: float = 120) -> None:
    """Wait until every number of clusters is on the page."""
    for _ in range(int(timeout_s * 5)):
        if live.notebook.python("0 if w.ready is None else len(w.ready.results)") == 19:
            break
        live.page.wait_for_timeout(200)
    else:
        raise RuntimeError("not all numbers of clusters were computed ahead")
    live.page.wait_for_timeout(500)


def ours(lab: Lab, browser, n: int) -> dict[str, dict]:
    """Sliders on the scene that the peers show."""
    found = {}
    lab.write("ours.ipynb", IMPORTS + OURS_SETUP, OURS_SHOW)
    with open_live(browser, lab, "ours.ipynb", PICTURE) as live:
        live.notebook.run_all()
        live.notebook.wait_for_status("^10 clusters")
        found["threshold, at once"] = live.keys(
            '[data-ecg="threshold"]', n=min(n, 6), direction=-1
        ).facts()  # kernel and page are busy
        all_ready(live)
        found["threshold"] = live.keys('[data-ecg="threshold"]', n=n, direction=-1).facts()
        found["K, stored"] = live.keys('[data-ecg="clusters"]', n=n).facts()
        cold, shown = Steps(), Steps()
        for value in [COLD[i % len(COLD)] for i in range(n)]:
            picture = live.run(1)
            shown.first.append(picture["first"])
            shown.last.append(picture["last"])
            live.page.evaluate("css => window.probe.show(css, 0)", '[data-ecg="clusters"]')
            live.jump('[data-ecg="clusters"]', 0, value, cold)
        found["K, fitted"] = cold.facts() | {"jumps": list(zip(COLD, map(round, cold.first), strict=False))}
        found["cell"] = shown.facts()
        found["errors"] = live.notebook.errors
    return found


def network(lab: Lab, browser, n: int) -> dict[str, dict]:
    """Layers and the first picture, with the bundled network."""
    found = {}
    for name, setup in (("quick", QUICK_SETUP), ("network", NETWORK_SETUP)):
        lab.write(f"{name}.ipynb", IMPORTS + setup, NETWORK_SHOW)
        with open_live(browser, lab, f"{name}.ipynb", PICTURE) as live:
            live.notebook.run_all()
            live.notebook.wait_for_status("^10 clusters")
            shown = Steps()
            for _ in range(max(n // 4, 3)):
                picture = live.run(1)
                shown.first.append(picture["first"])
                shown.last.append(picture["last"])
            found[f"cell, {name}"] = shown.facts()
            if name == "network":
                found["layer, first visit"] = live.keys('[data-ecg="layers"]', n=5, warm=0).facts()
                live.keys('[data-ecg="layers"]', n=4, warm=0)
                found["layer"] = live.keys('[data-ecg="layers"]', n=n).facts()
    return found


def peer(lab: Lab, browser, name: str, n: int) -> dict[str, dict]:
    subject = PEERS[name]
    if missing := [p for p, version in table.versions(*subject.packages).items() if version is None]:
        raise RuntimeError(f"not installed: {', '.join(missing)}; pip install -r tests/bench/requirements.txt")
    lab.write(f"{name}.ipynb", IMPORTS + subject.setup, subject.show)
    found = {}
    with open_live(browser, lab, f"{name}.ipynb", subject.picture, subject.index) as live:
        live.notebook.run_cell(0)
        live.notebook.python("1")
        found["cell"] = live.run(1)
        live.page.wait_for_timeout(500)
        for index, slider in enumerate(SLIDERS):
            found[slider] = live.keys(HANDLE, index, n=n, direction=DOWN.get(slider, 1)).facts()
        found["errors"] = live.notebook.errors
    return found


def said(facts: dict) -> str:
    text = f"first change {facts['first_median']} (p95 {facts['first_p95']}), settled {facts['median']} (p95 {facts['p95']}, "
    text += f"max {facts['max']}); n {facts['n']}"
    if facts["unchanged"]:
        text += f", {facts['unchanged']} without a change"
    if facts["bytes"] is not None:
        text += f"; {facts['bytes']:.0f} bytes in {facts['messages']:.0f} messages from the kernel a step"
    if facts["other_cores"] > NOISY:
        text += f"; not to be trusted: others used {facts['other_cores']} cores"
    return text


def budgets(mine: dict[str, dict], net: dict[str, dict]) -> list[Row]:
    """Ours against the budgets."""
    out = []

    def row(name: str, facts: dict | None, key: str, unit: str, budget: str = "") -> None:
        if facts and facts.get("n"):
            out.append(Row(name, facts[key], unit, budget, said(facts) if unit == "ms" else ""))
        else:
            out.append(unmeasured(name, unit, "no step changed the picture" if facts else "not in this run", budget))

    for slider, label in MOVES.items():
        row(f"{label}, median", mine.get(slider), "median", "ms", "<= 35")
        row(f"{label}, p95", mine.get(slider), "p95", "ms", "<= 50")
        row(f"{label}, from the kernel", mine.get(slider), "bytes", "bytes", "<= 0")
        row(f"{label}, from the kernel to the widget", mine.get(slider), "widget_messages", "messages", "<= 0")
    row("threshold while the kernel computes ahead, median", mine.get("threshold, at once"), "median", "ms")
    row("K that is cold, to the first picture, median", mine.get("K, fitted"), "first_median", "ms", "<= 120")
    row("layer that is cached, median", net.get("layer"), "median", "ms", "<= 120")
    row("layer visited first, median", net.get("layer, first visit"), "median", "ms")
    row("cell to first picture, 64 x 313 x 256 stored", mine.get("cell"), "first_median", "ms", "<= 400")
    row("cell to first picture, quickstart", net.get("cell, quick"), "first_median", "ms", "<= 400")
    row("cell to first picture, 64 records and the network", net.get("cell, network"), "first_median", "ms", "<= 400")
    return out


def ratios(mine: dict[str, dict], peers: dict[str, dict]) -> list[Row]:
    """Every peer, and how many times longer they take than ours."""
    out = []
    for name, facts in peers.items():
        for slider in SLIDERS:
            step = facts.get(slider, {})
            label = f"{PEERS[name].title}: {slider}"
            if step.get("n"):
                out.append(Row(label, step["median"], "ms", note=said(step)))
            else:
                out.append(unmeasured(label, "ms", facts.get("error", "no step changed the picture")))

    def times(slider: str) -> list[float]:
        return [facts[slider]["median"] for facts in peers.values() if facts.get(slider, {}).get("n")]

    for slider, label in MOVES.items():
        theirs, own = times(slider), mine.get(slider, {}).get("median")
        if own and theirs:
            out.append(Row(f"{label}: fastest peer / ours", min(theirs) / own, "x", ">= 5"))
            out.append(Row(f"{label}: median peer / ours", statistics.median(theirs) / own, "x", ">= 7"))
    theirs, own = times("K, fitted"), mine.get("K, fitted", {}).get("first_median")
    if own and theirs:
        out.append(Row("cold K: best peer that fits again / ours", min(theirs) / own, "x", ">= 5"))
    return out


def main() -> None:
    options = table.arguments(
        __doc__,
        ("--only", {"default": ",".join(["ours", "network", *PEERS]), "help": "subjects"}),
        ("--steps", {"type": int, "default": 20}),
        ("--scene", {"type": Path, "help": "keep the records and segments here, and take them from here"}),
    )
    n = 5 if options.short else options.steps
    found: dict[str, dict] = {}
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        kept = options.scene or root / "scene.npz"
        if not kept.is_file():
            scene.save(kept)
        if options.scene:
            (root / "scene.npz").symlink_to(kept.resolve())
        lab = Lab(root)
        try:
            with chromium_browser() as browser:
                version = browser.version
                for name in options.only.split(","):
                    measure = {"ours": ours, "network": network}.get(name)
                    try:
                        found[name] = measure(lab, browser, n) if measure else peer(lab, browser, name, n)
                    except Exception as error:  # noqa: BLE001  one widget that fails must not cost the others' figures
                        traceback.print_exc()
                        found[name] = {"error": f"{type(error).__name__}: {str(error).splitlines()[0][:160]}"}
        finally:
            lab.close()
    packages = {p for name in PEERS for p in PEERS[name].packages} | {
        "ecg-widget",
        "jupyterlab",
        "ipykernel",
        "scikit-learn",
        "torch",
    }
    known = table.versions(*sorted(packages)) | {"chromium": version}
    rows = budgets(found.get("ours", {}), found.get("network", {}))
    rows += ratios(found.get("ours", {}), {name: facts for name, facts in found.items() if name in PEERS})
    table.finish(rows, options, measured=found, machine=table.machine(), versions=known)


if __name__ == "__main__":
    main()
