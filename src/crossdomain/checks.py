"""Checks of arguments that many classes share, and what messages say of them."""

from __future__ import annotations

import os
import re
from difflib import get_close_matches
from pathlib import Path


def at_least(minimum: float, owner: object, **numbers: float) -> None:
    """Refuse arguments below ``minimum``, and those that are not a number.

    Args:
        minimum: the smallest value that works.
        owner: whose arguments they are, for the message.
        numbers: the arguments by name.

    Raises:
        ValueError: names the class, the argument and its value.
    """
    for name, number in numbers.items():
        if not number >= minimum:
            raise ValueError(f"{type(owner).__name__}: {name} is {number}, but has to be at least {minimum}.")


def can_write(folder: str | os.PathLike) -> None:
    """Refuse a folder that cannot be made or written to, before the work whose result it is for.

    Raises:
        NotADirectoryError: it, or what it lies in, is a file.
        PermissionError: it, or what it would be made in, may not be written to.
    """
    existing = next(path for path in (Path(folder), *Path(folder).absolute().parents) if path.exists())
    if not existing.is_dir():
        raise NotADirectoryError(f"{str(existing)!r} is a file, expected a folder.")
    if not os.access(existing, os.W_OK):
        raise PermissionError(f"The folder {str(existing)!r} may not be written to.")


def reason(error: Exception) -> Exception:
    """What a constructor or data raised, which jsonargparse wraps in what it had asked for."""
    while re.search("Union subtypes|Call to compute_fn", str(error)) and isinstance(error.__cause__, Exception):
        error = error.__cause__
    return error


def near(name: str, choices: list[str], count: int = 3, within: str = "", otherwise: str = "none, see --help") -> str:
    """The choices nearest to ``name``, for an error message; all of them when none is near and they are few.

    What they all lie ``within`` is put before each; where none is near and they are many, ``otherwise`` is said.
    """
    close = get_close_matches(name, choices, count, cutoff=0.5)
    shown = close or (sorted(choices) if len(choices) <= 8 else [])
    return ", ".join(within + choice for choice in shown) or otherwise
