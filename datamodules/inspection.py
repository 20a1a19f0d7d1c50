"""A look at image folders before training."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from .folder_images import DOMAINS, FolderImages, Source
from .folders import SPLIT_FOLDERS, UnpairedFolder, pairs_in
from .image_files import SUFFIXES, levels_of, list_images, read_image

# Pictures in formats that are not read, which a folder passes over.
OTHER_SUFFIXES = (".arw", ".avif", ".cr2", ".dcm", ".dng", ".exr", ".hdr", ".heic", ".heif", ".j2k", ".jp2", ".jpe",
                  ".jxl", ".nef", ".pbm", ".pgm", ".pnm", ".ppm", ".psd", ".raw", ".svg", ".tga")  # fmt: skip


@dataclass
class FolderReport:
    """What :func:`inspect_folder` found.

    Attributes:
        folders: for each folder with images, how many there are of each kind: ``(width, height, channels, bits)``.
        problems: one line for each file that cannot be used, with its name.
    """

    folders: dict[Path, Counter[tuple[int, int, int, int]]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        lines = []
        for folder, kinds in self.folders.items():
            lines.append(f"{folder}: {sum(kinds.values())} images")
            for (width, height, channels, bits), count in kinds.most_common(5):
                lines.append(f"  {count:7} of {width}x{height} px, {channels} channel(s), {bits} bits")
            if len(kinds) > 5:
                lines.append(f"  and {len(kinds) - 5} other kinds")
        lines += [f"problem: {problem}" for problem in self.problems]
        lines.append(f"{len(self.problems)} problem(s)")
        return "\n".join(lines)


def inspect_folder(
    path: Path,
    progress: Callable[[Iterable[Path]], Iterable[Path]] = iter,
    image_size: int | None = None,
    load_size: int | None = None,
) -> FolderReport:
    """Read all images below a folder, and say what a training would stumble over.

    Counts, sizes, channels and depths are listed by folder. Problems are files that cannot be read, and what
    :class:`PairedFolder` and :class:`UnpairedFolder` say of the folders that are laid out for them: other channels than
    the first image, halves and pairs that do not fit, files without a partner; also what they pass over: formats that
    are not read, and folders in folders.

    Args:
        path: the folder.
        progress: wraps the list of files, to show how far it is.
        image_size: the training's; images smaller than the crop are problems then.
        load_size: the training's.

    Raises:
        FileNotFoundError: there is no such folder, or no image below it.
    """
    files = list_images(path, recursive=True)
    report = FolderReport()
    stand_ins: dict[Path, Tensor] = {}
    for file in progress(files):
        kinds = report.folders.setdefault(file.parent, Counter())
        try:
            image = read_image(file)
        except ValueError as error:
            report.problems.append(_first_line(error))
        else:
            channels, height, width = image.shape
            kinds[width, height, channels, 8 if levels_of(image) == 256 else 16] += 1
            stand_ins[file] = torch.empty(1, dtype=image.dtype).expand(image.shape)  # of its shape, without its memory

    # A dataset's images all have the channels of its first ones, which are those of train where there are such.
    first: dict[Path, tuple[int, int]] = {}
    layouts, problems = _layouts(path, set(report.folders))
    for root, training, paired, sources in layouts:
        of_first = (
            next((len(stand_ins[image.path]) for image in images if image.path in stand_ins), 0) for images in sources
        )
        a, b = (known or own for known, own in zip(first.get(root, (0, 0)), of_first, strict=True))
        first[root] = a, b
        images = FolderImages(
            *sources,
            channels=(a, b),
            image_size=image_size or 1,
            load_size=load_size,
            flip=False,
            training=training,
            paired=paired,
            truth=paired,
            seed=0,
        )
        for domain, length in zip(DOMAINS, images.lengths(), strict=True):
            for index in range(length):
                try:
                    images.stored(domain, index, stand_ins.__getitem__)
                except KeyError:  # it or its partner cannot be read, which is said already
                    pass
                except ValueError as error:
                    problems.append(_first_line(error))
    report.problems += dict.fromkeys(problems)  # both images of a pair may have the same
    return report


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]


Layout = tuple[Path, bool, bool, tuple[list[Source], list[Source]]]


def _layouts(path: Path, folders: set[Path]) -> tuple[list[Layout], list[str]]:
    """The splits of datasets at and below a folder, train first, and what cannot be one.

    A layout is the dataset's folder, whether it is its training split, whether its images are pairs, and the images.
    """
    found: list[Layout] = []
    problems: list[str] = []
    above = {parent for folder in folders for parent in folder.parents if parent == path or path in parent.parents}
    read_from: set[Path] = set()
    for folder in sorted(folders | above):
        name = folder.absolute().name
        inner = [folder / side for side in "AB" if (folder / side).is_dir()]
        is_split = name in SPLIT_FOLDERS
        try:
            if len(inner) == 2 or (is_split and (inner or folder in folders)):
                read_from |= set(inner or [folder])
                sources, wrong = pairs_in(folder)
                problems += wrong
                found.append((folder.parent, name == "train", True, sources))
                if inner and folder in folders:
                    problems.append(
                        f"The images in {str(folder)!r} are passed over: it has a folder A or B, which are read"
                    )
            elif folder in folders and (match := re.fullmatch(r"(train|val|test)([AB])", name)):
                read_from.add(folder)
                images = [Source(file) for file in list_images(folder)]
                sources = (images, []) if match[2] == "A" else ([], images)
                found.append((folder.parent, match[1] == "train", False, sources))
        except FileNotFoundError as error:
            problems.append(_first_line(error))
    for root in sorted({folder.parent for folder in read_from if re.fullmatch("train[AB]", folder.name)}):
        if root in above:
            try:
                UnpairedFolder(root=str(root), folder="").sources("train")
            except FileNotFoundError as error:
                problems.append(_first_line(error))
    problems += _passed_over(read_from, folders)
    return sorted(found, key=lambda layout: not layout[1]), problems


def _passed_over(read_from: set[Path], folders: set[Path]) -> Iterator[str]:
    """What training leaves out without a word."""
    for folder in sorted(read_from):
        for inner in sorted(inner for inner in folders if folder in inner.parents):
            yield f"The images in {str(inner)!r} are passed over: of {str(folder)!r}, folders in it are not read"
    for folder in sorted(folders):
        others = sorted(
            f for f in folder.iterdir() if f.suffix.lower() in OTHER_SUFFIXES and not f.name.startswith(".")
        )
        if others:
            yield (
                f"{str(others[0])!r} is passed over ({len(others)} such files): {others[0].suffix} is not read, "
                f"only {', '.join(SUFFIXES)}"
            )
