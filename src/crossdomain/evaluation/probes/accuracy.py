"""How often the class of an image is told: of the method itself, and of judges of its translations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crossdomain.capabilities import Classifies, Translates
from crossdomain.companion import Companion
from crossdomain.domains import DataSpec, clamped
from crossdomain.evaluation.measured import MeasuredBatch
from crossdomain.evaluation.probe import Probe, Tag


def check_judges(judges: Mapping[str, Companion], spec: DataSpec) -> None:
    """Refuse a judge of a domain that the data has not."""
    for letter, judge in judges.items():
        if letter not in spec.letters:
            known = ", ".join(f"{known} ({name})" for known, name in spec.names.items())
            raise ValueError(f"{judge.option} judges domain {letter}, but this data has the domains {known}.")


class JudgedAccuracy(Probe):
    """A classifier of the target domain looks at translated images.

    Args:
        judges: classifiers by the letter of their domain.
    """

    tags = (
        Tag(
            "accuracy_{direction}",
            "the data is labelled and a judge is given: "
            "`--trainer.callbacks Evaluation --trainer.callbacks.judge_b PATH`",
            "how often the judge of b sees the label of the image in its translation, in [0, 1]",
        ),
    )

    def __init__(self, judges: Mapping[str, Companion]) -> None:
        self.judges = judges

    def setup(self) -> None:
        """Read the judges."""
        for judge in self.judges.values():
            judge.on()

    def check(self, method: Translates, data: DataSpec | None) -> None:
        """Refuse a judge of a domain that the data has not."""
        check_judges(self.judges, method.spec)

    def applies(self, method: Translates, spec: DataSpec, batch: Mapping[str, Any]) -> bool:
        """Where one direction at least has a judge, and labels."""
        return any(way.target in self.judges and f"label_{way.source}" in batch for way in method.directions)

    def update(self, batch: MeasuredBatch) -> None:
        """Compare what judges see with the labels."""
        for direction in batch.directions:
            if direction.target in self.judges and f"label_{direction.source}" in batch:
                shown = clamped(batch.output(direction))
                judge = self.judges[direction.target].on(shown.device)
                right = judge.classify(shown, direction.target).argmax(1) == batch[f"label_{direction.source}"]
                self.metric("accuracy", direction).update(right.float())


class OwnAccuracy(Probe):
    """The classes that a method itself tells, of images as they are."""

    tags = (
        Tag("accuracy_{domain}", "the method classifies, and the data is labelled", "how often it is right, in [0, 1]"),
    )

    def applies(self, method: Translates, spec: DataSpec, batch: Mapping[str, Any]) -> bool:
        """Where the method classifies."""
        return isinstance(method, Classifies)

    def update(self, batch: MeasuredBatch) -> None:
        """Compare classes with labels."""
        assert isinstance(batch.method, Classifies)
        for domain in batch.domains:
            if f"label_{domain}" in batch:
                right = batch.method.classify(batch[domain], domain).argmax(1) == batch[f"label_{domain}"]
                self.metric("accuracy", domain).update(right.float())
