"""Labels of translated vectors, by their neighbours in the target domain."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torchmetrics import Metric

from crossdomain.capabilities import Translates
from crossdomain.domains import DataSpec, domains_in
from crossdomain.evaluation.measured import MeasuredBatch
from crossdomain.evaluation.probe import Probe, Tag
from crossdomain.metrics import NeighbourAccuracy


class NeighbourLabels(Probe):
    """Whether a translated vector lies among those of its label."""

    tags = (
        Tag(
            "neighbour_accuracy_{direction}",
            "vectors, labelled in both domains",
            "`NeighbourAccuracy`: the label of the nearest neighbour in b, no judge needed; in [0, 1]",
        ),
    )

    def applies(self, method: Translates, spec: DataSpec, batch: Mapping[str, Any]) -> bool:
        """Where there are vectors, and directions."""
        return bool(method.directions) and any(batch[domain].ndim == 2 for domain in domains_in(batch))

    def make(self, kind: str, place: str, method: Translates) -> Metric:
        """Over all of the split."""
        return NeighbourAccuracy()

    def update(self, batch: MeasuredBatch) -> None:
        """Add vectors of the target domain, and translated ones."""
        labelled = [domain for domain in batch.domains if batch[domain].ndim == 2 and f"label_{domain}" in batch]
        for direction in batch.method.directions:
            if (target := direction.target) in labelled:
                neighbours = self.metric("neighbour_accuracy", direction)
                neighbours.update(batch[target], batch[f"label_{target}"], translated=False)
        for direction in batch.directions:
            if (source := direction.source) in labelled:
                neighbours = self.metric("neighbour_accuracy", direction)
                neighbours.update(batch.output(direction), batch[f"label_{source}"], translated=True)
