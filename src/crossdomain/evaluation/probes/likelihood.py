"""Likelihoods, and the flows that give them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torchmetrics import MeanMetric, Metric

from crossdomain.capabilities import HasFlows, MeasuresGap, Scores, Translates
from crossdomain.domains import DataSpec
from crossdomain.evaluation.measured import MeasuredBatch
from crossdomain.evaluation.probe import Probe, Tag
from crossdomain.metrics import BitsPerDim, JacobianExtremes


class Likelihood(Probe):
    """How likely the images of a domain are, at one draw of dequantization noise where that is a density."""

    tags = (
        Tag(
            "bits_per_dim_{domain}",
            "the method has a likelihood of that domain, images",
            "`BitsPerDim`: bits for each value of a stored image; an upper bound where the likelihood is a lower one",
        ),
        Tag("log_prob_{domain}", "the same, vectors", "mean, in nats"),
    )

    def applies(self, method: Translates, spec: DataSpec, batch: Mapping[str, Any]) -> bool:
        """Where there is a likelihood of a domain."""
        return isinstance(method, Scores)

    def make(self, kind: str, place: str, method: Translates) -> Metric:
        """Of a density in [-1, 1], or of stored values."""
        assert isinstance(method, Scores)
        if kind == "log_prob":
            return MeanMetric()
        return BitsPerDim(None if method.likelihood == "mass" else method.spec.levels)

    def update(self, batch: MeasuredBatch) -> None:
        """Ask for the likelihood of the images of each domain."""
        assert isinstance(batch.method, Scores)
        for domain in scored_domains(batch):
            log_prob = batch.method.log_prob(batch.scored(domain), domain)
            if batch[domain].ndim == 4:
                self.metric("bits_per_dim", domain).update(log_prob, batch[domain][0].numel())
            else:
                self.metric("log_prob", domain).update(log_prob)


class Jacobian(Probe):
    """How far a flow stretches and squeezes.

    Args:
        jacobian: images of each domain that are looked at, which takes seconds for each; 0 leaves it out.
    """

    tags = (
        Tag(
            "jacobian_min_{domain} jacobian_max_{domain}",
            "the method has a flow of that domain, asked for "
            "(`--trainer.callbacks Evaluation --trainer.callbacks.jacobian 4`)",
            "`JacobianExtremes`: logarithms of the smallest and the largest singular value",
        ),
    )
    prefix = "jacobian_"

    def __init__(self, jacobian: int) -> None:
        self.images = jacobian

    def applies(self, method: Translates, spec: DataSpec, batch: Mapping[str, Any]) -> bool:
        """Where it is asked for and there is a flow."""
        return self.images > 0 and isinstance(method, Scores) and isinstance(method, HasFlows)

    def make(self, kind: str, place: str, method: Translates) -> Metric:
        """Over the first images."""
        return JacobianExtremes(self.images)

    def update(self, batch: MeasuredBatch) -> None:
        """Look at the flow of each domain."""
        assert isinstance(batch.method, HasFlows)
        for domain in scored_domains(batch):
            self.metric("jacobian", domain).update(batch.method.flow_of(domain), batch.scored(domain))


class Gap(Probe):
    """What a density of all domains tells less of one than a density of its own."""

    tags = (
        Tag(
            "certificate gap_{domain}",
            "the method compares densities ([LRMF](methods/lrmf.md))",
            "means over images and their sum over domains, in nats; 0 where the domains are aligned",
        ),
    )

    def applies(self, method: Translates, spec: DataSpec, batch: Mapping[str, Any]) -> bool:
        """Where the method compares densities."""
        return isinstance(method, Scores) and isinstance(method, MeasuresGap)

    def update(self, batch: MeasuredBatch) -> None:
        """Ask for the gap of the images of each domain."""
        assert isinstance(batch.method, MeasuresGap)
        for domain in scored_domains(batch):
            self.metric("gap", domain).update(batch.method.gap(batch.scored(domain), domain))

    def compute(self) -> dict[str, Tensor]:
        """The gaps, and where all domains have one the certificate."""
        gaps = super().compute()
        method = self._method
        if isinstance(method, Scores) and set(gaps) == {f"gap_{domain}" for domain in method.densities}:
            return {**gaps, "certificate": torch.stack(list(gaps.values())).sum()}
        return gaps


def scored_domains(batch: MeasuredBatch) -> list[str]:
    """Domains of the batch that the method has a likelihood of."""
    method = batch.method
    return [domain for domain in batch.domains if domain in method.densities] if isinstance(method, Scores) else []
