"""Random numbers of images: each image has its own, whatever else is translated beside it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import torch
from torch import Tensor


class Noise:
    """Draws for several images at once, from one generator for each.

    What is drawn for an image follows from the seed and the image's index alone: neither from the batch that it is in
    nor from its device. Drawing again goes on with the next numbers.

    Args:
        seed: of all images.
        indices: which image of its data set each of them is.
        device: of what is drawn.
    """

    def __init__(self, seed: int, indices: Iterable[int], device: torch.device | str = "cpu") -> None:
        self.device = device
        self._generators = [torch.Generator().manual_seed(_mixed(seed, index)) for index in indices]

    def normal(self, *shape: int) -> Tensor:
        """Standard normal numbers (N, *shape)."""
        return torch.stack([torch.randn(shape, generator=g) for g in self._generators]).to(self.device)

    def integers(self, high: int) -> list[int]:
        """N uniform integers, at least 0 and below ``high``."""
        return [int(torch.randint(high, (), generator=g)) for g in self._generators]


def _mixed(seed: int, index: int) -> int:
    """A seed of 63 bits; those of neighbours have nothing in common."""
    digest = hashlib.blake2b(f"{seed} {index}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1
