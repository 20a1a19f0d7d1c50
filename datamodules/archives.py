"""Archives from elsewhere: unpacked safely, all or nothing."""

from __future__ import annotations

import gzip
import stat
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PureWindowsPath
from typing import IO, NamedTuple

from tqdm import tqdm

from .limits import MAX_UNPACKED, limit

BLOCK = 1 << 18  # bytes


class Member(NamedTuple):
    """One file of an archive, open for reading."""

    name: str
    content: IO[bytes]


def _contents(archive: Path) -> Iterator[tuple[str, Iterator[bytes]]]:
    """Names and bytes of an archive's files in their order, as long as there are not too many bytes in all."""
    most = left = limit(MAX_UNPACKED)

    def blocks(content: IO[bytes]) -> Iterator[bytes]:
        nonlocal left
        while block := content.read(BLOCK):
            left -= len(block)
            if left < 0:
                raise ValueError(
                    f"The archive {str(archive)!r} holds more than the {most:,} bytes that {MAX_UNPACKED} allows.\n"
                    "Set this environment variable higher where it is to be that large."
                )
            yield block

    for member in _members(archive):
        yield member.name, blocks(member.content)


def extract(archive: Path, target: Path) -> Path:
    """Unpack a ``.tar.gz`` or ``.zip`` as the folder ``target``, which is not there before; the archive stays.

    Where all files of the archive lie in one folder, as in the authors' archives, that folder becomes ``target``. When
    anything goes wrong, or on Ctrl-C, nothing of it is left. Contents are written by ourselves: owners and permissions
    of the archive play no part.

    Returns:
        ``target``.

    Raises:
        ValueError: the archive is damaged or holds more bytes than ``CROSSDOMAIN_MAX_UNPACKED`` allows, or a member is
            a link or a device or lies outside of the folder.
        OSError: it cannot be written.
    """
    with staged(target) as folder, _named(archive):
        for name, blocks in tqdm(_contents(archive), desc=f"unpack {archive.name}", unit="file"):
            file = folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            with open(file, "wb") as copy:
                copy.writelines(blocks)
        tops = [top for top in folder.iterdir() if top.name != "__MACOSX" and not top.name.startswith("._")]
        if len(tops) == 1 and tops[0].is_dir():
            outer = folder.rename(folder.with_name("outer"))
            (outer / tops[0].name).rename(folder)
    return target


def check_archive(archive: Path) -> int:
    """Read an archive to its end, so that its checksums are compared, and look at the names of its members.

    Returns:
        How many files it holds.

    Raises:
        ValueError: as :func:`extract`.
    """
    count = 0
    with _named(archive):
        for _, blocks in _contents(archive):
            for _ in blocks:
                pass
            count += 1
    return count


@contextmanager
def staged(target: Path) -> Iterator[Path]:
    """A folder to fill: it becomes ``target`` when all went well, and vanishes otherwise, on Ctrl-C too.

    Raises:
        FileExistsError: there is something at ``target``.
    """
    if target.exists():
        raise FileExistsError(f"{str(target)!r} is there already.\nDelete it first, or choose another folder.")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as beside:
        folder = Path(beside) / "content"  # the temporary folder itself is closed to other users
        folder.mkdir()
        yield folder
        folder.rename(target)


@contextmanager
def _named(archive: Path) -> Iterator[None]:
    """Errors of reading and unpacking name the archive."""
    try:
        yield
    except (EOFError, RuntimeError, gzip.BadGzipFile, tarfile.TarError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(
            f"The archive {str(archive)!r} is damaged or not complete: {error}.\nRemove it and get it again."
        ) from None
    except OSError as error:
        raise OSError(f"The archive {str(archive)!r} cannot be unpacked: {error}.") from None


def _members(archive: Path) -> Iterator[Member]:
    """The files of an archive in their order, each open until the next one is asked for."""
    with open(archive, "rb") as file:
        first = file.read(4)
    if first.startswith(b"\x1f\x8b"):
        return _tar_members(archive)
    if first.startswith(b"PK"):
        return _zip_members(archive)
    raise ValueError(f"{str(archive)!r} is neither a .tar.gz nor a .zip, it begins with {first!r}.")


def _tar_members(archive: Path) -> Iterator[Member]:
    with gzip.open(archive) as stream, tarfile.open(fileobj=stream, mode="r|") as tar:
        for member in tar:
            _refuse(archive, member.name, special=not (member.isfile() or member.isdir()))
            if (content := tar.extractfile(member)) is not None:  # a file
                yield Member(member.name, content)
        while stream.read(BLOCK):  # to the very end, where gzip has its checksum
            pass


def _zip_members(archive: Path) -> Iterator[Member]:
    with zipfile.ZipFile(archive) as file:
        for info in file.infolist():
            kind = stat.S_IFMT(info.external_attr >> 16)  # 0 where the archive was not made on Unix
            _refuse(archive, info.filename, special=kind not in (0, stat.S_IFREG, stat.S_IFDIR))
            if not info.is_dir():
                with file.open(info) as content:
                    yield Member(info.filename, content)


def _refuse(archive: Path, name: str, special: bool) -> None:
    """Refuse a member that is neither file nor folder, or whose path leads out of the folder on any system."""
    path = PureWindowsPath(name)  # knows both kinds of slashes, and drives
    outside = path.drive or path.root or ".." in path.parts
    if special or outside:
        what = "lies outside of it" if outside else "is a link or a device"
        raise ValueError(
            f"The archive {str(archive)!r} is refused: its member {name!r} {what}.\n"
            "Nothing was unpacked. Get the archive from a source that you trust."
        )
