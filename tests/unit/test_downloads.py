"""Files and archives: fetched to the last byte or not at all, and never unpacked outside of their folder."""

import gzip
import hashlib
import io
import re
import stat
import tarfile
import threading
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.local_server import TUESDAY, Web
from torchvision.io import encode_jpeg

from crossdomain import serialization
from crossdomain.cli import crossdomain as crossdomain_command
from crossdomain.cli import main
from crossdomain.datamodules import Cityscapes, Facades, Maps, PairedFolder, UnpairedFolder, archives, downloads
from crossdomain.datamodules.archives import extract
from crossdomain.datamodules.downloads import (
    check_sha256,
    fetch_archive,
    fetch_file,
    fetch_folder,
    sha256_of,
)


def tar_gz(files, special=()):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
        for name, kind in special:
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, "/etc/passwd"
            tar.addfile(member)
    return buffer.getvalue()


def zipped(files, link=None):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, content in files.items():
            file.writestr(name, content)
        if link is not None:
            info = zipfile.ZipInfo(link)
            info.external_attr = (stat.S_IFLNK | 0o777) << 16
            file.writestr(info, "/etc/passwd")
    return buffer.getvalue()


def noise(size, seed=0):
    return np.random.default_rng(seed).bytes(size)


def names(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*"))


ARCHIVE = tar_gz({"facades/train/1.jpg": noise(50_000), "facades/val/1.jpg": b"val"})


# --- fetching --------------------------------------------------------------------------------------------------


def test_broken_connection_is_resumed_where_it_broke(web, tmp_path):
    web.files["/facades.tar.gz"], web.cut = ARCHIVE, 20_000
    url, path = f"{web.address}/facades.tar.gz", tmp_path / "data" / "facades.tar.gz"
    with pytest.raises(ConnectionError) as caught:
        fetch_archive(url, path)
    message = str(caught.value)
    assert len(message.splitlines()) == 2
    for part in ("'facades.tar.gz'", url, f"20,000 of {len(ARCHIVE):,} bytes", "call again to resume", str(path)):
        assert part in message
    assert names(tmp_path / "data") == ["facades.tar.gz.part"]
    assert path.with_name("facades.tar.gz.part").read_bytes() == ARCHIVE[:20_000]
    web.cut = 30_000
    with pytest.raises(ConnectionError, match=r"30,000 of"):
        fetch_archive(url, path)
    web.cut = None
    assert fetch_archive(url, path) == path
    assert path.read_bytes() == ARCHIVE
    assert names(tmp_path / "data") == ["facades.tar.gz"]
    assert [entry[1:] for entry in web.log] == [(200, 0), (206, 20_000), (206, 30_000)]


@pytest.mark.parametrize("why", ["no_ranges", "changed", "changed_and_careless", "longer", "undated"])
def test_download_starts_afresh_where_it_cannot_resume(why, web, tmp_path):
    web.files["/facades.tar.gz"], web.cut = ARCHIVE, 20_000
    url, path = f"{web.address}/facades.tar.gz", tmp_path / "facades.tar.gz"
    with pytest.raises(ConnectionError):
        fetch_archive(url, path)
    web.cut, expected, part = None, ARCHIVE, tmp_path / "facades.tar.gz.part"
    if why == "no_ranges":
        web.ranges = False
    elif why.startswith("changed"):
        expected = web.files["/facades.tar.gz"] = tar_gz({"facades/train/1.jpg": noise(50_000, seed=1)})
        web.modified, web.if_range = TUESDAY, why == "changed"
    elif why == "longer":
        part.write_bytes(ARCHIVE + b"more")
        web.if_range = False
    else:
        part.write_bytes(noise(20_000, seed=2))  # dated now, so not by us
    fetch_archive(url, path)
    assert path.read_bytes() == expected
    assert web.log[-1][1:] == (200, 0)
    assert names(tmp_path) == ["facades.tar.gz"]


def test_what_cannot_be_reached_is_named(web, tmp_path):
    closed = Web()
    closed.server_close()
    reasons = {f"{web.address}/x.zip": "HTTP 404 Not Found", f"{closed.address}/x.zip": "Connection refused"}
    for url, reason in reasons.items():
        with pytest.raises(ConnectionError, match=rf"^'x\.zip' cannot be fetched from {url}: {reason}\.\n") as caught:
            fetch_archive(url, tmp_path / "x.zip")
        assert len(str(caught.value).splitlines()) == 2
    assert names(tmp_path) == []


def test_connection_that_goes_silent_counts_as_broken(web, tmp_path, monkeypatch):
    monkeypatch.setattr(downloads, "TIMEOUT", 0.2)
    release = threading.Event()

    class Stuck(bytes):
        def __getitem__(self, key):
            release.wait(5)
            return b""

    web.files["/x.zip"] = Stuck(100)
    with pytest.raises(ConnectionError, match=r"'x\.zip' was fetched from .*: timed out"):
        fetch_archive(f"{web.address}/x.zip", tmp_path / "x.zip")
    release.set()


ZIP = zipped({"horse2zebra/trainA/1.jpg": noise(5000)})
DAMAGED = {
    "gzip_checksum": (ARCHIVE[:-8] + b"\0\0\0\0" + ARCHIVE[-4:], "is damaged or not complete: CRC check failed"),
    "gzip_half": (ARCHIVE[:25_000], "is damaged or not complete: Compressed file ended"),
    "gzip_of_no_tar": (gzip.compress(noise(2000)), "is damaged or not complete"),
    "zip_byte": (ZIP.replace(noise(5000), noise(4999) + b"!"), "is damaged or not complete: Bad CRC-32"),
    "zip_half": (ZIP[:3000], "is damaged or not complete: File is not a zip file"),
    "page": (b"<html>Please log in", "neither a .tar.gz nor a .zip, it begins with b'<htm'"),
    "unsafe": (zipped({"../x": b""}), "its member '../x' lies outside of it"),
}


@pytest.mark.parametrize("kind", DAMAGED)
def test_damaged_archives_are_not_kept(kind, web, tmp_path):
    content, reason = DAMAGED[kind]
    web.files["/x"] = content
    url = f"{web.address}/x"
    with pytest.raises(ValueError, match=re.escape(reason)) as caught:
        fetch_archive(url, tmp_path / "x")
    lines = str(caught.value).splitlines()
    assert str(tmp_path / "x.part") in lines[0]
    assert lines[1:] == [f"It came from {url} and was removed; call again to fetch it anew."]
    assert names(tmp_path) == []


def test_hash_is_checked_where_it_is_known(web, tmp_path):
    web.files["/x.zip"], digest = ZIP, hashlib.sha256(ZIP).hexdigest()
    with pytest.raises(ValueError, match=f"SHA-256 is {digest}, expected 00"):
        fetch_archive(f"{web.address}/x.zip", tmp_path / "x.zip", sha256="00" * 32)
    assert names(tmp_path) == []
    assert fetch_archive(f"{web.address}/x.zip", tmp_path / "x.zip", sha256=digest).read_bytes() == ZIP


def test_any_file_is_fetched_with_resume_and_its_hash(web, tmp_path):
    web.files["/weights.bin?v=2"], digest = noise(60_000), hashlib.sha256(noise(60_000)).hexdigest()
    url, path = f"{web.address}/weights.bin?v=2", tmp_path / "new" / "weights.bin"
    web.cut = 20_000
    with pytest.raises(ConnectionError, match="20,000 of 60,000 bytes"):
        fetch_file(url, path, digest)
    web.cut = None
    assert fetch_file(url, path, digest).read_bytes() == noise(60_000)
    assert web.log[-1][1:] == (206, 20_000)
    (tmp_path / "new" / "other.bin.part").write_bytes(b"wrong beginning")  # dated now, so not by us
    assert fetch_file(url, tmp_path / "new" / "other.bin", digest).read_bytes() == noise(60_000)


@pytest.mark.parametrize("announced", [True, False])
def test_downloads_have_a_limit_that_can_be_raised(announced, web, tmp_path, monkeypatch):
    web.files["/x.zip"], web.sizes, url = ZIP, announced, f"{web.address}/x.zip"
    monkeypatch.setenv("CROSSDOMAIN_MAX_DOWNLOAD", str(len(ZIP) - 1))
    size = f"{len(ZIP):,} bytes" if announced else "more"
    message = f"'x.zip' from {url} has {size}, but CROSSDOMAIN_MAX_DOWNLOAD allows {len(ZIP) - 1:,} bytes.\nNothing was"
    with pytest.raises(ValueError, match=re.escape(message)):
        fetch_archive(url, tmp_path / "x.zip")
    assert names(tmp_path) == []
    monkeypatch.setenv("CROSSDOMAIN_MAX_DOWNLOAD", str(len(ZIP)))
    assert fetch_archive(url, tmp_path / "x.zip").read_bytes() == ZIP
    monkeypatch.setenv("CROSSDOMAIN_MAX_DOWNLOAD", "-1")
    with pytest.raises(ValueError, match="CROSSDOMAIN_MAX_DOWNLOAD is '-1'"):
        fetch_archive(url, tmp_path / "y.zip")


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_what_is_unpacked_has_a_limit_that_can_be_raised(kind, tmp_path, monkeypatch):
    files = {"in/a": bytes(600_000), "in/b": bytes(400_000)}
    archive = tmp_path / f"x.{kind}"
    archive.write_bytes(zipped(files) if kind == "zip" else tar_gz(files))
    monkeypatch.setenv("CROSSDOMAIN_MAX_UNPACKED", "999999")
    for read in (lambda: extract(archive, tmp_path / "x"), lambda: archives.check_archive(archive)):
        with pytest.raises(ValueError, match="holds more than the 999,999 bytes that CROSSDOMAIN_MAX_UNPACKED allows"):
            read()
    assert names(tmp_path) == [archive.name]
    monkeypatch.setenv("CROSSDOMAIN_MAX_UNPACKED", "1000000")
    assert archives.check_archive(archive) == 2
    assert names(extract(archive, tmp_path / "x")) == ["a", "b"]


def test_hashes_of_files(tmp_path):
    path = tmp_path / "abc"
    path.write_bytes(b"abc")  # the example of FIPS 180
    known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert sha256_of(path) == known
    check_sha256(path, known)
    path.write_bytes(b"abd")
    with pytest.raises(ValueError, match=f"another file: its SHA-256 is {sha256_of(path)}, expected {known}"):
        check_sha256(path, known)


# --- unpacking -------------------------------------------------------------------------------------------------

FILES = {"train/1.jpg": noise(600_000), "train/2.jpg": b"two", "val/1.jpg": b""}


@pytest.mark.parametrize("pack", [tar_gz, zipped])
@pytest.mark.parametrize("top", ["", "facades/", "./facades/"])
def test_archives_are_unpacked_as_they_were_packed(pack, top, tmp_path):
    archive = tmp_path / "facades.archive"
    junk = {"__MACOSX/._train": b"junk"} if top else {}
    archive.write_bytes(pack({top + name: content for name, content in FILES.items()} | junk))
    target = extract(archive, tmp_path / "mine")
    assert {str(p.relative_to(target)): p.read_bytes() for p in target.rglob("*") if p.is_file()} == FILES
    assert sorted(p.name for p in tmp_path.iterdir()) == ["facades.archive", "mine"]
    ordinary = tmp_path / "ordinary"
    ordinary.mkdir()
    assert target.stat().st_mode == ordinary.stat().st_mode  # not closed to others, as temporary folders are
    with pytest.raises(FileExistsError, match="mine' is there already"):
        extract(archive, target)


UNSAFE = {
    "tar_up": (tar_gz({"ok": b"1", "a/../../evil": b"2"}), "a/../../evil", "lies outside"),
    "tar_absolute": (tar_gz({"ok": b"1", "/tmp/evil": b"2"}), "/tmp/evil", "lies outside"),
    "tar_symlink": (tar_gz({"ok": b"1"}, [("evil", tarfile.SYMTYPE)]), "evil", "is a link or a device"),
    "tar_hard_link": (tar_gz({"ok": b"1"}, [("evil", tarfile.LNKTYPE)]), "evil", "is a link or a device"),
    "tar_device": (tar_gz({"ok": b"1"}, [("evil", tarfile.CHRTYPE)]), "evil", "is a link or a device"),
    "tar_pipe": (tar_gz({"ok": b"1"}, [("evil", tarfile.FIFOTYPE)]), "evil", "is a link or a device"),
    "tar_folder": (tar_gz({"ok": b"1"}, [("../evil", tarfile.DIRTYPE)]), "../evil", "lies outside"),
    "zip_up": (zipped({"ok": b"1", "../evil": b"2"}), "../evil", "lies outside"),
    "zip_absolute": (zipped({"ok": b"1", "/tmp/evil": b"2"}), "/tmp/evil", "lies outside"),
    "zip_backslash": (zipped({"ok": b"1", "..\\evil": b"2"}), "..\\evil", "lies outside"),
    "zip_drive": (zipped({"ok": b"1", "C:evil": b"2"}), "C:evil", "lies outside"),
    "zip_symlink": (zipped({"ok": b"1"}, link="evil"), "evil", "is a link or a device"),
}


@pytest.mark.parametrize("kind", UNSAFE)
def test_members_that_would_leave_the_folder_are_refused(kind, tmp_path):
    content, member, reason = UNSAFE[kind]
    archive = tmp_path / "inner" / "bad.archive"
    archive.parent.mkdir()
    archive.write_bytes(content)
    with pytest.raises(ValueError, match="is refused: its member") as caught:
        extract(archive, tmp_path / "inner" / "target")
    first, *rest = str(caught.value).splitlines()
    assert first.startswith(f"The archive {str(archive)!r} is refused: its member {member!r} {reason}")
    assert len(rest) == 1
    assert names(tmp_path) == ["inner", "inner/bad.archive"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(28, "No space left on device")])
def test_nothing_half_unpacked_stays_behind(error, tmp_path, monkeypatch):
    archive = tmp_path / "facades.tar.gz"
    archive.write_bytes(ARCHIVE)
    contents, seen = archives._contents, []

    def interrupted(archive):
        for name, blocks in contents(archive):
            seen.append(names(tmp_path))
            if len(seen) == 2:
                raise error
            yield name, blocks

    monkeypatch.setattr(archives, "_contents", interrupted)
    with pytest.raises((KeyboardInterrupt, OSError)) as caught:
        extract(archive, tmp_path / "facades")
    if caught.type is OSError:
        assert "facades.tar.gz' cannot be unpacked: [Errno 28] No space left" in str(caught.value)
    assert any(name.endswith("train/1.jpg") for name in seen[1])  # it was under way
    assert names(tmp_path) == ["facades.tar.gz"]


# --- folders ---------------------------------------------------------------------------------------------------


def test_several_processes_download_once(web, tmp_path):
    web.files["/facades.tar.gz"] = ARCHIVE
    target = tmp_path / "data" / "facades"
    with ThreadPoolExecutor(6) as pool:  # a lock belongs to the open file, so threads are kept apart like processes
        found = list(pool.map(lambda _: fetch_folder([f"{web.address}/facades.tar.gz"], target), range(6)))
    assert found == [target] * 6
    assert web.log == [("/facades.tar.gz", 200, 0)]
    assert [name for name in names(tmp_path / "data") if "." in name] == ["facades/train/1.jpg", "facades/val/1.jpg"]


def test_archive_that_lies_there_is_taken_and_left(tmp_path):
    (tmp_path / "facades.tar.gz").write_bytes(ARCHIVE)
    fetch_folder(["http://127.0.0.1:1/facades.tar.gz"], tmp_path / "facades")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["facades", "facades.tar.gz"]
    (tmp_path / "maps.tar.gz").write_bytes(ARCHIVE[:25_000])
    with pytest.raises(ValueError, match=r"maps\.tar\.gz' is damaged or not complete: .*\nRemove it and get it again"):
        fetch_folder(["http://127.0.0.1:1/maps.tar.gz"], tmp_path / "maps")


def test_mirrors_are_tried_in_order_until_one_answers(web, tmp_path):
    web.files["/second/facades.tar.gz"] = ARCHIVE
    urls = [f"{web.address}/{mirror}/facades.tar.gz" for mirror in ("first", "second", "third")]
    fetch_folder(urls, tmp_path / "facades")
    assert [entry[:2] for entry in web.log] == [("/first/facades.tar.gz", 404), ("/second/facades.tar.gz", 200)]
    web.cut = 1000  # a connection that breaks is no reason to begin elsewhere: the next call resumes
    with pytest.raises(ConnectionError, match="second/facades"):
        fetch_folder(urls, tmp_path / "again" / "facades")
    with pytest.raises(ConnectionError, match="first/maps"):
        fetch_folder([url.replace("facades", "maps") for url in urls], tmp_path / "maps")


def jpeg(height, width, seed=0):
    image = np.random.default_rng(seed).integers(0, 256, (3, height, width), dtype=np.uint8)
    return encode_jpeg(torch.from_numpy(image)).numpy().tobytes()


def paired(name):
    return tar_gz({f"{name}/{split}/{i}.jpg": jpeg(64, 128, i) for split in ("train", "val") for i in range(4)})


def unpaired(name):
    folders = ("trainA", "trainB", "testA", "testB")
    return zipped({f"{name}/{folder}/{i}.jpg": jpeg(64, 64, i) for folder in folders for i in range(2)})


@pytest.mark.parametrize(
    ("make", "path"),
    [
        (Facades, "/facades.tar.gz"),
        (Maps, "/maps.tar.gz"),
        (lambda **options: PairedFolder(folder="edges2shoes", **options), "/edges2shoes.tar.gz"),
        (lambda **options: UnpairedFolder(folder="horse2zebra", **options), "/horse2zebra.zip"),
        (lambda **options: UnpairedFolder(folder="cyclegan/maps", **options), "/maps.zip"),
    ],
)
def test_missing_folders_are_downloaded(make, path, web, tmp_path, monkeypatch):
    monkeypatch.setenv("CROSSDOMAIN_MIRROR", f"{web.address}/")
    name = path[1:].partition(".")[0]
    web.files[path] = paired(name) if path.endswith("gz") else unpaired(name)
    options = {"root": str(tmp_path), "image_size": 32, "num_workers": 0}
    with pytest.raises(FileNotFoundError, match=r"to its folder there,\nor fetch it with --data.download true\."):
        make(**options).setup("fit")
    data = make(download=True, **options)
    with pytest.raises(FileNotFoundError, match=r"or fetch it with --data\.download true"):
        _ = data.channels_a  # only prepare_data downloads
    assert web.log == []
    data.prepare_data()
    assert (data.channels_a, data.channels_b) == (3, 3)
    data.setup("fit")
    assert next(iter(data.train_dataloader()))["a"].shape == (1, 3, 32, 32)
    assert web.log == [(path, 200, 0)]
    assert make(**options).spec() == data.spec()


def test_addresses_are_those_of_the_authors(tmp_path, monkeypatch):
    monkeypatch.delenv("CROSSDOMAIN_MIRROR", raising=False)
    asked = []
    monkeypatch.setattr("crossdomain.datamodules.folders.fetch_folder", lambda urls, path: asked.append(urls[0]))
    Facades(root=str(tmp_path), folder="mine", download=True).prepare_data()
    UnpairedFolder(root=str(tmp_path), folder="horse2zebra", download=True).prepare_data()
    assert asked == [
        "http://efrosgans.eecs.berkeley.edu/pix2pix/datasets/facades.tar.gz",
        "https://efrosgans.eecs.berkeley.edu/cyclegan/datasets/horse2zebra.zip",
    ]


def test_what_has_no_archive_is_refused(tmp_path):
    options = {"root": str(tmp_path), "download": True}
    message = r"cannot download 'mine', and there is no folder .*mine'\.\nWhat can be downloaded: .*{}.*\nPut your own"
    with pytest.raises(ValueError, match=message.format("edges2shoes")):
        PairedFolder(folder="mine", **options).prepare_data()
    with pytest.raises(ValueError, match=message.format("horse2zebra")):
        UnpairedFolder(folder="mine", **options).prepare_data()
    for make in (Cityscapes, lambda **o: UnpairedFolder(folder="cityscapes", **o)):
        with pytest.raises(ValueError, match=r"Cityscapes cannot be downloaded") as caught:
            make(**options).prepare_data()
        assert str(caught.value).splitlines()[2] == (
            f"crossdomain data cityscapes LEFTIMG8BIT GTFINE --output {tmp_path / 'cityscapes'}"
        )
    with pytest.raises(FileNotFoundError, match=r"its folder there,\nor build it from your own copy by"):
        Cityscapes(root=str(tmp_path)).setup("fit")
    (tmp_path / "mine").mkdir()
    PairedFolder(folder="mine", **options).prepare_data()  # what is there is not touched
    assert names(tmp_path) == ["mine"]


# --- by the commands -------------------------------------------------------------------------------------------


def test_fit_downloads_and_trains(web, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CROSSDOMAIN_MIRROR", web.address)
    monkeypatch.delenv("CROSSDOMAIN_DATA", raising=False)
    args = ["fit", "--config", "pix2pix_facades", "--data.download", "true", "--model.generator.width", "4",
            "--trainer.max_epochs", "1", "--trainer.limit_train_batches", "2", "--trainer.limit_val_batches", "1",
            "--trainer.enable_progress_bar", "false", "--trainer.enable_model_summary", "false"]  # fmt: skip
    with pytest.raises(SystemExit):
        main(args)
    error = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("Seed set")]
    assert error == [
        f"error: 'facades.tar.gz' cannot be fetched from {web.address}/facades.tar.gz: HTTP 404 Not Found.",
        "Try again later, or put the file there by other means: 'data/facades.tar.gz'.",
    ]
    web.files["/facades.tar.gz"] = paired("facades")
    main(args)
    assert serialization.read("runs/pix2pix_facades/version_0/checkpoints/last.ckpt")["crossdomain"]["rounds"] == 2
    assert names(Path("data"))[:4] == ["facades", "facades/train", "facades/train/0.jpg", "facades/train/1.jpg"]
    assert [entry[1] for entry in web.log] == [404, 200]


def half_jpeg(folder):
    path = folder / "broken.jpg"
    path.write_bytes(jpeg(64, 64)[:900])
    return folder, "problem: '{}' cannot be read as an image", path


def no_jpeg(folder):
    path = folder / "broken.jpg"
    path.write_bytes(b"not a picture")
    return folder, "problem: '{}' cannot be read as an image", path


def empty(folder):
    return folder, "error: The folder '{}' holds no image", folder


def unmatched(folder):
    for file in ("A/1.jpg", "B/1.jpg", "A/2.jpg"):
        (folder / file).parent.mkdir(exist_ok=True)
        (folder / file).write_bytes(jpeg(16, 16))
    return folder, "problem: '{}' has no partner in B", folder / "A/2.jpg"


def climbing(folder):
    path = folder / "evil.zip"
    path.write_bytes(UNSAFE["zip_up"][0])
    return path, "error: The archive '{}' is refused: its member '../evil' lies outside of it.", path


def half_download(folder):
    path = folder / "facades.tar.gz.part"
    path.write_bytes(ARCHIVE[:20_000])
    return path, "error: The archive '{}' is damaged or not complete: ", path


@pytest.mark.parametrize("make", [half_jpeg, no_jpeg, empty, unmatched, climbing, half_download])
def test_data_check_names_the_file_in_one_line(make, tmp_path, capsys):
    given, expected, named = make(tmp_path)
    with pytest.raises(SystemExit) as exit_info:
        crossdomain_command(["data", "check", str(given)])
    assert exit_info.value.code == 1
    out, err = capsys.readouterr()
    lines = [line for line in [*out.splitlines(), *err.splitlines()] if line.startswith(("problem: ", "error: "))]
    assert len(lines) == 1
    assert lines[0].startswith(expected.format(named))


def test_data_check_takes_a_whole_archive(tmp_path, capsys):
    (tmp_path / "facades.tar.gz").write_bytes(ARCHIVE)
    crossdomain_command(["data", "check", str(tmp_path / "facades.tar.gz")])
    assert capsys.readouterr().out == f"{tmp_path / 'facades.tar.gz'}: 2 files, all as they were packed\n"
