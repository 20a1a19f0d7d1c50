"""Augmentation: random changes of training images after which they still show the same."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor
from torch.nn import functional as F

from crossdomain.checks import at_least


class Augmentation(ABC):
    """Changes training images at random, each in its own way."""

    @abstractmethod
    def __call__(self, images: Tensor) -> Tensor:
        """Images (N, C, H, W) in [-1, 1] to the same shape."""


class RandomAffine(Augmentation):
    """Turns, stretches, shears and moves each image by a random affine map around its middle.

    A pixel at place x, with both coordinates from -1 to 1, takes the value at ``A x + t``, where ``A = I + deviation
    E``, the four entries of E are standard normal, and t is uniform within ``shift``. Between pixels values are
    bilinear; beyond the edge those of the edge go on. Draws come from PyTorch's global generator of the images' device.

    Args:
        deviation: standard deviation of each entry of A; 0 moves alone.
        shift: the longest move to either side, in half widths; 0 does not move.
    """

    def __init__(self, deviation: float = 0.1, shift: float = 0.125) -> None:
        at_least(0, self, deviation=deviation, shift=shift)
        self.deviation = deviation
        self.shift = shift

    def __call__(self, images: Tensor) -> Tensor:
        """Images (N, C, H, W) to the same shape.

        Raises:
            ValueError: they are vectors, which have no places.
        """
        if images.ndim != 4:
            raise ValueError(
                f"RandomAffine moves images (N, C, H, W), but these have shape {tuple(images.shape)}.\n"
                "Leave the augmentation out."
            )
        maps = torch.eye(2, 3, device=images.device).repeat(len(images), 1, 1)
        maps[:, :, :2] += self.deviation * torch.randn(len(images), 2, 2, device=images.device)
        maps[:, :, 2] += self.shift * (2 * torch.rand(len(images), 2, device=images.device) - 1)
        places = F.affine_grid(maps.to(images.dtype), list(images.shape), align_corners=False)
        return F.grid_sample(images, places, padding_mode="border", align_corners=False)
