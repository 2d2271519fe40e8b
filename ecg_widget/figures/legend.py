"""What is written under a picture of segments: the clusters, the user's notes of them, and the facts of the paper."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ecg_widget.figures.cells import MASKED, UNCERTAIN, Cells
from ecg_widget.figures.shapes import CHARACTER, GREY, MUTED, Line, Rect, Scene, Text, clean, text_on
from ecg_widget.palette import PAPER, letter

__all__ = ["footer", "legend", "notes"]

_RIGHT = 5.0  # mm
_NAME = 40  # characters
_NOTE = 600


def legend(scene: Scene, cells: Cells, left: float, y: float) -> float:
    """Letters, shares and names of the clusters, and what grey is; where it ends, mm."""
    order = sorted(range(len(cells.slot)), key=lambda k: cells.slot[k])
    entries = [(PAPER if cells.hidden(k) else cells.colours[k], *_entry(cells, k), False) for k in order]
    seen = cells.look != MASKED
    uncertain = float(np.mean(cells.look[seen] == UNCERTAIN)) if seen.any() else 0.0
    entries.append((GREY, "", f"uncertain: entropy above {cells.threshold:.2f} ({100 * uncertain:.0f} %)", True))
    x = left
    for colour, mark, text, hatched in entries:
        wide = 8.0 + len(text) * 2.6 * CHARACTER + 3.0
        if x > left and x + wide > scene.width - _RIGHT:
            x, y = left, y + 5.5
        scene.shapes.append(Rect(x, y - 3.2, 5.0, 4.2, colour, hatched=hatched))
        if colour == PAPER:
            corners = x + np.array([0, 5, 5, 0, 0.0]), y - 3.2 + np.array([0, 0, 4.2, 4.2, 0])
            scene.shapes.append(Line(*corners, MUTED, 0.15, "hidden"))
        if mark:
            scene.shapes.append(Text(x + 2.5, y, mark, 2.8, "center", text_on(colour), bold=True))
        scene.shapes.append(Text(x + 6.2, y, text, 2.6))
        x += wide
    return y + 1.0


def _entry(cells: Cells, cluster: int) -> tuple[str, str]:
    """Letter, and "QRS, with B, 12 %, hidden"."""
    mark = letter(cells.slot[cluster])
    words = [clean(cells.facts.get(mark, {}).get("name", ""), _NAME)]
    if cells.parts[cluster]:
        words.append(f"with {', '.join(cells.parts[cluster])}")
    words.append(f"{100 * cells.share[cluster]:.0f} %")
    words.append("hidden" if cells.hidden(cluster) else "")
    return mark, ", ".join(word for word in words if word)


def notes(scene: Scene, cells: Cells, left: float, y: float) -> float:
    """What the user noted of clusters that are there, a paragraph each; where they end, mm."""
    for slot in sorted(cells.slot):
        mark = letter(slot)
        note = " ".join(cells.facts.get(mark, {}).get("note", "")[: 2 * _NOTE].split())
        for line in wrapped(f"{mark}: {clean(note, _NOTE)}".split(" ") if note else [], _room(scene, left), 2.4, " "):
            y += 4.0
            scene.shapes.append(Text(left, y, line, 2.4))
    return y


def footer(scene: Scene, left: float, y: float, facts: Sequence[str]) -> float:
    """The facts of the paper; the height that the picture needs, mm."""
    for line in wrapped([clean(fact, 120) for fact in facts], _room(scene, left), 2.4, " · "):
        y += 4.0
        scene.shapes.append(Text(left, y, line, 2.4, colour=MUTED))
    return float(np.ceil(y + 2.5))


def _room(scene: Scene, left: float) -> float:
    return scene.width - left - _RIGHT


def wrapped(parts: Sequence[str], width: float, size: float, between: str) -> list[str]:
    """Lines of about `width` mm in letters `size` mm high; a part that is wider than a line is broken.

    Examples
    --------
    >>> wrapped(["a" * 12, "b", "c"], 10, 2, " ")
    ['aaaaaaaaa', 'aaa b c']
    """
    most = max(int(width / (size * CHARACTER)), 1)
    lines: list[str] = []
    for part in parts:
        joined = f"{lines[-1]}{between}{part}" if lines else part
        if lines and len(joined) <= most:
            lines[-1] = joined
        else:
            lines += [part[at : at + most] for at in range(0, len(part), most)]
    return lines
