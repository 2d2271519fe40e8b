"""`ECGComparison`: the widget of two explorers of the same records, whose matched clusters have one colour."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import traitlets as t
import xarray as xr

from ecg_widget.choices import choices
from ecg_widget.clusters.kmeans import somebody_waits
from ecg_widget.comparison import compare_segments
from ecg_widget.explorer import Explorer
from ecg_widget.export import page_size, to_html
from ecg_widget.exported_pairs import second_side
from ecg_widget.files import write_whole
from ecg_widget.fits import ANCHOR, N_CLUSTERS
from ecg_widget.iframe import Frame, to_iframe
from ecg_widget.pairing import Pairing
from ecg_widget.still import COLUMN, shown_recording
from ecg_widget.traits import Result
from ecg_widget.widget import UNCERTAIN_SHARE, ECGWidget
from ecg_widget.wire import encode

if TYPE_CHECKING:
    from ecg_widget.figures.shapes import Scene

__all__ = ["ECGComparison"]

log = logging.getLogger(__name__)

LINKS = ("layers", "n_clusters", "threshold")
ARRANGEMENTS = ("strip", "beside", "below")


class ECGComparison(ECGWidget):
    """A live view of two explorations of the same records; made by `ecg_widget.compare`.

    What `ECGWidget` says of one side holds for the first; the traits below are the second side's. Both show one record.

    Attributes
    ----------
    other_layers : list of str
        Clustered layers of the second side.
    other_n_clusters : int
        2 to 20.
    other_threshold : float
        0 to 1.
    linked : list of str
        Which of ``"layers"``, ``"n_clusters"`` and ``"threshold"`` move together, from either side. Layers that the
        other side does not have leave it as it is.
    arrangement : str
        How the second side is shown: ``"strip"`` under the trace, with a strip of where the two differ; ``"beside"`` or
        ``"below"`` on a paper of its own as well.
    sides : list of str
        What the two are called.
    other : xarray.Dataset or None
        As `result`, of the second side, with its own ``slot``. Reading it in Python waits for the exact one.
    pairing : dict
        Which choices of the two sides are matched, ``slots`` of the second side's clusters, in how many records they
        were found, and agreement over these, see `ecg_widget.pairing.Pairing.of`. Empty while there is none.
    other_choices : dict
        What the second side's controls offer.
    other_error : str
        What went wrong there.
    other_explorer : Explorer
        The computation behind it.

    Examples
    --------
    >>> import ecg_widget as ecg
    >>> c = ecg.compare(ecg.load_network(), ecg.load_example(), layers=("blocks.1", "blocks.3"), n_clusters=6)
    >>> c.other.attrs["layers"], c.other.sizes["cluster"], sorted(c.pairing["slots"])[0] >= 0
    (['blocks.3'], 6, True)
    >>> c.n_clusters = 4  # both, as they are linked
    >>> c.other_n_clusters, c.comparison["overlap"].shape
    (4, (4, 4))
    >>> c.close()
    """

    other_layers = t.List(t.Unicode()).tag(sync=True, state=True)
    other_n_clusters = t.Int(ANCHOR).tag(sync=True, state=True)
    other_threshold = t.Float(0.5).tag(sync=True, state=True)
    linked = t.List(t.Unicode()).tag(sync=True, state=True)
    arrangement = t.Unicode("strip").tag(sync=True, state=True)
    sides = t.List(t.Unicode()).tag(sync=True, echo_update=False)
    other_choices = t.Dict().tag(sync=True, echo_update=False)
    other: t.TraitType[xr.Dataset | None, xr.Dataset | None] = Result(encode)
    pairing = t.Dict().tag(sync=True, echo_update=False)
    other_error = t.Unicode().tag(sync=True, echo_update=False)

    def __init__(self, explorer: Explorer, other: Explorer, names: Sequence[str], **traits: Any) -> None:
        self.other_explorer = other
        self._pairs = Pairing(explorer, other)
        self._whole = False  # both sides are there: pairs may be found
        given = {"other_layers": other.default_layers, "sides": [str(name) for name in names], **traits}
        super().__init__(explorer, **given)
        other.on_progress = self._show_progress
        self.observe(self._update_other, ["other_layers", "other_n_clusters"])
        self.observe(self._link, [*LINKS, *(f"other_{name}" for name in LINKS), "linked"])
        self.observe(self._pair, ["result", "other"])
        if "other_threshold" not in traits:
            self._grey_other()

    @t.validate("other_layers")
    def _valid_other_layers(self, proposal: Any) -> list[str]:
        return list(self._checked(self.other_explorer.check_layers, proposal.value))

    @t.validate("other_n_clusters")
    def _valid_other_clusters(self, proposal: Any) -> int:
        low, high = N_CLUSTERS
        if not low <= proposal.value <= high:
            raise t.TraitError(f"other_n_clusters: expected a whole number from {low} to {high}, got {proposal.value}")
        return int(proposal.value)

    @t.validate("other_threshold")
    def _valid_other_threshold(self, proposal: Any) -> float:
        if not 0 <= proposal.value <= 1:
            raise t.TraitError(f"other_threshold: expected a number from 0 to 1, got {proposal.value}")
        return float(proposal.value)

    @t.validate("linked")
    def _valid_linked(self, proposal: Any) -> list[str]:
        if strange := [name for name in proposal.value if name not in LINKS]:
            raise t.TraitError(f"linked: expected some of {', '.join(LINKS)}, got {strange[:3]}")
        return [name for name in LINKS if name in proposal.value]

    @t.validate("arrangement")
    def _valid_arrangement(self, proposal: Any) -> str:
        if proposal.value not in ARRANGEMENTS:
            raise t.TraitError(f"arrangement: expected one of {', '.join(ARRANGEMENTS)}, got {proposal.value!r}")
        return str(proposal.value)

    @property
    def comparison(self) -> xr.Dataset:
        """Both segmentations of all records and how they agree, see `ecg_widget.compare_segments`.

        Of long recordings: of the part that is shown.
        """
        if self.explorer.windows.long or self.other_explorer.windows.long:
            shown = self.result, self.other
            if shown[0] is None or shown[1] is None:
                raise ValueError(f"comparison: expected two results, got none: {self.error or self.other_error}")
            return compare_segments(shown[0], shown[1], self.explorer.ds, names=self.sides)
        parts = (
            self.explorer.segmentation(self.layers, self.n_clusters),
            self.other_explorer.segmentation(self.other_layers, self.other_n_clusters),
        )
        return compare_segments(*parts, self.explorer.ds, names=self.sides)

    def to_html(
        self,
        path: str | Path,
        *,
        other_layers: Iterable[str | Sequence[str]] | None = None,
        other_n_clusters: Iterable[int] | None = None,
        **options: Any,
    ) -> int:
        """Write one HTML file with both sides live, that needs neither Python nor a network; its bytes.

        Parameters
        ----------
        path
            Of the file; replaced whole or not at all.
        other_layers, other_n_clusters
            Choices of the second side; the shown layers, and 2 to 20 clusters, if None.
        **options
            Those of `ecg_widget.export.to_html`. ``layers`` are the shown ones if they are not given: every choice of
            one side is matched with every choice of the other.
        """
        return to_html(self, path, **self._page_options(other_layers, other_n_clusters, options))

    def export_size(
        self,
        *,
        other_layers: Iterable[str | Sequence[str]] | None = None,
        other_n_clusters: Iterable[int] | None = None,
        **options: Any,
    ) -> int:
        """Bytes that `to_html` would write with the same options; nothing is written."""
        return page_size(self, **self._page_options(other_layers, other_n_clusters, options))

    def _page_options(
        self,
        layers: Iterable[str | Sequence[str]] | None,
        n_clusters: Iterable[int] | None,
        options: dict[str, Any],
    ) -> dict[str, Any]:
        return {"layers": [self.layers], **options, "beside": second_side(self, self._pairs, layers, n_clusters)}

    def to_svg(self, path: str | Path, *, width_mm: float | None = None, **options: Any) -> None:
        """Write both sides of the shown record as SVG; options of `ecg_widget.figures.save_comparison`."""
        self._save(path, "svg", width_mm=width_mm, **options)

    def to_pdf(self, path: str | Path, *, width_mm: float | None = None, **options: Any) -> None:
        """Write both sides of the shown record as PDF; options of `ecg_widget.figures.save_comparison`."""
        self._save(path, "pdf", width_mm=width_mm, **options)

    def to_png(self, path: str | Path, *, width_mm: float | None = None, dpi: float = 300, **options: Any) -> None:
        """Write both sides of the shown record as PNG; options of `ecg_widget.figures.save_comparison`."""
        self._save(path, "png", width_mm=width_mm, dpi=dpi, **options)

    def _save(self, path: str | Path, kind: str, **options: Any) -> None:
        from ecg_widget.figures.comparison import comparison_bytes  # noqa: PLC0415  (only who draws needs it)

        if self.result is None or self.other is None:
            raise ValueError(f"comparison: expected two results, got none: {self.error or self.other_error}")
        options = {**self._drawn_as(), **options}
        drawn = self._drawn(self.result, self.other)
        write_whole(path, comparison_bytes(kind, drawn, shown_recording(self), **options))

    def _drawn(self, one: xr.Dataset, two: xr.Dataset) -> xr.Dataset:
        """The comparison of the shown record, in the colours of the page."""
        found = compare_segments(one, two, self.explorer.ds, names=self.sides, shifts=0)
        slots = self.pairing.get("slots", [])
        if len(slots) != found.sizes["group_b"]:
            return found
        pairs = {slot: j for j, slot in enumerate(slots)}
        partner = np.array([pairs.get(int(slot), -1) for slot in found["slot_a"].values], np.int16)
        seconds = found["record_overlap"].values[0].astype(float)
        same = sum(seconds[i, j] for i, j in enumerate(partner) if j >= 0) / max(seconds.sum(), 1e-9)
        return found.assign(
            slot_b=("group_b", np.array(slots, np.uint8)),
            partner=("group_a", partner),
            record_same=("record", [same if seconds.sum() else np.nan]),
        )

    def picture_scene(self) -> Scene:
        """Both sides as they stand, and the first alone while there is no second."""
        from ecg_widget.figures.comparison import comparison_scene  # noqa: PLC0415  (only who draws needs it)

        one, two = self._shown, self._other_shown
        if one is None or two is None or two.sizes["cell"] == 0 or one.attrs["record"] != two.attrs["record"]:
            return super().picture_scene()
        return comparison_scene(
            self._drawn(one, two), shown_recording(self), finest=COLUMN, scale=None, **self._drawn_as()
        )

    def _drawn_as(self) -> dict[str, Any]:
        return {"threshold": (self.threshold, self.other_threshold), "names": self.cluster_names}

    def to_iframe(
        self,
        *,
        other_layers: Iterable[str | Sequence[str]] | None = None,
        other_n_clusters: Iterable[int] | None = None,
        **options: Any,
    ) -> Frame:
        """Freeze both sides into an output that stays interactive, see `ecg_widget.iframe.to_iframe` and `to_html`."""
        return to_iframe(self, **self._page_options(other_layers, other_n_clusters, options))

    def pause(self) -> None:
        """Stop what is computed ahead, until the next move."""
        self.other_explorer.ahead.interrupt()
        super().pause()

    def close(self) -> None:
        """Leave the page and free caches and device memory of both sides."""
        self.other_explorer.ahead.interrupt()
        self.other_explorer.close()
        self._pairs.clear()
        if self.comm is not None:
            for _ in range(2):
                self._send({"method": "update", "state": {"other": None}, "buffer_paths": []})
        super().close()

    def _update(self, change: Any = None) -> None:
        """Bring both sides to the user's choice, in one message."""
        with somebody_waits(), self._moving, self.hold_sync():
            self._whole = False
            if change is not None:
                self._link(change)
            super()._update(change)
            if change is None or change.name in ("record", "span"):
                self._update_other(change)
            self._whole = True
            self._pair()

    def _update_other(self, change: Any = None) -> None:
        """Bring `other` to the user's choice; on an error what still holds stays."""
        self.other_explorer.ahead.interrupt()
        with somebody_waits(), self._moving, self.hold_sync():
            if change is not None:
                self._link(change)
            try:
                if self.other_explorer.offer(self.other_layers) or not self.other_choices:
                    self.other_choices = choices(self.other_explorer)
                draft = change is None or change.name in self._property_lock
                self.other = self._other_computed(draft=draft and self._followed)
                self.other_error = ""
            except (ValueError, RuntimeError, MemoryError) as error:
                if change is None or change.name == "record":
                    self.other = None
                self._fail_other(error)
            self.progress = ""
        self._look_ahead_other()

    def _other_computed(self, *, draft: bool) -> xr.Dataset:
        found = self.other_explorer.result(
            self.record, self.other_layers, self.other_n_clusters, span=self.span, draft=draft
        )
        return self._within(found)

    def _within(self, found: xr.Dataset) -> xr.Dataset:
        """Of a long recording the cells of the span that the first side shows, whose windows may be others."""
        span = self.explorer.windows.span(self.span)
        if span is None or found.attrs.get("span") == list(span):
            return found
        centre = found["centre"].values
        inside = found.isel(cell=(centre >= span[0]) & (centre < span[1]))
        return inside.assign_attrs(span=list(span))

    def _look_ahead_other(self) -> None:
        if self.other_error or not self._followed:
            return
        choice = self._other_choice

        def take(results: dict[int, xr.Dataset]) -> None:
            with self._moving:
                k = self.other_n_clusters
                drawn = self._other_shown
                if choice == self._other_choice and drawn is not None and drawn.attrs["draft"] and k in results:
                    self.other = self._within(results[k])

        def miss(error: Exception) -> None:
            with self._moving:
                if choice == self._other_choice:
                    self._fail_other(error)

        self.other_explorer.prefetch(self.record, self.other_layers, self.other_n_clusters, take, miss, span=self.span)

    @property
    def _other_choice(self) -> tuple[Any, ...]:
        return self.record, tuple(self.other_layers), tuple(self.span)

    @property
    def _other_shown(self) -> xr.Dataset | None:
        shown: xr.Dataset | None = self._trait_values.get("other")
        return shown

    def _finish(self) -> None:
        """Put exact results in the place of drafts."""
        drawn = self._other_shown
        if drawn is not None and drawn.attrs["draft"]:
            self.other_explorer.ahead.interrupt()
            with somebody_waits(), self._moving:
                try:
                    self.other = self._other_computed(draft=False)
                except (ValueError, RuntimeError, MemoryError) as error:
                    self._fail_other(error)
            self._look_ahead_other()
        if self._shown is not None and self._shown.attrs["draft"]:
            super()._finish()

    def _link(self, change: Any) -> None:
        """Move the other side along."""
        moved = self.linked if change.name == "linked" else [change.name.removeprefix("other_")]
        for name in moved:
            if name not in self.linked:
                continue
            here, there = (name, f"other_{name}")
            if change.name == there:
                here, there = there, here
            explorer = self.explorer if there == name else self.other_explorer
            value = getattr(self, here)
            if name != "layers" or list(value) in explorer.choices:
                setattr(self, there, value)

    def _pair(self, _change: Any = None) -> None:
        """Match the clusters that are shown."""
        with self._moving:
            one, two = self._shown, self._other_shown
            if not self._whole or one is None or two is None or one.attrs["record"] != two.attrs["record"]:
                return
            if one.sizes["cell"] == 0 or two.sizes["cell"] == 0:
                self.pairing = {}
                return
            chosen = [(tuple(r.attrs["layers"]), int(r.attrs["n_clusters"])) for r in (one, two)]
            try:
                self.pairing = self._pairs.of(chosen[0], chosen[1], shown=(one, two))
            except (ValueError, RuntimeError, MemoryError) as error:
                self.pairing = {}
                self._fail_other(error)

    def _grey_other(self) -> None:
        """As the first side: a share of what is shown first."""
        drawn = self._other_shown
        if "threshold" in self.linked:
            self.other_threshold = self.threshold
        elif drawn is not None and bool(drawn["valid"].any()):
            quantile = np.nanquantile(drawn["entropy"].values, 1 - UNCERTAIN_SHARE)
            self.other_threshold = round(float(np.ceil(quantile * 100)) / 100, 2)

    def _fail_other(self, error: Exception) -> None:
        log.error("%s", type(error).__name__, exc_info=error)
        self.other_error = str(error) or type(error).__name__
