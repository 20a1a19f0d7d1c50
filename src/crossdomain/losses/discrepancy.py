"""What says how far two sets of vectors or images are apart, without a critic."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor


class Discrepancy(ABC):
    """How far two samples are apart; 0, on average or exactly, where both are drawn from one distribution.

    Images are compared as vectors, pixel by pixel. All is computed in single precision, under autocast also, and in
    double where the samples are.
    """

    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        """A scalar, differentiable in both samples.

        Args:
            x: vectors (N, D) or images (N, C, H, W).
            y: of the same shape but for their number, (M, ...).

        Raises:
            ValueError: the shapes do not fit, or one of the samples is too small.
        """
        if x.ndim < 2 or x.shape[1:] != y.shape[1:] or x.numel() == 0 or y.numel() == 0:
            raise ValueError(
                f"{type(self).__name__}: the samples have shapes {tuple(x.shape)} and {tuple(y.shape)}.\n"
                "Expected (N, ...) and (M, ...), alike but for their number."
            )
        dtype = torch.promote_types(torch.promote_types(x.dtype, y.dtype), torch.float32)
        with torch.autocast(x.device.type, enabled=False):
            return self._between(x.flatten(1).to(dtype), y.flatten(1).to(dtype))

    @abstractmethod
    def _between(self, x: Tensor, y: Tensor) -> Tensor:
        """The same of vectors (N, D) and (M, D) in single precision or double."""


DiscrepancyFactory = Callable[[], Discrepancy]
"""Makes a discrepancy."""


def squared_distances(x: Tensor, y: Tensor) -> Tensor:
    """``|x_i - y_j|^2`` of (N, D) and (M, D): (N, M), at least 0, without a tensor of N x M x D.

    It is ``|x_i|^2 + |y_j|^2 - 2 x_i y_j`` of vectors that are centred first: distances do not change by that, but far
    from the origin the difference of large numbers would leave nothing of them in single precision.
    """
    centre = torch.cat([x, y]).mean(0).detach()
    x, y = x - centre, y - centre
    return (x.square().sum(1).unsqueeze(1) + y.square().sum(1) - 2 * x @ y.T).clamp_min(0)
