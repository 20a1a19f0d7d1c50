"""Generators that pass on a style map beside the image, through noise that bounds what it can carry."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from crossdomain.checks import at_least
from crossdomain.domains import BOTH
from crossdomain.losses import capacity_bits
from crossdomain.method import Batch, NetworkFactory, Terms
from crossdomain.methods.unpaired_gan import UnpairedGAN
from crossdomain.networks import StyledResNetGenerator

READS = {"a": "a2b", "b": "b2a"}  # which generator reads the style of a domain


class StyleChannel(UnpairedGAN):
    """Guided translation, whose guide speaks through a style map.

    A generator takes an image and a style map, and makes both: ``(image of b, s_a) = a2b(a, s_b)``, where s_a is what
    has to be remembered for the way back, ``(image of a, s_b) = b2a(b, s_a)``. With an empty map it reads an image's
    own style: ``(_, s_a) = a2b(a, 0)``. The translation of a by a guide b is ``a2b(a, s_b)``.

    A map could hide a whole image, so passes that do not read styles are noisy in training: N(0, sigma^2) is added to
    their images and N(0, sigma_s^2) to their maps, unclipped. A map then carries at most ``dim(s) log2(1 + E s^2 /
    sigma_s^2)`` bits.

    Args:
        channels_a: channels of domain a.
        channels_b: channels of domain b.
        generator: makes a generator of images and style maps from the images' channels in and out.
        cycle_noise: sigma, here of all passes in training, not of the way back alone.
        style_noise: sigma_s; at 0 a map may carry anything.
        test_noise: noise stays on in ``translate``; several samples then differ.
        options: those of :class:`UnpairedGAN`, :class:`Unpaired` and :class:`Method`.
    """

    guide = "required"

    def __init__(
        self,
        channels_a: int,
        channels_b: int | None = None,
        generator: NetworkFactory = StyledResNetGenerator,
        cycle_noise: float = 0.5,
        style_noise: float = 0.5,
        test_noise: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(
            channels_a, channels_b, directions=BOTH, generator=generator, cycle_noise=cycle_noise, **options
        )
        at_least(0, self, cycle_noise=cycle_noise, style_noise=style_noise)
        self.style_noise = self.code_noise = style_noise
        self.test_noise = self.multimodal = test_noise

    def passes(
        self, direction: str, inputs: Mapping[str, tuple[Tensor, Tensor | None]]
    ) -> dict[str, tuple[Tensor, Tensor]]:
        """Run one generator on several batches as if they were one.

        Args:
            direction: which generator.
            inputs: images (N, C, H, W) and style maps (N, 1, H, W) of each pass; None is the empty map, and a pass
                that reads styles, without noise.

        Returns:
            Images and style maps that each pass makes.
        """
        seen = [
            (images, torch.zeros_like(images[:, :1])) if style is None else self._noisy(images, style, torch.randn_like)
            for images, style in inputs.values()
        ]
        made = self.get_submodule(direction)(*(torch.cat(parts) for parts in zip(*seen, strict=True)))
        parts = (part.split([len(images) for images, _ in seen]) for part in made)
        return dict(zip(inputs, zip(*parts, strict=True), strict=True))

    def style(self, images: Tensor, domain: str) -> Tensor:
        """The style maps (N, 1, H, W) of images (N, C, H, W) of ``domain``, with gradients."""
        return self.passes(READS[domain], {"own": (images, None)})["own"][1]

    def _noisy(self, images: Tensor, style: Tensor, draw: Callable[[Tensor], Tensor]) -> tuple[Tensor, ...]:
        deviations = ((images, self.cycle_noise), (style, self.style_noise))
        return tuple(x + sigma * draw(x) for x, sigma in deviations)

    def measures(self, batch: Batch, out: dict[str, Any]) -> Terms:
        """The bound on the bits that the styles of this batch carry."""
        styles = {d: out[f"style_{d}"].float() for d in "ab" if self.style_noise > 0}
        return {
            f"capacity_bits_{d}": capacity_bits(style.square().mean(), style[0].numel(), self.style_noise)
            for d, style in styles.items()
        }

    @torch.no_grad()
    def encode(self, images: Tensor, domain: str) -> Tensor:
        """The style maps (N, 1, H, W) in [-1, 1] of images (N, C, H, W) of ``domain``, ``a`` or ``b``, without noise.

        Raises:
            ValueError: for another domain, or images of wrong channels or sizes.
        """
        self.check_images(images, domain)
        return self.style(images, domain)

    def _translate(self, images: Tensor, direction: str, guide: Tensor | None, noise: Any) -> Tensor:
        if guide.shape[2:] != images.shape[2:]:
            of_guide, of_images = ("x".join(map(str, x.shape[2:])) for x in (guide, images))
            raise ValueError(
                f"The guide has {of_guide} px, the image {of_images} px, but {type(self).__name__} takes equal sizes."
            )
        style = self.style(guide, direction[-1])
        seen = (images, style)
        if self.test_noise:
            seen = self._noisy(images, style, lambda x: noise.normal(*x.shape[1:]))
        return self.get_submodule(direction)(*seen)[0]
