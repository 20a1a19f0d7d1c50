"""What users may write outside the package: three domains, a density with a bound, a critic with two heads."""

import math
from itertools import product

import pytest
import torch
from lightning.pytorch import LightningDataModule
from torch import Tensor, nn
from torch.distributions import MultivariateNormal
from torch.nn import functional as F
from torch.utils.data import DataLoader
from typing_extensions import Unpack

from crossdomain import serialization
from crossdomain.datamodules import DomainData, DomainImages
from crossdomain.domains import directions_between
from crossdomain.flows import dequantize
from crossdomain.losses import LeastSquares
from crossdomain.method import GameOptions, Method

SIZE = 4


class Batches(LightningDataModule):
    """Images of any domains by name, one batch of them after the other, the same for training and validation."""

    def __init__(self, **domains: Tensor) -> None:
        super().__init__()
        self.domains = domains
        letters = "abcdefgh"[: len(domains)]
        parts = zip(*(images.split(4) for images in domains.values()), strict=True)
        self.batches = [dict(zip(letters, part, strict=True)) for part in parts]

    def spec(self):
        channels = [images.shape[1] for images in self.domains.values()]
        return {"domains": list(self.domains), "channels": channels, "image_size": SIZE, "levels": 256}

    def train_dataloader(self):
        return DataLoader(self.batches, batch_size=None)

    val_dataloader = test_dataloader = train_dataloader


class Colours(DomainData):
    """Three domains, of eight images each."""

    domains = ("red", "green", "blue")
    channels = (1, 1, 1)

    def split(self, name):
        return DomainImages(*({letter: stored(8)} for letter in self.letters))


def stored(n, channels=1):
    """As data sets keep them."""
    return torch.randint(0, 256, (n, channels, SIZE, SIZE), dtype=torch.uint8)


def images(n, channels=1):
    """Of 256 levels in [-1, 1]."""
    return stored(n, channels) / 127.5 - 1


class TwoHeads(nn.Module):
    """Logits of realism (N, 1, H, W), and of the domain that an image is of (N, domains)."""

    def __init__(self, channels: int, domains: int) -> None:
        super().__init__()
        self.realism = nn.Conv2d(channels, 1, 3, padding=1)
        self.domain = nn.Linear(channels * SIZE**2, domains)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.realism(x), self.domain(x.flatten(1))


class Star(Method):
    """One generator of all domains, which is told the wanted one (the shape of StarGAN, arXiv 1711.09020)."""

    def __init__(
        self,
        channels: list[int],
        cycle_weight: float = 10.0,
        domain_weight: float = 1.0,
        **options: Unpack[GameOptions],
    ) -> None:
        super().__init__(*channels, **options)
        self.save_hyperparameters()
        self.require_equal_channels("one generator makes all")
        self.directions = directions_between(self.channels)
        self.generator = nn.Conv2d(channels[0] + len(channels), channels[0], 3, padding=1)
        self.critic = TwoHeads(channels[0], len(channels))
        self.players = {"critic": ("critic",), "generator": ("generator",)}
        self.objective = LeastSquares()
        self.cycle_weight = cycle_weight
        self.domain_weight = domain_weight

    def make(self, x: Tensor, domain: str) -> Tensor:
        wanted = torch.zeros(len(self.channels), device=x.device)
        wanted[list(self.channels).index(domain)] = 1.0
        maps = wanted.view(1, -1, 1, 1).expand(len(x), -1, *x.shape[2:])
        return self.generator(torch.cat([x, maps], 1))

    def realism(self, x: Tensor) -> Tensor:
        return self.critic(x)[0]

    def domain_term(self, x: Tensor, domain: str) -> Tensor:
        number = list(self.channels).index(domain)
        return self.domain_weight * F.cross_entropy(self.critic(x)[1], torch.full((len(x),), number))

    def generate(self, batch):
        fakes = {way: self.make(batch[way.source], way.target) for way in self.directions}
        return fakes | {f"back_{way}": self.make(fake, way.source) for way, fake in fakes.items()}

    def critic_loss(self, batch, out):
        terms = {f"domain_{d}": self.domain_term(batch[d], d) for d in self.channels}
        for way in self.directions:
            terms[f"gan_{way}"] = self.objective.critic_loss(self.realism, batch[way.target], out[way])
        return terms

    def generator_loss(self, batch, out):
        terms = {}
        for way in self.directions:
            terms[f"gan_{way}"] = self.objective.generator(self.realism(out[way]))
            terms[f"domain_{way}"] = self.domain_term(out[way], way.target)
            terms[f"cycle_{way}"] = self.cycle_weight * F.l1_loss(out[f"back_{way}"], batch[way.source])
        return terms

    def _translate(self, images, direction, guide, noise):
        return self.make(images, direction.target)


def test_a_method_of_three_domains_trains_is_stored_and_translates_every_way(trainer, snapshot, tmp_path):
    method, data = Star([1, 1, 1]), Colours(batch_size=4, image_size=SIZE)
    before = snapshot(method)
    run = trainer(max_epochs=2)
    run.fit(method, data)
    assert (method.rounds, method.images_seen) == (4, 16)
    assert all(not torch.equal(p, before[name]) for name, p in method.named_parameters())
    assert len(method.directions) == 6
    assert {f"generator_cycle_{x}2{y}" for x, y in product("abc", "abc") if x != y} < method.last_terms.keys()
    assert {"val/cycle_mean_a", "val/cycle_mean_b"} <= run.callback_metrics.keys()
    run.save_checkpoint(tmp_path / "star.ckpt")
    again = serialization.load(tmp_path / "star.ckpt")
    assert again.spec.names == {"a": "red", "b": "green", "c": "blue"}
    x = images(3)
    for way in method.directions:
        output = again.translate(x, way)
        assert torch.equal(output, method.eval().translate(x, way))
        assert torch.equal(output, again.make(x, way.target))
    assert torch.equal(again.translate(x, "blue2green"), again.translate(x, "c2b"))
    with pytest.raises(ValueError, match="has no direction 'a2d'; its directions: a2b, a2c, b2a, b2c, c2a, c2b"):
        again.translate(x, "a2d")


def test_data_of_other_domains_is_refused_by_a_method_of_three(trainer):
    with pytest.raises(
        ValueError, match=r"\[1, 1\] channels in domains \(a, b\), but this Star was made for \[1, 1, 1\]"
    ):
        trainer().fit(Star([1, 1, 1]), Batches(red=images(8), green=images(8)))


def test_a_critic_with_two_heads_hands_the_objective_one_of_them():
    """Least squares by hand on the first head; the pair handed over whole would be taken for nothing it is."""
    method = Star([1, 1, 1])
    batch = {domain: images(4) for domain in "abc"}
    out = method.generate(batch)
    real, fake = method.critic.realism(batch["b"]), method.critic.realism(out["c2b"])
    expected = 0.5 * ((real - 1).square().mean() + fake.square().mean())
    torch.testing.assert_close(method.critic_loss(batch, out)["gan_c2b"], expected)
    torch.testing.assert_close(method.generator_loss(batch, out)["gan_c2b"], (fake - 1).square().mean())
    for whole in (
        lambda: method.objective.critic_loss(method.critic, batch["b"], out["c2b"]),
        lambda: method.objective.generator(method.critic(out["c2b"])),
    ):
        with pytest.raises(
            ValueError, match=r"gave a tuple, but logits were expected.*\n.*hand the objective the head"
        ):
            whole()


class LinearVAE(Method):
    """A variational autoencoder of one domain, x = W z + m + s e, whose bound has a closed form."""

    densities = ("a",)
    likelihood = "bound"

    def __init__(
        self, channels_a: int, latent: int = 1, deviation: float = 0.5, **options: Unpack[GameOptions]
    ) -> None:
        super().__init__(channels_a, **options)
        self.save_hyperparameters()
        pixels = channels_a * SIZE**2
        self.encoder, self.decoder = nn.Linear(pixels, 2 * latent), nn.Linear(latent, pixels)
        self.players = {"generator": ("encoder", "decoder")}
        self.deviation = deviation

    def bound(self, x: Tensor) -> Tensor:
        x = x.flatten(1)
        mean, log_variance = self.encoder(x).chunk(2, 1)
        spread = (self.decoder.weight.square().sum(0) * log_variance.exp()).sum(1)
        error = (x - self.decoder(mean)).square().sum(1) + spread
        kl = 0.5 * (mean.square() + log_variance.exp() - log_variance - 1).sum(1)
        constant = x.shape[1] * math.log(2 * math.pi * self.deviation**2)
        return -0.5 * (error / self.deviation**2 + constant) - kl

    def generate(self, batch):
        return {"bound": self.bound(dequantize(batch["a"], self.spec.levels))}

    def generator_loss(self, batch, out):
        return {"bound": -out["bound"].mean()}

    @torch.no_grad()
    def log_prob(self, images: Tensor, domain: str) -> Tensor:
        self.check_images(images, domain)
        return self.bound(images)


def test_a_bound_is_that_of_the_closed_form():
    """Below the marginal's logarithm, and equal to it where the encoder is the posterior."""
    method, x = LinearVAE(1).double(), images(5).double()
    weight, mean, variance = method.decoder.weight.data, method.decoder.bias.data, 0.25
    covariance = weight @ weight.T + variance * torch.eye(SIZE**2).double()
    exact = MultivariateNormal(mean, covariance).log_prob(x.flatten(1))
    assert (method.log_prob(x, "a") < exact).all()
    total = weight.square().sum() + variance
    method.encoder.weight.data = torch.cat([weight.T / total, torch.zeros_like(weight.T)])
    method.encoder.bias.data = torch.stack([-(weight.T @ mean)[0] / total, (variance / total).log()])
    torch.testing.assert_close(method.log_prob(x, "a"), exact)


def test_a_density_of_one_domain_is_trained_stored_and_evaluated(trainer, tmp_path):
    method, data = LinearVAE(1), Batches(digits=images(8))
    run = trainer(max_epochs=3)
    run.fit(method, data)
    assert (method.rounds, list(method.channels)) == (6, ["a"])
    run.save_checkpoint(tmp_path / "vae.ckpt")
    again = serialization.load(tmp_path / "vae.ckpt")
    assert (again.likelihood, again.densities, again.spec.domains) == ("bound", ("a",), ("digits",))
    (metrics,) = trainer().test(again, data, verbose=False)
    noise = torch.rand(1, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    nats = method.eval().log_prob(dequantize(data.domains["digits"], 256, noise), "a") - SIZE**2 * math.log(256 / 2)
    assert metrics["test/bits_per_dim_a"] == pytest.approx(-float(nats.mean()) / SIZE**2 / math.log(2), rel=1e-5)


def test_a_density_of_one_domain_looks_at_no_other(trainer):
    method = LinearVAE(1)
    run = trainer()
    run.fit(method, Batches(digits=images(8), colours=images(8, channels=3)))
    assert method.spec.channels == (1, 3)
    assert {name for name in run.callback_metrics if name.startswith("val/")} == {"val/bits_per_dim_a"}
    with pytest.raises(ValueError, match="domain is 'b', but has to be 'a'"):
        method.log_prob(images(1, channels=3), "b")
