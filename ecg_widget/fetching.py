"""One file over HTTPS: same host only, sizes held against what was promised, resumed after a cut, hash-checked.

pooch keeps the hash and the rename; this module is the downloader it calls, because its own neither resumes nor notices
a redirect to another host. What has come so far lies beside the file as ``NAME.part``.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any, Self
from urllib.parse import urljoin, urlsplit

__all__ = ["FetchError", "Source", "safe_name"]

_CHUNK = 1 << 18  # bytes at a time
_REDIRECTS = 5
_ATTEMPTS = 3  # a cut connection is resumed so often within one call
_LOCAL = ("127.0.0.1", "localhost", "::1")


class FetchError(OSError):
    """A data set that did not come: its message names the file, what was expected and got, and the manual step.

    Examples
    --------
    >>> issubclass(FetchError, OSError)
    True
    """


def safe_name(name: str) -> str:
    """Give back a relative name of a list from the net, or refuse one that could leave the folder.

    Raises
    ------
    FetchError
        It is empty, absolute, climbs, or holds a backslash, a colon or a control character.

    Examples
    --------
    >>> safe_name("records100/00000/00001_lr.hea")
    'records100/00000/00001_lr.hea'
    """
    path = PurePosixPath(name)
    bad = any(c in "\\:" or not c.isprintable() for c in name)
    if bad or not name or path.is_absolute() or ".." in path.parts or str(path) != name or name == ".":
        raise FetchError(f"name of a file: expected a path below the folder, got {name!r}; nothing was written")
    return name


class Source:
    """A place to fetch from: its base URL, the folder the files go to, and how long a silence may last.

    Parameters
    ----------
    base_url
        HTTPS; plain HTTP only for this very machine.
    folder
        Where the files belong.
    timeout
        Longest silence, s.
    progress
        Show a bar for each file.

    Raises
    ------
    ImportError
        pooch is absent.
    ValueError
        Another kind of URL, or a timeout that is not > 0.
    """

    def __init__(self, base_url: str, folder: Path, *, timeout: float = 30.0, progress: bool = True) -> None:
        try:
            import pooch  # noqa: F401, PLC0415
            import requests  # noqa: PLC0415
            import tqdm  # type: ignore[import-untyped]  # noqa: F401, PLC0415
        except ImportError as error:
            raise ImportError(
                "fetch: expected the packages pooch and tqdm, got not both; pip install ecg-widget[fetch]"
            ) from error
        self.base = base_url.rstrip("/") + "/"
        parts = urlsplit(self.base)
        if not (parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOCAL)):
            raise ValueError(f"base_url: expected https://..., got {base_url!r}")
        if not timeout > 0:
            raise ValueError(f"timeout: expected seconds > 0, got {timeout!r}")
        self.folder, self.timeout, self.progress = folder, timeout, progress
        self._session = requests.Session()
        self._session.trust_env = parts.hostname not in _LOCAL  # a proxy is for the world, not for this machine

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()

    def error(self, name: str, what: str) -> FetchError:
        """Make the error that says what went wrong with a file, and how to get it by hand."""
        return FetchError(
            f"{name}: {what}; run it again to go on where it stopped, or download {self.base}{name} by hand "
            f"to {self.folder.resolve() / name}"
        )

    def _open(self, name: str, start: int) -> Any:
        """Ask for a file from a byte on, following redirects on the same host and scheme."""
        url = self.base + name
        home = urlsplit(url)
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={start}-"} if start else {})
        for _ in range(_REDIRECTS + 1):
            answer = self._session.get(url, headers=headers, stream=True, allow_redirects=False, timeout=self.timeout)
            if not answer.is_redirect:
                return answer
            answer.close()
            url = urljoin(url, answer.headers["location"])
            to = urlsplit(url)
            if (to.scheme, to.netloc) != (home.scheme, home.netloc):
                raise self.error(name, f"expected an answer of {home.netloc}, got a redirect to {to.netloc!r}, refused")
        raise self.error(name, f"expected at most {_REDIRECTS} redirects, got more")

    def _promised(self, name: str, answer: Any, start: int) -> tuple[int, int]:
        """Tell where the answer starts and how long the whole file is, in bytes."""
        coding = answer.headers.get("content-encoding", "identity")
        length = answer.headers.get("content-length", "")
        if coding != "identity" or not (length.isascii() and length.isdigit()):
            raise self.error(
                name, f"expected plain bytes of a stated length, got {coding!r} of {length or 'no'!r} bytes"
            )
        if answer.status_code == 200:
            return 0, int(length)
        stated = answer.headers.get("content-range", "")
        total = start + int(length)
        if answer.status_code != 206 or stated != f"bytes {start}-{total - 1}/{total}":
            raise self.error(
                name,
                f"expected status 200, or 206 from byte {start}, got {answer.status_code} {answer.reason} {stated}",
            )
        return start, total

    def _pull(self, name: str, part: Path, size: int | None, most: int) -> None:
        """Get what is missing of a file into its part; the part stays when the connection is cut."""
        start = part.stat().st_size if part.exists() else 0
        if size is not None and start == size:
            return
        with self._open(name, start) as answer:
            if answer.status_code == 416 and start:  # longer than the file: of another version
                part.unlink()
                raise ConnectionError("what had come before is of another version")
            start, total = self._promised(name, answer, start)
            if total > most or (size is not None and total != size):
                wanted = f"{size} bytes as listed" if size is not None else f"at most {most} bytes"
                part.unlink(missing_ok=True)
                raise self.error(name, f"expected {wanted}, got a promise of {total}")
            done = start
            with part.open("ab" if start else "wb") as out, self._bar(name, start, total) as bar:
                answer.raw.enforce_content_length = False  # else the last bytes before a cut are lost; counted below
                for piece in answer.iter_content(_CHUNK):
                    if done + len(piece) > total:
                        raise self.error(name, f"expected {total} bytes as promised, got more")
                    out.write(piece)
                    done += len(piece)
                    bar.update(len(piece))
        if done != total:
            raise ConnectionError(f"cut after {done} of {total} bytes")

    def _bar(self, name: str, start: int, total: int) -> Any:
        from tqdm.auto import tqdm  # type: ignore[import-untyped]  # noqa: PLC0415

        return tqdm(desc=name, initial=start, total=total, unit="B", unit_scale=True, disable=not self.progress)

    def get(self, name: str, *, hash_: str | None, size: int | None = None, most: int = 1 << 36, to: str = "") -> Path:
        """Fetch a file, or leave the one that is there if its hash holds.

        Parameters
        ----------
        name
            Below the base URL.
        hash_
            ``"sha256:..."`` or ``"md5:..."``; None: take what comes.
        size, most
            Bytes it must have; bytes it may have.
        to
            Its name below the folder; default `name`.

        Raises
        ------
        FetchError
            It did not come whole, from this host and with this hash.
        """
        import pooch  # noqa: PLC0415
        import requests  # noqa: PLC0415

        target = self.folder / safe_name(to or name)
        part = target.with_name(target.name + ".part")

        def download(_url: str, output_file: str, _pooch: object) -> None:
            for attempt in range(_ATTEMPTS):
                try:
                    self._pull(name, part, size, most)
                    break
                except requests.Timeout as error:
                    raise self.error(name, f"expected bytes within {self.timeout:g} s, got none") from error
                except (requests.RequestException, ConnectionError) as error:
                    if attempt == _ATTEMPTS - 1:
                        raise self.error(name, f"expected an answer of {self.base}, got {error}") from error
            part.replace(output_file)

        if hash_ is None:
            target.unlink(missing_ok=True)  # a list without a hash of its own is always fetched anew
        target.parent.mkdir(parents=True, exist_ok=True)
        logger = pooch.get_logger()
        level = logger.level
        logger.setLevel("ERROR")  # it would print a line for each of 40,000 files
        try:
            pooch.retrieve(self.base + name, hash_, fname=target.name, path=target.parent, downloader=download)
        except ValueError as error:
            raise self.error(name, f"expected {hash_}, got another hash ({error}); nothing was kept") from error
        finally:
            logger.setLevel(level)
        return target
