"""What a newcomer has: the files of a checkout, a bare Python, and perhaps no Node."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NODE = {"node", "nodejs", "npm", "npx", "corepack"}
# What `make test`, an active environment or the user's own settings would hand down to a fresh start.
INHERITED = ("MAKE", "MFLAGS", "GNUMAKEFLAGS", "PYTHON", "VIRTUAL_ENV", "JUPYTER", "TORCH", "VENV", "PINS", "BROWSER")


def checkout(folder: Path) -> Path:
    """Copy what a commit of the working tree would hold, and nothing that a build has made."""
    if not (ROOT / ".git").exists():
        pytest.skip("a fresh checkout is made with git, and this tree is not a clone")
    listed = ("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    names = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, names.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    return folder


def search_path(folder: Path, *, node: bool = True) -> str:
    """PATH without the environment that runs the tests; without Node on demand."""
    own, places = Path(sys.prefix) / "bin", []
    for place in map(Path, os.environ["PATH"].split(os.pathsep)):
        if not place.is_dir() or place.resolve() == own.resolve():
            continue
        if node or not NODE & {p.name for p in place.iterdir()}:
            places.append(place)
            continue
        stand_in = folder / f"path-{len(places)}"
        stand_in.mkdir(parents=True)
        for program in place.iterdir():
            if program.name not in NODE:
                (stand_in / program.name).symlink_to(program)
        places.append(stand_in)
    return os.pathsep.join(map(str, places))


def environment(path: str, **changes: str) -> dict[str, str]:
    """Variables of a process that starts afresh."""
    return {k: v for k, v in os.environ.items() if not k.startswith(INHERITED)} | {"PATH": path, **changes}


def run(*command: str | Path, cwd: Path, env: dict[str, str], timeout: float = 1200) -> str:
    """What the command printed; a failure shows it."""
    done = subprocess.run(
        [str(c) for c in command],
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=timeout,
    )
    assert done.returncode == 0, f"{command[0]} ended with {done.returncode}:\n{done.stdout[-6000:]}"
    return done.stdout
