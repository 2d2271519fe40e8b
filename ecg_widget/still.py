"""Still pictures of a widget: files for papers, and what stands in a saved notebook where no kernel is."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import xarray as xr

from ecg_widget.files import write_whole

if TYPE_CHECKING:
    from ecg_widget.widget import ECGWidget

__all__ = ["save_view", "with_picture"]

log = logging.getLogger(__name__)
_COLUMN = 0.4  # mm; of the samples in it the least and the greatest are drawn: what a screen can show


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
    write_whole(path, figure_bytes(kind, result, _recordings(widget), record=widget.record, **options))


def with_picture(widget: ECGWidget, bundle: Any) -> Any:
    """Add a static SVG to what a widget displays as; without it where there is nothing to draw.

    The picture is of what stands at that moment, be it a draft: nothing is computed for it and Matplotlib is not
    loaded, so that it costs some milliseconds. It names no record.
    """
    result = widget._shown  # noqa: SLF001  (as it stands: `result` would wait for the exact one)
    if bundle is None or result is None or result.sizes["cell"] == 0:
        return bundle
    data, metadata = bundle if isinstance(bundle, tuple) else (bundle, {})
    try:
        from ecg_widget.figures.segments import scene_of  # noqa: PLC0415
        from ecg_widget.figures.svg_text import svg_text  # noqa: PLC0415

        shown = _as_shown(widget)
        scene = scene_of(result, _recordings(widget), record=widget.record, finest=_COLUMN, scale=None, **shown)
        picture = svg_text(scene)
    except Exception:  # a display must not fail for want of its picture
        log.exception("no static picture")
        return bundle
    return {**data, "image/svg+xml": picture}, metadata


def _as_shown(widget: ECGWidget) -> dict[str, Any]:
    """What the page's user has chosen, as options of `ecg_widget.figures.plot_segments`."""
    display = widget.display
    options: dict[str, Any] = {key: display[key] for key in ("arrangement", "speed", "gain") if key in display}
    if options.get("arrangement") == "leads":
        known = widget.explorer.ds["lead"].values.astype(str).tolist()
        options["leads"] = [name for name in display.get("leads", []) if name in known] or known
    names, selection = widget.cluster_names, widget.selection
    return {"threshold": widget.threshold, "names": names, "selection": selection or None, **options}


def _recordings(widget: ECGWidget) -> xr.Dataset:
    """The shown record, of a long one the part that the result is of."""
    one = widget.explorer.signal(widget.record, widget.span)
    one = one.assign_attrs(filters=widget.explorer.ds.attrs.get("filters", ""))
    one["time"].attrs.setdefault("sampling_rate", widget.explorer.windows.rate)
    return one.expand_dims("record") if "record" not in one.dims else one
