"""Shapes of a static picture in millimetres, and text of a file as it may stand in one."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field
from functools import cache
from typing import Literal

import numpy as np

__all__ = ["ACCENT", "CHARACTER", "GREY", "HATCH", "INK", "MUTED", "Line", "Rect", "Scene", "Text", "clean", "text_on"]

INK, MUTED, GREY, HATCH, ACCENT = "#101214", "#5c6167", "#dcdee1", "#8d9298", "#1565c0"
CHARACTER = 0.55  # of a text's height: about the width of a character
_LONGEST = 60  # characters of a text from a file


@dataclass(frozen=True)
class Rect:
    """A filled rectangle, mm from the upper left corner."""

    x: float
    y: float
    width: float
    height: float
    fill: str
    opacity: float = 1.0
    hatched: bool = False


@dataclass(frozen=True)
class Line:
    """Connected points, mm; NaN breaks the line."""

    x: np.ndarray
    y: np.ndarray
    colour: str
    width: float
    name: str = ""


@dataclass(frozen=True)
class Text:
    """Words on one line, `size` mm high, which stand on `y`."""

    x: float
    y: float
    text: str
    size: float
    align: Literal["left", "center", "right"] = "left"
    colour: str = INK
    bold: bool = False
    halo: bool = False


@dataclass
class Scene:
    """Shapes in the order in which they are painted, on paper of `width` times `height` mm."""

    width: float
    height: float
    shapes: list[Rect | Line | Text] = field(default_factory=list)


def clean(text: str, longest: int = _LONGEST) -> str:
    r"""A text of a file as it may stand in a figure: without control characters, and not endless.

    Examples
    --------
    >>> clean("a\x00b\u202ec"), len(clean("x" * 10_000))
    ('a�b�c', 60)
    """
    cut = text[: longest + 1]
    plain = "".join("�" if unicodedata.category(c) in {"Cc", "Cf", "Cs", "Zl", "Zp"} else c for c in cut)
    return plain if len(plain) <= longest else f"{plain[: longest - 1]}…"


@cache
def text_on(colour: str) -> str:
    """Black or white, whichever stands out more on a colour.

    Examples
    --------
    >>> text_on("#ffa90e"), text_on("#400050")
    ('#000000', '#ffffff')
    """
    channels = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return "#000000" if float(linear @ [0.2126, 0.7152, 0.0722]) > 0.179 else "#ffffff"
