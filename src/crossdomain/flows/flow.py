"""The contract every invertible network keeps, and how flows are chained."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from functools import partial
from typing import cast

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


Map = Callable[[Tensor], tuple[Tensor, Tensor]]
# How many flows are computed again together: a coupling with the normalisation and permutation beside it.
SEGMENT = 3


class FlowSequence(Flow):
    """Flows run one after the other; ``inverse`` runs them backwards.

    Args:
        flows: the flows in forward order.
        recompute: keep only about ``2 sqrt(n)`` of the n activations between flows, none of those inside, and compute
            the rest again in the backward pass (Chen et al., arXiv 1604.06174, in two levels). Costs two more forward
            passes; results are the same to the bit.
    """

    def __init__(self, flows: Iterable[Flow], recompute: bool = False) -> None:
        super().__init__()
        self.flows = nn.ModuleList(flows)
        self.recompute = recompute

    @property
    def in_order(self) -> list[Flow]:
        """The flows in forward order."""
        return cast("list[Flow]", list(self.flows))  # a ModuleList knows no more than that they are modules

    def _run(self, maps: list[Map], x: Tensor) -> tuple[Tensor, Tensor]:
        if not (self.recompute and torch.is_grad_enabled()):
            return _run_each(maps, x)
        segments: list[Map] = [partial(_run_each, maps[i : i + SEGMENT]) for i in range(0, len(maps), SEGMENT)]
        size = math.isqrt(len(segments) - 1) + 1
        groups: list[Map] = [partial(_run_each_again, segments[i : i + size]) for i in range(0, len(segments), size)]
        return _run_each_again(groups, x)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Run all flows in order."""
        return self._run([*self.in_order], x)

    def inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Run all inverses in the opposite order."""
        return self._run([flow.inverse for flow in reversed(self.in_order)], z)

    def initialize(self, x: Tensor) -> Tensor:
        """Initialise the flows in order, each on what the ones before it make of ``x``."""
        for flow in self.in_order:
            x = flow.initialize(x)
        return x


class FirstHalf(Flow):
    """Runs a flow on the first half of the channels and leaves the second as it is."""

    def __init__(self, flow: Flow) -> None:
        super().__init__()
        self.flow = flow

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map the first half."""
        first, second = x.chunk(2, 1)
        first, log_det = self.flow(first)
        return torch.cat([first, second], 1), log_det

    def inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Map the first half back."""
        first, second = z.chunk(2, 1)
        first, log_det = self.flow.inverse(first)
        return torch.cat([first, second], 1), log_det

    def initialize(self, x: Tensor) -> Tensor:
        """Initialise the flow on the first half."""
        first, second = x.chunk(2, 1)
        return torch.cat([self.flow.initialize(first), second], 1)


def _run_each(maps: list[Map], x: Tensor) -> tuple[Tensor, Tensor]:
    total = x.new_zeros(len(x))
    for function in maps:
        x, log_det = function(x)
        total = total + log_det
    return x, total


def _run_each_again(maps: list[Map], x: Tensor) -> tuple[Tensor, Tensor]:
    """Run the maps, keep their inputs, and run them again in the backward pass."""
    # Flows draw no random numbers, so there is no random state to preserve.
    return _run_each([partial(checkpoint, f, use_reentrant=False, preserve_rng_state=False) for f in maps], x)
