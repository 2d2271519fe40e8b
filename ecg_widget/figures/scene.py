"""A static picture of segments on ECG paper as a list of shapes in millimetres, for any painter."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise
from typing import Literal

import numpy as np
import xarray as xr

from ecg_widget.palette import BAND, cluster_colours, letter

__all__ = ["Arrangement", "Line", "Rect", "Scene", "Text", "borders", "clean", "runs", "segments_scene"]

Arrangement = Literal["3x4", "rows"]

SPEED, GAIN = 25.0, 10.0  # mm for a second and for a millivolt
INK, MUTED, SMALL, LARGE, GREY, HATCH = "#101214", "#5c6167", "#f7e5e3", "#eebfbb", "#dcdee1", "#8d9298"
UNCERTAIN, MASKED = -1, -2
_COLUMNS = (("I", "II", "III"), ("aVR", "aVL", "aVF"), ("V1", "V2", "V3"), ("V4", "V5", "V6"))
_WINDOW = 10.0  # s
_LEFT, _RIGHT, _TOP = 10.0, 5.0, 5.0
_PITCH = {"3x4": 25.0, "rows": 15.0}
_FAR = 0.5  # mV: a lead whose median is farther from 0 is drawn around it, and the footer says so
_LONGEST = 60  # characters of a text from a file
_CHARACTER = 0.55  # of a text's height: about the width of a character


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


@dataclass(frozen=True)
class _Area:
    t0: float
    t1: float
    x: float
    y: float
    height: float

    def at(self, time: np.ndarray | float) -> np.ndarray:
        return np.asarray(self.x + (np.clip(time, self.t0, self.t1) - self.t0) * SPEED)


@dataclass(frozen=True)
class _Cells:
    """What is drawn of the segments of one record."""

    border: np.ndarray
    look: np.ndarray
    entropy: np.ndarray
    slot: list[int]
    share: np.ndarray
    threshold: float
    names: Mapping[str, str]

    @property
    def colours(self) -> list[str]:
        return cluster_colours(self.slot)


def clean(text: str, longest: int = _LONGEST) -> str:
    r"""A text of a file as it may stand in a figure: without control characters, and not endless.

    Examples
    --------
    >>> clean("a\x00b\u202ec"), len(clean("x" * 10_000))
    ('a�b�c', 60)
    """
    plain = "".join("�" if unicodedata.category(c) in {"Cc", "Cf", "Cs", "Zl", "Zp"} else c for c in text)
    return plain if len(plain) <= longest else f"{plain[: longest - 1]}…"


def borders(centre: np.ndarray, start: float, end: float) -> np.ndarray:
    """Borders between cells, as the page draws them: ``(cell + 1,)`` in s, from the centres of the cells in s.

    Examples
    --------
    >>> borders(np.array([1.0, 2.0]), 0.5, 9.0)
    array([0.5, 1.5, 2.5])
    """
    if centre.size == 0:
        return np.zeros(1)
    middle = (centre[1:] + centre[:-1]) / 2
    head, tail = (centre[1] - centre[0], centre[-1] - centre[-2]) if centre.size > 1 else (np.inf, np.inf)
    first = min(start, centre[0]) if centre[0] - start <= head else centre[0] - head / 2
    last = max(end, centre[-1]) if end - centre[-1] <= tail else centre[-1] + tail / 2
    return np.concatenate([[first], middle, [last]])


def runs(look: np.ndarray) -> list[tuple[int, int, int]]:
    """Neighbours that are equal: value, first, behind the last.

    Examples
    --------
    >>> runs(np.array([3, 3, -1]))
    [(3, 0, 2), (-1, 2, 3)]
    """
    cuts = [0, *(np.flatnonzero(np.diff(look)) + 1).tolist(), look.size]
    return [(int(look[a]), a, b) for a, b in pairwise(cuts) if b > a]


def segments_scene(
    seg: xr.Dataset,
    signal: xr.DataArray,
    *,
    rate: float,
    threshold: float = 0.5,
    arrangement: Arrangement = "3x4",
    start: float = 0.0,
    names: Mapping[str, str] | None = None,
    title: str = "",
    filters: str = "",
    scale: float | None = 1.0,
    finest: float = 0.0,
) -> Scene:
    """Lay out one record.

    Parameters
    ----------
    seg
        Of one record: ``cluster, entropy (cell)``, ``centre (cell)`` in s; optional ``valid`` and ``slot``.
    signal
        ``(lead, time)`` mV of the same record, with ``time`` in s.
    rate
        Hz.
    threshold
        Cells with an entropy above it are grey and hatched.
    arrangement
        ``"3x4"`` with a rhythm strip (twelve leads only), or ``"rows"``.
    start
        s after the beginning of the recording; 10 s are shown.
    names
        Of clusters, by letter.
    title, filters
        Written above and below.
    scale
        Printed millimetres for a millimetre here; None where that is not known.
    finest
        mm: of samples in a column so wide only the least and the greatest are drawn; 0 draws all.
    """
    time = signal["time"].values.astype(float)
    end = float(time[-1] + 1 / rate)
    t0 = float(np.clip(time[0] + start, time[0], max(time[0], end - _WINDOW)))
    t1 = min(t0 + _WINDOW, end)
    inside = np.flatnonzero((time >= t0 - 1e-9) & (time <= t1 + 1e-9))
    seen = signal.isel(time=slice(int(inside[0]), int(inside[-1]) + 1)).compute()  # of a long recording no more is read
    leads = signal["lead"].values.astype(str).tolist()
    kind = arrangement if set(sum(_COLUMNS, ())) <= set(leads) else "rows"
    pitch, top = _PITCH[kind], _TOP + (7.0 if title else 0.0)
    areas, traces, said = _layout(kind, leads, t0, t1, top)
    rows = round(max(y for _, _, y in traces) / pitch - (top + _baseline(pitch)) / pitch) + 1
    grid = top + rows * pitch + (5.0 if kind == "rows" else 0.0)
    inner = _WINDOW * SPEED if kind == "3x4" else max((t1 - t0) * SPEED, 100.0)
    width = _LEFT + inner + _RIGHT
    cells = _cells(seg, float(time[0]), end, threshold, names or {})
    scene = Scene(width, 0.0)
    _grid(scene, top - _TOP, grid)
    if title:
        scene.shapes.append(Text(_LEFT, 5.0, clean(title, 120), 3.6, bold=True))
    for area in areas:
        _bands(scene, cells, area)
    shift = 0.0
    for name, area, y in traces:
        shift = max(shift, _trace(scene, seen.values[leads.index(name)], time[inside], area, y, finest=finest))
        if area.x > _LEFT:  # where one lead ends and the next begins
            scene.shapes.append(Line(np.full(2, area.x), np.array([y - 3.0, y + 3.0]), INK, 0.35, "separator"))
        scene.shapes.append(Text(area.x + 1.2, y - _baseline(pitch) + 4.0, clean(name, 12), 3.4, bold=True, halo=True))
    for y in sorted({y for _, _, y in traces}):
        x = np.array([1.0, 2.5, 2.5, 7.5, 7.5, 9.0])
        scene.shapes.append(Line(x, y - np.array([0, 0, GAIN, GAIN, 0, 0.0]), INK, 0.3, "calibration"))
    strip = _Area(t0, t1, _LEFT, grid + 1.5, 4.0)
    _strips(scene, cells, strip)
    bottom = _legend(scene, cells, strip.y + strip.height + 22.0)
    facts = [_speeds(scale), *said, f"{rate:g} Hz", f"filters: {filters}" if filters else "no filter"]
    if t1 - t0 < end - time[0] - 1e-6:
        facts.insert(1, f"{t0 - time[0]:.1f} to {t1 - time[0]:.1f} s of {end - time[0]:.1f} s")
    if shift:
        facts.append(f"baselines moved by up to {shift:.2f} mV")
    for line in _wrapped(facts, width - _LEFT - _RIGHT, 2.4):
        bottom += 4.0
        scene.shapes.append(Text(_LEFT, bottom, line, 2.4, colour=MUTED))
    scene.height = float(np.ceil(bottom + 2.5))
    return scene


def _layout(
    kind: str, leads: Sequence[str], t0: float, t1: float, top: float
) -> tuple[list[_Area], list[tuple[str, _Area, float]], list[str]]:
    """Areas with bands; leads with their area and baseline; what the footer says of it."""
    pitch = _PITCH[kind]
    if kind == "rows":
        area = _Area(t0, t1, _LEFT, top, len(leads) * pitch)
        traces = [(name, area, top + i * pitch + _baseline(pitch)) for i, name in enumerate(leads)]
        return [area], traces, [f"{len(leads)} lead{'s' * (len(leads) != 1)}, simultaneous"]
    span = _WINDOW / len(_COLUMNS)
    sequential = t1 - t0 > _WINDOW - 0.5 * span
    traces, columns = [], []
    for c, names in enumerate(_COLUMNS):
        first = t0 + c * span if sequential else t0
        column = _Area(first, min(first + span, t1), _LEFT + c * span * SPEED, top, 3 * pitch)
        columns.append(column)
        traces += [(name, column, top + r * pitch + _baseline(pitch)) for r, name in enumerate(names)]
    rhythm = _Area(t0, t1, _LEFT, top + 3 * pitch, pitch)
    traces.append(("II", rhythm, top + 3 * pitch + _baseline(pitch)))
    seen = f"{min(span, t1 - t0):g} s"
    if sequential:
        return [_Area(t0, t1, _LEFT, top, 4 * pitch)], traces, [f"3 \u00d7 4 + II, sequential columns of {seen}"]
    return [*columns, rhythm], traces, [f"3 \u00d7 4 + II, simultaneous columns, first {seen}"]


def _baseline(pitch: float) -> float:
    return round(0.6 * pitch / 5) * 5.0


def _cells(seg: xr.Dataset, start: float, end: float, threshold: float, names: Mapping[str, str]) -> _Cells:
    cluster = seg["cluster"].values.astype(int)
    entropy = seg["entropy"].values
    valid = seg["valid"].values.astype(bool) if "valid" in seg else cluster >= 0
    n = seg.sizes.get("cluster", 0) or int(cluster.max(initial=-1)) + 1
    known = valid & (cluster >= 0)
    look = np.where(~known, MASKED, np.where(entropy > np.float32(threshold), UNCERTAIN, cluster))
    share = np.bincount(cluster[known], minlength=n) / max(int(known.sum()), 1)
    slot = seg["slot"].values.astype(int).tolist() if "slot" in seg.variables else list(range(n))
    border = borders(seg["centre"].values.astype(float), start, end)
    return _Cells(border, look, entropy, slot, share, threshold, names)


def _grid(scene: Scene, top: float, bottom: float) -> None:
    for step, colour, width in ((1.0, SMALL, 0.1), (5.0, LARGE, 0.18)):
        x, y = np.arange(0, scene.width + 1e-6, step), np.arange(top, bottom + 1e-6, step)
        for values, along in ((x, (top, bottom)), (y, (0.0, scene.width))):
            ends = np.column_stack([values, values, np.full(values.size, np.nan)]).ravel()
            across = np.tile([*along, np.nan], values.size)
            first, second = (ends, across) if along[1] == bottom and values is x else (across, ends)
            scene.shapes.append(Line(first, second, colour, width))


def _bands(scene: Scene, cells: _Cells, area: _Area) -> None:
    colours = cells.colours
    edges = area.at(cells.border).tolist()
    for look, first, behind in runs(cells.look):
        x, right = edges[first], edges[behind]
        if right > x:
            fill, opacity = (GREY, 0.75) if look < 0 else (colours[look], BAND)
            scene.shapes.append(Rect(x, area.y, right - x, area.height, fill, opacity, hatched=look < 0))


def _trace(scene: Scene, values: np.ndarray, time: np.ndarray, area: _Area, y: float, *, finest: float) -> float:
    """Draw one lead; how far its baseline was moved, mV."""
    median = float(np.nanmedian(values)) if np.isfinite(values).any() else 0.0
    offset = median if abs(median) > _FAR else 0.0
    inside = (time >= area.t0 - 1e-9) & (time <= area.t1 + 1e-9)
    x, mv = area.at(time[inside]), values[inside].astype(float)
    if finest and x.size:
        x, mv = _extremes(x, mv, finest)
    scene.shapes.append(Line(x, y - (mv - offset) * GAIN, INK, 0.25))
    return abs(offset)


def _extremes(x: np.ndarray, y: np.ndarray, column: float) -> tuple[np.ndarray, np.ndarray]:
    """Least and greatest of each column, in their order; a gap stays a gap."""
    size = int(column // max(float(x[1] - x[0]) if x.size > 1 else column, 1e-9))
    n = x.size // size if size > 2 else 0
    if not n:
        return x, y
    blocks = y[: n * size].reshape(n, size)
    low = np.where(np.isnan(blocks), np.inf, blocks).argmin(1)
    high = np.where(np.isnan(blocks), -np.inf, blocks).argmax(1)
    gap = np.isnan(blocks).any(1)
    low[gap] = np.isnan(blocks[gap]).argmax(1)
    at = (np.sort(np.column_stack([low, high]), 1) + size * np.arange(n)[:, None]).ravel()
    at = np.concatenate([at, np.arange(n * size, x.size)])
    return x[at], y[at]


def _strips(scene: Scene, cells: _Cells, strip: _Area) -> None:
    colours = cells.colours
    edges = strip.at(cells.border).tolist()
    for look, first, behind in runs(cells.look):
        x, right = edges[first], edges[behind]
        if right <= x:
            continue
        fill = GREY if look < 0 else colours[look]
        scene.shapes.append(Rect(x, strip.y, right - x, strip.height, fill, hatched=look < 0))
        if look >= 0 and right - x >= 2.4:
            text = letter(cells.slot[look])
            scene.shapes.append(Text((x + right) / 2, strip.y + 3.1, text, 2.8, "center", _on(fill), bold=True))
    base, tall = strip.y + strip.height + 11.0, 9.0
    middle = np.repeat(strip.at(cells.border), 2)[1:-1]
    scene.shapes.append(Line(middle, base - tall * np.repeat(cells.entropy.astype(float), 2), MUTED, 0.2))
    ends = np.array([strip.x, float(strip.at(strip.t1))])
    level = base - tall * cells.threshold
    scene.shapes.append(Line(ends, np.full(2, level), "#1565c0", 0.2, "threshold"))
    for text, y in (("1", base - tall + 1.0), ("0", base)):
        scene.shapes.append(Text(strip.x - 1, y, text, 2.2, "right", MUTED))
    scene.shapes.append(Text(strip.x - 1, base - tall / 2 + 0.8, "entropy", 2.0, "right", MUTED))
    for second in range(int(np.floor(strip.t1 - strip.t0 + 1e-6)) + 1):
        text = "0 s" if second == 0 else str(second)
        scene.shapes.append(Text(strip.x + second * SPEED, base + 4, text, 2.4, "center", MUTED))


def _legend(scene: Scene, cells: _Cells, y: float) -> float:
    """Letters, shares and names of the clusters, and what grey is; where it ends."""
    x, colours = _LEFT, cells.colours
    order = sorted(range(len(cells.slot)), key=lambda k: cells.slot[k])
    entries = [(colours[k], letter(cells.slot[k]), f"{100 * cells.share[k]:.0f} %", False) for k in order]
    uncertain = float(np.mean(cells.look[cells.look != MASKED] == UNCERTAIN)) if (cells.look != MASKED).any() else 0
    entries.append((GREY, "", f"uncertain: entropy above {cells.threshold:.2f} ({100 * uncertain:.0f} %)", True))
    for colour, mark, words, hatched in entries:
        name = clean(cells.names.get(mark, ""), 40)
        text = f"{name}, {words}" if name else words
        wide = 8.0 + len(text) * 2.6 * _CHARACTER + 3.0
        if x > _LEFT and x + wide > scene.width - _RIGHT:
            x, y = _LEFT, y + 5.5
        scene.shapes.append(Rect(x, y - 3.2, 5.0, 4.2, colour, hatched=hatched))
        if mark:
            scene.shapes.append(Text(x + 2.5, y, mark, 2.8, "center", _on(colour), bold=True))
        scene.shapes.append(Text(x + 6.2, y, text, 2.6))
        x += wide
    return y + 1.0


def _speeds(scale: float | None) -> str:
    if scale is None:
        return f"{SPEED:g} mm/s, {GAIN:g} mm/mV on the grid"
    if abs(scale - 1) < 0.001:
        return f"{SPEED:g} mm/s, {GAIN:g} mm/mV"
    return (
        f"{SPEED:g} mm/s, {GAIN:g} mm/mV on the grid; printed {SPEED * scale:.1f} mm/s, {GAIN * scale:.1f} mm/mV "
        f"({100 * scale:.0f} % of life size)"
    )


def _wrapped(facts: Sequence[str], width: float, size: float) -> list[str]:
    lines: list[str] = []
    for fact in (clean(fact, 120) for fact in facts):
        joined = f"{lines[-1]} · {fact}" if lines else fact
        if lines and len(joined) * size * _CHARACTER <= width:
            lines[-1] = joined
        else:
            lines.append(fact)
    return lines


@cache
def _on(colour: str) -> str:
    """Black or white, whichever stands out more on a colour."""
    channels = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return "#000000" if float(linear @ [0.2126, 0.7152, 0.0722]) > 0.179 else "#ffffff"
