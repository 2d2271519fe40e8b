"""Lead names: the many spellings of files, one spelling and one order here."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

LEADS = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")
"""The twelve standard leads, in the order in which this package keeps them."""

_LONGEST_NAME = 64  # characters; a longer "name" is a file that is not what it seems

_STANDARD = {name.upper(): name for name in LEADS}
_ALIASES = {  # Romance-language labels and plain numbers of the bipolar limb leads
    **dict.fromkeys(("DI", "D1", "L1"), "I"),
    **dict.fromkeys(("DII", "D2", "L2"), "II"),
    **dict.fromkeys(("DIII", "D3", "L3"), "III"),
}
_PREFIX = re.compile(r"^(?:MDC_ECG_LEAD_|LEAD[ _:-]+|ECG[ _:-]+|EKG[ _:-]+)", re.IGNORECASE)
_SUFFIX = re.compile(r"\s*\((?:Einthoven|Goldberger|Wilson)\)$|[ _-]+LEAD$", re.IGNORECASE)


def canonical_lead(name: str) -> str:
    """Spell a lead's name as this package does.

    Parameters
    ----------
    name
        As a file states it: any case, ``DI``, ``Lead I (Einthoven)``, ``MDC_ECG_LEAD_AVR``, ``ECG V1``, ...

    Returns
    -------
    str
        One of `LEADS` where the name is a spelling of one of them. Any other name (``MLII``, ``Vx``, ``V3R``,
        ``-aVR``) is kept as it stands, without outer blanks and the ``MDC_ECG_LEAD_`` prefix: a modified or reversed
        lead is another lead.

    Raises
    ------
    TypeError
        Not text.
    ValueError
        Empty, longer than 64 characters or with unprintable characters.

    Examples
    --------
    >>> [canonical_lead(n) for n in ("avr", "DI", "Lead V1", "MDC_ECG_LEAD_III", "MLII")]
    ['aVR', 'I', 'V1', 'III', 'MLII']
    """
    if not isinstance(name, str):
        raise TypeError(f"lead name: expected text, got {type(name).__name__} {name!r}")
    text = name.strip()
    if not text or len(text) > _LONGEST_NAME or not text.isprintable():
        raise ValueError(f"lead name: expected 1 to {_LONGEST_NAME} printable characters, got {name[:80]!r}")
    bare = _SUFFIX.sub("", _PREFIX.sub("", text)).strip()
    key = bare.upper()
    if key in _STANDARD or key in _ALIASES:
        return _STANDARD.get(key) or _ALIASES[key]
    return re.sub(r"^MDC_ECG_LEAD_", "", text) or text


def canonical_leads(names: Iterable[str]) -> list[str]:
    """Spell several names; two names of one lead are an error.

    Raises
    ------
    ValueError
        Two entries that mean the same lead, as ``"I"`` and ``"DI"`` do.

    Examples
    --------
    >>> canonical_leads(["ii", "v5"])
    ['II', 'V5']
    """
    given = list(names)
    leads = [canonical_lead(n) for n in given]
    for i, lead in enumerate(leads):
        if lead in leads[:i]:
            first = leads.index(lead)
            raise ValueError(
                f"leads: expected each lead once, got {lead!r} twice (entry {first}: {given[first]!r}, "
                f"entry {i}: {given[i]!r}); rename or leave out one of them"
            )
    return leads


def lead_order(leads: Sequence[str]) -> list[int]:
    """Positions that put the standard leads first, in the order of `LEADS`, and the others after, as they came.

    Examples
    --------
    >>> lead_order(["MLII", "V1", "I"])
    [2, 1, 0]
    """
    rank = {name: i for i, name in enumerate(LEADS)}
    return sorted(range(len(leads)), key=lambda i: (rank.get(leads[i], len(LEADS)), i))
