"""AlignFlow: two flows that share one latent space."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from typing_extensions import Unpack

from crossdomain.domains import BOTH, Direction
from crossdomain.flows import Flow, ImageFlow, dequantize
from crossdomain.losses import ImagePool, LeastSquares, Objective
from crossdomain.method import Batch, GameOptions, Method, NetworkFactory, Terms
from crossdomain.methods.latent_flows import LatentFlows
from crossdomain.networks import PatchCritic
from crossdomain.noise import Noise
from crossdomain.semantic import SemanticConsistency, SemanticFactory


class AlignFlow(Method):
    """AlignFlow (Grover et al., AAAI 2020, arXiv 1905.12892).

    Each domain has a flow to one latent space with prior N(0, I); a2b is flow a, then the inverse of flow b, so that
    b2a is the inverse of a2b by construction. With critics C_a and C_b the generator minimises

        w (L_GAN(C_b, a2b) + L_GAN(C_a, b2a)) - lambda_a E log p_a(a) - lambda_b E log p_b(b)

    where log p is in nats, summed over all dimensions of an image. ``lambda = 0`` is the paper's ADV, ``w = 0`` its
    MLE (no critics are built), both its hybrid. The pass that trains is shared by both parts, so critics see real
    and translated images with the dequantization noise in them; ``translate`` adds none. Unlike the official code,
    translation ends with the true inverse of the logit, so that a2b and b2a undo each other up to rounding.

    Args:
        channels_a: channels of domain a.
        channels_b: channels of domain b, the same number.
        flow: makes a flow from the number of channels.
        critic: makes a critic from channels in and out.
        objective: makes L_GAN; the paper's experiments take least squares.
        adversarial_weight: w.
        likelihood_weight_a: lambda_a, per nat of an image; official runs take 1e-4 at 128 px.
        likelihood_weight_b: lambda_b.
        pool_size: translated images remembered for each critic.
        semantic_classifier: checkpoint of a classifier of domain a, read when training starts: translations are to keep
            what it thinks of an image (:class:`SemanticConsistency`). None leaves the term out.
        semantic_weight: weight of that term.
        semantic: makes that term, :class:`SemanticConsistency` or :class:`JointSemantics`.
        options: those of :class:`Game`.
    """

    directions = BOTH
    densities = ("a", "b")
    likelihood = "density"
    objective: Objective

    def __init__(
        self,
        channels_a: int,
        channels_b: int | None = None,
        flow: Callable[[int], Flow] = ImageFlow,
        critic: NetworkFactory = PatchCritic,
        objective: Callable[[], Objective] = LeastSquares,
        adversarial_weight: float = 1.0,
        likelihood_weight_a: float = 1e-4,
        likelihood_weight_b: float = 1e-4,
        pool_size: int = 50,
        semantic_classifier: str | None = None,
        semantic_weight: float = 1.0,
        semantic: SemanticFactory = SemanticConsistency,
        **options: Unpack[GameOptions],
    ) -> None:
        super().__init__(channels_a, channels_b, **options)
        self.save_hyperparameters()
        self.require_equal_channels("a flow cannot change their number")
        if not adversarial_weight and not likelihood_weight_a and not likelihood_weight_b:
            raise ValueError("All weights are 0, so there is nothing to learn.\nSet one of the weights above 0.")
        self.flow_a, self.flow_b = flow(channels_a), flow(channels_a)
        self.flows = LatentFlows({"a": self.flow_a, "b": self.flow_b}, channels_a)
        self.players = {"generator": ("flow_a", "flow_b")}
        self.adversarial_weight = adversarial_weight
        self.likelihood_weight_a = likelihood_weight_a
        self.likelihood_weight_b = likelihood_weight_b
        if adversarial_weight > 0:
            self.critic_a, self.critic_b = critic(channels_a, 1), critic(channels_a, 1)
            self.players["critic"] = ("critic_a", "critic_b")
            self.pool_a, self.pool_b = ImagePool(pool_size), ImagePool(pool_size)
        self.objective = objective()
        self.semantic = semantic(self, semantic_classifier, semantic_weight)

    def prepare(self, loader: Iterable[Batch]) -> None:
        """Initialise each flow's ActNorms on its domain's first images."""
        batch = next(iter(loader))
        self.flow_a.initialize(dequantize(batch["a"], self.spec.levels))
        self.flow_b.initialize(dequantize(batch["b"], self.spec.levels))

    def generate(self, batch: Batch) -> dict[str, Any]:
        """Latents and log-densities of both domains, and translations from these latents."""
        levels = self.spec.levels
        a, b = dequantize(batch["a"], levels), dequantize(batch["b"], levels)
        latent_a, log_prob_a = self.flows.latents_and_log_prob(a, "a")
        latent_b, log_prob_b = self.flows.latents_and_log_prob(b, "b")
        out = {"log_prob_a": log_prob_a, "log_prob_b": log_prob_b}
        if self.adversarial_weight > 0 or self.semantic.weight > 0:
            fake_a, fake_b = self.flow_a.inverse(latent_b)[0], self.flow_b.inverse(latent_a)[0]
            out |= {"a": a, "b": b, "fake_a": fake_a, "fake_b": fake_b}
        if self.adversarial_weight > 0:
            out |= {"pooled_a": self.pool_a(fake_a), "pooled_b": self.pool_b(fake_b)}
        return out

    def generator_loss(self, batch: Batch, out: dict[str, Any]) -> Terms:
        """Fool the critics; make the images of both domains likely."""
        terms = {}
        if self.adversarial_weight > 0:
            terms["adversarial_a"] = self.adversarial_weight * self.objective.generator(self.critic_a(out["fake_a"]))
            terms["adversarial_b"] = self.adversarial_weight * self.objective.generator(self.critic_b(out["fake_b"]))
        if self.likelihood_weight_a > 0:
            terms["likelihood_a"] = -self.likelihood_weight_a * out["log_prob_a"].mean()
        if self.likelihood_weight_b > 0:
            terms["likelihood_b"] = -self.likelihood_weight_b * out["log_prob_b"].mean()
        return terms | self.semantic.terms(self.directions, batch | out, out)

    def critic_loss(self, batch: Batch, out: dict[str, Any]) -> Terms:
        """Tell images of a domain from translations into it."""
        return {
            "a": self.objective.critic_loss(self.critic_a, out["a"], out["pooled_a"]),
            "b": self.objective.critic_loss(self.critic_b, out["b"], out["pooled_b"]),
        }

    def flow_of(self, domain: str) -> Flow:
        """The flow from images of ``domain`` to latents."""
        return self.flows.of(domain)

    @torch.no_grad()
    def encode(self, images: Tensor, domain: str) -> Tensor:
        """Latents (N, C, H, W) of images (N, C, H, W) in [-1, 1] of ``domain``; see :meth:`LatentFlows.encode`."""
        flows = self._checked(images, domain)
        return flows.encode(images, domain, self.spec.levels)

    @torch.no_grad()
    def decode(self, latents: Tensor, domain: str) -> Tensor:
        """Images (N, C, H, W) of ``domain``, unclamped, from latents of the same shape."""
        return self.flows.decode(latents, domain, self.spec.levels)

    def _translate(self, images: Tensor, direction: Direction, guide: Tensor | None, noise: Noise | None) -> Tensor:
        return self.decode(self.encode(images, direction.source), direction.target)

    @torch.no_grad()
    def log_prob(self, images: Tensor, domain: str) -> Tensor:
        """Log-density (N,) in nats of images (N, C, H, W) of ``domain``, with respect to the scale [-1, 1]."""
        return self._checked(images, domain).latents_and_log_prob(images, domain)[1]

    @torch.no_grad()
    def sample(
        self, n: int, seed: int | None = None, temperature: float = 1.0, size: int | None = None
    ) -> dict[str, Tensor]:
        """Pairs of images ``{"a": (n, C, H, W), "b": ...}`` of the same latents; see :meth:`LatentFlows.sample`."""
        return self.flows.sample(self.spec, n, seed, temperature, size)

    @torch.no_grad()
    def interpolate(self, first: Tensor, last: Tensor, domain: str, steps: int = 8) -> dict[str, Tensor]:
        """Walk from images to others on great circles of the shared latent space.

        Args:
            first: (N, C, H, W) in [-1, 1], of ``domain``.
            last: likewise.
            domain: ``a`` or ``b``.
            steps: images of each walk, ends included; at least 2.

        Returns:
            The walks seen in both domains, (N, steps, C, H, W) each, unclamped.
        """
        if steps < 2 or first.shape != last.shape:
            raise ValueError(
                f"A walk of {steps} steps from {tuple(first.shape)} to {tuple(last.shape)} is not possible."
            )
        start, end = self.encode(first, domain).flatten(1), self.encode(last, domain).flatten(1)
        cosine = torch.cosine_similarity(start, end, dim=1).clamp(-1, 1)
        angle = torch.acos(cosine).clamp_min(1e-4)[:, None]
        walk = [
            (torch.sin((1 - t) * angle) * start + torch.sin(t * angle) * end) / torch.sin(angle)
            for t in torch.linspace(0, 1, steps).tolist()
        ]
        latents = [point.view_as(first) for point in walk]
        return {d: torch.stack([self.decode(z, d) for z in latents], 1) for d in self.densities}

    def _checked(self, images: Tensor, domain: str) -> LatentFlows:
        """The flows, after images and domain were found to be theirs."""
        self.flows.of(domain)
        self.check_images(images, domain)
        return self.flows
