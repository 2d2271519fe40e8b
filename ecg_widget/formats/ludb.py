"""LUDB (Kalyakulina et al. 2020, doi 10.1109/ACCESS.2020.3029211): recordings with waves marked by cardiologists.

The folder holds ``RECORDS``, ``ludb.csv`` and, below ``data``, WFDB records with one annotation file for each lead.
Marks are ``(`` onset, ``p`` ``N`` ``t`` peak of P, QRS and T, ``)`` end. Only the middle beats are marked: before the
first and after the last mark of a lead nobody has said what there is, which is not the same as no wave.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import xarray as xr

from ecg_widget.formats import wfdb
from ecg_widget.formats.wfdb_annotations import PEAKS, waves
from ecg_widget.records import WAVES, RecordError

__all__ = ["NAME", "locate", "read", "waves"]

NAME = "LUDB"

_RECORDS, _TABLE = "RECORDS", "ludb.csv"
_HEAD = b"ID,Sex,Age,Rhythms,"
_RECORD = re.compile(r"data/(\d{1,4})")
_SKIP, _NOTE = 59, 63  # codes: a long interval in the next four bytes; a text of so many bytes
_RATE_NOTE = re.compile(rb"## time resolution: \d{1,6}(?:\.\d{1,6})?")
_LARGEST = 1 << 20  # bytes of a list or annotation file; LUDB's largest has 300


def locate(path: Path) -> Path | None:
    """Find the folder: the path itself, or that of its two lists."""
    folder = path.parent if path.name in (_RECORDS, _TABLE) else path
    if not (folder / _RECORDS).is_file() or not (folder / _TABLE).is_file():
        return None
    with (folder / _TABLE).open("rb") as table:
        return folder if table.readline(256).startswith(_HEAD) else None


def read(
    path: Path,
    *,
    leads: Sequence[str] | None = None,
    units: str | None = None,
    missing: str = "error",
) -> xr.Dataset:
    """Read all recordings with the experts' waves.

    Parameters
    ----------
    path
        The folder.
    leads, units
        As in `ecg_widget.records.open_ecg`.
    missing
        What becomes of records that are listed but absent: ``"error"``, or ``"drop"`` for a partial copy.

    Returns
    -------
    xarray.Dataset
        With ``wave (record, lead, time)`` and ``wave_known (record, lead, time)`` bool: where that lead's expert has
        said which wave there is, or that there is none. Where a mark is lacking, what it would bound is unknown: from
        the peak without an onset back to the mark before it, and so on. ``attrs["missing"]`` counts what was dropped.

    Raises
    ------
    RecordError
        Lists, records or annotations that are damaged, contradictory or absent.
    ValueError
        Another `missing`.
    """
    if missing not in ("error", "drop"):
        raise ValueError(f"missing: expected 'error' or 'drop', got {missing!r}")
    listed = _names(path)
    headers = [header for name in listed if (header := path / f"{name}.hea").is_file()]
    absent = len(listed) - len(headers)
    if absent and missing == "error":
        raise RecordError(
            f"{path.name}: expected the {len(listed)} records of {_RECORDS}, {absent} are absent; complete the "
            "download or pass missing='drop'"
        )
    if not headers:
        raise RecordError(f"{path.name}: expected records as {_RECORDS} lists them, got none")
    parts = [_record(header, leads, units) for header in headers]
    grid = {(p.sizes["time"], p["time"].attrs["sampling_rate"], tuple(p["lead"].values.tolist())) for p in parts}
    if len(grid) != 1:
        raise RecordError(f"{path.name}: expected one length, rate and set of leads, got {sorted(grid)}")
    attrs = {**parts[0].attrs, "source": path.name, "format": NAME, "missing": absent}
    ds = xr.concat(parts, "record", join="exact", combine_attrs="override")
    ds["wave"].attrs = {"flag_values": list(range(len(WAVES))), "flag_meanings": " ".join(WAVES)}
    return ds.assign_attrs(attrs)


def _names(path: Path) -> list[str]:
    if (path / _RECORDS).stat().st_size > _LARGEST:
        raise RecordError(f"{_RECORDS}: expected a short list of records, got more than {_LARGEST} bytes")
    names = (path / _RECORDS).read_text("latin-1").split()
    for name in names:
        if not _RECORD.fullmatch(name):
            raise RecordError(f"{_RECORDS}: expected names such as data/1, got {name[:80]!r}")
    if len(set(names)) != len(names):
        raise RecordError(f"{_RECORDS}: expected each record once, got {len(names) - len(set(names))} twice")
    return names


def _record(header: Path, leads: Sequence[str] | None, units: str | None) -> xr.Dataset:
    ds = wfdb.read(header, leads=leads, units=units, annotations="none")
    shape = ds["signal"].shape[1:]
    wave, known = np.zeros(shape, np.int8), np.zeros(shape, bool)
    rate = ds["time"].attrs["sampling_rate"]
    for row, lead in enumerate(ds["lead"].values.tolist()):
        samples, symbols = _marks(header.with_suffix(f".{lead.lower()}"), rate, shape[1])
        wave[row], known[row] = waves(samples, symbols, shape[1])
    dims = ("record", "lead", "time")
    return ds.assign(wave=(dims, wave[None]), wave_known=(dims, known[None]))


def _marks(path: Path, rate: float, n_samples: int) -> tuple[list[int], list[str]]:
    import wfdb as library  # noqa: PLC0415  (only readers need it)

    if not path.is_file():
        raise RecordError(f"{path.name}: expected the annotations of this lead beside the header, got none")
    if path.stat().st_size > _LARGEST:
        raise RecordError(f"{path.name}: expected at most {_LARGEST} bytes of annotations, got {path.stat().st_size}")
    try:
        _vet(path.read_bytes())
        found = library.rdann(str(path.with_suffix("").resolve()), path.suffix[1:])
    except Exception as error:  # a hostile file may raise anything inside the library
        raise RecordError(f"{path.name}: expected WFDB annotations, got {type(error).__name__}: {error}") from error
    samples, symbols = np.asarray(found.sample, np.int64), list(found.symbol)
    if found.fs not in (None, rate):
        raise RecordError(f"{path.name}: sampling rate: expected {rate:g} Hz as in the header, got {found.fs:g}")
    if len(samples) and (np.any(np.diff(samples) < 0) or samples[0] < 0 or samples[-1] >= n_samples):
        raise RecordError(f"{path.name}: expected marks in order from sample 0 to {n_samples - 1}, got others")
    if strange := sorted(set(symbols) - {"(", ")", *PEAKS}):
        raise RecordError(f"{path.name}: expected the marks ( p N t ), got {strange[:5]}")
    return samples.tolist(), symbols


def _vet(data: bytes) -> None:
    """Refuse what LUDB's files do not hold, before the library sees it: some notes keep it in a loop without end.

    The format is that of annot(5) in the WFDB Applications Guide: words of 16 bits, six of them a code.
    """
    if len(data) % 2:
        raise ValueError(f"expected words of 16 bits, got {len(data)} bytes")
    at = n_notes = 0
    while at < len(data):
        code, low = data[at + 1] >> 2, data[at]
        at += 2
        if code == _SKIP:
            at += 4
        elif code == _NOTE:
            text, n_notes = data[at : at + low], n_notes + 1
            at += low + low % 2
            if text.startswith(b"##") and not (n_notes == 1 and _RATE_NOTE.fullmatch(text)):
                raise ValueError(f"expected no definitions in notes but one of the rate, got {text[:40]!r}")
    if at > len(data):
        raise ValueError("expected whole annotations, got a file that ends within one")
