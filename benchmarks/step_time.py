"""What the shared training step costs beyond its networks.

Times rounds of a recipe's method under the Trainer against a bare PyTorch loop over the same networks, losses and
batch, turn about in one process, and prints the median of each and the median of the pairs' differences and ratios:

    python benchmarks/step_time.py --config alignflow
    python benchmarks/step_time.py --config cyclegan --size 64 --batch 16 --precision bf16-mixed
    python benchmarks/step_time.py --config cyclegan --size 128 --batch 1 --channels 3 \
        --set generator.width=64 generator.blocks=6 generator.norm=instance critic.width=64 critic.layers=3

The bare loop calls ``generate`` and the losses of a copy of the method and steps its optimizers, each player's networks
frozen while others move, and does nothing else: no Trainer, no logging, no callbacks. The Trainer logs every 50 rounds
and guards against losses that are no number, as the command does.
"""

import argparse
import copy
import logging
import resource
import statistics
import time
import warnings
from functools import partial

import torch
import yaml
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.cli import instantiate_module
from torch.utils.data import DataLoader, Dataset

import crossdomain.methods  # noqa: F401
from crossdomain import hub
from crossdomain.callbacks import NonFiniteGuard
from crossdomain.method import Method


class OneBatch(Dataset):
    """The same batch, again and again."""

    def __init__(self, batch, length):
        self.batch, self.length = batch, length

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        return self.batch


def make_method(recipe, channels, settings):
    """The method of a recipe, with options such as ``generator.blocks=6`` replaced."""
    config = hub.read_recipe(hub.find_recipe(recipe))["model"]
    arguments = config["init_args"]
    for setting in settings:
        *path, last = setting.partition("=")[0].split(".")
        at = arguments
        for name in path:
            at = at[name]["init_args"]
        at[last] = yaml.safe_load(setting.partition("=")[2])
    arguments |= {"channels_a": channels, "channels_b": channels}
    return instantiate_module(Method, {"_class_path": config["class_path"], **arguments})


def bare_round(method, optimizers, batch, precision):
    """One round without Lightning: the same calls, nothing around them; a player moves once or not at all."""
    networks = {player: method.player_parameters(player) for player in method.players}
    with torch.autocast(batch["a"].device.type, torch.bfloat16, enabled=precision == "bf16-mixed"):
        turns = {player: method.turns(player, method.rounds) for player in method.players}
        with torch.set_grad_enabled(turns[method.generating_player] > 0):
            out = method.generate(batch)
        for player, optimizer in optimizers.items():
            if turns[player] == 0:
                continue
            for other, parameters in networks.items():
                for parameter in parameters:
                    parameter.requires_grad_(other == player)
            given = out if player == method.generating_player else {k: v.detach() for k, v in out.items()}
            loss = sum(getattr(method, f"{player}_loss")(batch, given).values())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    for parameters in networks.values():
        for parameter in parameters:
            parameter.requires_grad_(True)


def turn_about(steps, rounds, warm_up=5):
    """Seconds of each call of several functions, by name; they take turns, so that all see the same load."""
    times = {name: [] for name in steps}
    for number in range(warm_up + rounds):
        for name, step in steps.items():
            start = now()
            step()
            if number >= warm_up:
                times[name].append(now() - start)
    return times


def time_turn_about(methods, batch, precision, rounds, warm_up=5):
    """Seconds of bare rounds of several methods, turn about, by name; a time is the mean of three rounds in a row.

    Three, since the players of a method may take turns in so many rounds (DiscoGAN).
    """

    def three_rounds(method, optimizers):
        for _ in range(3):
            bare_round(method, optimizers, batch, precision)
            method.rounds += 1

    steps = {}
    for name, method in methods.items():
        method.prepare([batch])
        optimizers = dict(zip(method.players, method.configure_optimizers()[0], strict=True))
        steps[name] = partial(three_rounds, method, optimizers)
    return {name: [seconds / 3 for seconds in times] for name, times in turn_about(steps, rounds, warm_up).items()}


class Stopwatch(Callback):
    """Notes when each round begins and ends, waiting for the GPU where there is one."""

    def __init__(self, between):
        self.between, self.rounds, self.started = between, [], 0.0

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        if batch_idx == 0:
            self.started = now()

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        end = now()
        self.rounds.append(end - self.started)
        self.between()
        self.started = now()  # from here: what Lightning does between two rounds counts as the next one's


def now():
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default="alignflow")
    parser.add_argument("--size", type=int, default=16)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--channels", type=int, default=1)
    parser.add_argument("--precision", choices=["32-true", "bf16-mixed"], default="32-true")
    parser.add_argument("--pairs", type=int, default=7, help="pairs of blocks, one under the Trainer and one bare")
    parser.add_argument("--rounds", type=int, default=10, help="rounds in each block")
    parser.add_argument("--set", nargs="*", default=[], metavar="OPTION=VALUE", help="options of the method")
    options = parser.parse_args()
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore")

    torch.manual_seed(0)
    method = make_method(options.config, options.channels, options.set)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    bare = copy.deepcopy(method).to(device)
    optimizers = dict(zip(bare.players, bare.configure_optimizers()[0], strict=True))
    shape = (options.batch, options.channels, options.size, options.size)
    images = {domain: torch.randint(0, 256, shape) / 127.5 - 1 for domain in "ab"}
    batch = {domain: value.to(device) for domain, value in images.items()}
    if bare.channels_last:
        bare.to(memory_format=torch.channels_last)
        batch = {domain: value.contiguous(memory_format=torch.channels_last) for domain, value in batch.items()}

    bare_times = []
    done = 0

    def between():
        nonlocal done
        done += 1
        if done % options.rounds == 0:  # a block of bare rounds after each block under the Trainer
            for _ in range(options.rounds):
                start = now()
                bare_round(bare, optimizers, batch, options.precision)
                bare_times.append(now() - start)

    stopwatch = Stopwatch(between)
    warm_up = 1
    trainer = Trainer(
        max_epochs=1,
        accelerator=device,
        devices=1,
        precision=options.precision,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[NonFiniteGuard(), stopwatch],
    )
    rounds = options.rounds * (options.pairs + warm_up)
    trainer.fit(method, DataLoader(OneBatch(images, rounds), batch_size=None))

    def blocks(times):
        size = options.rounds
        return [statistics.median(times[i : i + size]) for i in range(warm_up * size, len(times), size)]

    ours, theirs = blocks(stopwatch.rounds), blocks(bare_times)
    difference = statistics.median(a - b for a, b in zip(ours, theirs, strict=True))
    ratio = statistics.median(a / b for a, b in zip(ours, theirs, strict=True))
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    if device == "cuda":
        memory = torch.cuda.max_memory_allocated() / 2**30
    print(f"{options.config} {options.precision} on {device}, {options.batch} x {options.channels} x {options.size} px")
    for name, times in (("training step", ours), ("bare loop", theirs)):
        seconds = statistics.median(times)
        print(f"  {name:14}{1000 * seconds:9.1f} ms/round {options.batch / seconds:9.1f} images/s")
    print(f"  difference    {1000 * difference:+9.2f} ms/round, ratio {ratio:.3f} (medians of {len(ours)} pairs)")
    print(f"  peak memory of both together {memory:.2f} GiB")


if __name__ == "__main__":
    main()
