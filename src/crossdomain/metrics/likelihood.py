"""Metrics of models with a likelihood: bits per dimension, and how far a flow stretches and squeezes."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torchmetrics import Metric


class BitsPerDim(Metric):
    """Bits needed per dimension of a stored image, from the log-density of its dequantized values, or its probability.

    With images in [-1, 1], made of ``levels`` values and spread over their bins of width ``2 / levels``, a density
    ``p`` gives ``-log2 p / D + log2(levels / 2)``. All constants are included. The probability ``P`` of the stored
    values themselves gives ``-log2 P / D``.

    Args:
        levels: how many values a pixel can take; 256 for 8-bit images. None where log-probabilities of stored values
            are added, not log-densities.
    """

    full_state_update = False
    nats: Tensor
    count: Tensor

    def __init__(self, levels: int | None = 256) -> None:
        super().__init__()
        self.bin_bits = 0.0 if levels is None else math.log2(levels / 2)
        self.add_state("nats", torch.tensor(0.0, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("count", torch.tensor(0.0, dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, log_prob: Tensor, dimensions: int) -> None:
        """Add log-densities on the scale [-1, 1], or log-probabilities, (N,) in nats, of ``dimensions`` values each."""
        self.nats += log_prob.double().sum()
        self.count += log_prob.numel() * dimensions

    def compute(self) -> Tensor:
        """Mean over all dimensions so far."""
        return (-self.nats / (self.count * math.log(2.0)) + self.bin_bits).float()


# Beyond this many values an image's Jacobian takes gigabytes, and its singular values minutes.
LARGEST_JACOBIAN = 4096


class JacobianExtremes(Metric):
    """Logarithms of the smallest and the largest singular value of a flow's Jacobian dz/dx, over the images seen.

    A model trained by a critic alone can have a good-looking generator with a nearly singular Jacobian, and then a
    likelihood that says nothing (Flow-GAN, arXiv 1705.08868, section 4). In double precision, on a copy of the flow.

    Args:
        images: how many images to look at; those after the first so many are passed over.
    """

    full_state_update = False
    seen: Tensor
    lowest: Tensor
    highest: Tensor

    def __init__(self, images: int = 4) -> None:
        super().__init__()
        self.images = images
        self.add_state("seen", torch.tensor(0), dist_reduce_fx="sum")
        self.add_state("lowest", torch.tensor(math.inf, dtype=torch.float64), dist_reduce_fx="min")
        self.add_state("highest", torch.tensor(-math.inf, dtype=torch.float64), dist_reduce_fx="max")

    def update(self, flow: nn.Module, images: Tensor) -> None:
        """Look at ``images`` (N, C, H, W), of which ``flow`` makes latents and ``log_det``."""
        images = images[: max(self.images - int(self.seen), 0)]
        if len(images):
            # Lightning evaluates in inference mode, out of which no gradient comes.
            with torch.inference_mode(False):
                exact = copy.deepcopy(flow).double()
                values = log_singular_values(lambda x: exact(x)[0], images.double().clone())
            self.seen += len(images)
            self.lowest = torch.minimum(self.lowest, values.min())
            self.highest = torch.maximum(self.highest, values.max())

    def compute(self) -> dict[str, Tensor]:
        """``min`` and ``max``."""
        return {"min": self.lowest.float(), "max": self.highest.float()}


@torch.enable_grad()
def log_singular_values(function: Callable[[Tensor], Tensor], images: Tensor, rows: int = 64) -> Tensor:
    """Logarithms of the singular values of the Jacobian of ``function`` at each image, largest first.

    The Jacobian is dense: autograd gives it row by row, ``rows`` at a time, from as many copies of the image. So
    ``function`` must treat the images of a batch separately.

    Args:
        function: maps (N, C, H, W) to as many values for each image.
        images: (N, C, H, W), of at most 4,096 values each.
        rows: copies of an image that run together.

    Returns:
        (N, D) for images of D values.
    """
    size = images[0].numel()
    if size > LARGEST_JACOBIAN:
        raise ValueError(
            f"The Jacobian of images {tuple(images.shape[1:])} has {size} rows, but at most {LARGEST_JACOBIAN} are "
            "supported.\nUse smaller images, or leave trainer.callbacks.jacobian out."
        )
    found = []
    for image in images.detach():
        parts = []
        for outputs in torch.arange(size, device=images.device).split(rows):
            copies = image.expand(len(outputs), *image.shape).clone().requires_grad_()
            chosen = function(copies).flatten(1).gather(1, outputs[:, None])
            parts.append(torch.autograd.grad(chosen.sum(), copies)[0].flatten(1))
        found.append(torch.linalg.svdvals(torch.cat(parts)).log())
    return torch.stack(found)
