"""Several outputs for one input: how unlike they are, and how many of the true ones they find."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torchmetrics import Metric

from crossdomain.capabilities import Translates
from crossdomain.domains import DataSpec, Direction
from crossdomain.evaluation.measured import MeasuredBatch
from crossdomain.evaluation.probe import Probe, Tag
from crossdomain.metrics import Diversity, ModeCoverage


class OutputDiversity(Probe):
    """Distances between outputs for one input.

    Args:
        samples: outputs for one input that are compared.
    """

    tags = (
        Tag("diversity_{direction}", "the method has many outputs for one input", "`Diversity`: 0 where all are alike"),
    )

    def __init__(self, samples: int) -> None:
        self.samples = samples

    def applies(self, method: Translates, spec: DataSpec, batch: Mapping[str, Any]) -> bool:
        """Where the method has many outputs."""
        return method.multimodal

    def draws(self, batch: MeasuredBatch, direction: Direction) -> int:
        """All that are compared."""
        return self.samples

    def make(self, kind: str, place: str, method: Translates) -> Metric:
        """Of images and vectors alike."""
        return Diversity()

    def update(self, batch: MeasuredBatch) -> None:
        """Compare the outputs of each direction."""
        for direction in batch.directions:
            self.metric("diversity", direction).update(batch.outputs(direction, self.samples))


class CoveredModes(Probe):
    """Outputs for one input beside its several true answers.

    Args:
        coverage_samples: outputs for one input that are looked at, where a method has more than one.
        mode_radius: root mean squared distance within which a true answer counts as covered.
    """

    tags = (
        Tag(
            "nearest_mse_{direction} modes_covered_{direction}",
            "several true outputs are known ([ToyFacades](data.md#toyfacades))",
            "`ModeCoverage`: the error to the nearest one, and how many the outputs for an input find",
        ),
    )

    def __init__(self, coverage_samples: int, mode_radius: float) -> None:
        self.coverage_samples = coverage_samples
        self.mode_radius = mode_radius

    def applies(self, method: Translates, spec: DataSpec, batch: Mapping[str, Any]) -> bool:
        """Where true answers are known of one direction at least."""
        return any(f"truths_{way}" in batch for way in method.directions)

    def draws(self, batch: MeasuredBatch, direction: Direction) -> int:
        """Many where several answers are true."""
        return self.coverage_samples if f"truths_{direction}" in batch else 1

    def make(self, kind: str, place: str, method: Translates) -> Metric:
        """Within the radius."""
        return ModeCoverage(self.mode_radius)

    def update(self, batch: MeasuredBatch) -> None:
        """Compare outputs with the true answers."""
        for direction in batch.directions:
            if (truths := batch.get(f"truths_{direction}")) is not None:
                self.metric("coverage", direction).update(batch.outputs(direction, self.coverage_samples), truths)
