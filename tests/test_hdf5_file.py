"""Generic HDF5: what a file states is taken, what the caller states is held against it, the rest is asked for."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from ecg_widget.records import LEADS, RecordError, open_ecg

STATED = {"sampling_rate": 500, "units": "mV", "lead_names": LEADS}


@pytest.fixture
def values():
    return np.random.default_rng(2).normal(size=(12, 700)).astype(np.float32)


@pytest.fixture
def write(tmp_path):
    def to(datasets, name="a.h5", attrs=None, **options):
        with h5py.File(tmp_path / name, "w", **options) as file:
            file.attrs.update(attrs or {})
            for key, (data, said) in datasets.items():
                file.create_dataset(key, data=data).attrs.update(said)
        return tmp_path / name

    return to


def test_what_attributes_say_is_enough(write, values):
    said = {"sampling_rate": 500.0, "units": "uV", "leads": [n.lower() for n in LEADS], "patient_name": "Quisling"}
    path = write({"study/ecg": (values.T * 1000, said), "study/hr": (np.arange(9.0), {})}, attrs={"hospital": "Secret"})
    ds = open_ecg(path)
    assert ds.lead.values.tolist() == list(LEADS)
    np.testing.assert_allclose(ds.signal[0], values, rtol=1e-5, atol=1e-7)
    assert ds.time.attrs["sampling_rate"] == 500
    assert {k: ds.attrs[k] for k in ("format", "dataset", "source")} == {
        "format": "HDF5", "dataset": "study/ecg", "source": "a.h5"}  # fmt: skip
    assert ds.record.values.tolist() == ["a"]
    assert "Quisling" not in str(ds.attrs)
    assert "Secret" not in str(ds.attrs)
    assert open_ecg(path, leads=["V1"], units="1e-6V").sizes["lead"] == 1
    for option, message in (
        ({"units": "mV"}, "units: the attribute units says 0.001, the caller 1"),
        ({"sampling_rate": 250}, "sampling rate: the attribute sampling_rate says 500.0, the caller 250"),
        ({"lead_names": LEADS[::-1]}, "leads: the attribute leads says"),
    ):
        with pytest.raises(RecordError, match=message):
            open_ecg(path, **option)


def test_attributes_of_groups_count_and_the_nearest_wins(write, values):
    path = write({"ecg": (values, {"fs": 250}), "x/y/more": (values, {})},
                 attrs={"Fs": 100, "unit": "mV", "channels": ", ".join(LEADS)})  # fmt: skip
    assert open_ecg(path, dataset="ecg").time.attrs["sampling_rate"] == 250
    ds = open_ecg(path, dataset="/x/y/more")
    assert ds.time.attrs["sampling_rate"] == 100
    assert ds.lead.values.tolist() == list(LEADS)
    with h5py.File(path, "a") as file:
        file["x"].attrs.update(fs=200, sampling_rate=300)
    with pytest.raises(RecordError, match="sampling rate: expected one, the attributes say"):
        open_ecg(path, dataset="/x/y/more")


@pytest.mark.parametrize(("missing", "message"), [
    ("sampling_rate", "sampling rate: expected an attribute sampling_rate, got none; state it with sampling_rate="),
    ("units", "units: expected an attribute units, got none; state it with units="),
    ("lead_names", "leads: expected an attribute leads, got none; state it with lead_names="),
])  # fmt: skip
def test_nothing_is_guessed(write, values, missing, message):
    path = write({"ecg": (values, {})})
    np.testing.assert_array_equal(open_ecg(path, **STATED).signal[0], values)
    with pytest.raises(RecordError, match=message):
        open_ecg(path, **{k: v for k, v in STATED.items() if k != missing})


def test_the_dataset_is_named_or_the_only_one(write, values):
    path = write({"a/ecg": (values, {}), "b": (values * 2, {}), "ids": (np.arange(3), {}), "names": (b"x", {})})
    with pytest.raises(RecordError, match=r"got 2; choose with dataset=; the file has b \(12, 700\) float32, .*a/ecg"):
        open_ecg(path, **STATED)
    with pytest.raises(RecordError, match=r"expected 'c', the file has b \(12, 700\)"):
        open_ecg(path, dataset="c", **STATED)
    np.testing.assert_array_equal(open_ecg(path, dataset="a/ecg", **STATED).signal[0], values)
    np.testing.assert_array_equal(open_ecg(path, dataset="/b", **STATED).signal[0], values * 2)
    with pytest.raises(RecordError, match=r"names: expected some dimensions"):
        open_ecg(path, dataset="names", **STATED)


@pytest.mark.parametrize(("shape", "found"), [
    ((12, 700), ("lead", "time")), ((700, 12), ("time", "lead")), ((1, 12, 700), ("record", "lead", "time")),
    ((700, 12, 1), ("time", "lead", "record")), ((12, 12), None), ((3, 12, 700), None), ((12, 1, 12), None),
    ((13, 700), None), ((700,), None),
])  # fmt: skip
def test_dimensions_are_found_where_there_is_one_way(write, shape, found):
    data = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    path = write({"ecg": (data, {})})
    if found is None:
        with pytest.raises(RecordError, match="dims: expected one way to read shape"):
            open_ecg(path, dataset="ecg", **STATED)
        return
    order = [found.index(d) for d in ("record", "lead", "time") if d in found]
    expected = data.transpose(order).reshape(1, 12, 700)
    np.testing.assert_array_equal(open_ecg(path, **STATED).signal.values, expected)
    np.testing.assert_array_equal(open_ecg(path, dims=found, **STATED).signal.values, expected)


def test_one_lead_alone(write):
    data = np.arange(50, dtype=np.int16)
    one = {**STATED, "units": "uV", "lead_names": ["II"]}
    for shape in ((50,), (1, 50), (50, 1)):
        ds = open_ecg(write({"ecg": (data.reshape(shape), {})}), dataset="ecg", **one)
        np.testing.assert_allclose(ds.signal.values[0, 0], data / 1000, rtol=1e-6)
        assert ds.adc_step.values == pytest.approx(1e-3)
    many = open_ecg(write({"ecg": (data.reshape(5, 10), {})}), dims=("record", "time"), **one)
    assert many.record.values.tolist() == ["a-0", "a-1", "a-2", "a-3", "a-4"]


def test_stated_and_labelled_dimensions_and_parts(write):
    data = np.random.default_rng(0).normal(size=(5, 700, 12)).astype(np.float32)
    path = write({"ecg": (data, {"dims": "record time lead"})})
    ds = open_ecg(path, **STATED)
    np.testing.assert_array_equal(ds.signal.values, data.transpose(0, 2, 1))
    some = open_ecg(path, part=slice(1, 5, 2), **STATED)
    assert some.record.values.tolist() == ["a-1", "a-3"]
    np.testing.assert_array_equal(some.signal.values, ds.signal.values[1:5:2])
    with pytest.raises(RecordError, match=r"dims: the file says \['record', 'time', 'lead'\], the caller"):
        open_ecg(path, dims=("record", "lead", "time"), **STATED)
    with pytest.raises(RecordError, match="part: expected some of 5 records"):
        open_ecg(path, part=slice(9, None), **STATED)
    with pytest.raises(ValueError, match="dims: expected names among"):
        open_ecg(path, dims=("record", "channel", "time"), **STATED)
    with h5py.File(path, "a") as file:
        del file["ecg"].attrs["dims"]
        for i, label in enumerate(("exam", "samples", "channels")):
            file["ecg"].dims[i].label = label
    np.testing.assert_array_equal(open_ecg(path, **STATED).signal.values, ds.signal.values)


def test_packed_numbers_and_gaps(write):
    data = np.arange(1200, dtype=np.int16).reshape(12, 100)
    data[0, 5] = -1
    said = {"scale_factor": 2.5, "add_offset": -100.0, "_FillValue": np.int16(-1)}
    ds = open_ecg(write({"ecg": (data, said)}), **{**STATED, "units": "uV"})
    expected = np.where(data == -1, np.nan, (data * 2.5 - 100) / 1000)
    np.testing.assert_allclose(ds.signal.values[0], expected, rtol=1e-6)
    assert ds.adc_step.values.ravel() == pytest.approx([0.0025] * 12)
    for bad in ({"scale_factor": 0.0}, {"add_offset": np.inf}, {"scale_factor": "many"}, {"scale_factor": [1.0, 2.0]}):
        with pytest.raises(RecordError, match=r"scale_factor|add_offset"):
            open_ecg(write({"ecg": (data, bad)}), **STATED)


def test_matlab_files_open(write, values):
    """MATLAB 7.3 puts 512 bytes before the HDF5 file, and its (lead, time) lies here as (time, lead)."""
    path = write({"val": (values.T, {})}, name="a.mat", userblock_size=512)
    with path.open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64, Created by: Quisling")
    ds = open_ecg(path, **STATED)
    np.testing.assert_array_equal(ds.signal[0], values)
    assert "Quisling" not in str(ds)


def test_values_outside_and_absurd_sizes_are_refused(write, values, tmp_path):
    write({"ecg": (values, {})}, name="other.h5")
    path = tmp_path / "b.h5"
    with h5py.File(path, "w") as file:
        file["ecg"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "ecg")
        file.create_group("g")["ecg"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "ecg")
    with pytest.raises(RecordError, match="the file has none"):
        open_ecg(path, dataset="ecg", **STATED)
    with h5py.File(path, "w") as file:
        file.create_dataset("ecg", (12, 20_000_000), "f4", chunks=(12, 1000))
    with pytest.raises(RecordError, match="expected at most 64 values for each of the 0 bytes that are stored"):
        open_ecg(path, **STATED)
    with h5py.File(path, "w") as file:
        file.create_dataset("ecg", (1000, 12, 2_000_000), "i2", chunks=(1, 12, 1000))
    with pytest.raises(RecordError, match="size: expected at most 1073741824 values at a time"):
        open_ecg(path, dims=("record", "lead", "time"), **STATED)
    data = write({"ecg": (values, {})}).read_bytes()
    for end in range(8, len(data), 997):
        path.write_bytes(data[:end])
        with pytest.raises(RecordError):
            open_ecg(path, **STATED)


def test_a_heap_without_an_end_is_refused(write, values):
    """The library would step over an object of no size for ever; texts of attributes lie in such heaps."""
    path = write({"ecg": (values, {"units": "mV", "sampling_rate": 500, "leads": list(LEADS)})})
    data = bytearray(path.read_bytes())
    heap = data.index(b"GCOL\x01")
    assert open_ecg(path).sizes["lead"] == 12
    at = heap + 16  # the first object: its number, and its size at byte 8
    for change in ({at: 0, at + 8: 0}, {at + 15: 255}, {at + 8: 255, at + 9: 255}):
        broken = bytearray(data)
        for place, byte in change.items():
            broken[place] = byte
        path.write_bytes(broken)
        with pytest.raises(RecordError, match=r"a\.h5: heap: expected objects of 16 to"):
            open_ecg(path)


def test_infinity_and_many_nodes_are_refused(write, values):
    with pytest.raises(RecordError, match="infinity"):
        open_ecg(write({"ecg": (values + np.inf, {})}), **STATED)
    many = {f"d{i}": (values[:1, :1], {}) for i in range(1001)}
    with pytest.raises(RecordError, match="choose with dataset="):
        open_ecg(write(many), **STATED)
    path = write(many | {"zz": (values, {})})
    np.testing.assert_array_equal(open_ecg(path, dataset="zz", **STATED).signal[0], values)
