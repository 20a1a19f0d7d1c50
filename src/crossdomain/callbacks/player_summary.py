"""Says what is trained, before the training."""

from __future__ import annotations

from typing import Any

import torch
from lightning.pytorch import Callback, Trainer


class PlayerSummary(Callback):
    """Prints the method, where it is trained and logged, and each player with its networks and parameters.

    Takes the place of Lightning's table of modules, which knows no players.
    """

    def on_fit_start(self, trainer: Trainer, pl_module: Any) -> None:
        """Print, on one process."""
        folder = trainer.log_dir if trainer.loggers else None  # which all processes have to ask for
        if not trainer.is_global_zero:
            return
        device = trainer.strategy.root_device
        where = f"{device} ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else str(device)
        processes = f", {trainer.world_size} processes" if trainer.world_size > 1 else ""
        logs = f", logs in {folder}" if folder else ""
        print(f"{type(pl_module).__name__} on {where}{processes}{logs}")
        print("\n".join(_players(pl_module)), flush=True)


def _players(module: Any) -> list[str]:
    """A line for each player; the last for weights that none of them moves, where there are any."""
    rows, left = [], {id(p): p.numel() for p in module.parameters()}
    for player, names in module.players.items():
        count = sum(left.pop(id(p), 0) for p in module.player_parameters(player))
        kinds: dict[str, list[str]] = {}
        for name in names:
            kinds.setdefault(type(module.get_submodule(name)).__name__, []).append(name)
        rows.append((player, count, ", ".join(f"{' and '.join(of)}: {kind}" for kind, of in kinds.items())))
    if left:
        rows.append(("no player", sum(left.values()), "not trained"))
    wide, digits = (max((len(row[0]) for row in rows), default=0), max((len(f"{row[1]:,}") for row in rows), default=0))
    return [f"  {player:{wide}}  {count:>{digits},} parameters  {networks}" for player, count, networks in rows]
