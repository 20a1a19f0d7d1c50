"""f-divergences as f-GAN takes them: what generates each, and how a critic's logits bound it from below."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor
from torch.nn import functional as F

DivergenceName = Literal[
    "kl",
    "reverse_kl",
    "pearson",
    "neyman",
    "squared_hellinger",
    "jensen_shannon",
    "gan",
    "total_variation",
    "alpha",
]

_LARGEST_EXPONENT = 20.0


class Divergence(NamedTuple):
    """An f-divergence ``D_f(p || q) = E_q f(p / q)``, and the bound of it that a critic with logits v gives:

        D_f(p || q) >= E_p g(v) - E_q f*(g(v))

    f is convex on the positive numbers, ``f*(t) = sup_u (u t - f(u))`` its conjugate, and the output activation g maps
    any logit to where f* is finite. The two sides are equal where ``g(v) = f'(p / q)``.

    Attributes:
        f: f(u), of density ratios.
        activation: g(v), of logits.
        conjugate: f*(g(v)), also of logits: g(v) is rounded just where f* is steep, so the two are never composed.
        logit: the best critic's logits v, of density ratios: ``g(logit(u)) = f'(u)``.
    """

    f: Callable[[Tensor], Tensor]
    activation: Callable[[Tensor], Tensor]
    conjugate: Callable[[Tensor], Tensor]
    logit: Callable[[Tensor], Tensor]


def _exp(x: Tensor, power: float = 1.0) -> Tensor:
    """``e(x)^power``, where e is exp, continued by its tangent from 20 on.

    So no logit overflows, and the gradient of one that is far out still leads back. The bounds hold as before, for
    density ratios from e^-20 to e^20.
    """
    bounded = x.clamp(max=_LARGEST_EXPONENT)
    return (power * bounded).exp() * (1 + x - bounded).pow(power)


_DIVERGENCES = {
    "kl": Divergence(
        f=lambda u: torch.xlogy(u, u),
        activation=lambda v: v,
        conjugate=lambda v: _exp(v - 1),
        logit=lambda u: 1 + u.log(),
    ),
    "reverse_kl": Divergence(
        f=lambda u: -u.log(),
        activation=lambda v: -_exp(-v),
        conjugate=lambda v: v - 1,
        logit=lambda u: u.log(),
    ),
    "pearson": Divergence(
        f=lambda u: (u - 1).square(),
        activation=lambda v: v,
        conjugate=lambda v: v.square() / 4 + v,
        logit=lambda u: 2 * (u - 1),
    ),
    "neyman": Divergence(
        f=lambda u: (1 - u).square() / u,
        activation=lambda v: 1 - _exp(-v),
        conjugate=lambda v: 2 - 2 * _exp(-v, 0.5),
        logit=lambda u: 2 * u.log(),
    ),
    "squared_hellinger": Divergence(
        f=lambda u: (u.sqrt() - 1).square(),
        activation=lambda v: 1 - _exp(-v),
        conjugate=lambda v: _exp(v) - 1,
        logit=lambda u: u.log() / 2,
    ),
    "jensen_shannon": Divergence(
        f=lambda u: torch.xlogy(u, u) - (u + 1) * ((1 + u) / 2).log(),
        activation=lambda v: math.log(2) - F.softplus(-v),
        conjugate=lambda v: F.softplus(v) - math.log(2),
        logit=lambda u: u.log(),
    ),
    "gan": Divergence(
        f=lambda u: torch.xlogy(u, u) - (u + 1) * (u + 1).log(),
        activation=lambda v: -F.softplus(-v),
        conjugate=lambda v: F.softplus(v),
        logit=lambda u: u.log(),
    ),
    "total_variation": Divergence(
        f=lambda u: (u - 1).abs() / 2,
        activation=lambda v: v.tanh() / 2,
        conjugate=lambda v: v.tanh() / 2,
        logit=lambda u: 20 * (u - 1).sign(),  # the best is infinite, and tanh(20) is 1 already
    ),
}


def _alpha_divergence(alpha: float) -> Divergence:
    """``f(u) = (u^alpha - 1 - alpha (u - 1)) / (alpha (alpha - 1))``.

    From ``t = f'(u) = (u^(alpha - 1) - 1) / (alpha - 1)`` follow ``u^(alpha - 1) = s`` with ``s = 1 + (alpha - 1) t``,
    and ``f*(t) = u t - f(u) = (u^alpha - 1) / alpha``. Above alpha = 1, t is the logit itself, and u is 0 where s is
    negative. Below, s has to be positive, and is ``e^-v``, as f-GAN has it for the squared Hellinger and Neyman's.
    """
    power = alpha / (alpha - 1)  # u^alpha = s^power

    def f(u: Tensor) -> Tensor:
        return (u.pow(alpha) - 1 - alpha * (u - 1)) / (alpha * (alpha - 1))

    if alpha > 1:
        return Divergence(
            f=f,
            activation=lambda v: v,
            conjugate=lambda v: (F.relu(1 + (alpha - 1) * v).pow(power) - 1) / alpha,
            logit=lambda u: (u.pow(alpha - 1) - 1) / (alpha - 1),
        )
    return Divergence(
        f=f,
        activation=lambda v: (1 - _exp(-v)) / (1 - alpha),
        conjugate=lambda v: ((_exp(-v, power) if alpha < 0 else _exp(-power * v)) - 1) / alpha,
        logit=lambda u: (1 - alpha) * u.log(),
    )


def f_divergence(name: DivergenceName, alpha: float | None = None) -> Divergence:
    """The divergence of a name.

    ==================== =============================================== ====================
    name                 f(u)                                            g(v)
    ==================== =============================================== ====================
    kl                   u log u                                         v
    reverse_kl           -log u                                          -e^-v
    pearson              (u - 1)^2                                       v
    neyman               (1 - u)^2 / u                                   1 - e^-v
    squared_hellinger    (sqrt u - 1)^2                                  1 - e^-v
    jensen_shannon       u log u - (u + 1) log((u + 1) / 2)              log 2 - log(1 + e^-v)
    gan                  u log u - (u + 1) log(u + 1)                    -log(1 + e^-v)
    total_variation      |u - 1| / 2                                     tanh(v) / 2
    alpha                (u^alpha - 1 - alpha (u - 1))                   v, or below alpha = 1
                         / (alpha (alpha - 1))                           (1 - e^-v) / (1 - alpha)
    ==================== =============================================== ====================

    ``jensen_shannon`` is KL(p || m) + KL(q || m) with m = (p + q) / 2, and ``gan`` is that minus log 4.

    Args:
        name: see above.
        alpha: of ``alpha``, any number but 0 and 1, where its limits are ``reverse_kl`` and ``kl``. It is twice
            ``squared_hellinger`` with 1/2, half of ``neyman`` with -1, half of ``pearson`` with 2.

    Raises:
        ValueError: there is no such divergence, or alpha is missing, 0 or 1, or given for another.
    """
    if name not in get_args(DivergenceName):
        raise ValueError(f"divergence is {name!r}, but has to be one of: {', '.join(get_args(DivergenceName))}.")
    if name != "alpha":
        if alpha is not None:
            raise ValueError(f"alpha is {alpha}, but the divergence is {name}.\nLeave alpha out, or take 'alpha'.")
        return _DIVERGENCES[name]
    if alpha in (None, 0, 1):
        raise ValueError(
            f"alpha is {alpha}, but the divergence 'alpha' needs a number other than 0 and 1.\n"
            "Give one; the limits at 0 and 1 are 'reverse_kl' and 'kl'."
        )
    return _alpha_divergence(alpha)
