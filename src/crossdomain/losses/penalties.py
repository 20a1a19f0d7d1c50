"""Penalties: terms of a critic's loss that look at its slope."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from crossdomain.checks import at_least
from crossdomain.losses.logits import Critic, added_up, scales


class Penalty(ABC):
    """A term of a critic's loss that looks at how fast the critic's scores change with its images.

    An image's score is the mean of its logits, as in the losses. Of a critic of several scales each is penalised by
    itself, and these terms are added up. All is computed in single precision, under autocast also; gradients pass to
    the critic and not to the images. A critic with batch norm mixes the images of a batch, so that the gradient of one
    is not well defined: take another norm, or none.

    Args:
        weight: factor of the term; an attribute, which a callback may anneal.
    """

    def __init__(self, weight: float) -> None:
        at_least(0, self, weight=weight)
        self.weight = weight

    def __call__(self, critic: Critic, real: Tensor, fake: Tensor) -> Tensor:
        """The weighted term, a scalar, of images (N, ...) and as many generated ones."""
        device = real.device.type
        dtype = torch.float32 if torch.is_autocast_enabled(device) else real.dtype
        with torch.autocast(device, enabled=False):
            return self.weight * self._penalty(critic, real.detach().to(dtype), fake.detach().to(dtype))

    @abstractmethod
    def _penalty(self, critic: Critic, real: Tensor, fake: Tensor) -> Tensor:
        """The term without its weight."""


PenaltyFactory = Callable[[], Penalty]
"""Makes a penalty."""


def _slopes(critic: Critic, images: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """For each scale of a critic, the scores (N,) of images (N, ...) and the norms (N,) of their gradients."""
    images = images.requires_grad_()
    for logits in scales(critic(images)):
        scores = logits.reshape(len(images), -1).mean(1)
        (gradient,) = torch.autograd.grad(scores.sum(), images, create_graph=True)
        yield scores, gradient.flatten(1).norm(dim=1)  # over all axes but the batch's


class GradientPenalty(Penalty):
    """The penalty of WGAN-GP (Gulrajani et al., arXiv 1704.00028), which keeps the critic's slope at 1.

    ``weight E (|grad C(x)| - 1)^2`` with ``x = e real + (1 - e) fake`` and one e ~ U[0, 1] for each image; the norm is
    Euclidean, over all pixels and channels.

    Args:
        weight: the paper's is 10.
    """

    def __init__(self, weight: float = 10.0) -> None:
        super().__init__(weight)

    def _penalty(self, critic: Critic, real: Tensor, fake: Tensor) -> Tensor:
        share = torch.rand(len(real), *[1] * (real.ndim - 1), dtype=real.dtype, device=real.device)
        between = torch.lerp(fake, real, share)
        return added_up((slope - 1).square().mean() for _, slope in _slopes(critic, between))


class RothRegularizer(Penalty):
    """What noise on the images would do to a critic that minimises cross-entropy (Roth et al., arXiv 1705.09367).

    ``weight / 2 (E (1 - sigmoid C(real))^2 |grad C(real)|^2 + E (sigmoid C(fake))^2 |grad C(fake)|^2)``, for
    objectives whose logits are those of a probability: :class:`Minimax`, :class:`NonSaturating`, and :class:`FGAN` of
    ``gan`` and ``jensen_shannon``.

    Args:
        weight: gamma, the variance of the noise; the authors take 0.1, or anneal it from 2.
    """

    def __init__(self, weight: float = 0.1) -> None:
        super().__init__(weight)

    def _penalty(self, critic: Critic, real: Tensor, fake: Tensor) -> Tensor:
        on_real = added_up(((-score).sigmoid() * slope).square().mean() for score, slope in _slopes(critic, real))
        on_fake = added_up((score.sigmoid() * slope).square().mean() for score, slope in _slopes(critic, fake))
        return 0.5 * (on_real + on_fake)
