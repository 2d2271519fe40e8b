"""The line of a magic, split into words: quotes, spaces in paths, and Python in braces, which may hold spaces too."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Word", "split", "value_of"]

_ESCAPES = os.name == "posix"  # elsewhere a backslash parts folders
_VARIABLE = re.compile(r"\$([A-Za-z_]\w*)")


@dataclass(frozen=True)
class _Part:
    text: str
    is_code: bool


class Word(str):
    """One word of the line, without its quotes; a `str` for argparse that remembers how it was typed.

    Attributes
    ----------
    parts
        Of text and of Python, in their order.
    start : int
        Its place in the line.
    quoted : bool
        Whether any of it stood in quotes.
    unclosed : str
        The quote or brace that is open at the end of the line; ``""`` for none.
    """

    __slots__ = ("parts", "quoted", "start", "unclosed")

    parts: tuple[_Part, ...]
    start: int
    quoted: bool
    unclosed: str


def split(line: str) -> list[Word]:
    r"""Words of a line.

    Spaces part words but for those in quotes, in braces and, on POSIX, behind a backslash. ``{{`` is a brace.

    Parameters
    ----------
    line
        What follows the name of the magic.

    Returns
    -------
    list of Word
        The last one with ``unclosed`` where the line ends inside quotes or braces.

    Examples
    --------
    >>> split("'my records/a b' {folder / 'x y'}/00001 --clusters 8")
    ['my records/a b', "{folder / 'x y'}/00001", '--clusters', '8']
    """
    words, at = [], 0
    while at < len(line):
        if line[at].isspace():
            at += 1
        else:
            word, at = _word(line, at)
            words.append(word)
    return words


def _word(line: str, start: int) -> tuple[Word, int]:
    parts: list[_Part] = []
    text, quote, quoted, at = "", "", False, start
    unclosed = ""
    while at < len(line) and (quote or not line[at].isspace()):
        character, following = line[at], line[at + 1 : at + 2]
        if character in "{}" and following == character:
            text, at = text + character, at + 2
        elif character == "{":
            end = _closing(line, at)
            parts += [_Part(text, is_code=False)] if text else []
            parts.append(_Part(line[at + 1 : end], is_code=True))
            unclosed = "{" if end == len(line) else ""
            text, at = "", end + 1
        elif character == quote:
            quote, at = "", at + 1
        elif not quote and character in "'\"":
            quote, quoted, at = character, True, at + 1
        elif _ESCAPES and character == "\\" and following and (not quote or (quote == '"' and following in '"\\')):
            text, at = text + following, at + 2
        else:
            text, at = text + character, at + 1
    parts += [_Part(text, is_code=False)] if text else []
    word = Word("".join(f"{{{part.text}}}" if part.is_code else part.text for part in parts))
    word.parts, word.start, word.quoted, word.unclosed = tuple(parts), start, quoted, quote or unclosed
    return word, min(at, len(line))


def _closing(line: str, start: int) -> int:
    """Place of the brace that closes the one at `start`, braces in Python's strings apart; the line's end if none."""
    depth, quote, at = 0, "", start
    while at < len(line):
        character = line[at]
        if quote:
            at += character == "\\"
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        elif character in "{}":
            depth += 1 if character == "{" else -1
            if depth == 0:
                return at
        at += 1
    return len(line)


def value_of(word: str, names: Mapping[str, Any]) -> Any:
    """What a word stands for: the value itself of ``{...}`` alone, else text with ``{...}`` and ``$name`` filled in.

    Parameters
    ----------
    word
        Of `split`; plain text stays as it is but for ``$name``.
    names
        Variables. A ``$name`` that is none of them is taken from the environment, else left alone.

    Raises
    ------
    ValueError
        Braces that are not closed, or hold what is no Python or fails; the message says which.

    Examples
    --------
    >>> value_of(split("{folder}/{n + 1:05d}_hr")[0], {"folder": "records", "n": 6})
    'records/00007_hr'
    >>> value_of(split("{n + 1}")[0], {"n": 6})
    7
    """
    if getattr(word, "unclosed", ""):
        raise ValueError(f"{word}: expected a closing {'}' if word.unclosed == '{' else word.unclosed}, got none")  # type: ignore[attr-defined]
    parts = word.parts if isinstance(word, Word) else (_Part(word, is_code=False),)
    if len(parts) == 1 and parts[0].is_code:
        return _evaluated(parts[0].text, names)
    return "".join(
        str(_evaluated(part.text, names)) if part.is_code else _VARIABLE.sub(lambda m: _named(m, names), part.text)
        for part in parts
    )


def _named(found: re.Match[str], names: Mapping[str, Any]) -> str:
    name = found[1]
    return str(names[name]) if name in names else os.environ.get(name, found[0])


def _evaluated(code: str, names: Mapping[str, Any]) -> Any:
    try:
        try:
            return _eval(code, names)
        except SyntaxError:  # with a format behind a colon
            value, colon, form = code.rpartition(":")
            if not colon:
                raise
            return format(_eval(value, names), form)
    except Exception as error:
        raise ValueError(f"{{{code}}}: expected a value, got {type(error).__name__}: {error}") from error


def _eval(code: str, names: Mapping[str, Any]) -> Any:
    return eval(compile(code.strip(), "<%ecg>", "eval"), {**names})  # noqa: S307  (typed by the user, as in any cell)
