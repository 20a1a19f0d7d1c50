"""What a run shows while it goes on."""

from __future__ import annotations

import logging
import math
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from threading import RLock
from typing import Any

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import ProgressBar
from torch import Tensor
from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from crossdomain.headlines import SIDES, headlines

EVERY = 0.25  # seconds between two looks at the losses; each waits for the device


class _Bar(tqdm):
    """A bar that asks for its values when it is drawn, and never in between."""

    monitor_interval = 0  # no thread that draws

    def __init__(self, values: Callable[[int], str], **options: Any) -> None:
        self._values = values
        super().__init__(file=sys.stdout, dynamic_ncols=True, mininterval=EVERY, miniters=1, smoothing=0, **options)

    @property
    def format_dict(self) -> dict[str, Any]:
        """What the bar's format may name, ``values`` among it: as many as there is room for."""
        known = super().format_dict
        room = (known["ncols"] or 80) - len(known["prefix"]) - len(" █ 100% 00:00:00 ")
        return {**known, "values": self._values(room)}


# tqdm's own lock is shared with forked processes: a loader's worker that dies with it leaves everybody waiting for it.
_Bar.set_lock(RLock())


class Progress(ProgressBar):
    """A bar in a terminal, and a line for each epoch in a file or a pipe.

    Both show the loss of each player in the last round (of the first process, where there are several), and the
    metrics of the last validation that are :mod:`headlines <crossdomain.headlines>`; a line has those of its own epoch
    alone. The bar goes over all epochs, so what it says is left is that of the training. Losses are looked at when they
    are shown, at most four times a second.
    """

    def __init__(self) -> None:
        super().__init__()
        self._enabled = True
        self._training: _Bar | None = None
        self._evaluating: _Bar | None = None
        self._redirected = ExitStack()
        self._losses: Mapping[str, Tensor] = {}
        self._metrics: dict[str, float] = {}
        self._validated = False
        self._started = 0.0

    def disable(self) -> None:
        """Show nothing."""
        self._enabled = False

    def enable(self) -> None:
        """Show what there is."""
        self._enabled = True

    def print(self, *args: Any, sep: str = " ", **options: Any) -> None:
        """Print without breaking the bar."""
        _Bar.write(sep.join(map(str, args)), file=sys.stdout)

    # --- training ----------------------------------------------------------------------------------------------

    def on_train_start(self, trainer: Trainer, pl_module: Any) -> None:
        """Start the clock."""
        self._started = time.monotonic()

    def on_train_batch_start(self, trainer: Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
        """Open the bar where the training begins, or goes on."""
        if self._training is None:
            batches, epochs = self.total_train_batches, trainer.max_epochs or -1
            known = math.isfinite(batches) and epochs > 0
            self._training = self._open(
                _epoch(trainer),
                int(batches * epochs) if known else None,
                initial=int(batches * trainer.current_epoch) + batch_idx if known else batch_idx,
                bar_format="{desc} {bar} {percentage:3.0f}% {remaining} {values}" if known else "{desc} {n} {values}",
            )
            if not self._training.disable:  # what Lightning says meanwhile goes above the bar
                loggers = [logging.getLogger("lightning.pytorch")]
                self._redirected.enter_context(logging_redirect_tqdm(loggers, tqdm_class=_Bar))

    def on_train_epoch_start(self, trainer: Trainer, pl_module: Any) -> None:
        """Name the epoch."""
        if self._training is not None:
            self._training.set_description_str(_epoch(trainer), refresh=False)

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Move the bar; the losses stay where they are until it is drawn."""
        self._losses = getattr(pl_module, "last_losses", {})
        if self._training is not None:
            self._training.update()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: Any) -> None:
        """The line of the epoch, where there is no bar."""
        if not self._enabled:
            return
        if self._training is not None and not self._training.disable:
            self._training.refresh()
            return
        rounds, passed = getattr(pl_module, "rounds", trainer.global_step), time.monotonic() - self._started
        shown = {name: f"{value:.4g}" for name, value in self._loss_values().items()}
        if self._validated:
            shown |= {f"val/{tag}": f"{self._metrics[tag]:.4g}" for tag in self._headlines()}
        self._validated = False
        values = "".join(f"  {name} {value}" for name, value in shown.items())
        print(f"{_epoch(trainer)}  round {rounds}  {tqdm.format_interval(passed)}{values}", flush=True)

    def on_train_end(self, trainer: Trainer, pl_module: Any) -> None:
        """Leave the bar as it is."""
        self._close()

    def on_exception(self, trainer: Trainer, pl_module: Any, exception: BaseException) -> None:
        """Leave the bar as it is, so that what is said next has a line of its own."""
        self._close()

    def on_validation_end(self, trainer: Trainer, pl_module: Any) -> None:
        """Take the metrics."""
        self._close_evaluation()
        if self._enabled and not trainer.sanity_checking:
            found = {tag: value for tag, value in trainer.callback_metrics.items() if tag.startswith("val/")}
            self._metrics = {tag.removeprefix("val/"): float(value) for tag, value in found.items()}
            self._validated = True

    # --- evaluating --------------------------------------------------------------------------------------------

    def on_validation_batch_start(
        self, trainer: Trainer, pl_module: Any, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Open a bar below that of the training."""
        if batch_idx == 0 and not trainer.sanity_checking:
            self.has_dataloader_changed(dataloader_idx)
            self._open_evaluation("Validating", self.total_val_batches_current_dataloader)

    def on_test_batch_start(
        self, trainer: Trainer, pl_module: Any, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Open a bar."""
        if batch_idx == 0:
            self.has_dataloader_changed(dataloader_idx)
            self._open_evaluation("Testing", self.total_test_batches_current_dataloader)

    def on_predict_batch_start(
        self, trainer: Trainer, pl_module: Any, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Open a bar."""
        if batch_idx == 0:
            self.has_dataloader_changed(dataloader_idx)
            self._open_evaluation("Predicting", self.total_predict_batches_current_dataloader)

    def on_validation_batch_end(
        self, trainer: Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Move the bar."""
        if self._evaluating is not None:
            self._evaluating.update()

    on_test_batch_end = on_predict_batch_end = on_validation_batch_end

    def on_test_end(self, trainer: Trainer, pl_module: Any) -> None:
        """Take the bar away."""
        self._close_evaluation()

    on_predict_end = on_test_end

    # --- bars and values ---------------------------------------------------------------------------------------

    def _open(self, what: str, total: int | None, **options: Any) -> _Bar:
        disable = not (self._enabled and sys.stdout.isatty())
        return _Bar(self._values, desc=what, total=total, disable=disable, **options)

    def _open_evaluation(self, what: str, batches: float) -> None:
        self._close_evaluation()
        self._evaluating = self._open(
            what,
            int(batches) if math.isfinite(batches) else None,
            position=int(self._training is not None),
            leave=False,
            bar_format="{desc} {bar} {percentage:3.0f}% {remaining}",
        )

    def _close_evaluation(self) -> None:
        if self._evaluating is not None:
            self._evaluating.close()
        self._evaluating = None
        self.reset_dataloader_idx_tracker()

    def _close(self) -> None:
        self._close_evaluation()
        if self._training is not None:
            self._training.close()
        self._training = None
        self._redirected.close()

    def _loss_values(self) -> dict[str, float]:
        """The players' losses as numbers, which waits for the device."""
        if not self._losses:
            return {}
        values = torch.stack([loss.detach().float() for loss in self._losses.values()]).tolist()
        return dict(zip(self._losses, values, strict=True))

    def _headlines(self) -> list[str]:
        return headlines(self._metrics) or sorted(self._metrics)

    def _values(self, room: int) -> str:
        """Losses, then metrics, as many as there is room for; a metric's name is written once for all its sides."""
        shown = [(name, "", value) for name, value in self._loss_values().items()]
        shown += [(*_split(tag), self._metrics[tag]) for tag in self._headlines()]
        text, before = "", ""
        for stem, side, value in shown:
            name = side if side and stem == before else f"{stem} {side}".rstrip()
            longer = f"{text} {name} {_short(value)}".lstrip()
            if len(longer) > room:
                break
            text, before = longer, stem
        return text


def _epoch(trainer: Trainer) -> str:
    """The epoch that is trained, counted from 1, and how many there will be where that is known."""
    most = f"/{trainer.max_epochs}" if (trainer.max_epochs or -1) > 0 else ""
    return f"Epoch {trainer.current_epoch + 1}{most}"


def _split(tag: str) -> tuple[str, str]:
    """``mse_a2b`` as ``mse`` and ``a2b``."""
    side = next((side for side in SIDES[1:] if tag.endswith(side)), "")
    return tag.removesuffix(side), side[1:]


def _short(value: float) -> str:
    """Three significant digits, without an exponent up to a million."""
    return f"{value:.0f}" if 1000 <= abs(value) < 1e6 else f"{value:.3g}"
