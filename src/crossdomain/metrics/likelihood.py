"""Metrics of models with a likelihood."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torchmetrics import Metric


class BitsPerDim(Metric):
    """Bits needed per dimension of a stored image, from the log-density of its dequantized values.

    With images in [-1, 1], made of ``levels`` values and spread over their bins of width ``2 / levels``, a density
    ``p`` gives ``-log2 p / D + log2(levels / 2)``. All constants are included.

    Args:
        levels: how many values a pixel can take; 256 for 8-bit images.
    """

    full_state_update = False

    def __init__(self, levels: int = 256) -> None:
        super().__init__()
        self.levels = levels
        self.add_state("nats", torch.tensor(0.0, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("count", torch.tensor(0.0, dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, log_prob: Tensor, dimensions: int) -> None:
        """Add log-densities (N,) in nats, of images with ``dimensions`` values each, on the scale [-1, 1]."""
        self.nats += log_prob.double().sum()
        self.count += log_prob.numel() * dimensions

    def compute(self) -> Tensor:
        """Mean over all dimensions so far."""
        return (-self.nats / (self.count * math.log(2.0)) + math.log2(self.levels / 2)).float()
