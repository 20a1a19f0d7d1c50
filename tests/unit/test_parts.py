"""Objectives, losses, the image pool and schedules against numbers worked out by hand."""

import math

import pytest
import torch
from torch import nn

from crossdomain.losses import ImagePool, LeastSquares, NonSaturating, standard_normal_log_prob
from crossdomain.optimization import LinearDecay, adam

REAL, FAKE = torch.tensor([[2.0, 0.0]]), torch.tensor([[1.0, -1.0]])


def test_least_squares():
    objective = LeastSquares()
    assert objective.critic(REAL, FAKE).item() == pytest.approx(0.5 * ((1 + 1) / 2 + (1 + 1) / 2))
    assert LeastSquares(critic_scale=1.0).critic(REAL, FAKE).item() == pytest.approx(2.0)
    assert objective.generator(FAKE).item() == pytest.approx((0 + 4) / 2)


def test_non_saturating():
    objective = NonSaturating(critic_scale=0.5)
    real = (math.log(1 + math.exp(-2)) + math.log(2)) / 2
    fake = (math.log(1 + math.e) + math.log(1 + 1 / math.e)) / 2
    assert objective.critic(REAL, FAKE).item() == pytest.approx(0.5 * (real + fake))
    assert objective.generator(FAKE).item() == pytest.approx(fake)


def test_standard_normal_log_prob():
    z = torch.tensor([[[0.0, 1.0]], [[2.0, 0.0]]])
    expected = [-math.log(2 * math.pi) - 0.5, -math.log(2 * math.pi) - 2]
    assert standard_normal_log_prob(z).tolist() == pytest.approx(expected)


def test_linear_decay_follows_the_official_rule():
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=2.0)
    schedule = LinearDecay(optimizer, constant=2, decay=3)
    rates = []
    for _ in range(7):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert rates == pytest.approx([2.0, 2.0, 1.5, 1.0, 0.5, 0.0, 0.0])
    with pytest.raises(ValueError, match="at least 0"):
        LinearDecay(optimizer, constant=-1)


def test_default_optimizer_is_the_papers():
    group = adam([nn.Parameter(torch.zeros(1))]).param_groups[0]
    assert (group["lr"], group["betas"], group["fused"]) == (2e-4, (0.5, 0.999), True)


def numbered(first, n):
    return torch.arange(first, first + n, dtype=torch.float32).view(n, 1, 1, 1)


def test_pool_returns_new_images_until_it_is_full():
    pool = ImagePool(5)
    assert torch.equal(pool(numbered(0, 3)), numbered(0, 3))
    assert torch.equal(pool(numbered(3, 2)), numbered(3, 2))
    assert torch.equal(pool.images, numbered(0, 5))


def test_full_pool_returns_an_old_image_half_the_time_and_keeps_the_new_one_then():
    pool, size, shown, old = ImagePool(10), 10, 2000, 0
    pool(numbered(0, size))
    for i in range(shown):
        new = numbered(size + i, 1)
        held = pool.images.clone()
        returned = pool(new)
        if torch.equal(returned, new):
            assert torch.equal(pool.images, held)
        else:
            old += 1
            slot = (held == returned).flatten().nonzero().item()
            held[slot] = new[0]
            assert torch.equal(pool.images, held)
    assert old / shown == pytest.approx(0.5, abs=0.04)


def test_pool_handles_one_image_after_the_other_within_a_batch():
    """Against the rule written as a loop over images."""
    pool, images = ImagePool(4), numbered(0, 64)
    torch.manual_seed(3)
    returned = pool(images)
    torch.manual_seed(3)
    swap, draws = torch.rand(64) < 0.5, torch.randint(4, (64,))
    held, expected = [], []
    for i in range(64):
        if len(held) < 4:
            held.append(i)
            expected.append(i)
        elif swap[i]:
            expected.append(held[draws[i]])
            held[draws[i]] = i
        else:
            expected.append(i)
    assert returned.flatten().tolist() == expected
    assert pool.images.flatten().tolist() == held


def test_empty_pool_passes_images_without_gradient():
    images = torch.zeros(2, 1, 1, 1, requires_grad=True)
    returned = ImagePool(0)(images)
    assert torch.equal(returned, images)
    assert not returned.requires_grad
    assert not ImagePool(3)(images).requires_grad
    with pytest.raises(ValueError, match="at least 0"):
        ImagePool(-1)


def test_pool_is_saved_and_taken_up():
    pool, other = ImagePool(3), ImagePool(3)
    pool(numbered(0, 5))
    other.load_state_dict(pool.state_dict())
    torch.manual_seed(1)
    first = pool(numbered(9, 4))
    torch.manual_seed(1)
    assert torch.equal(first, other(numbered(9, 4)))
