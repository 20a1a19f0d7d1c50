"""DIDD: an autoencoder whose code says apart what domains share and what only one of them has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from typing_extensions import Unpack

from crossdomain.domains import BOTH, Direction
from crossdomain.losses import NonSaturating, Objective
from crossdomain.method import Batch, GameOptions, Method, NetworkFactory, Terms
from crossdomain.misfits import require_equal_sizes
from crossdomain.networks import DIDDCritic, DIDDGenerator
from crossdomain.noise import Noise

OTHER = {"a": "b", "b": "a"}


class DIDD(Method):
    """Domain intersection and domain difference (Benaim, Khaitov, Galanti, Wolf, ICCV 2019, arXiv 1908.11628).

    The code of an image has three parts: what both domains have, what a alone has, and what b alone has. An encoder E
    and one decoder are of both domains, the encoders E_a and E_b are to find nothing in images of the other one. With
    ``a' = decode(E(a), E_a(a), 0)`` and ``b' = decode(E(b), 0, E_b(b))`` the autoencoder minimises

        lambda_r (|a' - a| + |b' - b|) + lambda_z (|E_b(a)| + |E_a(b)|) + lambda_c (L_GAN(C, E(a)) + L_GAN(C, E(b)))

    where the critic C tells common parts of b, as the real ones, from those of a; codes of both are to pass for b's.
    All are means. The critic moves last, on codes of the autoencoder that has just moved. A translation is
    ``decode(E(a), 0, E_b(b))`` for a guide b; nothing is drawn, no image is judged, and none translated in training.

    Args:
        channels_a: channels of domain a.
        channels_b: channels of domain b, the same number.
        generator: makes the autoencoder, with ``common``, ``separate``, ``decode`` and ``common_channels``, from
            channels in and out.
        critic: makes C from the channels of common parts and 1; it is bound to one size of images.
        objective: makes L_GAN.
        reconstruction_weight: lambda_r.
        zero_weight: lambda_z; at 0 a separate part may hold whatever it likes.
        confusion_weight: lambda_c; at 0 there is no critic.
        options: those of :class:`Game`.

    Raises:
        ValueError: the domains have different channels.
    """

    directions = BOTH
    guide = "required"
    objective: Objective
    generator: Any

    def __init__(
        self,
        channels_a: int,
        channels_b: int | None = None,
        generator: NetworkFactory = DIDDGenerator,
        critic: NetworkFactory = DIDDCritic,
        objective: Callable[[], Objective] = NonSaturating,
        reconstruction_weight: float = 1.0,
        zero_weight: float = 1.0,
        confusion_weight: float = 0.001,
        **options: Unpack[GameOptions],
    ) -> None:
        super().__init__(channels_a, channels_b, **options)
        self.save_hyperparameters()
        self.require_equal_channels("one encoder reads both")
        self.generator = generator(channels_a, channels_a)
        self.players = {"generator": ("generator",)}
        if confusion_weight > 0:
            self.critic = critic(self.generator.common_channels, 1)
            self.players["critic"] = ("critic",)
        self.objective = objective()
        self.reconstruction_weight = reconstruction_weight
        self.zero_weight = zero_weight
        self.confusion_weight = confusion_weight

    def generate(self, batch: Batch) -> dict[str, Any]:
        """Find the parts of images, and make images again of their common part and that of their own domain."""
        out: dict[str, Any] = {}
        for d, other in OTHER.items():
            image, common = batch[d], self.generator.common(batch[d])
            own = self.generator.separate[d](image)
            out |= {f"common_{d}": common, f"image_{d}": self.generator.decode(common, **{d: own})}
            if self.zero_weight > 0:
                out[f"zero_{other}"] = self.generator.separate[other](image)
        return out

    def generator_loss(self, batch: Batch, out: dict[str, Any]) -> Terms:
        """Find images again, nothing of the other domain in them, and common parts that tell no domain."""
        terms: Terms = {}
        for d in OTHER:
            terms[f"reconstruction_{d}"] = self.reconstruction_weight * F.l1_loss(out[f"image_{d}"], batch[d])
            if self.zero_weight > 0:
                found = out[f"zero_{d}"]
                terms[f"zero_{d}"] = self.zero_weight * F.l1_loss(found, torch.zeros_like(found))
            if self.confusion_weight > 0:
                logits = self.critic(out[f"common_{d}"])
                terms[f"confusion_{d}"] = self.confusion_weight * self.objective.generator(logits)
        return terms

    def critic_loss(self, batch: Batch, out: dict[str, Any]) -> Terms:
        """Tell the domain by the common part, as the autoencoder has it now that it has moved."""
        with torch.no_grad():
            codes = {d: self.generator.common(batch[d]) for d in OTHER}
        return {"domain": self.objective.critic_loss(self.critic, codes["b"], codes["a"])}

    def measures(self, batch: Batch, out: dict[str, Any]) -> Terms:
        """How often the critic knows the domain of a common part: half of the time where these tell nothing."""
        if self.confusion_weight == 0:
            return {}
        with torch.no_grad():
            right = [self.critic(out["common_a"]) < 0, self.critic(out["common_b"]) > 0]
        return {"critic_accuracy": torch.cat(right).float().mean()}

    @torch.no_grad()
    def encode(self, images: Tensor, domain: str) -> Tensor:
        """The common parts (N, c, h, w) of images (N, C, H, W) of ``domain``, ``a`` or ``b``.

        Raises:
            ValueError: for another domain, or images of wrong channels or sizes.
        """
        self.check_images(images, domain)
        return self.generator.common(images)

    @torch.no_grad()
    def reconstruct(self, images: Tensor, domain: str) -> Tensor:
        """What is made again of images of ``domain``: of their common part and that of their own domain.

        Raises:
            ValueError: for another domain, or images of wrong channels or sizes.
        """
        self.check_images(images, domain)
        return self._combined(images, {domain: images})

    @torch.no_grad()
    def combine(self, images: Tensor, a: Tensor | None = None, b: Tensor | None = None) -> Tensor:
        """Images with the common part of ``images`` and the separate ones of others, unclamped.

        Without both it is the intersection of the domains, with both their union, with one of them a translation.

        Args:
            images: (N, C, H, W) in [-1, 1], of either domain.
            a: as many images of domain a, of the same size; the part special to a is zero when left out.
            b: the same of domain b.

        Raises:
            ValueError: for images of wrong channels or sizes.
        """
        guides = {domain: guide for domain, guide in (("a", a), ("b", b)) if guide is not None}
        self.check_images(images, "a")
        for domain, guide in guides.items():
            self.check_images(guide, domain)
        return self._combined(images, guides)

    def _combined(self, images: Tensor, guides: dict[str, Tensor]) -> Tensor:
        for guide in guides.values():
            require_equal_sizes(images, guide, type(self).__name__)
        parts = {domain: self.generator.separate[domain](guide) for domain, guide in guides.items()}
        return self.generator.decode(self.generator.common(images), **parts)

    def _translate(self, images: Tensor, direction: Direction, guide: Tensor | None, noise: Noise | None) -> Tensor:
        assert guide is not None
        return self._combined(images, {direction.target: guide})
