"""What the user of a view chooses, from the page or from Python, and what of it is refused."""

from __future__ import annotations

from functools import partial
from typing import Any

import anywidget
import traitlets as t
import xarray as xr

from ecg_widget.calipers import check_calipers, check_display
from ecg_widget.explorer import Explorer
from ecg_widget.fits import ANCHOR, N_CLUSTERS
from ecg_widget.selection import check_names, check_selection, selected


class Chosen(anywidget.AnyWidget):  # type: ignore[misc]
    """The user's traits of `ecg_widget.ECGWidget`, each checked before it is taken."""

    explorer: Explorer

    layers = t.List(t.Unicode()).tag(sync=True)
    n_clusters = t.Int(ANCHOR).tag(sync=True)
    threshold = t.Float(0.5).tag(sync=True)
    record = t.Unicode().tag(sync=True)
    target = t.Unicode().tag(sync=True)
    span = t.List(t.Float()).tag(sync=True)
    calipers = t.List(t.Dict()).tag(sync=True, state=True)
    display = t.Dict().tag(sync=True, state=True)
    selection = t.Dict().tag(sync=True, state=True)
    cluster_names = t.Dict().tag(sync=True, state=True)

    @t.validate("layers")
    def _valid_layers(self, proposal: Any) -> list[str]:
        return self._checked(self.explorer.check_layers, proposal.value)

    @t.validate("n_clusters")
    def _valid_clusters(self, proposal: Any) -> int:
        low, high = N_CLUSTERS
        if not low <= proposal.value <= high:
            raise t.TraitError(f"n_clusters: expected a whole number from {low} to {high}, got {proposal.value}")
        return int(proposal.value)

    @t.validate("threshold")
    def _valid_threshold(self, proposal: Any) -> float:
        if not 0 <= proposal.value <= 1:
            raise t.TraitError(f"threshold: expected a number from 0 to 1, got {proposal.value}")
        return float(proposal.value)

    @t.validate("record", "target")
    def _valid_name(self, proposal: Any) -> str:
        name = proposal.trait.name
        known = (
            self.explorer.ds["record"].values.astype(str).tolist()
            if name == "record"
            else self.explorer.network.targets or ("",)
        )
        if proposal.value not in set(known):
            raise t.TraitError(f"{name}: expected one of {list(known)[:8]}, got {proposal.value!r}")
        return str(proposal.value)

    @t.validate("span")
    def _valid_span(self, proposal: Any) -> list[float]:
        return list(self._checked(self.explorer.windows.span, proposal.value) or [])

    @t.validate("calipers")
    def _valid_calipers(self, proposal: Any) -> list[dict[str, Any]]:
        return list(self._checked(check_calipers, proposal.value))

    @t.validate("display")
    def _valid_display(self, proposal: Any) -> dict[str, Any]:
        return dict(self._checked(check_display, proposal.value))

    @t.validate("selection")
    def _valid_selection(self, proposal: Any) -> dict[str, Any]:
        return dict(self._checked(partial(check_selection, self.explorer.ds["record"].values), proposal.value))

    @t.validate("cluster_names")
    def _valid_names(self, proposal: Any) -> dict[str, Any]:
        return dict(self._checked(check_names, proposal.value))

    @property
    def selected(self) -> xr.Dataset:
        """The selection as xarray.

        Returns
        -------
        xarray.Dataset
            ``start, end (interval)`` in s, and ``selected (cell)`` bool with ``centre (cell)`` in s where the selection
            is of the record that `result` is of. attrs ``record``, ``label``. Empty where nothing is selected.
        """
        return selected(self.selection, self.result)

    def _checked(self, check: Any, value: Any) -> Any:
        try:
            return check(value)
        except ValueError as error:
            raise t.TraitError(str(error)) from error
