"""Pairs: one way between two domains, learned from images and what they should become."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from crossdomain.domains import BOTH, Batch, Direction


class Pairs:
    """Pairs (x, y) of one direction: an image, and what it should become.

    Args:
        direction: ``a2b`` or ``b2a``.
        channels: channels of each domain, by letter.
        conditional: whether critics see x beside y, or y alone.

    Attributes:
        direction: the way from x to y.
        seen: channels of x.
        made: channels of y.
        judged: channels that critics see.

    Raises:
        ValueError: there is no such direction.
    """

    def __init__(self, direction: str, channels: Mapping[str, int], conditional: bool) -> None:
        if direction not in BOTH:
            raise ValueError(f"direction is {direction!r}, but has to be 'a2b' or 'b2a'.")
        self.direction = Direction(direction)
        self.conditional = conditional
        self.seen, self.made = channels[self.direction.source], channels[self.direction.target]
        self.judged = self.seen + self.made if conditional else self.made

    def of(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """The images x and their truth y, (N, C, H, W) each."""
        return batch[self.direction.source], batch[f"truth_{self.direction}"]

    def shown(self, x: Tensor, y: Tensor) -> Tensor:
        """What a critic is shown of x and an image y, ``judged`` channels."""
        return torch.cat([x, y], 1) if self.conditional else y
