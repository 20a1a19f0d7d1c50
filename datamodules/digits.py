"""Handwritten digits and their photocopies, embedded: nothing is downloaded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor
from torch.nn import functional as F

from .base import DomainData
from .clutter import clutter
from .loading import DomainImages, fields_of

# How many of the 1,797 digits go where. The two domains and the three splits share none.
SPLITS = {
    "a": {"train": 620, "val": 100, "test": 80},
    "b": {"train": 540, "val": 97, "test": 360},
}
RENDER_SIZE = 16
FADE = (0.25, 0.80)
BLUR = 0.7

# Typefaces that matplotlib ships and that hold upright digits, all free to use and to pass on.
FONTS = (
    *[f"DejaVuSans{style}" for style in ("", "-Bold", "-Oblique", "-BoldOblique")],
    *[f"DejaVuSansMono{style}" for style in ("", "-Bold", "-Oblique", "-BoldOblique")],
    *[f"DejaVuSerif{style}" for style in ("", "-Bold", "-Italic", "-BoldItalic")],
    *[f"STIXGeneral{style}" for style in ("", "Bol", "Italic", "BolIta")],
    *["cmr10", "cmb10", "cmss10", "cmtt10"],
)
PRINT_SCALE = 4  # glyphs are drawn at four times the size and averaged down


def photocopy(ink: Tensor) -> Tensor:
    """Copy digits the way a poor photocopier does: ``0.25 + 0.55 * blur(thicken(ink))``.

    ``thicken`` takes the maximum over 3x3 pixels, ``blur`` is a Gaussian with a deviation of 0.7 pixels (edges
    repeated), and the rest fades: ink comes out as 0.80, the ground as 0.25.

    Args:
        ink: (N, 1, H, W) in [0, 1], 1 where there is ink.

    Returns:
        The same shape, in [0.25, 0.80].
    """
    thick = F.max_pool2d(ink, 3, stride=1, padding=1)
    offsets = torch.arange(-3, 4, dtype=ink.dtype)
    kernel = torch.softmax(-0.5 * (offsets / BLUR) ** 2, 0)
    padded = F.pad(thick, (3, 3, 3, 3), mode="replicate")
    soft = F.conv2d(F.conv2d(padded, kernel.view(1, 1, 1, -1)), kernel.view(1, 1, -1, 1))
    low, high = FADE
    return low + (high - low) * soft


def invert(ink: Tensor) -> Tensor:
    """Black for white: ``1 - ink``, for images in [0, 1]."""
    return 1 - ink


def print_digit(index: int) -> tuple[Tensor, int]:
    """Print one digit: white ink on black, in one of 20 typefaces, a little moved, turned and scaled.

    Args:
        index: decides everything; the same index gives the same picture.

    Returns:
        (1, 16, 16) in [0, 1], and the digit.
    """
    from matplotlib import get_data_path  # slow to import, so only where it is needed

    draw = np.random.default_rng([2, index])
    digit, name = int(draw.integers(10)), FONTS[int(draw.integers(len(FONTS)))]
    side = RENDER_SIZE * PRINT_SCALE
    font = ImageFont.truetype(Path(get_data_path()) / "fonts" / "ttf" / f"{name}.ttf", side * draw.uniform(0.95, 1.2))
    page = Image.new("L", (side, side))
    centre = side / 2 + PRINT_SCALE * draw.uniform(-1.0, 1.0, 2)
    left, top, right, bottom = font.getbbox(str(digit))  # not the anchor "mm": it centres lines, not glyphs
    corner = (centre[0] - (left + right) / 2, centre[1] - (top + bottom) / 2)
    ImageDraw.Draw(page).text(corner, str(digit), 255, font)
    page = page.rotate(draw.uniform(-10, 10), Image.Resampling.BICUBIC).reduce(PRINT_SCALE)
    return torch.from_numpy(np.array(page)).float().unsqueeze(0) / 255, digit


def print_digits(split: str) -> tuple[Tensor, Tensor]:
    """Printed digits (N, 1, 16, 16) by :func:`print_digit`, as many as domain a has in the split, and their labels."""
    first = sum(SPLITS["a"][name] for name in list(SPLITS["a"])[: list(SPLITS["a"]).index(split)])
    images, labels = zip(*map(print_digit, range(first, first + SPLITS["a"][split])), strict=True)
    return torch.stack(images), torch.tensor(labels)


def handwritten(sizes: Sequence[int]) -> tuple[Tensor, Tensor, tuple[Tensor, ...]]:
    """The 1,797 digits that scikit-learn ships, enlarged to 16x16, and parts of them that share none.

    Args:
        sizes: how many digits each part has; together all.

    Returns:
        Ink (1797, 1, 16, 16) in [0, 1], labels (1797,), and the indices of each part, the same ones in every run.
    """
    from sklearn.datasets import load_digits  # slow to import, so only where it is needed

    digits = load_digits()
    small = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1) / 16
    ink = F.interpolate(small, RENDER_SIZE, mode="bicubic", antialias=True).clamp(0, 1)
    order = torch.randperm(len(ink), generator=torch.Generator().manual_seed(0))
    return ink, torch.tensor(digits.target, dtype=torch.int64), order.split(list(sizes))


def to_pixels(values: Tensor, size: int, channels: int) -> Tensor:
    """(N, 1, H, W) in [0, 1] to uint8 (N, channels, size, size), resized with a bicubic filter where it has to be."""
    if values.shape[-1] != size:
        values = F.interpolate(values, size, mode="bicubic", antialias=True)
    return (values.clamp(0, 1) * 255).round().to(torch.uint8).expand(-1, channels, -1, -1)


class Digits(DomainData):
    """Domain a: digits, white ink on black. Domain b: photocopies of other handwritten digits.

    The digits are the 1,797 of 8x8 pixels that scikit-learn ships (a copy of the test set of the UCI ML hand-written
    digits, CC BY 4.0), enlarged to 16x16. The photocopy's formula is known (:func:`photocopy`), so val and test
    batches carry the truth of every translation, ``truth_a2b`` and ``truth_b2a``; training batches do not. Both domains
    are labelled. No digit appears in both domains or in two splits: a has 620 / 100 / 80 images in train / val /
    test, b has 540 / 97 / 360. The split is fixed, whatever ``seed`` is.

    ``cluttered`` digits have colours, neighbours and noise (:func:`~.clutter.clutter`), as house numbers do; which ones
    is no matter of the digit, so that only ``truth_b2a``, the plain digit, is known. They have 3 channels, and so have
    those of domain a, all alike, since flows and semantic consistency want as many in both.

    Being embedded, it reads nothing from ``root`` and has nothing to ``download``.

    Args:
        root: not read: the data is embedded.
        download: without effect: nothing is missing.
        batch_size: images of each domain in a batch, in every process.
        num_workers: processes that load.
        image_size: height and width; images are rendered at 16 px and resized when it differs.
        channels: 1, or 3 with all channels alike; 1 when left out, and 3, the only choice, where b is ``cluttered``.
        seed: decides the order of training images.
        a: what domain a shows.
        b: what domain b shows.
        labelled: letters of the domains whose labels train and val hand out; None is both. Test always has them.
        frequencies_a: how often training draws each class of domain a, in relation to the others, such as the
            estimated frequencies of domain b's classes; None draws all images equally often.
    """

    channels: int
    image_size: int

    def __init__(
        self,
        root: str | None = None,
        download: bool = False,
        batch_size: int = 64,
        num_workers: int = 0,
        image_size: int = 16,
        channels: int | None = None,
        seed: int = 0,
        a: Literal["handwritten", "printed"] = "handwritten",
        b: Literal["photocopies", "inverted", "cluttered"] = "photocopies",
        labelled: list[str] | None = None,
        frequencies_a: list[float] | None = None,
    ) -> None:
        super().__init__(root, download, batch_size, num_workers, image_size, seed)
        self.labelled, self.frequencies_a = labelled, frequencies_a
        if a not in ("handwritten", "printed") or b not in ("photocopies", "inverted", "cluttered"):
            raise ValueError(
                f"data.a is {a!r} and data.b is {b!r}; a is handwritten or printed, b is photocopies, inverted or "
                "cluttered."
            )
        self.printed, self.cluttered = a == "printed", b == "cluttered"
        self.degrade = photocopy if b == "photocopies" else invert
        self.domains = ("printed digits" if self.printed else "digits", b)
        if channels not in (None, 1, 3):
            raise ValueError(f"data.channels is {channels}, but Digits come with 1 (grey) or 3 (RGB) channels.")
        if self.cluttered and channels == 1:
            raise ValueError("data.channels is 1, but cluttered digits have colours.\nLeave it out, or set it to 3.")
        self.channels = channels or (3 if self.cluttered else 1)

    def split(self, name: str) -> DomainImages:
        """Render one split."""
        sizes = [SPLITS[domain][split] for domain in "ab" for split in SPLITS[domain]]
        ink, labels, chosen = handwritten(sizes)
        place = list(SPLITS["a"]).index(name)
        fields = []
        for domain, indices in (("a", chosen[place]), ("b", chosen[place + len(SPLITS["a"])])):
            originals, classes = ink[indices], labels[indices]
            if domain == "a" and self.printed:
                originals, classes = print_digits(name)
            if self.cluttered:
                images = {"a": originals}
                if domain == "b":
                    images["b"] = clutter(originals, indices.tolist())
            else:
                images = {"a": originals, "b": self.degrade(originals)}
            if name == "train" or self.printed:  # the other domain's is a secret, or not known
                images = {domain: images[domain]}
            stored = {key: to_pixels(values, self.image_size, self.channels) for key, values in images.items()}
            paths = [f"{self.domains['ab'.index(domain)]}/{i:04d}" for i in indices.tolist()]
            fields.append(fields_of(domain, stored, label=classes, path=paths))
        return DomainImages(*fields)
