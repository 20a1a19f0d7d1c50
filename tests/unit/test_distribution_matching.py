"""DistributionMatching: its loss by hand, its one player, the way it goes, and that it aligns two Gaussians."""

from dataclasses import replace
from functools import partial

import pytest
import torch

from crossdomain.losses import EMD, MMD, Sinkhorn
from crossdomain.methods import DistributionMatching
from crossdomain.networks import PixelCritic, VectorNetwork

AFFINE = partial(VectorNetwork, layers=0)


def batch(n=40):
    generator = torch.Generator().manual_seed(0)
    a, b = torch.randn(2, n, 2, generator=generator)
    return {"a": a, "b": b @ torch.tensor([[0.5, 0.3], [0.0, 0.8]]) + 1.0}


def loss(method, data):
    terms = method.generator_loss(data, method.generate(data))
    assert list(terms) == ["discrepancy"]
    return terms["discrepancy"]


def test_the_loss_is_the_discrepancy_of_moved_vectors_and_the_target():
    data = batch()
    for discrepancy in (MMD, EMD, Sinkhorn, partial(MMD, estimator="linear")):
        for direction in ("a2b", "b2a"):
            method = DistributionMatching(2, 2, direction, generator=AFFINE, discrepancy=discrepancy)
            (linear,) = method.generator
            moved = data[direction[0]] @ linear.weight.T + linear.bias
            assert torch.allclose(loss(method, data), discrepancy()(moved, data[direction[2]]), atol=1e-6)
            method.spec = replace(method.spec, levels=None)  # vectors
            torch.testing.assert_close(method.translate(data[direction[0]], direction), moved)


def test_there_is_one_player_with_all_parameters_and_one_way():
    method = DistributionMatching(2, 3, "b2a", generator=partial(VectorNetwork, width=64))
    assert method.directions == ("b2a",)
    assert method.players == {"generator": ("generator",)}
    count = (3 + 1) * 64 + (64 + 1) * 64 + (64 + 1) * 2
    assert sum(p.numel() for p in method.player_parameters("generator")) == count
    assert sum(p.numel() for p in method.parameters()) == count
    with pytest.raises(ValueError, match="direction is 'a2c'"):
        DistributionMatching(2, 2, "a2c")


def test_images_are_matched_also_between_domains_of_other_channels():
    method = DistributionMatching(1, 3, generator=PixelCritic)
    images = torch.rand(4, 1, 8, 8), torch.rand(4, 3, 8, 8)
    found = loss(method, {"a": images[0], "b": images[1]})
    assert torch.equal(found, MMD()(method.generator(images[0]), images[1]))
    assert method.translate(images[0], "a2b").shape == (4, 3, 8, 8)


def test_batches_that_emd_cannot_match_are_refused():
    data = batch()
    method = DistributionMatching(2, 2, generator=AFFINE, discrepancy=EMD)
    with pytest.raises(ValueError, match="40 and 30 vectors"):
        loss(method, {"a": data["a"], "b": data["b"][:30]})


@pytest.mark.parametrize(("discrepancy", "tolerance"), [(MMD, 0.2), (partial(EMD, power=2), 0.1)])
def test_an_affine_map_takes_one_gaussian_to_another(discrepancy, tolerance):
    data = batch(150)
    method = DistributionMatching(
        2, 2, generator=partial(VectorNetwork, layers=0, residual=True), discrepancy=discrepancy
    )
    optimizer = torch.optim.Adam(method.player_parameters("generator"), lr=0.05)
    for _ in range(100):
        optimizer.zero_grad()
        loss(method, data).backward()
        optimizer.step()
    moved = method.generate(data)["moved"].detach()
    assert (moved.mean(0) - data["b"].mean(0)).abs().max() < 0.1
    assert (torch.cov(moved.T) - torch.cov(data["b"].T)).abs().max() < tolerance
    assert (torch.cov(data["a"].T) - torch.cov(data["b"].T)).abs().max() > 0.5  # where it began


def test_a_residual_map_starts_as_the_identity():
    x = torch.randn(5, 3)
    network = VectorNetwork(3, 3, width=8, residual=True)
    assert torch.equal(network(x), x)
    network(x).square().sum().backward()
    assert network[-1].weight.grad.abs().max() > 0
    with pytest.raises(ValueError, match="of 3 numbers, but is to make 2"):
        VectorNetwork(3, 2, residual=True)
