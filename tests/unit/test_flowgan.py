"""FlowGAN: its losses by hand, who moves and how often, likelihoods, samples and singular values."""

import math
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from lightning.pytorch import LightningDataModule
from scipy.stats import logistic
from torch import nn
from torch.utils.data import DataLoader

from crossdomain import serialization
from crossdomain.datamodules import Digits
from crossdomain.evaluation import Evaluation
from crossdomain.flows import NICE, Flow, Glow, ImageFlow, InvertibleConv, RealNVP, dequantize
from crossdomain.losses import LeastSquares, Wasserstein, standard_logistic_log_prob, standard_normal_log_prob
from crossdomain.methods import FlowGAN
from crossdomain.metrics import JacobianExtremes
from crossdomain.metrics.likelihood import log_singular_values
from crossdomain.networks import PatchCritic

FLOW = partial(ImageFlow, scales=2, steps=2, width=8)
CRITIC = partial(PatchCritic, width=8, layers=1, norm="none")


def make(channels_a=1, channels_b=None, **options):
    return FlowGAN(channels_a, channels_b, **{"flow": FLOW, "critic": CRITIC, "objective": LeastSquares, **options})


def batch(n=4):
    stored = torch.randint(0, 256, (2, n, 1, 8, 8)) / 127.5 - 1
    return {"a": stored[0], "b": stored[1]}


def perturbed(method, deviation=0.1):
    for p in method.parameters():
        p.data += deviation * torch.randn_like(p)
    return method


@pytest.mark.parametrize("domain", ["a", "b"])
@pytest.mark.parametrize(
    ("prior", "log_density"), [("gaussian", standard_normal_log_prob), ("logistic", standard_logistic_log_prob)]
)
def test_terms_by_hand(domain, prior, log_density):
    method = perturbed(make(domain=domain, prior=prior, adversarial_weight=2.0, likelihood_weight=0.01))
    flow, images = method.flow_of(domain), batch()
    torch.manual_seed(7)
    out = method.generate(images)
    torch.manual_seed(7)
    real = dequantize(images[domain])
    drawn = torch.randn(4, 1, 8, 8) if prior == "gaussian" else torch.rand(4, 1, 8, 8).logit()
    fake = flow.inverse(drawn)[0]
    z, log_det = flow(real)
    terms = method.generator_loss(images, out)
    torch.testing.assert_close(terms.pop("adversarial"), 2 * (method.critic(fake) - 1).pow(2).mean())
    torch.testing.assert_close(terms.pop("likelihood"), -0.01 * (log_density(z) + log_det).mean())
    assert not terms
    by_hand = 0.5 * ((method.critic(real) - 1).pow(2).mean() + method.critic(fake).pow(2).mean())
    torch.testing.assert_close(method.critic_loss(images, out), {"gan": by_hand})


@pytest.mark.parametrize(
    ("weights", "terms", "players"),
    [
        ((1.0, 0.0), {"adversarial"}, ["critic", "generator"]),
        ((1.0, 1.0), {"adversarial", "likelihood"}, ["critic", "generator"]),
        ((0.0, 1.0), {"likelihood"}, ["generator"]),
    ],
)
def test_weights_choose_adversarial_hybrid_and_likelihood_only(weights, terms, players):
    method = make(adversarial_weight=weights[0], likelihood_weight=weights[1])
    assert list(method.players) == players
    assert hasattr(method, "critic") == ("critic" in players)
    images = batch()
    assert set(method.generator_loss(images, method.generate(images))) == terms


def test_critic_moves_five_times_on_one_batch_and_then_the_generator_once(trainer):
    method, moves, seen = make(), [], []
    update, critic_loss = method._update, method.critic_loss

    def record(player, optimizer, loss):
        moves.append(player)
        update(player, optimizer, loss)

    def look(batch, out):
        assert not out["fake"].requires_grad
        seen.append((out["real"], out["fake"]))
        return critic_loss(batch, out)

    method._update, method.critic_loss = record, look
    trainer(limit_train_batches=2, limit_val_batches=0).fit(method, Digits(batch_size=8))
    assert moves == 2 * [*5 * ["critic"], "generator"]
    for first, later in ((0, 4), (5, 9)):
        assert all(torch.equal(x, y) for x, y in zip(seen[first], seen[later], strict=True))
    assert not torch.equal(seen[0][0], seen[5][0])


@pytest.mark.parametrize(("player", "owned"), [("critic", {"critic"}), ("generator", {"flow_b"})])
def test_each_player_moves_its_own_network_alone(player, owned, trainer, snapshot):
    method = make(domain="b")
    method.turns = lambda p, round: int(p == player)
    method.prepare = lambda loader: None
    before = snapshot(method)
    trainer(limit_train_batches=1, limit_val_batches=0).fit(method, Digits(batch_size=8))
    assert {n.split(".")[0] for n, p in method.named_parameters() if not torch.equal(p, before[n])} == owned


def test_the_other_domain_is_not_looked_at(trainer):
    """Not in training, and not in evaluation: its channels are of no concern."""
    method = make(1, 3, adversarial_weight=0.0)
    assert method.generate({"a": batch()["a"]})["log_prob"].shape == (4,)
    assert method.flow_of("a") is method.flow_a
    for call in (method.flow_of, partial(method.log_prob, torch.zeros(1, 3, 8, 8))):
        with pytest.raises(ValueError, match="no domain 'b'; it has densities of 'a'"):
            call("b")
    with pytest.raises(ValueError, match="no direction 'a2b'; its directions: none"):
        method.translate(torch.zeros(1, 1, 8, 8), "a2b")
    (metrics,) = trainer().validate(make(), Digits(), verbose=False)
    assert set(metrics) == {"val/bits_per_dim_a"}


class OneOf(LightningDataModule):
    """Digits of one domain, or with others beside it that the method does not know."""

    def __init__(self, **domains):
        super().__init__()
        self.domains = domains

    def spec(self):
        channels = [images.shape[1] for images in self.domains.values()]
        return {"domains": list(self.domains), "channels": channels, "image_size": 8, "levels": 256}

    def train_dataloader(self):
        return DataLoader([dict(zip("abc", self.domains.values(), strict=False))], batch_size=None)

    val_dataloader = train_dataloader


def test_data_of_one_domain_is_enough_and_more_do_not_matter(trainer, tmp_path):
    digits, other = batch()["a"], torch.zeros(2, 3, 8, 8)
    for domain, data in (
        ("a", OneOf(digits=digits)),
        ("a", OneOf(digits=digits, colours=other, more=other)),
        ("b", OneOf(colours=other, digits=digits)),
    ):
        method = make(*((3, 1) if domain == "b" else (1,)), domain=domain)
        assert method.channels == {domain: 1}
        run = trainer()
        run.fit(method, data)
        assert {n for n in run.callback_metrics if n.startswith("val/")} == {f"val/bits_per_dim_{domain}"}
        run.save_checkpoint(tmp_path / "one.ckpt")
        again = serialization.load(tmp_path / "one.ckpt")
        assert again.spec == method.spec
        assert torch.equal(again.log_prob(digits, domain), method.eval().log_prob(digits, domain))
    with pytest.raises(ValueError, match=r"has \[3\] channels in domains \(a\), but this FlowGAN was made for \[1\]"):
        trainer().fit(make(), OneOf(colours=other))


@pytest.mark.parametrize("prior", ["gaussian", "logistic"])
def test_bits_per_dim_by_hand(prior, trainer):
    """An untrained ImageFlow permutes logits; its density is that of the prior and the logit, pixel by pixel."""
    method, data = make(prior=prior, flow=partial(ImageFlow, scales=1, steps=1, width=4)), Digits(batch_size=64)
    (metrics,) = trainer().validate(method, data, verbose=False)
    stored = data.splits["val"].fields[0]["a"].double()
    noise = torch.rand(1, 16, 16, generator=torch.Generator().manual_seed(0)).double()
    p = 0.05 + 0.9 * (stored + noise) / 256
    z = (p / (1 - p)).log().numpy()
    density = -0.5 * (z**2 + math.log(2 * math.pi)) if prior == "gaussian" else logistic.logpdf(z)
    # Of a value in [0, 1), spread over bins of 1/256, the logit's slope is 0.9 / (p (1 - p)).
    nats = density + np.log(0.9 / (p * (1 - p)).numpy()) - math.log(256)
    assert metrics["val/bits_per_dim_a"] == pytest.approx(-nats.mean() / math.log(2), rel=1e-5)


@pytest.mark.parametrize("prior", ["gaussian", "logistic"])
def test_samples_come_from_the_prior(prior):
    method = perturbed(make(prior=prior)).double()
    samples = method.sample(5, seed=1, size=8)
    assert samples.keys() == {"a"}
    assert samples["a"].shape == (5, 1, 8, 8)
    assert torch.equal(samples["a"], method.sample(5, seed=1, size=8)["a"])
    z = method.encode(samples["a"], "a")
    torch.testing.assert_close(method.decode(z, "a"), samples["a"])
    torch.testing.assert_close(method.encode(method.sample(5, seed=1, size=8, temperature=0.5)["a"], "a"), 0.5 * z)
    many = method.flows.draw((100_000,))
    expected = 1.0 if prior == "gaussian" else math.pi**2 / 3
    assert many.var().item() == pytest.approx(expected, rel=0.02)
    with pytest.raises(ValueError, match="size="):
        method.sample(1)


def test_temperature_is_exact_where_the_volume_does_not_change():
    """Additive couplings: log p of samples at temperature t is that of the prior at t z, for all of them alike."""
    flow = perturbed(NICE(1, size=2, layers=1, width=8)).double().flow  # without the logit
    z = torch.randn(6, 4, dtype=torch.float64)
    for temperature in (0.5, 0.7):
        x = flow.inverse(temperature * z)[0]
        latents, log_det = flow(x)
        tempered = torch.distributions.Normal(0.0, temperature).log_prob(latents).sum(1) + log_det
        difference = tempered - (standard_normal_log_prob(latents) + log_det) / temperature**2
        torch.testing.assert_close(difference, difference[:1].expand(6))


def test_grid_has_real_images_and_samples_at_three_temperatures():
    method = make()
    method.spec = replace(method.spec, image_size=8)
    grid = Evaluation(pictures=3).grid(method, batch())
    assert grid.shape == (3, 4 * 51, 150 + 3 * 51)
    cold, warm = grid[:, 51:99, 150:], grid[:, 153:201, 150:]
    assert warm.float().std() > cold.float().std()


class Anisotropic(Flow):
    """``z = 3 x`` on the first pixel, ``x / 4 + x^3`` on the second, rotated."""

    def __init__(self):
        super().__init__()
        self.mix = InvertibleConv(2, seed=1)

    def forward(self, x):
        z, _ = self.mix(torch.cat([3 * x[:, :1], x[:, 1:] / 4 + x[:, 1:] ** 3], 1))
        return z, x.new_zeros(len(x))

    def inverse(self, z):
        raise NotImplementedError


def test_singular_values_of_a_known_map():
    x = torch.tensor([[0.3, 0.0], [0.1, 0.5]], dtype=torch.float64).view(2, 2, 1, 1)
    flow = Anisotropic().double()
    values = log_singular_values(lambda v: flow(v)[0], x)
    expected = torch.tensor([[3.0, 0.25], [3.0, 1.0]], dtype=torch.float64).log()
    torch.testing.assert_close(values, expected, atol=1e-6, rtol=0)
    metric = JacobianExtremes(images=1)
    metric.update(flow, x)
    metric.update(flow, x)
    torch.testing.assert_close(metric.compute(), {"min": torch.tensor(0.25).log(), "max": torch.tensor(3.0).log()})


@pytest.mark.parametrize(
    "flow",
    [
        FLOW(1),
        partial(ImageFlow, scales=1, steps=2, width=4, recompute=True)(1),
        RealNVP(1, scales=2, width=4, blocks=1),
        Glow(1, scales=1, steps=2, width=4),
        NICE(1, size=8, layers=1, width=8),
    ],
)
def test_singular_values_agree_with_numpy_and_with_the_determinant(flow):
    flow = perturbed(flow).double().eval()
    x = 2 * torch.rand(2, 1, 8, 8, dtype=torch.float64) - 1
    values = log_singular_values(lambda v: flow(v)[0], x, rows=24)
    torch.testing.assert_close(values.sum(1), flow(x)[1])
    matrix = torch.autograd.functional.jacobian(lambda v: flow(v)[0].flatten(), x[:1]).view(64, 64).numpy()
    singular = np.linalg.svd(matrix, compute_uv=False)
    assert values[0, 0].item() == pytest.approx(math.log(singular[0]), abs=1e-9)
    assert values[0, -1].item() == pytest.approx(math.log(singular[-1]), abs=1e-9)


def test_evaluation_looks_at_jacobians_where_asked_for(trainer):
    method = perturbed(make())
    run = trainer(limit_val_batches=1, callbacks=[Evaluation(pictures=0, jacobian=2)])
    (metrics,) = run.validate(method, Digits(batch_size=4), verbose=False)
    data = Digits(batch_size=4)
    data.setup("validate")
    noise = torch.rand(1, 16, 16, generator=torch.Generator().manual_seed(0))
    images = dequantize(next(iter(data.val_dataloader()))["a"], noise=noise)[:2].double()
    values = log_singular_values(lambda x: method.double().flow_a(x)[0], images)
    assert set(metrics) == {"val/bits_per_dim_a", "val/jacobian_min_a", "val/jacobian_max_a"}
    assert metrics["val/jacobian_min_a"] == pytest.approx(values.min().item(), rel=1e-4)
    assert metrics["val/jacobian_max_a"] == pytest.approx(values.max().item(), rel=1e-4)
    with pytest.raises(ValueError, match=r"12288 rows, but at most 4096 are supported"):
        log_singular_values(nn.Identity(), torch.zeros(1, 3, 64, 64))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"adversarial_weight": 0.0, "likelihood_weight": 0.0}, "nothing to learn"),
        ({"domain": "c"}, r"domain is 'c' \(a or b\)"),
        ({"prior": "uniform"}, r"prior is 'uniform' \(gaussian or logistic\)"),
        ({"critic_turns": 0}, "critic_turns is 0, but has to be at least 1"),
    ],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message) as caught:
        make(**options)
    assert str(caught.value).count("\n") < 3


def test_the_papers_objective_is_the_default(trainer):
    method = FlowGAN(1, flow=FLOW, critic=CRITIC)
    assert isinstance(method.objective, Wasserstein)
    assert (method.objective.penalty.weight, method.critic_turns) == (10, 5)
    trainer(limit_train_batches=1, limit_val_batches=0).fit(method, Digits(batch_size=4))
    assert {name.partition("_")[0] for name in method.last_terms} == {"generator", "critic"}
