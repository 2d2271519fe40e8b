"""README's table of formats is what the readers are: found by content, with these libraries, checked by these tests."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from formats_table import BEGIN, END, ROWS, opened, table

from ecg_widget.formats import readers

TESTS = Path(__file__).resolve().parent
README = (TESTS.parent / "README.md").read_text(encoding="utf-8")


def test_every_format_has_a_row():
    assert set(ROWS) == {reader.NAME for reader in readers()} | {"BDF"}


@pytest.mark.parametrize("name", list(ROWS))
def test_a_format_is_found_by_content_and_its_checks_exist(name, tmp_path):
    assert re.fullmatch(r"\S+ \d+(\.\d+)+\S*", opened(name, tmp_path))
    for check in ROWS[name][3]:
        file, _, test = check.partition("::")
        text = (TESTS / file).read_text(encoding="utf-8")
        assert not test or re.search(rf"^(?:def|class) {test}\b", text, re.MULTILINE), check


def test_readme_has_this_table():
    stored = README[README.index(BEGIN) : README.index(END) + len(END)]
    assert stored == table(), "run python tests/formats_table.py and paste what it prints"
