"""``ecg-widget evaluate explanations``: whether the clusters of a network explain it, and how far by chance."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ecg_widget.commands.evaluate.explanation_study import Study
from ecg_widget.commands.evaluate.explanation_tables import print_tables, table_rows
from ecg_widget.commands.evaluate.settings import _counts as counts
from ecg_widget.commands.evaluate.settings import add_shared, network_of, say, show
from ecg_widget.commands.train import fold_list

if TYPE_CHECKING:
    import xarray as xr

NAME = "explanations"
HELP = """Put the explanations of a network to the test, on PTB-XL.

Clusters are made from the records of --fit-folds and tested on those of --folds: whether the output falls when runs are
deleted in the order of their contributions, beside random runs of equal lengths, Grad-CAM and integrated gradients;
whether clusters come out alike with other seeds, records, shifts and noise; what is left of them when the network's
weights are drawn anew, with --ludb of their alignment with P, QRS and T too; whether ambiguous records are those that
the network gets wrong; and which labels to look at again."""

_LABEL_COUNT = 10  # records of the audit that are printed


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_shared(parser, "PTB-XL's folder")
    parser.add_argument("--ludb", type=Path, metavar="FOLDER", help="LUDB's folder, for alignment without training")
    parser.add_argument("--folds", type=fold_list, default="9", metavar="FOLDS", help="explained; default: 9")
    parser.add_argument(
        "--fit-folds", type=fold_list, default="1-8", metavar="FOLDS", help="clustered; default: %(default)s"
    )
    parser.add_argument(
        "--fit-records", type=int, default=400, help="clustered at most, evenly over the table; default: %(default)s"
    )
    parser.add_argument(
        "--methods",
        default="contribution,gradcam,ig",
        help="orders of deletion, comma-separated; default: %(default)s",
    )
    parser.add_argument("--steps", type=int, default=10, help="of deletion; default: %(default)s")
    parser.add_argument("--placements", type=int, default=5, help="of random runs; default: %(default)s")
    parser.add_argument("--seeds", type=int, default=10, help="of k-means, and draws of records; default: %(default)s")
    parser.add_argument(
        "--stability-clusters", type=counts, default="2-20", metavar="K", help="for other seeds; default: %(default)s"
    )
    parser.add_argument("--weight-seeds", type=int, default=3, help="of random weights; default: %(default)s")
    parser.add_argument("--figures", action="store_true", help="write each figure too, as PNG")


def run(options: argparse.Namespace) -> int:
    """Evaluate, or print again what was evaluated."""
    from ecg_widget.evaluation.documents import from_document, to_document  # noqa: PLC0415
    from ecg_widget.evaluation.journal import Journal  # noqa: PLC0415
    from ecg_widget.formats import ptbxl  # noqa: PLC0415

    folder = ptbxl.locate(options.data)
    if folder is None:
        raise ValueError(
            f"--data: expected a folder with ptbxl_database.csv and scp_statements.csv, got {options.data}"
        )
    _check(options)
    net = network_of(options)
    study = Study(options, net, folder)
    journal = Journal(options.output, NAME, {"evaluation": NAME, **study.settings}, say=show)
    done = journal.results
    if done is None:
        found = study.measure(journal)
        done = journal.finish(table_rows(found), results={name: to_document(r) for name, r in found.items()})
    results = {name: from_document(document) for name, document in done["results"].items()}
    print_tables(results, done["settings"], _LABEL_COUNT)
    say(f"{options.output / NAME}.json, {options.output / NAME}.csv")
    if options.figures:
        say(", ".join(map(str, _draw(results, options.output))))
    return 0


def _check(options: argparse.Namespace) -> None:
    for name, given in (("--presets", options.presets), ("--clusters", options.clusters or [0])):
        if len(given) != 1:
            raise ValueError(f"{name}: expected one for this evaluation, got {given}; give others a run of their own")
    if both := sorted(set(options.folds) & set(options.fit_folds)):
        raise ValueError(f"--folds: expected others than --fit-folds, got {both} in both")
    for name, least in (("fit_records", 10), ("steps", 1), ("placements", 1), ("seeds", 2), ("weight_seeds", 1)):
        if getattr(options, name) < least:
            raise ValueError(f"--{name.replace('_', '-')}: expected {least} or more, got {getattr(options, name)}")


def _draw(results: dict[str, xr.Dataset], folder: Path) -> list[Path]:
    """A PNG file for each result."""
    from matplotlib.figure import Figure  # noqa: PLC0415

    from ecg_widget import figures  # noqa: PLC0415

    files = []
    for name, result in results.items():
        figure = Figure(figsize=(7, 4.5), layout="constrained")
        getattr(figures, f"plot_{name.removesuffix('_waves')}")(result, ax=figure.add_subplot())
        files.append(folder / f"{NAME}_{name}.png")
        figure.savefig(files[-1], dpi=150)
    return files
