"""Distances of distributions of images, seen through the features of a network."""

from __future__ import annotations

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from crossdomain.losses.logits import added_up

BLOCK = 1024  # rows of a kernel matrix that are in memory at once


def frechet_distance(x: Tensor, y: Tensor) -> Tensor:
    """Frechet distance of two normal distributions, with the means and covariances of two samples.

        |mu_x - mu_y|^2 + tr(S_x + S_y - 2 (S_x S_y)^(1/2))

    It is FID (Heusel et al., arXiv 1706.08500) when the features are Inception's. Small samples make it too large: it
    compares methods at equal numbers of images only.

    Args:
        x: float64 (N, D), N at least 2.
        y: float64 (M, D), M at least 2.
    """
    # With centred rows over sqrt(N - 1) = Q R, S is R^T R, and the trace of (S_x S_y)^(1/2) is the sum of the singular
    # values of R_x R_y^T: no square root of a covariance is needed, which may be singular.
    roots = [torch.linalg.qr((s - s.mean(0)) / (len(s) - 1) ** 0.5, mode="r").R for s in (x, y)]
    overlap = torch.linalg.matrix_norm(roots[0] @ roots[1].T, "nuc")
    spread = sum(root.square().sum() for root in roots)
    return (x.mean(0) - y.mean(0)).square().sum() + spread - 2 * overlap


def kernel_distance(x: Tensor, y: Tensor) -> Tensor:
    """Unbiased estimate of the squared maximum mean discrepancy under the kernel k(u, v) = (u . v / D + 1)^3.

    It is KID (Binkowski et al., arXiv 1801.01401) when the features are Inception's, with all images in one estimate
    where KID averages over random subsets. It may be below 0.

    Args:
        x: float64 (N, D), N at least 2.
        y: float64 (M, D), M at least 2.
    """

    def mean_of_pairs(sample: Tensor) -> Tensor:
        itself = _kernel(sample.square().sum(1), sample.shape[1]).sum()
        return (_kernel_sum(sample, sample) - itself) / (len(sample) * (len(sample) - 1))

    return mean_of_pairs(x) + mean_of_pairs(y) - 2 * _kernel_sum(x, y) / (len(x) * len(y))


def _kernel(product: Tensor, dimensions: int) -> Tensor:
    return (product / dimensions + 1) ** 3


def _kernel_sum(x: Tensor, y: Tensor) -> Tensor:
    return added_up(_kernel(block @ y.T, y.shape[1]).sum() for block in x.split(BLOCK))


class FeatureDistance(Metric):
    """Distances of translated images to real ones by a network's features: ``frechet_judge`` and ``kernel_judge``.

    They are :func:`frechet_distance` and :func:`kernel_distance`, computed in float64; NaN below two images of a kind.
    All features are kept, 4 D bytes for each image.
    """

    full_state_update = False
    dimensions: Tensor
    real: list[Tensor]
    translated: list[Tensor]

    def __init__(self) -> None:
        super().__init__()
        # Features are kept flat: a process without images then holds a tensor of as many dimensions as the others'.
        self.add_state("real", [], dist_reduce_fx="cat")
        self.add_state("translated", [], dist_reduce_fx="cat")
        self.add_state("dimensions", torch.tensor(1), dist_reduce_fx="max")

    def update(self, features: Tensor, real: bool) -> None:
        """Add features (N, D), of real images or of translated ones."""
        self.dimensions.fill_(features.shape[1])
        (self.real if real else self.translated).append(features.float().flatten())

    def compute(self) -> dict[str, Tensor]:
        """Both distances over everything so far."""
        samples = [self._sample(state) for state in (self.translated, self.real)]
        if min(map(len, samples)) < 2:
            nan = torch.tensor(torch.nan, device=self.device)
            return {"frechet_judge": nan, "kernel_judge": nan}
        return {
            "frechet_judge": frechet_distance(*samples).float(),
            "kernel_judge": kernel_distance(*samples).float(),
        }

    def _sample(self, state: Tensor | list[Tensor]) -> Tensor:
        flat = dim_zero_cat(state) if len(state) else torch.empty(0, device=self.device)
        return flat.double().view(-1, int(self.dimensions))
