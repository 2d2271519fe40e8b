"""Recordings, segments and cluster names written to files that other tools read, and that read back equal.

Every file is written under a temporary name in the same folder and renamed when it is whole.
"""

from __future__ import annotations

import csv
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from ecg_widget.privacy import FREE_TEXT

__all__ = ["cluster_runs", "read_segments", "write_annotations", "write_dataset", "write_segments"]

COLUMNS = ("record", "start", "end", "cluster", "name")
"""Of a table of segments: record, s, s, number, text."""


def cluster_runs(
    segments: xr.Dataset, *, names: Mapping[int, str] | None = None, start: float = 0.0
) -> list[dict[str, Any]]:
    """Stretches of one cluster, in order.

    A cell reaches halfway to its neighbours' centres, and the first and last as far outwards as inwards. Cells that
    belong to no cluster (-1) break a stretch.

    Parameters
    ----------
    segments
        With ``cluster (record, cell)`` and ``centre (cell)`` in s, as `ecg_widget.TimeClusters.predict` gives them.
    names
        Of clusters; default ``"cluster 0"``, ...
    start
        s of the first sample: no stretch begins before it.

    Returns
    -------
    list of dict
        ``record``, ``start`` and ``end`` (s), ``cluster``, ``name``.

    Raises
    ------
    ValueError
        Without these variables, or centres that do not ascend.

    Examples
    --------
    >>> segments = xr.Dataset({"cluster": (("record", "cell"), [[0, 0, 1, -1]])},
    ...                       {"record": ["a"], "centre": ("cell", [0.5, 1.5, 2.5, 3.5])})
    >>> [(run["start"], run["end"], run["cluster"]) for run in cluster_runs(segments)]
    [(0.0, 2.0, 0), (2.0, 3.0, 1)]
    """
    for name, dims in (("cluster", ("record", "cell")), ("centre", ("cell",))):
        if name not in segments.variables or segments[name].dims != dims:
            got = segments[name].dims if name in segments.variables else sorted(map(str, segments.variables))
            raise ValueError(f"{name}: expected dims {dims}, got {got}; pass what TimeClusters.predict gives")
    centre = segments["centre"].values.astype(np.float64)
    if len(centre) > 1 and not (np.diff(centre) > 0).all():
        raise ValueError("centre: expected ascending times, got others; sort with segments.sortby('centre')")
    halves = np.diff(centre) / 2
    first, last = (halves[0], halves[-1]) if len(halves) else (0.0, 0.0)
    edges = np.concatenate(([max(start, centre[0] - first)], centre[:-1] + halves, [centre[-1] + last]))
    records = segments["record"].values if "record" in segments.coords else np.arange(segments.sizes["record"])
    out = []
    for record, row in zip(records, segments["cluster"].values, strict=True):
        cuts = np.concatenate(([0], np.flatnonzero(np.diff(row)) + 1, [len(row)]))
        for a, b in pairwise(cuts):
            k = int(row[a])
            if k >= 0:
                name = (names or {}).get(k, f"cluster {k}")
                out.append(
                    {
                        "record": str(record),
                        "start": float(edges[a]),
                        "end": float(edges[b]),
                        "cluster": k,
                        "name": str(name),
                    }
                )
    return out


def write_segments(path: str | Path, segments: xr.Dataset, *, names: Mapping[int, str] | None = None) -> Path:
    """Write the stretches of clusters as a table: ``.csv``, or ``.parquet`` where pyarrow is installed.

    Parameters
    ----------
    path
        Its suffix says which.
    segments, names
        As for `cluster_runs`.

    Returns
    -------
    pathlib.Path
        Of the file.

    Raises
    ------
    ImportError
        ``.parquet`` without pyarrow.
    ValueError
        Another suffix, or no segments.

    Examples
    --------
    >>> segments = xr.Dataset({"cluster": (("record", "cell"), [[0, 1]])},
    ...                       {"record": ["a"], "centre": ("cell", [0.5, 1.5])})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = write_segments(Path(folder) / "runs.csv", segments, names={0: "P, wide"})
    ...     read_segments(path) == cluster_runs(segments, names={0: "P, wide"})
    True
    """
    path = Path(path)
    runs = cluster_runs(segments, names=names)
    if path.suffix == ".csv":
        with _whole(path) as part, part.open("w", encoding="utf-8", newline="") as stream:
            writer = csv.DictWriter(stream, COLUMNS)
            writer.writeheader()
            writer.writerows(runs)  # floats as repr writes them: they read back equal
        return path
    if path.suffix != ".parquet":
        raise ValueError(f"path: expected a name that ends in .csv or .parquet, got {path.name!r}")
    try:
        import pyarrow as pa  # type: ignore[import-not-found, import-untyped, unused-ignore]  # noqa: PLC0415
        from pyarrow import parquet  # type: ignore[import-not-found, import-untyped, unused-ignore]  # noqa: PLC0415
    except ImportError as error:
        raise ImportError(
            'parquet: expected the package pyarrow, got none; pip install "ecg-widget[parquet]", or write .csv'
        ) from error
    kinds = (pa.string(), pa.float64(), pa.float64(), pa.int64(), pa.string())
    schema = pa.schema(list(zip(COLUMNS, kinds, strict=True)))
    with _whole(path) as part:
        parquet.write_table(pa.Table.from_pylist(runs, schema=schema), part)
    return path


def read_segments(path: str | Path) -> list[dict[str, Any]]:
    """Read a ``.csv`` that `write_segments` wrote.

    Parameters
    ----------
    path
        Of the file.

    Returns
    -------
    list of dict
        As `cluster_runs` gives them.

    Raises
    ------
    ValueError
        A table with other columns, or values that are no numbers.

    Examples
    --------
    >>> segments = xr.Dataset({"cluster": (("record", "cell"), [[0, 1]])},
    ...                       {"record": ["a"], "centre": ("cell", [0.5, 1.5])})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     [(run["start"], run["cluster"]) for run in read_segments(write_segments(f"{folder}/runs.csv", segments))]
    [(0.0, 0), (1.0, 1)]
    """
    with Path(path).open(encoding="utf-8", newline="") as stream:
        reader = csv.DictReader(stream)
        if tuple(reader.fieldnames or ()) != COLUMNS:
            raise ValueError(f"{Path(path).name}: expected the columns {COLUMNS}, got {reader.fieldnames}")
        try:
            return [
                {**row, "start": float(row["start"]), "end": float(row["end"]), "cluster": int(row["cluster"])}
                for row in reader
            ]
        except (TypeError, ValueError) as error:
            raise ValueError(f"{Path(path).name}: expected numbers in start, end and cluster: {error}") from None


def write_annotations(
    path: str | Path, segments: xr.Dataset, *, sampling_rate: float, names: Mapping[int, str] | None = None
) -> Path:
    """Write the stretches of one record's clusters as WFDB annotations.

    Each stretch begins with ``(`` whose note (``aux``) is the cluster's name and whose ``num`` is its number, and ends
    with ``)``, on the nearest samples. Stretches shorter than a sample are refused: two marks would fall together.

    Parameters
    ----------
    path
        ``folder/record.extension``, as ``00001_hr.cluster``: extension of letters only.
    segments, names
        As for `cluster_runs`, with one record.
    sampling_rate
        Hz of the record that is annotated.

    Returns
    -------
    pathlib.Path
        Of the file.

    Raises
    ------
    ValueError
        Several records, none, no stretch, a name of over 255 bytes, or a path that WFDB does not allow.

    Examples
    --------
    >>> import wfdb
    >>> segments = xr.Dataset({"cluster": (("record", "cell"), [[0, 1]])},
    ...                       {"record": ["a"], "centre": ("cell", [0.5, 1.5])})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = write_annotations(Path(folder) / "a.cluster", segments, sampling_rate=100, names={0: "P", 1: "QRS"})
    ...     found = wfdb.rdann(str(path.with_suffix("")), "cluster")
    >>> found.sample.tolist(), found.symbol, found.aux_note, found.num.tolist()
    ([0, 100, 100, 200], ['(', ')', '(', ')'], ['P', '', 'QRS', ''], [0, 0, 1, 1])
    """
    import wfdb  # noqa: PLC0415  (only this needs it)

    path = Path(path)
    if (
        not path.suffix[1:].isalpha()
        or not path.suffix.isascii()
        or not path.stem.replace("-", "").replace("_", "a").isalnum()
    ):
        raise ValueError(f"path: expected record.extension, the extension of letters, got {path.name!r}")
    if segments.sizes.get("record") != 1:
        raise ValueError(f"segments: expected one record, got {dict(segments.sizes)}; choose with .isel(record=[i])")
    runs = cluster_runs(segments, names=names)
    if not runs:
        raise ValueError("segments: expected a cell that belongs to a cluster, got none")
    if max(run["cluster"] for run in runs) > 127:
        raise ValueError("cluster: expected numbers up to 127, which a WFDB annotation can hold")
    marks = []
    for run in runs:
        a, b = (round(run[side] * sampling_rate) for side in ("start", "end"))
        note = run["name"]
        if len(note.encode()) > 255 or "\0" in note or not note.isascii():
            raise ValueError(f"names: expected ASCII text of at most 255 bytes without NUL, got {note[:40]!r}")
        if b <= a:
            raise ValueError(f"sampling_rate: expected each stretch to hold a sample, got {run} at {sampling_rate} Hz")
        marks += [(a, "(", run["cluster"], note), (b, ")", run["cluster"], "")]
    sample, symbol, num, aux = zip(*marks, strict=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        wfdb.wrann(
            path.stem, path.suffix[1:], np.asarray(sample), symbol=list(symbol), num=np.asarray(num),
            aux_note=list(aux), fs=sampling_rate, write_dir=folder,
        )  # fmt: skip
        os.replace(Path(folder) / path.name, path)  # noqa: PTH105  (a Path's own replace is the same call)
    return path


def write_dataset(path: str | Path, ds: xr.Dataset, *, free_text: bool = False) -> Path:
    """Write a recording or a segmentation to ``.nc`` (netCDF 4) or ``.zarr``, with the attrs of the CF conventions.

    Attrs that those files cannot hold (mappings, booleans, None) become JSON text.

    Parameters
    ----------
    path
        Its suffix says which. What lies there is replaced.
    ds
        Of the data contract, or of `ecg_widget.TimeClusters.predict`.
    free_text
        Whether what people typed, and a reader kept on request (``comments``, ``annotation_text``), is written too.

    Returns
    -------
    pathlib.Path
        Of the file or folder.

    Raises
    ------
    ValueError
        Another suffix.

    Examples
    --------
    >>> from ecg_widget import load_example, open_ecg
    >>> ds = load_example()
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = write_dataset(Path(folder) / "example.nc", ds)
    ...     bool((open_ecg(path).signal == ds.signal).all())
    True
    """
    path = Path(path)
    out = ds.copy(deep=False)
    out.attrs = {"Conventions": "CF-1.11", **_plain(ds.attrs)}
    for key in () if free_text else FREE_TEXT:
        out.attrs.pop(key, None)
    for name in out.variables:
        out[name].attrs = {**_CF.get(str(name), {}), **_plain(ds[name].attrs)}
        out[name].encoding = {}
    fills: Mapping[Any, Any] = {n: {"_FillValue": None} for n in out.coords if out[n].dtype.kind == "f"}
    if path.suffix == ".nc":
        with _whole(path) as part:
            out.to_netcdf(part, format="NETCDF4", engine=_engine(), encoding=fills)
    elif path.suffix == ".zarr":
        with _whole(path) as part:
            out.to_zarr(part, mode="w", encoding=fills, consolidated=False)
    else:
        raise ValueError(f"path: expected a name that ends in .nc or .zarr, got {path.name!r}")
    return path


_CF: dict[str, dict[str, str]] = {
    "signal": {"long_name": "electrocardiogram"},
    "time": {"long_name": "time from the start", "axis": "T"},
    "record": {"long_name": "record", "cf_role": "timeseries_id"},
    "lead": {"long_name": "lead"},
    "cluster": {"long_name": "cluster of the cell, -1: none"},
    "centre": {"long_name": "centre of the cell"},
}


def _engine() -> Any:
    import importlib.util  # noqa: PLC0415

    for engine, package in (("netcdf4", "netCDF4"), ("h5netcdf", "h5netcdf")):
        if importlib.util.find_spec(package):
            return engine
    raise ImportError("netCDF: expected the package netCDF4 or h5netcdf, got none; pip install netCDF4, or .zarr")


def _plain(attrs: Mapping[Any, Any]) -> dict[str, Any]:
    """Attrs as text, numbers and lists of one of the two; the rest as JSON."""
    out: dict[str, Any] = {}
    for key, value in attrs.items():
        v = value.tolist() if isinstance(value, np.generic | np.ndarray) else value
        if isinstance(v, (list, tuple)):
            same = v and (all(isinstance(x, str) for x in v) or all(type(x) in (int, float) for x in v))
            out[str(key)] = list(v) if same else json.dumps(list(v))
        else:
            out[str(key)] = v if type(v) in (str, int, float) else json.dumps(v)
    return out


@contextmanager
def _whole(path: Path) -> Iterator[Path]:
    """A temporary place beside `path` that becomes it when the block ends well, and is gone when it does not."""
    folder = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    remove: Callable[[Path], None] = shutil.rmtree
    try:
        part = folder / path.name
        yield part
        if part.is_dir() and path.exists():  # a folder is not replaced by renaming: the old one steps aside first
            os.replace(path, folder / "old")  # noqa: PTH105
        os.replace(part, path)  # noqa: PTH105
    finally:
        remove(folder)
