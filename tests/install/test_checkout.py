"""A fresh checkout on a machine without Node: Binder's steps, which are those of `make setup`, then `make demo`."""

import json
import re
import subprocess
import time
import urllib.error
import urllib.request

import pexpect
import psutil
import pytest
from browser.lab import tab

pytestmark = pytest.mark.install

NOTEBOOK = """
import json, sys, time
import nbformat
from nbclient import NotebookClient

notebook = nbformat.read("notebooks/quickstart.ipynb", as_version=4)
client = NotebookClient(notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": "notebooks"}})
start = time.monotonic()
client.execute()
outputs = [o for cell in notebook.cells if cell.cell_type == "code" for o in cell.outputs]
print(json.dumps({
    "seconds": time.monotonic() - start,
    "errors": [o["evalue"] for o in outputs if o["output_type"] == "error"],
    "views": sum("application/vnd.jupyter.widget-view+json" in o.get("data", {}) for o in outputs),
}))
"""


def test_binder_names_a_python():
    from install.fresh import ROOT

    assert re.fullmatch(r"python-3\.\d+\n", (ROOT / "binder" / "runtime.txt").read_text())
    mode = subprocess.run(
        ["git", "ls-files", "--stage", "binder/postBuild"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert mode.stdout.startswith("100755"), "Binder runs postBuild as a program"


def test_binder_installs_the_package_without_cuda(binder):
    code = "import json, torch, ecg_widget; print(json.dumps([torch.version.cuda, ecg_widget.__file__]))"
    cuda, where = json.loads(binder.run(binder.python, "-c", code, cwd=binder.venv).splitlines()[-1])
    assert cuda is None, "PyTorch with CUDA: the index that has it without was out of reach"
    assert where == str(binder.tree / "ecg_widget" / "__init__.py")
    assert (binder.venv / "bin" / "node").exists(), "no Node on PATH, so the one from PyPI built the page"


def test_binder_has_the_pinned_versions(binder):
    lines = (binder.tree / "constraints.txt").read_text().splitlines()
    pins = dict(line.lower().replace("_", "-").split("==") for line in lines if not line.startswith("#"))
    frozen = binder.run(binder.python, "-m", "pip", "freeze", "--exclude-editable").splitlines()
    has = dict(line.split("+")[0].lower().replace("_", "-").split("==") for line in frozen if "==" in line)
    assert has
    assert {name: version for name, version in has.items() if pins.get(name) != version} == {}


def test_binder_runs_the_quickstart(binder):
    facts = json.loads(binder.run(binder.python, "-c", NOTEBOOK).splitlines()[-1])
    print(f"quickstart.ipynb: {facts['seconds']:.1f} s")
    assert facts["errors"] == []
    assert facts["views"] >= 1


def test_setup_again_does_nothing(binder):
    assert "Nothing to be done" in binder.run("make", "setup", f"VENV={binder.venv}")


@pytest.fixture
def demo(binder):
    """`make demo` in a terminal of its own."""
    command = ["demo", "BROWSER=no", f"VENV={binder.venv}"]
    terminal = pexpect.spawn("make", command, cwd=str(binder.tree), env=binder.env, encoding="utf-8", timeout=120)
    yield terminal
    family = psutil.Process(terminal.pid).children(recursive=True) if terminal.isalive() else []
    terminal.close(force=True)
    for process in family:
        process.kill()


def status(address, patience_s=60):
    """Of a GET; JupyterLab prints its address a moment before it listens there."""
    deadline = time.monotonic() + patience_s
    while True:
        try:
            with urllib.request.urlopen(address, timeout=60) as answer:
                return answer.status
        except urllib.error.URLError as error:
            if not isinstance(error.reason, ConnectionRefusedError) or time.monotonic() > deadline:
                raise
            time.sleep(0.1)


@pytest.mark.browser
def test_demo_answers_runs_and_stops(demo, browser):
    demo.expect(r"http://\S+/lab/tree/notebooks/quickstart\.ipynb\?token=\w+")
    address = demo.match.group()
    assert status(address) == 200
    with tab(browser) as page:
        page.goto(address)
        page.get_by_text("Python 3 (ipykernel) | Idle").wait_for(timeout=120_000)
        page.get_by_role("menuitem", name="Run", exact=True).click()
        page.locator('[data-command="runmenu:run-all"]').click()
        drawn = page.locator('[data-ecg="status"]', has_text=re.compile("10 clusters, .* % uncertain"))
        drawn.wait_for(timeout=180_000)
        assert page.locator('[data-mime-type="application/vnd.jupyter.error"]').count() == 0
    family = psutil.Process(demo.pid).children(recursive=True)
    assert len(family) >= 2, "the server and the notebook's kernel"
    demo.sendintr()
    demo.expect(pexpect.EOF, timeout=60)
    demo.wait()
    assert "Traceback" not in demo.before
    _, left = psutil.wait_procs(family, timeout=30)
    assert left == []
