"""Trains and validates on several processes, no strategy named: ``two_processes.py METHOD FOLDER``.

Each rank writes its weights after training on two processes to ``FOLDER/rank<N>.pt``; the metrics of the saved method,
validated on as many processes as there are, go to ``FOLDER/metrics<PROCESSES>.pt``. With ``DEVICES`` as a third
argument the checkpoint is only validated.
"""

import logging
import sys
import warnings
from pathlib import Path

import torch
from killed_run import METHODS
from lightning.pytorch import Trainer, seed_everything

from crossdomain import serialization
from crossdomain.callbacks import PlayerSummary, Progress
from crossdomain.datamodules import Digits, DomainImages


class OddDigits(Digits):
    """Digits whose val split has odd sizes."""

    def split(self, name):
        dataset = super().split(name)
        if name != "val":
            return dataset
        sizes = (51, 37)
        cut = [{k: v[:n] for k, v in fields.items()} for fields, n in zip(dataset.fields, sizes, strict=True)]
        return DomainImages(*cut)


def main(name, folder, devices=None):
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    seed_everything(0)
    options = {"accelerator": "cpu", "logger": False, "enable_model_summary": False}
    options["callbacks"] = [Progress(), PlayerSummary()]
    path = Path(folder) / "method.ckpt"
    if devices is None:
        method = METHODS[name]()
        trainer = Trainer(devices=2, max_epochs=2, limit_train_batches=5, enable_checkpointing=False, **options)
        trainer.fit(method, OddDigits(batch_size=30))
        torch.save(method.state_dict(), Path(folder) / f"rank{trainer.global_rank}.pt")
        trainer.save_checkpoint(path)
        devices = 2
    else:
        trainer = Trainer(devices=devices, **options)
        method = serialization.rebuild(serialization.read(path))
    (metrics,) = trainer.validate(method, OddDigits(batch_size=7), verbose=False)
    if trainer.is_global_zero:
        torch.save(metrics, Path(folder) / f"metrics{devices}.pt")


if __name__ == "__main__":
    main(*sys.argv[1:3], *map(int, sys.argv[3:]))
