"""How far two sets of vectors are apart, by a logistic critic, without a min-max game.

The dual adversarial distance (Usman, Saenko, Kulis; ICLR 2018 workshop, arXiv 1707.04046). A critic
is a logistic regression w on features phi, with a ridge of weight lambda. As a generator's loss its likelihood is

    d(A, B) = max over w of  sum_i log s(w phi(a_i)) + sum_j log s(-w phi(b_j)) - (lambda / 2) |w|^2

with s the logistic function. That a generator minimises a maximum makes training a game. The dual is a minimum itself,

    d(A, B) = min over 0 <= alpha, beta <= 1 of
              |sum_i alpha_i phi(a_i) - sum_j beta_j phi(b_j)|^2 / (2 lambda) + H(alpha) + H(beta)
    H(alpha) = sum_i alpha_i log alpha_i + (1 - alpha_i) log(1 - alpha_i)

so moving A and choosing alpha and beta is one minimisation. The least value, -(n_A + n_B) log 2, is reached where the
critic cannot tell: A = B, all weights 1/2. Only products of features occur, so any kernel will do.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

Kernel = Callable[[Tensor, Tensor], Tensor]
"""Products of features: (N, D) and (M, D) to (N, M), positive definite."""

NEWTON_STEPS = 200


def linear_kernel(x: Tensor, y: Tensor) -> Tensor:
    """``x_i y_j``: the critic sees means alone."""
    return x @ y.T


class GaussianKernel:
    """``exp(-|x_i - y_j|^2 / (2 bandwidth^2))``: the critic sees whole distributions.

    Args:
        bandwidth: above 0; the median distance between vectors is a usual choice.
    """

    def __init__(self, bandwidth: float = 1.0) -> None:
        if bandwidth <= 0:
            raise ValueError(f"bandwidth is {bandwidth}, but has to be above 0.")
        self.bandwidth = bandwidth

    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        """(N, M) in (0, 1]."""
        squares = (x.unsqueeze(1) - y.unsqueeze(0)).square().sum(2)  # not cdist, whose gradient at 0 is none
        return torch.exp(-0.5 * squares / self.bandwidth**2)


def _gram(a: Tensor, b: Tensor, weight: float, kernel: Kernel) -> Tensor:
    """Products of all features of (a, -b), (n_A + n_B) x (n_A + n_B)."""
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1] or weight <= 0:
        raise ValueError(
            f"a has shape {tuple(a.shape)}, b {tuple(b.shape)} and weight is {weight}; "
            "expected (N, D), (M, D) and a weight above 0."
        )
    both = torch.cat([a, b])
    sign = torch.cat([a.new_ones(len(a)), -b.new_ones(len(b))])
    return sign.unsqueeze(1) * kernel(both, both) * sign


def _dual(gram: Tensor, alpha: Tensor, weight: float) -> Tensor:
    entropy = torch.special.xlogy(alpha, alpha) + torch.special.xlogy(1 - alpha, 1 - alpha)
    return alpha @ gram @ alpha / (2 * weight) + entropy.sum()


def dual_objective(
    a: Tensor, b: Tensor, alpha_a: Tensor, alpha_b: Tensor, weight: float = 1.0, kernel: Kernel = linear_kernel
) -> Tensor:
    """What the dual minimises, differentiable in everything: for descending on a map of ``a`` and on alpha together.

    Args:
        a: (N, D).
        b: (M, D).
        alpha_a: (N,) in [0, 1], such as the sigmoid of free parameters.
        alpha_b: (M,) in [0, 1].
        weight: lambda.
        kernel: products of features.

    Returns:
        A number in nats, at least the distance.
    """
    return _dual(_gram(a, b, weight, kernel), torch.cat([alpha_a, alpha_b]), weight)


@torch.no_grad()
def dual_weights(a: Tensor, b: Tensor, weight: float = 1.0, kernel: Kernel = linear_kernel) -> tuple[Tensor, Tensor]:
    """The optimal alpha (N,) and beta (M,), float64: one minus the critic's probability of the truth, for each vector.

    The dual is strictly convex. Newton's method runs on the logits of alpha, where there are no bounds, with halved
    steps where a whole one does not descend.

    Args:
        a: (N, D).
        b: (M, D).
        weight: lambda.
        kernel: products of features.
    """
    gram = _gram(a.double(), b.double(), weight, kernel)
    logits, identity = gram.new_zeros(len(gram)), torch.eye(len(gram)).to(gram)
    for _ in range(NEWTON_STEPS):
        alpha = logits.sigmoid()
        residual = logits + gram @ alpha / weight  # the gradient with respect to alpha
        step = torch.linalg.solve(identity + gram / weight * (alpha * (1 - alpha)), residual)
        decrement = (residual * alpha * (1 - alpha) * step).sum()
        if decrement < 1e-20 * len(gram):
            break
        size, value = 1.0, _dual(gram, alpha, weight)
        while size > 1e-6 and _dual(gram, (logits - size * step).sigmoid(), weight) > value - 1e-4 * size * decrement:
            size /= 2
        logits = logits - size * step
    return tuple(logits.sigmoid().split([len(a), len(b)]))


def dual_adversarial_distance(a: Tensor, b: Tensor, weight: float = 1.0, kernel: Kernel = linear_kernel) -> Tensor:
    """d(A, B) by its dual, differentiable in ``a`` and ``b``.

    At the optimal weights their own gradient is zero, so that of the distance is that of the dual with these weights.

    Args:
        a: (N, D).
        b: (M, D).
        weight: lambda, the critic's ridge.
        kernel: products of features.

    Returns:
        A number in nats, from -(N + M) log 2 (the critic cannot tell a from b) to 0.

    Raises:
        ValueError: the shapes do not fit, or the weight is not above 0.
    """
    alpha_a, alpha_b = dual_weights(a, b, weight, kernel)
    return dual_objective(a.double(), b.double(), alpha_a, alpha_b, weight, kernel)


@torch.no_grad()
def primal_adversarial_distance(a: Tensor, b: Tensor, weight: float = 1.0, kernel: Kernel = linear_kernel) -> Tensor:
    """d(A, B) by training the critic: the same number as :func:`dual_adversarial_distance`, by the other way.

    Newton's method for logistic regression, on features that a decomposition of the kernel's products gives.

    Args:
        a: (N, D).
        b: (M, D).
        weight: lambda, the critic's ridge.
        kernel: products of features.
    """
    values, vectors = torch.linalg.eigh(_gram(a.double(), b.double(), weight, kernel))
    features = vectors * values.clamp_min(0).sqrt()

    def likelihood(w: Tensor) -> Tensor:
        return logsigmoid(features @ w).sum() - 0.5 * weight * w @ w

    critic = features.new_zeros(len(features))
    for _ in range(NEWTON_STEPS):
        wrong = torch.sigmoid(-features @ critic)
        gradient = features.T @ wrong - weight * critic
        hessian = (features.T * (wrong * (1 - wrong))) @ features + weight * torch.eye(len(features)).to(features)
        step = torch.linalg.solve(hessian, gradient)
        if gradient @ step < 1e-20 * len(features):
            break
        size, value = 1.0, likelihood(critic)
        while size > 1e-6 and likelihood(critic + size * step) < value + 1e-4 * size * (gradient @ step):
            size /= 2
        critic = critic + size * step
    return likelihood(critic)
