"""Runs that stop and go on, in one process: ``python tests/stopped_runs.py [RUNS]`` counts how many end as whole ones.

A small CycleGAN with dropout, batch norm, image pools, a schedule by epochs and a moving average trains for three
epochs of ten rounds, on random images that are known by their numbers.
"""

import logging
import random
import sys
import tempfile
import warnings
from functools import partial
from pathlib import Path

import torch
from lightning.pytorch import Callback, LightningDataModule, Trainer, seed_everything
from lightning.pytorch.callbacks import EarlyStopping

from crossdomain.callbacks import GeneratorEMA, RoundCheckpoint
from crossdomain.datamodules import DomainImages, DrawSampler, make_loader
from crossdomain.evaluation import Evaluation
from crossdomain.methods import CycleGAN
from crossdomain.networks import PatchCritic, ResNetGenerator
from crossdomain.optimization import LinearDecay

IMAGES, BATCH, EPOCHS = 40, 4, 3
ROUNDS = EPOCHS * IMAGES // BATCH


class Numbered(LightningDataModule):
    """Random images of both domains that have numbers, in ``world_size`` processes' shares."""

    def __init__(self, batch_size=BATCH, workers=0):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        shape = (IMAGES, 1, 8, 8)
        fields = [
            {
                d: torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator),
                f"number_{d}": torch.arange(IMAGES),
            }
            for d in "ab"
        ]
        self.dataset = DomainImages(*fields)
        self.batch_size = batch_size
        self.workers = workers

    def _loader(self, training):
        ranks = (
            {} if self.trainer is None else {"rank": self.trainer.global_rank, "world_size": self.trainer.world_size}
        )
        sampler = DrawSampler(*self.dataset.lengths(), training=training, **ranks)
        return make_loader(self.dataset, sampler, batch_size=self.batch_size, num_workers=self.workers)

    def train_dataloader(self):
        return self._loader(True)

    def val_dataloader(self):
        return self._loader(False)


class Served(Callback):
    """Notes which images of a were trained on, by epoch, and may stop the run."""

    def __init__(self, stop_after=None, how="should_stop"):
        self.epochs = {}
        self.stop_after = stop_after
        self.how = how

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.epochs.setdefault(trainer.current_epoch, []).extend(batch["number_a"].tolist())
        if pl_module.rounds == self.stop_after and self.how == "should_stop":
            trainer.should_stop = True


def make_method(**options):
    options = {"schedule": partial(LinearDecay, constant=1, decay=3), "pool_size": 6, **options}
    return CycleGAN(
        1,
        generator=partial(ResNetGenerator, width=2, blocks=1, norm="batch", dropout=0.2),
        critic=partial(PatchCritic, width=2, layers=1, norm="none"),
        **options,
    )


def train(folder, resume=False, data=None, callbacks=(), method=None, every_n_rounds=None, **options):
    """Train to the end, or until something stops it; returns the trainer and what a whole run would equal."""
    seed_everything(0, verbose=False)
    method = method or make_method()
    served = next((callback for callback in callbacks if isinstance(callback, Served)), None) or Served()
    checkpoint = RoundCheckpoint(every_n_rounds, directory=str(folder))
    options = {"max_epochs": EPOCHS, "limit_val_batches": 2, **options}
    trainer = Trainer(
        accelerator="cpu",
        devices=1,
        callbacks=[*{served: 0, **dict.fromkeys(callbacks)}, GeneratorEMA(0.9), Evaluation(pictures=0), checkpoint],
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        log_every_n_steps=1,
        default_root_dir=folder,
        **options,
    )
    last = Path(folder) / "last.ckpt"
    trainer.fit(method, data or Numbered(), ckpt_path=last if resume else None, weights_only=True)
    optimizers = [optimizer.state_dict() for optimizer in trainer.optimizers]
    state = {
        "weights": method.state_dict(),
        "pools": {name: pool.images for name, pool in method._pools().items()},
        "rates": [optimizer["param_groups"][0]["lr"] for optimizer in optimizers],
        "moments": [optimizer["state"] for optimizer in optimizers],
        "counters": [method.rounds, method.images_seen, trainer.current_epoch, trainer.global_step],
        "logged_steps": trainer.fit_loop.epoch_loop._batches_that_stepped,
        "random": torch.get_rng_state(),
    }
    return served, state


def same(first, second):
    """Whether nested dicts and lists of tensors and numbers are equal to the bit."""
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(same(value, second[key]) for key, value in first.items())
    if isinstance(first, list):
        return len(first) == len(second) and all(map(same, first, second))
    if isinstance(first, torch.Tensor):
        return isinstance(second, torch.Tensor) and torch.equal(first, second)
    return first == second


def differing(first, second):
    return [key for key in first if not same(first[key], second[key])]


class StopWhenSmall(EarlyStopping):
    """Stops at the validation after a round."""

    def __init__(self, round):
        super().__init__("val/cycle_mean_a", patience=1000)
        self.round = round

    def on_validation_end(self, trainer, pl_module):
        if pl_module.rounds >= self.round:
            trainer.should_stop = True


# How a run is ended within an epoch: options of the run that stops after a round, and of the run that goes on.
def ways(round):
    return {
        "should_stop": ({"callbacks": [Served(round)]}, {}),
        "max_steps": ({"max_steps": 2 * round}, {"max_steps": -1}),
        "max_steps twice": ({"max_steps": 2 * round}, {"max_steps": 2 * ROUNDS}),
        "validation": ({"callbacks": [StopWhenSmall(round)], "val_check_interval": 1}, {"val_check_interval": 1}),
        "limit": ({"callbacks": [Served(round)], "limit_train_batches": 10}, {"limit_train_batches": 10}),
    }


def quiet():
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    logging.getLogger("lightning.fabric").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)


def main(runs=20):
    quiet()
    pick = random.SystemRandom()
    with tempfile.TemporaryDirectory() as folder:
        _, whole = train(Path(folder) / "whole")
        for way in ways(1):
            good = 0
            for run in range(runs):
                round = pick.randint(1, ROUNDS - 1)
                stop, go_on = ways(round)[way]
                place = Path(folder) / way / str(run)
                train(place, **stop)
                _, state = train(place, resume=True, **go_on)
                good += same(whole, state)
                if not same(whole, state):
                    print(way, round, differing(whole, state))
            print(f"{way}: {good} of {runs} equal to the whole run", flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
