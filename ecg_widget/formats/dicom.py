"""DICOM ECG waveforms (12-lead, general, ambulatory), read with pydicom.

The rhythm is the multiplex group whose originality is ORIGINAL; derived groups, such as the median beat, are never
mixed into it. Values are sample x sensitivity x correction factor + baseline in the channel's units (DICOM PS3.3,
C.10.9). Maker and model are kept as ``attrs["device"]``; patient, institution, operators, identifiers and dates stay
in the file.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from ecg_widget.formats.device import device
from ecg_widget.formats.dicom_waves import Beat, beats, waves
from ecg_widget.formats.limits import LARGEST_FILE, check_header
from ecg_widget.leads import LEADS, canonical_lead, canonical_leads
from ecg_widget.records import WAVES, RecordError, from_arrays, millivolts

NAME = "DICOM"

_CLASSES = {
    "1.2.840.10008.5.1.4.1.1.9.1.1": "12-lead ECG",
    "1.2.840.10008.5.1.4.1.1.9.1.2": "general ECG",
    "1.2.840.10008.5.1.4.1.1.9.1.3": "ambulatory ECG",
    "1.2.840.10008.5.1.4.1.1.9.1.4": "general 32-bit ECG",
}
# Lead numbers of SCP-ECG (EN 1064, section 5.6.3), which ISO 11073-10101 took over as codes 2:1, 2:2, ...
_NUMBERS = {
    **dict(zip((1, 2, 61, 62, 63, 64, 3, 4, 5, 6, 7, 8), LEADS, strict=True)),
    **dict(zip((9, 66, 67, 65, 16, 17, 18), ("V7", "V8", "V9", "-aVR", "X", "Y", "Z"), strict=True)),
    **{n + 8: f"V{n}R" for n in range(2, 8)},
}
_SAMPLES = {
    (8, "SB"): "i1",
    (8, "UB"): "u1",
    (16, "SS"): "<i2",
    (16, "US"): "<u2",
    (32, "SL"): "<i4",
    (32, "UL"): "<u4",
}
_FILTERS = (("FilterLowFrequency", "high-pass"), ("FilterHighFrequency", "low-pass"), ("NotchFilterFrequency", "notch"))


def locate(path: Path) -> Path | None:
    """Return the path if its file has the DICOM preamble."""
    if not path.is_file():
        return None
    with path.open("rb") as file:
        file.seek(128)
        return path if file.read(4) == b"DICM" else None


def read(
    path: Path, *, leads: Sequence[str] | None = None, units: str | None = None, group: int | None = None
) -> xr.Dataset:
    """Read one DICOM file.

    Parameters
    ----------
    path, leads, units
        As in `ecg_widget.records.open_ecg`.
    group
        Index of the multiplex group to read, for files with several original ones, or to see a derived one.

    Returns
    -------
    xarray.Dataset
        One record, named after the file; with ``wave`` and ``wave_known`` if onsets and ends are marked in it, per
        lead if the marks are.

    Raises
    ------
    RecordError
        No ECG, truncated, no or several original groups, unknown sample type, missing unit or sensitivity, unnamed or
        repeated leads.
    """
    import pydicom  # noqa: PLC0415  (only this reader needs it)

    file = path.name
    if path.stat().st_size > LARGEST_FILE:
        raise RecordError(f"{file}: size: expected at most {LARGEST_FILE} bytes, got {path.stat().st_size}")
    try:
        with _Bounded(path) as stream:
            dicom = pydicom.dcmread(stream)
        attrs = {"format": NAME, "kind": _kind(file, dicom), "reader": f"pydicom {pydicom.__version__}"}
        attrs |= device(*(str(dicom.get(word) or "") for word in ("Manufacturer", "ManufacturerModelName")))
        groups = list(dicom.get("WaveformSequence", []))
        chosen = _choose(file, groups, group)
        annotations = list(dicom.get("WaveformAnnotationSequence", []))
        return _record(
            path, groups[chosen], leads, units, attrs, marks=lambda *of: beats(file, annotations, chosen, *of)
        )
    except RecordError:
        raise
    except Exception as error:  # a hostile file may raise anything inside the parser
        raise RecordError(f"{file}: expected a complete DICOM ECG, got {type(error).__name__}: {error}") from error


class _Bounded(io.BufferedReader):
    """A file that is never asked for more than it holds: for a stated length of 4 GB Python takes 4 GB beforehand."""

    def __init__(self, path: Path) -> None:
        super().__init__(io.FileIO(path))
        self._size = path.stat().st_size

    def read(self, size: int | None = -1) -> bytes:
        left = max(0, self._size - self.tell())
        return super().read(left if size is None or size < 0 else min(size, left))


def _kind(file: str, dicom: Any) -> str:
    kind = _CLASSES.get(str(dicom.get("SOPClassUID", "")))
    if kind is None:
        found = dicom.SOPClassUID.name if "SOPClassUID" in dicom else "none"
        raise RecordError(f"{file}: SOP class: expected one of {', '.join(_CLASSES.values())}, got {found}")
    return kind


def _choose(file: str, groups: Sequence[Any], group: int | None) -> int:
    if not groups:
        raise RecordError(f"{file}: WaveformSequence: expected at least one multiplex group, got none")
    found = [
        f"{i} {g.get('MultiplexGroupLabel', '?')} {g.get('WaveformOriginality', '?')}" for i, g in enumerate(groups)
    ]
    if group is not None:
        if not 0 <= group < len(groups):
            raise RecordError(f"{file}: group: expected 0 to {len(groups) - 1}, got {group}; the file has {found}")
        return group
    original = [i for i, g in enumerate(groups) if g.get("WaveformOriginality") == "ORIGINAL"]
    if len(original) != 1:
        raise RecordError(
            f"{file}: WaveformOriginality: expected one ORIGINAL group, got {len(original)} among {found}; "
            "choose with group="
        )
    return original[0]


def _record(
    path: Path,
    item: Any,
    leads: Sequence[str] | None,
    units: str | None,
    attrs: dict[str, Any],
    *,
    marks: Callable[[int, int], list[Beat] | None],
) -> xr.Dataset:
    file = path.name
    n_channels, n_samples = (int(_need(file, item, f"NumberOfWaveform{w}")) for w in ("Channels", "Samples"))
    rate = float(_need(file, item, "SamplingFrequency"))
    check_header(file, n_channels=n_channels, n_samples=n_samples, rate=rate)
    channels = list(_need(file, item, "ChannelDefinitionSequence"))
    if len(channels) != n_channels:
        raise RecordError(f"{file}: ChannelDefinitionSequence: expected {n_channels} channels, got {len(channels)}")
    names = [_lead(file, i, channel) for i, channel in enumerate(channels)]
    keep = _select(file, names, leads)
    samples, padding = _samples(file, item, n_channels, n_samples)

    values = np.empty((len(keep), n_samples))
    steps = np.empty(len(keep))
    for row, i in enumerate(keep):
        channel = channels[i]
        if (
            abs(float(channel.get("ChannelTimeSkew") or 0)) * rate > 1
            or abs(float(channel.get("ChannelSampleSkew") or 0)) > 1
        ):
            raise RecordError(f"{file}: channel {i} ({names[i]}): skew: expected at most one sample, got more")
        factor = _factor(file, i, names[i], channel, units)
        gain = float(_need(file, channel, "ChannelSensitivity", f"channel {i} ({names[i]}): "))
        gain *= float(channel.get("ChannelSensitivityCorrectionFactor") or 1)
        if not np.isfinite(gain) or gain == 0:
            raise RecordError(
                f"{file}: channel {i} ({names[i]}): sensitivity: expected a number other than 0, got {gain}"
            )
        raw = samples[:, i].astype(np.float64)
        if padding is not None:
            raw[samples[:, i] == padding] = np.nan
        values[row] = (raw * gain + float(channel.get("ChannelBaseline") or 0)) * factor
        steps[row] = abs(gain) * factor
    attrs = {"source": file, **attrs, "filters": _filters([channels[i] for i in keep])}
    kept = [names[i] for i in keep]
    ds = from_arrays(values, sampling_rate=rate, leads=kept, units="mV", records=[path.stem], attrs=attrs)
    step = xr.DataArray(steps[None], {"lead": kept}, ("record", "lead"), attrs={"units": "mV"})
    return _with_waves(ds.assign(adc_step=step.sel(lead=ds["lead"])), kept, [marks(i, n_samples) for i in keep])


def _with_waves(ds: xr.Dataset, leads: Sequence[str], marked: Sequence[list[Beat] | None]) -> xr.Dataset:
    """Add the waves: one row for all leads if the marks are about all of them, nothing if there are none."""
    if not any(marked):
        return ds
    rows = [waves(of or [], ds.sizes["time"]) for of in marked]
    flags = {"flag_values": list(range(len(WAVES))), "flag_meanings": " ".join(WAVES)}
    if all(of == marked[0] for of in marked):
        dims, (wave, known) = ("record", "time"), (row[None] for row in rows[0])
        return ds.assign(wave=(dims, wave, flags), wave_known=(dims, known))
    order = [list(leads).index(lead) for lead in ds["lead"].values.tolist()]
    wave, known = (np.stack([rows[i][which] for i in order])[None] for which in (0, 1))
    return ds.assign(wave=(ds["signal"].dims, wave, flags), wave_known=(ds["signal"].dims, known))


def _need(file: str, item: Any, keyword: str, where: str = "") -> Any:
    value = item.get(keyword)
    if value is None or value == "":
        raise RecordError(f"{file}: {where}{keyword}: expected a value, got none")
    return value


def _samples(file: str, item: Any, n_channels: int, n_samples: int) -> tuple[np.ndarray, int | None]:
    kind = (int(_need(file, item, "WaveformBitsAllocated")), str(_need(file, item, "WaveformSampleInterpretation")))
    if kind not in _SAMPLES:
        raise RecordError(f"{file}: WaveformSampleInterpretation: expected one of {sorted(_SAMPLES)}, got {kind}")
    dtype = np.dtype(_SAMPLES[kind])
    data = bytes(_need(file, item, "WaveformData"))
    expected = n_channels * n_samples * dtype.itemsize
    if len(data) < expected:
        raise RecordError(f"{file}: WaveformData: expected {expected} bytes, got {len(data)}: the file is truncated")
    samples = np.frombuffer(data, dtype, n_channels * n_samples).reshape(n_samples, n_channels)
    padding = item.get("WaveformPaddingValue")
    if padding is None or padding == b"":
        return samples, None
    if isinstance(padding, bytes):
        padding = np.frombuffer(padding[: dtype.itemsize].ljust(dtype.itemsize, b"\0"), dtype)[0]
    return samples, int(padding)


def _lead(file: str, i: int, channel: Any) -> str:
    """The lead from the coded source and its meaning; where both speak they must agree."""
    source = (channel.get("ChannelSourceSequence") or [None])[0]
    code = str(source.get("CodeValue", "")) if source is not None else ""
    meaning = str((source.get("CodeMeaning") if source is not None else "") or channel.get("ChannelLabel", "") or "")
    number = code.replace("5.6.3-9-", "").replace("2:", "")
    by_code = _NUMBERS.get(int(number)) if number.isdecimal() else None
    if by_code is None and code.startswith("MDC_ECG_LEAD_"):
        by_code = canonical_lead(code)
    try:
        by_meaning = canonical_lead(meaning)
    except ValueError:
        by_meaning = ""
    if by_code and by_meaning in LEADS and by_code != by_meaning:
        raise RecordError(
            f"{file}: channel {i}: lead: expected code and meaning to agree, got {code!r} ({by_code}) and {meaning!r}"
        )
    name = by_code or by_meaning
    if not name:
        raise RecordError(
            f"{file}: channel {i}: ChannelSourceSequence: expected a lead, got code {code!r} and no meaning"
        )
    return name


def _select(file: str, names: Sequence[str], leads: Sequence[str] | None) -> list[int]:
    if leads is not None:
        missing = [lead for lead in leads if lead not in names]
        if missing:
            raise RecordError(f"{file}: leads: expected {', '.join(missing)}, got {', '.join(names)}")
    keep = [i for i, name in enumerate(names) if leads is None or name in leads]
    try:
        canonical_leads([names[i] for i in keep])
    except ValueError as error:
        raise RecordError(f"{file}: {error}") from None
    return keep


def _factor(file: str, i: int, name: str, channel: Any, units: str | None) -> float:
    sequence = channel.get("ChannelSensitivityUnitsSequence")
    stated = str(sequence[0].get("CodeValue", "")) if sequence else ""
    try:
        factor = millivolts(stated)
    except ValueError:
        if units is None:
            raise RecordError(
                f"{file}: channel {i} ({name}): ChannelSensitivityUnits: expected a voltage, got {stated or 'none'!r}; "
                "state it with units=, or choose other leads with leads="
            ) from None
        return millivolts(units)
    if units is not None and millivolts(units) != factor:
        raise RecordError(
            f"{file}: channel {i} ({name}): units: the file states {stated}, the caller {units}; leave out units="
        )
    return factor


def _filters(channels: Sequence[Any]) -> str:
    parts = []
    for keyword, text in _FILTERS:
        values = {float(c.get(keyword) or 0) for c in channels} - {0.0}
        if values:
            parts.append(f"{text} {'/'.join(f'{v:g}' for v in sorted(values))} Hz")
    return ", ".join(parts)
