"""A folder in which a long evaluation keeps what it has done, so that it can be interrupted and continued."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["Journal"]

Arrays = dict[str, np.ndarray]


class Journal:
    """Steps and results of one evaluation in a folder.

    ``<name>.json`` and ``<name>.csv`` hold the results, ``<name>.state`` what an unfinished run has done. Every file is
    replaced whole or not at all.

    Parameters
    ----------
    folder
        Made if it is not there.
    name
        Of the evaluation.
    settings
        JSON: all that the numbers depend on. A run continues only what was begun with the same.
    say
        Called with one line for every step that is computed.

    Raises
    ------
    ValueError
        The folder holds an evaluation of that name with other settings.

    Examples
    --------
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     first = Journal(Path(folder), "sums", {"seed": 0})
    ...     a = first.keep("one", lambda: {"x": np.ones(2)})
    ...     again = Journal(Path(folder), "sums", {"seed": 0})
    ...     again.keep("one", lambda: {"x": np.zeros(2)})["x"].tolist()
    [1.0, 1.0]
    """

    def __init__(
        self, folder: Path, name: str, settings: Mapping[str, Any], say: Callable[[str], None] | None = None
    ) -> None:
        self.folder, self.name, self.say = folder, name, say or (lambda _: None)
        self.settings: dict[str, Any] = json.loads(json.dumps(settings))
        self.state = folder / f"{name}.state"
        folder.mkdir(parents=True, exist_ok=True)
        begun = _json(self.state / "settings.json")
        found = self.results
        for where, there in ((self.state, begun), (self.folder / f"{name}.json", found and found["settings"])):
            if there is not None and there != self.settings:
                keys = sorted(k for k in {*there, *self.settings} if there.get(k) != self.settings.get(k))
                was = {k: there.get(k) for k in keys}
                raise ValueError(
                    f"{where.name}: expected the settings {was} of the evaluation there, got "
                    f"{ {k: self.settings.get(k) for k in keys} }; repeat them, name another --output, or delete it"
                )
        if found is None:
            self.state.mkdir(exist_ok=True)
            _write(self.state / "settings.json", json.dumps(self.settings).encode())

    @property
    def results(self) -> dict[str, Any] | None:
        """What `finish` has written, with its settings; None before."""
        found = _json(self.folder / f"{self.name}.json")
        return found if isinstance(found, dict) and {"settings", "rows"} <= set(found) else None

    def keep(self, step: str, compute: Callable[[], Arrays]) -> Arrays:
        """Arrays of a step: from the file of an earlier run, else computed and stored."""
        digest = hashlib.sha256(step.encode()).hexdigest()[:12]
        path = self.state / f"{''.join(c if c.isalnum() else '-' for c in step)[:80]}-{digest}.npz"
        if path.is_file():
            try:
                with np.load(path, allow_pickle=False) as stored:
                    return {key: stored[key] for key in stored.files}
            except (OSError, ValueError, EOFError, zipfile.BadZipFile):
                self.say(f"{step}: stored file is damaged, computing it again")
        self.say(step)
        out = {key: np.asarray(value) for key, value in compute().items()}
        stream = io.BytesIO()
        np.savez(stream, **out)  # type: ignore[arg-type]  # keys are names of arrays, none of them an option
        _write(path, stream.getvalue())
        return out

    def finish(self, rows: Sequence[Mapping[str, Any]], **more: Any) -> dict[str, Any]:
        """Write results and forget the steps.

        Parameters
        ----------
        rows
            Of the table, JSON; NaN becomes null, and an empty cell of the CSV file.
        **more
            Beside them in the JSON file.

        Returns
        -------
        dict
            What the JSON file holds.
        """
        clean: dict[str, Any] = _finite({"settings": self.settings, **more, "rows": [dict(row) for row in rows]})
        table = io.StringIO()
        writer = csv.DictWriter(table, list(dict.fromkeys(key for row in clean["rows"] for key in row)))
        writer.writeheader()
        writer.writerows(clean["rows"])
        _write(self.folder / f"{self.name}.csv", table.getvalue().encode())
        _write(self.folder / f"{self.name}.json", (json.dumps(clean, indent=1) + "\n").encode())
        shutil.rmtree(self.state, ignore_errors=True)
        return clean


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(k): _finite(v) for k, v in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [_finite(v) for v in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not np.isfinite(value) else value


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (ValueError, UnicodeDecodeError):
        return {}  # damaged: like settings of something else, so that nobody's file is overwritten


def _write(path: Path, data: bytes) -> None:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
        Path(name).replace(path)
    except BaseException:  # an interruption too leaves no half-written file behind
        Path(name).unlink(missing_ok=True)
        raise
