"""``ecg-widget evaluate ptbxl``: surrogate fidelity on PTB-XL, fold by fold."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ecg_widget.commands.evaluate.fidelity_table import (
    cells_per_record,
    imitate,
    rows_of,
    score_cell,
    shared_settings,
    target_cell,
)
from ecg_widget.commands.evaluate.settings import add_shared, digest, network_of, say, show, text_table
from ecg_widget.commands.train import fold_list

if TYPE_CHECKING:
    import xarray as xr

    from ecg_widget.evaluation.fidelity import Batches
    from ecg_widget.networks import ECGNetwork

NAME = "ptbxl"
HELP = """Imitate a network by a random forest on the proportions of its clusters, on PTB-XL.

For every fold, clusters and forests are made from the other folds and scored on it: label-wise agreement with the
network's labels, Cohen's kappa, share of records with all labels equal, and beside them the accuracy and AUROC, on
probabilities and on hard labels, of the network and of each forest against PTB-XL's superclasses. Always beside them:
the majority, random centroids, the same network with weights drawn anew, pooled activations and plain intervals.
Reads a part of the records at a time.

With {fold} in --network, as in 'fold{fold}.safetensors', every fold has a network of its own that did not learn from
it: cross-validation, as in the paper. Make them with ecg-widget train --train-folds ... --validation-folds ...."""

_FOLD = "{fold}"

_BATCH = 256  # records read at a time: about 0.5 GB with the activations of three blocks
_LEAST = 8  # cells of a record to fit clusters on
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
    from ecg_widget.clusters import TimeClusters  # noqa: PLC0415
    from ecg_widget.evaluation.journal import Journal  # noqa: PLC0415
    from ecg_widget.formats import ptbxl  # noqa: PLC0415

    folder = ptbxl.locate(options.data)
    if folder is None:
        raise ValueError(
            f"--data: expected a folder with ptbxl_database.csv and scp_statements.csv, got {options.data}"
        )
    if len(options.folds) < 2:
        raise ValueError(f"--folds: expected two or more, got {options.folds}; a number N stands for folds 1 to N")
    net, nets = _networks(options)
    rate = 100 if net.spec.sampling_rate <= 100 else 500  # the files that hold what the network reads
    counts = ptbxl.count(folder, sampling_rate=rate, folds=options.folds, missing=options.missing)
    clusters = options.clusters or [TimeClusters().n_clusters]
    settings = {
        "evaluation": NAME,
        "data": digest(folder / "ptbxl_database.csv", folder / "scp_statements.csv"),
        "records": {str(fold): n for fold, n in counts.items()},
        **shared_settings(options, net, clusters, cells_per_record(sum(counts.values()), _LEAST)),
    }
    if isinstance(nets, dict):
        settings["network"] = {str(fold): one.fingerprint for fold, one in nets.items()}
    journal = Journal(options.output, NAME, settings, say=show)
    done = journal.results
    if done is None:
        batches = _batches(folder, counts, rate, options.missing)
        rows = []
        for preset in options.presets:
            for k in clusters:
                rows += rows_of(imitate(nets, batches, journal, options, preset=preset, k=k), preset, k)
        done = journal.finish(rows, learned_folds=[] if isinstance(nets, dict) else _learned(net))
    _print(done, net)
    say(f"{options.output / NAME}.json, {options.output / NAME}.csv")
    return 0


def _networks(options: argparse.Namespace) -> tuple[ECGNetwork, ECGNetwork | dict[int, ECGNetwork]]:
    """The network, or the first one and one for every fold."""
    template = options.network
    if template is None or _FOLD not in template:
        net = network_of(options)
        return net, net
    nets = {}
    for fold in options.folds:
        options.network = template.replace(_FOLD, str(fold))
        nets[fold] = network_of(options)
        if fold in _learned(nets[fold]):
            raise ValueError(
                f"--network: expected {options.network} not to have learned from fold {fold}, got folds "
                f"{_learned(nets[fold])}; train it with --validation-folds {fold}"
            )
    return nets[options.folds[0]], nets


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
    each = "" if isinstance(done["settings"]["network"], str) else ", a network for each that did not learn from it"
    say(f"{net.name} on PTB-XL: {records} records in {len(folds)} folds{each}")
    for preset, k in dict.fromkeys((row["preset"], row["clusters"]) for row in rows):
        here = [row for row in rows if (row["preset"], row["clusters"]) == (preset, k)]
        say(f"\n{preset} ({here[0]['layers']}), {k} clusters")
        say(
            text_table(
                [["", *_COLUMNS.values()], *([r["surrogate"], *(score_cell(r, c) for c in _COLUMNS)] for r in here)]
            )
        )
        say("\nagreement and kappa for each superclass, all folds together")
        head = ["", *targets, "all"]
        pairs = [[target_cell(r, (f"agreement {t}", f"kappa {t}")) for t in targets] for r in here]
        pooled = [target_cell(r, ("agreement_pooled", "kappa_pooled")) for r in here]
        say(text_table([head, *([r["surrogate"], *p, a] for r, p, a in zip(here, pairs, pooled, strict=True))]))
        new = [f for f in folds if int(f) not in done["learned_folds"]]
        if done["learned_folds"] and new:
            row = next(r for r in here if r["surrogate"] == "clusters")
            alone = ", ".join(f"fold {f}: {row[f'agreement fold {f}']:.3f}, {row[f'kappa fold {f}']:.3f}" for f in new)
            learned = ", ".join(map(str, done["learned_folds"]))
            say(f"the network learned from folds {learned}; agreement and kappa of the clusters on others: {alone}")
    say(f"\n{_LEGEND}")


def _folds(text: str) -> list[int]:
    """A number N is the first N folds, as in N-fold cross-validation."""
    return fold_list(f"1-{text}" if text.isdigit() and text != "1" else text)
