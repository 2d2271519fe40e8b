"""Colours of clusters stay apart on paper, in four kinds of vision; letters are the second channel."""

from __future__ import annotations

import re
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from ecg_widget.palette import BAND, PAPER, TEN, TWENTY, cluster_colours

PAGE = Path(__file__).parents[1] / "js" / "src" / "palette.ts"
THEME = PAGE.with_name("paper.ts")
VISIONS = ("normal", "deuteranomaly", "protanomaly", "tritanomaly")
# Least CAM02-UCS distance of any two clusters over all kinds of vision: as solid colours (strip, legend, map), and as
# bands on paper, where half of a colour is the paper's. The strip below, with letters, says which it is in any case.
SOLID = {8: 14.5, 12: 13.1, 20: 13.0}
BANDS = {"light": {8: 7.6, 12: 6.0, 20: 6.0}, "dark": {8: 9.2, 12: 7.2, 20: 7.2}}


def rgb(colours) -> np.ndarray:
    return np.array([[int(c[i : i + 2], 16) for i in (1, 3, 5)] for c in colours]) / 255


def least(colours: np.ndarray, vision: str) -> float:
    """Least CAM02-UCS distance between any two sRGB colours, as an eye sees them."""
    from colorspacious import cspace_convert

    if vision != "normal":
        space = {"name": "sRGB1+CVD", "cvd_type": vision, "severity": 100}
        colours = np.clip(cspace_convert(colours, space, "sRGB1"), 0, 1)
    seen = cspace_convert(colours, "sRGB1", "CAM02-UCS")
    return min(float(np.linalg.norm(a - b)) for a, b in combinations(seen, 2))


def theme(name: str) -> tuple[str, float, str]:
    """Paper, opacity of the bands and ink of the page."""
    text = re.search(rf"{name}: Theme = \{{(.*?)\}}", THEME.read_text(), re.DOTALL)[1]
    paper, ink = (re.search(rf'{key}: "(#\w+)"', text)[1] for key in ("paper", "ink"))
    return paper, float(re.search(r"band: ([\d.]+),", text)[1]), ink


def composited(colours, paper: str, band: float) -> np.ndarray:
    return band * rgb(colours) + (1 - band) * rgb([paper])


@pytest.mark.parametrize("k", [8, 12, 20])
def test_colours_are_apart_solid_and_as_bands_on_paper(k):
    colours = cluster_colours(range(k))
    seen = {"solid": rgb(colours)} | {name.lower(): composited(colours, *theme(name)[:2]) for name in ("LIGHT", "DARK")}
    for name, values in seen.items():
        found = {vision: least(values, vision) for vision in VISIONS}
        print(f"K = {k}, {name}: " + ", ".join(f"{v} {d:.1f}" for v, d in found.items()))
        assert min(found.values()) >= (SOLID if name == "solid" else BANDS[name])[k]


def luminance(colours: np.ndarray) -> np.ndarray:
    linear = np.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)
    return linear @ [0.2126, 0.7152, 0.0722]


@pytest.mark.parametrize("name", ["LIGHT", "DARK"])
def test_the_trace_is_read_on_every_band(name):
    """As WCAG 2 asks of small text, 4.5; the pointed cluster's bands are 1.4 times as strong."""
    paper, band, ink = theme(name)
    trace = luminance(rgb([ink]))
    for strength, limit in ((band, 4.5), (1.4 * band, 3.0)):
        bands = luminance(composited([*TEN, *TWENTY], paper, strength))
        contrast = (np.maximum(bands, trace) + 0.05) / (np.minimum(bands, trace) + 0.05)
        print(f"{name}, bands of {strength:.2f}: contrast of the trace at least {contrast.min():.1f}")
        assert contrast.min() >= limit


def test_a_palette_in_common_use_would_not_pass():
    """The measure can fail: of tab20, colours are told apart by nobody with deuteranopia."""
    import matplotlib as mpl

    tab20 = np.array(mpl.colormaps["tab20"].colors)
    assert min(least(tab20, vision) for vision in VISIONS) < 2


def test_one_list_serves_a_figure_and_changes_above_ten():
    assert cluster_colours(range(10)) == list(TEN)
    assert cluster_colours(range(11)) == list(TWENTY[:11])
    assert cluster_colours([3, 12]) == [TWENTY[3], TWENTY[12]]


def test_the_pages_colours_are_the_figures():
    listed = dict(re.findall(r"export const (TEN|TWENTY) = \[(.*?)\]", PAGE.read_text(), re.DOTALL))
    assert tuple(re.findall(r"#[0-9a-f]{6}", listed["TEN"])) == TEN
    assert tuple(re.findall(r"#[0-9a-f]{6}", listed["TWENTY"])) == TWENTY
    assert theme("LIGHT")[:2] == (PAPER, BAND)
