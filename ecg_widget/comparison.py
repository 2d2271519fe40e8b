"""Two segmentations of the same records side by side: which cluster is which, and how far they agree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from scipy.optimize import linear_sum_assignment
from sklearn.metrics.cluster import expected_mutual_information

__all__ = ["compare_segments", "match_slots", "measures", "partners", "pooled_overlap"]

SHIFTS = 19  # circular shifts of one side against the other, which say what clusters of any rhythm share
EXACT = 100_000  # steps above which mutual information by chance is (R - 1)(C - 1) / 2n, to within 1 %
WITHIN = 0.49  # of a step, where it is read: in the middle, borders of cells of twice or half the length would tie
SIDES = ("a", "b")


def compare_segments(
    a: xr.Dataset, b: xr.Dataset, ds: xr.Dataset, *, names: Sequence[str] = SIDES, shifts: int = SHIFTS
) -> xr.Dataset:
    """Match the clusters of two segmentations of the same records by their overlap in time, and say how they agree.

    The two may come from other networks, layers or numbers of clusters, with cells of other lengths. Cells reach
    halfway to their neighbours, as the page draws them. Time that either side has masked is not compared.

    What it means: `same` is the share of the time in which both sides show matched clusters; `ami` and `ari` are 0 for
    labels that are independent and 1 for equal ones, however many clusters there are. What it does not mean: that
    either side is right, or that two clusters of one colour stand for one thing; look at `jaccard`. A bad value:
    `ami` near `ami_shifted`, which two unrelated segmentations of so many cells would reach as well.

    Parameters
    ----------
    a, b
        What `TimeClusters.predict`, `Explorer.segmentation` or `Explorer.result` gave: ``cluster, entropy`` over
        ``(record, cell)`` or ``(cell)``, ``proportion (cluster)`` or ``(record, cluster)``, coordinate
        ``centre (cell)`` in s; ``slot (cluster)`` where there are colours. Of the same records in the same order.
    ds
        These records: where they begin and end.
    names
        What the two sides are called.
    shifts
        Circular shifts for `ami_shifted`, 0 to 999.

    Returns
    -------
    xarray.Dataset
        ``cluster_a, entropy_a (record, cell_a)`` with ``centre_a (cell_a)`` in s, and the same of b: each on its own
        cells. ``slot_a (group_a)``, ``slot_b (group_b)``: colours; matched clusters have the same. ``partner
        (group_a)``, the matched cluster of b, -1 for none: matched such that the time in matched clusters is largest,
        one to one, without pairs that overlap no longer than chance. ``overlap (group_a, group_b)`` in s, the confusion
        matrix. ``jaccard (group_a)``, overlap over union with the partner, NaN without one. ``same``, ``ami``, ``ari``,
        ``vi`` (variation of information, bit), ``ami_shifted`` of all records together, ``record_same, record_ami,
        record_ari, record_vi, compared (record)``, the last in s. `ami` and `ari` count steps of ``attrs["step"]`` s,
        the shorter of the two sides' cells; the rest is exact in time.

    Raises
    ------
    ValueError
        Other records, none with cells, or clusters that cannot be counted; `shifts` out of range.

    Examples
    --------
    >>> import ecg_widget as ecg
    >>> ds = ecg.simulate(4)
    >>> explorer = ecg.Explorer(ecg.load_network(), ds)
    >>> fine, coarse = explorer.segmentation(n_clusters=8), explorer.segmentation(["blocks.3"], n_clusters=4)
    >>> found = compare_segments(fine, coarse, ds, names=["three blocks", "last block"])
    >>> found["overlap"].shape, bool((found["partner"] >= 0).sum() <= 4), bool(0 < found["ami"] < 1)
    ((8, 4), True, True)
    >>> float(compare_segments(fine, fine, ds)["ami"])
    1.0
    """
    if not isinstance(shifts, int) or not 0 <= shifts <= 999:
        raise ValueError(f"shifts: expected a whole number from 0 to 999, got {shifts!r}")
    if len(names) != 2:
        raise ValueError(f"names: expected one for each of two sides, got {len(names)}")
    sides = [_Side.of(part, name, ds) for part, name in zip((a, b), SIDES, strict=True)]
    one, two = sides
    if one.records != two.records:
        raise ValueError(
            f"a, b: expected segments of the same records in the same order, got {one.records[:3]} and "
            f"{two.records[:3]}; use .sel(record=...) on both"
        )
    overlap = _overlap(one, two)
    total = overlap.sum(0)
    slots = one.slots, match_slots(total, one.slots)
    pairs = partners(total)
    step = min(one.stride, two.stride)
    tracks = [side.at(_steps(one, two, step)) for side in sides]
    tables = _counts(tracks[0], tracks[1], one.count, two.count)
    either = total.sum(1)[:, None] + total.sum(0)[None] - total
    with np.errstate(invalid="ignore", divide="ignore"):
        jaccard = np.where(pairs >= 0, np.take_along_axis(total / either, pairs.clip(0)[:, None], 1)[:, 0], np.nan)
    data: dict[str, Any] = {
        "partner": ("group_a", pairs.astype(np.int16)),
        "jaccard": ("group_a", jaccard.astype(np.float32), {"units": "1"}),
        "overlap": (("group_a", "group_b"), total, {"units": "s"}),
        "record_overlap": (("record", "group_a", "group_b"), overlap.astype(np.float32), {"units": "s"}),
        "compared": ("record", overlap.sum((1, 2)), {"units": "s"}),
    }
    coords: dict[str, Any] = {"record": list(one.records)}
    for name, side, own in zip(SIDES, sides, slots, strict=True):
        data |= {
            f"cluster_{name}": (("record", f"cell_{name}"), side.cluster.astype(np.int16)),
            f"entropy_{name}": (("record", f"cell_{name}"), side.entropy, {"units": "1"}),
            f"slot_{name}": (f"group_{name}", own),
        }
        coords |= {f"centre_{name}": (f"cell_{name}", side.centre, {"units": "s"})}
    pooled = measures(total, tables.sum(0), pairs)
    each = [measures(seconds, table, pairs) for seconds, table in zip(overlap, tables, strict=True)]
    for measure, value in pooled.items():
        units = {"units": "bit" if measure == "vi" else "1"}
        data[measure] = ((), value, units)
        data[f"record_{measure}"] = ("record", [found[measure] for found in each], units)
    moved = [_shifted(tracks, i / (shifts + 1), one.count, two.count) for i in range(1, shifts + 1)]
    data["ami_shifted"] = ((), float(np.mean(moved)) if moved else np.nan, {"units": "1"})
    attrs = {"names": [str(name) for name in names], "step": step, "shifts": shifts}
    for name, part in zip(SIDES, (a, b), strict=True):
        attrs |= {f"layers_{name}": list(part.attrs.get("layers", []))}
    return xr.Dataset(data, coords, attrs)


@dataclass(frozen=True, eq=False)
class _Side:
    """One segmentation: clusters ``(record, cell)``, -1 where masked, and where cells end in s."""

    records: tuple[str, ...]
    cluster: np.ndarray
    entropy: np.ndarray
    centre: np.ndarray
    border: np.ndarray
    slots: np.ndarray

    @property
    def count(self) -> int:
        return len(self.slots)

    @property
    def stride(self) -> float:
        return float(self.border[-1] - self.border[0]) / len(self.centre)

    def at(self, time: np.ndarray) -> np.ndarray:
        """Cluster of every record at times ``(time,)`` in s ``(record, time)``, -1 where there is none."""
        cell = np.searchsorted(self.border, time, side="right") - 1
        inside = (cell >= 0) & (cell < len(self.centre))
        return np.where(inside, self.cluster[:, cell.clip(0, len(self.centre) - 1)], -1)

    @classmethod
    def of(cls, seg: xr.Dataset, name: str, ds: xr.Dataset) -> _Side:
        if "cluster" not in seg.variables or "cell" not in seg["cluster"].dims or "centre" not in seg.coords:
            raise ValueError(
                f"{name}: expected segments with cluster (record, cell) and centre (cell), got {seg.sizes}"
            )
        records = np.atleast_1d(seg["record"].values if "record" in seg.coords else seg.attrs.get("record", ""))

        def rows(name: str) -> np.ndarray:  # of one record too; there `cluster` is a coordinate, and has no record
            values = seg[name].transpose("record", "cell", missing_dims="ignore").values
            return np.atleast_2d(values)

        cluster = rows("cluster").astype(np.int64)
        valid = rows("valid").astype(bool) if "valid" in seg.variables else cluster >= 0
        centre = seg["centre"].values.astype(float)
        count = seg.sizes.get("cluster") or int(seg.attrs.get("n_clusters", cluster.max(initial=0) + 1))
        if cluster.size == 0 or int(cluster.max()) >= count:
            raise ValueError(
                f"{name}: expected cells of {count} clusters, got {cluster.size} cells, the last cluster "
                f"{int(cluster.max(initial=-1))}; of a long recording compare a part"
            )
        slots = seg["slot"].values if "slot" in seg.variables else np.arange(count)
        unknown = np.full(cluster.shape, np.nan, np.float32)
        entropy = rows("entropy") if "entropy" in seg.variables else unknown
        time = ds["time"].values
        last = float(time[-1]) + 1 / float(ds["time"].attrs.get("sampling_rate") or 1 / np.diff(time[:2])[0])
        return cls(
            records=tuple(map(str, records)),
            cluster=np.where(valid, cluster, -1),
            entropy=entropy,
            centre=centre,
            border=_borders(centre, float(time[0]), last),
            slots=np.asarray(slots, np.uint8),
        )


def pooled_overlap(a: xr.Dataset, b: xr.Dataset, ds: xr.Dataset) -> tuple[np.ndarray, np.ndarray]:
    """How long each cluster of one side lies on each of the other, in all records together.

    Parameters
    ----------
    a, b, ds
        See `compare_segments`.

    Returns
    -------
    seconds, counts : numpy.ndarray
        ``(cluster, cluster)``, in s and in steps as long as the shorter of the two sides' cells.
    """
    one, two = _Side.of(a, "a", ds), _Side.of(b, "b", ds)
    times = _steps(one, two, min(one.stride, two.stride))
    return _overlap(one, two).sum(0), _counts(one.at(times), two.at(times), one.count, two.count).sum(0)


def _overlap(a: _Side, b: _Side) -> np.ndarray:
    """How long each cluster of one side lies on each of the other, ``(record, cluster, cluster)`` in s; exact."""
    edges = np.union1d(a.border, b.border)
    middle, length = (edges[1:] + edges[:-1]) / 2, np.diff(edges)
    return _counts(a.at(middle), b.at(middle), a.count, b.count, length)


def partners(overlap: np.ndarray) -> np.ndarray:
    """The cluster of the other side that each cluster is matched with, one to one.

    Parameters
    ----------
    overlap
        ``(cluster, cluster)`` in s.

    Returns
    -------
    numpy.ndarray
        ``(cluster,)`` int64, -1 where there is none: the assignment in which matched clusters share most time
        (Hungarian algorithm), without pairs that share no more than clusters of their lengths would by chance.

    Examples
    --------
    >>> partners(np.array([[0.0, 5.0, 0.0], [4.0, 1.0, 0.0]])).tolist()
    [1, 0]
    >>> partners(np.array([[9.0, 1.0], [9.0, 1.0]])).tolist()
    [-1, -1]
    """
    out = np.full(len(overlap), -1)
    rows, columns = linear_sum_assignment(overlap, maximize=True)
    chance = overlap.sum(1)[rows] * overlap.sum(0)[columns] / max(float(overlap.sum()), np.finfo(float).tiny)
    real = overlap[rows, columns] > chance * (1 + 1e-9)
    out[rows[real]] = columns[real]
    return out


def match_slots(overlap: np.ndarray, slots: np.ndarray) -> np.ndarray:
    """Colours of one side's clusters such that matched clusters have those of the other side.

    Parameters
    ----------
    overlap
        ``(reference cluster, cluster)`` in s.
    slots
        ``(reference cluster,)``.

    Returns
    -------
    numpy.ndarray
        ``(cluster,)`` uint8, all different. Clusters without a partner take the lowest slots that the reference does
        not use; above 19 letters go on and colours begin anew.

    Examples
    --------
    >>> match_slots(np.array([[0.0, 5.0, 0.0], [4.0, 1.0, 0.0]]), np.array([3, 7])).tolist()
    [7, 3, 0]
    """
    out = np.full(overlap.shape[1], -1)
    pairs = partners(overlap)
    out[pairs[pairs >= 0]] = slots[pairs >= 0]
    taken = {*slots.tolist()}
    free = (slot for slot in range(256) if slot not in taken)
    for cluster in np.flatnonzero(out < 0):
        out[cluster] = next(free)
    return out.astype(np.uint8)


def measures(seconds: np.ndarray, counts: np.ndarray, pairs: np.ndarray) -> dict[str, float]:
    """How far two labellings agree; NaN where there is no time to compare.

    Parameters
    ----------
    seconds
        ``(cluster, cluster)`` in s.
    counts
        The same in whole steps.
    pairs
        See `partners`.

    Examples
    --------
    >>> same = np.diag([5.0, 5.0])
    >>> measures(same, same.astype(int), np.array([0, 1]))
    {'same': 1.0, 'ami': 1.0, 'ari': 1.0, 'vi': 0.0}
    """
    total, n = float(seconds.sum()), int(counts.sum())
    if total <= 0 or n == 0:
        return dict.fromkeys(("same", "ami", "ari", "vi"), np.nan)
    matched = np.flatnonzero(pairs >= 0)
    same = float(seconds[matched, pairs[matched]].sum()) / total
    entropies = [_entropy(seconds.sum(1) / total), _entropy(seconds.sum(0) / total)]
    vi = max(0.0, 2 * _entropy(seconds / total) - sum(entropies)) / np.log(2)
    vi = float(vi) if vi > 1e-12 else 0.0  # below, it is rounding
    return {"same": same, "ami": float(_ami(counts)), "ari": float(_ari(counts)), "vi": vi}


def _ami(counts: np.ndarray) -> float:
    """Adjusted mutual information, arithmetic mean of the entropies below, as scikit-learn has it."""
    table = counts[counts.sum(1) > 0][:, counts.sum(0) > 0]
    n = int(table.sum())
    filled = table > 0
    if bool((filled.sum(0) == 1).all() and (filled.sum(1) == 1).all()):
        return 1.0
    rows, columns = _entropy(table.sum(1) / n), _entropy(table.sum(0) / n)
    mutual = max(0.0, rows + columns - _entropy(table / n))
    if n > EXACT:
        chance = (table.shape[0] - 1) * (table.shape[1] - 1) / (2 * n)
    else:
        chance = float(expected_mutual_information(table, n))
    above = (rows + columns) / 2 - chance
    return (mutual - chance) / float(np.copysign(max(abs(above), np.finfo(float).eps), above))


def _ari(counts: np.ndarray) -> float:
    """Adjusted Rand index."""
    both, one, two = (float((x * (x - 1.0)).sum()) for x in (counts.astype(float), counts.sum(1), counts.sum(0)))
    n = float(counts.sum())
    chance = one * two / max(n * (n - 1), 1.0)
    largest = (one + two) / 2
    return 1.0 if largest == chance else (both - chance) / (largest - chance)


def _entropy(share: np.ndarray) -> float:
    """In nat."""
    positive = share[share > 0]
    return float(-(positive * np.log(positive)).sum())


def _steps(a: _Side, b: _Side, step: float) -> np.ndarray:
    """A moment in each of equal steps over the time that both sides cover, s."""
    t0, t1 = max(a.border[0], b.border[0]), min(a.border[-1], b.border[-1])
    return np.asarray(t0 + (np.arange(max(int((t1 - t0) / step + 1e-6), 0)) + WITHIN) * step)


def _counts(one: np.ndarray, two: np.ndarray, rows: int, columns: int, weight: np.ndarray | None = None) -> np.ndarray:
    """``(record, cluster, cluster)``: how often, or how long, two labellings ``(record, time)`` coincide."""
    out = np.zeros((len(one), rows * columns), int if weight is None else float)
    for i, (x, y) in enumerate(zip(one, two, strict=True)):
        both = (x >= 0) & (y >= 0)
        w = None if weight is None else weight[both]
        out[i] = np.bincount(x[both] * columns + y[both], weights=w, minlength=rows * columns)
    return out.reshape(-1, rows, columns)


def _shifted(tracks: Sequence[np.ndarray], share: float, rows: int, columns: int) -> float:
    """AMI of one side with the other turned round within each record."""
    turned = np.roll(tracks[1], round(share * tracks[1].shape[1]), axis=1)
    counts = _counts(tracks[0], turned, rows, columns).sum(0)
    return _ami(counts) if counts.sum() else np.nan


def _borders(centre: np.ndarray, start: float, end: float) -> np.ndarray:
    """Where cells end, s ``(cell + 1,)``: as the page and the figures draw them."""
    from ecg_widget.figures.cells import borders  # noqa: PLC0415  (which draws nothing here)

    if len(centre) > 1 and not (np.diff(centre) > 0).all():
        raise ValueError("centre: expected ascending times, got others; sort the cells by centre")
    return borders(centre, start, end)
