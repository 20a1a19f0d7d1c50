"""Losses that several methods share: pure functions of tensors."""

from __future__ import annotations

import math

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
