"""Latency from the user's hand to changed pixels, ours and the peers', side by side in one JupyterLab and Chromium.

    python tests/bench/bench_latency.py [--only ours,ipympl] [--steps 20] [--json FILE]

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
from live import Live, Steps, open_live
from peers import HANDLE, PEERS
from rows import Row, unmeasured

from browser.lab import Lab, chromium_browser

HERE = Path(__file__).parent
NOISY = 0.3  # cores that other processes used meanwhile
DOWN = {"threshold": -1}  # into the range where the cells' entropies lie: there, every step greys another cell
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
IMPORTS = "import sys\nsys.path[:0] = [{folder!r}]\n"


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
    lab.write("ours.ipynb", IMPORTS.format(folder=str(HERE)) + OURS_SETUP, OURS_SHOW)
    with open_live(browser, lab, "ours.ipynb", PICTURE) as live:
        live.notebook.run_all()
        live.notebook.wait_for_status("^10 clusters")
        found["threshold, at once"] = live.keys('[data-ecg="threshold"]', n=min(n, 6), direction=-1).facts()  # kernel and page are busy
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
        lab.write(f"{name}.ipynb", setup, NETWORK_SHOW)
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
    lab.write(f"{name}.ipynb", IMPORTS.format(folder=str(HERE)) + subject.setup, subject.show)
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
    text = f"p95 {facts['p95']}, max {facts['max']}, first change {facts['first_median']}; n {facts['n']}"
    if facts["unchanged"]:
        text += f", {facts['unchanged']} without a change"
    if facts["bytes"] is not None:
        text += f"; {facts['bytes']:.0f} bytes in {facts['messages']:.0f} messages from the kernel a step"
    if facts["other_cores"] > NOISY:
        text += f"; not to be trusted: others used {facts['other_cores']} cores"
    return text


def compare(found: dict[str, dict]) -> list[Row]:
    """Rows of the table: ours against the budgets and against the peers of this run."""
    out = []
    mine, net = found.get("ours", {}), found.get("network", {})
    peers = {name: facts for name, facts in found.items() if name in PEERS and "error" not in facts}

    def row(name: str, facts: dict | None, key: str, unit: str, budget: str = "") -> None:
        if not facts or not facts.get("n"):
            out.append(unmeasured(name, unit, "not in this run" if not facts else "no step changed the picture", budget))
        else:
            out.append(Row(name, facts[key], unit, budget, said(facts) if unit == "ms" else ""))

    for slider, label in (("threshold", "threshold"), ("K, stored", "K that is ready")):
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
    for name, facts in peers.items():
        for slider in SLIDERS:
            row(f"{PEERS[name].title}: {slider}", facts.get(slider), "median", "ms")
    for name in PEERS:
        if "error" in found.get(name, {}):
            out.append(unmeasured(PEERS[name].title, "ms", found[name]["error"]))
    for slider, label in (("threshold", "threshold"), ("K, stored", "K that is ready")):
        theirs = [facts[slider]["median"] for facts in peers.values() if facts.get(slider, {}).get("n")]
        own = mine.get(slider, {}).get("median")
        if own and theirs:
            out.append(Row(f"{label}: fastest peer / ours", min(theirs) / own, "x", ">= 5"))
            out.append(Row(f"{label}: median peer / ours", statistics.median(theirs) / own, "x", ">= 7"))
    fits = [facts["K, fitted"]["median"] for facts in peers.values() if facts.get("K, fitted", {}).get("n")]
    own = mine.get("K, fitted", {}).get("first_median")
    if own and fits:
        out.append(Row("cold K: best peer that fits again / ours", min(fits) / own, "x", ">= 5"))
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
                    except Exception as error:  # one widget that fails must not cost the others' figures
                        traceback.print_exc()
                        found[name] = {"error": f"{type(error).__name__}: {str(error).splitlines()[0][:160]}"}
        finally:
            lab.close()
    packages = {p for name in PEERS for p in PEERS[name].packages} | {"ecg-widget", "jupyterlab", "ipykernel", "scikit-learn", "torch"}
    known = table.versions(*sorted(packages)) | {"chromium": version}
    table.finish(compare(found), options, measured=found, machine=table.machine(), versions=known)


if __name__ == "__main__":
    main()
