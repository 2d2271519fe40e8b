"""Long recordings in their files: opening, reading ten seconds, and the least and greatest samples of all of it.

    python tests/bench/bench_long_files.py [--short] [--json FILE]

24 h of 3 leads at 250 Hz and 1 h of 12 leads at 500 Hz, noise in WFDB's format 16 and in zarr where that is installed.
"""

from __future__ import annotations

import tempfile
import time
import tracemalloc
import warnings
from pathlib import Path

import numpy as np
import rows as table
from rows import Row, unmeasured

import ecg_widget as ecg
from ecg_widget.pyramid import Pyramid

SIZES = {
    "24 h x 3 leads x 250 Hz": (24 * 3600, 3, 250),
    "1 h x 12 leads x 500 Hz": (3600, 12, 500),
}
LIMIT = "<= 3"


def write_wfdb(folder: Path, seconds: int, n_leads: int, rate: int) -> Path:
    block = np.random.default_rng(0).integers(-2000, 2000, (60 * rate, n_leads)).astype("<i2").tobytes()
    with (folder / "r.dat").open("wb") as stream:
        for _ in range(seconds // 60):
            stream.write(block)
    lines = [f"r.dat 16 200(0)/mV 16 0 0 0 0 {lead}\n" for lead in ecg.LEADS[-n_leads:]]
    (folder / "r.hea").write_text(f"r {n_leads} {rate} {seconds * rate}\n" + "".join(lines))
    return folder / "r"


def write_zarr(source: Path, path: Path) -> Path | None:
    try:
        import zarr
    except ImportError:
        return None
    whole = ecg.open_ecg(source, lazy=True)
    n, size = whole.sizes["time"], 1 << 18
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # text has no specification in zarr 3 yet
        whole.isel(time=slice(size)).to_zarr(path)
        group = zarr.open_group(path, mode="a")
        for name in ("signal", "time"):
            old = group[name]
            new = group.create_array(  # group[name] would still be the old one, as consolidated
                name,
                shape=(*old.shape[:-1], n),
                chunks=(*old.shape[:-1], size),
                dtype=old.dtype,
                dimension_names=old.metadata.dimension_names,
                attributes=dict(old.attrs),
                overwrite=True,
            )
            for first in range(0, n, size):
                new[..., first : first + size] = whole[name][..., first : first + size].values
    return path


def timed(run) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def measure(label: str, path: Path) -> list[Row]:
    opening = [timed(lambda: ecg.open_ecg(path)) for _ in range(3)]
    tracemalloc.start()
    ds = ecg.open_ecg(path)
    held = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    n, rate = ds.sizes["time"], int(ds["time"].attrs["sampling_rate"])
    starts = np.random.default_rng(0).integers(0, n - 10 * rate, 20)
    windows = [timed(lambda at=at: ds.isel(time=slice(at, at + 10 * rate)).load()) for at in starts]
    pyramid = Pyramid(ds["signal"].isel(record=0))
    building = timed(pyramid.build)
    envelope = min(timed(lambda: pyramid.envelope(0, n / rate, 1024)) for _ in range(9))
    return [
        Row(f"{label}: first opening, imports included", opening[0], "s", LIMIT),
        Row(f"{label}: opening", min(opening), "s", LIMIT),
        Row(f"{label}: most memory while opening", held / 1e6, "MB"),
        Row(f"{label}: reading 10 s", 1e3 * float(np.median(windows)), "ms"),
        Row(f"{label}: least and greatest of all", building, "s", "", f"{pyramid.nbytes / 1e6:.1f} MB"),
        Row(f"{label}: envelope of all, 1024 columns", 1e3 * envelope, "ms"),
    ]


def main() -> None:
    options = table.arguments(__doc__)
    out = []
    for label, (seconds, n_leads, rate) in SIZES.items():
        with tempfile.TemporaryDirectory() as folder:
            source = write_wfdb(Path(folder), seconds // 10 if options.short else seconds, n_leads, rate)
            out += measure(f"{label}, WFDB", source)
            stored = write_zarr(source, Path(folder) / "r.zarr")
            if stored is None:
                out.append(unmeasured(f"{label}, zarr: opening", "s", "zarr is not installed", LIMIT))
            else:
                out += measure(f"{label}, zarr", stored)
    table.finish(out, options, machine=table.machine(), versions=table.versions("wfdb", "xarray", "zarr", "numpy"))


if __name__ == "__main__":
    main()
