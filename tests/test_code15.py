"""CODE-15%'s layout: what the table and the files say arrives, units are checked, and damage is named."""

import sys

import h5py
import numpy as np
import pytest
from code15_folder import COLUMNS, PAD, age, tracing, write, write_hdf5

import ecg_widget as ecg
from ecg_widget.formats import code15
from ecg_widget.records import RecordError, open_ecg


@pytest.fixture
def folder(tmp_path):
    return write(tmp_path)


def test_signals_ages_labels_and_folds(folder):
    ds = open_ecg(folder)
    assert (ds.attrs["format"], ds.attrs["source"], ds.attrs["missing"]) == ("CODE-15", folder.name, 0)
    assert ds["signal"].shape == (24, 12, 1024)
    assert ds["lead"].values.tolist() == list(ecg.LEADS)
    assert ds["time"].attrs["sampling_rate"] == 400
    order = [i for part in range(3) for i in range(23, -1, -1) if i % 3 == part]
    assert ds["record"].values.tolist() == [str(1001 + i) for i in order]
    for at, i in enumerate(order):
        np.testing.assert_allclose(ds["signal"][at].values, tracing(i).T / 10, rtol=1e-6)
    assert ds["age"].values.tolist() == [age(i) for i in order]
    np.testing.assert_allclose(ds["predicted_age"], [age(i) + (i % 5 - 2) for i in order])
    assert ds["target"].values.tolist() == ["1dAVb", "RBBB", "LBBB", "SB", "ST", "AF"]
    assert ds["label"].values.argmax(1).tolist() == [i % 6 for i in order]
    assert ds["label"].values.sum(1).tolist() == [1] * 24
    assert ds["patient"].values.tolist() == [str(500 + i // 2) for i in order]
    assert open_ecg(folder / "exams.csv", leads=["V1", "DII"])["lead"].values.tolist() == ["II", "V1"]


def test_folds_keep_patients_together_and_do_not_depend_on_the_selection(folder):
    ds = open_ecg(folder, n_folds=4)
    folds = dict(zip(ds["patient"].values.tolist(), ds["fold"].values.tolist(), strict=True))
    assert [folds[p] for p in ds["patient"].values.tolist()] == ds["fold"].values.tolist()
    assert set(folds.values()) == {1, 2, 3, 4}
    assert all(code15.fold_of(int(patient), 4) == fold for patient, fold in folds.items())
    counts = code15.count(folder, n_folds=4)
    assert counts == {f: ds["fold"].values.tolist().count(f) for f in (1, 2, 3, 4)}
    some = code15.read(folder, n_folds=4, most=9)
    assert 7 < some.sizes["record"] <= 9
    assert set(np.unique(some["patient"].values, return_counts=True)[1]) == {2}  # whole patients
    assert all(folds[p] == f for p, f in zip(some["patient"].values, some["fold"].values, strict=True))
    fewer = code15.read(folder, n_folds=4, most=4)
    assert set(fewer["record"].values) < set(some["record"].values)


def test_parts_are_the_whole_and_only_they_are_read(folder, monkeypatch):
    whole = code15.read(folder)
    parts = [code15.read(folder, part=slice(first, first + 7)) for first in range(0, 24, 7)]
    np.testing.assert_array_equal(np.concatenate([p["signal"].values for p in parts]), whole["signal"].values)
    assert [r for p in parts for r in p["record"].values] == whole["record"].values.tolist()
    read = []
    real = code15.hdf5.opened
    monkeypatch.setattr(code15.hdf5, "opened", lambda path: read.append(path.name) or real(path))
    code15.read(folder, part=slice(9, 12))
    assert set(read) == {"exams_part1.hdf5"}  # the table and the lists of exams are not read again
    (folder / "exams.csv").write_text((folder / "exams.csv").read_text().replace(f",{age(1)},", ",99,"))
    assert 99 in code15.read(folder)["age"].values  # but a changed table is
    with pytest.raises(ValueError, match="part: expected some of 24 exams"):
        code15.read(folder, part=slice(24, 30))


def test_wide_gaps_between_rows(folder):
    ds, few = code15.read(folder), code15.read(folder, most=6)
    at = few["record"].values
    np.testing.assert_array_equal(few["signal"].values, ds["signal"].sel(record=at).values)


def test_padding_is_masked(folder):
    ds = open_ecg(folder)
    assert (ds["signal"].values[:, :, :PAD] == 0).all()
    net = ecg.load_network()
    valid = net.prepare(ds).valid.numpy()
    assert not valid[:, : PAD // 4].any()
    assert not valid[:, -(PAD // 4) :].any()
    assert valid[:, PAD // 4 + 1 : -(PAD // 4) - 1].all()
    for layer in ecg.activations(net, ds).values():
        centre, sample = layer["centre"].values, 1 / net.spec.sampling_rate
        into = np.minimum(centre - PAD / 400, (1023 - PAD) / 400 - centre)  # s from the nearer end of the signal
        assert not layer["valid"].values[:, into < -sample].any()
        assert layer["valid"].values[:, into > sample].all()


class TestUnits:
    def test_what_was_assumed_is_said(self, folder):
        assert open_ecg(folder).attrs["stored_units"].startswith("1e-4V, assumed: the largest lead of exams_part0.hdf5")
        assert open_ecg(folder, units="100uV").attrs["stored_units"] == "100uV, stated by the caller"

    @pytest.mark.parametrize(("scale", "unit"), [(1, "mV"), (1000, "uV"), (0.001, "V")])
    def test_another_scale_is_refused_and_named(self, tmp_path, scale, unit):
        write(tmp_path, scale=scale)
        with pytest.raises(RecordError, match=rf"exams_part0.hdf5: units: expected values in 1e-4V.*units='{unit}'"):
            open_ecg(tmp_path)
        ds = open_ecg(tmp_path, units=unit)
        assert float(ds["signal"].max()) == pytest.approx(1.2)

    def test_one_file_of_another_scale(self, folder):
        write_hdf5(folder / "exams_part2.hdf5", range(23, 0, -3), scale=1)
        with pytest.raises(RecordError, match=r"exams_part2.hdf5: units"):
            open_ecg(folder)
        assert open_ecg(folder, part=slice(8)).sizes["record"] == 8


def test_one_file_alone(folder):
    ds = open_ecg(folder / "exams_part1.hdf5")
    assert ds["record"].values.tolist() == [str(1001 + i) for i in range(22, 0, -3)]
    assert "age" not in ds.coords
    assert "label" not in ds
    assert open_ecg(folder / "exams_part1.hdf5", part=slice(2)).sizes["record"] == 2


def test_exams_that_table_or_files_lack(tmp_path):
    write(tmp_path, lacking=[4], extra=[["7", "50", "True", "51", *["False"] * 6, "900", "", "", "True", ""]])
    (tmp_path / "exams_part2.hdf5").unlink()
    with pytest.raises(
        RecordError, match=r"got 9 of 24 absent, the first is exam 1003 of exams_part2.hdf5, and 1 that"
    ):
        open_ecg(tmp_path)
    ds = open_ecg(tmp_path, missing="drop")
    assert (ds.sizes["record"], ds.attrs["missing"], ds.attrs["unlisted"]) == (15, 9, 1)
    assert "1005" not in ds["record"].values
    for part in (0, 1):
        (tmp_path / f"exams_part{part}.hdf5").unlink()
    with pytest.raises(RecordError, match="got none"):
        open_ecg(tmp_path, missing="drop")


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ((1, "trace_file"), "../../secret.hdf5"),
        ((1, "trace_file"), "/etc/passwd"),
        ((1, "exam_id"), "1e9"),
        ((1, "patient_id"), ""),
        ((1, "age"), "-3"),
        ((1, "age"), "1e400"),
        ((1, "nn_predicted_age"), "old"),
        ((1, "RBBB"), "perhaps"),
    ],
)
def test_hostile_tables(tmp_path, cell, value):
    write(tmp_path, change={cell: value})
    with pytest.raises(RecordError, match=rf"exams.csv: line 3: {cell[1]}: expected"):
        open_ecg(tmp_path)


def test_damaged_tables(folder):
    table = folder / "exams.csv"
    text = table.read_text()
    for changed, message in (
        (text + "5,1\r\n", "same columns"),
        (text + text.splitlines()[-1] + "\r\n", r"exam_id: expected each exam once, got 1024 more than once"),
        (text.replace("1dAVb", "AVB"), "expected the columns .*1dAVb"),
        (",".join(COLUMNS), "expected rows below"),
    ):
        table.write_text(changed)
        with pytest.raises(RecordError, match=message):
            open_ecg(folder)
    table.write_bytes(text.encode() + b"\xff\xfe\r\n")
    with pytest.raises(RecordError, match="UTF-8"):
        open_ecg(folder)
    table.write_text("a,b\r\n")
    with pytest.raises(RecordError, match="folder of no known layout"):
        open_ecg(folder)


def rewrite(path, **datasets):
    """The same file with other datasets; None: without one."""
    with h5py.File(path, "r") as file:
        arrays = {name: file[name][()] for name in ("exam_id", "tracings")} | datasets
    with h5py.File(path, "w") as file:
        for name, value in arrays.items():
            if value is not None:
                file.create_dataset(name, data=value)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("exam_id", lambda x: x.astype(float), "exam_id: expected 1 dimensions.*float64"),
        ("exam_id", lambda x: x[:-2], r"tracings: expected \(7, time, 12\) for 7 exams"),
        ("exam_id", lambda x: np.full_like(x, 1001), "exam_id: expected each exam once, got 1001 more than once"),
        ("exam_id", lambda x: None, "exam_id: expected a dataset in the file itself, got none"),
        ("tracings", lambda x: None, "tracings: expected a dataset in the file itself, got none"),
        ("tracings", lambda x: x.astype(np.int16), "tracings: expected 3 dimensions.*int16"),
        ("tracings", lambda x: x[:, :, :8], "tracings: expected .*, got .9, 1024, 8."),
        ("tracings", lambda x: x[:, :, 0], "tracings: expected 3 dimensions"),
        (
            "tracings",
            lambda x: np.where(x > 11, np.inf, x),
            "tracings: expected finite values, got infinity in exam 10",
        ),
    ],
)
def test_files_of_another_shape(folder, name, change, message):
    path = folder / "exams_part0.hdf5"
    with h5py.File(path, "r") as file:
        changed = change(file[name][()])
    rewrite(path, **{name: changed})
    with pytest.raises(RecordError, match=rf"exams_part0.hdf5: {message}"):
        open_ecg(folder, units="1e-4V", missing="drop")


def test_files_of_other_lengths(folder):
    path = folder / "exams_part1.hdf5"
    with h5py.File(path, "r") as file:
        shorter = file["tracings"][:, :900]
    rewrite(path, tracings=shorter)
    with pytest.raises(RecordError, match=r"exams_part1.hdf5: tracings: expected 1024 samples .* got 900"):
        open_ecg(folder)


def test_gaps_stay_gaps(folder):
    path = folder / "exams_part0.hdf5"
    with h5py.File(path, "r") as file:
        values = file["tracings"][()]
    values[2, 300:340] = np.nan
    rewrite(path, tracings=values)
    ds = open_ecg(folder)
    assert np.isnan(ds["signal"].values).sum() == 40 * 12
    assert np.isnan(ds["signal"][2].values[:, 300:340]).all()


@pytest.mark.parametrize("storage", [{}, {"compression": "gzip", "chunks": (1, 256, 3)}])
def test_truncated_files(tmp_path, storage):
    write(tmp_path, n=6, n_files=1, **storage)
    path = tmp_path / "exams_part0.hdf5"
    data = path.read_bytes()
    for length in (9, 100, 800, len(data) // 2, len(data) - 1):
        path.write_bytes(data[:length])
        with pytest.raises(RecordError, match=r"exams_part0.hdf5: expected"):
            open_ecg(tmp_path)


def test_flipped_bytes_are_refused_or_read(tmp_path):
    write(tmp_path, n=6, n_files=1, compression="gzip", chunks=(1, 256, 3))
    path = tmp_path / "exams_part0.hdf5"
    data = path.read_bytes()
    rng = np.random.default_rng(0)
    refused = 0
    for at in rng.integers(0, len(data), 60):
        path.write_bytes(data[:at] + bytes([data[at] ^ 0x55]) + data[at + 1 :])
        try:
            open_ecg(path, units="1e-4V")
        except RecordError:
            refused += 1
    assert 0 < refused < 60


def test_long_stretches_are_read_bit_by_bit(folder, monkeypatch):
    whole = code15.read(folder)
    monkeypatch.setattr(code15, "_ROWS", 3)
    assert code15._runs(np.array([0, 1, 2, 3, 9, 10])) == [(0, 3), (3, 4), (4, 6)]
    np.testing.assert_array_equal(code15.read(folder)["signal"].values, whole["signal"].values)


def test_more_than_memory_holds_is_refused(folder, monkeypatch):
    monkeypatch.setattr(code15, "MOST_VALUES", 10 * 12 * 1024)
    with pytest.raises(RecordError, match=r"read it piece by piece with part=slice"):
        open_ecg(folder)
    assert open_ecg(folder, part=slice(10)).sizes["record"] == 10


@pytest.mark.parametrize("option", [{"n_folds": 1}, {"missing": "skip"}, {"most": 0}, {"units": "adu"}])
def test_bad_options(folder, option):
    with pytest.raises(ValueError, match="expected"):
        open_ecg(folder, **option)


def test_unknown_lead_and_absent_library(folder, monkeypatch):
    with pytest.raises(RecordError, match="leads: expected V7"):
        open_ecg(folder, leads=["V7"])
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(ImportError, match=r'pip install "ecg-widget\[hdf5\]"'):
        open_ecg(folder / "exams_part0.hdf5")


@pytest.mark.real_data
def test_real_recordings_in_the_layout(shared_data):
    """PTB-XL's records in mV: refused as 1e-4 V, and the same as the WFDB files when the unit is stated."""
    path = shared_data / "formats" / "hdf5" / "ptbxl_code15_layout.hdf5"
    with pytest.raises(RecordError, match=r"units: expected values in 1e-4V.*units='mV'"):
        open_ecg(path)
    ds = open_ecg(path, units="mV")
    assert ds["record"].values.tolist() == ["8", "9", "30", "38"]
    blank = (ds["signal"].values == 0).all(axis=1)
    assert blank[:, :48].all()
    assert blank[:, 4048:].all()
    limb = ds["signal"].sel(lead="I") + ds["signal"].sel(lead="III") - ds["signal"].sel(lead="II")
    assert float(abs(limb).max()) < 0.003  # Einthoven: the leads are in the order that was assumed
    valid = ecg.load_network().prepare(ds).valid.numpy()
    assert valid.sum(axis=1).tolist() == [valid[0].sum()] * 4
    assert valid[0].sum() == pytest.approx(1000, abs=2)  # 10 s at the network's 100 Hz
    original = open_ecg(shared_data / "ptbxl")
    names = [f"{int(name):05d}_lr" for name in ds["record"].values]
    seen = ecg.resample(ds.isel(time=slice(48, 4048)), 100)["signal"].values
    there = [(ours, name) for ours, name in zip(seen, names, strict=True) if name in original["record"].values]
    assert there
    for ours, name in there:
        theirs = original["signal"].sel(record=name).values
        assert np.corrcoef(ours.ravel(), theirs.ravel())[0, 1] > 0.99
        assert np.std(ours) == pytest.approx(np.std(theirs), rel=0.02)
