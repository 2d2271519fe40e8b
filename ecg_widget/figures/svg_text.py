"""A scene as SVG by string formatting alone: quick enough to accompany every display of a widget."""

from __future__ import annotations

from html import escape

import numpy as np

from ecg_widget.figures.scene import HATCH, Line, Rect, Scene

__all__ = ["svg_text"]

_ANCHOR = {"left": "start", "center": "middle", "right": "end"}


def svg_text(scene: Scene) -> str:
    """SVG of a scene at its true size in mm; on a narrow page it shrinks.

    Examples
    --------
    >>> print(svg_text(Scene(20, 10, [Rect(0, 0, 5, 5, "#ff0000")])).splitlines()[-2])
    <rect x="0" y="0" width="5" height="5" fill="#ff0000"/>
    """
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{scene.width:g}mm" height="{scene.height:g}mm" '
        f'viewBox="0 0 {scene.width:g} {scene.height:g}" style="max-width:100%;height:auto;background:#fff" '
        'font-family="sans-serif" role="img" aria-label="ECG with segments; static picture">'
    )
    hatch = (
        '<defs><pattern id="ecg-hatch" width="1.2" height="1.2" patternUnits="userSpaceOnUse" '
        f'patternTransform="rotate(45)"><rect width="0.25" height="1.2" fill="{HATCH}"/></pattern></defs>'
    )
    parts = [head, hatch, f'<rect width="{scene.width:g}" height="{scene.height:g}" fill="#ffffff"/>']
    for shape in scene.shapes:
        if isinstance(shape, Rect):
            place = f'x="{shape.x:.6g}" y="{shape.y:.6g}" width="{shape.width:.6g}" height="{shape.height:.6g}"'
            opacity = f' opacity="{shape.opacity:g}"' if shape.opacity != 1 else ""
            parts.append(f'<rect {place} fill="{shape.fill}"{opacity}/>')
            if shape.hatched:
                parts.append(f'<rect {place} fill="url(#ecg-hatch)"/>')
        elif isinstance(shape, Line):
            name = f' class="{shape.name}"' if shape.name else ""
            parts.append(
                f'<path{name} transform="scale(.01)" d="{_path(shape.x, shape.y)}" fill="none" '
                f'stroke="{shape.colour}" stroke-width="{100 * shape.width:g}"/>'
            )
        else:
            weight = ' font-weight="bold"' if shape.bold else ""
            halo = ' stroke="#fff" stroke-width="0.6" paint-order="stroke"' if shape.halo else ""
            parts.append(
                f'<text x="{shape.x:.6g}" y="{shape.y:.6g}" font-size="{shape.size:g}" fill="{shape.colour}" '
                f'text-anchor="{_ANCHOR[shape.align]}"{weight}{halo}>{escape(shape.text)}</text>'
            )
    return "\n".join([*parts, "</svg>"])


def _path(x: np.ndarray, y: np.ndarray) -> str:
    """In hundredths of a millimetre, each point relative to the one before; NaN lifts the pen."""
    known = np.isfinite(x) & np.isfinite(y)
    whole = np.rint(100 * np.column_stack([x, y])[known]).astype(np.int64)
    if not len(whole):
        return ""
    begins = np.flatnonzero(np.diff(np.concatenate([[False], known]).astype(np.int8)) == 1)
    first = np.cumsum(known)[begins] - 1
    steps = np.diff(whole, axis=0, prepend=whole[:1])
    ends = [*first[1:].tolist(), len(whole)]
    return "".join(
        f"M{whole[a, 0]} {whole[a, 1]}"
        + (f"l{' '.join(map(str, steps[a + 1 : b].ravel().tolist()))}" if b > a + 1 else "")
        for a, b in zip(first.tolist(), ends, strict=True)
    )
