"""Checkpoints that the authors' own code wrote, read into the zoo's methods, and the way back."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from crossdomain.method import Method
from crossdomain.methods import BiCycleGAN, CycleGAN, Pix2Pix
from crossdomain.official import alignflow, bicyclegan, cyclegan, pix2pix
from crossdomain.official.files import State, Way
from crossdomain.serialization import write_plain

Reader = Callable[[Sequence[str], "Way | None", "bool | None"], Method]
"""Makes a method from files, the direction of one that goes one way, and whether a U-Net has dropout."""

ORIGINS: dict[str, Reader] = {
    "alignflow": alignflow.read,
    "pix2pix": pix2pix.read,
    "cyclegan": cyclegan.read,
    "bicyclegan": bicyclegan.read,
}
"""What can be imported, by the name of the official code."""

EXPORTS: dict[str, tuple[type[Method], Callable[[Any], dict[str, State]]]] = {
    "pix2pix": (Pix2Pix, pix2pix.write),
    "cyclegan": (CycleGAN, cyclegan.write),
    "bicyclegan": (BiCycleGAN, bicyclegan.write),
}
"""What can be exported, by the name of the official code: the method, and what names its weights."""


def import_official(
    files: str | os.PathLike | Sequence[str | os.PathLike],
    origin: str,
    direction: Way | None = None,
    dropout: bool | None = None,
) -> Method:
    """Read the authors' published weights into a method of the zoo; architecture and sizes come from the files.

    - ``alignflow``: a checkpoint of a Flow2Flow (github.com/ermongroup/alignflow) becomes an :class:`AlignFlow` with
      two :class:`RealNVP`. Latents and densities are the official ones. Translations are not: the official code ends
      with a tanh that is not the inverse of its logit and adds noise in test also, ours ends with the true inverse.
    - ``pix2pix`` (github.com/junyanz/pytorch-CycleGAN-and-pix2pix): G, and D where it is given.
    - ``cyclegan`` (the same): G_A and G_B, and D_A and D_B where they are given; or one generator, which becomes a
      :class:`CycleGAN` that translates one way and cannot be trained.
    - ``bicyclegan`` (github.com/junyanz/BicycleGAN): G and E, and D and D2 where they are given.

    Critics that are not given start anew, with a warning; only further training needs them.

    Args:
        files: one file or several, in any order. What each is, its name says (``latest_net_G_A.pth``), or its content
            where a model has one such network; ``G_A=PATH`` overrules both.
        origin: one of ``ORIGINS``.
        direction: ``a2b`` (the default) or ``b2a``: which way a model goes that goes one way.
        dropout: whether a U-Net has dropout, which files do not tell. When left out, as the official code trains:
            pix2pix and BicycleGAN with it, CycleGAN without.

    Returns:
        The method in evaluation mode; ``serialization.write`` saves it.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the origin is not known, or a file is not what it should be, or one is missing.
    """
    if origin not in ORIGINS:
        raise ValueError(f"Nothing is known of {origin!r}. Known: {', '.join(ORIGINS)}.")
    if direction not in (None, "a2b", "b2a"):
        raise ValueError(f"direction is {direction!r}, but has to be 'a2b' or 'b2a'.")
    paths = [str(file) for file in ([files] if isinstance(files, (str, os.PathLike)) else files)]
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)  # critics that start anew are the same each time
            return ORIGINS[origin](paths, direction, dropout).eval()
    except (KeyError, RuntimeError) as error:
        what = str(error).splitlines()
        holds = f"{paths[0]!r} does not hold" if len(paths) == 1 else f"{', '.join(paths)} do not hold"
        raise ValueError(
            f"{holds} the weights of {origin} as its official code writes them.\n"
            f"The first that is wrong: {what[min(1, len(what) - 1)].strip()}"
        ) from None


def export_official(method: Method, folder: str | os.PathLike, origin: str | None = None) -> list[Path]:
    """Write a method's weights as the authors' code does, ``latest_net_ROLE.pth``, so that it loads them.

    Critics that the official code cannot have are left out, with a warning.

    Args:
        method: a :class:`Pix2Pix`, :class:`CycleGAN` or :class:`BiCycleGAN` of the official networks.
        folder: where to write; made when it is missing.
        origin: one of ``EXPORTS``; that of the method when left out.

    Returns:
        The files.

    Raises:
        FileExistsError: one of the files is there already; nothing is written.
        ValueError: the official code has no such method, generator or encoder.
    """
    name = type(method).__name__
    own = next((origin for origin, (cls, _) in EXPORTS.items() if type(method) is cls), None)
    if own is None or origin not in (None, own):
        goal = "an official code" if origin is None else repr(origin)
        can = ", ".join(cls.__name__ for cls, _ in EXPORTS.values())
        can = f"What can be: {can}." if own is None else f"It can be exported to {own!r}."
        raise ValueError(f"This {name} cannot be exported to {goal}.\n{can}")
    states = EXPORTS[own][1](method)
    paths = {role: Path(folder) / f"latest_net_{role}.pth" for role in states}
    for path in paths.values():
        if path.exists():
            raise FileExistsError(f"{str(path)!r} is there already.\nGive a folder without it.")
    for role, path in paths.items():
        write_plain({key: value.cpu().contiguous() for key, value in states[role].items()}, path)
    return list(paths.values())
