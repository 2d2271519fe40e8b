"""What every reader refuses, one table a kind of damage; each format's own tests have the rest."""

from __future__ import annotations

import tracemalloc
import zipfile

import binary_files
import numpy as np
import pytest
from fuzz import seeds as seed_files

from ecg_widget import open_ecg, simulate
from ecg_widget.records import RecordError, validate_ecg

for library in ("edfio", "h5py", "netCDF4", "zarr", "defusedxml"):
    pytest.importorskip(library, reason="an extra of a reader: pip install 'ecg-widget[edf,hdf5,netcdf,xml,zarr]'")


@pytest.fixture(scope="module")
def found():
    return seed_files.make(shared=False)


def opened(folder, seed, files):
    """Open a seed with other files: the recording, or None where it is refused as it should be."""
    seed_files.write(folder, {**seed.files, **files})
    try:
        ds = open_ecg(folder / seed.target, quality=False, **seed.options[-1]).load()
    except RecordError as error:
        text = str(error)
    else:
        return validate_ecg(ds)
    assert text.strip()
    assert len(text) < 20_000
    return None


READERS = (
    "HL7 aECG", "CODE-15", "DICOM", "EDF", "ISHNE", "LUDB", "GE MUSE XML", "netCDF", "NumPy", "PTB-XL", "SCP-ECG",
    "Philips Sierra XML", "CSV", "WFDB", "zarr", "HDF5", "catalogue",
)  # fmt: skip


def test_every_reader_is_here(found):
    assert set(READERS) == set(found)


@pytest.mark.parametrize("reader", READERS)
class TestEveryReader:
    def test_empty_and_truncated(self, found, tmp_path, reader):
        """A recording that lacks half of a file is refused, or the half is of a file that says nothing of samples."""
        for i, seed in enumerate(found[reader][:4]):
            whole = opened(tmp_path / f"{i}", seed, {})
            assert whole is not None
            largest = max(seed.files.keys() - {"b.zarr/.zmetadata"}, key=lambda name: len(seed.files[name]))  # not read
            for part in (0, 1, len(seed.files[largest]) // 2):
                ds = opened(tmp_path / f"{i} {part}", seed, {largest: seed.files[largest][:part]})
                if ds is not None:  # a table may end at any line; a folder may lack a record that it was told to drop
                    assert ds["signal"].size < whole["signal"].size or reader == "WFDB"

    def test_content_of_another_kind(self, found, tmp_path, reader):
        seed = found[reader][0]
        largest = max(sorted(seed.files), key=lambda name: len(seed.files[name]))
        for i, content in enumerate((b"\0" * 4000, b"\xff" * 4000, b"PK\x03\x04" + b"\0" * 500, b"%PDF-1.7\n" * 50)):
            ds = opened(tmp_path / f"{i}", seed, {largest: content})
            if (
                ds is not None
            ):  # where the largest file is samples, any bytes are; where it is one of many, it is dropped
                assert reader in ("WFDB", "PTB-XL", "LUDB", "CODE-15", "zarr", "catalogue")
                assert np.isfinite(ds["signal"].values).any() or ds["signal"].isnull().all()


@pytest.fixture(params=["zarr", "nc"])
def stored(request, tmp_path):
    """Writes a Dataset, changed after it was found valid."""

    def write(change):
        ds = simulate(1, seed=0, duration=1)[["signal"]]
        path = tmp_path / f"a.{request.param}"
        ds = change(ds)
        if request.param == "zarr":
            ds.to_zarr(path, zarr_format=2, consolidated=False)
        else:
            ds.to_netcdf(path)
        return path

    return write


def _rate(value):
    return lambda ds: ds.assign_coords(time=("time", ds["time"].values, {**ds["time"].attrs, "sampling_rate": value}))


@pytest.mark.parametrize(("change", "message"), [
    (lambda ds: ds.assign_coords(lead=["I", "I", *ds.lead.values[2:]]), "lead"),
    (lambda ds: ds.assign_coords(lead=["DII", "ii", *ds.lead.values[2:]]), "lead"),
    (lambda ds: ds.assign(signal=ds["signal"] * np.float32(np.inf)), "infinity"),
    (_rate(1e9), "sampling.rate"), (_rate(0.0), "sampling.rate"), (_rate(float("nan")), "sampling.rate"),
    (_rate("fast"), "sampling.rate|time"),
    (lambda ds: ds.isel(lead=[0]).assign_coords(lead=["x" * 100_000]), "lead"),
])  # fmt: skip
def test_stored_datasets(stored, change, message):
    with pytest.raises(RecordError, match=rf"(?s)a\.(zarr|nc): .*{message}") as caught:
        open_ecg(stored(change))
    assert len(str(caught.value)) < 2000


@pytest.mark.parametrize("names", [["II", "DII"], ["v1", "V1"]])
def test_a_lead_twice(tmp_path, names):
    samples = np.arange(24).reshape(2, 12)
    np.savez(tmp_path / "a.npz", signal=samples, sampling_rate=250.0, units="uV", leads=names)
    with pytest.raises(RecordError, match=r"a\.npz: .*lead.*twice"):
        open_ecg(tmp_path / "a.npz")
    (tmp_path / "a.ecg").write_bytes(binary_files.ishne(samples.astype(np.int16), codes=(5, 5)))
    with pytest.raises(RecordError, match=r"a\.ecg: .*lead.*twice"):
        open_ecg(tmp_path / "a.ecg")


@pytest.mark.parametrize("member", ["signal.npy", "notes.txt"])
def test_zip_bomb(tmp_path, member):
    """An archive of 256 kB that unpacks to 256 MB: refused, or not unpacked where it is no array."""
    samples = np.arange(24).reshape(2, 12)
    np.savez(tmp_path / "a.npz", signal=samples, sampling_rate=250.0, units="uV", leads=["I", "II"])
    with (
        zipfile.ZipFile(tmp_path / "a.npz") as old,
        zipfile.ZipFile(tmp_path / "b.npz", "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for name in old.namelist():
            if name != member:
                new.writestr(name, old.read(name))
        with new.open(member, "w", force_zip64=True) as stream:
            for _ in range(64):
                stream.write(bytes(4 << 20))
    tracemalloc.start()
    try:
        if member == "notes.txt":
            assert open_ecg(tmp_path / "b.npz").sizes["time"] == 12
        else:
            with pytest.raises(RecordError, match=r"b\.npz: "):
                open_ecg(tmp_path / "b.npz")
        assert tracemalloc.get_traced_memory()[1] < 32 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(("data", "expected"), [
    ("II (\u00b5V),V1 (mV)\n1000,1\n2000,2\n".encode("latin-1"), None),
    ("II (\u00b5V),V1 (mV)\n1000,1\n2000,2\n".encode("utf-16"), None),
    ("II (mV),V1 (mV)\n1,1\n\u0663,2\n".encode(), None),
    (b"II (mV),V1 (mV)\n1,1\n2\xff\xfe,3\n", None), (b"II (mV),V1 (mV)\n1,1\n2\0,3\n", None),
    (b"II (mV),V1 (mV)\n1,1\n1_0,3\n", None),
    ("\ufeffII (\u00b5V),V1 (mV)\n1000,1\n2000,2\n".encode(), 1.0),
    ("II (\u00b5V),V1 (mV)\n1000,1\n2000,2\n".encode(), 1.0),
])  # fmt: skip
def test_mixed_encodings(tmp_path, data, expected):
    """Text is UTF-8, with a mark at its start or without, or it is refused: never guessed, never another value."""
    (tmp_path / "a.csv").write_bytes(data)
    if expected is None:
        with pytest.raises(RecordError, match=r"a\.csv: "):
            open_ecg(tmp_path / "a.csv", sampling_rate=250)
    else:
        assert float(open_ecg(tmp_path / "a.csv", sampling_rate=250)["signal"][0, 0, 0]) == expected
