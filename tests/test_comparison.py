"""`compare_segments` and `compare`: clusters matched by time, agreement as scikit-learn has it, both sides in one view."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest
import torch
import traitlets as t
import xarray as xr
from sklearn.metrics import adjusted_mutual_info_score, adjusted_rand_score

import ecg_widget as ecg
from ecg_widget.comparison import match_slots, measures, partners, pooled_overlap

HOSTILE = '<img src=x onerror="alert(1)">\u202e' + "x" * 10_000


def segments(labels, centre, *, records=("r0", "r1"), slot=None):
    labels = np.asarray(labels)
    count = int(labels.max()) + 1
    extra = {} if slot is None else {"slot": ("cluster", np.asarray(slot, np.uint8))}
    return xr.Dataset(
        {
            "cluster": (("record", "cell"), labels),
            "entropy": (("record", "cell"), np.full(labels.shape, 0.25, np.float32)),
            "proportion": (("record", "cluster"), np.ones((len(labels), count))),
            **extra,
        },
        {"record": list(records), "centre": ("cell", np.asarray(centre, float))},
    )


def recording(seconds, rate=100.0, records=("r0", "r1")):
    time = np.arange(round(seconds * rate)) / rate
    signal = np.zeros((len(records), 1, time.size), np.float32)
    return ecg.from_arrays(signal, sampling_rate=rate, leads=["II"], units="mV", records=list(records))


@pytest.fixture(scope="module")
def two_sides():
    """Random labels on cells of 50 ms and of 80 ms, some masked."""
    rng = np.random.default_rng(0)
    fine, coarse = (np.arange(80) + 0.5) * 0.05, (np.arange(50) + 0.5) * 0.08
    a = np.repeat(rng.integers(0, 4, (2, 16)), 5, axis=1)
    b = (a[:, np.searchsorted(fine, coarse).clip(0, 79)] + 1) % 4
    b = np.where(rng.random(b.shape) < 0.3, rng.integers(0, 6, b.shape), b)
    a[0, :7], b[1, 20:26] = -1, -1
    return segments(a, fine, slot=[7, 2, 5, 0]), segments(b, coarse), recording(4.0)


def brute(a, b, row, steps):
    """Labels of both sides at times, cell by cell."""

    def at(seg, time):
        centre = seg["centre"].values
        return int(seg["cluster"].values[row, int(np.abs(centre - time).argmin())])

    pairs = [(at(a, time), at(b, time)) for time in steps]
    return np.array([pair for pair in pairs if min(pair) >= 0])


def test_overlap_is_the_time_that_both_sides_show(two_sides):
    a, b, ds = two_sides
    found = ecg.compare_segments(a, b, ds)
    fine = (np.arange(40_000) + 0.5) * 1e-4
    for row in range(2):
        pairs = brute(a, b, row, fine)
        expected = np.zeros((4, 6))
        np.add.at(expected, tuple(pairs.T), 1e-4)
        np.testing.assert_allclose(found["record_overlap"].values[row], expected, atol=1e-3)
        assert float(found["compared"][row]) == pytest.approx(len(pairs) * 1e-4, abs=1e-3)
    assert float(found["compared"].sum()) < 8 - 0.3  # masked time is not compared


def test_agreement_is_scikit_learns_on_equal_steps(two_sides):
    a, b, ds = two_sides
    found = ecg.compare_segments(a, b, ds)
    assert found.attrs["step"] == pytest.approx(0.05)
    steps = (np.arange(80) + 0.49) * 0.05
    each = [brute(a, b, row, steps) for row in range(2)]
    for name, pairs in [("", np.concatenate(each)), *(("record_", pairs) for pairs in each)]:
        row = None if name == "" else next(i for i, x in enumerate(each) if x is pairs)
        values = {m: found[name + m] if row is None else found[name + m][row] for m in ("ami", "ari")}
        assert float(values["ami"]) == pytest.approx(adjusted_mutual_info_score(*pairs.T), abs=1e-9)
        assert float(values["ari"]) == pytest.approx(adjusted_rand_score(*pairs.T), abs=1e-9)


def test_variation_of_information_is_zero_for_renamed_clusters_and_the_entropies_for_independent_ones():
    renamed = np.array([[0.0, 3.0], [1.0, 0.0]])
    assert measures(renamed, renamed.astype(int), partners(renamed))["vi"] == 0
    apart = np.full((2, 4), 1.0)
    found = measures(apart, (100 * apart).astype(int), partners(apart))
    assert found["vi"] == pytest.approx(1 + 2)
    assert found["same"] == 0
    assert abs(found["ami"]) < 0.01
    assert abs(found["ari"]) < 0.01


def test_no_other_matching_shares_more_time(two_sides):
    a, b, ds = two_sides
    overlap = ecg.compare_segments(a, b, ds)["overlap"].values
    pairs = partners(overlap)
    best = max(sum(overlap[i, j] for i, j in enumerate(order)) for order in itertools.permutations(range(6), 4))
    assert sum(overlap[i, j] for i, j in enumerate(pairs) if j >= 0) == pytest.approx(best)
    assert len(set(pairs[pairs >= 0].tolist())) == (pairs >= 0).sum()


def test_matched_clusters_have_one_colour_and_others_a_colour_of_their_own(two_sides):
    a, b, ds = two_sides
    found = ecg.compare_segments(a, b, ds)
    slots, pairs = found["slot_b"].values, found["partner"].values
    assert found["slot_a"].values.tolist() == [7, 2, 5, 0]
    assert [int(slots[j]) for j in pairs if j >= 0] == [s for s, j in zip([7, 2, 5, 0], pairs, strict=True) if j >= 0]
    alone = set(range(6)) - set(pairs.tolist())
    assert len(set(slots.tolist())) == 6
    assert not {int(slots[j]) for j in alone} & {7, 2, 5, 0}


def test_a_long_cell_weighs_as_long_as_it_lasts():
    # By the number of cells the first cluster of a would be the partner of b's only one; by time it is the second.
    a = segments([[0, 0, 0, 1]], [0.05, 0.15, 0.25, 1.65], records=["r"])
    b = segments([[0, 0, 1]], [0.5, 1.5, 2.5], records=["r"])
    found = ecg.compare_segments(a, b, recording(3.0, records=["r"]))
    border = (0.25 + 1.65) / 2
    np.testing.assert_allclose(found["overlap"].values, [[border, 0], [2 - border, 1]], atol=1e-9)
    assert found["partner"].values.tolist() == [0, 1]


def test_clusters_that_meet_no_longer_than_by_chance_are_not_matched():
    assert partners(np.array([[8.0, 2.0], [4.0, 1.0]])).tolist() == [-1, -1]
    slots = match_slots(np.array([[8.0, 2.0], [4.0, 1.0]]), np.array([0, 1]))
    assert slots.tolist() == [2, 3]


def test_twenty_and_twenty_strange_clusters_all_get_letters():
    slots = match_slots(np.ones((20, 20)), np.arange(20))
    assert sorted(slots.tolist()) == list(range(20, 40))


def test_unrelated_segmentations_reach_what_shifted_ones_reach():
    rng = np.random.default_rng(3)
    centre = (np.arange(500) + 0.5) * 0.02
    a, b = (np.repeat(rng.integers(0, 5, (8, 50)), 10, axis=1) for _ in range(2))
    records = [f"r{i}" for i in range(8)]
    ds = recording(10.0, records=records)
    found = ecg.compare_segments(segments(a, centre, records=records), segments(b, centre, records=records), ds)
    assert abs(float(found["ami"]) - float(found["ami_shifted"])) < 0.02
    copied = ecg.compare_segments(segments(a, centre, records=records), segments(a, centre, records=records), ds)
    assert float(copied["ami"]) == 1
    assert float(copied["ami_shifted"]) < 0.1
    none = ecg.compare_segments(
        segments(a, centre, records=records), segments(a, centre, records=records), ds, shifts=0
    )
    assert np.isnan(none["ami_shifted"])


def test_chance_of_many_steps_is_near_the_exact_one(monkeypatch):
    table = np.random.default_rng(1).integers(50, 4000, (6, 8))
    exact = measures(table.astype(float), table, partners(table.astype(float)))["ami"]
    monkeypatch.setattr("ecg_widget.comparison.EXACT", 10)
    assert measures(table.astype(float), table, partners(table.astype(float)))["ami"] == pytest.approx(exact, abs=1e-6)


def test_masked_records_say_nan_and_do_not_disturb_the_others(two_sides):
    a, b, ds = two_sides
    gone = a.copy(deep=True)
    gone["cluster"] = (("record", "cell"), np.where([[True], [False]], -1, a["cluster"].values))
    found = ecg.compare_segments(gone, b, ds)
    assert np.isnan(found["record_ami"].values[0])
    assert float(found["compared"][0]) == 0
    assert float(found["ami"]) == pytest.approx(float(found["record_ami"][1]))
    nothing = gone.assign(cluster=(("record", "cell"), np.full(a["cluster"].shape, -1)))
    assert np.isnan(ecg.compare_segments(nothing, b, ds)["same"])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda a, b: (a, b.isel(record=[1, 0])), "same records in the same order"),
        (lambda a, b: (a.drop_vars("centre"), b), "a: expected segments with cluster"),
        (lambda a, b: (a, b.isel(cell=slice(0))), "b: expected cells"),
        (lambda a, b: (a.isel(cell=slice(None, None, -1)), b), "ascending"),
        (lambda a, b: (a.assign(cluster=a["cluster"] + 9), b), "a: expected cells of 4 clusters"),
    ],
)
def test_what_cannot_be_compared_is_named(two_sides, change, words):
    a, b, ds = two_sides
    with pytest.raises(ValueError, match=words):
        ecg.compare_segments(*change(a, b), ds)


def test_shifts_and_names_out_of_range_are_refused(two_sides):
    with pytest.raises(ValueError, match="shifts: expected a whole number"):
        ecg.compare_segments(*two_sides, shifts=-1)
    with pytest.raises(ValueError, match="names: expected one for each"):
        ecg.compare_segments(*two_sides, names=["a"])


def conv(seed=0):
    """A network of another stride and width than the shipped one."""
    torch.manual_seed(seed)
    layers = [torch.nn.Conv1d(12, 8, 9, stride=5, padding=4), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool1d(1)]
    return torch.nn.Sequential(*layers, torch.nn.Flatten(), torch.nn.Linear(8, 3))


@pytest.fixture(scope="module")
def ds():
    return ecg.simulate(6, seed=4)


@pytest.fixture
def c(ds):
    made = ecg.compare({"ours": ecg.load_network(), HOSTILE: conv()}, ds, n_clusters=6)
    yield made
    made.close()


def test_two_networks_are_matched_over_all_records_and_the_picture_uses_that(c, ds):
    found = c.comparison
    assert found.sizes["record"] == 6
    assert c.pairing["records"] == 6
    assert c.pairing["slots"] == found["slot_b"].values.tolist()
    assert c.pairing["ami"] == pytest.approx(float(found["ami"]))
    assert found["slot_a"].values.tolist() == c.result["slot"].values.tolist()
    assert found.attrs["names"] == ["ours", HOSTILE]
    assert found["centre_a"].size != found["centre_b"].size
    json.dumps(c.pairing, allow_nan=False)
    alone = pooled_overlap(c.result, c.other, ds)[0]
    np.testing.assert_allclose(found["record_overlap"].values[0], alone, atol=1e-5)


def test_linked_controls_move_together_from_either_side_and_others_do_not(c):
    assert c.linked == ["n_clusters"]
    c.n_clusters = 4
    assert (c.other_n_clusters, c.other.sizes["cluster"], c.pairing["b"]["n_clusters"]) == (4, 4, 4)
    c.other_n_clusters = 5
    assert (c.n_clusters, c.result.sizes["cluster"], c.pairing["a"]["n_clusters"]) == (5, 5, 5)
    c.linked = []
    c.other_n_clusters = 7
    assert (c.n_clusters, c.pairing["a"]["n_clusters"], c.pairing["b"]["n_clusters"]) == (5, 5, 7)
    c.threshold = 0.9
    assert c.other_threshold != 0.9
    c.linked = ["threshold", "layers"]
    assert c.other_threshold == 0.9
    before = c.other_layers
    c.layers = ["blocks.2"]  # which the other network does not have
    assert c.other_layers == before
    assert c.pairing["a"]["layers"] == ["blocks.2"]
    assert c.error == c.other_error == ""


def test_colours_are_found_again_for_each_pair_of_choices(c):
    for layers, k in [(["blocks.3"], 3), (["blocks.1"], 9)]:
        c.layers, c.n_clusters = layers, k
        slots = dict(zip(c.pairing["slots"], range(k), strict=True))
        found = c.comparison
        for cluster, partner in enumerate(found["partner"].values):
            if partner >= 0:
                assert slots[int(found["slot_a"][cluster])] == partner


def test_the_record_is_one_for_both_sides(c):
    c.record = "0003-NORM" if "0003-NORM" in c.choices["records"] else c.choices["records"][3]
    assert c.result.attrs["record"] == c.other.attrs["record"] == c.record


def test_values_out_of_range_are_refused_and_change_nothing(c):
    before = c.other_layers, c.other_n_clusters, c.linked, c.arrangement
    for name, value in {
        "other_layers": ["nothing"],
        "other_n_clusters": 21,
        "other_threshold": 1.5,
        "linked": ["record"],
        "arrangement": "above",
    }.items():
        with pytest.raises(t.TraitError):
            setattr(c, name, value)
    assert before == (c.other_layers, c.other_n_clusters, c.linked, c.arrangement)


def test_an_error_of_one_side_is_said_there_and_the_other_stands():
    wide = torch.nn.Conv1d(12, 8, 9, stride=250, padding=4)  # 2 s at 500 Hz: 4 cells, fewer than 6 clusters
    net = torch.nn.Sequential(wide, torch.nn.AdaptiveAvgPool1d(1), torch.nn.Flatten(), torch.nn.Linear(8, 2))
    w = ecg.compare(ecg.load_network(), net, ecg.simulate(1, duration=2.0), n_clusters=6)
    assert "fewer clusters" in w.other_error
    assert w.error == ""
    assert w.result is not None
    w.linked = []
    w.other_n_clusters = 2
    assert w.other_error == ""
    assert w.other.sizes["cluster"] == 2
    w.close()


def test_state_restores_both_sides(c, ds):
    c.linked = []
    c.n_clusters, c.other_n_clusters, c.other_threshold, c.arrangement = 3, 8, 0.77, "below"
    again = ecg.compare({"ours": ecg.load_network(), HOSTILE: conv()}, ds, n_clusters=6)
    again.state = json.loads(json.dumps(c.state))
    assert (again.n_clusters, again.other_n_clusters, again.other_threshold) == (3, 8, 0.77)
    assert (again.arrangement, again.linked) == ("below", [])
    assert again.pairing == c.pairing
    again.close()


def test_two_widgets_are_compared_as_they_stand_and_stay(ds):
    one = ecg.explore(ecg.load_network(), ds, n_clusters=5, layers=["blocks.1"])
    two = ecg.explore(conv(), ds, n_clusters=7, threshold=0.3)
    both = ecg.compare(one, two)
    assert (both.n_clusters, both.other_n_clusters, both.linked) == (5, 7, [])
    assert both.layers == ["blocks.1"]
    assert both.other_threshold == 0.3
    np.testing.assert_array_equal(both.result["cluster"].values, one.result["cluster"].values)
    np.testing.assert_array_equal(both.other["cluster"].values, two.result["cluster"].values)
    both.n_clusters = 9
    both.close()
    assert one.n_clusters == 5
    one.n_clusters = 6
    assert one.result.sizes["cluster"] == 6
    with pytest.raises(ValueError, match="widgets of the same records"):
        ecg.compare(one, ecg.explore(conv(), ecg.simulate(2)))
    one.close()
    two.close()


def test_one_network_with_two_choices_and_activations_in_place_of_a_network(ds):
    net = ecg.load_network()
    acts = ecg.activations(net, ds, ["blocks.2"])
    w = ecg.compare({"layers": net, "arrays": acts}, ds, layers=(["blocks.2"], ["blocks.2"]), n_clusters=(5, 5))
    assert w.pairing["same"] == pytest.approx(1)
    assert w.pairing["slots"] == w.result["slot"].values.tolist()
    w.close()


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda net, ds: ecg.compare(net), TypeError, "two networks and one set of records"),
        (lambda net, ds: ecg.compare({"a": net, "b": net, "c": net}, ds), TypeError, "two networks"),
        (lambda net, ds: ecg.compare({"a": net, "b": "net"}, ds), TypeError, "got ResNet1d, str|got .*, str"),
        (lambda net, ds: ecg.compare(net, ds, layers="blocks.1"), ValueError, "layers: expected a pair"),
        (lambda net, ds: ecg.compare(net, ds, n_clusters=[1, 2, 3]), ValueError, "n_clusters: expected one value"),
        (lambda net, ds: ecg.compare(net, ds, names=["one"]), ValueError, "names: expected one for each"),
        (lambda net, ds: ecg.compare(net, ds, n_clusters=(3, 21)), t.TraitError, "other_n_clusters"),
    ],
)
def test_wrong_calls_are_named(ds, call, error, words):
    with pytest.raises(error, match=words):
        call(ecg.load_network(), ds)


def test_long_recordings_are_compared_where_they_are_shown():
    long = ecg.simulate(1, duration=130.0, seed=2)
    w = ecg.compare(ecg.load_network(), conv(), long, n_clusters=4)
    w.span = [40, 60]
    assert w.other.attrs["span"] == w.result.attrs["span"]
    found = w.comparison
    assert float(found["compared"][0]) == pytest.approx(20, abs=0.5)
    assert w.pairing["records"] > 1  # windows of the whole recording
    w.close()
