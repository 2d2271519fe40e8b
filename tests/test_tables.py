from __future__ import annotations

import numpy as np
import pytest

from ecg_widget import RecordError, open_ecg

TABLE = "time_s{d}DII{d}v1\n" + "".join(f"{i / 500:.3f}{{d}}{i * 10}{{d}}{-i}\n" for i in range(50))


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_delimiters(tmp_path, delimiter):
    path = tmp_path / "a.anything"
    path.write_text(TABLE.format(d=delimiter))
    ds = open_ecg(path, units="uV")
    assert ds.lead.values.tolist() == ["II", "V1"]
    assert ds.time.attrs["sampling_rate"] == 500
    np.testing.assert_allclose(ds.signal.values[0, 0], np.arange(50) / 100, rtol=1e-6)
    assert ds.attrs["format"] == "CSV"


def test_decimal_commas_gaps_and_units_in_the_header(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text('"II [uV]";"V1 (mV)"\r\n1000,5;0,25\r\n;nan\r\n3;4\r\n')
    ds = open_ecg(path, sampling_rate=250)
    np.testing.assert_allclose(ds.signal.values[0], [[1.0005, np.nan, 0.003], [0.25, np.nan, 4]], rtol=1e-6)


@pytest.mark.parametrize(("text", "options", "expected"), [
    ("I,II\n1,2\n3,4\n", {"units": "mV"}, "sampling_rate="),
    ("I,II\n1,2\n3,4\n", {"sampling_rate": 100}, "units="),
    ("time_s,II\n0,2\n0.01,4\n", {"units": "mV", "sampling_rate": 500}, "caller 500"),
    ("II (mV),V1 (mV)\n1,2\n", {"units": "uV", "sampling_rate": 100}, "header says mV"),
    ("I,II\n1,2\n3,x4\n", {"units": "mV", "sampling_rate": 100}, "expected numbers"),
    ("I,II\n1,2\n3,4,5\n", {"units": "mV", "sampling_rate": 100}, "columns"),
    ("I,II\n1,2\n3,inf\n", {"units": "mV", "sampling_rate": 100}, "numbers"),
    ("I,DI\n1,2\n3,4\n", {"units": "mV", "sampling_rate": 100}, "I"),
    ("I,II\n", {"units": "mV", "sampling_rate": 100}, "expected"),
    ("time_s,II\n0,1\n0.01,1\n0.5,2\n", {"units": "mV"}, "off by"),
])  # fmt: skip
def test_what_is_not_known_is_refused(tmp_path, text, options, expected):
    path = tmp_path / "a.csv"
    path.write_text(text)
    with pytest.raises(RecordError, match=expected):
        open_ecg(path, **options)


@pytest.mark.real_data
def test_a_real_table_against_another_reader(shared_data):
    path = shared_data / "formats/csv/ptbxl_00001_500hz.csv"
    ds = open_ecg(path, units="mV")
    assert ds.time.attrs["sampling_rate"] == 500
    np.testing.assert_array_equal(ds.signal.values[0].T, np.loadtxt(path, np.float32, delimiter=",", skiprows=1)[:, 1:])
    with pytest.raises(RecordError, match="units="):
        open_ecg(shared_data / "formats/csv/ptbxl_00001_500hz.csv")


def arrays(**changes):
    x = np.arange(24, dtype=np.int16).reshape(2, 12)
    return {"signal": x, "sampling_rate": 250.0, "units": "uV", "leads": ["V1", "II"], **changes}


def test_numpy_archives_and_arrays(tmp_path):
    np.savez_compressed(tmp_path / "a.npz", **arrays())
    ds = open_ecg(tmp_path / "a.npz")
    assert ds.lead.values.tolist() == ["II", "V1"]
    np.testing.assert_allclose(ds.signal.values[0, 1], np.arange(12) / 1000, rtol=1e-6)
    np.save(tmp_path / "b.npy", np.asfortranarray(arrays()["signal"].astype(np.float64)))
    back = open_ecg(tmp_path / "b.npy", sampling_rate=250, units="uV", lead_names=["V1", "DII"])
    np.testing.assert_array_equal(back.signal.values, ds.signal.values)
    assert open_ecg(tmp_path / "a.npz", leads=["V1"], units="uV").lead.values.tolist() == ["V1"]


@pytest.mark.parametrize(("changes", "options", "expected"), [
    ({"units": None}, {}, "units="), ({"sampling_rate": None}, {}, "sampling_rate="), ({"leads": None}, {}, "lead_names="),
    ({}, {"units": "mV"}, "caller mV"), ({"signal": np.array([[None]])}, {}, "not unpickled"),
    ({"signal": np.full((2, 4), np.inf)}, {}, "infinity"), ({"leads": ["I"]}, {}, "2 names"),
    ({"sampling_rate": 1e9}, {}, "sampling rate"),
])  # fmt: skip
def test_numpy_files_that_are_refused(tmp_path, changes, options, expected):
    np.savez(tmp_path / "a.npz", **{k: v for k, v in arrays(**changes).items() if v is not None})
    with pytest.raises(RecordError, match=expected):
        open_ecg(tmp_path / "a.npz", **options)


def test_a_numpy_header_that_asks_for_more_than_there_is(tmp_path):
    path = tmp_path / "a.npy"
    with path.open("wb") as stream:
        np.lib.format.write_array_header_1_0(stream, {"descr": "<f8", "fortran_order": False, "shape": (12, 1 << 40)})
    with pytest.raises(RecordError, match="values in"):
        open_ecg(path, sampling_rate=100, units="mV", lead_names=["I"])
