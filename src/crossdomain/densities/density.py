"""What a density is: a module whose value at a batch is its log-density, one number for each sample."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn


class Density(nn.Module, ABC):
    """A family of densities p(x; theta); ``density(x)`` is log p of x, shape (N,), in nats."""

    total_stride: int = 1

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """Log-density (N,) in nats of samples (N, D) or (N, C, H, W)."""

    @abstractmethod
    def initialize(self, x: Tensor) -> None:
        """Set data-dependent parameters from the batch ``x``, once, before training."""
