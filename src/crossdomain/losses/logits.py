"""What critics give out."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import reduce
from operator import add

import torch
from torch import Tensor

Logits = Tensor | list[Tensor]
"""What a critic gives out: logits (N, ...), or a list of those of several scales."""

Critic = Callable[[Tensor], Logits]
"""A network that scores images, or any function that does."""


def scales(logits: Logits) -> list[Tensor]:
    """The logits of each scale, in single precision at least: autocast would leave the means of losses to half.

    Raises:
        ValueError: neither a tensor nor a list of tensors. A tuple could as well be several heads, of which one alone
            tells real from generated, so it is not taken for scales.
    """
    found = logits if isinstance(logits, list) else [logits]
    for one in found:
        if not isinstance(one, Tensor):
            raise ValueError(
                f"A critic gave a {type(one).__name__}, but logits were expected: a tensor, or a list of one a scale.\n"
                "Of a critic with several heads, hand the objective the head that tells real from generated."
            )
    return [one.to(torch.promote_types(one.dtype, torch.float32)) for one in found]


def added_up(terms: Iterable[Tensor]) -> Tensor:
    """The sum of one or more tensors, in their order."""
    return reduce(add, terms)
