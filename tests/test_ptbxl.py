import numpy as np
import pytest
import wfdb
from ptbxl_folder import write

from ecg_widget.records import LEADS, RecordError, open_ecg


def test_labels_folds_and_patients(tmp_path):
    ds = open_ecg(write(tmp_path))
    assert ds["signal"].shape == (4, 12, 200)
    assert ds["lead"].values.tolist() == list(LEADS)
    assert ds["record"].values.tolist() == ["00001_lr", "00002_lr", "00003_lr", "00004_lr"]
    assert ds["target"].values.tolist() == ["NORM", "MI", "STTC", "CD", "HYP"]
    expected = [
        [1, 0, 0, 0, 0],
        [0, 1, 0, 0, 1],
        [0] * 5,
        [0] * 5,
    ]  # a statement that is not diagnostic counts for none
    assert ds["label"].values.astype(int).tolist() == expected
    assert ds["patient"].values.tolist() == ["100", "101", "102", "103"]
    assert ds["fold"].values.tolist() == [1, 2, 3, 4]
    assert np.allclose(ds["signal"][3] - ds["signal"][0], 3, atol=1e-5)
    assert open_ecg(tmp_path / "ptbxl_database.csv", folds=[2, 4])["fold"].values.tolist() == [2, 4]
    assert open_ecg(tmp_path, leads=["V1"]).sizes["lead"] == 1


def test_absent_records(tmp_path):
    write(tmp_path, files=3)
    with pytest.raises(RecordError, match=r"1 of 4 are absent, the first is records100/00000/00004_lr"):
        open_ecg(tmp_path)
    ds = open_ecg(tmp_path, missing="drop")
    assert (ds.sizes["record"], ds.attrs["missing"]) == (3, 1)
    with pytest.raises(RecordError, match="got none"):
        open_ecg(tmp_path, sampling_rate=500, missing="drop")


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ((1, "filename_lr"), "../../secret"),
        ((1, "filename_lr"), "/records100/00000/00002_lr"),
        ((1, "scp_codes"), "__import__('os').system('true')"),
        ((1, "scp_codes"), "{" * 100_000),
        ((1, "scp_codes"), "{'NORM': 100.0,}"),
        ((1, "strat_fold"), "x"),
        ((1, "strat_fold"), ""),
        ((1, "patient_id"), "1e9"),
    ],
)
def test_hostile_tables(tmp_path, cell, value):
    write(tmp_path, change={cell: value})
    with pytest.raises(RecordError, match=rf"ptbxl_database\.csv: line 3: {cell[1]}: expected"):
        open_ecg(tmp_path)


def test_damaged_tables(tmp_path):
    write(tmp_path)
    table = tmp_path / "ptbxl_database.csv"
    text = table.read_bytes()
    table.write_bytes(text + b"5,1\r\n")
    with pytest.raises(RecordError, match="same columns"):
        open_ecg(tmp_path)
    table.write_bytes(text + b"\xff\xfe,1,{},1,a,b\r\n")
    with pytest.raises(RecordError, match="UTF-8"):
        open_ecg(tmp_path)
    table.write_bytes(b"a,b\r\n")
    with pytest.raises(RecordError, match="folder of no known layout"):
        open_ecg(tmp_path)


@pytest.mark.parametrize("option", [{"sampling_rate": 250}, {"folds": [0]}, {"folds": []}, {"missing": "skip"}])
def test_bad_options(tmp_path, option):
    with pytest.raises(ValueError, match="expected"):
        open_ecg(write(tmp_path), **option)


@pytest.mark.real_data
def test_the_real_folder(shared_data):
    ds = open_ecg(shared_data / "ptbxl")
    assert ds.sizes["record"] == 434
    assert ds["label"].sum("record").values.tolist() == [261, 65, 80, 67, 33]
    record = wfdb.rdrecord(str(shared_data / "ptbxl" / "records100" / "00000" / "00007_lr"))
    assert np.allclose(ds["signal"].sel(record="00007_lr").values, record.p_signal.T, atol=1e-6)
    folds_of = {}
    for patient, fold in zip(ds["patient"].values, ds["fold"].values, strict=True):
        folds_of.setdefault(patient, set()).add(int(fold))
    assert all(len(folds) == 1 for folds in folds_of.values())
    fast = open_ecg(shared_data / "ptbxl", sampling_rate=500, missing="drop")
    assert (fast.sizes["record"], fast.sizes["time"]) == (7, 5000)
