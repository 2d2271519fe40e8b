"""Envelopes and decimated signals of long recordings against the samples themselves."""

from __future__ import annotations

import itertools
import threading

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from ecg_widget import pyramid as module
from ecg_widget.lazy import LazyArray, lazy_variable
from ecg_widget.pyramid import BLOCK, Pyramid

RATE = 250.0


def make(values, start=0.0, reads=None):
    """A signal in a "file" that notes what is read of it."""

    def read(outer, first, last):
        if reads is not None:
            reads.append((first, last))
        return values[np.ix_(outer[0], np.arange(first, last))]

    variable = lazy_variable(("lead", "time"), LazyArray(values.shape, np.float32, read, 1 << 30))
    time = ("time", start + np.arange(values.shape[1]) / RATE, {"units": "s", "sampling_rate": RATE})
    return xr.DataArray(variable, coords={"lead": [f"L{i}" for i in range(len(values))], "time": time})


def noise(n, leads=2, seed=0, *, gaps=True, coarse=False):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(leads, n)).astype(np.float32)
    if coarse:  # ties
        values = np.rint(values)
    for _ in range(4 if gaps else 0):
        first = int(rng.integers(0, n))
        values[rng.integers(leads), first : first + int(rng.integers(1, max(2, n // 3)))] = np.nan
    return values


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch):
    monkeypatch.setattr(module, "_PIECE", 2 * 5 * BLOCK)


def extremes(values):
    """Brute force: (lead, 2), NaN where there is nothing but gaps."""
    out = np.full((len(values), 2), np.nan, np.float32)
    for lead, row in enumerate(values):
        there = row[~np.isnan(row)]
        if there.size:
            out[lead] = there.min(), there.max()
    return out


def check_envelope(pyramid, values, t0, t1, columns):
    edges = pyramid.edges(t0, t1, columns)
    found = pyramid.envelope(t0, t1, columns)
    assert found.shape == (len(values), columns, 2)
    for column, (first, last) in enumerate(itertools.pairwise(edges)):
        np.testing.assert_array_equal(found[:, column], extremes(values[:, first:last]), err_msg=f"{first} {last}")
    n = values.shape[1]
    low, high = (np.clip((t - pyramid.start) * RATE, 0, n) for t in (t0, t1))
    wanted = low + (high - low) * np.arange(columns + 1) / columns
    assert np.abs(edges - wanted).max() <= max(1.0, (high - low) / columns / 16)
    assert edges[-1] == n or t1 < pyramid.start + n / RATE
    assert edges[0] == 0 or t0 > pyramid.start


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 30_000),
    st.integers(1, 40),
    st.tuples(st.floats(0, 1), st.floats(0.001, 1)),
    st.booleans(),
    st.integers(0, 99),
)
def test_envelope(n, columns, span, built, seed):
    where, share = span
    values = noise(n, seed=seed)
    pyramid = Pyramid(make(values, start=3.0))
    if built:
        assert pyramid.build()
    seconds = n / RATE
    t0 = 3.0 + where * (1 - share) * seconds
    t1 = t0 + share * seconds
    if round((t0 - 3) * RATE) == round((min(t1, 3 + seconds) - 3) * RATE):
        return
    check_envelope(pyramid, values, t0, t1, columns)
    check_envelope(pyramid, values, -5.0, seconds + 9, columns)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 9_000),
    st.one_of(st.integers(1, 700), st.integers(1, 6).map(lambda k: k * BLOCK)),
    st.floats(0, 0.9),
    st.booleans(),
    st.integers(0, 99),
)
def test_decimated(n_samples, n, where, coarse, seed):
    values = noise(n_samples, seed=seed, coarse=coarse)
    pyramid = Pyramid(make(values, start=1.0))
    t0, t1 = 1.0 + where * n_samples / RATE, 1.0 + n_samples / RATE
    first = round((t0 - 1.0) * RATE)
    if first == n_samples:
        return
    found = pyramid.decimated(t0, t1, n)
    assert found.attrs["decimation"] == n
    assert found.attrs["sampling_rate_recorded"] == RATE
    if n == 1:
        np.testing.assert_array_equal(found.values, values[:, first:])
        return
    assert found.attrs["sampling_rate"] == 2 * RATE / n == found["time"].attrs["sampling_rate"]
    low = first // n
    assert float(found["time"][0]) == pytest.approx(1.0 + low * n / RATE)
    groups = range(low, -(-n_samples // n))
    assert found.sizes["time"] == 2 * len(groups)
    for i, group in enumerate(groups):
        for lead, row in enumerate(values):
            part = row[group * n : (group + 1) * n]
            pair = found.values[lead, 2 * i : 2 * i + 2]
            if np.isnan(part).all():
                assert np.isnan(pair).all()
                continue
            order = sorted([(np.nanargmin(part), 0), (np.nanargmax(part), 1)])
            wanted = [part[at] for at, _ in order]
            assert pair.tolist() == wanted


def test_pieces_are_read_once_and_bounded():
    reads = []
    values = noise(20_000)
    pyramid = Pyramid(make(values, reads=reads))
    pyramid.envelope(20, 60, 4)
    early = pyramid.read
    assert 0 < early < 1
    seen = []
    assert pyramid.build(progress=seen.append)
    assert seen == sorted(seen)
    assert seen[0] > early
    assert seen[-1] == pyramid.read == 1.0
    assert sum(last - first for first, last in reads) == 20_000
    assert max(last - first for first, last in reads) <= module._PIECE
    pyramid.envelope(0, 80, 16)
    pyramid.decimated(0, 80, 2 * BLOCK)
    assert sum(last - first for first, last in reads) == 20_000
    pyramid.envelope(10, 11, 100)  # finer than blocks: that second alone
    assert reads[-1][1] - reads[-1][0] <= 250


def test_what_is_not_read_yet_is_a_gap():
    values = noise(20_000, gaps=False)
    pyramid = Pyramid(make(values))
    assert np.isnan(pyramid.envelope(0, 80, 16, wait=False)).all()
    pyramid.envelope(0, 8.2, 2)
    part = pyramid.envelope(0, 80, 16, wait=False)
    assert np.isfinite(part[:, 0]).all()
    assert np.isnan(part[:, -1]).all()
    assert pyramid.read < 0.5


def test_stops_between_pieces():
    reads, stop = [], threading.Event()
    pyramid = Pyramid(make(noise(20_000), reads=reads))
    stop.set()
    assert not pyramid.build(stop)
    assert not reads
    stop.clear()
    assert not pyramid.build(stop, lambda _share: stop.set())
    assert len(reads) == 1
    assert 0 < pyramid.read < 1
    assert pyramid.build()


def test_threads_share_the_work():
    reads = []
    values = noise(60_000)
    pyramid = Pyramid(make(values, reads=reads))
    wrong = []

    def ask(seed):
        rng = np.random.default_rng(seed)
        for _ in range(5):
            t0 = float(rng.uniform(0, 100))
            edges = pyramid.edges(t0, t0 + 100, 9)
            found = pyramid.envelope(t0, t0 + 100, 9)
            wanted = np.stack([extremes(values[:, a:b]) for a, b in itertools.pairwise(edges)], axis=1)
            if not np.array_equal(found, wanted, equal_nan=True):
                wrong.append(t0)

    threads = [threading.Thread(target=ask, args=(i,)) for i in range(5)] + [threading.Thread(target=pyramid.build)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert pyramid.read == 1
    assert sum(last - first for first, last in reads) == 60_000


def test_memory_of_a_day():
    empty = LazyArray((3, 21_600_000), np.float32, lambda outer, a, b: np.zeros((3, b - a)), 1 << 20)
    from ecg_widget.time_axis import sample_times

    signal = xr.DataArray(lazy_variable(("lead", "time"), empty), coords=sample_times(21_600_000, RATE))
    assert Pyramid(signal).nbytes < 5_000_000
    with pytest.raises(ValueError, match="expected the coordinate time"):
        Pyramid(xr.DataArray(np.zeros((1, 5), np.float32), dims=("lead", "time")))
    with pytest.raises(ValueError, match=r"use .isel\(record=0\)"):
        Pyramid(signal.expand_dims("record"))


def test_bad_spans():
    pyramid = Pyramid(make(noise(1000)))
    for t0, t1 in ((2.0, 2.0), (3.0, 1.0), (9.0, 12.0), (-3.0, -1.0), (float("nan"), 1.0)):
        with pytest.raises(ValueError, match="span: expected"):
            pyramid.envelope(t0, t1, 10)
    with pytest.raises(ValueError, match="columns: expected at least 1"):
        pyramid.envelope(0, 1, 0)
    with pytest.raises(ValueError, match="n: expected at least 1"):
        pyramid.decimated(0, 1, 0)
