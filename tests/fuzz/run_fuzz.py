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
from fuzz.worker import case  # noqa: E402
from fuzz.worker import main as work  # noqa: E402

_SILENT = 20.0  # s without a word from a process, after which it is ended
_STARTING = 60.0  # s until the first word: libraries are imported and the seeds are opened
_SLICE = 1500  # inputs a process reads: what one leaves behind cannot gather
_MOST_DEATHS = 50  # of one slice


@dataclass
class Result:
    """What came of one reader's inputs."""

    inputs: int = 0
    opened: int = 0
    refused: int = 0
    reasons: set[str] = field(default_factory=set)  # of refusals, without the numbers and names in them
    seconds: float = 0.0
    added: int = 0
    findings: list[tuple[int, str, list[str]]] = field(default_factory=list)


def parent(batch: list[tuple[str, range]], found: dict[str, list[Any]], root: int, results: dict[str, Result],
           lock: threading.Lock) -> None:  # fmt: skip
    """Have these numbers of these readers read in one process; one that dies or hangs is followed by another."""
    others = [data.hex() for data in _others(found)]
    packed = {
        reader: [{"name": s.name, "files": {k: v.hex() for k, v in s.files.items()}, "target": s.target, "options": s.options}
                 for s in found[reader]]
        for reader, _ in batch
    }  # fmt: skip
    todo, deaths = dict(batch), 0
    while todo and deaths <= _MOST_DEATHS:
        request = {"seeds": {reader: packed[reader] for reader in todo}, "others": others, "root": root,
                   "numbers": {reader: [r.start, r.stop] for reader, r in todo.items()}}  # fmt: skip
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

        timer = threading.Timer(_STARTING, end)
        timer.start()
        for line in process.stdout:
            timer.cancel()
            report = json.loads(line)
            if "at" in report:
                at = report["reader"], report["at"]
            else:
                _done(todo, report["reader"], report["case"])
                _note(results[report["reader"]], report, lock)
            timer = threading.Timer(_SILENT, end)
            timer.start()
        timer.cancel()
        code = process.wait()
        if not todo:
            return
        if at is None:
            raise SystemExit(f"{', '.join(todo)}: the process ended before its first input, with status {code}")
        deaths += 1
        reader, number = at
        with lock:
            results[reader].inputs += 1
            why = f"no word for {_SILENT:g} s" if hung.is_set() else f"the process died with status {code}"
            results[reader].findings.append((number, "?", [why]))
        _done(todo, reader, number)


def _done(todo: dict[str, range], reader: str, number: int) -> None:
    todo[reader] = range(number + 1, todo[reader].stop)
    if not todo[reader]:
        del todo[reader]


def _note(result: Result, report: dict[str, Any], lock: threading.Lock) -> None:
    with lock:
        result.inputs += 1
        result.opened += report["outcome"] == "opened"
        result.refused += report["outcome"] == "refused"
        result.reasons.add(report["reason"])
        result.seconds = max(result.seconds, report["seconds"])
        result.added = max(result.added, report["added"])
        if report["told"]:
            result.findings.append((report["case"], report["seed"], report["told"]))


def keep(reader: str, found: dict[str, list[Any]], root: int, number: int) -> Path:
    """Write the files of one case below build/fuzz."""
    seed, changed, options = case(reader, found[reader], root, number, _others(found))
    folder = TESTS.parent / "build" / "fuzz" / f"{reader.replace(' ', '-')}-{root}-{number}"
    seed_files.write(folder, {**seed.files, **changed})
    (folder / "case.json").write_text(
        json.dumps({"target": seed.target, "options": options, "changed": sorted(changed)})
    )
    return folder


def _others(found: dict[str, list[Any]]) -> list[bytes]:
    return [next(iter(seeds[0].files.values()))[:20_000] for seeds in found.values()]


def fuzz(  # noqa: PLR0917  (as on the command line)
    found: dict[str, list[Any]], readers: list[str], inputs: int, root: int, jobs: int, first: int = 0
) -> dict[str, Result]:
    """Share the inputs out evenly among the readers and the jobs."""
    results = {reader: Result() for reader in readers}
    lock = threading.Lock()
    each = -(-inputs // len(readers))
    batches: list[list[tuple[str, range]]] = [[]]
    for reader in readers:
        for start in range(first, first + each, _SLICE):
            part = range(start, min(first + each, start + _SLICE))
            if sum(len(numbers) for _, numbers in batches[-1]) + len(part) > _SLICE or reader in dict(batches[-1]):
                batches.append([])
            batches[-1].append((reader, part))
    with ThreadPoolExecutor(jobs) as pool:
        list(pool.map(lambda batch: parent(batch, found, root, results, lock), batches))
    return results


def show(found: dict[str, list[Any]], results: dict[str, Result], root: int) -> int:
    """Print the table and what was found, keep the files of the latter; the exit status."""
    head = ("seeds", "inputs", "opened", "RecordError", "reasons", "failed", "worst s", "worst MB")
    print(f"{'reader':<20}" + "".join(f"{name:>12}" for name in head))
    for reader, r in results.items():
        failed = len({number for number, _, _ in r.findings})
        row = (len(found[reader]), r.inputs, r.opened, r.refused, len(r.reasons - {""}), failed)
        print(f"{reader:<20}" + "".join(f"{n:>12}" for n in row) + f"{r.seconds:>12.2f}{r.added / (1 << 20):>12.0f}")
    for reader, r in results.items():
        for number, name, told in sorted(r.findings):
            folder = keep(reader, found, root, number)
            print(f"\n{reader}:{number} ({name}): files in {folder.relative_to(TESTS.parent)}")
            print("\n".join(told))
    return int(any(r.findings for r in results.values()))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--first", type=int, default=0, help="number of each reader's first input: a run in several parts"
    )
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
    results = fuzz(found, readers, options.inputs, options.seed, options.jobs, options.first)
    return show(found, results, options.seed)


if __name__ == "__main__":
    sys.exit(main())
