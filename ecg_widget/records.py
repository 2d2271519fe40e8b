"""ECG recordings: the data contract, opening files, resampling.

A recording is an `xarray.Dataset` with the variable ``signal (record, lead, time)``, float32 in mV, and the coordinates
``record`` (text), ``lead`` (text; the standard leads spelled and ordered as in `LEADS`) and ``time`` (float64, s from
the start; ``attrs["sampling_rate"]`` in Hz). NaN is a gap. Optional: ``wave`` (int8: 0 none, 1 P, 2 QRS, 3 T) with
dims ``(record, time)`` or ``(record, lead, time)``, with ``wave_known`` (bool, same dims) where only parts were
annotated; ``beat (record, nth_beat)`` (int8: codes of `ecg_widget.validation.BEATS`, 0 fills up), ``beat_time (record,
nth_beat)`` (s, NaN where there is none) and ``beat_known (record, time)`` (bool: whether all beats are marked there);
``label (record, target)``, ``patient (record)`` and ``adc_step (record, lead)``, the millivolts of one step
of the analogue-to-digital converter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from ecg_widget.lazy import is_lazy, stacked
from ecg_widget.leads import LEADS, canonical_lead, canonical_leads, lead_order
from ecg_widget.validation import WAVES, check_rate, validate_ecg

__all__ = [
    "LEADS",
    "WAVES",
    "RecordError",
    "canonical_lead",
    "from_arrays",
    "load_example",
    "millivolts",
    "open_ecg",
    "resample",
    "validate_ecg",
]

_MOST_AT_ONCE = 256  # paths of a list; more are opened as a set: every file would be looked at
_MILLIVOLTS = {"V": 1e3, "mV": 1.0, "uV": 1e-3, "nV": 1e-6}  # in mV, by the unit's name


class RecordError(ValueError):
    """A file that cannot be read as an ECG: its message names the file, the field, what was expected and what came.

    Examples
    --------
    >>> from ecg_widget import RecordError, open_ecg
    >>> try:
    ...     open_ecg("no-such-record")
    ... except RecordError as error:
    ...     print("no-such-record" in str(error))
    True
    """


def millivolts(units: str) -> float:
    """How many mV one of these units is.

    Parameters
    ----------
    units
        ``"V"``, ``"mV"``, ``"uV"`` (also with a micro sign), ``"nV"``, or a number times one of them, as in
        ``"1e-4V"``.

    Raises
    ------
    TypeError
        Not text.
    ValueError
        Anything else, ``"adu"`` and ``"NU"`` among it.

    Examples
    --------
    >>> millivolts("uV"), millivolts("1e-4V")
    (0.001, 0.1)
    """
    if not isinstance(units, str):
        raise TypeError(f"units: expected text such as 'mV', got {type(units).__name__} {units!r}")
    text = units.strip().replace("\u00b5", "u").replace("\u03bc", "u")
    for name in ("mV", "uV", "nV", "V"):
        if text.endswith(name) or text.upper() == name.upper() != "V":
            number = text[: -len(name)].strip().removesuffix("*").strip()
            try:
                factor = float(number) if number else 1.0
            except ValueError:
                break
            if np.isfinite(factor) and factor > 0:
                return factor * _MILLIVOLTS[name]
    raise ValueError(f"units: expected a voltage (V, mV, uV, nV or a multiple such as '1e-4V'), got {units!r}")


def from_arrays(
    signal: Any,
    *,
    sampling_rate: float,
    leads: Sequence[str],
    units: str,
    records: Sequence[str] | None = None,
    attrs: Mapping[str, Any] | None = None,
) -> xr.Dataset:
    """Make a Dataset of the contract from plain arrays.

    Parameters
    ----------
    signal
        ``(record, lead, time)``, or ``(lead, time)`` for one record; numbers in `units`. NaN or masked = gap.
    sampling_rate
        Hz, > 0.
    leads
        A name for each lead; see `canonical_lead` for the spellings. The result holds the standard leads first, in the
        order of `LEADS`, then the others.
    units
        Of `signal`; see `millivolts`. There is no default: a unit is stated, never guessed.
    records
        A different name for each record; default ``"0"``, ``"1"``, ...
    attrs
        Provenance for ``Dataset.attrs``.

    Returns
    -------
    xarray.Dataset
        Validated; ``signal`` float32 in mV.

    Raises
    ------
    TypeError, ValueError
        With what was expected and what came.

    Examples
    --------
    >>> ds = from_arrays(np.zeros((2, 500)), sampling_rate=500, leads=["DII", "i"], units="uV")
    >>> dict(ds.sizes), ds.lead.values.tolist(), ds.signal.attrs["units"]
    ({'record': 1, 'lead': 2, 'time': 500}, ['I', 'II'], 'mV')
    """
    values = np.ma.asarray(signal)
    if values.dtype.kind not in "iuf":
        raise TypeError(f"signal: expected real numbers, got dtype {values.dtype}")
    if values.ndim == 2:
        values = values[None]
    if values.ndim != 3 or 0 in values.shape:
        raise ValueError(
            f"signal: expected (record, lead, time) or (lead, time), none of them empty, got shape {np.shape(signal)}"
        )
    rate = check_rate(sampling_rate)
    if isinstance(leads, str) or len(leads) != values.shape[1]:
        raise ValueError(f"leads: expected {values.shape[1]} names, one for each row of signal, got {leads!r}")
    names = canonical_leads(leads)
    keep = lead_order(names)
    if records is None:
        records = [str(i) for i in range(values.shape[0])]
    if isinstance(records, str) or len(records) != values.shape[0]:
        raise ValueError(f"records: expected {values.shape[0]} names, one for each record of signal, got {records!r}")
    factor = millivolts(units)
    volts = np.ma.filled(values.astype(np.float64 if factor != 1 else np.float32), np.nan)
    if factor != 1:
        volts *= factor
    ds = xr.Dataset(
        {"signal": (("record", "lead", "time"), volts[:, keep].astype(np.float32, copy=False), {"units": "mV"})},
        {
            "record": ("record", list(records)),
            "lead": ("lead", [names[i] for i in keep]),
            "time": _time(values.shape[2], rate),
        },
        dict(attrs or {}),
    )
    return validate_ecg(ds)


def open_ecg(
    source: Any,
    *,
    leads: Sequence[str] | None = None,
    units: str | None = None,
    records: Sequence[str] | None = None,
    lazy: bool | None = None,
    quality: bool | None = None,
    ragged: bool = False,
    unreadable: str = "error",
    chunks: int | Mapping[str, int] | None = None,
    **options: Any,
) -> xr.Dataset:
    """Open a recording, or a set of them; the format is found by content.

    A long one stays in its file: ``signal`` and ``time`` then show their shape and dtype at once, and what is selected
    (``ds.isel(time=slice(...))``, ``ds.sel(lead=["II"])``) is read when its values are asked for, in pieces, from any
    thread, and not kept. Infinite samples are found when they are read. `xarray.Dataset.load` reads everything.

    So does a large set: a folder, a catalogue or a long list opens by its first record, and every other one is read
    when its samples are asked for, one at a time. ``chunks=64`` hands them to Dask; `ecg_widget.select`
    picks records by label, fold, patient or quality without reading any. Such a set has the ``signal``, and what its
    table says; open a record alone for its waves.

    Parameters
    ----------
    source
        A path, or a list of paths whose recordings have the same leads and rate, and length unless `ragged`. WFDB: the
        record's path with or without ``.hea``, or one of its signal files. DICOM: the file. zarr: the folder that
        ``ds.to_zarr`` wrote. Sets: the folder of PTB-XL, CODE-15% or LUDB; a catalogue, which is a CSV table or
        DataFrame with a column ``path`` (see `ecg_widget.formats.catalogue`); any other folder of recordings (see
        `ecg_widget.folders`); a list of more than 256 paths.
    leads
        Read these leads only, in any spelling; others in the file are then not looked at.
    units
        The unit of the file's values where the file does not state a voltage; an error where it states another one.
    records
        Names for the records instead of those of the files.
    lazy
        Whether the samples stay in the file until they are asked for: True or False, or None for those of more than
        16 million samples in all leads (WFDB, EDF, ISHNE, zarr and sets; other formats are always read whole).
    quality
        Whether `ecg_widget.quality.quality` looks at the records and puts its findings into ``attrs["quality"]`` as
        JSON text: True (reads samples that are still in the file) or False, or None for up to 256 records that are in
        memory. Nothing is repaired.
    ragged
        Whether the records of a set may differ in length. ``time`` is then as long as the longest; the others are NaN
        behind their end, of which the coordinate ``end (record)`` tells in s; networks see each record as long as it
        is. Where no catalogue states the lengths, every file is looked at. Otherwise a record of another length than
        the first is an error.
    unreadable
        What becomes of records of a set that cannot be read or do not fit the first one: ``"error"`` when they are
        read; ``"skip"`` looks at every file first, leaves out such and lists them in ``attrs["unreadable"]`` (damage
        among the samples may still show when they are read); ``"nan"`` gives NaN and warns.
    chunks
        Records in one block, or sizes by dim, to compute with Dask; the samples then stay in their files unless `lazy`
        says otherwise.
    **options
        For the reader of one format; an option that it does not know is an error.

    Returns
    -------
    xarray.Dataset
        Of the contract, validated. ``attrs``: ``source`` (file name without folder; a list for several), ``format``,
        ``reader`` with version, ``filters`` (text, "" where the file states none), ``device`` (maker and model, where
        the file has fields for them). Names, identifiers, dates and other data on the patient are left in the file.

    Raises
    ------
    RecordError
        A file that is absent, empty, truncated, no ECG or inconsistent. One in a set is named when it is read.

    Examples
    --------
    >>> from pydicom.data import get_testdata_file
    >>> ds = open_ecg(get_testdata_file("waveform_ecg.dcm", download=False), leads=["II", "V1"])
    >>> ds.attrs["format"], ds.lead.values.tolist(), ds.sizes["time"]
    ('DICOM', ['II', 'V1'], 10000)
    """
    from ecg_widget.quality import annotate  # noqa: PLC0415  (scipy.signal is slow to import)

    wanted = None if leads is None else canonical_leads([leads] if isinstance(leads, str) else leads)
    if units is not None:
        millivolts(units)
    if ragged is not False:
        options["ragged"] = ragged
    if unreadable != "error":
        options["unreadable"] = unreadable
    lazy = True if chunks is not None and lazy is None else lazy
    opened, paths = _opened(source, wanted, units, lazy, options, several=chunks is None)
    found = [str(name) for ds in opened for name in ds["record"].values]
    names = found if records is None else list(records)
    if isinstance(records, str) or len(names) != len(found):
        raise ValueError(f"records: expected {len(found)} names, got {records!r}")
    if len(set(names)) != len(names):
        twice = next(name for i, name in enumerate(names) if name in names[:i])
        raise RecordError(f"record: expected different names, got {twice!r} twice; state them with records=[...]")
    ds = opened[0] if len(opened) == 1 else _stack(opened, paths)
    if names != found:
        ds = ds.assign_coords(record=("record", names))
    ds = annotate(validate_ecg(ds), check=quality)
    return ds if chunks is None else ds.chunk(chunks if isinstance(chunks, Mapping) else {"record": chunks})


def load_example() -> xr.Dataset:
    """Open the real recording that the pydicom package brings: 12 leads, 10 s at 1000 Hz, sinus rhythm.

    Examples
    --------
    >>> ds = load_example()
    >>> dict(ds.sizes), ds.time.attrs["sampling_rate"]
    ({'record': 1, 'lead': 12, 'time': 10000}, 1000.0)
    """
    from pydicom.data import get_testdata_file  # noqa: PLC0415  (only the example needs it)

    path = get_testdata_file("waveform_ecg.dcm", download=False)  # never the network: hospitals have none
    if path is None:
        raise RecordError("waveform_ecg.dcm: expected inside the pydicom package, not found; reinstall pydicom >= 3.0")
    return open_ecg(str(path), records=["example"])


def resample(ds: xr.Dataset, sampling_rate: float) -> xr.Dataset:
    """Bring a recording to another sampling rate, anti-aliased.

    Polyphase FIR filter (`scipy.signal.resample_poly`), Kaiser window with 80 dB stop band, -6 dB at the lower of the
    two Nyquist frequencies, ends continued by odd reflection. Zero delay: sample 0 keeps its time.

    Parameters
    ----------
    ds
        Of the contract. Gaps stay gaps: a new sample is NaN where one of the two samples beside it is. ``wave`` is
        taken from the nearest sample; ``adc_step`` is dropped, since the new values lie between the steps.
    sampling_rate
        Hz, > 0. Rates whose ratio needs whole numbers above 10000 are refused.

    Returns
    -------
    xarray.Dataset
        ``ds`` itself where the rate is the same. ``attrs["filters"]`` names the step.

    Examples
    --------
    >>> resample(load_example(), 100).sizes["time"]
    1000
    """
    from ecg_widget.resampling import resample as run  # noqa: PLC0415  (scipy.signal is slow to import)

    return run(validate_ecg(ds), check_rate(sampling_rate))


def _time(n_samples: int, rate: float, start: float = 0.0) -> xr.Variable:
    return xr.Variable("time", start + np.arange(n_samples) / rate, {"units": "s", "sampling_rate": rate})


def _opened(
    source: Any,
    leads: Sequence[str] | None,
    units: str | None,
    lazy: bool | None,  # noqa: FBT001  (as in `open_ecg`)
    options: dict[str, Any],
    *,
    several: bool,
) -> tuple[list[xr.Dataset], list[Path]]:
    """What a source names, and its paths; `several`: whether the files of a short list may be opened one by one."""
    import pandas as pd  # noqa: PLC0415  (only tables need it)

    from ecg_widget import formats, many  # noqa: PLC0415  (they import this module)
    from ecg_widget.formats import catalogue  # noqa: PLC0415

    if isinstance(source, pd.DataFrame):
        formats.check_options("DataFrame", "catalogue", catalogue.read_frame, options)
        return [catalogue.read_frame(source, leads=leads, units=units, lazy=lazy, **options)], []
    paths = [Path(source)] if isinstance(source, (str, Path)) else [Path(p) for p in source]
    if not paths:
        raise ValueError("source: expected a path or a list of paths, got an empty list")
    choices = {name: options[name] for name in ("ragged", "unreadable") if name in options}
    if len(paths) == 1 or (len(paths) <= _MOST_AT_ONCE and several and not choices):
        return [formats.read(path, leads=leads, units=units, lazy=lazy, **options) for path in paths], paths
    one = {name: value for name, value in options.items() if name not in choices}
    texts = [str(path) for path in paths]
    ds = many.open_many(
        texts,
        many.different_names(texts),
        many.located(leads, units, one),
        attrs={"format": "list"},
        lazy=lazy,
        **choices,
    )
    return [ds], paths


def _stack(opened: Sequence[xr.Dataset], paths: Sequence[Path]) -> xr.Dataset:
    first = opened[0]
    for ds, path in zip(opened[1:], paths[1:], strict=True):
        for what, here, there in (
            ("leads", first["lead"].values.tolist(), ds["lead"].values.tolist()),
            ("sampling rate (Hz)", first["time"].attrs["sampling_rate"], ds["time"].attrs["sampling_rate"]),
            ("samples", first.sizes["time"], ds.sizes["time"]),
        ):
            if here != there:
                raise RecordError(
                    f"{what}: expected one value for all files, got {here} in {paths[0].name} and {there} in "
                    f"{path.name}; open them apart, then resample(), .sel(lead=...) or .isel(time=slice(...))"
                )
    attrs = {k: v for k, v in first.attrs.items() if all(ds.attrs.get(k) == v for ds in opened)}
    attrs["source"] = [ds.attrs["source"] for ds in opened]
    opened = _same_marks(opened)
    waiting = all(is_lazy(ds["signal"]) for ds in opened)
    parts = [ds.drop_vars("signal") for ds in opened] if waiting else opened  # joining would read them
    ds = xr.concat(parts, "record", data_vars="minimal", coords="minimal", compat="override", join="override")
    if waiting:
        ds = ds.assign(signal=stacked([part["signal"].variable for part in opened]))
    return ds.assign_attrs(attrs)


def _same_marks(opened: Sequence[xr.Dataset]) -> Sequence[xr.Dataset]:
    """Records with as many places for beats each; those without marks beside some with are unknown."""
    most = max(ds.sizes.get("nth_beat", 0) for ds in opened)
    kinds = {name: ds[name] for ds in opened for name in ("wave", "beat") if name in ds}
    out = []
    for given in opened:
        ds, samples = given, ("record", "time")
        if "beat" in kinds and "beat" not in ds:
            ds = ds.assign(
                beat=(("record", "nth_beat"), np.zeros((1, 0), np.int8), kinds["beat"].attrs),
                beat_time=(("record", "nth_beat"), np.zeros((1, 0)), {"units": "s"}),
                beat_known=(samples, np.zeros((1, ds.sizes["time"]), bool)),
            )
        if "wave" in kinds and "wave" not in ds:
            dims = kinds["wave"].dims
            shape = [ds.sizes[d] for d in dims]
            empty = np.zeros(shape, np.int8)
            ds = ds.assign(wave=(dims, empty, kinds["wave"].attrs), wave_known=(dims, empty.astype(bool)))
        if short := most - ds.sizes.get("nth_beat", most):
            ds = ds.pad(nth_beat=(0, short), constant_values={"beat": 0, "beat_time": np.nan}, keep_attrs=True)
        out.append(ds)
    return out
