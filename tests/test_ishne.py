from __future__ import annotations

import struct
import warnings
from pathlib import Path

import numpy as np
import pytest
from binary_files import ishne
from hypothesis import given, settings
from hypothesis import strategies as st

from ecg_widget.lazy import is_lazy
from ecg_widget.leads import LEADS
from ecg_widget.records import RecordError, open_ecg

RNG = np.random.default_rng(7)
SAMPLES = RNG.integers(-3000, 3000, (12, 700), dtype=np.int16)


@pytest.fixture
def write(tmp_path):
    def write(samples=SAMPLES, **changes):
        path = tmp_path / "holter.ecg"
        path.write_bytes(ishne(samples, **changes))
        return path

    return write


class TestISHNE:
    def test_values(self, write):
        resolutions = [1000 + 100 * i for i in range(12)]
        ds = open_ecg(write(nanovolts=resolutions))
        assert ds.lead.values.tolist() == list(LEADS)
        assert ds.time.attrs["sampling_rate"] == 250
        expected = SAMPLES * np.array(resolutions)[:, None] * 1e-6
        np.testing.assert_allclose(ds.signal[0], expected, rtol=1e-6)
        np.testing.assert_allclose(ds.adc_step[0], np.array(resolutions) * 1e-6)

    def test_against_another_reader(self, write):
        from ecgdatakit.parsing.parsers.ishne_holter import ISHNEHolterParser

        path = write(SAMPLES[:3], codes=(5, 12, 10), nanovolts=[500, 1000, 4000], rate=1000)
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # the checksum that the test writes is that of the format
            reference = ISHNEHolterParser().parse(path)
        ds = open_ecg(path)
        assert ds.lead.values.tolist() == ["I", "aVF", "V2"]
        assert ds.time.attrs["sampling_rate"] == reference.leads[0].sampling_rate
        for lead in reference.leads:
            expected = lead.samples * lead.resolution / 1000
            np.testing.assert_allclose(ds.signal.sel(lead=lead.label)[0], expected, rtol=1e-6)

    def test_nothing_on_the_patient(self, write):
        ds = open_ecg(write())
        assert "ecret" not in str(ds.to_dict()) + repr(ds.attrs)
        assert set(ds.attrs) == {"source", "format", "reader", "filters", "quality"}

    def test_lead_fault_is_a_gap(self, write):
        samples = SAMPLES.copy()
        samples[4, 100:120] = -32768
        gaps = np.isnan(open_ecg(write(samples)).signal[0])
        assert gaps.sel(lead="aVL").values.nonzero()[0].tolist() == list(range(100, 120))
        assert int(gaps.sum()) == 20

    def test_later(self, write):
        path = write()
        whole, later = open_ecg(path), open_ecg(path, lazy=True)
        assert is_lazy(later.signal)
        part = later.isel(time=slice(33, 600, 7)).sel(lead=["V1", "I"])
        np.testing.assert_array_equal(part.signal, whole.isel(time=slice(33, 600, 7)).sel(lead=["V1", "I"]).signal)
        assert is_lazy(later.signal)
        np.testing.assert_array_equal(later.load().signal, whole.signal)

    def test_a_file_that_changed_after_opening(self, write):
        path = write()
        later = open_ecg(path, lazy=True)
        path.write_bytes(path.read_bytes()[:-4000])
        with pytest.raises(RecordError, match=r"holter\.ecg: expected a complete recording"):
            later.load()

    @pytest.mark.parametrize("code", [0, 1, -9, 20, 32000])
    def test_unknown_lead_codes(self, write, code):
        path = write(SAMPLES[:3], codes=(5, code, 6))
        with pytest.raises(RecordError, match=rf"holter\.ecg: lead codes: .* got {code} \(lead 1\); say .* names="):
            open_ecg(path)
        assert open_ecg(path, leads=["II"]).lead.values.tolist() == ["II"]
        ds = open_ecg(path, names=["I", "MV5", "II"])
        assert ds.lead.values.tolist() == ["I", "II", "MV5"]
        np.testing.assert_allclose(ds.signal.sel(lead="MV5")[0], SAMPLES[1] * 0.0025, rtol=1e-6)

    def test_names_do_not_overrule_the_file(self, write):
        with pytest.raises(RecordError, match="lead 0: name: the file says I, the caller 'V1'"):
            open_ecg(write(SAMPLES[:2], codes=(5, 1)), names=["V1", "II"])
        with pytest.raises(RecordError, match="names: expected 2"):
            open_ecg(write(SAMPLES[:2], codes=(5, 1)), names=["I"])

    def test_resolution(self, write):
        path = write(nanovolts=0)
        with pytest.raises(RecordError, match=r"lead 0 \(I\): resolution 0: units: .* state it with units="):
            open_ecg(path)
        np.testing.assert_array_equal(open_ecg(path, units="2.5uV").signal, open_ecg(write()).signal)
        with pytest.raises(RecordError, match="the file states 2500nV, the caller 1uV"):
            open_ecg(write(), units="1uV")

    def test_checksum(self, write):
        path = write(checksum=0x1234)
        with pytest.raises(RecordError, match=r"holter\.ecg: checksum: expected .* got 3412: the header was changed"):
            open_ecg(path)
        np.testing.assert_array_equal(open_ecg(path, checksum=False).signal, open_ecg(write(checksum=0)).signal)
        data = bytearray(write().read_bytes())
        data[8:10] = data[9], data[8]  # the format does not fix the order
        path.write_bytes(data)
        assert open_ecg(path).sizes["time"] == 700
        data[100] ^= 1
        path.write_bytes(data)
        with pytest.raises(RecordError, match="checksum"):
            open_ecg(path)

    def test_length(self, write):
        path = write(stated=9000)
        with pytest.raises(RecordError, match=r"samples: expected 9000 of 12 leads .* 700 samples and 0 bytes"):
            open_ecg(path)
        np.testing.assert_array_equal(open_ecg(path, length="file").signal, open_ecg(write()).signal)
        with pytest.raises(ValueError, match="length: expected 'header' or 'file'"):
            open_ecg(path, length="all")

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"n_leads": 0}, "number of leads: expected 1 to 12, got 0"),
            ({"n_leads": 300}, "number of leads: expected 1 to 12, got 300"),
            ({"rate": 0}, "sampling rate: expected 1 to 100000 Hz, got 0"),
            ({"rate": -5}, "sampling rate"),
            ({"version": 2}, "file version: expected 1, got 2"),
            ({"stated": 2**31 - 1}, "samples: expected 2147483647"),
            ({"codes": (5, 5, *range(7, 17))}, "each lead once"),
        ],
    )
    def test_refused(self, write, changes, message):
        with pytest.raises(RecordError, match=rf"holter\.ecg: .*{message}"):
            open_ecg(write(**changes))

    @pytest.mark.parametrize(("at", "value"), [(10, -1), (10, 2**31 - 1), (18, 0), (22, 5), (22, 2**31 - 1)])
    def test_offsets(self, write, at, value):
        path = write()
        data = bytearray(path.read_bytes())
        struct.pack_into("<i", data, at, value)
        path.write_bytes(data)
        with pytest.raises(RecordError, match=r"variable block: expected|offsets: expected"):
            open_ecg(path, checksum=False)

    def test_cut_anywhere(self, write):
        path = write(SAMPLES[:, :40])
        data = path.read_bytes()
        for end in [*range(0, 600, 37), *range(600, len(data), 101), len(data) - 1]:
            path.write_bytes(data[:end])
            with pytest.raises(RecordError):
                open_ecg(path)

    def test_found_by_content(self, write, tmp_path):
        moved = write().rename(tmp_path / "x.dcm")
        assert open_ecg(moved).attrs["format"] == "ISHNE"


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(
    changes=st.lists(st.tuples(st.integers(0, 700), st.integers(0, 255)), min_size=1, max_size=8),
    cut=st.integers(0, 200),
    checksum=st.booleans(),
)
def test_hostile(tmp_path_factory, changes, cut, checksum):
    data = bytearray(ishne(SAMPLES[:4, :90], codes=(5, 6, 11, 12)))
    for at, value in changes:
        data[at] = value
    path = Path(tmp_path_factory.getbasetemp()) / "fuzz_ishne.ecg"
    path.write_bytes(data[: len(data) - cut // 2])
    try:
        ds = open_ecg(path, checksum=checksum, length="file" if cut % 3 else "header")
    except RecordError:
        return
    assert ds.signal.size <= 4096


@pytest.mark.real_data
def test_shared_file(shared_data):
    from ecgdatakit.parsing.parsers.ishne_holter import ISHNEHolterParser

    (path,) = (shared_data / "formats/ishne").iterdir()
    ds = open_ecg(path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        reference = ISHNEHolterParser().parse(path)
    assert ds.lead.values.tolist() == list(LEADS)
    assert dict(ds.sizes) == {"record": 1, "lead": 12, "time": 5000}
    for lead in reference.leads:
        np.testing.assert_allclose(ds.signal.sel(lead=lead.label)[0], lead.samples * lead.resolution / 1000, atol=1e-6)
