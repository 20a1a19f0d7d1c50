"""Adversarial objectives: what a critic minimises, and what the generator it judges minimises."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable

import torch
from torch import Tensor
from torch.nn import functional as F

from crossdomain.losses.divergences import Divergence, DivergenceName, f_divergence
from crossdomain.losses.logits import Critic, Logits, added_up, scales
from crossdomain.losses.penalties import GradientPenalty, PenaltyFactory


class Objective(ABC):
    """A pair of losses on a critic's raw outputs.

    Each is a mean over all logits, whatever their shape; a critic of several scales gives a list, and their losses
    are added up.

    Args:
        penalty: makes a further term of the critic's loss.
    """

    def __init__(self, penalty: PenaltyFactory | None = None) -> None:
        self.penalty = None if penalty is None else penalty()

    def critic_loss(self, critic: Critic, real: Tensor, fake: Tensor) -> Tensor:
        """What a critic minimises, penalty included, given images (N, ...) and as many generated ones; a scalar."""
        loss = self.critic(critic(real), critic(fake))
        return loss if self.penalty is None else loss + self.penalty(critic, real, fake)

    def constrain(self, parameters: Iterable[Tensor]) -> None:  # noqa: B027
        """Called with the critic's parameters after each of its updates; does nothing by default."""

    def critic(self, real: Logits, fake: Logits) -> Tensor:
        """Loss of the critic, given its logits for real and for generated images; a scalar."""
        return added_up(self._critic(*pair) for pair in zip(scales(real), scales(fake), strict=True))

    def generator(self, fake: Logits) -> Tensor:
        """Loss of the generator, given the critic's logits for its images; a scalar."""
        return added_up(self._generator(logits) for logits in scales(fake))

    @abstractmethod
    def _critic(self, real: Tensor, fake: Tensor) -> Tensor:
        """``critic`` at one scale."""

    @abstractmethod
    def _generator(self, fake: Tensor) -> Tensor:
        """``generator`` at one scale."""


class LeastSquares(Objective):
    """LSGAN (Mao et al., arXiv 1611.04076): targets 1 for real and 0 for fake.

    ``critic = s (E (real - 1)^2 + E fake^2)`` and ``generator = E (fake - 1)^2``.

    Args:
        critic_scale: s; one half in the paper and in CycleGAN, pix2pix and AlignFlow, 1 in BiCycleGAN and RIFT.
        penalty: makes a further term of the critic's loss.
    """

    def __init__(self, critic_scale: float = 0.5, penalty: PenaltyFactory | None = None) -> None:
        super().__init__(penalty)
        self.critic_scale = critic_scale

    def _critic(self, real: Tensor, fake: Tensor) -> Tensor:
        """Squared distance to 1 for real and to 0 for fake, scaled."""
        return self.critic_scale * ((real - 1.0).square().mean() + fake.square().mean())

    def _generator(self, fake: Tensor) -> Tensor:
        """Squared distance to 1."""
        return (fake - 1.0).square().mean()


def full_least_squares() -> LeastSquares:
    """Least squares whose critic's loss is not divided by 2, as BiCycleGAN, MUNIT and RIFT have it."""
    return LeastSquares(critic_scale=1.0)


class NonSaturating(Objective):
    """Cross-entropy with the generator's target flipped (Goodfellow et al., arXiv 1406.2661).

    ``critic = -s (E log sigmoid(real) + E log(1 - sigmoid(fake)))`` and ``generator = -E log sigmoid(fake)``.

    Args:
        critic_scale: s; 1 in the paper, one half in pix2pix.
        penalty: makes a further term of the critic's loss.
    """

    def __init__(self, critic_scale: float = 1.0, penalty: PenaltyFactory | None = None) -> None:
        super().__init__(penalty)
        self.critic_scale = critic_scale

    def _critic(self, real: Tensor, fake: Tensor) -> Tensor:
        """Binary cross-entropy against 1 for real and 0 for fake, scaled."""
        return self.critic_scale * (F.softplus(-real).mean() + F.softplus(fake).mean())

    def _generator(self, fake: Tensor) -> Tensor:
        """Binary cross-entropy against 1."""
        return F.softplus(-fake).mean()


class Minimax(NonSaturating):
    """The game of Goodfellow et al. (arXiv 1406.2661): critic and generator share one value.

    ``critic`` is that of :class:`NonSaturating`, and ``generator = E log(1 - sigmoid(fake))``, which is flat where the
    critic is sure. The best critic's logit is the log of the density ratio.

    Args:
        critic_scale: as there.
        penalty: as there.
    """

    def _generator(self, fake: Tensor) -> Tensor:
        """Negative binary cross-entropy against 0."""
        return -F.softplus(fake).mean()


class Hinge(Objective):
    """The hinge loss (Lim and Ye, arXiv 1705.02894; Miyato et al., arXiv 1802.05957).

    ``critic = E max(0, 1 - real) + E max(0, 1 + fake)`` and ``generator = -E fake``.

    Args:
        penalty: makes a further term of the critic's loss.
    """

    def _critic(self, real: Tensor, fake: Tensor) -> Tensor:
        """How far real falls short of 1, and fake exceeds -1."""
        return F.relu(1.0 - real).mean() + F.relu(1.0 + fake).mean()

    def _generator(self, fake: Tensor) -> Tensor:
        """The negative logit."""
        return -fake.mean()


class Wasserstein(Objective):
    """WGAN (Arjovsky et al., arXiv 1701.07875).

    ``critic = E fake - E real`` and ``generator = -E fake``. A critic whose slope is at most 1 finds the Wasserstein
    distance so, and one without a bound grows for ever: take ``clip``, :class:`GradientPenalty`, or a critic with
    spectral norm. The papers let the critic move 5 times as often as the generator.

    Args:
        clip: after each update the critic's parameters are clamped to [-clip, clip]; 0.01 in the paper.
        penalty: makes a further term of the critic's loss.

    Raises:
        ValueError: ``clip`` is not positive, or given beside a penalty.
    """

    def __init__(self, clip: float | None = None, penalty: PenaltyFactory | None = None) -> None:
        super().__init__(penalty)
        if clip is not None and clip <= 0:
            raise ValueError(f"clip is {clip}, but weights are clamped to a range above 0, such as 0.01.")
        if clip is not None and penalty is not None:
            raise ValueError(
                f"clip is {clip}, and there is a penalty also: a clipped critic is not free to have the slope of 1.\n"
                "Leave one of clip and penalty out."
            )
        self.clip = clip

    @torch.no_grad()
    def constrain(self, parameters: Iterable[Tensor]) -> None:
        """Clamp the critic's parameters, where there is ``clip``."""
        if self.clip is not None:
            for parameter in parameters:
                parameter.clamp_(-self.clip, self.clip)

    def _critic(self, real: Tensor, fake: Tensor) -> Tensor:
        """By how much fake is scored above real."""
        return fake.mean() - real.mean()

    def _generator(self, fake: Tensor) -> Tensor:
        """The negative score."""
        return -fake.mean()


class FGAN(Objective):
    """f-GAN (Nowozin et al., arXiv 1606.00709): the generator minimises an f-divergence, the critic bounds it.

    With p of real and q of generated images, ``D_f(p || q) = E_q f(p / q) >= E g(real) - E f*(g(fake))``;
    :func:`crossdomain.losses.f_divergence` has f, its conjugate f* and the output activation g of each. ``critic``
    is the negative bound, ``generator = -E f*(g(fake))``, or, where that saturates, ``-E g(fake)``.

    Args:
        divergence: which one.
        alpha: of the divergence ``alpha``; any number but 0 and 1.
        saturating: the first of the two losses of the generator, as the paper has it; else the second, its alternative.
        penalty: makes a further term of the critic's loss.

    Raises:
        ValueError: there is no such divergence, or alpha is missing, 0 or 1, or given for another.
    """

    def __init__(
        self,
        divergence: DivergenceName = "kl",
        alpha: float | None = None,
        saturating: bool = True,
        penalty: PenaltyFactory | None = None,
    ) -> None:
        super().__init__(penalty)
        self.divergence = divergence
        self.alpha = alpha
        self.saturating = saturating
        f_divergence(divergence, alpha)  # refuses now what there is not

    @property
    def formulas(self) -> Divergence:
        """f, g, f*(g) and the best logits."""
        return f_divergence(self.divergence, self.alpha)  # looked up anew, since functions cannot be pickled

    def _critic(self, real: Tensor, fake: Tensor) -> Tensor:
        """The negative bound."""
        formulas = self.formulas
        return formulas.conjugate(fake).mean() - formulas.activation(real).mean()

    def _generator(self, fake: Tensor) -> Tensor:
        """What of the bound is the generator's, or its alternative."""
        score = self.formulas.conjugate if self.saturating else self.formulas.activation
        return -score(fake).mean()


def halved_cross_entropy() -> NonSaturating:
    """Cross-entropy as pix2pix and the official DiscoGAN have it: the critic's loss is divided by 2."""
    return NonSaturating(critic_scale=0.5)


def wasserstein_with_penalty() -> Wasserstein:
    """WGAN-GP (Gulrajani et al., arXiv 1704.00028)."""
    return Wasserstein(penalty=GradientPenalty)
