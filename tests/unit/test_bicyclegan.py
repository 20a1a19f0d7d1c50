"""BiCycleGAN: its losses by hand, its baselines, who moves the encoder, the paper's sizes, and many outputs for one."""

from functools import partial
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F
from torch.utils.data import DataLoader

from crossdomain import serialization
from crossdomain.evaluation import Evaluation
from crossdomain.methods import BiCycleGAN
from crossdomain.networks import ConvEncoder, LatentUNetGenerator, MultiScaleCritic, ResNetEncoder
from crossdomain.official import import_official

SMALL = {
    "generator": partial(LatentUNetGenerator, width=4, levels=4, dropout=0.0),
    "encoder": partial(ResNetEncoder, width=4, blocks=2),
    "critic": partial(MultiScaleCritic, width=4, layers=1),
    "latent": 3,
}
NAMES = ("adversarial_encoded", "adversarial_random", "l1", "l1_random", "kl", "latent")
HYBRID = {"adversarial_encoded", "adversarial_random", "l1", "kl", "latent"}


def make(**options):
    return BiCycleGAN(2, 3, **{**SMALL, **options})


def weights(**given):
    return {f"{name}_weight": given.get(name, 0.0) for name in NAMES}


def pairs(n=2, size=32):
    a, b = 2 * torch.rand(n, 2, size, size) - 1, 2 * torch.rand(n, 3, size, size) - 1
    return {"a": a, "b": b, "truth_a2b": b, "truth_b2a": a}


def fit(method, trainer, tensors, batch):
    data = tensors({k: v for k, v in batch.items() if k != "b"}, {"b": batch["b"]}, batch_size=len(batch["a"]))
    trainer().fit(method, data)


def grown(method):
    """The method with weights that are large enough for its outputs to differ."""
    for parameter in method.parameters():
        if parameter.ndim > 1:
            torch.nn.init.xavier_normal_(parameter)
    return method


@pytest.mark.parametrize("direction", ["a2b", "b2a"])
@pytest.mark.parametrize("conditional", [False, True])
def test_losses_by_hand(direction, conditional):
    given = dict(zip(NAMES, (2.0, 3.0, 5.0, 7.0, 0.1, 0.3), strict=True))
    method = grown(make(direction=direction, conditional=conditional, **weights(**given)))
    batch = pairs()
    x, y = (batch["a"], batch["b"]) if direction == "a2b" else (batch["b"], batch["a"])
    out = method.generate(batch)
    mean, log_variance = method.encoder(y)
    torch.testing.assert_close(out["mean"], mean)
    torch.testing.assert_close(out["random"], method.generator(x, out["z"]))
    assert out["encoded"].shape == out["random"].shape == y.shape

    def logits(critic, x, image):
        return critic(torch.cat([x, image], 1) if conditional else image)

    def least_squares(logits, target):
        return sum((scale - target).square().mean() for scale in logits)

    terms = method.generator_loss(batch, out)
    expected = {
        "adversarial_encoded": 2 * least_squares(logits(method.critic_encoded, x, out["encoded"]), 1),
        "adversarial_random": 3 * least_squares(logits(method.critic_random, x, out["random"]), 1),
        "l1": 5 * (out["encoded"] - y).abs().mean(),
        "l1_random": 7 * (out["random"] - y).abs().mean(),
        "kl": 0.1 * -0.5 * (1 + log_variance - mean**2 - log_variance.exp()).sum() / 2,
        "latent": 0.3 * (method.encoder(out["random"])[0] - out["z"]).abs().mean(),
    }
    assert set(terms) == set(expected)
    for name, value in expected.items():
        torch.testing.assert_close(terms[name], value)

    terms = method.critic_loss(batch, {k: v.detach() for k, v in out.items()})
    on_real, on_fake = logits(method.critic_encoded, x, y), logits(method.critic_encoded, x, out["encoded"])
    torch.testing.assert_close(terms["encoded"], least_squares(on_real, 1) + least_squares(on_fake, 0))
    on_real, on_fake = logits(method.critic_random, x, y), logits(method.critic_random, x, out["random"])
    torch.testing.assert_close(terms["random"], least_squares(on_real, 1) + least_squares(on_fake, 0))


def test_the_kl_weight_rises():
    def kl_terms(warm_up):
        torch.manual_seed(0)
        method, batch = grown(make(kl_weight=0.1, kl_warm_up=warm_up)), pairs()
        out = method.generate(batch)
        terms = []
        for method.rounds in range(6):
            terms.append(method.generator_loss(batch, out)["kl"].item())
        return torch.tensor(terms)

    at_once, risen = kl_terms(0), kl_terms(4)
    assert bool((at_once == at_once[0]).all())
    torch.testing.assert_close(risen, at_once * torch.tensor([0.25, 0.5, 0.75, 1.0, 1.0, 1.0]))


def test_one_round_is_the_official_one(trainer, tmp_path, monkeypatch):
    """Losses and weights of the official optimize_parameters (tests/integration/test_official.py has the commit).

    The official code takes half a batch for one branch and the other half as true images of the other: it was given
    our batch and then the batch rolled by one. Its KL is summed over the half batch, ours averaged, so it had half the
    weight. Both sides in double precision: biases before an instance norm have gradients that are rounding alone, of
    which Adam makes whole steps in single precision.
    """
    reference = torch.load(Path(__file__).parents[1] / "reference" / "bicyclegan_official.pt", weights_only=True)
    nets, step = reference["nets"], reference["step"]
    roles = ("G", "E", "D", "D2")

    def load(networks):
        for role in roles:
            torch.save(networks[role], tmp_path / f"latest_net_{role}.pth")
        return import_official([tmp_path / f"latest_net_{r}.pth" for r in roles], "bicyclegan", dropout=False)

    start = {**nets, "G": nets["G_all"]}
    method, before, after = load(start).train(), load(start).state_dict(), load(step).state_dict()
    x, y = reference["x"].float() / 127.5 - 1, reference["y"].float() / 127.5 - 1
    monkeypatch.setattr(torch, "randn_like", lambda tensor: step["eps"])
    monkeypatch.setattr(torch, "randn", lambda *shape, **options: step["z"])
    trainer(precision="64-true").fit(method, DataLoader([{"a": x, "b": y, "truth_a2b": y}], batch_size=None))
    official = {"generator_adversarial_encoded": "G_GAN", "generator_adversarial_random": "G_GAN2",
                "generator_l1": "G_L1", "generator_kl": "kl", "generator_latent": "z_L1",
                "critic_encoded": "D", "critic_random": "D2"}  # fmt: skip
    assert set(method.last_terms) == set(official)
    for term, name in official.items():
        assert float(method.last_terms[term]) == pytest.approx(step["losses"][name], rel=1e-5), term
    for name, p in method.named_parameters():
        torch.testing.assert_close(p.float(), after[name], rtol=0, atol=1e-6, msg=name)
    for network in ("generator", "encoder", "critic_encoded", "critic_random"):  # Adam's first step is its rate
        moved = max(float((after[n] - before[n]).abs().max()) for n in after if n.startswith(network))
        assert moved == pytest.approx(2e-4, rel=1e-2)


@pytest.mark.parametrize(
    ("name", "options", "terms", "critics", "encoder"),
    [
        ("BicycleGAN", {}, HYBRID, {"critic_encoded", "critic_random"}, True),
        (
            "cVAE-GAN",
            {"adversarial_random_weight": 0.0, "latent_weight": 0.0},
            {"adversarial_encoded", "l1", "kl"},
            {"critic_encoded"},
            True,
        ),
        (
            "cLR-GAN",
            weights(adversarial_random=1.0, latent=0.5),
            {"adversarial_random", "latent"},
            {"critic_random"},
            True,
        ),
        (
            "pix2pix+noise",
            weights(adversarial_random=1.0, l1_random=10.0),
            {"adversarial_random", "l1_random"},
            {"critic_random"},
            False,
        ),
    ],
)
def test_baselines_are_weights(name, options, terms, critics, encoder, trainer, tensors):
    method = make(**options)
    fit(method, trainer, tensors, pairs())
    logged = {key.removeprefix("generator_") for key in method.last_terms if key.startswith("generator")}
    assert logged == terms
    assert set(method.players["critic"]) == critics
    children = {child for child, _ in method.named_children()}
    assert children == {"generator", *critics, *(["encoder"] if encoder else [])}
    assert method.guide == ("optional" if encoder else "none")


@pytest.mark.parametrize(("given", "moves"), [({"latent": 1.0, "l1": 1.0}, False), ({"latent": 1.0}, True)])
def test_the_latent_term_moves_the_encoder_only_where_nothing_else_does(given, moves):
    method = grown(make(**weights(**given)))
    batch = pairs()
    method.generator_loss(batch, method.generate(batch))["latent"].backward()
    assert all(p.grad is not None for p in method.generator.parameters())
    assert any(p.grad is not None for p in method.encoder.parameters()) == moves
    assert all(p.requires_grad for p in method.encoder.parameters())


def test_each_player_moves_its_own_networks_alone(trainer, tensors, snapshot):
    owned = {"generator": {"generator", "encoder"}, "critic": {"critic_encoded", "critic_random"}}
    for player, networks in owned.items():
        method = make()
        method.turns = lambda p, round, player=player: int(p == player)
        before = snapshot(method)
        fit(method, trainer, tensors, pairs())
        moved = {n.split(".")[0] for n, p in method.named_parameters() if not torch.equal(p, before[n])}
        assert moved == networks


@pytest.mark.parametrize("n", [1, 3])
def test_any_batch_size_trains(n, trainer, tensors):
    method = make()
    fit(method, trainer, tensors, pairs(n))
    assert method.rounds == 1
    assert all(bool(torch.isfinite(term)) for term in method.last_terms.values())


def test_networks_of_the_paper():
    size = lambda network: sum(p.numel() for p in network.parameters())  # noqa: E731
    for inject, channels, levels, parameters in (
        ("all", 3, 8, 54_794_627),
        ("all", 1, 8, 54_792_579),
        ("all", 3, 7, 42_145_155),
        ("input", 3, 8, 54_417_795),
        ("input", 3, 7, 41_833_859),
    ):
        assert size(LatentUNetGenerator(channels, 3, 8, inject, levels=levels)) == parameters
    assert [size(MultiScaleCritic(c, 1)) for c in (3, 6)] == [3_458_978, 3_463_586]
    assert [size(MultiScaleCritic(c, 1, layers=2)) for c in (3, 6)] == [830_626, 835_234]
    assert [size(ResNetEncoder(3, 8, blocks=n)) for n in (4, 3)] == [2_590_032, 1_344_080]
    assert [size(ConvEncoder(3, 8, layers=n)) for n in (5, 4)] == [2_760_656, 1_711_824]
    assert [logits.shape[-1] for logits in MultiScaleCritic(3, 1, width=4)(torch.zeros(1, 3, 256, 256))] == [30, 14]


def test_where_the_latent_vector_goes_in():
    x, z = torch.rand(1, 3, 64, 64), torch.randn(1, 2)
    for inject, joins in (("all", 6), ("input", 1)):
        network = LatentUNetGenerator(3, 3, 2, inject, width=2, levels=6, dropout=0.0)
        ways_down = [m for m in network.modules() if isinstance(m, torch.nn.Conv2d)]
        widths = [3, 2, 4, 8, 16, 16]
        assert sorted(m.in_channels for m in ways_down) == sorted(
            w + 2 * (place < joins) for place, w in enumerate(widths)
        )
        for parameter in network.parameters():
            parameter.data.normal_(0, 0.5)
        assert (network(x, z) - network(x, -z)).abs().max() > 1e-3
    with pytest.raises(ValueError, match="'all' or 'input'"):
        LatentUNetGenerator(3, 3, 2, "middle")


def test_many_outputs_for_one_input_and_one_for_a_guide():
    method = grown(make()).eval()
    batch = pairs(2, 40)  # no multiple of 16: padded and cropped
    samples = method.translate(batch["a"], "a2b", samples=4, seed=1)
    assert samples.shape == (2, 4, 3, 40, 40)
    assert torch.equal(samples, method.translate(batch["a"], "a2b", samples=4, seed=1))
    assert (samples[:, 0] - samples[:, 1]).abs().max() > 1e-3
    encoded = method.translate(batch["a"], "a2b", guide=batch["b"])
    padded = torch.nn.functional.pad(batch["b"], (0, 8, 0, 8), mode="replicate")
    x = torch.nn.functional.pad(batch["a"], (0, 8, 0, 8), mode="replicate")
    torch.testing.assert_close(encoded, method.generator(x, method.encode(padded, "b"))[:, :, :40, :40])
    with pytest.raises(ValueError, match="cannot encode images of domain 'a'"):
        method.encode(batch["a"], "a")
    with pytest.raises(ValueError, match="takes no guide"):
        make(**weights(l1_random=1.0)).translate(batch["a"], "a2b", guide=batch["b"])


def test_evaluation_measures_diversity_and_reconstruction(trainer, tensors):
    method = grown(make()).eval()
    batch = pairs(4)
    data = tensors({k: v for k, v in batch.items() if k != "b"}, {"b": batch["b"]})
    run = trainer(callbacks=[Evaluation(samples=3)])
    (results,) = run.test(method, data, verbose=False)
    expected = F.mse_loss(method.translate(batch["a"], "a2b", guide=batch["b"]), batch["b"])
    assert results["test/reconstruction_mse_a2b"] == pytest.approx(float(expected), rel=1e-4)
    assert results["test/reconstruction_mse_a2b"] != results["test/mse_a2b"]
    many = method.translate(batch["a"], "a2b", samples=3, seed=0)
    pairwise = torch.stack([(many[:, i] - many[:, j]).abs().mean() for i, j in ((0, 1), (0, 2), (1, 2))]).mean()
    assert results["test/diversity_a2b"] == pytest.approx(float(pairwise), rel=1e-4)


def test_a_checkpoint_rebuilds_it(tmp_path):
    method = grown(make(direction="b2a", **weights(adversarial_random=1.0, latent=0.5))).eval()
    serialization.write(method, tmp_path / "b.ckpt")
    again = serialization.rebuild(serialization.read(tmp_path / "b.ckpt"))
    images = 2 * torch.rand(1, 3, 32, 32) - 1
    assert torch.equal(again.translate(images, "b2a", seed=3), method.translate(images, "b2a", seed=3))
    assert again.players == {"generator": ("generator", "encoder"), "critic": ("critic_random",)}


def test_senseless_options_are_refused():
    with pytest.raises(ValueError, match="nothing to learn"):
        make(**weights(kl=1.0))
    with pytest.raises(ValueError, match="latent is 0, but has to be at least 1"):
        make(latent=0)
    with pytest.raises(ValueError, match="kl_warm_up is -1"):
        make(kl_warm_up=-1)
    with pytest.raises(ValueError, match="MultiScaleCritic: scales is 0, but has to be at least 1"):
        MultiScaleCritic(3, 1, scales=0)
