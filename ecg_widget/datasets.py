"""Public ECG data sets, fetched when asked for and never by themselves.

What the hashes guard against: the lists of hashes come over HTTPS from the very host that serves the files. They catch
cut, damaged and mixed-up downloads and a list that changed half-way; they do not guard against a host that has been
taken over, which could change both. The licence of each data set is at its page; mind it.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import xarray as xr

from ecg_widget.fetching import FetchError, Source, safe_name
from ecg_widget.records import open_ecg

__all__ = ["FetchError", "code15", "ludb", "ptbxl"]

_LIST = 1 << 25  # bytes a list of files may have; that of PTB-XL has 4 MB
_RECORD = 1 << 28  # bytes a file of PhysioNet may have
_UNPACKED = 1 << 36  # bytes a file of CODE-15 may have unpacked


def _physionet(source: Source, wanted: Sequence[str]) -> None:
    """Fetch the files of SHA256SUMS.txt whose names begin with one of these."""
    sums = source.get("SHA256SUMS.txt", hash_=None, most=_LIST)
    found = False
    for line in sums.read_text(encoding="utf-8", errors="replace").splitlines():
        digest, _, name = line.partition(" ")
        name = name.strip().removeprefix("*")
        if not name.startswith(tuple(wanted)):
            continue
        if len(digest) != 64 or set(digest) - set("0123456789abcdef"):
            raise source.error("SHA256SUMS.txt", f"expected lines of a SHA-256 and a name, got {line[:100]!r}")
        source.get(safe_name(name), hash_=f"sha256:{digest}", most=_RECORD)
        found = True
    if not found:
        raise source.error("SHA256SUMS.txt", f"expected files below {', '.join(wanted)}, got none")


def ptbxl(
    folder: str | Path,
    *,
    sampling_rate: int = 100,
    base_url: str = "https://physionet.org/files/ptb-xl/1.0.3/",
    timeout: float = 30.0,
    progress: bool = True,
    **options: Any,
) -> xr.Dataset:
    """Fetch PTB-XL 1.0.3 from PhysioNet, what is not there yet, and open it.

    Parameters
    ----------
    folder
        Where the files go: 0.6 GB at 100 Hz, 2.5 GB at 500 Hz, in 43,598 files.
    sampling_rate
        100 or 500, Hz.
    base_url
        Of a mirror with the same layout.
    timeout
        Longest silence of the host, s.
    progress
        Show a bar for each file.
    **options
        Of `ecg_widget.open_ecg`: `folds`, `lazy`, ...

    Returns
    -------
    xarray.Dataset
        What `ecg_widget.open_ecg` gives for the folder: signal in mV.

    Raises
    ------
    FetchError
        A file did not come whole, from this host and with the SHA-256 of SHA256SUMS.txt; see the module on what that
        list guards against. What has come stays, and the next call goes on.
    ImportError
        pooch is absent.
    ValueError
        Another sampling rate.

    Examples
    --------
    >>> ds = ptbxl("ptb-xl", folds=[10])  # doctest: +SKIP
    """
    if sampling_rate not in (100, 500):
        raise ValueError(f"sampling_rate: expected 100 or 500 Hz, got {sampling_rate!r}")
    with Source(base_url, Path(folder), timeout=timeout, progress=progress) as source:
        _physionet(source, ("ptbxl_database.csv", "scp_statements.csv", f"records{sampling_rate}/"))
    return open_ecg(folder, sampling_rate=sampling_rate, **options)


def ludb(
    folder: str | Path,
    *,
    base_url: str = "https://physionet.org/files/ludb/1.0.1/",
    timeout: float = 30.0,
    progress: bool = True,
    **options: Any,
) -> xr.Dataset:
    """Fetch LUDB 1.0.1 from PhysioNet, what is not there yet, and open it: 200 records with the waves of each lead.

    Parameters and errors are those of `ptbxl`, without a sampling rate: the records have 500 Hz.

    Examples
    --------
    >>> ds = ludb("ludb")  # doctest: +SKIP
    """
    with Source(base_url, Path(folder), timeout=timeout, progress=progress) as source:
        _physionet(source, ("RECORDS", "ludb.csv", "data/"))
    return open_ecg(folder, **options)


def code15(
    folder: str | Path,
    *,
    parts: Iterable[int] | None = None,
    base_url: str = "https://zenodo.org/api/records/4916206",
    timeout: float = 30.0,
    progress: bool = True,
    **options: Any,
) -> xr.Dataset:
    """Fetch CODE-15% from Zenodo, what is not there yet, and open it.

    Parameters
    ----------
    folder
        Where the files go.
    parts
        Which of ``exams_part0`` ... ``exams_part17``; None: all. The exams of others are then left out.
    base_url
        Of the record in an API like that of Zenodo.
    timeout, progress, **options
        As for `ptbxl`.

    Raises
    ------
    FetchError
        As for `ptbxl`, with the sizes and MD5 of the record's API. An archive that holds anything but its one HDF5
        file is refused.
    ImportError
        pooch or h5py is absent.

    Examples
    --------
    >>> ds = code15("code15", parts=[0])  # doctest: +SKIP
    """
    path = Path(folder)
    chosen = None if parts is None else {f"exams_part{int(i)}.zip" for i in parts}
    home, _, record = base_url.rstrip("/").rpartition("/")
    with Source(home, path, timeout=timeout, progress=progress) as source:
        listed = source.get(safe_name(record), hash_=None, most=_LIST, to="zenodo_record.json")
        try:
            files = {
                safe_name(str(f["key"])): (int(f["size"]), str(f["checksum"]))
                for f in json.loads(listed.read_bytes())["files"]
            }
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise source.error(record, f"expected files with key, size and checksum, got {error!r}") from error
        if chosen is None:
            chosen = {name for name in files if name.startswith("exams_part") and name.endswith(".zip")}
        absent = sorted((chosen | {"exams.csv"}) - set(files)) or ([] if chosen else ["exams_part*.zip"])
        if absent:
            raise source.error(record, f"expected {', '.join(absent)} in its list, got {len(files)} other files")
        for name in ["exams.csv", *sorted(chosen)]:
            size, checksum = files[name]
            if not checksum.startswith("md5:"):
                raise source.error(record, f"{name}: expected an md5, got {checksum[:50]!r}")
            if (path / name).with_suffix(".hdf5").exists():  # it got its name after the archive was checked
                continue
            got = source.get(f"{record}/files/{name}/content", hash_=checksum, size=size, to=name)
            if got.suffix == ".zip":
                _unpack(source, got)
    if parts is not None:
        options.setdefault("missing", "drop")
    return open_ecg(path, **options)


def _unpack(source: Source, archive: Path) -> None:
    """Replace an archive by the one HDF5 file in it."""
    target = archive.with_suffix(".hdf5")
    part = target.with_name(target.name + ".part")
    try:
        with zipfile.ZipFile(archive) as files:
            members = files.infolist()
            if [m.filename for m in members] != [target.name] or members[0].file_size > _UNPACKED:
                raise source.error(archive.name, f"expected {target.name} alone in it, got {files.namelist()[:5]}")
            left = members[0].file_size
            with files.open(members[0]) as packed, part.open("wb") as out:
                while piece := packed.read(min(left, 1 << 20) + 1):
                    left -= len(piece)
                    if left < 0:
                        raise source.error(archive.name, f"expected {members[0].file_size} bytes in it, got more")
                    out.write(piece)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        part.unlink(missing_ok=True)
        raise source.error(archive.name, f"expected a zip archive, got {error}") from error
    part.replace(target)
    archive.unlink()
