"""A batch as a method sees it: what several probes measure of it is computed once, when it is first asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from crossdomain.capabilities import Scores, Translates
from crossdomain.domains import Direction, domains_in, partners
from crossdomain.flows import dequantize

SEED = 0
"""Of everything that is drawn: each image's draws follow from it and the image's index in the split."""


class MeasuredBatch(Mapping[str, Any]):
    """A batch, by its keys, and what ``method`` makes of it.

    Args:
        method: what is measured.
        batch: the batch.
        indices: which image of its data set each one is, by domain; its place in the batch when left out.
        dataset: where a guide comes from that the batch does not hold.
        draws: how many outputs for one input are looked at, where there are many.
    """

    def __init__(
        self,
        method: Translates,
        batch: Mapping[str, Any],
        indices: Mapping[str, Sequence[int]] | None = None,
        dataset: object = None,
        draws: Callable[[Direction], int] = lambda direction: 1,
    ) -> None:
        self.method, self.spec = method, method.spec
        self.domains = tuple(letter for letter in domains_in(batch) if letter in self.spec.letters)
        self._batch, self._dataset, self._draws = batch, dataset, draws
        self._indices = {d: range(len(batch[d])) for d in self.domains} if indices is None else indices
        self._outputs: dict[Direction, Tensor] = {}
        self._partners: dict[Direction, Tensor | None] = {}
        self._scored: dict[str, Tensor] = {}

    def __getitem__(self, key: str) -> Any:
        return self._batch[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._batch)

    def __len__(self) -> int:
        return len(self._batch)

    @property
    def directions(self) -> list[Direction]:
        """Ways along which images of this batch can be translated: also where a method needs guides."""
        ways = [way for way in self.method.directions if way.source in self.domains]
        return [way for way in ways if self.method.guide != "required" or self.partners(way) is not None]

    def partners(self, direction: Direction) -> Tensor | None:
        """An image of the target domain for each one of the source, of the same index; None where there is none."""
        if direction not in self._partners:
            indices = self._indices[direction.source]
            self._partners[direction] = partners(self._batch, direction, indices, self._dataset)
        return self._partners[direction]

    def guide(self, direction: Direction) -> Tensor | None:
        """What :meth:`output` takes as guide: the partners where the method needs some, else none."""
        return self.partners(direction) if self.method.guide == "required" else None

    def translate(
        self, images: Tensor, direction: Direction, of: str, guide: Tensor | None = None, samples: int = 1
    ) -> Tensor:
        """Translate what comes of the batch's images of domain ``of``, one each, with the draws of these images."""
        indices = self._indices[of]
        return self.method.translate(images, direction, guide=guide, samples=samples, seed=SEED, indices=indices)

    def outputs(self, direction: Direction, count: int) -> Tensor:
        """Translations (N, S, ...) of the batch's images, S = ``count``, or 1 where the method has one for each."""
        count = count if self.method.multimodal else 1
        kept = self._outputs.get(direction)
        if kept is None or kept.shape[1] < count:
            drawn = max(count, self._draws(direction)) if self.method.multimodal else 1
            images, source = self[direction.source], direction.source
            kept = self.translate(images, direction, source, self.guide(direction), drawn)
            self._outputs[direction] = kept = kept if drawn > 1 else kept.unsqueeze(1)
        return kept[:, :count]

    def output(self, direction: Direction) -> Tensor:
        """Translations (N, ...) of the batch's images, the first for each, unclamped."""
        return self.outputs(direction, 1)[:, 0]

    def scored(self, domain: str) -> Tensor:
        """What ``log_prob`` is asked of: images with dequantization noise, one draw for all of them.

        The noise makes stored values a sample of a density. A method that knows the probability of stored values
        themselves (``likelihood`` is ``mass``) gets the images as they are.
        """
        if domain not in self._scored:
            images = self[domain]
            if isinstance(self.method, Scores) and self.method.likelihood == "mass":
                self._scored[domain] = images
            else:
                generator = torch.Generator().manual_seed(SEED)
                noise = torch.rand(images.shape[1:], generator=generator).to(images)
                self._scored[domain] = dequantize(images, self.spec.levels, noise)
        return self._scored[domain]
