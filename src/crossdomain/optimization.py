"""Optimizers and learning rate schedules: the defaults, and what holds for all that methods take."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from crossdomain.checks import at_least

OptimizerFactory = Callable[[Iterable], Optimizer]
ScheduleFactory = Callable[[Optimizer], LRScheduler]


def adam(params: Iterable[Any]) -> Optimizer:
    """Adam as the image translation papers have it: learning rate 2e-4, betas (0.5, 0.999), fused."""
    return torch.optim.Adam(params, lr=2e-4, betas=(0.5, 0.999), fused=True)


class LinearDecay(LRScheduler):
    """A constant learning rate, then a linear way down to nearly zero.

    With intervals (epochs or rounds) counted from 0, the factor is ``1 - max(0, interval + 1 - constant) /
    (decay + 1)``, the rule of pix2pix, CycleGAN and AlignFlow. From interval ``constant + decay`` on it is 0.

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

    def get_lr(self) -> list[float | Tensor]:
        """Learning rate of each parameter group at the current interval."""
        factor = 1.0 - max(0, self.last_epoch + 1 - self.constant) / (self.decay + 1)
        return [base * max(factor, 0.0) for base in self.base_lrs]


def check_optimizer(optimizer: Optimizer, player: str) -> None:
    """Refuse optimizers that cannot move a player.

    Raises:
        ValueError: it calls the loss itself, several times (LBFGS), or takes sparse gradients alone (SparseAdam).
    """
    name = type(optimizer).__name__
    closure = inspect.signature(type(optimizer).step).parameters.get("closure")
    if closure is not None and closure.default is closure.empty:
        raise ValueError(
            f"The optimizer of {player} is {name}, which computes the loss several times in a step; a round computes "
            "it once.\nUse another one, such as Adam."
        )
    if isinstance(optimizer, torch.optim.SparseAdam):
        raise ValueError(
            f"The optimizer of {player} is {name}, which takes sparse gradients; those of networks are dense.\n"
            "Use Adam."
        )


def takes_state(make: OptimizerFactory, state: Mapping[str, Any]) -> bool:
    """Whether an optimizer that ``make`` makes can go on from ``state``, a ``state_dict`` of perhaps another class."""
    if not state["state"]:
        return True
    parameter = nn.Parameter(torch.zeros(1))
    parameter.grad = torch.zeros(1)
    optimizer = make([parameter])
    optimizer.step()
    return optimizer.state[parameter].keys() == next(iter(state["state"].values())).keys()


def take_options(optimizer: Optimizer, make: OptimizerFactory) -> None:
    """Give the parameter groups of ``optimizer`` the learning rate and all else that ``make`` gives; keep its state."""
    for group, fresh in zip(optimizer.param_groups, make(_parameters(optimizer)).param_groups, strict=True):
        kept = {key: group[key] for key in ("params", "param_names") if key in group}
        group.clear()
        group.update(fresh | kept)


def _parameters(optimizer: Optimizer) -> list[nn.Parameter]:
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def idle_intervals(make: OptimizerFactory, make_schedule: ScheduleFactory, first: int, last: int) -> int:
    """How many of the intervals (epochs or rounds) from ``first`` until before ``last`` are at its end, at a rate of 0.

    A schedule that follows a metric has none that could be known.
    """
    optimizer = make([nn.Parameter(torch.zeros(1))])
    schedule = make_schedule(optimizer)
    if isinstance(schedule, ReduceLROnPlateau):
        return 0
    optimizer.step()  # schedules warn where none came before them
    idle = 0
    for interval in range(last):
        rates = [group["lr"] for group in optimizer.param_groups]
        idle = idle + 1 if interval >= first and max(rates) == 0 else 0
        schedule.step()
    return idle
