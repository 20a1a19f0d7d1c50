"""Losses, and bounds of what they weigh: pure functions of tensors."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from crossdomain.losses.logits import Logits, added_up, scales


def standard_normal_log_prob(z: Tensor) -> Tensor:
    """Log-density of ``z`` (N, ...) under N(0, I), summed over all axes but the first; shape (N,), in nats."""
    return -0.5 * (z.square() + math.log(2.0 * math.pi)).flatten(1).sum(1)


def standard_logistic_log_prob(z: Tensor) -> Tensor:
    """The same under the logistic distribution, independent for each entry: ``-log(1 + e^z) - log(1 + e^-z)``."""
    return -(F.softplus(z) + F.softplus(-z)).flatten(1).sum(1)


def standard_normal_kl(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL divergence of N(mean, exp(log_variance)) from N(0, I), both (N, D), summed over D; shape (N,), in nats."""
    return 0.5 * (mean.square() + log_variance.exp() - log_variance - 1.0).sum(1)


def capacity_bits(power: Tensor, dimensions: int | Tensor, deviation: float) -> Tensor:
    """Bits that ``dimensions`` numbers can carry through noise N(0, deviation^2): ``D log2(1 + power / deviation^2)``.

    ``power`` is the mean square of one number before the noise. By Shannon's theorem no more than half of this gets
    through; the factor 2 is that of the bound in RIFT (Usman et al., arXiv 2111.13279).
    """
    return dimensions * torch.log2(1 + power / deviation**2)


def confusion(logits: Logits) -> Tensor:
    """How far a critic of two classes is from knowing neither: the cross-entropy of its logits against 1/2.

    ``-E (log sigmoid(l) + log sigmoid(-l)) / 2``, a mean over all logits, added up over scales; log 2 at least, where
    every logit is 0. Which class is which does not matter.
    """
    return added_up(0.5 * (F.softplus(one) + F.softplus(-one)).mean() for one in scales(logits))


def mode_seeking(images: Tensor, others: Tensor, z: Tensor, other_z: Tensor, epsilon: float = 1e-5) -> Tensor:
    """What keeps a generator from one image for all latent vectors (MSGAN, Mao et al., CVPR 2019, arXiv 1903.05628).

    ``1 / (|images - others| / |z - other_z| + epsilon)``, where |.| is the mean absolute value over a whole batch:
    small where ``images`` of ``z`` are far from ``others`` of ``other_z``. Of two equal batches it is ``1 / epsilon``.
    """
    return 1 / (F.l1_loss(images, others) / F.l1_loss(z, other_z) + epsilon)
