"""How all Bokeh figures look: light or dark, colours that colour-blind people tell apart, text that is only text."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    from bokeh.plotting import figure as Figure

Theme = Literal["light", "dark"]

# Okabe and Ito's palette, told apart with any colour vision.
LINES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442")
UNCERTAIN = "#9a9a9a"
SHORT = 28  # characters of a label on an axis; hover shows more
LONG = 200


@dataclass(frozen=True)
class _Colours:
    page: str
    text: str
    grid: str


_COLOURS = {"light": _Colours("#ffffff", "#222222", "#e3e3e3"), "dark": _Colours("#1e1e1e", "#e0e0e0", "#3a3a3a")}


def plain(text: object, most: int = SHORT) -> str:
    """Text from data as text: not mathematics, no control characters that turn it round, and not endless.

    Bokeh sets labels between ``$$`` as TeX, for which a page would have to fetch fonts.

    Parameters
    ----------
    text
        Of a file or a user.
    most
        Characters that are kept.

    Examples
    --------
    >>> plain("a$$b"), plain("abcdef", most=4), plain("x" + chr(0x202E) + "y")
    ('a$b', 'abc…', 'xy')
    """
    shown = "".join(c for c in str(text) if unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp"))
    for left in ("\\(", "\\)", "\\[", "\\]"):
        shown = shown.replace(left, left[1])
    while "$$" in shown:
        shown = shown.replace("$$", "$")
    return shown if len(shown) <= most else shown[: most - 1] + "…"


def checked(theme: str) -> Theme:
    """The theme, if there is one of that name.

    Raises
    ------
    ValueError
        Another one.
    """
    if theme not in _COLOURS:
        raise ValueError(f"theme: expected 'light' or 'dark', got {theme!r}")
    return "dark" if theme == "dark" else "light"


def new_figure(title: str, x: str, y: str, *, theme: str, tools: str = "", **options: Any) -> Figure:
    """An empty figure with labelled axes.

    Parameters
    ----------
    title, x, y
        Texts; those with text from data go through `plain` first.
    theme
        ``"light"`` or ``"dark"``.
    tools
        Of Bokeh; hover is added with the glyphs.
    options
        Of `bokeh.plotting.figure`.
    """
    from bokeh.plotting import figure  # noqa: PLC0415  (only who draws needs it)

    colours = _COLOURS[checked(theme)]
    fig = figure(
        title=title,
        x_axis_label=x,
        y_axis_label=y,
        tools=",".join(t for t in ("save", "reset", tools) if t),
        background_fill_color=colours.page,
        border_fill_color=colours.page,
        outline_line_color=colours.grid,
        sizing_mode="stretch_width",
        **{"height": 360, "min_width": 280, "max_width": 720, **options},
    )
    fig.title.text_color = colours.text
    fig.grid.grid_line_color = colours.grid
    fig.toolbar.logo = None
    for axis in fig.axis:
        axis.axis_label_text_color = axis.major_label_text_color = colours.text
        axis.axis_line_color = axis.major_tick_line_color = axis.minor_tick_line_color = colours.text
        axis.axis_label_text_font_style = "normal"
    return fig


def with_legend(fig: Figure, *, theme: str, title: str = "", beside: bool = True) -> Figure:
    """Dress the legend of a figure that has its glyphs; a click hides what it names."""
    colours = _COLOURS[checked(theme)]
    legend = fig.legend[0]
    if beside:
        fig.add_layout(legend, "right")
    legend.title, legend.click_policy = title, "hide"
    legend.background_fill_color, legend.background_fill_alpha = colours.page, 0.85
    legend.border_line_color = None
    legend.label_text_color = legend.title_text_color = colours.text
    legend.label_text_font_size, legend.spacing, legend.padding = "11px", 1, 4
    return fig


def colour_bar(fig: Figure, mapper: Any, title: str, *, theme: str, ticks: Any = None) -> None:
    """Say what the colours of a heat map mean."""
    from bokeh.models import ColorBar  # noqa: PLC0415

    colours = _COLOURS[checked(theme)]
    options = {} if ticks is None else {"ticker": ticks}
    bar = ColorBar(
        color_mapper=mapper,
        title=title,
        background_fill_color=colours.page,
        title_text_color=colours.text,
        major_label_text_color=colours.text,
        title_text_font_style="normal",
        width=12,
        **options,
    )
    fig.add_layout(bar, "right")


def beside(figures: list[Any]) -> Any:
    """Figures in a row, one below the other where the page is narrow."""
    from bokeh.layouts import row  # noqa: PLC0415

    return row(figures, sizing_mode="stretch_width", styles={"flex-wrap": "wrap"})


def signed_palette() -> list[str]:
    """Blue, white, red in 255 steps: signed values, white where there is none."""
    from bokeh.palettes import RdBu11  # noqa: PLC0415

    parts = np.array([[int(c[i : i + 2], 16) for i in (1, 3, 5)] for c in RdBu11], float)
    at = np.linspace(0, len(parts) - 1, 255)
    mixed = np.stack([np.interp(at, np.arange(len(parts)), parts[:, i]) for i in range(3)], 1)
    mixed[127] = 255
    return ["#{:02x}{:02x}{:02x}".format(*np.rint(c).astype(int)) for c in mixed]


def readable_on(values: np.ndarray, largest: float) -> list[str]:
    """Text colour on `signed_palette`: white on the strong ends, nearly black elsewhere."""
    return ["#ffffff" if np.isfinite(v) and abs(v) > 0.62 * largest else "#222222" for v in values]
