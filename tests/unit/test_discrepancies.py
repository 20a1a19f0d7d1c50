"""MMD, EMD and Sinkhorn's divergence against formulas, by hand and by brute force; their gradients."""

import math
from itertools import permutations

import pytest
import torch

from crossdomain.losses import (
    EMD,
    MMD,
    Sinkhorn,
    earth_movers_distance,
    kernel_sum,
    kernel_variances,
    mmd_squared,
    optimal_assignment,
    sinkhorn_divergence,
    squared_distances,
)


def draws(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def clouds(n=200):
    x, y = draws(2, n, 2)
    return x, 0.7 * y + torch.tensor([1.0, -0.4], dtype=torch.float64)


# --- distances and kernels ---------------------------------------------------------------------------------------


def test_squared_distances_are_those_of_differences_also_far_from_the_origin():
    x, y = clouds(30)
    expected = (x.unsqueeze(1) - y).square().sum(2)
    torch.testing.assert_close(squared_distances(x, y), expected)
    far = squared_distances((x + 1000).float(), (y + 1000).float())
    torch.testing.assert_close(far, expected.float(), rtol=1e-3, atol=1e-3)
    assert squared_distances(x, x).min() >= 0


def test_variances_are_shares_of_the_joined_samples_mean_squared_distance():
    x, y = clouds(20)
    y = y[:15].requires_grad_()
    joined = torch.cat([x, y])
    mean = (joined.unsqueeze(1) - joined).square().sum(2).mean()  # with the zeros of the diagonal
    found = kernel_variances(x, y)
    torch.testing.assert_close(found, mean.detach() * torch.tensor([1 / 8, 1 / 4, 1 / 2, 1, 2], dtype=torch.float64))
    assert not found.requires_grad
    same = torch.ones(4, 2)
    assert kernel_variances(same, same).min() > 0
    assert MMD()(same, same).item() == 0


def test_five_kernels_sum_to_five_at_distance_zero():
    x, y = clouds(10)
    variances = kernel_variances(x, y)
    assert kernel_sum(torch.zeros(3), variances).tolist() == [5.0, 5.0, 5.0]
    torch.testing.assert_close(kernel_sum(squared_distances(x, x), variances).trace().item(), 50.0)


# --- MMD ---------------------------------------------------------------------------------------------------------


def test_mmd_by_hand():
    x, y = torch.tensor([[0.0], [1.0]]), torch.tensor([[2.0], [4.0]])

    def k(distance):
        return math.exp(-(distance**2) / 2) + math.exp(-(distance**2) / 6)

    between = (k(2) + k(4) + k(1) + k(3)) / 4
    by_hand = {
        "unbiased": k(1) + k(2) - 2 * between,
        "biased": (2 + k(1)) / 2 + (2 + k(2)) / 2 - 2 * between,
        "linear": k(1) + k(2) - k(4) - k(1),
    }
    for estimator, expected in by_hand.items():
        assert mmd_squared(x, y, (1.0, 3.0), estimator).item() == pytest.approx(expected, rel=1e-5)


def test_unbiased_mmd_of_two_gaussians_is_the_formulas():
    s, mu = 1.0, 1.0
    formula = 2 * s / math.sqrt(s**2 + 2) * (1 - math.exp(-(mu**2) / (2 * (s**2 + 2))))
    assert formula == pytest.approx(0.1773, abs=5e-5)
    found = torch.stack([
        mmd_squared(draws(400, 1, seed=2 * i), draws(400, 1, seed=2 * i + 1) + mu, (s**2,)) for i in range(40)
    ])  # fmt: skip
    assert abs(found.mean() - formula) < 3 * found.std() / math.sqrt(len(found))
    assert found.std() / math.sqrt(len(found)) < 0.006  # so that the line above could fail


def test_of_equal_distributions_the_unbiased_mean_is_zero_and_the_biased_one_positive():
    pairs = [(draws(50, 1, seed=2 * i), draws(50, 1, seed=2 * i + 1)) for i in range(200)]
    unbiased = torch.stack([mmd_squared(*pair, (1.0,)) for pair in pairs])
    assert abs(unbiased.mean()) < 2 * unbiased.std() / math.sqrt(200)
    assert unbiased.min() < 0
    biased = torch.stack([mmd_squared(*pair, (1.0,), "biased") for pair in pairs])
    assert biased.min() > 0
    expected = 2 * (1 - 1 / math.sqrt(3)) / 50  # 1/n (k(0) - E k) of each sample
    assert biased.mean().item() == pytest.approx(expected, rel=0.2)


def test_linear_time_has_the_same_mean_and_more_variance():
    pairs = [(draws(20, 1, seed=2 * i), draws(20, 1, seed=2 * i + 1) + 1) for i in range(1000)]
    linear, unbiased = (
        torch.stack([mmd_squared(*pair, (1.0,), estimator) for pair in pairs]) for estimator in ("linear", "unbiased")
    )
    error = math.sqrt((linear.var() + unbiased.var()) / 1000)
    assert abs(linear.mean() - unbiased.mean()) < 3 * error
    assert linear.var() > 2 * unbiased.var()


def test_linear_time_leaves_out_the_last_of_an_odd_number():
    x, y = clouds(7)
    assert torch.equal(mmd_squared(x, y, (1.0,), "linear"), mmd_squared(x[:6], y[:6], (1.0,), "linear"))


def test_several_kernels_feel_what_one_does_not():
    x, y = torch.zeros(8, 1, dtype=torch.float64), torch.full((8, 1), 40.0, dtype=torch.float64)
    x, y = x + draws(8, 1), y + draws(8, 1, seed=1)
    slopes = []
    for variances in ((1.0,), kernel_variances(x, y)):
        moved = x.clone().requires_grad_()
        mmd_squared(moved, y, variances).backward()
        slopes.append(moved.grad.sum().abs().item())
    assert slopes[0] < 1e-12
    assert slopes[1] > 1e-3


# --- transport ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("power", [1, 2])
def test_assignment_is_the_best_of_all_720(power):
    x, y = draws(2, 6, 3)
    costs = (x.unsqueeze(1) - y).norm(dim=2) ** power
    best = min(permutations(range(6)), key=lambda pi: costs[range(6), pi].sum())
    assert optimal_assignment(x, y, power).tolist() == list(best)
    torch.testing.assert_close(earth_movers_distance(x, y, power), costs[range(6), best].mean())


def test_on_a_line_the_earth_movers_distance_sorts():
    x, y = draws(2, 50, 1)
    expected = (x.sort(0).values - y.sort(0).values).abs().mean()
    torch.testing.assert_close(earth_movers_distance(x, y), expected)
    assert earth_movers_distance(x, x.flip(0)).item() == 0


def test_sinkhorn_goes_from_the_means_to_exact_transport():
    x, y = clouds()
    means = (x.mean(0) - y.mean(0)).square().sum().item()
    exact = earth_movers_distance(x, y, power=2).item()
    found = [sinkhorn_divergence(x, y, epsilon).item() for epsilon in (1000, 1, 0.1, 0.02)]
    assert found[0] == pytest.approx(means, rel=1e-3)
    assert found == sorted(found)
    assert found[-1] == pytest.approx(exact, rel=0.01)
    assert found[-1] < exact
    assert abs(sinkhorn_divergence(x, x, 0.1).item()) < 1e-9


def test_sinkhorn_is_that_of_the_iteration_run_to_its_end():
    x, y = clouds(60)

    def transport(x, y, epsilon=0.5):
        cost = (x.unsqueeze(1) - y).square().sum(2)
        f, g = torch.zeros(2, 60, dtype=torch.float64)
        for _ in range(500):
            f = -epsilon * torch.logsumexp((g - cost) / epsilon - math.log(60), 1)
            g = -epsilon * torch.logsumexp((f.unsqueeze(1) - cost) / epsilon - math.log(60), 0)
        return f.mean() + g.mean()

    expected = transport(x, y) - transport(x, x) / 2 - transport(y, y) / 2
    torch.testing.assert_close(sinkhorn_divergence(x, y, 0.5), expected, rtol=1e-3, atol=0)


def test_a_small_epsilon_is_safe_in_single_precision():
    x, y = clouds()
    y = y + 5  # exp(-cost / epsilon) is 0 in float32 for all pairs
    assert torch.exp(-squared_distances(x.float(), y.float()) / 0.02).max() == 0
    single = sinkhorn_divergence(x.float(), y.float(), 0.02)
    torch.testing.assert_close(single.double(), sinkhorn_divergence(x, y, 0.02), rtol=1e-4, atol=0)


def test_sinkhorns_blur_is_on_the_batchs_scale():
    x, y = clouds(40)
    epsilon = 0.05 * squared_distances(x, y).mean().item()
    assert torch.equal(Sinkhorn()(x, y), sinkhorn_divergence(x, y, epsilon))
    torch.testing.assert_close(Sinkhorn()(10 * x, 10 * y), 100 * Sinkhorn()(x, y))
    assert Sinkhorn()(torch.ones(3, 2), torch.ones(4, 2)).item() == 0


# --- what all of them do -----------------------------------------------------------------------------------------

ALL = {
    "unbiased": MMD(),
    "biased": MMD("biased"),
    "linear": MMD("linear"),
    "emd": EMD(),
    "emd of squares": EMD(2),
    "sinkhorn": Sinkhorn(1.0),
}


@pytest.mark.parametrize("name", ALL)
def test_gradients_are_those_of_finite_differences(name):
    x, y = clouds(12)
    if name == "sinkhorn":
        scale = squared_distances(x, y).mean().item()

    def value(points):
        if name == "sinkhorn":  # the scale is taken without gradient, and so are the kernels'
            return sinkhorn_divergence(points, y, scale)
        if name in ("unbiased", "biased", "linear"):
            return mmd_squared(points, y, kernel_variances(x, y), name)
        return ALL[name](points, y)

    moved = x.clone().requires_grad_()
    ALL[name](moved, y).backward()
    numeric, step = torch.zeros_like(x), 1e-5
    for i in range(len(x)):
        for j in range(2):
            shift = torch.zeros_like(x)
            shift[i, j] = step
            numeric[i, j] = (value(x + shift) - value(x - shift)) / (2 * step)
    # Sinkhorn's gradient is that at the limit of an iteration that has nearly reached it.
    torch.testing.assert_close(moved.grad, numeric, rtol=1e-5, atol=2e-3 if name == "sinkhorn" else 1e-8)
    assert moved.grad.abs().max() > 0.02


@pytest.mark.parametrize("name", ALL)
def test_images_are_compared_as_vectors_in_single_precision(name):
    x, y = draws(2, 6, 1, 2, 3)
    expected = ALL[name](x.flatten(1).float(), y.flatten(1).float())
    assert torch.equal(ALL[name](x.float(), y.float()), expected)
    with torch.autocast("cpu", torch.bfloat16):
        under_autocast = ALL[name](x.float(), y.float())
    assert torch.equal(under_autocast, expected)
    assert ALL[name](x.bfloat16(), y.bfloat16()).dtype == torch.float32


@pytest.mark.parametrize("name", ALL)
def test_mistakes_are_named(name):
    with pytest.raises(ValueError, match=r"shapes \(3, 2\) and \(3, 4\)"):
        ALL[name](torch.zeros(3, 2), torch.zeros(3, 4))


def test_mistakes_of_one_kind_are_named():
    for unequal in (EMD(), MMD("linear")):
        with pytest.raises(ValueError, match="have 3 and 4 vectors, but"):
            unequal(torch.zeros(3, 2), torch.zeros(4, 2))
    with pytest.raises(ValueError, match="need two at least"):
        MMD()(torch.zeros(1, 2), torch.zeros(4, 2))
    with pytest.raises(ValueError, match="not finite"):
        EMD()(torch.full((3, 2), torch.nan), torch.zeros(3, 2))
    with pytest.raises(ValueError, match="not finite"):
        Sinkhorn()(torch.full((3, 2), torch.inf), torch.zeros(3, 2))
    for make in (lambda: MMD("quadratic"), lambda: EMD(3), lambda: Sinkhorn(0.0), lambda: MMD(exponents=())):
        with pytest.raises(ValueError, match=r"MMD|EMD|Sinkhorn"):
            make()
    with pytest.raises(ValueError, match="estimator is 'cubic'"):
        mmd_squared(torch.zeros(2, 1), torch.zeros(2, 1), (1.0,), "cubic")
