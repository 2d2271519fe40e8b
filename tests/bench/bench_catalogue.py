"""A catalogue of 100,000 records: opening it, its memory, choosing a fold, and reading some of its records.

    python tests/bench/bench_catalogue.py [--short] [--json FILE]

The recordings are links to a few files of 10 s with 12 leads at 100 Hz in WFDB's format 16; the table and every name in
it are different. The baselines do the same without the package: ``csv.DictReader`` reads the table, the wfdb library
reads the same records one by one.
"""

from __future__ import annotations

import csv
import os
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil
import rows as table
import wfdb
from rows import Row

import ecg_widget as ecg

FILES = 64  # different ones
READ = 512  # records whose samples are read
COLUMNS = ["path", "record", "patient", "fold", "label:NORM", "label:MI"]


def write(folder: Path, n: int) -> Path:
    rng = np.random.default_rng(0)
    block = rng.integers(-2000, 2000, (1000, 12)).astype("<i2")
    signals = []
    for i in range(FILES):
        (folder / f"file{i}.dat").write_bytes((block + i).tobytes())
        sums = (block + i).sum(axis=0, dtype=np.int64).astype("<i2")  # the format's checksum: 16 bits of the sum
        line = f"file{i}.dat 16 1000(0)/mV 16 0 0"
        signals.append([f"{line} {total} 0 {lead}\n" for total, lead in zip(sums, ecg.LEADS, strict=True)])
    for i in range(n):
        lines = signals[i % FILES]
        (folder / f"r{i:06d}.hea").write_text(f"r{i:06d} 12 100 1000\n" + "".join(lines))
    path = folder / "catalogue.csv"
    with path.open("w", newline="") as stream:
        out = csv.writer(stream)
        out.writerow(COLUMNS)
        for i in range(n):
            out.writerow([f"r{i:06d}", f"record {i}", f"p{i // 2}", i % 10 + 1, i % 3 == 0, i % 3 == 1])
    return path


def timed(run):
    start = time.perf_counter()
    found = run()
    return time.perf_counter() - start, found


def read_plain(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def main() -> None:
    options = table.arguments(__doc__)
    n = 2000 if options.short else 100_000
    with tempfile.TemporaryDirectory() as folder:
        path = write(Path(folder), n)
        some = [str(Path(folder, f"r{i:06d}")) for i in range(READ)]
        ecg.open_ecg(some[0])  # imports
        process = psutil.Process(os.getpid())
        before = process.memory_info().rss
        opening, ds = timed(lambda: ecg.open_ecg(path, lazy=True))
        memory = (process.memory_info().rss - before) / 1e6
        plain, _ = timed(lambda: read_plain(path))
        frame, _ = timed(lambda: ecg.open_ecg(path, lazy=True, chunks=64))
        choosing, fold = timed(lambda: ecg.select(ds, fold=9))
        asking, _ = timed(lambda: ecg.select(ds, fold=[1, 2], label={"MI": True, "NORM": False}, patient=["p0", "p10"]))
        reading, _ = timed(lambda: ds["signal"][:READ].values)
        library, _ = timed(lambda: [wfdb.rdrecord(name).p_signal for name in some])
        searching, found = (
            timed(lambda: ecg.open_ecg(Path(folder, "sub"), lazy=True)) if spread(Path(folder), n) else (0, ds)
        )
    rows = [
        Row(f"catalogue of {n} records: open", opening, "s", "< 10", f"{opening / plain:.2g} x csv.DictReader"),
        Row("the same in Dask blocks of 64", frame, "s", "< 10"),
        Row("memory that it takes", memory, "MB", "< 1000", f"samples would take {n * 12_000 * 4 / 1e6:.0f} MB"),
        Row("select a fold", choosing, "s", "< 1", f"{fold.sizes['record']} records"),
        Row("select by folds, labels and patients", asking, "s", "< 1"),
        Row(f"read {READ} records", reading, "s", "", f"{reading / library:.2g} x wfdb.rdrecord"),
        Row(f"folder of {found.sizes['record']} records: find and open", searching, "s"),
    ]
    table.finish(rows, options, machine=table.machine())


def spread(folder: Path, n: int) -> bool:
    """The same headers without the table, for finding recordings by content."""
    (folder / "sub").mkdir()
    for name in [*(f"r{i:06d}.hea" for i in range(n)), *(f"file{i}.dat" for i in range(FILES))]:
        (folder / name).rename(folder / "sub" / name)
    return True


if __name__ == "__main__":
    main()
