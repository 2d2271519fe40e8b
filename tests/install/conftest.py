from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from install.fresh import checkout, environment, run, search_path


@dataclass(frozen=True)
class Place:
    """A checkout and the environment that serves it."""

    tree: Path
    venv: Path
    env: dict[str, str]

    @property
    def python(self) -> Path:
        return self.venv / "bin" / "python"

    def run(self, *command: str | Path, cwd: Path | None = None) -> str:
        return run(*command, cwd=cwd or self.tree, env=self.env)


@pytest.fixture(scope="session")
def built(tmp_path_factory) -> Place:
    """A checkout in whose dist/ lie the sdist and the wheel, built from it alone."""
    tree = checkout(tmp_path_factory.mktemp("build") / "ecg_widget")
    pins = str(tree / "constraints.txt")
    env = environment(search_path(tree.parent), PIP_CONSTRAINT=pins, PIP_BUILD_CONSTRAINT=pins)
    # The build makes the bundle with the machine's own Node; Node from PyPI does not run in pip's build environments.
    if (Path(sys.prefix) / "bin" / "node").exists():
        run("make", "bundle", f"VENV={sys.prefix}", cwd=tree, env=environment(search_path(tree.parent)))
    run(sys.executable, "-m", "build", ".", cwd=tree, env=env)
    return Place(tree, Path(sys.prefix), env)


@pytest.fixture(scope="session")
def installed(built, tmp_path_factory) -> Place:
    """An environment that has the wheel and JupyterLab, and no way to see the checkout."""
    home = tmp_path_factory.mktemp("wheel")
    venv = home / "venv"
    env = environment(search_path(home))
    run("make", f"{venv}/.done/torch", f"VENV={venv}", cwd=built.tree, env=env)
    (wheel,) = (built.tree / "dist").glob("*.whl")
    pins = built.tree / "constraints.txt"
    run(venv / "bin/python", "-m", "pip", "install", "-q", "-c", pins, f"{wheel}[lab]", cwd=home, env=env)
    return Place(home, venv, environment(f"{venv / 'bin'}:{search_path(home)}"))


@pytest.fixture(scope="session")
def binder(tmp_path_factory) -> Place:
    """A checkout set up by Binder's own files, on a machine without Node, by the Python first on PATH."""
    home = tmp_path_factory.mktemp("binder")
    tree, venv = checkout(home / "ecg_widget"), home / "venv"
    path = search_path(home, node=False)
    run(sys.executable, "-m", "venv", venv, cwd=home, env=environment(path))
    folders = {f"JUPYTER_{kind}_DIR": str(home / "jupyter" / kind.lower()) for kind in ("CONFIG", "DATA", "RUNTIME")}
    place = Place(tree, venv, environment(f"{venv / 'bin'}:{path}", **folders))
    place.run(tree / "binder" / "postBuild")
    return place
