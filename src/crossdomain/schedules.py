"""Learning rate schedules of players: making them, and going on with those of a checkpoint or with new ones."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from lightning.pytorch.utilities import rank_zero_warn
from lightning.pytorch.utilities.types import LRSchedulerConfigType
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from crossdomain import optimization, progress

if TYPE_CHECKING:
    from crossdomain.game import Game

LONGEST_PLAN = 200_000
"""Intervals that are looked ahead for a rate of 0, one by one; a longer plan would keep the training waiting."""


def make_schedule(game: Game, player: str, optimizer: Optimizer) -> LRSchedulerConfigType | None:
    """The schedule of ``player`` as Lightning takes it, or None where its rate is constant.

    Raises:
        ValueError: it follows a metric, and none is named.
    """
    make = game.factory(player, "schedule")
    if make is None:
        return None
    schedule = make(optimizer)
    if isinstance(schedule, ReduceLROnPlateau) and game.schedule_monitor is None:
        raise ValueError(
            f"The schedule of {player} is ReduceLROnPlateau, which follows a metric, but none is named.\n"
            "Give model.schedule_monitor, such as val/mse_a2b; where more is better, also model.schedule.mode max."
        )
    return {"scheduler": schedule, "name": f"{player}_learning_rate"}


def of_intervals(game: Game) -> Iterator[LRScheduler]:
    """The schedules that count intervals."""
    schedules = (config.scheduler for config in game.trainer.lr_scheduler_configs)
    return (schedule for schedule in schedules if not isinstance(schedule, ReduceLROnPlateau))


def of_metrics(game: Game) -> list[ReduceLROnPlateau]:
    """The schedules that follow a metric."""
    schedules = (config.scheduler for config in game.trainer.lr_scheduler_configs)
    return [schedule for schedule in schedules if isinstance(schedule, ReduceLROnPlateau)]


def advance(schedule: LRScheduler) -> None:
    """One interval further. Torch warns where the player has not moved yet, as players that sit out rounds may not."""
    if schedule.last_epoch > 0:
        schedule.step()
        return
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*lr_scheduler.step.*")
        schedule.step()


def _intervals_done(game: Game) -> int:
    return progress.epochs_done(game.trainer) if game.schedule_interval == "epoch" else game.rounds


def compare_options(game: Game, checkpoint: dict[str, Any]) -> Resumption | None:
    """Which optimizers and schedules are not those of ``checkpoint``, which the game's own then replace.

    Args:
        game: about to go on from the checkpoint.
        checkpoint: changed in place, so that Lightning restores what stays, and nothing else.
    """
    before, now = checkpoint.get("hyper_parameters", {}), game.hparams

    def chosen(options: Mapping[str, Any], player: str, kind: str) -> Any:
        semantic = options.get("semantic")  # may bring a player, the classifier, with an optimizer of its own
        brought = semantic.get("init_args", {}) if player == "classifier" and isinstance(semantic, Mapping) else {}
        return options.get(f"{player}_{kind}") or brought.get(kind) or options.get(kind)

    def differs(player: str, kind: str) -> bool:
        return bool(chosen(before, player, kind) != chosen(now, player, kind))

    optimizers = [player for player in game.players if differs(player, "optimizer")]
    anew = {player for player in game.players if differs(player, "schedule")} | set(optimizers)
    if before.get("schedule_interval", "epoch") != now.get("schedule_interval", "epoch"):
        anew |= game.players.keys()
    if not anew:
        return None
    scheduled = [player for player in game.players if chosen(before, player, "schedule") is not None]
    stored = dict(zip(scheduled, checkpoint["lr_schedulers"], strict=True))
    checkpoint["lr_schedulers"] = []
    for player, state in zip(game.players, checkpoint["optimizer_states"], strict=True):
        make = game.factory(player, "optimizer")
        if player in optimizers and not optimization.takes_state(make, state):
            state["state"] = {}
            rank_zero_warn(f"The optimizer of {player} is of another kind than the checkpoint's: it starts afresh.")
    return Resumption(optimizers, {player: state for player, state in stored.items() if player not in anew})


class Resumption:
    """What a resumed game takes from its own options instead of the checkpoint's.

    Args:
        optimizers: players whose optimizers have other options than the checkpoint's.
        kept: states of the schedules that stay as they were, by player.
    """

    def __init__(self, optimizers: list[str], kept: dict[str, dict[str, Any]]) -> None:
        self.optimizers = optimizers
        self.kept = kept

    def take_place(self, game: Game) -> None:
        """Give optimizers the game's options, and make schedules anew, at the interval where they would stand."""
        configs = iter(game.trainer.lr_scheduler_configs)
        for player, optimizer in zip(game.players, game.trainer.optimizers, strict=True):
            make = game.factory(player, "schedule")
            if player in self.optimizers:
                optimization.take_options(optimizer, game.factory(player, "optimizer"))
            elif player not in self.kept:
                for group in optimizer.param_groups:
                    group["lr"] = group.get("initial_lr", group["lr"])
            if make is None:
                continue
            config = next(configs)
            if player in self.kept:
                config.scheduler.load_state_dict(self.kept[player])
                continue
            for group in optimizer.param_groups:
                group.pop("initial_lr", None)
            config.scheduler = make(optimizer)
            if not isinstance(config.scheduler, ReduceLROnPlateau):
                for _ in range(_intervals_done(game)):
                    advance(config.scheduler)


def warn_of_idle_ones(game: Game) -> None:
    """Say before training for how many of its last epochs a schedule leaves no learning rate."""
    trainer = game.trainer
    epochs = trainer.max_epochs
    if epochs is None or epochs < 0 or trainer.num_training_batches == float("inf"):
        return
    by_epoch = game.schedule_interval == "epoch"
    first, last = _intervals_done(game), epochs if by_epoch else epochs * int(trainer.num_training_batches)
    if not first < last <= LONGEST_PLAN:
        return
    idle: dict[int, list[str]] = {}
    for player in game.players:
        make_schedule = game.factory(player, "schedule")
        if make_schedule is not None:
            make = game.factory(player, "optimizer")
            idle.setdefault(optimization.idle_intervals(make, make_schedule, first, last), []).append(player)
    for count, players in idle.items():
        if count:
            rank_zero_warn(
                f"The schedule of {' and '.join(players)} leaves a learning rate of 0 in the last {count} of "
                f"{last - first} {'epochs' if by_epoch else 'rounds'}, where nothing is learned. Give a longer "
                "schedule, such as a larger model.schedule.decay, or a lower trainer.max_epochs."
            )
