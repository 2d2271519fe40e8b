"""Capture, true cell centres and receptive fields, masks."""

import numpy as np
import pytest
import torch
from torch import nn

import ecg_widget as ecg
from ecg_widget.networks import ECGNetwork, InputSpec, ResNet1d, RibeiroResNet
from ecg_widget.receptive_fields import capture, receptive_fields


class TuplePair(nn.Module):
    """A block that returns a tuple, the first tensor of which is not the one to look at."""

    def __init__(self, a, b):
        super().__init__()
        self.conv = nn.Conv1d(a, b, 5, stride=2, padding=2)

    def forward(self, x):
        y = self.conv(x[1] if isinstance(x, tuple) else x)
        return y.mean(2), y


class Odd(nn.Module):
    """Tuple outputs, dropout, a pooling that nothing else has, no attribute called blocks."""

    def __init__(self, leads=12):
        super().__init__()
        self.first = TuplePair(leads, 8)
        self.second = TuplePair(8, 8)
        self.drop = nn.Dropout(0.5)
        self.head = nn.Linear(8, 2)
        self.unused = nn.Conv1d(8, 8, 3)

    def forward(self, x):
        _, y = self.second(self.first(x))
        return self.head(self.drop(y).mean(2))


@pytest.fixture(scope="module")
def net():
    return ecg.load_network()


@pytest.fixture(scope="module")
def ds():
    return ecg.simulate(5, seed=0, duration=6)


def test_default_is_the_last_three_blocks(net, ds):
    acts = ecg.activations(net, ds)
    blocks = ecg.list_layers(net)
    assert len(blocks) >= 4
    assert list(acts) == blocks[-3:]
    for layer in acts.values():
        assert layer.dims == ("record", "cell", "channel")
        assert layer.dtype == np.float32
        assert layer["record"].values.tolist() == ds["record"].values.tolist()
    assert acts[blocks[-1]].attrs["stride"] <= 0.080001


def test_values_are_those_of_the_forward_pass(net, ds):
    layer = ecg.list_layers(net)[1]
    seen = []
    handle = dict(net.module.named_modules())[layer].register_forward_hook(lambda _m, _i, out: seen.append(out))
    with torch.inference_mode():
        logits = net(net.prepare(ds).x)
    handle.remove()
    acts = ecg.activations(net, ds, layer, batch_size=2)
    np.testing.assert_allclose(acts[layer].values, seen[0].transpose(1, 2).numpy(), atol=1e-5)
    np.testing.assert_allclose(acts.output.values, logits.numpy(), atol=1e-5)
    np.testing.assert_allclose(net.to_prediction(torch.tensor(acts.output.values)), ecg.predict(net, ds), atol=1e-6)


def test_any_module_with_tuple_outputs(ds):
    torch.manual_seed(0)
    odd = Odd()
    acts = ecg.activations(odd, ds, ["second", "first"])
    assert list(acts) == ["first", "second"]
    rate = ds["time"].attrs["sampling_rate"]
    np.testing.assert_allclose(acts["second"]["centre"].values, np.arange(acts["second"].sizes["cell"]) * 4 / rate)
    assert float(acts["second"]["width"][0]) == pytest.approx((5 + 4 * 2) / rate)


def test_the_network_is_left_as_it_was(ds):
    odd = Odd().train()
    odd.second.eval()
    before = {k: v.clone() for k, v in odd.state_dict().items()}
    a = ecg.activations(odd, ds, ["first"])
    b = ecg.activations(odd, ds, ["first"])
    np.testing.assert_array_equal(a["first"].values, b["first"].values)
    assert odd.training
    assert odd.drop.training
    assert not odd.second.training
    assert all(torch.equal(v, before[k]) for k, v in odd.state_dict().items())
    assert not any(m._forward_hooks for m in odd.modules())
    assert all(p.requires_grad and p.grad is None for p in odd.parameters())


def test_hooks_are_removed_when_the_network_fails():
    module = nn.Sequential(nn.Conv1d(12, 4, 3), nn.Flatten(), nn.Linear(3, 1))
    with pytest.raises(RuntimeError), capture(module, ["0"]):
        module(torch.zeros(1, 12, 100))
    assert not any(m._forward_hooks for m in module.modules())


def test_bad_layers(net, ds):
    with pytest.raises(ValueError, match=r"layers: expected one or more of \['blocks.0'.*got 'blocks.99'"):
        ecg.activations(net, ds, ["blocks.99"])
    with pytest.raises(ValueError, match=r"layer 'head': expected an output \(record, channel, cell\)"):
        ecg.activations(Odd(), ds, ["head"])
    with pytest.raises(ValueError, match=r"layer 'unused'.*not reached"):
        ecg.activations(Odd(), ds, ["unused"])


def test_network_of_other_leads(ds):
    with pytest.raises(ValueError, match="expected 8 leads"):
        ecg.activations(Odd(leads=8), ds)
    with pytest.raises(ValueError, match="missing: V6"):
        ecg.activations(ecg.load_network(), ds.drop_sel(lead="V6"))


@pytest.mark.parametrize(
    ("block", "stride", "offset", "width"),
    [("blocks.2", 16, 5, 209), ("blocks.3", 64, 21, 721), ("blocks.4", 256, 85, 2769)],
)
def test_ribeiro_centres_equal_the_analytic_ones(block, stride, offset, width):
    """METHOD section 2: half-pixel grids would be 106 ms off in the last block."""
    net = _ribeiro()
    field = receptive_fields(net, [block], 12, 4096)[block]
    assert (field.stride, field.offset, field.width, field.bounded) == (stride, offset, width, True)


_nets = {}


def _ribeiro():
    """One instance: receptive fields are kept for each module."""
    return _nets.setdefault("ribeiro", RibeiroResNet())


def test_centres_are_where_an_impulse_is_felt(net):
    """Independent of the probe: a click in the input changes the cell whose centre is nearest the most."""
    layer = ecg.list_layers(net)[0]
    field = receptive_fields(net.module, [layer], 12, 1000)[layer]
    silence = torch.zeros(1, 12, 1000)
    with torch.inference_mode(), capture(net.module, [layer]) as out:
        net(silence)
        rest = out[layer].clone()
        errors = []
        for at in range(300, 700, 37):
            click = silence.clone()
            click[0, :, at] = 3.0
            net(click)
            change = (out[layer] - rest).abs().sum(1).squeeze().double().numpy()
            centroid = (change * field.centres(len(change))).sum() / change.sum()
            errors.append(centroid - at)
    assert abs(np.mean(errors)) < field.stride
    assert np.abs(errors).max() < field.width / 4


def test_receptive_field_longer_than_the_record(net):
    layer = ecg.list_layers(net)[-1]
    short, long = (ecg.receptive_field(net, layer, ecg.simulate(1, duration=d)) for d in (1, 10))
    assert short == long
    assert short.width / 100 > 1


def test_layers_that_see_everything_are_said_to():
    class Squeeze(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv1d(12, 8, 5, stride=4, padding=2)

        def forward(self, x):
            y = self.conv(x)
            return y * torch.sigmoid(y.mean(2, keepdim=True))

    field = receptive_fields(nn.Sequential(Squeeze()), ["0"], 12, 400)["0"]
    assert not field.bounded
    assert field.stride == pytest.approx(4, rel=0.1)


def test_padding_and_gaps_are_masked(net):
    ds = ecg.simulate(2, seed=3, duration=8)
    rate, signal = ds["time"].attrs["sampling_rate"], ds["signal"].values
    signal[0, :, : int(2 * rate)] = 0
    signal[1, 4, int(5 * rate) : int(6 * rate)] = np.nan
    for name, layer in ecg.activations(net, ds).items():
        centre, valid = layer["centre"].values, layer["valid"].values
        assert np.isfinite(layer.values).all(), name
        np.testing.assert_array_equal(valid[0], centre >= 2 - 1e-9)
        far = np.abs(centre - 5.5) > 0.52
        assert valid[1][far].all()
        assert not valid[1][np.abs(centre - 5.5) < 0.48].any()


def test_zero_padding_of_a_fixed_length_network_is_masked():
    """Ribeiro's input is 10.24 s: a 7-s record is padded, and no cell in the padding counts."""
    net = ECGNetwork(_ribeiro(), InputSpec(sampling_rate=400, n_samples=4096, units="1e-4V"), list("abcdef"), "sigmoid")
    ds = ecg.simulate(1, duration=7)
    acts = ecg.activations(net, ds, ["blocks.2", "blocks.3"])
    for layer in acts.values():
        centre, valid = layer["centre"].values, layer["valid"].values[0]
        np.testing.assert_array_equal(valid, (centre > -0.5 / 400) & (centre < 7 - 0.5 / 400))
    seg = ecg.TimeClusters(4, random_state=0).fit(acts).predict(acts)
    assert (seg["cluster"].values[0][~seg["valid"].values[0]] == -1).all()
    assert float(seg["proportion"].sum()) == pytest.approx(1, abs=1e-6)


def test_zero_padded_samples_never_change_proportions(net):
    """A record and the same record with two seconds of zeros behind it: the same share of cells in every cluster."""
    ds = ecg.simulate(1, seed=5, duration=8)
    rate = ds["time"].attrs["sampling_rate"]
    padded = ecg.from_arrays(
        np.pad(ds["signal"].values, ((0, 0), (0, 0), (0, int(2 * rate)))),
        sampling_rate=rate,
        leads=ds["lead"].values.tolist(),
        units="mV",
    )
    acts, more = ecg.activations(net, ds), ecg.activations(net, padded)
    fine = next(iter(acts))
    assert int(more[fine]["valid"].sum()) == int(acts[fine]["valid"].sum()) < more[fine].sizes["cell"]
    tc = ecg.TimeClusters(5, random_state=0).fit(more)
    seg = tc.predict(more)
    held = seg["cluster"].values[seg["valid"].values]
    np.testing.assert_allclose(seg["proportion"].values[0], np.bincount(held, minlength=5) / len(held), atol=1e-6)
    assert float(seg["proportion"].sum()) == pytest.approx(1, abs=1e-6)


def test_one_lead_net_and_one_second_record():
    net = ECGNetwork(ResNet1d(1, 2), InputSpec(leads=("II",)), ["a", "b"])
    acts = ecg.activations(net, ecg.simulate(1, duration=1))
    assert all(a.sizes["cell"] >= 12 for a in acts.values())
