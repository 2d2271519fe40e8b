"""The command ``ecg-widget``.

A subcommand is a module of `ecg_widget.commands` with ``NAME``, ``HELP``, ``add_arguments(parser)`` and
``run(options) -> int``; it imports what is slow inside ``run``, so that help comes at once.
"""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import shlex
import sys
from collections.abc import Sequence

from ecg_widget import __version__, commands

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Parameters
    ----------
    argv
        Arguments; default those of the process.

    Returns
    -------
    int
        0: done; 1: failed, with the reason on standard error.
    """
    parser = argparse.ArgumentParser(prog="ecg-widget", description="See an ECG as a neural network sees it.")
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    subparsers = parser.add_subparsers(required=True, metavar="command")
    for info in pkgutil.iter_modules(commands.__path__):
        command = importlib.import_module(f"{commands.__name__}.{info.name}")
        sub = subparsers.add_parser(
            command.NAME,
            help=command.HELP.splitlines()[0],
            description=command.HELP,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.add_arguments(sub)
        sub.set_defaults(run=command.run)
    arguments = sys.argv[1:] if argv is None else list(argv)
    options = parser.parse_args(arguments)
    options.command_line = shlex.join(["ecg-widget", *arguments])
    try:
        return int(options.run(options))
    except (OSError, ValueError, TypeError, FloatingPointError, ImportError) as error:  # users can mend it: one line
        print(f"ecg-widget: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
