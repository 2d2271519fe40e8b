"""NumPy files: ``.npy`` with ``(lead, time)`` or ``(record, lead, time)``, and ``.npz`` with an array ``signal``.

An ``.npz`` may bring ``sampling_rate``, ``units``, ``leads`` and ``records``; what it lacks, and all for ``.npy``, the
caller states. Nothing is guessed, and nothing is unpickled.
"""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from ecg_widget.formats.limits import MOST_VALUES, check_header
from ecg_widget.leads import canonical_leads
from ecg_widget.records import RecordError, from_arrays
from ecg_widget.validation import check_rate

NAME = "NumPy"

_KEYS = {"signal", "sampling_rate", "units", "leads", "records"}


def locate(path: Path) -> Path | None:
    """Find an ``.npy`` file, or a zip archive of them with ``signal.npy``."""
    if not path.is_file():
        return None
    with path.open("rb") as stream:
        head = stream.read(6)
    if head == b"\x93NUMPY":
        return path
    if not head.startswith(b"PK\x03\x04"):
        return None
    try:
        with zipfile.ZipFile(path) as archive:
            return path if "signal.npy" in archive.namelist() else None
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return None


def read(
    path: Path,
    *,
    leads: Sequence[str] | None = None,
    units: str | None = None,
    sampling_rate: float | None = None,
    lead_names: Sequence[str] | None = None,
) -> xr.Dataset:
    """Read one file.

    Parameters
    ----------
    path
        The file.
    leads, units
        As in `ecg_widget.records.open_ecg`.
    sampling_rate
        Hz, where the file states none; an error where it states another one.
    lead_names
        Of the rows, in their order, where the file states none.

    Returns
    -------
    xarray.Dataset
        Records named as the file says, or after it: ``name``, or ``name-0``, ``name-1``, ...

    Raises
    ------
    RecordError
        A file without rate, unit or leads; objects; absurd or contradictory sizes.
    """
    file = path.name
    try:
        held = _arrays(path)
        values = held["signal"]
        rate = check_rate(_one(file, "sampling rate", "sampling_rate", held.get("sampling_rate"), sampling_rate))
        unit = str(_one(file, "units", "units", held.get("units"), units))
        names = _one(file, "leads", "lead_names", held.get("leads"), lead_names)
        names = canonical_leads([str(name) for name in np.asarray(names).ravel()])
        if values.ndim == 2:
            values = values[None]
        if values.ndim != 3:
            raise RecordError(f"{file}: signal: expected (record, lead, time), got shape {values.shape}")  # noqa: TRY301
        check_header(file, n_channels=values.shape[1], n_samples=values.shape[2] * max(1, values.shape[0]), rate=rate)
        if missing := [lead for lead in leads or () if lead not in names]:
            raise RecordError(f"{file}: leads: expected {', '.join(missing)}, got {', '.join(names)}")  # noqa: TRY301
        if len(names) != values.shape[1]:
            raise RecordError(f"{file}: leads: expected {values.shape[1]} names, got {len(names)}")  # noqa: TRY301
        keep = [i for i, name in enumerate(names) if leads is None or name in leads]
        n = len(values)
        records = [path.stem] if n == 1 else [f"{path.stem}-{i}" for i in range(n)]
        if "records" in held:
            records = [str(name) for name in held["records"].ravel()]
        attrs = {"source": file, "format": NAME, "reader": f"numpy {np.__version__}", "filters": ""}
        kept = [names[i] for i in keep]
        return from_arrays(values[:, keep], sampling_rate=rate, leads=kept, units=unit, records=records, attrs=attrs)
    except RecordError:
        raise
    except Exception as error:  # a hostile file may raise anything inside the library
        raise RecordError(f"{file}: {error}") from error


def _arrays(path: Path) -> dict[str, np.ndarray]:
    """What the file holds, its sizes checked before memory is taken."""
    size = path.stat().st_size
    with path.open("rb") as stream:
        if stream.read(6) == b"\x93NUMPY":
            stream.seek(0)
            return {"signal": _array(path.name, "signal", stream, size)}
    out = {}
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            key = info.filename.removesuffix(".npy")
            if key in _KEYS and key not in out:
                with archive.open(info) as stream:
                    out[key] = _array(path.name, key, stream, info.file_size)
    return out


def _array(file: str, key: str, stream: Any, size: int) -> np.ndarray:
    version = np.lib.format.read_magic(stream)
    if version not in ((1, 0), (2, 0)):
        raise RecordError(f"{file}: {key}: expected version 1 or 2 of the format, got {version}")
    read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = read_header(stream)
    count = 1
    for n in shape:
        count *= n  # whole numbers of Python: no overflow
    if dtype.hasobject or dtype.kind not in "iufU":
        raise RecordError(f"{file}: {key}: expected numbers or text, got {dtype}; objects are not unpickled")
    if not 0 < count <= MOST_VALUES or dtype.itemsize > 4096 or count * dtype.itemsize > size:
        raise RecordError(f"{file}: {key}: expected 1 to {MOST_VALUES} values in {size} bytes, got {shape} of {dtype}")
    raw = stream.read(count * dtype.itemsize)
    if len(raw) != count * dtype.itemsize:
        raise RecordError(f"{file}: {key}: expected {count * dtype.itemsize} bytes, got {len(raw)}: truncated")
    return np.frombuffer(raw, dtype).reshape(shape, order="F" if fortran else "C")


def _one(file: str, what: str, option: str, found: np.ndarray | None, stated: Any) -> Any:
    """What the file says or the caller; they must not differ."""
    if found is None and stated is None:
        raise RecordError(f"{file}: {what}: expected it in the file, got none; state it with {option}=")
    if found is None:
        return stated
    value = found.item() if found.size == 1 and found.ndim == 0 else found
    here = np.asarray(value)
    if stated is not None and not np.array_equal(here, np.asarray(stated)):
        raise RecordError(f"{file}: {what}: the file says {value}, the caller {stated}")
    return value
