from __future__ import annotations

import struct
import warnings
from pathlib import Path

import numpy as np
import pytest
from binary_files import huffman, packed, plain, scp, scp_file
from hypothesis import given, settings
from hypothesis import strategies as st

from ecg_widget.formats.scp_codes import decoded, read_tables
from ecg_widget.leads import LEADS
from ecg_widget.records import RecordError, open_ecg

RNG = np.random.default_rng(5)


def _leads(n=12, length=400):
    walk = np.cumsum(RNG.integers(-12, 13, (n, length)), 1) + RNG.integers(-200, 200, (n, 1))
    walk[:, length // 2 : length // 2 + 3] += [300, -900, 500]  # too large for 8 bits
    return list(walk)


SAMPLES = _leads()
BEAT = [np.rint(90 * np.exp(-(((np.arange(100) - 40) / 6) ** 2)) * (i + 1)).astype(int) for i in range(12)]
PLACES = [(0, 20, 60, 119), (1, 150, 170, 190), (0, 230, 250, 290), (0, 380, 395, 460)]
BIMODAL = {
    "beat": BEAT,
    "fiducial": 41,
    "places": PLACES[:1] + PLACES[2:3],
    "means": 4,
    "bimodal": 1,
    "beat_interval": 2000,
}
ZONES = [(49, 72), (238, 262)]


@pytest.fixture
def write(tmp_path):
    def write(samples=SAMPLES, **changes):
        path = tmp_path / "rest.scp"
        path.write_bytes(scp(samples, **changes))
        return path

    return write


def _reference(path):
    """Leads in mV by another reader, which warns of wrong checksums."""
    from ecgdatakit.parsing.parsers.scp_ecg import SCPECGParser

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        record = SCPECGParser().parse(path)
    return {lead.label: lead.samples * lead.resolution / 1000 for lead in record.leads}


class TestSCP:
    @pytest.mark.parametrize("order", [0, 1, 2])
    @pytest.mark.parametrize("coded", [True, False])
    @pytest.mark.parametrize("subtracted", [True, False])
    def test_against_another_reader(self, write, order, coded, subtracted):
        path = write(
            order=order,
            nanovolts=1250,
            beat_nanovolts=1250,
            **({} if coded else {"table": None, "code": plain}),
            **({"beat": BEAT, "fiducial": 41, "places": PLACES} if subtracted else {}),
        )
        ds = open_ecg(path)
        assert ds.lead.values.tolist() == list(LEADS)
        assert ds.time.attrs["sampling_rate"] == 500
        stored = dict(
            zip(("I", "II", "V1", "V2", "V3", "V4", "V5", "V6", "III", "aVR", "aVL", "aVF"), SAMPLES, strict=True)
        )
        for name, values in _reference(path).items():
            np.testing.assert_allclose(ds.signal.sel(lead=name)[0], values, atol=1e-6)
            np.testing.assert_allclose(ds.signal.sel(lead=name)[0], stored[name] * 0.00125, atol=1e-6)
        np.testing.assert_allclose(ds.adc_step, 0.00125)

    def test_tables_of_the_file(self, write):
        def reverse(code):
            return int(code[::-1], 2)

        # Table 1: "0" -> 0, "10" -> 8-bit value, "11" -> table 2; table 2: "1" -> 16-bit value, "0" -> table 1
        first = [(1, 1, 1, 0, reverse("0")), (2, 10, 1, 0, reverse("10")), (2, 2, 0, 2, reverse("11"))]
        second = [(1, 17, 1, 0, reverse("1")), (1, 1, 0, 1, reverse("0"))]
        table = struct.pack("<H", 2)
        for codes in (first, second):
            table += struct.pack("<H", len(codes)) + b"".join(struct.pack("<BBBhI", *code) for code in codes)

        def code(values):
            bits, wide = "", False
            for v in values.tolist():
                large = not -128 <= v < 128
                if large != wide:
                    bits += "11" if large else "0"
                    wide = large
                bits += "1" + format(v & 0xFFFF, "016b") if large else "0" if v == 0 else "10" + format(v & 0xFF, "08b")
            bits += "0" * (-len(bits) % 8)
            return int(bits, 2).to_bytes(len(bits) // 8, "big")

        path = write(table=table, code=code)
        ds = open_ecg(path)
        for name, values in _reference(path).items():
            np.testing.assert_allclose(ds.signal.sel(lead=name)[0], values, atol=1e-6)
        np.testing.assert_allclose(ds.signal.sel(lead="II")[0], SAMPLES[1] * 0.0025, atol=1e-6)

    def test_amplitudes_of_beat_and_residual_may_differ(self, tmp_path):
        beat, residual = [np.array([4, 8, 4])], [np.array([1, 1, 1, 1, 1, 1])]
        bodies = {
            3: struct.pack("<BBIIB", 1, 0b1101, 1, 6, 2),
            4: struct.pack("<HHHHIII", 6, 2, 1, 0, 2, 3, 4),
            5: packed(beat, nanovolts=3000, interval=2000, order=0, code=plain),
            6: packed(residual, nanovolts=2000, interval=2000, order=0, code=plain),
        }
        path = tmp_path / "two.scp"
        path.write_bytes(scp_file(bodies))
        ds = open_ecg(path)
        expected = [0.002, 0.014, 0.026, 0.014, 0.002, 0.002]
        np.testing.assert_allclose(ds.signal[0, 0], expected, atol=1e-7)
        np.testing.assert_allclose(ds.signal[0, 0], _reference(path)["II"], atol=1e-7)
        assert float(ds.adc_step[0, 0]) == pytest.approx(0.001)

    @pytest.mark.parametrize("coded", [True, False])
    def test_bimodal(self, write, coded):
        t = np.arange(400)
        slow = [np.rint(40 * np.sin(2 * np.pi * (t + 20 * i) / 160)).astype(int) for i in range(12)]
        for lead, beat in zip(slow, BEAT, strict=True):
            for _, first, fiducial, last in BIMODAL["places"]:
                lead[first - 1 : last] += beat[first - fiducial + 40 : last - fiducial + 41]
        for zone in ZONES:  # detail that means of four would lose
            for lead in slow:
                lead[zone[0] : zone[1] - 1] += RNG.integers(-60, 60, zone[1] - zone[0] - 1)
        options = {} if coded else {"table": None, "code": plain}
        ds = open_ecg(write(slow, **BIMODAL, zones=ZONES, **options))
        assert ds.attrs["compression"] == "bimodal: 125 Hz outside 2 protected zones"
        assert ds.time.attrs["sampling_rate"] == 500
        steps = ds.signal.sel(lead="II")[0].values / 0.0025 - slow[1]
        protected = np.zeros(400, bool)
        for first, last in ZONES:
            protected[first - 1 : last] = True
            np.testing.assert_allclose(steps[first - 1 : last], 0, atol=1e-3)
        # Outside: the slope of 1.6 steps a sample, half a sample late, and the ends of spans, where means repeat.
        assert np.abs(steps[~protected]).max() < 4
        assert np.sqrt(np.mean(steps[~protected] ** 2)) < 1.2
        assert np.abs(steps[~protected]).max() > 0.1  # lost it is

    def test_bimodal_with_zones_that_do_not_fit_the_samples(self, write):
        path = write(**BIMODAL, zones=ZONES)
        assert open_ecg(path).sizes["time"] == 400
        data = path.read_bytes()
        at = data.index(struct.pack("<IIII", *ZONES[0], *ZONES[1]))
        for zones in ((49, 84, 238, 262), (49, 60, 238, 262)):
            path.write_bytes(data[:at] + struct.pack("<IIII", *zones) + data[at + 16 :])
            with pytest.raises(RecordError, match=r"section 6: lead 0: expected \d+ samples"):
                open_ecg(path, checksum=False)

    def test_leads_one_after_another(self, write):
        samples = [s[:100] for s in SAMPLES[:4]]
        ds = open_ecg(write(samples, firsts=[1, 1, 101, 151]))
        assert ds.sizes["time"] == 250
        for lead, first, values in zip(("I", "II", "V1", "V2"), (0, 0, 100, 150), samples, strict=True):
            found = ds.signal.sel(lead=lead)[0].values
            np.testing.assert_allclose(found[first : first + 100], values * 0.0025, atol=1e-6)
            assert int(np.isnan(found).sum()) == 150

    def test_nothing_on_the_patient_but_filters(self, write):
        ds = open_ecg(write())
        assert "Clark" not in str(ds.to_dict()) + repr(ds.attrs)
        assert "SBJ" not in str(ds.to_dict()) + repr(ds.attrs)
        assert ds.attrs["filters"] == "high-pass 0.05 Hz, low-pass 150 Hz, notch 50 Hz"
        assert set(ds.attrs) == {"source", "format", "reader", "filters", "quality"}

    def test_unknown_lead_codes(self, write):
        path = write(SAMPLES[:3], codes=(1, 0, 31))
        with pytest.raises(RecordError, match=r"rest\.scp: lead codes: .* got 0 \(lead 1\), 31 \(lead 2\); say"):
            open_ecg(path)
        assert open_ecg(path, leads=["I"]).sizes["lead"] == 1
        assert open_ecg(path, names=["I", "V7", "C"]).lead.values.tolist() == ["I", "V7", "C"]

    def test_checksums(self, write):
        path = write()
        data = bytearray(path.read_bytes())
        data[-1] ^= 1
        path.write_bytes(data)
        with pytest.raises(RecordError, match=r"rest\.scp: file: checksum: expected .* got"):
            open_ecg(path)
        assert open_ecg(path, checksum=False).sizes["time"] == 400
        from binascii import crc_hqx

        data[:2] = struct.pack("<H", crc_hqx(bytes(data[2:]), 0xFFFF))
        path.write_bytes(data)
        with pytest.raises(RecordError, match="section 6: checksum"):
            open_ecg(path)


class TestRefused:
    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"bimodal": 1}, "expected 4 and 5, since .* samples have two rates, got none of 4, 5"),
            (
                {"beat": BEAT, "beat_interval": 3000, "fiducial": 41, "places": PLACES[:1]},
                "section 6: interval: expected 1 to 16 times the 3000 us of the reference beat, got 2000 us",
            ),
            (
                {"beat": BEAT, "beat_interval": 100, "fiducial": 41, "places": PLACES[:1]},
                "section 6: interval: expected 1 to 16 times the 100 us",
            ),
            (
                {"beat": BEAT, "fiducial": 41, "places": PLACES[:2], "means": 4, "bimodal": 1},
                "section 4: protected zones: expected one a beat, since samples have two rates, got none",
            ),
            (
                {**BIMODAL, "zones": [(60, 70), (65, 80)]},
                "section 4: protected zones: expected one from sample 71 on, got 65 to 80",
            ),
            ({**BIMODAL, "zones": [(0, 0), (80, 70)]}, "section 4: protected zones"),
            ({"protocol": 30}, "section 0: protocol version: expected 1.0 to 2.9, got 3"),
            ({"interval": 0}, "section 6: expected an amplitude and an interval above 0"),
            ({"nanovolts": 0}, "section 6: expected an amplitude"),
            ({"interval": 5}, "sampling rate: expected 1 to 100000 Hz, got 200000"),
            ({"table": struct.pack("<H", 0)}, "section 2: tables: expected 19999 or 1 to 64, got 0"),
            ({"table": struct.pack("<HHBBBhI", 1, 1, 40, 40, 1, 0, 0)}, "section 2: table 1: expected 1 to 32 bits"),
            ({"table": struct.pack("<HH", 1, 999)}, "section 2: expected 8995 bytes"),
            (
                {"table": struct.pack("<HHBBBhI", 1, 1, 1, 1, 1, 0, 0)},
                "section 6: lead 0: expected 400 samples, got a code",
            ),
            (
                {"table": struct.pack("<HHBBBhIBBBhI", 1, 2, 1, 1, 0, 7, 0, 1, 1, 0, 7, 1)},
                "expected a table from 1 to 1, got 7",
            ),
            ({"codes": (1, 1, *range(3, 13))}, "each lead once"),
            ({"firsts": [4_000_000_000] + [1] * 11}, "size: expected at most"),
            ({"firsts": [9_000_000] + [1] * 11}, "size: expected at most 16000000 values"),
            ({"firsts": [0] * 12}, "section 3: lead 0: expected samples from 1 upwards"),
        ],
    )
    def test_content(self, write, changes, message):
        with pytest.raises(RecordError, match=rf"rest\.scp: .*{message}"):
            open_ecg(write(**changes))

    @pytest.mark.parametrize(
        ("number", "body", "message"),
        [
            (3, b"\x00\x04", "section 3: number of leads: expected 1 to 85, got 0"),
            (3, b"\xff\x04", "section 3: number of leads"),
            (3, struct.pack("<BBIIB", 1, 4, 1, 2**32 - 1, 1), "size: expected at most"),
            (3, struct.pack("<BBIIB", 1, 4, 1, 9_000_000, 1), "expected at most a sample a bit, got 9000000 samples"),
            (3, struct.pack("<BBIIB", 1, 4, 9, 1, 1), "lead 0: expected samples from 1 upwards, got 9 to 1"),
            (3, struct.pack("<BBIIB", 1, 5, 1, 4, 1), "expected 4 and 5, since a reference beat was taken away"),
            (6, struct.pack("<HHBBH", 2500, 2000, 3, 0, 1) + b"\0", "differences of order 0, 1 or 2"),
            (
                6,
                struct.pack("<HHBBH", 2500, 2000, 1, 0, 9999) + b"\0\0",
                "section 6: samples: expected at most 2 bytes, got 9999",
            ),
            (6, b"\x01", "complete sections, got too few bytes"),
            (6, None, "expected 3 .leads. and 6 .rhythm., got none of 6"),
        ],
    )
    def test_section(self, tmp_path, number, body, message):
        bodies = {
            2: struct.pack("<H", 19999),
            3: struct.pack("<BBIIB", 1, 4, 1, 4, 1),
            6: packed([np.arange(4)], nanovolts=2500, interval=2000, order=1, code=huffman),
        }
        path = tmp_path / "bad.scp"
        path.write_bytes(scp_file(bodies))
        np.testing.assert_allclose(open_ecg(path).signal[0, 0], np.arange(4) * 0.0025, atol=1e-7)
        bodies[number] = body
        if body is None:
            del bodies[number]
        path.write_bytes(scp_file(bodies))
        with pytest.raises(RecordError, match=rf"bad\.scp: .*{message}"):
            open_ecg(path)

    def test_cut_anywhere(self, write):
        path = write([s[:60] for s in SAMPLES])
        data = path.read_bytes()
        for end in [*range(0, len(data), 17), len(data) - 1]:
            path.write_bytes(data[:end])
            with pytest.raises(RecordError):
                open_ecg(path, checksum=False)
        path.write_bytes(data + b"\0")
        with pytest.raises(RecordError, match="size: expected"):
            open_ecg(path)

    def test_huffman_within_bounds(self):
        table = read_tables("x", struct.pack("<H", 19999))
        with pytest.raises(
            RecordError, match="x: expected at most a sample a bit, got 1000000000000 samples in 3 bytes"
        ):
            decoded("x", b"abc", 10**12, table)
        with pytest.raises(RecordError, match="x: expected 3 samples, got the end after 1"):
            decoded("x", b"\x7f\xff", 3, table)


@settings(max_examples=400, deadline=None, derandomize=True, database=None)
@given(
    changes=st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), min_size=1, max_size=6),
    kind=st.sampled_from(["coded", "plain", "subtracted", "bimodal"]),
    cut=st.integers(0, 20),
)
def test_hostile(tmp_path_factory, changes, kind, cut):
    samples = [s[:150] for s in SAMPLES[:3]]
    options = {"coded": {}, "plain": {"table": None, "code": plain, "order": 1}, "subtracted": {}, "bimodal": {}}[kind]
    if kind in ("subtracted", "bimodal"):
        options = {"beat": [b[30:60] for b in BEAT[:3]], "fiducial": 11, "places": [(0, 20, 25, 40), (0, 90, 95, 110)]}
    if kind == "bimodal":
        options |= {"zones": [(22, 30), (93, 101)], "means": 4, "bimodal": 1, "beat_interval": 2000}
    data = bytearray(scp(samples, codes=(1, 2, 3), **options))
    for at, value in changes:
        data[at % len(data)] = value
    if cut > 17:
        data = data[:-cut]
        data[2:6] = struct.pack("<I", len(data))
    path = Path(tmp_path_factory.getbasetemp()) / "fuzz.scp"
    path.write_bytes(data)
    for checksum in (True, False):
        try:
            ds = open_ecg(path, checksum=checksum)
        except RecordError:
            continue
        assert set(ds.data_vars) == {"signal", "adc_step"}


@pytest.mark.real_data
def test_shared_file(shared_data):
    (path,) = (shared_data / "formats/scp").iterdir()
    ds = open_ecg(path)
    reference = _reference(path)
    assert sorted(reference) == sorted(LEADS)
    assert dict(ds.sizes) == {"record": 1, "lead": 12, "time": 5000}
    for name, values in reference.items():
        np.testing.assert_allclose(ds.signal.sel(lead=name)[0], values, atol=1e-6)
    # What the leads are to one another: III = II - I, aVF = (II + III) / 2, within rounding of 2.5 uV steps.
    lead = {name: ds.signal.sel(lead=name)[0].values for name in LEADS}
    assert float(abs(lead["III"] - (lead["II"] - lead["I"])).max()) <= 0.0026
    assert float(abs(lead["aVF"] - (lead["II"] + lead["III"]) / 2).max()) <= 0.0039
