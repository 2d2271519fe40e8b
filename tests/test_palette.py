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
# Least CAM02-UCS distance of any two clusters over all kinds of vision. As solid colours (strip, legend, map) the
# twenty keep the 11.7 that the design promises. As bands, a third of a colour on white paper, some pairs of the twenty
# can no longer be told apart by colour: the strip below, in solid colours and with letters, is what says which it is.
SOLID = {8: 14.5, 12: 12.4, 20: 11.7}
BANDS = {8: 5.6, 12: 1.9, 20: 1.9}


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


@pytest.mark.parametrize("k", [8, 12, 20])
def test_colours_are_apart_solid_and_as_bands_on_paper(k):
    solid = rgb(cluster_colours(range(k)))
    paper = rgb([PAPER])
    found = {}
    for name, colours in (("solid", solid), ("bands", BAND * solid + (1 - BAND) * paper)):
        found[name] = {vision: least(colours, vision) for vision in VISIONS}
        print(f"K = {k}, {name}: " + ", ".join(f"{v} {d:.1f}" for v, d in found[name].items()))
    assert min(found["solid"].values()) >= SOLID[k]
    assert min(found["bands"].values()) >= BANDS[k]


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
    light = re.search(r"LIGHT: Theme = \{(.*?)\}", THEME.read_text(), re.DOTALL)[1]
    assert f'paper: "{PAPER}"' in light
    assert f"band: {BAND}," in light
