"""Time of 1000 simulated records of 10 s: ``python tests/bench/bench_simulate.py [--json FILE]``."""

from __future__ import annotations

import time

import rows as table
from rows import Row

from ecg_widget.simulate import simulate


def main() -> None:
    options = table.arguments(__doc__)
    n = 100 if options.short else 1000
    simulate(7)  # imports and caches
    start = time.perf_counter()
    simulate(n)
    seconds = (time.perf_counter() - start) * 1000 / n
    table.finish([Row("simulate 1000 records of 10 s", seconds, "s", "<= 10")], options, machine=table.machine())


if __name__ == "__main__":
    main()
