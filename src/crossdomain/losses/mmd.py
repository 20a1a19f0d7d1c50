"""Maximum mean discrepancy: how far two samples are apart in the means of all features that a kernel has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import torch
from torch import Tensor

from crossdomain.losses.discrepancy import Discrepancy, squared_distances

Estimator = Literal["unbiased", "biased", "linear"]
EXPONENTS = (-3, -2, -1, 0, 1)


def kernel_variances(x: Tensor, y: Tensor, exponents: Sequence[float] = EXPONENTS) -> Tensor:
    """Variances of several Gaussian kernels, on the scale of two samples: ``2^e`` times their mean squared distance.

    The mean is over all pairs of the joined sample, that of a vector with itself included: twice the sample's total
    variance, so it takes time in proportion to N + M.

    Args:
        x: (N, D).
        y: (M, D).
        exponents: one e for each kernel.

    Returns:
        One for each exponent, without gradient.
    """
    joined = torch.cat([x, y]).detach()
    spread = 2 * joined.var(0, correction=0).sum()
    # Where all vectors are one, any scale does, but 0 divides nothing.
    spread = spread.clamp_min(torch.finfo(spread.dtype).tiny * 1e6)
    return spread * torch.tensor([2.0**e for e in exponents], dtype=spread.dtype, device=spread.device)


def kernel_sum(squares: Tensor, variances: Sequence[float] | Tensor) -> Tensor:
    """``sum_u exp(-squares / (2 variances_u))``, in the shape of ``squares``: as many as there are kernels at 0."""
    return torch.stack([torch.exp(-0.5 * squares / variance) for variance in variances]).sum(0)


def mmd_squared(x: Tensor, y: Tensor, variances: Sequence[float] | Tensor, estimator: Estimator = "unbiased") -> Tensor:
    """The squared maximum mean discrepancy (Gretton et al., JMLR 2012) under a sum of Gaussian kernels k.

        MMD^2(P, Q) = E k(x, x') + E k(y, y') - 2 E k(x, y)

    ==============  ==================================================================================================
    ``unbiased``    means over all pairs of two different vectors; may be negative, so take no root of it
    ``biased``      means over all pairs, each vector with itself too: never negative, too large by O(1/N)
    ``linear``      ``(2/N) sum_i h(z_{2i-1}, z_{2i})``, with ``h = k(x, x') + k(y, y') - k(x, y') - k(x', y)``, over
                    neighbours in a sample of random order: unbiased, in time O(N) instead of O(N^2), with more variance
    ==============  ==================================================================================================

    Args:
        x: (N, D).
        y: (M, D); for ``linear`` N = M, the last of an odd number being left out.
        variances: sigma_u^2, one for each kernel ``exp(-|x - y|^2 / (2 sigma_u^2))``.
        estimator: how the means are estimated.

    Returns:
        A scalar, at most twice the number of kernels.

    Raises:
        ValueError: an unknown estimator, or fewer than two vectors (one, for ``biased``) in a sample.
    """
    if estimator not in get_args(Estimator):
        raise ValueError(f"estimator is {estimator!r}, but has to be one of {', '.join(get_args(Estimator))}.")
    n, m = len(x), len(y)
    if min(n, m) < 2 and estimator != "biased":
        raise ValueError(f"MMD, estimator {estimator}: the samples have {n} and {m} vectors, but need two at least.")
    if estimator == "linear":
        return _linear(x, y, variances)
    within_x, within_y, between = (kernel_sum(squared_distances(*pair), variances) for pair in ((x, x), (y, y), (x, y)))
    if estimator == "biased":
        return within_x.mean() + within_y.mean() - 2 * between.mean()
    pairs_x, pairs_y = ((kernels.sum() - kernels.trace()) for kernels in (within_x, within_y))
    return pairs_x / (n * (n - 1)) + pairs_y / (m * (m - 1)) - 2 * between.mean()


def _linear(x: Tensor, y: Tensor, variances: Sequence[float] | Tensor) -> Tensor:
    if len(x) != len(y):
        raise ValueError(
            f"MMD, estimator linear: the samples have {len(x)} and {len(y)} vectors, but it takes them in pairs.\n"
            "Give two of one size, or take the estimator unbiased."
        )
    even = len(x) // 2 * 2
    first_x, next_x, first_y, next_y = x[:even:2], x[1:even:2], y[:even:2], y[1:even:2]

    def k(one: Tensor, other: Tensor) -> Tensor:
        return kernel_sum((one - other).square().sum(1), variances)

    return (k(first_x, next_x) + k(first_y, next_y) - k(first_x, next_y) - k(next_x, first_y)).mean()


class MMD(Discrepancy):
    """Multi-kernel MMD as deep adaptation networks have it (Long et al., ICML 2015, arXiv 1502.02791).

    :func:`mmd_squared` under Gaussian kernels of the variances ``2^e`` times the batch's mean squared distance, without
    gradient (:func:`kernel_variances`); each kernel has weight 1. One kernel alone has no gradient for vectors that are
    many deviations apart.

    Args:
        estimator: ``unbiased``, ``biased`` or ``linear``, whose batches are to be of one size.
        exponents: one e for each kernel.
    """

    def __init__(self, estimator: Estimator = "unbiased", exponents: Sequence[float] = EXPONENTS) -> None:
        if estimator not in get_args(Estimator):
            raise ValueError(f"MMD: estimator is {estimator!r}, expected {', '.join(get_args(Estimator))}.")
        if not exponents:
            raise ValueError("MMD: exponents are none.\nGive one for each kernel, such as -3, -2, -1, 0, 1.")
        self.estimator: Estimator = estimator
        self.exponents = tuple(exponents)

    def _between(self, x: Tensor, y: Tensor) -> Tensor:
        return mmd_squared(x, y, kernel_variances(x, y, self.exponents), self.estimator)
