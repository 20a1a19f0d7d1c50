"""Augmented CycleGAN: its losses by hand, who learns from which term, latent vectors and guides, the paper's sizes."""

import math
from functools import partial

import pytest
import torch
from torch.nn import functional as F

from crossdomain import serialization
from crossdomain.datamodules import Digits
from crossdomain.methods import AugmentedCycleGAN
from crossdomain.networks import (
    AugCycleGANCritic,
    ConditionalResNetGenerator,
    LatentCritic,
    LatentUNetGenerator,
    PairEncoder,
    ResNetEncoder,
    WholeImageCritic,
)

SMALL = {
    "generator": partial(ConditionalResNetGenerator, width=4, blocks=1),
    "encoder": partial(PairEncoder, width=4, halvings=2),
    "critic": partial(AugCycleGANCritic, width=4, halvings=1),
    "latent_critic": partial(LatentCritic, width=8, layers=1),
}
GIVEN = {"latent_adversarial_weight": 2.0, "latent_weight": 3.0, "cycle_weight_a": 5.0, "cycle_weight_b": 7.0}
LATENTS = {"a": 2, "b": 3}
WAYS = (("a", "b"), ("b", "a"))


def make(**options):
    """A method whose weights are large enough for its outputs to differ."""
    method = AugmentedCycleGAN(2, 3, **{"latent_a": 2, "latent_b": 3, **SMALL, **options})
    for parameter in method.parameters():
        if parameter.ndim > 1:
            torch.nn.init.xavier_normal_(parameter)
    return method


@pytest.fixture
def batch():
    return {"a": 2 * torch.rand(4, 2, 16, 16) - 1, "b": 2 * torch.rand(4, 3, 16, 16) - 1}


def generated(method, batch):
    """What a round makes, and the numbers that it draws: for each way z, and what the cycle draws, if it does."""
    cycles = method.cycle_latent != "encoded"
    torch.manual_seed(1)
    drawn = {}
    for source, target in WAYS:
        drawn[target] = torch.randn(4, method.latents[target])
        if cycles:
            drawn[f"cycle_{source}"] = torch.randn(4, method.latents[source])
    torch.manual_seed(1)
    return method.generate(batch), drawn


def part(method, name, domain):
    return method.get_submodule(f"{name}_{domain}")


def passes(method, batch, drawn):
    """For each way: the generators there and back, the image, its translation, and what encoders see in both."""
    for source, target in WAYS:
        there, back = (method.get_submodule(way) for way in (f"{source}2{target}", f"{target}2{source}"))
        fake = there(batch[source], drawn[target])
        code = part(method, "encoder", source)(torch.cat([batch[source], fake], 1))
        found = part(method, "encoder", target)(torch.cat([fake, batch[source]], 1))
        yield source, target, back, fake, code, found


def far_from(target, logits):
    return ((logits - target) ** 2).mean()


def assert_terms(terms, expected):
    assert set(terms) == set(expected)
    for name, value in expected.items():
        torch.testing.assert_close(terms[name], value, msg=name)


def test_losses_by_hand(batch):
    method = make(**GIVEN)
    out, drawn = generated(method, batch)
    expected, of_critics = {}, {}
    for source, target, back, fake, (code, _), (found, _) in passes(method, batch, drawn):
        critic, latent_critic = part(method, "critic", target), part(method, "latent_critic", source)
        expected |= {
            f"adversarial_{target}": far_from(1, critic(fake)),
            f"adversarial_code_{source}": 2 * far_from(1, latent_critic(code)),
            f"cycle_{source}": {"a": 5, "b": 7}[source] * (back(fake, code) - batch[source]).abs().mean(),
            f"latent_{target}": 3 * (found - drawn[target]).abs().mean(),
        }
        of_critics |= {
            target: 0.5 * (far_from(1, critic(batch[target])) + far_from(0, critic(fake))),
            f"code_{source}": 0.5 * (far_from(1, latent_critic(drawn[source])) + far_from(0, latent_critic(code))),
        }
        assert (fake.shape, code.shape) == (batch[target].shape, (4, LATENTS[source]))
    assert_terms(method.generator_loss(batch, out), expected)
    assert_terms(method.critic_loss(batch, out), of_critics)


def test_codes_that_are_sampled(batch):
    method = make(cycle_latent="sampled", **GIVEN)
    method.encoder_a.mean.bias.data.fill_(30.0)  # where codes are cut off
    out, drawn = generated(method, batch)
    expected = {}
    for source, target, back, fake, (mean, log_variance), (found, spread) in passes(method, batch, drawn):
        code = (mean + torch.exp(log_variance / 2) * drawn[f"cycle_{source}"]).clamp(-4, 4)
        assert (code == 4).all() == (source == "a")
        surprise = (spread + (drawn[target] - found) ** 2 / spread.exp() + math.log(2 * math.pi)) / 2
        divergence = (mean**2 + log_variance.exp() - log_variance - 1) / 2
        expected |= {
            f"adversarial_{target}": far_from(1, part(method, "critic", target)(fake)),
            f"cycle_{source}": {"a": 5, "b": 7}[source] * (back(fake, code) - batch[source]).abs().mean(),
            f"latent_{target}": 3 * surprise.mean(),
            f"kl_{source}": 3 * divergence.sum(1).mean(),
        }
    assert_terms(method.generator_loss(batch, out), expected)
    assert set(method.critic_loss(batch, out)) == {"a", "b"}
    assert method.players["critic"] == ("critic_a", "critic_b")
    assert method.guide == "optional"


def test_cycles_of_the_prior_are_those_of_stochastic_cyclegan(batch):
    method = make(cycle_latent="prior", **GIVEN)
    assert method.players == {"critic": ("critic_a", "critic_b"), "generator": ("a2b", "b2a")}
    assert (method.guide, method.multimodal) == ("none", True)
    out, drawn = generated(method, batch)
    expected = {}
    for source, target in WAYS:
        fake = method.generators[f"{source}2{target}"](batch[source], drawn[target])
        cycled = method.generators[f"{target}2{source}"](fake, drawn[f"cycle_{source}"])
        expected[f"adversarial_{target}"] = far_from(1, part(method, "critic", target)(fake))
        expected[f"cycle_{source}"] = {"a": 5, "b": 7}[source] * (cycled - batch[source]).abs().mean()
    assert_terms(method.generator_loss(batch, out), expected)
    with pytest.raises(ValueError, match="takes no guide"):
        method.translate(batch["a"], "a2b", guide=batch["b"])
    with pytest.raises(ValueError, match="cannot encode images of domain 'b'"):
        method.encode(batch["b"], "b")


def test_defaults_are_the_official_weights(batch):
    method = make()
    for network in (*method.critics.networks.values(), *method.latent_critics.values()):
        for parameter in network.parameters():
            parameter.data.zero_()
            if parameter.shape == (1,):  # bias of the last layer: every logit is one half
                parameter.data.fill_(0.5)
    out = method.generate(batch)
    terms, of_critics = method.generator_loss(batch, out), method.critic_loss(batch, out)
    assert [terms[f"adversarial_{name}"].item() for name in ("a", "code_b")] == pytest.approx([0.25, 0.25])
    assert [of_critics[name].item() for name in ("a", "code_b")] == pytest.approx([0.25, 0.25])
    torch.testing.assert_close(terms["cycle_a"], (out["cycled_a"] - batch["a"]).abs().mean())
    torch.testing.assert_close(terms["latent_b"], 0.025 * (out["found_b"][0] - out["drawn_b"]).abs().mean())
    assert [pool.size for pool in method.pools().values()] == [0, 0]


def test_who_learns_from_which_term(batch):
    method = make()
    terms = method.generator_loss(batch, method.generate(batch))
    names, parameters = zip(*method.named_parameters(), strict=True)

    def learns(term):
        gradients = torch.autograd.grad(terms[term], parameters, retain_graph=True, allow_unused=True)
        return {n.split(".")[0] for n, g in zip(names, gradients, strict=True) if g is not None and g.abs().max() > 0}

    assert learns("adversarial_b") == {"a2b", "critic_b"}
    assert learns("cycle_a") == {"a2b", "encoder_a", "b2a"}
    assert learns("latent_b") == {"a2b", "encoder_b"}
    assert learns("adversarial_code_a") == {"a2b", "encoder_a", "latent_critic_a"}  # also by way of what it encodes
    assert learns("adversarial_code_b") == {"b2a", "encoder_b", "latent_critic_b"}


def test_critics_move_first_and_each_player_its_own_networks_alone(trainer, snapshot):
    owned = {
        "critic": {"critic_a", "critic_b", "latent_critic_a", "latent_critic_b"},
        "generator": {"a2b", "b2a", "encoder_a", "encoder_b"},
    }
    data = Digits(batch_size=8)
    for player, networks in owned.items():
        method = AugmentedCycleGAN(1, **SMALL)
        assert list(method.players) == ["critic", "generator"]
        method.turns = lambda p, round, player=player: int(p == player)
        before = snapshot(method)
        trainer(limit_train_batches=1, limit_val_batches=0).fit(method, data)
        moved = {n.split(".")[0] for n, p in method.named_parameters() if not torch.equal(p, before[n])}
        assert moved == networks
    trainer(limit_train_batches=1, limit_val_batches=0).fit(method := AugmentedCycleGAN(1, **SMALL), data)
    assert [term.partition("_")[0] for term in method.last_terms] == ["critic"] * 4 + ["generator"] * 8


def test_only_what_is_needed_is_built():
    one_to_many = make(latent_b=0)
    assert one_to_many.players["critic"] == ("critic_a", "critic_b", "latent_critic_a")
    assert one_to_many.players["generator"] == ("a2b", "b2a", "encoder_a")
    assert make(latent_adversarial_weight=0.0).players["critic"] == ("critic_a", "critic_b")
    plain = make(latent_a=0, latent_b=0)
    assert plain.players["generator"] == ("a2b", "b2a")
    assert (plain.guide, plain.multimodal) == ("none", False)
    assert plain.translate(torch.zeros(2, 2, 16, 16), "a2b").shape == (2, 3, 16, 16)
    with pytest.raises(ValueError, match="latent_b is -1, but has to be at least 0"):
        make(latent_b=-1)
    with pytest.raises(ValueError, match="cycle_latent is 'mean', but has to be 'encoded', 'sampled' or 'prior'"):
        make(cycle_latent="mean")


def test_one_to_many(batch):
    method = make(latent_b=0).eval()
    terms = method.generator_loss(batch, method.generate(batch))
    both = {f"{name}_{d}" for name in ("adversarial", "cycle") for d in "ab"}
    assert set(terms) == {*both, "adversarial_code_a", "latent_a"}
    photos = method.translate(batch["b"], "b2a", samples=2, seed=0)
    labels = method.translate(batch["a"], "a2b", samples=2, seed=0)
    assert (photos[:, 0] - photos[:, 1]).abs().max() > 1e-2
    assert torch.equal(labels[:, 0], labels[:, 1])
    assert torch.equal(method.translate(batch["a"], "a2b", guide=batch["b"]), labels[:, 0])  # it has nothing to give
    code, _ = method.encoder_a(torch.cat([batch["a"], method.translate(batch["a"], "a2b")], 1))
    torch.testing.assert_close(method.encode(batch["a"], "a"), code)
    torch.testing.assert_close(method.translate(batch["b"], "b2a", guide=batch["a"]), method.b2a(batch["b"], code))


def test_translations_are_drawn_or_after_a_guide(batch):
    method = make().eval()
    samples = method.translate(batch["a"], "a2b", samples=3, seed=1)
    assert samples.shape == (4, 3, 3, 16, 16)
    assert torch.equal(samples, method.translate(batch["a"], "a2b", samples=3, seed=1))
    assert (samples[:, 0] - samples[:, 1]).abs().max() > 1e-2
    one = method.translate(batch["a"][2:3], "a2b", seed=1, indices=[2])
    torch.testing.assert_close(one, samples[2:3, 0])

    codes = method.encode(batch["b"], "b")
    assert codes.shape == (4, 3)
    torch.testing.assert_close(method.encode(batch["b"][1:2], "b"), codes[1:2])  # whatever is encoded beside it
    guided = method.translate(batch["a"], "a2b", guide=batch["b"], seed=1)
    torch.testing.assert_close(guided, method.a2b(batch["a"], codes))
    assert torch.equal(guided, method.translate(batch["a"], "a2b", guide=batch["b"], seed=2))
    swapped = method.translate(batch["a"][:1].expand(4, -1, -1, -1), "a2b", guide=batch["b"].flip(0))
    torch.testing.assert_close(swapped, method.a2b(batch["a"][:1].expand(4, -1, -1, -1), codes.flip(0)))
    larger = F.interpolate(batch["b"], 24)
    assert method.translate(batch["a"], "a2b", guide=larger).shape == (4, 3, 16, 16)
    with pytest.raises(ValueError, match="domain is 'c', but has to be 'a' or 'b'"):
        method.encode(batch["a"], "c")


def test_networks_of_bicyclegan_fit_too(batch):
    method = make(
        generator=partial(LatentUNetGenerator, width=4, levels=3), encoder=partial(ResNetEncoder, width=4, blocks=1)
    ).eval()
    assert method.translate(batch["a"], "a2b", guide=batch["b"]).shape == (4, 3, 16, 16)
    assert all(term.isfinite() for term in method.generator_loss(batch, method.generate(batch)).values())


def test_a_batch_of_one_is_refused_by_batch_norm_alone(trainer, tmp_path):
    run = trainer(limit_train_batches=2, limit_val_batches=0)
    with pytest.raises(ValueError, match="encoder_b, a PairEncoder: Expected more than 1 value") as refused:
        run.fit(AugmentedCycleGAN(1, **SMALL), Digits(batch_size=1))
    assert "or batches (data.batch_size)" in str(refused.value)
    without = {
        "encoder": partial(PairEncoder, width=4, halvings=2, norm="none"),
        "latent_critic": partial(LatentCritic, width=8, batch_norm=False),
    }
    method = AugmentedCycleGAN(1, **{**SMALL, **without})
    run = trainer(limit_train_batches=2, limit_val_batches=0)
    run.fit(method, Digits(batch_size=1))
    assert all(term.isfinite() for term in method.last_terms.values())
    run.save_checkpoint(tmp_path / "m.ckpt")
    again = serialization.rebuild(serialization.read(tmp_path / "m.ckpt"))
    images = 2 * torch.rand(2, 1, 16, 16) - 1
    assert torch.equal(again.translate(images, "b2a", seed=3), method.eval().translate(images, "b2a", seed=3))


# --- networks --------------------------------------------------------------------------------------------------


def test_networks_of_the_paper():
    counts = {
        1_104_259: ConditionalResNetGenerator(3, 3, 16),
        1_080_963: ConditionalResNetGenerator(3, 3, 0),
        1_447_040: PairEncoder(6, 16),
        1_446_176: PairEncoder(3, 16),
        243_521: WholeImageCritic(3, 1),
        1_713_089: AugCycleGANCritic(3, 1),
        9_857: LatentCritic(16, 1),
    }
    for expected, network in counts.items():
        assert sum(p.numel() for p in network.parameters()) == expected, type(network).__name__
    images = torch.zeros(2, 3, 64, 64)
    assert WholeImageCritic(3, 1)(images).shape == (2, 1, 1, 1)
    assert AugCycleGANCritic(3, 1)(images).shape == (2, 1, 13, 13)
    assert [x.shape for x in PairEncoder(3, 16)(images)] == [(2, 16), (2, 16)]
    assert ConditionalResNetGenerator(3, 3, 16).down[2].convolution(torch.zeros(1, 64, 64, 64)).shape[2:] == (32, 32)


@pytest.mark.parametrize("halvings", [0, 1, 2, 3])
def test_a_generator_halves_images_so_often_and_keeps_their_size(halvings):
    network = ConditionalResNetGenerator(1, 2, 3, width=2, blocks=1, halvings=halvings)
    seen = []
    network.blocks[0].register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].shape))
    assert network(torch.zeros(1, 1, 16, 24), torch.zeros(1, 3)).shape == (1, 2, 16, 24)
    assert network.total_stride == 2**halvings
    assert seen == [(1, 8, 16 // 2**halvings, 24 // 2**halvings)]


def normalised(x):
    deviation, mean = torch.std_mean(x, (2, 3), correction=0, keepdim=True)
    return (x - mean) / (deviation**2 + 1e-5).sqrt()


def test_a_latent_vector_sets_scales_and_shifts_that_are_never_negative():
    norm = make().a2b.down[0].norm.double()
    norm.given.bias.data.normal_()
    x, z = torch.randn(2, 4, 8, 8).double(), torch.randn(2, 3).double()
    scale, shift = F.linear(z, norm.given.weight, norm.given.bias)[..., None, None].clamp(min=0).split(4, 1)
    assert (scale == 0).any()
    torch.testing.assert_close(norm(x, z), normalised(x) * scale + shift)
    network = ConditionalResNetGenerator(1, 1, 3, width=2)
    images = torch.rand(2, 1, 16, 16)
    assert network(images, torch.randn(2, 3)).abs().min() > 0


def test_scales_start_near_one_so_that_norms_keep_contents(batch):
    network = ConditionalResNetGenerator(3, 3, 8, width=16, halvings=2)
    images, z = torch.rand(8, 3, 32, 32), torch.randn(8, 8)
    variances = []
    for part in (*network.down, *network.blocks, *network.up):
        part.norm.register_forward_pre_hook(lambda _, given: variances.append(given[0].var((2, 3)).median()))
    outputs = network(images, z)
    assert min(variances) > 1e-4  # ten times the epsilon of the norms
    moved_by_image = (outputs - network(images.flip(0), z)).std()
    assert moved_by_image > 0.1 * (outputs - network(images, z.flip(0))).std() > 0


@pytest.mark.parametrize("latent", [0, 3])
def test_a_residual_block(latent):
    block = ConditionalResNetGenerator(1, 1, latent, width=1, blocks=1).blocks[0].double()
    for parameter in block.parameters():
        torch.nn.init.normal_(parameter)
    x, z = torch.randn(2, 4, 6, 6).double(), torch.randn(2, latent).double()

    def convolved(x, convolution):
        return F.conv2d(F.pad(x, (1, 1, 1, 1), mode="reflect"), convolution.weight, convolution.bias)

    inside = convolved(x, block.first)
    if latent:
        scale, shift = F.relu(block.norm.given(z))[..., None, None].split(4, 1)
        inside = normalised(inside) * scale + shift
    added = normalised(convolved(F.relu(inside), block.second))
    scale, shift = block.last_norm.weight.view(1, 4, 1, 1), block.last_norm.bias.view(1, 4, 1, 1)
    torch.testing.assert_close(block(x, z), F.relu(x + added * scale + shift))


def test_batch_norm_hides_mean_and_variance_of_codes_from_their_critic():
    codes = torch.randn(8, 4).double()
    blind, seeing = (LatentCritic(4, 1, batch_norm=batch_norm).double() for batch_norm in (True, False))
    torch.testing.assert_close(blind(0.3 * codes + 2), blind(codes), rtol=1e-3, atol=1e-3)
    assert (seeing(0.3 * codes + 2) - seeing(codes)).abs().max() > 0.05
