"""Probe: one small class for each family of metrics, with the tags that it logs."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor
from torchmetrics import MeanMetric, Metric

from crossdomain.capabilities import Translates
from crossdomain.domains import DataSpec, Direction
from crossdomain.evaluation.measured import MeasuredBatch

_PLACES = {"direction": "[a-z]2[a-z]", "domain": "[a-z]", "name": ".+"}


class Tag(NamedTuple):
    """A row of the table of metrics in the docs.

    Attributes:
        names: tags below ``val/`` and ``test/``, with a blank between, in which ``{direction}`` stands for ``a2b`` and
            the like, ``{domain}`` for ``a`` and the like, and ``{name}`` for what the data names, such as an attribute.
        when: what it takes to be measured, in Markdown, links from ``docs/``.
        what: what the numbers are, their unit and range.
    """

    names: str
    when: str
    what: str

    def matches(self, tag: str) -> bool:
        """Whether ``tag``, without ``val/`` or ``test/``, is one of this row's."""
        return any(re.fullmatch(name.format(**_PLACES), tag) for name in self.names.split())


class Probe(ABC):
    """Measures one thing of every method that it applies to, batch by batch, alike in validation and test.

    A subclass names its ``tags``, says when it ``applies`` and adds a batch to its metrics in ``update``. A metric is a
    torchmetrics class, which adds up over batches and processes, and is made when it is first asked for::

        class Brightness(Probe):
            tags = (Tag("brightness_{direction}", "the method translates", "mean of translated images"),)

            def applies(self, method, spec, batch):
                return bool(method.directions)

            def update(self, batch):
                for direction in batch.directions:
                    self.metric("brightness", direction).update(batch.output(direction).flatten(1).mean(1))

    A zoo's probe is a file in ``evaluation/probes``, and takes options of :class:`Evaluation` by their names; one of
    the user's own is given as ``Evaluation(probes=[Brightness()])``. No number may depend on how images are put into
    batches.

    Attributes:
        tags: the rows of the table in the docs.
        prefix: stands before the parts of a metric that computes several.
    """

    tags: ClassVar[tuple[Tag, ...]]
    prefix: ClassVar[str] = ""

    # --- what a subclass says --------------------------------------------------------------------------------------

    @abstractmethod
    def applies(self, method: Translates, spec: DataSpec, batch: Mapping[str, Any]) -> bool:
        """Whether there is anything to measure of ``method``, by its capabilities, in ``batch``."""

    @abstractmethod
    def update(self, batch: MeasuredBatch) -> None:
        """Add a batch to the metrics; without gradients."""

    def draws(self, batch: MeasuredBatch, direction: Direction) -> int:
        """How many outputs for one input it looks at, where a method has many."""
        return 1

    def make(self, kind: str, place: str, method: Translates) -> Metric:
        """A new metric of ``kind``: a mean, unless a subclass says otherwise.

        It follows from the arguments alone, since a process that has seen no image of a domain makes it as well.
        """
        return MeanMetric()

    def setup(self) -> None:  # noqa: B027
        """Read what it needs beside the method, such as a judge, before anything is measured."""

    def check(self, method: Translates, data: DataSpec | None) -> None:  # noqa: B027
        """Refuse a method, or data, that it cannot be right about; before each validation and test.

        Args:
            method: what is measured; its ``spec`` is what it was trained on.
            data: what the datamodule says of itself, where it does.

        Raises:
            ValueError: what does not fit, and what would.
        """

    # --- its metrics -----------------------------------------------------------------------------------------------

    def begin(self, method: Translates, device: torch.device) -> None:
        """Start anew, with no metric, for a validation or test of ``method`` on ``device``."""
        self._method, self._device = method, device
        self._metrics: dict[tuple[str, str], Metric] = {}

    def metric(self, kind: str, place: str) -> Metric:
        """The metric of ``kind`` at ``place``, a direction or the letter of a domain; made where there is none."""
        if (kind, place) not in self._metrics:
            self._metrics[kind, place] = self.make(kind, place, self._method).to(self._device)
        return self._metrics[kind, place]

    def keys(self) -> list[tuple[str, str]]:
        """Kind and place of each metric that there is, in order."""
        return sorted(self._metrics)

    def compute(self) -> dict[str, Tensor]:
        """Results by tag over all batches, and all processes, which have to have the same ``keys``."""
        results: dict[str, Tensor] = {}
        for kind, place in self.keys():
            value = self.metric(kind, place).compute()
            if isinstance(value, dict):
                results |= {f"{self.prefix}{part}_{place}": number for part, number in value.items()}
            else:
                results[f"{kind}_{place}"] = value
        return results
