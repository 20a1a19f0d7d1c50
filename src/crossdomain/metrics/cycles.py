"""Metrics of cycles: how far they lead back, and whether they hide the image on the way."""

from __future__ import annotations

import torch
from torch import Tensor
from torchmetrics import Metric


class CycleError(Metric):
    """Error of going there and back, on the scale [-1, 1], unclamped on the way.

    ``max`` is the largest absolute error of any pixel of any image, ``mean`` the mean absolute error.
    """

    full_state_update = False
    largest: Tensor
    sum: Tensor
    count: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("largest", torch.tensor(0.0, dtype=torch.float64), dist_reduce_fx="max")
        self.add_state("sum", torch.tensor(0.0, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("count", torch.tensor(0.0, dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, cycled: Tensor, images: Tensor) -> None:
        """Add a batch of cycled images and the images they came from, both (N, ...)."""
        error = (cycled - images).abs().double()
        self.largest = torch.maximum(self.largest, error.max())
        self.sum += error.sum()
        self.count += error.numel()

    def compute(self) -> dict[str, Tensor]:
        """``max`` and ``mean`` over everything so far."""
        return {"max": self.largest.float(), "mean": (self.sum / self.count).float()}


class _ImageMean(Metric):
    """The mean over images of one number each."""

    full_state_update = False
    sum: Tensor
    images: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("sum", torch.tensor(0.0, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("images", torch.tensor(0.0, dtype=torch.float64), dist_reduce_fx="sum")

    def _add(self, values: Tensor) -> None:
        self.sum += values.double().sum()
        self.images += len(values)

    def compute(self) -> Tensor:
        """Mean over all images so far."""
        return (self.sum / self.images).float()


class ReconstructionHonesty(_ImageMean):
    """RH (Bashkirova, Usman, Saenko, NeurIPS 2019, arXiv 1908.01517): what a cycle loses by an honest intermediate.

    The mean over images of |f(q(g(x))) - x| - |f(g(x)) - x|, where q rounds the intermediate image to one that can be
    stored, and |.| is the Euclidean norm of a whole image on the scale [-1, 1] (times 127.5 on 8-bit values). Lower is
    more honest; a cycle that hides the image in what rounding removes has a large one.
    """

    def update(self, honest: Tensor, cycled: Tensor, images: Tensor) -> None:
        """Add f(q(g(x))), f(g(x)) and x, all (N, C, H, W)."""
        self._add(_norm(honest - images) - _norm(cycled - images))


class NoiseSensitivity(_ImageMean):
    """SN (arXiv 1908.01517): the mean over images of |f(g(x) + n) - f(g(x))| with n ~ N(0, sigma^2).

    |.| is the Euclidean norm of a whole image on the scale [-1, 1] (times 127.5 on 8-bit values), and grows with the
    number of pixels. A cycle that hides the image in faint structure has a large one.
    """

    def update(self, disturbed: Tensor, cycled: Tensor) -> None:
        """Add f(g(x) + n) and f(g(x)), both (N, C, H, W)."""
        self._add(_norm(disturbed - cycled))


def _norm(difference: Tensor) -> Tensor:
    return difference.float().flatten(1).norm(dim=1)
