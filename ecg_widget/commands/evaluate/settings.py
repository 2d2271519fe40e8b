"""Options, settings and tables that evaluations share."""

from __future__ import annotations

import argparse
import hashlib
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ecg_widget.commands.train import named_network

if TYPE_CHECKING:
    from ecg_widget.networks import ECGNetwork

__all__ = ["add_shared", "digest", "network_of", "number", "say", "show", "spread", "text_table"]

say = print  # a command speaks


def show(step: str) -> None:
    """Progress goes to standard error, so that a table can be redirected."""
    sys.stderr.write(f"{step}\n")
    sys.stderr.flush()


def add_shared(
    parser: argparse.ArgumentParser, data: str, network: str = "the network that comes with the package"
) -> None:
    """Declare the options of every evaluation; `data` and `network` say what is read and what is taken if none is."""
    parser.add_argument("--data", required=True, type=Path, metavar="FOLDER", help=data)
    parser.add_argument(
        "--network",
        metavar="NETWORK",
        help="a weights file (.safetensors), or FILE.py:NAME, a function in a Python file that gives an ECGNetwork; "
        f"the file is run, name only one that you trust. Default: {network}",
    )
    parser.add_argument(
        "--presets",
        type=_names,
        default="last-three-blocks",
        metavar="LAYERS",
        help="presets or layers, comma-separated; join layers with +; default: %(default)s",
    )
    parser.add_argument(
        "--clusters", type=_counts, default=None, metavar="K", help="numbers of clusters, such as 8,10 or 2-20"
    )
    parser.add_argument("--normalization", choices=("l2", "zscore"), default="l2", help="default: l2")
    parser.add_argument("--seed", type=int, default=0, help="default: 0")
    parser.add_argument("--threads", type=int, default=2, help="of the processor; default: 2")
    parser.add_argument("--missing", choices=("error", "drop"), default="error", help="records without files")
    parser.add_argument(
        "--output", type=Path, default=Path("evaluation"), metavar="FOLDER", help="default: ./%(default)s"
    )


def network_of(options: argparse.Namespace) -> ECGNetwork:
    """Load the network that was named, after setting the threads."""
    import torch  # noqa: PLC0415  (seconds)

    from ecg_widget.networks import load_network  # noqa: PLC0415

    if options.threads < 1:
        raise ValueError(f"--threads: expected at least 1, got {options.threads}")
    torch.set_num_threads(options.threads)
    return load_network() if options.network is None else named_network(options.network)


def digest(*files: Path) -> str:
    """SHA-256 of some files, so that an interrupted evaluation goes on with the same data only."""
    out = hashlib.sha256()
    for file in files:
        out.update(hashlib.sha256(file.read_bytes()).digest())
    return out.hexdigest()[:16]


def number(value: float | None, digits: int = 3) -> str:
    """A number for a table; ``-`` where there is none."""
    return "-" if value is None or math.isnan(value) else f"{value:.{digits}f}"


def spread(row: dict[str, Any], name: str) -> str:
    """Mean and standard deviation over folds."""
    return f"{number(row[f'{name}_mean'])} ±{number(row[f'{name}_sd'])}"


def text_table(rows: Sequence[Sequence[str]]) -> str:
    """Columns side by side, the first row their names.

    Examples
    --------
    >>> print(text_table([["", "kappa"], ["clusters", ".84"]]))
              kappa
    clusters  .84
    """
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join("  ".join(f"{c:<{w}}" for c, w in zip(row, widths, strict=True)).rstrip() for row in rows)


def _names(text: str) -> list[str]:
    names = [part for part in text.split(",") if part]
    if not names:
        raise argparse.ArgumentTypeError(
            f"expected names such as last-three-blocks,finest,blocks.2+blocks.3, got {text!r}"
        )
    return names


def _counts(text: str) -> list[int]:
    out: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        if not first.isdigit() or (last and not last.isdigit()):
            raise argparse.ArgumentTypeError(f"expected numbers such as 8,10 or 2-20, got {text!r}")
        out += range(int(first), int(last or first) + 1)
    if not out or min(out) < 2 or max(out) > 64:
        raise argparse.ArgumentTypeError(f"expected numbers from 2 to 64, got {text!r}")
    return list(dict.fromkeys(out))
