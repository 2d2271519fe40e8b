"""GE MUSE XML ("RestingECG"): the rhythm waveform of a resting ECG.

Carts store eight leads, I, II and V1 to V6; the other four follow from I and II by Einthoven's and Goldberger's
equations and are computed here, named in ``attrs["derived_leads"]``. The median beat stays in the file, as do the
patient, the people, the places, the dates and the statements.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import xarray as xr

from ecg_widget import __version__
from ecg_widget.formats.channels import Stored, chosen, dataset, factor
from ecg_widget.formats.device import device
from ecg_widget.formats.limits import check_header, check_step
from ecg_widget.formats.xml_document import (
    MOST_VALUES,
    Element,
    children,
    decode_base64,
    finite,
    parse,
    root_name,
    text,
)
from ecg_widget.leads import canonical_lead
from ecg_widget.records import RecordError

NAME = "GE MUSE XML"

_DERIVED = {  # weights of I and II
    "III": (-1.0, 1.0),
    "aVR": (-0.5, -0.5),
    "aVL": (1.0, -0.5),
    "aVF": (-0.5, 1.0),
}
_UNITS = {"MICROVOLTS": "uV", "MILLIVOLTS": "mV", "VOLTS": "V", "NANOVOLTS": "nV"}
_LARGEST_EXPONENT = 6


def locate(path: Path) -> Path | None:
    """Return the path if its root element is that of a MUSE export."""
    return path if root_name(path) == "RestingECG" else None


def read(
    path: Path,
    *,
    leads: Sequence[str] | None = None,
    units: str | None = None,
    waveform: int | None = None,
    checksums: str = "error",
) -> xr.Dataset:
    """Read one GE MUSE XML file.

    Parameters
    ----------
    path, leads, units
        As in `ecg_widget.records.open_ecg`.
    waveform
        Index of the waveform to read, for files with several rhythm waveforms, or to see the median beat.
    checksums
        What becomes of a lead whose samples do not give the CRC-32 that the file states: ``"error"`` or ``"ignore"``.

    Returns
    -------
    xarray.Dataset
        One record, named after the file. ``attrs``: ``derived_leads`` (names of those computed from I and II), and
        ``leads_off`` (names of those with a loose electrode, as the cart says) where there are any.

    Raises
    ------
    RecordError
        No or several rhythm waveforms, damaged or truncated samples, leads of different length, time or sample type,
        missing unit or scale, unnamed or repeated leads.
    ValueError
        Another `checksums`.

    Examples
    --------
    >>> locate(Path("no-such-file.xml")) is None
    True
    """
    if checksums not in ("error", "ignore"):
        raise ValueError(f"checksums: expected 'error' or 'ignore', got {checksums!r}")
    file = path.name
    root = parse(path)
    item = _choose(file, children(root, "Waveform"), waveform)
    kind = text(file, item, "SampleType", "CONTINUOUS_SAMPLES")
    if kind != "CONTINUOUS_SAMPLES":
        raise RecordError(f"{file}: SampleType: expected CONTINUOUS_SAMPLES, got {kind[:40]!r}")
    rate = _rate(file, item)
    found = children(item, "LeadData")
    stated = finite(f"{file}: NumberofLeads", text(file, item, "NumberofLeads", str(len(found))))
    if stated != len(found):
        raise RecordError(f"{file}: NumberofLeads: expected {len(found)} as there is data of, got {stated:g}")
    counts = {text(file, lead, "LeadSampleCountTotal") for lead in found}
    if len(counts) != 1:
        raise RecordError(f"{file}: LeadSampleCountTotal: expected one for all leads, got {sorted(counts)[:5]}")
    n_samples = int(finite(f"{file}: LeadSampleCountTotal", counts.pop()))
    most = MOST_VALUES // (len(found) + len(_DERIVED))
    if n_samples > most:
        raise RecordError(f"{file}: LeadSampleCountTotal: expected at most {most}, got {n_samples}")
    check_header(file, n_channels=len(found), n_samples=n_samples, rate=rate)
    names = [_spelled(file, i, text(file, lead, "LeadID")) for i, lead in enumerate(found)]
    derived = [name for name in _DERIVED if name not in names and {"I", "II"} <= set(names)]
    everyone = [*names, *derived]
    kept = [everyone[i] for i in chosen(file, everyone, leads)]
    needed = set(kept) | ({"I", "II"} if set(kept) & set(derived) else set())
    volts: dict[str, np.ndarray] = {}
    steps: dict[str, float] = {}
    for name, lead in zip(names, found, strict=True):
        if name in volts:
            raise RecordError(f"{file}: leads: expected {name} once, which others are computed from, got it twice")
        if name in needed:
            volts[name], steps[name] = _lead(file, name, lead, n_samples, units, check=checksums == "error")
    computed = [name for name in kept if name in derived]
    for name in computed:
        a, b = _DERIVED[name]
        volts[name] = a * volts["I"] + b * volts["II"]
        # Halves of steps occur in the augmented leads. Where I and II differ in step, no one step holds.
        steps[name] = steps["I"] * min(abs(a), abs(b)) if steps["I"] == steps["II"] else float("nan")
    off = [n for n, e in zip(names, found, strict=True) if n in kept and text(file, e, "LeadOff", "").upper() == "TRUE"]
    attrs = {"source": file, "format": NAME, "reader": f"ecg_widget {__version__}", "filters": _filters(file, item)}
    attrs |= device(text(file, root, "TestDemographics/AcquisitionDevice", ""))
    extra = {"derived_leads": computed, **({"leads_off": off} if off else {})}
    values = np.stack([volts[name] for name in kept])
    stored = Stored(
        path, kept, rate, n_samples, [steps[n] for n in kept], lambda rows, a, b: values[list(rows), a:b], n_samples
    )
    return dataset(stored, {**attrs, **extra}, lazy=False)


def _spelled(file: str, i: int, name: str) -> str:
    """Spell a lead's name; an unfit one is an error of the file's."""
    try:
        return canonical_lead(name)
    except ValueError as error:
        raise RecordError(f"{file}: lead {i}: {error}") from None


def _choose(file: str, found: Sequence[Element], waveform: int | None) -> Element:
    kinds = [text(file, item, "WaveformType", "?")[:20] for item in found]
    if waveform is not None:
        if not 0 <= waveform < len(found):
            raise RecordError(f"{file}: waveform: expected 0 to {len(found) - 1}, got {waveform}; the file has {kinds}")
        return found[waveform]
    rhythm = [i for i, kind in enumerate(kinds) if kind.upper() == "RHYTHM"]
    if len(rhythm) != 1:
        raise RecordError(
            f"{file}: WaveformType: expected one Rhythm waveform, got {len(rhythm)} among {kinds[:8]}; choose with "
            "waveform="
        )
    return found[rhythm[0]]


def _rate(file: str, item: Element) -> float:
    base = finite(f"{file}: SampleBase", text(file, item, "SampleBase"))
    exponent = finite(f"{file}: SampleExponent", text(file, item, "SampleExponent", "0"))
    if abs(exponent) > _LARGEST_EXPONENT or exponent != int(exponent):
        raise RecordError(
            f"{file}: SampleExponent: expected a whole number from -{_LARGEST_EXPONENT} to {_LARGEST_EXPONENT}, got "
            f"{exponent:g}"
        )
    return base * 10.0**exponent


def _lead(
    file: str, name: str, lead: Element, n_samples: int, units: str | None, *, check: bool
) -> tuple[np.ndarray, float]:
    where = f"lead {name}: "
    size = text(file, lead, "LeadSampleSize", "2")
    if size != "2":
        raise RecordError(f"{file}: {where}LeadSampleSize: expected 2 bytes, got {size[:20]!r}")
    for field in ("LeadTimeOffset", "FirstSampleBaseline", "LeadOffsetFirstSample"):
        # What these change is nowhere documented, and readers differ: an unknown shift is not passed over.
        if finite(f"{file}: {where}{field}", text(file, lead, field, "0")) != 0:
            raise RecordError(f"{file}: {where}{field}: expected 0, got {text(file, lead, field)[:20]!r}")
    step = finite(f"{file}: {where}LeadAmplitudeUnitsPerBit", text(file, lead, "LeadAmplitudeUnitsPerBit"))
    if step <= 0:
        raise RecordError(f"{file}: {where}LeadAmplitudeUnitsPerBit: expected a number > 0, got {step:g}")
    unit = text(file, lead, "LeadAmplitudeUnits", "")
    step *= factor(f"{file}: {where}LeadAmplitudeUnits", _UNITS.get(unit.upper(), unit), units)
    check_step(f"{file}: {where}LeadAmplitudeUnitsPerBit", step)
    data = decode_base64(f"{file}: {where}WaveFormData", text(file, lead, "WaveFormData"), 2 * n_samples)
    if len(data) != 2 * n_samples:
        raise RecordError(f"{file}: {where}WaveFormData: expected {2 * n_samples} bytes, got {len(data)}")
    stated = text(file, lead, "LeadDataCRC32", "")
    if check and stated.isascii() and stated.isdecimal() and int(stated[:20]) != zlib.crc32(data):
        raise RecordError(
            f"{file}: {where}LeadDataCRC32: expected {zlib.crc32(data)}, which the samples give, got {stated[:20]}: "
            "one of them was changed; checksums='ignore' reads on"
        )
    return np.frombuffer(data, "<i2") * step, step


def _filters(file: str, item: Element) -> str:
    parts = []
    for field, name, scale in (
        ("HighPassFilter", "high-pass", 0.01),  # stated in hundredths of a Hz
        ("LowPassFilter", "low-pass", 1.0),
        ("ACFilter", "notch", 1.0),  # "NONE", or the frequency
    ):
        value = text(file, item, field, "")
        if value.isascii() and value.replace(".", "", 1).isdecimal() and len(value) <= 8 and float(value) > 0:
            parts.append(f"{name} {float(value) * scale:g} Hz")
    return ", ".join(parts)
