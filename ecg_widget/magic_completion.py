"""What the Tab key offers on a line with ``%ecg``: options, layers, targets, records, variables and paths.

Nothing is run for it but a network that is there already (its layers are found once) and nothing is opened but weights.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import xarray as xr
from IPython.core.completer import CompletionContext, SimpleCompletion, context_matcher
from torch import nn

from ecg_widget.fits import N_CLUSTERS
from ecg_widget.layers import PRESETS, list_layers
from ecg_widget.leads import LEADS
from ecg_widget.magic_values import bundled_networks, is_network, is_recording, visible
from ecg_widget.magic_words import Word, split
from ecg_widget.magics import OPTIONS
from ecg_widget.networks import load_network

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from ecg_widget.activations import Activations

__all__ = ["matcher", "offered"]

_LINE = re.compile(r"^(?P<lead>\s*(?:[^\s=%'\"#]+\s*=\s*)?(?P<magic>%{1,2})ecg)\s")
_SPECIAL = re.compile(r"([\s'\"\\{}$*?\[\]])")  # of a path, where the line would read something into it
_WEIGHTS = (".safetensors", ".py")

Found = tuple[str, Iterable[tuple[str, str]]]  # what stands before the cursor, and what may stand there, with its kind


def matcher(shell: InteractiveShell, identifier: str) -> Callable[[CompletionContext], Any]:
    """Matcher for ``shell.Completer.custom_matchers``; on other lines it offers nothing and hides nothing."""

    @context_matcher(identifier=identifier)  # type: ignore[untyped-decorator]
    def complete(context: CompletionContext) -> dict[str, Any]:
        before = context.text_until_cursor
        found = _LINE.match(before)
        if found is None or (found["magic"] == "%%" and context.cursor_line > 0):
            return {"completions": []}
        fragment, candidates = offered(before[found.end() :], visible(shell))
        few = list(candidates)[: context.limit]
        return {
            "completions": [SimpleCompletion(text, type=kind) for text, kind in few],
            "matched_fragment": fragment,
            "suppress": True,
            "ordered": True,
        }

    made: Callable[[CompletionContext], Any] = complete
    return made


def offered(line: str, names: Mapping[str, Any]) -> Found:
    """What fits at the end of a line.

    Parameters
    ----------
    line
        From the name of the magic to the cursor.
    names
        The notebook's variables.

    Returns
    -------
    fragment : str
        The end of `line` that a candidate takes the place of.
    candidates : iterable of (str, str)
        Text and kind, in the order in which they are shown.

    Examples
    --------
    >>> offered("record.edf --la", {})
    ('--la', [('--layers', 'param')])
    >>> fragment, found = offered("record.edf --layers blocks.1,blocks.", {})
    >>> fragment, [text for text, kind in found]
    ('blocks.', ['blocks.0', 'blocks.1', 'blocks.2', 'blocks.3'])
    """
    words = split(line)
    ends = bool(line) and not line[-1].isspace()
    last = words.pop() if words and (ends or words[-1].unclosed) else None
    typed = line[last.start :] if last is not None else ""
    if last is not None and last.unclosed == "{":
        return "", []  # Python, which IPython's own matchers complete
    option = words[-1] if words and words[-1].startswith("--") else ""
    if option == "" and typed.startswith("--") and "=" in typed:
        option, typed = typed.split("=", 1)
        last = split(typed)[0] if typed else None
    full = [name for name in OPTIONS if option and name.startswith(option)]
    if len(full) == 1:
        return _values(full[0], typed, last, words, names)
    if typed.startswith("-"):
        used = {word for word in words if word != "--layers"}
        return typed, [(name, "param") for name in OPTIONS if name.startswith(typed) and name not in used]
    variables = [] if last is not None and last.quoted else [n for n, v in names.items() if is_recording(v)]
    return _first(_matching(variables, typed, "instance"), typed, last)


def _values(option: str, typed: str, last: Word | None, words: Sequence[Word], names: Mapping[str, Any]) -> Found:
    if option == "--network":
        variables = [name for name, value in names.items() if is_network(value)]
        own = [*_matching(variables, typed, "instance"), *_matching(bundled_networks(), typed, "module")]
        return _first(own, typed, last, _WEIGHTS)
    listed = typed.rpartition(",")[2] if option in {"--layers", "--leads"} else typed
    quoted = listed[:1] in {'"', "'"}
    fragment = listed[1:] if quoted else listed
    values: Iterable[object] = ()
    if option == "--layers":
        values = [*_layers(words, names), *PRESETS]
    elif option == "--leads":
        values = LEADS
    elif option == "--target":
        values = getattr(_network(words, names), "targets", ())
    elif option == "--record":
        values = _records(words, names)
    elif option == "--clusters":
        values = range(N_CLUSTERS[0], N_CLUSTERS[1] + 1)
    elif option == "--units":
        values = ("mV", "uV", "V")
    elif option == "--device":
        values = (
            "cpu",
            *(["cuda", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))] * torch.cuda.is_available()),
        )
    protect = (lambda text: text) if quoted else _protected
    return fragment, [(protect(text), kind) for text, kind in _matching(map(str, values), fragment, "text")]


def _matching(candidates: Iterable[str], typed: str, kind: str) -> list[tuple[str, str]]:
    hidden = () if typed.startswith("_") else ("_",)
    return [(text, kind) for text in candidates if text.startswith(typed) and not text.startswith(hidden)]


def _first(own: list[tuple[str, str]], typed: str, last: Word | None, endings: Sequence[str] = ()) -> Found:
    """Names, then paths; the paths as they have to be typed where the cursor is, in quotes or not."""
    if last is None or not last.quoted:
        paths = [(_protected(path), "path") for path in _paths(str(last or ""), endings)]
        return typed, [*own, *paths]
    quote = typed[0]
    if quote not in "'\"":  # quotes in the middle of a word: too odd to complete
        return "", []
    return typed[1:], [(path, "path") for path in _paths(str(last), endings)]


def _protected(text: str) -> str:
    if not _SPECIAL.search(text):
        return text
    return _SPECIAL.sub(r"\\\1", text) if os.name == "posix" and not set(text) & set("{}$") else f'"{text}"'


def _paths(text: str, endings: Sequence[str]) -> Iterator[str]:
    """Files and folders that begin so, folders first, ``~`` kept as it was typed."""
    head, name = text[: len(text) - len(os.path.basename(text))], os.path.basename(text)  # noqa: PTH119
    folder = Path(os.path.expanduser(head) or ".")  # noqa: PTH111
    if text == "~":
        yield "~/"
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: (not entry.is_dir(), entry.name))
    except OSError:
        return
    for entry in entries:
        if entry.name.startswith(name) and (name.startswith(".") or not entry.name.startswith(".")):
            if entry.is_dir():
                yield f"{head}{entry.name}/"
            elif not endings or entry.name.endswith(tuple(endings)):
                yield f"{head}{entry.name}"


def _after(option: str, words: Sequence[Word]) -> Word | None:
    """What stands behind an option on the line."""
    for place, word in enumerate(words[:-1]):
        if word == option:
            return words[place + 1]
    return None


def _network(words: Sequence[Word], names: Mapping[str, Any]) -> nn.Module | Activations | None:
    """The network that the line names, where it is there without running anything."""
    word = _after("--network", words)
    if word is None:
        return _loaded(str(next(iter(bundled_networks().values()))), 0)
    if not word.quoted and is_network(names.get(word)):
        found: nn.Module | Activations = names[word]
        return found
    path = bundled_networks().get(word, Path(os.path.expanduser(word)))  # noqa: PTH111
    if path.suffix != ".safetensors" or not path.is_file():
        return None
    return _loaded(str(path), path.stat().st_mtime_ns)


@functools.lru_cache(maxsize=4)
def _loaded(path: str, _changed: int) -> nn.Module | None:
    try:
        return load_network(path)
    except (ValueError, OSError):  # which the magic itself will say
        return None


def _layers(words: Sequence[Word], names: Mapping[str, Any]) -> list[str]:
    network = _network(words, names)
    if network is None:
        return []
    try:
        return list_layers(network)
    except ValueError:
        return []


def _records(words: Sequence[Word], names: Mapping[str, Any]) -> list[str]:
    """Records of a variable on the line."""
    sets = [names[word] for word in words if not word.quoted and isinstance(names.get(word), xr.Dataset)]
    return [str(name) for ds in sets[:1] if "record" in ds.coords for name in ds["record"].values]
