"""What a stored Dataset may tell of a person: named here, left out by readers and writers unless it is asked for."""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping
from typing import Any

import xarray as xr

__all__ = ["FREE_TEXT", "is_personal", "without_personal"]

FREE_TEXT = ("comments", "annotation_onset", "annotation_duration", "annotation_text")
"""Attrs that readers set on request only: text that people typed."""

_PARTS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")
_TOLD = """
patient patients subject subjects person participant name surname forename firstname lastname birth birthdate birthday
dob born age sex gender race ethnicity mrn ssn id ids identifier accession address phone telephone email institution
hospital clinic department ward site physician doctor nurse operator technician creator contributor author publisher
owner user history comment comments remark remarks note notes description abstract summary title report diagnosis
diagnoses dx text date datetime day created modified acquired admission
"""
_WORDS = frozenset(_TOLD.split())
_OURS = frozenset(("long_name", "standard_name"))
_COORDS = frozenset(("patient", "age", "predicted_age", "fold"))  # of the contract and of data sets, pseudonyms


def is_personal(name: Hashable) -> bool:
    """Tell whether a name sounds like that of something about a person, a place, a date, or of free text.

    Examples
    --------
    >>> [is_personal(name) for name in ("PatientName", "birth_date", "institution", "sampling_rate", "long_name")]
    [True, True, True, False, False]
    """
    text = str(name)
    return text not in _OURS and any(part.lower() in _WORDS for part in _PARTS.findall(text))


def without_personal(ds: xr.Dataset) -> xr.Dataset:
    """Leave out attrs and variables that a stranger's file may have and whose names sound personal.

    Parameters
    ----------
    ds
        As a file holds it.

    Returns
    -------
    xarray.Dataset
        ``attrs["left_out"]`` lists the names of what is missing, where there is any.

    Examples
    --------
    >>> ds = xr.Dataset({"signal": ("time", [0.0]), "subject_name": ("record", ["Q"])}, attrs={"history": "x", "a": 1})
    >>> out = without_personal(ds)
    >>> list(out), out.attrs
    (['signal'], {'a': 1, 'left_out': ['history', 'subject_name']})
    """
    gone = [name for name in ds.variables if name not in _COORDS and is_personal(name)]
    out = ds.drop_vars(gone)
    names = {str(name) for name in gone} | {str(key) for key in ds.attrs if is_personal(key)}
    for name in out.variables:
        names |= {f"{name}.{key}" for key in out[name].attrs if is_personal(key)}
        out[name].attrs = _kept(out[name].attrs)
    out.attrs = _kept(ds.attrs)
    return out.assign_attrs(left_out=sorted(names)) if names else out


def _kept(attrs: Mapping[Any, Any]) -> dict[Any, Any]:
    return {key: value for key, value in attrs.items() if not is_personal(key)}
