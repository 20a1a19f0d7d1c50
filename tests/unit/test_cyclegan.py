"""CycleGAN: one round against the official formulas, who moves, and its options."""

import copy
from functools import partial

import pytest
import torch
from torch.nn import functional as F

from crossdomain.datamodules import Digits
from crossdomain.methods import CycleGAN
from crossdomain.networks import PatchCritic, ResNetGenerator

GENERATOR = partial(ResNetGenerator, width=8, blocks=1)
CRITIC = partial(PatchCritic, width=8, layers=1)


def make(**options):
    return CycleGAN(1, generator=GENERATOR, critic=CRITIC, **options)


def official_round(method, a, b):
    """One joint generator step and one joint critic step, written out as sheet 03 has them."""
    nets = {name: getattr(method, name) for name in ("a2b", "b2a", "critic_a", "critic_b")}
    adam = partial(torch.optim.Adam, lr=2e-4, betas=(0.5, 0.999))
    generators = adam([*nets["a2b"].parameters(), *nets["b2a"].parameters()])
    critics = adam([*nets["critic_a"].parameters(), *nets["critic_b"].parameters()])

    fake_b, fake_a = nets["a2b"](a), nets["b2a"](b)
    real, fake = torch.ones_like, torch.zeros_like
    score_b, score_a = nets["critic_b"](fake_b), nets["critic_a"](fake_a)
    terms = {
        "adversarial_b": F.mse_loss(score_b, real(score_b)),
        "adversarial_a": F.mse_loss(score_a, real(score_a)),
        "cycle_a": 10 * (nets["b2a"](fake_b) - a).abs().mean(),
        "cycle_b": 10 * (nets["a2b"](fake_a) - b).abs().mean(),
        "identity_b": 0.5 * 10 * (nets["a2b"](b) - b).abs().mean(),
        "identity_a": 0.5 * 10 * (nets["b2a"](a) - a).abs().mean(),
    }
    sum(terms.values()).backward()
    generators.step()
    critics.zero_grad()
    for critic, images, fakes in ((nets["critic_b"], b, fake_b), (nets["critic_a"], a, fake_a)):
        on_real, on_fake = critic(images), critic(fakes.detach())
        (0.5 * (F.mse_loss(on_real, real(on_real)) + F.mse_loss(on_fake, fake(on_fake)))).backward()
    critics.step()
    return {name: value.detach() for name, value in terms.items()}


def test_one_round_is_the_official_one(trainer, tensors):
    method = make()
    reference = copy.deepcopy(method)
    stored = torch.randint(0, 256, (2, 4, 1, 16, 16), dtype=torch.uint8)
    a = stored[0].float() / 127.5 - 1
    logged = {}
    method.log_dict = lambda values, **options: logged.update(values)
    data = tensors({"a": stored[0]}, {"b": stored[1]})
    trainer(limit_val_batches=0).fit(method, data)
    order_a, order_b = (next(iter(data.train_dataloader()))[d] for d in "ab")
    expected = official_round(reference, order_a, order_b)
    assert torch.equal(order_a.sort(0).values, a.sort(0).values)
    for name, value in expected.items():
        torch.testing.assert_close(logged[f"train/generator_{name}"], value, rtol=1e-5, atol=1e-6)
    for (name, p), q in zip(method.named_parameters(), reference.parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=0, atol=2e-6, msg=name)


def test_each_player_moves_its_own_networks_alone(trainer, snapshot):
    for player, owned in (("generator", {"a2b", "b2a"}), ("critic", {"critic_a", "critic_b"})):
        method = make()
        method.turns = lambda p, round, player=player: int(p == player)
        before = snapshot(method)
        trainer(limit_train_batches=1, limit_val_batches=0).fit(method, Digits(batch_size=8))
        moved = {n.split(".")[0] for n, p in method.named_parameters() if not torch.equal(p, before[n])}
        assert moved == owned


def test_identity_term_needs_equal_channels_and_can_be_left_out():
    with pytest.raises(
        ValueError,
        match=r"the identity term needs equal ones.\nSet model.identity_weight to 0",
    ):
        CycleGAN(1, 3, generator=GENERATOR, critic=CRITIC)
    method = CycleGAN(1, 3, generator=GENERATOR, critic=CRITIC, identity_weight=0.0)
    batch = {"a": torch.rand(2, 1, 16, 16), "b": torch.rand(2, 3, 16, 16)}
    terms = method.generator_loss(batch, method.generate(batch))
    assert set(terms) == {"adversarial_a", "adversarial_b", "cycle_a", "cycle_b"}
    assert method.translate(batch["a"], "a2b").shape == (2, 3, 16, 16)
    assert method.translate(batch["b"], "b2a").shape == (2, 1, 16, 16)


@pytest.mark.parametrize(("direction", "other"), [("a2b", "b2a"), ("b2a", "a2b")])
def test_one_generator_alone_translates_one_way_and_is_not_trained(direction, other, trainer):
    method = CycleGAN(1, 3, generator=GENERATOR, direction=direction, identity_weight=0.0)
    assert [name for name, _ in method.named_children()] == [direction]
    source, target = (method.channels[d] for d in direction.split("2"))
    images = torch.rand(2, source, 18, 16)  # no multiple of 4: padded and cropped
    assert method.translate(images, direction).shape == (2, target, 18, 16)
    with pytest.raises(ValueError, match=f"no direction {other!r}; its directions: {direction}"):
        method.translate(images, other)
    with pytest.raises(ValueError, match=f"has the generator {direction} alone, so it cannot be trained"):
        trainer().fit(method, Digits())
    with pytest.raises(ValueError, match="'a2b', 'b2a' or None"):
        CycleGAN(1, direction="both")


def test_critics_see_the_pool():
    method = make(pool_size=2)
    batch = {d: torch.rand(2, 1, 16, 16) for d in "ab"}
    first = method.generate(batch)
    assert torch.equal(first["pooled_b"], first["fake_b"].detach())
    torch.manual_seed(1)
    pooled = [method.generate({d: torch.rand(2, 1, 16, 16) for d in "ab"})["pooled_b"] for _ in range(8)]
    old = torch.stack([first["fake_b"].detach()[0]])
    assert any(torch.equal(image[None], old) for images in pooled for image in images)
    out = {**first, "pooled_b": torch.zeros_like(first["fake_b"])}
    on_real, on_fake = method.critic_b(batch["b"]), method.critic_b(out["pooled_b"])
    expected = 0.5 * ((on_real - 1).pow(2).mean() + on_fake.pow(2).mean())
    torch.testing.assert_close(method.critic_loss(batch, out)["b"], expected)


def test_networks_of_the_paper():
    method = CycleGAN(3)
    sizes = {n: sum(p.numel() for p in getattr(method, n).parameters()) for n in ("a2b", "b2a", "critic_a", "critic_b")}
    assert sizes == {"a2b": 11_378_179, "b2a": 11_378_179, "critic_a": 2_764_737, "critic_b": 2_764_737}
    assert (*method.cycles.weights.values(), method.identity_weight) == (10, 10, 0.5)
    assert method.pool_a.size == 50
