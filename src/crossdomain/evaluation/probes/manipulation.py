"""One attribute moved after references: what follows them, what should not, and what copying would score."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torchmetrics import Metric

from crossdomain.capabilities import Translates
from crossdomain.companion import Companion
from crossdomain.domains import DataSpec, Direction
from crossdomain.evaluation.measured import MeasuredBatch
from crossdomain.evaluation.probe import Probe, Tag
from crossdomain.metrics import ClassPreservation, ReferenceCorrelation, RestDeviation
from crossdomain.metrics.manipulation import MEASURES

ROWS = {"": "translations", "_image": "the image left as it is", "_reference": "the reference in its place"}
NUMBERS = ("class_kept", "r_attr", "r_rest", "v_rest")
WHEN = "images have sweeps of references ([manipulation](#manipulation)); the first of the four needs a judge"


class Manipulation(Probe):
    """PuppetGAN's four numbers of translations of references, with each image as guide.

    The attribute of interest is the first of the data's, and read off the pictures.

    Args:
        judges: classifiers by the letter of their domain; that of the images tells Acc.
    """

    tags = tuple(
        Tag(
            " ".join(f"{number}{row}_{{direction}}" for number in NUMBERS),
            "the same" if row else WHEN,
            f"`ClassPreservation`, `ReferenceCorrelation` twice and `RestDeviation` of {what}",
        )
        for row, what in ROWS.items()
    )

    def __init__(self, judges: Mapping[str, Companion]) -> None:
        self.judges = judges

    def setup(self) -> None:
        """Read the judges."""
        for judge in self.judges.values():
            judge.on()

    def check(self, method: Translates, data: DataSpec | None) -> None:
        """Refuse data whose references show another attribute than those that the method was trained on."""
        mine, shown = (_interest(spec) for spec in (method.spec, data))
        if mine in MEASURES and shown in MEASURES and mine != shown:
            raise ValueError(
                f"The method was trained on references that show the {mine}, but those of this data show the {shown}.\n"
                f"Set data.attribute to {mine}."
            )

    def applies(self, method: Translates, spec: DataSpec, batch: Mapping[str, Any]) -> bool:
        """Where images of a target have references whose attribute of interest can be measured."""
        return _interest(spec) in MEASURES and any(f"references_{way.target}" in batch for way in method.directions)

    def make(self, kind: str, place: str, method: Translates) -> Metric:
        """For the attribute of interest."""
        name = kind.removesuffix("_image").removesuffix("_reference")
        if name == "class_kept":
            return ClassPreservation()
        if name == "v_rest":
            return RestDeviation()
        period = MEASURES[_interest(method.spec)].period
        if name == "r_attr":
            return ReferenceCorrelation(period)
        return ReferenceCorrelation(period, len(method.spec.attributes or {}) - 1, magnitude=True)

    def update(self, batch: MeasuredBatch) -> None:
        """Translate all references of each image, and measure."""
        for direction in batch.method.directions:
            if direction.target in batch.domains and f"references_{direction.target}" in batch:
                self._update(batch, direction)

    def _update(self, batch: MeasuredBatch, direction: Direction) -> None:
        domain = direction.target
        images, references = batch[domain], batch[f"references_{domain}"]
        guide = None if batch.method.guide == "none" else images
        every = references.flatten(1, 2)
        moved = torch.stack([batch.translate(each, direction, domain, guide) for each in every.unbind(1)], 1)
        given = batch[f"references_attributes_{domain}"].flatten(1, 2)
        shown = {"": moved.clamp(-1, 1), "_image": images.unsqueeze(1).expand_as(moved), "_reference": every}
        for row, outputs in shown.items():
            by_value = outputs.reshape(*references.shape[:3], *outputs.shape[2:])
            self.metric(f"v_rest{row}", direction).update(by_value)
            measured = torch.stack([MEASURES[_interest(batch.spec)].of(each) for each in outputs.unbind(1)], 1)
            self.metric(f"r_attr{row}", direction).update(measured, given[..., :1])
            if given.shape[2] > 1:
                self.metric(f"r_rest{row}", direction).update(measured, given[..., 1:])
            if domain in self.judges:
                judge = self.judges[domain].on(images.device)
                seen = torch.stack([judge.classify(each, domain).argmax(1) for each in outputs.unbind(1)], 1)
                self.metric(f"class_kept{row}", direction).update(seen, judge.classify(images, domain).argmax(1))


def _interest(spec: DataSpec | None) -> str:
    """The attribute that references show by example: the first."""
    return next(iter(spec.attributes or {}), "") if spec is not None else ""
