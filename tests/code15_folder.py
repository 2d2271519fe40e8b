"""Writes small folders in CODE-15%'s layout: `exams.csv` and HDF5 files with padded tracings."""

import csv

import h5py
import numpy as np

COLUMNS = ["exam_id", "age", "is_male", "nn_predicted_age", "1dAVb", "RBBB", "LBBB", "SB", "ST", "AF",
           "patient_id", "death", "timey", "normal_ecg", "trace_file"]  # fmt: skip
PAD = 112  # samples at either end


def share(i):
    """How long lead II of exam i stays high, between 0 and 0.2 of the signal."""
    return 0.2 * ((7 * i) % 24) / 24


def age(i):
    return round(20 + 300 * share(i))


def tracing(i, n_time=1024, scale=10.0):
    """A step of 1.2 mV on lead II above a baseline of 0.01 mV; `scale` is steps a millivolt, 10 for 1e-4 V."""
    out = np.zeros((n_time, 12), np.float32)
    n = n_time - 2 * PAD
    out[PAD : PAD + n] = 0.01 + 0.01 * np.arange(12)
    out[PAD : PAD + round(share(i) * n), 1] = 1.2
    return out * scale


def write_hdf5(path, exams, *, scale=10.0, filler=True, **storage):
    """A file with the tracings of exams 1001 + i, and a last row that only fills it up."""
    ids = np.array([1001 + i for i in exams] + [0] * filler, np.int64)
    values = np.stack([tracing(i, scale=scale) for i in exams] + [np.zeros((1024, 12), np.float32)] * filler)
    with h5py.File(path, "w") as file:
        file.create_dataset("exam_id", data=ids)
        file.create_dataset("tracings", data=values, **storage)


def write(folder, *, n=24, n_files=3, change=None, lacking=(), extra=(), **options):
    """`n` exams, two of each patient, dealt to the files in turn; `lacking`: without a row of the table; `extra`: rows."""
    rows = [
        [str(1001 + i), str(age(i)), "True", f"{age(i) + (i % 5 - 2):.6f}", *(str(i % 6 == k) for k in range(6)),
         str(500 + i // 2), "", "", str(i % 2 == 0), f"exams_part{i % n_files}.hdf5"]
        for i in range(n)
    ]  # fmt: skip
    for (row, column), value in (change or {}).items():
        rows[row][COLUMNS.index(column)] = value
    rows = [row for i, row in enumerate(rows) if i not in lacking] + [list(row) for row in extra]
    with (folder / "exams.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([COLUMNS, *rows])
    for part in range(n_files):  # rows in another order than the table's
        exams = [i for i in range(n) if i % n_files == part][::-1]
        write_hdf5(folder / f"exams_part{part}.hdf5", exams, **options)
    return folder
