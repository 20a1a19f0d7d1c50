"""AlignFlow: two flows that share one latent space."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from crossdomain.flows import Flow, ImageFlow, dequantize
from crossdomain.losses import standard_normal_log_prob
from crossdomain.method import Batch, Method, NetworkFactory, Terms
from crossdomain.networks import PatchCritic
from crossdomain.objectives import LeastSquares, Objective
from crossdomain.pool import ImagePool


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
        options: those of :class:`Method`.
    """

    directions = ("a2b", "b2a")

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
        **options: Any,
    ) -> None:
        super().__init__(channels_a, channels_b, **options)
        self.save_hyperparameters()
        if len(set(self.channels.values())) > 1:
            raise ValueError(
                f"The domains have {channels_a} and {channels_b} channels, but a flow cannot change their number.\n"
                "Give both domains the same channels."
            )
        self.flow_a, self.flow_b = flow(channels_a), flow(channels_a)
        self.players = {"generator": ("flow_a", "flow_b")}
        self.adversarial_weight = adversarial_weight
        self.likelihood_weight_a = likelihood_weight_a
        self.likelihood_weight_b = likelihood_weight_b
        if adversarial_weight > 0:
            self.critic_a, self.critic_b = critic(channels_a, 1), critic(channels_a, 1)
            self.players["critic"] = ("critic_a", "critic_b")
            self.pool_a, self.pool_b = ImagePool(pool_size), ImagePool(pool_size)
        self.objective = objective()

    def prepare(self, loader: Iterable[Batch]) -> None:
        """Initialise each flow's ActNorms on its domain's first images."""
        batch = next(iter(loader))
        self.flow_a.initialize(dequantize(batch["a"], self.data_spec["levels"]))
        self.flow_b.initialize(dequantize(batch["b"], self.data_spec["levels"]))

    def generate(self, batch: Batch) -> dict[str, Any]:
        """Latents and log-densities of both domains, and translations from these latents."""
        levels = self.data_spec["levels"]
        a, b = dequantize(batch["a"], levels), dequantize(batch["b"], levels)
        (latent_a, log_det_a), (latent_b, log_det_b) = self.flow_a(a), self.flow_b(b)
        out = {
            "log_prob_a": standard_normal_log_prob(latent_a) + log_det_a,
            "log_prob_b": standard_normal_log_prob(latent_b) + log_det_b,
        }
        if self.adversarial_weight > 0:
            fake_a, fake_b = self.flow_a.inverse(latent_b)[0], self.flow_b.inverse(latent_a)[0]
            out |= {"a": a, "b": b, "fake_a": fake_a, "fake_b": fake_b}
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
        return terms

    def critic_loss(self, batch: Batch, out: dict[str, Any]) -> Terms:
        """Tell images of a domain from translations into it."""
        return {
            "a": self.objective.critic(self.critic_a(out["a"]), self.critic_a(out["pooled_a"])),
            "b": self.objective.critic(self.critic_b(out["b"]), self.critic_b(out["pooled_b"])),
        }

    def _flow(self, domain: str) -> Flow:
        if domain not in self.channels:
            raise ValueError(f"There is no domain {domain!r}; the domains are 'a' and 'b'.")
        return self.get_submodule(f"flow_{domain}")

    def _translate(self, images: Tensor, direction: str, guide: Tensor | None, noise: Any) -> Tensor:
        source, target = direction.split("2")
        return self.decode(self.encode(images, source), target)

    @torch.no_grad()
    def encode(self, images: Tensor, domain: str) -> Tensor:
        """Latents (N, C, H, W) of images (N, C, H, W) in [-1, 1] of ``domain``, ``a`` or ``b``."""
        flow = self._flow(domain)
        self._check_images(images, domain)
        return flow(images)[0]

    @torch.no_grad()
    def decode(self, latents: Tensor, domain: str) -> Tensor:
        """Images (N, C, H, W) of ``domain``, unclamped, from latents of the same shape."""
        return self._flow(domain).inverse(latents)[0]

    @torch.no_grad()
    def log_prob(self, images: Tensor, domain: str) -> Tensor:
        """Log-density (N,) in nats of images (N, C, H, W) of ``domain``, with respect to the scale [-1, 1]."""
        flow = self._flow(domain)
        self._check_images(images, domain)
        latents, log_det = flow(images)
        return standard_normal_log_prob(latents) + log_det

    @torch.no_grad()
    def sample(
        self, n: int, seed: int | None = None, temperature: float = 1.0, size: int | None = None
    ) -> dict[str, Tensor]:
        """Draw n latents and decode each into both domains: ``{"a": (n, C, H, W), "b": ...}``, unclamped.

        Args:
            n: how many.
            seed: decides the latents; the global generator does when left out.
            temperature: standard deviation of the latents.
            size: height and width in pixels; those of the training images when left out.
        """
        size = size or self.data_spec["image_size"]
        if size is None:
            raise ValueError("The method has seen no data yet; give sample(..., size=) in pixels.")
        generator = None if seed is None else torch.Generator().manual_seed(seed)
        latents = temperature * torch.randn(n, self.channels["a"], size, size, generator=generator)
        latents = latents.to(self.device, next(self.parameters()).dtype)
        return {domain: self.decode(latents, domain) for domain in "ab"}

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
        return {d: torch.stack([self.decode(z, d) for z in latents], 1) for d in "ab"}
