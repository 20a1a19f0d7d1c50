"""Players: named groups of networks, of which one moves while the others stand still."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn


@contextmanager
def frozen(*networks: nn.Module) -> Iterator[None]:
    """Let losses computed inside flow through ``networks`` without moving them."""
    parameters = [p for network in networks for p in network.parameters() if p.requires_grad]
    for parameter in parameters:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_(True)


def detached(value: Any) -> Any:
    """Tensors in dicts, lists and tuples without their graphs."""
    if isinstance(value, Tensor):
        return value.detach()
    if isinstance(value, dict):
        return {key: detached(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        items = [detached(item) for item in value]
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)  # named tuples too
    return value


def check_players(game: Any) -> None:
    """Refuse players without a loss, or of modules that are not there.

    Args:
        game: a :class:`crossdomain.game.Game`, made.

    Raises:
        TypeError: names the player and what it lacks.
    """
    name = type(game).__name__
    if not isinstance(getattr(game, "players", None), dict):
        raise TypeError(f"{name} names no players.\nSet self.players in __init__, or to {{}} where nothing is trained.")
    modules = dict(game.named_modules())
    for player, owned in game.players.items():
        if missing := [module for module in owned if module not in modules]:
            raise TypeError(f"The player {player} of {name} owns {missing[0]!r}, but there is no such module.")
        if not callable(getattr(game, f"{player}_loss", None)):
            raise TypeError(f"The player {player} of {name} has no loss.\nDefine {player}_loss(batch, out).")
