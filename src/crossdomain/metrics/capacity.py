"""Metrics of what a code can carry."""

from __future__ import annotations

import torch
from torch import Tensor
from torchmetrics import Metric

from crossdomain.losses import capacity_bits


class ChannelCapacity(Metric):
    """Bound on the bits that a code carries through Gaussian noise: ``D log2(1 + E code^2 / deviation^2)``.

    D is the number of dimensions of a code, and E goes over dimensions and images: the bound is of the whole split's
    mean power. That of its parts would be smaller on average, and bound nothing.

    Args:
        deviation: standard deviation of the noise, above 0.
    """

    full_state_update = False
    squares: Tensor
    dimensions: Tensor
    images: Tensor

    def __init__(self, deviation: float) -> None:
        super().__init__()
        self.deviation = deviation
        for name in ("squares", "dimensions", "images"):
            self.add_state(name, torch.tensor(0.0, dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, code: Tensor) -> None:
        """Add codes (N, ...), without noise."""
        self.squares += code.double().square().sum()
        self.dimensions += code.numel()
        self.images += len(code)

    def compute(self) -> Tensor:
        """Bits of one image's code."""
        power = self.squares / self.dimensions
        return capacity_bits(power, self.dimensions / self.images, self.deviation).float()
