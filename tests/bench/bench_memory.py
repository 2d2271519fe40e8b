"""Memory of kernel and page: after the quickstart, over 200 slider steps, over 20 runs of the cell.

    python tests/bench/bench_memory.py [--json FILE]

Before each reading garbage is collected on both sides and free pages go back to the system (``malloc_trim``), so that
what is compared is what is held.
"""

from __future__ import annotations

import shutil
import statistics
import tempfile
from pathlib import Path

import psutil
import rows as table
from browser.lab import Lab, Notebook, chromium_browser, tab
from rows import Row

HERE = Path(__file__).resolve().parent

QUICKSTART = HERE.parents[1] / "notebooks" / "quickstart.ipynb"
SETUP = """import ecg_widget as ecg
net, ds = ecg.load_network(), ecg.simulate(8, seed=0)"""
SHOW = """w = ecg.explore(net, ds)
w"""
SETTLE = """
import ctypes, gc
gc.collect()
try:
    ctypes.CDLL("libc.so.6").malloc_trim(0)
except OSError:
    pass
"""
ALIVE = """
import gc, ipywidgets, ecg_widget.widget as ew
gc.collect()
sum(isinstance(o, ew.ECGWidget) for o in gc.get_objects())
"""
MB = 1e6


class Memory:
    """Readings of one notebook's kernel and page, MB."""

    def __init__(self, lab: Lab, notebook: Notebook) -> None:
        self.notebook = notebook
        self.session = notebook.page.context.new_cdp_session(notebook.page)
        self.session.send("HeapProfiler.enable")
        children = psutil.Process(lab.process.pid).children(recursive=True)
        (self.kernel,) = [p for p in children if "ipykernel_launcher" in " ".join(p.cmdline())]

    def kernel_mb(self, *, settled: bool = True) -> float:
        if settled:
            self.notebook.python(SETTLE + "1")
        return self.kernel.memory_info().rss / MB

    def page_mb(self) -> float:
        for _ in range(2):
            self.session.send("HeapProfiler.collectGarbage")
            self.notebook.page.wait_for_timeout(200)
        used = self.session.send("Runtime.getHeapUsage")
        return (used["usedSize"] + used.get("embedderHeapUsedSize", 0) + used.get("backingStorageSize", 0)) / MB


def wait_until_ready(notebook: Notebook) -> None:
    for _ in range(600):
        if notebook.python("0 if w.ready is None else len(w.ready.results)") == 19:
            return
        notebook.page.wait_for_timeout(200)
    raise RuntimeError("not all numbers of clusters were computed ahead")


def quickstart(lab: Lab, browser) -> list[Row]:
    shutil.copy(QUICKSTART, lab.root)
    with tab(browser) as page:
        notebook = Notebook(page, lab, QUICKSTART.name)
        errors = notebook.run_all()
        if errors:
            raise RuntimeError(f"quickstart: {errors}")
        notebook.wait_for_status("^10 clusters")
        memory = Memory(lab, notebook)
        at_once = memory.kernel_mb(settled=False)
        notebook.page.wait_for_timeout(20_000)  # what is computed ahead
        held = memory.kernel_mb(settled=False)
        peak = memory.kernel.memory_info()
        page_mb = memory.page_mb()
        notebook.shut_down()
    return [
        Row(
            "quickstart: kernel resident",
            max(at_once, held),
            "MB",
            "< 900",
            f"after the cells {at_once:.0f}, later {held:.0f}",
        ),
        Row(
            "quickstart: page's heap, JupyterLab included",
            page_mb,
            "MB",
            note=f"kernel shared {peak.shared / MB:.0f} MB",
        ),
    ]


def moves(notebook: Notebook, steps: int) -> None:
    """Half of them threshold, four tenths K, a tenth layers; every value has been seen before the first reading."""
    layers = len(notebook.python("w.choices['layers']"))
    for i in range(steps):
        if i % 10 == 9:
            notebook.drag("layers", [i // 10 % layers], gap_ms=30)
            notebook.wait_for_status("^(?!.*computing)")
        elif i % 2:
            notebook.drag("clusters", [2 + (7 * i) % 19], gap_ms=30)
            notebook.wait_for_status(f"^{2 + (7 * i) % 19} clusters")
        else:
            notebook.drag("threshold", [0.1 + (i % 80) / 100], gap_ms=30)


def growth(lab: Lab, browser, steps: int, runs: int) -> list[Row]:
    with tab(browser) as page:
        notebook = Notebook(page, lab, lab.write("memory.ipynb", SETUP, SHOW))
        notebook.run_all()
        notebook.wait_for_status("^10 clusters")
        memory = Memory(lab, notebook)
        layers = notebook.python("len(w.choices['layers'])")
        for index in range(layers):  # caches fill before anything can grow
            notebook.drag("layers", [index])
            notebook.page.wait_for_timeout(300)
            wait_until_ready(notebook)
        moves(notebook, steps)
        kernel, heap = [memory.kernel_mb()], [memory.page_mb()]
        for _ in range(2):
            moves(notebook, steps)
            wait_until_ready(notebook)
            kernel.append(memory.kernel_mb())
            heap.append(memory.page_mb())
        out = [
            Row(
                f"{steps} steps: growth of the kernel",
                kernel[2] - kernel[1],
                "MB",
                "< 5",
                f"before {kernel[1]:.0f} MB; the {steps} before them {kernel[1] - kernel[0]:+.1f}",
            ),
            Row(
                f"{steps} steps: growth of the page",
                heap[2] - heap[1],
                "MB",
                "< 5",
                f"before {heap[1]:.0f} MB; the {steps} before them {heap[1] - heap[0]:+.1f}",
            ),
        ]
        kernel, heap = [], []
        for _ in range(runs + 5):
            notebook.run_cell(1)
            notebook.wait_for_status("^10 clusters")
            kernel.append(memory.kernel_mb())
            heap.append(memory.page_mb())
        warm, last = statistics.mean(kernel[3:6]), statistics.mean(kernel[-3:])
        page_warm, page_last = statistics.mean(heap[3:6]), statistics.mean(heap[-3:])
        out += [
            Row(f"{runs} runs of the cell: widgets alive", notebook.python(ALIVE), "instances", "<= 2"),
            Row(f"{runs} runs of the cell: growth of the kernel", last - warm, "MB", "< 5", f"before {warm:.0f} MB"),
            Row(
                f"{runs} runs of the cell: growth of the page",
                page_last - page_warm,
                "MB",
                "< 5",
                f"before {page_warm:.0f} MB",
            ),
        ]
        if notebook.errors:
            raise RuntimeError(f"the page logged {notebook.errors[:3]}")
        notebook.shut_down()
    return out


def main() -> None:
    options = table.arguments(__doc__)
    with tempfile.TemporaryDirectory() as folder:
        lab = Lab(Path(folder))
        try:
            with chromium_browser() as browser:
                out = quickstart(lab, browser)
                out += growth(lab, browser, 40 if options.short else 200, 4 if options.short else 20)
        finally:
            lab.close()
    table.finish(out, options, machine=table.machine(), versions=table.versions("ecg-widget", "torch", "jupyterlab"))


if __name__ == "__main__":
    main()
