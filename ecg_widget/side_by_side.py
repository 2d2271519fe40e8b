"""`compare`: two networks, layers or numbers of clusters on one record, with matched clusters in one colour."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
import traitlets as t
import xarray as xr
from torch import nn

from ecg_widget.activations import Activations
from ecg_widget.captured import Store
from ecg_widget.choices import choices
from ecg_widget.clusters.kmeans import somebody_waits
from ecg_widget.comparison import compare_segments
from ecg_widget.explorer import CACHE_BYTES, Explorer
from ecg_widget.fits import ANCHOR, N_CLUSTERS
from ecg_widget.lifetime import close_on_rerun, pause_earlier
from ecg_widget.pairing import Pairing
from ecg_widget.traits import Result
from ecg_widget.widget import UNCERTAIN_SHARE, ECGWidget
from ecg_widget.wire import encode

__all__ = ["ECGComparison", "compare"]

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


Side = nn.Module | Activations | ECGWidget


def compare(
    a: Side | Mapping[str, Side],
    b: Side | xr.Dataset | None = None,
    ds: xr.Dataset | None = None,
    *,
    layers: Sequence[str | Sequence[str] | None] | None = None,
    n_clusters: int | Sequence[int] | None = None,
    threshold: float | Sequence[float] | None = None,
    names: Sequence[str] | None = None,
    record: str | None = None,
    target: str | None = None,
    device: torch.device | str | None = None,
    random_state: int = 0,
    cache_bytes: int = CACHE_BYTES,
    store: Store = "float32",
) -> ECGComparison:
    """Show two networks, layers or numbers of clusters on one record, with matched clusters in one colour.

    Clusters are found on each side by itself and matched by their overlap in time over all records, see
    `ecg_widget.compare_segments`: cells may be of any length. Colours of the first side stand, those of the second
    follow. Each side has its own cache and its own pass of the network.

    Parameters
    ----------
    a, b, ds
        ``compare({"net A": net_a, "net B": net_b}, ds)`` or ``compare(net_a, net_b, ds)``: two networks, or activations
        in their place, on the same records; ``compare(net, ds)``: one network twice; ``compare(w1, w2)``: what two
        widgets show, of the same records. The widgets stay as they are.
    layers
        Of each side, a pair: a name, several, a preset, or None for the last three blocks.
    n_clusters
        2 to 20, of both sides or of each.
    threshold
        0 to 1, of both sides or of each; if None, such that a tenth of the first record is grey on each side.
    names
        What the two sides are called; the networks' names if None.
    record, target, device, random_state, cache_bytes, store
        See `ecg_widget.explore`; `random_state` and the rest are those of the widgets where widgets are compared.

    Returns
    -------
    ECGComparison
        Display it as the last line of a cell. ``comparison`` is both segmentations with their agreement as xarray.

    Raises
    ------
    ValueError
        Records that do not fit a network, other records on the two sides; layers that are no pair.
    TypeError
        Not two sides.
    traitlets.TraitError
        A number of clusters, threshold, record or target out of range.

    Examples
    --------
    >>> import ecg_widget as ecg
    >>> ds, net = ecg.simulate(4), ecg.load_network()
    >>> c = compare(net, ds, layers=["blocks.1", "blocks.3"], n_clusters=(8, 5))
    >>> found = c.comparison
    >>> found["overlap"].shape, bool(0 < found["ami"] < 1), c.sides
    ((8, 5), True, ['PTB-XL ResNet1d (a)', 'PTB-XL ResNet1d (b)'])
    >>> c.close()
    """
    sides, named, ds = _sides(a, b, ds)
    if layers is not None and (isinstance(layers, str) or len(layers) != 2):
        raise ValueError(f"layers: expected a pair, one choice for each side, got {layers!r}")
    widgets = [side for side in sides if isinstance(side, ECGWidget)]
    own_layers: list[Any] = [w.layers for w in widgets] or [None, None]
    chosen_layers = own_layers if layers is None else list(layers)
    numbers = _pair_of("n_clusters", n_clusters, [w.n_clusters for w in widgets] or [ANCHOR, ANCHOR])
    thresholds = _pair_of("threshold", threshold, [w.threshold for w in widgets] or [None, None])
    options: dict[str, Any] = {"random_state": random_state, "cache_bytes": cache_bytes, "store": store}
    pause_earlier()
    with somebody_waits():
        made = []
        for side, chosen in zip(sides, chosen_layers, strict=True):
            if isinstance(side, ECGWidget):
                made.append(_again(side.explorer, chosen))
            else:
                made.append(Explorer(side, ds, layers=chosen, device=device, **options))
        own = [explorer.network.name for explorer in made]
        called = list(names or named or ([f"{own[0]} (a)", f"{own[1]} (b)"] if own[0] == own[1] else own))
        if len(called) != 2:
            raise ValueError(f"names: expected one for each of two sides, got {len(called)}")
        first = widgets[0] if widgets else None
        given = {
            "layers": made[0].check_layers(chosen_layers[0]) if chosen_layers[0] else None,
            "other_layers": made[1].check_layers(chosen_layers[1]) if chosen_layers[1] else None,
            "record": record or (first and first.record) or None,
            "target": target or (first and first.target) or None,
            "span": (first and first.span) or None,
            "threshold": thresholds[0],
            "other_threshold": thresholds[1],
        }
        linked = [
            name
            for name, (x, y) in {"n_clusters": numbers, "threshold": thresholds}.items()
            if x is not None and x == y
        ]
        widget = ECGComparison(
            made[0],
            made[1],
            called,
            n_clusters=numbers[0],
            other_n_clusters=numbers[1],
            linked=linked,
            **{name: value for name, value in given.items() if value is not None},
        )
    close_on_rerun(widget)
    return widget


def _sides(
    a: Side | Mapping[str, Side], b: Side | xr.Dataset | None, ds: xr.Dataset | None
) -> tuple[list[Side], list[str], xr.Dataset]:
    """Two sides, what they are called, their records."""
    named: list[str] = []
    if isinstance(a, Mapping) and not isinstance(a, Activations):
        sides, named = list(a.values()), [str(name) for name in a]
        rest = [part for part in (b, ds) if part is not None]
    else:
        given = [part for part in (a, b, ds) if part is not None]
        sides = [part for part in given if not isinstance(part, xr.Dataset)]
        rest = [part for part in given if isinstance(part, xr.Dataset)]
        sides = sides * 2 if len(sides) == 1 and isinstance(sides[0], nn.Module | Activations) else sides
    widgets = [side for side in sides if isinstance(side, ECGWidget)]
    known = all(isinstance(side, nn.Module | Activations | ECGWidget) for side in sides)
    if len(sides) != 2 or not known or len(widgets) == 1 or len(rest) != (0 if widgets else 1):
        raise TypeError(
            "compare: expected two networks and one set of records, or two widgets, got "
            f"{', '.join(type(part).__name__ for part in (*sides, *rest))}; call compare({{'A': net_a, 'B': net_b}}, "
            "ds), compare(net, ds, layers=[...]) or compare(w1, w2)"
        )
    if widgets:
        one, two = (widget.explorer.ds for widget in widgets)
        if one is not two and not one[["signal"]].equals(two[["signal"]]):
            raise ValueError("compare: expected widgets of the same records, got others; explore both with one ds")
        return sides, named, one
    found = rest[0]
    if not isinstance(found, xr.Dataset):
        raise TypeError(f"ds: expected records as an xarray.Dataset, got {type(found).__name__}")
    return sides, named, found


def _pair_of(name: str, value: Any, default: list[Any]) -> tuple[Any, Any]:
    """One value for both sides, or one for each."""
    if value is None:
        return default[0], default[1]
    if not isinstance(value, Sequence):
        return value, value
    if isinstance(value, str) or len(value) != 2:
        raise ValueError(f"{name}: expected one value, or one for each of two sides, got {value!r}")
    return value[0], value[1]


def _again(explorer: Explorer, layers: Sequence[str] | None) -> Explorer:
    """An explorer of its own with the same clusters: they follow from network, records, first layers and seed."""
    made = Explorer(
        explorer.network,
        explorer.ds,
        layers=explorer.default_layers,
        device=explorer.device,
        random_state=explorer.random_state,
        cache_bytes=explorer._cache.limit,  # noqa: SLF001
    )
    made.offer(layers or made.default_layers)
    return made
