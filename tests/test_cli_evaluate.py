"""`ecg-widget evaluate`: tables, results that a machine reads, and going on after an interruption."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import test_ludb
import torch
from ptbxl_folder import write as write_ptbxl

from ecg_widget.cli import main
from ecg_widget.evaluation.journal import Journal
from ecg_widget.networks import ECGNetwork, InputSpec, ResNet1d

BEATS = [
    (at + 90 * beat, symbol)
    for beat in range(6)
    for at, symbol in zip((20, 25, 30, 40, 45, 50, 60, 70, 80), "(p)(N)(t)", strict=True)
]


@pytest.fixture
def ptbxl(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    codes = ["{'NORM': 100.0}", "{'IMI': 100.0}", "{'NORM': 50.0}", "{'SR': 0.0}"] * 6
    return write_ptbxl(tmp_path / "data", codes=codes, folds=[1, 2, 3] * 8)


@pytest.fixture
def ludb(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return test_ludb.write(tmp_path / "data", records=("1", "2", "3"), marks=BEATS)


def evaluate_ptbxl(*more):
    return main(["evaluate", "ptbxl", "--data", "data", "--folds", "3", "--trees", "10", "--clusters", "3", *more])


def evaluate_ludb(*more):
    return main(["evaluate", "ludb", "--data", "data", "--clusters", "4", "--shifts", "5", "--draws", "5", *more])


def results(name):
    document = json.loads(Path(f"evaluation/{name}.json").read_text())
    table = list(csv.DictReader(Path(f"evaluation/{name}.csv").read_text().splitlines()))
    assert len(table) == len(document["rows"])
    for line, row in zip(table, document["rows"], strict=True):
        assert {k: v for k, v in line.items() if v} == {k: str(v) for k, v in row.items() if v is not None}
    return document


def test_ptbxl_prints_what_it_writes(ptbxl, capsys):
    assert evaluate_ptbxl() == 0
    printed = capsys.readouterr().out
    document = results("ptbxl")
    assert [row["surrogate"] for row in document["rows"]] == [
        "network",
        "clusters",
        "majority",
        "random centroids",
        "random network",
        "pooled activations",
        "intervals",
        "clusters, taught by labels",
    ]
    for row in document["rows"]:
        line = next(text for text in printed.splitlines() if text.startswith(f"{row['surrogate']}  "))
        assert f"{row['agreement_mean']:.3f} ±{row['agreement_sd']:.3f}" in line
        assert set(row) >= {"agreement NORM", "kappa_pooled", "auroc_hard_mean", "agreement fold 3"}
    assert document["settings"]["records"] == {"1": 8, "2": 8, "3": 8}
    assert document["learned_folds"] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert not list((ptbxl.parent / "evaluation").glob("*.state"))


def test_a_network_for_every_fold(ptbxl, capsys):
    for fold in (1, 2, 3):
        with torch.random.fork_rng():
            torch.manual_seed(fold)
            module = ResNet1d(12, 5)
        net = ECGNetwork(module, InputSpec(), ["NORM", "MI", "STTC", "CD", "HYP"], "sigmoid", name="CV")
        net.provenance = {"data": {"train": {"folds": sorted({1, 2, 3} - {fold})}}}
        net.save(f"fold{fold}.safetensors")
    assert evaluate_ptbxl("--network", "fold{fold}.safetensors") == 0
    printed = capsys.readouterr().out
    assert "CV on PTB-XL: 24 records in 3 folds, a network for each that did not learn from it" in printed
    document = results("ptbxl")
    assert len(set(document["settings"]["network"].values())) == 3
    network = next(row for row in document["rows"] if row["surrogate"] == "network")
    assert network["agreement_pooled"] == 1
    shutil.copy("fold1.safetensors", "fold2.safetensors")  # has learned from fold 2
    assert evaluate_ptbxl("--network", "fold{fold}.safetensors", "--output", "other") == 1
    assert "expected fold2.safetensors not to have learned from fold 2, got folds [2, 3]" in capsys.readouterr().err


def test_an_interrupted_run_goes_on_and_gives_the_same(ptbxl, capsys, monkeypatch):
    assert evaluate_ptbxl("--output", "whole") == 0
    whole = capsys.readouterr().out
    keep, done = Journal.keep, []

    def stop(self, step, compute):
        if len(done) == 6:
            raise KeyboardInterrupt
        done.append(step)
        return keep(self, step, compute)

    monkeypatch.setattr(Journal, "keep", stop)
    with pytest.raises(KeyboardInterrupt):
        evaluate_ptbxl("--output", "parts")
    monkeypatch.setattr(Journal, "keep", keep)
    capsys.readouterr()
    assert evaluate_ptbxl("--output", "parts") == 0
    again = capsys.readouterr()
    assert again.out.replace("parts", "whole") == whole
    computed = again.err.splitlines()
    assert not set(done) & set(computed)
    assert computed
    for name in ("ptbxl.json", "ptbxl.csv"):
        assert (ptbxl.parent / "parts" / name).read_bytes() == (ptbxl.parent / "whole" / name).read_bytes()
    assert evaluate_ptbxl("--output", "parts") == 0  # a finished one is printed, not computed
    assert capsys.readouterr().err == ""


def test_other_settings_do_not_continue(ptbxl, capsys):
    assert evaluate_ptbxl() == 0
    assert evaluate_ptbxl("--seed", "1") == 1
    assert (
        "ptbxl.json: expected the settings {'seed': 0} of the evaluation there, got {'seed': 1}"
        in capsys.readouterr().err
    )


def test_ludb_prints_what_it_writes(ludb, capsys):
    assert evaluate_ludb("--presets", "last-three-blocks,blocks.3,blocks.1+blocks.2") == 0
    printed = capsys.readouterr().out
    document = results("ludb")
    assert [row["layers"] for row in document["rows"]] == [
        "blocks.1+blocks.2+blocks.3",
        "blocks.3",
        "blocks.1+blocks.2",
    ]
    for row in document["rows"]:
        line = next(text for text in printed.splitlines() if text.startswith(f"{row['preset']}  "))
        assert f"{row['network ami']:.3f} (" in line
        assert f"{row['ratio']:.2f} (" in line
        assert np.shape(row["probability"]) == (4, 4)
    assert "NeuroKit2" in printed
    # Noise has no waves, so its clusters cannot align better than the noise itself: the tool says so.
    assert "do not align better than the raw signal" in printed
    assert [row["preset"] for row in document["layers_alone"]] == ["blocks.0", "blocks.1", "blocks.2", "blocks.3"]


def test_wrong_options(ptbxl, ludb, capsys):
    assert main(["evaluate", "ludb", "--data", "elsewhere"]) == 1
    assert "expected LUDB's folder" in capsys.readouterr().err
    assert main(["evaluate", "ptbxl", "--data", "elsewhere"]) == 1
    assert evaluate_ptbxl("--folds", "3,3") == 1
    assert "--folds: expected two or more, got [3]" in capsys.readouterr().err
    assert evaluate_ptbxl("--presets", "blocks.9") == 1
    assert "blocks.9" in capsys.readouterr().err
    for wrong in (["--clusters", "1"], ["--clusters", "many"], ["--folds", "0"], ["--presets", ","]):
        with pytest.raises(SystemExit):
            evaluate_ptbxl(*wrong)


def test_damaged_steps_are_computed_again(tmp_path):
    said = []
    journal = Journal(tmp_path, "x", {"a": 1}, say=said.append)
    journal.keep("one", lambda: {"v": np.arange(3)})
    file = next((tmp_path / "x.state").glob("one*.npz"))
    file.write_bytes(file.read_bytes()[:40])
    assert journal.keep("one", lambda: {"v": np.arange(4)})["v"].tolist() == [0, 1, 2, 3]
    assert said == ["one", "one: stored file is damaged, computing it again", "one"]
    with pytest.raises(KeyboardInterrupt):
        journal.keep("two", lambda: (_ for _ in ()).throw(KeyboardInterrupt))
    assert not list((tmp_path / "x.state").glob("two*"))
    (tmp_path / "x.json").write_text("{ damaged")
    with pytest.raises(ValueError, match=r"x\.json|x\.state"):
        Journal(tmp_path, "x", {"a": 2})


@pytest.mark.real_data
def test_fidelity_on_patients(shared_data, tmp_path, capsys):
    """Last three blocks, default number of clusters, forests held out by fold; README says what is printed here."""
    data = str(shared_data / "ptbxl")
    options = ["--folds", "9", "--threads", "1", "--output", str(tmp_path)]
    assert main(["evaluate", "ptbxl", "--data", data, *options]) == 0
    document = json.loads((tmp_path / "ptbxl.json").read_text())
    rows = {row["surrogate"]: row for row in document["rows"]}
    assert rows["clusters"]["agreement_mean"] >= 0.93
    assert rows["clusters"]["kappa_mean"] >= 0.8
    assert rows["clusters"]["kappa_mean"] > rows["majority"]["kappa_mean"] + 0.2
    assert rows["clusters"]["kappa_mean"] > rows["random network"]["kappa_mean"] + 0.2
    readme = (Path(__file__).resolve().parents[1] / "README.md").read_text(encoding="utf-8")
    lines = [line.split("|") for line in readme.splitlines() if line.count("|") == 7 and " ± " in line]
    said = {cells[1].strip(): [float(cell.split("±")[0]) for cell in cells[2:7]] for cells in lines}
    for name, row in rows.items():  # another processor rounds otherwise, and a cell on a border changes sides
        want = [row[f"{score}_mean"] for score in ("agreement", "kappa", "accuracy", "auroc", "auroc_hard")]
        assert said[name] == pytest.approx(want, abs=0.015), name
