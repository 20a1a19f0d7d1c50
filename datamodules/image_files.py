"""Image files to tensors and back, whatever their depth and number of channels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tifffile
import torch
from PIL import Image
from torch import Tensor
from torchvision.io import ImageReadMode, decode_image, read_file

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff")


def list_images(folder: Path, recursive: bool = False) -> list[Path]:
    """The image files of a folder, and of those inside it where ``recursive``, by name; others are passed over.

    Raises:
        FileNotFoundError: there is no such folder, or no image in it.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"There is no folder {str(folder)!r}.")
    files = folder.rglob("*") if recursive else folder.iterdir()
    found = sorted(p for p in files if p.suffix.lower() in SUFFIXES and not p.name.startswith("."))
    if not found:
        raise FileNotFoundError(f"The folder {str(folder)!r} holds no image ({', '.join(SUFFIXES)}).")
    return found


def read_image(path: Path) -> Tensor:
    """Read an image file as it is stored.

    Returns:
        (C, H, W), uint8 or uint16: 1 channel for grey, 3 for RGB and palettes, 4 for RGBA, any number for TIFF.

    Raises:
        ValueError: the file is damaged, or not an image of 8 or 16 bits; names the file.
    """
    try:
        image = _read_tiff(path) if path.suffix.lower() in (".tif", ".tiff") else _decode(path)
    except (RuntimeError, ValueError, OSError, tifffile.TiffFileError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(f"{str(path)!r} cannot be read as an image: {reason[:100]}") from None
    if image.dtype not in (torch.uint8, torch.uint16):
        raise ValueError(f"{str(path)!r} has pixels of type {image.dtype}, but 8 or 16 bits are expected.")
    return image


def _decode(path: Path) -> Tensor:
    data = read_file(str(path))
    # Colour type 3 in a PNG's header is a palette, which torchvision would make grey.
    palette = data[:4].tolist() == [0x89, *b"PNG"] and len(data) > 25 and data[25] == 3
    return decode_image(data, ImageReadMode.RGB if palette else ImageReadMode.UNCHANGED)


def _read_tiff(path: Path) -> Tensor:
    with tifffile.TiffFile(path) as file:
        series = file.series[0]
        values, axes = np.ascontiguousarray(series.asarray()), series.axes
    if values.ndim == 2:
        return torch.from_numpy(values)[None]
    if values.ndim != 3:
        raise ValueError(f"axes {axes}, expected height, width and channels")
    # Channels come last where samples are interleaved; planes and pages come first.
    return torch.from_numpy(values).permute(2, 0, 1) if axes.endswith(("S", "C")) else torch.from_numpy(values)


def levels_of(image: Tensor) -> int:
    """How many values a pixel of a stored image can take: 256 or 65536."""
    return 256 if image.dtype == torch.uint8 else 65536


def to_unit_range(image: Tensor) -> Tensor:
    """A stored image (uint8 or uint16) to float32 in [-1, 1]; the largest stored value becomes 1."""
    return image.float().mul_(2 / (levels_of(image) - 1)).sub_(1)


def write_image(image: Tensor, path: Path, levels: int = 256) -> Path:
    """Write an image in the format that can hold it.

    Args:
        image: (C, H, W) in [-1, 1]; what lies outside is cut off.
        path: the file without its suffix. Grey and RGB of 8 bits become ``.png``, all others ``.tif``.
        levels: 256 for 8 bits, 65536 for 16.

    Returns:
        The file.
    """
    top = levels - 1
    values = ((image.double() + 1) * (top / 2)).round().clamp(0, top).permute(1, 2, 0).cpu().numpy()
    channels = values.shape[-1]
    if levels <= 256 and channels in (1, 3):
        file = path.with_name(f"{path.name}.png")
        values = values.astype(np.uint8)
        Image.fromarray(values[..., 0] if channels == 1 else values).save(file)
        return file
    file = path.with_name(f"{path.name}.tif")
    colours = "rgb" if channels in (3, 4) else "minisblack"
    values = values.astype(np.uint8 if levels <= 256 else np.uint16)
    tifffile.imwrite(file, values, photometric=colours, planarconfig="contig")
    return file
