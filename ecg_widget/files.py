"""Files that are there whole or not at all."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

__all__ = ["write_whole"]


def write_whole(path: str | Path, data: bytes) -> Path:
    """Write under a temporary name in the same folder, then rename; an older file stays until then.

    Parameters
    ----------
    path
        Of the file; its folder must exist.
    data
        All of it.

    Raises
    ------
    FileNotFoundError
        No such folder.
    IsADirectoryError
        The path is a folder.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_whole(f"{folder}/a.txt", b"whole").read_bytes(), len(list(Path(folder).iterdir()))
    (b'whole', 1)
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(f"{path}: expected an existing folder, found none; make it first")
    if path.is_dir():
        raise IsADirectoryError(f"{path}: expected the name of a file, got a folder")
    partial = path.with_name(f"{path.name}.{secrets.token_hex(4)}.partial")
    try:
        with partial.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return path
