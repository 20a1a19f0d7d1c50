"""Trains a small method and kills itself at a round: ``killed_run.py METHOD FOLDER KILL_ROUND WORKERS DEVICES``.

It goes on from ``FOLDER/last.ckpt`` where there is one, and writes its final state to ``FOLDER/final.pt``.
"""

import logging
import os
import signal
import sys
import warnings
from functools import partial
from pathlib import Path

import torch
from lightning.pytorch import Callback, Trainer, seed_everything

from crossdomain.callbacks import GeneratorEMA, RoundCheckpoint
from crossdomain.datamodules import Digits
from crossdomain.flows import ImageFlow
from crossdomain.methods import AlignFlow, CycleGAN, DistanceGAN
from crossdomain.networks import ConvClassifier, PatchCritic, ResNetGenerator
from crossdomain.optimization import LinearDecay
from crossdomain.semantic import JointSemantics

CRITIC = partial(PatchCritic, width=4, layers=1, norm="none")
OPTIONS = {"critic": CRITIC, "schedule": partial(LinearDecay, constant=1, decay=3), "pool_size": 40}
METHODS = {
    "alignflow": lambda: AlignFlow(1, flow=partial(ImageFlow, scales=1, steps=2, width=8), **OPTIONS),
    "cyclegan": lambda: CycleGAN(
        1, generator=partial(ResNetGenerator, width=4, blocks=1, norm="batch", dropout=0.2), **OPTIONS
    ),
    "distancegan": lambda: DistanceGAN(
        1,
        direction="both",
        generator=partial(ResNetGenerator, width=4, blocks=1),
        guess_weight=2.0,
        cycle_noise=0.1,
        cycle_weight_a=10.0,
        cycle_weight_b=10.0,
        statistics_images=60,
        **OPTIONS,
    ),
    "joint": lambda: CycleGAN(
        1,
        generator=partial(ResNetGenerator, width=4, blocks=1),
        semantic=partial(JointSemantics, network=partial(ConvClassifier, width=4), gate=2.3),
        **OPTIONS,
    ),
}


class KillAt(Callback):
    """SIGKILL in the middle of things: after the round's updates, before anything else is told of its end."""

    def __init__(self, round):
        self.round = round

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        if pl_module.rounds == self.round and trainer.is_global_zero:
            if trainer.world_size > 1:  # the other processes go too, as when a machine goes down
                os.killpg(os.getpgid(0), signal.SIGKILL)
            os.kill(os.getpid(), signal.SIGKILL)


def main(name, folder, kill_round, workers, devices):
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    seed_everything(0)
    method = METHODS[name]()
    trainer = Trainer(
        max_epochs=3,
        accelerator="cpu",
        devices=devices,
        callbacks=[KillAt(kill_round), GeneratorEMA(0.9), RoundCheckpoint(every_n_rounds=3, directory=folder)],
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=folder,
    )
    last = Path(folder) / "last.ckpt"
    data = Digits(batch_size=60 // devices, num_workers=workers)
    trainer.fit(method, data, ckpt_path=last if last.is_file() else None, weights_only=True)
    pools = {key: pool.images for key, pool in method.pools().items()}
    rates = [optimizer.param_groups[0]["lr"] for optimizer in trainer.optimizers]
    final = {"weights": method.state_dict(), "pools": pools, "rates": rates, "rounds": method.rounds}
    final["random"] = torch.get_rng_state()
    final["metrics"] = {k: float(v) for k, v in trainer.callback_metrics.items() if k.startswith("val/")}
    torch.save(final, Path(folder) / f"final{trainer.global_rank}.pt")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], *map(int, sys.argv[3:6]))
