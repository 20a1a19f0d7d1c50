"""Pictures of labels as class maps: each pixel is the class of the nearest palette colour."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

VOID = -1
"""The class of pixels that do not count."""


def nearest_class(images: Tensor, colours: Sequence[Sequence[int]], ignored: Sequence[Sequence[int]] = ()) -> Tensor:
    """The class of each pixel: the index of the nearest of ``colours``, by Euclidean distance in RGB.

    Nearest rather than equal, since files are JPEG-compressed and resized. A pixel between two areas may so take the
    class of a third, whose colour happens to lie between theirs. Of colours at the same distance the first counts.

    Args:
        images: (N, 3, H, W) in [-1, 1]; what lies outside is clamped.
        colours: red, green and blue of each class, 0 to 255.
        ignored: more colours; pixels nearest to one of these become ``VOID``. Given for truth, whose void areas do not
            count; left out for a prediction, which has to choose a class.

    Returns:
        int64 (N, H, W).

    Raises:
        ValueError: the images have no three channels.
    """
    if images.ndim != 4 or images.shape[1] != 3:
        raise ValueError(f"Labels by colour are (N, 3, H, W), but these images have shape {tuple(images.shape)}.")
    values = (images.float().clamp(-1, 1) + 1) * 127.5
    # Colour by colour: the distances to all at once would take as much memory as the images, times the classes.
    shortest = torch.full_like(values[:, 0], torch.inf)
    nearest = torch.zeros_like(shortest, dtype=torch.int64)
    for k, colour in enumerate([*colours, *ignored]):
        distance = (values - values.new_tensor(colour).view(3, 1, 1)).square().sum(1)
        nearest.masked_fill_(distance < shortest, k if k < len(colours) else VOID)
        shortest = torch.minimum(shortest, distance)
    return nearest


def nearest_colour(images: Tensor, colours: Sequence[Sequence[int]]) -> Tensor:
    """Pictures of labels with each pixel in the nearest of ``colours``: (N, 3, H, W) in [-1, 1] to the same shape."""
    values = torch.tensor(colours, dtype=images.dtype, device=images.device) / 127.5 - 1
    return values[nearest_class(images, colours)].permute(0, 3, 1, 2)
