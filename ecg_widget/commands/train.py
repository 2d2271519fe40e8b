"""``ecg-widget train``: make the network that comes with the package, from PTB-XL."""

from __future__ import annotations

import argparse
import copy
import datetime as dt
import importlib.util
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import xarray as xr

    from ecg_widget.networks import ECGNetwork

NAME = "train"
HELP = """Train a 1D-ResNet on the five diagnostic superclasses of PTB-XL and score it.

Reads PTB-XL's folder (https://physionet.org/content/ptb-xl/, records at 100 Hz) and writes one safetensors file whose
metadata say how it was made. Records without a superclass are left out, as in the benchmark. The weights kept are the
averaged ones at the end of a schedule that is fixed beforehand; the validation fold is read once, after that, and only
to print scores: the trained network's beside those of the majority of the training labels, of random numbers, of the
same network before training, and of networks named with --teacher and --compare, all on the same records."""

_CITATION = "Wagner et al. 2020, PTB-XL, a large publicly available electrocardiography dataset, Scientific Data 7:154"
_CHECKPOINT = """averaged weights at the end of the schedule, which was fixed beforehand; the validation folds were read
once, after training, for the scores""".replace("\n", " ")
_LEGEND = """AUROC: macro mean, on probabilities; 95 %: its bootstrap interval over records; hard: macro AUROC of labels
thresholded at 0.5; accuracy and kappa: label-wise"""
_say = print  # a command speaks
_NETWORK = """a weights file (.safetensors), or FILE.py:NAME, a function without arguments in a Python file that gives
an ecg_widget.networks.ECGNetwork. The Python file is run: name only files that you trust. May be given several times"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--data", required=True, type=Path, metavar="FOLDER", help="PTB-XL's folder")
    parser.add_argument("--output", type=Path, default=Path("ptbxl_resnet1d.safetensors"), help="default: %(default)s")
    parser.add_argument("--teacher", action="append", default=[], metavar="NETWORK", help=f"learn from it: {_NETWORK}")
    parser.add_argument("--compare", action="append", default=[], metavar="NETWORK", help="score it only; as --teacher")
    parser.add_argument("--soft", type=float, default=0.7, help="share of the teachers beside labels; default: 0.7")
    parser.add_argument("--train-folds", type=fold_list, default="1-8", metavar="FOLDS", help="default: 1-8")
    parser.add_argument("--validation-folds", type=fold_list, default="9", metavar="FOLDS", help="default: 9")
    parser.add_argument("--epochs", type=int, default=60, help="passes over the records; default: %(default)s")
    parser.add_argument("--minutes", type=float, help="bound on the training time; default: none")
    parser.add_argument("--seed", type=int, default=0, help="of start values, order, augmentation; default: 0")
    parser.add_argument("--threads", type=int, default=2, help="of the processor; default: 2")
    parser.add_argument("--device", default="cpu", help="cpu, cuda, ...; default: cpu")
    parser.add_argument("--note", help="kept in the file: how the settings were chosen, for one")
    parser.add_argument("--missing", choices=("error", "drop"), default="error", help="records without files")


def run(options: argparse.Namespace) -> int:
    """Train, score, save and read back."""
    import torch  # noqa: PLC0415  (seconds)

    from ecg_widget.networks import ECGNetwork, InputSpec, ResNet1d, load_network  # noqa: PLC0415
    from ecg_widget.scores import score_table  # noqa: PLC0415
    from ecg_widget.training import Augmentation, Schedule, soft_labels, train  # noqa: PLC0415

    _check(options)
    torch.set_num_threads(options.threads)
    schedule = Schedule(epochs=options.epochs, minutes=options.minutes, soft=options.soft, seed=options.seed)
    augmentation = Augmentation()
    teachers = [named_network(text) for text in options.teacher]
    others = [named_network(text) for text in options.compare]
    learn = _read(options, options.train_folds)
    targets = [str(t) for t in learn["target"].values]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(options.seed)
        net = ECGNetwork(ResNet1d(12, len(targets)), InputSpec(), targets, "sigmoid", name="PTB-XL ResNet1d")
    before = copy.deepcopy(net).eval()
    _say(f"learning from {learn.sizes['record']} records of {_patients(learn)} patients")
    soft = soft_labels(teachers, learn) if teachers else None
    net.to(options.device)
    losses = train(net, learn, soft=soft, schedule=schedule, augmentation=augmentation, progress=_progress)
    net.to("cpu")
    _round_to_half(net)
    validation = _read(options, options.validation_folds)
    if both := set(learn["patient"].values.tolist()) & set(validation["patient"].values.tolist()):
        raise ValueError(
            f"{options.data}: expected each patient in one part, got {len(both)} in both; the folds differ"
        )
    contenders = {"this network": net, "untrained": before, **{other.name: other for other in [*teachers, *others]}}
    scores = _scores(contenders, learn, validation, options.seed)
    net.provenance = {
        "task": "the five diagnostic superclasses of PTB-XL, each yes or no; for research, not a medical device",
        "data": {
            "name": "PTB-XL",
            "citation": _CITATION,
            "doi": "10.1038/s41597-020-0495-6",
            "licence": "CC BY 4.0",
            "train": _part(learn, options.train_folds),
            "validation": _part(validation, options.validation_folds),
        },
        "pretraining": "none",
        "teachers": [_about(teacher) for teacher in teachers],
        "compared_with": [_about(other) for other in others],
        "checkpoint": _CHECKPOINT,
        **({"note": options.note} if options.note else {}),
        "schedule": schedule.to_dict(),
        "augmentation": vars(augmentation),
        "epochs_done": len(losses),
        "loss_first_last": [round(losses[0], 4), round(losses[-1], 4)],
        "seed": options.seed,
        "command": options.command_line,
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "versions": _versions(),
        "stored_as": "convolutions and matrices in float16, the rest in float32; scores are of the stored numbers",
        "scores": scores,
    }
    net.save(options.output, half=True)
    if load_network(options.output).fingerprint != net.fingerprint:
        raise ValueError(f"{options.output}: expected the weights that were scored, read others; is the disk damaged?")
    _say(f"\nfolds {options.validation_folds}, {validation.sizes['record']} records")
    _say(score_table(scores, targets))
    _say(_LEGEND)
    for other in [*teachers, *others]:  # who may have seen the validation records must be said beside the scores
        _say(f"{other.name}: {_origin(other)}")
    _say(f"\n{options.output}: {options.output.stat().st_size} bytes, fingerprint {net.fingerprint[:12]}")
    return 0


def _check(options: argparse.Namespace) -> None:
    if shared := set(options.train_folds) & set(options.validation_folds):
        raise ValueError(f"--validation-folds: expected none of the training folds, got {sorted(shared)} in both")
    if options.threads < 1:
        raise ValueError(f"--threads: expected at least 1, got {options.threads}")
    if not options.output.parent.is_dir():
        raise ValueError(f"--output: expected a folder that exists, got {options.output.parent}")


def _scores(nets: Mapping[str, ECGNetwork], learn: xr.Dataset, ds: xr.Dataset, seed: int) -> dict[str, Any]:
    import numpy as np  # noqa: PLC0415

    from ecg_widget.networks import predict  # noqa: PLC0415
    from ecg_widget.scores import score  # noqa: PLC0415

    said = {name: predict(net, ds) for name, net in nets.items()}
    said["majority"] = ds["label"] * 0.0 + (learn["label"].mean("record") >= 0.5)
    said["random"] = ds["label"].copy(data=np.random.default_rng(seed).random(ds["label"].shape))
    return {name: score(ds["label"], values) for name, values in said.items()}


def _read(options: argparse.Namespace, folds: Sequence[int]) -> xr.Dataset:
    from ecg_widget.formats import ptbxl  # noqa: PLC0415

    folder = ptbxl.locate(options.data)
    if folder is None:
        raise ValueError(
            f"--data: expected a folder with ptbxl_database.csv and scp_statements.csv, got {options.data}"
        )
    ds = ptbxl.read(folder, folds=folds, missing=options.missing)
    has_class = ds["label"].values.any(axis=1)
    return ds.isel(record=has_class).assign_attrs(without_class=int((~has_class).sum()))


def named_network(text: str) -> ECGNetwork:
    """Load what ``FILE.safetensors`` or ``FILE.py:NAME`` names; Python files are run."""
    from ecg_widget.networks import ECGNetwork, load_network  # noqa: PLC0415

    if text.endswith(".safetensors"):
        return load_network(text)
    file, _, name = text.rpartition(":")
    if not file.endswith(".py") or not name.isidentifier() or not Path(file).is_file():
        raise ValueError(f"network: expected FILE.safetensors or FILE.py:NAME with a file that exists, got {text!r}")
    spec = importlib.util.spec_from_file_location(Path(file).stem, file)
    if spec is None or spec.loader is None:
        raise ValueError(f"network: expected a Python file, got {file!r}")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    make = getattr(module, name, None)
    if not callable(make):
        raise ValueError(f"network: expected a function {name!r} in {file}, found none")  # noqa: TRY004  (user input)
    net = make()
    if not isinstance(net, ECGNetwork):
        raise TypeError(
            f"network: expected an ECGNetwork from {text}, got {type(net).__name__}; wrap the module in one"
        )
    return net


def _about(net: ECGNetwork) -> dict[str, Any]:
    return {"name": net.name, "fingerprint": net.fingerprint, **net.provenance}


def _origin(net: ECGNetwork) -> str:
    texts = [f"{key}: {value}" for key, value in net.provenance.items() if isinstance(value, str)]
    return "; ".join(texts) or "origin unknown, may have learned from these records"


def _part(ds: xr.Dataset, folds: Sequence[int]) -> dict[str, Any]:
    return {
        "folds": list(folds),
        "n_records": ds.sizes["record"],
        "n_patients": _patients(ds),
        "n_without_class_left_out": ds.attrs["without_class"],
        "n_positive": {t: int(ds["label"].sel(target=t).sum()) for t in ds["target"].values.tolist()},
        "ecg_ids": " ".join(str(int(str(r).split("_")[0])) for r in ds["record"].values),
    }


def _patients(ds: xr.Dataset) -> int:
    return len(set(ds["patient"].values.tolist()))


def _round_to_half(net: ECGNetwork) -> None:
    """Give the weights the values that they will have on disk, so that scores are of those."""
    for p in net.parameters():
        if p.ndim > 1:
            p.data = p.data.half().float()


def _versions() -> dict[str, str]:
    from importlib.metadata import version  # noqa: PLC0415

    packages = ("numpy", "scikit-learn", "torch", "wfdb", "xarray")
    from ecg_widget import __version__  # noqa: PLC0415

    return {"ecg_widget": __version__, "python": platform.python_version(), **{p: version(p) for p in packages}}


def _progress(epoch: int, loss: float) -> None:
    _say(f"epoch {epoch}: loss {loss:.4f}", flush=True)


def fold_list(text: str) -> list[int]:
    """Folds such as ``1-8`` or ``1,3,5``, ascending."""
    folds: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        if not first.isdigit() or (last and not last.isdigit()):
            raise argparse.ArgumentTypeError(f"expected folds such as 1-8 or 1,3,5, got {text!r}")
        folds += range(int(first), int(last or first) + 1)
    if not folds or not set(folds) <= set(range(1, 11)):
        raise argparse.ArgumentTypeError(f"expected folds from 1 to 10, got {text!r}")
    return sorted(set(folds))
