"""Writes small folders in PTB-XL's layout."""

import csv

import numpy as np
import wfdb

from ecg_widget.records import LEADS

DATABASE = ["ecg_id", "patient_id", "scp_codes", "strat_fold", "filename_lr", "filename_hr"]
STATEMENTS = [["", "diagnostic", "diagnostic_class"], ["NORM", "1.0", "NORM"], ["IMI", "1.0", "MI"],
              ["RAO/RAE", "1.0", "HYP"], ["SR", "", ""], ["ABQRS", "", "MI"]]  # fmt: skip
CODES = ["{'NORM': 80.0, 'SR': 0.0}", "{'IMI': 0.0, 'RAO/RAE': 100.0}", "{'ABQRS': 100.0}", "{}"]


def write(folder, *, codes=CODES, folds=None, change=None, files=None):
    """`folds` and `files` (how many exist): default 1, 2, ... and all."""
    rows = [
        [
            str(i + 1),
            f"{100 + i}.0",
            text,
            str(folds[i] if folds else i + 1),
            f"records100/00000/{i + 1:05d}_lr",
            f"records500/00000/{i + 1:05d}_hr",
        ]
        for i, text in enumerate(codes)
    ]
    for (row, column), value in (change or {}).items():
        rows[row][DATABASE.index(column)] = value
    for name, table in (("ptbxl_database.csv", [DATABASE, *rows]), ("scp_statements.csv", STATEMENTS)):
        with (folder / name).open("w", newline="") as stream:
            csv.writer(stream).writerows(table)
    below = folder / "records100" / "00000"
    below.mkdir(parents=True)
    values = np.random.default_rng(0).normal(size=(200, 12)).cumsum(axis=0) / 20
    for i in range(len(codes) if files is None else files):
        wfdb.wrsamp(
            f"{i + 1:05d}_lr", 100, ["mV"] * 12, [n.upper() for n in LEADS], values + i,
            fmt=["16"] * 12, adc_gain=[1000.0] * 12, baseline=[0] * 12, write_dir=str(below),
        )  # fmt: skip
    return folder
