"""UNIT: two noisy autoencoders that share their codes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from typing_extensions import Unpack

from crossdomain.checks import at_least
from crossdomain.domains import BOTH, Direction
from crossdomain.losses import Objective, full_least_squares
from crossdomain.method import Batch, GameOptions, Method, NetworkFactory, Terms
from crossdomain.networks import MUNITCritic, UNITGenerator
from crossdomain.noise import Noise
from crossdomain.semantic import SemanticConsistency, SemanticFactory


class UNIT(Method):
    """UNIT (Liu, Breuel, Kautz, NIPS 2017, arXiv 1703.00848), as in its official code.

    Each domain has a variational autoencoder whose codes have the variance 1, ``q(h | a) = N(encode_a(a), I)``, and
    images that belong together are to have one code. So a translation decodes the code by the other domain's decoder.
    With h_a = encode_a(a), n and n' ~ N(0, I), ``b~ = decode_b(h_a + n)`` and ``h~_a = encode_b(b~)``, the
    autoencoders minimise

        w L_GAN(C_b, b~) + lambda_x |decode_a(h_a + n) - a| + lambda_kl E h_a^2
        + lambda_cyc |decode_a(h~_a + n') - a| + lambda_kl' E h~_a^2

    and the same with a and b exchanged. All are means, so E h^2 is the divergence of q from N(0, I) times 2 over the
    length of a code. The critics move first, on translations of codes with noise of their own, and remember no
    earlier ones. ``translate`` and ``encode`` add no noise.

    Args:
        channels_a: channels of domain a.
        channels_b: channels of domain b.
        generator: makes an autoencoder, with ``encode`` and ``decode``, from a domain's channels, given twice.
        critic: makes a critic from channels in and out.
        objective: makes L_GAN.
        adversarial_weight: w.
        image_weight: lambda_x.
        kl_weight: lambda_kl.
        cycle_weight: lambda_cyc.
        cycle_kl_weight: lambda_kl'.
        shared_blocks: so many residual blocks at the end of both encoders are the same, and so many at the beginning
            of both decoders, as in the paper; the official code shares none.
        semantic_classifier: checkpoint of a classifier of domain a, read when training starts, that keeps an image's
            class (:class:`SemanticConsistency`); None leaves the term out.
        semantic_weight: weight of that term.
        semantic: makes that term, :class:`SemanticConsistency` or :class:`JointSemantics`.
        options: those of :class:`Game`.

    Raises:
        ValueError: a weight is negative, or there are fewer blocks than are to be shared.
    """

    directions = BOTH
    objective: Objective

    def __init__(
        self,
        channels_a: int,
        channels_b: int | None = None,
        generator: NetworkFactory = UNITGenerator,
        critic: NetworkFactory = MUNITCritic,
        objective: Callable[[], Objective] = full_least_squares,
        adversarial_weight: float = 1.0,
        image_weight: float = 10.0,
        kl_weight: float = 0.01,
        cycle_weight: float = 10.0,
        cycle_kl_weight: float = 0.01,
        shared_blocks: int = 0,
        semantic_classifier: str | None = None,
        semantic_weight: float = 1.0,
        semantic: SemanticFactory = SemanticConsistency,
        **options: Unpack[GameOptions],
    ) -> None:
        super().__init__(channels_a, channels_b, **options)
        self.save_hyperparameters()
        at_least(0, self, adversarial_weight=adversarial_weight, image_weight=image_weight, kl_weight=kl_weight)
        at_least(0, self, cycle_weight=cycle_weight, cycle_kl_weight=cycle_kl_weight, shared_blocks=shared_blocks)
        self.generators: dict[str, Any] = {d: generator(channels, channels) for d, channels in self.channels.items()}
        if shared_blocks > 0:
            kind = type(self.generators["b"])
            if not hasattr(kind, "share_blocks"):
                raise ValueError(
                    f"shared_blocks is {shared_blocks}, but a {kind.__name__} has none to share.\n"
                    "Take a generator such as UNITGenerator, or set model.shared_blocks to 0."
                )
            self.generators["b"].share_blocks(self.generators["a"], shared_blocks)
        self.critics = {domain: critic(channels, 1) for domain, channels in self.channels.items()}
        for domain in self.channels:
            self.add_module(f"generator_{domain}", self.generators[domain])
            self.add_module(f"critic_{domain}", self.critics[domain])
        self.players = {"critic": ("critic_a", "critic_b"), "generator": ("generator_a", "generator_b")}
        self.objective = objective()
        self.adversarial_weight = adversarial_weight
        self.image_weight = image_weight
        self.kl_weight = kl_weight
        self.cycle_weight = cycle_weight
        self.cycle_kl_weight = cycle_kl_weight
        self.cycles = max(cycle_weight, cycle_kl_weight) > 0
        self.semantic = semantic(self, semantic_classifier, semantic_weight)

    def _draw(self, mean: Tensor) -> Tensor:
        """A code N(mean, I) in training, its mean in evaluation."""
        return mean + torch.randn_like(mean) if self.training else mean

    def generate(self, batch: Batch) -> dict[str, Any]:
        """Encode images, decode one draw of each code in both domains, and go back with another."""
        out: dict[str, Any] = {f"code_{d}": self.generators[d].encode(batch[d]) for d in self.channels}
        for direction in BOTH:
            source, target = direction.source, direction.target
            code = self._draw(out[f"code_{source}"])
            out[f"image_{source}"] = self.generators[source].decode(code)
            fake = out[f"fake_{target}"] = self.generators[target].decode(code)
            if self.cycles:
                code = out[f"cycle_code_{source}"] = self.generators[target].encode(fake)
                out[f"cycle_{source}"] = self.generators[source].decode(self._draw(code))
        return out

    def generator_loss(self, batch: Batch, out: dict[str, Any]) -> Terms:
        """Fool the critics, find images again by way of their codes and of translations, keep codes near 0."""
        terms = self.semantic.terms(self.directions, batch, out)
        for d, image in ((d, batch[d]) for d in self.channels):
            logits = self.critics[d](out[f"fake_{d}"])
            terms[f"adversarial_{d}"] = self.adversarial_weight * self.objective.generator(logits)
            terms[f"image_{d}"] = self.image_weight * F.l1_loss(out[f"image_{d}"], image)
            terms[f"kl_{d}"] = self.kl_weight * out[f"code_{d}"].square().mean()
            if self.cycles:
                terms[f"cycle_{d}"] = self.cycle_weight * F.l1_loss(out[f"cycle_{d}"], image)
                terms[f"cycle_kl_{d}"] = self.cycle_kl_weight * out[f"cycle_code_{d}"].square().mean()
        return terms

    def critic_loss(self, batch: Batch, out: dict[str, Any]) -> Terms:
        """Tell images from translations of codes with noise of their own."""
        terms: Terms = {}
        for direction in BOTH:
            source, target = direction.source, direction.target
            with torch.no_grad():
                fake = self.generators[target].decode(self._draw(out[f"code_{source}"]))
            loss = self.objective.critic_loss(self.critics[target], batch[target], fake)
            terms[target] = self.adversarial_weight * loss
        return terms

    @torch.no_grad()
    def encode(self, images: Tensor, domain: str) -> Tensor:
        """The means (N, c, h, w) of the codes of images (N, C, H, W) of ``domain``, ``a`` or ``b``.

        Raises:
            ValueError: for another domain, or images of wrong channels or sizes.
        """
        self.check_images(images, domain)
        return self.generators[domain].encode(images)

    def _translate(self, images: Tensor, direction: Direction, guide: Tensor | None, noise: Noise | None) -> Tensor:
        return self.generators[direction.target].decode(self.generators[direction.source].encode(images))
