"""The self-adversarial defence of cycles: noise on the way, and guess critics."""

from functools import partial

import pytest
import torch

from crossdomain.datamodules import Digits
from crossdomain.losses import Minimax, RothRegularizer
from crossdomain.methods import CycleGAN, DiscoGAN, DistanceGAN
from crossdomain.networks import DiscoCritic, PatchCritic, ResNetGenerator

NETWORKS = {
    "generator": partial(ResNetGenerator, width=4, blocks=1),
    "critic": partial(PatchCritic, width=4, layers=1, norm="none"),
}
METHODS = {
    "CycleGAN": partial(CycleGAN, 1, **NETWORKS),
    "DiscoGAN": partial(DiscoGAN, 1, **(NETWORKS | {"critic": partial(DiscoCritic, width=4, layers=2)})),
    "DistanceGAN": partial(DistanceGAN, 1, direction="both", cycle_weight_a=10.0, cycle_weight_b=10.0, **NETWORKS),
}


@pytest.fixture
def batch():
    return {d: 2 * torch.rand(4, 1, 16, 16) - 1 for d in "ab"}


@pytest.mark.parametrize("name", METHODS)
def test_noise_lies_between_the_generators_and_nowhere_else(name, batch):
    method = METHODS[name](cycle_noise=0.1).eval()
    seen = {"a2b": [], "b2a": []}
    for direction, images in seen.items():
        method.get_submodule(direction).register_forward_pre_hook(lambda _, given, images=images: images.append(*given))
    out = method.generate(batch)
    for source, target in ("ab", "ba"):
        assert torch.equal(seen[f"{source}2{target}"][0], batch[source])
        noise = seen[f"{source}2{target}"][1] - out[f"fake_{source}"]
        assert 0.09 < noise.std() < 0.11
        assert noise.mean().abs() < 0.02
        assert torch.equal(out[f"pooled_{target}"], out[f"fake_{target}"])
    first, second = (method.generate(batch)["cycled_a"] for _ in range(2))
    assert not torch.equal(first, second)
    assert torch.equal(method.translate(batch["a"], "a2b"), method.translate(batch["a"], "a2b"))
    plain = METHODS[name]().eval()
    plain.load_state_dict(method.state_dict())
    assert torch.equal(plain.generate(batch)["cycled_a"], plain.b2a(plain.a2b(batch["a"])))


def test_guess_terms_by_hand(batch):
    """Least squares: 1 where the reconstruction lies in front, else 0; the generators want the reverse."""
    method = METHODS["CycleGAN"](guess_weight=2.0)
    out = method.generate(batch)
    for domain in "ab":
        image, back, guess = batch[domain], out[f"cycled_{domain}"], method.get_submodule(f"guess_{domain}")
        front, behind = guess(torch.cat([back, image], 1)), guess(torch.cat([image, back], 1))
        right = 0.5 * ((front - 1).square().mean() + behind.square().mean())
        wrong = 0.5 * (front.square().mean() + (behind - 1).square().mean())
        torch.testing.assert_close(method.critic_loss(batch, out)[f"guess_{domain}"], right)
        torch.testing.assert_close(method.generator_loss(batch, out)[f"guess_{domain}"], 2 * wrong)


def test_a_penalty_is_of_guess_critics_and_not_of_the_generators_that_fool_them(batch):
    """A regularizer, which draws nothing, so that it can be computed again."""
    method = METHODS["CycleGAN"](
        guess_weight=2.0, objective=partial(Minimax, penalty=partial(RothRegularizer, weight=3.0))
    )
    out = method.generate(batch)
    for domain in "ab":
        image, back, guess = batch[domain], out[f"cycled_{domain}"], method.get_submodule(f"guess_{domain}")
        front, behind = torch.cat([back, image], 1), torch.cat([image, back], 1)
        plain, penalty = Minimax().critic_loss(guess, front, behind), RothRegularizer(3.0)(guess, front, behind)
        assert penalty > 0
        torch.testing.assert_close(method.critic_loss(batch, out)[f"guess_{domain}"], plain + penalty)
        wrong = 2 * Minimax().critic_loss(guess, behind, front)
        torch.testing.assert_close(method.generator_loss(batch, out)[f"guess_{domain}"], wrong)


@pytest.mark.parametrize("name", METHODS)
def test_guess_critics_move_with_the_critics_and_learn_to_tell(name, trainer, snapshot):
    method = METHODS[name](guess_weight=2.0)
    assert method.get_submodule("guess_a").state_dict().keys() == method.critic_a.state_dict().keys()
    for player, owned in (("generator", {"a2b", "b2a"}), ("critic", {"critic_a", "critic_b", "guess_a", "guess_b"})):
        method = METHODS[name](guess_weight=2.0)
        method.turns = lambda p, round, player=player: int(p == player)
        before = snapshot(method)
        trainer(limit_train_batches=1, limit_val_batches=0).fit(method, Digits(batch_size=8))
        assert {n.split(".")[0] for n, p in method.named_parameters() if not torch.equal(p, before[n])} == owned
    method.turns = lambda p, round: int(p == "critic")
    method.critic_optimizer = partial(torch.optim.Adam, lr=5e-3)
    trainer(limit_train_batches=1, limit_val_batches=0).fit(method, Digits(batch_size=8))
    early = method.last_terms["critic_guess_a"]
    trainer(max_epochs=3, limit_val_batches=0).fit(method, Digits(batch_size=8))
    assert method.last_terms["critic_guess_a"] < 0.5 * early


def test_a_defence_without_a_cycle_is_refused():
    for option in ({"cycle_noise": 0.1}, {"guess_weight": 2.0}):
        with pytest.raises(ValueError, match=r"defend cycles.\nSet both cycle weights above 0, or leave them out"):
            DistanceGAN(1, **NETWORKS, **option)
        with pytest.raises(ValueError, match="defend cycles"):
            CycleGAN(1, **NETWORKS, cycle_weight_b=0.0, **option)
