"""`compare`: two networks, layers or numbers of clusters on one record, with matched clusters in one colour."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import xarray as xr
from torch import nn

from ecg_widget.activations import Activations
from ecg_widget.captured import Store
from ecg_widget.clusters.kmeans import somebody_waits
from ecg_widget.comparison_widget import ECGComparison
from ecg_widget.explorer import CACHE_BYTES, Explorer
from ecg_widget.fits import ANCHOR
from ecg_widget.lifetime import close_on_rerun, pause_earlier
from ecg_widget.widget import ECGWidget

__all__ = ["ECGComparison", "compare"]

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
