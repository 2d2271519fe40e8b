"""What a user has chosen in a widget, as JSON that restores the same view."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import traitlets as t

if TYPE_CHECKING:
    from ecg_widget.explorer import Explorer
    from ecg_widget.widget import ECGWidget

__all__ = ["FORMAT", "fingerprint", "restore_state", "view_state"]

FORMAT = 1
KIND = "view of ecg_widget"
CHOSEN = ("layers", "n_clusters", "threshold", "record", "target", "span")


def fingerprint(explorer: Explorer) -> str:
    """SHA-256 of the network; of activations that came without one, what they say of it, empty if nothing."""
    found = getattr(explorer.network, "fingerprint", "")
    return str(found or "")


def user_traits(widget: ECGWidget) -> list[str]:
    """Names of the traits that are the user's: those of `CHOSEN` and every one that is tagged ``state=True``."""
    return [*CHOSEN, *sorted(set(widget.traits(state=True)) - set(CHOSEN))]


def view_state(widget: ECGWidget) -> dict[str, Any]:
    """The user's choices as JSON, with what they belong to; see `restore_state`.

    Examples
    --------
    >>> import ecg_widget as ecg
    >>> w = ecg.explore(ecg.load_network(), ecg.load_example(), n_clusters=5, threshold=0.4)
    >>> state = view_state(w)
    >>> state["traits"]["n_clusters"], state["traits"]["threshold"], state["format"]
    (5, 0.4, 1)
    >>> w.n_clusters = 9
    >>> restore_state(w, state)
    >>> w.n_clusters
    5
    >>> w.close()
    """
    explorer = widget.explorer
    traits = {name: getattr(widget, name) for name in user_traits(widget)}
    return {
        "kind": KIND,
        "format": FORMAT,
        "network": fingerprint(explorer),
        "default_layers": list(explorer.default_layers),
        "seed": explorer.random_state,
        "traits": json.loads(json.dumps(traits, allow_nan=False)),
    }


def restore_state(widget: ECGWidget, state: Mapping[str, Any] | str) -> None:
    """Bring a widget to a state that `view_state` gave; it changes as a whole or not at all.

    Parameters
    ----------
    widget
        Of the same network, seed and first layers, whose clusters are therefore the same; its records may be others
        as long as the shown one is among them.
    state
        What `view_state` gave, or that as JSON text.

    Raises
    ------
    TypeError
        Not a mapping.
    ValueError
        Another kind or format; another network or seed; a trait or a value that this widget does not have.
    """
    state = _read(state)
    explorer = widget.explorer
    known = {
        "network": fingerprint(explorer),
        "default_layers": list(explorer.default_layers),
        "seed": explorer.random_state,
    }
    for name, own in known.items():
        if state.get(name) != own:
            raise ValueError(
                f"state: expected {name} {_short(own)}, which this widget has, got {_short(state.get(name))}; clusters "
                "would be others: call explore with the network, layers and random_state that the state was made with"
            )
    traits = state.get("traits")
    allowed = user_traits(widget)
    if not isinstance(traits, Mapping) or (strange := sorted(set(map(str, traits)) - set(allowed))):
        got = _short(traits) if not isinstance(traits, Mapping) else ", ".join(strange)
        raise ValueError(f"state: expected traits among {', '.join(allowed)}, got {got}")
    before = {name: getattr(widget, name) for name in traits}
    try:
        with widget.hold_trait_notifications():
            for name, value in traits.items():
                setattr(widget, name, value)
    except t.TraitError as error:
        for name, value in before.items():
            setattr(widget, name, value)
        raise ValueError(f"state: {error}") from error


def _read(state: Mapping[str, Any] | str) -> Mapping[str, Any]:
    if isinstance(state, str):
        try:
            state = json.loads(state)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"state: expected JSON, got {_short(state)}: {error}") from error
    if not isinstance(state, Mapping):
        raise TypeError(f"state: expected what w.state gave, or its JSON, got {type(state).__name__}")
    if state.get("kind") != KIND or state.get("format") != FORMAT:
        raise ValueError(
            f"state: expected kind {KIND!r} of format {FORMAT}, got {_short(state.get('kind'))} of format "
            f"{_short(state.get('format'))}; another ecg_widget wrote it, or it is something else"
        )
    return state


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
