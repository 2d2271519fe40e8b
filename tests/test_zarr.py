"""Recordings that ``Dataset.to_zarr`` wrote: the same back, whole or in pieces; hostile groups are refused."""

from __future__ import annotations

import json
import sys
import tracemalloc

import numpy as np
import pytest
import xarray as xr

import ecg_widget as ecg
from ecg_widget.lazy import is_lazy
from ecg_widget.records import RecordError
from ecg_widget.time_axis import SHORT

zarr = pytest.importorskip("zarr", reason="zarr is an extra: pip install 'ecg-widget[zarr]'")
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not have a Zarr V3 specification"),
    pytest.mark.filterwarnings("ignore:Consolidated metadata is currently not part"),
]


@pytest.fixture
def ds():
    ds = ecg.simulate(3, seed=1, duration=5)
    ds["signal"].values[1, 2, 40:60] = np.nan
    return ds


@pytest.fixture(params=[2, 3])
def group(request, ds, tmp_path):
    path = tmp_path / "x.zarr"
    ds.to_zarr(path, zarr_format=request.param)
    return path


def array_file(group, name):
    v2, v3 = group / name / ".zarray", group / name / "zarr.json"
    return v2 if v2.exists() else v3


def change(path, **fields):
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


def test_round_trip(group, ds):
    eager, lazy = ecg.open_ecg(group, quality=False), ecg.open_ecg(group, lazy=True)
    assert not is_lazy(eager["signal"])
    assert is_lazy(lazy["signal"])
    assert is_lazy(lazy["wave"])
    assert lazy.attrs == eager.attrs
    assert (eager.attrs["source"], eager.attrs["format"]) == ("x.zarr", "zarr")
    assert eager.attrs["snr_db"] == ds.attrs["snr_db"]
    xr.testing.assert_equal(eager, ds)
    rng = np.random.default_rng(0)
    for _ in range(20):
        first, last = np.sort(rng.integers(0, ds.sizes["time"], 2))
        key = {"time": slice(first, last, int(rng.integers(1, 5))), "lead": rng.integers(0, 12, 3), "record": [2, 0]}
        xr.testing.assert_identical(lazy.isel(key).load(), eager.isel(key))
    assert is_lazy(lazy["signal"])
    assert lazy["signal"].attrs["units"] == "mV"


def test_leads_and_stacks(group, ds):
    assert ecg.open_ecg(group, leads=["V1", "ii"]).lead.values.tolist() == ["II", "V1"]
    with pytest.raises(RecordError, match=r"x.zarr: leads: expected MLII, got I, II"):
        ecg.open_ecg(group, leads=["MLII"])
    both = ecg.open_ecg([group, group], lazy=True, records=list("abcdef"))
    assert is_lazy(both["signal"])
    np.testing.assert_array_equal(both["signal"].values, np.concatenate([ds["signal"].values] * 2))


def test_packed_to_integers(ds, tmp_path):
    packed = {"signal": {"dtype": "int16", "scale_factor": 0.001, "_FillValue": -32768}}
    ds.to_zarr(tmp_path / "p.zarr", encoding=packed)
    opened = ecg.open_ecg(tmp_path / "p.zarr", lazy=True)
    assert opened["signal"].dtype == np.float32
    np.testing.assert_allclose(opened["signal"].values, ds["signal"].values, atol=0.000501)


def test_shards(ds, tmp_path):
    ds.to_zarr(
        tmp_path / "s.zarr", zarr_format=3, encoding={"signal": {"chunks": (1, 12, 500), "shards": (3, 12, 2500)}}
    )
    xr.testing.assert_equal(ecg.open_ecg(tmp_path / "s.zarr"), ds)


@pytest.mark.parametrize(
    ("name", "v2", "v3", "message"),
    [
        ("signal", {"dtype": "<f8"}, {"data_type": "float64"}, "signal: expected float32, or integers with a scale"),
        ("signal", {"dtype": [["a", "<f4"]]}, {"data_type": {"name": "struct"}}, "signal: type: expected numbers"),
        ("record", {"dtype": "|O", "filters": [{"id": "pickle"}]}, {"codecs": [{"name": "numcodecs.pickle"}]}, "record: "),
        ("signal", {"filters": [{"id": "pickle"}]}, {"codecs": [{"name": "bytes"}, {"name": "pickle"}]}, "signal: .*pickle"),
        ("signal", {"compressor": {"id": "evil"}}, {"codecs": "evil"}, "signal: (compressor|codec): .*evil"),
        ("signal", {"chunks": [3, 12, 1 << 29]}, {"chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [3, 12, 1 << 29]}}}, "signal: chunks: "),
        ("signal", {"shape": [3, 12, 1 << 30]}, {"shape": [3, 12, 1 << 30]}, "signal: size: expected at most"),
        ("signal", {"shape": [3, 12, -5]}, {"shape": [3, 12, "x"]}, "signal: shape: expected whole numbers"),
        ("record", {"shape": [4]}, {"shape": [4]}, "expected 4 values along record, got 3|expected 3 values along record"),
        ("time", {"dtype": "<f4"}, {"data_type": "float32"}, "time: expected plain float64 seconds"),
    ],
)  # fmt: skip
def test_hostile_arrays(group, name, v2, v3, message):
    path = array_file(group, name)
    change(path, **(v2 if path.name == ".zarray" else v3))
    with pytest.raises(RecordError, match=r"x\.zarr: .*" + message):
        ecg.open_ecg(group)


def test_hostile_groups(group, tmp_path):
    signal = array_file(group, "signal")
    good = signal.read_text()
    for bad in ("[" * 100_000, "{", "null", " " * (2 << 20)):
        signal.write_text(bad)
        with pytest.raises(RecordError, match=r"x.zarr: signal: "):
            ecg.open_ecg(group)
    signal.write_text(good)
    (group / "time").rename(tmp_path / "gone")
    with pytest.raises(RecordError, match=r"x.zarr: time: expected an array with dims \('time',\), got only"):
        ecg.open_ecg(group)
    (tmp_path / "gone").rename(group / "time")
    for i in range(70):
        (group / f"more{i}").mkdir()
    with pytest.raises(RecordError, match=r"x.zarr: more0: expected metadata"):
        ecg.open_ecg(group)


def test_broken_contents(group, ds):
    with pytest.raises(RecordError, match="expected 'mV', got 'mV', the caller says 'V'"):
        ecg.open_ecg(group, units="V")
    chunk = next(p for p in sorted((group / "signal").rglob("*")) if p.is_file() and p.name.strip("0.") == "")
    chunk.write_bytes(b"nonsense")
    assert is_lazy(ecg.open_ecg(group, lazy=True)["signal"])  # not looked at yet
    for lazy in (True, False):
        with pytest.raises(RecordError, match=r"x.zarr: (.*: )?signal: expected whole chunks"):
            ecg.open_ecg(group, lazy=lazy).load()


def test_values_that_the_contract_refuses(ds, tmp_path):
    ds["signal"].values[0, 0, 7] = np.inf
    ds["wave"].values[0, 3] = 9
    ds.to_zarr(tmp_path / "i.zarr")
    opened = ecg.open_ecg(tmp_path / "i.zarr", lazy=True)
    assert np.isfinite(opened["signal"][1, 0].values).all()
    with pytest.raises(RecordError, match=r"i.zarr: signal: expected finite"):
        opened["signal"][0, 0].load()
    with pytest.raises(RecordError, match=r"i.zarr: wave: expected 0 none"):
        opened["wave"].load()


def test_only_groups_with_a_signal(tmp_path):
    xr.Dataset({"x": ("y", [1.0])}).to_zarr(tmp_path / "o.zarr")
    with pytest.raises(RecordError, match="got a folder of no known layout"):
        ecg.open_ecg(tmp_path / "o.zarr")


def test_without_the_package(group, monkeypatch):
    monkeypatch.setitem(sys.modules, "zarr", None)
    with pytest.raises(ImportError, match=r'pip install "ecg-widget\[zarr\]"'):
        ecg.open_ecg(group)


@pytest.mark.parametrize("bent", [False, True])
def test_a_long_group_opens_without_being_read(ds, tmp_path, bent):
    """A day of zeros: chunks that were never written are the fill value, so the store is small."""
    path, n = tmp_path / "day.zarr", 21_600_000
    part = ds[["signal"]].isel(record=[0], lead=slice(3))
    part.to_zarr(path, zarr_format=3)
    store = zarr.open_group(path, mode="a")
    made = {}
    for name, shape in (("signal", (1, 3, n)), ("time", (n,))):
        old = store[name]
        made[name] = store.create_array(
            name,
            shape=shape,
            chunks=(*shape[:-1], 1 << 18),
            dtype=old.dtype,
            dimension_names=old.metadata.dimension_names,
            attributes={**old.attrs, **({"sampling_rate": 250.0} if name == "time" else {})},
            overwrite=True,
        )
    for first in range(0, n, SHORT):
        made["time"][first : first + SHORT] = np.arange(first, min(n, first + SHORT)) / 250 + 7
    made["signal"][..., 5_000_000:5_000_100] = 0.25
    if bent:
        made["time"][20_000_000] = 80_007.001
        with pytest.raises(RecordError, match=r"day.zarr: time: expected steps of 1 / 250 s, got others"):
            ecg.open_ecg(path)
        return
    tracemalloc.start()
    try:
        opened = ecg.validate_ecg(ecg.open_ecg(path))
        window = opened.isel(time=slice(4_999_000, 5_001_500)).load()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert is_lazy(opened["signal"])
    assert peak < 80_000_000  # of 432 000 000: pieces of the axis and of zarr's
    assert int((window["signal"] == 0.25).sum()) == 300
    assert float(opened["time"][-1]) == 7 + (n - 1) / 250
    assert opened.sel(time=slice(20_007, 20_008)).sizes["time"] == 251
