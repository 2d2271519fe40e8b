"""What evaluations of a surrogate share: settings, steps that are kept, rows of the table and its cells."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from ecg_widget.commands.evaluate.settings import spread

if TYPE_CHECKING:
    import xarray as xr

    from ecg_widget.evaluation.fidelity import Arrays, Batches
    from ecg_widget.evaluation.journal import Journal
    from ecg_widget.networks import ECGNetwork

__all__ = ["cells_per_record", "imitate", "rows_of", "score_cell", "shared_settings", "target_cell"]

_CELLS = 100_000  # cells drawn over all records to fit clusters on
_MOST = 100  # of them for a record


def cells_per_record(n_records: int, least: int) -> int:
    """Cells to draw from each record.

    Examples
    --------
    >>> cells_per_record(434, 8), cells_per_record(2000, 8), cells_per_record(21_799, 8)
    (100, 50, 8)
    """
    return max(least, min(_MOST, _CELLS // n_records))


def shared_settings(
    options: argparse.Namespace, net: ECGNetwork, clusters: list[int], per_record: int
) -> dict[str, Any]:
    """All that the numbers depend on, but the data."""
    from ecg_widget import __version__  # noqa: PLC0415
    from ecg_widget.clusters import TimeClusters  # noqa: PLC0415

    return {
        "network": net.fingerprint,
        "network_name": net.name,
        "presets": options.presets,
        "clusters": clusters,
        "normalization": options.normalization,
        "n_init": TimeClusters().n_init,
        "trees": options.trees,
        "cells_per_record": per_record,
        "seed": options.seed,
        "version": __version__,
    }


def imitate(
    net: ECGNetwork | Mapping[int, ECGNetwork],
    batches: Batches,
    journal: Journal,
    options: argparse.Namespace,
    *,
    preset: str,
    k: int,
) -> xr.Dataset:
    """Run `ecg_widget.evaluation.fidelity` for one choice of layers and one number of clusters, step by step."""
    from ecg_widget.clusters import TimeClusters  # noqa: PLC0415
    from ecg_widget.evaluation.fidelity import fidelity  # noqa: PLC0415

    return fidelity(
        net,
        batches,
        layers=preset.split("+") if "+" in preset else preset,
        clusters=TimeClusters(k, normalization=options.normalization),
        cells_per_record=journal.settings["cells_per_record"],
        random_state=options.seed,
        keep=partial(_keep, journal, preset, k),
        n_trees=options.trees,
        n_jobs=options.threads,
    )


def _keep(journal: Journal, preset: str, k: int, name: str, compute: Callable[[], Arrays]) -> Arrays:
    """Name a step by all that it depends on, so that what is the same for every preset or K is computed once."""
    if name.startswith(("intervals", "forest-intervals")):
        return journal.keep(name, compute)
    shared = name.startswith(("cells", "forest-pooled"))
    return journal.keep(f"{preset} {name}" if shared else f"{preset} {name} K={k}", compute)


def rows_of(result: xr.Dataset, preset: str, k: int) -> list[dict[str, Any]]:
    """One row of the table for each surrogate, with null where there is no number."""
    import numpy as np  # noqa: PLC0415

    rows = []
    for name in result["surrogate"].values.tolist():
        here = result.sel(surrogate=name)
        row: dict[str, Any] = {"preset": preset, "layers": "+".join(result.attrs["layers"]), "clusters": k}
        row["surrogate"] = name
        for score in (v for v in here.data_vars if here[v].ndim == 0):
            row[str(score)] = float(here[score])
        for part in ("agreement_target", "kappa_target", "r2_target", "spearman_target"):
            if part in here:
                row |= {f"{part.removesuffix('_target')} {t}": float(v) for t, v in here[part].to_series().items()}
        for score in ("agreement", "kappa", "r2", "mae_label"):
            if score in here:
                row |= {f"{score} fold {f}": float(v) for f, v in here[score].to_series().items()}
        rows.append({key: None if isinstance(v, float) and np.isnan(v) else v for key, v in row.items()})
    return rows


def score_cell(row: dict[str, Any], score: str) -> str:
    """Mean and standard deviation over folds of one score."""
    nan = float("nan")
    return spread({f"{score}_{p}": nan if (v := row.get(f"{score}_{p}")) is None else v for p in ("mean", "sd")}, score)


def target_cell(row: dict[str, Any], keys: tuple[str, ...]) -> str:
    """Some scores side by side, pooled over folds."""
    return " ".join("-" if (v := row.get(key)) is None else f"{v:.3f}" for key in keys)
