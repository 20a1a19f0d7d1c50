"""The style channel: generators that pass on a map beside the image, through noise that bounds what it can carry."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from crossdomain.domains import BOTH, Direction

READS = {direction.source: direction for direction in BOTH}
"""Which generator reads the style of a domain."""


class StyleChannel:
    """Two generators, each of which takes an image and a style map, and makes both.

    ``(image of b, s_a) = a2b(a, s_b)``, where s_a is what has to be remembered for the way back, ``(image of a, s_b) =
    b2a(b, s_a)``. With an empty map a generator reads an image's own style: ``(_, s_a) = a2b(a, 0)``. The translation
    of a by a guide b is ``a2b(a, s_b)``.

    A map could hide a whole image, so passes that do not read styles are noisy in training: N(0, sigma^2) is added to
    their images and N(0, sigma_s^2) to their maps, unclipped. A map then carries at most ``dim(s) log2(1 + E s^2 /
    sigma_s^2)`` bits.

    Args:
        generators: by direction, ``a2b`` and ``b2a``.
        image_noise: sigma.
        style_noise: sigma_s; at 0 a map may carry anything.
    """

    def __init__(self, generators: Mapping[Direction, nn.Module], image_noise: float, style_noise: float) -> None:
        self.generators = generators
        self.image_noise = image_noise
        self.style_noise = style_noise

    def passes(
        self, direction: Direction, inputs: Mapping[str, tuple[Tensor, Tensor | None]]
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
            (images, torch.zeros_like(images[:, :1])) if style is None else self.noisy(images, style, torch.randn_like)
            for images, style in inputs.values()
        ]
        made = self.generators[direction](*(torch.cat(parts) for parts in zip(*seen, strict=True)))
        parts = (part.split([len(images) for images, _ in seen]) for part in made)
        return dict(zip(inputs, zip(*parts, strict=True), strict=True))

    def style(self, images: Tensor, domain: str) -> Tensor:
        """The style maps (N, 1, H, W) of images (N, C, H, W) of ``domain``, with gradients."""
        return self.passes(READS[domain], {"own": (images, None)})["own"][1]

    def noisy(self, images: Tensor, style: Tensor, draw: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor]:
        """Images and maps with noise, whose standard normal numbers ``draw`` gives for a tensor of their shape."""
        return images + self.image_noise * draw(images), style + self.style_noise * draw(style)
