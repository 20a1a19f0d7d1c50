"""Runs that stop and go on: ``python tests/helpers/stopped_runs.py [RUNS]`` counts how many end as whole ones.

A small CycleGAN with dropout, batch norm, image pools, a schedule by epochs and a moving average trains for three
epochs of ten rounds, on random images that are known by their numbers.
"""

import logging
import os
import random
import signal
import struct
import sys
import tempfile
import time
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
        sampler = DrawSampler(self.dataset.lengths(), training=training, **ranks)
        return make_loader(self.dataset, sampler, batch_size=self.batch_size, num_workers=self.workers)

    def train_dataloader(self):
        return self._loader(True)

    def val_dataloader(self):
        return self._loader(False)


class Served(Callback):
    """Notes which images of a were trained on, by epoch; ends the run after a round, politely or by a signal."""

    def __init__(self, stop_after=None, by=None):
        self.epochs = {}
        self.stop_after = stop_after
        self.by = by

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.epochs.setdefault(trainer.current_epoch, []).extend(batch["number_a"].tolist())
        if pl_module.rounds == self.stop_after:
            if self.by is None:
                trainer.should_stop = True
            else:
                os.kill(os.getpid(), self.by)


NETWORKS = {
    "generator": partial(ResNetGenerator, width=2, blocks=1, norm="batch", dropout=0.2),
    "critic": partial(PatchCritic, width=2, layers=1, norm="none"),
}


def make_method(**options):
    return CycleGAN(1, **{"schedule": partial(LinearDecay, constant=1, decay=3), "pool_size": 6, **NETWORKS, **options})


def train(folder, resume=False, data=None, callbacks=(), method=None, every_n_rounds=None, **options):
    """Train to the end, or until something stops it; returns the trainer and what a whole run would equal."""
    seed_everything(0, verbose=False)
    method = method or make_method()
    served = next((callback for callback in callbacks if isinstance(callback, Served)), Served())
    checkpoint = RoundCheckpoint(every_n_rounds, directory=str(folder))
    options = {"max_epochs": EPOCHS, "limit_val_batches": 2, **options}
    trainer = Trainer(
        accelerator="cpu",
        devices=1,
        callbacks=[*dict.fromkeys([served, *callbacks]), GeneratorEMA(0.9), Evaluation(pictures=0), checkpoint],
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
        "pools": {name: pool.images for name, pool in method.pools().items()},
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


class StopAtValidation(EarlyStopping):
    """Stops at the validation after a round."""

    def __init__(self, round):
        super().__init__("val/cycle_mean_a", patience=1000)
        self.round = round

    def on_validation_end(self, trainer, pl_module):
        if pl_module.rounds >= self.round:
            trainer.should_stop = True


def ways(round):
    """How a run may end after a round: options of the run that does, and of the one that goes on."""
    return {
        "should_stop": ({"callbacks": [Served(round)]}, {}),
        "max_steps": ({"max_steps": 2 * round}, {"max_steps": -1}),
        "max_steps again": ({"max_steps": 2 * round}, {"max_steps": 2 * ROUNDS}),
        "validation": ({"callbacks": [StopAtValidation(round)], "val_check_interval": 1}, {"val_check_interval": 1}),
        "Ctrl-C": ({"callbacks": [Served(round, signal.SIGINT)]}, {}),
        "SIGTERM": ({"callbacks": [Served(round, signal.SIGTERM)]}, {}),
    }


def stop_and_go_on(folder, way, round):
    """What a run ends with that ended in this way before."""
    stop, go_on = ways(round)[way]
    status = None
    try:
        train(folder, **stop)
    except SystemExit as ending:
        status = ending.code
    assert status == {"Ctrl-C": 130, "SIGTERM": 143}.get(way)
    return train(folder, resume=True, **go_on)[1]


def killed_while_writing(folder, round):
    """Train in a process of its own, which is killed at some moment while it writes the checkpoint of ``round``."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        save = RoundCheckpoint._save

        def watched(self, trainer):
            if trainer.lightning_module.rounds == round:
                os.write(write, b"!")
            start = time.perf_counter()
            save(self, trainer)
            if trainer.lightning_module.rounds == round - 1:
                os.write(write, struct.pack("d", time.perf_counter() - start))

        RoundCheckpoint._save = watched
        train(folder, every_n_rounds=1)
        os._exit(0)
    (takes,) = struct.unpack("d", os.read(read, 8))
    os.read(read, 1)
    time.sleep(random.SystemRandom().uniform(0, takes))
    os.kill(child, signal.SIGKILL)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL
    os.close(read)
    os.close(write)


def images_of_both(folder, whole, round, batch_size):
    """Whether a run that goes on after ``round`` in batches of another size goes on with the next images."""
    before, _ = train(folder, callbacks=[Served(round)])
    after, _ = train(folder, resume=True, data=Numbered(batch_size))
    epoch, first = divmod(round, IMAGES // BATCH)
    left = (IMAGES - first * BATCH) // batch_size * batch_size
    expected = {e: order for e, order in whole.epochs.items() if e < epoch}
    expected[epoch] = whole.epochs[epoch][: first * BATCH + left]
    expected |= {e: whole.epochs[e][: IMAGES // batch_size * batch_size] for e in range(epoch + 1, EPOCHS)}
    found = {e: before.epochs.get(e, []) + after.epochs.get(e, []) for e in whole.epochs}
    return found == expected


def positions_of_all(position, processes, batch_size):
    """What several processes draw of an epoch after ``position`` images of it, in the order of the epoch."""
    drawn = []
    for rank in range(processes):
        sampler = DrawSampler((IMAGES, IMAGES), training=True, rank=rank, world_size=processes)
        loader = make_loader(Numbered().dataset, sampler, batch_size=batch_size)
        loader.load_state_dict({"epoch": 1, "positions": position, "total": IMAGES})
        drawn.append([int(number) for batch in loader for number in batch["number_a"]])
    return [number for together in zip(*drawn, strict=True) for number in together]


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
        folder = Path(folder)

        def count(name, run):
            good = sum(run(folder / name.replace(" ", "-") / str(number)) for number in range(runs))
            print(f"{name}: {good} of {runs}", flush=True)

        # First what forks: autograd's threads do not go with a fork.
        def killed(place):
            killed_while_writing(place, pick.randint(2, ROUNDS - 1))
            return (place / "last.ckpt").is_file()

        count("killed while writing", killed)
        served, whole = train(folder / "whole")
        resumed = (folder / "killed-while-writing").iterdir()
        print(f"of them equal: {sum(same(whole, train(place, resume=True)[1]) for place in resumed)}", flush=True)
        for way in ways(1):
            count(way, lambda place, way=way: same(whole, stop_and_go_on(place, way, pick.randint(1, ROUNDS - 1))))
        count(
            "other batches",
            lambda place: images_of_both(place, served, pick.randint(1, ROUNDS - 1), pick.choice([1, 2, 3, 5, 7, 9])),
        )

        def shared(place):
            position, processes, size = pick.randrange(0, IMAGES), pick.randint(1, 5), pick.randint(1, 4)
            left = (IMAGES - position) // processes // size * size * processes
            return positions_of_all(position, processes, size) == served.epochs[1][position : position + left]

        count("other processes", shared)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
