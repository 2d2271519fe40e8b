"""README says what the package does: its code runs, its numbers are those of the shipped file."""

import re
from pathlib import Path

import pytest

import ecg_widget as ecg

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_ten_lines_run():
    code = re.findall(r"```python\n(.*?)```", README, re.DOTALL)[0]
    assert len([line for line in code.splitlines() if line.strip()]) == 10
    names = {}
    exec(compile(code, "README.md", "exec"), names)
    assert names["con"].attrs["completeness_error"] < 1e-5
    assert names["w"].error == ""
    names["w"].close()


def short(value):
    return f"{value:.3f}".replace("0.", ".", 1)


def test_scores_are_those_in_the_weights():
    table = README[README.index("<!-- scores: begin") : README.index("<!-- scores: end")]
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines() if line.startswith("|")
    ]
    scores = ecg.load_network().provenance["scores"]
    assert [row[0] for row in rows[2:]] == list(scores)
    for name, *cells in rows[2:]:
        s = scores[name]
        low, high = s["auroc_macro_95"]
        assert cells == [
            f"{short(s['auroc_macro'])} ({short(low)} to {short(high)})",
            short(s["auroc_hard_labels"]),
            short(s["accuracy"]),
            short(s["kappa"]),
        ], name
        assert f"on {s['n_records']} records" in rows[0][0]


def test_the_training_command_is_the_one_in_the_weights():
    provenance = ecg.load_network().provenance
    assert provenance["command"] in README
    assert f"Trained on {provenance['data']['train']['n_records']} records" in README
    assert provenance["data"]["licence"] in README
    assert provenance["scores"]["this network"]["auroc_macro"] >= 0.9


def test_strides_are_as_said():
    net, ds = ecg.load_network(), ecg.simulate(1)
    rate = net.spec.sampling_rate
    strides = [round(1000 * ecg.receptive_field(net, name, ds).stride / rate) for name in ecg.list_layers(net)]
    said = re.search(r"cells ([\d, and]+) ms apart", README)[1]
    assert [int(n) for n in re.findall(r"\d+", said)] == strides


@pytest.mark.parametrize("target", ["demo", "test", "setup", "lint", "python-tests", "bench"])
def test_commands_exist(target):
    assert f"make {target}" in README
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)


def test_links_to_files_hold():
    for link in re.findall(r"\]\(([^)]+)\)", README):
        assert link.startswith("http") or (ROOT / link).is_file(), link
