"""Long recordings: seen in windows, read in parts, explored in bounded memory."""

import numpy as np
import pytest
import torch
import traitlets
import xarray as xr

import ecg_widget as ecg
from ecg_widget import captured, waveforms
from ecg_widget import explorer as explorers
from ecg_widget.clusters import embed
from ecg_widget.networks import ECGNetwork, InputSpec, ResNet1d
from ecg_widget.windows import Piece, Windows, cut


@pytest.fixture(scope="module")
def net():
    return ecg.load_network()


def recording(seconds, *, n_records=1, rate=100, seed=0):
    """Beats without end, each window of 10 s other than the next."""
    short = ecg.simulate(n_records, seed=seed, duration=seconds, sampling_rate=rate)
    return short[["signal"]].assign_attrs(short.attrs)


@pytest.fixture(scope="module")
def long():
    return recording(245)


@pytest.fixture(scope="module")
def explorer(net, long):
    return ecg.Explorer(net, long)


def test_what_is_cut(net, long):
    assert not cut(net, recording(60)).long
    windows = cut(net, long)
    assert (windows.count, windows.seconds, windows.end) == (25, 10.0, 245.0)
    fixed = ECGNetwork(ResNet1d(12, 2), InputSpec(n_samples=500, sampling_rate=250), ["a", "b"])
    assert cut(fixed, long).seconds == 2.0, "as long as the network's input"
    hopping = ECGNetwork(ResNet1d(12, 2), InputSpec(n_samples=300, hop=100), ["a", "b"])
    assert cut(hopping, long).seconds == 10.0, "a network that reads windows by itself gets enough of them"


def test_pieces_are_the_recording(long):
    windows = Windows(long, 1000)
    pieces = windows.every()
    taken = windows.take(pieces)
    whole = taken["signal"].values.transpose(1, 0, 2).reshape(12, -1)
    np.testing.assert_array_equal(whole[:, : long.sizes["time"]], long["signal"].values[0])
    assert np.isnan(whole[:, long.sizes["time"] :]).all(), "a gap behind the end"
    assert taken["record"].values[3] == f"{long['record'].values[0]} 30 s"
    ecg.validate_ecg(taken)


@pytest.mark.parametrize(
    ("span", "whole"),
    [
        ((12, 31), (10, 40)),
        ((-5, 5), (0, 10)),
        ((240, 900), (240, 245)),
        ((10, 20), (10, 20)),
        ((300, 400), (240, 245)),
        ((), (0, 30)),
    ],
)
def test_spans_are_whole_windows(long, span, whole):
    assert Windows(long, 1000).span(span) == whole
    assert Windows(long, None).span(span) is None


@pytest.mark.parametrize("span", [(5, 5), (9, 2), (float("nan"), 3), (0, float("inf")), (1,), (1, 2, 3)])
def test_what_is_no_span(long, span):
    with pytest.raises(ValueError, match="span: expected a beginning before an end, in s"):
        Windows(long, 1000).span(span)


def test_a_span_is_what_the_network_says_of_its_windows(net, long, explorer):
    record, names = str(long["record"].values[0]), explorer.default_layers
    result = explorer.result(record, names, 10, span=(100, 130))
    fit = explorer.fit(names, 10)
    ds = Windows(long, 1000).take([Piece(0, 10), Piece(0, 11), Piece(0, 12)])
    acts = ecg.activations(net, ds)
    seg = fit.clusters.predict(embed(acts))
    np.testing.assert_array_equal(result["cluster"], seg["cluster"].values.ravel())
    np.testing.assert_allclose(result["entropy"], seg["entropy"].values.ravel(), atol=1e-5)
    np.testing.assert_allclose(result["proportion"], seg["proportion"].mean("record"), atol=1e-6)
    con = ecg.contributions(net, acts, seg)
    np.testing.assert_allclose(result["contribution"], con.mean("record"), atol=1e-5)
    total = result["contribution"].sum("cluster") + result["contribution_masked"] + result["intercept"]
    np.testing.assert_allclose(total, result["logit"], atol=1e-4)
    assert result.attrs["windows"] == 3
    centre = result["centre"].values
    assert 100 <= centre[0] < 100.02
    np.testing.assert_allclose(np.diff(centre), 0.02, atol=1e-9)
    assert centre[-1] < 130


def test_what_is_shown_does_not_depend_on_the_way(net, long, explorer):
    record, names = str(long["record"].values[0]), explorer.default_layers
    for span in ((0, 30), (110, 130), (100, 120)):
        explorer.result(record, names, 12, span=span)
    fresh = ecg.Explorer(net, long)
    a, b = (e.result(record, names, 12, span=(100, 130)) for e in (explorer, fresh))
    assert (a["cluster"].values == b["cluster"].values).mean() > 0.999  # a batch of other size rounds otherwise
    np.testing.assert_array_equal(a["density"], b["density"])


def test_density_is_the_share_of_clusters_in_time(long, explorer):
    record, names = str(long["record"].values[0]), explorer.default_layers
    result = explorer.result(record, names, 6)
    seg = explorer.segmentation(names, 6)
    assert seg.sizes["record"] == 25
    np.testing.assert_allclose(result["density"] / 255, seg["proportion"], atol=1 / 255)
    np.testing.assert_allclose(result["density_centre"], 10 * np.arange(25) + 5)
    assert result.attrs["density_windows"] == [25, 25]


def test_more_windows_than_clusters_need(monkeypatch, net, long):
    monkeypatch.setattr(captured, "LONG_PIECES", 7)
    monkeypatch.setattr(explorers, "LONG_PIECES", 7)
    few = ecg.Explorer(net, long)
    record, names = str(long["record"].values[0]), few.default_layers
    assert few.embedding(names).sizes["record"] == 7
    result = few.result(record, names, 5, span=(200, 245))
    assert result.attrs["density_windows"] == [7, 25]
    assert np.all(np.diff(result["density_centre"]) > 20), "evenly over all of it"
    assert not result["valid"].values[result["centre"].values >= 245].any()
    assert few.segmentation(names, 5).sizes["record"] == 25


def test_a_span_of_many_minutes_has_no_cells(monkeypatch, long, explorer):
    monkeypatch.setattr(explorers, "SEGMENTS_S", 50.0)
    record, names = str(long["record"].values[0]), explorer.default_layers
    result = explorer.result(record, names, 10, span=(0, 60))
    assert result.sizes["cell"] == 0
    assert result["density"].shape == (25, 10)
    assert np.isnan(result["prediction"]).all()
    assert result.attrs["contribution_note"].startswith("Zoom in")


def test_stored_activations_of_a_long_recording(net, long):
    windows = Windows(long, 1000)
    acts = ecg.activations(net, windows.take(windows.every()), ["blocks.3"])["blocks.3"]
    n = int(acts.sizes["cell"])
    keep = [i for i in range(n) if 0 <= float(acts["centre"][i]) < 10]
    values = acts.values[:, keep].reshape(1, 25 * len(keep), -1)
    centre = (10 * np.arange(25)[:, None] + acts["centre"].values[keep]).ravel()
    stored = ecg.activations_from_arrays({"blocks.3": values}, long, centre={"blocks.3": centre})
    explorer = ecg.Explorer(stored, long)
    record = str(long["record"].values[0])
    result = explorer.result(record, ["blocks.3"], 5, span=(100, 130))
    inside = (centre >= 100) & (centre < 130)
    np.testing.assert_allclose(result["centre"], centre[inside])
    whole = explorer.segmentation(["blocks.3"], 5)
    np.testing.assert_array_equal(result["cluster"], whole["cluster"].values[0, inside])
    share = [(whole["cluster"].values[0, (centre >= 10 * w) & (centre < 10 * w + 10)] == 2).mean() for w in range(24)]
    np.testing.assert_allclose(result["density"][:24, 2] / 255, share, atol=1 / 255)


def test_memory_is_bounded(net):
    ds = recording(5, n_records=12)
    limit = 2_000_000
    explorer = ecg.Explorer(net, ds, cache_bytes=limit)
    for layers in (["blocks.0"], ["blocks.3"], explorer.default_layers):
        for record in ds["record"].values[::5]:
            explorer.result(str(record), layers, 10, draft=True)
        assert explorer.cache_used <= max(limit, explorer.embedding(layers).nbytes + limit // 2)


def test_more_records_than_there_is_room_for(monkeypatch, net):
    """Clusters come from some of them; every record can be looked at all the same."""
    ds = recording(10, n_records=12)
    monkeypatch.setattr(captured, "LEAST_PIECES", 4)
    explorer = ecg.Explorer(net, ds, cache_bytes=1_000_000)
    names = explorer.default_layers
    assert explorer.embedding(names).sizes["record"] == 4
    fit = explorer.fit(names, 6)
    for row in (0, 5, 11):
        result = explorer.result(str(ds["record"].values[row]), names, 6)
        want = fit.clusters.predict(ecg.activations(net, ds.isel(record=[row])))
        assert (result["cluster"].values == want["cluster"].values[0]).mean() > 0.999
    assert explorer.segmentation(names, 6)["cluster"].shape == (12, 500)


def test_the_page_is_sent_the_span(net, long):
    w = ecg.explore(net, long)
    assert w.span == [0, 30]
    assert w.waveform.sizes["time"] == 3000
    w.span = [95, 131]
    assert w.span == [90, 140]
    assert w.result.attrs["span"] == [90.0, 140.0]
    assert w.result.sizes["cell"] == 2500
    scale = np.array(w.waveform["signal"].attrs["scale"])[:, None]
    want = long["signal"].sel(time=slice(90, 139.999)).values[0]
    np.testing.assert_allclose(w.waveform["signal"].values * scale, want, atol=1e-4)
    assert float(w.waveform["time"][0]) == pytest.approx(90)
    with pytest.raises(traitlets.TraitError, match="span: expected a beginning before an end"):
        w.span = [5, 1]
    assert w.error == ""
    w.close()


def test_no_peak_is_lost_when_the_span_is_decimated(monkeypatch, net, long):
    monkeypatch.setattr(waveforms, "MAX_SAMPLES", 2000)
    monkeypatch.setattr(waveforms, "COLUMNS", 500)
    explorer = ecg.Explorer(net, long)
    sent = waveforms.waveform(explorer, str(long["record"].values[0]), (0, 240))
    assert sent.attrs["decimation"] == 48
    assert sent.attrs["sampling_rate"] == pytest.approx(2 * 100 / 48)
    assert sent.attrs["sampling_rate_recorded"] == 100
    back = sent["signal"].values * np.array(sent["signal"].attrs["scale"])[:, None]
    want = long["signal"].values[0, :, :24000].reshape(12, 500, 48)
    np.testing.assert_allclose(back.reshape(12, 500, 2).max(2), want.max(2), atol=1e-4)
    np.testing.assert_allclose(back.reshape(12, 500, 2).min(2), want.min(2), atol=1e-4)


def test_overview_fills_as_the_recording_is_read(net, long):
    explorer = ecg.Explorer(net, long)
    record = str(long["record"].values[0])
    assert waveforms.overview(explorer, record).attrs["read"] == 0
    explorer.pyramid(record).build()
    full = waveforms.overview(explorer, record)
    assert full.attrs["read"] == 1
    assert full["envelope"].dims == ("lead", "column", "bound")
    highest = full["envelope"].values[1, :, 1].max() * full["envelope"].attrs["scale"][1]
    assert highest == pytest.approx(float(long["signal"].values[0, 1].max()), abs=1e-3)
    assert waveforms.overview(ecg.Explorer(net, recording(10)), "0000-NORM") is None


def test_networks_of_a_fixed_length_see_long_recordings(long):
    torch.manual_seed(0)

    class Flat(torch.nn.Module):
        """Reads exactly 5 s, as a flattening head does."""

        def __init__(self):
            super().__init__()
            self.blocks = torch.nn.ModuleList([torch.nn.Conv1d(12, 8, 5, 5), torch.nn.Conv1d(8, 8, 5, 5)])
            self.head = torch.nn.Linear(8 * 20, 2)

        def forward(self, x):
            for block in self.blocks:
                x = block(x).relu()
            return self.head(x.flatten(1))

    net = ECGNetwork(Flat(), InputSpec(n_samples=500), ["a", "b"])
    explorer = ecg.Explorer(net, long)
    result = explorer.result(str(long["record"].values[0]), ["blocks.1"], 4, span=(20, 40))
    assert result.attrs["windows"] == 4
    assert np.isfinite(result["logit"]).all()
    assert isinstance(result, xr.Dataset)


def test_half_the_memory_gives_nearly_the_same_segments(net):
    ds = recording(10, n_records=3)
    whole, half = (ecg.Explorer(net, ds, store=store) for store in ("float32", "float16"))
    names = whole.default_layers
    a, b = (e.result("0000-NORM", names, 10) for e in (whole, half))
    slots = [r["slot"].values[r["cluster"].values] for r in (a, b)]
    assert (slots[0] == slots[1]).mean() > 0.98
    np.testing.assert_allclose(a["prediction"], b["prediction"], atol=2e-3)
    sizes = [e._captured.activations(e._captured.sample, names)["blocks.3"].nbytes for e in (whole, half)]
    assert sizes[0] == 2 * sizes[1]
    with pytest.raises(ValueError, match="store: expected 'float32' or 'float16', got 'int8'"):
        ecg.Explorer(net, ds, store="int8")
