"""A static picture of segments on ECG paper as a list of shapes in millimetres, for any painter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from ecg_widget.figures.arrangements import (
    GAIN,
    SPEED,
    WINDOW,
    Area,
    Arrangement,
    Layout,
    Trace,
    arrange,
    check_arrangement,
)
from ecg_widget.figures.cells import Cells, borders, cells_of, facts_of, runs
from ecg_widget.figures.legend import footer, legend, notes
from ecg_widget.figures.shapes import (
    ACCENT,
    GREY,
    HATCH,
    INK,
    MUTED,
    Line,
    Rect,
    Scene,
    Text,
    clean,
    text_on,
)
from ecg_widget.palette import BAND, PAPER, letter

__all__ = [
    "HATCH",
    "Arrangement",
    "Line",
    "Rect",
    "Scene",
    "Text",
    "borders",
    "clean",
    "draw_bands",
    "draw_grid",
    "draw_traces",
    "runs",
    "scale_text",
    "segments_scene",
]

SMALL, LARGE = "#f7e5e3", "#eebfbb"
_RIGHT, _TOP = 5.0, 5.0  # mm
_FAR = 0.5  # mV: a lead whose median is farther from 0 is drawn around it, and the footer says so
_SPEEDS, _GAINS = (12.5, 25.0, 50.0), (5.0, 10.0, 20.0)
_SELECTED = 0.2  # opacity of a selected stretch


def segments_scene(
    seg: xr.Dataset,
    signal: xr.DataArray,
    *,
    rate: float,
    threshold: float = 0.5,
    arrangement: Arrangement = "3x4",
    leads: Sequence[str] = (),
    speed: float = SPEED,
    gain: float = GAIN,
    start: float = 0.0,
    names: Mapping[str, Any] | None = None,
    selection: Sequence[Sequence[float]] = (),
    label: str = "",
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
    arrangement, leads, speed, gain
        See `ecg_widget.figures.plot_segments`.
    start
        s after the beginning of the recording; 10 s are shown.
    names
        Of clusters, by letter: a name, or ``name``, ``note``, ``merged`` and ``hidden``.
    selection, label
        Stretches ``[[from, to], ...]`` in s, and what they are.
    title, filters
        Written above and below.
    scale
        Printed millimetres for a millimetre here; None where that is not known.
    finest
        mm: of samples in a column so wide only the least and the greatest are drawn; 0 draws all.
    """
    known = signal["lead"].values.astype(str).tolist()
    check_arrangement(arrangement, known, leads)
    for name, value, allowed in (("speed", speed, _SPEEDS), ("gain", gain, _GAINS)):
        if value not in allowed:
            raise ValueError(f"{name}: expected one of {', '.join(f'{v:g}' for v in allowed)}, got {value!r:.80}")
    time = signal["time"].values.astype(float)
    end = float(time[-1] + 1 / rate)
    t0 = float(np.clip(time[0] + start, time[0], max(time[0], end - WINDOW)))
    t1 = min(t0 + WINDOW, end)
    inside = np.flatnonzero((time >= t0 - 1e-9) & (time <= t1 + 1e-9))
    seen = signal.isel(time=slice(int(inside[0]), int(inside[-1]) + 1)).compute()  # of a long recording no more is read
    top = _TOP + (7.0 if title else 0.0)
    layout = arrange(arrangement, known, leads, (t0, t1), top=top, speed=speed, gain=gain)
    rows = len(layout.areas) == 1 and len({trace.area.x for trace in layout.traces}) == 1
    grid = top + layout.height + (5.0 if rows else 0.0)
    cells = cells_of(seg, float(time[0]), end, threshold, facts_of(names))
    scene = Scene(layout.left + layout.inner + _RIGHT, 0.0)
    draw_grid(scene, top - _TOP, grid)
    if title:
        scene.shapes.append(Text(layout.left, 5.0, clean(title, 120), 3.6, bold=True))
    for area in layout.areas:
        draw_bands(scene, cells, area)
    chosen = np.asarray(selection, float).reshape(-1, 2)
    strip = Area(t0, t1, layout.left, grid + 1.5, 4.0, speed)
    for area in layout.areas:
        _selected(scene, chosen, area)
    seen = seen.assign_coords(lead=known)
    shift = draw_traces(scene, layout, seen, gain=gain, finest=finest)
    _strips(scene, cells, strip)
    _selected(scene, chosen, strip)
    bottom = legend(scene, cells, layout.left, strip.y + strip.height + 22.0)
    bottom = notes(scene, cells, layout.left, bottom)
    facts = [*layout.facts, f"{rate:g} Hz", f"filters: {filters}" if filters else "no filter"]
    if t1 - t0 < end - time[0] - 1e-6:
        facts.insert(0, f"{t0 - time[0]:.1f} to {t1 - time[0]:.1f} s of {end - time[0]:.1f} s")
    if len(chosen):
        facts.append(_chosen(chosen, label, t0, t1))
    if shift:
        facts.append(f"baselines moved by up to {shift:.2f} mV")
    scene.height = footer(scene, layout.left, bottom, [scale_text(speed, gain, scale), *facts])
    return scene


def draw_traces(scene: Scene, layout: Layout, signal: xr.DataArray, *, gain: float, finest: float) -> float:
    """Draw leads, names and pulses; how far a baseline was moved at most, mV."""
    shift = 0.0
    for trace in layout.traces:
        shift = max(shift, _trace(scene, signal.sel(lead=trace.lead), trace, gain=gain, finest=finest))
        area, y = trace.area, trace.baseline
        if area.x > layout.left:  # where one lead ends and the next begins
            scene.shapes.append(Line(np.full(2, area.x), np.array([y - 3.0, y + 3.0]), INK, 0.35, "separator"))
        name = clean(trace.name, 12)
        scene.shapes.append(Text(area.x + 1.2, y - layout.label, name, 3.4, bold=True, halo=True))
    speed = layout.areas[0].speed
    wide = max(0.2 * speed, 1.0)
    for y in sorted({trace.baseline for trace in layout.traces}):
        x = np.array([1.0, 2.5, 2.5, 2.5 + wide, 2.5 + wide, 4.0 + wide])
        scene.shapes.append(Line(x, y - np.array([0, 0, gain, gain, 0, 0.0]), INK, 0.3, "calibration"))
    return shift


def draw_grid(scene: Scene, top: float, bottom: float) -> None:
    """Squares of 1 and 5 mm over the whole width, from `top` to `bottom` mm."""
    for step, colour, width in ((1.0, SMALL, 0.1), (5.0, LARGE, 0.18)):
        x, y = np.arange(0, scene.width + 1e-6, step), np.arange(top, bottom + 1e-6, step)
        for values, along in ((x, (top, bottom)), (y, (0.0, scene.width))):
            ends = np.column_stack([values, values, np.full(values.size, np.nan)]).ravel()
            across = np.tile([*along, np.nan], values.size)
            first, second = (ends, across) if along[1] == bottom and values is x else (across, ends)
            scene.shapes.append(Line(first, second, colour, width))


def draw_bands(scene: Scene, cells: Cells, area: Area) -> None:
    """Cells in the colours of their clusters, behind the traces."""
    colours = cells.colours
    edges = area.at(cells.border).tolist()
    for look, first, behind in runs(cells.look):
        x, right = edges[first], edges[behind]
        if right > x and not cells.hidden(look):
            fill, opacity = (GREY, 0.75) if look < 0 else (colours[look], BAND)
            scene.shapes.append(Rect(x, area.y, right - x, area.height, fill, opacity, hatched=look < 0))


def _selected(scene: Scene, chosen: np.ndarray, area: Area) -> None:
    """Behind the traces, framed as on the page."""
    for start, end in chosen.tolist():
        if start < area.t1 and end > area.t0:
            x, right = float(area.at(start)), float(area.at(end))
            scene.shapes.append(Rect(x, area.y, right - x, area.height, ACCENT, _SELECTED))
            corners = np.array([x, right, right, x, x])
            tall = area.y + area.height * np.array([0, 0, 1, 1, 0.0])
            scene.shapes.append(Line(corners, tall, ACCENT, 0.3, "selection"))


def _chosen(chosen: np.ndarray, label: str, t0: float, t1: float) -> str:
    inside = ((chosen[:, 0] < t1) & (chosen[:, 1] > t0)).sum()
    stretches = f"{len(chosen)} stretch{'es' * (len(chosen) != 1)}"
    away = f", {len(chosen) - inside} not shown" if inside < len(chosen) else ""
    what = f"{clean(label)}, " if label else ""
    return f"selected: {what}{np.diff(chosen).sum():.2f} s in {stretches}{away}"


def _trace(scene: Scene, signal: xr.DataArray, trace: Trace, *, gain: float, finest: float) -> float:
    """Draw one lead; how far its baseline was moved, mV."""
    values, time = signal.values, signal["time"].values.astype(float)
    median = float(np.nanmedian(values)) if np.isfinite(values).any() else 0.0
    offset = median if abs(median) > _FAR else 0.0
    area = trace.area
    inside = (time >= area.t0 - 1e-9) & (time <= area.t1 + 1e-9)
    x, mv = area.at(time[inside]), values[inside].astype(float)
    if finest and x.size:
        x, mv = _extremes(x, mv, finest)
    scene.shapes.append(Line(x, trace.baseline - trace.sign * (mv - offset) * gain, INK, 0.25))
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


def _strips(scene: Scene, cells: Cells, strip: Area) -> None:
    colours = cells.colours
    edges = strip.at(cells.border).tolist()
    for look, first, behind in runs(cells.look):
        x, right = edges[first], edges[behind]
        if right <= x:
            continue
        fill = GREY if look < 0 else PAPER if cells.hidden(look) else colours[look]
        scene.shapes.append(Rect(x, strip.y, right - x, strip.height, fill, hatched=look < 0))
        if look >= 0 and right - x >= 2.4:
            text = letter(cells.slot[look])
            scene.shapes.append(Text((x + right) / 2, strip.y + 3.1, text, 2.8, "center", text_on(fill), bold=True))
    base, tall = strip.y + strip.height + 11.0, 9.0
    middle = np.repeat(strip.at(cells.border), 2)[1:-1]
    scene.shapes.append(Line(middle, base - tall * np.repeat(cells.entropy.astype(float), 2), MUTED, 0.2))
    ends = np.array([strip.x, float(strip.at(strip.t1))])
    level = base - tall * cells.threshold
    scene.shapes.append(Line(ends, np.full(2, level), ACCENT, 0.2, "threshold"))
    for text, y in (("1", base - tall + 1.0), ("0", base)):
        scene.shapes.append(Text(strip.x - 1, y, text, 2.2, "right", MUTED))
    scene.shapes.append(Text(strip.x - 1, base - tall / 2 + 0.8, "entropy", 2.0, "right", MUTED))
    for second in range(int(np.floor(strip.t1 - strip.t0 + 1e-6)) + 1):
        text = "0 s" if second == 0 else str(second)
        scene.shapes.append(Text(strip.x + second * strip.speed, base + 4, text, 2.4, "center", MUTED))


def scale_text(speed: float, gain: float, scale: float | None) -> str:
    """What the footer says of speed and gain, printed ones too where they are others."""
    on = f"{speed:g} mm/s, {gain:g} mm/mV"
    if scale is None:
        return f"{on} on the grid"
    if abs(scale - 1) < 0.001:
        return on
    printed = f"{speed * scale:.1f} mm/s, {gain * scale:.1f} mm/mV ({100 * scale:.0f} % of life size)"
    return f"{on} on the grid; printed {printed}"
