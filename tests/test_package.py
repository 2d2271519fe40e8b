"""The public names: all there, all explained, with one version and a light import."""

import inspect
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import ecg_widget

ROOT = Path(__file__).resolve().parents[1]
NAMES = [name for name in ecg_widget.__all__ if not name.startswith("__")]
# What is imported where it is used, so that the science runs on a bare compute node.
LATER = [
    "anywidget",
    "bokeh",
    "captum",
    "h5py",
    "ipywidgets",
    "IPython",
    "matplotlib",
    "neurokit2",
    "pydicom",
    "wfdb",
]


def test_names_are_there_once():
    assert len(set(ecg_widget.__all__)) == len(ecg_widget.__all__)
    for name in ecg_widget.__all__:
        assert getattr(ecg_widget, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = ecg_widget.nothing


@pytest.mark.parametrize("name", [n for n in NAMES if n != "LEADS"])
def test_names_are_explained_with_an_example(name):
    value = getattr(ecg_widget, name)
    text = inspect.getdoc(value) or ""
    assert len(text.splitlines()[0]) > 10
    assert re.search(r"^Examples\n-{8}$", text, re.MULTILINE), f"{name} shows no example"
    assert ">>> " in text


def test_version_stands_in_one_place():
    version = ecg_widget.__version__
    assert re.fullmatch(r"\d+\.\d+\.\d+(?:(?:a|b|rc|\.dev)\d+)?", version)
    assert (ROOT / "ecg_widget" / "__init__.py").read_text().count(f'"{version}"') == 1
    assert "\nversion =" not in (ROOT / "pyproject.toml").read_text()
    assert "version" not in json.loads((ROOT / "js" / "package.json").read_text())


def test_import_is_light():
    code = f"import sys, ecg_widget; print([m for m in {LATER} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
