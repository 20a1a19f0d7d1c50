"""Lightning's counters of epochs and batches, for runs that stop or go on within an epoch.

Lightning counts an epoch as done when its loop is left, also where ``max_steps``, ``max_time`` or a callback ended it
before its last batch. Here an epoch is done when its last batch is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lightning.pytorch import Trainer
from lightning.pytorch.loops.loop import _Loop
from lightning.pytorch.loops.progress import _BaseProgress, _ProcessedTracker
from lightning.pytorch.utilities import rank_zero_warn


def epoch_finished(trainer: Trainer) -> bool:
    """Whether the last batch of the training epoch has been trained on."""
    return trainer.fit_loop.epoch_loop._num_ready_batches_reached()


def epochs_done(trainer: Trainer) -> int:
    """Epochs whose loop was left, of this run and those that it goes on from."""
    return _counters(trainer.fit_loop.epoch_progress.current).processed


def _counters(counters: _BaseProgress) -> _ProcessedTracker:
    """The counters of an epoch or a batch, of which Lightning's annotations name a base class."""
    assert isinstance(counters, _ProcessedTracker)
    return counters


def count_what_is_done(trainer: Trainer, loops: Mapping[str, Any]) -> None:
    """Let the counters that a checkpoint is about to hold say what is done of the epoch, and no more.

    Args:
        trainer: whose checkpoint it is.
        loops: the checkpoint's ``loops``; changed in place.
    """
    fit = loops["fit_loop"]
    epochs, batches = fit["epoch_progress"], fit["epoch_loop.batch_progress"]
    if batches["current"]["ready"] == 0 or trainer.validating:
        return
    left = epochs["current"]["processed"] == epochs["current"]["ready"]  # the epoch's loop
    if epoch_finished(trainer):
        if left:  # the next epoch begins at its first image
            fit["state_dict"].pop("combined_loader", None)
        return
    for counters in ("total", "current"):
        if left:
            epochs[counters]["processed"] -= 1
            epochs[counters]["completed"] = min(epochs[counters]["completed"], epochs[counters]["processed"])
    # As at the end of a batch, which is where Lightning knows how to go on from.
    if batches["current"]["completed"] == batches["current"]["processed"]:
        for counters in ("total", "current"):
            batches[counters]["completed"] -= 1
        fit["epoch_loop.state_dict"]["_batches_that_stepped"] -= 1


def begin_next_epoch(loops: Mapping[str, Any]) -> None:
    """Let a run that resumes at the end of an epoch begin the next one, under ``max_steps`` also.

    There Lightning takes every checkpoint for one within an epoch, and would end a finished epoch once more.
    """
    fit = loops["fit_loop"]
    epochs = fit["epoch_progress"]
    if epochs["current"]["processed"] == epochs["current"]["ready"]:
        fit["state_dict"].pop("combined_loader", None)
        for counters in epochs.values():
            counters["completed"] = counters["processed"]


def go_on(trainer: Trainer) -> None:
    """Take up the place in the epoch, in batches of this run; called when training starts.

    The loader knows its place in images. With other batches or another number of processes than before, that is another
    number of batches.
    """
    fit = trainer.fit_loop
    epochs = _counters(fit.epoch_progress.current)
    if not fit.restarting:
        return
    if epochs.processed == epochs.ready:
        vars(_Loop)["restarting"].fset(fit, False)
        return
    loader, progress = trainer.train_dataloader, fit.epoch_loop.batch_progress
    current, total = _counters(progress.current), _counters(progress.total)
    if loader is None or not hasattr(loader, "batches_done") or current.processed == 0:
        return
    before, done = current.processed, loader.batches_done(trainer.num_training_batches)
    if done == before:
        return
    for counters in (current, total):
        counters.ready += done - before
        counters.started += done - before
        counters.processed += done - before
        counters.completed += done - before
    rank_zero_warn(
        "The checkpoint stopped within an epoch of other batches or another number of processes. This run goes on with "
        f"the next images, {trainer.num_training_batches - done} batches of its own to the epoch's end; it is not the "
        "run that the old batches would have made."
    )
    if done == trainer.num_training_batches:  # what is left of the epoch fills no batch
        current.completed, total.completed = current.processed, total.processed
        progress.is_last_batch = True
        fit.epoch_loop.update_restart_stage()
