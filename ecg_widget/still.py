"""Still pictures of a widget: files for papers, and what stands in a saved notebook where no kernel is."""

from __future__ import annotations

import base64
import contextlib
import html
import logging
import sys
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any

import xarray as xr

from ecg_widget.files import write_whole

if TYPE_CHECKING:
    from ecg_widget.figures.shapes import Scene
    from ecg_widget.widget import ECGWidget

__all__ = ["COLUMN", "save_view", "scene_of_view", "shown_recording", "static_picture", "still_html", "with_picture"]

log = logging.getLogger(__name__)
_TEXT = "ECG with segments as a network sees them; static picture"
_BESIDE = "<!-- the static picture of this view is an output of its own -->"  # in place of the name of an object
_shown_in: weakref.WeakKeyDictionary[ECGWidget, str] = weakref.WeakKeyDictionary()  # run of a cell by widget
COLUMN = 0.4  # mm; of the samples in it the least and the greatest are drawn: what a screen can show


def save_view(widget: ECGWidget, path: str | Path, kind: str, **options: Any) -> None:
    """Write what a widget shows, see `ecg_widget.figures.save_segments`.

    Raises
    ------
    ValueError
        There is nothing to draw, and what the widget says of it; options out of range.
    """
    from ecg_widget.figures.segments import figure_bytes  # noqa: PLC0415

    result = widget.result
    if result is None:
        raise ValueError(f"result: expected segments to draw, got none: {widget.error or 'nothing is computed yet'}")
    options = {**_as_shown(widget), **options}
    write_whole(path, figure_bytes(kind, result, shown_recording(widget), record=widget.record, **options))


def with_picture(widget: ECGWidget, bundle: Any) -> Any:
    """Add a static picture to what a widget displays as; nothing where there is nothing to draw.

    In a cell that runs, the picture is an output of its own, at the end of the cell. Both in one output would not do:
    a notebook that keeps the state of widgets (nbclient and nbconvert do unless told otherwise), and every reader of
    notebooks that knows widgets, takes the view, and where its code cannot be had from the network shows nothing.
    A view that lives hides the picture. Elsewhere the picture is one more type in the same output.

    The picture is of what stands at that moment, be it a draft: nothing is computed for it and Matplotlib is not
    loaded, so that it costs some milliseconds, for which the view does not wait. It names no record.
    """
    if bundle is None or _drawable(widget) is None:
        return bundle
    data, metadata = bundle if isinstance(bundle, tuple) else (bundle, {})
    if _follows(widget):
        return {**data, "text/html": _BESIDE}, metadata
    picture = static_picture(widget)
    return ({**data, "image/svg+xml": picture}, metadata) if picture else bundle


def static_picture(widget: ECGWidget) -> str:
    """SVG of what a widget shows; ``""`` for nothing."""
    if _drawable(widget) is None:
        return ""
    try:
        from ecg_widget.figures.svg_text import svg_text  # noqa: PLC0415

        return svg_text(widget.picture_scene())
    except Exception:  # a display must not fail for want of its picture
        log.exception("no static picture")
        return ""


def scene_of_view(widget: ECGWidget, result: xr.Dataset) -> Scene:
    """The picture of one side, coarse enough for a screen."""
    from ecg_widget.figures.segments import scene_of  # noqa: PLC0415

    return scene_of(
        result, shown_recording(widget), record=widget.record, finest=COLUMN, scale=None, **_as_shown(widget)
    )


def _drawable(widget: ECGWidget) -> xr.Dataset | None:
    """The result as it stands, for which `result` would wait; None where it has no cells."""
    result = widget._shown  # noqa: SLF001
    return result if result is not None and result.sizes["cell"] > 0 else None


def _follows(widget: ECGWidget) -> bool:
    """Have the picture shown when the running cell is done, once for each run; False where no cell runs."""
    shell, run = _running()
    if not run:
        return False
    if _shown_in.get(widget) == run:
        return True
    _shown_in[widget] = run

    def show(_result: Any) -> None:
        shell.events.unregister("post_run_cell", show)
        if _running()[1] == run and (picture := static_picture(widget)):
            shown = still_html(picture, widget.still)
            shell.display_pub.publish({"text/html": shown, "image/svg+xml": picture, "text/plain": _TEXT})

    shell.events.register("post_run_cell", show)
    return True


def still_html(picture: str, name: str) -> str:
    """HTML of a picture that no sanitiser takes away: an image, which the page finds by its class.

    Examples
    --------
    >>> still_html("<svg/>", "ecg-still-1").split(" src=")[1]
    '"data:image/svg+xml;base64,PHN2Zy8+"></div>'
    """
    packed = base64.b64encode(picture.encode()).decode()
    return (  # the browser does not even read an image that is hidden and may wait
        f'<div class="{html.escape(name)}"><img alt="{_TEXT}" loading="lazy" style="max-width:100%;height:auto" '
        f'src="data:image/svg+xml;base64,{packed}"></div>'
    )


def _running() -> tuple[Any, str]:
    """The shell of a notebook and the request that runs a cell in it; ``""`` outside of cells."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    with contextlib.suppress(AttributeError, KeyError, TypeError, LookupError):
        parent = shell.kernel.get_parent("shell")  # type: ignore[union-attr]
        if parent["header"]["msg_type"] == "execute_request":
            return shell, str(parent["header"]["msg_id"])
    return shell, ""


def _as_shown(widget: ECGWidget) -> dict[str, Any]:
    """What the page's user has chosen, as options of `ecg_widget.figures.plot_segments`."""
    display = widget.display
    options: dict[str, Any] = {key: display[key] for key in ("arrangement", "speed", "gain") if key in display}
    if options.get("arrangement") == "leads":
        known = widget.explorer.ds["lead"].values.astype(str).tolist()
        options["leads"] = [name for name in display.get("leads", []) if name in known] or known
    names, selection = widget.cluster_names, widget.selection
    return {"threshold": widget.threshold, "names": names, "selection": selection or None, **options}


def shown_recording(widget: ECGWidget) -> xr.Dataset:
    """The shown record, of a long one the part that the result is of."""
    one = widget.explorer.signal(widget.record, widget.span)
    one = one.assign_attrs(filters=widget.explorer.ds.attrs.get("filters", ""))
    one["time"].attrs.setdefault("sampling_rate", widget.explorer.windows.rate)
    return one.expand_dims("record") if "record" not in one.dims else one
