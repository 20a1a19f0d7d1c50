"""Checkpoints by the zoo's own counter."""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path
from types import FrameType
from typing import Any, Literal

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint

from crossdomain.checks import at_least
from crossdomain.evaluation import logged_metric
from crossdomain.progress import epoch_finished

ASK_EVERY = 10  # rounds; processes that ask each other wait for their devices


class RoundCheckpoint(Checkpoint):
    """Saves ``last.ckpt`` every so many rounds and at each epoch's end, and ``best.ckpt`` beside it.

    A round is one training batch, whatever the number of optimizers; Lightning's own counter goes up with every
    optimizer step. The file is written beside the old one and then takes its place in one step, so that a run killed
    at any moment leaves a whole checkpoint. A run resumed from it goes on with the very next batch.

    Ctrl-C and SIGTERM end the training after the round that they come in (of several processes, within
    ``ASK_EVERY`` rounds), with the checkpoint saved, and the process with status
    130 or 143. A second one does not wait.

    Args:
        every_n_rounds: also save within an epoch, after every so many rounds; None saves at the ends of epochs alone.
        directory: where to; ``checkpoints`` in the run's log folder when left out.
        monitor: the metric, such as ``val/mse_a2b``, by which ``best.ckpt`` is chosen, of all validations; None keeps
            the last checkpoint alone. Methods with critics have no metric that is best for all.
        mode: whether the smallest (``min``) or the largest (``max``) value of ``monitor`` is the best.

    Attributes:
        path: the last checkpoint, once there is one.
        best_path: the best checkpoint, once there is one.
        best: its value of ``monitor``.
    """

    def __init__(
        self,
        every_n_rounds: int | None = None,
        directory: str | None = None,
        monitor: str | None = None,
        mode: Literal["min", "max"] | None = None,
    ) -> None:
        if every_n_rounds is not None:
            at_least(1, self, every_n_rounds=every_n_rounds)
        if monitor is not None and mode not in ("min", "max"):
            raise ValueError(
                f"monitor is {monitor!r}, but whether less or more of it is better is not said.\nGive mode, min or max."
            )
        self.every_n_rounds = every_n_rounds
        self.directory = directory
        self.monitor = monitor
        self.mode = mode
        self.path: Path | None = None
        self.best_path: Path | None = None
        self.best: float | None = None
        self._signal: int | None = None
        self._folder = Path()

    @property
    def best_model_path(self) -> str:
        """The best checkpoint, by the name that Lightning looks for."""
        return str(self.best_path or self.path or "")

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Choose the folder; the same on all processes."""
        folder = self.directory or os.path.join(trainer.log_dir or trainer.default_root_dir, "checkpoints")
        self.directory = trainer.strategy.broadcast(folder)
        self._folder = Path(self.directory)

    # --- saving ------------------------------------------------------------------------------------------------

    def _write(self, trainer: Trainer, name: str) -> Path:
        path = self._folder / name
        part = path.with_suffix(".part")
        trainer.save_checkpoint(part, weights_only=False)
        if trainer.is_global_zero:
            part.replace(path)
        return path

    def _save(self, trainer: Trainer) -> None:
        self.path = self._write(trainer, "last.ckpt")

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Save after every ``every_n_rounds`` rounds and when told to end; the last of an epoch goes with it."""
        if epoch_finished(trainer):
            return
        ending = self._told_to_end(trainer, pl_module)
        if ending or (self.every_n_rounds is not None and pl_module.rounds % self.every_n_rounds == 0):
            self._save(trainer)
        if ending:
            self._end(trainer)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: Any) -> None:
        """Save when schedules have counted the epoch, or where a budget ended the run within it."""
        self._save(trainer)
        if self._told_to_end(trainer, pl_module):
            self._end(trainer)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save the best checkpoint, if this is it."""
        if self.monitor is None or trainer.state.fn != "fit" or trainer.sanity_checking:
            return
        value = float(logged_metric(trainer, self.monitor, "monitor"))
        better = self.best is None or (value < self.best if self.mode == "min" else value > self.best)
        if trainer.strategy.broadcast(better):
            self.best = value
            self.best_path = self._write(trainer, "best.ckpt")

    def state_dict(self) -> dict[str, Any]:
        """What is the best so far, for resumed runs."""
        if self.monitor is None:
            return {}
        return {"monitor": self.monitor, "best": self.best, "best_path": str(self.best_path or "")}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from the best so far, if it is by the same metric and still there."""
        if state_dict.get("monitor") == self.monitor and os.path.isfile(state_dict.get("best_path", "")):
            self.best, self.best_path = state_dict["best"], Path(state_dict["best_path"])

    # --- ending ------------------------------------------------------------------------------------------------

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Wait for the round's end when a signal comes; Lightning gives the signals back when training is over."""
        self._signal = None
        if threading.current_thread() is not threading.main_thread():
            return
        owner = os.getpid()

        def note(number: int, frame: FrameType | None) -> None:
            if os.getpid() != owner:  # a process that loads images
                if number == signal.SIGTERM:
                    os._exit(128 + number)
                return
            if self._signal is not None:
                raise KeyboardInterrupt
            self._signal = number
            if trainer.is_global_zero:
                print("\nending after this round; once more ends at once", file=sys.stderr)

        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, note)

    def _told_to_end(self, trainer: Trainer, pl_module: Any) -> bool:
        """Whether any process got a signal; the same on all of them."""
        if trainer.world_size == 1:
            return self._signal is not None
        if pl_module.rounds % ASK_EVERY and not epoch_finished(trainer):
            return False
        return trainer.strategy.reduce_boolean_decision(self._signal is not None, all=False)

    def _end(self, trainer: Trainer) -> None:
        if trainer.is_global_zero:
            print(f"saved round {trainer.lightning_module.rounds}: {self.path}", file=sys.stderr)
        raise SystemExit(128 + (self._signal or signal.SIGINT))
