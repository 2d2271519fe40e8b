"""K-means: against what the machine can do, against other packages, and as cells, clusters and features grow.

    python tests/bench/bench_kmeans.py [--short] [--only peers,growth,slider,gpu] [--json FILE]

The limit of an iteration is the larger of the time that its 2 N K D operations take at the machine's own rate of large
float32 matrix products and the time to read the rows once; both rates are measured in the run. Everybody starts from the
same centres (except fastkmeans, which takes none), runs 25 iterations with a tolerance of 0, and assigns the rows at the
end. Times are the best of the repetitions, ours and theirs in turn.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import kmeans_peers as peers
import numpy as np
import rows as table
import torch
import xarray as xr
from rows import Row, unmeasured
from threadpoolctl import threadpool_limits

from ecg_widget.clusters import kmeans_many
from ecg_widget.fits import Fits

ITERATIONS = 25
PARTS = ("peers", "growth", "slider", "gpu")


def best(compute: Callable[[], object], repetitions: int) -> float:
    """Least time of a call, s."""
    times = []
    for _ in range(repetitions):
        begin = time.perf_counter()
        compute()
        times.append(time.perf_counter() - begin)
    return min(times)


def limits(repetitions: int, device: str = "cpu") -> tuple[float, float]:
    """Operations per s of a large float32 matrix product, bytes per s of reading."""
    wait = torch.cuda.synchronize if device == "cuda" else (lambda: None)
    n = 3072 if device == "cpu" else 8192
    a = torch.rand(n, n, device=device)
    big = torch.rand(400_000, 256, device=device)  # 410 MB: more than any cache
    vector = torch.rand(256, device=device)

    def timed(compute: Callable[[], object]) -> float:
        compute()
        wait()
        return best(lambda: (compute(), wait()), repetitions)

    product = timed(lambda: a @ a)
    if device == "cpu":
        b = a.numpy()
        product = min(product, timed(lambda: b @ b))
    read = min(timed(big.sum), timed(lambda: big @ vector))
    return 2 * n**3 / product, big.numel() * 4 / read


def cells(n: int, features: int, seed: int = 0) -> np.ndarray:
    """Like activations: 40 overlapping groups in 24 dimensions, and noise in all; 25 iterations do not converge."""
    rng = np.random.default_rng(seed)
    mix = rng.standard_normal((24, features), dtype=np.float32)
    groups = 1.2 * rng.standard_normal((40, 24), dtype=np.float32)
    out = np.empty((n, features), np.float32)
    for start in range(0, n, 50_000):
        part = out[start : start + 50_000]
        inner = groups[rng.integers(0, 40, len(part))] + rng.standard_normal((len(part), 24), dtype=np.float32)
        np.matmul(inner, mix, out=part)
        part += rng.standard_normal(part.shape, dtype=np.float32)
    return out


def noise(n: int, features: int) -> np.ndarray:
    """Without any structure: nothing can be told from projections."""
    return np.random.default_rng(0).standard_normal((n, features), dtype=np.float32)


def activations(records: int) -> np.ndarray:
    """Cells of the shipped network."""
    import ecg_widget as ecg

    x = ecg.embed(ecg.activations(ecg.load_network(), ecg.simulate(records, seed=0)))
    return np.ascontiguousarray(x.values.reshape(-1, x.sizes["feature"]))


def start_of(x: np.ndarray, n_clusters: int) -> np.ndarray:
    return x[np.random.default_rng(1).choice(len(x), n_clusters, replace=False)].copy()


def inertia(x: np.ndarray, centers: np.ndarray) -> float:
    """Sum of squared distances to the nearest centre, the same way for everybody."""
    found = 0.0
    at = torch.as_tensor(np.ascontiguousarray(centers)).double()
    for part in torch.from_numpy(x).split(16_384):
        found += float(torch.cdist(part.double(), at).amin(1).square().sum())
    return found


def per_iteration(fit: peers.Fit, x: np.ndarray, start: np.ndarray, iterations: int) -> tuple[float, np.ndarray]:
    begin = time.perf_counter()
    centers, n_iter = fit(x, start, iterations)
    return (time.perf_counter() - begin) / n_iter, centers


def against_peers(rates: tuple[float, float], *, short: bool) -> tuple[list[Row], list[dict]]:
    """Ours and theirs in turn on the same data."""
    if short:
        sets = [("20k x 256", cells(20_000, 256), (8,), 2.5)]
    else:
        x = cells(200_000, 256)
        sets = [
            ("200k x 256", x, (8, 10, 20), 2.5),
            ("4096 x 288", activations(64)[:: 32_000 // 4_096][:4_096], (8, 20), None),
            ("activations 32k x 288", activations(64), (8, 20), None),
            ("noise 50k x 256", noise(50_000, 256), (8, 20), None),
        ]
    out, details = [], []
    for name, x, numbers, budget in sets:
        for k in numbers:
            start = start_of(x, k)
            limit = max(2 * x.size * k / rates[0], x.nbytes / rates[1])
            there = {peer: fit for peer, (module, fit) in peers.PEERS.items() if not peers.missing(module)}
            for _ in range(1 if len(x) > 100_000 else 2):
                peers.ours(x, start, ITERATIONS)
            seconds: dict[str, float] = {}
            centers: dict[str, np.ndarray] = {}
            for _ in range(2 if len(x) > 100_000 else 5):
                for peer, fit in {"ours": peers.ours, **there, "mini": peers.mini_batches}.items():
                    took, centers[peer] = per_iteration(fit, x, start, ITERATIONS)
                    seconds[peer] = min(took, seconds.get(peer, np.inf))
            left = {peer: inertia(x, found) for peer, found in centers.items()}
            reference = left["scikit-learn lloyd"]
            label = f"{name}, K = {k}"
            out += [
                Row(f"{label}: ours", 1e3 * seconds["ours"], "ms/iteration"),
                Row(f"{label}: ours / limit", seconds["ours"] / limit, "x", f"<= {budget}" if budget else ""),
                Row(f"{label}: inertia against scikit-learn", abs(left["ours"] / reference - 1), "", "<= 0.0001"),
            ]
            for peer, (module, _) in peers.PEERS.items():
                if peer in there:
                    note = f"{seconds[peer] / limit:.1f} x the limit, inertia {left[peer] / reference - 1:+.1e}"
                    out.append(Row(f"{label}: {peer} / ours", seconds[peer] / seconds["ours"], "x", ">= 1", note))
                else:
                    missing = f"{peers.DISTRIBUTIONS[module]} is not installed"
                    out.append(unmeasured(f"{label}: {peer} / ours", "x", missing, ">= 1"))
            note = f"another algorithm: {seconds['mini'] * ITERATIONS:.2f} s in all, ours {seconds['ours'] * ITERATIONS:.2f} s"
            out.append(Row(f"{label}: MiniBatchKMeans inertia", left["mini"] / reference - 1, "", "", note))
            details.append({"data": name, "k": k, "limit": limit, "seconds": seconds, "inertia": left})
    return out, details


def growth(*, short: bool) -> tuple[list[Row], list[dict]]:
    """Time per cell and iteration, on one thread, as one of three numbers grows and the others stay."""
    sizes = (20_000, 40_000) if short else (20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000)
    largest = cells(sizes[-1], 256)
    curves: dict[str, dict[int, float]] = {"N": {}, "K": {}, "D": {}}
    numbers, widths = ((2, 20), (64, 256)) if short else ((2, 5, 10, 15, 20), (32, 64, 128, 256, 512, 1024))

    def cost(x: np.ndarray, k: int) -> float:
        start = start_of(x, k)
        repetitions = 5 if len(x) <= 50_000 else 3 if len(x) <= 200_000 else 2
        return min(per_iteration(peers.ours, x, start, ITERATIONS)[0] for _ in range(repetitions)) / len(x)

    for n in sizes:
        curves["N"][n] = cost(largest[:n], 10)
    for k in numbers:
        curves["K"][k] = cost(largest[: sizes[-1] // 10 if not short else sizes[0]], k)
    del largest
    for d in widths:
        curves["D"][d] = cost(cells(20_000 if short else 50_000, d), 10)
    by_n = curves["N"]
    label = f"{min(by_n) // 1000}k to {max(by_n) // 1000}k cells, D = 256, K = 10, one thread"
    out = [Row(f"cost per cell, {label}: dearest / cheapest", max(by_n.values()) / min(by_n.values()), "x", "<= 1.3")]
    for name, curve in curves.items():
        note = ", ".join(f"{at}: {1e9 * seconds:.0f}" for at, seconds in curve.items())
        last, first = list(curve)[-1], next(iter(curve))
        out.append(
            Row(f"growth in {name}, {first} to {last}", curve[last] / curve[first], "x", "", f"ns per cell: {note}")
        )
    return out, [{"ns_per_cell": {name: {k: 1e9 * v for k, v in c.items()} for name, c in curves.items()}}]


def slider(*, short: bool) -> tuple[list[Row], list[dict]]:
    """What a number of clusters costs that nobody has asked for yet: 64 records x 313 cells x 256 features."""
    values = cells(64 * 313, 256).reshape(64, 313, 256)
    coords = {
        "valid": (("record", "cell"), np.ones((64, 313), bool)),
        "centre": ("cell", 0.032 * np.arange(313)),
        "record": [f"r{i}" for i in range(64)],
    }
    x = xr.DataArray(values, coords, ("record", "cell", "feature"))
    begin = time.perf_counter()
    fits = Fits(x)
    made = time.perf_counter() - begin
    drafts, exacts = [], []
    for k in (11, 12) if short else (11, 9, 12, 8, 13, 7, 14, 6, 15, 5):
        begin = time.perf_counter()
        fits.draft(k).segmentation(x)
        drafts.append(time.perf_counter() - begin)
    begin = time.perf_counter()
    fits.draft(20).segmentation(x)
    far = time.perf_counter() - begin
    fits.exact(x, 10)
    for k in (11, 12) if short else (11, 9, 12, 8, 13, 7):
        begin = time.perf_counter()
        fits.exact(x, k).segmentation(x)
        exacts.append(time.perf_counter() - begin)
    out = [
        Row("slider: first fit", 1e3 * made, "ms"),
        Row("slider: draft of a cold K, next to one that is there", 1e3 * float(np.median(drafts)), "ms", "<= 120"),
        Row("slider: draft of a cold K, five away", 1e3 * far, "ms", "<= 120"),
        Row("slider: exact fit of a cold K", 1e3 * float(np.median(exacts)), "ms"),
    ]
    return out, [{"drafts": drafts, "exact": exacts, "far": far, "first": made}]


def gpu(*, short: bool) -> tuple[list[Row], list[dict]]:
    """All numbers of clusters of the slider's range in one call."""
    name = "GPU: 1M x 448, K = 2..20 in one call"
    if not torch.cuda.is_available():
        return [unmeasured(name, "s", "no GPU"), unmeasured(f"{name}, / limit", "x", "no GPU")], []
    rates = limits(5, "cuda")
    x = torch.from_numpy(cells(100_000 if short else 1_000_000, 448)).cuda()
    inits = [
        x[torch.from_numpy(np.random.default_rng(k).choice(len(x), k, replace=False)).cuda()] for k in range(2, 21)
    ]

    def fit() -> int:
        runs = kmeans_many(x, inits, max_iter=ITERATIONS, tol=0)
        torch.cuda.synchronize()
        return max(run.n_iter for run in runs)

    fit()
    iterations = fit()
    took = best(fit, 3)
    limit = iterations * max(2 * x.numel() * sum(range(2, 21)) / rates[0], x.numel() * 4 / rates[1])
    note = f"{iterations} iterations, {rates[0] / 1e12:.1f} TFLOP/s, {rates[1] / 1e9:.0f} GB/s"
    if short:
        name = name.replace("1M", "100k")
    return [Row(name, took, "s", "", note), Row(f"{name}, / limit", took / limit, "x")], [
        {"seconds": took, "limit": limit}
    ]


def main() -> None:
    options = table.arguments(
        __doc__,
        ("--only", {"default": ",".join(PARTS), "help": f"of {', '.join(PARTS)}"}),
        ("--threads", {"type": int, "default": len(os.sched_getaffinity(0)), "help": "of everybody"}),
    )
    peers.set_threads(options.threads)
    wanted = options.only.split(",")
    if unknown := set(wanted) - set(PARTS):
        raise SystemExit(f"--only: expected some of {', '.join(PARTS)}, got {', '.join(sorted(unknown))}")
    with threadpool_limits(options.threads):
        rates = limits(2 if options.short else 5)
        out = [
            Row("float32 matrix products", rates[0] / 1e9, "GFLOP/s", "", f"{options.threads} threads"),
            Row("reading memory", rates[1] / 1e9, "GB/s"),
        ]
        details: dict[str, object] = {}
        for part in wanted:
            # What grows with the data grows for each core: threads that wait for a busy core would hide it.
            torch.set_num_threads(1 if part == "growth" else options.threads)
            if part == "peers":
                found, details[part] = against_peers(rates, short=options.short)
            else:
                found, details[part] = {"growth": growth, "slider": slider, "gpu": gpu}[part](short=options.short)
            out += found
    packages = ("ecg-widget", "numpy", "torch", *peers.DISTRIBUTIONS.values())
    table.finish(out, options, machine=table.machine(), versions=table.versions(*packages), details=details)


if __name__ == "__main__":
    main()
