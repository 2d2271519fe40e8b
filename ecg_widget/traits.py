"""Traits that hold xarray in Python and travel to the page as JSON with buffers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import traitlets as t
import xarray as xr

from ecg_widget.wire import encode


class Ready:
    """Results for many numbers of clusters, as they travel to the page.

    Parameters
    ----------
    choice
        What they have in common: record, layers, span.
    results
        By number of clusters.
    """

    def __init__(self, choice: tuple[Any, ...], results: Mapping[int, xr.Dataset]) -> None:
        self.choice = choice
        self.results = dict(results)

    def holds(self, result: xr.Dataset | None) -> bool:
        """Whether the page has this very result."""
        return result is not None and self.results.get(result.attrs["n_clusters"]) is result

    def joined(self, more: Ready) -> Ready:
        """These and further ones of the same choice; itself if nothing is new."""
        if more.choice != self.choice:
            return more
        new = any(not self.holds(result) for result in more.results.values())
        return Ready(self.choice, {**self.results, **more.results}) if new else self

    def encoded(self) -> dict[str, Any]:
        """By number of clusters, as JSON has it: text."""
        return {str(k): encode(result) for k, result in sorted(self.results.items())}


class Encoded(t.TraitType[Any, Any]):
    """Something in Python, JSON with buffers on the way to the page; only Python writes it."""

    def __init__(self, encoded: Callable[[Any], Any]) -> None:
        super().__init__(default_value=None, allow_none=True)
        self.tag(
            sync=True,
            echo_update=False,
            to_json=lambda value, _widget: None if value is None else encoded(value),
            from_json=lambda _value, widget: getattr(widget, self.name or ""),
        )

    def set(self, obj: Any, value: Any) -> None:
        """Notify by identity: ``==`` of Datasets is a Dataset, which is true."""
        old = obj._trait_values.get(self.name)  # noqa: SLF001  (the storage traitlets itself uses)
        obj._trait_values[self.name] = value  # noqa: SLF001
        if old is not value:
            obj._notify_trait(self.name, old, value)  # noqa: SLF001


class Result(Encoded):
    """A draft is for the eye alone: who reads it in Python gets the exact result, and waits for it."""

    def get(self, obj: Any, cls: Any = None) -> Any:
        """Wait for the exact result, unless the widget itself reads."""
        value = super().get(obj, cls)
        if value is not None and value.attrs["draft"] and not getattr(obj._reads, "drafts", False):  # noqa: SLF001
            obj._finish()  # noqa: SLF001
            value = super().get(obj, cls)
        return value
