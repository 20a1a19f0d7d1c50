"""Metrics of manipulation: whether an output takes one attribute from a reference, and nothing else."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torchmetrics import Metric

FLAT = 1e-6  # deviation, in degrees or shares of a height, below which numbers are all alike


# --- attributes that a picture shows ---------------------------------------------------------------------------


def _moments(images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Variances across and down, and covariance, of the places (N, C, H, W) brighter than the middle of [-1, 1].

    In pixels; 0 where nothing is. A pixel is a square of evenly spread places, so a single one has the variance 1/12.
    """
    mask = (images.float().mean(1) > 0).double()
    across = torch.arange(mask.shape[2], device=mask.device, dtype=mask.dtype)
    down = torch.arange(mask.shape[1], device=mask.device, dtype=mask.dtype).unsqueeze(1)
    count = mask.sum((1, 2))

    def mean(values: Tensor) -> Tensor:
        return (mask * values).sum((1, 2)) / count.clamp_min(1)

    x, y = across - mean(across).view(-1, 1, 1), down - mean(down).view(-1, 1, 1)
    own = (count > 0) / 12
    return mean(x * x) + own, mean(y * y) + own, mean(x * y)


def rotation(images: Tensor) -> Tensor:
    """How far what images show leans to the left, (N,) in degrees from -90 to 90; 0 where they show nothing.

    The angle between the vertical and the long axis of the ellipse that has the second moments of all places brighter
    than 0. It has the period 180, and grows as a picture turns counterclockwise.

    Args:
        images: (N, C, H, W) in [-1, 1], bright on dark.
    """
    across, down, both = _moments(images)
    return torch.rad2deg(torch.atan2(2 * both, down - across) / 2)


def size(images: Tensor) -> Tensor:
    """How large what images show is, (N,): the root of the area of the same ellipse, as a share of the height.

    Args:
        images: (N, C, H, W) in [-1, 1], bright on dark.
    """
    across, down, both = _moments(images)
    area = 4 * math.pi * (across * down - both * both).clamp_min(0).sqrt()
    return area.sqrt() / images.shape[2]


class Measure(NamedTuple):
    """How an attribute is read off a picture: images (N, C, H, W) to (N,), and its period where it is an angle."""

    of: Callable[[Tensor], Tensor]
    period: float | None = None


MEASURES = {"rotation": Measure(rotation, 180.0), "size": Measure(size)}
"""Attributes that can be read off a picture without a network, by the names that data gives them."""


# --- metrics ---------------------------------------------------------------------------------------------------


class ClassPreservation(Metric):
    """Acc of PuppetGAN (arXiv 1901.10024): how often a classifier f sees the class of the image in an output,

        Acc = p(f(R(a, b)) = f(a)).

    It is 1 where images are left alone, so it means nothing without :class:`ReferenceCorrelation`.
    """

    full_state_update = False
    right: Tensor
    outputs: Tensor

    def __init__(self) -> None:
        super().__init__()
        for name in ("right", "outputs"):
            self.add_state(name, torch.tensor(0.0, dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, outputs: Tensor, images: Tensor) -> None:
        """Add the classes that f sees in M outputs of each image, (N, M), and in the images, (N,)."""
        self.right += (outputs == images.unsqueeze(1)).double().sum()
        self.outputs += outputs.numel()

    def compute(self) -> Tensor:
        """Share of all outputs so far, in [0, 1]."""
        return (self.right / self.outputs).float()


class ReferenceCorrelation(Metric):
    """r of PuppetGAN (arXiv 1901.10024): how an attribute of outputs follows one of their references.

    For each image a Pearson's correlation over its references b, of the attribute measured in R(a, b) with K attributes
    of b; then the mean over images. With the attribute of interest of b this is r_attr, best 1, and with the others,
    by ``magnitude``, r_rest, best 0; what the paper's r_rest is exactly is not known. Where all outputs of an image, or
    all its references, are alike, the correlation counts as 0.

    Args:
        period: of measured values that are angles; they are then taken relative to their circular mean over an image's
            references, so that none jumps from one end of the period to the other.
        attributes: K.
        magnitude: give the absolute values of the means, averaged over the attributes.
    """

    full_state_update = False
    sum: Tensor
    images: Tensor

    def __init__(self, period: float | None = None, attributes: int = 1, magnitude: bool = False) -> None:
        super().__init__()
        self.period = period
        self.magnitude = magnitude
        self.add_state("sum", torch.zeros(attributes, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("images", torch.tensor(0.0, dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, measured: Tensor, given: Tensor) -> None:
        """Add the attribute measured in M outputs of each image, (N, M), and attributes of references, (N, M, K)."""
        measured, given = measured.double(), given.double()
        if self.period is not None:
            turns = measured * (2 * math.pi / self.period)
            middle = torch.atan2(turns.sin().mean(1, True), turns.cos().mean(1, True)) * (self.period / (2 * math.pi))
            measured = (measured - middle + self.period / 2) % self.period
        x, y = measured - measured.mean(1, keepdim=True), given - given.mean(1, keepdim=True)
        covariance = (x.unsqueeze(2) * y).mean(1)
        deviation, of_given = x.square().mean(1, True).sqrt(), y.square().mean(1).sqrt()
        varied = (deviation > FLAT) & (of_given > FLAT)
        self.sum += torch.where(varied, covariance / (deviation * of_given), 0.0).sum(0)
        self.images += len(measured)

    def compute(self) -> Tensor:
        """Mean over all images so far, and over the K attributes; in [-1, 1], with ``magnitude`` in [0, 1]."""
        means = self.sum / self.images
        return (means.abs() if self.magnitude else means).mean().float()


class RestDeviation(Metric):
    """V_rest of PuppetGAN (arXiv 1901.10024): how unlike outputs are whose references differ in the rest alone.

    The variance of a pixel, on the scale [0, 1], over the outputs for one image by R references of one value of the
    attribute of interest (with R - 1 in the denominator); the root of its mean over pixels, values and images. Best 0.
    That the paper's is a deviation as well follows from its figures: one is 0.33, and no variance on [0, 1] is above
    0.25; whether roots come before or after the mean is not known.
    """

    full_state_update = False
    sum: Tensor
    images: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("sum", torch.tensor(0.0, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("images", torch.tensor(0.0, dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, outputs: Tensor) -> None:
        """Add outputs (N, T, R, C, H, W) on [-1, 1] of N images, by T values with R >= 2 references each."""
        if outputs.shape[2] < 2:
            raise ValueError("RestDeviation compares references of one value; it needs at least 2 of them.")
        self.sum += ((outputs.double() + 1) / 2).var(2).flatten(1).mean(1).sum()
        self.images += len(outputs)

    def compute(self) -> Tensor:
        """Over all images so far, in [0, 0.71]."""
        return (self.sum / self.images).sqrt().float()
