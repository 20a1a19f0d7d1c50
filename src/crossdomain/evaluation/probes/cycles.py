"""Cycles: how far a translation leads back, and whether it hides the image on the way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric

from crossdomain.capabilities import Translates
from crossdomain.domains import DataSpec, Direction
from crossdomain.evaluation.measured import SEED, MeasuredBatch
from crossdomain.evaluation.probe import Probe, Tag
from crossdomain.metrics import CycleError, NoiseSensitivity, ReconstructionHonesty
from crossdomain.metrics.palette import nearest_colour


class Cycles(Probe):
    """There and back, unclamped on the way; tags are those of the domain where a cycle starts and ends.

    With more than two domains, the cycles that start in one and lead over each of the others count together.

    Args:
        cycle_noise: sigma of the noise of ``sn``, the same for all images; 0 leaves ``sn`` and ``rh`` out.
    """

    tags = (
        Tag(
            "cycle_max_{domain} cycle_mean_{domain}",
            "the method goes there and back, without a guide",
            "`CycleError` of b2a(a2b(a)); with more domains over all of them, there and back",
        ),
        Tag(
            "rh_{domain} sn_{domain}",
            "the same, images ([cycles that cannot cheat](cycles.md))",
            "`ReconstructionHonesty` and `NoiseSensitivity` of these cycles",
        ),
    )
    prefix = "cycle_"

    def __init__(self, cycle_noise: float) -> None:
        self.cycle_noise = cycle_noise

    def applies(self, method: Translates, spec: DataSpec, batch: Mapping[str, Any]) -> bool:
        """Where the way back of one direction at least is a direction too."""
        return method.guide != "required" and any(way.back in method.directions for way in method.directions)

    def make(self, kind: str, place: str, method: Translates) -> Metric:
        """``cycle``, ``rh`` or ``sn``."""
        metrics: dict[str, type[Metric]] = {"cycle": CycleError, "rh": ReconstructionHonesty, "sn": NoiseSensitivity}
        return metrics[kind]()

    def update(self, batch: MeasuredBatch) -> None:
        """Translate back, and again what can be stored and what is disturbed."""
        for direction in batch.directions:
            if direction.back in batch.method.directions:
                self._measure(batch, direction)

    def _measure(self, batch: MeasuredBatch, direction: Direction) -> None:
        source, images, output = direction.source, batch[direction.source], batch.output(direction)

        def back(output: Tensor) -> Tensor:
            return batch.translate(output, direction.back, source)

        cycled = back(output)
        self.metric("cycle", source).update(cycled, images)
        if self.cycle_noise > 0 and images.ndim == 4:
            honest = back(_storable(output, batch.spec, direction.target))
            self.metric("rh", source).update(honest, cycled, images)
            noise = torch.randn(output.shape[1:], generator=torch.Generator().manual_seed(SEED)).to(output)
            self.metric("sn", source).update(back(output + self.cycle_noise * noise), cycled)


def _storable(images: Tensor, spec: DataSpec, domain: str) -> Tensor:
    """Translations (N, C, H, W) into ``domain`` as a file of that domain could hold them."""
    if spec.palette is not None and domain == spec.labels:
        return nearest_colour(images, spec.palette["colours"])
    assert spec.levels is not None
    steps = (spec.levels - 1) / 2
    return ((images.clamp(-1, 1) + 1) * steps).round() / steps - 1
