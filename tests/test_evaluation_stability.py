"""Stability: planted groups come out alike whatever the seed, and what depends on chance or phase shows it."""

from itertools import combinations

import numpy as np
import pytest
import torch
from sklearn.metrics import adjusted_rand_score

import ecg_widget as ecg
from ecg_widget.evaluation import stability
from ecg_widget.evaluation.stability import perturbed_input

PATTERN = 40  # samples


class Pooled(torch.nn.Module):
    """Cells of four samples: the means of three leads."""

    def __init__(self):
        super().__init__()
        self.blocks = torch.nn.Sequential(torch.nn.Conv1d(12, 3, 4, stride=4, bias=False))
        with torch.no_grad():
            self.blocks[0].weight.zero_()
            for lead in range(3):
                self.blocks[0].weight[lead, lead] = 0.25

    def forward(self, x):
        return self.blocks(x).mean(2)


def recordings(n=6, *, change=None, noise=0.02, seed=0):
    """One of three leads stands out, another one every `change` samples; or the same in the whole record if None."""
    rng = np.random.default_rng(seed)
    signal = noise * rng.normal(size=(n, 12, 240))
    owner = np.arange(n)[:, None] + (np.zeros(240, int) if change is None else np.arange(240) // change)
    for lead in range(3):
        signal[:, lead] += owner % 3 == lead
    return ecg.from_arrays(signal.astype(np.float32), sampling_rate=100, leads=list(ecg.LEADS), units="mV")


def test_planted_groups_are_stable():
    ds = recordings(change=PATTERN)
    result = stability(Pooled(), ds, ecg.TimeClusters(3), n_seeds=4, n_bootstrap=3, snr_db=[40, -10])
    assert dict(result.sizes) == {"n_clusters": 1, "pair": 6, "draw": 3, "shift": 3, "snr": 2, "seed": 4}
    np.testing.assert_allclose(result["shift"], [0.01, 0.02, 0.03])
    assert (result["ari_seed"] == 1).all()
    assert (result["ari_bootstrap"] == 1).all()
    assert float(result["median_seed"][0]) == 1
    good, bad = result["ari_noise"].values[0]
    assert good == 1
    assert bad < 0.5  # ten times more noise than signal


def test_what_is_invariant_to_shifts_has_index_one():
    same = stability(Pooled(), recordings(), ecg.TimeClusters(3), n_seeds=2, n_bootstrap=0, snr_db=[])
    assert (same["ari_shift"] == 1).all()
    assert same["ari_noise"].sizes["snr"] == 0
    # Groups as long as a cell: a shift by half a cell mixes two of them in every cell.
    phase = stability(Pooled(), recordings(change=4), ecg.TimeClusters(3), n_seeds=2, n_bootstrap=0, snr_db=[])
    assert float(phase["ari_shift"].sel(shift=0.02)[0]) < 0.6
    assert float(phase["ari_shift"].sel(shift=0.01)[0]) > 0.9


def test_cells_are_held_against_those_that_saw_the_same_signal():
    """A shift by a whole cell moves every track by one cell, and all of it is found again but for the first cell."""
    whole = stability(Pooled(), recordings(change=12), ecg.TimeClusters(3), n_bootstrap=0, shifts=[4, 6], snr_db=[])
    assert float(whole["ari_shift"][0, 0]) > 0.97


def test_indices_are_those_of_scikit_learn_and_of_the_fits_that_are_named():
    net, ds = Pooled(), recordings(noise=3, seed=1)
    options = {"n_seeds": 3, "n_bootstrap": 0, "shifts": [], "snr_db": []}
    result = stability(net, ds, ecg.TimeClusters(n_init=1), n_clusters=[2, 7], random_state=5, **options)
    acts = ecg.activations(net, ds)
    for k in (2, 7):
        fits = [ecg.TimeClusters(k, n_init=1, random_state=5 + s).fit(acts) for s in range(3)]
        labels = [fit.predict(acts)["cluster"].values.ravel() for fit in fits]
        expected = [adjusted_rand_score(a, b) for a, b in combinations(labels, 2)]
        np.testing.assert_allclose(result["ari_seed"].sel(n_clusters=k), expected)
        np.testing.assert_allclose(result["inertia"].sel(n_clusters=k), [fit.inertia_ for fit in fits])
    assert float(result["median_seed"].sel(n_clusters=7)) < 0.8  # noise without groups
    assert result.attrs["n_init"] == 1


def test_held_out_records_are_segmented_not_fitted():
    net, few, many = Pooled(), recordings(3), recordings(9, seed=4)
    result = stability(net, few, ecg.TimeClusters(3), n_seeds=2, n_bootstrap=1, held_out=many, snr_db=[])
    assert result.attrs["compared_on"] == "held-out records"
    assert result.attrs["n_records"] == 3
    assert (result["ari_seed"] == 1).all()


def test_zscores_are_those_of_the_fitted_records():
    clusters = ecg.TimeClusters(3, normalization="zscore")
    result = stability(Pooled(), recordings(), clusters, n_seeds=2, n_bootstrap=1, snr_db=[60])
    assert float(result["ari_noise"][0, 0]) == 1


def test_the_input_is_changed_for_as_long_as_the_block_lasts():
    net = ecg.ECGNetwork(Pooled(), ecg.InputSpec(n_samples=120, hop=120), ["a", "b", "c"])
    seen = []
    net.module.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    x = torch.arange(240.0).expand(1, 12, 240)
    with perturbed_input(net, lambda x: x.roll(1, -1)):
        net(x)
    assert seen[-1][:, 0, 0].tolist() == [239, 119]  # a whole recording was shifted, not each of its windows
    with pytest.raises(KeyError), perturbed_input(net, torch.neg):
        raise KeyError
    net(x)
    assert seen[-1][:, 0, 0].tolist() == [0, 120]


@pytest.mark.parametrize(
    ("options", "message"),
    [({"n_seeds": 1}, "n_seeds: expected a whole number of at least 2, got 1"), ({"n_bootstrap": -1}, "n_bootstrap")],
)
def test_errors(options, message):
    with pytest.raises(ValueError, match=message):
        stability(Pooled(), recordings(2), **options)


@pytest.mark.real_data
def test_the_shipped_network_is_stable_at_the_default_number(shared_data):
    ds = ecg.open_ecg(shared_data / "ptbxl", folds=[9]).isel(record=slice(40))
    result = stability(ecg.load_network(), ds, n_seeds=3, n_bootstrap=0, shifts=[], snr_db=[20])
    assert float(result["median_seed"][0]) > 0.8
    assert float(result["ari_noise"][0, 0]) > 0.8
