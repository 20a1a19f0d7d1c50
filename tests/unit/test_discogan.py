"""DiscoGAN: its losses by hand, its turns, and its networks."""

from functools import partial

import pytest
import torch
from torch.nn import functional as F

from crossdomain.datamodules import Digits
from crossdomain.methods import DiscoGAN, DistanceGAN
from crossdomain.networks import DiscoCritic, DiscoGenerator, PatchCritic

GENERATOR = partial(DiscoGenerator, width=4, layers=2)
CRITIC = partial(DiscoCritic, width=4, layers=2)


def make(critic=CRITIC, **options):
    return DiscoGAN(1, generator=GENERATOR, critic=critic, **options)


def unit(images):
    """[-1, 1] to the official code's [0, 1]."""
    return (images + 1) / 2


@pytest.mark.parametrize(("rounds", "rate"), [(0, 0.01), (9_999, 0.01), (10_000, 0.5)])
def test_losses_of_the_sheet(rounds, rate):
    method = make()
    method.rounds = rounds
    batch = {d: 2 * torch.rand(4, 1, 16, 16) - 1 for d in "ab"}
    out = method.generate(batch)
    terms = method.generator_loss(batch, out)
    expected = {}
    for d, critic in (("a", method.critic_a), ("b", method.critic_b)):
        fake, other = out[f"fake_{d}"], method.b2a if d == "a" else method.a2b
        expected[f"adversarial_{d}"] = (
            (1 - rate) * 0.1 * F.binary_cross_entropy(critic(fake).sigmoid(), torch.ones(4, 1, 1, 1))
        )
        pairs = zip(critic.features(batch[d]), critic.features(fake), strict=True)
        matching = sum((real.mean(0) - made.mean(0)).square().mean() for real, made in pairs)
        expected[f"features_{d}"] = (1 - rate) * 0.9 * matching
        back = other(out["fake_b" if d == "a" else "fake_a"])
        expected[f"cycle_{d}"] = rate * F.mse_loss(unit(back), unit(batch[d]))
        on_real, on_fake = critic(batch[d]).sigmoid(), critic(fake.detach()).sigmoid()
        loss = 0.5 * F.binary_cross_entropy(on_real, torch.ones_like(on_real)) + 0.5 * F.binary_cross_entropy(
            on_fake, torch.zeros_like(on_fake)
        )
        torch.testing.assert_close(method.critic_loss(batch, out)[d], loss)
    assert set(terms) == set(expected)
    for name, value in expected.items():
        torch.testing.assert_close(terms[name], value, rtol=1e-4, atol=1e-7, msg=name)


def test_matching_features_moves_no_critic_by_its_real_images():
    method = make()
    batch = {d: 2 * torch.rand(4, 1, 16, 16) - 1 for d in "ab"}
    out = {name: value.detach() for name, value in method.generate(batch).items()}
    term = method.generator_loss(batch, out)["features_a"]
    graph = torch.autograd.grad(term, list(method.critic_a.parameters()), allow_unused=True)
    assert any(g is not None for g in graph)  # through the translation alone; the Trainer freezes critics anyway
    assert not method.generator_loss(batch, out)["features_a"].isnan()


def test_critics_move_in_every_third_round(trainer, snapshot):
    method = make()
    moves = []

    def note(player):
        moves.append((method.rounds, player))

    method.after_step = note
    trainer(limit_train_batches=7, limit_val_batches=0).fit(method, Digits(batch_size=8))
    assert moves == [(r, "critic" if r % 3 == 0 else "generator") for r in range(7)]
    with pytest.raises(ValueError, match="update_interval is 1, but has to be at least 2"):
        make(update_interval=1)


def test_turns_that_all_methods_have_hold_within_its_own(trainer):
    method = make(critic_turns=2, generator_interval=2)
    moves = []
    method.after_step = lambda player: moves.append((method.rounds, player))
    trainer(limit_train_batches=6, limit_val_batches=0).fit(method, Digits(batch_size=8))
    assert moves == [(0, "critic"), (0, "critic"), (1, "generator"), (3, "critic"), (3, "critic"), (5, "generator")]


@pytest.mark.parametrize(("layers", "parameters"), [(3, 1_318_016), (4, 5_513_856), (5, 7_153_480)])
def test_generator_of_the_paper(layers, parameters):
    network = DiscoGenerator(3, 3, layers=layers)
    assert sum(p.numel() for p in network.parameters()) == parameters
    assert network.total_stride == {3: 8, 4: 16, 5: 16}[layers]
    assert network(torch.rand(2, 3, 64, 64)).shape == (2, 3, 64, 64)


def test_critic_of_the_paper():
    network = DiscoCritic(3, 1)
    assert sum(p.numel() for p in network.parameters()) == 2_765_568
    images = torch.rand(2, 3, 64, 64)
    assert network(images).shape == (2, 1, 1, 1)
    assert [f.shape[1:] for f in network.features(images)] == [(128, 16, 16), (256, 8, 8), (512, 4, 4)]
    with pytest.raises(ValueError, match="layers is 6"):
        DiscoGenerator(3, 3, layers=6)


def test_distancegan_takes_the_same_networks_and_matches_features_too():
    method = DistanceGAN(1, generator=GENERATOR, critic=CRITIC, feature_share=0.9)
    batch = {d: 2 * torch.rand(4, 1, 16, 16) - 1 for d in "ab"}
    out = method.generate(batch)
    terms = method.generator_loss(batch, out)
    assert set(terms) == {"adversarial_b", "features_b", "distance_a"}
    expected = 0.1 * (method.critic_b(out["fake_b"]) - 1).square().mean()
    torch.testing.assert_close(terms["adversarial_b"], expected)
    with pytest.raises(ValueError, match=r"feature_share is 0.9, but the critic has no features to match.\nTake"):
        make(critic=partial(PatchCritic, width=4))
