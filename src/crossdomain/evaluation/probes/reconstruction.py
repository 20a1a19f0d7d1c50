"""Images made again: from the truth as a guide, and from codes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torchmetrics import Metric

from crossdomain.capabilities import Reconstructs, Translates
from crossdomain.domains import DataSpec
from crossdomain.evaluation.measured import MeasuredBatch
from crossdomain.evaluation.probe import Probe, Tag
from crossdomain.metrics import TranslationError

_NAMES = ("mse", "psnr", "ssim")


class Reconstruction(Probe):
    """The error of what is made of an image's own code."""

    tags = (
        Tag(
            " ".join(f"reconstruction_{name}_{{direction}}" for name in _NAMES),
            "the truth is known and the method takes it as a guide (BiCycleGAN)",
            "`TranslationError` of the translation with the truth as guide",
        ),
        Tag(
            " ".join(f"reconstruction_{name}_{{domain}}" for name in _NAMES),
            "the method is an autoencoder",
            "`TranslationError` of what it makes of the code",
        ),
    )
    prefix = "reconstruction_"

    def applies(self, method: Translates, spec: DataSpec, batch: Mapping[str, Any]) -> bool:
        """Where a method may take a guide, or is an autoencoder."""
        return method.guide == "optional" or isinstance(method, Reconstructs)

    def make(self, kind: str, place: str, method: Translates) -> Metric:
        """Against the truth, or against the image itself."""
        return TranslationError()

    def update(self, batch: MeasuredBatch) -> None:
        """Make images again, and compare."""
        method = batch.method
        if method.guide == "optional":
            for direction in batch.directions:
                if (truth := batch.get(f"truth_{direction}")) is not None:
                    again = batch.translate(batch[direction.source], direction, direction.source, truth)
                    self.metric("reconstruction", direction).update(again, truth)
        if isinstance(method, Reconstructs):
            for domain in batch.domains:
                self.metric("reconstruction", domain).update(method.reconstruct(batch[domain], domain), batch[domain])
