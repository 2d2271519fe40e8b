"""The second side of a comparison in an exported page: its results, and which of its clusters is which."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ecg_widget.export import Beside, computed, offered
from ecg_widget.fits import N_CLUSTERS
from ecg_widget.pairing import Pairing
from ecg_widget.view_state import fingerprint

if TYPE_CHECKING:
    from ecg_widget.comparison_widget import ECGComparison

__all__ = ["second_side"]

_UNUSED = ("map", "contribution", "contribution_masked", "intercept", "logit", "cohort_proportion", "wave")


def second_side(
    widget: ECGComparison,
    pairs: Pairing,
    layers: Iterable[str | Sequence[str]] | None,
    n_clusters: Iterable[int] | None,
) -> Beside:
    """What `ecg_widget.export.page` adds to a page of one side.

    Parameters
    ----------
    widget
        The comparison.
    pairs
        Its pairing.
    layers, n_clusters
        Choices of the second side; the shown layers, and 2 to 20 clusters, if None.

    Raises
    ------
    ValueError
        When called: layers or numbers that do not exist; long recordings whose windows differ.
    """
    explorer = widget.other_explorer
    listed = [explorer.check_layers(c) for c in ([widget.other_layers] if layers is None else list(layers))]
    combined = [list(c) for c in dict.fromkeys(map(tuple, listed))]
    low, high = N_CLUSTERS
    numbers = sorted(set(range(low, high + 1) if n_clusters is None else n_clusters))
    if (
        not combined
        or not numbers
        or any(not isinstance(k, (int, np.integer)) or not low <= k <= high for k in numbers)
    ):
        raise ValueError(
            f"other_layers, other_n_clusters: expected at least one choice of layers and whole numbers from {low} to "
            f"{high}, got {combined} and {numbers}"
        )
    windows = widget.explorer.windows, explorer.windows
    if windows[0].long and windows[0].n_samples != windows[1].n_samples:
        raise ValueError(
            "to_html: expected long recordings in windows of one length, got networks that read "
            f"{windows[0].seconds:g} and {windows[1].seconds:g} s; export a part of at most one window"
        )

    def beside(
        shown: dict[str, str], first: list[list[str]], first_numbers: list[int]
    ) -> tuple[dict[str, Any], dict[str, Any], str]:
        own = [int(k) for k in numbers]
        results, missing, facts = computed(explorer, shown, combined, own, widget.span, without=_UNUSED)
        found: dict[str, list[Any]] = {}
        records = 0
        for i, a in enumerate(first):
            for j, b in enumerate(combined):
                for k in _fitting(widget.explorer, a, first_numbers):
                    for m in _fitting(explorer, b, own):
                        pair = pairs.of((a, k), (b, m))
                        records = pair["records"]
                        found[f"{i} {k} {j} {m}"] = [pair["slots"], _rounded(pair["same"]), _rounded(pair["ami"])]
        network, sha = explorer.network, fingerprint(explorer)
        other = {
            "traits": {
                "other_layers": widget.other_layers if widget.other_layers in combined else combined[0],
                "other_n_clusters": min(own, key=lambda k: (abs(k - widget.other_n_clusters), k)),
                "other_threshold": widget.other_threshold,
                "linked": widget.linked,
                "arrangement": widget.arrangement,
            },
            "sides": widget.sides,
            "choices": offered(explorer, combined, own, list(shown.values())),
            "results": results,
            "missing": missing,
            "pairs": found,
            "records": records,
        }
        about = {
            "other": {
                "network": {"name": network.name, "sha256": sha},
                "layers": combined,
                "n_clusters": own,
                "threshold": widget.other_threshold,
                "temperature": facts["tau"],
                "seed": explorer.random_state,
            }
        }
        named = ", ".join(" + ".join(c) for c in combined)
        methods = (
            f" Beside it: activations of {network.name} (SHA-256 {sha[:16] or 'not known'}) in {named}, clustered in "
            f"the same way. Clusters of both sides were matched one to one by the time that they share over {records} "
            "recording(s) or windows (Hungarian algorithm); pairs that share no more than by chance are not matched."
        )
        return {"other": other}, about, methods

    return beside


def _fitting(explorer: Any, layers: list[str], numbers: list[int]) -> list[int]:
    """The numbers of clusters that there are cells for."""
    cells = int(explorer.embedding(layers)["valid"].sum())
    return [k for k in numbers if k <= cells]


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
