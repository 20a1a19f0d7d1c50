"""Starting from the weights of another checkpoint."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from crossdomain.serialization.reading import read


@dataclass(frozen=True)
class Transfer:
    """What :func:`transfer` took from a checkpoint and what not, by the names of weights; ``str`` tells it briefly.

    Attributes:
        loaded: weights that the method has from the checkpoint now.
        missing: weights of the method that the checkpoint lacks; they stay as they were.
        unexpected: weights of the checkpoint that the method lacks; they are left out.
        reshaped: weights of both whose shapes differ, the method's and the checkpoint's; they stay as they were.
    """

    loaded: tuple[str, ...]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    reshaped: dict[str, tuple[torch.Size, torch.Size]]

    def __str__(self) -> str:
        total = len(self.loaded) + len(self.missing) + len(self.reshaped)
        shapes = [f"{name} {tuple(mine)}, there {tuple(theirs)}" for name, (mine, theirs) in self.reshaped.items()]
        rest = {
            "not in the checkpoint, so as they were": self.missing,
            "not in the method, so left out": self.unexpected,
            "of another shape, so as they were": shapes,
        }
        lines = [f"{len(self.loaded)} of {total} weights loaded"]
        lines += [f"{len(names)} {what}: {_first(names)}" for what, names in rest.items() if names]
        return "\n  ".join(lines)


def _first(names: Sequence[str], count: int = 3) -> str:
    return ", ".join([*names[:count], *(["..."] if len(names) > count else [])])


def transfer(checkpoint: Mapping[str, Any], method: Any) -> Transfer:
    """Load the weights of ``checkpoint`` into a method that was made otherwise, where names and shapes agree.

    Weights alone are taken: neither hyperparameters nor counters nor optimizers. What was loaded is entered in
    ``method.pretrained``, which ``prepare`` leaves as it is.

    Args:
        checkpoint: as :func:`read` returns it, of this method or another one.
        method: a :class:`crossdomain.method.Method`.

    Raises:
        ValueError: none of the method's parameters is in the checkpoint.
    """
    mine, theirs = method.state_dict(), checkpoint["state_dict"]
    common = [name for name in mine if name in theirs]
    fitting = {name: theirs[name] for name in common if mine[name].shape == theirs[name].shape}
    if not fitting.keys() & dict(method.named_parameters()).keys():
        entry = checkpoint["crossdomain"]
        raise ValueError(
            f"No weights fit: the checkpoint holds a {entry['method']} for {entry['channels']} channels,\n"
            f"this is a {type(method).__name__} for {list(method.channels.values())}.\n"
            "Start from a checkpoint whose networks are the same, or set the options of the networks to its own."
        )
    method.load_state_dict(fitting, strict=False)
    method.pretrained = frozenset(fitting)
    return Transfer(
        loaded=tuple(fitting),
        missing=tuple(name for name in mine if name not in theirs),
        unexpected=tuple(name for name in theirs if name not in mine),
        reshaped={name: (mine[name].shape, theirs[name].shape) for name in common if name not in fitting},
    )


def take_network(path: str | os.PathLike[str], option: str, network: nn.Module, name: str = "network") -> None:
    """Load all weights of one network of a checkpoint into another network of the same layers.

    Args:
        path: the checkpoint.
        option: whose value that is, for messages.
        network: what takes the weights.
        name: what the network is called in the checkpoint; ``network`` is what a classifier classifies by.

    Raises:
        FileNotFoundError: there is no such checkpoint.
        ValueError: it cannot be read, or its network is none of the same layers; names the first weight that differs.
    """
    checkpoint = read(path)
    known, prefix = checkpoint["state_dict"], f"{name}."
    theirs = {key.removeprefix(prefix): value for key, value in known.items() if key.startswith(prefix)}
    mine = network.state_dict()
    shapes = [{key: tuple(value.shape) for key, value in weights.items()} for weights in (mine, theirs)]
    if shapes[0] != shapes[1]:
        differing = next(key for key in {**mine, **theirs} if shapes[0].get(key) != shapes[1].get(key))
        here, there = (str(found.get(differing, "absent")) for found in shapes)
        raise ValueError(
            f"{option} is {str(path)!r}, whose {checkpoint['crossdomain']['method']} does not fit the "
            f"{type(network).__name__} here:\n{prefix}{differing} is {there} there, {here} here.\n"
            f"Give model.{name}, channels and classes as the checkpoint has them, or another checkpoint."
        )
    network.load_state_dict(theirs)
