"""Sliders and selectors of ipywidgets, linked with a view: for dashboards, ``interact`` and one's own layout."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import ipywidgets
import traitlets as t

if TYPE_CHECKING:
    from ecg_widget.widget import ECGWidget

__all__ = ["NAMES", "Controls"]

_LABELS = {
    "layers": "Layers",
    "n_clusters": "Clusters",
    "threshold": "Uncertainty threshold",
    "record": "Record",
    "target": "Target",
}
NAMES = tuple(_LABELS)
"""Traits that have a control, in the order in which they stand."""


class Controls(ipywidgets.VBox):  # type: ignore[misc]
    """Controls below each other, each an attribute under its trait's name; made by `ECGWidget.controls`.

    A move of either side is one of the other; what the view refuses puts the control back. They go with the view when
    that is closed, or alone by ``close``.

    Parameters
    ----------
    widget
        The view.
    names
        Of `NAMES`; all where empty.

    Attributes
    ----------
    layers : ipywidgets.SelectionSlider
        Its value is a tuple of layer names.
    n_clusters : ipywidgets.IntSlider
    threshold : ipywidgets.FloatSlider
    record, target : ipywidgets.Dropdown

    Raises
    ------
    ValueError
        A name that has no control.

    Examples
    --------
    >>> import ecg_widget as ecg
    >>> w = ecg.explore(ecg.load_network(), ecg.load_example())
    >>> controls = w.controls("n_clusters", "threshold")
    >>> controls.n_clusters.value = 6
    >>> w.n_clusters
    6
    >>> w.threshold = 0.25
    >>> controls.threshold.value
    0.25
    >>> w.close()
    """

    _links: Sequence[_Link] = ()

    def __init__(self, widget: ECGWidget, names: Sequence[str] = ()) -> None:
        if unknown := [name for name in names if name not in _LABELS]:
            raise ValueError(f"controls: expected some of {', '.join(NAMES)}, got {', '.join(map(repr, unknown))}")
        chosen = list(dict.fromkeys(names)) or list(NAMES)
        self._links = [_LINKS[name](widget, name) for name in chosen]
        super().__init__([link.control for link in self._links])
        for link in self._links:
            setattr(self, link.name, link.control)

    @property
    def linked(self) -> bool:
        """Whether they are not closed yet."""
        return bool(self._links)

    def close(self) -> None:
        """Leave the page and let go of the view, which stays."""
        links, self._links = self._links, ()
        for link in links:
            link.release()
        if links:
            self.layout.close()
            super().close()


class _Link:
    """One control and one trait. Setting either to what it is ends there, so that nothing goes round in circles."""

    def __init__(self, widget: ECGWidget, name: str) -> None:
        self.widget, self.name = widget, name
        self._filling = 0  # thread in which choices are replaced, which moves a selector for a moment
        self.control = self._made(description=_LABELS[name], style={"description_width": "12em"})
        self.control.layout.width = "auto"
        self._fill()
        self.control.observe(self._moved, "value")
        widget.observe(self._shown, name)
        widget.observe(self._offered, "choices")

    def release(self) -> None:
        """Undo the link and close the control with what belongs to it."""
        self.widget.unobserve(self._shown, self.name)
        self.widget.unobserve(self._offered, "choices")
        self.control.unobserve(self._moved, "value")
        for part in (self.control.layout, self.control.style, self.control):
            part.close()

    def _made(self, **options: Any) -> Any:
        raise NotImplementedError

    def _fill(self) -> None:
        """Bring choices or limits, and the value, to those of the view."""
        self._show()

    def _value(self) -> Any:
        return getattr(self.widget, self.name)

    def _show(self) -> None:
        value = self._value()
        if self.control.value != value:
            self.control.value = value

    def _shown(self, _change: Any) -> None:
        self._show()

    def _offered(self, _change: Any) -> None:
        self._filling = threading.get_ident()
        try:
            with self.control.hold_sync():  # the page sees where it ends
                self._fill()
        finally:
            self._filling = 0

    def _moved(self, change: Any) -> None:
        if self._filling == threading.get_ident() or change.new is None:
            return
        value = list(change.new) if isinstance(change.new, tuple) else change.new
        try:
            setattr(self.widget, self.name, value)
        except t.TraitError as error:
            self.widget.error = str(error)
        finally:
            self._show()


class _Number(_Link):
    def _made(self, **options: Any) -> Any:
        low, high = self.widget.choices["n_clusters"]
        return ipywidgets.IntSlider(self._value(), low, high, **options)

    def _fill(self) -> None:
        low, high = self.widget.choices["n_clusters"]
        if (self.control.min, self.control.max) != (low, high):
            with self.control.hold_trait_notifications():
                self.control.min, self.control.max = low, high
        self._show()


class _Share(_Link):
    def _made(self, **options: Any) -> Any:
        return ipywidgets.FloatSlider(self._value(), min=0, max=1, step=0.01, readout_format=".2f", **options)


class _Selector(_Link):
    def _options(self) -> list[Any]:
        """What is offered, and what is chosen even if it is not: a selector cannot show anything else."""
        offered: list[str] = self.widget.choices[f"{self.name}s"]
        now = self._value()
        return offered if now is None or now in offered else [*offered, now]

    def _value(self) -> Any:
        return getattr(self.widget, self.name) or None  # "": there is no target

    def _made(self, **options: Any) -> Any:
        return ipywidgets.Dropdown(options=self._options(), value=self._value(), **options)

    def _fill(self) -> None:
        options = self._options()
        if list(self.control.options) != options:
            self.control.options = options  # which selects the first of them
        self.control.disabled = not options
        self._show()


class _Layers(_Selector):
    def _options(self) -> list[Any]:
        offered = [(choice["label"], tuple(choice["value"])) for choice in self.widget.choices["layers"]]
        now = tuple(self.widget.layers)  # is not offered where it cannot be shown
        return offered if now in [value for _, value in offered] else [*offered, (" + ".join(now), now)]

    def _value(self) -> Any:
        return tuple(self.widget.layers)

    def _made(self, **options: Any) -> Any:
        # A layer that was not looked at yet takes a run of the network: not one for each on the way.
        slider = ipywidgets.SelectionSlider
        return slider(options=self._options(), value=self._value(), continuous_update=False, **options)

    def _shown(self, _change: Any) -> None:
        self._offered(_change)


_LINKS: dict[str, type[_Link]] = {
    "layers": _Layers,
    "n_clusters": _Number,
    "threshold": _Share,
    "record": _Selector,
    "target": _Selector,
}
