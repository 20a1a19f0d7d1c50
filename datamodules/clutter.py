"""Digits as house numbers show them: in colours, between parts of other digits, unevenly lit."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

CONTRAST = 0.25  # least difference in brightness between a digit and its ground
BRIGHTNESS = np.array([0.299, 0.587, 0.114])  # of red, green and blue
NEIGHBOUR = 0.75  # probability of one, on either side
GAP = (10, 13)  # pixels of 16 from the middle of a digit to that of its neighbour
LIGHT = 0.2  # most that a gradient adds at one edge, and takes away at the other
NOISE = 0.04  # standard deviation


def clutter(ink: Tensor, indices: Sequence[int]) -> Tensor:
    """Colour digits, put parts of others of them to their left and right, light them unevenly, and add noise.

    A digit and its ground have random colours that differ in brightness, whichever is the brighter; its neighbours have
    the digit's own. All that is drawn for a digit depends on its index alone; its neighbours are some of ``ink``.

    Args:
        ink: (N, 1, H, W) in [0, 1], 1 where there is ink.
        indices: which digit each one is.

    Returns:
        (N, 3, H, W) in [0, 1].
    """
    return torch.stack([_one(ink, place, index) for place, index in enumerate(indices)])


def _one(ink: Tensor, place: int, index: int) -> Tensor:
    draw = np.random.default_rng([3, index])
    digit, (height, width) = ink[place, 0], ink.shape[2:]
    for side in (-1, 1):
        neighbour, gap = ink[int(draw.integers(len(ink))), 0], draw.integers(*GAP, endpoint=True)
        if draw.random() < NEIGHBOUR:
            digit = torch.maximum(digit, _moved(neighbour, side * round(width * gap / 16)))
    ground, colour = draw.random((2, 3))
    while abs((colour - ground) @ BRIGHTNESS) < CONTRAST:
        ground, colour = draw.random((2, 3))
    ground, colour = (torch.tensor(values, dtype=ink.dtype).view(3, 1, 1) for values in (ground, colour))
    angle, strength = draw.uniform(0, 2 * np.pi), draw.uniform(0, LIGHT)
    y, x = torch.linspace(-1, 1, height).view(-1, 1), torch.linspace(-1, 1, width)
    light = strength * (np.cos(angle) * x + np.sin(angle) * y)
    noise = torch.from_numpy(draw.normal(0, NOISE, (3, height, width))).to(ink.dtype)
    return (ground + (colour - ground) * digit + light + noise).clamp(0, 1)


def _moved(image: Tensor, right: int) -> Tensor:
    """An image (H, W) moved to the right, or to the left where ``right`` is negative, without what leaves it."""
    moved = torch.zeros_like(image)
    if right > 0:
        moved[:, right:] = image[:, :-right]
    else:
        moved[:, :right] = image[:, -right:]
    return moved
