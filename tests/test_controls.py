"""``w.controls()``: ipywidgets beside the view, each a trait of it in both directions."""

import gc
import weakref

import ipywidgets
import pytest
from ipywidgets.widgets.widget import _instances

import ecg_widget as ecg
from ecg_widget.controls import NAMES

HOSTILE = "<img src=x onerror=alert(1)>\u202e" + "x" * 300


@pytest.fixture(scope="module")
def ds():
    return ecg.simulate(3, seed=2, duration=5).assign_coords(record=["first", HOSTILE, "third"])


@pytest.fixture
def widget(ds):
    made = ecg.explore(ecg.load_network(), ds, n_clusters=4)
    yield made
    made.close()


def from_page(control, **state):
    """What a page sends when a hand moves a control."""
    control._handle_msg({"content": {"data": {"method": "update", "state": state, "buffer_paths": []}}, "buffers": []})


@pytest.fixture
def changes(widget):
    """Every change of the user's traits, in order."""
    seen = []
    widget.observe(lambda change: seen.append((change.name, change.new)), list(NAMES))
    return seen


def test_they_stand_below_each_other_with_labels(widget):
    controls = widget.controls()
    assert isinstance(controls, ipywidgets.VBox)
    kinds = [type(child).__name__ for child in controls.children]
    assert kinds == ["SelectionSlider", "IntSlider", "FloatSlider", "Dropdown", "Dropdown"]
    labels = [child.description for child in controls.children]
    assert labels == ["Layers", "Clusters", "Uncertainty threshold", "Record", "Target"]
    assert [getattr(controls, name) for name in NAMES] == list(controls.children)
    assert not any(getattr(child, "description_allow_html", False) for child in controls.children)


def test_they_begin_where_the_view_is_and_offer_what_it_offers(widget):
    widget.threshold, widget.record, widget.target = 0.37, "third", "MI"
    controls = widget.controls()
    assert controls.layers.value == tuple(widget.layers)
    assert [label for label, _ in controls.layers.options] == [c["label"] for c in widget.choices["layers"]]
    assert (controls.n_clusters.value, controls.n_clusters.min, controls.n_clusters.max) == (4, 2, 20)
    assert (controls.threshold.value, controls.threshold.min, controls.threshold.max) == (0.37, 0, 1)
    assert (controls.record.value, controls.record.options) == ("third", ("first", HOSTILE, "third"))
    assert (controls.target.value, list(controls.target.options)) == ("MI", widget.choices["targets"])


def test_a_hand_on_a_control_moves_the_view_once(widget, changes):
    controls = widget.controls()
    from_page(controls.n_clusters, value=7)
    from_page(controls.threshold, value=0.61)
    from_page(controls.record, index=2)
    from_page(controls.target, index=1)
    from_page(controls.layers, index=0)
    first = widget.choices["layers"][0]["value"]
    second = widget.choices["targets"][1]
    wanted = [("n_clusters", 7), ("threshold", 0.61), ("record", "third"), ("target", second), ("layers", first)]
    assert changes == wanted
    assert widget.result.sizes["cluster"] == 7
    assert (widget.result.attrs["record"], widget.result.attrs["layers"]) == ("third", first)


def test_the_view_moves_the_controls_once(widget):
    controls = widget.controls()
    seen = []
    for name in NAMES:
        getattr(controls, name).observe(lambda change, name=name: seen.append((name, change.new)), "value")
    from_page(widget, n_clusters=9, threshold=0.11)
    widget.record, widget.target, widget.layers = "third", "CD", ["blocks.0"]
    assert sorted(seen, key=str) == sorted(
        [("n_clusters", 9), ("threshold", 0.11), ("record", "third"), ("target", "CD"), ("layers", ("blocks.0",))],
        key=str,
    )


def test_two_sets_of_controls_follow_each_other(widget, changes):
    one, other = widget.controls(), widget.controls("n_clusters")
    from_page(one.n_clusters, value=6)
    assert (other.n_clusters.value, widget.n_clusters) == (6, 6)
    other.close()
    from_page(one.n_clusters, value=5)
    assert (other.n_clusters.value, widget.n_clusters) == (6, 5)
    from_page(other.n_clusters, value=3)
    assert widget.n_clusters == 5
    assert changes == [("n_clusters", 6), ("n_clusters", 5)]


def test_a_new_choice_of_layers_is_offered_and_shown(widget, changes):
    controls = widget.controls()
    before = len(controls.layers.options)
    widget.layers = ["blocks.0", "blocks.3"]
    assert len(controls.layers.options) == before + 1
    assert controls.layers.value == ("blocks.0", "blocks.3")
    assert controls.layers.label == "blocks.0+3"
    assert changes == [("layers", ["blocks.0", "blocks.3"])]
    from_page(controls.layers, index=0)
    assert widget.layers == list(controls.layers.options[0][1])


def test_the_link_survives_other_lists_of_choices(widget, changes):
    controls = widget.controls()
    widget.record = "third"
    changes.clear()
    widget.choices = {**widget.choices, "records": ["first", "third"], "targets": ["NORM", "HYP"]}
    assert controls.record.options == ("first", "third")
    assert (controls.record.value, controls.target.value) == ("third", widget.target)
    widget.choices = {**widget.choices, "records": [HOSTILE, "first"]}
    assert controls.record.options == (HOSTILE, "first", "third")  # what is shown stays among them
    assert controls.record.value == "third"
    assert changes == []
    from_page(controls.record, index=1)
    assert widget.record == "first"
    assert changes == [("record", "first")]


def test_what_the_view_refuses_puts_the_control_back(widget):
    controls = widget.controls()
    widget.choices = {**widget.choices, "records": ["first", "nobody"]}
    from_page(controls.record, index=1)
    assert widget.record == "first"
    assert controls.record.value == "first"
    assert "expected one of ['first'" in widget.error


def test_a_state_moves_all_of_them(widget, ds):
    controls = widget.controls()
    other = ecg.explore(ecg.load_network(), ds, n_clusters=4)
    other.layers, other.n_clusters, other.threshold, other.record = ["blocks.1", "blocks.3"], 11, 0.9, "third"
    widget.state = other.state
    shown = {name: getattr(controls, name).value for name in NAMES}
    assert shown == {name: getattr(other, name) for name in NAMES} | {"layers": ("blocks.1", "blocks.3")}
    other.close()


def test_some_of_them_and_none_that_do_not_exist(widget):
    controls = widget.controls("threshold", "n_clusters", "threshold")
    assert [child.description for child in controls.children] == ["Uncertainty threshold", "Clusters"]
    with pytest.raises(ValueError, match="expected some of layers, n_clusters, threshold, record, target, got 'k'"):
        widget.controls("k")


def test_without_a_network_there_is_no_target_to_choose(ds):
    acts = ecg.activations(ecg.load_network(), ds)
    acts.output = acts.output.isel(target=[])
    widget = ecg.explore(ecg=ds, activations=acts, n_clusters=3)
    controls = widget.controls()
    assert (controls.target.disabled, controls.target.options, controls.target.value) == (True, (), None)
    from_page(controls.n_clusters, value=5)
    assert (widget.n_clusters, widget.target) == (5, "")
    widget.close()


def test_interact_takes_them(widget):
    controls = widget.controls()
    seen = []
    interactive = ipywidgets.interactive(
        lambda k, threshold: seen.append((k, threshold)), k=controls.n_clusters, threshold=controls.threshold
    )
    interactive.update()
    widget.n_clusters = 8
    from_page(controls.threshold, value=0.5)
    assert seen[-1] == (8, 0.5)
    assert widget.threshold == 0.5


def test_closing_the_view_releases_everything(ds):
    gc.collect()
    before = set(_instances)
    widget = ecg.explore(ecg.load_network(), ds, n_clusters=4)
    controls = widget.controls()
    slider = controls.n_clusters
    assert len(set(_instances) - before) > 10
    gone = weakref.ref(widget)
    widget.close()
    assert set(_instances) - before == set()
    assert not controls.linked
    slider.value = 9
    assert widget.n_clusters == 4
    controls.close()  # once more does nothing
    del widget, controls, slider
    gc.collect()
    assert gone() is None
