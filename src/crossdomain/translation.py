"""Translating the user's own image files with a method of the zoo."""

from __future__ import annotations

import glob
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from torch import Tensor
from torchvision.transforms.functional import rgb_to_grayscale

from crossdomain.datamodules.image_files import levels_of, list_images, read_image, to_unit_range, write_image
from crossdomain.method import Method


def find_images(paths: Iterable[str | Path]) -> list[Path]:
    """The image files that files, folders and glob patterns name, each once.

    Raises:
        FileNotFoundError: one of them names nothing.
    """
    found: list[Path] = []
    for path in map(Path, paths):
        if path.is_dir():
            found += list_images(path)
        elif path.is_file():
            found.append(path)
        elif matches := sorted(glob.glob(str(path), recursive=True)):
            found += [Path(match) for match in matches if Path(match).is_file()]
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

    Args:
        method: as ``crossdomain.load`` returns it.
        paths: files, folders, glob patterns; all are looked up before the first is translated.
        output: folder to write to; made when it is missing.
        direction: ``a2b`` or ``b2a``; may be left out where the method has one only.
        samples: outputs for each input, ``<name>_0``, ``<name>_1``, ... when more than one.
        seed: decides the outputs of a method that has many.
        guide: an image file of the target domain, whose look all outputs take, for methods that can do that.

    Yields:
        Each file, after it was written.

    Raises:
        FileNotFoundError: there is nothing at one of the paths.
        ValueError: an image cannot be read or has other channels, two have one name, the direction is not known, or the
            method translates no pictures.
    """
    name = type(method).__name__
    if not method.directions or method.data_spec["levels"] is None:
        what = "moves vectors" if method.directions else "does not translate"
        raise ValueError(f"This {name} {what}, so it cannot translate pictures.\nGive another checkpoint.")
    if direction is None:
        if len(method.directions) != 1:
            raise ValueError(f"{name} needs a direction, one of: {', '.join(method.directions)}.")
        direction = method.directions[0]
    files = find_images(paths)
    if twice := sorted(name for name, count in Counter(file.stem for file in files).items() if count > 1):
        raise ValueError(
            f"Several of the images are called {twice[0]!r}, and one would overwrite the other.\n"
            "Translate them into different folders."
        )
    folder = Path(output)

    def prepared(stored: Tensor, domain: str, file: Path) -> Tensor:
        channels = method.channels.get(domain, len(stored))
        return fit_channels(to_unit_range(stored), channels, file)[None].to(method.device)

    style = None if guide is None else prepared(read_image(Path(guide)), direction[-1], Path(guide))
    for file in files:
        stored = read_image(file)
        levels = levels_of(stored)
        image = prepared(stored, direction[0], file)
        translated = method.translate(image, direction, guide=style, samples=samples, seed=seed)[0]
        folder.mkdir(parents=True, exist_ok=True)
        for k, one in enumerate(translated if samples > 1 else [translated]):
            yield write_image(one, folder / (f"{file.stem}_{k}" if samples > 1 else file.stem), levels)
