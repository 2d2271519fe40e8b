from __future__ import annotations

import sys
import types

import numpy as np
import pytest
import wfdb
import xarray as xr

from ecg_widget import load_example, open_ecg, simulate
from ecg_widget.records import RecordError
from ecg_widget.writing import cluster_runs, read_segments, write_annotations, write_dataset, write_segments


@pytest.fixture
def segments():
    cluster = np.array([[0, 0, 1, -1, 2, 2, 2, 0]], np.int16)
    centre = ("cell", np.arange(8) * 0.04 + 0.02, {"units": "s"})
    return xr.Dataset(
        {"cluster": (("record", "cell"), cluster), "entropy": (("record", "cell"), np.linspace(0, 1, 8, dtype=np.float32)[None])},
        {"record": ["r"], "centre": centre}, {"layers": ["a", "b"], "tau": 0.25, "n_clusters": 3},
    )  # fmt: skip


@pytest.mark.parametrize("suffix", [".nc", ".zarr"])
def test_a_recording_reads_back_equal(tmp_path, suffix):
    ds = simulate(2, seed=1) if suffix == ".nc" else load_example()
    ds.signal[0, 0, 5:9] = np.nan
    path = write_dataset(tmp_path / f"a{suffix}", ds)
    back = open_ecg(path)
    for name in ds.variables:
        np.testing.assert_array_equal(back[name].values, ds[name].values, err_msg=str(name))
        assert back[name].dtype.kind == ds[name].dtype.kind
    assert back.signal.attrs["units"] == "mV"
    assert back.time.attrs["sampling_rate"] == ds.time.attrs["sampling_rate"]
    assert back.attrs["quality"].startswith("[")
    again = open_ecg(write_dataset(tmp_path / f"b{suffix}", back))
    xr.testing.assert_identical(again.drop_attrs(deep=False), back.drop_attrs(deep=False))


@pytest.mark.parametrize("suffix", [".nc", ".zarr"])
def test_a_segmentation_reads_back_equal(tmp_path, segments, suffix):
    path = write_dataset(tmp_path / f"s{suffix}", segments)
    back = xr.load_dataset(
        path, engine="zarr" if suffix == ".zarr" else None, **({"consolidated": False} if suffix == ".zarr" else {})
    )
    xr.testing.assert_equal(back, segments)
    assert back.attrs["layers"] == ["a", "b"]
    assert back.attrs["tau"] == 0.25
    assert back.cluster.dtype == np.int16


def test_annotations_read_back_equal(tmp_path, segments):
    names = {0: "P", 1: "QRS", 2: "T"}
    path = write_annotations(tmp_path / "r.cluster", segments, sampling_rate=500, names=names)
    found = wfdb.rdann(str(tmp_path / "r"), "cluster")
    assert path.is_file()
    assert found.fs == 500
    assert found.symbol == ["(", ")"] * 4
    assert found.aux_note[::2] == ["P", "QRS", "T", "P"]
    assert found.num[::2].tolist() == [0, 1, 2, 0]
    runs = cluster_runs(segments, names=names)
    assert found.sample.tolist() == [round(r[side] * 500) for r in runs for side in ("start", "end")]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["r.cluster"]


def test_tables_read_back_equal(tmp_path, segments):
    names = {0: 'a, "b"\nc', 1: "é", 2: ""}
    path = write_segments(tmp_path / "s.csv", segments, names=names)
    assert read_segments(path) == cluster_runs(segments, names=names)


def test_parquet_reads_back_equal(tmp_path, segments):
    parquet = pytest.importorskip("pyarrow.parquet")
    path = write_segments(tmp_path / "s.parquet", segments)
    assert parquet.read_table(path).to_pylist() == cluster_runs(segments)


def test_parquet_without_pyarrow_says_how_to_go_on(tmp_path, segments, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)  # as where it is not installed
    with pytest.raises(
        ImportError,
        match=r"parquet: expected the package pyarrow, got none; pip install .*\[parquet\].*, or write \.csv",
    ):
        write_segments(tmp_path / "s.parquet", segments)
    assert list(tmp_path.iterdir()) == []


def test_parquet_gets_what_a_table_has(tmp_path, segments, monkeypatch):
    """Where pyarrow is installed the test above reads a file back; here a stand-in sees what it would be given."""
    seen = {}

    class Table:
        @staticmethod
        def from_pylist(rows, schema):
            return rows, schema

    def write_table(table, part):
        seen["rows"], seen["schema"] = table
        part.write_bytes(b"PAR1")

    kinds = {kind: (lambda kind=kind: kind) for kind in ("string", "float64", "int64")}
    parquet = types.SimpleNamespace(write_table=write_table)
    monkeypatch.setitem(
        sys.modules, "pyarrow", types.SimpleNamespace(schema=list, Table=Table, parquet=parquet, **kinds)
    )
    path = write_segments(tmp_path / "s.parquet", segments)
    assert path.read_bytes() == b"PAR1"
    assert seen["rows"] == cluster_runs(segments)
    assert [name for name, _ in seen["schema"]] == list(seen["rows"][0])
    assert [kind for _, kind in seen["schema"]] == ["string", "float64", "float64", "int64", "string"]
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["s.nc", "s.zarr"])
def test_a_failure_leaves_the_old_file_whole(tmp_path, segments, name):
    path = write_dataset(tmp_path / name, segments)
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    with pytest.raises(Exception):  # noqa: B017  (whatever the library says)
        write_dataset(path, segments.assign(bad=("record", np.array([object()], object))))
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before
    other = segments.assign(cluster=segments.cluster + 1)
    write_dataset(path, other)
    assert list(tmp_path.iterdir()) == [path]


def test_senseless_paths_and_names_are_refused(tmp_path, segments):
    with pytest.raises(ValueError, match=r"\.csv or \.parquet"):
        write_segments(tmp_path / "s.txt", segments)
    with pytest.raises(ValueError, match=r"\.nc or \.zarr"):
        write_dataset(tmp_path / "s.h5", segments)
    with pytest.raises(ValueError, match="extension"):
        write_annotations(tmp_path / "r.c1", segments, sampling_rate=500)
    with pytest.raises(ValueError, match="255 bytes"):
        write_annotations(tmp_path / "r.c", segments, sampling_rate=500, names={0: "x" * 256})
    with pytest.raises(ValueError, match="hold a sample"):
        write_annotations(tmp_path / "r.c", segments, sampling_rate=5)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["record", "lead"])
def test_a_text_that_says_to_be_longer_than_its_file(tmp_path, name):
    """The library took up to 4 GB for one in a file of 12 kB, found by damaged files."""
    h5py = pytest.importorskip("h5py")
    path = write_dataset(tmp_path / "a.nc", simulate(2, seed=0, duration=1))
    with h5py.File(path) as file:
        at = file[name].id.get_offset()
    data = bytearray(path.read_bytes())
    data[at : at + 4] = (800 << 20).to_bytes(4, "little")
    path.write_bytes(data)
    with pytest.raises(RecordError, match=rf"a\.nc: {name}: expected texts of at most \d+ bytes"):
        open_ecg(path)


@pytest.mark.parametrize(("at", "value"), [(24, 0), (24, 1 << 40), (24, (1 << 64) - 9), (8, 1 << 30), (8, 1 << 60)])
def test_a_heap_of_texts_that_the_library_never_leaves(tmp_path, at, value):
    """It reads entry after entry, and one without a length again and again, found by damaged files."""
    path = write_dataset(tmp_path / "a.nc", simulate(2, seed=0, duration=1))
    data = bytearray(path.read_bytes())
    heap = data.index(b"GCOL\x01")
    data[heap + at : heap + at + 8] = value.to_bytes(8, "little")
    if value == 0:
        data[heap + 16 : heap + 18] = b"\0\0"
    path.write_bytes(data)
    with pytest.raises(RecordError, match=r"a\.nc: "):
        open_ecg(path)
