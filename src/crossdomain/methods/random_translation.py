"""A random image of the target domain, whatever the input: the baseline of guided translation."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from typing_extensions import Unpack

from crossdomain.checks import at_least
from crossdomain.domains import BOTH, Direction
from crossdomain.method import Batch, GameOptions, Method
from crossdomain.noise import Noise


class RandomTranslation(Method):
    """RAND of RIFT's tables (arXiv 2111.13279): the translation of an image is a random image of the target domain.

    It looks at neither the input nor the guide, so what it scores is what chance scores. There is nothing to train:
    ``prepare`` fills a memory with training images, which is part of the checkpoint.

    Args:
        channels_a: channels of domain a.
        channels_b: channels of domain b; that of domain a when left out.
        image_size: height and width of the images.
        memory: images of each domain that are remembered.
        options: those of :class:`Game`.
    """

    directions = BOTH
    guide = "required"
    multimodal = True
    memory_a: Tensor
    remembered: Tensor

    def __init__(
        self,
        channels_a: int,
        channels_b: int | None = None,
        image_size: int = 64,
        memory: int = 500,
        **options: Unpack[GameOptions],
    ) -> None:
        super().__init__(channels_a, channels_b, **options)
        self.save_hyperparameters()
        at_least(1, self, memory=memory, image_size=image_size)
        self.players = {}
        for domain, channels in self.channels.items():
            self.register_buffer(f"memory_{domain}", torch.zeros(memory, channels, image_size, image_size))
        self.register_buffer("remembered", torch.tensor(0))

    def prepare(self, loader: Iterable[Batch]) -> None:
        """Remember the first images of a shuffled epoch; the memory is filled by repeating them if they are fewer."""
        batches: dict[str, list[Tensor]] = {domain: [] for domain in self.channels}
        count = 0
        for batch in loader:
            for domain, images in batches.items():
                images.append(batch[domain])
            count += len(batch["a"])
            if count >= len(self.memory_a):
                break
        for domain, images in batches.items():
            memory, found = self.get_buffer(f"memory_{domain}"), torch.cat(images)
            if found.shape[1:] != memory.shape[1:]:
                raise ValueError(
                    f"Images of domain {domain} have shape {tuple(found.shape[1:])}, but the memory is made for "
                    f"{tuple(memory.shape[1:])}.\nSet model.image_size to that of the data."
                )
            memory.copy_(found[torch.arange(len(memory), device=found.device) % len(found)])
        self.remembered.fill_(min(count, len(self.memory_a)))

    def generate(self, batch: Batch) -> dict[str, Any]:
        """Nothing: no player moves."""
        return {}

    def _translate(self, images: Tensor, direction: Direction, guide: Tensor | None, noise: Noise | None) -> Tensor:
        if self.remembered == 0:
            raise ValueError("RandomTranslation remembers no images yet; run fit first, or load a checkpoint.")
        memory = self.get_buffer(f"memory_{direction.target}")
        assert noise is not None
        return memory[noise.integers(len(memory))]
