"""Losses: adversarial objectives, their penalties and what critics remember; divergences, distances, discrepancies."""

from crossdomain.losses.alignment import (
    GaussianKernel,
    dual_adversarial_distance,
    dual_objective,
    dual_weights,
    linear_kernel,
    primal_adversarial_distance,
)
from crossdomain.losses.discrepancy import Discrepancy, DiscrepancyFactory, squared_distances
from crossdomain.losses.divergences import Divergence, DivergenceName, f_divergence
from crossdomain.losses.functions import (
    capacity_bits,
    confusion,
    mode_seeking,
    standard_logistic_log_prob,
    standard_normal_kl,
    standard_normal_log_prob,
)
from crossdomain.losses.logits import Critic, Logits, scales
from crossdomain.losses.mmd import MMD, Estimator, kernel_sum, kernel_variances, mmd_squared
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
from crossdomain.losses.transport import EMD, Sinkhorn, earth_movers_distance, optimal_assignment, sinkhorn_divergence

__all__ = [
    "EMD",
    "FGAN",
    "MMD",
    "Critic",
    "Discrepancy",
    "DiscrepancyFactory",
    "Divergence",
    "DivergenceName",
    "Estimator",
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
    "Sinkhorn",
    "Wasserstein",
    "capacity_bits",
    "confusion",
    "dual_adversarial_distance",
    "dual_objective",
    "dual_weights",
    "earth_movers_distance",
    "f_divergence",
    "full_least_squares",
    "halved_cross_entropy",
    "kernel_sum",
    "kernel_variances",
    "linear_kernel",
    "mmd_squared",
    "mode_seeking",
    "optimal_assignment",
    "primal_adversarial_distance",
    "scales",
    "sinkhorn_divergence",
    "squared_distances",
    "standard_logistic_log_prob",
    "standard_normal_kl",
    "standard_normal_log_prob",
    "wasserstein_with_penalty",
]
