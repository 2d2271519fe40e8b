"""Segments on millimetre-exact ECG paper, with Matplotlib."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from ecg_widget.figures.arrangements import GAIN, SPEED
from ecg_widget.figures.scene import HATCH, Arrangement, Line, Rect, Scene, Text, segments_scene
from ecg_widget.files import write_whole

__all__ = ["figure_bytes", "plot_segments", "save_segments", "scene_of"]

_POINT = 72 / 25.4  # points in a millimetre
_FORMATS = ("svg", "pdf", "png")
_RC = {
    "svg.hashsalt": "ecg_widget",  # names inside the file are the same each time
    "svg.fonttype": "none",  # letters stay letters
    "pdf.fonttype": 42,
    "path.simplify": False,  # every sample
    "font.family": "DejaVu Sans",
    "hatch.linewidth": 0.35,
}


def plot_segments(
    seg: xr.Dataset,
    ds: xr.Dataset,
    *,
    record: str | None = None,
    threshold: float = 0.5,
    arrangement: Arrangement = "3x4",
    leads: Sequence[str] = (),
    speed: float = SPEED,
    gain: float = GAIN,
    start: float = 0.0,
    names: Mapping[str, Any] | None = None,
    selection: Mapping[str, Any] | Sequence[Sequence[float]] | None = None,
    title: str = "",
    ax: Any = None,
) -> Any:
    """Draw the segments of one record behind its leads on ECG paper.

    Parameters
    ----------
    seg
        What `TimeClusters.predict`, `Explorer.segmentation` or `Explorer.result` gave: ``cluster, entropy`` over
        ``(record, cell)`` or ``(cell)``, coordinate ``centre (cell)`` in s.
    ds
        Records of the data contract; ``signal (record, lead, time)`` in mV.
    record
        Which; may be left out where `seg` or `ds` has only one.
    threshold
        Cells with an entropy above it, 0 to 1, are grey and hatched.
    arrangement
        As on the page: ``"3x4"`` and ``"3x4-simultaneous"`` with a rhythm strip, ``"6x2"``, ``"cabrera"`` (6 x 2, limb
        leads in the order of their axes), ``"rows"``, one for each lead, or ``"leads"``, those named. Records without
        twelve leads are in rows.
    leads
        Names of leads for the arrangement ``"leads"``, in their order on the paper: ``["II"]`` for one alone.
    speed
        mm/s: 12.5, 25 or 50.
    gain
        mm/mV: 5, 10 or 20.
    start
        s after the beginning of the recording; 10 s are shown.
    names
        Names of clusters by letter, ``{"A": "QRS"}``, or all that `ECGWidget.cluster_names` holds: clusters that are
        merged there are drawn as one, hidden ones as blank as the paper, and notes are written below.
    selection
        Stretches ``[[from, to], ...]`` in s that are framed, or what `ECGWidget.selection` holds: one of another record
        is not drawn.
    title
        Written above; nothing if empty. The record's name is not written by itself, as it may name a patient.
    ax
        Matplotlib axes to draw on: their units become millimetres of paper, with the same scale on both axes. If None,
        a figure of exactly that size is made: saved as it is, a second is 25 mm wide and a millivolt 10 mm high.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ValueError
        No such record, several and none named, or a threshold outside 0 to 1; segments without cells; an arrangement,
        lead, speed or gain that there is not; names or a selection that a widget would not take.

    Examples
    --------
    >>> import ecg_widget as ecg
    >>> ds = ecg.load_example()
    >>> seg = ecg.TimeClusters(5, random_state=0).fit_predict(ecg.activations(ecg.load_network(), ds))
    >>> ax = plot_segments(seg, ds, threshold=0.4)
    >>> bool(abs(ax.figure.get_figwidth() * 25.4 - 265) < 1e-9), ax.get_aspect()
    (True, 1.0)
    """
    made = ax is None
    scene = scene_of(
        seg,
        ds,
        record=record,
        threshold=threshold,
        arrangement=arrangement,
        leads=leads,
        speed=speed,
        gain=gain,
        start=start,
        names=names,
        selection=selection,
        title=title,
        scale=1.0 if made else None,
    )
    if made:
        ax = new_axes(scene, scene.width)
    paint(scene, ax)
    return ax


def save_segments(
    path: str | Path,
    seg: xr.Dataset,
    ds: xr.Dataset,
    *,
    width_mm: float | None = None,
    dpi: float = 300,
    **options: Any,
) -> Path:
    """Write the picture of `plot_segments` as SVG, PDF or PNG, by the ending of its name.

    Parameters
    ----------
    path
        Of the file, ending in ``.svg``, ``.pdf`` or ``.png``; replaced whole or not at all.
    seg, ds
        See `plot_segments`.
    width_mm
        Of the picture. If None it is as wide as 25 mm/s and 10 mm/mV make it; else all of it is scaled, and its footer
        says the printed speed and gain.
    dpi
        Dots in an inch, of PNG.
    **options
        Of `plot_segments`.

    Raises
    ------
    ValueError
        Another ending; a width or resolution that is not positive.
    """
    path = Path(path)
    kind = path.suffix.lower().lstrip(".")
    if kind not in _FORMATS:
        raise ValueError(f"path: expected a name that ends in .svg, .pdf or .png, got {path.name!r}")
    return write_whole(path, figure_bytes(kind, seg, ds, width_mm=width_mm, dpi=dpi, **options))


def figure_bytes(
    kind: str, seg: xr.Dataset, ds: xr.Dataset, *, width_mm: float | None = None, dpi: float = 300, **options: Any
) -> bytes:
    """The file of `save_segments`: the same bytes each time, with no date and no name in it."""
    return drawn_bytes(kind, lambda scale: scene_of(seg, ds, scale=scale, **options), width_mm=width_mm, dpi=dpi)


def drawn_bytes(
    kind: str, scene_at: Callable[[float], Scene], *, width_mm: float | None = None, dpi: float = 300
) -> bytes:
    """A scene as SVG, PDF or PNG; `scene_at` gives it for printed millimetres of one of its own."""
    import matplotlib as mpl  # noqa: PLC0415  (slow to import)

    if width_mm is not None and not 20 <= width_mm <= 5000:
        raise ValueError(f"width_mm: expected 20 to 5000 mm, got {width_mm}")
    if not 10 <= dpi <= 2400:
        raise ValueError(f"dpi: expected 10 to 2400 dots in an inch, got {dpi}")
    natural = scene_at(1.0).width
    width = natural if width_mm is None else float(width_mm)
    scene = scene_at(width / natural)
    nothing: dict[str, dict[str, None]] = {
        "svg": {"Date": None, "Creator": None},
        "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
        "png": {"Software": None},
    }
    out = io.BytesIO()
    with mpl.rc_context(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*[Gg]lyph.*missing")  # a box stands where a name has no letter
        mpl.rcdefaults()
        mpl.rcParams.update(_RC)
        ax = new_axes(scene, width)
        paint(scene, ax)
        ax.figure.savefig(out, format=kind, dpi=dpi, metadata=nothing[kind], bbox_inches=None)
    return out.getvalue()


def scene_of(
    seg: xr.Dataset,
    ds: xr.Dataset,
    *,
    record: str | None = None,
    threshold: float = 0.5,
    selection: Mapping[str, Any] | Sequence[Sequence[float]] | None = None,
    **options: Any,
) -> Scene:
    """The picture of `plot_segments` in shapes, see `ecg_widget.figures.scene`."""
    if not 0 <= threshold <= 1:
        raise ValueError(f"threshold: expected a number from 0 to 1, got {threshold}")
    known = ds["record"].values.astype(str).tolist()
    named = record or seg.attrs.get("record")
    if named is None:
        listed = np.atleast_1d(seg["record"].values).astype(str).tolist() if "record" in seg.coords else known
        if len(listed) != 1:
            raise ValueError(f"record: expected one of {listed[:5]}, got none of {len(listed)}; name it")
        named = listed[0]
    if named not in known:
        raise ValueError(f"record: expected one of {known[:5]}, got {named!r}")
    if "record" in seg.dims:
        if named not in seg["record"].values.astype(str):
            raise ValueError(f"record: expected one with segments, got {named!r}")
        seg = seg.isel(record=seg["record"].values.astype(str).tolist().index(named))
    if seg.sizes.get("cell", 0) == 0:
        raise ValueError("seg: expected segments with cells, got none; of a long recording take a part first")
    one = ds["signal"].isel(record=known.index(named)).transpose("lead", "time")
    rate = float(ds["time"].attrs.get("sampling_rate") or 1 / np.diff(ds["time"].values[:2])[0])
    filters = str(ds.attrs.get("filters", ""))
    options = {**options, **_chosen(ds, named, selection)}
    return segments_scene(seg, one, rate=rate, threshold=threshold, filters=filters, **options)


def _chosen(
    ds: xr.Dataset, record: str, selection: Mapping[str, Any] | Sequence[Sequence[float]] | None
) -> dict[str, Any]:
    """The stretches of a record, and what they are."""
    from ecg_widget.selection import check_selection  # noqa: PLC0415  (it imports PyTorch)

    if selection is None:
        return {}
    given = selection if isinstance(selection, Mapping) else {"record": record, "intervals": selection}
    if given.get("record", record) != record:
        return {}
    checked = check_selection(ds["record"].values, given)
    return {"selection": checked["intervals"], "label": checked["label"]} if checked else {}


def new_axes(scene: Scene, width_mm: float) -> Any:
    """Axes that fill a figure as wide as is asked for."""
    from matplotlib.figure import Figure  # noqa: PLC0415

    height_mm = scene.height * width_mm / scene.width
    figure = Figure(figsize=(width_mm / 25.4, height_mm / 25.4), facecolor="white")
    return figure.add_axes((0, 0, 1, 1))


def paint(scene: Scene, ax: Any) -> None:
    """Paint on axes whose units are millimetres; line widths and letters follow their size on the page."""
    from matplotlib.lines import Line2D  # noqa: PLC0415
    from matplotlib.patches import Rectangle  # noqa: PLC0415

    ax.set(xlim=(0, scene.width), ylim=(scene.height, 0), aspect="equal")
    ax.set_axis_off()
    box = ax.get_position(original=True)
    inches = ax.figure.get_size_inches()
    fits = (box.width * inches[0] / scene.width, box.height * inches[1] / scene.height)
    point = min(fits) * 25.4 * _POINT  # points of the page in a millimetre of the scene
    order = 2.0
    for shape in scene.shapes:
        order += 1e-4  # the order of the list, whatever kind a shape is
        if isinstance(shape, Rect):
            colour: dict[str, Any] = {"facecolor": shape.fill, "alpha": shape.opacity, "linewidth": 0, "zorder": order}
            ax.add_patch(Rectangle((shape.x, shape.y), shape.width, shape.height, **colour))
            if shape.hatched:
                lines: dict[str, Any] = {
                    "fill": False,
                    "hatch": "//////",
                    "edgecolor": HATCH,
                    "linewidth": 0,
                    "zorder": order,
                }
                ax.add_patch(Rectangle((shape.x, shape.y), shape.width, shape.height, **lines))
        elif isinstance(shape, Line):
            line = Line2D(shape.x, shape.y, color=shape.colour, linewidth=shape.width * point, zorder=order)
            line.set(solid_joinstyle="round" if not shape.name else "miter", solid_capstyle="butt")
            if shape.name:
                line.set_gid(shape.name)
            ax.add_line(line)
        elif isinstance(shape, Text):
            text = ax.text(
                shape.x,
                shape.y,
                shape.text,
                fontsize=shape.size * point,
                ha=shape.align,
                va="baseline",
                color=shape.colour,
                weight="bold" if shape.bold else "normal",
                zorder=order,
                parse_math=False,  # a dollar in a name is a dollar
            )
            if shape.halo:  # a box: with an outline, letters would be written as shapes
                text.set_bbox({"facecolor": "white", "alpha": 0.7, "linewidth": 0, "pad": 0.3 * point})
