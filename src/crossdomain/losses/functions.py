"""Losses, and bounds of what they weigh: pure functions of tensors."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F


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
