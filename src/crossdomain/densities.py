"""Densities: modules whose value at a batch is its log-density, one number for each sample."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor, nn

from crossdomain.checks import at_least
from crossdomain.flows import AffineFlow, Flow, VectorFlow
from crossdomain.losses import standard_normal_log_prob


class Density(nn.Module, ABC):
    """A family of densities p(x; theta); ``density(x)`` is log p of x, shape (N,), in nats."""

    total_stride: int = 1

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """Log-density (N,) in nats of samples (N, D) or (N, C, H, W)."""

    @abstractmethod
    def initialize(self, x: Tensor) -> None:
        """Set data-dependent parameters from the batch ``x``, once, before training."""


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


class MixtureDensity(Density):
    """A mixture ``sum_k w_k p_k(x)`` of densities of one family, with learned weights.

    Args:
        channels: length of the vectors.
        density: makes a component from the number of channels.
        components: how many; they start alike in shape, each around another sample, with equal weights.
    """

    def __init__(self, channels: int, density: Callable[[int], Density] = GaussianDensity, components: int = 2) -> None:
        super().__init__()
        at_least(1, self, components=components)
        self.components = nn.ModuleList(density(channels) for _ in range(components))
        self.logits = nn.Parameter(torch.zeros(components))

    def forward(self, x: Tensor) -> Tensor:
        """Log-density (N,) in nats."""
        each = torch.stack([component(x) for component in self.components], 1)
        return torch.logsumexp(each + self.logits.log_softmax(0), 1)

    def initialize(self, x: Tensor) -> None:
        """Initialise the components on consecutive parts of ``x``."""
        for component, part in zip(self.components, x.chunk(len(self.components)), strict=True):
            component.initialize(part)
