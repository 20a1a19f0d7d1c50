"""Attributes: those that a method tells of images, and those that a predictor sees in guided translations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor
from torchmetrics import Metric

from crossdomain.capabilities import PredictsAttributes, Translates
from crossdomain.companion import Companion
from crossdomain.domains import DataSpec
from crossdomain.evaluation.measured import MeasuredBatch
from crossdomain.evaluation.probe import Probe, Tag
from crossdomain.metrics import AttributeAccuracy, ManipulationAccuracy, TranslationCorrectness


class TransferredAttributes(Probe):
    """What guided translations keep of the image and take from the guide, the image of the other domain beside it.

    Args:
        predictor: tells the attributes of images.
    """

    tags = (
        Tag(
            "acc_{direction} acc_{name}_{direction}",
            "the method takes a guide, the data has attributes, and a predictor is given "
            "([attribute metrics](#attribute-metrics))",
            "`ManipulationAccuracy`, the mean and that of each attribute, in [0, 1]",
        ),
        Tag(
            "translation_quality_{direction} content_preservation_{direction} style_manipulation_{direction} "
            "model_bias_{direction} disentanglement_{direction} content_and_style_{direction}",
            "the same",
            "`TranslationCorrectness`, in [0, 1]",
        ),
    )

    def __init__(self, predictor: Companion | None) -> None:
        self.predictor = predictor

    def setup(self) -> None:
        """Read the predictor."""
        if self.predictor is not None:
            self.predictor.on()

    def check(self, method: Translates, data: DataSpec | None) -> None:
        """Refuse a predictor of other attributes, and a method that was trained for other roles of them."""
        if self.predictor is None:
            return
        known, attributes = self.predictor.on().spec.attributes, method.spec.attributes
        if attributes is None or method.spec.roles is None:
            raise ValueError("A predictor scores data whose attributes have roles, such as Shapes; this data has none.")
        if known != attributes:
            raise ValueError(
                f"predictor is {self.predictor.path!r}, trained on the attributes {known},\n"
                f"but those of this data are {attributes}.\nGive a predictor that was trained on them."
            )
        if data is not None and data.roles not in (None, method.spec.roles):
            raise ValueError(
                f"The method was trained for the roles {method.spec.roles},\n"
                f"but this data has {data.roles}.\nTest it on the split that it was trained on."
            )

    def applies(self, method: Translates, spec: DataSpec, batch: Mapping[str, Any]) -> bool:
        """Where there is a predictor and the method takes a guide."""
        return self.predictor is not None and method.guide != "none"

    def make(self, kind: str, place: str, method: Translates) -> Metric:
        """For the attributes and roles that the method was trained on."""
        spec = method.spec
        assert spec.attributes is not None
        assert spec.roles is not None
        metric = ManipulationAccuracy if kind == "manipulation" else TranslationCorrectness
        return metric(spec.attributes, spec.roles, place)

    def update(self, batch: MeasuredBatch) -> None:
        """Predict the attributes of outputs, images and guides."""
        for direction in batch.directions:
            guide = batch.partners(direction)
            if guide is None:
                continue
            images = batch[direction.source]
            if batch.method.guide == "required":
                output = batch.output(direction)
            else:
                output = batch.translate(images, direction, direction.source, guide)
            seen = [self._attributes(shown) for shown in (output.clamp(-1, 1), images, guide)]
            for kind in ("manipulation", "correctness"):
                self.metric(kind, direction).update(*seen)

    def _attributes(self, images: Tensor) -> Tensor:
        assert self.predictor is not None
        found: Tensor = self.predictor.on(images.device).predict_attributes(images)
        return found


class OwnAttributes(Probe):
    """The attributes that a method itself tells, of images as they are."""

    tags = (
        Tag(
            "accuracy_{name}_{domain} error_{name}_{domain}",
            "the method predicts attributes, and the data has them",
            "`AttributeAccuracy`: how often each is right, in [0, 1]; of a real number the mean absolute error",
        ),
    )

    def applies(self, method: Translates, spec: DataSpec, batch: Mapping[str, Any]) -> bool:
        """Where the method predicts attributes."""
        return isinstance(method, PredictsAttributes)

    def make(self, kind: str, place: str, method: Translates) -> Metric:
        """For the attributes that the method was trained on."""
        assert method.spec.attributes is not None
        return AttributeAccuracy(method.spec.attributes)

    def update(self, batch: MeasuredBatch) -> None:
        """Compare predicted attributes with true ones."""
        assert isinstance(batch.method, PredictsAttributes)
        for domain in batch.domains:
            if f"attributes_{domain}" in batch:
                predicted = batch.method.predict_attributes(batch[domain])
                self.metric("attributes", domain).update(predicted, batch[f"attributes_{domain}"])
