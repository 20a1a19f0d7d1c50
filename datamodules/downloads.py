"""Files from the web: fetched with resume and verified, all or nothing."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from email.utils import formatdate, mktime_tz, parsedate_tz
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import IO
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from tqdm import tqdm

from .archives import BLOCK, check_archive, extract
from .limits import MAX_DOWNLOAD, limit

try:
    import fcntl
except ImportError:  # Windows, where processes are not kept apart
    fcntl = None  # type: ignore[assignment]  # told by its being None

TIMEOUT = 30  # seconds without a byte after which a connection counts as broken


class Unreachable(ConnectionError):
    """There is no answer, or no such file; nothing was downloaded."""


def fetch_folder(urls: Sequence[str], target: Path) -> Path:
    """Download an archive and unpack it as the folder ``target``, unless that is there already.

    Of several processes one does it while the others wait. An archive that lies beside ``target`` already, under the
    name that the first of ``urls`` has, is taken instead of a download, and left there; one that was downloaded is
    removed once it is unpacked.

    Args:
        urls: where the archive is; each is tried when those before it cannot be reached.
        target: the folder to make.

    Returns:
        ``target``.

    Raises:
        ConnectionError: it could not be fetched, or not to its end; of several the first is named.
        ValueError: the archive is damaged, or would write outside of the folder.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    archive = target.parent / urls[0].rpartition("/")[2]
    with one_at_a_time(target.with_name(f".{target.name}.lock")):
        if not target.is_dir():
            given = archive.is_file()
            if not given:
                _fetch_first(urls, archive)
            extract(archive, target)
            if not given:
                archive.unlink()
    return target


def _fetch_first(urls: Sequence[str], path: Path) -> None:
    errors = []
    for url in urls:
        try:
            fetch_archive(url, path)
        except Unreachable as error:
            errors.append(error)
        else:
            return
    raise errors[0]


def fetch_file(url: str, path: Path, sha256: str | None = None, check: Callable[[Path], object] | None = None) -> Path:
    """Download a file.

    What arrives is written to ``<name>.part``, which becomes ``path`` when it is complete and verified. The part of a
    download that broke stays, dated like the file on the server: the next call goes on from there, or starts afresh
    where the server cannot do that or the file has changed since.

    Args:
        url: where it is.
        path: where to write it; its folder is made when it is missing.
        sha256: refuse the file when its hash differs; 64 hexadecimal digits.
        check: called with the file before it gets its name; a ValueError refuses it.

    Returns:
        ``path``.

    Raises:
        ConnectionError: there is no answer or no such file, or the connection broke; names file and address.
        ValueError: what arrived is not the file that was expected, or more than ``CROSSDOMAIN_MAX_DOWNLOAD`` allows; it
            is removed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    _download(url, path, part)
    try:
        if sha256 is not None:
            check_sha256(part, sha256)
        if check is not None:
            check(part)
    except ValueError as error:
        part.unlink()
        reason = str(error).splitlines()[0]
        raise ValueError(f"{reason}\nIt came from {url} and was removed; call again to fetch it anew.") from None
    return part.replace(path)


def fetch_archive(url: str, path: Path, sha256: str | None = None) -> Path:
    """Download a ``.tar.gz`` or ``.zip`` by :func:`fetch_file`; its own checksums have to hold, too.

    Raises:
        ConnectionError: as :func:`fetch_file`.
        ValueError: what arrived is damaged, or not the archive that was expected; it is removed.
    """
    return fetch_file(url, path, sha256, check_archive)


def _download(url: str, path: Path, part: Path) -> None:
    """Write all of ``url`` to ``part``, of which there may be a beginning."""
    with _open(url, path, part) as response:
        done = part.stat().st_size if response.status == 206 else 0
        announced = response.headers.get("Content-Length")
        total = None if announced is None else done + int(announced)
        most = limit(MAX_DOWNLOAD)
        if total is not None and total > most:
            raise ValueError(_too_large(path, url, f"{total:,} bytes", most))
        modified = _modified(response)
        name = urlsplit(url).path.rpartition("/")[2] or path.name
        bar = tqdm(desc=name, total=total, initial=done, unit="B", unit_scale=True)
        with open(part, "ab" if done else "wb", buffering=0) as file, bar:
            for block in _blocks(response, url, part):
                file.write(block)
                bar.update(len(block))
                done += len(block)
                if done > most:  # of a server that did not say how much there is
                    part.unlink()
                    raise ValueError(_too_large(path, url, "more", most))
                if modified is not None:  # after every block, so that even a killed process can be resumed
                    os.utime(part, (modified, modified))
    if total is not None and done < total:
        raise ConnectionError(_broken(url, part, f"{done:,} of {total:,} bytes have arrived"))


def _too_large(path: Path, url: str, size: str, most: int) -> str:
    return (
        f"{path.name!r} from {url} has {size}, but {MAX_DOWNLOAD} allows {most:,} bytes.\n"
        "Nothing was kept. Set this environment variable higher where the file is to be that large."
    )


def _open(url: str, path: Path, part: Path) -> HTTPResponse:
    """The answer of the server: status 206 where it sends what ``part`` lacks, another one where it sends all."""
    headers = {}
    if part.is_file():
        beginning = part.stat()
        headers["Range"] = f"bytes={beginning.st_size}-"
        headers["If-Range"] = formatdate(int(beginning.st_mtime), usegmt=True)
    try:
        response = urlopen(Request(url, headers=headers), timeout=TIMEOUT)
    except (OSError, HTTPException) as error:
        if headers and isinstance(error, HTTPError) and error.code == 416:  # there is nothing after the part's end
            part.unlink()
            return _open(url, path, part)
        reason = f"HTTP {error.code} {error.reason}" if isinstance(error, HTTPError) else _reason(error)
        raise Unreachable(
            f"{path.name!r} cannot be fetched from {url}: {reason}.\n"
            f"Try again later, or put the file there by other means: {str(path)!r}."
        ) from None
    if response.status == 206:
        starts = response.headers.get("Content-Range", "").startswith(f"bytes {beginning.st_size}-")
        changed = _modified(response) not in (None, int(beginning.st_mtime))  # not every server minds If-Range
        if changed or not starts:
            response.close()
            part.unlink()
            return _open(url, path, part)
    return response


def _modified(response: HTTPResponse) -> int | None:
    """When the file was last changed, in seconds since 1970."""
    parsed = parsedate_tz(response.headers.get("Last-Modified", ""))
    return None if parsed is None else mktime_tz(parsed)


def _blocks(response: HTTPResponse, url: str, part: Path) -> Iterator[bytes]:
    try:
        while block := response.read(BLOCK):
            yield block
    except (OSError, HTTPException) as error:
        raise ConnectionError(_broken(url, part, _reason(error))) from None


def _reason(error: Exception) -> str:
    error = getattr(error, "reason", error)
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _broken(url: str, part: Path, reason: str) -> str:
    name = part.name.removesuffix(".part")
    return (
        f"The connection broke while {name!r} was fetched from {url}: {reason}.\n"
        f"What has arrived is kept in {str(part)!r}; call again to resume."
    )


def sha256_of(path: str | os.PathLike) -> str:
    """The SHA-256 of a file, as 64 hexadecimal digits."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()


def check_sha256(path: Path, expected: str) -> None:
    """Refuse a file whose SHA-256 is not the one that is ``expected``.

    Raises:
        ValueError: names the file and both hashes, in one line.
    """
    if (found := sha256_of(path)) != expected:
        raise ValueError(f"{str(path)!r} is corrupted or another file: its SHA-256 is {found}, expected {expected}.")


@contextmanager
def one_at_a_time(lock: Path) -> Iterator[None]:
    """Wait until no other process is here with the same ``lock``, a file that exists as long as one is.

    A process that dies lets go of it.
    """
    while True:
        with open(lock, "a") as file:
            if fcntl is not None:
                fcntl.flock(file, fcntl.LOCK_EX)
            if not _is_file_at(lock, file):
                continue  # who held it has removed it, and another process may hold a new one
            try:
                yield
            finally:
                if fcntl is not None:
                    lock.unlink()
            return


def _is_file_at(path: Path, file: IO) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False
