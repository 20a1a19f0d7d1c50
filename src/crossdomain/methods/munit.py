"""MUNIT: images taken apart into a content that the domains share and a style of their own."""

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
from crossdomain.networks import MUNITCritic, MUNITGenerator
from crossdomain.noise import Noise
from crossdomain.semantic import SemanticConsistency, SemanticFactory


class MUNIT(Method):
    """MUNIT (Huang, Liu, Belongie, Kautz, ECCV 2018, arXiv 1804.04732).

    Each domain has an autoencoder: ``c_a, s_a = encode_a(a)``, content and style, and ``decode_a(c_a, s_a)``. A
    translation decodes the content with a style of the other domain, drawn from N(0, I) or that of a guide. With ``b~ =
    decode_b(c_a, z)``, z ~ N(0, I), and ``c~_a, z~ = encode_b(b~)``, the autoencoders minimise

        w L_GAN(C_b, b~) + lambda_x |decode_a(c_a, s_a) - a| + lambda_s |z~ - z| + lambda_c |c~_a - c_a|
        + lambda_cyc |decode_a(c~_a, s_a) - a|

    and the same with a and b exchanged. The critics move first, on translations with styles that are drawn for
    them alone, and remember no earlier ones.

    Args:
        channels_a: channels of domain a.
        channels_b: channels of domain b.
        latent: length of a style.
        generator: makes an autoencoder from a domain's channels and the length of a style.
        critic: makes a critic from channels in and out.
        objective: makes L_GAN.
        adversarial_weight: w.
        image_weight: lambda_x.
        style_weight: lambda_s.
        content_weight: lambda_c.
        cycle_weight: lambda_cyc; 10 in some official runs.
        semantic_classifier: checkpoint of a classifier of domain a, read when training starts, whose opinion of an
            image and of its translation shall agree (:class:`SemanticConsistency`); None leaves the term out.
        semantic_weight: weight of that term.
        semantic: makes that term, :class:`SemanticConsistency` or :class:`JointSemantics`.
        options: those of :class:`Game`.
    """

    directions = BOTH
    multimodal = True
    guide = "optional"
    objective: Objective

    def __init__(
        self,
        channels_a: int,
        channels_b: int | None = None,
        latent: int = 8,
        generator: NetworkFactory = MUNITGenerator,
        critic: NetworkFactory = MUNITCritic,
        objective: Callable[[], Objective] = full_least_squares,
        adversarial_weight: float = 1.0,
        image_weight: float = 10.0,
        style_weight: float = 1.0,
        content_weight: float = 1.0,
        cycle_weight: float = 0.0,
        semantic_classifier: str | None = None,
        semantic_weight: float = 1.0,
        semantic: SemanticFactory = SemanticConsistency,
        **options: Unpack[GameOptions],
    ) -> None:
        super().__init__(channels_a, channels_b, **options)
        self.save_hyperparameters()
        at_least(1, self, latent=latent)
        self.latent = latent
        for domain, channels in self.channels.items():
            self.add_module(f"generator_{domain}", generator(channels, latent))
            self.add_module(f"critic_{domain}", critic(channels, 1))
        self.players = {"critic": ("critic_a", "critic_b"), "generator": ("generator_a", "generator_b")}
        self.objective = objective()
        self.adversarial_weight = adversarial_weight
        weights = {"image": image_weight, "style": style_weight, "content": content_weight, "cycle": cycle_weight}
        self.weights = {name: weight for name, weight in weights.items() if weight > 0}
        self.semantic = semantic(self, semantic_classifier, semantic_weight)

    def _generator(self, domain: str) -> Any:
        return self.get_submodule(f"generator_{domain}")

    def _draw(self, n: int) -> Tensor:
        return torch.randn(n, self.latent, device=self.device)

    def generate(self, batch: Batch) -> dict[str, Any]:
        """Take images apart, put them together again, translate with random styles, and take those apart."""
        out: dict[str, Any] = {}
        for d in self.channels:
            out[f"own_content_{d}"], out[f"own_style_{d}"] = self._generator(d).encode(batch[d])
        for direction in BOTH:
            source, target = direction.source, direction.target
            content, own = out[f"own_content_{source}"], out[f"own_content_{target}"]
            z = out[f"drawn_{target}"] = self._draw(len(content))
            contents, styles = torch.cat([content, own]), torch.cat([z, out[f"own_style_{target}"]])
            made = self._generator(target).decode(contents, styles)  # in one batch: no norm looks at other images
            out[f"fake_{target}"], out[f"image_{target}"] = made.split([len(content), len(own)])
        for direction in BOTH:
            source, target = direction.source, direction.target
            content, style = self._generator(target).encode(out[f"fake_{target}"])
            out |= {f"content_{source}": content, f"style_{target}": style}
            if "cycle" in self.weights:
                out[f"cycle_{source}"] = self._generator(source).decode(content, out[f"own_style_{source}"])
        return out

    def generator_loss(self, batch: Batch, out: dict[str, Any]) -> Terms:
        """Fool the critics; find images again in their parts, and the parts in translations."""
        terms = self.semantic.terms(self.directions, batch, out)
        for d in self.channels:
            logits = self.get_submodule(f"critic_{d}")(out[f"fake_{d}"])
            terms[f"adversarial_{d}"] = self.adversarial_weight * self.objective.generator(logits)
            image, style, content = batch[d], out[f"drawn_{d}"], out[f"own_content_{d}"]
            wanted = {"image": image, "style": style, "content": content, "cycle": image}
            for name, weight in self.weights.items():
                terms[f"{name}_{d}"] = weight * F.l1_loss(out[f"{name}_{d}"], wanted[name])
        return terms

    def critic_loss(self, batch: Batch, out: dict[str, Any]) -> Terms:
        """Tell images from translations with styles of their own."""
        terms: Terms = {}
        for direction in BOTH:
            source, target = direction.source, direction.target
            content, critic = out[f"own_content_{source}"], self.get_submodule(f"critic_{target}")
            with torch.no_grad():
                fake = self._generator(target).decode(content, self._draw(len(content)))
            terms[target] = self.adversarial_weight * self.objective.critic_loss(critic, batch[target], fake)
        return terms

    @torch.no_grad()
    def encode(self, images: Tensor, domain: str) -> Tensor:
        """The styles (N, latent) of images (N, C, H, W) of ``domain``, ``a`` or ``b``.

        Raises:
            ValueError: for another domain, or images of wrong channels or sizes.
        """
        self.check_images(images, domain)
        return self._generator(domain).encode(images)[1]

    def _translate(self, images: Tensor, direction: Direction, guide: Tensor | None, noise: Noise | None) -> Tensor:
        source, target = direction.source, direction.target
        if guide is not None:
            style = self._generator(target).encode(guide)[1]
        else:
            assert noise is not None
            style = noise.normal(self.latent)
        return self._generator(target).decode(self._generator(source).encode(images)[0], style)
