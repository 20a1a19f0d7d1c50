"""What methods that learn from pairs have in common."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from typing_extensions import Unpack

from crossdomain.domains import Direction
from crossdomain.method import Batch, GameOptions, Method


class Paired(Method):
    """A method that goes one way and learns from pairs (x, y): an image, and what it should become.

    Args:
        channels_a: channels of domain a.
        channels_b: channels of domain b.
        direction: which way to translate; the other domain is the truth.
        conditional: whether critics see x beside y, or y alone.
        options: those of :class:`Method`.
    """

    supervised = True

    def __init__(
        self,
        channels_a: int,
        channels_b: int | None = None,
        direction: Literal["a2b", "b2a"] = "a2b",
        conditional: bool = True,
        **options: Unpack[GameOptions],
    ) -> None:
        super().__init__(channels_a, channels_b, **options)
        if direction not in ("a2b", "b2a"):
            raise ValueError(f"direction is {direction!r}, but has to be 'a2b' or 'b2a'.")
        self.directions = (Direction(direction),)
        self.source, self.target = self.directions[0].source, self.directions[0].target
        self.conditional = conditional
        self.seen, self.made = self.channels[self.source], self.channels[self.target]
        self.judged = self.seen + self.made if conditional else self.made

    def pair(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """The images x and their truth y, (N, C, H, W) each."""
        return batch[self.source], batch[f"truth_{self.directions[0]}"]

    def shown(self, x: Tensor, y: Tensor) -> Tensor:
        """What a critic is shown of x and an image y, ``judged`` channels."""
        return torch.cat([x, y], 1) if self.conditional else y
