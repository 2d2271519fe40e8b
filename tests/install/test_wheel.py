"""The wheel built from a fresh checkout, in an environment that has nothing else."""

import json
import tarfile
import zipfile
from email import message_from_string
from pathlib import Path, PurePosixPath

import pytest
from browser.lab import Lab, Notebook, tab

import ecg_widget

pytestmark = pytest.mark.install

LATER = ["anywidget", "bokeh", "captum", "ipywidgets", "IPython", "matplotlib", "neurokit2", "pydicom", "wfdb"]


@pytest.fixture(scope="module")
def wheel(built):
    (path,) = (built.tree / "dist").glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        yield archive


def test_wheel_holds_the_package_and_nothing_else(built, wheel):
    names = wheel.namelist()
    assert len(names) == len(set(names))
    assert {"ecg_widget/static/widget.js", "ecg_widget/static/page.js", "ecg_widget/py.typed"} <= set(names)
    assert any(n.startswith("ecg_widget/weights/") and n.endswith(".safetensors") for n in names)
    assert any(n.endswith(".dist-info/licenses/LICENSE") for n in names)
    folders = {PurePosixPath(n).parts[0] for n in names}
    assert {f for f in folders if not f.endswith(".dist-info")} == {"ecg_widget"}
    sources = {p.relative_to(built.tree).as_posix() for p in (built.tree / "ecg_widget").rglob("*.py")}
    assert {n for n in names if n.endswith(".py")} == sources
    kinds = {PurePosixPath(n).suffix for n in names if n.startswith("ecg_widget/")}
    assert kinds <= {".py", ".typed", ".js", ".json", ".safetensors"}
    assert wheel.getinfo("ecg_widget/static/widget.js").file_size > 10_000


def test_wheel_says_what_it_is(wheel):
    (name,) = (n for n in wheel.namelist() if n.endswith(".dist-info/METADATA"))
    meta = message_from_string(wheel.read(name).decode())
    assert meta["Name"] == "ecg-widget"
    assert meta["Version"] == ecg_widget.__version__
    assert meta["License-Expression"] == "BSD-3-Clause"
    assert meta["Requires-Python"] == ">=3.11"
    assert meta.get_payload().strip(), "the README is the page of the package"


def test_sdist_builds_the_page_anew(built):
    (path,) = (built.tree / "dist").glob("*.tar.gz")
    with tarfile.open(path) as archive:
        names = {n.split("/", 1)[1] for n in archive.getnames() if "/" in n}
    sources = {p.relative_to(built.tree).as_posix() for p in (built.tree / "js" / "src").rglob("*.ts")}
    assert sources
    assert sources | {"js/package.json", "js/package-lock.json", "js/build.mjs", "js/tsconfig.json"} <= names
    assert {"ecg_widget/static/widget.js", "Makefile", "constraints.txt", "LICENSE"} <= names
    assert not [n for n in names if "node_modules" in n]


def test_import_is_light(installed):
    code = f"import sys, ecg_widget; print([m for m in {LATER} if m in sys.modules]); print(ecg_widget.__file__)"
    late, where = installed.run(installed.python, "-c", code).splitlines()
    assert late == "[]"
    assert Path(where).is_relative_to(installed.venv)


def test_widget_carries_its_page(installed):
    code = """
import json, ecg_widget as ecg
w = ecg.explore(ecg.load_network(), ecg.load_example())
assert w.error == "", w.error
print(json.dumps([sorted(w._repr_mimebundle_()[0]), len(w._esm), w.result.sizes["cell"]]))
"""
    kinds, page, cells = json.loads(installed.run(installed.python, "-c", code).splitlines()[-1])
    assert "application/vnd.jupyter.widget-view+json" in kinds
    assert page > 10_000
    assert cells > 100


def test_command(installed):
    assert installed.run("ecg-widget", "--version").split() == ["ecg-widget", ecg_widget.__version__]
    helped = installed.run("ecg-widget", "--help")
    assert "train" in helped
    assert "--seed" in installed.run(installed.python, "-m", "ecg_widget.cli", "train", "--help")


@pytest.mark.browser
def test_lab_shows_the_widget(installed, browser, tmp_path):
    lab = Lab(tmp_path, python=str(installed.python))
    try:
        cell = "import ecg_widget as ecg\nw = ecg.explore(ecg.load_network(), ecg.load_example())\nw"
        name = lab.write("wheel.ipynb", cell)
        with tab(browser) as page:
            notebook = Notebook(page, lab, name)
            assert notebook.run_all() == []
            notebook.wait_for_status("10 clusters, .* % uncertain")
            assert Path(notebook.python("ecg.__file__")).is_relative_to(installed.venv)
            before = notebook.pixels()
            notebook.control("clusters").focus()
            page.keyboard.press("ArrowRight")
            notebook.wait_for_status("11 clusters, .* % uncertain")
            assert notebook.pixels() != before
            assert notebook.errors == []
    finally:
        lab.close()
