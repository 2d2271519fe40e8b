"""Figures of segments: millimetre-exact, the same bytes each time, no names, and numbers as NumPy has them."""

from __future__ import annotations

import io
import re
import sys
import xml.etree.ElementTree as ET
import zlib
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

import ecg_widget as ecg
from ecg_widget.figures import plot_segments, save_segments
from ecg_widget.figures.arrangements import Arrangement
from ecg_widget.figures.scene import Line, Rect, Text, borders, runs, segments_scene
from ecg_widget.figures.segments import figure_bytes, scene_of
from ecg_widget.figures.svg_text import svg_text
from ecg_widget.palette import BAND, cluster_colours

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = "</text><script>alert(1)</script> $\\frac{$ \x00\u202eab"


@pytest.fixture(scope="module")
def ds():
    one = ecg.simulate(2, seed=4)
    return one.assign_coords(record=["Smith^John", "second"]).assign_attrs(source="/home/Smith/a.dat")


@pytest.fixture(scope="module")
def seg(ds):
    return ecg.TimeClusters(6, random_state=0).fit_predict(ecg.activations(ecg.load_network(), ds))


@pytest.fixture(scope="module")
def options(ds):
    return {"record": "Smith^John", "threshold": 0.4}


@pytest.fixture(scope="module")
def drawn(seg, ds, options):
    return seg, ds, options


def svg_pulses(data: bytes) -> np.ndarray:
    """Points of each calibration pulse in mm, read back from the file."""
    root = ET.fromstring(data)
    width = root.get("width")
    assert width.endswith("pt")
    per_unit = float(width[:-2]) / float(root.get("viewBox").split()[2])  # pt for a unit of the drawing
    found = [
        path.get("d")
        for group in root.iter(f"{SVG}g")
        if group.get("id") == "calibration"
        for path in group.iter(f"{SVG}path")
    ]
    points = [np.array(re.findall(r"-?[\d.]+", d), float).reshape(-1, 2) for d in found]
    return np.array(points) * per_unit * 25.4 / 72


def pdf_pulses(data: bytes) -> np.ndarray:
    """The same from the drawing operators of a PDF, whose unit is a point."""
    out = []
    for stream in re.findall(rb"stream\r?\n(.*?)endstream", data, re.DOTALL):
        try:
            text = zlib.decompress(stream).decode("latin-1")
        except zlib.error:
            continue
        for path in re.findall(r"\n(-?[\d.]+ -?[\d.]+ m\n(?:-?[\d.]+ -?[\d.]+ l\n){5})\n?S\n", text):
            points = np.array(re.findall(r"(-?[\d.]+) (-?[\d.]+) [ml]", path), float) * 25.4 / 72
            x, y = np.diff(points, axis=0).T
            if abs(x[1]) < 0.01 and abs(x[3]) < 0.01 and abs(y[[0, 2, 4]]).max() < 0.01:
                out.append(points)
    return np.array(out)


@pytest.mark.parametrize(("kind", "read"), [("svg", svg_pulses), ("pdf", pdf_pulses)])
@pytest.mark.parametrize("width_mm", [None, 180.0])
def test_the_calibration_pulse_measures_ten_millimetres(drawn, kind, read, width_mm):
    seg, ds, options = drawn
    scale = 1 if width_mm is None else width_mm / 265
    pulses = read(figure_bytes(kind, seg, ds, width_mm=width_mm, **options))
    assert len(pulses) == 4
    heights, widths = np.ptp(pulses[:, :, 1], 1), pulses[:, 3, 0] - pulses[:, 2, 0]
    assert np.abs(heights / scale - 10).max() < 0.1
    assert np.abs(widths / scale - 5).max() < 0.1


def test_pages_are_as_wide_as_they_say(ds, seg, options):
    assert abs(float(ET.fromstring(figure_bytes("svg", seg, ds, **options)).get("width")[:-2]) * 25.4 / 72 - 265) < 0.01
    box = re.search(rb"/MediaBox \[ ?0 0 ([\d.]+)", figure_bytes("pdf", seg, ds, width_mm=100, **options))
    assert abs(float(box[1]) * 25.4 / 72 - 100) < 0.01
    png = figure_bytes("png", seg, ds, width_mm=100, dpi=127, **options)
    assert abs(int.from_bytes(png[16:20], "big") - 500) <= 1


def test_a_smaller_figure_says_its_speed(ds, seg, options):
    assert "25 mm/s, 10 mm/mV ·" in words(scene_of(seg, ds, **options))
    assert "printed 12.5 mm/s, 5.0 mm/mV (50 % of life size)" in words(scene_of(seg, ds, scale=0.5, **options))


@pytest.mark.parametrize("kind", ["svg", "pdf", "png"])
def test_bytes_are_the_same_each_time_and_name_nobody(ds, seg, options, kind):
    first = figure_bytes(kind, seg, ds, dpi=60, **options)
    assert first == figure_bytes(kind, seg, ds, dpi=60, **options)
    for word in (b"Smith", b"/home", b"20" + b"26-", b"CreationDate", b"matplotlib.org", b"Software"):
        assert word not in first


def words(scene) -> str:
    return "\n".join(shape.text for shape in scene.shapes if isinstance(shape, Text))


def test_leads_and_letters_are_named_and_shares_are_numpys(ds, seg, options):
    text = words(scene_of(seg, ds, names={"A": "QRS"}, **options))
    lines = text.splitlines()
    assert all(lead in lines for lead in ecg.LEADS)
    one = seg.sel(record="Smith^John")
    share = np.bincount(one["cluster"].values, minlength=6) / one.sizes["cell"]
    assert f"QRS, {100 * share[0]:.0f} %" in lines
    uncertain = 100 * np.mean(one["entropy"].values > np.float32(0.4))
    assert f"uncertain: entropy above 0.40 ({uncertain:.0f} %)" in lines


def test_bands_are_where_the_cells_are(ds, seg, options):
    scene = scene_of(seg, ds, **options)
    one = seg.sel(record="Smith^John")
    bands = [shape for shape in scene.shapes if isinstance(shape, Rect) and shape.height == 100]
    edges = 10 + 25 * borders(one["centre"].values, 0.0, 10.0)
    look = np.where(one["entropy"].values > np.float32(0.4), -1, one["cluster"].values)
    expected = [(edges[a], edges[b] - edges[a], value < 0) for value, a, b in runs(look)]
    assert len(bands) == len(expected) > 20
    for band, (x, width, hatched) in zip(bands, expected, strict=True):
        assert band.x == pytest.approx(x)
        assert band.width == pytest.approx(width)
        assert band.hatched == hatched
    assert {band.hatched for band in bands} == {True, False}


def test_the_trace_is_the_signal_and_gaps_stay_gaps(ds, seg, options):
    holed = ds.copy(deep=True)
    holed["signal"][0, 1, 1000:1100] = np.nan
    scene = scene_of(seg, holed, arrangement="rows", **options)
    traces = [shape for shape in scene.shapes if isinstance(shape, Line) and shape.width == 0.25 and not shape.name]
    assert len(traces) == 12
    drawn, signal = traces[1], holed["signal"].values[0, 1]
    assert np.isnan(drawn.y).sum() == 100
    baseline = drawn.y[0] + 10 * signal[0]
    assert np.allclose(baseline - drawn.y, 10 * signal, atol=1e-4, equal_nan=True)
    assert np.allclose(drawn.x, 10 + 25 * holed["time"].values)
    fewer = scene_of(seg, holed, arrangement="rows", finest=0.4, **options)
    thin = [shape for shape in fewer.shapes if isinstance(shape, Line) and shape.width == 0.25 and not shape.name][1]
    assert thin.y.size < drawn.y.size
    assert (np.nanmin(thin.y), np.nanmax(thin.y)) == (np.nanmin(drawn.y), np.nanmax(drawn.y))
    assert np.isnan(thin.y).any()


PAGE = Path(__file__).parents[1] / "js" / "src" / "arrangements.ts"


def test_arrangements_are_the_pages():
    listed = re.search(r"type Arrangement = ([^;]+);", PAGE.read_text())[1]
    assert re.findall(r'"([^"]+)"', listed) == list(get_args(Arrangement))


def traces(scene):
    return [shape for shape in scene.shapes if isinstance(shape, Line) and shape.width == 0.25 and not shape.name]


@pytest.mark.parametrize(
    ("arrangement", "leads", "order", "expected"),
    [
        (
            "3x4",
            (),
            "I II III aVR aVL aVF V1 V2 V3 V4 V5 V6 II",
            (4, 100, "3 \u00d7 4 + II, sequential columns of 2.5 s"),
        ),
        ("3x4-simultaneous", (), None, (4, 100, "3 \u00d7 4 + II, simultaneous columns, first 2.5 s")),
        ("6x2", (), "I II III aVR aVL aVF V1 V2 V3 V4 V5 V6", (6, 120, "6 \u00d7 2, sequential columns of 5 s")),
        ("cabrera", (), "aVL I \u2212aVR II aVF III V1 V2 V3 V4 V5 V6", (6, 120, "Cabrera 6 \u00d7 2, sequential")),
        ("rows", (), "I II III aVR aVL aVF V1 V2 V3 V4 V5 V6", (12, 180, "12 leads, simultaneous")),
        ("leads", ("II",), "II", (1, 40, "1 of 12 leads, simultaneous")),
        ("leads", ("V1", "aVR"), "V1 aVR", (2, 50, "2 of 12 leads, simultaneous")),
    ],
)
def test_leads_lie_where_the_arrangement_puts_them(drawn, arrangement, leads, order, expected):
    seg, ds, options = drawn
    pulses, size, said = expected
    scene = scene_of(seg, ds, arrangement=arrangement, leads=leads, **options)
    names = [shape.text for shape in scene.shapes if isinstance(shape, Text) and shape.halo]
    assert names == (order.split() if order else [*ecg.LEADS, "II"])
    calibration = [shape for shape in scene.shapes if isinstance(shape, Line) and shape.name == "calibration"]
    assert len(calibration) == pulses
    assert np.ptp(np.array([line.y for line in calibration]), 1) == pytest.approx(10)
    assert said in words(scene)
    bands = [s for s in scene.shapes if isinstance(s, Rect) and s.opacity in (0.75, BAND) and s.height > 4]
    assert max(band.height for band in bands) == (75 if "simul" in arrangement else size)
    # Every sample of every lead, on its baseline, upside down where the name says so.
    one = ds["signal"].sel(record="Smith^John")
    baselines = {line.y[0] for line in calibration}
    for name, trace in zip(names, traces(scene), strict=True):
        sign = -1 if name.startswith("\u2212") else 1
        times = (trace.x - trace.x[0]) / 25
        first = {"3x4": 2.5, "6x2": 5.0, "cabrera": 5.0}.get(arrangement)
        t0 = 0.0 if first is None else float(np.round((trace.x[0] - 10) / 25 / first)) * first
        if arrangement == "3x4" and name == "II" and trace.x.size == 5000:
            t0 = 0.0
        mv = one.sel(lead=name.lstrip("\u2212")).interp(time=t0 + times, kwargs={"fill_value": "extrapolate"}).values
        height = trace.y + 10 * sign * mv
        assert np.ptp(height) < 0.01, name
        assert min(abs(height[0] - y) for y in baselines) < 0.01


@pytest.mark.parametrize(("speed", "gain"), [(50, 5), (12.5, 20)])
def test_speed_and_gain_are_to_scale(ds, seg, options, speed, gain):
    scene = scene_of(seg, ds, arrangement="rows", speed=speed, gain=gain, **options)
    pulse = next(shape for shape in scene.shapes if isinstance(shape, Line) and shape.name == "calibration")
    assert np.ptp(pulse.y) == pytest.approx(gain)
    assert pulse.x[3] - pulse.x[2] == pytest.approx(0.2 * speed)
    trace = traces(scene)[1]
    assert np.ptp(trace.x) == pytest.approx(speed * 9.998)
    assert trace.x[0] > pulse.x[-1] or speed < 25
    assert np.ptp(trace.y) == pytest.approx(gain * np.ptp(ds["signal"].values[0, 1]), rel=1e-5)
    assert f"{speed:g} mm/s, {gain:g} mm/mV ·" in words(scene)


FACTS = {
    "A": {"name": "QRS", "note": "of the ventricles\nlooked at twice"},
    "B": {"merged": "A"},
    "C": {"hidden": True},
    "D": {"merged": "T"},
}


def test_merged_clusters_are_one_hidden_ones_blank_and_notes_below(ds, seg, options):
    scene = scene_of(seg, ds, names=FACTS, **options)
    one = seg.sel(record="Smith^John")
    cluster, sure = one["cluster"].values, one["entropy"].values <= np.float32(0.4)
    share = np.bincount(cluster, minlength=6) / cluster.size
    lines = words(scene).splitlines()
    assert f"QRS, with B, {100 * (share[0] + share[1]):.0f} %" in lines
    assert f"{100 * share[2]:.0f} %, hidden" in lines
    assert f"{100 * share[3]:.0f} %" in lines, "merged into a cluster that is not there"
    assert "A: of the ventricles looked at twice" in lines
    colours = cluster_colours([0, 2, 3, 4, 5])
    bands = [s for s in scene.shapes if isinstance(s, Rect) and s.height == 100 and not s.hatched]
    assert {band.fill for band in bands} == {colours[0], colours[2], colours[3], colours[4]}
    joined = np.where(~sure, -1, np.where(cluster == 1, 0, cluster))
    assert sum(band.fill == colours[0] for band in bands) == sum(value == 0 for value, _, _ in runs(joined))
    assert "B" not in lines
    strip = [s for s in scene.shapes if isinstance(s, Rect) and s.height == 4 and s.fill == "#ffffff"]
    assert len(strip) == sum(value == 2 for value, _, _ in runs(joined))


def frames(scene):
    return [shape for shape in scene.shapes if isinstance(shape, Line) and shape.name == "selection"]


def test_what_is_selected_is_framed_in_every_area_that_shows_it(ds, seg, options):
    chosen = {"record": "Smith^John", "intervals": [[1.0, 1.5], [4.0, 4.25]], "label": "cluster A"}
    scene = scene_of(seg, ds, selection=chosen, **options)
    assert "selected: cluster A, 0.75 s in 2 stretches" in words(scene)
    assert [(line.x.min(), line.x.max()) for line in frames(scene)] == [(35, 47.5), (110, 116.25)] * 2
    plain = scene_of(seg, ds, selection=[[1.0, 1.5]], arrangement="3x4-simultaneous", **options)
    assert [(line.x.min(), line.x.max()) for line in frames(plain)] == [
        *[(10 + 62.5 * c + 25, 10 + 62.5 * c + 37.5) for c in range(4)],
        *[(35, 47.5)] * 2,
    ]
    other = scene_of(seg, ds, selection={**chosen, "record": "second"}, **options)
    assert frames(other) == []
    assert "selected" not in words(other)
    longer = ds.isel(time=slice(None, None, -1)).sortby("time")
    assert "1 stretch, 1 not shown" in words(scene_of(seg, longer, selection=[[11.0, 12.0]], **options))


def test_figures_of_a_widget_are_as_its_page(ds, tmp_path):
    widget = ecg.explore(ecg.load_network(), ds, n_clusters=8, record="second")
    widget.display = {"arrangement": "leads", "leads": ["V2", "nobody"], "speed": 50, "gain": 20}
    widget.cluster_names = {"A": {"name": "P wave", "note": "atria"}, "B": {"merged": "A"}}
    widget.selection = {"record": "second", "intervals": [[1, 2]], "label": "by hand"}
    widget.to_svg(tmp_path / "a.svg")
    text = " ".join("".join(e.itertext()) for e in ET.fromstring((tmp_path / "a.svg").read_bytes()).iter(f"{SVG}text"))
    for part in ("1 of 12 leads", "50 mm/s, 20 mm/mV", "P wave, with B", "A: atria", "selected: by hand, 1.00 s"):
        assert part in text
    widget.to_svg(tmp_path / "b.svg", arrangement="6x2", leads=(), selection=None)
    other = (tmp_path / "b.svg").read_text()
    assert "6 \u00d7 2" in other
    assert "selected" not in other
    picture = widget._repr_mimebundle_()[0]["image/svg+xml"]
    assert all(part in picture for part in ("P wave, with B", "selected: by hand", "1 of 12 leads"))
    widget.close()


def test_hostile_text_is_text(ds, seg):
    leads = ds.assign_coords(lead=["<b>&" if name == "V6" else name for name in ds["lead"].values])
    names = {"A": {"name": HOSTILE, "note": HOSTILE}, "B": "x" * 10_000, "C": {"note": "y" * 20_000}}
    chosen = {"record": "second", "intervals": [[1, 2]], "label": HOSTILE}
    options = {"record": "second", "names": names, "title": HOSTILE, "selection": chosen}
    for data in (
        figure_bytes("svg", seg, leads, **options),
        svg_text(scene_of(seg, leads, **options)).encode(),
    ):
        root = ET.fromstring(data)  # well-formed
        assert not [element for element in root.iter() if element.tag.endswith("script")]
        text = " ".join("".join(element.itertext()) for element in root.iter(f"{SVG}text"))
        assert "<script>alert(1)</script> $\\frac{$" in text
        assert "<b>&" in text
        assert "x" * 60 not in text
        assert 300 < text.count("y") < 700
        assert "\u202e" not in text
    assert figure_bytes("pdf", seg, leads, **options).startswith(b"%PDF")


def test_it_composes_with_other_axes(ds, seg, options):
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 5))
    left, right = figure.subplots(1, 2)
    assert plot_segments(seg, ds, ax=right, **options) is right
    figure.savefig(io.BytesIO())
    assert not left.lines
    box = right.get_window_extent()
    assert box.width / box.height == pytest.approx(right.get_xlim()[1] / right.get_ylim()[0], rel=1e-3)
    assert "on the grid" in " ".join(t.get_text() for t in right.texts)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"record": None}, "record: expected one of .* name it"),
        ({"record": "nobody"}, "record: expected one of"),
        ({"threshold": 1.5}, "threshold: expected a number from 0 to 1"),
        ({"width_mm": 1}, "width_mm: expected 20 to 5000 mm"),
        ({"dpi": 0}, "dpi: expected 10 to 2400"),
        ({"arrangement": "4x3"}, "arrangement: expected one of 3x4, .* got '4x3'"),
        ({"arrangement": "leads"}, "leads: expected names of leads with arrangement='leads'"),
        ({"leads": ["II"]}, "leads: expected names of leads with arrangement='leads'"),
        ({"arrangement": "leads", "leads": ["X"]}, "leads: expected names among .* got 'X'"),
        ({"speed": 30}, "speed: expected one of 12.5, 25, 50, got 30"),
        ({"gain": 0}, "gain: expected one of 5, 10, 20, got 0"),
        ({"names": {"A": {"colour": "red"}}}, "expected name .*, got 'colour'"),
        ({"selection": [[2, 1]]}, "selection: expected at most"),
    ],
)
def test_bad_input_is_refused_and_writes_nothing(drawn, tmp_path, change, message):
    seg, ds, options = drawn
    with pytest.raises(ValueError, match=message):
        save_segments(tmp_path / "a.png", seg, ds, **{**options, **change})
    assert list(tmp_path.iterdir()) == []


def test_a_name_with_another_ending_is_refused(ds, seg, options, tmp_path):
    with pytest.raises(ValueError, match=r"ends in .svg, .pdf or .png, got 'a.gif'"):
        save_segments(tmp_path / "a.gif", seg, ds, **options)


def test_short_and_few_leads(ds):
    short = ds.isel(time=slice(0, 2000), lead=[1, 7])
    n = 8
    cluster, centre = np.arange(n) % 2, (np.arange(n) + 0.5) / 2
    import xarray as xr

    seg = xr.Dataset({"entropy": ("cell", np.zeros(n, np.float32))}, {"centre": ("cell", centre)})
    seg["cluster"] = ("cell", cluster)
    scene = segments_scene(seg, short["signal"][0], rate=500)
    assert "2 leads, simultaneous" in words(scene)
    assert max(shape.x + shape.width for shape in scene.shapes if isinstance(shape, Rect) and shape.height == 50) == 110


def test_a_scene_needs_no_matplotlib(ds, seg, options, monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert svg_text(scene_of(seg, ds, **options)).startswith("<svg")
