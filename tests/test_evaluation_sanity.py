"""Sanity: what training put there goes away with the weights, and what the head says goes first."""

import numpy as np
import pytest
import torch
from sklearn.metrics import adjusted_mutual_info_score

import ecg_widget as ecg
from ecg_widget.evaluation import sanity
from ecg_widget.evaluation.landmarks import cell_landmarks


class Later(torch.nn.Module):
    """Registers its parts in another order than it runs them."""

    def __init__(self):
        super().__init__()
        self.head = torch.nn.Linear(12, 2)
        self.second = torch.nn.Sequential(torch.nn.Conv1d(12, 12, 3, padding=1), torch.nn.ReLU())
        self.first = torch.nn.Sequential(torch.nn.Conv1d(12, 12, 3, padding=1), torch.nn.ReLU())

    def forward(self, x):
        return self.head(self.second(self.first(x)).mean(2))


class Picks(torch.nn.Module):
    """Sees one lead alone of twelve that are all as loud."""

    def __init__(self):
        super().__init__()
        self.blocks = torch.nn.Sequential(torch.nn.Conv1d(12, 2, 1))
        self.head = torch.nn.Linear(2, 2, bias=False)
        with torch.no_grad():
            self.blocks[0].weight.zero_()
            self.blocks[0].weight[0, 1, 0], self.blocks[0].weight[1, 1, 0] = 1, -1
            self.blocks[0].bias.zero_()
            self.head.weight.copy_(torch.eye(2))

    def forward(self, x):
        return self.head(torch.relu(self.blocks(x)).mean(2))


def noise(n=4, length=400):
    signal = np.sign(np.random.default_rng(0).normal(size=(n, 12, length))).astype(np.float32)
    return ecg.from_arrays(signal, sampling_rate=100, leads=list(ecg.LEADS), units="mV")


@pytest.fixture(scope="module")
def shipped():
    net, ds = ecg.load_network(), ecg.simulate(3, seed=2)
    before = net.fingerprint
    result = sanity(net, ds, ecg.TimeClusters(6, n_init=1, random_state=0), n_seeds=2)
    assert net.fingerprint == before
    return result, ds


def test_the_cascade_goes_from_the_output_to_the_input(shipped):
    result, _ = shipped
    assert result["stage"].values.tolist() == [
        "trained", "head", "blocks.3", "blocks.2", "blocks.1", "blocks.0", "stem",
    ]  # fmt: skip
    for name in ("ari", "contribution_rank", "output_rank"):
        np.testing.assert_allclose(result[name].sel(stage="trained"), 1)
    # Clusters are taken before the head: unchanged by design. What the head says of them is not.
    assert (result["ari"].sel(stage="head") == 1).all()
    assert (result["proportion_distance"].sel(stage="head") == 0).all()
    assert (result["contribution_rank"].sel(stage="head") < 0.9).all()
    last = result["ari"].sel(stage="stem")
    assert (last < 0.5).all()
    assert (last < result["ari"].sel(stage="blocks.3")).all()
    assert result.sizes["seed"] == 2
    assert result["ari"].sel(stage="blocks.2").values[0] != result["ari"].sel(stage="blocks.2").values[1]


def test_alignment_is_measured_where_there_are_waves(shipped):
    result, ds = shipped
    seg = ecg.TimeClusters(6, n_init=1, random_state=0).fit_predict(ecg.activations(ecg.load_network(), ds))
    truth = cell_landmarks(ds, seg).values
    known = truth >= 0
    expected = adjusted_mutual_info_score(truth[known], seg["cluster"].values[known])
    np.testing.assert_allclose(result["ami"].sel(stage="trained"), expected)
    assert ((result["ami_signal"] > 0) & (result["ami_signal"] < 1)).all()
    assert "ami" not in sanity(Picks(), noise(1), ecg.TimeClusters(2), layers=["blocks.0"], n_seeds=1)


def test_the_same_seed_gives_the_same():
    found = []
    for seed in (1, 2):  # the caller's own generator does not matter, and stays where it was
        torch.manual_seed(seed)
        state = torch.get_rng_state()
        torch.manual_seed(seed)
        net = Picks()
        torch.manual_seed(seed)
        found.append(sanity(net, noise(), ecg.TimeClusters(2, random_state=0), layers=["blocks.0"], n_seeds=2))
        assert torch.equal(torch.get_rng_state(), state)
    np.testing.assert_array_equal(found[0]["ari"], found[1]["ari"])


def test_clusters_that_rest_on_a_weight_go_with_it():
    """The sign of one lead among twelve as loud: nothing in the signal but the weights says which."""
    result = sanity(Picks(), noise(), ecg.TimeClusters(2, random_state=0), layers=["blocks.0"], n_seeds=4)
    assert result["stage"].values.tolist() == ["trained", "head", "blocks.0"]
    np.testing.assert_allclose(result["refit"], 1)
    assert float(result["ari"].sel(stage="blocks.0").mean()) < 0.3


def test_parts_go_in_the_order_in_which_they_run():
    result = sanity(Later(), noise(2, 200), ecg.TimeClusters(2, random_state=0), layers=["first"], n_seeds=1)
    assert result["stage"].values.tolist() == ["trained", "head", "first"]
    assert (result["ari"].sel(stage="head") == 1).all()
    both = sanity(Later(), noise(2, 200), ecg.TimeClusters(2, random_state=0), layers=["first", "second"], n_seeds=1)
    assert both["stage"].values.tolist() == ["trained", "head", "second", "first"]


def test_an_encoder_has_clusters_but_no_contributions():
    torch.manual_seed(0)
    encoder = torch.nn.Sequential(torch.nn.Conv1d(12, 4, 3, padding=1), torch.nn.Conv1d(4, 4, 3, padding=1))
    result = sanity(encoder, noise(2, 200), ecg.TimeClusters(2, random_state=0), layers=["0", "1"], n_seeds=1)
    assert np.isnan(result["contribution_rank"]).all()
    assert np.isnan(result["output_rank"]).all()
    assert np.isfinite(result["ari"]).all()


def test_errors():
    with pytest.raises(ValueError, match="n_seeds: expected a whole number of at least 1, got 0"):
        sanity(Picks(), noise(1), n_seeds=0)


@pytest.mark.real_data
def test_random_weights_lose_the_clusters_of_real_records(shared_data):
    ds = ecg.open_ecg(shared_data / "ptbxl", folds=[9]).isel(record=slice(12))
    result = sanity(ecg.load_network(), ds, ecg.TimeClusters(n_init=2, random_state=0), n_seeds=1)
    assert float(result["ari"].sel(stage="stem")[0]) < 0.3
    assert float(result["refit"][0]) > 0.5
