"""What layers put out is written once, where it stays; precision and storage are options whose error is known."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch
from torch import nn

import ecg_widget as ecg
from ecg_widget.activations import _owned
from ecg_widget.extraction import Extraction, Staging, Travel, window_parts
from ecg_widget.networks import ECGNetwork, InputSpec, ResNet1d

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def net():
    return ecg.load_network()


@pytest.fixture(scope="module")
def ds():
    return ecg.simulate(5, seed=0, duration=6)


@pytest.fixture(scope="module")
def acts(net, ds):
    return ecg.activations(net, ds, "all")


def largest_error(a, b):
    return max(float(np.abs(a[k].values.astype(np.float32) - b[k].values).max() / np.abs(b[k].values).max()) for k in b)


def test_each_batch_is_written_in_place(net, ds, acts, monkeypatch):
    """The array that is returned is the one that the batches were written to, taken once."""
    made = []

    class Watched(Extraction):
        def __init__(self, *args):
            super().__init__(*args)
            made.append(self)

        def write(self, *given):
            before = {k: v.ctypes.data for k, v in self.arrays.items()}
            super().write(*given)
            assert all(self.arrays[k].ctypes.data == at for k, at in before.items())

    monkeypatch.setattr(sys.modules["ecg_widget.activations"], "Extraction", Watched)  # the name is the function's too
    found = ecg.activations(net, ds, "all", batch_size=2)
    (kept,) = made
    for name, layer in found.items():
        assert np.shares_memory(layer.values, kept.arrays[name])
        assert layer.values.flags.c_contiguous
        np.testing.assert_allclose(layer.values, acts[name].values, atol=1e-5)
    assert np.shares_memory(found.output.values, kept.output)


@pytest.mark.parametrize("hop", [300, 200, 170])
def test_windows(ds, hop):
    torch.manual_seed(0)
    net = ECGNetwork(ResNet1d(12, 2), InputSpec(n_samples=300, hop=hop), ["a", "b"])
    found = ecg.activations(net, ds, "all", batch_size=4)
    x = net.prepare(ds).x
    starts = net.spec.window_starts(x.shape[2])
    for name, layer in found.items():
        seen = []
        handle = dict(net.module.named_modules())[name].register_forward_hook(lambda _m, _i, out, s=seen: s.append(out))
        with torch.inference_mode():
            for start in starts:
                net.module.eval()(x[..., start : start + 300])
        handle.remove()
        every = torch.cat(seen, dim=2).transpose(1, 2).numpy()
        field = ecg.receptive_field(net, name, ds)
        kept, centres = _owned(field.centres(seen[0].shape[2]), starts, 300)
        assert (np.diff(layer["centre"].values) > 0).all()
        np.testing.assert_allclose(layer["centre"].values, centres / 100)
        np.testing.assert_allclose(layer.values, every[:, kept], atol=1e-5)


def test_window_parts():
    rng = np.random.default_rng(0)
    for _ in range(50):
        n_cells, n_windows = int(rng.integers(1, 9)), int(rng.integers(1, 5))
        kept = np.flatnonzero(rng.random(n_cells * n_windows) < 0.7)
        rebuilt = np.full(len(kept), -1)
        for window, first, last, at in window_parts(kept, n_cells):
            assert 0 <= first < last <= n_cells
            rebuilt[at : at + last - first] = window * n_cells + np.arange(first, last)
        np.testing.assert_array_equal(rebuilt, kept)


def test_float16_storage(net, ds, acts):
    half = ecg.activations(net, ds, "all", dtype="float16")
    for name, layer in half.items():
        assert layer.dtype == np.float16
        assert layer.nbytes * 2 == acts[name].nbytes
        exact = acts[name].values
        error = np.abs(layer.values.astype(np.float32) - exact).max() / np.abs(exact).max()
        assert layer.attrs["rounding_error"] == pytest.approx(error, rel=1e-3)
        assert 0 < error <= 2**-11
        assert acts[name].attrs["rounding_error"] == 0
    np.testing.assert_array_equal(half.output, acts.output)


def test_what_takes_activations_takes_float16(net, ds, acts):
    half = ecg.activations(net, ds, "all", dtype="float16")
    one, two = ecg.embed(acts), ecg.embed(half)
    assert two.dtype == np.float32
    assert np.abs(one.values - two.values).max() < 0.01
    for normalization in ("l2", "zscore", None):
        tc = ecg.TimeClusters(4, random_state=0, normalization=normalization).fit(acts)
        a, b = tc.predict(acts), tc.predict(half)
        assert (a["cluster"].values == b["cluster"].values).mean() > 0.995
    seg = ecg.TimeClusters(4, random_state=0).fit_predict(half)
    for method in ("auto", "exact", "ig", "shapley"):
        got, wanted = (ecg.contributions(net, x, seg, method) for x in (half, acts))
        assert got.attrs["approach"] == wanted.attrs["approach"]
        assert got.attrs["completeness_error"] < 2e-3
        np.testing.assert_allclose(got, wanted, atol=5e-3 * float(np.abs(wanted).max()))


def test_a_head_of_another_form_is_not_taken_for_an_exact_one():
    """The wider tolerance of rounded activations does not let a ReLU behind the layer pass."""
    torch.manual_seed(0)
    body = nn.Sequential(nn.Conv1d(12, 16, 9, stride=4, padding=4), nn.ReLU())
    head = nn.Sequential(nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 2))
    network = nn.Sequential(body, *head)
    for options in ({"dtype": "float16"}, {"precision": "bfloat16"}):
        found = ecg.activations(network, ecg.simulate(3, seed=1), ["0"], **options)
        seg = ecg.TimeClusters(3, random_state=0).fit_predict(found)
        assert ecg.contributions(network, found, seg).attrs["approach"] == "ig"


@pytest.mark.parametrize(("precision", "limit"), [("bfloat16", 0.02), ("float16", 0.003)])
def test_precision(net, ds, acts, precision, limit):
    found = ecg.activations(net, ds, "all", precision=precision)
    assert all(layer.dtype == np.float32 for layer in found.values())
    assert all(layer.attrs["precision"] == precision for layer in found.values())
    assert 0 < largest_error(found, acts) < limit
    assert found.output.dtype == np.float32
    seg = ecg.TimeClusters(4, random_state=0).fit_predict(found)
    con = ecg.contributions(net, found, seg)
    assert con.attrs["approach"] == "exact"
    assert con.attrs["completeness_error"] < limit


def test_bad_options(net, ds):
    with pytest.raises(ValueError, match="precision: expected 'float32', 'bfloat16' or 'float16', got 'int8'"):
        ecg.activations(net, ds, precision="int8")
    with pytest.raises(ValueError, match="dtype: expected 'float32' or 'float16', got 'float64'"):
        ecg.activations(net, ds, dtype="float64")


def test_what_float16_cannot_hold_is_refused(ds):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv1d(12, 4, 5, stride=2), nn.AdaptiveAvgPool1d(1), nn.Flatten())
    with torch.no_grad():
        net[0].weight *= 1e7
    assert np.isfinite(ecg.activations(net, ds, ["0"])["0"].values).all()
    with pytest.raises(ValueError, match=r"dtype: expected activations up to 65504 for float16, got .* in '0'"):
        ecg.activations(net, ds, ["0"], dtype="float16")


def test_staging_brings_every_batch_to_its_place():
    """The order of a GPU's copies, on a CPU: a batch arrives after the next one was sent, the last one at the end."""
    staging = Staging(CPU)
    rng = torch.Generator().manual_seed(0)
    sent = [torch.randn((n, 7, 3), generator=rng) for n in (4, 4, 4, 2)]
    out = torch.full((14, 7, 3), torch.nan)
    row = 0
    for i, values in enumerate(sent):
        staging.put("layer", values.transpose(1, 2).contiguous().transpose(1, 2), out[row : row + len(values)])
        staging.put("other", values[:, :1], torch.empty((len(values), 1, 3), dtype=torch.float16))
        staging.next_batch()
        row += len(values)
        assert torch.isfinite(out[: max(0, 4 * i)]).all()
        assert torch.isnan(out[4 * i :]).all()
    staging.finish()
    torch.testing.assert_close(out, torch.cat(sent), rtol=0, atol=0)


def test_extraction_through_staging(net, ds, acts):
    """As on a GPU, but for the device."""
    kept = Extraction(len(ds.record), list(acts), "float16", CPU)
    kept._staging = Staging(CPU)
    from ecg_widget.layouts import capture

    travel = Travel(net, CPU)
    row = 0
    with (
        torch.inference_mode(),
        capture(net.module, list(acts), into=lambda name, cells: kept.write(row, name, cells)),
    ):
        for row in range(0, len(ds.record), 2):
            kept.end_batch(row, net(travel(net.prepare(ds.isel(record=slice(row, row + 2))).x)))
        kept.finish()
    for name, layer in acts.items():
        np.testing.assert_allclose(kept.arrays[name], layer.values, atol=5e-4 * float(np.abs(layer).max()))
    np.testing.assert_allclose(kept.output, acts.output, atol=1e-5)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_gpu(net, ds, acts):
    for options in ({}, {"dtype": "float16"}):
        found = ecg.activations(net, ds, "all", batch_size=2, device="cuda", **options)
        assert largest_error(found, acts) < 2e-3
