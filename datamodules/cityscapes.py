"""Cityscapes as pix2pix has them, built from the user's own download."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F
from torchvision.io import write_png

from .archives import staged
from .image_files import read_image

SPLITS = ("train", "val")
PHOTO, LABELS = "_leftImg8bit.png", "_gtFine_color.png"
SIZE = 256

Frame = tuple[str, str, Path, Path]


def find_frames(photos: Path, labels: Path) -> list[Frame]:
    """Photos and labels of the same frame.

    Args:
        photos: the folder ``leftImg8bit``, with ``train/CITY/FRAME_leftImg8bit.png`` and ``val/...``.
        labels: the folder ``gtFine``, with ``train/CITY/FRAME_gtFine_color.png`` and ``val/...``.

    Returns:
        Split, frame, photo and labels, by name in each split.

    Raises:
        FileNotFoundError: a split has no such file.
        ValueError: a file has no partner; names the first.
    """
    found: list[Frame] = []
    for split in SPLITS:
        files = [_by_frame(photos / split, PHOTO), _by_frame(labels / split, LABELS)]
        alone = sorted(set(files[0]) ^ set(files[1]))
        if alone:
            first = alone[0]
            is_photo = first in files[0]
            raise ValueError(
                f"{str(files[0 if is_photo else 1][first])!r} has no partner {first}{LABELS if is_photo else PHOTO} "
                f"in {str((labels if is_photo else photos) / split)!r} ({len(alone)} such files).\n"
                "Unpack leftImg8bit_trainvaltest.zip and gtFine_trainvaltest.zip again, whole."
            )
        found += [(split, frame, files[0][frame], files[1][frame]) for frame in sorted(files[0])]
    return found


def _by_frame(folder: Path, ending: str) -> dict[str, Path]:
    found = {file.name.removesuffix(ending): file for file in folder.glob(f"*/*{ending}")}
    if not found:
        raise FileNotFoundError(
            f"There is no file CITY/FRAME{ending} in {str(folder)!r}.\n"
            "Give the folders leftImg8bit and gtFine, as they are in the archives of cityscapes-dataset.com."
        )
    return found


def side_by_side(photo: Tensor, labels: Tensor, size: int = SIZE) -> Tensor:
    """Photo on the left, labels on the right.

    Args:
        photo: (3 or 4, H, W) uint8, resized with an antialiased bicubic filter.
        labels: likewise, by nearest neighbour, so that no colour appears that is not in the palette.
        size: side of both halves.

    Returns:
        (3, ``size``, 2 ``size``) uint8; opacity is left out.
    """
    photo = F.interpolate(photo[None, :3].float(), (size, size), mode="bicubic", antialias=True)[0]
    labels = F.interpolate(labels[None, :3], (size, size), mode="nearest-exact")[0]
    return torch.cat([photo.round().clamp(0, 255).byte(), labels], 2)


def _read(path: Path) -> Tensor:
    image = read_image(path)
    if len(image) < 3 or image.dtype != torch.uint8:
        raise ValueError(f"{str(path)!r} has {len(image)} channels of {image.dtype}, expected RGB of 8 bits.")
    return image


def build_cityscapes(
    photos: Path,
    labels: Path,
    output: Path,
    progress: Callable[[Iterable[Frame]], Iterable[Frame]] = iter,
) -> int:
    """Write the folder that :class:`Cityscapes` reads: ``train/FRAME.png`` and ``val/FRAME.png``, 512x256 px.

    As the official script does it, but without loss (that one writes JPEG, which blurs the labels), under the frames'
    names (that one numbers them), and with labels that keep the palette's colours. All or nothing is written.

    Args:
        photos: see :func:`find_frames`.
        labels: likewise.
        output: the folder to make; it is not there before.
        progress: wraps the list of frames, to show how far it is.

    Returns:
        How many pairs were written.

    Raises:
        FileNotFoundError: there are no such files.
        FileExistsError: there is something at ``output``.
        ValueError: a file cannot be read, or has no partner; names it.
    """
    frames = find_frames(photos, labels)
    with staged(output) as folder:
        for split in SPLITS:
            (folder / split).mkdir()
        for split, frame, photo, label in progress(frames):
            write_png(side_by_side(_read(photo), _read(label)), str(folder / split / f"{frame}.png"))
    return len(frames)
