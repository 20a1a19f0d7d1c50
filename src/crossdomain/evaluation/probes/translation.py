"""Translations beside the truth."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torchmetrics import Metric

from crossdomain.capabilities import Translates
from crossdomain.domains import DataSpec
from crossdomain.evaluation.measured import MeasuredBatch
from crossdomain.evaluation.probe import Probe, Tag
from crossdomain.metrics import TranslationError


class Translation(Probe):
    """The error of translations, where it is known what images should become."""

    tags = (
        Tag(
            "mse_{direction} psnr_{direction} ssim_{direction}",
            "the truth is known",
            "`TranslationError`, of outputs clamped to [-1, 1]; PSNR in dB at a range of 2",
        ),
    )

    def applies(self, method: Translates, spec: DataSpec, batch: Mapping[str, Any]) -> bool:
        """Where the truth of one direction at least is known."""
        return any(f"truth_{way}" in batch for way in method.directions)

    def make(self, kind: str, place: str, method: Translates) -> Metric:
        """Of images and vectors alike."""
        return TranslationError()

    def update(self, batch: MeasuredBatch) -> None:
        """Compare outputs with the truth."""
        for direction in batch.directions:
            if (truth := batch.get(f"truth_{direction}")) is not None:
                self.metric("translation", direction).update(batch.output(direction), truth)
