"""Damaged recordings of every format: each opens or is refused with `RecordError`, within 5 s and 500 MB, or is reported.

    python tests/fuzz/run_fuzz.py [--inputs 20000] [--seed 0] [--readers NAME ...] [--jobs 2] [--only READER:NUMBER]

Readers are found, not listed; each needs a valid recording in seeds.py. The same seed gives the same inputs. A process
of its own reads them, under limits, with everything noted that Python opens or runs outside the folder. What fails is
kept below build/fuzz, and the command that repeats it is printed; the exit status is then 1.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

TESTS = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TESTS))

from fuzz import seeds as seed_files  # noqa: E402
from fuzz.worker import case, main as work  # noqa: E402

_SILENT = 20.0  # s without a word from a process, after which it is ended
_SLICE = 1000  # inputs a process reads: what one leaves behind cannot gather
_MOST_DEATHS = 50  # of one slice


@dataclass
class Result:
    """What came of one reader's inputs."""

    inputs: int = 0
    opened: int = 0
    refused: int = 0
    seconds: float = 0.0
    added: int = 0
    findings: list[tuple[int, str, list[str]]] = field(default_factory=list)


def parent(reader: str, found: dict[str, list[Any]], root: int, numbers: range, result: Result, lock: threading.Lock) -> None:
    """Have the inputs of these numbers read; a process that dies or hangs is followed by another."""
    others = [next(iter(seeds[0].files.values()))[:20_000].hex() for seeds in found.values()]
    packed = [
        {"name": s.name, "files": {k: v.hex() for k, v in s.files.items()}, "target": s.target, "options": s.options}
        for s in found[reader]
    ]
    first, deaths = numbers.start, 0
    while first < numbers.stop and deaths <= _MOST_DEATHS:
        request = {"reader": reader, "seeds": packed, "others": others, "root": root, "numbers": [first, numbers.stop]}
        process = subprocess.Popen(
            [sys.executable, __file__, "--worker"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(request))
        process.stdin.close()
        at, hung = None, threading.Event()

        def end(process: subprocess.Popen[str] = process, hung: threading.Event = hung) -> None:
            hung.set()
            process.kill()

        timer = threading.Timer(_SILENT, end)
        timer.start()
        for line in process.stdout:
            timer.cancel()
            report = json.loads(line)
            if "at" in report:
                at = report["at"]
            else:
                first = report["case"] + 1
                _note(result, report, lock)
            timer = threading.Timer(_SILENT, end)
            timer.start()
        timer.cancel()
        code = process.wait()
        if first >= numbers.stop:
            return
        if at is None:
            raise SystemExit(f"{reader}: the process ended before its first input, with status {code}")
        deaths += 1
        with lock:
            result.inputs += 1
            why = f"no word for {_SILENT:g} s" if hung.is_set() else f"the process died with status {code}"
            result.findings.append((at, "?", [why]))
        first = at + 1


def _note(result: Result, report: dict[str, Any], lock: threading.Lock) -> None:
    with lock:
        result.inputs += 1
        result.opened += report["outcome"] == "opened"
        result.refused += report["outcome"] == "refused"
        result.seconds = max(result.seconds, report["seconds"])
        result.added = max(result.added, report["added"])
        if report["told"]:
            result.findings.append((report["case"], report["seed"], report["told"]))


def keep(reader: str, found: dict[str, list[Any]], root: int, number: int) -> Path:
    """Write the files of one case below build/fuzz."""
    seed, changed, options = case(reader, found[reader], root, number, _others(found))
    folder = TESTS.parent / "build" / "fuzz" / f"{reader.replace(' ', '-')}-{root}-{number}"
    seed_files.write(folder, {**seed.files, **changed})
    (folder / "case.json").write_text(json.dumps({"target": seed.target, "options": options, "changed": sorted(changed)}))
    return folder


def _others(found: dict[str, list[Any]]) -> list[bytes]:
    return [next(iter(seeds[0].files.values()))[:20_000] for seeds in found.values()]


def fuzz(found: dict[str, list[Any]], readers: list[str], inputs: int, root: int, jobs: int) -> dict[str, Result]:
    """Share the inputs out evenly among the readers and the jobs."""
    results = {reader: Result() for reader in readers}
    lock = threading.Lock()
    each = -(-inputs // len(readers))
    slices = [
        (reader, range(first, min(each, first + _SLICE))) for first in range(0, each, _SLICE) for reader in readers
    ]
    with ThreadPoolExecutor(jobs) as pool:
        list(pool.map(lambda s: parent(s[0], found, root, s[1], results[s[0]], lock), slices))
    return results


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--readers", nargs="*", metavar="NAME")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--no-shared", action="store_true", help="without the recordings beside the project")
    parser.add_argument("--only", metavar="READER:NUMBER", help="write the files of one case and say where")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        work(json.load(sys.stdin))
        return 0
    found = seed_files.make(shared=not options.no_shared)
    if options.only:
        reader, _, number = options.only.rpartition(":")
        print(keep(reader, found, options.seed, int(number)))
        return 0
    readers = options.readers or list(found)
    if unknown := set(readers) - set(found):
        parser.error(f"--readers: expected some of {', '.join(found)}, got {', '.join(sorted(unknown))}")
    results = fuzz(found, readers, options.inputs, options.seed, options.jobs)
    print(f"{'reader':<20}{'seeds':>6}{'inputs':>8}{'opened':>8}{'refused':>8}{'failed':>8}{'worst s':>9}{'worst MB':>10}")
    for reader, r in results.items():
        failed = len({number for number, _, _ in r.findings})
        print(f"{reader:<20}{len(found[reader]):>6}{r.inputs:>8}{r.opened:>8}{r.refused:>8}"
              f"{failed:>8}{r.seconds:>9.2f}{r.added / (1 << 20):>10.0f}")  # fmt: skip
    for reader, r in results.items():
        for number, name, told in sorted(r.findings):
            folder = keep(reader, found, options.seed, number)
            print(f"\n{reader}:{number} ({name}): files in {folder.relative_to(TESTS.parent)}")
            print("\n".join(told))
    return int(any(r.findings for r in results.values()))


if __name__ == "__main__":
    sys.exit(main())
