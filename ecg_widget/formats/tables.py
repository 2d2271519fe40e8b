"""Tables of data sets as they come: CSV text, row by row, bounded, with errors that name the table."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from ecg_widget.records import RecordError

__all__ = ["MOST_ROWS", "has_columns", "rows", "whole"]

MOST_ROWS = 1_000_000  # CODE-15% has 345,779, PTB-XL 21,799
_HEAD = 4096  # bytes of the first line


def has_columns(table: Path, columns: set[str]) -> bool:
    """Tell whether a file is there and begins with a line that names these columns."""
    if not table.is_file():
        return False
    with table.open("rb") as stream:
        return columns <= set(stream.readline(_HEAD).decode("utf-8-sig", "replace").strip().split(","))


def rows(table: Path) -> Iterator[dict[str, str]]:
    """Read a table; each row with the same columns, or `RecordError`."""
    name = table.name
    try:
        with table.open(encoding="utf-8-sig", newline="") as stream:
            for row in islice(csv.DictReader(stream), MOST_ROWS):
                if None in row or None in row.values():
                    raise RecordError(f"{name}: expected the same columns in every row, got {str(row)[:80]}")
                yield row
    except (csv.Error, UnicodeDecodeError) as error:
        raise RecordError(f"{name}: expected a table of UTF-8 text: {error}") from error


def whole(where: str, column: str, text: str) -> int:
    """Parse a whole number of up to nine digits, which pandas may have written as ``12.0``."""
    match = re.fullmatch(r"([0-9]{1,9})(?:\.0)?", text)
    if not match:
        raise RecordError(f"{where}: {column}: expected a whole number, got {text[:80]!r}")
    return int(match[1])
