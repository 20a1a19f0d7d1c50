"""Densities that a flow makes of a normal prior."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from crossdomain.densities.density import Density
from crossdomain.flows import AffineFlow, Flow, VectorFlow
from crossdomain.losses import standard_normal_log_prob


class FlowDensity(Density):
    """What a flow f makes of a normal prior: ``log p(x) = log N(f(x); 0, I) + log |det df/dx|``.

    Args:
        channels: channels of the images, or the length of the vectors.
        flow: makes f from the number of channels.
    """

    def __init__(self, channels: int, flow: Callable[[int], Flow] = VectorFlow) -> None:
        super().__init__()
        self.flow = flow(channels)
        self.total_stride = self.flow.total_stride

    def forward(self, x: Tensor) -> Tensor:
        """Log-density (N,) in nats."""
        latents, log_det = self.flow(x)
        return standard_normal_log_prob(latents) + log_det

    def initialize(self, x: Tensor) -> None:
        """Initialise the flow."""
        self.flow.initialize(x)


class GaussianDensity(FlowDensity):
    """A Gaussian with any mean and covariance: the density of an affine flow.

    Args:
        channels: length of the vectors.
    """

    flow: AffineFlow

    def __init__(self, channels: int) -> None:
        super().__init__(channels, AffineFlow)

    @property
    def mean(self) -> Tensor:
        """(D,)."""
        return -self.flow.shift

    @property
    def covariance(self) -> Tensor:
        """(D, D)."""
        return torch.linalg.inv(self.flow.matrix.T @ self.flow.matrix)
