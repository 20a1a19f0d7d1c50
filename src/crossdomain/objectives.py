"""Adversarial objectives: what a critic minimises, and what the generator it judges minimises."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from torch import Tensor
from torch.nn import functional as F

Logits = Tensor | Sequence[Tensor]
"""What a critic gives out: logits of any shape, or those of several scales."""


class Objective(ABC):
    """A pair of losses on a critic's raw outputs.

    Each is a mean over all logits, whatever their shape; a critic of several scales gives a sequence, and their losses
    are added up.
    """

    def critic(self, real: Logits, fake: Logits) -> Tensor:
        """Loss of the critic, given its logits for real and for generated images; a scalar."""
        return sum(self._critic(*pair) for pair in zip(_scales(real), _scales(fake), strict=True))

    def generator(self, fake: Logits) -> Tensor:
        """Loss of the generator, given the critic's logits for its images; a scalar."""
        return sum(self._generator(logits) for logits in _scales(fake))

    @abstractmethod
    def _critic(self, real: Tensor, fake: Tensor) -> Tensor:
        """``critic`` at one scale."""

    @abstractmethod
    def _generator(self, fake: Tensor) -> Tensor:
        """``generator`` at one scale."""


def _scales(logits: Logits) -> Sequence[Tensor]:
    return [logits] if isinstance(logits, Tensor) else logits


class LeastSquares(Objective):
    """LSGAN (Mao et al., arXiv 1611.04076): targets 1 for real and 0 for fake.

    ``critic = s (E (real - 1)^2 + E fake^2)`` and ``generator = E (fake - 1)^2``.

    Args:
        critic_scale: s; one half in the paper and in CycleGAN, pix2pix and AlignFlow, 1 in BiCycleGAN and RIFT.
    """

    def __init__(self, critic_scale: float = 0.5) -> None:
        self.critic_scale = critic_scale

    def _critic(self, real: Tensor, fake: Tensor) -> Tensor:
        """Squared distance to 1 for real and to 0 for fake, scaled."""
        return self.critic_scale * ((real - 1.0).square().mean() + fake.square().mean())

    def _generator(self, fake: Tensor) -> Tensor:
        """Squared distance to 1."""
        return (fake - 1.0).square().mean()


class NonSaturating(Objective):
    """Cross-entropy with the generator's target flipped (Goodfellow et al., arXiv 1406.2661).

    ``critic = -s (E log sigmoid(real) + E log(1 - sigmoid(fake)))`` and ``generator = -E log sigmoid(fake)``.

    Args:
        critic_scale: s; 1 in the paper, one half in pix2pix.
    """

    def __init__(self, critic_scale: float = 1.0) -> None:
        self.critic_scale = critic_scale

    def _critic(self, real: Tensor, fake: Tensor) -> Tensor:
        """Binary cross-entropy against 1 for real and 0 for fake, scaled."""
        return self.critic_scale * (F.softplus(-real).mean() + F.softplus(fake).mean())

    def _generator(self, fake: Tensor) -> Tensor:
        """Binary cross-entropy against 1."""
        return F.softplus(-fake).mean()
