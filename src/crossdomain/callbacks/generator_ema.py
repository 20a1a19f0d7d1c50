"""An exponential moving average of the generators."""

from __future__ import annotations

from typing import Any

import torch
from lightning.pytorch import Callback, Trainer
from torch import Tensor


class GeneratorEMA(Callback):
    """Averages the weights of the generating player over rounds, and evaluates and saves the average.

    After round n: ``average = d average + (1 - d) weights`` with ``d = min(decay, (1 + n) / (10 + n))``, so that the
    start does not linger. Training itself goes on with the weights as they are. Validation and checkpoints take
    the average; what resuming needs is in the checkpoint also. Critics and running statistics are not averaged.

    Args:
        decay: d after many rounds, below 1.
    """

    def __init__(self, decay: float = 0.999) -> None:
        if not 0.0 <= decay < 1.0:
            raise ValueError(f"decay is {decay}, but has to be at least 0 and below 1.")
        self.decay = decay
        self._average: list[Tensor] = []
        self._resumed: list[Tensor] | None = None
        self._swapped = False

    def _weights(self, module: Any) -> list[Tensor]:
        return [p.data for p in module.player_parameters(module.generating_player)]

    def _swap(self, module: Any) -> None:
        """Exchange weights and average."""
        for weight, average in zip(self._weights(module), self._average, strict=True):
            held = weight.clone()
            weight.copy_(average)
            average.copy_(held)
        self._swapped = not self._swapped

    def on_train_start(self, trainer: Trainer, pl_module: Any) -> None:
        """Begin with the weights as they are, or where the checkpoint left off."""
        self._average = [weight.clone() for weight in self._weights(pl_module)]
        if self._resumed is not None:
            for weight, trained in zip(self._weights(pl_module), self._resumed, strict=True):
                weight.copy_(trained)
            self._resumed = None

    @torch.no_grad()
    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Move the average towards the weights."""
        rounds = pl_module.rounds
        decay = min(self.decay, (1 + rounds) / (10 + rounds))
        torch._foreach_lerp_(self._average, self._weights(pl_module), 1.0 - decay)

    def on_validation_start(self, trainer: Trainer, pl_module: Any) -> None:
        """Validate the average."""
        if self._average:
            self._swap(pl_module)

    def on_validation_end(self, trainer: Trainer, pl_module: Any) -> None:
        """Train on with the weights."""
        if self._swapped:
            self._swap(pl_module)

    def on_save_checkpoint(self, trainer: Trainer, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        """Save the average as the method's weights, and the weights that are trained beside it."""
        if not self._average:
            return
        weights = self._weights(pl_module)
        checkpoint["generator_ema"] = [weight.clone() for weight in weights]
        averages = dict(zip((weight.data_ptr() for weight in weights), self._average, strict=True))
        for name, parameter in pl_module.named_parameters(remove_duplicate=False):  # networks may share some
            if parameter.data_ptr() in averages:
                checkpoint["state_dict"][name] = averages[parameter.data_ptr()].clone()

    def on_load_checkpoint(self, trainer: Trainer, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        """Take the weights that were trained."""
        if "generator_ema" in checkpoint:
            device = pl_module.device
            self._resumed = [weight.to(device) for weight in checkpoint["generator_ema"]]
