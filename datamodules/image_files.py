"""Image files to tensors and back: what every viewer shows, at the depth that is stored.

One reader serves training, ``translate`` and guides; ``docs/pictures.md`` has its rules.
"""

from __future__ import annotations

import io
import logging
import os
import struct
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import numpy as np
import tifffile
import torch
from PIL import Image, ImageFile
from PIL.TiffImagePlugin import COMPRESSION_INFO
from torch import Tensor

from .limits import MAX_PIXELS, limit

SUFFIXES = (".jpg", ".jpeg", ".jfif", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif")
WRITTEN_SUFFIXES = (".png", ".tif")
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF")  # as Pillow calls them
TIFF_STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
PNG_START = b"\x89PNG\r\n\x1a\n"
ORIENTATION = 274  # the tag's number, in EXIF as in TIFF

# Photometric interpretations of TIFF.
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, INKS, YCBCR = 0, 1, 2, 3, 5, 6
PREMULTIPLIED, OPACITY = 1, 2  # kinds of extra samples
# What Pillow holds without loss: photometric interpretation, samples, bits, kinds of extra samples.
HELD_BY_PILLOW = {
    *((grey, 1, bits, ()) for grey in (WHITE_IS_ZERO, BLACK_IS_ZERO) for bits in (1, 2, 4, 8)),
    (BLACK_IS_ZERO, 1, 16, ()),
    (BLACK_IS_ZERO, 2, 8, (OPACITY,)),
    (RGB, 3, 8, ()),
    (RGB, 4, 8, (OPACITY,)),
    (RGB, 4, 8, (PREMULTIPLIED,)),
    *((PALETTE, 1, bits, ()) for bits in (1, 2, 4, 8)),
    (INKS, 4, 8, ()),
    (YCBCR, 3, 8, ()),
}
TOO_MANY = f"it has more than the {{:,}} pixels that {MAX_PIXELS} allows; set this higher"
SAMPLE_FORMATS = {2: "signed integers", 3: "floating point numbers", 5: "complex integers", 6: "complex numbers"}

# What is wrong with a file is raised, not logged beside that.
logging.getLogger("tifffile").setLevel(logging.CRITICAL)


def list_images(folder: Path, recursive: bool = False) -> list[Path]:
    """The image files of a folder, and of those inside it where ``recursive``, by name; others are passed over.

    Raises:
        FileNotFoundError: there is no such folder, or no image in it.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"There is no folder {str(folder)!r}.")
    files = folder.rglob("*") if recursive else folder.iterdir()
    found = sorted(p for p in files if p.suffix.lower() in SUFFIXES and not p.name.startswith(".") and p.is_file())
    if not found:
        raise FileNotFoundError(f"The folder {str(folder)!r} holds no image ({', '.join(SUFFIXES)}).")
    return found


# --- reading ---------------------------------------------------------------------------------------------------


def read_image(path: Path) -> Tensor:
    """Read an image file as a viewer shows it: upright, and in grey or RGB, whatever colours the file is stored in.

    Returns:
        (C, H, W), uint8 or uint16: 1 channel for grey, 2 for grey with opacity, 3 for RGB, 4 for RGB with opacity, any
        number for TIFF.

    Raises:
        ValueError: the file is damaged, has more pixels than ``CROSSDOMAIN_MAX_PIXELS``, or is of a kind that is not
            read; names the file and the reason.
    """
    try:
        with open(path, "rb") as file:
            start = file.read(8)
            if start[:4] in TIFF_STARTS:
                values, orientation = _read_tiff(path)
            else:
                values, orientation = _read_with_pillow(start + file.read())
    except Exception as error:  # decoders meet damaged bytes with errors of any class
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(f"{str(path)!r} cannot be read as an image: {reason[:200].rstrip('.')}.") from None
    return _upright(torch.from_numpy(np.ascontiguousarray(values)).permute(2, 0, 1), orientation)


def _check_size(width: int, height: int, channels: int = 1) -> None:
    """Refuse what would not fit, before it is decoded."""
    if width < 1 or height < 1:
        raise ValueError(f"it has {width}x{height} px")
    # Four channels are common; of TIFFs that have more, all count.
    if width * height * max(4, channels) // 4 > (most := limit(MAX_PIXELS)):
        raise ValueError(TOO_MANY.format(most))


def _open(source: Path | io.BytesIO, formats: list[str] | tuple[str, ...]) -> ImageFile.ImageFile:
    """Open by Pillow, whose own limit on pixels gives way to ours."""
    most = limit(MAX_PIXELS)
    if Image.MAX_IMAGE_PIXELS is not None and most > Image.MAX_IMAGE_PIXELS:
        Image.MAX_IMAGE_PIXELS = most
    try:
        image = Image.open(source, formats=formats)
    except Image.UnidentifiedImageError:
        raise ValueError("its beginning is not that of a whole JPEG, PNG, WebP, TIFF, BMP or GIF") from None
    except Image.DecompressionBombError:
        raise ValueError(TOO_MANY.format(most)) from None
    _check_size(*image.size)
    return image


def _read_with_pillow(data: bytes) -> tuple[np.ndarray, int]:
    """The picture in ``data``, the first one of an animation, as (H, W, C), and its orientation."""
    is_png = data.startswith(PNG_START)
    packed = _checked_png(data) if is_png else b""
    image = _open(io.BytesIO(data), FORMATS)
    key = image.info.get("transparency")
    if is_png:
        depth, colour_type, interlaced = data[24], data[25], data[28]
        if depth == 16 and colour_type in (2, 4, 6):
            return _with_colour_key(_deep_png(image.size, packed, colour_type, interlaced), key), _orientation(image)
        if depth < 8 and colour_type == 0 and key is not None:
            image.info["transparency"] = key * (255 // (2**depth - 1))  # Pillow scales the pixels alone
    return _pixels(image), _orientation(image)


def _pixels(image: Image.Image) -> np.ndarray:
    """An opened image as (H, W, C), in grey or RGB, with opacity where it has any."""
    image.load()
    if image.mode in ("I;16", "I;16L", "I;16B"):
        return _with_colour_key(np.array(image).astype(np.uint16)[..., None], image.info.get("transparency"))
    grey = image.mode in ("1", "L", "LA", "La")
    if not grey and image.mode not in ("P", "PA", "RGB", "RGBX", "RGBA", "RGBa", "CMYK", "YCbCr"):
        raise ValueError(f"its pixels are of Pillow's mode {image.mode}")
    mode = ("L" if grey else "RGB") + ("A" if image.has_transparency_data else "")
    values = np.array(image if image.mode == mode else image.convert(mode))
    return values[..., None] if mode == "L" else values


def _with_colour_key(values: np.ndarray, key: int | tuple[int, ...] | None) -> np.ndarray:
    """(H, W, C) of 16 bits with an opacity that is 0 where a pixel has the colour ``key``; as it is without a key."""
    if key is None:
        return values
    opacity = np.where((values == np.array(key)).all(2, keepdims=True), 0, 65535)
    return np.concatenate([values, opacity.astype(np.uint16)], 2)


def _orientation(image: Image.Image) -> int:
    """How a loaded image is to be turned, 1 to 8; 1 where its EXIF cannot be read, as viewers have it."""
    try:
        return image.getexif().get(ORIENTATION, 1)
    except Exception:  # any class of error, as decoders
        return 1


def _upright(image: Tensor, orientation: int) -> Tensor:
    """(C, H, W) turned and mirrored as the orientation asks for."""
    if orientation in (5, 6, 7, 8):
        image = image.transpose(1, 2)
    mirrored = {2: (2,), 3: (1, 2), 4: (1,), 6: (2,), 7: (1, 2), 8: (1,)}
    return image.flip(mirrored[orientation]) if orientation in mirrored else image


# --- PNG -------------------------------------------------------------------------------------------------------


def _checked_png(data: bytes) -> bytes:
    """The compressed pixels of a PNG, after the checksums of all its chunks were compared."""
    packed, position, kind = [], len(PNG_START), b""
    while kind != b"IEND":
        if position + 12 > len(data):
            raise ValueError("it is cut off")
        length, kind = struct.unpack_from(">I4s", data, position)
        end = position + 8 + length
        if end + 4 > len(data):
            raise ValueError("it is cut off")
        if position == len(PNG_START) and (kind != b"IHDR" or length != 13):
            raise ValueError("its header is damaged")
        if zlib.crc32(memoryview(data)[position + 4 : end]) != int.from_bytes(data[end : end + 4], "big"):
            raise ValueError(f"its chunk {kind!r} is damaged")
        if kind == b"IDAT":
            packed.append(data[position + 8 : end])
        position = end + 4
    return b"".join(packed)


def _deep_png(size: tuple[int, int], packed: bytes, colour_type: int, interlaced: int) -> np.ndarray:
    """The pixels of a PNG of 16 bits and several channels, of which Pillow's modes keep 8 bits."""

    def decoded(mode: str, raw_mode: str) -> np.ndarray:
        return np.array(Image.frombytes(mode, size, packed, "zip", raw_mode, interlaced))

    if colour_type == 4:  # grey and opacity are four bytes
        return decoded("RGBA", "RGBA").view(">u2").astype(np.uint16)
    mode = "RGB" if colour_type == 2 else "RGBA"
    # Read as big-endian Pillow keeps the upper bytes, read as little-endian the lower ones.
    return _joined(decoded(mode, f"{mode};16B"), decoded(mode, f"{mode};16L"))


def _joined(upper: np.ndarray, lower: np.ndarray) -> np.ndarray:
    return upper.astype(np.uint16) << 8 | lower


# --- TIFF ------------------------------------------------------------------------------------------------------


def _read_tiff(path: Path) -> tuple[np.ndarray, int]:
    """The picture in a TIFF as (H, W, C), and its orientation."""
    with tifffile.TiffFile(path) as file:
        # Bits 0 and 2 of the type mark previews and masks, which are no pages of their own.
        pages = list(islice((page for page in map(_whole, file.pages) if not page.subfiletype & 0b101), 2))
        if not pages:
            raise ValueError("it holds no picture")
        page = pages[0]
        orientation = page.tags.valueof(ORIENTATION, default=1)
        samples, extra = page.samplesperpixel, tuple(page.extrasamples)
        if page.sampleformat in SAMPLE_FORMATS:
            found = SAMPLE_FORMATS[page.sampleformat]
            raise ValueError(f"its pixels are {found}, expected unsigned integers of 8 or 16 bits")
        _check_size(page.imagewidth, page.imagelength, samples)
        _check_strips(page, file.filehandle.size)
        if len(pages) > 1:
            return _pages_as_channels(file), orientation
        kind = (page.photometric, samples, page.bitspersample, extra)
        if kind in HELD_BY_PILLOW and page.compression in COMPRESSION_INFO:
            with _open(path, ["TIFF"]) as image:
                image.seek(page.index)
                return _pixels(image), _orientation(image)  # Pillow turns TIFFs itself, and says so
        if page.bitspersample not in (8, 16) or page.photometric not in (WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, INKS):
            name = getattr(page.photometric, "name", page.photometric)
            raise ValueError(f"{name} with {samples} channels of {page.bitspersample} bits is not read")
        stored = _stored(page)
        if stored is not None:
            return _as_shown(stored, page.photometric, extra), orientation
        if kind == (RGB, 3, 16, ()) and page.planarconfig == 1:
            return _deep_tiff(path, page.index)
        name = getattr(page.compression, "name", page.compression)
        raise ValueError(f"compressed by {name}, these channels need another package: pip install imagecodecs")


def _whole(page: tifffile.TiffPage | tifffile.TiffFrame) -> tifffile.TiffPage:
    """A page with all that it says of itself, as tifffile gives them unless it is asked for less."""
    if not isinstance(page, tifffile.TiffPage):
        raise ValueError("its pages lean on the first one")
    return page


def _check_strips(page: tifffile.TiffPage | tifffile.TiffFrame, size: int) -> None:
    if not page.dataoffsets or len(page.dataoffsets) != len(page.databytecounts):
        raise ValueError("it does not say where its pixels are")
    if any(start + count > size for start, count in zip(page.dataoffsets, page.databytecounts, strict=True)):
        raise ValueError("it is cut off")


def _stored(page: tifffile.TiffPage) -> np.ndarray | None:
    """A page's samples as they are stored, (H, W, C); None where their compression needs another package."""
    try:
        values = page.asarray()
    except (ValueError, ImportError) as error:
        if isinstance(error, ImportError) or "imagecodecs" in str(error):
            return None
        raise
    planes, depth, height, width, samples = page.shaped
    if depth != 1:
        raise ValueError(f"it is a volume of {depth} slices")
    values = values.reshape(planes, height, width, samples)
    return values[0] if planes == 1 else values[..., 0].transpose(1, 2, 0)


def _deep_tiff(path: Path, index: int) -> tuple[np.ndarray, int]:
    """RGB of 16 bits as (H, W, C), and its orientation, in a compression that only libtiff decodes, twice as PNG's."""
    halves = []
    for order in "LB" if sys.byteorder == "little" else "BL":  # libtiff hands samples out in this machine's order
        with _open(path, ["TIFF"]) as image:
            image.seek(index)
            image.tile = [tile._replace(args=(f"RGB;16{order}", *tuple(tile.args or ())[1:])) for tile in image.tile]
            image.load()
            halves.append(np.array(image))
    return _joined(*halves), _orientation(image)


def _as_shown(values: np.ndarray, photometric: int, extra: tuple[int, ...]) -> np.ndarray:
    """Samples as stored, (H, W, C), in grey or RGB; channels of no meaning to a viewer stay as they are."""
    top = np.iinfo(values.dtype).max
    colours = values.shape[2] - len(extra)
    if photometric == WHITE_IS_ZERO:
        values = np.concatenate([top - values[..., :colours], values[..., colours:]], 2)
    if photometric == INKS and colours == 4:
        cyan_to_yellow, black = (top - values[..., part].astype(np.int64) for part in (slice(3), slice(3, 4)))
        colour = (cyan_to_yellow * black + top // 2) // top
        values, colours = np.concatenate([colour.astype(values.dtype), values[..., 4:]], 2), 3
    if extra[:1] == (PREMULTIPLIED,):
        opacity = values[..., colours : colours + 1].astype(np.int64)
        straight = (values[..., :colours].astype(np.int64) * top + opacity // 2) // np.maximum(opacity, 1)
        values = np.concatenate([straight.clip(0, top).astype(values.dtype), values[..., colours:]], 2)
    return values


def _pages_as_channels(file: tifffile.TiffFile) -> np.ndarray:
    """The pages of a TIFF that itself calls them channels (ImageJ's, OME's or tifffile's axis C), (H, W, C)."""
    series = file.series[0]
    axes, shape = series.get_axes(squeeze=False), series.get_shape(squeeze=False)
    sizes = dict(zip(axes, shape, strict=True))
    others = {axis: size for axis, size in sizes.items() if axis not in "CSYX" and size > 1}
    if "C" not in sizes or others or not {"Y", "X"} <= set(sizes) or series.keyframe.photometric not in (1, 2):
        count = len(file.pages)
        raise ValueError(f"it holds {count} pages, which it does not call channels; save the one that is meant")
    _check_size(sizes["X"], sizes["Y"], sizes["C"] * sizes.get("S", 1))
    for page in series.pages:
        if page is None:
            raise ValueError("one of its pages is missing")
        _check_strips(page, file.filehandle.size)
    values = series.asarray().reshape(shape)
    order = sorted(range(len(axes)), key=lambda place: "YXCS".find(axes[place]))
    values = values.transpose(order)
    return values.reshape(sizes["Y"], sizes["X"], -1)


# --- pixels ----------------------------------------------------------------------------------------------------


def levels_of(image: Tensor) -> int:
    """How many values a pixel of a stored image can take: 256 or 65536."""
    return 256 if image.dtype == torch.uint8 else 65536


def to_unit_range(image: Tensor) -> Tensor:
    """A stored image (uint8 or uint16) to float32 in [-1, 1]; the largest stored value becomes 1."""
    return image.float().mul_(2 / (levels_of(image) - 1)).sub_(1)


# --- writing ---------------------------------------------------------------------------------------------------


def write_image(image: Tensor, path: Path, levels: int = 256) -> Path:
    """Write an image in the format that can hold it, whole or not at all.

    Args:
        image: (C, H, W) in [-1, 1]; what lies outside is cut off.
        path: the file without its suffix. Grey and RGB of 8 bits become ``.png``, all others ``.tif``.
        levels: 256 for 8 bits, 65536 for 16.

    Returns:
        The file.
    """
    top = levels - 1
    values = ((image.double() + 1) * (top / 2)).round().clamp(0, top).permute(1, 2, 0).cpu().numpy()
    values = values.astype(np.uint8 if levels <= 256 else np.uint16)
    channels = values.shape[-1]
    png, tiff = WRITTEN_SUFFIXES
    file = path.with_name(f"{path.name}{png if levels <= 256 and channels in (1, 3) else tiff}")
    with _replaced(file) as part:
        if file.suffix == png:
            Image.fromarray(values[..., 0] if channels == 1 else values).save(part, "PNG")
        elif channels == 1:
            tifffile.imwrite(part, values[..., 0], photometric="minisblack")
        else:
            colours = "rgb" if channels in (3, 4) else "minisblack"
            tifffile.imwrite(part, values, photometric=colours, planarconfig="contig")
    return file


@contextmanager
def _replaced(file: Path) -> Iterator[Path]:
    """A file to write beside ``file``: it takes its place when all went well, and vanishes otherwise."""
    part = file.with_name(f".{file.name}.{os.getpid()}.part")
    try:
        yield part
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)
