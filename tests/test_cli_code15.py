"""`ecg-widget evaluate code15`: a planted age is found, controls stay controls, and an interrupted run goes on."""

import csv
import json
from pathlib import Path

import code15_folder
import h5py
import numpy as np
import pytest

from ecg_widget.cli import main
from ecg_widget.commands.evaluate import code15 as command
from ecg_widget.evaluation.journal import Journal
from ecg_widget.formats import code15

# The network's age is the share of time that lead II is high, which its only block keeps: 20 years and 3 a percent.
NETWORK = """
import torch
import ecg_widget as ecg

class Age(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.blocks = torch.nn.Sequential(torch.nn.Conv1d(12, 2, 1))
        with torch.no_grad():
            self.blocks[0].weight.zero_()
            self.blocks[0].weight[0, 1, 0], self.blocks[0].weight[1, 1, 0] = 20, -20
            self.blocks[0].bias.copy_(torch.tensor([-10.0, 10.0]))

    def forward(self, x):
        cells = torch.relu(self.blocks[0](x))
        return 20 + 300 * (cells[:, 0] > 0).float().mean(1, keepdim=True) * 1024 / 800

def age():
    return ecg.ECGNetwork(Age(), ecg.InputSpec(sampling_rate=400), ["age"], "identity").eval()

def sick():
    return ecg.ECGNetwork(Age(), ecg.InputSpec(sampling_rate=400), ["AF"], "sigmoid").eval()
"""
NAMES = [
    "network",
    "clusters",
    "mean",
    "random centroids",
    "random network",
    "pooled activations",
    "intervals",
    "clusters, taught by labels",
    "nn_predicted_age",
]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(command, "_BATCH", 10)
    (tmp_path / "net.py").write_text(NETWORK)
    (tmp_path / "data").mkdir()
    return code15_folder.write(tmp_path / "data", n=60)


def evaluate(*more, network=("--network", "net.py:age")):
    options = ["--folds", "3", "--trees", "20", "--clusters", "2", "--presets", "blocks.0", "--threads", "1"]
    return main(["evaluate", "code15", "--data", "data", *network, *options, *more])


def results(output="evaluation"):
    document = json.loads(Path(f"{output}/code15.json").read_text())
    table = list(csv.DictReader(Path(f"{output}/code15.csv").read_text().splitlines()))
    assert len(table) == len(document["rows"])
    for line, row in zip(table, document["rows"], strict=True):
        assert {k: v for k, v in line.items() if v} == {k: str(v) for k, v in row.items() if v is not None}
    return document


def test_a_planted_age_is_found_and_printed_as_written(folder, capsys):
    assert evaluate() == 0
    printed = capsys.readouterr().out
    document = results()
    rows = {row["surrogate"]: row for row in document["rows"]}
    assert list(rows) == NAMES
    for row in rows.values():
        line = next(text for text in printed.splitlines() if text.startswith(f"{row['surrogate']}  "))
        for score in ("r2", "mae", "r2_label", "mae_label"):
            assert f"{row[f'{score}_mean']:.3f} ±{row[f'{score}_sd']:.3f}" in line
    assert rows["network"]["r2_pooled"] == 1
    assert rows["network"]["mae_label_pooled"] < 1  # the planted network says the age, rounded
    assert rows["clusters"]["r2_pooled"] > 0.95
    assert rows["clusters"]["spearman_pooled"] > 0.97
    assert rows["clusters"]["r2_label_pooled"] > 0.95
    assert rows["clusters"]["spearman_label_pooled"] > 0.97
    assert rows["mean"]["r2_pooled"] < 0.05
    assert rows["mean"]["mae_pooled"] > 4 * rows["clusters"]["mae_pooled"]
    # The column of the authors' network is 0, 1 or 2 years off in turn, 1.2 in the mean.
    assert rows["nn_predicted_age"]["mae_label_pooled"] == pytest.approx(1.2, abs=1e-4)
    counts = code15.count(folder, n_folds=3)
    assert document["settings"]["records"] == {str(k): v for k, v in counts.items()}
    assert (document["left_out"], sum(counts.values())) == (0, 60)
    assert document["stored_units"].startswith("1e-4V, assumed")
    assert "stored values: 1e-4V, assumed" in printed
    assert not list(Path("evaluation").glob("*.state"))


def test_an_interrupted_run_goes_on_and_gives_the_same(folder, capsys, monkeypatch):
    assert evaluate("--output", "whole") == 0
    whole = capsys.readouterr().out
    keep, done = Journal.keep, []

    def stop(self, step, compute):
        if len(done) == 9:
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
    assert again.out.replace("parts", "whole") == whole
    computed = again.err.splitlines()
    assert computed
    assert not set(done) & set(computed)
    for name in ("code15.json", "code15.csv"):
        assert Path("parts", name).read_bytes() == Path("whole", name).read_bytes()
    assert evaluate("--output", "parts") == 0  # a finished one is printed, not computed
    assert capsys.readouterr().err == ""
    assert evaluate("--output", "parts", "--folds", "4") == 1  # nor continued with other settings
    assert "code15.json: expected the settings" in capsys.readouterr().err


def test_exams_without_signal_are_left_out_and_some_patients_drawn(folder, capsys):
    path = folder / "exams_part0.hdf5"
    with h5py.File(path, "r") as file:
        ids, values = file["exam_id"][()], file["tracings"][()]
    values[3] = 0
    with h5py.File(path, "w") as file:
        file.create_dataset("exam_id", data=ids)
        file.create_dataset("tracings", data=values)
    assert evaluate("--records", "all", "--trees", "5", "--units", "1e-4V") == 0
    assert "60 exams in 3 folds of patients, 1 without signal left out" in capsys.readouterr().out
    document = results()
    assert document["left_out"] == 1
    assert document["stored_units"] == "1e-4V, stated by the caller"
    (folder / "exams_part1.hdf5").unlink()
    assert evaluate("--output", "drawn", "--records", "30", "--trees", "5", "--missing", "drop") == 0
    drawn = sum(results("drawn")["settings"]["records"].values())
    assert 25 < drawn <= 30


def test_without_a_network_it_says_what_is_needed(folder, capsys):
    assert evaluate(network=()) == 1
    said = capsys.readouterr()
    assert "MAE 1.200 years" in said.out
    assert "true age of 60 exams" in said.out
    assert "--network: expected the age network to imitate, got none" in said.err
    assert "RibeiroResNet(12, 1)" in said.err
    assert not Path("evaluation").exists()


def test_wrong_options(folder, capsys):
    assert evaluate(network=("--network", "net.py:sick")) == 1
    assert "expected one target and the output 'identity' (an age in years), got the targets ['AF']" in (
        capsys.readouterr().err
    )
    assert evaluate("--data", "elsewhere") == 1
    assert "--data: expected a folder with exams.csv" in capsys.readouterr().err
    assert evaluate("--data", "data/exams_part0.hdf5") == 1
    assert evaluate("--folds", "1") == 1
    assert evaluate("--units", "adu") == 1
    assert evaluate("--records", "1") == 1
    assert "expected patients in two folds or more" in capsys.readouterr().err
    for wrong in (["--records", "0"], ["--records", "some"], ["--folds", "x"]):
        with pytest.raises(SystemExit):
            evaluate(*wrong)
    code15_folder.write(folder, n=60, scale=1)
    capsys.readouterr()
    assert evaluate() == 1
    assert "units='mV'" in capsys.readouterr().err


def test_batches_are_nearly_equal_so_that_none_is_a_single_blank_exam():
    read = []
    batches = command._batches(
        lambda part: read.append(part.stop - part.start) or (_ for _ in ()).throw(KeyError), 1281
    )
    for batch in batches:
        with pytest.raises(KeyError):
            batch()
    assert sum(read) == 1281
    assert set(read) <= {116, 117, *range(64, 129)}
    assert np.ptp(read) <= 1
