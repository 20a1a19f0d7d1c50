"""DIDD: its losses by hand, what each term moves, the parts of codes and how they are combined, the paper's sizes."""

from functools import partial

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import parametrize

from crossdomain import hub
from crossdomain.methods import DIDD
from crossdomain.networks import DIDDCritic, DIDDGenerator
from crossdomain.recipes import read_recipe

SMALL = {
    "generator": partial(DIDDGenerator, width=4, separate=2, halvings=3),
    "critic": partial(DIDDCritic, width=5),
}
COMMON, SEPARATE = (4, 12, 2, 2), (4, 2, 2, 2)


def make(**options):
    return DIDD(2, **{**SMALL, **options})


@pytest.fixture
def batch():
    return {d: 2 * torch.rand(4, 2, 16, 16) - 1 for d in "ab"}


def parameters(*modules):
    return sum(p.numel() for module in modules for p in module.parameters())


def detached(out):
    return {name: value.detach() for name, value in out.items()}


def test_losses_by_hand(batch):
    given = {"reconstruction": 2.0, "zero": 3.0, "confusion": 5.0}
    method = make(**{f"{name}_weight": weight for name, weight in given.items()}).eval()  # no power iterations
    common, decoder = method.generator.common, method.generator.decoder
    e_a, e_b = method.generator.separate["a"], method.generator.separate["b"]
    a, b = batch["a"], batch["b"]
    c_a, c_b, nothing = common(a), common(b), torch.zeros(SEPARATE)
    assert c_a.shape == COMMON
    # The paper's critic says 1 for a and 0 for b; codes of both are to be taken for b's.
    says_a = {d: torch.sigmoid(-method.critic(c)) for d, c in (("a", c_a), ("b", c_b))}
    bce = lambda d, label: F.binary_cross_entropy(says_a[d], torch.full((4, 1), label))  # noqa: E731
    expected = {
        "reconstruction_a": 2 * (decoder(torch.cat([c_a, e_a(a), nothing], 1)) - a).abs().mean(),
        "reconstruction_b": 2 * (decoder(torch.cat([c_b, nothing, e_b(b)], 1)) - b).abs().mean(),
        "zero_a": 3 * e_a(b).abs().mean(),
        "zero_b": 3 * e_b(a).abs().mean(),
        "confusion_a": 5 * bce("a", 0.0),
        "confusion_b": 5 * bce("b", 0.0),
    }
    out = method.generate(batch)
    terms = method.generator_loss(batch, out)
    assert set(terms) == set(expected)
    for name, value in expected.items():
        torch.testing.assert_close(terms[name], value, msg=name)

    wrong = {name: torch.zeros_like(value) for name, value in out.items()}  # the critic takes codes of its own
    terms = method.critic_loss(batch, wrong)
    assert set(terms) == {"domain"}
    torch.testing.assert_close(terms["domain"], bce("a", 1.0) + bce("b", 0.0))
    right = (says_a["a"] > 0.5).float().mean() + (says_a["b"] < 0.5).float().mean()
    torch.testing.assert_close(method.measures(batch, detached(out))["critic_accuracy"], right / 2)


def test_defaults_are_the_official_weights(batch):
    method = make().eval()
    terms = method.generator_loss(batch, out := method.generate(batch))
    torch.testing.assert_close(terms["reconstruction_a"], (out["image_a"] - batch["a"]).abs().mean())
    torch.testing.assert_close(terms["zero_b"], out["zero_b"].abs().mean())
    torch.testing.assert_close(terms["confusion_a"], 0.001 * F.softplus(-method.critic(out["common_a"])).mean())


def test_each_term_moves_what_it_is_of(batch):
    method = make()
    assert list(method.players) == ["generator", "critic"]  # the autoencoder moves first
    owners = {f"generator.{name}": module for name, module in method.generator.named_children()}
    owners |= {f"generator.separate.{d}": method.generator.separate[d] for d in "ab"} | {"critic": method.critic}
    del owners["generator.separate"]
    expected = {
        "reconstruction_a": {"generator.common", "generator.separate.a", "generator.decoder"},
        "zero_a": {"generator.separate.a"},
        "confusion_a": {"generator.common", "critic"},  # the game keeps the critic's from it
    }
    terms = method.generator_loss(batch, method.generate(batch))
    for name, owned in expected.items():
        method.zero_grad()
        terms[name].backward(retain_graph=True)
        moved = {owner for owner, module in owners.items() if any(p.grad is not None for p in module.parameters())}
        assert moved == owned, name
    method.zero_grad()
    method.critic_loss(batch, detached(method.generate(batch)))["domain"].backward()
    assert all((p.grad is not None) == name.startswith("critic") for name, p in method.named_parameters())


def test_each_player_moves_its_own_networks_alone(trainer, snapshot, tensors):
    data = partial(tensors, {"a": 2 * torch.rand(8, 2, 16, 16) - 1}, {"b": 2 * torch.rand(8, 2, 16, 16) - 1})
    for player in ("generator", "critic"):
        method = make()
        method.turns = lambda p, round, player=player: int(p == player)
        before = snapshot(method)
        trainer(limit_train_batches=1, limit_val_batches=0).fit(method, data())
        moved = {n.split(".")[0] for n, p in method.named_parameters() if not torch.equal(p, before[n])}
        assert moved == {player}
    assert method.pools() == {}


def test_what_weights_of_0_leave_out(batch, trainer, tensors):
    method = make(zero_weight=0.0)
    out = method.generate(batch)
    assert not {"zero_a", "zero_b"} & set(out)
    assert set(method.generator_loss(batch, out)) == {f"{n}_{d}" for n in ("reconstruction", "confusion") for d in "ab"}

    method = make(confusion_weight=0.0)
    assert method.players == {"generator": ("generator",)}
    assert not hasattr(method, "critic")
    trainer(limit_train_batches=1, limit_val_batches=0).fit(method, tensors({"a": batch["a"]}, {"b": batch["b"]}))
    assert set(method.last_terms) == {f"generator_{n}_{d}" for n in ("reconstruction", "zero") for d in "ab"}
    with pytest.raises(ValueError, match="zero_weight is -1"):
        make(zero_weight=-1)


def test_parts_are_put_together_in_their_places(batch):
    method = make().eval()
    network, a, b = method.generator, batch["a"], batch["b"]
    of_a, of_b, nothing = network.separate["a"](a), network.separate["b"](b), torch.zeros(SEPARATE)
    decoded = lambda c, s, t: network.decoder(torch.cat([network.common(c), s, t], 1))  # noqa: E731
    translated = method.translate(a, "a2b", guide=b)
    torch.testing.assert_close(translated, decoded(a, nothing, of_b))
    torch.testing.assert_close(method.translate(b, "b2a", guide=a), decoded(b, of_a, nothing))
    torch.testing.assert_close(method.combine(a), decoded(a, nothing, nothing))
    torch.testing.assert_close(method.combine(b, a=a, b=b), decoded(b, of_a, of_b))
    assert torch.equal(method.combine(a, b=b), translated)
    assert torch.equal(method.reconstruct(b, "b"), method.combine(b, b=b))
    assert torch.equal(method.encode(a, "a"), network.common(a))
    assert torch.equal(network(a, "a"), method.reconstruct(a, "a"))

    assert torch.equal(method.translate(a, "a2b", guide=b, seed=7), translated)  # nothing is drawn
    assert (method.translate(a, "a2b", guide=b.flip(0)) - translated).abs().max() > 1e-3  # the guide says something
    one_by_one = [method.translate(a[i : i + 1], "a2b", guide=b[i : i + 1]) for i in range(4)]
    torch.testing.assert_close(torch.cat(one_by_one), translated)


def test_what_does_not_fit_is_refused(batch):
    method, a = make(), batch["a"]
    wide = torch.zeros(4, 2, 16, 24)
    for call, message in (
        (lambda: method.translate(a, "a2b"), "DIDD needs a guide of the target domain"),
        (lambda: method.translate(a, "a2b", guide=wide), "guide has 16x24 px, the image 16x16 px, but DIDD"),
        (lambda: method.combine(a, a=wide), "guide has 16x24 px"),
        (lambda: method.translate(a, "a2b", guide=a, samples=2), "DIDD gives one output"),
        (lambda: method.combine(a, b=a[:, :1]), "Images of domain b have shape"),
        (lambda: method.encode(a, "c"), "domain is 'c', but has to be 'a' or 'b'"),
        (lambda: method.reconstruct(a[..., :15], "a"), "multiples of 8"),
        (lambda: DIDD(1, 3, **SMALL), "1 and 3 channels, but one encoder reads both"),
        (lambda: DIDDGenerator(3, 3, width=2, separate=4, halvings=3), "4, which leaves nothing of 4 and 8 channels"),
        (lambda: DIDDGenerator(3, 3, halvings=1), "halvings is 1, but has to be at least 2"),
        (lambda: method.critic(torch.zeros(1, 12, 4, 2)), "size is 2, but the code has 4x2 places"),
    ):
        with pytest.raises(ValueError, match=message):
            call()


def test_a_critic_of_another_size_is_named_in_training(trainer, tensors):
    images = 2 * torch.rand(4, 2, 32, 32) - 1
    with pytest.raises(ValueError, match=r"size is 2, but the code has 4x4 places\.\nSet model\.critic\.size"):
        trainer(limit_train_batches=1, limit_val_batches=0).fit(make(), tensors({"a": images}, {"b": images}))


def test_networks_of_the_paper():
    network = DIDDGenerator(3, 3)
    assert parameters(network.common) == 6_285_749
    assert [parameters(network.separate[d]) for d in "ab"] == [2_992_633] * 2
    assert parameters(network.decoder) == 6_982_115
    assert parameters(network) == 19_253_130
    assert parameters(DIDDCritic(462, 1)) == 947_201
    assert parameters(DIDDCritic(462, 1, size=1)) == 237_569
    assert (network.common_channels, network.separate_channels, network.total_stride) == (462, 25, 64)
    x = 2 * torch.rand(1, 3, 128, 128) - 1
    common, separate = network.common(x), network.separate["a"](x)
    assert [part[0].numel() for part in (common, separate)] == [1848, 100]
    assert common[0].numel() + 2 * separate[0].numel() == 2048
    assert network.decode(common, separate).shape == (1, 3, 128, 128)
    assert DIDDCritic(462, 1)(common).shape == (1, 1)


def test_a_code_of_one_place_cannot_be_normalised():
    x = 2 * torch.rand(1, 3, 16, 16) - 1
    make = partial(DIDDGenerator, 3, 3, width=4, separate=2, halvings=4)
    with pytest.raises(ValueError, match="more than 1 spatial element"):
        make().common(x)
    assert make(code_norm="none").common(x).shape == (1, 28, 1, 1)
    assert DIDDGenerator(3, 3, width=4, separate=2, halvings=3).common(x).shape == (1, 12, 2, 2)


def test_a_normalised_code_has_one_scale_whatever_the_image():
    x = 2 * torch.rand(8, 3, 32, 32) - 1
    normalised, free = (
        DIDDGenerator(3, 3, width=4, separate=6, halvings=4, code_norm=norm).separate["a"]
        for norm in ("instance", "none")
    )
    found = torch.where((code := normalised(x)) > 0, code, 5 * code)  # what the leaky ReLU was given
    variance, mean = torch.var_mean(found, (2, 3), correction=0)
    torch.testing.assert_close(mean, torch.zeros(8, 6), atol=1e-5, rtol=0)
    assert variance.min() > 0.9
    assert code.abs().mean() > 0.3  # so the zero term has nothing to win
    assert free(x).abs().mean() < 0.3


def test_spectral_norm_of_all_layers_but_the_last():
    network = DIDDGenerator(3, 3, width=4, separate=2, halvings=3)
    layers = [m for m in network.modules() if isinstance(m, (nn.Conv2d, nn.ConvTranspose2d))]
    assert len(layers) == 4 * 3
    assert [parametrize.is_parametrized(layer) for layer in layers] == [True] * 11 + [False]
    assert layers[-1] is network.decoder[-2]
    assert not any(parametrize.is_parametrized(module) for module in DIDDCritic(12, 1).modules())
    for _ in range(50):
        network(torch.zeros(1, 3, 16, 16), "a")
        network.separate["b"](torch.zeros(1, 3, 16, 16))
    for layer in layers[:-1]:
        weight = layer.weight if isinstance(layer, nn.Conv2d) else layer.weight.transpose(0, 1)  # channels out first
        assert torch.linalg.matrix_norm(weight.flatten(1), 2).item() == pytest.approx(1, abs=1e-2)


def test_recipes_have_the_budget_of_those_they_are_compared_with():
    recipes = {name: read_recipe(hub.find_recipe(name)) for name in ("didd", "munit", "rift")}
    for own, *others in (("didd", "munit", "rift"), ("didd_shapes", "munit_shapes", "rift_shapes")):
        mine = read_recipe(hub.find_recipe(own))
        for other in others:
            theirs = read_recipe(hub.find_recipe(other))
            assert (mine["trainer"], mine["data"], mine["seed_everything"]) == (
                theirs["trainer"], theirs["data"], theirs["seed_everything"]
            )  # fmt: skip
    network = read_recipe(hub.find_recipe("didd_shapes"))["model"]["init_args"]["generator"]["init_args"]
    assert network == {
        "width": 32,
        "separate": 25,
        "halvings": 5,
        "code_norm": "instance",
    }  # the paper's but for a halving
    assert recipes["didd"]["trainer"]["max_epochs"] * recipes["didd"]["trainer"]["limit_train_batches"] == 4000
