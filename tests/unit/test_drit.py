"""DRIT++: its losses by hand, who moves when and by what, draws and guides, shared blocks, the paper's sizes."""

from functools import partial

import pytest
import torch
from torch.distributions import Normal, kl_divergence
from torch.nn import functional as F
from torch.optim import SGD

from crossdomain import callbacks, losses, serialization
from crossdomain.datamodules import Digits
from crossdomain.methods import DRIT
from crossdomain.networks import (
    ContentCritic,
    DRITGenerator,
    DRITShapeGenerator,
    MUNITCritic,
    MUNITGenerator,
    drit_critic,
)

SMALL = {
    "latent": 3,
    "generator": partial(DRITGenerator, width=4, blocks=1, halvings=1, attribute_blocks=2),
    "critic": partial(MUNITCritic, width=4, layers=2, scales=2, negative_slope=0.01),
    "content_critic": partial(ContentCritic, width=4, layers=1, kernel=3),
}
CONTENT, ATTRIBUTE = (4, 8, 8, 8), (4, 3)
TERMS = ("adversarial_encoded", "adversarial_random", "adversarial_content", "image", "kl", "content_norm", "cycle",
         "latent", "mode_seeking")  # fmt: skip


def make(**options):
    return DRIT(2, 3, **{**SMALL, "content_critic_rounds": 1, **options})


@pytest.fixture
def batch():
    return {"a": 2 * torch.rand(4, 2, 16, 16) - 1, "b": 2 * torch.rand(4, 3, 16, 16) - 1}


def scattered(method):
    """The method with larger weights, and biases, so that no logit or attribute is near 0."""
    for parameter in method.parameters():
        torch.nn.init.normal_(parameter, 0, 0.3)
    return method


def parameters(*modules):
    return sum(p.numel() for p in dict.fromkeys(p for module in modules for p in module.parameters()))


def cross_entropy(logits, target):
    """Binary cross-entropy of one or more scales against a constant, each a mean, added up."""
    found = logits if isinstance(logits, list) else [logits]
    return sum(F.binary_cross_entropy(one.sigmoid(), torch.full_like(one, target)) for one in found)


def by_hand(method, batch, seed):
    """All that a round makes, from the networks' parts: contents, distributions, translations."""
    nets = {"a": method.generator_a, "b": method.generator_b}
    torch.manual_seed(seed)
    noise = {d: torch.randn(CONTENT) for d in "ab"}
    epsilon = {d: torch.randn(ATTRIBUTE) for d in "ab"}
    z, z2 = torch.randn(2, *ATTRIBUTE)

    def content(d, x, noise):
        features = nets[d].content_encoder(x)
        return features + nets["a"].shared_encoding.conv_block(features) + noise

    def attribute(d, x, epsilon):
        features = nets[d].attribute_encoder.conv(x)
        mean, log_variance = nets[d].attribute_encoder.mean(features), nets[d].attribute_encoder.log_variance(features)
        return mean + epsilon * log_variance.exp().sqrt(), Normal(mean, log_variance.exp().sqrt())

    def decode(d, c, s):
        x = c + nets["a"].shared_decoding.conv_block(c)
        for stage in nets[d].stages:
            tiled = s[:, :, None, None] * torch.ones(1, 1, *x.shape[2:])
            x = stage(torch.cat([x, tiled], 1))
        return x

    made = {"z": (z, z2), "c": {d: content(d, batch[d], noise[d]) for d in "ab"}}
    s = {d: attribute(d, batch[d], epsilon[d])[0] for d in "ab"}
    made["q"] = {d: attribute(d, batch[d], epsilon[d])[1] for d in "ab"}
    for d, other in ("ab", "ba"):
        made[f"fake_{d}"] = decode(d, made["c"][other], s[d])
        made[f"image_{d}"] = decode(d, made["c"][d], s[d])
        made[f"random_{d}"] = [decode(d, made["c"][other], drawn) for drawn in (z, z2)]
        made[f"mean_{d}"] = attribute(d, made[f"random_{d}"][0], 0)[0]
    for d, other in ("ab", "ba"):
        found = content(other, made[f"fake_{other}"], torch.randn(CONTENT))
        drawn, _ = attribute(d, made[f"fake_{d}"], torch.randn(ATTRIBUTE))
        made[f"cycle_{d}"] = decode(d, found, drawn)
    return made


def test_losses_by_hand(batch):
    weights = dict(zip(TERMS, (2.0, 3.0, 5.0, 7.0, 11.0, 13.0, 17.0, 19.0, 23.0), strict=True))
    method = scattered(make(**{f"{name}_weight": weight for name, weight in weights.items()}))
    made = by_hand(method, batch, 1)
    torch.manual_seed(1)
    out = method.generate(batch)
    terms, expected = method.generator_loss(batch, out), {}
    z, z2 = made["z"]
    for d in "ab":
        encoded, random = method.get_submodule(f"critic_encoded_{d}"), method.get_submodule(f"critic_random_{d}")
        first, second = made[f"random_{d}"]
        ratio = (second - first).abs().mean() / (z2 - z).abs().mean()
        found = {
            "adversarial_encoded": cross_entropy(encoded(made[f"fake_{d}"]), 1.0),
            "adversarial_random": cross_entropy(random(first), 1.0) + cross_entropy(random(second), 1.0),
            "adversarial_content": cross_entropy(method.content_critic(made["c"][d]), 0.5),
            "image": (made[f"image_{d}"] - batch[d]).abs().mean(),
            "kl": kl_divergence(made["q"][d], Normal(0.0, 1.0)).sum() / 4,
            "content_norm": (made["c"][d] ** 2).mean(),
            "cycle": (made[f"cycle_{d}"] - batch[d]).abs().mean(),
            "latent": (made[f"mean_{d}"] - z).abs().mean(),
            "mode_seeking": 1 / (ratio + 1e-5),
        }
        expected |= {f"{name}_{d}": weights[name] * value for name, value in found.items()}
    assert set(terms) == set(expected)
    for name, value in expected.items():
        torch.testing.assert_close(terms[name], value, msg=name, rtol=1e-4, atol=1e-5)

    terms, expected = method.critic_loss(batch, out), {}
    for d in "ab":
        encoded, random = method.get_submodule(f"critic_encoded_{d}"), method.get_submodule(f"critic_random_{d}")
        expected[f"encoded_{d}"] = cross_entropy(encoded(batch[d]), 1.0) + cross_entropy(encoded(out[f"fake_{d}"]), 0.0)
        on_fakes = sum(cross_entropy(random(fake), 0.0) for fake in made[f"random_{d}"])
        expected[f"random_{d}"] = 2 * cross_entropy(random(batch[d]), 1.0) + on_fakes
    assert set(terms) == set(expected)
    for name, value in expected.items():
        torch.testing.assert_close(terms[name], value, msg=name, rtol=1e-4, atol=1e-5)

    logits = {d: method.content_critic(made["c"][d]) for d in "ab"}
    expected = cross_entropy(logits["b"], 1.0) + cross_entropy(logits["a"], 0.0)
    torch.testing.assert_close(method.content_critic_loss(batch, out), {"domain": expected}, rtol=1e-4, atol=1e-5)


def test_defaults_are_the_official_weights(batch):
    method = DRIT(2, 3, **SMALL)
    method.rounds = 2
    terms = method.generator_loss(batch, out := method.generate(batch))
    assert set(terms) == {f"{name}_{d}" for name in TERMS for d in "ab"}
    torch.testing.assert_close(terms["cycle_a"], 10 * (out["cycle_a"] - batch["a"]).abs().mean())
    torch.testing.assert_close(terms["image_b"], 10 * (out["image_b"] - batch["b"]).abs().mean())
    torch.testing.assert_close(terms["content_norm_a"], 0.01 * out["content_a"].square().mean())
    mean, _ = method.generator_b.attribute(out["random_b"][0])
    torch.testing.assert_close(terms["latent_b"], 10 * (mean - out["z"][0]).abs().mean())
    given = (method.adversarial_weights["encoded"], method.adversarial_weights["random"], method.latent)
    assert given == (1.0, 1.0, 3)
    assert {name: method.weights[name] for name in ("adversarial_content", "kl", "mode_seeking")} == {
        "adversarial_content": 1.0,
        "kl": 0.01,
        "mode_seeking": 1.0,
    }
    assert (method.content_critic_rounds, method.content_critic_gradient_clip) == (3, 5.0)


def test_confusion_is_least_where_a_critic_knows_nothing():
    logits = torch.tensor([0.0, 2.0, -2.0])
    expected = torch.log1p(torch.exp(torch.tensor(2.0))) - 1  # (softplus(2) + softplus(-2)) / 2
    torch.testing.assert_close(losses.confusion(logits), (2 * expected + torch.tensor(2.0).log()) / 3)
    torch.testing.assert_close(losses.confusion([torch.zeros(2, 1), torch.zeros(2, 4)]), 2 * torch.tensor(2.0).log())


def test_mode_seeking_is_the_inverse_of_how_far_images_move_with_z():
    x, z = torch.zeros(2, 3, 4, 4), torch.zeros(2, 5)
    assert losses.mode_seeking(x, x + 0.25, z, z + 2).item() == pytest.approx(8, rel=1e-3)
    assert losses.mode_seeking(x, x, z, z + 2).item() == pytest.approx(1e5)
    assert losses.mode_seeking(x, x + 0.25, z, z + 2, epsilon=0.125).item() == pytest.approx(4)


def test_the_attribute_encoder_learns_from_images_and_not_from_random_attributes(batch):
    method = make()
    terms = method.generator_loss(batch, method.generate(batch))
    encoders = {f"{part}_{d}": list(getattr(method.generators[d], f"{part}_encoder").parameters())
                for part in ("content", "attribute") for d in "ab"}  # fmt: skip
    reached = {}
    for name, term in terms.items():
        for part, own in encoders.items():
            gradients = torch.autograd.grad(term, own, retain_graph=True, allow_unused=True)
            if any(gradient is not None and gradient.abs().max() > 0 for gradient in gradients):
                reached.setdefault(name, set()).add(part)
    assert reached == {
        "adversarial_encoded_a": {"content_b", "attribute_a"},
        "adversarial_random_a": {"content_b"},
        "adversarial_content_a": {"content_a"},
        "image_a": {"content_a", "attribute_a"},
        "kl_a": {"attribute_a"},
        "content_norm_a": {"content_a"},
        "cycle_a": {"content_a", "content_b", "attribute_a", "attribute_b"},
        "latent_a": {"content_b"},
        "mode_seeking_a": {"content_b"},
        "adversarial_encoded_b": {"content_a", "attribute_b"},
        "adversarial_random_b": {"content_a"},
        "adversarial_content_b": {"content_b"},
        "image_b": {"content_b", "attribute_b"},
        "kl_b": {"attribute_b"},
        "content_norm_b": {"content_b"},
        "cycle_b": {"content_a", "content_b", "attribute_a", "attribute_b"},
        "latent_b": {"content_a"},
        "mode_seeking_b": {"content_a"},
    }
    assert all(p.requires_grad for p in method.parameters())


def test_attributes_tell_images_apart_from_the_first_round_on():
    """From N(0, 0.02^2) alone nothing would be left of an image without norms: the latent term would be deaf."""
    method = DRIT(3, generator=partial(DRITGenerator, width=12, blocks=2), critic=SMALL["critic"],
                  content_critic=SMALL["content_critic"], content_critic_rounds=1)  # fmt: skip
    batch = {"a": 2 * torch.rand(8, 3, 1, 1) - 1 + torch.zeros(8, 3, 32, 32), "b": 2 * torch.rand(8, 3, 32, 32) - 1}
    assert method.encode(batch["a"], "a").std(0).mean() > 0.01
    terms = method.generator_loss(batch, method.generate(batch))
    decoder = list(method.generator_b.stages.parameters())
    norms = {}
    for name in ("latent_b", "image_b"):
        gradients = torch.autograd.grad(terms[name], decoder, retain_graph=True)
        norms[name] = torch.cat([gradient.flatten() for gradient in gradients]).norm()
    assert norms["latent_b"] > 1e-2 * norms["image_b"]


def test_the_content_critic_moves_on_each_batch_and_the_others_on_every_third(trainer, snapshot):
    method = DRIT(1, **SMALL)
    assert list(method.players) == ["critic", "content_critic", "generator"]
    moved = []

    def networks_that_moved():
        after = snapshot(method)
        moved.append({n.split(".")[0] for n in after if not torch.equal(after[n], networks_that_moved.before[n])})
        networks_that_moved.before = after

    networks_that_moved.before = snapshot(method)
    method.on_train_batch_end = lambda *_: networks_that_moved()
    trainer(limit_train_batches=6, limit_val_batches=0).fit(method, Digits(batch_size=4))
    everything = {"content_critic", "generator_a", "generator_b"}
    everything |= {f"critic_{branch}_{d}" for branch in ("encoded", "random") for d in "ab"}
    assert moved == 2 * [{"content_critic"}, {"content_critic"}, everything]
    assert [term.partition("_")[0] for term in method.last_terms] == ["critic"] * 4 + ["content"] + ["generator"] * 18
    assert method.pools() == {}
    method = DRIT(1, **SMALL, generator_interval=2, critic_turns=4)
    assert [method.turns("critic", n) for n in range(6)] == [0, 0, 4, 0, 0, 4]
    assert [method.turns("generator", n) for n in range(6)] == [0, 0, 0, 0, 0, 1]


def test_rounds_of_the_content_critic_alone_make_contents_alone(batch):
    method = DRIT(2, 3, **SMALL)
    assert set(method.generate(batch)) == {"content_a", "content_b"}
    method.rounds = 2
    assert {"fake_a", "image_b", "random_a", "cycle_b", "z"} <= set(method.generate(batch))


def test_each_player_leaves_the_others_networks_without_gradients(batch):
    method = make()
    out = method.generate(batch)
    still = {k: v.detach() if torch.is_tensor(v) else [x.detach() for x in v] for k, v in out.items()}
    for player in ("critic", "content_critic"):
        sum(getattr(method, f"{player}_loss")(batch, still).values()).backward()
        reached = {n.split(".")[0] for n, p in method.named_parameters() if p.grad is not None}
        assert reached == set(method.players[player])
        method.zero_grad()


def test_the_content_critics_gradient_has_a_bound_of_its_own(trainer, snapshot):
    def steps(**options):
        torch.manual_seed(0)
        method = DRIT(1, **SMALL, content_critic_rounds=1, optimizer=partial(SGD, lr=1.0), **options)
        before = snapshot(method)
        trainer(limit_train_batches=1, limit_val_batches=0).fit(method, Digits(batch_size=4))
        after = snapshot(method)
        differences = {
            player: torch.cat(
                [(after[n] - before[n]).flatten() for n in after if n.split(".")[0] in method.players[player]]
            )
            for player in method.players
        }
        return {player: difference.norm().item() for player, difference in differences.items()}

    free, own, both = steps(), steps(content_critic_clip=1e-3), steps(gradient_clip=1e-2)
    assert own["content_critic"] == pytest.approx(1e-3, rel=1e-3)
    assert own["critic"] == pytest.approx(free["critic"], rel=1e-4)
    assert own["generator"] == pytest.approx(free["generator"], rel=1e-2)
    assert both["generator"] == pytest.approx(1e-2, rel=1e-3)
    assert both["content_critic"] == pytest.approx(free["content_critic"], rel=1e-3)
    shared = steps(content_critic_clip=None, gradient_clip=1e-2)
    assert shared["content_critic"] == pytest.approx(1e-2, rel=1e-3)


def test_what_weights_of_0_leave_out(batch):
    method = make(mode_seeking_weight=0.0)  # DRIT
    terms = method.generator_loss(batch, out := method.generate(batch))
    assert set(terms) == {f"{name}_{d}" for name in TERMS if name != "mode_seeking" for d in "ab"}
    assert len(out["random_a"]) == len(out["z"]) == 1
    method = DRIT(2, 3, **SMALL, adversarial_content_weight=0.0, adversarial_random_weight=0.0, cycle_weight=0.0)
    assert method.players == {
        "critic": ("critic_encoded_a", "critic_encoded_b"),
        "generator": ("generator_a", "generator_b"),
    }
    assert {method.turns(player, 0) for player in method.players} == {1}  # there is no critic to wait for
    names = ("adversarial_encoded", "image", "kl", "content_norm", "latent", "mode_seeking")
    assert set(method.generator_loss(batch, method.generate(batch))) == {f"{name}_{d}" for name in names for d in "ab"}
    none = make(
        mode_seeking_weight=0.0, adversarial_random_weight=0.0, latent_weight=0.0, adversarial_encoded_weight=0.0
    )
    assert list(none.players) == ["content_critic", "generator"]
    assert none.generate(batch)["random_b"] == []


def test_training_adds_noise_and_translations_have_none(batch):
    method = make()
    difference = method.generate(batch)["content_a"] - method.generate(batch)["content_a"]
    assert difference.std().item() == pytest.approx(2**0.5, rel=0.1)
    mean, log_variance = method.generator_b.attribute(batch["b"])
    expected = method.generator_b.decode(method.generator_a.content(batch["a"]), mean)
    for mode in (True, False):
        method.train(mode)
        assert torch.equal(method.translate(batch["a"], "a2b", guide=batch["b"]), expected)
        assert torch.equal(method.encode(batch["b"], "b"), mean)
    torch.testing.assert_close(method.generate(batch)["fake_b"], expected)  # in evaluation draws are means
    assert log_variance.shape == mean.shape == ATTRIBUTE
    with pytest.raises(ValueError, match="domain is 'c', but has to be 'a' or 'b'"):
        method.encode(batch["a"], "c")


def test_attributes_are_drawn_or_those_of_a_guide(batch):
    method = scattered(make())
    samples = method.translate(batch["a"], "a2b", samples=3, seed=1)
    assert samples.shape == (4, 3, 3, 16, 16)
    assert torch.equal(samples, method.translate(batch["a"], "a2b", samples=3, seed=1))
    assert (samples[:, 0] - samples[:, 1]).abs().max() > 1e-3
    alone = method.translate(batch["a"][2:3], "a2b", seed=1, indices=[2])
    torch.testing.assert_close(alone, samples[2:3, 0], rtol=1e-4, atol=1e-5)
    guided = method.translate(batch["b"], "b2a", guide=batch["a"])
    assert guided.shape == (4, 2, 16, 16)
    other = method.translate(batch["b"], "b2a", guide=batch["a"].flip(0))
    assert (guided - other).abs().max() > 1e-3
    larger = F.interpolate(batch["a"], 24)
    assert method.translate(batch["b"], "b2a", guide=larger).shape == (4, 2, 16, 16)


def test_shared_blocks_are_one_module_that_a_checkpoint_shares_again(trainer, tmp_path):
    method = DRIT(1, **SMALL, content_critic_rounds=1)
    a, b = method.generator_a, method.generator_b
    assert b.shared_encoding is a.shared_encoding
    assert b.shared_decoding is a.shared_decoding
    assert b.content_encoder[-1] is not a.content_encoder[-1]
    assert b.attribute_encoder is not a.attribute_encoder
    held = [p for group in method.configure_optimizers()[0][-1].param_groups for p in group["params"]]
    assert len(held) == len(set(map(id, held)))
    assert sum(p.numel() for p in held) == parameters(a, b) < 2 * parameters(a)
    average = callbacks.GeneratorEMA(0.5)
    run = trainer(limit_train_batches=2, limit_val_batches=0, callbacks=[average])
    run.fit(method, Digits(batch_size=4))
    run.save_checkpoint(tmp_path / "method.ckpt")
    again = serialization.rebuild(serialization.read(tmp_path / "method.ckpt"))
    assert again.generator_b.shared_decoding is again.generator_a.shared_decoding
    assert len(again.player_parameters("generator")) == len(held)
    for parameter, expected in zip(again.player_parameters("generator"), average._average, strict=True):
        assert torch.equal(parameter, expected)


def test_networks_of_the_paper():
    a, b = DRITGenerator(3, 8), DRITGenerator(3, 8)
    b.share(a)
    assert parameters(a.content_encoder, b.content_encoder, a.shared_encoding) == 9_018_112
    assert parameters(a.attribute_encoder, b.attribute_encoder) == 2_688_160
    assert parameters(a.shared_decoding, a.stages, b.stages) == 9_564_710
    assert parameters(a, b) == 21_270_982
    assert parameters(drit_critic(3, 1)) == 8_271_171
    assert parameters(ContentCritic(256, 1)) == 10_683_649
    assert {module.negative_slope for module in drit_critic(3, 1).modules() if hasattr(module, "negative_slope")} == {
        0.01
    }
    assert a.content_channels == 256
    content, (mean, log_variance) = a.content(torch.zeros(1, 3, 32, 32)), a.attribute(torch.zeros(1, 3, 32, 32))
    assert content.shape == (1, 256, 8, 8)
    assert mean.shape == log_variance.shape == (1, 8)
    assert a(torch.zeros(1, 3, 32, 32)).shape == (1, 3, 32, 32)
    assert a.total_stride == 4
    small = partial(MUNITCritic, width=2, negative_slope=0.01)
    assert [one.shape[2] for one in small(3, 1)(torch.zeros(1, 3, 216, 216))] == [13, 6, 3]
    sides = {n: ContentCritic(4, 1, width=2)(torch.zeros(1, 4, n, n)).shape[2] for n in (53, 54, 64)}
    assert sides == {53: 1, 54: 1, 64: 2}


def test_networks_of_the_paper_for_domains_of_other_shapes():
    a, b = DRITShapeGenerator(3, 8), DRITShapeGenerator(3, 8)
    b.share(a)
    assert b.shared_encoding is a.shared_encoding
    assert parameters(a.content_encoder, b.content_encoder, a.shared_encoding) == 9_018_112
    assert parameters(a.attribute_encoder, b.attribute_encoder) == 5_529_872
    decoders = [getattr(n, part) for n in (a, b) for part in ("vectors", "mixing_blocks", "enlarge")]
    assert parameters(*decoders) == 17_146_374
    assert parameters(a, b) == 9_018_112 + 5_529_872 + 17_146_374
    assert a(torch.zeros(1, 3, 32, 32)).shape == (1, 3, 32, 32)
    with pytest.raises(ValueError, match="mixing_blocks is 0, but has to be at least 1"):
        DRITShapeGenerator(3, 8, mixing_blocks=0)


def test_a_shape_decoder_by_hand():
    network = scattered(DRITShapeGenerator(2, 3, width=4, blocks=1, halvings=1, mixing_blocks=2, hidden=5))
    content, attribute = torch.randn(CONTENT), torch.randn(ATTRIBUTE)
    first, _, second, _, third, _ = network.vectors
    vectors = third(second(first(attribute).relu()).relu())
    x = content
    for block, vector in zip(network.mixing_blocks, (vectors[:, :8], vectors[:, 8:]), strict=True):
        inside, tiled = x, vector[:, :, None, None] * torch.ones(1, 1, 8, 8)
        for convolution, mixture in ((block.first, block.first_mixture), (block.second, block.second_mixture)):
            inside = F.conv2d(F.pad(inside, (1, 1, 1, 1), "reflect"), convolution[1].weight, convolution[1].bias)
            inside = (inside - inside.mean((2, 3), True)) / (inside.var((2, 3), False, True) + 1e-5).sqrt()
            one, other = mixture[0], mixture[2]
            inside = other(one(torch.cat([inside, tiled], 1)).relu()).relu()
        x = x + inside
    (up, norm, _), to_image, _ = network.enlarge
    x = up(x)
    x = (x - x.mean((1, 2, 3), True)) / (x.var((1, 2, 3), False, True) + 1e-5).sqrt()
    x = (x * norm.weight[:, None, None] + norm.bias[:, None, None]).relu()
    torch.testing.assert_close(network.decode(content, attribute), to_image(x).tanh(), rtol=1e-4, atol=1e-5)


def test_attributes_that_are_not_drawn(batch):
    """With ``concat 0`` of the official code: no variance, and the mean square in place of the divergence."""
    shapes = partial(DRITShapeGenerator, width=4, blocks=1, halvings=1, attribute_halvings=2, mixing_blocks=2, hidden=8)
    method = make(generator=shapes, kl_weight=11.0)
    attribute, nothing = method.generator_a.attribute(batch["a"])
    assert nothing is None
    assert attribute.std(0).mean() > 0.01  # it is not deaf
    terms = method.generator_loss(batch, out := method.generate(batch))
    assert set(terms) == {f"{name}_{d}" for name in TERMS for d in "ab"}
    torch.testing.assert_close(terms["kl_a"], 11 * (attribute**2).sum() / attribute.numel())
    assert torch.equal(out["mean_a"], attribute)
    expected = method.generator_a.decode(out["content_b"], attribute)
    torch.testing.assert_close(out["fake_a"], expected, rtol=1e-4, atol=1e-5)
    assert torch.equal(method.encode(batch["a"], "a"), attribute)
    assert method.translate(batch["b"], "b2a", guide=batch["a"]).shape == batch["a"].shape


def test_layers_normalise_over_all_channels_and_see_their_mirror_images():
    network = DRITGenerator(3, 8, width=4, blocks=1)
    norms = [module for module in network.stages.modules() if isinstance(module, torch.nn.GroupNorm)]
    assert [(norm.num_groups, norm.num_channels) for norm in norms] == [(1, 16), (1, 12)]
    convolutions = [m for m in network.modules() if isinstance(m, torch.nn.Conv2d)]
    assert all(m.bias is not None for m in convolutions)
    assert all(m.padding == (0, 0) or m.padding_mode == "reflect" for m in convolutions)
    level = torch.full((1, 3, 16, 16), 0.5)  # no border to be seen in a picture of one colour
    features = network.attribute_encoder.conv[:-2](level)
    torch.testing.assert_close(features, features.mean((2, 3), keepdim=True).expand_as(features))


def test_mistakes_are_named(batch, trainer):
    with pytest.raises(ValueError, match=r"holds 4 of domain a and 2 of b\.\nSet data.batch_size to one number"):
        make().generate({"a": batch["a"], "b": batch["b"][:2]})
    with pytest.raises(ValueError, match=r"accumulate is 2, but it averages.*\nSet model.content_critic_rounds to 1"):
        DRIT(1, **SMALL, accumulate=2)
    assert DRIT(1, **SMALL, accumulate=2, adversarial_content_weight=0.0).content_critic_rounds == 1
    with pytest.raises(ValueError, match="A MUNITGenerator has no 'content', which DRIT needs"):
        make(generator=partial(MUNITGenerator, width=2))
    with pytest.raises(ValueError, match="latent is 0, but has to be at least 1"):
        make(latent=0)
    with pytest.raises(ValueError, match="content_critic_rounds is 0, but has to be at least 1"):
        make(content_critic_rounds=0)
    with pytest.raises(ValueError, match="mode_seeking_weight is -1"):
        make(mode_seeking_weight=-1)
    method = DRIT(1, **{**SMALL, "content_critic": partial(ContentCritic, width=2)})
    with pytest.raises(ValueError, match="Images of 16x16 px do not fit content_critic, a ContentCritic"):
        trainer(limit_train_batches=1, limit_val_batches=0).fit(method, Digits(batch_size=2))
