"""What a code that is sent through noise can carry."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torchmetrics import Metric

from crossdomain.capabilities import HidesCodes, Translates
from crossdomain.domains import DataSpec
from crossdomain.evaluation.measured import MeasuredBatch
from crossdomain.evaluation.probe import Probe, Tag
from crossdomain.metrics import ChannelCapacity


class CodeCapacity(Probe):
    """The bound on the bits of a code, over the whole split."""

    tags = (
        Tag(
            "capacity_bits_{domain}",
            "the method sends a code through noise (RIFT); `train/capacity_bits_a` also",
            "`ChannelCapacity` of what is encoded, in bits for an image",
        ),
    )

    def applies(self, method: Translates, spec: DataSpec, batch: Mapping[str, Any]) -> bool:
        """Where the method adds noise to its codes."""
        return isinstance(method, HidesCodes) and method.code_noise > 0

    def make(self, kind: str, place: str, method: Translates) -> Metric:
        """For the method's noise."""
        assert isinstance(method, HidesCodes)
        return ChannelCapacity(method.code_noise)

    def update(self, batch: MeasuredBatch) -> None:
        """Encode images of each domain."""
        assert isinstance(batch.method, HidesCodes)
        for domain in batch.domains:
            self.metric("capacity_bits", domain).update(batch.method.encode(batch[domain], domain))
