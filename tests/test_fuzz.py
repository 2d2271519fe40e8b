"""Damaged recordings of every format, a few hundred of those of ``make fuzz``; and that a fault would be seen."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from fuzz import run_fuzz, worker
from fuzz import seeds as seed_files

import ecg_widget.records
from ecg_widget import formats
from ecg_widget.records import RecordError

for library in ("edfio", "h5py", "netCDF4", "zarr", "defusedxml"):
    pytest.importorskip(library, reason="an extra of a reader: pip install 'ecg-widget[edf,hdf5,netcdf,xml,zarr]'")


@pytest.fixture(scope="module")
def watch():
    return worker.Watch()


@pytest.fixture(scope="module")
def found():
    return seed_files.make(shared=False)


def test_damaged_recordings_open_or_are_refused(found, capsys):
    assert set(found) == {reader.NAME for reader in formats.readers()}
    results = run_fuzz.fuzz(found, list(found), 20 * len(found), root=1, jobs=1)
    status = run_fuzz.show(found, results, root=1)
    assert status == 0, capsys.readouterr().out
    for reader, result in results.items():
        assert result.inputs == 20
        assert result.opened + result.refused == 20
        assert len(result.reasons - {""}) >= 2, f"{reader}: all refused alike, {result.reasons}"
    assert sum(result.opened for result in results.values()) > 10


def test_undamaged_recordings_open_under_the_watch(found, watch, tmp_path):
    """A watch that stands in the way would pass for a reader that refuses."""
    for reader, seeds in found.items():
        for i, seed in enumerate(seeds):
            folder = tmp_path / reader / str(i)
            seed_files.write(folder, seed.files)
            result = worker.one(folder, seed.target, dict(seed.options[0]), watch)
            assert result["outcome"] == "opened", (reader, seed.name, result)
            assert not [told for told in result["told"] if "opens" not in told and "more than" not in told]


def test_the_same_number_is_the_same_input(found):
    others = run_fuzz._others(found)
    once, again, other = (worker.case("WFDB", found["WFDB"], 0, n, others) for n in (5, 5, 6))
    assert once == again != other


class TestFaultsAreSeen:
    """Each is what a reader must never do; the run has to tell."""

    @pytest.fixture
    def told(self, watch, tmp_path, monkeypatch):
        folder = tmp_path / "case"
        folder.mkdir()
        (folder / "a").write_bytes(b"x")

        def run(act):
            monkeypatch.setattr(ecg_widget.records, "open_ecg", act)
            return " ".join(worker.one(folder, "a", {}, watch)["told"])

        return run

    @staticmethod
    def refuse(*_):
        raise RecordError("a: expected more")

    @staticmethod
    def starve():
        raise MemoryError

    def test_nothing_to_tell(self, told):
        def act(path):
            path.read_bytes()
            self.refuse()

        assert told(act) == ""

    @pytest.mark.parametrize("error", [KeyError("x"), MemoryError(), SystemExit(1)])
    def test_another_error(self, told, error):
        def act(_path):
            raise error

        assert type(error).__name__ in told(act)

    def test_memory_behind_a_refusal(self, told):
        def act(path):
            try:
                self.starve()
            except MemoryError:
                self.refuse()

        assert "MemoryError behind" in told(act)

    def test_what_breaks_the_contract(self, told):
        assert "against the contract" in told(
            lambda _: np.zeros(3).view(type("D", (np.ndarray,), {"load": lambda d: d}))
        )

    def test_reading_outside(self, told, tmp_path):
        secret = tmp_path / "secret"
        secret.write_text("s")

        def act(path):
            (path.parent / ".." / "secret").read_text()
            self.refuse()

        assert f"opens {secret}" in told(act)

    def test_writing(self, told):
        def act(path):
            path.with_name("b").write_text("s")
            self.refuse()

        said = told(act)
        assert "writes" in said
        assert "changed files" in said

    def test_running(self, told):
        def act(_path):
            subprocess.run([sys.executable, "-c", ""], check=True)
            self.refuse()

        assert "subprocess.Popen" in told(act)

    def test_time(self, told, monkeypatch):
        monkeypatch.setattr(worker, "SECONDS", 0.0)

        def act(_path):
            sum(range(10_000_000))
            self.refuse()

        assert "s, more than 0" in told(act)

    @pytest.mark.skipif(
        not os.access("/proc/self/clear_refs", os.W_OK), reason="the system does not tell the most memory"
    )
    def test_memory(self, told, monkeypatch):
        monkeypatch.setattr(worker, "BYTES", 64 << 20)

        def act(_path):
            np.ones(128 << 17).sum()
            self.refuse()

        assert "MB, more than 64" in told(act)

    @pytest.mark.parametrize(("act", "why"), [("os._exit(7)", "status 7"), ("time.sleep(60)", "no word for 1 s")])
    def test_a_process_that_dies_or_hangs(self, tmp_path, monkeypatch, act, why):
        """Another follows, which reads the rest."""
        script = tmp_path / "script.py"
        script.write_text(
            "import json, os, sys, time\n"
            "first, last = json.load(sys.stdin)['numbers']['CSV']\n"
            "for n in range(first, last):\n"
            "    print(json.dumps({'reader': 'CSV', 'at': n}), flush=True)\n"
            f"    if n == 1: {act}\n"
            "    print(json.dumps({'reader': 'CSV', 'case': n, 'outcome': 'opened', 'reason': '', 'told': [],"
            " 'seconds': 0, 'added': 0, 'seed': 's'}), flush=True)\n"
        )
        monkeypatch.setattr(run_fuzz, "__file__", str(script))
        monkeypatch.setattr(run_fuzz, "_SILENT", 1.0)
        results = {"CSV": run_fuzz.Result()}
        found = {"CSV": [seed_files.Seed("s", {"a.csv": b"x"}, "a.csv")]}
        run_fuzz.parent([("CSV", range(4))], found, 0, results, threading.Lock())
        assert (results["CSV"].inputs, results["CSV"].opened) == (4, 3)
        assert results["CSV"].findings[0][:2] == (1, "?")
        assert why in results["CSV"].findings[0][2][0]


def test_what_fails_is_kept(found, tmp_path, monkeypatch):
    monkeypatch.setattr(run_fuzz, "TESTS", tmp_path / "tests")
    folder = run_fuzz.keep("DICOM", found, 0, 3)
    assert folder.is_relative_to(tmp_path / "build" / "fuzz")
    assert {"a.dcm", "case.json"} <= {path.name for path in Path(folder).iterdir()}
    result = run_fuzz.Result(1, findings=[(3, "a.dcm", ["KeyError"])])
    assert run_fuzz.show(found, {"DICOM": result}, 0) == 1
