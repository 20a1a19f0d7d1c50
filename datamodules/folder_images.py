"""Image files of two domains, read when they are asked for, cropped and flipped."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import Dataset

from .image_files import read_image, to_unit_range
from .loading import ABSENT, Draw

Half = Literal["left", "right"]
DOMAINS = ("a", "b")


class Source(NamedTuple):
    """Where an image lies: a file, or one half of it."""

    path: Path
    half: Half | None = None

    def read(self, read_file: Callable[[Path], Tensor] = read_image) -> Tensor:
        """The stored image, (C, H, W), uint8 or uint16; ``read_file`` may remember files that hold two."""
        image = read_file(self.path)
        if self.half is None:
            return image
        if image.shape[2] % 2:
            raise ValueError(f"{str(self.path)!r} is {image.shape[2]} px wide, which two halves cannot share.")
        return image.chunk(2, dim=2)[0 if self.half == "left" else 1]


class FolderImages(Dataset):
    """Image files of both domains, read when they are asked for, handed out as batches.

    In training, images are resized to ``load_size`` (where given), cropped to ``image_size`` at random and flipped,
    both images of a pair alike. In evaluation they are resized to ``image_size`` where ``load_size`` is given, and left
    as they are otherwise.

    Args:
        a: images of domain a.
        b: images of domain b.
        channels: channels of both domains; a grey file is repeated where more are expected.
        image_size: see above.
        load_size: see above.
        flip: mirror images at random in training.
        training: see above.
        paired: image i of a and image i of b are a pair, drawn together; both have the same size, unless they are
            resized to ``load_size``.
        truth: image i of a is the truth of image i of b and the other way round, and batches say so; sizes likewise.
        seed: decides crops and flips, together with epoch and position.
    """

    def __init__(
        self,
        a: Sequence[Source],
        b: Sequence[Source],
        channels: tuple[int, int],
        image_size: int,
        load_size: int | None,
        flip: bool,
        training: bool,
        paired: bool,
        truth: bool,
        seed: int,
    ) -> None:
        self.sources = {"a": a, "b": b}
        self.channels = dict(zip(DOMAINS, channels, strict=True))
        self.image_size = image_size
        self.load_size = load_size
        self.flip = flip
        self.training = training
        self.paired = paired
        self.truth = truth
        self.seed = seed

    def lengths(self) -> tuple[int, int]:
        """How many images the domains hold."""
        return len(self.sources["a"]), len(self.sources["b"])

    def __len__(self) -> int:
        return max(self.lengths())

    def stored(self, domain: str, index: int, read_file: Callable[[Path], Tensor] = read_image) -> Tensor:
        """One image of the domain as it is stored, (C, h, w), of which a batch can be made.

        Raises:
            ValueError: it cannot be read, has other channels than the domain or another size than its partner, or is
                smaller than the crop; names the file.
        """
        source, channels = self.sources[domain][index], self.channels[domain]
        image = source.read(read_file)
        height, width = image.shape[1:]
        if len(image) not in (1, channels):
            raise ValueError(
                f"{str(source.path)!r} has {len(image)} channels, but domain {domain} has {channels}.\n"
                "Give all images of a domain the channels of its first training image; only grey ones are repeated."
            )
        if self.load_size is not None:
            return image
        if self.paired or self.truth:
            pair = [self.sources[d][index] for d in DOMAINS]
            (height_a, width_a), (height_b, width_b) = (one.read(read_file).shape[1:] for one in pair)
            if (height_a, width_a) != (height_b, width_b):
                raise ValueError(
                    f"{str(pair[0].path)!r} is {width_a}x{height_a} px, "
                    f"but its partner {str(pair[1].path)!r} {width_b}x{height_b}.\n"
                    "Give both images of a pair the same size, or set data.load_size, to which they are resized first."
                )
        if self.training and min(height, width) < self.image_size:
            raise ValueError(
                f"{str(source.path)!r} is {width}x{height} px, smaller than the crop of {self.image_size}.\n"
                "Lower data.image_size, or set data.load_size, to which images are resized first."
            )
        return image

    def _image(self, domain: str, index: int, draw: Draw, read_file: Callable[[Path], Tensor]) -> Tensor:
        """One image of the domain, float32 (C, h, w) in [-1, 1]."""
        image = to_unit_range(self.stored(domain, index, read_file)).expand(self.channels[domain], -1, -1)
        if self.load_size is not None:
            image = _resize(image, self.load_size if self.training else self.image_size)
        if not self.training:
            return image
        height, width = image.shape[1:]
        key = 0 if self.paired else DOMAINS.index(domain)
        random = np.random.default_rng([self.seed, draw.epoch, draw.position, key])
        top, left = (int(random.integers(side - self.image_size + 1)) for side in (height, width))
        image = image[:, top : top + self.image_size, left : left + self.image_size]
        return image.flip(2) if self.flip and random.random() < 0.5 else image

    def __getitems__(self, draws: list[Draw]) -> dict[str, Tensor | list]:
        """The batch of these draws; a domain that is absent from all of them has no fields in it."""
        batch: dict[str, Tensor | list] = {}
        # Both images of a pair may lie in one file, and each is its own and the other's truth.
        read_once = cache(read_image)

        @cache
        def image(domain: str, index: int, draw: Draw) -> Tensor:
            return self._image(domain, index, draw, read_once)

        for domain, other in ("ab", "ba"):
            present = [(draw.indices[DOMAINS.index(domain)], draw) for draw in draws]
            present = [(index, draw) for index, draw in present if index != ABSENT]
            if not present:
                continue
            batch[domain] = torch.stack([image(domain, *which) for which in present])
            batch[f"path_{domain}"] = [str(self.sources[domain][index].path) for index, _ in present]
            if self.truth:
                batch[f"truth_{domain}2{other}"] = torch.stack([image(other, *which) for which in present])
        return batch


def _resize(image: Tensor, size: int) -> Tensor:
    if tuple(image.shape[1:]) == (size, size):
        return image
    return F.interpolate(image[None], (size, size), mode="bicubic", antialias=True)[0].clamp_(-1, 1)
