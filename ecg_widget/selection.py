"""What the user selects and how clusters are called: checked when it comes, given back as xarray."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from ecg_widget.fits import N_CLUSTERS

LETTERS = "".join(chr(65 + i) for i in range(N_CLUSTERS[1]))
KEYS = {"name": str, "note": str, "merged": str, "hidden": bool}
MOST = 100_000  # intervals
LONGEST = 20_000  # characters of a name or a note


def check_selection(records: np.ndarray, value: Mapping[str, Any]) -> dict[str, Any]:
    """A selection in its plain form: intervals in order, those that touch joined.

    Parameters
    ----------
    records
        Names of the records that there are.
    value
        ``record``, ``intervals`` ``[[from, to], ...]`` in s, ``label``; empty = nothing.

    Returns
    -------
    dict
        All three keys, or none.

    Raises
    ------
    ValueError
        Another key, a record that does not exist, an interval that is not two ascending finite numbers.

    Examples
    --------
    >>> check_selection(np.array(["1"]), {"record": "1", "intervals": [[2, 3], [0.5, 2]]})
    {'record': '1', 'intervals': [[0.5, 3.0]], 'label': ''}
    """
    if not value:
        return {}
    unknown = set(value) - {"record", "intervals", "label"}
    if unknown or "intervals" not in value or "record" not in value:
        raise ValueError(f"selection: expected keys record, intervals and label, got {sorted(map(str, value))}")
    if not isinstance(value["record"], str) or value["record"] not in set(records.astype(str).tolist()):
        raise ValueError(f"selection: expected the name of a record, got {value['record']!r:.80}")
    label = value.get("label", "")
    if not isinstance(label, str) or len(label) > LONGEST:
        raise ValueError(f"selection: expected a label of at most {LONGEST} characters, got {label!r:.80}")
    try:
        pairs = np.asarray(value["intervals"], float).reshape(-1, 2) if len(value["intervals"]) else np.zeros((0, 2))
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"selection: expected intervals [[from, to], ...] in s, got {value['intervals']!r:.80}"
        ) from error
    if len(pairs) > MOST or not np.isfinite(pairs).all() or not (pairs[:, 0] < pairs[:, 1]).all():
        raise ValueError(f"selection: expected at most {MOST} intervals from < to in s, got {value['intervals']!r:.80}")
    joined: list[list[float]] = []
    for start, end in sorted(pairs.tolist()):
        if joined and start <= joined[-1][1]:
            joined[-1][1] = max(joined[-1][1], end)
        else:
            joined.append([start, end])
    return {"record": value["record"], "intervals": joined, "label": label} if joined else {}


def check_names(value: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Names, notes, merged and hidden clusters by letter, without what says nothing.

    Parameters
    ----------
    value
        By letter A to T: dict of ``name``, ``note``, ``merged`` and ``hidden``.

    Raises
    ------
    ValueError
        Another letter, key or type; a cluster merged into itself, directly or by way of others.

    Examples
    --------
    >>> check_names({"A": {"name": "P wave", "note": ""}, "B": {"merged": "A"}})
    {'A': {'name': 'P wave'}, 'B': {'merged': 'A'}}
    """
    out: dict[str, dict[str, Any]] = {}
    for letter, facts in value.items():
        if letter not in set(LETTERS) or not isinstance(facts, Mapping):
            raise ValueError(f"cluster_names: expected a dict for a letter A to {LETTERS[-1]}, got {letter!r:.40}")
        for key, entry in facts.items():
            _check_entry(letter, key, entry)
        kept = {key: facts[key] for key in KEYS if facts.get(key)}
        if kept:
            out[letter] = kept
    for letter, facts in out.items():
        seen, at = {letter}, facts.get("merged")
        while at is not None:
            if at in seen:
                raise ValueError(f"cluster_names[{letter!r}]: expected no cluster merged into itself, got {at!r} twice")
            seen.add(at)
            at = out.get(at, {}).get("merged")
    return out


def _check_entry(letter: str, key: str, entry: object) -> None:
    if key not in KEYS or not isinstance(entry, KEYS[key]):
        wanted = ", ".join(f"{name} ({kind.__name__})" for name, kind in KEYS.items())
        raise ValueError(f"cluster_names[{letter!r}]: expected {wanted}, got {key!r:.40}: {entry!r:.40}")
    if isinstance(entry, str) and len(entry) > LONGEST:
        raise ValueError(f"cluster_names[{letter!r}]: expected at most {LONGEST} characters, got {len(entry)}")
    if key == "merged" and entry and entry not in set(LETTERS):
        raise ValueError(f"cluster_names[{letter!r}]: expected merged to be a letter, got {entry!r:.40}")


def selected(selection: Mapping[str, Any], result: xr.Dataset | None) -> xr.Dataset:
    """See `ecg_widget.ECGWidget.selected`."""
    pairs = np.asarray(selection.get("intervals", []), float).reshape(-1, 2)
    units = {"units": "s"}
    out = xr.Dataset(
        {"start": ("interval", pairs[:, 0], units), "end": ("interval", pairs[:, 1], units)},
        attrs={"record": selection.get("record", ""), "label": selection.get("label", "")},
    )
    if result is not None and result.attrs["record"] == selection.get("record"):
        centre = result["centre"].values
        place = np.searchsorted(pairs[:, 0], centre, side="right") - 1
        inside = (place >= 0) & (centre < pairs[np.maximum(place, 0), 1]) if len(pairs) else np.zeros(len(centre), bool)
        out = out.assign(selected=("cell", inside)).assign_coords(centre=("cell", centre, units))
    return out
