"""What every method has to beat: translations that have learnt nothing, or the target's mean and no more."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from torch import Tensor

from crossdomain.domains import DataSpec, Direction
from crossdomain.method import Batch, Method
from crossdomain.methods import RandomTranslation
from crossdomain.noise import Noise


class _Rival(Method):
    """A translation without a network.

    Args:
        spec: what the data is like.
        directions: those that it is to stand beside others in.
    """

    def __init__(self, spec: DataSpec, directions: Sequence[Direction]) -> None:
        super().__init__(*spec.channels)
        self.spec = spec
        self.directions = tuple(directions)
        self.players = {}

    def generate(self, batch: Batch) -> dict[str, Any]:
        """Nothing: no player moves."""
        return {}


class CopyInput(_Rival):
    """The input as it is, in directions between domains of equal channels; best in all metrics of cycles."""

    def __init__(self, spec: DataSpec, directions: Sequence[Direction]) -> None:
        channels = dict(zip(spec.letters, spec.channels, strict=True))
        super().__init__(spec, [way for way in directions if channels[way.source] == channels[way.target]])

    def _translate(self, images: Tensor, direction: Direction, guide: Tensor | None, noise: Noise | None) -> Tensor:
        return images


class MeanImage(_Rival):
    """The mean of the target's training images, whatever the input: what a mean squared error rewards of a blur."""

    def prepare(self, loader: Iterable[Batch]) -> None:
        """Take the mean of each domain over an epoch."""
        targets = sorted({way.target for way in self.directions})
        sums: dict[str, Tensor] = {}
        counts = dict.fromkeys(targets, 0)
        for batch in loader:
            for domain in targets:
                if domain in batch:
                    part = batch[domain].double().sum(0)
                    sums[domain] = sums[domain] + part if domain in sums else part
                    counts[domain] += len(batch[domain])
        for domain, total in sums.items():
            self.register_buffer(f"mean_{domain}", (total / counts[domain]).float())

    def _translate(self, images: Tensor, direction: Direction, guide: Tensor | None, noise: Noise | None) -> Tensor:
        mean = self.get_buffer(f"mean_{direction.target}")
        return mean.expand(len(images), *mean.shape)


class CopyGuide(_Rival):
    """The guide as it is: the best style, and no content."""

    guide = "required"

    def _translate(self, images: Tensor, direction: Direction, guide: Tensor | None, noise: Noise | None) -> Tensor:
        assert guide is not None
        return guide


def rivals(spec: DataSpec, members: Sequence[Method], loader: Iterable[Batch] | None) -> dict[str, Method]:
    """The rivals of methods on data, by the name that a table shows them under.

    Copies of the input and the mean of the target for all that translate; where one of them takes a guide, random
    images of the target (:class:`RandomTranslation`), and copies of the guide if data or method ask for one.

    Args:
        spec: what the data is like.
        members: the methods.
        loader: batches of the training split, for the mean and the random images; None leaves these two out.
    """
    directions = list(dict.fromkeys(way for member in members for way in member.directions))
    guided = any(member.guide != "none" for member in members)
    found: dict[str, Method] = {"copy-input": CopyInput(spec, directions)}
    if loader is not None:
        found["mean-image"] = MeanImage(spec, directions)
    if guided and (spec.roles is not None or any(member.guide == "required" for member in members)):
        # Elsewhere the images beside the inputs may be their truths, as in pairs.
        found["copy-guide"] = CopyGuide(spec, directions)
    if guided and loader is not None and len(spec.channels) == 2 and spec.image_size is not None:
        first, second = spec.channels
        found["random-image"] = RandomTranslation(first, second, spec.image_size)
        found["random-image"].directions = tuple(directions)
    found = {name: rival for name, rival in found.items() if rival.directions}
    for rival in found.values():
        rival.prepare(loader or ())
    return found
