"""Running a cell again replaces what it made: the old widget is closed, and IPython's output history lets go of it."""

from __future__ import annotations

import contextlib
import re
import sys
import weakref
from typing import Any

_made: dict[str, tuple[str, list[weakref.ref[Any]]]] = {}


def pause_earlier() -> None:
    """Let the widgets of the running cell's earlier runs rest: what they compute ahead would delay the new one."""
    cell, run = _running()
    for widget in _earlier(cell, run):
        widget.pause()


def close_on_rerun(widget: Any) -> None:
    """Remember which run of which cell made a widget; close those of the cell's earlier runs.

    Outside a notebook, or where the front end does not say which cell runs, nothing happens.

    Parameters
    ----------
    widget
        Anything with ``pause`` and ``close`` that can be weakly referenced.
    """
    cell, run = _running()
    if not cell:
        return
    for old in _earlier(cell, run):
        old.close()
    same_run = _made.get(cell, ("", []))[0] == run
    _made[cell] = (run, [*(_made[cell][1] if same_run else []), weakref.ref(widget)])


def _earlier(cell: str, run: str) -> list[Any]:
    """Widgets that another run of this cell made and that are still there."""
    made_by, widgets = _made.get(cell, ("", []))
    return [] if made_by == run else [old for made in widgets if (old := made()) is not None]


def forget(widget: Any) -> None:
    """Drop a widget from IPython's output history (``Out``, ``_``, ``_3``), which would keep it for ever."""
    shell = _shell()
    if shell is None:
        return
    outputs = shell.user_ns.get("_oh", {})
    for number in [n for n, value in list(outputs.items()) if value is widget]:
        del outputs[number]
    for names in (shell.user_ns, shell.user_ns_hidden):
        for name in [n for n, value in list(names.items()) if value is widget and re.fullmatch(r"_{1,3}|_\d+", n)]:
            names[name] = ""
    hook = shell.displayhook
    for name in ("_", "__", "___"):
        if getattr(hook, name, None) is widget:
            setattr(hook, name, "")


def _shell() -> Any:
    ipython = sys.modules.get("IPython")
    return None if ipython is None else ipython.get_ipython()


def _running() -> tuple[str, str]:
    """Identity of the running cell and of this run of it; empty outside a notebook."""
    with contextlib.suppress(AttributeError, KeyError, TypeError):
        parent = _shell().kernel.get_parent("shell")
        return str(parent["metadata"]["cellId"]), str(parent["header"]["msg_id"])
    return "", ""
