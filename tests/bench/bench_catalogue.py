"""A set of 100,000 recordings: what opening, choosing and reading cost, beside opening one recording.

    python tests/bench/bench_catalogue.py [--records 100000] [--short] [--json FILE]

The recordings are real WFDB files: one of 10 s at 500 Hz with 12 leads, and links to its header under as many names.
Opening may take 10 s and 1 GB, selecting a fold 1 s. Reads are counted: opening and selecting read one header.
"""

from __future__ import annotations

import csv
import os
import resource
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import rows as table
import wfdb
from rows import Row

import ecg_widget as ecg
from ecg_widget.formats import wfdb as reader

FOLDS = 10
_MOST_LINKS = 50_000  # to one file, which file systems limit


def made(folder: Path, n: int) -> Path:
    """A catalogue of so many recordings."""
    leads = list(ecg.LEADS)
    signal = np.cumsum(np.random.default_rng(0).integers(-20, 21, (5000, 12)), axis=0)
    wfdb.wrsamp(
        "first", fs=500, units=["mV"] * 12, sig_name=leads, d_signal=signal, fmt=["16"] * 12, adc_gain=[1000.0] * 12,
        baseline=[0] * 12, write_dir=str(folder),
    )  # fmt: skip
    (folder / "r").mkdir()
    os.link(folder / "first.dat", folder / "r" / "first.dat")
    with (folder / "all.csv").open("w", newline="") as stream:
        out = csv.writer(stream)
        out.writerow(["path", "patient", "fold", "label:MI", "label:AF"])
        for i in range(n):
            here = folder / f"{i // _MOST_LINKS}.hea"
            if i % _MOST_LINKS == 0:
                shutil.copy(folder / "first.hea", here)
            os.link(here, folder / "r" / f"{i:06d}.hea")
            out.writerow([f"r/{i:06d}.hea", f"p{i // 2}", i % FOLDS + 1, i % 3 == 0, i % 7 == 0])
    return folder / "all.csv"


def timed(compute: Callable[[], Any]) -> tuple[float, Any]:
    begin = time.perf_counter()
    found = compute()
    return time.perf_counter() - begin, found


def grown(before: float) -> float:
    """Largest memory of the process, MB, less what it was."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 - before


def measured(n: int) -> list[Row]:
    reads: list[Path] = []
    original = reader.read

    def counted(path: Path, **options: Any) -> Any:
        reads.append(path)
        return original(path, **options)

    counted.__kwdefaults__ = original.__kwdefaults__
    with tempfile.TemporaryDirectory() as name:
        catalogue = made(Path(name), n)
        one = catalogue.parent / "r" / "000001.hea"
        alone = min(timed(lambda: ecg.open_ecg(one, quality=False))[0] for _ in range(5))
        reader.read = counted
        try:
            before = grown(0)
            opened, ds = timed(lambda: ecg.open_ecg(catalogue))
            memory, n_opened = grown(before), len(reads)
            chosen, fold = timed(lambda: ecg.select(ds, fold=3))
            both, _ = timed(lambda: ecg.select(ds, label={"MI": True, "AF": False}, fold=[1, 2]))
            n_chosen = len(reads) - n_opened
            first, _ = timed(lambda: fold["signal"][:64].values)
            whole = grown(before)
            walked, folder = timed(lambda: ecg.open_ecg(catalogue.parent / "r"))
        finally:
            reader.read = original
    size = n * 12 * 5000 * 4 / 1e9
    return [
        Row(f"catalogue of {n} records, {size:.0f} GB of samples: open", opened, "s", "<= 10"),
        Row("catalogue: memory to open", memory, "MB", "<= 1000"),
        Row("catalogue: recordings looked at to open", n_opened, "files", "<= 1"),
        Row("catalogue: open / one record alone", opened / alone, "x"),
        Row("catalogue: select a fold", chosen, "s", "<= 1", f"{fold.sizes['record']} records"),
        Row("catalogue: select by labels and folds", both, "s", "<= 1"),
        Row("catalogue: recordings looked at to select", n_chosen, "files", "<= 0"),
        Row(
            "catalogue: read 64 records / 64 alone", first / 64 / alone, "x", "", f"{1e3 * first / 64:.2f} ms a record"
        ),
        Row("catalogue: memory with 64 records read", whole, "MB", "<= 1000"),
        Row(f"folder of {folder.sizes['record']} records: open", walked, "s", "", "every file is looked at"),
    ]


def main() -> None:
    options = table.arguments(__doc__, ("--records", {"type": int, "default": 100_000}))
    rows = measured(2_000 if options.short else options.records)
    table.finish(rows, options, machine=table.machine(), versions=table.versions("wfdb", "numpy", "xarray"))


if __name__ == "__main__":
    main()
