"""Recordings that stay in their file: the same values as those of the eager reader, little read, little kept."""

from __future__ import annotations

import pickle
import shutil
import threading
import tracemalloc
import warnings

import numpy as np
import psutil
import pytest
import wfdb
import xarray as xr

import ecg_widget as ecg
from ecg_widget.lazy import LazyArray, is_lazy, lazy_variable
from ecg_widget.records import RecordError
from ecg_widget.time_axis import SHORT, SampleIndex, sample_times

DAY = 24 * 3600 * 250  # samples


def keys(rng, n_time, n_lead):
    """One selection of each kind that xarray passes on."""
    first, last = np.sort(rng.integers(0, n_time, 2))
    step = int(rng.integers(1, 9))
    yield {"time": slice(first, last)}
    yield {"time": slice(first, last, step), "lead": slice(None, None, -1)}
    yield {"time": slice(last, first, -step), "lead": [n_lead - 1, 0, 0]}
    yield {"time": int(first), "record": 0}
    yield {"time": rng.integers(-n_time, n_time, 20), "lead": int(rng.integers(n_lead))}
    yield {"time": slice(first, first)}
    yield {"record": 0, "lead": [0], "time": xr.DataArray(rng.integers(0, n_time, (2, 3)), dims=("a", "b"))}


def same(lazy, eager, rng, times=12):
    assert is_lazy(lazy["signal"])
    assert not is_lazy(eager["signal"])
    eager.attrs.pop("quality", None)  # of what has been read alone
    for _ in range(times):
        for key in keys(rng, eager.sizes["time"], eager.sizes["lead"]):
            xr.testing.assert_identical(lazy.isel(key).load(), eager.isel(key))
    assert is_lazy(lazy["signal"])  # nothing was kept
    xr.testing.assert_identical(lazy.load(), eager)


class TestLazyArray:
    @pytest.mark.parametrize("piece", [1, 3, 64, 10_000])
    def test_any_selection_in_pieces_of_any_size(self, piece):
        values = np.random.default_rng(0).normal(size=(2, 3, 15_000)).astype(np.float32)
        longest = []

        def read(outer, first, last):
            longest.append(last - first)
            return values[np.ix_(*outer, np.arange(first, last))]

        n = 500 if piece == 1 else 15_000
        lazy = xr.DataArray(lazy_variable(("record", "lead", "time"), LazyArray((2, 3, n), np.float32, read, piece)))
        rng = np.random.default_rng(1)
        for key in [*keys(rng, n, 3), {"time": slice(None, None, 5000)}, {"time": slice(None, None, -n + 1)}]:
            np.testing.assert_array_equal(
                lazy.isel(key).values, xr.DataArray(values[..., :n], dims=lazy.dims).isel(key).values
            )
        assert max(longest) <= piece

    def test_what_lies_far_apart_is_not_read_between(self):
        read = []
        array = LazyArray(
            (1, DAY), np.float32, lambda o, a, b: read.append(b - a) or np.zeros((1, b - a), np.float32), 1 << 20
        )
        variable = lazy_variable(("lead", "time"), array)
        assert variable[:, np.array([5, DAY - 1, 7])].values.shape == (1, 3)
        assert variable[:, :: DAY // 4].values.shape == (1, 4)
        assert sum(read) <= 3 + 1 + 4


class TestTimeAxis:
    def test_values_are_those_of_the_eager_axis(self):
        n, rng = SHORT + 12_345, np.random.default_rng(0)
        ds = xr.Dataset(coords=sample_times(n, 257.0))
        stored = xr.Dataset(coords={"time": ("time", np.arange(n) / 257.0, ds.time.attrs)})
        for key in (slice(3, n - 5), slice(0, 10), slice(None, None, -1), slice(None, None, 7), [0, -1], 5, n - 1):
            np.testing.assert_array_equal(ds.isel(time=key).time, stored.isel(time=key).time)
        for low, high in [*np.sort(rng.uniform(-5, n / 257 + 5, (20, 2))), (1.0, 2.0), (None, 9.0), (5000.0, 2.0)]:
            xr.testing.assert_identical(ds.sel(time=slice(low, high)).time, stored.sel(time=slice(low, high)).time)
        for at in rng.uniform(0, n / 257, 50):
            for how in ("nearest", "pad", "backfill"):
                assert float(ds.sel(time=at, method=how).time) == float(stored.sel(time=at, method=how).time)
        assert float(ds.sel(time=1000 / 257).time) == 1000 / 257
        assert ds.sel(time=[1.0, 2.0], method="nearest").time.size == 2
        with pytest.raises(KeyError):
            ds.sel(time=1000.4 / 257)

    def test_long_parts_stay_short_and_short_parts_become_plain(self):
        ds = xr.Dataset(coords=sample_times(4 * SHORT, 500.0, start=2.5))
        half = ds.isel(time=slice(SHORT, None, 2))
        assert isinstance(half.xindexes["time"], SampleIndex)
        assert float(half.time[1]) == 2.5 + (SHORT + 2) / 500
        assert half.xindexes["time"].rate == 250
        part = ds.isel(time=slice(1000))
        assert not isinstance(part.xindexes["time"], SampleIndex)
        assert part.time.attrs == ds.time.attrs
        assert float((part + part).time[-1]) == 2.5 + 999 / 500
        assert float(ds.rename(time="t").t[-1]) == float(ds.time[-1])
        assert pickle.loads(pickle.dumps(ds)).identical(ds)
        both = xr.concat([ds, ds], "time")
        assert both.sizes["time"] == 8 * SHORT

    def test_contract(self):
        signal = xr.DataArray(np.zeros((1, 1, SHORT + 1), np.float32), dims=("record", "lead", "time"))
        ds = xr.Dataset({"signal": signal.assign_attrs(units="mV")}, {"record": ["a"], "lead": ["II"]})
        ds = ds.assign_coords(sample_times(SHORT + 1, 250.0))
        assert ecg.validate_ecg(ds) is ds
        ds["time"].attrs["sampling_rate"] = 251.0
        with pytest.raises(ValueError, match="time: expected steps of"):
            ecg.validate_ecg(ds)


class TestWFDB:
    @pytest.mark.parametrize("form", ["16", "24", "32", "80", "212", "508", "516", "524", "160", "310", "311"])
    def test_every_format(self, record, digital, form):
        samples = digital % 100 - 50 if form in ("80", "508") else digital
        if form in ("160", "310", "311"):  # packed by hand: as test_wfdb does
            path = record(samples=digital % 500 - 250)
            flat = (digital % 500 - 250).reshape(-1)
            first, second, third = (flat.reshape(-1, 3).T & 0x3FF).astype("<u4")
            packed = {
                "160": (flat + 32768).astype("<u2"),
                "310": ((first << 1) | ((third & 31) << 11) | (((second << 1) | ((third >> 5) << 11)) << 16)).astype(
                    "<u4"
                ),
                "311": first | (second << 10) | (third << 20),
            }[form]
            path.with_suffix(".dat").write_bytes(packed.tobytes())
            header = path.with_suffix(".hea")
            header.write_text(header.read_text().replace(".dat 16 ", f".dat {form} "))
        else:
            path = record(samples=samples, fmt=[form] * 3)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # the checksums of what is packed by hand
            eager = ecg.open_ecg(path, lazy=False)
        same(ecg.open_ecg(path, lazy=True), eager, np.random.default_rng(0), times=3)

    def test_gaps_leads_and_stacks(self, record, digital):
        digital[100:120, 1] = -32768
        paths = [record("a", samples=digital), record("b", samples=digital[::-1].copy())]
        eager, lazy = (ecg.open_ecg(paths, lazy=how, leads=["V5", "I"]) for how in (False, True))
        same(lazy, eager, np.random.default_rng(0))
        assert int(np.isnan(lazy["signal"][1, 1, :].values).sum()) == 20
        same(ecg.open_ecg(paths[0], lazy=True), ecg.open_ecg(paths[0]), np.random.default_rng(1))

    def test_several_samples_a_frame(self, tmp_path):
        rng = np.random.default_rng(2)
        wfdb.wrsamp(
            "m",
            fs=100,
            units=["mV"] * 3,
            sig_name=["II", "V1", "V2"],
            e_d_signal=[rng.integers(-99, 99, n) for n in (200, 600, 600)],
            samps_per_frame=[1, 3, 3],
            fmt=["16"] * 3,
            adc_gain=[100.0] * 3,
            baseline=[0] * 3,
            write_dir=str(tmp_path),
        )
        chosen = {"leads": ["V2", "V1"]}
        same(ecg.open_ecg(tmp_path / "m", lazy=True, **chosen), ecg.open_ecg(tmp_path / "m", **chosen), rng)

    @pytest.mark.parametrize("layout", [True, False])
    def test_segments_gaps_and_gains_of_their_own(self, record, tmp_path, digital, layout):
        record("s1", samples=digital[:, :2])
        changed = {"sig_name": ["V5"], "units": ["mV"], "adc_gain": [50.0], "baseline": [3]} if layout else {}
        record("s2", samples=digital[:500, : 1 if layout else 2], **changed)
        lines = ["r/4 2 250 1600", "s1 800", "~ 300", "s2 500"]
        if layout:
            (tmp_path / "lay.hea").write_text(
                "lay 2 250 0\n~ 0 200.0(10)/mV 16 0 0 0 0 ii\n~ 0 0.4(-4)/uV 16 0 0 0 0 V5\n"
            )
            lines[0] = "r/4 2 250 1600"
            lines.insert(1, "lay 0")
        else:
            lines[0] = "r/3 2 250 1600"
        (tmp_path / "r.hea").write_text("\n".join(lines) + "\n")
        eager = ecg.open_ecg(tmp_path / "r", lazy=False)
        assert np.isnan(eager["signal"].values).any()
        assert ("adc_step" in eager) is not layout
        same(ecg.open_ecg(tmp_path / "r", lazy=True), eager, np.random.default_rng(3))

    def test_what_cannot_be_read_in_pieces_is_said(self, record):
        path = record()
        header = path.with_suffix(".hea")
        text = header.read_text()
        for old, new, why in (
            (".dat 16 ", ".dat 8 ", "differences"),
            (".dat 16 ", ".dat 16:2 ", "skewed"),
            ("3 250 800", "3 250", "does not state the number of samples"),
        ):
            assert old in text
            header.write_text(text.replace(old, new))
            with pytest.raises(RecordError, match=rf"r.hea: lazy: expected None or False .*{why}"):
                ecg.open_ecg(path, lazy=True)

    def test_formats_that_are_read_whole(self):
        from pydicom.data import get_testdata_file

        path = get_testdata_file("waveform_ecg.dcm", download=False)
        with pytest.raises(RecordError, match=r"lazy: expected None or False for DICOM.*WFDB"):
            ecg.open_ecg(path, lazy=True)
        assert not is_lazy(ecg.open_ecg(path, lazy=False)["signal"])

    def test_a_file_that_changed_since(self, record):
        path = record()
        ds = ecg.open_ecg(path, lazy=True)
        data = path.with_suffix(".dat")
        data.write_bytes(data.read_bytes()[:100])
        with pytest.raises(RecordError, match=r"r.hea: expected the record that was opened"):
            ds["signal"].values  # noqa: B018
        data.unlink()
        with pytest.raises(RecordError, match=r"r.hea: expected the record that was opened"):
            ds.isel(time=slice(5)).load()

    def test_infinity_is_found_where_it_is_read(self, record):
        path = record(samples=np.ones((300, 1), np.int64), adc_gain=[1e-39], baseline=[0], units=["mV"])
        ds = ecg.validate_ecg(ecg.open_ecg(path, lazy=True))
        with pytest.raises(RecordError, match="expected finite values or NaN"):
            ds["signal"].values  # noqa: B018

    def test_threads(self, record, digital):
        path = record(samples=np.tile(digital, (40, 1)))
        eager, lazy = ecg.open_ecg(path)["signal"].values, ecg.open_ecg(path, lazy=True)["signal"]
        wrong = []

        def work(seed):
            rng = np.random.default_rng(seed)
            for _ in range(40):
                first = int(rng.integers(0, 30_000))
                if not np.array_equal(lazy[..., first : first + 99].values, eager[..., first : first + 99]):
                    wrong.append((seed, first))

        threads = [threading.Thread(target=work, args=(seed,)) for seed in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not wrong

    def test_the_network_reads_a_window_as_it_reads_a_record(self, shared_or_simulated):
        eager, lazy = shared_or_simulated
        net = ecg.load_network()
        window = {"time": slice(400, 3400)}
        np.testing.assert_array_equal(net.prepare(lazy.isel(window)).x, net.prepare(eager.isel(window)).x)


@pytest.fixture
def shared_or_simulated(tmp_path):
    ds = ecg.simulate(1, seed=4, duration=10)
    steps = np.round(ds["signal"].values[0].T * 1000).astype(np.int64)
    wfdb.wrsamp(
        "sim",
        fs=500,
        units=["mV"] * 12,
        sig_name=ds["lead"].values.tolist(),
        d_signal=steps,
        fmt=["16"] * 12,
        adc_gain=[1000.0] * 12,
        baseline=[0] * 12,
        write_dir=str(tmp_path),
    )
    return ecg.open_ecg(tmp_path / "sim"), ecg.open_ecg(tmp_path / "sim", lazy=True)


@pytest.fixture
def day(tmp_path):
    """24 h x 3 leads x 250 Hz in format 16, 130 MB: one block of noise over and over."""
    block = np.random.default_rng(0).integers(-2000, 2000, (108_000, 3)).astype("<i2")
    with (tmp_path / "day.dat").open("wb") as stream:
        for _ in range(DAY // len(block)):
            stream.write(block.tobytes())
    lines = [f"day.dat 16 200(0)/mV 16 0 0 0 0 {lead}\n" for lead in ("II", "V1", "V5")]
    (tmp_path / "day.hea").write_text(f"day 3 250 {DAY}\n" + "".join(lines))
    yield tmp_path / "day", block
    shutil.rmtree(tmp_path)


def test_a_day_opens_without_being_read(day):
    path, block = day
    ecg.open_ecg(path).isel(time=slice(5)).load()  # imports
    process = psutil.Process()
    if not hasattr(process, "io_counters"):
        pytest.skip("this system does not count the bytes that a process reads")
    tracemalloc.start()
    try:
        before = process.io_counters().read_chars
        ds = ecg.validate_ecg(ecg.open_ecg(path))  # by its size, unasked
        repr(ds)
        opened = process.io_counters().read_chars
        window = ds.isel(time=slice(9_000_000, 9_002_500)).load()
        read = process.io_counters().read_chars
        ds.sel(time=slice(80_000, 80_010), lead="V1")["signal"].values  # noqa: B018
        peak = tracemalloc.get_traced_memory()[1]
        # An hour, in pieces: the result and little beside it.
        tracemalloc.reset_peak()
        held = tracemalloc.get_traced_memory()[0]
        hour = ds["signal"].isel(time=slice(0, DAY // 24, 1)).values
        most = tracemalloc.get_traced_memory()[1] - held
    finally:
        tracemalloc.stop()
    assert is_lazy(ds["signal"])
    assert ds["signal"].shape == (1, 3, DAY)
    assert opened - before < 200_000  # of 130 000 000 bytes: headers, and what Python imports
    assert read - opened < 2500 * 3 * 2 + 20_000
    assert peak < 3_000_000
    assert most < hour.nbytes + (1 << 20) * 40
    first = 9_000_000 % len(block)
    np.testing.assert_array_equal(window["signal"][0], (block[first : first + 2500].T / 200).astype(np.float32))
    assert float(window["time"][0]) == 36_000
    assert float(ds["time"][-1]) == (DAY - 1) / 250
