"""How unlike several outputs for one input are to the eye."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import Any

from torchmetrics import Metric

from crossdomain.capabilities import Translates
from crossdomain.domains import DataSpec, Direction, clamped
from crossdomain.evaluation.measured import MeasuredBatch
from crossdomain.evaluation.probe import Probe, Tag

SMALLEST = 32  # px; from smaller images AlexNet's second pooling leaves nothing


class PerceptualDiversity(Probe):
    """LPIPS between outputs for one input (Zhang et al., CVPR 2018, arXiv 1801.03924), of torchmetrics.

    Args:
        lpips: whether it is asked for.
        samples: outputs for one input that are compared.
    """

    tags = (
        Tag(
            "lpips_diversity_{direction}",
            "asked for (`Evaluation(lpips=True)`), the method has many outputs for one input, of 1 or 3 channels",
            "torchmetrics' LPIPS by AlexNet, the mean over all pairs of `samples` outputs; 0 where all are alike",
        ),
    )

    def __init__(self, lpips: bool, samples: int) -> None:
        self.lpips = lpips
        self.samples = samples

    def applies(self, method: Translates, spec: DataSpec, batch: Mapping[str, Any]) -> bool:
        """Where it is asked for and the method has many outputs."""
        return self.lpips and method.multimodal

    def draws(self, batch: MeasuredBatch, direction: Direction) -> int:
        """All that are compared."""
        return self.samples

    def make(self, kind: str, place: str, method: Translates) -> Metric:
        """On the first call torchvision fetches AlexNet's weights."""
        return _lpips()

    def update(self, batch: MeasuredBatch) -> None:
        """Compare the outputs of each direction, pair by pair.

        Raises:
            ValueError: the images are smaller than 32 px.
        """
        for direction in batch.directions:
            outputs = clamped(batch.outputs(direction, self.samples))
            if outputs.ndim != 5 or outputs.shape[2] not in (1, 3):
                continue
            if (side := min(outputs.shape[3:])) < SMALLEST:
                raise ValueError(
                    f"lpips compares images of at least {SMALLEST} px, but these have {side}.\n"
                    "Leave it out (diversity has no smallest size), or take larger images."
                )
            outputs = outputs.expand(-1, -1, 3, -1, -1)
            for one, other in combinations(range(outputs.shape[1]), 2):
                self.metric("lpips_diversity", direction).update(outputs[:, one], outputs[:, other])


def _lpips() -> Metric:
    from torchmetrics.image.lpip import LearnedPerceptualImagePatchSimilarity

    try:
        return LearnedPerceptualImagePatchSimilarity("alex")
    except OSError as error:  # of a download, URLError among them
        raise ValueError(
            f"lpips needs AlexNet's weights of torchvision, which could not be fetched: {error}.\n"
            "Try again with a network, or put the file below TORCH_HOME/hub/checkpoints by hand."
        ) from None
