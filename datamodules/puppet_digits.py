"""Real digits, and printed ones as triplets of demonstrations that tell one attribute of them from all the rest."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import Dataset

from .base import DomainData
from .digit_pair import fetch_digits, read_digits
from .digits import FONTS, handwritten
from .loading import ABSENT, Draw

Interest = Literal["rotation", "size"]

RANGES = {"rotation": (-30.0, 30.0), "size": (0.4, 0.8)}  # degrees counterclockwise; height, as a share of the picture
SIZES = {"train": 1297, "val": 200, "test": 300}  # of scikit-learn's 1,797 digits
MOST = {"val": 200, "test": 1000}  # real digits of MNIST, of which each is translated by all references
STEPS = 5  # of the attribute of interest in a sweep of references, and as many printed digits show each of them
SMALLEST = 16

UPRIGHT = tuple(name for name in FONTS if not name.endswith(("Oblique", "Italic", "Ita")))  # a slant looks like a turn
GLYPH = 64  # height and width of a printed digit before it is turned and scaled
BOXES = {"printed": 0.75, "mnist": 20 / 28, "digits": 1.0}  # share of the height that a digit takes there
FINE = 2  # samples of a pixel, to each side


class Look(NamedTuple):
    """What a printed digit looks like: class, number of the typeface, degrees and share of the picture's height."""

    digit: int
    font: int
    rotation: float
    size: float


@cache
def glyphs() -> Tensor:
    """The digits of all upright typefaces, white on black, (fonts, 10, 64, 64) in [0, 1]; each 48 px high."""
    from matplotlib import get_data_path  # slow to import, so only where it is needed

    height = round(GLYPH * BOXES["printed"])
    sheet = np.zeros((len(UPRIGHT), 10, GLYPH, GLYPH), dtype=np.uint8)
    for place, name in enumerate(UPRIGHT):
        font = ImageFont.truetype(Path(get_data_path()) / "fonts" / "ttf" / f"{name}.ttf", 4 * GLYPH)
        for digit in range(10):
            left, top, right, bottom = font.getbbox(str(digit))
            page = Image.new("L", (math.ceil(right - left), math.ceil(bottom - top)))
            ImageDraw.Draw(page).text((-left, -top), str(digit), 255, font)
            width = min(GLYPH, round(page.width * height / page.height))
            small = np.asarray(page.resize((width, height), Image.Resampling.BOX))
            above, before = (GLYPH - height) // 2, (GLYPH - width) // 2
            sheet[place, digit, above : above + height, before : before + width] = small
    return torch.from_numpy(sheet).float() / 255


def turn_and_scale(ink: Tensor, box: float, rotations: Sequence[float], sizes: Sequence[float], side: int) -> Tensor:
    """Show digits turned about the middle, in another size. A picture depends on its own digit and numbers alone.

    Args:
        ink: (N, 1, h, h) in [0, 1].
        box: share of their height that digits take.
        rotations: degrees counterclockwise, N of them.
        sizes: share of its height that each takes afterwards, upright.
        side: height and width in pixels.

    Returns:
        (N, 1, side, side) of stored values in [-1, 1].
    """
    steps = (2 * torch.arange(FINE * side) + 1) / (FINE * side) - 1
    # By Python's sine: a vectorised one may differ in the last bit with the place in the batch.
    turns = [(box / size, math.radians(rotation)) for rotation, size in zip(rotations, sizes, strict=True)]
    scaled = [[scale * f(turn) for scale, turn in turns] for f in (math.cos, math.sin)]
    cos, sin = torch.tensor(scaled, dtype=torch.float32).view(2, -1, 1, 1)
    x, y = steps.view(1, 1, -1), steps.view(1, -1, 1)
    places = torch.stack([cos * x - sin * y, sin * x + cos * y], -1)
    shown = F.avg_pool2d(F.grid_sample(ink, places, align_corners=False), FINE)
    return (shown.clamp(0, 1) * 255).round() / 127.5 - 1


def print_looks(looks: Sequence[Look], side: int) -> Tensor:
    """Printed digits (N, 1, side, side) in [-1, 1]."""
    _, fonts, rotations, sizes = zip(*looks, strict=True)
    ink = glyphs()[list(fonts), [look.digit for look in looks]].unsqueeze(1)
    return turn_and_scale(ink, BOXES["printed"], rotations, sizes, side)


class PuppetImages(Dataset):
    """A split of :class:`PuppetDigits`: pictures are drawn when they are asked for.

    Args:
        name: ``train``, ``val`` or ``test``.
        real: ``digits`` or ``mnist``.
        ink: real digits (N, 1, h, h), uint8.
        labels: their classes (N,).
        paths: their names.
        interest: the attribute of interest.
        side: height and width of the pictures.
        seed: decides what training shows, together with epoch and index.
    """

    paired = False

    def __init__(
        self, name: str, real: str, ink: Tensor, labels: Tensor, paths: list[str], interest: str, side: int, seed: int
    ) -> None:
        self.name, self.box = name, BOXES[real]
        self.ink, self.labels, self.paths = ink, labels, paths
        self.names = (interest, *(other for other in RANGES if other != interest))
        self.side, self.seed = side, seed
        self.sweep = None if name == "train" else self._sweep()

    def lengths(self) -> tuple[int, int]:
        """As many triplets as real digits."""
        return len(self.ink), len(self.ink)

    def __len__(self) -> int:
        return len(self.ink)

    def _random(self, key: int, index: int = 0, epoch: int = 0) -> np.random.Generator:
        training = self.name == "train"  # what is held out is the same for all seeds, in all epochs
        place = ["train", "val", "test"].index(self.name)
        return np.random.default_rng([place, self.seed * training, epoch * training, index, key])

    def _real(self, index: int, epoch: int) -> tuple[float, float]:
        """Rotation and size of a real digit."""
        random = self._random(0, index, epoch)
        return random.uniform(*RANGES["rotation"]), random.uniform(*RANGES["size"])

    def _triplet(self, index: int, epoch: int) -> tuple[Look, Look, Look]:
        """Looks of b1, which gives the attribute of interest, of b2, which gives the rest, and of both together."""
        random = self._random(1, index, epoch)
        first, second = (
            Look(
                int(random.integers(10)),
                int(random.integers(len(UPRIGHT))),
                random.uniform(*RANGES["rotation"]),
                random.uniform(*RANGES["size"]),
            )
            for _ in range(2)
        )
        interest = self.names[0]
        return first, second, second._replace(**{interest: getattr(first, interest)})

    def _sweep(self) -> tuple[Tensor, Tensor]:
        """References (T, R, 1, H, W) and their attributes (T, R, 2): T values of interest, each with R rests."""
        random, (interest, other) = self._random(2), self.names
        digits = random.permutation(10)[:STEPS]
        rests = [
            Look(int(digit), int(random.integers(len(UPRIGHT))), 0.0, 0.0)._replace(**{other: value})
            for digit, value in zip(digits, np.linspace(*RANGES[other], STEPS), strict=True)
        ]
        looks = [rest._replace(**{interest: t}) for t in np.linspace(*RANGES[interest], STEPS) for rest in rests]
        shown = print_looks(looks, self.side)
        return shown.unflatten(0, (STEPS, STEPS)), self._attributes(looks).unflatten(0, (STEPS, STEPS))

    def _attributes(self, looks: Sequence[Look]) -> Tensor:
        return torch.tensor([[float(getattr(look, name)) for name in self.names] for look in looks])

    def _show(self, indices: list[int], turns: list[tuple[float, float]]) -> Tensor:
        rotations, sizes = zip(*turns, strict=True)
        return turn_and_scale(self.ink[indices].float() / 255, self.box, rotations, sizes, self.side)

    def __getitems__(self, draws: list[Draw]) -> dict[str, Tensor | list]:
        """The batch of these draws; a domain that is absent from all of them has no fields in it."""
        batch: dict[str, Tensor | list] = {}
        real = [(draw.indices[0], draw.epoch) for draw in draws if draw.indices[0] != ABSENT]
        printed = [(draw.indices[1], draw.epoch) for draw in draws if draw.indices[1] != ABSENT]
        if real:
            indices, turns = [index for index, _ in real], [self._real(*which) for which in real]
            looks = [Look(0, 0, *turn) for turn in turns]
            batch |= {"a": self._show(indices, turns), "label_a": self.labels[indices]}
            batch |= {"attributes_a": self._attributes(looks), "path_a": [self.paths[index] for index in indices]}
            if self.sweep is not None:
                truths = [self._moved(self._triplet(*which)[2], look) for which, look in zip(real, looks, strict=True)]
                batch["truth_a2b"] = print_looks(truths, self.side)
                references, attributes = (each.expand(len(real), *each.shape) for each in self.sweep)
                batch |= {"references_a": references, "references_attributes_a": attributes}
        if printed:
            triplets = [self._triplet(*which) for which in printed]
            shown = [print_looks(looks, self.side) for looks in zip(*triplets, strict=True)]
            batch |= dict(zip(("reference_b", "rest_b", "b"), shown, strict=True))
            both = [triplet[2] for triplet in triplets]
            batch |= {"label_b": torch.tensor([look.digit for look in both]), "attributes_b": self._attributes(both)}
            batch["path_b"] = [f"printed/{self.name}/{index:04d}" for index, _ in printed]
            if self.sweep is not None:
                own = [Look(0, 0, *self._real(*which)) for which in printed]
                moved = [self._moved(mine, look) for mine, look in zip(own, both, strict=True)]
                turns = [(look.rotation, look.size) for look in moved]
                batch["truth_b2a"] = self._show([index for index, _ in printed], turns)
        return batch

    def _moved(self, look: Look, reference: Look) -> Look:
        """The look with the attribute of interest of another one."""
        return look._replace(**{self.names[0]: getattr(reference, self.names[0])})


class PuppetDigits(DomainData):
    """Domain a: real digits, turned and scaled. Domain b: printed digits that show by example what an attribute is.

    The data of PuppetGAN (Usman, Dufour, Saenko, Bregler, ICCV 2019, arXiv 1901.10024): real images without any
    supervision, and synthetic triplets that tell one attribute of interest, the ``rotation`` or the ``size``, from all
    the rest. Rotations are uniform between -30 and 30 degrees counterclockwise, sizes (the height of an upright digit
    as a share of the picture's) between 0.4 and 0.8, in both domains. Printed digits have one of 12 upright typefaces.

    Batches hold, beside images and labels,

    - ``b``: printed digits, with the attribute of interest of ``reference_b`` and all the rest of ``rest_b``: digit,
      typeface and the other attribute. ``label_b`` and ``attributes_b`` are those of ``b``;
    - ``attributes_a``, ``attributes_b``: rotation and size, (N, 2), the attribute of interest first. A real digit's are
      what it was turned and scaled by; how its writer held the pen is not in them;
    - in val and test ``truth_b2a``: the ``a`` at the same place with the attribute of interest of ``b``, which is what
      manipulating it means, and ``truth_a2b``: this ``b`` with that of ``a``;
    - in val and test ``references_a``: for each ``a`` the same printed digits (N, T, R, 1, H, W), T = 5 values of the
      attribute of interest over its range with R = 5 rests each, in which digits differ and the other attribute takes 5
      values over its own range. ``references_attributes_a`` (N, T, R, 2) are their attributes.

    The real digits are scikit-learn's 1,797 (1,297 / 200 / 300 in train / val / test), or those of MNIST: 54,000, and
    the first 200 and 1,000 of val and test as :class:`DigitPair` has them. There are as many triplets. In training a
    picture is a function of (seed, epoch, index), new in each epoch; val and test are fixed, whatever ``seed`` is.

    Args:
        attribute: the attribute of interest, which ``reference_b`` gives.
        real: the real digits: ``digits``, which are embedded, or ``mnist``, read from ``root``.
        root: folder with MNIST; the environment variable ``CROSSDOMAIN_DATA``, else ``data``, when left out.
        download: let torchvision fetch MNIST below ``root`` where it is asked for.
        batch_size: images of each domain in a batch, in every process.
        num_workers: processes that draw.
        image_size: height and width in pixels, at least 16.
        seed: decides what training shows, and in which order.

    Raises:
        ValueError: an attribute or real digits that there are not, or too small a picture.
    """

    channels = 1
    image_size: int

    def __init__(
        self,
        attribute: Interest = "rotation",
        real: Literal["digits", "mnist"] = "digits",
        root: str | None = None,
        download: bool = False,
        batch_size: int = 64,
        num_workers: int = 0,
        image_size: int = 32,
        seed: int = 0,
    ) -> None:
        super().__init__(root, download, batch_size, num_workers, image_size, seed)
        if attribute not in RANGES or real not in ("digits", "mnist"):
            raise ValueError(
                f"data.attribute is {attribute!r} and data.real is {real!r}.\n"
                "Give the attribute rotation or size, and digits or mnist as real ones."
            )
        if image_size < SMALLEST:
            raise ValueError(
                f"data.image_size is {image_size}, but a small digit cannot be read below {SMALLEST} px.\n"
                f"Set it to {SMALLEST} or more."
            )
        self.attribute, self.real = attribute, real
        self.domains = (real, "printed")
        self.attributes = {attribute: 0, **{other: 0 for other in RANGES if other != attribute}}

    def prepare_data(self) -> None:
        """Download MNIST, if it is asked for and missing; once on each machine."""
        if self.download and self.real == "mnist":
            fetch_digits(["mnist"], self.root)

    def split(self, name: str) -> PuppetImages:
        """The real digits of one split, and as many triplets."""
        if self.real == "mnist":
            ink, labels, paths = read_digits("mnist", name, self.root, 28, 1)
            most = MOST.get(name)
            ink, labels, paths = ink[:most], labels[:most], paths[:most]
        else:
            values, classes, parts = handwritten([*SIZES.values()])
            chosen = parts[list(SIZES).index(name)]
            ink, labels = (values[chosen] * 255).round().to(torch.uint8), classes[chosen]
            paths = [f"digits/{i:04d}" for i in chosen.tolist()]
        return PuppetImages(name, self.real, ink, labels, paths, self.attribute, self.image_size, self.seed)
