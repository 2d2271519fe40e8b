"""Opens damaged files in this process and says what came of each, watched from inside and bounded from outside."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import random
import re
import resource
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fuzz.mutations import mutate
from fuzz.seeds import Seed, write

SECONDS = 5.0  # of processor time a case may take
BYTES = 500 << 20  # of memory that a case may add
_CEILING = 1 << 30  # bytes beside those at the start, beyond which the kernel gives none
_LONGEST = 20_000  # characters of an error: what a file holds must not flood the page
_ACTS = re.compile(
    r"os\.(system|exec|fork|posix_spawn|remove|rename|mkdir|rmdir|link|symlink|chmod|truncate|putenv)|subprocess\.|"
    r"socket\.(connect|bind|getaddrinfo|sendto)|pickle\.|ctypes\.dlopen|shutil\.|urllib\.|webbrowser\."
)
_LIBRARIES = (
    "wfdb",
    "pydicom",
    "edfio",
    "h5py",
    "netCDF4",
    "zarr",
    "defusedxml.ElementTree",
    "scipy.signal",
    "soundfile",
)


class Watch:
    """Everything that Python opens or does beside reading below one folder, noted while a case runs.

    It sees what Python opens, not what a C library opens by itself: for those, tests/test_hostile.py plants links.
    """

    def __init__(self) -> None:
        self.on, self.folder, self.seen = False, "", []
        self.homes = tuple({str(Path(p).resolve()) for p in (sys.prefix, sys.base_prefix, *sys.path) if p})
        sys.addaudithook(self.hook)

    def hook(self, event: str, args: tuple[Any, ...]) -> None:
        if not self.on:
            return
        if event == "open":
            name, mode, flags = args
            writes = any(c in str(mode or "") for c in "wax+") or bool((flags or 0) & 0o3)
            if isinstance(name, int):
                return
            path = str(Path(os.fsdecode(name)).absolute())
            if ".." in Path(path).parts:
                path = str(Path(path).resolve())
            inside = path == self.folder or path.startswith(self.folder + "/")
            module = path.endswith((".py", ".pyc")) or "/__pycache__/" in path  # an import, or a stack's lines
            library = path.startswith(self.homes) and (module or "/site-packages/" in path or "/lib/python" in path)
            if writes or not (inside or library or path.startswith("/proc/")):
                self.seen.append(f"{'writes' if writes else 'opens'} {path}")
        elif _ACTS.match(event):
            self.seen.append(f"{event} {str(args)[:200]}")

    @contextlib.contextmanager
    def __call__(self, folder: Path) -> Iterator[list[str]]:
        self.folder, self.seen = str(folder.resolve()), []
        self.on = True
        try:
            yield self.seen
        finally:
            self.on = False


def memory(field: str) -> int:
    """A figure of /proc/self/status in bytes; 0 where there is none."""
    with contextlib.suppress(OSError), Path("/proc/self/status").open() as status:
        for line in status:
            if line.startswith(field + ":"):
                return int(line.split()[1]) << 10
    return 0


def case(
    reader: str, seeds: list[Seed], root: int, number: int, others: list[bytes]
) -> tuple[Seed, dict[str, bytes], dict[str, Any]]:
    """The files of one case: the same for the same root, reader and number."""
    from ecg_widget import formats

    lazy = any(reader == r.NAME and "lazy" in (r.read.__kwdefaults__ or {}) for r in formats.readers())
    rng = random.Random(f"{root} {reader} {number}")
    seed = rng.choice(seeds)
    names = sorted(seed.files)
    changed = {}
    for name in rng.sample(names, min(len(names), rng.choice((1, 1, 1, 2)))):
        if rng.random() < 0.01:
            changed[name] = rng.choice(others)  # another format under this name
        else:
            changed[name] = mutate(seed.files[name], rng)
    options = dict(rng.choice(seed.options))
    if lazy and rng.random() < 0.3:
        options["lazy"] = True
    return seed, changed, options


def listing(folder: Path) -> dict[str, int]:
    return {str(p.relative_to(folder)): p.stat().st_size for p in folder.rglob("*") if p.is_file()}


def attempt(path: Path, options: dict[str, Any]) -> tuple[str, str]:  # noqa: PLR0911  (one a kind of outcome)
    """Open and read one path: ("opened", ""), ("refused", why) or ("crash", what)."""
    from ecg_widget.records import RecordError, open_ecg, validate_ecg

    try:
        ds = open_ecg(path, **options).load()
    except RecordError as error:
        if len(text := str(error)) > _LONGEST:
            return "crash", f"an error of {len(text)} characters: {text[:200]}"
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, (MemoryError, RecursionError)):
                return "crash", f"{type(cause).__name__} behind {text[:300]}"
            cause = cause.__cause__ or cause.__context__
        return "refused", re.sub(r"'.*'|\".*\"|got .*|\d+", "*", text, flags=re.DOTALL)[:200]
    except TypeError as error:
        if " reader has no option " in str(error):  # they are those of the seed's format
            return "refused", "option"
        return "crash", traceback.format_exc(limit=-6)
    except BaseException:  # noqa: BLE001  (whatever else comes out is what is looked for)
        return "crash", traceback.format_exc(limit=-6)
    try:
        validate_ecg(ds)
    except Exception:  # noqa: BLE001
        return "crash", "a recording against the contract: " + traceback.format_exc(limit=-3)
    return "opened", ""


def run(  # noqa: PLR0917  (all of it is needed)
    reader: str, seeds: list[Seed], root: int, numbers: range, others: list[bytes], watch: Watch
) -> Iterator[dict[str, Any]]:
    """Each case's report; before it, its number, so that the parent knows at which one a process died."""
    folders: dict[str, Path] = {}
    with tempfile.TemporaryDirectory() as name:
        for number in numbers:
            yield {"reader": reader, "at": number}
            seed, changed, options = case(reader, seeds, root, number, others)
            if seed.name not in folders:
                folders[seed.name] = Path(name) / f"s{len(folders)}"
                write(folders[seed.name], seed.files)
            folder = folders[seed.name]
            write(folder, changed)
            before = listing(folder)
            yield {"reader": reader, "case": number, **one(folder, seed.target, options, watch), "seed": seed.name}
            for extra in set(listing(folder)) - set(before):
                (folder / extra).unlink()
            write(folder, {key: seed.files[key] for key in changed})


def one(folder: Path, target: str, options: dict[str, Any], watch: Watch) -> dict[str, Any]:
    """Open what lies in a folder; its outcome, processor time in s, added memory in bytes."""
    before = listing(folder)
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")  # the high-water mark starts again
    start, base = time.process_time(), memory("VmRSS")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with watch(folder) as seen:
            outcome, what = attempt(folder / target, options)
    seconds, added = time.process_time() - start, max(0, memory("VmHWM") - base)
    told = [what] if outcome == "crash" else []
    told += seen
    if (after := listing(folder)) != before:
        told.append(f"changed files: {sorted(set(after.items()) ^ set(before.items()))[:5]}")
    if seconds > SECONDS:
        told.append(f"{seconds:.1f} s, more than {SECONDS:g}")
    if added > BYTES:
        told.append(f"{added >> 20} MB, more than {BYTES >> 20}")
    return {
        "outcome": outcome,
        "reason": what if outcome == "refused" else "",
        "told": told,
        "seconds": seconds,
        "added": added,
    }


def limit() -> None:
    """No more memory than a ceiling, no core files, no files larger than a case needs."""
    have = memory("VmData") or 1 << 33
    resource.setrlimit(resource.RLIMIT_DATA, (have + _CEILING, have + _CEILING))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (64 << 20, 64 << 20))


def main(request: dict[str, Any]) -> None:
    """Serve one request of the parent: a line of JSON for each number of each reader."""
    from fuzz.seeds import Seed as Kind

    import ecg_widget  # noqa: F401  (imports count for nobody's case)

    seeds = {
        reader: [Kind(s["name"], {k: bytes.fromhex(v) for k, v in s["files"].items()}, s["target"], tuple(s["options"]))
                 for s in packed]
        for reader, packed in request["seeds"].items()
    }  # fmt: skip
    others = [bytes.fromhex(x) for x in request["others"]]
    watch = Watch()
    for library in _LIBRARIES:
        with contextlib.suppress(ImportError):
            importlib.import_module(library)
    with tempfile.TemporaryDirectory() as name:  # what a library does once counts for nobody's case
        for i, seed in enumerate(seed for some in seeds.values() for seed in some):
            here = Path(name) / str(i)
            write(here, seed.files)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                attempt(here / seed.target, dict(seed.options[-1]))
    limit()
    with tempfile.TemporaryDirectory() as name:  # a watch that stands in the way would pass for a reader that refuses
        for i, seed in enumerate(
            seed for some in seeds.values() for seed in some if not seed.name.startswith("shared")
        ):
            here = Path(name) / str(i)
            write(here, seed.files)
            if (found := one(here, seed.target, dict(seed.options[-1]), watch))["outcome"] != "opened" or found["told"]:
                raise SystemExit(f"{seed.name}: expected to open undamaged, got {found}")
    for reader, (first, last) in request["numbers"].items():
        for report in run(reader, seeds[reader], request["root"], range(first, last), others, watch):
            print(json.dumps(report), flush=True)
