"""Sections of an SCP-ECG file (EN 1064) as they lie in it: leads, beats, packed samples, and filters."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ecg_widget.formats.scp_bimodal import check_zones
from ecg_widget.formats.scp_codes import Table, decoded, summed
from ecg_widget.records import RecordError

__all__ = ["Beats", "Lead", "Packed", "read_beats", "read_facts", "read_leads", "read_packed"]

_LARGEST_CODED = 1 << 20  # bytes of coded samples; twelve leads of the largest size that the format can state
_MOST_LEADS = 85


@dataclass(frozen=True)
class Lead:
    """One lead of section 3."""

    code: int
    first: int  # sample of the common time axis, from 1
    last: int

    @property
    def n_samples(self) -> int:
        """At full rate."""
        return self.last - self.first + 1


@dataclass(frozen=True)
class Packed:
    """Section 5 or 6."""

    where: str
    nanovolts: int  # of a step
    interval: int  # us from sample to sample
    order: int  # of the differences
    bimodal: bool  # section 6 alone
    data: tuple[bytes, ...]  # of each lead

    def samples(self, lead: int, n_samples: int, tables: Sequence[Table] | None, *, whole: bool = False) -> np.ndarray:
        """Decode the numbers of a lead; `whole`: they must be all that it has."""
        where = f"{self.where}: lead {lead}"
        data = self.data[lead]
        if tables is not None:
            values = decoded(where, data, n_samples, tables, whole=whole)
        elif 2 * n_samples > len(data) or (whole and 2 * n_samples != len(data)):
            raise RecordError(f"{where}: expected {n_samples} samples, got {len(data)} bytes")
        else:
            values = np.frombuffer(data, "<i2", n_samples).astype(np.int64)
        return summed(values, self.order)


@dataclass(frozen=True)
class Beats:
    """Section 4: where the reference beat was taken away."""

    length: int  # of the reference beat, ms
    fiducial: int  # its sample, from 1
    places: tuple[tuple[int, int, int, int], ...]  # type of the beat; first, fiducial and last sample, from 1
    zones: tuple[tuple[int, int], ...] | None  # protected: first and last sample

    @property
    def subtracted(self) -> list[tuple[int, int]]:
        """First and last sample of the places where the reference beat was taken away: those of type 0."""
        return [(first, last) for kind, first, _, last in self.places if kind == 0]

    def protected(self, where: str) -> list[tuple[int, int]]:
        """Give the protected zones, vetted."""
        if self.zones is None:
            raise RecordError(f"{where}: protected zones: expected one a beat, since samples have two rates, got none")
        return check_zones(where, self.zones)


def read_leads(file: str, body: bytes) -> tuple[bool, list[Lead]]:
    """Section 3: whether a reference beat was taken away, and the leads."""
    n_leads, flags = struct.unpack_from("<BB", body)
    if not 1 <= n_leads <= _MOST_LEADS:
        raise RecordError(f"{file}: section 3: number of leads: expected 1 to {_MOST_LEADS}, got {n_leads}")
    found = []
    for i in range(n_leads):
        first, last, code = struct.unpack_from("<IIB", body, 2 + 9 * i)
        if not 1 <= first <= last:
            raise RecordError(f"{file}: section 3: lead {i}: expected samples from 1 upwards, got {first} to {last}")
        found.append(Lead(code, first, last))
    return bool(flags & 1), found


def read_packed(file: str, number: int, body: bytes, n_leads: int) -> Packed:
    """Section 5 or 6."""
    where = f"{file}: section {number}"
    nanovolts, interval, order, bimodal = struct.unpack_from("<HHBB", body)
    sizes = struct.unpack_from(f"<{n_leads}H", body, 6)
    if nanovolts < 1 or interval < 1 or order > 2:
        raise RecordError(
            f"{where}: expected an amplitude and an interval above 0 and differences of order 0, 1 or 2, got "
            f"{nanovolts} nV, {interval} us and {order}"
        )
    at = 6 + 2 * n_leads
    if at + sum(sizes) > len(body) or sum(sizes) > _LARGEST_CODED:
        raise RecordError(
            f"{where}: samples: expected at most {min(_LARGEST_CODED, len(body) - at)} bytes, got {sum(sizes)}"
        )
    data = []
    for size in sizes:
        data.append(body[at : at + size])
        at += size
    return Packed(where, nanovolts, interval, order, number == 6 and bimodal != 0, tuple(data))


def read_beats(file: str, body: bytes) -> Beats:
    """Section 4."""
    length, fiducial, n_beats = struct.unpack_from("<HHH", body)
    ends = 6 + 14 * n_beats
    if ends > len(body):
        raise RecordError(f"{file}: section 4: expected {n_beats} beats, got {len(body)} bytes")
    places = tuple(struct.iter_unpack("<HIII", body[6:ends]))
    zones = body[ends : ends + 8 * n_beats]
    if len(zones) < 8 * n_beats:  # left out where all samples have one rate
        return Beats(length, fiducial, places, None)
    return Beats(length, fiducial, places, tuple(struct.iter_unpack("<II", zones)))


def read_facts(body: bytes) -> tuple[str, str]:
    """Filters (tags 27 to 29) and the device's model (tag 14) of section 1, whose entries are tag, size and value."""
    parts = []
    at, model = 0, ""
    while at + 3 <= len(body) and body[at] != 255:
        tag, size = struct.unpack_from("<BH", body, at)
        value = body[at + 3 : at + 3 + size]
        at += 3 + size
        if tag == 14:  # six letters behind numbers of institution, department and device, which stay in the file
            model = value[8:14].split(b"\0")[0].decode("ascii", "replace")
        elif tag == 27 and any(value[:2]) and size == 2:
            parts.append(f"high-pass {int.from_bytes(value, 'little') / 100:g} Hz")
        elif tag == 28 and any(value[:2]) and size == 2:
            parts.append(f"low-pass {int.from_bytes(value, 'little')} Hz")
        elif tag == 29 and size == 1 and value:
            parts += [name for bit, name in ((1, "notch 60 Hz"), (2, "notch 50 Hz")) if value[0] & bit]
    return ", ".join(parts), model
