"""Options that methods hand on to :class:`crossdomain.game.Game`, for editors, type checkers and ``--help``."""

from __future__ import annotations

from typing import Any, Literal

from lightning.pytorch.utilities import rank_zero_warn
from typing_extensions import TypedDict

from crossdomain import serialization
from crossdomain.optimization import OptimizerFactory, ScheduleFactory

OF_PLAYERS = {
    "generator": ("generator_optimizer", "generator_schedule", "generator_interval"),
    "critic": ("critic_optimizer", "critic_schedule", "critic_turns"),
}
"""Options that are those of a player, which not every game has."""


class TrainingOptions(TypedDict, total=False):
    """What every game takes but for the turns, of which a method may have a default of its own."""

    optimizer: OptimizerFactory
    schedule: ScheduleFactory | None
    schedule_interval: Literal["epoch", "step"]
    schedule_monitor: str | None
    generator_optimizer: OptimizerFactory | None
    critic_optimizer: OptimizerFactory | None
    generator_schedule: ScheduleFactory | None
    critic_schedule: ScheduleFactory | None
    generator_interval: int
    gradient_clip: float | None
    accumulate: int
    channels_last: bool
    compile_networks: bool


class GameOptions(TrainingOptions, total=False):
    """What every game takes, and methods hand on; :class:`crossdomain.game.Game` says what each is."""

    critic_turns: int


def warn_of_idle_ones(game: Any) -> None:
    """Say which options were given for players that a game (:class:`crossdomain.game.Game`) does not have."""
    defaults = serialization.parameters(type(game))
    for player, names in OF_PLAYERS.items():
        given = [name for name in names if name in defaults and getattr(game, name) != defaults[name].default]
        if given and player not in game.players:
            rank_zero_warn(f"{', '.join(given)}: {type(game).__name__} has no player {player}, so nothing changes.")
