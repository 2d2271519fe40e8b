"""HDF5 files of any layout (also MATLAB 7.3): one dataset, and what its attributes or the caller say of it.

Rate, unit, leads and what each dimension is come from attributes of the dataset, or of the groups above it, or are
stated; nothing is guessed. Of other attributes and datasets, which may tell of the patient, nothing is read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from ecg_widget.formats import code15, hdf5, netcdf
from ecg_widget.formats.limits import MOST_CHANNELS, MOST_VALUES, check_header, check_step
from ecg_widget.leads import canonical_leads
from ecg_widget.records import RecordError, from_arrays, millivolts
from ecg_widget.validation import check_rate

NAME = "HDF5"

_DIMS = ("record", "lead", "time")
_KINDS = "iuf"
_RATES = ("sampling_rate", "sampling_frequency", "sample_rate", "samplerate", "fs")
_UNITS = ("units", "unit")
_LEADS = ("leads", "lead_names", "lead", "channels", "channel_names", "sig_name")
_LABELS = ("dims", "DIMENSION_LABELS")
_MEANINGS = {
    **dict.fromkeys(("record", "records", "exam", "exams", "sample_id", "ecg"), "record"),
    **dict.fromkeys(("lead", "leads", "channel", "channels", "signal", "signals"), "lead"),
    **dict.fromkeys(("time", "times", "sample", "samples", "t"), "time"),
}
_MOST_LISTED = 20  # datasets in an error
_MOST_NODES = 1000  # groups and datasets that are looked at
_MOST_GROUPS = 8  # one inside the other
_UNSTORED = 64  # times as many values as bytes are stored may be unpacked: zeros pack better, samples of an ECG do not
_FREE = 1 << 23  # values that may be unpacked from however little


def locate(path: Path) -> Path | None:
    """Find an HDF5 file that is of no layout with a reader of its own."""
    if not hdf5.is_hdf5(path) or code15.locate(path) or netcdf.locate(path):
        return None
    return path


def read(
    path: Path,
    *,
    leads: Sequence[str] | None = None,
    units: str | None = None,
    dataset: str | None = None,
    dims: Sequence[str] | None = None,
    sampling_rate: float | None = None,
    lead_names: Sequence[str] | None = None,
    part: slice | None = None,
) -> xr.Dataset:
    """Read one dataset of one file.

    Parameters
    ----------
    path
        The file.
    leads, units
        As in `ecg_widget.records.open_ecg`. The file states the unit as the attribute ``units``.
    dataset
        Its name, with those of its groups: ``"study/ecg"``. None where the file has one dataset of numbers with two or
        three dimensions.
    dims
        What its dimensions are, in order: ``"record"``, ``"lead"``, ``"time"``; without ``"record"`` for one record,
        ``"time"`` alone for one lead. None where the attribute ``dims`` or the labels of the dimensions say it, or
        where only one dimension is as long as there are leads and the others do not leave a choice.
    sampling_rate
        Hz, where there is no attribute ``sampling_rate`` (``sampling_frequency``, ``fs``).
    lead_names
        Of all leads, in their order, where there is no attribute ``leads`` (``lead_names``, ``channels``).
    part
        Which records to read: a corpus can be read piece by piece. None: all.

    Returns
    -------
    xarray.Dataset
        Records named as the file and their row: ``name``, or ``name-0``, ``name-1``, ... Whole numbers are scaled with
        the attributes ``scale_factor`` and ``add_offset`` of the CF conventions, where they are there; ``_FillValue``
        becomes NaN. ``attrs["dataset"]``: its name.

    Raises
    ------
    RecordError
        No such dataset, or several to choose from: the error names them. Rate, unit, leads or dimensions that nobody
        states, or that file and caller state differently. A part without records; absurd sizes; values outside the
        file.
    ValueError
        Other `dims`.
    ImportError
        h5py is not installed.

    Examples
    --------
    >>> locate(Path("no-such-file.h5")) is None
    True
    """
    file = path.name
    if dims is not None and (
        isinstance(dims, str) or len(set(dims)) != len(dims) or not {"time"} <= set(dims) <= {*_DIMS}
    ):
        raise ValueError(f"dims: expected names among {_DIMS}, each once, 'time' among them, got {dims!r}")
    hdf5.check_heaps(path)
    with hdf5.opened(path) as stored:
        name = _named(file, stored, dataset)
        found = hdf5.dataset(stored, file, name, _KINDS, None)
        if not 1 <= len(found.shape) <= 3:
            raise RecordError(f"{file}: {name}: expected 1 to 3 dimensions, got shape {found.shape}")
        said = _Said(file, name, stored, found)
        rate = said.one("sampling rate", "sampling_rate", _RATES, sampling_rate, check_rate)
        factor = said.one("units", "units", _UNITS, units, lambda unit: millivolts(str(unit)))
        names = said.one("leads", "lead_names", _LEADS, lead_names, _names)
        order = _dims(f"{file}: {name}", found.shape, said.labels(), dims, len(names))
        raw, rows = _raw(f"{file}: {name}", found, order, names, part)
        check_header(f"{file}: {name}", n_channels=len(names), n_samples=raw.shape[2], rate=rate)
        scale, offset, fill = said.packing()
        one_alone = "record" not in order or found.shape[order.index("record")] == 1
    if missing := [lead for lead in leads or () if lead not in names]:
        raise RecordError(f"{file}: leads: expected {', '.join(missing)}, got {', '.join(names)}")
    keep = [i for i, lead in enumerate(names) if leads is None or lead in leads]
    values = np.empty((len(raw), len(keep), raw.shape[2]), np.float32)
    with np.errstate(over="ignore"):  # from_arrays says it
        for one, volts in zip(raw, values, strict=True):  # one record at a time: float64 copies would not fit
            volts[:] = one[keep].astype(np.float64) * (scale * factor) + offset * factor
            if fill is not None:
                volts[one[keep] == fill] = np.nan
    kept = [names[i] for i in keep]
    records = [path.stem] if one_alone else [f"{path.stem}-{i}" for i in rows]
    reader = f"h5py {hdf5.library().__version__}"
    attrs = {"source": file, "format": NAME, "dataset": name, "reader": reader, "filters": ""}
    try:
        ds = from_arrays(values, sampling_rate=rate, leads=kept, units="mV", records=records, attrs=attrs)
    except (TypeError, ValueError) as error:
        raise RecordError(f"{file}: {name}: {error}") from None
    if raw.dtype.kind == "f":
        return ds
    step = abs(scale * factor)
    check_step(f"{file}: {name}: scale_factor", step)
    return ds.assign(adc_step=(("record", "lead"), np.full(ds["signal"].shape[:2], step), {"units": "mV"}))


def _raw(
    where: str, found: Any, order: Sequence[str], names: Sequence[str], part: slice | None
) -> tuple[np.ndarray, range]:
    """The wanted records as they are stored, ``(record, lead, time)``, and which they are; sizes checked before."""
    sizes = {d: found.shape[order.index(d)] if d in order else 1 for d in _DIMS}
    if sizes["lead"] != len(names):
        raise RecordError(f"{where}: leads: expected {sizes['lead']} names, got {len(names)}: {names[:16]}")
    rows = range(sizes["record"])[part or slice(None)]
    if not rows or rows.step < 1:
        raise RecordError(f"{where}: part: expected some of {sizes['record']} records, in their order, got {part}")
    n_values = len(rows) * len(names) * sizes["time"]
    if n_values > MOST_VALUES:
        raise RecordError(
            f"{where}: size: expected at most {MOST_VALUES} values at a time, got {n_values}; read it piece by piece "
            "with part=slice(...)"
        )
    held = found.id.get_storage_size()
    if found.size > max(_FREE, _UNSTORED * held):
        raise RecordError(
            f"{where}: size: expected at most {_UNSTORED} values for each of the {held} bytes that are stored, got "
            f"{found.size}"
        )
    at = tuple(slice(rows.start, rows.stop, rows.step) if d == "record" else slice(None) for d in order)
    raw = np.asarray(found[at])
    raw = np.expand_dims(raw, tuple(range(3 - raw.ndim)))
    order = (*(d for d in _DIMS if d not in order), *order)
    return raw.transpose([order.index(d) for d in _DIMS]), rows


def _named(file: str, stored: Any, wanted: str | None) -> str:
    """The dataset's full name: the one that is wanted, or the only one that could be."""
    there, cut = _datasets(stored)
    told = ", ".join(f"{name} {shape} {dtype}" for name, (shape, dtype) in list(there.items())[:_MOST_LISTED]) or "none"
    told += ", ..." if cut or len(there) > _MOST_LISTED else ""
    if wanted is not None:
        name = wanted.strip("/")
        if name not in there and not cut:
            raise RecordError(f"{file}: dataset: expected {wanted!r}, the file has {told}")
        return name
    able = [
        n for n, (shape, dtype) in there.items() if len(shape) in (2, 3) and dtype.kind in _KINDS and 0 not in shape
    ]
    if len(able) != 1 or cut:
        raise RecordError(
            f"{file}: dataset: expected one with samples, of two or three dimensions, got {len(able)}; choose with "
            f"dataset=; the file has {told}"
        )
    return able[0]


def _datasets(stored: Any) -> tuple[dict[str, tuple[tuple[int, ...], np.dtype[Any]]], bool]:
    """Shape and type by name, of what lies in the file itself, and whether there is more than was looked at."""
    h5py = hdf5.library()
    out: dict[str, tuple[tuple[int, ...], np.dtype[Any]]] = {}
    waiting: list[tuple[str, Any, int]] = [("", stored, 0)]
    n_nodes = 0
    while waiting:
        above, group, depth = waiting.pop(0)
        for key in group:
            n_nodes += 1
            if n_nodes > _MOST_NODES:
                return out, True
            if type(group.get(key, getlink=True)).__name__ != "HardLink":
                continue
            kind = group.get(key, getclass=True)
            if kind is h5py.Dataset and (shape := group[key].shape) is not None:
                out[f"{above}{key}"] = (tuple(shape), group[key].dtype)
            elif kind is h5py.Group and depth < _MOST_GROUPS and not key.startswith("#"):  # MATLAB's own
                waiting.append((f"{above}{key}/", group[key], depth + 1))
    return out, False


def _names(given: Any) -> list[str]:
    """Lead names, spelled as here: several texts, or one with commas."""
    if isinstance(given, str):
        given = given.split(",") if "," in given else [given]
    values = np.asarray(given).ravel().tolist()
    if not 1 <= len(values) <= MOST_CHANNELS:
        raise ValueError(f"expected 1 to {MOST_CHANNELS} names, got {len(values)}")
    return canonical_leads([v.decode() if isinstance(v, bytes) else str(v) for v in values])


class _Said:
    """What the attributes of a dataset, and of the groups above it, say; the nearest counts."""

    def __init__(self, file: str, name: str, stored: Any, found: Any) -> None:
        self.file, self.name, self.found = file, name, found
        parts = name.split("/")[:-1]
        groups = [stored, *(stored["/".join(parts[: i + 1])] for i in range(len(parts)))]
        self.attrs: list[Mapping[str, Any]] = [found.attrs, *(group.attrs for group in reversed(groups))]

    def one(self, what: str, option: str, keys: Sequence[str], stated: Any, parsed: Any) -> Any:
        """What file or caller say, parsed; they must not differ."""
        said = {}
        for attrs in self.attrs:
            here = {key: attrs[key] for key in attrs if key.lower() in keys}
            said = {key: self._parse(f"attribute {key}", _plain(value), parsed) for key, value in here.items()}
            if said:
                break
        if len({str(value) for value in said.values()}) > 1:
            raise RecordError(f"{self.file}: {self.name}: {what}: expected one, the attributes say {said}")
        if stated is not None:
            value = self._parse(option, stated, parsed)
            for key, other in said.items():
                if other != value:
                    raise RecordError(
                        f"{self.file}: {self.name}: {what}: the attribute {key} says {other}, the caller {value}"
                    )
            return value
        if not said:
            raise RecordError(
                f"{self.file}: {self.name}: {what}: expected an attribute {keys[0]}, got none; state it with {option}="
            )
        return next(iter(said.values()))

    def _parse(self, where: str, value: Any, parsed: Any) -> Any:
        try:
            return parsed(value)
        except (TypeError, ValueError) as error:
            raise RecordError(f"{self.file}: {self.name}: {where}: {error}") from None

    def labels(self) -> list[str] | None:
        """What the dimensions are called, where each is called something that is known."""
        for key in _LABELS:
            if key in self.found.attrs:
                given = _plain(self.found.attrs[key])
                words = given.replace(",", " ").split() if isinstance(given, str) else np.ravel(given).tolist()
                texts = [word.decode() if isinstance(word, bytes) else str(word) for word in words]
                meant = [_MEANINGS.get(text.strip().lower()) for text in texts]
                known = [m for m in meant if m is not None]
                if len(known) == len(meant) == len(self.found.shape) and len(set(known)) == len(known):
                    return known
        return None

    def packing(self) -> tuple[float, float, float | None]:
        """Factor, offset and value of gaps, of the CF conventions."""
        out: list[float | None] = []
        for key, default in (("scale_factor", 1.0), ("add_offset", 0.0), ("_FillValue", None)):
            value = self.found.attrs.get(key)
            try:
                number = default if value is None else float(np.asarray(value).item())
            except (TypeError, ValueError) as error:
                raise RecordError(f"{self.file}: {self.name}: attribute {key}: expected a number: {error}") from None
            out.append(number)
        scale, offset, fill = out
        if not scale or offset is None or not np.isfinite([scale, offset]).all():
            raise RecordError(
                f"{self.file}: {self.name}: attributes scale_factor and add_offset: expected finite numbers, the first "
                f"other than 0, got {scale} and {offset}"
            )
        return scale, offset, fill


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, np.ndarray) and value.size == 1:
        return _plain(value.ravel()[0])
    return value


def _dims(
    where: str, shape: tuple[int, ...], labels: list[str] | None, stated: Sequence[str] | None, n_leads: int
) -> tuple[str, ...]:
    """What each dimension is."""
    if stated is not None:
        if len(stated) != len(shape):
            raise RecordError(f"{where}: dims: expected {len(shape)} names for shape {shape}, got {stated!r}")
        if labels is not None and list(stated) != labels:
            raise RecordError(f"{where}: dims: the file says {labels}, the caller {list(stated)}")
        return tuple(stated)
    if labels is not None:
        return tuple(labels)
    # By the meanings of dimensions that have one: those of length 1 may be called either way.
    fits: dict[tuple[str, ...], tuple[str, ...]] = {}
    for order in permutations(_DIMS[3 - len(shape) :]):
        size = dict(zip(order, shape, strict=True))
        if size.get("lead", 1) == n_leads and size.get("time", 0) > 1 and size.get("record", 1) == 1:
            fits.setdefault(tuple(d for d in order if size[d] > 1), order)
    if len(fits) != 1:
        raise RecordError(
            f"{where}: dims: expected one way to read shape {shape} with {n_leads} leads, got {len(fits)}; say what "
            f"each dimension is with dims=, as in dims={_DIMS[3 - len(shape) :]}"
        )
    return next(iter(fits.values()))
