"""Fits on disk: what is written is what was fitted, the same fit is the same file, and wrong files are refused."""

import json

import numpy as np
import pytest
import torch
import xarray as xr
from safetensors.numpy import load_file, safe_open, save_file

import ecg_widget as ecg
from ecg_widget.artifacts import artifact_hash, load_clusters, save_clusters
from ecg_widget.networks import ECGNetwork, InputSpec, ResNet1d


@pytest.fixture(scope="module")
def net():
    return ecg.load_network()


@pytest.fixture(scope="module")
def acts(net):
    return ecg.activations(net, ecg.simulate(6, seed=1))


@pytest.mark.parametrize("normalization", ["l2", "zscore", None])
def test_what_is_loaded_predicts_the_same(tmp_path, net, acts, normalization):
    tc = ecg.TimeClusters(5, normalization=normalization, n_init=2, random_state=3).fit(acts)
    save_clusters(tmp_path / "fit.safetensors", tc, network=net)
    again = load_clusters(tmp_path / "fit.safetensors", net)
    assert again.get_params() == tc.get_params()
    assert vars(again).keys() == vars(tc).keys()
    assert (again.layers_, again.strides_, again.weights_) == (list(acts), tc.strides_, tc.weights_)
    assert again.strides_ == [layer.attrs["stride"] for layer in acts.values()]
    assert again.records_ == acts.output["record"].values.tolist()
    assert again.fingerprint_ == net.fingerprint
    xr.testing.assert_identical(again.predict(acts), tc.predict(acts))
    assert not list(tmp_path.glob("*.partial"))


def _fit_hash(seed):
    ds = ecg.simulate(6, seed=1)
    return artifact_hash(ecg.TimeClusters(6, random_state=seed).fit(ecg.activations(ecg.load_network(), ds)))


def test_the_same_seed_is_the_same_file_on_one_thread_and_on_two():
    """Simulation, forward pass, embedding and k-means: nothing in between may depend on the number of threads."""
    before = torch.get_num_threads()
    try:
        found = []
        for threads in (1, 2, 1):
            torch.set_num_threads(threads)
            found.append(_fit_hash(seed=0))
    finally:
        torch.set_num_threads(before)
    assert len(set(found)) == 1
    assert _fit_hash(seed=1) != found[0]


def test_file_is_the_hash(tmp_path, acts):
    import hashlib

    tc = ecg.TimeClusters(4, random_state=0).fit(acts)
    save_clusters(tmp_path / "a", tc)
    assert hashlib.sha256((tmp_path / "a").read_bytes()).hexdigest() == artifact_hash(tc)


def test_another_network_is_refused_unless_told(tmp_path, net, acts):
    tc = ecg.TimeClusters(4, random_state=0).fit(acts)
    save_clusters(tmp_path / "fit", tc, network=net)
    torch.manual_seed(0)
    other = ECGNetwork(ResNet1d(12, 5), InputSpec(), list(net.targets), "sigmoid", name="other")
    with pytest.raises(ValueError, match=r"expected the network that was fitted, .*got other .*any_network=True"):
        load_clusters(tmp_path / "fit", other)
    with pytest.raises(ValueError, match="got other"):
        save_clusters(tmp_path / "no", tc, network=other)
    assert not (tmp_path / "no").exists()
    elsewhere = ecg.activations(other, ecg.simulate(2))
    with pytest.raises(ValueError, match="expected activations of the network that was fitted"):
        load_clusters(tmp_path / "fit").predict(elsewhere)
    told = load_clusters(tmp_path / "fit", other, any_network=True)
    assert told.predict(elsewhere)["cluster"].sizes["record"] == 2


def test_one_changed_weight_is_another_network(acts):
    """Layer names and shapes agree: only the fingerprint tells."""
    tc = ecg.TimeClusters(4, random_state=0).fit(acts)
    changed = ecg.load_network()
    with torch.no_grad():
        changed.module.head.bias[0] += 1e-3
    with pytest.raises(ValueError, match="those of another one"):
        tc.predict(ecg.activations(changed, ecg.simulate(1)))


def test_what_cannot_be_saved(tmp_path, acts):
    with pytest.raises(ValueError, match="expected them fitted"):
        save_clusters(tmp_path / "a", ecg.TimeClusters(4))
    with pytest.raises(ValueError, match="random_state: expected a number or None"):
        save_clusters(tmp_path / "a", ecg.TimeClusters(4, random_state=np.random.RandomState(0)).fit(acts))


def _change_about(path, **changes):
    with safe_open(path, "np") as file:
        about = json.loads(file.metadata()["ecg_widget"])
    save_file(load_file(path), path, {"ecg_widget": json.dumps({**about, **changes})})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": 99}, "format: expected 1, got 99"),
        ({"kind": "network"}, "expected fitted clusters"),
        ({"tau": 0}, "tau: expected a number above 0"),
        ({"tau": "x"}, "tau: expected a number"),
        ({"inertia": -1}, "inertia: expected a number of at least 0"),
        ({"layers": "abc"}, "layers: expected list"),
        ({"weights": []}, "expected one for each of the layers"),
        ({"parameters": {"n_clusters": 4}}, "parameters: expected"),
    ],
)
def test_files_whose_description_is_wrong(tmp_path, acts, changes, message):
    path = tmp_path / "fit"
    save_clusters(path, ecg.TimeClusters(4, random_state=0).fit(acts))
    _change_about(path, **changes)
    with pytest.raises(ValueError, match=f"fit: not a file of fitted clusters: .*{message}"):
        load_clusters(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.update(centers=t["centers"][:2]), r"centers: expected float32 \(4, feature\)"),
        (lambda t: t.update(centers=t["centers"] * np.nan), "centers: expected finite values"),
        (lambda t: t.update(extra=np.zeros(1)), "tensors: expected"),
        (lambda t: t.pop("log_prior"), "log_prior"),
    ],
)
def test_files_whose_numbers_are_wrong(tmp_path, acts, change, message):
    path = tmp_path / "fit"
    save_clusters(path, ecg.TimeClusters(4, random_state=0).fit(acts))
    with safe_open(path, "np") as file:
        metadata = file.metadata()
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path, metadata)
    with pytest.raises(ValueError, match=message):
        load_clusters(path)


def test_files_that_are_something_else(tmp_path, net):
    with pytest.raises(FileNotFoundError, match="expected a file of clusters"):
        load_clusters(tmp_path / "none")
    (tmp_path / "text").write_text("hello")
    with pytest.raises(ValueError, match="text: not a file of fitted clusters"):
        load_clusters(tmp_path / "text")
    net.save(tmp_path / "net")
    with pytest.raises(ValueError, match="load_network reads networks"):
        load_clusters(tmp_path / "net")
