"""Losses that several methods share: pure functions of tensors."""

from __future__ import annotations

import math

from torch import Tensor


def standard_normal_log_prob(z: Tensor) -> Tensor:
    """Log-density of ``z`` (N, ...) under N(0, I), summed over all axes but the first; shape (N,), in nats."""
    return -0.5 * (z.square() + math.log(2.0 * math.pi)).flatten(1).sum(1)
