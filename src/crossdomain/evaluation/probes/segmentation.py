"""Class maps, where one domain shows classes by colours: of photos, and of translations to labels and from them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor
from torchmetrics import Metric

from crossdomain.capabilities import Segments, Translates
from crossdomain.companion import Companion
from crossdomain.domains import DataSpec
from crossdomain.evaluation.measured import MeasuredBatch
from crossdomain.evaluation.probe import Probe, Tag
from crossdomain.metrics import SegmentationScore
from crossdomain.metrics.palette import nearest_class

_NAMES = ("pixel_accuracy", "class_accuracy", "class_iou")


class Segmentation(Probe):
    """The FCN-score of translations from labels, the same of translations to labels, and that of a segmenter itself.

    Args:
        segmenter: tells the classes of pixels of photos.
    """

    tags = (
        Tag(
            " ".join(f"{name}_{{direction}}" for name in _NAMES),
            "one domain shows classes by colours ([FCN-score](#fcn-score)), "
            "and there is a segmenter, or the truth of translations to labels",
            "`SegmentationScore` of the segmenter, or by the nearest colours; in [0, 1]",
        ),
        Tag(
            " ".join(f"{name}_{{domain}}" for name in _NAMES),
            "the method is a segmenter, and the truth is known",
            "`SegmentationScore` of the method on photos as they are; in [0, 1]",
        ),
    )

    def __init__(self, segmenter: Companion | None) -> None:
        self.segmenter = segmenter

    def setup(self) -> None:
        """Read the segmenter."""
        if self.segmenter is not None:
            self.segmenter.on()

    def check(self, method: Translates, data: DataSpec | None) -> None:
        """Refuse a segmenter that was trained on other classes."""
        if self.segmenter is None:
            return
        known, palette = self.segmenter.on().spec.palette, method.spec.palette
        if palette is None:
            raise ValueError("A segmenter scores data whose labels have a palette, which this data has not.")
        if known != palette:
            raise ValueError(
                f"segmenter is {self.segmenter.path!r}, trained on {_classes(known)},\n"
                f"but the palette of this data is {_classes(palette)}.\n"
                "Give a segmenter that was trained on this data, domains in the same order."
            )

    def applies(self, method: Translates, spec: DataSpec, batch: Mapping[str, Any]) -> bool:
        """Where one domain shows classes."""
        return spec.palette is not None

    def make(self, kind: str, place: str, method: Translates) -> Metric:
        """For the classes of the palette."""
        assert method.spec.palette is not None
        return SegmentationScore(len(method.spec.palette["names"]))

    def update(self, batch: MeasuredBatch) -> None:
        """Compare class maps with the classes of labels."""
        method, labels, palette = batch.method, batch.spec.labels, batch.spec.palette
        assert palette is not None
        for domain in batch.domains:
            truth = batch.get(f"truth_{domain}2{labels}")
            if isinstance(method, Segments) and truth is not None:
                self._score(batch.spec, domain, method.segment(batch[domain]).argmax(1), truth)
        for direction in batch.directions:
            truth = batch.get(f"truth_{direction}")
            if direction.target == labels and truth is not None:
                self._score(batch.spec, direction, nearest_class(batch.output(direction), palette["colours"]), truth)
            if direction.source == labels and self.segmenter is not None:
                shown = batch.output(direction).clamp(-1, 1)
                seen = self.segmenter.on(shown.device).segment(shown).argmax(1)
                self._score(batch.spec, direction, seen, batch[direction.source])

    def _score(self, spec: DataSpec, place: str, classes: Tensor, labels: Tensor) -> None:
        """Compare class maps (N, H, W) with the classes of ``labels`` (N, 3, H, W), pictures in the palette."""
        assert spec.palette is not None
        truth = nearest_class(labels, spec.palette["colours"], spec.palette["ignored"])
        self.metric("segmentation", place).update(classes, truth)


def _classes(palette: dict[str, Any] | None) -> str:
    """A palette in a few words, for an error message."""
    if palette is None:
        return "no palette"
    names = palette["names"]
    return f"{len(names)} classes of domain {palette['domain']} ({names[0]} to {names[-1]})"
