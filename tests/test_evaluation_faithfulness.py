"""Faithfulness: what a planted network depends on is found, and a wrong order is not."""

import sys

import numpy as np
import pytest
import torch
import xarray as xr
from scipy import stats

import ecg_widget as ecg
from ecg_widget.evaluation import compare_orders, faithfulness
from ecg_widget.evaluation.attributions import grad_cam, input_gradients
from ecg_widget.evaluation.faithfulness import _masks
from ecg_widget.explanation import cell_contributions
from ecg_widget.explanation.perturbation import runs

HERE = slice(100, 150)  # the only samples that the planted network reads
RUN = 25


class Reader(torch.nn.Module):
    """The sum of lead II in `HERE`."""

    def __init__(self, where=HERE):
        super().__init__()
        self.blocks = torch.nn.Sequential(torch.nn.Conv1d(12, 1, 1, bias=False))
        self.head = torch.nn.Linear(300, 1)
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.zero_()
            self.blocks[0].weight[0, 1, 0] = 1
            self.head.weight[0, where] = 1

    def forward(self, x):
        return self.head(self.blocks(x).flatten(1))


def recordings(n=12, seed=0):
    rng = np.random.default_rng(seed)
    signal = 0.01 * rng.normal(size=(n, 12, 300)).astype(np.float32)
    signal[:, 1, HERE] += 1 + rng.random((n, 1), np.float32)
    return ecg.from_arrays(signal, sampling_rate=100, leads=list(ecg.LEADS), units="mV")


def planted(n=12):
    """Network, recordings, activations and a segmentation of twelve runs of 25 cells."""
    net, ds = Reader(), recordings(n)
    acts = ecg.activations(net, ds, ["blocks.0"])
    seg = ecg.TimeClusters(2, random_state=0).fit_predict(acts)
    track = np.tile(np.arange(300) // RUN % 3, (n, 1))
    seg["cluster"] = (("record", "cell"), track.astype(np.int16))
    return net, ds, acts, seg


@pytest.fixture(scope="module")
def found():
    net, ds, acts, seg = planted()
    truth = xr.zeros_like(seg["entropy"])
    truth[:, HERE] = 1
    given = {"wrong": -truth, "anything": truth * 0}
    return faithfulness(net, ds, acts, seg, attributions=given, n_steps=6, n_random=4), ds


def test_what_the_network_reads_is_found_and_a_wrong_order_is_not(found):
    result, ds = found
    at = {name: result.sel(explanation=name) for name in result["explanation"].values}
    assert list(at) == ["contribution", "gradcam", "ig", "wrong", "anything"]
    for name in ("contribution", "gradcam", "ig"):
        assert float(at[name]["p_value"]) < 0.001
        assert float(at[name]["p_value_t"]) < 0.001
        assert (at[name]["aopc_morf"] > at[name]["aopc_random"]).all()
        assert (at[name]["aopc_lerf"] < at[name]["aopc_random"]).all()
        assert (at[name]["aopc_insertion"] > at[name]["aopc_insertion_random"]).all()
    assert float(at["wrong"]["p_value"]) > 0.99
    assert float(at["wrong"]["aopc_difference"]) < 0
    # 2 of 12 runs hold everything, and steps take 1, 2, ... runs: all has gone from the second step on.
    everything = ds["signal"].sel(lead="II").values[:, HERE].sum(1)
    np.testing.assert_allclose(at["contribution"]["morf"][:, 1:], everything[:, None].repeat(5, 1), rtol=0.05)
    # The first step takes one run of the two; the line in its place falls from the other one's level to nothing.
    np.testing.assert_allclose(at["contribution"]["morf"][:, 0], everything / 4, rtol=0.05)
    np.testing.assert_allclose(at["contribution"]["lerf"], 0, atol=0.1)
    assert np.isnan(at["contribution"]["p_value_versus"])
    assert float(at["wrong"]["p_value_versus"]) < 0.001


def test_tests_are_those_of_scipy(found):
    result, _ = found
    for name in ("contribution", "anything"):
        one = result.sel(explanation=name)
        a, b = one["aopc_morf"].values, one["aopc_random"].values
        assert float(one["p_value"]) == stats.wilcoxon(a, b, alternative="greater").pvalue
        assert float(one["p_value_t"]) == stats.ttest_rel(a, b, alternative="greater").pvalue
        np.testing.assert_allclose(a, one["morf"].mean("step"))
    assert result.attrs["n_records"] == 12


def test_parts_of_a_data_set_come_to_the_whole():
    net, ds, acts, seg = planted()
    options = {"methods": ["contribution"], "n_steps": 3, "n_random": 1}
    whole = faithfulness(net, ds, acts, seg, **options)
    parts = []
    for rows in (slice(0, 5), slice(5, 12)):
        some = ds.isel(record=rows)
        acts = ecg.activations(net, some, ["blocks.0"])
        parts.append(faithfulness(net, some, acts, seg.isel(record=rows), **options))
    kept = ["morf", "lerf", "random", "insertion", "insertion_random"]
    joined = compare_orders(xr.concat([part[kept] for part in parts], "record"))
    for name in ("morf", "lerf", "aopc_morf", "insertion"):
        np.testing.assert_allclose(joined[name], whole[name], rtol=1e-6)
    assert joined.attrs["n_records"] == 12
    assert float(joined["p_value"][0]) < 0.001


def test_every_order_takes_the_same_share_in_runs_of_equal_lengths():
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1, -1, 2, 0, 1], [4, 7, 3, 2, 9, 5])
    value = rng.normal(size=len(labels))
    shares = np.array([0.2, 0.6, 1.0])
    gone = _masks(labels, value, shares, 3, rng)
    assert gone.shape == (9, 3, len(labels))
    assert not gone[:, :, labels < 0].any()
    taken = gone.sum(2)
    back = np.array([False, False, True] + 3 * [False] + 3 * [True])
    assert (taken[~back] == [5, 16, 27]).all()
    assert (taken[back] == 27 - np.array([5, 16, 27])).all()
    mean = [value[a:b].mean() for a, b, _ in runs(labels)]
    longest = runs(labels)[np.argmax(mean)]
    one = _masks(labels, value, np.array([(longest[1] - longest[0]) / 27]), 20, rng)
    assert one[0, 0, longest[0] : longest[1]].all()
    for draw in one[3:23, 0]:  # in one piece, but for the masked cells between
        assert len(runs(np.where(draw[labels >= 0], 0, -1))) == 1


def test_attributions_of_captum_have_known_answers():
    net, ds, _, seg = planted(3)
    value = input_gradients(ecg.ECGNetwork(net, ecg.InputSpec(), ["sum"]), ds, seg, np.zeros(3, int))
    expected = np.zeros((3, 300))
    expected[:, HERE] = ds["signal"].sel(lead="II").values[:, HERE]  # a linear network: weight times input
    np.testing.assert_allclose(value, expected, atol=1e-5)
    shipped, some = ecg.load_network(), ecg.simulate(2, seed=1)
    acts = ecg.activations(shipped, some)
    seg = ecg.TimeClusters(4, random_state=0).fit_predict(acts)
    # Behind a mean over time and a Linear layer, Grad-CAM without ReLU is the exact contribution.
    cam = grad_cam(shipped, some, acts, seg, np.array([1, 0]))
    exact = cell_contributions(shipped, acts, seg).values[[0, 1], :, [1, 0]]
    np.testing.assert_allclose(cam, exact, atol=1e-5)


def test_networks_that_read_windows():
    net = ecg.ECGNetwork(ecg.networks.ResNet1d(12, 2), ecg.InputSpec(n_samples=150, hop=150), ["a", "b"]).eval()
    ds = recordings(2)
    acts = ecg.activations(net, ds)
    seg = ecg.TimeClusters(3, random_state=0).fit_predict(acts)
    shape = seg["cluster"].shape
    assert input_gradients(net, ds, seg, np.zeros(2, int)).shape == shape
    with pytest.raises(ValueError, match="windows; leave 'gradcam' out"):
        faithfulness(net, ds, acts, seg, methods=["gradcam"])


def test_a_record_without_valid_cells_is_left_out():
    net, ds, acts, seg = planted(4)
    seg["cluster"][1] = -1
    result = faithfulness(net, ds, acts, seg, methods=["contribution"], n_steps=2, n_random=1)
    assert result.attrs["n_records"] == 3
    assert np.isnan(result["morf"][0, 1]).all()
    assert np.isfinite(float(result["p_value"][0]))
    assert np.isfinite(float(result["aopc_difference"][0]))


def test_errors(monkeypatch):
    net, ds, acts, seg = planted(2)
    for options, message in (
        ({"target": "MI"}, r"target: expected one of \['output 0'\]"),
        ({"methods": ["lime"]}, "got 'lime'; pass others as attributions"),
        ({"methods": []}, "got none"),
        ({"n_steps": 0}, "n_steps: expected a whole number"),
        ({"n_random": 1.5}, "n_random: expected a whole number"),
        ({"largest_share": 0}, r"share in \(0, 1\]"),
        ({"attributions": {"x": seg["entropy"][:1]}}, r"attributions\['x'\]: expected \(record, cell\)"),
        ({"attributions": {"x": seg["entropy"] * np.nan}}, "got NaN or infinity in 600 of 600"),
    ):
        with pytest.raises(ValueError, match=message):
            faithfulness(net, ds, acts, seg, **{"methods": ["contribution"], **options})
    with pytest.raises(ValueError, match="same records"):
        faithfulness(net, ds.isel(record=[1, 0]), acts, seg)
    encoder = torch.nn.Sequential(torch.nn.Conv1d(12, 2, 1))
    with pytest.raises(ValueError, match="outputs to watch, got the encoder"):
        faithfulness(encoder, ds, ecg.activations(encoder, ds, ["0"]), seg)
    monkeypatch.setitem(sys.modules, "captum.attr", None)
    net, ds, acts, seg = planted(2)
    with pytest.raises(ImportError, match=r"ecg-widget\[evaluation\]"):
        faithfulness(net, ds, acts, seg, methods=["ig"])


@pytest.mark.real_data
def test_contributions_are_faithful_on_real_records(shared_data):
    net = ecg.load_network()
    ds = ecg.open_ecg(shared_data / "ptbxl", folds=[9]).isel(record=slice(24))
    acts = ecg.activations(net, ds)
    seg = ecg.TimeClusters(random_state=0).fit_predict(acts)
    result = faithfulness(net, ds, acts, seg, methods=["contribution"], n_steps=5, n_random=3)
    assert float(result["p_value"][0]) < 0.01
    assert float(result["aopc_difference"][0]) > 0.5
