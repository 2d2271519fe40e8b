"""Both sides on one paper: millimetres, colours of matched clusters, where they differ, hostile text; and their page."""

from __future__ import annotations

import json
import re
from xml.etree import ElementTree as ET

import numpy as np
import pytest
import torch

import ecg_widget as ecg
from ecg_widget.figures import plot_comparison, save_comparison
from ecg_widget.figures.comparison import comparison_scene
from ecg_widget.figures.shapes import INK, Line, Rect, Text

HOSTILE = "</text><script>alert(1)</script>$x_1$\u202e" + "x" * 10_000


@pytest.fixture(scope="module")
def c():
    torch.manual_seed(0)
    layers = [torch.nn.Conv1d(12, 8, 25, stride=20, padding=12), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool1d(1)]
    net = torch.nn.Sequential(*layers, torch.nn.Flatten(), torch.nn.Linear(8, 3))
    ds = ecg.simulate(2, seed=6).assign_coords(record=["Mrs Smith", "other"])
    made = ecg.compare({"ours": ecg.load_network(), HOSTILE: net}, ds, layers=("blocks.2", None), n_clusters=5)
    yield made
    made.close()


@pytest.fixture(scope="module")
def found(c):
    return c.comparison


def strips(scene):
    """Filled rectangles of the two strips, as (x, width, fill), upper first."""
    low = [s for s in scene.shapes if isinstance(s, Rect) and s.height == 5.0 and s.opacity == 1]
    heights = sorted({s.y for s in low})[:2]
    return [[(s.x, s.width, s.fill) for s in low if s.y == y] for y in heights]


def test_a_second_is_25_mm_on_both_sides_and_the_pulse_is_10_mm_high(c, found):
    scene = comparison_scene(found, c.explorer.ds, record="other", leads=["II", "V5"])
    pulses = [s for s in scene.shapes if isinstance(s, Line) and s.name == "calibration"]
    assert len(pulses) == 4  # two leads on each of two sides
    assert all(np.ptp(s.y) == pytest.approx(10) for s in pulses)
    for strip in strips(scene):
        assert min(x for x, _, _ in strip) == pytest.approx(10)
        assert max(x + w for x, w, _ in strip) == pytest.approx(10 + 250)


def test_strips_show_each_side_in_the_colours_of_the_match_and_the_line_where_they_differ(c, found):
    scene = comparison_scene(found, c.explorer.ds, record="other")
    a, b = strips(scene)
    times = np.linspace(0.05, 9.95, 331)

    def fill(strip, time):
        return next(f for x, w, f in strip if x <= 10 + 25 * time < x + w)

    dark = [s for s in scene.shapes if isinstance(s, Rect) and s.fill == INK and s.height == 1.0]
    differ = [any(s.x <= 10 + 25 * t < s.x + s.width for s in dark) for t in times]
    assert differ == [fill(a, t) != fill(b, t) for t in times]
    assert sum(s.width for s in dark) / 250 == pytest.approx(1 - float(found["record_same"][1]), abs=1e-6)
    assert 0 < sum(s.width for s in dark) < 250


def test_uncertain_cells_are_hatched_on_their_side_alone(c, found):
    ds = c.explorer.ds
    none = comparison_scene(found, ds, record="other")
    one = comparison_scene(found, ds, record="other", threshold=(1.0, 0.2))
    assert not any(s.hatched for s in none.shapes if isinstance(s, Rect))
    hatched = [s for s in one.shapes if isinstance(s, Rect) and s.hatched and s.height == 5.0]
    assert {s.y for s in hatched} == {max(s.y for s in hatched)}
    assert strips(one)[0] == strips(none)[0]


def test_figures_compose_and_files_are_written_whole_with_text_as_text(c, found, tmp_path):
    from matplotlib.figure import Figure

    axes = Figure(figsize=(10, 4)).subplots(1, 2)
    assert plot_comparison(found, c.explorer.ds, record="other", ax=axes[1], title=HOSTILE) is axes[1]
    path = save_comparison(tmp_path / "both.svg", found, c.explorer.ds, record="other", width_mm=120)
    root = ET.fromstring(path.read_text())
    assert not list(root.iter("{http://www.w3.org/2000/svg}script"))
    assert float(root.get("width").removesuffix("pt")) == pytest.approx(120 / 25.4 * 72, abs=0.1)
    words = [
        s.text
        for s in comparison_scene(found, c.explorer.ds, record="other", title=HOSTILE).shapes
        if isinstance(s, Text)
    ]
    assert not any("\u202e" in word for word in words)
    assert max(map(len, words)) < 400
    assert not any("Mrs Smith" in word or word == "other" for word in words)


def test_the_widgets_own_files_and_saved_notebook_show_both_sides(c, tmp_path):
    for kind in ("svg", "pdf", "png"):
        getattr(c, f"to_{kind}")(tmp_path / f"view.{kind}")
        assert (tmp_path / f"view.{kind}").stat().st_size > 5000
    text = (tmp_path / "view.svg").read_text()
    assert "matched in" in text
    assert "Mrs Smith" not in text


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"record": "nobody"}, "record: expected one of"),
        ({}, "record: expected one of"),
        ({"record": "other", "leads": ["X"]}, "leads: expected some of"),
        ({"record": "other", "threshold": 1.1}, "threshold: expected one or two"),
        ({"record": "other", "threshold": (0.1, 0.2, 0.3)}, "threshold: expected one or two"),
    ],
)
def test_what_cannot_be_drawn_is_named(c, found, options, words):
    with pytest.raises(ValueError, match=words):
        plot_comparison(found, c.explorer.ds, **options)


def test_other_endings_and_sizes_are_refused(c, found, tmp_path):
    for name, options in (("a.gif", {}), ("a.svg", {"width_mm": 1}), ("a.png", {"dpi": 1})):
        with pytest.raises(ValueError, match="expected"):
            save_comparison(tmp_path / name, found, c.explorer.ds, record="other", **options)
    assert list(tmp_path.iterdir()) == []


def test_a_page_names_no_patient_and_says_where_both_sides_come_from(c, tmp_path):
    path = tmp_path / "both.html"
    numbers = {"n_clusters": [4, 5], "other_n_clusters": [5]}
    assert c.export_size(**numbers) == c.to_html(path, **numbers)
    text = path.read_text()
    assert "Mrs Smith" not in text
    about = json.loads(re.search(r'id="ecg-provenance">(.*?)</script>', text)[1])
    assert about["n_clusters"] == [4, 5]
    assert about["other"]["n_clusters"] == [5]
    assert about["other"]["layers"] == [c.other_layers]
    assert len(about["other"]["network"]["sha256"]) == 64
    assert about["other"]["network"]["sha256"] != about["network"]["sha256"]
    assert "matched one to one by the time that they share" in about["methods"]


def test_a_page_of_choices_that_do_not_exist_is_refused(c, tmp_path):
    for options in ({"other_n_clusters": [21]}, {"other_n_clusters": []}, {"other_layers": ["nothing"]}):
        with pytest.raises(ValueError, match="expected"):
            c.to_html(tmp_path / "x.html", **options)
    assert list(tmp_path.iterdir()) == []
