"""Networks that somebody brings: any blocks, any layout, windows, encoders, and arrays without a network."""

import numpy as np
import pytest
import torch
import xarray as xr
from published_networks import plaincnn7, smallresnet
from torch import nn

import ecg_widget as ecg
from ecg_widget import receptive_fields as fields
from ecg_widget.activations import Activations
from ecg_widget.architectures import ResNet1d, RibeiroResNet, build, resnet1d_wang, xresnet1d101
from ecg_widget.explorer import Explorer
from ecg_widget.layers import choose_layers, in_network_order, list_layers
from ecg_widget.layouts import Layout
from ecg_widget.networks import ECGNetwork, InputSpec, as_network
from ecg_widget.receptive_fields import probe

PATCH, WIDTH = 20, 24


class Transformer(nn.Module):
    """Patches, class tokens before and behind, learned positions for one length or none, blocks of either layout."""

    def __init__(self, *, before=1, after=0, cells=None, batch_first=True, norm_first=True, channels_first=False):
        super().__init__()
        self.patches = nn.Conv1d(12, WIDTH, PATCH, stride=PATCH)
        self.before = nn.Parameter(torch.randn(1, before, WIDTH))
        self.after = nn.Parameter(torch.randn(1, after, WIDTH))
        self.position = None if cells is None else nn.Parameter(torch.randn(1, cells + before + after, WIDTH) * 0.1)
        self.batch_first, self.channels_first = batch_first, channels_first
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(WIDTH, 4, 48, dropout=0.1, batch_first=batch_first, norm_first=norm_first)
            for _ in range(3)
        )
        self.turned = nn.Identity()
        self.head = nn.Linear(WIDTH, 2)

    def forward(self, x):
        x = self.patches(x).transpose(1, 2)
        x = torch.cat([self.before.expand(len(x), -1, -1), x, self.after.expand(len(x), -1, -1)], dim=1)
        if self.position is not None:
            x = x + self.position
        x = x if self.batch_first else x.transpose(0, 1)
        for block in self.blocks:
            x = block(x)
        x = x if self.batch_first else x.transpose(0, 1)
        if self.channels_first:
            return self.head(self.turned(x.transpose(1, 2)).mean(2))
        return self.head(x[:, 0])


@pytest.fixture(scope="module")
def ds():
    """At 100 Hz, since bare modules read a recording as it stands."""
    return ecg.resample(ecg.simulate(3, seed=0), 100)


def seeded(make, seed=0):
    torch.manual_seed(seed)
    return make().eval()


# ---- Layouts


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize(
    ("settings", "layout"),
    [
        ({}, (0, 1, 1, 0)),
        ({"before": 0}, (0, 1, 0, 0)),
        ({"before": 2, "after": 1}, (0, 1, 2, 1)),
        ({"cells": 50}, (0, 1, 1, 0)),
        ({"cells": 50, "before": 0, "norm_first": False}, (0, 1, 0, 0)),
        ({"batch_first": False}, (1, 0, 1, 0)),
        ({"batch_first": False, "cells": 50, "before": 4}, (1, 0, 4, 0)),
    ],
)
def test_tokens_before_channels(settings, layout, seed):
    net = seeded(lambda: Transformer(**settings), seed)
    for found in probe(net, [f"blocks.{i}" for i in range(3)], 12, 1000).values():
        got = found.layout
        assert (got.record, got.cell, got.before, got.after) == layout
        assert found.field.stride == PATCH
        assert found.field.offset == pytest.approx((PATCH - 1) / 2, abs=1)


@pytest.mark.parametrize("cells", [None, 50])
def test_channels_before_tokens_with_a_class_token(cells):
    net = seeded(lambda: Transformer(cells=cells, channels_first=True))
    found = probe(net, ["turned"], 12, 1000)["turned"]
    assert (found.layout.cell, found.layout.before, found.layout.after) == (2, 1, 0)
    assert found.field.offset == pytest.approx((PATCH - 1) / 2, abs=1)


def test_cells_of_a_transformer_are_its_tokens(ds):
    net = seeded(Transformer)
    acts = ecg.activations(net, ds)
    assert list(acts) == ["blocks.0", "blocks.1", "blocks.2"]
    seen = []
    handle = net.blocks[2].register_forward_hook(lambda _m, _i, out: seen.append(out))
    with torch.inference_mode():
        net(torch.as_tensor(ds["signal"].values))
    handle.remove()
    np.testing.assert_allclose(acts["blocks.2"].values, seen[0][:, 1:].numpy(), atol=1e-5)
    np.testing.assert_allclose(acts["blocks.2"]["centre"], (np.arange(50) * PATCH + 9.5) / 100, atol=0.011)
    assert bool(acts["blocks.2"]["valid"].all())


def test_a_square_output_is_told_by_the_record_length():
    """As many channels as cells: the shape of one output tells nothing."""
    net = nn.Sequential(nn.Conv1d(12, 25, 40, stride=40), nn.GELU())
    assert probe(net, ["1"], 12, 1000)["1"].layout.cell == 2
    turned = seeded(lambda: Transformer(cells=WIDTH, before=0))
    assert probe(turned, ["blocks.1"], 12, WIDTH * PATCH)["blocks.1"].layout.cell == 1


def test_a_layer_that_does_not_show_its_time_axis_is_refused_unless_stated():
    class Mixed(nn.Module):
        def __init__(self):
            super().__init__()
            self.mix = nn.Linear(1000, 8 * 10)
            self.out = nn.Identity()

        def forward(self, x):
            return self.out(self.mix(x.mean(1)).reshape(-1, 8, 10)).mean(2)

    net = seeded(Mixed)
    with pytest.raises(
        ValueError, match=r"layer 'out': expected one axis of its output .* to be time, got .*cell_axis"
    ):
        probe(net, ["out"], 12, 1000)
    assert probe(net, ["out"], 12, 1000, cell_axis={"out": 1})["out"].layout.cell == 1
    with pytest.raises(ValueError, match=r"cell_axis: expected one of \[1, 2\], got 0"):
        probe(net, ["out"], 12, 1000, cell_axis={"out": 0})


def test_attention_maps_have_two_axes_of_time():
    class Maps(nn.Module):
        def __init__(self):
            super().__init__()
            self.map = nn.Identity()

        def forward(self, x):
            y = x[..., ::10]
            return self.map(y.transpose(1, 2) @ y).mean((1, 2))[:, None]

    with pytest.raises(ValueError, match="expected one axis of the output to follow the record's length, got two"):
        probe(Maps(), ["map"], 12, 400)


@pytest.mark.parametrize("layout", [Layout(), Layout(cell=1, before=1), Layout(1, 0, before=2, after=1)])
def test_what_is_written_is_read(layout):
    output = torch.randn(7, 8, 9)
    cells = torch.randn_like(layout.read(output))
    written = layout.write(output, cells)
    assert torch.equal(layout.read(written), cells)
    assert int((written != output).sum()) == cells.numel()


def test_probed_once_for_each_network_and_length(monkeypatch, ds):
    net, calls = ecg.load_network(), []
    real = fields._probe
    monkeypatch.setattr(fields, "_probe", lambda *a: calls.append(a[1]) or real(*a))
    for _ in range(3):
        ecg.activations(net, ds)
    first = len(calls)
    assert first >= 1
    ecg.activations(net, ds, ["blocks.1", "blocks.3"])
    assert len(calls) == first
    ecg.activations(net, ecg.simulate(1, duration=5))
    assert len(calls) > first


# ---- Which layers


@pytest.mark.parametrize(
    ("make", "names"),
    [
        (xresnet1d101, [f"stages.{i}" for i in range(4)]),
        (resnet1d_wang, [f"blocks.{i}" for i in range(3)]),
        (RibeiroResNet, [f"blocks.{i}" for i in range(5)]),
        (Transformer, [f"blocks.{i}" for i in range(3)]),
        (lambda: nn.Sequential(ResNet1d(12, 2)), [f"0.blocks.{i}" for i in range(4)]),
        (lambda: nn.Sequential(nn.Conv1d(12, 4, 3), nn.ReLU(), nn.Conv1d(4, 4, 3)), ["0", "2"]),
    ],
)
def test_listed_layers(make, names):
    assert list_layers(make()) == names


class MeanPool(nn.Module):
    """Many plain blocks in a list that never runs itself, mean over time, Linear."""

    def __init__(self):
        super().__init__()
        self.first = nn.Sequential(nn.Conv1d(12, 16, 15, padding=7), nn.BatchNorm1d(16))
        blocks = ResNet1d(16, 1, channels=[16] * 8, strides=[1, 2] * 4, stem_channels=16, stem_stride=1).blocks
        self.basicblock_list = nn.ModuleList(blocks)
        self.dense = nn.Linear(16, 3)

    def forward(self, x):
        x = self.first(x)
        for block in self.basicblock_list:
            x = block(x)
        return self.dense(x.mean(-1))


def test_a_list_of_blocks_that_never_runs_itself(ds):
    net = MeanPool()
    assert list_layers(net) == [f"basicblock_list.{i}" for i in range(8)]
    acts = ecg.activations(net, ds)
    assert list(acts) == [f"basicblock_list.{i}" for i in (5, 6, 7)]
    seg = ecg.TimeClusters(4, random_state=0).fit_predict(acts)
    con = ecg.contributions(net, acts, seg)
    assert con.attrs["completeness_error"] < 1e-5


def test_order_is_that_of_running_not_of_making():
    class Backwards(nn.Module):
        def __init__(self):
            super().__init__()
            self.last = nn.Conv1d(8, 4, 3)
            self.first = nn.Conv1d(12, 8, 3)

        def forward(self, x):
            return self.last(self.first(x)).mean(2)

    assert list_layers(Backwards()) == ["first", "last"]
    net = ecg.load_network()
    mixed = ["blocks", "blocks.2.conv1", "blocks.1", "blocks.2", "stem", "blocks.1"]
    assert in_network_order(net, mixed) == ["stem", "blocks.1", "blocks.2.conv1", "blocks.2", "blocks"]


def test_listing_leaves_the_network_as_it_was():
    net = MeanPool().train()
    net.first.eval()
    before = {k: v.clone() for k, v in net.state_dict().items()}
    list_layers(net)
    assert net.training
    assert not net.first.training
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())
    assert not any(m._forward_hooks for m in net.modules())


def test_presets_wherever_layers_are(ds):
    net = ecg.load_network()
    blocks = list_layers(net)
    for preset, want in {"last-three-blocks": blocks[-3:], "finest": blocks[:1], "all": blocks}.items():
        assert list(ecg.activations(net, ds, preset)) == want
        assert Explorer(net, ds, layers=preset).default_layers == want
        assert Explorer(net, ds).check_layers([preset]) == want
    assert choose_layers(net, ["finest", blocks[2]]) == [blocks[0], blocks[2]]
    strides = [a.attrs["stride"] for a in ecg.activations(net, ds, "all").values()]
    assert ecg.activations(net, ds, "finest")[blocks[0]].attrs["stride"] == min(strides)
    with pytest.raises(ValueError, match=r"last-three-blocks.*got 'deepest'"):
        choose_layers(net, "deepest")
    with pytest.raises(ValueError, match="got no layer"):
        choose_layers(net, [])


def test_nested_and_combined_choices_stand_in_network_order(ds):
    explorer = Explorer(ecg.load_network(), ds)
    assert explorer.offer(["blocks.3", "blocks.0"])
    assert explorer.offer(["blocks.2.conv1"])
    assert not explorer.offer(["blocks.0", "blocks.3"])
    with pytest.raises(ValueError, match="head"):
        explorer.offer(["head"])
    assert explorer.choices == [
        ["blocks.0"],
        ["blocks.1"],
        ["blocks.2.conv1"],
        ["blocks.2"],
        ["blocks.3"],
        ["blocks.0", "blocks.3"],
        ["blocks.1", "blocks.2", "blocks.3"],
    ]
    assert all(float(explorer.geometry(name)["width"][0]) > 0 for choice in explorer.choices for name in choice)
    result = explorer.result(str(ds["record"].values[0]), ["blocks.2.conv1"], 4)
    assert result.sizes["cluster"] == 4


# ---- Architectures


@pytest.mark.parametrize(
    ("make", "strides", "channels"),
    [(xresnet1d101, [4, 8, 16, 32], 256), (resnet1d_wang, [1, 2, 4], 128)],
)
def test_benchmark_networks(ds, make, strides, channels):
    net = seeded(make)
    layers = list_layers(net)
    found = probe(net, layers, 12, 1000)
    assert [f.field.stride for f in found.values()] == strides
    # Every cell i is centred on sample stride * i: half-pixel grids put the deepest of xresnet1d101 155 ms off.
    assert [f.field.offset for f in found.values()] == [0] * len(strides)
    acts = ecg.activations(net, ds, layers)
    assert {a.sizes["channel"] for a in acts.values()} == {channels}
    half = ecg.activations(net, ds, layers, grid="half-pixel")
    deepest = list(acts)[-1]
    assert float(half[deepest]["centre"][0]) == pytest.approx((strides[-1] - 1) / 2 / 100, abs=0.005)
    assert float(acts[deepest]["centre"][0]) == 0
    assert type(build(type(net).__name__, net.config)) is type(net)
    with torch.inference_mode():
        assert net(torch.zeros(1, 12, 250)).shape == (1, 5)


def test_half_pixel_of_ribeiro_is_off_by_a_p_wave():
    net = ECGNetwork(RibeiroResNet(), InputSpec(sampling_rate=400, n_samples=4096, units="1e-4V"), list("abcdef"))
    ds = ecg.simulate(1)
    true, half = (ecg.activations(net, ds, ["blocks.4"], grid=grid)["blocks.4"] for grid in ("true", "half-pixel"))
    np.testing.assert_allclose(half["centre"] - true["centre"], (127.5 - 85) / 400, atol=1e-9)


# ---- Windows


@pytest.mark.parametrize("hop", [300, 150, 130])
def test_windows_are_put_back_on_the_record(ds, hop):
    module = seeded(lambda: ResNet1d(12, 2))
    windowed = ECGNetwork(module, InputSpec(n_samples=300, hop=hop), ["a", "b"])
    acts = ecg.activations(windowed, ds)
    starts = windowed.spec.window_starts(1000)
    assert starts[-1] == 700
    for name, layer in acts.items():
        centre, values = layer["centre"].values, layer.values
        assert (np.diff(centre) > 0).all()
        assert np.diff(centre).max() < 2.01 * layer.attrs["stride"]
        assert centre[0] == 0
        assert centre[-1] == pytest.approx(9.99, abs=0.09)
        # Each window on its own, as a record of three seconds: the cells nearest to its middle are the ones kept.
        for start in starts:
            crop = ds.isel(time=slice(start, start + 300))
            crop = crop.assign_coords(time=("time", np.arange(300) / 100, ds["time"].attrs))
            alone = ecg.activations(ECGNetwork(module, InputSpec(), ["a", "b"]), crop, [name])[name]
            at = alone["centre"].values + start / 100
            middle = start / 100 + 1.495
            mine = np.flatnonzero(np.abs(at - middle) < min(np.diff(starts).min() / 200, 1.5) - 0.1)
            rows = np.searchsorted(centre, at[mine] - 1e-6)
            np.testing.assert_allclose(centre[rows], at[mine], atol=1e-9)
            np.testing.assert_allclose(values[:, rows], alone.values[:, mine], atol=1e-4)


def test_a_windowed_prediction_is_the_mean_over_windows(ds):
    module = seeded(lambda: ResNet1d(12, 2))
    net = ECGNetwork(module, InputSpec(n_samples=300, hop=350 - 50), ["a", "b"])
    x = torch.as_tensor(ds["signal"].values)
    with torch.inference_mode():
        want = torch.stack([module(x[..., s : s + 300]) for s in (0, 300, 600, 700)]).mean(0)
    np.testing.assert_allclose(ecg.predict(net, ds), want, atol=1e-5)
    np.testing.assert_allclose(ecg.activations(net, ds, batch_size=2).output, want, atol=1e-5)


def test_a_record_of_one_window_is_read_as_ever():
    net = ECGNetwork(seeded(lambda: ResNet1d(12, 2)), InputSpec(n_samples=300, hop=100), ["a", "b"])
    plain = ECGNetwork(net.module, InputSpec(n_samples=300), ["a", "b"])
    for seconds in (2, 3):
        short = ecg.simulate(1, duration=seconds)
        np.testing.assert_array_equal(ecg.predict(net, short), ecg.predict(plain, short))
    assert "hop" not in plain.spec.to_dict()
    assert InputSpec(**net.spec.to_dict()) == net.spec
    for wrong in ({"hop": 10}, {"n_samples": 100, "hop": 0}, {"n_samples": 100, "hop": 101}):
        with pytest.raises(ValueError, match="hop: expected"):
            InputSpec(**wrong)


# ---- Encoders and arrays


def test_an_encoder_without_a_head(ds):
    encoder = ResNet1d(12, 2).blocks
    encoder = nn.Sequential(nn.Conv1d(12, 48, 5, stride=2, padding=2), encoder)
    assert as_network(encoder, ds).targets == ()
    acts = ecg.activations(encoder, ds)
    assert acts.output.shape == (3, 0)
    assert list(acts) == ["1.1", "1.2", "1.3"]
    result = Explorer(encoder, ds).result(str(ds["record"].values[0]), list(acts), 5)
    assert result.sizes["target"] == 0
    assert "contribution" not in result
    assert "no network" in result.attrs["contribution_note"]
    w = ecg.explore(encoder, ds, n_clusters=4)
    assert (w.error, w.target, w.choices["targets"]) == ("", "", [])
    assert w.result.sizes["cluster"] == 4
    w.close()


@pytest.fixture
def exported(ds):
    """What somebody saved of a network that is gone."""
    acts = ecg.activations(ecg.load_network(), ds)
    return {name: a.values for name, a in acts.items()}, acts


def test_arrays_serve_like_activations(ds, exported):
    arrays, acts = exported
    stride = {name: a.attrs["stride"] for name, a in acts.items()}
    stored = ecg.activations_from_arrays(arrays, ds, stride=stride, offset=0.0)
    turned = ecg.activations_from_arrays(
        {name: a.swapaxes(1, 2) for name, a in arrays.items()},
        ds,
        centre={name: a["centre"].values for name, a in acts.items()},
        cell_axis=2,
    )
    for other in (stored, turned):
        for name, a in acts.items():
            np.testing.assert_array_equal(other[name].values, a.values)
            np.testing.assert_allclose(other[name]["centre"], a["centre"], atol=1e-9)
            np.testing.assert_array_equal(other[name]["valid"], a["valid"])
    tc = ecg.TimeClusters(5, random_state=0)
    np.testing.assert_array_equal(tc.fit_predict(stored)["cluster"], tc.fit_predict(acts)["cluster"])


def test_explore_without_a_network(ds, exported):
    arrays, acts = exported
    stored = ecg.activations_from_arrays(
        arrays, ds, stride={n: a.attrs["stride"] for n, a in acts.items()}, offset=0.0, name="my TensorFlow model"
    )
    w = ecg.explore(ecg=ds, activations=stored, n_clusters=5)
    assert (w.error, w.target, w.choices["targets"]) == ("", "", [])
    assert w.result.attrs["network"] == "my TensorFlow model"
    assert "contribution" not in w.result
    assert w.result.sizes == {**w.result.sizes, "target": 0, "cluster": 5}
    w.layers = ["finest"]
    assert w.layers == [next(iter(arrays))]
    w.n_clusters = 7
    assert (w.error, w.result.sizes["cluster"]) == ("", 7)
    w.close()
    for call in ({"activations": stored}, {"net": ecg.load_network(), "activations": stored, "ecg": ds}, {"ecg": ds}):
        with pytest.raises(TypeError, match="expected a network or activations"):
            ecg.explore(**call)
    with pytest.raises(ValueError, match="expected those of the records of ds"):
        Explorer(stored, ecg.simulate(2, seed=9))


def test_arrays_with_outputs_show_predictions(ds, exported):
    arrays, acts = exported
    stored = ecg.activations_from_arrays(
        arrays,
        ds,
        centre={n: a["centre"].values for n, a in acts.items()},
        width=0.5,
        output=acts.output,
        output_kind="sigmoid",
    )
    assert isinstance(stored, Activations)
    result = Explorer(stored, ds).result(str(ds["record"].values[1]), "all", 4)
    want = ecg.predict(ecg.load_network(), ds).isel(record=1)
    np.testing.assert_allclose(result["prediction"], want, atol=1e-5)
    assert result.attrs["output"] == "probability"


def test_gaps_of_the_record_mask_stored_cells(ds):
    holed = ds.copy(deep=True)
    holed["signal"][0, :, 200:400] = np.nan
    stored = ecg.activations_from_arrays({"a": np.ones((3, 100, 4))}, holed, stride=0.1, offset=0.05)
    centre, valid = stored["a"]["centre"].values, stored["a"]["valid"].values
    np.testing.assert_array_equal(valid[0], (centre < 1.995) | (centre > 3.995))
    assert valid[1:].all()


@pytest.mark.parametrize(
    ("arrays", "settings", "message"),
    [
        ({"a": np.ones((3, 10, 4))}, {}, "a: expected the times of its 10 cells, got none"),
        ({"a": np.ones((3, 10, 4))}, {"stride": 0.1}, "state centre="),
        ({"a": np.ones((2, 10, 4))}, {"stride": 1, "offset": 0}, "expected 3 records as in ds, got 2"),
        ({"a": np.ones((3, 10))}, {"stride": 1, "offset": 0}, r"expected real numbers \(record, cell, channel\)"),
        ({"a": np.full((3, 10, 4), np.nan)}, {"stride": 1, "offset": 0}, "expected finite values in valid cells"),
        ({"a": np.ones((3, 10, 4))}, {"stride": -1, "offset": 0}, "ascending centres"),
        ({"a": np.ones((3, 10, 4))}, {"centre": {"a": [1, 2]}}, "expected 10 ascending centres"),
        ({"a": np.ones((3, 10, 4))}, {"stride": 1, "offset": 0, "cell_axis": 0}, "cell_axis: expected 1"),
        (
            {"a": np.ones((3, 10, 4))},
            {"stride": 1, "offset": 0, "valid": {"a": np.ones((3, 9), bool)}},
            "expected bool",
        ),
        ({"a": np.ones((3, 10, 4))}, {"stride": 1, "offset": 0, "output_kind": "logit"}, "output_kind: expected"),
    ],
)
def test_arrays_that_do_not_fit(ds, arrays, settings, message):
    with pytest.raises(ValueError, match=message):
        ecg.activations_from_arrays(arrays, ds, **settings)


# ---- The two published networks, untouched


@pytest.mark.real_data
@pytest.mark.usefixtures("shared_data")
@pytest.mark.parametrize(
    ("make", "listed", "strides_ms"),
    [
        (plaincnn7, [f"block{i}" for i in range(1, 7)] + ["block7.2"], [20, 40, 80, 160, 320, 640, 640]),
        (smallresnet, ["1.stem", "1.blocks.0", "1.blocks.1"], [40, 40, 80]),
    ],
)
def test_published_networks(make, listed, strides_ms, ds):
    net = make()
    assert list_layers(net) == listed
    acts = ecg.activations(net, ds, "all")
    np.testing.assert_allclose([1000 * a.attrs["stride"] for a in acts.values()], strides_ms)
    widths = [float(a["width"][0]) for a in acts.values()]
    assert (np.diff(widths) > 0).all()
    seg = ecg.TimeClusters(6, random_state=0).fit_predict(ecg.activations(net, ds))
    np.testing.assert_allclose(seg["proportion"].sum("cluster"), 1, atol=1e-6)
    result = Explorer(net, ds).result(str(ds["record"].values[0]), "last-three-blocks", 6)
    assert isinstance(result, xr.Dataset)
    assert result.sizes["target"] == 5


@pytest.mark.real_data
@pytest.mark.usefixtures("shared_data")
def test_published_network_in_the_windows_it_was_made_for(ds):
    net = smallresnet()
    windowed = ECGNetwork(
        net.module, InputSpec(band=(0.5, 40.0), n_samples=300, hop=150), list(net.targets), "sigmoid", name=net.name
    )
    acts = ecg.activations(windowed, ds)
    assert all(a["centre"].values[-1] > 9.9 for a in acts.values())
    seg = ecg.TimeClusters(6, random_state=0).fit_predict(acts)
    assert set(np.unique(seg["cluster"].values)) == set(range(6))


@pytest.mark.parametrize(("hop", "exact"), [(500, True), (250, False), (300, False)])
def test_contributions_of_windows_are_exact_or_refused(ds, hop, exact):
    """Windows side by side keep all their cells; of windows that overlap some are left out, and nothing may hide it."""
    net = ECGNetwork(seeded(lambda: ResNet1d(12, 2)), InputSpec(n_samples=500, hop=hop), ["a", "b"])
    acts = ecg.activations(net, ds)
    seg = ecg.TimeClusters(4, random_state=0).fit_predict(acts)
    if exact:
        found = ecg.contributions(net, acts, seg)
        assert found.attrs["completeness_error"] < 1e-5
        total = found.sum("cluster") + found["masked"] + found["intercept"]
        np.testing.assert_allclose(total.transpose("record", "target"), ecg.predict(net, ds), atol=1e-5)
    else:
        with pytest.raises(ValueError, match=r"expected the outputs to follow from its cells alone.*without windows"):
            ecg.contributions(net, acts, seg)


@pytest.mark.parametrize("channels_first", [False, True])
def test_contributions_of_a_class_token_are_refused(ds, channels_first):
    net = ECGNetwork(seeded(lambda: Transformer(channels_first=channels_first)), InputSpec(), ["a", "b"])
    acts = ecg.activations(net, ds)
    seg = ecg.TimeClusters(4, random_state=0).fit_predict(acts)
    with pytest.raises(ValueError, match=r"expected the outputs to follow from its cells alone.*class tokens"):
        ecg.contributions(net, acts, seg)
