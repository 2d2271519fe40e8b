"""One line of the table that `make bench` prints, and how every script in this folder ends."""

from __future__ import annotations

import argparse
import json
import operator
import os
import platform
import sys
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path

TREE = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(TREE / "tests"), str(TREE)]  # browser.lab, and this tree's package
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(TREE), os.environ.get("PYTHONPATH")]))  # in kernels too

_TESTS = {"<=": operator.le, ">=": operator.ge, "<": operator.lt, ">": operator.gt, "=": operator.eq}


@dataclass
class Row:
    """A measured value; ``budget`` reads ``"<= 35"``; ``value`` None with a note that begins with ``unmeasured:``."""

    name: str
    value: float | None
    unit: str
    budget: str = ""
    note: str = ""

    @property
    def holds(self) -> bool | None:
        if not self.budget or self.value is None:
            return None
        sign, limit = self.budget.split()
        return bool(_TESTS[sign](self.value, float(limit)))

    def json(self) -> dict:
        return {**asdict(self), "holds": self.holds}


def unmeasured(name: str, unit: str, reason: str, budget: str = "") -> Row:
    return Row(name, None, unit, budget, f"unmeasured: {reason}")


def table(rows: list[dict]) -> str:
    """Rows as plain text, aligned; what misses its budget stands out."""
    verdict = {True: "holds", False: "MISSES", None: ""}
    lines = [("what", "value", "unit", "budget", "", "note")]
    for row in rows:
        value = "-" if row["value"] is None else f"{row['value']:.4g}"
        lines.append((row["name"], value, row["unit"], row["budget"] or "", verdict[row["holds"]], row["note"] or ""))
    widths = [max(len(line[i]) for line in lines) for i in range(5)]
    return "\n".join(
        "  ".join([*(t.ljust(w) for t, w in zip(line, widths, strict=False)), line[5]]).rstrip() for line in lines
    )


def machine() -> dict:
    cpu = next(
        (line.split(":")[1].strip() for line in _cpuinfo() if line.startswith("model name")), platform.processor()
    )
    return {
        "cpu": cpu,
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        "gpu": _gpu(),
        "system": platform.platform(),
        "python": platform.python_version(),
    }


def versions(*packages: str) -> dict[str, str | None]:
    out: dict[str, str | None] = {}
    for name in packages:
        try:
            out[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            out[name] = None
    return out


def arguments(description: str | None, *extra) -> argparse.Namespace:
    """``--short``, ``--json FILE`` and what a script adds as (flag, options)."""
    parser = argparse.ArgumentParser(description=(description or "").splitlines()[0])
    parser.add_argument("--short", action="store_true", help="fewer steps and sizes: does it run, not: how fast")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows there too")
    for flag, options in extra:
        parser.add_argument(flag, **options)
    return parser.parse_args()


def finish(rows: list[Row], options: argparse.Namespace, **details) -> None:
    """Print the table; write the rows and what they are made of."""
    printed = [row.json() for row in rows]
    print(table(printed))
    if options.json:
        options.json.write_text(json.dumps({"rows": printed, **details}, indent=1))


def _cpuinfo() -> list[str]:
    file = Path("/proc/cpuinfo")
    return file.read_text().splitlines() if file.is_file() else []


def _gpu() -> str:
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
