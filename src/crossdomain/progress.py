"""Lightning's counters of epochs and batches, for runs that stop or go on within an epoch.

Lightning counts an epoch as done when its loop is left, also where ``max_steps``, ``max_time`` or a callback ended it
before its last batch. Here an epoch is done when its last batch is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lightning.pytorch import Trainer
from lightning.pytorch.loops.loop import _Loop
from lightning.pytorch.utilities import rank_zero_warn


def epoch_finished(trainer: Trainer) -> bool:
    """Whether the last batch of the training epoch has been trained on."""
    return trainer.fit_loop.epoch_loop._num_ready_batches_reached()


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
    epochs = fit.epoch_progress.current
    if not fit.restarting:
        return
    if epochs.processed == epochs.ready:
        _Loop.restarting.fset(fit, False)
        return
    loader, progress = trainer.train_dataloader, fit.epoch_loop.batch_progress
    if not hasattr(loader, "batches_done") or progress.current.processed == 0:
        return
    before, done = progress.current.processed, loader.batches_done(trainer.num_training_batches)
    if done == before:
        return
    for counters in (progress.current, progress.total):
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
        progress.current.completed, progress.total.completed = progress.current.processed, progress.total.processed
        progress.is_last_batch = True
        fit.epoch_loop.update_restart_stage()
