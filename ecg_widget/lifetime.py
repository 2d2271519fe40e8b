"""Running a cell again replaces what it made: the old widget is closed, and IPython's output history lets go of it."""

from __future__ import annotations

import contextlib
import re
import sys
import weakref
from typing import Any

_made: dict[str, tuple[str, list[weakref.ref[Any]]]] = {}


def close_on_rerun(widget: Any) -> None:
    """Remember which run of which cell made a widget; close those of the cell's earlier runs.

    Outside a notebook, or where the front end does not say which cell runs, nothing happens.

    Parameters
    ----------
    widget
        Anything with a ``close`` method that can be weakly referenced.
    """
    cell, run = _running()
    if not cell:
        return
    earlier, widgets = _made.get(cell, ("", []))
    if earlier != run:
        for made in widgets:
            old = made()
            if old is not None:
                old.close()
        widgets = []
    _made[cell] = (run, [*widgets, weakref.ref(widget)])


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
