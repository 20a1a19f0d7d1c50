"""Translating the user's own image files with a method of the zoo."""

from __future__ import annotations

import glob
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from torch import Tensor
from torchvision.transforms.functional import rgb_to_grayscale

from crossdomain.datamodules.image_files import (
    WRITTEN_SUFFIXES,
    levels_of,
    list_images,
    read_image,
    to_unit_range,
    write_image,
)
from crossdomain.method import Method, MisfitError


def find_images(paths: Iterable[str | Path]) -> list[Path]:
    """The image files that files, folders and glob patterns name, each once.

    Raises:
        FileNotFoundError: one of them names no file.
    """
    found: list[Path] = []
    for path in map(Path, paths):
        if path.is_dir():
            found += list_images(path)
        elif path.is_file():
            found.append(path)
        elif matches := sorted(glob.glob(str(path), recursive=True)):
            files = [Path(match) for match in matches if Path(match).is_file()]
            if not files:
                raise FileNotFoundError(
                    f"The pattern {str(path)!r} matches folders alone, such as {matches[0]!r}.\n"
                    f"Give the files in them: {str(path / '*')!r}."
                )
            found += files
        else:
            raise FileNotFoundError(f"There is no file, folder or pattern {str(path)!r}.")
    return list(dict.fromkeys(found))


def fit_channels(image: Tensor, channels: int, path: Path) -> Tensor:
    """(C, H, W) in [-1, 1] to ``channels``: grey is repeated, colours become grey, and opacity is left out.

    Of 2 and of 4 channels the last one is opacity, where the method takes 1 or 3.

    Raises:
        ValueError: there is no such way; names the file.
    """
    given = len(image)
    if given in (2, 4) and channels in (1, 3):
        image = image[: given - 1]
    if len(image) == channels:
        return image
    if len(image) == 1:
        return image.expand(channels, -1, -1)
    if len(image) == 3 and channels == 1:
        return rgb_to_grayscale(image)
    raise ValueError(f"{str(path)!r} has {given} channels, but the method takes {channels}.")


def translate_files(
    method: Method,
    paths: Iterable[str | Path],
    output: str | Path,
    direction: str | None = None,
    samples: int = 1,
    seed: int = 0,
    guide: str | Path | None = None,
) -> Iterator[Path]:
    """Translate image files one by one, at their own size, and write them under their own names and depth.

    A file that cannot be translated is passed over, and named in the error that ends the others.

    Args:
        method: as ``crossdomain.load`` returns it.
        paths: files, folders, glob patterns; all are looked up before the first is translated.
        output: folder to write to; made when it is missing.
        direction: ``a2b`` by letters or ``photo2labels`` by names; may be left out where the method has one only.
        samples: outputs for each input, ``<name>_0``, ``<name>_1``, ... when more than one.
        seed: decides the outputs of a method that has many.
        guide: an image file of the target domain, whose look all outputs take, for methods that can do that.

    Yields:
        Each file, after it was written.

    Raises:
        FileNotFoundError: there is nothing at one of the paths.
        ValueError: before the first: two images have one name, one would be overwritten, the guide cannot be read, the
            direction is not known, or the method translates no pictures; after the last: images could not be read, have
            other channels or are too small.
    """
    name = type(method).__name__
    if not method.directions or method.spec.levels is None:
        what = "moves vectors" if method.directions else "does not translate"
        raise ValueError(f"This {name} {what}, so it cannot translate pictures.\nGive another checkpoint.")
    if direction is None:
        if len(method.directions) != 1:
            raise ValueError(f"{name} needs a direction, one of: {', '.join(method.directions)}.")
        direction = method.directions[0]
    way = method.direction(direction)
    files = find_images(paths)
    if twice := sorted(name for name, count in Counter(file.stem for file in files).items() if count > 1):
        raise ValueError(
            f"Several of the images are called {twice[0]!r}, and one would overwrite the other.\n"
            "Translate them into different folders."
        )
    folder = Path(output)
    _refuse_to_overwrite([*files, *([] if guide is None else [Path(guide)])], files, folder, samples)

    def prepared(stored: Tensor, domain: str, file: Path) -> Tensor:
        channels = method.channels.get(domain, len(stored))
        return fit_channels(to_unit_range(stored), channels, file)[None].to(method.device)

    style = None if guide is None else prepared(read_image(Path(guide)), way.target, Path(guide))
    failed: dict[Path, str] = {}
    for file in files:
        try:
            stored = read_image(file)
            image = prepared(stored, way.source, file)
        except ValueError as error:
            failed[file] = str(error)
            continue
        try:
            translated = method.translate(image, way, guide=style, samples=samples, seed=seed)[0]
        except MisfitError:
            height, width = image.shape[2:]
            least = 2 * method.total_stride
            if min(height, width) >= least:
                raise
            failed[file] = f"{str(file)!r} is {width}x{height} px, too small for this {name}: enlarge it to {least} px."
            continue
        folder.mkdir(parents=True, exist_ok=True)
        for stem, one in zip(_names(file, samples), translated if samples > 1 else [translated], strict=True):
            yield write_image(one, folder / stem, levels_of(stored))
    if failed:
        first, *others = failed
        message = failed[first]
        if len(files) > 1:
            message = f"{len(failed)} of {len(files)} images were not translated. {message.splitlines()[0]}"
        if others:
            message += f"\nNor were: {', '.join(repr(str(file)) for file in others)}."
        raise ValueError(message)


def _names(file: Path, samples: int) -> list[str]:
    """What the outputs for ``file`` are called, without their suffix."""
    return [file.stem] if samples == 1 else [f"{file.stem}_{k}" for k in range(samples)]


def _refuse_to_overwrite(originals: Iterable[Path], files: Iterable[Path], folder: Path, samples: int) -> None:
    """Refuse an output that is one of the originals, by whatever path."""

    def identity(file: Path) -> tuple[int, int]:
        status = file.stat()
        return status.st_dev, status.st_ino

    known = {identity(file): file for file in originals if file.exists()}
    for file in files:
        for name in _names(file, samples):
            for target in (folder / f"{name}{suffix}" for suffix in WRITTEN_SUFFIXES):
                if target.exists() and identity(target) in known:
                    raise ValueError(
                        f"The output would overwrite the original {str(known[identity(target)])!r}.\n"
                        "Give another folder as output."
                    )
