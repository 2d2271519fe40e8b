"""Two segmentations of one record on ECG paper: a trace over each, their strips side by side, and where they differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from ecg_widget.figures.arrangements import GAIN, LEFT, SPEED, WINDOW, Area, Layout, arrange
from ecg_widget.figures.cells import MASKED, UNCERTAIN, Cells, borders, facts_of, runs
from ecg_widget.figures.legend import footer
from ecg_widget.figures.scene import draw_bands, draw_grid, draw_traces, scale_text
from ecg_widget.figures.segments import drawn_bytes, new_axes, paint
from ecg_widget.figures.shapes import CHARACTER, GREY, INK, MUTED, Rect, Scene, Text, clean, text_on
from ecg_widget.files import write_whole
from ecg_widget.palette import cluster_colours, letter

__all__ = ["comparison_bytes", "comparison_scene", "plot_comparison", "save_comparison"]

_STRIP, _BETWEEN, _RIGHT = 5.0, 3.0, 5.0  # mm


@dataclass(frozen=True)
class _Cells(Cells):
    """The same, whose colours are of both sides."""

    palette: tuple[str, ...] = ()
    cluster: np.ndarray = field(default_factory=lambda: np.zeros(0, int))

    def slots_at(self, time: np.ndarray) -> np.ndarray:
        """Colour of the cell at each time, -1 where there is none: that of an uncertain cell as well."""
        cell = np.searchsorted(self.border, time, side="right") - 1
        within = (cell >= 0) & (cell < len(self.cluster))
        cluster = self.cluster[cell.clip(0, len(self.cluster) - 1)]
        return np.where(within & (cluster >= 0), np.array(self.slot)[cluster.clip(0)], -1)

    @property
    def colours(self) -> list[str]:
        return list(self.palette)


def plot_comparison(
    comparison: xr.Dataset,
    ds: xr.Dataset,
    *,
    record: str | None = None,
    threshold: float | Sequence[float] = 1.0,
    leads: Sequence[str] | None = None,
    start: float = 0.0,
    names: Mapping[str, Any] | None = None,
    title: str = "",
    ax: Any = None,
) -> Any:
    """Draw both segmentations of one record: each behind the leads, their strips together, dark where they differ.

    Parameters
    ----------
    comparison
        What `ecg_widget.compare_segments` gave, or ``comparison`` of what `ecg_widget.compare` gave.
    ds
        Records of the data contract.
    record
        Which; may be left out where there is only one.
    threshold
        Cells with an entropy above it, 0 to 1, are grey and hatched; of both sides or of each.
    leads
        Which are drawn; lead II, or the first, if None.
    start
        s after the beginning of the recording; 10 s are shown.
    names
        Names of clusters of both sides, by letter: ``{"A": "QRS"}``.
    title
        Written above; nothing if empty. The record's name is not written by itself, as it may name a patient.
    ax
        Matplotlib axes to draw on: their units become millimetres of paper. If None, a figure of exactly that size.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ValueError
        No such record or lead, several records and none named, a threshold outside 0 to 1.

    Examples
    --------
    >>> import ecg_widget as ecg
    >>> ds = ecg.simulate(2)
    >>> explorer = ecg.Explorer(ecg.load_network(), ds)
    >>> a, b = (explorer.segmentation([name], n_clusters=5) for name in ("blocks.1", "blocks.3"))
    >>> found = ecg.compare_segments(a, b, ds, names=["second block", "last block"])
    >>> ax = plot_comparison(found, ds, record="0000-NORM")
    >>> ax.get_aspect(), bool(abs(ax.figure.get_figwidth() * 25.4 - 265) < 1e-9)
    (1.0, True)
    """
    options: dict[str, Any] = {
        "record": record,
        "threshold": threshold,
        "leads": leads,
        "start": start,
        "names": names,
        "title": title,
    }
    scene = comparison_scene(comparison, ds, scale=1.0 if ax is None else None, **options)
    if ax is None:
        ax = new_axes(scene, scene.width)
    paint(scene, ax)
    return ax


def save_comparison(
    path: str | Path,
    comparison: xr.Dataset,
    ds: xr.Dataset,
    *,
    width_mm: float | None = None,
    dpi: float = 300,
    **options: Any,
) -> Path:
    """Write the picture of `plot_comparison` as SVG, PDF or PNG, by the ending of its name.

    Parameters
    ----------
    path
        Of the file, ending in ``.svg``, ``.pdf`` or ``.png``; replaced whole or not at all.
    comparison, ds
        See `plot_comparison`.
    width_mm
        Of the picture; if None, 25 mm/s and 10 mm/mV.
    dpi
        Dots in an inch, of PNG.
    **options
        Of `plot_comparison`.

    Raises
    ------
    ValueError
        Another ending; a width or resolution out of range.
    """
    path = Path(path)
    kind = path.suffix.lower().lstrip(".")
    if kind not in ("svg", "pdf", "png"):
        raise ValueError(f"path: expected a name that ends in .svg, .pdf or .png, got {path.name!r}")
    return write_whole(path, comparison_bytes(kind, comparison, ds, width_mm=width_mm, dpi=dpi, **options))


def comparison_bytes(
    kind: str,
    comparison: xr.Dataset,
    ds: xr.Dataset,
    *,
    width_mm: float | None = None,
    dpi: float = 300,
    **options: Any,
) -> bytes:
    """The file of `save_comparison`: the same bytes each time, with no date in it."""

    def scene_at(scale: float) -> Scene:
        return comparison_scene(comparison, ds, scale=scale, **options)

    return drawn_bytes(kind, scene_at, width_mm=width_mm, dpi=dpi)


def comparison_scene(
    comparison: xr.Dataset,
    ds: xr.Dataset,
    *,
    record: str | None = None,
    threshold: float | Sequence[float] = 1.0,
    leads: Sequence[str] | None = None,
    start: float = 0.0,
    names: Mapping[str, Any] | None = None,
    title: str = "",
    scale: float | None = 1.0,
    finest: float = 0.0,
) -> Scene:
    """The picture of `plot_comparison` in shapes, see `ecg_widget.figures.scene`."""
    limits = [threshold] * 2 if isinstance(threshold, int | float) else list(threshold)
    if len(limits) != 2 or not all(0 <= limit <= 1 for limit in limits):
        raise ValueError(f"threshold: expected one or two numbers from 0 to 1, got {threshold}")
    row, named = _row(comparison, record)
    seen = _seen(ds, named, leads, start)
    sides = _sides(comparison, row, seen, limits, names)
    t0, t1 = seen.window
    leads = seen.signal["lead"].values.astype(str).tolist()
    top = 5.0 + (7.0 if title else 0.0)
    first = arrange("leads", leads, leads, seen.window, top=top)
    strips = [Area(t0, t1, LEFT, top + first.height + 1.5 + i * (_STRIP + _BETWEEN), _STRIP) for i in (0, 1)]
    second = arrange("leads", leads, leads, seen.window, top=strips[1].y + _STRIP + 1.5)
    scene = Scene(LEFT + first.inner + _RIGHT, 0.0)
    if title:
        scene.shapes.append(Text(LEFT, 5.0, clean(title, 120), 3.6, bold=True))
    shift = max(_panel(scene, cells, on, seen, finest) for on, cells in zip((first, second), sides, strict=True))
    for name, strip, cells in zip("ab", strips, sides, strict=True):
        _strip(scene, cells, strip)
        scene.shapes.append(Text(LEFT - 2, strip.y + 3.8, name, 3.4, "right", bold=True))
    _differences(scene, sides, strips)
    bottom = second.areas[0].y + second.height
    for whole in range(int(np.floor(t1 - t0 + 1e-6)) + 1):
        text = "0 s" if whole == 0 else str(whole)
        scene.shapes.append(Text(LEFT + whole * SPEED, bottom + 4, text, 2.4, "center", MUTED))
    bottom = _legend(scene, _entries(comparison, row, sides), bottom + 10.0)
    said = [
        *_named(comparison),
        _agreement(comparison, row),
        scale_text(SPEED, GAIN, scale),
        f"{seen.rate:g} Hz",
        "dark between the strips: not matched",
    ]
    if t1 - t0 < seen.end - seen.start - 1e-6:
        said.append(f"{t0 - seen.start:.1f} to {t1 - seen.start:.1f} s of {seen.end - seen.start:.1f} s")
    if shift:
        said.append(f"baselines moved by up to {shift:.2f} mV")
    scene.height = footer(scene, LEFT, bottom, said)
    return scene


@dataclass(frozen=True)
class _Seen:
    """What is drawn of a recording: ``(lead, time)`` in mV, the window and the whole in s."""

    signal: xr.DataArray
    rate: float
    window: tuple[float, float]
    start: float
    end: float


def _seen(ds: xr.Dataset, record: str, leads: Sequence[str] | None, start: float) -> _Seen:
    known, own = (ds[name].values.astype(str).tolist() for name in ("record", "lead"))
    if record not in known:
        raise ValueError(f"record: expected one of {known[:5]}, got {record!r}")
    drawn = list(leads) if leads is not None else ["II" if "II" in own else own[0]]
    if not drawn or any(lead not in own for lead in drawn):
        raise ValueError(f"leads: expected some of {own}, got {drawn}")
    signal = ds["signal"].isel(record=known.index(record)).transpose("lead", "time")
    time = signal["time"].values.astype(float)
    rate = float(ds["time"].attrs.get("sampling_rate") or 1 / np.diff(time[:2])[0])
    end = float(time[-1] + 1 / rate)
    t0 = float(np.clip(time[0] + start, time[0], max(time[0], end - WINDOW)))
    t1 = min(t0 + WINDOW, end)
    inside = np.flatnonzero((time >= t0 - 1e-9) & (time <= t1 + 1e-9))
    part = signal.sel(lead=drawn).isel(time=slice(int(inside[0]), int(inside[-1]) + 1)).compute()
    return _Seen(part, rate, (t0, t1), float(time[0]), end)


def _panel(scene: Scene, cells: _Cells, layout: Layout, seen: _Seen, finest: float) -> float:
    """One side's bands behind the leads; how far a baseline was moved, mV."""
    (area,) = layout.areas
    draw_grid(scene, area.y, area.y + area.height)
    draw_bands(scene, cells, area)
    return draw_traces(scene, layout, seen.signal, gain=GAIN, finest=finest)


def _row(comparison: xr.Dataset, record: str | None) -> tuple[int, str]:
    known = comparison["record"].values.astype(str).tolist()
    if record is None and len(known) != 1:
        raise ValueError(f"record: expected one of {known[:5]}, got none of {len(known)}; name it")
    named = record if record is not None else known[0]
    if named not in known:
        raise ValueError(f"record: expected one of {known[:5]}, got {named!r}")
    return known.index(named), named


def _sides(
    comparison: xr.Dataset, row: int, seen: _Seen, limits: Sequence[float], names: Mapping[str, Any] | None
) -> list[_Cells]:
    facts = facts_of(names)
    slots = [comparison[f"slot_{name}"].values.astype(int).tolist() for name in "ab"]
    together = list(dict.fromkeys([*slots[0], *slots[1]]))
    colour = dict(zip(together, cluster_colours(together), strict=True))
    out = []
    for name, own, limit in zip("ab", slots, limits, strict=True):
        cluster = comparison[f"cluster_{name}"].values[row].astype(int)
        entropy = comparison[f"entropy_{name}"].values[row]
        known = cluster >= 0
        look = np.where(~known, MASKED, np.where(entropy > np.float32(limit), UNCERTAIN, cluster))
        share = np.bincount(cluster[known], minlength=len(own)) / max(int(known.sum()), 1)
        border = borders(comparison[f"centre_{name}"].values.astype(float), seen.start, seen.end)
        palette = tuple(colour[slot] for slot in own)
        out.append(_Cells(border, look, entropy, own, share, float(limit), [[] for _ in own], facts, palette, cluster))
    return out


def _strip(scene: Scene, cells: _Cells, strip: Any) -> None:
    colours = cells.colours
    edges = strip.at(cells.border).tolist()
    for look, first, behind in runs(cells.look):
        x, right = edges[first], edges[behind]
        if right <= x:
            continue
        fill = GREY if look < 0 else colours[look]
        scene.shapes.append(Rect(x, strip.y, right - x, strip.height, fill, hatched=look < 0))
        if look >= 0 and right - x >= 2.4:
            on = text_on(fill)
            place = (x + right) / 2, strip.y + 3.6
            scene.shapes.append(Text(*place, letter(cells.slot[look]), 2.8, "center", on, bold=True))


def _differences(scene: Scene, sides: list[_Cells], strips: list[Any]) -> None:
    """A dark line between the strips wherever both show a cluster, and these are not matched."""
    edges = np.unique(np.clip(np.union1d(sides[0].border, sides[1].border), strips[0].t0, strips[0].t1))
    one, two = (cells.slots_at((edges[1:] + edges[:-1]) / 2) for cells in sides)
    for differ, first, behind in runs(((one != two) & (one >= 0) & (two >= 0)).astype(int)):
        if differ:
            x, right = (float(strips[0].at(edges[i])) for i in (first, behind))
            scene.shapes.append(Rect(x, strips[0].y + _STRIP + 1.0, right - x, _BETWEEN - 2.0, INK))


def _entries(comparison: xr.Dataset, row: int, sides: list[_Cells]) -> list[tuple[str, str, str]]:
    """Colour, letter and words of each cluster: its share on each side, and how far matched ones coincide."""
    seconds, partner = comparison["record_overlap"].values[row], comparison["partner"].values
    colour = {slot: c for cells in sides for slot, c in zip(cells.slot, cells.colours, strict=True)}
    out = []
    for slot in sorted(colour):
        places = [cells.slot.index(slot) if slot in cells.slot else -1 for cells in sides]
        named = zip("ab", sides, places, strict=True)
        words = [f"{name} {100 * cells.share[k]:.0f} %" for name, cells, k in named if k >= 0]
        i, j = places
        if i >= 0 and j >= 0 and partner[i] == j:
            both = seconds[i, j]
            either = seconds[i].sum() + seconds[:, j].sum() - both
            words.append(f"Jaccard {both / either:.2f}" if either > 0 else "Jaccard \u2013")
        called = clean(sides[0].facts.get(letter(slot), {}).get("name", ""), 40)
        out.append((colour[slot], letter(slot), ", ".join([called, *words] if called else words)))
    return out


def _legend(scene: Scene, entries: list[tuple[str, str, str]], y: float) -> float:
    """Where it ends, mm."""
    x = LEFT
    for colour, mark, text in entries:
        wide = 8.0 + len(text) * 2.6 * CHARACTER + 3.0
        if x > LEFT and x + wide > scene.width - _RIGHT:
            x, y = LEFT, y + 5.5
        scene.shapes.append(Rect(x, y - 3.2, 5.0, 4.2, colour))
        scene.shapes.append(Text(x + 2.5, y, mark, 2.8, "center", text_on(colour), bold=True))
        scene.shapes.append(Text(x + 6.2, y, text, 2.6))
        x += wide
    return y + 1.0


def _named(comparison: xr.Dataset) -> list[str]:
    names = list(comparison.attrs.get("names", "ab"))
    layers = [" + ".join(map(str, np.atleast_1d(comparison.attrs.get(f"layers_{s}", [])))) for s in "ab"]
    return [
        f"{side}: {clean(str(name))}{f', {clean(own)}' if own else ''}"
        for side, name, own in zip("ab", names, layers, strict=True)
    ]


def _agreement(comparison: xr.Dataset, row: int) -> str:
    same, ami, ari, vi = (float(comparison[f"record_{m}"].values[row]) for m in ("same", "ami", "ari", "vi"))
    if not np.isfinite(same):
        return "nothing to compare in this record"
    compared = float(comparison["compared"].values[row])
    return f"matched in {100 * same:.0f} % of {compared:.1f} s, AMI {ami:.2f}, ARI {ari:.2f}, VI {vi:.2f} bit"
