"""Extraction of every candidate layer beside a plain forward pass of the same network on the same prepared batches.

    python tests/bench/bench_extraction.py [--short] [--json FILE]

They run on the same batches in turn, on 2 threads; ratios are those of the least times, since whatever else the
machine does only adds. An extraction is timed twice: into memory that the process has already, which is what extracting
costs, and into fresh memory, which the system first has to find and to clear; a plain pass keeps nothing. Errors are
largest differences to the same pass in float32, relative to the largest value of the layer, over all candidate layers
and the outputs.
"""

from __future__ import annotations

import time

import numpy as np
import rows as table
import torch
from rows import Row, unmeasured

from ecg_widget.benchmark_networks import xresnet1d101
from ecg_widget.extraction import Extraction, Travel, autocast
from ecg_widget.inference import inference
from ecg_widget.layers import list_layers
from ecg_widget.layouts import capture
from ecg_widget.networks import RibeiroResNet, load_network
from ecg_widget.receptive_fields import probe

THREADS = 2
BUDGET = "<= 1.1"
DTYPES = ("float32", "float16")


def networks() -> dict:
    """Name -> module, records of a batch, samples of a record."""
    torch.manual_seed(0)
    return {
        "bundled network": (load_network().module, 64, 1000),
        "Ribeiro's, random weights": (RibeiroResNet(), 8, 4096),
        "xresnet1d101, random weights": (xresnet1d101(), 32, 1000),
    }


def plain(module, batches, place, precision="float32"):
    travel = Travel(module, place)
    outputs = []
    for x in batches:
        with autocast(place, precision):
            outputs.append(module(travel(x)).float())
    return [output.cpu() for output in outputs]


def extracted(module, batches, place, names, layouts, *, dtype="float32", precision="float32", memory=None):
    travel = Travel(module, place)
    kept = Extraction(sum(map(len, batches)), names, dtype, place)
    kept.arrays |= memory or {}
    row = 0
    with capture(module, names, layouts=layouts, into=lambda name, cells: kept.write(row, name, cells)):
        for x in batches:
            with autocast(place, precision):
                output = module(travel(x))
            kept.end_batch(row, output)
            row += len(x)
        kept.finish()
    return kept


def seconds(run) -> float:
    start = time.perf_counter()
    run()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start


def error(kept, reference) -> float:
    """Largest difference relative to the largest value of a layer."""
    pairs = [(kept.output, reference.output), *((kept.arrays[k], v) for k, v in reference.arrays.items())]
    return max(float(np.abs(a.astype(np.float32) - b).max() / np.abs(b).max()) for a, b in pairs)


def measure(name: str, module, size: int, samples: int, options) -> list[Row]:
    names = list_layers(module)
    layouts = {layer: found.layout for layer, found in probe(module, names, 12, samples).items()}
    generator = torch.Generator().manual_seed(1)
    batches = [torch.randn((size, 12, samples), generator=generator) for _ in range(2 if options.short else 4)]
    rounds = 2 if options.short else 12
    out = []
    with inference(module) as place:
        there = {dtype: extracted(module, batches, place, names, layouts, dtype=dtype).arrays for dtype in DTYPES}
        runs = {
            "plain": lambda: plain(module, batches, place),
            "every layer": lambda: extracted(module, batches, place, names, layouts, memory=there["float32"]),
            "in fresh memory": lambda: extracted(module, batches, place, names, layouts),
            "kept in float16": lambda: extracted(
                module, batches, place, names, layouts, dtype="float16", memory=there["float16"]
            ),
            "plain in bfloat16": lambda: plain(module, batches, place, "bfloat16"),
        }
        for run in runs.values():
            run()
        took = {run: [] for run in runs}
        for turn in range(rounds):
            # who comes first takes turns, so that a drift of the machine falls on all alike
            for run in np.roll(list(runs), turn):
                took[run].append(seconds(runs[run]))
        ratio = {run: min(took[run]) / min(took["plain"]) for run in runs}
        reference = extracted(module, batches[:1], place, names, layouts)
        rate = size * len(batches) / min(took["every layer"])
        note = f"{len(names)} layers, {size * len(batches)} records, {rate:.0f} records/s"
        out.append(Row(f"{name}: every layer / plain", ratio["every layer"], "ratio", BUDGET, note))
        mib = sum(kept.nbytes for kept in there["float32"].values()) / 2**20
        out.append(Row(f"{name}: in fresh memory / plain", ratio["in fresh memory"], "ratio", note=f"{mib:.0f} MiB"))
        out.append(Row(f"{name}: kept in float16 / plain", ratio["kept in float16"], "ratio"))
        half = extracted(module, batches[:1], place, names, layouts, dtype="float16")
        stored = max(half.rounding_error(layer) for layer in names)
        out.append(Row(f"{name}: error of being kept in float16", stored, "of the largest", "<= 0.0005"))
        out.append(Row(f"{name}: bfloat16 / float32, plain", ratio["plain in bfloat16"], "ratio"))
        for precision in ("bfloat16", "float16"):
            less = extracted(module, batches[:1], place, names, layouts, precision=precision)
            out.append(Row(f"{name}: error of {precision}", error(less, reference), "of the largest"))
        out += on_gpu(name, module, names, layouts, batches)
    return out


def on_gpu(name: str, module, names, layouts, batches) -> list[Row]:
    label = f"{name}: extraction on the GPU"
    if not torch.cuda.is_available():
        return [unmeasured(label, "records/s", "no GPU"), unmeasured(f"{label} / plain", "ratio", "no GPU", BUDGET)]
    many = batches * 8
    with inference(module, "cuda") as place:
        runs = {
            "plain": lambda: plain(module, many, place),
            "every layer": lambda: extracted(module, many, place, names, layouts),
        }
        for run in runs.values():
            run()
        took = {run: [] for run in runs}
        for _ in range(9):
            for run, go in runs.items():
                took[run].append(seconds(go))
    ratio = min(took["every layer"]) / min(took["plain"])
    rate = sum(map(len, many)) / min(took["every layer"])
    return [Row(label, rate, "records/s"), Row(f"{label} / plain", ratio, "ratio", BUDGET)]


def not_offered() -> list[Row]:
    """What `ecg_widget.activations` has no option for, and why: compiled networks, channels-last layouts."""
    module, size, samples = networks()["bundled network"]
    x = torch.randn((size, 12, samples))
    with inference(module):
        compiled = torch.compile(module)
        try:
            first = seconds(lambda: compiled(x))
        except Exception as error:  # noqa: BLE001  (a machine without a compiler fails in many ways)
            compiling = [unmeasured("compiled / plain", "ratio", f"{type(error).__name__}")]
        else:
            took = {run: min(seconds(lambda run=run: run(x)) for _ in range(9)) for run in (module, compiled)}
            with capture(module, list_layers(module)) as captured:
                compiled(x)
                heard = len(captured)
            compiling = [
                Row("bundled network: compiling", first, "s"),
                Row("bundled network: compiled / plain", took[compiled] / took[module], "ratio"),
                Row("bundled network: layers that a compiled one shows when asked later", heard, "layers"),
            ]
    try:
        x.to(memory_format=torch.channels_last)
        refused = 0
    except RuntimeError:
        refused = 1
    return [*compiling, Row("channels-last is refused for (record, lead, time)", refused, "1 = yes")]


def main() -> None:
    options = table.arguments(__doc__)
    torch.set_num_threads(THREADS)
    out = []
    for name, (module, size, samples) in networks().items():
        out += measure(name, module, size, samples, options)
    out += not_offered()
    table.finish(out, options, threads=THREADS, machine=table.machine(), versions=table.versions("torch", "numpy"))


if __name__ == "__main__":
    main()
