"""What a run writes of itself: the folder of its logs, its options beside them, and nothing that says nothing."""

from __future__ import annotations

import logging
import os
import warnings

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.cli import SaveConfigCallback
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_only

# Remarks of Lightning that are known and harmless here.
NOISE = (
    ".*does not have many workers.*",  # small data needs no loading processes
    ".*smaller than the logging interval.*",  # rounds are counted across epochs
    ".*not supported by the model summary.*",
    ".*overridden `on_after_batch_transfer`.*",
    ".*isinstance.treespec, LeafSpec.*",
    "Found .* in eval mode at the start of training",  # the command makes a method anew: what is so then, is so meant
)
# What Lightning says that is advertising, says nothing, or is said better by PlayerSummary or the line of precision.
CHATTY = ("utilities.rank_zero", "accelerators.cuda", "trainer.connectors.checkpoint_connector")
CHATTER = (
    "litlogger",
    "litmodels",
    "GPU available:",
    "TPU available:",
    "LOCAL_RANK:",
    "Restoring states",
    "Automatic Mixed Precision",
    "`weights_only`",
)


class ConfigBesideLogs(SaveConfigCallback):
    """Saves a run's options as ``config.yaml`` beside its logs; a run without logs leaves nothing behind."""

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Save, if there is a logger."""
        if trainer.loggers:
            super().setup(trainer, pl_module, stage)


class RunLogger(TensorBoardLogger):
    """A TensorBoardLogger whose folder no other run has, also of those that were started at the same moment."""

    def _get_next_version(self) -> int:
        version = super()._get_next_version()
        while getattr(rank_zero_only, "rank", 0) == 0:  # the other processes of this run are told
            try:
                os.makedirs(os.path.join(self.root_dir, f"version_{version}"))
                break
            except FileExistsError:
                version += 1
        return version


def quieten() -> None:
    """Leave out what Lightning says that is known and harmless, is advertising, or is said better by the zoo."""
    for message in NOISE:
        warnings.filterwarnings("ignore", message)
    warnings.formatwarning = _in_one_line
    for name in CHATTY:
        logging.getLogger(f"lightning.pytorch.{name}").addFilter(_says_something)


def _in_one_line(message: Warning | str, *place: object, **line: object) -> str:
    """A warning without the place where it was raised, which tells a user nothing."""
    return f"warning: {message}\n"


def _says_something(record: logging.LogRecord) -> bool:
    return not any(phrase in record.getMessage() for phrase in CHATTER)
