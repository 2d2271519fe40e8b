"""Lead names: the many spellings of files, one spelling and one order here."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

LEADS = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")
"""The twelve standard leads, in the order in which this package keeps them."""

_LONGEST_NAME = 64  # characters; a longer "name" is a file that is not what it seems

_STANDARD = {name.upper(): name for name in LEADS}
_ALIASES = {  # Romance-language labels and plain numbers of the bipolar limb leads
    **dict.fromkeys(("DI", "D1", "LI", "L1"), "I"),
    **dict.fromkeys(("DII", "D2", "LII", "L2"), "II"),
    **dict.fromkeys(("DIII", "D3", "LIII", "L3"), "III"),
}
# A hyphen that touches the word before it divides ("ECG-I"); one behind a blank and before a letter is a minus.
_BREAK = r"(?:\s*[_:]\s*|\s+-\s+|-\s*|\s+)"
_PREFIX = re.compile(rf"^(?:MDC_ECG_LEAD_|(?:(?:ECG|EKG){_BREAK})?LEAD{_BREAK}|(?:ECG|EKG){_BREAK})", re.IGNORECASE)
_SUFFIX = re.compile(r"\s*\((?:Einthoven|Goldberger|Wilson)\)$|[ _-]+LEAD$", re.IGNORECASE)
_SYSTEMS = {"X", "Y", "Z", "ES", "AS", "AI"}  # Frank's and Dower's, which a prefix may stand before
_RIGHT_OR_BACK = re.compile(r"V(?:[1-9]R|[789])", re.IGNORECASE)
_REVERSED = re.compile(r"[-\u2212]\s*(aVR)|(aVR)\s*(?:[-\u2212]|\(-\)|[ _-]?neg)", re.IGNORECASE)


def canonical_lead(name: str) -> str:
    """Spell a lead's name as this package does.

    Parameters
    ----------
    name
        As a file states it: any case, ``DI``, ``D I``, ``Lead I (Einthoven)``, ``MDC_ECG_LEAD_AVR``, ``ECG V1``, ...

    Returns
    -------
    str
        One of `LEADS` where the name is a spelling of one of them; ``V1R`` to ``V9R``, ``V7`` to ``V9`` and ``-aVR``
        (also ``aVR-``, ``aVR(-)`` and ISO 11073's ``AVRneg``) in this spelling. Any other name (``MLII``, ``Vx``) is
        kept as it stands, without outer blanks and the ``MDC_ECG_LEAD_`` prefix: a modified or reversed lead is another
        lead.

    Raises
    ------
    TypeError
        Not text.
    ValueError
        Empty, longer than 64 characters or with unprintable characters.

    Examples
    --------
    >>> [canonical_lead(n) for n in ("avr", "DI", "Lead V1", "MDC_ECG_LEAD_III", "MLII", "ECG -aVR", "v3r")]
    ['aVR', 'I', 'V1', 'III', 'MLII', '-aVR', 'V3R']
    """
    if not isinstance(name, str):
        raise TypeError(f"lead name: expected text, got {type(name).__name__} {name!r}")
    text = name.strip()
    if not text or len(text) > _LONGEST_NAME or not text.isprintable():
        raise ValueError(f"lead name: expected 1 to {_LONGEST_NAME} printable characters, got {name[:80]!r}")
    bare = _SUFFIX.sub("", _PREFIX.sub("", text)).strip()
    key = bare.upper()
    spaced = re.sub(r"^([DLAV])\s+", r"\1", key)  # "D I", "a VR", "V 1"
    for spelled in (key, spaced):
        if spelled in _STANDARD or spelled in _ALIASES:
            return _STANDARD.get(spelled) or _ALIASES[spelled]
    if _REVERSED.fullmatch(bare):
        return "-aVR"
    if _RIGHT_OR_BACK.fullmatch(bare) or (bare != text and key in _SYSTEMS):
        return key
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
