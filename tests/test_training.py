import numpy as np
import pytest
import torch
import xarray as xr
from torch import nn

from ecg_widget.networks import ECGNetwork, InputSpec, ResNet1d, RibeiroResNet, predict
from ecg_widget.records import from_arrays
from ecg_widget.scores import score, score_table
from ecg_widget.training import Augmentation, Schedule, augment, soft_labels, train

TARGETS = ["fast", "tall"]


def corpus(n=48, seed=0):
    """Two leads of spikes; the labels are their rate and their height."""
    rng = np.random.default_rng(seed)
    label = rng.random((n, 2)) < 0.5
    t = np.arange(300) / 100
    rate = np.where(label[:, 0], 2.5, 1.0) * rng.uniform(0.95, 1.05, n)
    phase = (rate[:, None] * t + rng.random((n, 1))) % 1
    spikes = np.exp(-0.5 * ((phase - 0.5) / (0.03 * rate[:, None])) ** 2) * np.where(label[:, 1], 1.5, 0.7)[:, None]
    signal = np.stack([spikes, -0.5 * spikes], axis=1) + rng.normal(0, 0.02, (n, 2, 300))
    ds = from_arrays(signal, sampling_rate=100, leads=["I", "II"], units="mV")
    return ds.assign(label=(("record", "target"), label)).assign_coords(target=TARGETS)


def tiny(seed=0, **spec):
    torch.manual_seed(seed)
    module = ResNet1d(
        2, 2, channels=[8, 8, 8, 8], strides=[1, 2, 1, 2], stem_channels=8, stem_kernel=7, kernel_size=5, dropout=0.0
    )
    return ECGNetwork(module, InputSpec(leads=("I", "II"), **spec), TARGETS, "sigmoid")


SHORT = Schedule(epochs=12, batch_size=16, learning_rate=1e-2, average=8)
GENTLE = Augmentation(window=(0.6, 0.8), stretch=1.05, gain=0.05)


def test_learns_what_it_is_shown_and_generalises():
    net, calls = tiny(), []
    losses = train(net, corpus(), schedule=SHORT, augmentation=GENTLE, progress=lambda *a: calls.append(a))
    assert losses[-1] < 0.5 * losses[0]
    assert calls == list(enumerate(losses, start=1))
    assert not net.training
    fresh = corpus(seed=1)
    assert score(fresh["label"], predict(net, fresh))["auroc_macro"] > 0.9
    assert score(fresh["label"], predict(tiny(), fresh))["auroc_macro"] < 0.9  # untrained


def test_same_seed_same_weights_and_random_state_untouched():
    short = Schedule(epochs=2, batch_size=16)
    prints = []
    for caller_seed, seed in ((1, 0), (2, 0), (3, 5)):
        net = tiny()
        torch.manual_seed(caller_seed)
        state = torch.get_rng_state()
        train(net, corpus(), schedule=Schedule(**{**short.to_dict(), "seed": seed}))
        assert torch.equal(torch.get_rng_state(), state)
        prints.append(net.fingerprint)
    assert prints[0] == prints[1] != prints[2]


def test_teachers_count_by_their_share():
    ds = corpus()
    opposite = xr.DataArray(1.0 - ds["label"].values, ds["label"].coords, ("record", "target"))
    for share, upright in ((1.0, False), (0.0, True)):
        net = tiny()
        train(net, ds, soft=opposite, schedule=Schedule(**{**SHORT.to_dict(), "soft": share}), augmentation=GENTLE)
        assert (score(ds["label"], predict(net, ds))["auroc_macro"] > 0.5) == upright


def test_soft_labels_have_the_labels_share_and_the_teachers_order():
    ds = corpus()

    class Loud(nn.Module):
        def forward(self, x):
            height = x[:, 0].amax(-1)
            return torch.stack([height + 3, height + 3], dim=1)

    teacher = ECGNetwork(Loud(), InputSpec(leads=("I",)), ["tall", "fast"], "sigmoid")
    soft = soft_labels([teacher], ds)
    assert soft["target"].values.tolist() == TARGETS
    assert np.allclose(soft.mean("record"), ds["label"].mean("record"), atol=1e-6)
    said = predict(teacher, ds).sel(target="tall")
    assert (np.argsort(soft.sel(target="tall").values) == np.argsort(said.values)).all()
    assert np.allclose(soft_labels([teacher, teacher], ds), soft)


def test_teachers_that_do_not_fit():
    ds = corpus()
    with pytest.raises(ValueError, match="expected probabilities of"):
        soft_labels([tiny().module], ds)
    with pytest.raises(ValueError, match="expected probabilities of"):
        soft_labels([ECGNetwork(tiny().module, tiny().spec, ["fast", "other"], "sigmoid")], ds)


def test_records_without_a_valid_sample_are_not_learned_from():
    ds = corpus()
    blank = ds.copy(deep=True)
    blank["signal"].values[:3] = 0
    blank["label"].values[:3] = ~blank["label"].values[:3]  # must not matter
    one, two = tiny(), tiny()
    train(one, blank, schedule=Schedule(epochs=1))
    train(two, ds.isel(record=slice(3, None)), schedule=Schedule(epochs=1))
    assert one.fingerprint == two.fingerprint


def test_minutes_end_the_training():
    losses = train(tiny(), corpus(), schedule=Schedule(epochs=100_000, minutes=0.01))
    assert 1 <= len(losses) < 100_000


@pytest.mark.parametrize(
    "change", [{"epochs": 0}, {"soft": 1.1}, {"minutes": 0.0}, {"batch_size": 1}, {"learning_rate": float("nan")}]
)
def test_schedules_that_are_none(change):
    with pytest.raises(ValueError, match="expected"):
        Schedule(**change)


def test_unusable_records():
    ds = corpus()
    with pytest.raises(ValueError, match=r"expected ds\.label"):
        train(tiny(), ds.drop_vars("label"))
    with pytest.raises(ValueError, match="missing"):
        train(tiny(), ds.isel(target=[0]))
    with pytest.raises(ValueError, match="at least two records"):
        train(tiny(), ds.isel(record=[0]))
    net = tiny()
    net.output = "softmax"
    with pytest.raises(ValueError, match="sigmoid"):
        train(net, ds)


def test_fixed_length_networks_train_on_whole_windows():
    torch.manual_seed(0)
    module = RibeiroResNet(2, 2, channels=[4, 6], lengths=[64, 16], n_samples=64, dropout=0.0)
    net = ECGNetwork(module, InputSpec(leads=("I", "II"), n_samples=64), TARGETS, "sigmoid")
    with pytest.raises(ValueError, match=r"window=\(1, 1\)"):
        train(net, corpus(), schedule=Schedule(epochs=1))
    assert len(train(net, corpus(), schedule=Schedule(epochs=1), augmentation=Augmentation(window=(1, 1)))) == 1


def test_augmentation_reads_windows_of_the_record():
    x = torch.arange(500.0).expand(64, 2, 500) / 100  # a ramp: value = time
    how = Augmentation(window=(0.5, 0.8), stretch=1.25, gain=0, lead_gain=0, wander=0, noise=0)
    random = torch.Generator().manual_seed(0)
    seen = augment(x, 100, how, random)
    assert 250 <= seen.shape[-1] <= 400
    assert torch.equal(seen[:, 0], seen[:, 1])
    step = seen.diff(dim=-1)[:, 0]
    assert torch.allclose(step, step[:, :1].expand_as(step), atol=1e-5)
    assert 0.008 - 1e-6 <= step.min() < 0.009
    assert 0.011 < step.max() <= 0.0125 + 1e-6
    assert seen.min() >= 0
    assert seen.max() <= 4.99
    assert seen[:, 0, 0].std() > 0.1  # starts differ


def test_augmentation_keeps_its_units():
    random = torch.Generator().manual_seed(0)
    how = Augmentation(gain=0, lead_gain=0, wander=0.1, noise=0)
    quiet = augment(torch.zeros(64, 12, 400), 100, how, random)
    random.manual_seed(0)
    micro = augment(torch.zeros(64, 12, 400), 100, how, random, millivolt=1000)
    assert torch.allclose(micro, 1000 * quiet)
    assert 0.02 < quiet.std() < 0.12
    whole = augment(torch.ones(4, 12, 400), 100, Augmentation(window=(1, 1), wander=0, noise=0), random)
    assert whole.shape == (4, 12, 400)


def arrays(truth, values):
    names = {"record": [str(i) for i in range(len(truth))], "target": [f"t{i}" for i in range(len(truth[0]))]}
    return (xr.DataArray(np.asarray(v), names, ("record", "target")) for v in (truth, values))


def test_scores_by_hand():
    truth, values = arrays([[1, 0], [1, 0], [0, 1], [0, 0]], [[0.9, 0.1], [0.4, 0.2], [0.6, 0.8], [0.1, 0.9]])
    s = score(truth.astype(bool), values)
    assert s["auroc"] == {"t0": 0.75, "t1": 0.6667}
    assert s["auroc_macro"] == pytest.approx((0.75 + 2 / 3) / 2, abs=1e-4)
    assert s["auroc_hard_labels"] == pytest.approx((0.5 + 5 / 6) / 2, abs=1e-4)
    assert s["accuracy"] == 5 / 8
    assert s["kappa"] == pytest.approx((5 / 8 - 0.5) / 0.5, abs=1e-4)
    low, high = s["auroc_macro_95"]
    assert 0 <= low <= s["auroc_macro"] <= high <= 1


def test_scores_do_not_depend_on_order():
    truth, values = arrays([[1, 0], [1, 1], [0, 1]], [[0.9, 0.1], [0.4, 0.2], [0.6, 0.8]])
    assert score(truth, values.isel(record=[2, 0, 1], target=[1, 0])) == score(truth, values)


def test_scores_where_they_are_undefined():
    truth, values = arrays([[1, 1], [1, 1]], [[0.9, 0.1], [0.4, 0.2]])
    s = score(truth, values)
    assert (s["auroc_macro"], s["auroc_macro_95"], s["kappa"]) == (None, None, None)
    assert "-" in score_table({"x": s}, ["t0", "t1"])
    with pytest.raises(ValueError, match="expected a number"):
        score(truth, values * np.nan)
    with pytest.raises(KeyError):
        score(truth, values.isel(target=[0]))
