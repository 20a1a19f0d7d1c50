"""Checkpoints by the zoo's own counter."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint

from crossdomain.checks import at_least


class RoundCheckpoint(Checkpoint):
    """Saves ``last.ckpt`` every so many rounds and at each epoch's end.

    A round is one training batch, whatever the number of optimizers; Lightning's own counter goes up with every
    optimizer step. The file is written beside the old one and then takes its place in one step, so that a run killed
    at any moment leaves a whole checkpoint. A run resumed from it goes on with the very next batch.

    Args:
        every_n_rounds: also save within an epoch, after every so many rounds; None saves at the ends of epochs alone.
            A method that accumulates gradients needs a multiple of its ``accumulate``.
        directory: where to; ``checkpoints`` in the run's log folder when left out.

    Attributes:
        path: the checkpoint, once there is one.
    """

    def __init__(self, every_n_rounds: int | None = None, directory: str | None = None) -> None:
        if every_n_rounds is not None:
            at_least(1, self, every_n_rounds=every_n_rounds)
        self.every_n_rounds = every_n_rounds
        self.directory = directory
        self.path: Path | None = None

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Choose the folder; the same on all processes."""
        if self.every_n_rounds is not None and self.every_n_rounds % getattr(pl_module, "accumulate", 1):
            raise ValueError(
                f"every_n_rounds is {self.every_n_rounds}, but this method updates after every {pl_module.accumulate} "
                "rounds.\nGive a multiple of that: gradients in between are no part of a checkpoint."
            )
        folder = self.directory or os.path.join(trainer.log_dir or trainer.default_root_dir, "checkpoints")
        self.directory = trainer.strategy.broadcast(folder)

    def _save(self, trainer: Trainer) -> None:
        self.path = Path(self.directory) / "last.ckpt"
        part = self.path.with_suffix(".part")
        trainer.save_checkpoint(part, weights_only=False)
        if trainer.is_global_zero:
            part.replace(self.path)

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Save after every ``every_n_rounds`` rounds; the last batch of an epoch is saved with the epoch."""
        due = self.every_n_rounds is not None and pl_module.rounds % self.every_n_rounds == 0
        if due and not trainer.is_last_batch:
            self._save(trainer)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save when schedules have counted the epoch."""
        self._save(trainer)
