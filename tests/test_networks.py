import copy
import json
import pickle

import numpy as np
import pytest
import torch
import xarray as xr
from safetensors.torch import save
from torch import nn

from ecg_widget.architectures import build
from ecg_widget.networks import (
    ECGNetwork,
    InputSpec,
    PooledResNet1d,
    ResNet1d,
    RibeiroResNet,
    as_network,
    inference,
    load_network,
    predict,
)
from ecg_widget.preparation import prepare
from ecg_widget.records import LEADS, from_arrays, load_example, open_ecg
from ecg_widget.scores import score

SMALL = {"channels": [4, 4, 6, 8], "stem_channels": 4, "stem_kernel": 5, "kernel_size": 3}


def ecg(n_records=2, seconds=2.0, rate=100.0, leads=LEADS, seed=0, **kw):
    n = round(seconds * rate)
    values = np.random.default_rng(seed).normal(size=(n_records, len(leads), n)).cumsum(axis=-1) / 20
    return from_arrays(values, sampling_rate=rate, leads=leads, units="mV", **kw)


def small(**kw):
    torch.manual_seed(0)
    return ECGNetwork(ResNet1d(12, 3, **SMALL), InputSpec(), ["a", "b", "c"], "sigmoid", **kw).eval()


# ---- the network that ships


def test_shipped_network_is_small_complete_and_exact():
    from ecg_widget import networks

    assert networks._BUNDLED.stat().st_size <= 2_000_000
    net = load_network()
    assert net.targets == ("NORM", "MI", "STTC", "CD", "HYP")
    assert isinstance(net.module, ResNet1d)
    assert isinstance(net.module.head, nn.Linear)
    assert len(net.module.blocks) >= 4
    assert not net.training
    assert all(p.dtype == torch.float32 for p in net.parameters())
    about = net.provenance
    assert {"data", "teachers", "checkpoint", "schedule", "seed", "command", "date", "versions", "scores"} <= set(about)
    assert about["data"]["licence"] == "CC BY 4.0"
    assert "Wagner" in about["data"]["citation"]
    assert about["data"]["train"]["folds"] == list(range(1, 9))
    assert about["data"]["validation"]["folds"] == [9]
    for part in ("train", "validation"):
        assert len(about["data"][part]["ecg_ids"].split()) == about["data"][part]["n_records"]
    train, validation = (set(about["data"][p]["ecg_ids"].split()) for p in ("train", "validation"))
    assert not train & validation
    assert all({"name", "licence", "fold_9", "fingerprint"} <= set(t) for t in about["teachers"])
    assert "/root" not in json.dumps(about)
    assert "/work" not in json.dumps(about)
    assert {"this network", "majority", "random", "untrained"} <= set(about["scores"])
    assert about["scores"]["this network"]["auroc_macro"] >= 0.90


def test_shipped_head_splits_the_logits_exactly():
    net = load_network()
    x = net.prepare(load_example()).x
    cells = []
    handle = net.module.blocks[-1].register_forward_hook(lambda _m, _i, out: cells.append(out))
    with torch.inference_mode():
        logits = net(x)
    handle.remove()
    head = net.module.head
    with torch.inference_mode():
        contributions = torch.einsum("rct,kc->rkt", cells[0], head.weight) / cells[0].shape[-1]
        assert torch.allclose(contributions.sum(dim=-1) + head.bias, logits, atol=1e-5)
    assert cells[0].shape[-1] * 0.08 == pytest.approx(10.0)  # cells of 80 ms fill the 10 s record


def test_shipped_network_calls_the_example_normal():
    probability = predict(load_network(), load_example())  # sinus rhythm, no diagnosis
    assert probability.sel(target="NORM").item() > 0.8
    assert probability.dims == ("record", "target")
    assert probability.attrs["output"] == "probability"


@pytest.mark.real_data
def test_shipped_scores_are_true(shared_data):
    net = load_network()
    stated = net.provenance["scores"]["this network"]
    ds = open_ecg(shared_data / "ptbxl", folds=[9])
    ds = ds.isel(record=ds["label"].values.any(axis=1))
    got = score(ds["label"], predict(net, ds))
    assert got["n_records"] == stated["n_records"]
    assert got["auroc_macro"] == pytest.approx(stated["auroc_macro"], abs=1e-3)
    assert got["auroc_macro"] >= 0.90
    assert got["accuracy"] == pytest.approx(stated["accuracy"], abs=1e-2)


@pytest.mark.real_data
def test_shipped_network_agrees_between_rates(shared_data):
    slow = open_ecg(shared_data / "ptbxl", missing="drop")
    fast = open_ecg(shared_data / "ptbxl", sampling_rate=500, missing="drop")
    net = load_network()
    p500 = predict(net, fast)
    names = [str(name).replace("_hr", "_lr") for name in fast["record"].values]
    p100 = predict(net, slow.sel(record=names))
    assert np.abs(p500.values - p100.values).max() < 0.05


# ---- architectures


def test_ribeiro_cells_are_where_the_method_says():
    torch.manual_seed(0)
    net = RibeiroResNet().double().eval()
    outputs = {}
    for i, block in enumerate(net.blocks):
        block.register_forward_hook(lambda _m, _i, out, i=i: outputs.__setitem__(i, out))
    x = torch.randn(1, 12, 4096, dtype=torch.double, requires_grad=True)
    net(x)
    assert all(isinstance(out, tuple) and len(out) == 2 for out in outputs.values())
    shapes = [tuple(outputs[i][0].shape[1:]) for i in range(5)]
    assert shapes == [(64, 4096), (128, 1024), (196, 256), (256, 64), (320, 16)]
    for block, stride, offset, width in ((2, 16, 5, 209), (3, 64, 21, 721), (4, 256, 85, 2769)):
        cell = outputs[block][0].shape[-1] // 2
        (slope,) = torch.autograd.grad(outputs[block][0][0, :, cell].sum(), x, retain_graph=True)
        reached = slope.abs().sum(dim=(0, 1)).nonzero().flatten()
        first, last = int(reached[0]), int(reached[-1])
        assert last - first + 1 == width
        assert (first + last) / 2 == stride * cell + offset


def test_ribeiro_takes_published_names_and_says_its_length():
    net = RibeiroResNet(channels=[4, 6], lengths=[64, 16], n_samples=64)
    published = {}
    for key, value in net.state_dict().items():
        for ours, theirs in (("blocks.", "resblock1d_"), ("stem.0", "conv1"), ("stem.1", "bn1"), ("head", "lin")):
            if key.startswith(ours):
                published[key.replace(ours, theirs, 1)] = value
                break
    net.load_state_dict(RibeiroResNet.rename_published(published), strict=True)
    with pytest.raises(ValueError, match=r"expected 64 samples, got 65.*n_samples=64"):
        net(torch.zeros(1, 12, 65))


@pytest.mark.parametrize("seconds", [0.5, 1.0, 1.01, 2.5, 30.0])
@pytest.mark.parametrize("kind", [ResNet1d, PooledResNet1d])
def test_any_length(kind, seconds):
    net = ECGNetwork(kind(12, 3, **SMALL), InputSpec(), ["a", "b", "c"], "sigmoid")
    out = predict(net, ecg(seconds=seconds))
    assert out.shape == (2, 3)
    assert np.isfinite(out).all()


@pytest.mark.parametrize(
    "config",
    [
        {"n_leads": 0},
        {"n_leads": 10**9},
        {"channels": [4, True]},
        {"channels": []},
        {"channels": "48"},
        {"strides": [1]},
        {"kernel_size": 4},
        {"dropout": 1.5},
        {"dropout": None},
        {"spam": 1},
    ],
)
def test_settings_that_are_no_network(config):
    with pytest.raises(ValueError):
        build("ResNet1d", {"n_leads": 12, "n_targets": 5, **config})


def test_unknown_architecture():
    with pytest.raises(ValueError, match="expected one of"):
        build("os.system", {})


# ---- preparation


def test_lead_order_rate_and_units():
    t = np.arange(1000) / 500
    waves = np.stack([np.sin(2 * np.pi * 5 * t), np.cos(2 * np.pi * 3 * t)])
    ds = from_arrays(waves, sampling_rate=500, leads=["V1", "II"], units="mV")
    got = prepare(ds, InputSpec(leads=("V1", "II"), sampling_rate=100, units="1e-4V"))
    assert (got.sampling_rate, got.start_s) == (100.0, 0.0)
    assert got.x.shape == (1, 2, 200)
    middle = slice(30, 170)
    assert np.abs(got.x[0, :, middle].numpy() - 10 * waves[:, ::5][:, middle]).max() < 1e-3
    assert got.valid.all()


def test_missing_leads_are_named_never_filled():
    with pytest.raises(ValueError, match="missing: V2, V6") as caught:
        small().prepare(ecg(leads=[name for name in LEADS if name not in ("V2", "V6")]))
    assert "expected" in str(caught.value)


def test_too_short():
    with pytest.raises(ValueError, match=r"expected at least 0.5 s, got 40 samples"):
        small().prepare(ecg(seconds=0.4))


def test_wrong_units_are_refused():
    ds = ecg()
    ds["signal"].attrs["units"] = "uV"
    with pytest.raises(ValueError, match="mV"):
        predict(small(), ds)


def test_gaps_are_bridged_and_masked():
    ds = ecg(n_records=1, seconds=4)
    ds["signal"].values[0, 3, 100:150] = np.nan
    ds["signal"].values[0, 5, :20] = np.nan
    got = small().prepare(ds)
    assert torch.isfinite(got.x).all()
    assert got.valid[0].logical_not().nonzero().flatten().tolist() == [*range(20), *range(100, 150)]
    line = got.x[0, 3, 99:151].double().numpy()
    assert np.abs(line - np.linspace(line[0], line[-1], 52)).max() < 1e-6
    assert (got.x[0, 5, :20] == got.x[0, 5, 20]).all()
    assert np.array_equal(got.x[0, 0].numpy(), ds["signal"].values[0, 0])


def test_gap_mask_at_another_rate():
    ds = ecg(n_records=1, seconds=4, rate=500)
    ds["signal"].values[0, 3, 1000:1100] = np.nan
    got = small().prepare(ds)
    assert got.valid[0].logical_not().nonzero().flatten().tolist() == list(range(200, 220))


def test_blank_stretches():
    ds = ecg(n_records=4, seconds=4)
    x = ds["signal"].values
    x[0, :, 200:210] = 0  # 0.1 s: no signal
    x[1, :, 200:209] = 0  # shorter: a crossing
    x[2, :, 0] = 0  # touches the start
    x[2, :, -1] = 0  # touches the end
    x[3, :-1, 200:300] = 0  # one lead still moves
    bad = [row.logical_not().nonzero().flatten().tolist() for row in small().prepare(ds).valid]
    assert bad == [list(range(200, 210)), [], [0, 399], []]


def test_zero_padding_stays_zero_at_another_rate():
    ds = ecg(n_records=1, seconds=4, rate=500)
    ds["signal"].values[0, :, 1500:] = 0
    got = small().prepare(ds)
    assert (got.x[0, :, 300:] == 0).all()
    assert got.valid[0].nonzero().flatten().tolist() == list(range(300))


def test_all_zero_record_has_nothing_valid_and_no_prediction():
    ds = ecg(n_records=3)
    ds["signal"].values[1] = 0
    ds["signal"].values[2, 4] = np.nan
    got = small().prepare(ds)
    assert got.valid.any(dim=1).tolist() == [True, False, False]
    out = predict(small(), ds)
    assert np.isnan(out.values).all(axis=1).tolist() == [False, True, True]


def test_padding_and_cropping():
    ds = ecg(n_records=1, seconds=4)
    padded = prepare(ds, InputSpec(n_samples=411))
    assert padded.start_s == pytest.approx(-0.05)
    assert padded.valid[0].nonzero().flatten().tolist() == list(range(5, 405))
    assert (padded.x[0, :, :5] == 0).all()
    assert np.array_equal(padded.x[0, :, 5:405].numpy(), ds["signal"].values[0])
    cropped = prepare(ds, InputSpec(n_samples=100))
    assert cropped.start_s == pytest.approx(1.5)
    assert np.array_equal(cropped.x[0].numpy(), ds["signal"].values[0, :, 150:250])


def test_zscore_counts_valid_samples_only():
    ds = ecg(n_records=2, seconds=4)
    ds["signal"].values[0, :, 300:] = 0
    ds["signal"].values[1, 2] = 0.25
    got = prepare(ds, InputSpec(normalise="zscore"))
    seen = got.x[0, :, :300].double()
    assert torch.allclose(seen.mean(dim=-1), torch.zeros(12).double(), atol=1e-5)
    assert torch.allclose(seen.std(dim=-1, correction=0), torch.ones(12).double(), atol=1e-5)
    assert (got.x[0, :, 300:] == 0).all()
    assert (got.x[1, 2] == 0).all()  # a flat lead


def test_band_pass():
    t = np.arange(1000) / 100
    drift, beat = np.sin(2 * np.pi * 0.1 * t), np.sin(2 * np.pi * 10 * t)
    ds = from_arrays((drift + beat)[None], sampling_rate=100, leads=["II"], units="mV")
    got = prepare(ds, InputSpec(leads=("II",), band=(0.5, 40.0))).x[0, 0, 200:800].numpy()
    assert np.abs(got - beat[200:800]).max() < 0.02


@pytest.mark.parametrize(
    "settings",
    [
        {"leads": "II"},
        {"leads": ()},
        {"leads": ("I", "DI")},
        {"sampling_rate": 0},
        {"sampling_rate": float("nan")},
        {"sampling_rate": "100"},
        {"n_samples": 0},
        {"n_samples": 10.0},
        {"units": "adu"},
        {"normalise": "minmax"},
        {"band": (0.5, 60.0)},
        {"band": (40.0, 0.5)},
    ],
)
def test_specs_that_are_none(settings):
    with pytest.raises((TypeError, ValueError), match="expected"):
        InputSpec(**settings)


def test_spec_as_json():
    spec = InputSpec(leads=("V5", "II"), sampling_rate=250, n_samples=512, units="uV", normalise="zscore", band=(1, 40))
    assert InputSpec(**json.loads(json.dumps(spec.to_dict()))) == spec


# ---- ECGNetwork, predict, as_network


def test_predict_leaves_the_network_as_it_was():
    net = small()
    net.train()
    net.module.blocks[1].eval()
    before = {name: m.training for name, m in net.named_modules()}
    weights = copy.deepcopy(net.state_dict())
    out = predict(net, ecg(n_records=5), batch_size=2)
    assert {name: m.training for name, m in net.named_modules()} == before
    assert all(torch.equal(weights[k], v) for k, v in net.state_dict().items())
    assert np.allclose(out, predict(net, ecg(n_records=5), batch_size=64), atol=1e-6)
    net.module.head = nn.Linear(99, 3)
    with pytest.raises(RuntimeError):
        predict(net, ecg())
    assert net.training
    assert not net.module.blocks[1].training


def test_inference_moves_there_and_back():
    net = small()
    with inference(net, "meta") as place:
        assert place == torch.device("meta")
        assert next(net.parameters()).device == place
        assert torch.is_inference_mode_enabled()
        net.to_empty(device="cpu")  # meta holds no numbers to move back
    assert {p.device.type for p in net.parameters()} == {"cpu"}


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_predict_on_a_gpu():
    net, ds = small(), ecg()
    assert np.allclose(predict(net, ds, device="cuda"), predict(net, ds), atol=1e-4)
    assert {p.device.type for p in net.parameters()} == {"cpu"}


@pytest.mark.parametrize("output", ["sigmoid", "softmax", "identity"])
def test_output_kinds(output):
    net = small()
    net.output = output
    ds = ecg()
    with torch.inference_mode():
        logits = net(net.prepare(ds).x)
    expected = {"sigmoid": logits.sigmoid(), "softmax": logits.softmax(1), "identity": logits}[output]
    got = predict(net, ds)
    assert np.allclose(got, expected.numpy(), atol=1e-6)
    assert got.attrs["output"] == ("value" if output == "identity" else "probability")
    assert got["target"].values.tolist() == ["a", "b", "c"]
    assert got["record"].values.tolist() == ds["record"].values.tolist()


def test_copies():
    net = small(provenance={"a": 1})
    for other in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert other.fingerprint == net.fingerprint
        assert (other.spec, other.targets, other.provenance) == (net.spec, net.targets, net.provenance)
        with torch.no_grad():
            other.module.head.bias[0] += 1e-6
        assert other.fingerprint != net.fingerprint


def test_fingerprint_depends_on_all_that_matters():
    prints = {small().fingerprint, small(name="other", provenance={"x": 1}).fingerprint}
    assert len(prints) == 1  # a name changes no number
    for change in ({"targets": ["a", "b", "d"]}, {"spec": InputSpec(units="uV")}, {"output": "softmax"}):
        settings = {"spec": InputSpec(), "targets": ["a", "b", "c"], "output": "sigmoid", **change}
        prints.add(ECGNetwork(small().module, **settings).fingerprint)
    assert len(prints) == 4


def test_any_module_serves():
    module = nn.Sequential(nn.Conv1d(12, 3, 5), nn.ReLU(), nn.AdaptiveAvgPool1d(1), nn.Flatten())
    ds = ecg(rate=250.0)
    net = as_network(module, ds)
    assert net.module is module
    assert net.targets == ("output 0", "output 1", "output 2")
    assert (net.spec.sampling_rate, net.output_kind) == (250.0, "value")
    with torch.inference_mode():
        assert np.allclose(predict(module, ds), module(torch.from_numpy(ds["signal"].values)).numpy(), atol=1e-6)
    assert as_network(net, ds) is net
    double = copy.deepcopy(module).double()
    assert np.allclose(predict(double, ds), predict(module, ds), atol=1e-5)


def test_networks_of_other_leads_are_refused():
    two = nn.Sequential(nn.Conv1d(2, 3, 5), nn.AdaptiveAvgPool1d(1), nn.Flatten())
    with pytest.raises(ValueError, match=r"expected 2 leads .*got 12"):
        predict(two, ecg())
    with pytest.raises(ValueError, match=r"expected 2 leads .*got 12"):
        ECGNetwork(two, InputSpec(), ["a"])
    assert predict(two, ecg(leads=["I", "II"])).shape == (2, 3)
    one = nn.Sequential(nn.Conv1d(1, 3, 5), nn.AdaptiveAvgPool1d(1), nn.Flatten())
    with pytest.raises(ValueError, match="channels"):
        predict(one, ecg())
    with pytest.raises(ValueError, match="channels"):
        predict(ECGNetwork(one, InputSpec(), ["a", "b", "c"]), ecg())


def test_a_fixed_length_module_says_what_it_got():
    flat = nn.Sequential(nn.Conv1d(12, 1, 1), nn.Flatten(), nn.Linear(100, 1))
    with pytest.raises(ValueError, match=r"\(1, 12, 200\) at 100 Hz"):
        predict(flat, ecg())


class Pair(nn.Module):
    def forward(self, x):
        return x.mean(-1), x


def test_outputs_that_fit_no_targets():
    with pytest.raises(ValueError, match="expected an output"):
        as_network(Pair(), ecg())
    with pytest.raises(ValueError, match=r"expected an output \(2, 2\)"):
        predict(ECGNetwork(ResNet1d(12, 3, **SMALL), InputSpec(), ["a", "b"]), ecg())


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"module": "resnet"}, TypeError),
        ({"spec": {}}, TypeError),
        ({"targets": []}, ValueError),
        ({"targets": "abc"}, ValueError),
        ({"targets": ["a", "a", "b"]}, ValueError),
        ({"output": "tanh"}, ValueError),
    ],
)
def test_bad_frames(change, error):
    settings = {"module": small().module, "spec": InputSpec(), "targets": ["a", "b", "c"], **change}
    with pytest.raises(error, match="expected"):
        ECGNetwork(**settings)


def test_bad_batch_size():
    with pytest.raises(ValueError, match="batch_size"):
        predict(small(), ecg(), batch_size=0)


# ---- files


@pytest.mark.parametrize("kind", ["ResNet1d", "PooledResNet1d", "RibeiroResNet"])
def test_round_trip(tmp_path, kind):
    config = {"n_leads": 12, "n_targets": 2}
    config |= {"channels": [4, 6], "lengths": [64, 16], "n_samples": 64} if kind == "RibeiroResNet" else SMALL
    spec = InputSpec(n_samples=64 if kind == "RibeiroResNet" else None, units="1e-4V")
    net = ECGNetwork(build(kind, config), spec, ["a", "b"], "sigmoid", name="n", provenance={"k": [1, "ü"]})
    net.save(tmp_path / "n.safetensors")
    back = load_network(tmp_path / "n.safetensors")
    assert back.fingerprint == net.fingerprint
    assert (back.name, back.spec, back.provenance, back.training) == ("n", spec, {"k": [1, "ü"]}, False)
    assert all(p.requires_grad and not p.is_meta for p in back.parameters())
    assert np.array_equal(predict(back, ecg()), predict(net, ecg()))
    assert [p.name for p in tmp_path.iterdir()] == ["n.safetensors"]


def test_half_precision_is_half_the_size_and_computes_in_single(tmp_path):
    net = ECGNetwork(ResNet1d(12, 5), InputSpec(), list("abcde"), "sigmoid")
    net.save(tmp_path / "full.safetensors")
    net.save(tmp_path / "half.safetensors", half=True)
    assert (tmp_path / "half.safetensors").stat().st_size < 0.6 * (tmp_path / "full.safetensors").stat().st_size
    back = load_network(tmp_path / "half.safetensors")
    assert all(p.dtype == torch.float32 for p in back.parameters())
    assert np.abs(predict(back, ecg()) - predict(net, ecg())).max() < 1e-2
    with torch.no_grad():
        net.module.head.weight[0, 0] = 1e6
    with pytest.raises(ValueError, match=r"head.weight.*float16"):
        net.save(tmp_path / "half.safetensors", half=True)


def test_other_modules_are_not_saved(tmp_path):
    net = as_network(nn.Sequential(nn.Conv1d(12, 1, 1), nn.AdaptiveAvgPool1d(1), nn.Flatten()), ecg())
    with pytest.raises(ValueError, match="state_dict"):
        net.save(tmp_path / "n.safetensors")
    assert not list(tmp_path.iterdir())


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="none"):
        load_network(tmp_path / "none.safetensors")


def test_pickles_are_never_run(tmp_path):
    fired = tmp_path / "fired"

    class Bomb:
        def __reduce__(self):
            return fired.touch, ()

    for protocol in (2, 3, 4, 5):
        (tmp_path / "bomb.pt").write_bytes(pickle.dumps(Bomb(), protocol))
        with pytest.raises(ValueError, match="weights_only=True"):
            load_network(tmp_path / "bomb.pt")
    torch.save({"bomb": Bomb()}, tmp_path / "bomb.pth")
    with pytest.raises(ValueError, match="weights_only=True"):
        load_network(tmp_path / "bomb.pth")
    assert not fired.exists()


def described(**change):
    net = small()
    about = {"format": 1, **net._description(), "name": "n", "provenance": {}, **change}
    return {k: v.contiguous() for k, v in net.module.state_dict().items()}, about


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 2}, "format: expected 1"),
        ({"architecture": "Nope"}, "expected one of"),
        ({"architecture": ["ResNet1d"]}, "architecture: expected str"),
        ({"config": {"n_leads": 12, "n_targets": 3}}, "expected"),
        ({"config": {"n_leads": 60000, "n_targets": 3, "channels": [60000] * 4}}, "expected"),
        ({"config": None}, "config: expected dict"),
        ({"spec": {"leads": ["I"]}}, "leads"),
        ({"spec": {"colour": "red"}}, "colour"),
        ({"targets": ["a"]}, None),
        ({"targets": [1, 2, 3]}, "targets: expected"),
        ({"output": "eval"}, "output: expected"),
        ({"provenance": []}, "provenance: expected dict"),
    ],
)
def test_hostile_descriptions(tmp_path, change, message):
    state, about = described(**change)
    path = tmp_path / "n.safetensors"
    path.write_bytes(save(state, {"ecg_widget": json.dumps(about)}))
    if message is None:  # fewer names than outputs: told when the network is run
        with pytest.raises(ValueError, match="state the targets"):
            predict(load_network(path), ecg())
        return
    with pytest.raises(ValueError, match=message):
        load_network(path)


def test_damaged_files(tmp_path):
    state, about = described()
    path = tmp_path / "n.safetensors"
    whole = save(state, {"ecg_widget": json.dumps(about)})
    for damaged in (b"", b"x", whole[:100], whole[:-1], b"\xff" * 64, save(state), save(state, {"ecg_widget": "{"})):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"n\.safetensors: not a weights file"):
            load_network(path)
    path.write_bytes(save(state, {"ecg_widget": "[" * 100_000}))
    with pytest.raises(ValueError, match="JSON"):
        load_network(path)
    path.write_bytes(save({k: v for k, v in state.items() if k != "head.bias"}, {"ecg_widget": json.dumps(about)}))
    with pytest.raises(ValueError, match=r"head\.bias: expected \[3\], got no such weights"):
        load_network(path)
    state["head.bias"][0] = np.nan
    path.write_bytes(save(state, {"ecg_widget": json.dumps(about)}))
    with pytest.raises(ValueError, match=r"head\.bias: expected finite"):
        load_network(path)


# ---- published networks, as a user would bring them


@pytest.mark.real_data
@pytest.mark.parametrize(("name", "least"), [("plaincnn7", 0.95), ("smallresnet", 0.92)])
def test_published_networks_reach_their_scores(shared_data, name, least):
    import published_networks

    net = getattr(published_networks, name)()
    ds = open_ecg(shared_data / "ptbxl", folds=[9])
    ds = ds.isel(record=ds["label"].values.any(axis=1))
    got = score(ds["label"], predict(net, ds))
    assert got["auroc_macro"] >= least
    assert isinstance(predict(net, ds.isel(record=[0])), xr.DataArray)
