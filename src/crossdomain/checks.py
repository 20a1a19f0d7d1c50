"""Checks of arguments that many classes share, and what they raised."""

from __future__ import annotations


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


def reason(error: Exception) -> Exception:
    """What a constructor raised, which jsonargparse wraps in what it had asked for."""
    while "Union subtypes" in str(error) and isinstance(error.__cause__, Exception):
        error = error.__cause__
    return error
