"""``ecg-widget evaluate code15``: surrogate fidelity of an age network on CODE-15%, fold by fold."""

from __future__ import annotations

import argparse
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ecg_widget.commands.evaluate.fidelity_table import (
    cells_per_record,
    imitate,
    rows_of,
    score_cell,
    shared_settings,
)
from ecg_widget.commands.evaluate.settings import add_shared, digest, network_of, number, say, show, text_table

if TYPE_CHECKING:
    import xarray as xr

    from ecg_widget.evaluation.fidelity import Batches
    from ecg_widget.networks import ECGNetwork

NAME = "code15"
HELP = """Imitate a network's age by a random forest on the proportions of its clusters, on CODE-15%.

For every fold of patients, clusters and forests are made from the other folds and scored on it: R2, mean absolute error
and Spearman's rank correlation with the network's age, and the same with the true age. Always beside them: the mean
age, random centroids, the same network with weights drawn anew, pooled activations and plain intervals; and the age
that the authors' network gave (column nn_predicted_age of exams.csv). No age network comes with the package: name one
with --network. Reads a part of the exams at a time."""

_BATCH = 128  # exams read at a time: 25 MB of signals at 400 Hz, about 0.5 GB with the activations of three blocks
_LEAST = 2  # cells of an exam to fit clusters on: the whole set has 345,779 exams
_SHORTEST = 1.0  # s with signal; CODE-15% has 670 exams without any
_REFERENCE = "nn_predicted_age"
_COLUMNS = {
    "r2": "R2",
    "mae": "MAE",
    "spearman": "Spearman",
    "r2_label": "R2 age",
    "mae_label": "MAE age",
    "spearman_label": "Spearman age",
}
_LEGEND = """mean ±standard deviation over held-out folds of patients. R2, MAE (years), Spearman: with the network's
age; ... age: with the true age. mean: the network's mean over the other folds"""
_NEEDED = """--network: expected the age network to imitate, got none, and no age network comes with the package. Name a
weights file that ECGNetwork.save wrote, or FILE.py:NAME, a function that gives an ECGNetwork with one target and the
output "identity", such as

    def age():
        module = ecg_widget.networks.RibeiroResNet(12, 1)
        state = torch.load("model.pth", map_location="cpu", weights_only=True)["model"]
        module.load_state_dict(module.rename_published(state))
        spec = ecg_widget.InputSpec(sampling_rate=400, n_samples=4096, units="1e-4V")
        return ecg_widget.ECGNetwork(module, spec, ["age"], "identity")"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_shared(parser, "the folder of exams.csv and the HDF5 files", "none, which tells what is needed")
    parser.add_argument("--folds", type=int, default=10, metavar="N", help="of patients; default: %(default)s")
    parser.add_argument("--trees", type=int, default=100, help="of each forest; default: %(default)s")
    parser.add_argument(
        "--records",
        type=_number_or_all,
        default="20000",
        metavar="N",
        help="exams at most, of whole patients drawn by a hash of their number; or all; default: %(default)s",
    )
    parser.add_argument("--units", help="of the stored values, such as mV; default: 1e-4V if that is plausible")


def run(options: argparse.Namespace) -> int:
    """Evaluate, or print again what was evaluated."""
    from ecg_widget.clusters import TimeClusters  # noqa: PLC0415
    from ecg_widget.evaluation.journal import Journal  # noqa: PLC0415
    from ecg_widget.formats import code15  # noqa: PLC0415
    from ecg_widget.records import millivolts  # noqa: PLC0415

    folder = code15.locate(options.data)
    if folder is None or not folder.is_dir():
        raise ValueError(f"--data: expected a folder with exams.csv and HDF5 files, got {options.data}")
    if options.folds < 2:
        raise ValueError(f"--folds: expected two or more, got {options.folds}")
    if options.units is not None:
        millivolts(options.units)
    selection = {"n_folds": options.folds, "missing": options.missing, "most": options.records}
    counts = code15.count(folder, **selection)
    if len(counts) < 2:
        raise ValueError(
            f"--data: expected patients in two folds or more, got {counts}; use more exams or other --folds"
        )
    if options.network is None:
        say(_reference_alone(folder, selection))
        raise ValueError(_NEEDED)
    net = network_of(options)
    if net.output_kind != "value" or len(net.targets) != 1:
        raise ValueError(
            f"--network: expected one target and the output 'identity' (an age in years), got the targets "
            f"{list(net.targets)} and the output {net.output!r}"
        )
    clusters = options.clusters or [TimeClusters().n_clusters]
    n_exams = sum(counts.values())
    settings = {
        "evaluation": NAME,
        "data": digest(folder / "exams.csv"),
        "files": code15.sizes(folder),
        "records": {str(fold): n for fold, n in counts.items()},
        "units": options.units,
        **shared_settings(options, net, clusters, cells_per_record(n_exams, _LEAST)),
    }
    journal = Journal(options.output, NAME, settings, say=show)
    done = journal.results
    if done is None:
        reader = partial(_read, folder, selection, options.units, net.targets[0])
        batches = _batches(reader, n_exams)
        stored = reader(slice(1)).attrs["stored_units"]
        rows = []
        for preset in options.presets:
            for k in clusters:
                result = imitate(net, batches, journal, options, preset=preset, k=k)
                rows += rows_of(_with_reference(result, folder, selection), preset, k)
        done = journal.finish(rows, stored_units=stored, left_out=n_exams - result.sizes["record"])
    _print(done, net)
    say(f"{options.output / NAME}.json, {options.output / NAME}.csv")
    return 0


def _read(folder: Path, selection: dict[str, Any], units: str | None, target: str, part: slice) -> xr.Dataset:
    """Some exams with their true age as the label, without those that hold no signal."""
    from ecg_widget.formats import code15  # noqa: PLC0415

    ds = code15.read(folder, units=units, part=part, **selection).drop_dims("target")
    return ds.assign(label=(("record", "target"), ds["age"].values[:, None])).assign_coords(target=[target])


def _batches(reader: Any, n_exams: int) -> Batches:
    """Stretches of files, of nearly equal lengths: folds are scattered over the files, so none is read on its own."""
    import numpy as np  # noqa: PLC0415

    n_batches = -(-n_exams // _BATCH)
    edges = np.linspace(0, n_exams, n_batches + 1).astype(int).tolist()

    def recorded(part: slice) -> xr.Dataset:
        ds = reader(part)
        values = ds["signal"].values
        some = (values != 0).any(axis=1) & np.isfinite(values).all(axis=1)
        kept = ds.isel(record=some.sum(axis=1) >= _SHORTEST * ds["time"].attrs["sampling_rate"])
        if not kept.sizes["record"]:
            raise ValueError(
                f"exams {part.start} to {part.stop - 1}: expected some with {_SHORTEST:g} s of signal, got none"
            )
        return kept

    return [partial(recorded, slice(a, b)) for a, b in pairwise(edges)]


def _with_reference(result: xr.Dataset, folder: Path, selection: dict[str, Any]) -> xr.Dataset:
    """Add what the authors' network said as one more surrogate, and call the majority of numbers what it is."""
    import numpy as np  # noqa: PLC0415
    import xarray as xr  # noqa: PLC0415

    from ecg_widget.evaluation.surrogates import surrogate_scores  # noqa: PLC0415
    from ecg_widget.formats import code15  # noqa: PLC0415

    names = result["surrogate"].values.tolist()
    named = result.assign_coords(surrogate=["mean" if n == "majority" else n for n in names])
    age, said = code15.ages(folder, result["record"].values.tolist(), **selection)
    if not np.isfinite(said).all():
        return named
    network = result["prediction"].sel(surrogate="network", drop=True).assign_attrs(output="value", hard="sigmoid")
    scores = surrogate_scores({_REFERENCE: said[:, None]}, network, result["record_fold"].values, age[:, None])
    return xr.concat(
        [named.drop_vars("prediction"), scores.sel(surrogate=[_REFERENCE])], "surrogate", combine_attrs="override"
    )


def _reference_alone(folder: Path, selection: dict[str, Any]) -> str:
    """What the column of the authors' network is worth, which needs no network."""
    import numpy as np  # noqa: PLC0415

    from ecg_widget.evaluation.surrogates import regression_scores  # noqa: PLC0415
    from ecg_widget.formats import code15  # noqa: PLC0415

    age, said = code15.ages(folder, None, **selection)
    both = np.isfinite(age) & np.isfinite(said)
    if both.sum() < 2:
        return f"{len(age)} exams, without {_REFERENCE} to compare with the true age"
    r2, mae, rank = regression_scores(said[both][:, None], age[both][:, None])
    return (
        f"{_REFERENCE}, the age that the authors' network gave, with the true age of {both.sum()} exams: "
        f"R2 {number(r2)}, MAE {number(mae)} years, Spearman {number(rank)}"
    )


def _print(done: dict[str, Any], net: ECGNetwork) -> None:
    rows, settings = done["rows"], done["settings"]
    records = sum(settings["records"].values())
    left = f", {done['left_out']} without signal left out" if done["left_out"] else ""
    say(f"{net.name} on CODE-15%: {records} exams in {len(settings['records'])} folds of patients{left}")
    say(f"stored values: {done['stored_units']}")
    for preset, k in dict.fromkeys((row["preset"], row["clusters"]) for row in rows):
        here = [row for row in rows if (row["preset"], row["clusters"]) == (preset, k)]
        say(f"\n{preset} ({here[0]['layers']}), {k} clusters")
        lines = [[r["surrogate"], *(score_cell(r, c) for c in _COLUMNS)] for r in here]
        say(text_table([["", *_COLUMNS.values()], *lines]))
    say(f"\n{_LEGEND}")


def _number_or_all(text: str) -> int | None:
    if text == "all":
        return None
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a number of exams such as 20000, or all, got {text!r}")
    return int(text)
