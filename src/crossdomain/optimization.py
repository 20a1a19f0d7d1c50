"""The optimizer and the learning rate schedules that methods take by default."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from crossdomain.checks import at_least

OptimizerFactory = Callable[[Iterable], Optimizer]
ScheduleFactory = Callable[[Optimizer], LRScheduler]


def adam(params: Iterable[Any]) -> Optimizer:
    """Adam as the image translation papers have it: learning rate 2e-4, betas (0.5, 0.999), fused."""
    return torch.optim.Adam(params, lr=2e-4, betas=(0.5, 0.999), fused=True)


class LinearDecay(LRScheduler):
    """A constant learning rate, then a linear way down to nearly zero.

    With intervals (epochs or rounds) counted from 0, the factor is ``1 - max(0, interval + 1 - constant) /
    (decay + 1)``, the rule of pix2pix, CycleGAN and AlignFlow.

    Args:
        optimizer: whose learning rate moves.
        constant: intervals at the full rate.
        decay: intervals of the way down.
    """

    def __init__(self, optimizer: Optimizer, constant: int = 100, decay: int = 100) -> None:
        at_least(0, self, constant=constant, decay=decay)
        self.constant = constant
        self.decay = decay
        super().__init__(optimizer)

    def get_lr(self) -> list[float]:
        """Learning rate of each parameter group at the current interval."""
        factor = 1.0 - max(0, self.last_epoch + 1 - self.constant) / (self.decay + 1)
        return [base * max(factor, 0.0) for base in self.base_lrs]
