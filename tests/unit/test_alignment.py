"""The dual adversarial distance: primal equal to dual, its bounds, and vectors that it aligns."""

import math

import pytest
import torch

from crossdomain.losses.alignment import (
    GaussianKernel,
    dual_adversarial_distance,
    dual_objective,
    dual_weights,
    linear_kernel,
    primal_adversarial_distance,
)

KERNELS = [linear_kernel, GaussianKernel(1.5)]


def clouds(n=7, m=5, dimensions=3, shift=0.8):
    generator = torch.Generator().manual_seed(1)
    a = torch.randn(n, dimensions, generator=generator, dtype=torch.float64)
    return a, torch.randn(m, dimensions, generator=generator, dtype=torch.float64) + shift


@pytest.mark.parametrize("kernel", KERNELS, ids=["linear", "gaussian"])
@pytest.mark.parametrize("weight", [1e-3, 0.7, 30.0])
@pytest.mark.parametrize("shift", [0.0, 0.8, 20.0])
def test_primal_equals_dual(kernel, weight, shift):
    a, b = clouds(shift=shift)
    primal = primal_adversarial_distance(a, b, weight, kernel)
    dual = dual_adversarial_distance(a, b, weight, kernel)
    assert abs(primal - dual) < 1e-9
    assert -12 * math.log(2) - 1e-9 <= dual <= 0


def test_primal_by_another_optimiser():
    """The linear critic itself, trained by L-BFGS, without kernels and signs."""
    a, b = clouds()
    w = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([w], max_iter=200, tolerance_grad=1e-12, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        likelihood = torch.sigmoid(a @ w).log().sum() + (1 - torch.sigmoid(b @ w)).log().sum() - 0.35 * w @ w
        (-likelihood).backward()
        return -likelihood

    optimizer.step(closure)
    assert dual_adversarial_distance(a, b, 0.7) == pytest.approx(-closure().item(), abs=1e-9)
    # At the optimum a vector's weight is the critic's probability of being wrong about it.
    alpha_a, alpha_b = dual_weights(a, b, 0.7)
    torch.testing.assert_close(alpha_a, torch.sigmoid(-a @ w.detach()), atol=1e-6, rtol=0)
    torch.testing.assert_close(alpha_b, torch.sigmoid(b @ w.detach()), atol=1e-6, rtol=0)


@pytest.mark.parametrize("kernel", KERNELS, ids=["linear", "gaussian"])
def test_equal_sets_have_weights_of_a_half_and_the_least_value(kernel):
    a, _ = clouds()
    assert dual_adversarial_distance(a, a.clone(), 0.3, kernel) == pytest.approx(-14 * math.log(2), abs=1e-12)
    for alpha in dual_weights(a, a.clone(), 0.3, kernel):
        torch.testing.assert_close(alpha, torch.full_like(alpha, 0.5))


def test_the_dual_by_hand_and_its_optimality():
    a, b = clouds()
    alpha_a, alpha_b = torch.linspace(0.1, 0.9, 7).double(), torch.linspace(0.2, 0.6, 5).double()
    difference = alpha_a @ a - alpha_b @ b
    both = torch.cat([alpha_a, alpha_b])
    entropy = (both * both.log() + (1 - both) * (1 - both).log()).sum()
    by_hand = difference @ difference / (2 * 0.7) + entropy
    torch.testing.assert_close(dual_objective(a, b, alpha_a, alpha_b, 0.7), by_hand)
    best = dual_adversarial_distance(a, b, 0.7)
    assert best < by_hand
    for alpha in dual_weights(a, b, 0.7):
        assert 0 < alpha.min() <= alpha.max() < 1


@pytest.mark.parametrize("kernel", KERNELS, ids=["linear", "gaussian"])
def test_gradient_of_the_distance(kernel):
    a, b = clouds()
    a.requires_grad_()
    assert torch.autograd.gradcheck(lambda a: dual_adversarial_distance(a, b, 0.7, kernel), (a,), atol=1e-6)


def test_a_map_and_the_weights_descend_together():
    """One minimisation, no game: an affine map of a and alpha by plain gradient steps; the moments end alike."""
    generator = torch.Generator().manual_seed(0)
    a = torch.randn(100, 2, generator=generator) * torch.tensor([0.5, 1.5]) + torch.tensor([2.0, -1.0])
    b = torch.randn(100, 2, generator=generator)
    scale, shift = torch.ones(2, requires_grad=True), torch.zeros(2, requires_grad=True)
    logits = [torch.zeros(100, requires_grad=True) for _ in range(2)]
    kernel = GaussianKernel(1.0)
    optimizer = torch.optim.Adam([scale, shift, *logits], lr=0.05)
    start = dual_adversarial_distance(a, b, kernel=kernel).item()
    for _ in range(1000):
        optimizer.zero_grad()
        loss = dual_objective(a * scale + shift, b, *(each.sigmoid() for each in logits), kernel=kernel)
        loss.backward()
        optimizer.step()
    moved = (a * scale + shift).detach()
    end, least = dual_adversarial_distance(moved, b, kernel=kernel).item(), -200 * math.log(2)
    assert loss.item() == pytest.approx(end, abs=0.01)  # alpha has followed
    assert end - least < 0.05 * (start - least)
    torch.testing.assert_close(moved.mean(0), b.mean(0), atol=0.1, rtol=0)
    torch.testing.assert_close(moved.std(0), b.std(0), atol=0, rtol=0.15)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match=r"expected \(N, D\), \(M, D\) and a weight above 0"):
        dual_adversarial_distance(torch.zeros(2, 3), torch.zeros(2, 4))
    with pytest.raises(ValueError, match="weight is 0"):
        dual_adversarial_distance(torch.zeros(2, 3), torch.zeros(2, 3), weight=0)
    with pytest.raises(ValueError, match="bandwidth is 0"):
        GaussianKernel(0)
