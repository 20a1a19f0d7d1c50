"""Options that methods hand on to :class:`crossdomain.game.Game`, for editors, type checkers and ``--help``."""

from __future__ import annotations

from typing import Literal

from typing_extensions import TypedDict

from crossdomain.optimization import OptimizerFactory, ScheduleFactory


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
