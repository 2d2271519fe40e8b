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


def chunks_of(group, name="signal"):
    """The files of an array's chunks."""
    return [p for p in sorted((group / name).rglob("*")) if p.is_file() and not p.name.startswith((".z", "zarr"))]


def codecs():
    """Every way to pack that is read, of formats 2 and 3."""
    numcodecs, v3 = pytest.importorskip("numcodecs"), zarr.codecs
    two = {"blosc": numcodecs.Blosc(), "zlib": numcodecs.Zlib(), "gzip": numcodecs.GZip(), "bz2": numcodecs.BZ2(),
           "zstd": numcodecs.Zstd(), "lz4": numcodecs.LZ4()}  # fmt: skip
    three = {"blosc": (v3.BloscCodec(),), "gzip": (v3.GzipCodec(),), "zstd": (v3.ZstdCodec(),), "crc": (v3.Crc32cCodec(),),
             "crc gzip crc": (v3.Crc32cCodec(), v3.GzipCodec(), v3.Crc32cCodec())}  # fmt: skip
    return {**{f"2 {k}": (2, (c,)) for k, c in two.items()}, **{f"3 {k}": (3, c) for k, c in three.items()}}


@pytest.fixture(params=[*(f"2 {c}" for c in ("blosc", "zlib", "gzip", "bz2", "zstd", "lz4")),
                        *(f"3 {c}" for c in ("blosc", "gzip", "zstd", "crc", "crc gzip crc"))])  # fmt: skip
def packed(request, ds, tmp_path):
    version, compressors = codecs()[request.param]
    path, encoding = tmp_path / "p.zarr", {"chunks": (1, 12, 500), "compressors": compressors}
    ds = ds[["signal"]].isel(record=[0])
    ds.to_zarr(path, zarr_format=version, encoding={"signal": encoding}, consolidated=False)
    return path


class TestChunks:
    def test_every_codec_reads_back(self, packed, ds):
        np.testing.assert_array_equal(ecg.open_ecg(packed, lazy=True)["signal"].values, ds["signal"].values[:1])

    def test_the_library_sees_nothing_packed(self, packed, monkeypatch):
        """So its codecs, which believe what a chunk says, never run."""
        seen = []
        real = zarr.open_array
        monkeypatch.setattr(zarr, "open_array", lambda *a, **k: seen.append(real(*a, **k)) or seen[-1])
        ecg.open_ecg(packed)
        assert seen
        stored = zarr.open_array(seen[0].store, path="signal", mode="r", zarr_format=seen[0].metadata.zarr_format)
        assert stored.compressors == ()

    @pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.99])
    def test_cut(self, packed, share):
        chunk = chunks_of(packed)[1]
        chunk.write_bytes(chunk.read_bytes()[: int(chunk.stat().st_size * share)])
        with pytest.raises(RecordError, match=r"p\.zarr: (.*: )?signal.*expected a chunk of 24000 bytes"):
            ecg.open_ecg(packed)

    def test_bits(self, packed):
        """A codec may not notice, but nothing else than a recording or `RecordError` comes out."""
        rng = np.random.default_rng(0)
        chunk = chunks_of(packed)[1]
        good = chunk.read_bytes()
        for _ in range(15):
            bad = bytearray(good)
            bad[rng.integers(32) if rng.random() < 0.5 else rng.integers(len(bad))] ^= 1 << rng.integers(8)
            chunk.write_bytes(bytes(bad))
            try:
                ecg.validate_ecg(ecg.open_ecg(packed, quality=False))
            except RecordError as error:
                assert "p.zarr" in str(error)  # noqa: PT017  (an opened one is as good)

    def test_bombs(self, packed):
        """A chunk of a few kilobytes that unpacks to 64 megabytes: refused before they are there."""
        name = json.loads(array_file(packed, "signal").read_text())
        compressor = name.get("compressor") or next(
            (c for c in name["codecs"] if c["name"] not in ("bytes", "crc32c")), None
        )
        if compressor is None or len(name.get("codecs", [])) > 2:
            pytest.skip("nothing that unpacks to more, or a checksum that refuses it before")
        pack = __import__("numcodecs").get_codec({"id": compressor.get("id") or compressor["name"]})
        chunks_of(packed)[1].write_bytes(bytes(pack.encode(bytes(64 << 20))))
        tracemalloc.start()
        try:
            with pytest.raises(RecordError, match=r"expected a chunk of 24000 bytes|expected a chunk of at most"):
                ecg.open_ecg(packed)
            assert tracemalloc.get_traced_memory()[1] < 16 << 20
        finally:
            tracemalloc.stop()


class TestShards:
    @pytest.fixture(params=["start", "end"])
    def shards(self, request, ds, tmp_path):
        path = tmp_path / "s.zarr"
        ds.to_zarr(path, zarr_format=3, consolidated=False)
        group = zarr.open_group(path, mode="a")
        new = group.create_array(
            "signal", shape=(3, 12, 2500), dtype="f4", chunks=(1, 6, 500), dimension_names=("record", "lead", "time"),
            shards=zarr.core.array.ShardsConfigParam(shape=(3, 12, 1000), index_location=request.param),
            compressors=(zarr.codecs.GzipCodec(), zarr.codecs.Crc32cCodec()), attributes={"units": "mV"},
            fill_value=np.nan, overwrite=True,
        )  # fmt: skip
        new[..., :1000] = ds["signal"].values[..., :1000]
        new[:, 7, 1000:1400] = ds["signal"].values[:, 7, 1000:1400]
        return path

    def test_read_back_with_what_was_never_written(self, shards, ds):
        want = np.full((3, 12, 2500), np.nan, "f4")
        want[..., :1000] = ds["signal"].values[..., :1000]
        want[:, 7, 1000:1400] = ds["signal"].values[:, 7, 1000:1400]
        got = ecg.open_ecg(shards, lazy=True)["signal"]
        np.testing.assert_array_equal(got.values, want)
        np.testing.assert_array_equal(got[1, 3:9, 990:1010].values, want[1, 3:9, 990:1010])

    def test_damage(self, shards):
        shard = chunks_of(shards)[0]
        good = shard.read_bytes()
        for bad in (good[:40], good[:-8], good[8:], bytes([good[0] ^ 1]) + good[1:], good[:-5] + b"x" + good[-4:], b""):
            shard.write_bytes(bad)
            with pytest.raises(RecordError, match=r"s\.zarr: (.*: )?signal.*expected"):
                ecg.open_ecg(shards)

    @pytest.mark.parametrize("chunk", [(1, 6, 300), (1, 6, 0), (3, 12, 1 << 20)])
    def test_chunks_that_do_not_fill_a_shard(self, shards, chunk):
        meta = json.loads((shards / "signal" / "zarr.json").read_text())
        meta["codecs"][0]["configuration"]["chunk_shape"] = list(chunk)
        (shards / "signal" / "zarr.json").write_text(json.dumps(meta))
        with pytest.raises(RecordError, match="signal: shards: expected at most"):
            ecg.open_ecg(shards)


@pytest.mark.parametrize("version", [2, 3])
def test_texts_of_variable_length(ds, tmp_path, version):
    """The library makes room for as many texts as a chunk says, and xarray for each of the longest."""
    path = tmp_path / "t.zarr"
    ds.to_zarr(path, zarr_format=version, consolidated=False)
    group = zarr.open_group(path, mode="a", use_consolidated=False)
    attributes = dict(group["record"].attrs)
    new = group.create_array("record", shape=(3,), dtype=str, chunks=(3,), compressors=(), overwrite=True,
                             attributes=attributes, **({"dimension_names": ("record",)} if version == 3 else {}))  # fmt: skip
    new[:] = np.array(["a", "b", "c"], object)
    assert ecg.open_ecg(path)["record"].values.tolist() == ["a", "b", "c"]
    chunk = chunks_of(path, "record")[0]
    good = chunk.read_bytes()
    for bad in (
        b"\xff\xff\xff\x7f" + good[4:],
        good[:4] + b"\xff\xff\xff\x7f" + good[8:],
        good[:4] + (40 << 20).to_bytes(4, "little") + bytes(40 << 20) + good[9:],
        good[:-1],
        b"",
    ):
        chunk.write_bytes(bad)
        tracemalloc.start()
        try:
            with pytest.raises(RecordError, match=r"t\.zarr: record.*: expected a chunk of texts"):
                ecg.open_ecg(path)
            assert tracemalloc.get_traced_memory()[1] < 150 << 20
        finally:
            tracemalloc.stop()


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
