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
# At least 11.7 CAM02-UCS apart for normal and three colour-deficient kinds of vision.
TWENTY = (
    "#8040ff",
    "#ff3010",
    "#9fcfdf",
    "#801000",
    "#bf8f8f",
    "#006060",
    "#009fbf",
    "#bfcf30",
    "#607050",
    "#5000cf",
    "#af3010",
    "#70508f",
    "#8f8f50",
    "#8f80ff",
    "#208080",
    "#bf9fff",
    "#504030",
    "#ff9f80",
    "#ef50af",
    "#701070",
)
PAPER = "#ffffff"
BAND = 0.34  # opacity of the bands behind the trace


def cluster_colours(slots: Sequence[int]) -> list[str]:
    """The colour of every cluster; one list serves all of them, as colours of two lists may be confused.

    Parameters
    ----------
    slots
        ``slot (cluster)`` of a result, 0 to 19; numbers above begin anew.

    Examples
    --------
    >>> cluster_colours([1, 0]), cluster_colours([1, 12])
    (['#ffa90e', '#3f90da'], ['#ff3010', '#8f8f50'])
    """
    few = len(slots) <= len(TEN) and all(slot < len(TEN) for slot in slots)
    colours = TEN if few else TWENTY
    return [colours[slot % len(colours)] for slot in slots]


def letter(slot: int) -> str:
    """What is written beside a colour, A to T.

    Examples
    --------
    >>> letter(0), letter(19)
    ('A', 'T')
    """
    return chr(65 + slot)
