"""Mixtures of densities."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from crossdomain.checks import at_least
from crossdomain.densities.density import Density
from crossdomain.densities.flow_density import GaussianDensity


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
            assert isinstance(component, Density)
            component.initialize(part)
