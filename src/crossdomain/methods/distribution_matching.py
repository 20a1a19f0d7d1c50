"""DistributionMatching: a map that makes two samples alike by MMD or optimal transport, without a critic."""

from __future__ import annotations

from typing import Any, Literal

from torch import Tensor
from typing_extensions import Unpack

from crossdomain.domains import BOTH, Direction
from crossdomain.losses import MMD, DiscrepancyFactory
from crossdomain.method import Batch, GameOptions, Method, NetworkFactory, Terms
from crossdomain.networks import VectorNetwork
from crossdomain.noise import Noise


class DistributionMatching(Method):
    """Alignment by a discrepancy of samples: MMD (Long et al., ICML 2015, arXiv 1502.02791), EMD, Sinkhorn's.

    A map T of vectors, or of images, whose pixels are compared one by one, minimises

        D(T(a), b)

    with D any :class:`Discrepancy` of a batch of each domain. No critic and no min-max; nothing ties T(a) to a either,
    so of all maps that make the samples alike it takes the one nearest to where T starts, or any.

    A batch is all that D sees: the larger, the better, 256 of each domain or more.

    Args:
        channels_a: channels of domain a, or the length of its vectors.
        channels_b: that of domain b.
        direction: which way to move.
        generator: makes T from channels in and out.
        discrepancy: makes D: :class:`MMD`, :class:`EMD` or :class:`Sinkhorn`.
        options: those of :class:`Game`.
    """

    def __init__(
        self,
        channels_a: int,
        channels_b: int | None = None,
        direction: Literal["a2b", "b2a"] = "a2b",
        generator: NetworkFactory = VectorNetwork,
        discrepancy: DiscrepancyFactory = MMD,
        **options: Unpack[GameOptions],
    ) -> None:
        super().__init__(channels_a, channels_b, **options)
        self.save_hyperparameters()
        if direction not in BOTH:
            raise ValueError(f"direction is {direction!r}, but has to be 'a2b' or 'b2a'.")
        way = Direction(direction)
        self.directions = (way,)
        self.generator = generator(self.channels[way.source], self.channels[way.target])
        self.players = {"generator": ("generator",)}
        self.discrepancy = discrepancy()

    def generate(self, batch: Batch) -> dict[str, Any]:
        """Move the source domain."""
        return {"moved": self.generator(batch[self.directions[0].source])}

    def generator_loss(self, batch: Batch, out: dict[str, Any]) -> Terms:
        """How far the moved sample is from the target's."""
        return {"discrepancy": self.discrepancy(out["moved"], batch[self.directions[0].target])}

    def _translate(self, images: Tensor, direction: Direction, guide: Tensor | None, noise: Noise | None) -> Tensor:
        return self.generator(images)
