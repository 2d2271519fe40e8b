"""Colours of clusters, for figures; the page's own list is ``js/src/palette.ts``, and a test holds the two equal."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["BAND", "PAPER", "TEN", "TWENTY", "cluster_colours", "letter"]

# Petroff 2021, "Accessible color sequences for data visualization".
TEN = (
    "#3f90da",
    "#ffa90e",
    "#bd1f01",
    "#94a4a2",
    "#832db6",
    "#a96b59",
    "#e76300",
    "#b9ac70",
    "#717581",
    "#92dadd",
)
# At least 13.0 CAM02-UCS apart for normal and three colour-deficient kinds of vision, and 6.1 as bands on paper: chosen
# for both at once, among colours dark enough for a line on white.
TWENTY = (
    "#9070ff",
    "#d06020",
    "#70e0b0",
    "#701000",
    "#f0c0f0",
    "#105060",
    "#50b0a0",
    "#c0e000",
    "#708060",
    "#4000a0",
    "#b03000",
    "#8050a0",
    "#a0b070",
    "#6010ff",
    "#408080",
    "#c0a0ff",
    "#505040",
    "#d0a010",
    "#b080c0",
    "#400050",
)
PAPER = "#ffffff"
BAND = 0.45  # opacity of the bands behind the trace


def cluster_colours(slots: Sequence[int]) -> list[str]:
    """The colour of every cluster; one list serves all of them, as colours of two lists may be confused.

    Parameters
    ----------
    slots
        ``slot (cluster)`` of a result, 0 to 19; numbers above begin anew.

    Examples
    --------
    >>> cluster_colours([1, 0]), cluster_colours([1, 12])
    (['#ffa90e', '#3f90da'], ['#d06020', '#a0b070'])
    """
    few = len(slots) <= len(TEN) and all(slot < len(TEN) for slot in slots)
    colours = TEN if few else TWENTY
    return [colours[slot % len(colours)] for slot in slots]


def letter(slot: int) -> str:
    """What is written beside a colour: A to Z, then AA, AB, ...

    Examples
    --------
    >>> letter(0), letter(19), letter(26)
    ('A', 'T', 'AA')
    """
    last = chr(65 + slot % 26)
    return last if slot < 26 else letter(slot // 26 - 1) + last
