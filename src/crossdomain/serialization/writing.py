"""Writing checkpoints."""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

FORMAT = 1


def header(method: Any) -> dict[str, Any]:
    """The ``crossdomain`` entry of a checkpoint of ``method``, a :class:`crossdomain.method.Method`."""
    return {
        "format": FORMAT,
        "version": version("crossdomain"),
        "method": type(method).__name__,
        **method.spec.to_plain(),
        "rounds": method.rounds,
        "images_seen": method.images_seen,
    }


def write(method: Any, path: str | os.PathLike) -> None:
    """Write a method as it is, without a training around it: weights and what rebuilds it. Atomic.

    Args:
        method: a :class:`crossdomain.method.Method`.
        path: the file.
    """
    checkpoint = {
        "state_dict": method.state_dict(),
        "hyper_parameters": dict(method.hparams),
        "pytorch-lightning_version": version("lightning"),
        "crossdomain": header(method),
    }
    export(checkpoint, path)


def export(checkpoint: Mapping[str, Any], path: str | os.PathLike) -> None:
    """Write what loading needs and nothing that only resuming needs: hyperparameters, weights, header.

    Optimizers, loops, callbacks, random states and pools stay behind. The file is written atomically.
    """
    kept = {key: checkpoint[key] for key in ("state_dict", "hyper_parameters", "pytorch-lightning_version")}
    kept["crossdomain"] = {k: v for k, v in checkpoint["crossdomain"].items() if k != "processes"}
    write_plain(kept, path)


def write_plain(content: Any, path: str | os.PathLike) -> None:
    """Write plain values and tensors, for :func:`read_plain`. Atomic, and makes the folder."""
    if Path(path).is_dir():
        raise IsADirectoryError(f"{str(path)!r} is a folder, expected a file to write.")
    temporary = Path(f"{path}.part")
    temporary.parent.mkdir(parents=True, exist_ok=True)
    torch.save(content, temporary)
    temporary.replace(path)
