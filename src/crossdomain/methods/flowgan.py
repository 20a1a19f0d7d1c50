"""FlowGAN: a flow as generator, so that likelihood and a critic can train the same model."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Literal

import torch
from torch import Tensor
from typing_extensions import Unpack

from crossdomain.flows import Flow, ImageFlow, dequantize
from crossdomain.losses import Objective, wasserstein_with_penalty
from crossdomain.method import Batch, Method, NetworkFactory, Terms, TrainingOptions
from crossdomain.methods.latent_flows import PRIORS, LatentFlows, Prior
from crossdomain.networks import PatchCritic


class FlowGAN(Method):
    """Flow-GAN (Grover, Dhar, Ermon; AAAI 2018, arXiv 1705.08868): a generative model of one domain.

    A flow f takes images to latents with a fixed prior; its inverse G generates. With a critic C, it minimises

        w L_GAN(C, G(z)) - lambda E log p(x),    log p(x) = log p(f(x)) + log|det df/dx|

    where log p is in nats, summed over all dimensions of an image. ``lambda = 0`` is the paper's ADV, ``w = 0`` its MLE
    (no critic is built), both its hybrid. The official code minimises ``L_GAN / like_reg - E log p``, the same divided
    by ``lambda = like_reg``. As there, the critic moves several times and then the generator once, all of them on the
    same images and latents. Critic and likelihood see images with the same dequantization noise.

    Args:
        channels_a: channels of domain a.
        channels_b: channels of domain b, where that is modelled; that of domain a when left out.
        domain: the domain that is modelled; data may have more, which are not looked at, and for ``a`` needs no other.
        flow: makes f from the number of channels; the paper takes NICE on MNIST and RealNVP on CIFAR-10.
        critic: makes C from channels in and out.
        objective: makes L_GAN; the paper's is WGAN-GP.
        prior: density of each latent, ``gaussian`` N(0, 1) or ``logistic``; the paper takes the latter with NICE.
        adversarial_weight: w.
        likelihood_weight: lambda, per nat of an image; the paper takes 1 on MNIST and 20 on CIFAR-10.
        critic_turns: moves of the critic for one of the generator; 5 in the paper.
        options: those of :class:`Game`.
    """

    likelihood = "density"
    objective: Objective
    temperatures = (0.5, 0.7, 1.0)

    def __init__(
        self,
        channels_a: int,
        channels_b: int | None = None,
        domain: Literal["a", "b"] = "a",
        flow: Callable[[int], Flow] = ImageFlow,
        critic: NetworkFactory = PatchCritic,
        objective: Callable[[], Objective] = wasserstein_with_penalty,
        prior: Prior = "gaussian",
        adversarial_weight: float = 1.0,
        likelihood_weight: float = 1.0,
        critic_turns: int = 5,
        **options: Unpack[TrainingOptions],
    ) -> None:
        super().__init__(channels_a, channels_b, critic_turns=critic_turns, **options)
        self.save_hyperparameters()
        if domain not in self.channels or prior not in PRIORS:
            raise ValueError(f"domain is {domain!r} (a or b) and prior is {prior!r} ({' or '.join(PRIORS)}).")
        if not adversarial_weight and not likelihood_weight:
            raise ValueError("All weights are 0, so there is nothing to learn.\nSet one of the weights above 0.")
        self.domain, self.densities = domain, (domain,)
        self.channels = {domain: self.channels[domain]}
        made = flow(self.channels[domain])
        self.add_module(f"flow_{domain}", made)
        self.flows = LatentFlows({domain: made}, self.channels[domain], prior)
        self.players = {"generator": (f"flow_{domain}",)}
        if adversarial_weight > 0:
            self.critic = critic(self.channels[domain], 1)
            self.players = {"critic": ("critic",), **self.players}
        self.objective = objective()
        self.adversarial_weight = adversarial_weight
        self.likelihood_weight = likelihood_weight

    def prepare(self, loader: Iterable[Batch]) -> None:
        """Initialise the flow's ActNorms on the first images."""
        images = next(iter(loader))[self.domain]
        self.flows.of(self.domain).initialize(dequantize(images, self.spec.levels))

    def generate(self, batch: Batch) -> dict[str, Any]:
        """Images and their log-density, and as many generated ones."""
        real = dequantize(batch[self.domain], self.spec.levels)
        out = {"real": real}
        if self.likelihood_weight > 0:
            out["log_prob"] = self.flows.latents_and_log_prob(real, self.domain)[1]
        if self.adversarial_weight > 0:
            out["fake"] = self.flows.of(self.domain).inverse(self.flows.draw(real.shape))[0]
        return out

    def generator_loss(self, batch: Batch, out: dict[str, Any]) -> Terms:
        """Fool the critic; make the images likely."""
        terms = {}
        if self.adversarial_weight > 0:
            terms["adversarial"] = self.adversarial_weight * self.objective.generator(self.critic(out["fake"]))
        if self.likelihood_weight > 0:
            terms["likelihood"] = -self.likelihood_weight * out["log_prob"].mean()
        return terms

    def critic_loss(self, batch: Batch, out: dict[str, Any]) -> Terms:
        """Tell images from generated ones."""
        return {"gan": self.objective.critic_loss(self.critic, out["real"], out["fake"])}

    @torch.no_grad()
    def sample(
        self, n: int, seed: int | None = None, temperature: float = 1.0, size: int | None = None
    ) -> dict[str, Tensor]:
        """n images of the prior's latents, ``{"a": (n, C, H, W)}``, unclamped; see :meth:`LatentFlows.sample`."""
        return self.flows.sample(self.spec, n, seed, temperature, size)

    @torch.no_grad()
    def log_prob(self, images: Tensor, domain: str) -> Tensor:
        """Log-density (N,) in nats of images (N, C, H, W) of the domain, with respect to the scale [-1, 1]."""
        self.flows.of(domain)
        self.check_images(images, domain)
        return self.flows.latents_and_log_prob(images, domain)[1]

    @torch.no_grad()
    def encode(self, images: Tensor, domain: str) -> Tensor:
        """Latents of images, both (N, C, H, W); see :meth:`LatentFlows.encode`."""
        self.flows.of(domain)
        self.check_images(images, domain)
        return self.flows.encode(images, domain, self.spec.levels)

    @torch.no_grad()
    def decode(self, latents: Tensor, domain: str) -> Tensor:
        """Images of latents, both (N, C, H, W), unclamped."""
        return self.flows.decode(latents, domain, self.spec.levels)

    def flow_of(self, domain: str) -> Flow:
        """The flow of the domain, f."""
        return self.flows.of(domain)
