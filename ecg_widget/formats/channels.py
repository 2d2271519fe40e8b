"""Channels of a binary file: which leads they are, which to read, and the Dataset over them, at once or later."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from ecg_widget.formats.limits import LAZY_VALUES
from ecg_widget.lazy import LazyArray, lazy_dataset
from ecg_widget.leads import canonical_lead, canonical_leads, lead_order
from ecg_widget.records import RecordError, from_arrays, millivolts

__all__ = ["Stored", "chosen", "dataset", "factor", "named"]


@dataclass(frozen=True)
class Stored:
    """Channels of one rate, vetted, whose samples can be read.

    Parameters
    ----------
    path
        Of the file.
    leads
        Their names, each once.
    rate
        Hz.
    n_samples
        Of each channel.
    steps
        The mV of one step of the converter, for each channel.
    part
        ``part(rows, first, last)`` reads the samples ``first`` to ``last`` (exclusive) of the channels at these
        positions of `leads`: an array ``(len(rows), last - first)`` in mV, NaN in gaps. Any number of threads may call
        it at once.
    piece
        Samples along time in one call of `part`.
    """

    path: Path
    leads: Sequence[str]
    rate: float
    n_samples: int
    steps: Sequence[float]
    part: Callable[[Sequence[int], int, int], np.ndarray]
    piece: int

    def __call__(self, outer: tuple[np.ndarray, ...], first: int, last: int) -> np.ndarray:
        """Read as `ecg_widget.lazy.LazyArray` asks: ``(record, lead, time)`` float32, the leads in `lead_order`."""
        wanted = np.asarray(lead_order(self.leads))[outer[1]]
        try:
            with np.errstate(over="ignore"):  # said below
                values = self.part(wanted.tolist(), first, last).astype(np.float32)
        except RecordError:
            raise
        except Exception as error:  # a file that was changed or lost since may raise anything inside a library
            raise RecordError(
                f"{self.path.name}: expected a complete recording, got {type(error).__name__}: {error}"
            ) from error
        if np.isinf(values).any():
            raise RecordError(f"{self.path.name}: signal: expected finite values or NaN for gaps, got infinity")
        return np.repeat(values[None], len(outer[0]), axis=0)


def dataset(stored: Stored, attrs: Mapping[str, Any], *, lazy: bool | None) -> xr.Dataset:
    """Give the Dataset of the data contract, with ``adc_step``.

    Parameters
    ----------
    stored
        The channels.
    attrs
        Of the Dataset.
    lazy
        As in `ecg_widget.records.open_ecg`.
    """
    order = lead_order(stored.leads)
    leads = [stored.leads[i] for i in order]
    shape = (1, len(leads), stored.n_samples)
    if shape[1] * shape[2] > LAZY_VALUES if lazy is None else lazy:
        array = LazyArray(shape, np.float32, stored, stored.piece)
        ds = lazy_dataset(array, sampling_rate=stored.rate, leads=leads, records=[stored.path.stem], attrs=attrs)
    else:
        values = np.empty(shape, np.float32)
        everyone = (np.arange(1), np.arange(len(leads)))
        for first in range(0, stored.n_samples, stored.piece):
            last = min(first + stored.piece, stored.n_samples)
            values[..., first:last] = stored(everyone, first, last)
        ds = from_arrays(
            values, sampling_rate=stored.rate, leads=leads, units="mV", records=[stored.path.stem], attrs=attrs
        )
    steps = xr.DataArray([[stored.steps[i] for i in order]], dims=("record", "lead"), attrs={"units": "mV"})
    return ds.assign(adc_step=steps)


def chosen(file: str, names: Sequence[str], leads: Sequence[str] | None) -> list[int]:
    """Positions of the leads that the caller wants, all of them for None, in the file's order.

    Examples
    --------
    >>> chosen("x.edf", ["ECG II", "ECG V1", "Resp"], ["V1"])
    [1]
    """
    try:
        spelled = [canonical_lead(name) for name in names]
        keep = [i for i, name in enumerate(spelled) if leads is None or name in leads]
        canonical_leads([names[i] for i in keep])
    except ValueError as error:
        raise RecordError(f"{file}: {error}") from None
    missing = [lead for lead in leads or () if lead not in spelled]
    if missing or not keep:
        raise RecordError(f"{file}: leads: expected {', '.join(missing) or 'at least one'}, got {', '.join(spelled)}")
    return keep


def named(
    file: str, codes: Sequence[int], table: Mapping[int, str], names: Sequence[str] | None, leads: Sequence[str] | None
) -> list[str]:
    """Names of leads that a file states as numbers.

    Parameters
    ----------
    file
        For errors.
    codes
        One for each lead in the file.
    table
        Names by code.
    names
        What the caller calls all of them, in the file's order; needed where a code has no name.
    leads
        The leads that the caller wants: a code without a name elsewhere does not matter then.
    """
    if names is not None:
        if isinstance(names, str) or len(names) != len(codes):
            raise RecordError(f"{file}: names: expected {len(codes)}, one for each stored lead, got {names!r}")
        for i, (code, name) in enumerate(zip(codes, names, strict=True)):
            if code in table and canonical_lead(name) != table[code]:
                raise RecordError(f"{file}: lead {i}: name: the file says {table[code]}, the caller {name!r}")
        return [canonical_lead(name) for name in names]
    unknown = [f"{code} (lead {i})" for i, code in enumerate(codes) if code not in table]
    if unknown and leads is None:
        found = [table.get(code, "?") for code in codes]
        raise RecordError(
            f"{file}: lead codes: expected codes that name a lead, got {', '.join(unknown)}; say which leads they are "
            f"with names=[...], one for each of {found}, or choose named ones with leads="
        )
    return [table.get(code, f"unknown lead {i}") for i, code in enumerate(codes)]


def factor(where: str, stated: str, units: str | None) -> float:
    """The mV of a channel's unit.

    Parameters
    ----------
    where
        File and channel, for errors.
    stated
        The unit that the file states, "" for none.
    units
        What the caller says.
    """
    try:
        found = millivolts(stated)
    except ValueError:
        if units is None:
            raise RecordError(
                f"{where}: units: expected a voltage, got {stated[:32] or 'none'!r}; state it with units=, or choose "
                "other leads with leads="
            ) from None
        return millivolts(units)
    if units is not None and millivolts(units) != found:
        raise RecordError(f"{where}: units: the file states {stated}, the caller {units}; leave out units=")
    return found
