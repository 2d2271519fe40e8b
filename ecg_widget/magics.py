"""``%load_ext ecg_widget``: the magics ``%ecg`` and ``%%ecg``, which show recordings as a network sees them."""

from __future__ import annotations

import ast
import difflib
import logging
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import traitlets as t
from IPython.core.error import UsageError
from IPython.core.magic import Magics, line_cell_magic, magics_class, no_var_expand
from IPython.core.magic_arguments import MagicArgumentParser
from torch import nn

from ecg_widget.activations import Activations
from ecg_widget.fits import ANCHOR
from ecg_widget.magic_values import device_of, network_of, recordings_of, recordings_of_value, refused, words_of
from ecg_widget.magic_words import split, value_of

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from ecg_widget.widget import ECGWidget

__all__ = ["OPTIONS", "EcgMagics", "load", "unload"]

log = logging.getLogger(__name__)

_MATCHER = "ecg_widget.magic_completion"


def load(shell: InteractiveShell) -> None:
    """Register the magics and their completion; what ``%load_ext ecg_widget`` calls."""
    from ecg_widget.magic_completion import matcher  # noqa: PLC0415  (it imports this module)

    shell.register_magics(EcgMagics(shell))
    unload_matcher(shell)
    shell.Completer.custom_matchers.append(matcher(shell, _MATCHER))


def unload(shell: InteractiveShell) -> None:
    """Take them away again; what ``%unload_ext ecg_widget`` calls."""
    unload_matcher(shell)
    for kind in shell.magics_manager.magics.values():
        kind.pop("ecg", None)


def unload_matcher(shell: InteractiveShell) -> None:
    """Leave the completer without ours, so that loading twice completes once."""
    others = [m for m in shell.Completer.custom_matchers if getattr(m, "matcher_identifier", "") != _MATCHER]
    shell.Completer.custom_matchers[:] = others


_ABOUT = """Show a recording as a network sees it; the widget is returned, as in w = %ecg recording.edf

    %ecg records500/00000/00001_hr
    %ecg "my records/holter.edf" --clusters 8 --layers blocks.2,blocks.3
    %ecg ds --network net --target AF
    %ecg {folder}/{number:05d}_hr

Over a cell, the cell's last line gives the recording:

    %%ecg --clusters 6
    ds = ecg.open_ecg("records500/00000/00001_hr")
    ecg.filter_ecg(ds, low=0.5)
"""
_RECORDING = """path of a recording in any format that open_ecg reads (several paths or a pattern are read together), or
a variable: a Dataset, an array, a path or a list of paths. Quoted text is always a path; {expression} and $name are
filled in, ~ is your home folder"""
_NETWORK = """a variable with a torch module or activations, the name of a network that comes with the package
(ptbxl_resnet1d, used by default), a .safetensors file, or FILE.py:FUNCTION, which is run"""


def _parser() -> MagicArgumentParser:
    made = MagicArgumentParser("ecg", description=_ABOUT)  # type: ignore[no-untyped-call]
    add = made.add_argument
    add("recording", nargs="*", help=_RECORDING)
    add("--network", help=_NETWORK)
    add("--layers", action="append", help="names parted by commas, or last-three-blocks (default), finest, all")
    add("--clusters", type=int, default=ANCHOR, help=f"2 to 20; default: {ANCHOR}")
    add("--threshold", type=float, help="entropy above which a cell is greyed, 0 to 1")
    add("--record", help="name of the record that is shown first")
    add("--target", help="the network's output that is shown first")
    add("--device", help="cpu, cuda, cuda:1, mps; default: CUDA where there is one")
    add("--leads", help="leads to read, parted by commas; of an array: its leads, in their order")
    add("--units", help="of files and arrays that do not state a voltage: mV, uV, V or such as 1e-4V")
    add("--sampling-rate", type=float, help="Hz, of files and arrays that do not state it")
    return made


_PARSER = _parser()
OPTIONS = [name for action in _PARSER._actions for name in action.option_strings]  # noqa: SLF001
"""Options of the magic, as its parser has them."""


@magics_class
class EcgMagics(Magics):
    """``%ecg RECORDING [options]``, and ``%%ecg [options]`` over Python whose last line gives the recording."""

    @no_var_expand
    @line_cell_magic
    def ecg(self, line: str, cell: str | None = None) -> ECGWidget:
        """Show a recording; what it takes is `_parser`'s, which also writes what ``%ecg?`` shows."""
        __tracebackhide__ = True  # of an error in the cell the user sees the cell
        words = split(line)
        if words and words[-1].unclosed:
            raise refused(f"{words[-1]}: expected a closing {'}' if words[-1].unclosed == '{' else words[-1].unclosed}")
        options = _parsed(words)
        if cell is not None and options.recording:
            raise refused(
                f"expected a recording from the cell's last line, got {options.recording[0]!r} beside it; use %ecg"
            )
        given = None if cell is None else self._run(cell)
        try:
            return self._explored(options, given, is_cell=cell is not None)
        except UsageError:
            raise
        except (ValueError, TypeError, OSError, ImportError, t.TraitError) as error:
            log.debug("%%ecg", exc_info=error)
            raise refused(str(error)) from error

    def _explored(self, options: Any, given: Any, *, is_cell: bool) -> ECGWidget:
        from ecg_widget.live import explore  # noqa: PLC0415  (needs Jupyter)

        shell = self.shell
        from_line = recordings_of if not is_cell else recordings_of_value
        ds = from_line(given if is_cell else options.recording, options, shell)
        source = network_of(options.network, shell)
        return explore(
            source if isinstance(source, nn.Module) else None,
            ds,
            activations=source if isinstance(source, Activations) else None,
            layers=words_of([self._text(part) for part in options.layers]) if options.layers else None,
            n_clusters=options.clusters,
            threshold=options.threshold,
            record=None if options.record is None else self._text(options.record),
            target=None if options.target is None else self._text(options.target),
            device=device_of(self._text(options.device)) if options.device else None,
        )

    @property
    def _names(self) -> dict[str, Any]:
        """The notebook's variables."""
        shell: Any = self.shell
        return cast("dict[str, Any]", shell.user_ns)

    def _text(self, word: str) -> str:
        return str(value_of(word, self._names))

    def _run(self, cell: str) -> Any:
        """Run a cell as IPython does, in the notebook's namespace; the value of its last line.

        That is an expression or the assignment of one name. Errors of the cell are the user's, with their traceback.
        """
        __tracebackhide__ = True
        shell: Any = self.shell
        text = shell.transform_cell(cell)
        tree = shell.transform_ast(shell.compile.ast_parse(text))
        run = partial(shell.compile, filename=shell.compile.cache(text, shell.execution_count, raw_code=cell))
        last = tree.body[-1] if tree.body else None
        names = self._names
        if not isinstance(last, ast.Expr):
            exec(run(tree, symbol="exec"), names)  # noqa: S102  (the user's own cell)
            target = last.targets[0] if isinstance(last, ast.Assign) and len(last.targets) == 1 else None
            return names.get(target.id) if isinstance(target, ast.Name) else None
        before = ast.Module(tree.body[:-1], type_ignores=[])
        exec(run(before, symbol="exec"), names)  # noqa: S102
        return eval(run(ast.Expression(last.value), symbol="eval"), names)  # noqa: S307


def _parsed(words: Sequence[str]) -> Any:
    """Options of the line; one that does not exist is refused with the one that comes close."""
    try:
        options, unknown = _PARSER.parse_known_intermixed_args(words)  # paths and options in any order
    except UsageError as error:
        raise refused(str(error).removeprefix("argument ")) from error
    if unknown:
        close = difflib.get_close_matches(unknown[0], OPTIONS, n=1)
        hint = f"; did you mean {close[0]}?" if close else ""
        raise refused(f"expected options among {', '.join(OPTIONS)}, got {unknown[0]}{hint}")
    return options


EcgMagics.ecg.__doc__ = _PARSER.format_help()  # what %ecg? shows
