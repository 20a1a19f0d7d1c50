"""Augmented CycleGAN: two generators that undo each other, with latent vectors for what the other domain hides."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional as F
from typing_extensions import Unpack

from crossdomain.checks import at_least
from crossdomain.domains import BOTH, Direction
from crossdomain.losses import LeastSquares, Objective, standard_normal_kl
from crossdomain.method import Batch, GameOptions, Method, NetworkFactory, Terms
from crossdomain.methods.bicyclegan import LatentNetworkFactory
from crossdomain.methods.critics import Critics
from crossdomain.networks import AugCycleGANCritic, ConditionalResNetGenerator, LatentCritic, PairEncoder
from crossdomain.noise import Noise
from crossdomain.semantic import SemanticConsistency, SemanticFactory

FARTHEST = 4.0  # a code that is drawn lies within so many deviations of the prior


class AugmentedCycleGAN(Method):
    """Augmented CycleGAN (Almahairi et al., ICML 2018, arXiv 1802.10151).

    An image of b may show what no image of a tells, which a latent vector z_b then holds, and the other way round. So
    the cycles are those of pairs (a, z_b) and (b, z_a). With ``z_b ~ N(0, I)``, ``b~ = a2b(a, z_b)``, the code
    ``z~_a = encode_a(a, b~)`` of what a shows beside b~, ``a' = b2a(b~, z~_a)`` and ``z_b' = encode_b(b~, a)``,
    generators and encoders minimise

        L_GAN(C_b, b~) + w L_GAN(D_a, z~_a) + lambda_a |a' - a| + lambda_z |z_b' - z_b|

    and the same with a and b exchanged. |.| is the mean absolute difference; D_a tells draws of N(0, I) from codes. The
    critics move first. A guide's code is that of the guide beside its own translation.

    Args:
        channels_a: channels of domain a.
        channels_b: channels of domain b.
        latent_a: length of z_a; 0 where b shows all that a does, so that each b has one a.
        latent_b: length of z_b, likewise.
        generator: makes a generator from channels in and out and the length of the latent vector of what it makes.
        encoder: makes an encoder of an image and the other domain's, joined along their channels, from the channels of
            both together and the length of the code; it returns mean and log-variance.
        critic: makes C_a and C_b from channels in and out.
        latent_critic: makes D_a and D_b from the length of a code and 1.
        objective: makes L_GAN.
        cycle_latent: the latent vector on the way back. ``encoded`` is the mean of the code. ``sampled`` is drawn from
            the code's distribution and kept within 4 of 0: no D, but ``lambda_z KL(encode_a(a, b~) || N(0, I))``, and
            ``-lambda_z log p(z_b | b~, a)``, a mean over z, in place of the last term. ``prior`` is drawn from N(0, I),
            without an encoder: the paper's baseline StochCycleGAN, which learns to ignore z.
        latent_adversarial_weight: w.
        latent_weight: lambda_z.
        cycle_weight_a: lambda_a.
        cycle_weight_b: lambda_b.
        pool_size: translated images remembered for each critic.
        semantic_classifier: checkpoint of a classifier of domain a, read when training starts, whose opinion of an
            image and of its translation shall agree (:class:`SemanticConsistency`); None leaves the term out.
        semantic_weight: weight of that term.
        semantic: makes that term, :class:`SemanticConsistency` or :class:`JointSemantics`.
        options: those of :class:`Game`.
    """

    directions = BOTH
    objective: Objective

    def __init__(
        self,
        channels_a: int,
        channels_b: int | None = None,
        latent_a: int = 16,
        latent_b: int = 16,
        generator: LatentNetworkFactory = ConditionalResNetGenerator,
        encoder: NetworkFactory = PairEncoder,
        critic: NetworkFactory = AugCycleGANCritic,
        latent_critic: NetworkFactory = LatentCritic,
        objective: Callable[[], Objective] = LeastSquares,
        cycle_latent: Literal["encoded", "sampled", "prior"] = "encoded",
        latent_adversarial_weight: float = 1.0,
        latent_weight: float = 0.025,
        cycle_weight_a: float = 1.0,
        cycle_weight_b: float = 1.0,
        pool_size: int = 0,
        semantic_classifier: str | None = None,
        semantic_weight: float = 1.0,
        semantic: SemanticFactory = SemanticConsistency,
        **options: Unpack[GameOptions],
    ) -> None:
        super().__init__(channels_a, channels_b, **options)
        self.save_hyperparameters()
        at_least(0, self, latent_a=latent_a, latent_b=latent_b)
        if cycle_latent not in ("encoded", "sampled", "prior"):
            raise ValueError(f"cycle_latent is {cycle_latent!r}, but has to be 'encoded', 'sampled' or 'prior'.")
        self.latents = {"a": latent_a, "b": latent_b}
        self.cycle_latent = cycle_latent
        self.objective = objective()
        self.generators = {
            way: generator(self.channels[way.source], self.channels[way.target], self.latents[way.target])
            for way in BOTH
        }
        self.critics = Critics(self, critic, self.objective, pool_size, feature_share=0.0)
        encoded = [domain for domain, latent in self.latents.items() if latent > 0 and cycle_latent != "prior"]
        judged = encoded if cycle_latent == "encoded" and latent_adversarial_weight > 0 else []
        both = sum(self.channels.values())
        self.encoders = {domain: encoder(both, self.latents[domain]) for domain in encoded}
        self.latent_critics = {domain: latent_critic(self.latents[domain], 1) for domain in judged}
        named = {f"encoder_{domain}": network for domain, network in self.encoders.items()}
        latent_named = {f"latent_critic_{domain}": network for domain, network in self.latent_critics.items()}
        for way, network in self.generators.items():
            self.add_module(way, network)
        for name, network in (named | latent_named).items():
            self.add_module(name, network)
        self.players = {"critic": (*self.critics.names, *latent_named), "generator": (*BOTH, *named)}
        self.multimodal = max(self.latents.values()) > 0
        self.guide = "optional" if encoded else "none"
        self.latent_adversarial_weight = latent_adversarial_weight
        self.latent_weight = latent_weight
        self.cycle_weights = {"a": cycle_weight_a, "b": cycle_weight_b}
        self.semantic = semantic(self, semantic_classifier, semantic_weight)

    def _draw(self, n: int, domain: str) -> Tensor:
        return torch.randn(n, self.latents[domain], device=self.device)

    def _encode(self, domain: str, image: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of what ``image`` of a domain shows and ``other``, of the other one, does not."""
        mean, log_variance = self.encoders[domain](torch.cat([image, other], 1))
        return mean.float(), log_variance.float()

    def generate(self, batch: Batch) -> dict[str, Any]:
        """Translate with drawn latent vectors, encode what is lost by that and what was drawn, and go back."""
        out: dict[str, Any] = {}
        for way in BOTH:
            source, target = way.source, way.target
            image = batch[source]
            drawn = out[f"drawn_{target}"] = self._draw(len(image), target)
            fake = out[f"fake_{target}"] = self.generators[way](image, drawn)
            out[f"pooled_{target}"] = self.critics.pools[target](fake)
            if target in self.encoders:
                out[f"found_{target}"] = self._encode(target, fake, image)
            if source not in self.encoders:
                code = self._draw(len(image), source)
            else:
                code, log_variance = out[f"code_{source}"] = self._encode(source, image, fake)
                if self.cycle_latent == "sampled":
                    code = code + torch.exp(0.5 * log_variance) * torch.randn_like(code)
                    code = code.clamp(-FARTHEST, FARTHEST)
            out[f"cycled_{source}"] = self.generators[way.back](fake, code)
        return out

    def generator_loss(self, batch: Batch, out: dict[str, Any]) -> Terms:
        """Fool the critics of images and of codes; find images and latent vectors again."""
        terms = self.critics.generator_terms(batch, out) | self.semantic.terms(self.directions, batch, out)
        for domain, weight in self.cycle_weights.items():
            if weight > 0:
                terms[f"cycle_{domain}"] = weight * F.l1_loss(out[f"cycled_{domain}"], batch[domain])
        for domain, critic in self.latent_critics.items():
            logits = critic(out[f"code_{domain}"][0])
            terms[f"adversarial_code_{domain}"] = self.latent_adversarial_weight * self.objective.generator(logits)
        for domain in self.encoders if self.latent_weight > 0 else ():
            drawn, (found, log_variance) = out[f"drawn_{domain}"], out[f"found_{domain}"]
            if self.cycle_latent == "sampled":
                distance = F.gaussian_nll_loss(found, drawn, log_variance.exp(), full=True)
                terms[f"kl_{domain}"] = self.latent_weight * standard_normal_kl(*out[f"code_{domain}"]).mean()
            else:
                distance = F.l1_loss(found, drawn)
            terms[f"latent_{domain}"] = self.latent_weight * distance
        return terms

    def critic_loss(self, batch: Batch, out: dict[str, Any]) -> Terms:
        """Tell images of a domain from translations into it, and vectors that are drawn from those that are encoded."""
        terms = self.critics.critic_terms(batch, out)
        for domain, critic in self.latent_critics.items():
            drawn, (code, _) = out[f"drawn_{domain}"], out[f"code_{domain}"]
            terms[f"code_{domain}"] = self.objective.critic_loss(critic, drawn, code)
        return terms

    def _code(self, images: Tensor, domain: str) -> Tensor:
        """The codes of images beside their translations, made with one typical latent vector for all."""
        way = next(way for way in BOTH if way.source == domain)
        # Not with z = 0, the prior's mean: no draw in training is near it, and it would switch most channels off.
        typical = torch.randn(self.latents[way.target], generator=torch.Generator().manual_seed(0))
        other = self.generators[way](images, typical.to(images.device).expand(len(images), -1))
        return self._encode(domain, images, other)[0]

    @torch.no_grad()
    def encode(self, images: Tensor, domain: str) -> Tensor:
        """The codes (N, latent) of images (N, C, H, W) of ``domain``: what their translations do not show.

        Raises:
            ValueError: for a domain without codes, or images of wrong channels or sizes.
        """
        self.check_images(images, domain)
        if domain not in self.encoders:
            raise ValueError(f"This {type(self).__name__} cannot encode images of domain {domain!r}.")
        return self._code(images, domain)

    def _translate(self, images: Tensor, direction: Direction, guide: Tensor | None, noise: Noise | None) -> Tensor:
        target = direction.target
        if guide is not None and target in self.encoders:
            z = self._code(guide, target)
        else:
            z = images.new_zeros(len(images), 0) if noise is None else noise.normal(self.latents[target])
        return self.generators[direction](images, z)
