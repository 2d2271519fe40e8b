"""Philips Sierra XML ("restingecgdata", versions 1.03 to 1.04.02): the rhythm of a resting ECG.

With XLI compression the leads III, aVR, aVL and aVF are stored as what is left after their computation from I and II;
they are put together here, so that all twelve are the recorded ones. Representative beats, the patient, the people,
the places, the dates and the statements stay in the file.

Some devices append the calibration pulse that they print, 1 mV in all leads at once. No heart does that to leads that
are differences of each other, so it is recognized with certainty, and left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from ecg_widget import __version__
from ecg_widget.formats.channels import Stored, chosen, dataset, factor
from ecg_widget.formats.device import device
from ecg_widget.formats.limits import check_header, check_step
from ecg_widget.formats.sierra_xli import decode
from ecg_widget.formats.xml_document import Element, children, decode_base64, finite, parse, root_name, text
from ecg_widget.leads import LEADS, canonical_lead
from ecg_widget.records import RecordError

NAME = "Philips Sierra XML"

_TYPES = ("SierraECG", "PhilipsECG")
_VERSIONS = ("1.03", "1.04", "1.04.01", "1.04.02")
_LEAD_SETS = ("STD-12", "10-WIRE")  # of 1.03, which names sets instead of leads
_MOST_VALUES = 1 << 22  # of all leads: 11 minutes of 12 leads at 500 Hz; a resting ECG has 10 s
_CALIBRATION = 1000.0  # uV
_PLAIN = ("", "uncompressed", "none")


def locate(path: Path) -> Path | None:
    """Return the path if its root element is that of a Philips ECG."""
    return path if root_name(path) == "restingecgdata" else None


def read(
    path: Path, *, leads: Sequence[str] | None = None, units: str | None = None, calibration: str = "drop"
) -> xr.Dataset:
    """Read one Philips Sierra XML file.

    Parameters
    ----------
    path, leads, units
        As in `ecg_widget.records.open_ecg`. The format's resolution is in uV.
    calibration
        What becomes of a calibration pulse at the end: ``"drop"`` ends the recording before it, ``"keep"`` leaves it.

    Returns
    -------
    xarray.Dataset
        One record, named after the file. ``attrs``: ``version`` of the format, and ``calibration`` (s; how much was
        left out at the end) where there was a pulse.

    Raises
    ------
    RecordError
        Another version, no or several waveforms, unknown encoding or compression, damaged or truncated samples,
        unnamed or repeated leads, statements that contradict each other.
    ValueError
        Another `calibration`.

    Examples
    --------
    >>> locate(Path("no-such-file.xml")) is None
    True
    """
    if calibration not in ("drop", "keep"):
        raise ValueError(f"calibration: expected 'drop' or 'keep', got {calibration!r}")
    file = path.name
    root = parse(path)
    kind = text(file, root, "documentinfo/documenttype")
    version = text(file, root, "documentinfo/documentversion")
    if kind not in _TYPES or version not in _VERSIONS:
        raise RecordError(
            f"{file}: documenttype and documentversion: expected {' or '.join(_TYPES)} {', '.join(_VERSIONS)}, got "
            f"{kind[:20]!r} {version[:20]!r}"
        )
    found = children(root, "waveforms/parsedwaveforms")
    if len(found) != 1:
        raise RecordError(f"{file}: parsedwaveforms: expected one, got {len(found)}")
    facts = _Facts(file, found[0], root.find("dataacquisition/signalcharacteristics"))
    names = facts.leads()
    rate = facts.number("samplespersecond", "samplingrate")
    duration = facts.number("durationperchannel")
    exact = duration * rate / 1000
    if not 0 < exact <= _MOST_VALUES or exact * len(names) > _MOST_VALUES:
        raise RecordError(
            f"{file}: durationperchannel: expected up to {_MOST_VALUES} samples of all leads, got {duration:g} ms of "
            f"{len(names)} leads at {rate:g} Hz"
        )
    n_samples = round(exact)
    check_header(file, n_channels=len(names), n_samples=n_samples, rate=rate)
    for field, wanted in (("bitspersample", "16"), ("signaloffset", "0"), ("signalsigned", "true")):
        got = facts.stated(field, default=wanted)
        if got.lower() != wanted:
            raise RecordError(f"{file}: {field}: expected {wanted}, got {got[:20]!r}")
    step = facts.number("resolution", "signalresolution")
    if step <= 0:
        raise RecordError(f"{file}: resolution: expected a number of uV > 0, got {step:g}")
    check_step(f"{file}: resolution", step / 1000)
    pulse = round(_CALIBRATION / step)
    step *= factor(f"{file}: resolution", "uV", units)
    keep = chosen(file, names, leads)
    samples = _samples(facts, found[0], names, n_samples)
    end = _calibration(samples, pulse) if calibration == "drop" else n_samples
    kept = [names[i] for i in keep]
    values = np.stack([samples[i][:end] for i in keep]) * step
    attrs: dict[str, Any] = {
        "source": file,
        "format": NAME,
        "version": version,
        "reader": f"ecg_widget {__version__}",
        "filters": facts.filters(),
        **device(text(file, root, "dataacquisition/machine", "")),
    }
    if end < n_samples:
        attrs["calibration"] = (n_samples - end) / rate
    stored = Stored(path, kept, rate, end, [step] * len(kept), lambda rows, a, b: values[list(rows), a:b], end)
    return dataset(stored, attrs, lazy=False)


class _Facts:
    """What the waveform's attributes and the acquisition's elements say; where both speak they must agree."""

    def __init__(self, file: str, waveform: Element, signal: Element | None) -> None:
        self.file, self.waveform, self.signal = file, waveform, signal

    def stated(self, *fields: str, default: str | None = None) -> str:
        said = {}
        for field in fields:
            said[f"parsedwaveforms {field}"] = (self.waveform.get(field) or "").strip()
            if self.signal is not None:
                said[f"signalcharacteristics {field}"] = text(self.file, self.signal, field, "")
        values = {name: value for name, value in said.items() if value}
        if len({value.lower() for value in values.values()}) > 1:
            heard = ", ".join(f"{value[:20]!r} ({name})" for name, value in values.items())
            raise RecordError(f"{self.file}: {fields[0]}: expected one value, got {heard}")
        if values:
            return next(iter(values.values()))
        if default is None:
            raise RecordError(f"{self.file}: {' or '.join(fields)}: expected a value, got none")
        return default

    def number(self, *fields: str) -> float:
        return finite(f"{self.file}: {fields[0]}", self.stated(*fields))

    def leads(self) -> list[str]:
        names = (self.waveform.get("leadlabels") or "").split()
        field = "numberofleads" if names else "numberchannelsallocated"
        count = self.number(field)
        if not names:
            kind = self.stated("acquisitiontype")
            if kind not in _LEAD_SETS or count != len(LEADS):
                raise RecordError(
                    f"{self.file}: acquisitiontype: expected {' or '.join(_LEAD_SETS)} with {len(LEADS)} channels, "
                    f"since the file names no leads, got {kind[:20]!r} with {count:g}"
                )
            return list(LEADS)
        if not 1 <= count <= len(names):  # labels of unused channels may follow
            raise RecordError(f"{self.file}: {field}: expected 1 to {len(names)}, got {count:g}")
        try:
            return [canonical_lead(name) for name in names[: int(count)]]
        except ValueError as error:
            raise RecordError(f"{self.file}: leadlabels: {error}") from None

    def filters(self) -> str:
        """Those of the stored samples; those of the printed report are others."""
        parts = []
        band = (
            text(self.file, self.signal, "signalbandwidth", "").partition("-") if self.signal is not None else ("",) * 3
        )
        for field, name, spare in (("hipass", "high-pass", band[0]), ("lowpass", "low-pass", band[2])):
            value = self.stated(field, default=spare)
            if value.isascii() and value.replace(".", "", 1).isdecimal() and len(value) <= 8 and float(value) > 0:
                parts.append(f"{name} {float(value):g} Hz")
        notch = self.stated("notchfilterfreqs", default="")
        if self.stated("notchfiltered", default="").lower() == "true" and notch.isascii() and notch.isdecimal():
            parts.append(f"notch {int(notch[:8])} Hz")
        return ", ".join(parts)


def _calibration(samples: Sequence[np.ndarray], pulse: int) -> int:
    """Where the flat line with a pulse that is the same in all leads begins; the length if there is none."""
    n_samples = len(samples[0])
    if len(samples) < 3:
        return n_samples
    together = np.stack(samples)
    same = (together == together[0]).all(axis=0) & ((together[0] == 0) | (together[0] == pulse))
    other = np.flatnonzero(~same)
    start = int(other[-1]) + 1 if other.size else 0
    tail = together[0, start:]
    one_pulse = int((np.diff(tail) == pulse).sum()) == 1 and int((np.diff(tail) == -pulse).sum()) == 1
    return start if one_pulse and tail[0] == tail[-1] == 0 and start else n_samples


def _samples(facts: _Facts, waveform: Element, names: Sequence[str], n_samples: int) -> list[np.ndarray]:
    file = facts.file
    encoding = (waveform.get("dataencoding") or "").strip()
    if encoding != "Base64":
        raise RecordError(f"{file}: dataencoding: expected Base64, got {encoding[:20] or 'none'!r}")
    method = (waveform.get("compression") or waveform.get("compressmethod") or "").strip()
    if (waveform.get("compressflag") or "").strip().lower() == "false":
        method = ""
    words = waveform.text or ""
    size = 2 * n_samples * len(names)
    if method.lower() in _PLAIN:
        data = decode_base64(f"{file}: parsedwaveforms", words, size)
        if len(data) != size:
            raise RecordError(f"{file}: parsedwaveforms: expected {size} bytes, got {len(data)}")
        return list(np.frombuffer(data, "<i2").reshape(len(names), n_samples).astype(np.int64))
    if method != "XLI":
        raise RecordError(f"{file}: compression: expected XLI or none, got {method[:20]!r}")
    # A code of 10 bits stands for a byte at least, and devices add unused blocks, each as long as a lead at most.
    most = 32 * (size // len(names) * 10 // 8 + 16)
    found = decode(file, decode_base64(f"{file}: parsedwaveforms", words, most), len(names), n_samples)
    limb = list(LEADS[:6])
    if list(names[:6]) == limb:
        i, ii = found[:2]
        found[2] = ii - i - found[2]
        found[3] = -found[3] - (i + ii) // 2
        found[4] = (i - found[2]) // 2 - found[4]
        found[5] = (ii + found[2]) // 2 - found[5]
    elif {"III", "aVR", "aVL", "aVF"} & set(names):
        raise RecordError(
            f"{file}: leadlabels: expected {' '.join(limb)} first, from which XLI builds the limb leads, got "
            f"{' '.join(names[:6])}"
        )
    return found
