"""BiCycleGAN: one input, many outputs, each with a latent vector that can be read back from it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from typing_extensions import Unpack

from crossdomain.checks import at_least
from crossdomain.domains import Direction
from crossdomain.losses import Objective, full_least_squares, standard_normal_kl
from crossdomain.method import Batch, GameOptions, Method, NetworkFactory, Terms, frozen
from crossdomain.methods.pairs import Pairs
from crossdomain.networks import LatentUNetGenerator, MultiScaleCritic, ResNetEncoder
from crossdomain.noise import Noise

LatentNetworkFactory = Callable[[int, int, int], nn.Module]
"""Makes a network from the number of channels in and out and the length of a latent vector."""


class BiCycleGAN(Method):
    """BiCycleGAN (Zhu et al., NIPS 2017, arXiv 1711.11586).

    From pairs (x, y), a generator G(x, z), an encoder E(y) of the distribution of z, and critics C and C' minimise

        w L_GAN(C, G(x, E(y))) + lambda E |y - G(x, E(y))| + lambda_KL KL(E(y) || N(0, I))       (cVAE-GAN)
        + w' L_GAN(C', G(x, z)) + lambda' E |y - G(x, z)| + lambda_z E |z - mean E(G(x, z))|     (cLR-GAN)

    with z ~ N(0, I); |.| is the mean absolute difference, KL is summed over z's dimensions. Both critics see all y of
    the batch as real. The latent term moves G and not E: G could otherwise hide z in the image for E to find.

    The paper's baselines: cVAE-GAN is ``w' = lambda_z = 0``; cLR-GAN ``w = lambda = lambda_KL = 0``, where the latent
    term is all that E can learn from and so moves it; pix2pix+noise ``w = lambda = lambda_KL = lambda_z = 0`` with
    ``lambda' = 10``. What the weights leave unused is not built.

    Args:
        channels_a: channels of domain a.
        channels_b: channels of domain b.
        direction: which way to translate; the other domain is the truth.
        latent: length of z.
        generator: makes G from channels in and out and the length of z.
        encoder: makes E from the channels of y and the length of z; it returns mean and log-variance.
        critic: makes C and C' from channels in and out.
        objective: makes L_GAN.
        adversarial_encoded_weight: w.
        adversarial_random_weight: w'.
        l1_weight: lambda.
        l1_random_weight: lambda'.
        kl_weight: lambda_KL.
        kl_warm_up: rounds in which lambda_KL rises to its value (Bowman et al., arXiv 1511.06349), so that z is put to
            use before that costs much; 0, as in the paper, has it there from the first.
        latent_weight: lambda_z.
        conditional: whether critics see x beside y; the paper found y alone to be better.
        options: those of :class:`Game`.
    """

    supervised = True
    multimodal = True
    objective: Objective

    def __init__(
        self,
        channels_a: int,
        channels_b: int | None = None,
        direction: Literal["a2b", "b2a"] = "a2b",
        latent: int = 8,
        generator: LatentNetworkFactory = LatentUNetGenerator,
        encoder: NetworkFactory = ResNetEncoder,
        critic: NetworkFactory = MultiScaleCritic,
        objective: Callable[[], Objective] = full_least_squares,
        adversarial_encoded_weight: float = 1.0,
        adversarial_random_weight: float = 1.0,
        l1_weight: float = 10.0,
        l1_random_weight: float = 0.0,
        kl_weight: float = 0.01,
        kl_warm_up: int = 0,
        latent_weight: float = 0.5,
        conditional: bool = False,
        **options: Unpack[GameOptions],
    ) -> None:
        super().__init__(channels_a, channels_b, **options)
        self.save_hyperparameters()
        self.pairs = Pairs(direction, self.channels, conditional)
        self.directions = (self.pairs.direction,)
        at_least(1, self, latent=latent)
        at_least(0, self, kl_warm_up=kl_warm_up)
        adversarial = {"encoded": adversarial_encoded_weight, "random": adversarial_random_weight}
        self.adversarial_weights = {branch: weight for branch, weight in adversarial.items() if weight > 0}
        self.l1_weight = l1_weight
        self.l1_random_weight = l1_random_weight
        self.kl_weight = kl_weight
        self.kl_warm_up = kl_warm_up
        self.latent_weight = latent_weight
        self.encodes = max(adversarial_encoded_weight, l1_weight) > 0
        self.draws = max(adversarial_random_weight, l1_random_weight, latent_weight) > 0
        if not (self.encodes or self.draws):
            raise ValueError("All weights are 0, so there is nothing to learn.\nSet one of the weights above 0.")
        self.latent = latent
        self.generator = generator(self.pairs.seen, self.pairs.made, latent)
        moved = ["generator"]
        if self.encodes or latent_weight > 0:
            self.encoder = encoder(self.pairs.made, latent)
            self.guide = "optional"
            moved.append("encoder")
        self.players = {"generator": tuple(moved)}
        critics = tuple(f"critic_{branch}" for branch in self.adversarial_weights)
        for name in critics:
            self.add_module(name, critic(self.pairs.judged, 1))
        if critics:
            self.players["critic"] = critics
        self.objective = objective()

    def generate(self, batch: Batch) -> dict[str, Any]:
        """Translate with the latent vector of the truth, and with a random one."""
        x, y = self.pairs.of(batch)
        out: dict[str, Any] = {}
        if self.encodes:
            mean, log_variance = (part.float() for part in self.encoder(y))
            z = mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)
            out |= {"mean": mean, "log_variance": log_variance, "encoded": self.generator(x, z)}
        if self.draws:
            z = torch.randn(len(x), self.latent, device=x.device)
            out |= {"z": z, "random": self.generator(x, z)}
        return out

    def generator_loss(self, batch: Batch, out: dict[str, Any]) -> Terms:
        """Fool the critics; stay near the truth that was encoded; let z be read back from the image."""
        x, y = self.pairs.of(batch)
        terms: Terms = {}
        for branch, weight in self.adversarial_weights.items():
            critic = self.get_submodule(f"critic_{branch}")
            logits = critic(self.pairs.shown(x, out[branch]))
            terms[f"adversarial_{branch}"] = weight * self.objective.generator(logits)
        if self.l1_weight > 0:
            terms["l1"] = self.l1_weight * F.l1_loss(out["encoded"], y)
        if self.l1_random_weight > 0:
            terms["l1_random"] = self.l1_random_weight * F.l1_loss(out["random"], y)
        if self.encodes and self.kl_weight > 0:
            rise = min(1.0, (self.rounds + 1) / max(self.kl_warm_up, 1))
            terms["kl"] = rise * self.kl_weight * standard_normal_kl(out["mean"], out["log_variance"]).mean()
        if self.latent_weight > 0:
            with frozen(*([self.encoder] if self.encodes else [])):
                mean, _ = self.encoder(out["random"])
            terms["latent"] = self.latent_weight * F.l1_loss(mean.float(), out["z"])
        return terms

    def critic_loss(self, batch: Batch, out: dict[str, Any]) -> Terms:
        """Tell true images from translations, those with the truth's z and those with a random one by a critic each."""
        x, y = self.pairs.of(batch)
        terms: Terms = {}
        for branch in self.adversarial_weights:
            critic = self.get_submodule(f"critic_{branch}")
            real, fake = self.pairs.shown(x, y), self.pairs.shown(x, out[branch])
            terms[branch] = self.objective.critic_loss(critic, real, fake)
        return terms

    @torch.no_grad()
    def encode(self, images: Tensor, domain: str) -> Tensor:
        """The most likely latent vectors (N, latent) of images (N, C, H, W) of the target domain.

        Raises:
            ValueError: for images of the other domain or of wrong channels, or a method without an encoder.
        """
        if self.guide == "none" or domain != self.pairs.direction.target:
            raise ValueError(f"This {type(self).__name__} cannot encode images of domain {domain!r}.")
        self.check_channels(images, domain)
        return self.encoder(images)[0]

    def _translate(self, images: Tensor, direction: Direction, guide: Tensor | None, noise: Noise | None) -> Tensor:
        if guide is not None:
            return self.generator(images, self.encoder(guide)[0])
        assert noise is not None
        return self.generator(images, noise.normal(self.latent))
