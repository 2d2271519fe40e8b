import json
import subprocess
import sys

import pytest
from ptbxl_folder import write

from ecg_widget.cli import main
from ecg_widget.networks import load_network

TEACHER = """
import torch
from ecg_widget.networks import ECGNetwork, InputSpec, ResNet1d

def teacher():
    torch.manual_seed(1)
    net = ResNet1d(12, 5, channels=[4], strides=[1], stem_channels=4)
    return ECGNetwork(net, InputSpec(), ["CD", "HYP", "MI", "NORM", "STTC"], "sigmoid", name="old", provenance={"licence": "MIT"})

def module():
    return teacher().module

number = 1
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    codes = ["{'NORM': 100.0}", "{'IMI': 100.0}", "{'NORM': 50.0}", "{'SR': 0.0}"] * 3
    write(tmp_path / "data", codes=codes, folds=[1, 2, 3, 4] * 2 + [9] * 4)
    (tmp_path / "networks.py").write_text(TEACHER)
    return tmp_path


def run(*more):
    return main(["train", "--data", "data", "--epochs", "1", "--output", "net.safetensors", *more])


def test_train_writes_what_it_prints(folder, capsys):
    assert run("--teacher", "networks.py:teacher", "--seed", "3") == 0
    printed = capsys.readouterr().out
    net = load_network("net.safetensors")
    about = net.provenance
    assert about["data"]["train"]["ecg_ids"] == "1 2 3 5 6 7"  # 4 and 8 have no class
    assert about["data"]["train"]["n_without_class_left_out"] == 2
    assert about["data"]["validation"]["n_records"] == 3
    assert about["data"]["validation"]["n_positive"] == {"NORM": 2, "MI": 1, "STTC": 0, "CD": 0, "HYP": 0}
    assert about["seed"] == 3
    assert about["command"] == (
        "ecg-widget train --data data --epochs 1 --output net.safetensors --teacher networks.py:teacher --seed 3"
    )
    assert [(t["name"], t["licence"]) for t in about["teachers"]] == [("old", "MIT")]
    assert set(about["scores"]) == {"this network", "untrained", "majority", "random", "old"}
    assert about["scores"]["majority"]["accuracy"] == pytest.approx(13 / 15, abs=1e-3)
    for name, scores in about["scores"].items():
        line = next(row for row in printed.splitlines() if row.startswith(name))
        assert f"{scores['auroc_macro']:.3f}" in line
        assert f"{scores['accuracy']:.3f}" in line
    assert net.fingerprint[:12] in printed
    assert "old: licence: MIT" in printed
    json.dumps(about, allow_nan=False)


def test_a_trained_network_can_teach_and_be_compared(folder):
    assert run() == 0
    assert run("--compare", "net.safetensors", "--output", "next.safetensors") == 0
    first, second = load_network("net.safetensors"), load_network("next.safetensors")
    assert first.fingerprint == second.fingerprint  # same seed, same records
    assert second.provenance["compared_with"][0]["fingerprint"] == first.fingerprint


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--data", "nowhere"], "expected a folder with ptbxl_database.csv"),
        (["--validation-folds", "8-9"], "expected none of the training folds, got [8]"),
        (["--teacher", "networks.py:nothing"], "expected a function 'nothing'"),
        (["--teacher", "networks.py:number"], "expected a function 'number'"),
        (["--teacher", "networks.py:module"], "expected an ECGNetwork"),
        (["--teacher", "networks.py"], "expected FILE.safetensors or FILE.py:NAME"),
        (["--teacher", "none.py:teacher"], "with a file that exists"),
        (["--compare", "none.safetensors"], "expected a weights file, found none"),
        (["--output", "nowhere/net.safetensors"], "expected a folder that exists"),
        (["--threads", "0"], "--threads: expected at least 1"),
        (["--soft", "2"], "soft: expected 0 to 1"),
        (["--train-folds", "5-7"], "got none"),
    ],
)
def test_mistakes_cost_a_line_and_no_file(folder, capsys, more, message):
    assert run(*more) == 1
    error = capsys.readouterr().err
    assert error.startswith("ecg-widget: ")
    assert message in error
    assert error.count("\n") == 1
    assert not (folder / "net.safetensors").exists()


@pytest.mark.parametrize("more", [["--train-folds", "0-3"], ["--train-folds", "a"], ["--spam"], ["--epochs", "x"]])
def test_arguments_that_do_not_parse(folder, more):
    with pytest.raises(SystemExit) as caught:
        run(*more)
    assert caught.value.code == 2


def test_shared_patients_are_refused(folder, capsys):
    table = folder / "data" / "ptbxl_database.csv"
    table.write_text(table.read_text().replace("\n9,108.0", "\n9,100.0"))
    assert run() == 1
    assert "each patient in one part" in capsys.readouterr().err


def test_help_and_version():
    def call(*arguments):
        return subprocess.run(  # noqa: PLW1510
            [sys.executable, "-m", "ecg_widget.cli", *arguments], capture_output=True, text=True, timeout=120
        )

    shown = call("train", "--help")
    assert shown.returncode == 0
    for said in ("--data", "--teacher", "PTB-XL", "validation", "name only files that you trust"):
        assert said in " ".join(shown.stdout.split())
    assert call("--version").stdout.startswith("ecg-widget 0.")
    assert call().returncode == 2


def test_shipped_command_is_one_that_parses():
    import shlex

    arguments = shlex.split(load_network().provenance["command"])
    assert arguments[:2] == ["ecg-widget", "train"]
    with pytest.raises(SystemExit) as caught:
        main([*arguments[1:], "--help"])
    assert caught.value.code == 0
