"""What recorded: maker and model, where a file has fields for them. Serial numbers, places and people stay in it."""

from __future__ import annotations

__all__ = ["device"]

_LONGEST = 64  # characters of maker and model; a longer "model" is a text of somebody's
_SAYS_NOTHING = {"unknown", "none", "n/a"}


def device(*words: str) -> dict[str, str]:
    """Give ``{"device": ...}`` for a Dataset's attrs, or nothing where nothing is said.

    Parameters
    ----------
    *words
        Maker and model as the file states them, "" for none.

    Examples
    --------
    >>> device("Mortara Instrument, Inc.", "ELI250"), device("", "unknown")
    ({'device': 'Mortara Instrument, Inc. ELI250'}, {})
    """
    said = [" ".join(word.split()) for word in words]
    said = [word for word in said if word.isprintable() and 0 < len(word) <= _LONGEST]
    told = " ".join(dict.fromkeys(word for word in said if word.lower() not in _SAYS_NOTHING))
    return {"device": told} if told else {}
