"""pix2pix: its losses by hand, its ablations, the paper's sizes, and the rule at test time."""

from functools import partial
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F
from torch.utils.data import DataLoader

from crossdomain import serialization
from crossdomain.methods import Pix2Pix
from crossdomain.networks import PatchCritic, PixelCritic, UNetGenerator
from crossdomain.official import import_official

GENERATOR = partial(UNetGenerator, width=4, levels=6)
CRITIC = partial(PatchCritic, width=4, layers=1, norm="batch")


def make(**options):
    return Pix2Pix(2, 3, **{"generator": GENERATOR, "critic": CRITIC, **options})


def pairs(n=2, size=64):
    a, b = 2 * torch.rand(n, 2, size, size) - 1, 2 * torch.rand(n, 3, size, size) - 1
    return {"a": a, "b": b, "truth_a2b": b, "truth_b2a": a}


@pytest.mark.parametrize("direction", ["a2b", "b2a"])
def test_losses_by_hand(direction):
    method = make(direction=direction, adversarial_weight=2.0, l1_weight=7.0)
    batch = pairs()
    x, y = (batch["a"], batch["b"]) if direction == "a2b" else (batch["b"], batch["a"])
    out = method.generate(batch)
    assert out["fake"].shape == y.shape
    on_real, on_fake = method.critic(torch.cat([x, y], 1)), method.critic(torch.cat([x, out["fake"]], 1))
    ones, zeros = torch.ones_like(on_fake), torch.zeros_like(on_fake)
    bce = F.binary_cross_entropy_with_logits
    terms = method.critic_loss(batch, {"fake": out["fake"].detach()})
    torch.testing.assert_close(terms["pairs"], 0.5 * (bce(on_real, ones) + bce(on_fake, zeros)))
    terms = method.generator_loss(batch, out)
    torch.testing.assert_close(terms["adversarial"], 2 * bce(on_fake, ones))
    torch.testing.assert_close(terms["l1"], 7 * (out["fake"] - y).abs().mean())


def test_one_round_is_the_official_one(trainer, tmp_path):
    """Losses and weights of the official optimize_parameters, with --no_lsgan (its commit: test_official.py).

    Both sides in double precision; the critic's running statistics are not compared, since the official code shows it
    fakes first.
    """
    reference = torch.load(Path(__file__).parents[1] / "reference" / "pix2pix_official.pt", weights_only=True)
    start, step = reference["unet_batch"], reference["step"]

    def load(networks):
        for role in "GD":
            torch.save(networks[role], tmp_path / f"latest_net_{role}.pth")
        return import_official([tmp_path / f"latest_net_{role}.pth" for role in "GD"], "pix2pix", dropout=False)

    method, before, after = load(start).train(), load(start).state_dict(), load(step).state_dict()
    x, y = reference["x"].float() / 127.5 - 1, reference["y"].float() / 127.5 - 1
    batch = {"a": x, "b": y, "truth_a2b": y}
    trainer(precision="64-true").fit(method, DataLoader([batch], batch_size=None))
    losses = {name: pytest.approx(value, rel=1e-6) for name, value in step["losses"].items()}
    assert float(method.last_terms["generator_adversarial"]) == losses["G_GAN"]
    assert float(method.last_terms["generator_l1"]) == losses["G_L1"]
    halves = step["losses"]["D_real"] + step["losses"]["D_fake"]
    assert float(method.last_terms["critic_pairs"]) == pytest.approx(0.5 * halves, rel=1e-6)
    compared = {n for n, _ in method.named_parameters()} | {n for n in after if n.startswith("generator")}
    for name in sorted(compared):
        ours = method.state_dict()[name]
        torch.testing.assert_close(ours.to(after[name].dtype), after[name], rtol=0, atol=1e-6, msg=name)
    for network in ("generator", "critic"):  # Adam's first step is the learning rate
        moved = max(float((after[n] - before[n]).abs().max()) for n, _ in method.named_parameters() if network in n)
        assert moved == pytest.approx(2e-4, rel=1e-2)


@pytest.mark.parametrize(
    ("name", "options", "terms", "critic_sees"),
    [
        ("L1", {"adversarial_weight": 0.0}, {"l1"}, None),
        ("GAN", {"l1_weight": 0.0, "conditional": False}, {"adversarial"}, 3),
        ("cGAN", {"l1_weight": 0.0}, {"adversarial"}, 5),
        ("L1+GAN", {"conditional": False}, {"adversarial", "l1"}, 3),
        ("L1+cGAN", {}, {"adversarial", "l1"}, 5),
    ],
)
def test_ablations_are_options(name, options, terms, critic_sees, trainer, tensors):
    method = make(**options)
    batch = pairs()
    trainer().fit(method, tensors({k: v for k, v in batch.items() if k != "b"}, {"b": batch["b"]}, batch_size=2))
    assert {key.removeprefix("generator_") for key in method.last_terms if key.startswith("generator")} == terms
    if critic_sees is None:
        assert not hasattr(method, "critic")
        assert list(method.players) == ["generator"]
    else:
        assert next(method.critic.parameters()).shape[1] == critic_sees
        assert list(method.players) == ["critic", "generator"]


def test_each_player_moves_its_own_networks_alone(trainer, tensors, snapshot):
    batch = pairs()
    for player in ("generator", "critic"):
        method = make()
        method.turns = lambda p, round, player=player: int(p == player)
        before = snapshot(method)
        trainer().fit(method, tensors({k: v for k, v in batch.items() if k != "b"}, {"b": batch["b"]}, batch_size=2))
        moved = {n.split(".")[0] for n, p in method.named_parameters() if not torch.equal(p, before[n])}
        assert moved == {player}


def test_networks_of_the_paper():
    size = lambda network: sum(p.numel() for p in network.parameters())  # noqa: E731
    assert size(UNetGenerator(3, 3)) == 54_413_955
    assert size(UNetGenerator(3, 3, norm="instance")) == 54_409_603
    assert size(UNetGenerator(3, 3, levels=7)) == 41_828_995
    assert len(UNetGenerator(3, 3).state_dict()) == 82
    for layers, parameters in ((1, 139_585), (2, 666_433), (3, 2_768_705), (4, 6_964_033), (5, 11_159_361)):
        assert size(PatchCritic(6, 1, layers=layers, norm="batch")) == parameters
    assert size(PixelCritic(6, 1, norm="batch")) == 9_024
    assert size(PixelCritic(6, 1)) == 8_897
    method = Pix2Pix(3, 3, generator=GENERATOR)
    assert size(method.critic) == 2_768_705
    assert (method.adversarial_weight, method.l1_weight) == (1, 100)
    official = {"model.model.0.weight", "model.model.3.weight", "model.model.3.bias", "model.model.1.model.1.weight"}
    assert official <= set(UNetGenerator(3, 3, width=4).state_dict())


@pytest.mark.parametrize(("layers", "field"), [(0, 1), (1, 16), (2, 34), (3, 70), (5, 286)])
def test_a_logit_sees_its_receptive_field(layers, field):
    critic = PatchCritic(1, 1, width=2, layers=layers, norm="none") if layers else PixelCritic(1, 1, 2, "none")
    x = torch.zeros(1, 1, 320, 320, requires_grad=True)
    logits = critic(x)
    middle = logits.shape[-1] // 2
    for p in critic.parameters():
        p.data = p.data.abs() + 0.1  # no path cancels another
    critic(x)[0, 0, middle, middle].backward()
    assert int((x.grad[0, 0].abs().sum(0) > 0).sum()) == field


def test_dropout_and_skips_are_where_the_official_code_has_them():
    plain, bare = UNetGenerator(3, 3, width=2), UNetGenerator(3, 3, width=2, skips=False)
    assert sum(isinstance(m, torch.nn.Dropout) for m in plain.modules()) == 3
    x = torch.randn(1, 3, 256, 256)
    assert plain.eval()(x).shape == bare.eval()(x).shape == (1, 3, 256, 256)
    # Without skips all must pass the innermost level; with them it need not.
    for network, passes in ((plain, True), (bare, False)):
        innermost = [m for m in network.modules() if isinstance(m, torch.nn.ConvTranspose2d)]
        smallest = max(innermost, key=lambda m: m.weight.shape[0] == m.weight.shape[1])
        torch.nn.init.zeros_(smallest.weight)
        network.zero_grad()
        images = x.clone().requires_grad_()
        network(images).square().sum().backward()
        assert bool(images.grad.abs().sum() > 0) == passes


def trained(**options):
    method = make(**options)
    method.train()
    for _ in range(3):
        method.generator(3 * torch.randn(4, 2, 64, 64) + 1)
    return method.eval()


def test_batch_statistics_are_those_of_each_image_alone():
    method = trained(test_dropout=False)
    before = {name: value.clone() for name, value in method.state_dict().items()}
    images = 2 * torch.rand(3, 2, 64, 64) - 1
    together = method.translate(images, "a2b")
    torch.testing.assert_close(together[1:2], method.translate(images[1:2], "a2b"))
    method.generator.train()
    for module in method.generator.modules():
        if isinstance(module, torch.nn.Dropout):
            module.eval()
    expected = method.generator(images[1:2])
    torch.testing.assert_close(together[1:2], expected)
    method.load_state_dict(before)
    method.eval()
    method.translate(images, "a2b")
    assert all(torch.equal(value, before[name]) for name, value in method.state_dict().items())
    assert not any(module.training for module in method.modules())


def test_running_statistics_are_those_of_training():
    method = trained(test_dropout=False, test_batch_norm="running")
    images = 2 * torch.rand(3, 2, 64, 64) - 1
    torch.testing.assert_close(method.translate(images, "a2b"), method.generator(images))
    assert (method.translate(images, "a2b") - trained(test_dropout=False).translate(images, "a2b")).abs().max() > 1e-3


def test_dropout_at_test_time_is_seeded_and_optional():
    method = trained()
    images = 2 * torch.rand(2, 2, 64, 64) - 1
    state = torch.get_rng_state()
    samples = method.translate(images, "a2b", samples=2, seed=5)
    assert torch.equal(torch.get_rng_state(), state)
    assert samples.shape == (2, 2, 3, 64, 64)
    assert (samples[:, 0] - samples[:, 1]).abs().max() > 0
    assert torch.equal(samples, method.translate(images, "a2b", samples=2, seed=5))
    without = trained(test_dropout=False)
    assert torch.equal(without.translate(images, "a2b"), without.translate(images, "a2b"))
    with pytest.raises(ValueError, match="one output for an input"):
        without.translate(images, "a2b", samples=2)


def test_the_rule_travels_with_the_checkpoint(tmp_path):
    serialization.write(make(test_dropout=False, test_batch_norm="running", direction="b2a"), tmp_path / "p.ckpt")
    again = serialization.rebuild(serialization.read(tmp_path / "p.ckpt"))
    assert (again.multimodal, again.test_batch_norm, again.directions) == (False, "running", ("b2a",))


def test_unpaired_data_and_other_directions_are_refused(trainer, tensors):
    method = make()
    batch = pairs()
    with pytest.raises(ValueError, match="learns from pairs"):
        trainer().fit(method, tensors({"a": batch["a"]}, {"b": batch["b"]}, batch_size=2))
    with pytest.raises(ValueError, match="no direction 'b2a'; its directions: a2b"):
        method.translate(batch["b"], "b2a")
    with pytest.raises(ValueError, match="'a2b' or 'b2a'"):
        make(direction="both")
    with pytest.raises(ValueError, match="nothing to learn"):
        make(adversarial_weight=0.0, l1_weight=0.0)
