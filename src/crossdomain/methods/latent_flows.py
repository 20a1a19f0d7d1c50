"""Flows from images to latents with a fixed prior: densities that can be sampled, encoded and decoded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor

from crossdomain.checks import at_least
from crossdomain.domains import DataSpec
from crossdomain.flows import Flow, bin_centre
from crossdomain.losses import standard_logistic_log_prob, standard_normal_log_prob

Prior = Literal["gaussian", "logistic"]
PRIORS = {"gaussian": standard_normal_log_prob, "logistic": standard_logistic_log_prob}


class LatentFlows:
    """A flow for each domain, from its images or vectors to latents of the same shape, under one prior.

    Where a method has several, the latents are shared: the same latent, decoded into each domain, is a translation. The
    flows are modules of the method, ``flow_a`` and so on; here they stand by domain.

    Args:
        flows: by domain.
        channels: channels of all of them.
        prior: density of each latent, ``gaussian`` N(0, 1) or ``logistic``.
    """

    def __init__(self, flows: Mapping[str, Flow], channels: int, prior: Prior = "gaussian") -> None:
        self.flows = dict(flows)
        self.channels = channels
        self.prior = prior

    def of(self, domain: str) -> Flow:
        """The flow of ``domain``.

        Raises:
            ValueError: there is none.
        """
        if domain not in self.flows:
            known = " and ".join(map(repr, self.flows))
            raise ValueError(f"The method has no domain {domain!r}; it has densities of {known}.")
        return self.flows[domain]

    def latents_and_log_prob(self, images: Tensor, domain: str) -> tuple[Tensor, Tensor]:
        """Latents (N, C, H, W) and log-densities (N,), in nats, of images (N, C, H, W) of ``domain``, with gradients.

        Densities are with respect to the scale [-1, 1] of the images.
        """
        latents, log_det = self.of(domain)(images)
        return latents, PRIORS[self.prior](latents) + log_det

    def draw(self, shape: Sequence[int], generator: torch.Generator | None = None) -> Tensor:
        """Latents of ``shape`` from the prior, on the device of the flows; a ``generator`` is one of the CPU."""
        weight = next(next(iter(self.flows.values())).parameters())
        draw = torch.randn if self.prior == "gaussian" else torch.rand
        drawn = draw(*shape, generator=generator, device=weight.device if generator is None else None)
        return (drawn if self.prior == "gaussian" else drawn.logit(eps=1e-7)).to(weight)

    def encode(self, images: Tensor, domain: str, levels: int | None) -> Tensor:
        """Latents (N, C, H, W) of images (N, C, H, W) in [-1, 1] of ``domain``, without noise.

        Each of ``levels`` values stands in the middle of the bin that training spreads it over.
        """
        return self.of(domain)(images * bin_centre(levels))[0]

    def decode(self, latents: Tensor, domain: str, levels: int | None) -> Tensor:
        """Images (N, C, H, W) of ``domain``, unclamped, from latents of the same shape."""
        return self.of(domain).inverse(latents)[0] / bin_centre(levels)

    def sample(
        self, spec: DataSpec, n: int, seed: int | None = None, temperature: float = 1.0, size: int | None = None
    ) -> dict[str, Tensor]:
        """Draw n latents and decode each into every domain: ``{"a": (n, C, H, W), ...}``, unclamped.

        Args:
            spec: what the data is like.
            n: how many.
            seed: decides the latents; the global generator does when left out.
            temperature: factor of the latents. Under the Gaussian prior, samples have a density proportional to
                ``p(x) ** (1 / temperature ** 2)`` if the flow's ``log_det`` is the same for all x, and not in general.
            size: height and width in pixels; those of the training images when left out. Vectors have none.

        Raises:
            ValueError: n is below 1, or the size is not known.
        """
        at_least(1, self, n=n)
        shape: tuple[int, ...] = (n, self.channels)
        size = size or spec.image_size
        if spec.levels is not None:
            if size is None:
                raise ValueError("The method has seen no data yet; give sample(..., size=) in pixels.")
            shape = (*shape, size, size)
        generator = None if seed is None else torch.Generator().manual_seed(seed)
        latents = temperature * self.draw(shape, generator)
        return {domain: self.decode(latents, domain, spec.levels) for domain in self.flows}
