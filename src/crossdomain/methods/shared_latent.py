"""What a method can do whose two domains have flows to one latent space."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from crossdomain.flows import Flow
from crossdomain.losses import standard_normal_log_prob
from crossdomain.methods.unpaired import Unpaired


class SharedLatent(Unpaired):
    """A method with flows ``flow_a`` and ``flow_b`` from images to latents of the same shape, with prior N(0, I)."""

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

        A method of vectors gives (n, D).

        Args:
            n: how many.
            seed: decides the latents; the global generator does when left out.
            temperature: standard deviation of the latents.
            size: height and width in pixels; those of the training images when left out.
        """
        size = size or self.data_spec["image_size"]
        vectors = self.data_spec["levels"] is None
        if size is None and not vectors:
            raise ValueError("The method has seen no data yet; give sample(..., size=) in pixels.")
        generator = None if seed is None else torch.Generator().manual_seed(seed)
        shape = (n, self.channels["a"]) if vectors else (n, self.channels["a"], size, size)
        latents = temperature * torch.randn(shape, generator=generator)
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
