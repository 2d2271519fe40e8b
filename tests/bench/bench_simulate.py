"""Time of 1000 simulated records of 10 s: ``python -m tests.bench.bench_simulate`` or by path from the project's root."""

from __future__ import annotations

import json
import os
import time

from ecg_widget.simulate import simulate


def main() -> None:
    simulate(7)  # imports and caches
    start = time.perf_counter()
    ds = simulate(1000)
    seconds = time.perf_counter() - start
    print(
        json.dumps(
            {"records": ds.sizes["record"], "seconds": round(seconds, 2), "cores": os.cpu_count(), "limit_s": 10}
        )
    )


if __name__ == "__main__":
    main()
