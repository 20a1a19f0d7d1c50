"""The contract every invertible network keeps, and how flows are chained."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint


class Flow(nn.Module, ABC):
    """An invertible network.

    ``z, log_det = flow(x)`` and ``x, log_det = flow.inverse(z)``. ``log_det`` has shape (N,), is measured in
    nats, and is the logarithm of the absolute Jacobian determinant of the map that was run, so that the two of a
    round trip add up to zero.

    Attributes:
        total_stride: height and width of an image must be multiples of this.
    """

    total_stride: int = 1

    @abstractmethod
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map data ``x`` to latents; returns the latents and ``log_det``."""

    @abstractmethod
    def inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Map latents ``z`` to data; returns the data and ``log_det``."""

    def initialize(self, x: Tensor) -> Tensor:
        """Set data-dependent parameters from the batch ``x``, once, before training; returns ``forward(x)[0]``."""
        return self(x)[0]


class FlowSequence(Flow):
    """Flows run one after the other; ``inverse`` runs them backwards.

    Args:
        flows: the flows in forward order.
        recompute: keep only the activations between flows and compute those inside again in the backward pass.
            Trades about a third more computation for memory; results are the same to the bit.
    """

    def __init__(self, flows: Iterable[Flow], recompute: bool = False) -> None:
        super().__init__()
        self.flows = nn.ModuleList(flows)
        self.recompute = recompute

    def _run(self, maps: Iterable, x: Tensor) -> tuple[Tensor, Tensor]:
        recompute = self.recompute and torch.is_grad_enabled()
        total = x.new_zeros(len(x))
        for function in maps:
            if recompute:
                # Flows draw no random numbers, so there is no random state to preserve.
                x, log_det = checkpoint(function, x, use_reentrant=False, preserve_rng_state=False)
            else:
                x, log_det = function(x)
            total = total + log_det
        return x, total

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Run all flows in order."""
        return self._run(self.flows, x)

    def inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Run all inverses in the opposite order."""
        return self._run((flow.inverse for flow in reversed(self.flows)), z)

    def initialize(self, x: Tensor) -> Tensor:
        """Initialise the flows in order, each on what the ones before it make of ``x``."""
        for flow in self.flows:
            x = flow.initialize(x)
        return x
