"""Losses: adversarial objectives and their penalties, divergences, distances, and the images that critics remember."""

from crossdomain.losses.alignment import (
    GaussianKernel,
    dual_adversarial_distance,
    dual_objective,
    dual_weights,
    linear_kernel,
    primal_adversarial_distance,
)
from crossdomain.losses.divergences import Divergence, DivergenceName, f_divergence
from crossdomain.losses.functions import (
    capacity_bits,
    standard_logistic_log_prob,
    standard_normal_kl,
    standard_normal_log_prob,
)
from crossdomain.losses.logits import Critic, Logits, scales
from crossdomain.losses.objectives import (
    FGAN,
    Hinge,
    LeastSquares,
    Minimax,
    NonSaturating,
    Objective,
    Wasserstein,
    full_least_squares,
    halved_cross_entropy,
    wasserstein_with_penalty,
)
from crossdomain.losses.penalties import GradientPenalty, Penalty, PenaltyFactory, RothRegularizer
from crossdomain.losses.pool import ImagePool

__all__ = [
    "FGAN",
    "Critic",
    "Divergence",
    "DivergenceName",
    "GaussianKernel",
    "GradientPenalty",
    "Hinge",
    "ImagePool",
    "LeastSquares",
    "Logits",
    "Minimax",
    "NonSaturating",
    "Objective",
    "Penalty",
    "PenaltyFactory",
    "RothRegularizer",
    "Wasserstein",
    "capacity_bits",
    "dual_adversarial_distance",
    "dual_objective",
    "dual_weights",
    "f_divergence",
    "full_least_squares",
    "halved_cross_entropy",
    "linear_kernel",
    "primal_adversarial_distance",
    "scales",
    "standard_logistic_log_prob",
    "standard_normal_kl",
    "standard_normal_log_prob",
    "wasserstein_with_penalty",
]
