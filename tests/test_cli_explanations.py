"""`ecg-widget evaluate explanations`: what it prints is what it writes, and an interrupted run goes on."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import test_ludb
from ptbxl_folder import write as write_ptbxl

import ecg_widget as ecg
from ecg_widget.cli import main
from ecg_widget.evaluation.documents import from_document
from ecg_widget.evaluation.journal import Journal

BEATS = [
    (at + 90 * beat, symbol)
    for beat in range(6)
    for at, symbol in zip((20, 25, 30, 40, 45, 50, 60, 70, 80), "(p)(N)(t)", strict=True)
]
NETWORK = """
import torch
import ecg_widget as ecg
from ecg_widget.networks import ResNet1d

def small():
    torch.manual_seed(0)
    net = ResNet1d(12, 5, channels=[4, 4, 4], strides=[1, 2, 2], stem_channels=4, kernel_size=5)
    return ecg.ECGNetwork(net, ecg.InputSpec(), ["NORM", "MI", "STTC", "CD", "HYP"], "sigmoid").eval()
"""
NAMES = ["faithfulness", "stability", "sanity", "uncertainty", "audit"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    (tmp_path / "small.py").write_text(NETWORK)
    codes = ["{'NORM': 100.0}", "{'IMI': 100.0}", "{'NORM': 50.0}", "{'SR': 0.0}"] * 4
    write_ptbxl(tmp_path / "data", codes=codes, folds=[1] * 10 + [2] * 6)
    return tmp_path


def evaluate(*more):
    return main(
        [
            "evaluate", "explanations", "--data", "data", "--network", "small.py:small", "--folds", "2",
            "--fit-folds", "1", "--clusters", "3", "--stability-clusters", "2-4", "--seeds", "2",
            "--weight-seeds", "2", "--steps", "2", "--placements", "1", "--threads", "1", *more,
        ]
    )  # fmt: skip


def results(folder="evaluation"):
    document = json.loads(Path(f"{folder}/explanations.json").read_text())
    table = list(csv.DictReader(Path(f"{folder}/explanations.csv").read_text().splitlines()))
    assert len(table) == len(document["rows"])
    for line, row in zip(table, document["rows"], strict=True):
        assert {k: v for k, v in line.items() if v} == {k: str(v) for k, v in row.items() if v not in (None, "")}
    return document, {name: from_document(d) for name, d in document["results"].items()}


def line_of(printed, name, after):
    lines = printed[printed.index(f"\n{after}") :].splitlines()
    return next(line for line in lines if line.startswith(f"{name} "))


def test_it_prints_what_it_writes(folder, capsys):
    test_ludb.write(folder / "ludb", records=("1", "2"), marks=BEATS)
    assert evaluate("--ludb", "ludb", "--figures") == 0
    printed = capsys.readouterr().out
    document, found = results()
    assert sorted(found) == sorted([*NAMES, "sanity_waves"])
    assert document["settings"]["records"] == 6
    assert document["settings"]["fit_records"] == 10
    assert "6 records of folds 2; 3 clusters of last-three-blocks, made from 10 records of folds 1" in printed
    rows = {(row["measure"], row["name"]): row for row in document["rows"]}
    for name in ("contribution", "gradcam", "ig"):
        row = rows["faithfulness", name]
        assert f"{row['aopc_morf']:.2f}" in line_of(printed, name, "faithfulness")
        one = found["faithfulness"].sel(explanation=name)
        assert row["aopc_morf"] == pytest.approx(float(one["morf"].mean()))
        assert row["n_records"] == 6
    assert found["stability"]["n_clusters"].values.tolist() == [2, 3, 4]
    assert np.isfinite(found["stability"]["ari_seed"]).all()
    assert np.isfinite(found["stability"]["ari_bootstrap"].sel(n_clusters=3)).all()
    for k in (2, 3, 4):
        row = rows["stability", f"K={k}"]
        assert f"{row['ari_seed']:.3f} ({row['ari_seed_least']:.3f})" in line_of(printed, f"K={k}", "stability")
        assert (row["ari_bootstrap"] is None) == (k != 3)
    assert found["sanity_waves"]["ami_signal"].sizes == {"seed": 2}
    stages = ["trained", "head", "blocks.2", "blocks.1", "blocks.0", "stem"]
    assert found["sanity"]["stage"].values.tolist() == stages
    assert found["sanity"].sizes["seed"] == 2
    assert rows["sanity", "head"]["ari"] == 1
    assert f"{rows['sanity_waves', 'stem']['ami']:.3f} (" in line_of(printed, "stem", "sanity: weights drawn anew from the output on, 2 records")  # fmt: skip
    assert rows["sanity_waves", "raw signal"]["ami"] == pytest.approx(float(found["sanity_waves"]["ami_signal"].mean()))
    # Two records of four are of no superclass: they have no label that could be wrong.
    assert found["uncertainty"].sizes["record"] == found["audit"].sizes["record"] == 4
    top = [row for row in document["rows"] if row["measure"] == "audit"]
    assert [row["rank"] for row in top] == [1, 2, 3, 4]
    assert f"{top[0]['suspicion']:.2f}" in line_of(printed, top[0]["name"], "label audit: the first 4 of 4")
    for name in found:
        assert Path(f"evaluation/explanations_{name}.png").read_bytes().startswith(b"\x89PNG")
    assert not Path("evaluation/explanations.state").exists()


def test_an_interrupted_run_goes_on_and_gives_the_same(folder, capsys, monkeypatch):
    assert evaluate("--output", "whole") == 0
    whole = capsys.readouterr()
    steps = whole.err.splitlines()
    assert len(steps) == 7  # a part of the records, two of labels, two of stability, two of sanity
    keep, done = Journal.keep, []

    def stop(self, step, compute):
        if len(done) == 4:
            raise KeyboardInterrupt
        done.append(step)
        return keep(self, step, compute)

    monkeypatch.setattr(Journal, "keep", stop)
    with pytest.raises(KeyboardInterrupt):
        evaluate("--output", "parts")
    monkeypatch.setattr(Journal, "keep", keep)
    capsys.readouterr()
    assert evaluate("--output", "parts") == 0
    again = capsys.readouterr()
    assert again.out.replace("parts", "whole") == whole.out
    assert again.err.splitlines() == steps[4:]
    for name in ("explanations.json", "explanations.csv"):
        assert Path("parts", name).read_bytes() == Path("whole", name).read_bytes()
    assert evaluate("--output", "parts", "--figures") == 0  # a finished one is printed and drawn, not computed
    last = capsys.readouterr()
    assert last.err == ""
    assert Path("parts/explanations_sanity.png").is_file()
    assert evaluate("--output", "parts", "--steps", "3") == 1
    assert "expected the settings {'steps': 2} of the evaluation there, got {'steps': 3}" in capsys.readouterr().err


def test_parts_of_the_records_are_those_of_all(folder, monkeypatch):
    from ecg_widget.commands.evaluate import explanation_study

    monkeypatch.setattr(explanation_study, "_PART", 4)
    quick = ["--methods", "contribution", "--stability-clusters", "3", "--weight-seeds", "1", "--presets", "blocks.2"]
    assert evaluate(*quick, "--output", "four") == 0
    monkeypatch.setattr(explanation_study, "_PART", 100)
    assert evaluate(*quick, "--output", "all") == 0
    four, whole = results("four")[1], results("all")[1]
    np.testing.assert_allclose(four["faithfulness"]["morf"], whole["faithfulness"]["morf"], atol=1e-5)
    assert four["faithfulness"]["record"].values.tolist() == whole["faithfulness"]["record"].values.tolist()
    assert four["uncertainty"].identical(whole["uncertainty"])
    assert four["audit"].identical(whole["audit"])


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--data", "elsewhere"], "expected a folder with ptbxl_database.csv"),
        (["--ludb", "elsewhere"], "--ludb: expected LUDB's folder"),
        (["--fit-folds", "1,2"], "--folds: expected others than --fit-folds, got [2] in both"),
        (["--folds", "7"], "expected records of folds [7] at 100 Hz, got none"),
        (["--clusters", "3,4"], "--clusters: expected one for this evaluation, got [3, 4]"),
        (["--presets", "finest,all"], "--presets: expected one"),
        (["--seeds", "1"], "--seeds: expected 2 or more, got 1"),
        (["--methods", "lime"], "got 'lime'"),
    ],
)
def test_wrong_options(folder, capsys, more, message):
    assert evaluate(*more) == 1
    assert message in capsys.readouterr().err


def test_documents_keep_what_they_say():
    import xarray as xr

    result = xr.Dataset(
        {"a": (("x", "y"), [[1.25, np.nan]], {"units": "s"}), "n": ("x", np.array([3], np.int16)), "yes": ((), True)},
        {"x": ["p"], "y": [0.1, 0.2]},
        {"layers": ["b"], "share": np.float32(0.5)},
    )
    again = from_document(json.loads(json.dumps(ecg.evaluation.documents.to_document(result))))
    xr.testing.assert_equal(again, result)
    assert again["a"].attrs == {"units": "s"}
    assert again.attrs == {"layers": ["b"], "share": 0.5}
