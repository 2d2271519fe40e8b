"""``ecg-widget evaluate``: the method on real recordings, beside what needs no method.

An evaluation is a module of this package with ``NAME``, ``HELP``, ``add_arguments(parser)`` and ``run(options)``,
which gives the exit status.
"""

from __future__ import annotations

import argparse
import importlib
import pkgutil

NAME = "evaluate"
HELP = """Measure on real recordings how far the clusters can be believed.

Each evaluation prints a table, writes it as JSON and CSV into --output, and continues where it was interrupted when the
same command is given again."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the evaluations and their options."""
    evaluations = parser.add_subparsers(required=True, metavar="evaluation")
    for info in pkgutil.iter_modules(__path__):
        module = importlib.import_module(f"{__name__}.{info.name}")
        if not hasattr(module, "NAME"):
            continue
        sub = evaluations.add_parser(
            module.NAME,
            help=module.HELP.splitlines()[0],
            description=module.HELP,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.add_arguments(sub)
        sub.set_defaults(evaluate=module.run)


def run(options: argparse.Namespace) -> int:
    """Run the evaluation that was named."""
    return int(options.evaluate(options))
