"""``ecg-widget evaluate ptbxl``: surrogate fidelity on PTB-XL, fold by fold."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ecg_widget.commands.evaluate.settings import add_shared, digest, network_of, say, show, spread, text_table
from ecg_widget.commands.train import fold_list

if TYPE_CHECKING:
    import xarray as xr

    from ecg_widget.evaluation.fidelity import Arrays, Batches
    from ecg_widget.evaluation.journal import Journal
    from ecg_widget.networks import ECGNetwork

NAME = "ptbxl"
HELP = """Imitate a network by a random forest on the proportions of its clusters, on PTB-XL.

For every fold, clusters and forests are made from the other folds and scored on it: label-wise agreement with the
network's labels, Cohen's kappa, share of records with all labels equal, and beside them the accuracy and AUROC, on
probabilities and on hard labels, of the network and of each forest against PTB-XL's superclasses. Always beside them:
the majority, random centroids, the same network with weights drawn anew, pooled activations and plain intervals.
Reads a part of the records at a time."""

_BATCH = 256  # records read at a time: about 0.5 GB with the activations of three blocks
_CELLS = 100_000  # cells drawn over all records to fit clusters on
_LEAST, _MOST = 8, 100  # of them for a record
_COLUMNS = {
    "agreement": "agreement",
    "kappa": "kappa",
    "subset": "all labels",
    "accuracy": "accuracy",
    "auroc": "AUROC",
    "auroc_hard": "AUROC hard",
}
_LEGEND = """mean ±standard deviation over held-out folds. agreement, kappa, all labels: with the network's labels;
accuracy (label-wise), AUROC (macro, of probabilities and of hard labels): with the superclasses of PTB-XL, on records
that have one"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_shared(parser, "PTB-XL's folder")
    parser.add_argument(
        "--folds",
        type=_folds,
        default="10",
        metavar="FOLDS",
        help="a number N: folds 1 to N; or 1-8 or 1,3,5; default: 10",
    )
    parser.add_argument("--trees", type=int, default=500, help="of each forest; default: %(default)s")


def run(options: argparse.Namespace) -> int:
    """Evaluate, or print again what was evaluated."""
    from ecg_widget import __version__  # noqa: PLC0415
    from ecg_widget.clusters import TimeClusters  # noqa: PLC0415
    from ecg_widget.evaluation.fidelity import fidelity  # noqa: PLC0415
    from ecg_widget.evaluation.journal import Journal  # noqa: PLC0415
    from ecg_widget.formats import ptbxl  # noqa: PLC0415

    folder = ptbxl.locate(options.data)
    if folder is None:
        raise ValueError(
            f"--data: expected a folder with ptbxl_database.csv and scp_statements.csv, got {options.data}"
        )
    if len(options.folds) < 2:
        raise ValueError(f"--folds: expected two or more, got {options.folds}; a number N stands for folds 1 to N")
    net = network_of(options)
    rate = 100 if net.spec.sampling_rate <= 100 else 500  # the files that hold what the network reads
    counts = ptbxl.count(folder, sampling_rate=rate, folds=options.folds, missing=options.missing)
    clusters = options.clusters or [TimeClusters().n_clusters]
    per_record = max(_LEAST, min(_MOST, _CELLS // sum(counts.values())))
    settings = {
        "evaluation": NAME,
        "data": digest(folder / "ptbxl_database.csv", folder / "scp_statements.csv"),
        "records": {str(fold): n for fold, n in counts.items()},
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
    journal = Journal(options.output, NAME, settings, say=show)
    done = journal.results
    if done is None:
        batches = _batches(folder, counts, rate, options.missing)
        rows = []
        for preset in options.presets:
            for k in clusters:
                result = fidelity(
                    net,
                    batches,
                    layers=preset.split("+") if "+" in preset else preset,
                    clusters=TimeClusters(k, normalization=options.normalization),
                    cells_per_record=per_record,
                    random_state=options.seed,
                    keep=partial(_keep, journal, preset, k),
                    n_trees=options.trees,
                    n_jobs=options.threads,
                )
                rows += _rows(result, preset, k)
        done = journal.finish(rows, learned_folds=_learned(net))
    _print(done, net)
    say(f"{options.output / NAME}.json, {options.output / NAME}.csv")
    return 0


def _keep(journal: Journal, preset: str, k: int, name: str, compute: Callable[[], Arrays]) -> Arrays:
    """Name a step by all that it depends on, so that what is the same for every preset or K is computed once."""
    if name.startswith(("intervals", "forest-intervals")):
        return journal.keep(name, compute)
    shared = name.startswith(("cells", "forest-pooled"))
    return journal.keep(f"{preset} {name}" if shared else f"{preset} {name} K={k}", compute)


def _rows(result: xr.Dataset, preset: str, k: int) -> list[dict[str, Any]]:
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
        for score in ("agreement", "kappa", "r2"):
            if score in here:
                row |= {f"{score} fold {f}": float(v) for f, v in here[score].to_series().items()}
        rows.append({key: None if isinstance(v, float) and np.isnan(v) else v for key, v in row.items()})
    return rows


def _batches(folder: Path, counts: dict[int, int], rate: int, missing: str) -> Batches:
    from ecg_widget.formats import ptbxl  # noqa: PLC0415

    def read(fold: int, first: int) -> xr.Dataset:
        part = slice(first, first + _BATCH)
        return ptbxl.read(folder, sampling_rate=rate, folds=[fold], missing=missing, part=part)

    return [partial(read, fold, first) for fold, n in counts.items() for first in range(0, n, _BATCH)]


def _learned(net: ECGNetwork) -> list[int]:
    data = net.provenance.get("data", {})
    return list(data.get("train", {}).get("folds", [])) if isinstance(data, dict) else []


def _print(done: dict[str, Any], net: ECGNetwork) -> None:
    rows = done["rows"]
    targets = [
        key.removeprefix("agreement ") for key in rows[0] if key.startswith("agreement ") and " fold " not in key
    ]
    folds = [key.removeprefix("agreement fold ") for key in rows[0] if key.startswith("agreement fold ")]
    records = sum(done["settings"]["records"].values())
    say(f"{net.name} on PTB-XL: {records} records in {len(folds)} folds")
    for preset, k in dict.fromkeys((row["preset"], row["clusters"]) for row in rows):
        here = [row for row in rows if (row["preset"], row["clusters"]) == (preset, k)]
        say(f"\n{preset} ({here[0]['layers']}), {k} clusters")
        say(text_table([["", *_COLUMNS.values()], *([r["surrogate"], *(_cell(r, c) for c in _COLUMNS)] for r in here)]))
        say("\nagreement and kappa for each superclass, all folds together")
        head = ["", *targets, "all"]
        pairs = [[_pair(r, t) for t in targets] + [_pooled(r)] for r in here]
        say(text_table([head, *([r["surrogate"], *p] for r, p in zip(here, pairs, strict=True))]))
        new = [f for f in folds if int(f) not in done["learned_folds"]]
        if done["learned_folds"] and new:
            row = next(r for r in here if r["surrogate"] == "clusters")
            each = ", ".join(f"fold {f}: {row[f'agreement fold {f}']:.3f}, {row[f'kappa fold {f}']:.3f}" for f in new)
            learned = ", ".join(map(str, done["learned_folds"]))
            say(f"the network learned from folds {learned}; agreement and kappa of the clusters on others: {each}")
    say(f"\n{_LEGEND}")


def _cell(row: dict[str, Any], score: str) -> str:
    nan = float("nan")
    return spread({f"{score}_{p}": nan if (v := row.get(f"{score}_{p}")) is None else v for p in ("mean", "sd")}, score)


def _pair(row: dict[str, Any], target: str) -> str:
    values = [row.get(f"{score} {target}") for score in ("agreement", "kappa")]
    return " ".join("-" if v is None else f"{v:.3f}" for v in values)


def _pooled(row: dict[str, Any]) -> str:
    values = [row.get(f"{score}_pooled") for score in ("agreement", "kappa")]
    return " ".join("-" if v is None else f"{v:.3f}" for v in values)


def _folds(text: str) -> list[int]:
    """A number N is the first N folds, as in N-fold cross-validation."""
    return fold_list(f"1-{text}" if text.isdigit() and text != "1" else text)
