"""Tables of text (CSV): a column a lead, a row a sample, a header row with the leads' names.

The delimiter is a comma, semicolon, tab or bar, the decimal sign a point, or a comma where that is not the delimiter.
The rate comes from a column ``time_s``, ``time_ms`` or ``time [s]``, or is stated; the unit from the header, as in
``II (mV)`` or ``II [uV]``, or is stated. Neither is guessed. Empty cells and ``nan`` are gaps.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from io import StringIO
from pathlib import Path

import numpy as np
import xarray as xr

from ecg_widget.formats.limits import MOST_VALUES, check_header
from ecg_widget.leads import LEADS, canonical_lead, canonical_leads
from ecg_widget.records import RecordError, from_arrays, millivolts

NAME = "CSV"

_HEAD = 8192  # bytes of the header row
_LARGEST = 1 << 30  # bytes: an hour of 12 leads at 1 kHz has 0.3 GB
_DELIMITERS = ",;\t|"
_TIME = re.compile(r"(?:time|t)[ _]?[\[(]?(s|ms)[\])]?", re.IGNORECASE)
_LEAD = re.compile(r"(?P<name>.+?)\s*(?:[\[(](?P<units>[^\])]+)[\])])?")
_JITTER = 1e-3  # largest departure of a time stamp from the regular grid, in samples, beside its rounding


def locate(path: Path) -> Path | None:
    """Find a text file whose first row names a standard lead in a column of its own."""
    if not path.is_file():
        return None
    with path.open("rb") as stream:
        head = stream.readline(_HEAD)
    if b"\0" in head:
        return None
    text = head.decode("utf-8-sig", "replace").strip()
    names = [_LEAD.fullmatch(cell) for cell in _cells(text)]
    return path if any(m and _standard(m["name"]) for m in names) and len(names) > 1 else None


def read(
    path: Path,
    *,
    leads: Sequence[str] | None = None,
    units: str | None = None,
    sampling_rate: float | None = None,
) -> xr.Dataset:
    """Read one table.

    Parameters
    ----------
    path
        The file.
    leads, units
        As in `ecg_widget.records.open_ecg`.
    sampling_rate
        Hz, where the table has no column of time; an error where that says another one.

    Returns
    -------
    xarray.Dataset
        One record, named after the file.

    Raises
    ------
    RecordError
        A table without rate or unit, with other columns in some row, or with cells that are no numbers.
    """
    file, size = path.name, path.stat().st_size
    if size > _LARGEST:
        raise RecordError(f"{file}: size: expected at most {_LARGEST} bytes of text, got {size}")
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RecordError(f"{file}: expected UTF-8 text, got {error}") from None
    head, _, body = text.replace("\r\n", "\n").partition("\n")
    cells = _cells(head)
    delimiter = _delimiter(head)
    values = _numbers(file, body, delimiter, len(cells))
    rate, signals = sampling_rate, []
    for i, cell in enumerate(cells):
        if clock := _TIME.fullmatch(cell):
            rate = _rate(file, values[:, i] * (1e-3 if clock[1].lower() == "ms" else 1.0), sampling_rate)
        else:
            signals.append(i)
    if rate is None:
        raise RecordError(
            f"{file}: sampling rate: expected a column time_s or time_ms, got none; state it with sampling_rate="
        )
    parts = [_LEAD.fullmatch(cells[i]) for i in signals]
    names = [m["name"].strip().strip('"') if m else "" for m in parts]
    try:
        spelled = canonical_leads(names)
        if missing := [lead for lead in leads or () if lead not in spelled]:
            raise RecordError(f"{file}: leads: expected {', '.join(missing)}, got {', '.join(spelled)}")  # noqa: TRY301
        keep = [i for i, name in enumerate(spelled) if leads is None or name in leads]
        factors = [_factor(file, names[i], (parts[i] or {})["units"], units) for i in keep]  # type: ignore[index]
        check_header(file, n_channels=len(keep), n_samples=len(values), rate=rate)
        return from_arrays(
            (values[:, [signals[i] for i in keep]] * factors).T,
            sampling_rate=rate,
            leads=[names[i] for i in keep],
            units="mV",
            records=[path.stem],
            attrs={"source": file, "format": NAME, "reader": f"numpy {np.__version__}", "filters": ""},
        )
    except RecordError:
        raise
    except (ValueError, TypeError) as error:
        raise RecordError(f"{file}: {error}") from None


def _delimiter(head: str) -> str:
    return max(_DELIMITERS, key=head.count)


def _cells(head: str) -> list[str]:
    return [cell.strip().strip('"').strip() for cell in head.strip("\r\n").split(_delimiter(head))]


def _standard(name: str) -> bool:
    try:
        return canonical_lead(name.strip().strip('"')) in LEADS
    except (ValueError, TypeError):
        return False


def _numbers(file: str, body: str, delimiter: str, n_columns: int) -> np.ndarray:
    if body.count("\n") * n_columns > MOST_VALUES:
        raise RecordError(f"{file}: size: expected at most {MOST_VALUES} values, got more")
    if delimiter != "," and "," in body:
        body = body.replace(",", ".")
    if odd := re.search(r"[^\x00-\x7f]|_", body):  # Python takes 1_0 and digits of any script for numbers
        raise RecordError(f"{file}: expected numbers written with the digits 0 to 9, got {odd[0]!r}")
    # genfromtxt makes a gap of any word: only cells that are empty or nan may become one
    word = rf"[^\s{delimiter}\d.+-][^{delimiter}\n]*"
    gap = rf"nan\s*(?:[{delimiter}\n]|$)"
    strange = re.search(rf"(?:^|[{delimiter}\n])\s*(?!{gap})({word})", body, re.IGNORECASE)
    if strange:
        raise RecordError(f"{file}: expected numbers, empty cells or nan, got {strange[1][:40]!r}")
    if not body.strip():
        raise RecordError(f"{file}: expected rows of samples below the header, got none")
    try:
        values = np.genfromtxt(StringIO(body), delimiter=delimiter, dtype=np.float64, ndmin=2, comments="\0")
    except ValueError as error:
        raise RecordError(f"{file}: expected {n_columns} columns in every row: {str(error)[:200]}") from None
    if values.shape[0] < 1 or values.shape[1] != n_columns:
        raise RecordError(f"{file}: expected rows of {n_columns} columns as in the header, got shape {values.shape}")
    return values


def _rate(file: str, times: np.ndarray, stated: float | None) -> float:
    steps = np.diff(times)
    if not len(steps) or not np.isfinite(times).all() or not times[-1] > times[0]:
        raise RecordError(f"{file}: time: expected at least two ascending times, got others")
    rate = len(steps) / (times[-1] - times[0])
    rounded = float(f"{rate:.6g}")
    rate = rounded if abs(rounded / rate - 1) < 1e-6 else float(rate)
    # Times are often written with few digits: half a unit of the last one that is used may be off.
    unit = next((u for u in (1.0, 0.1, 0.01, 1e-3, 1e-4) if np.abs(times / u - np.round(times / u)).max() < 1e-6), 0.0)
    off = np.abs((times - times[0]) - np.arange(len(times)) / rate).max()
    if off > _JITTER / rate + unit:
        raise RecordError(f"{file}: time: expected steps of {1 / rate:.6g} s, got times that are off by {off:.3g} s")
    if stated is not None and abs(stated / rate - 1) > 1e-3:
        raise RecordError(f"{file}: sampling rate: the column of time says {rate:g} Hz, the caller {stated:g}")
    return rate if stated is None else float(stated)


def _factor(file: str, lead: str, found: str | None, units: str | None) -> float:
    if found is None and units is None:
        raise RecordError(f"{file}: {lead}: units: expected it in the header, as in '{lead} (mV)', got none; state it "
                          "with units=")  # fmt: skip
    try:
        factor = millivolts(found if found is not None else str(units))
    except ValueError as error:
        raise RecordError(f"{file}: {lead}: {error}") from None
    if found is not None and units is not None and millivolts(units) != factor:
        raise RecordError(f"{file}: {lead}: units: the header says {found}, the caller {units}")
    return factor
