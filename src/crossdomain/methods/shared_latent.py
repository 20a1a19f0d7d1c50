"""What a method can do whose two domains have flows to one latent space."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from crossdomain.methods.likelihood import Likelihood
from crossdomain.methods.unpaired import Unpaired


class SharedLatent(Likelihood, Unpaired):
    """A method with flows ``flow_a`` and ``flow_b`` from images to latents of the same shape, with prior N(0, I)."""

    def _translate(self, images: Tensor, direction: str, guide: Tensor | None, noise: Any) -> Tensor:
        source, target = direction.source, direction.target
        return self.decode(self.encode(images, source), target)

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
