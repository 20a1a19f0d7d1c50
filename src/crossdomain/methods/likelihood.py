"""What a method can do that has a likelihood."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from crossdomain.checks import at_least
from crossdomain.flows import Flow, bin_centre
from crossdomain.losses import standard_logistic_log_prob, standard_normal_log_prob
from crossdomain.method import Method

Prior = Literal["gaussian", "logistic"]
PRIORS = {"gaussian": standard_normal_log_prob, "logistic": standard_logistic_log_prob}


class Likelihood(Method):
    """A method with a flow from images of a domain, or vectors, to latents of the same shape, under one prior.

    Attributes:
        densities: the domains that have a flow, which is the module ``flow_a`` or ``flow_b``.
        prior: density of each latent, N(0, 1) or the logistic distribution.
    """

    densities: tuple[str, ...] = ("a", "b")
    prior: Prior = "gaussian"

    def flow_of(self, domain: str) -> Flow:
        """The flow from images of ``domain`` to latents."""
        if domain not in self.densities:
            known = " and ".join(repr(d) for d in self.densities)
            raise ValueError(f"This {type(self).__name__} has no domain {domain!r}; it has densities of {known}.")
        return self.get_submodule(f"flow_{domain}")

    def latents_and_log_prob(self, images: Tensor, domain: str) -> tuple[Tensor, Tensor]:
        """Latents (N, C, H, W) and log-densities (N,) of images (N, C, H, W) of ``domain``, with gradients."""
        latents, log_det = self.flow_of(domain)(images)
        return latents, PRIORS[self.prior](latents) + log_det

    def draw_latents(self, shape: Sequence[int], generator: torch.Generator | None = None) -> Tensor:
        """Latents of ``shape`` from the prior, on the method's device; a ``generator`` is one of the CPU."""
        draw = torch.randn if self.prior == "gaussian" else torch.rand
        drawn = draw(*shape, generator=generator, device=self.device if generator is None else None)
        latents = drawn if self.prior == "gaussian" else drawn.logit(eps=1e-7)
        return latents.to(self.device, next(self.parameters()).dtype)

    @torch.no_grad()
    def encode(self, images: Tensor, domain: str) -> Tensor:
        """Latents (N, C, H, W) of images (N, C, H, W) in [-1, 1] of ``domain``, ``a`` or ``b``, without noise.

        Each value stands in the middle of the bin that training spreads it over.
        """
        flow = self.flow_of(domain)
        self.check_images(images, domain)
        return flow(images * bin_centre(self.spec.levels))[0]

    @torch.no_grad()
    def decode(self, latents: Tensor, domain: str) -> Tensor:
        """Images (N, C, H, W) of ``domain``, unclamped, from latents of the same shape."""
        return self.flow_of(domain).inverse(latents)[0] / bin_centre(self.spec.levels)

    @torch.no_grad()
    def log_prob(self, images: Tensor, domain: str) -> Tensor:
        """Log-density (N,) in nats of images (N, C, H, W) of ``domain``, with respect to the scale [-1, 1]."""
        self.flow_of(domain)
        self.check_images(images, domain)
        return self.latents_and_log_prob(images, domain)[1]

    @torch.no_grad()
    def sample(
        self, n: int, seed: int | None = None, temperature: float = 1.0, size: int | None = None
    ) -> dict[str, Tensor]:
        """Draw n latents and decode each into every domain that has a density: ``{"a": (n, C, H, W), ...}``, unclamped.

        Args:
            n: how many.
            seed: decides the latents; the global generator does when left out.
            temperature: factor of the latents. Under the Gaussian prior, samples have a density proportional to
                ``p(x) ** (1 / temperature ** 2)`` if the flow's ``log_det`` is the same for all x, and not in general.
            size: height and width in pixels; those of the training images when left out. Vectors have none.
        """
        at_least(1, self, n=n)
        shape: tuple[int, ...] = (n, self.channels[self.densities[0]])
        vectors, size = self.spec.levels is None, size or self.spec.image_size
        if size is None and not vectors:
            raise ValueError("The method has seen no data yet; give sample(..., size=) in pixels.")
        generator = None if seed is None else torch.Generator().manual_seed(seed)
        latents = temperature * self.draw_latents(shape if vectors else (*shape, size, size), generator)
        return {domain: self.decode(latents, domain) for domain in self.densities}
