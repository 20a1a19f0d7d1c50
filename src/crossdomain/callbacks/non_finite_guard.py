"""Stops a training whose loss is no longer a number."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from crossdomain.domains import domains_in


class _Pending(NamedTuple):
    """A round whose terms are still to be looked at."""

    round: int
    names: list[str]
    values: Tensor  # on the CPU, perhaps still being copied
    copied: Any  # a CUDA event, or None
    batch: dict[str, Any]


class NonFiniteGuard(Callback):
    """Raises FloatingPointError when a term is not finite, naming the player, the term and the files.

    On the CPU a round is looked at when it ends; on a GPU when the next one ends, so that the step never waits. No
    checkpoint is saved in between, so the last one on disk is from before. The files are those of the batch whose
    pictures are not finite themselves; where all are, those of the whole batch.
    """

    def __init__(self) -> None:
        self._pending: _Pending | None = None

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Look at the round before, and take this one's terms."""
        self._check()
        terms = pl_module.last_terms
        if not terms:  # no player moved
            return
        values, copied = torch.stack([term.float() for term in terms.values()]), None
        if values.is_cuda:
            values = values.to("cpu", non_blocking=True)
            copied = torch.cuda.Event()
            copied.record()
        self._pending = _Pending(pl_module.rounds, list(terms), values, copied, batch)
        if copied is None:
            self._check()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Look at the last round before the epoch is saved."""
        self._check()

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Look at the round that is about to be saved."""
        self._check()

    def _check(self) -> None:
        pending, self._pending = self._pending, None
        if pending is None:
            return
        if pending.copied is not None:
            pending.copied.synchronize()
        finite = pending.values.isfinite()
        if finite.all():
            return
        index = int((~finite).nonzero()[0])
        raise FloatingPointError(
            f"Round {pending.round}: the term {pending.names[index]} is {float(pending.values[index])}, "
            f"so training stopped; the last checkpoint is from before.\n{_suspects(pending.batch)}"
        )


def _suspects(batch: dict[str, Any]) -> str:
    """The files of the batch's pictures that are not finite; all files where all pictures are."""
    broken: list[str] = []
    for domain in domains_in(batch):
        images = batch[domain]
        if isinstance(images, Tensor):
            rows = (~images.flatten(1).isfinite().all(1)).nonzero().flatten().tolist()
            names = batch.get(f"path_{domain}") or [f"{domain}[{i}]" for i in range(len(images))]
            broken += [names[i] for i in rows]
    if broken:
        return f"These pictures of the batch are not finite themselves: {_few(broken)}."
    files = [name for domain in domains_in(batch) for name in batch.get(f"path_{domain}") or []]
    return f"The batch's pictures are finite. Its files: {_few(files) or 'not named'}."


def _few(names: list[str], most: int = 16) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
