"""Distances of translated images to real ones of the target domain, by the features of a network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor
from torchmetrics import Metric

from crossdomain.capabilities import HasFeatures, Translates
from crossdomain.companion import Companion
from crossdomain.domains import DataSpec, Direction, clamped
from crossdomain.evaluation.measured import MeasuredBatch
from crossdomain.evaluation.probe import Probe, Tag
from crossdomain.metrics import FeatureDistance


def real_images(batch: MeasuredBatch) -> dict[str, list[Direction]]:
    """The domains whose images translations are compared with, and the directions that lead there.

    All of the split count: also those of batches that hold no image to translate, where one domain is longer.
    """
    return {d: [way for way in batch.method.directions if way.target == d] for d in batch.domains}


class JudgeDistances(Probe):
    """Distances by the features of a judge of the target domain.

    Args:
        judges: classifiers by the letter of their domain.
        judge_distances: whether they are asked for.
        segmenter: judges photos, where no classifier does.

    Raises:
        ValueError: they are, and there is no judge.
    """

    tags = (
        Tag(
            "frechet_judge_{direction} kernel_judge_{direction}",
            "a judge is given and they are asked for ([below](#distances-on-a-judges-features))",
            "`FeatureDistance` by the features of the judge of b",
        ),
    )

    def __init__(
        self, judges: Mapping[str, Companion], judge_distances: bool, segmenter: Companion | None = None
    ) -> None:
        if judge_distances and not judges and segmenter is None:
            raise ValueError(
                "judge_distances compares the features of a judge, but there is none.\n"
                "Give judge_a, judge_b or both, or a segmenter."
            )
        self.judges = dict(judges) if judge_distances else {}
        self.segmenter = segmenter if judge_distances else None

    def setup(self) -> None:
        """Put the segmenter among the judges; refuse judges without features."""
        if self.segmenter is not None:
            self.judges.setdefault(self.segmenter.on().photos, self.segmenter)
        for judge in self.judges.values():
            if not isinstance(found := judge.on(), HasFeatures):
                raise ValueError(f"{judge.option} is {str(judge.path)!r}, a {type(found).__name__}, without features.")

    def applies(self, method: Translates, spec: DataSpec, batch: Mapping[str, Any]) -> bool:
        """Where one direction at least has a judge."""
        return any(way.target in self.judges for way in method.directions)

    def make(self, kind: str, place: str, method: Translates) -> Metric:
        """Of features as the judge has them."""
        return FeatureDistance()

    def update(self, batch: MeasuredBatch) -> None:
        """Add features of real images and of translated ones."""
        for domain, directions in real_images(batch).items():
            if domain in self.judges and directions:
                features = self._features(batch[domain], domain)
                for direction in directions:
                    self.metric("judge", direction).update(features, real=True)
        for direction in batch.directions:
            if direction.target in self.judges:
                features = self._features(clamped(batch.output(direction)), direction.target)
                self.metric("judge", direction).update(features, real=False)

    def _features(self, images: Tensor, domain: str) -> Tensor:
        features: Tensor = self.judges[domain].on(images.device).features(images, domain)
        return features


class InceptionDistances(Probe):
    """FID and KID, of torchmetrics.

    Args:
        fid: whether they are asked for.
    """

    tags = (
        Tag(
            "fid_{direction} kid_{direction}",
            "asked for (`Evaluation(fid=True)`), with the extra `crossdomain[fid]`",
            "torchmetrics, by Inception's features",
        ),
    )

    def __init__(self, fid: bool) -> None:
        self.fid = fid

    def applies(self, method: Translates, spec: DataSpec, batch: Mapping[str, Any]) -> bool:
        """Where they are asked for."""
        return self.fid and bool(method.directions)

    def make(self, kind: str, place: str, method: Translates) -> Metric:
        """``fid`` or ``kid``; on the first call torchmetrics fetches weights."""
        return _fid() if kind == "fid" else _kid()

    def update(self, batch: MeasuredBatch) -> None:
        """Add real images and translated ones."""
        for domain, directions in real_images(batch).items():
            for direction in directions:
                self._add(direction, batch[domain], real=True)
        for direction in batch.directions:
            self._add(direction, batch.output(direction), real=False)

    def _add(self, direction: Direction, images: Tensor, real: bool) -> None:
        if images.ndim == 4:
            for kind in ("fid", "kid"):
                self.metric(kind, direction).update(_rgb(images), real=real)

    def compute(self) -> dict[str, Tensor]:
        """Of KID's mean and deviation the mean."""
        return {tag: value[0] if tag.startswith("kid") else value for tag, value in super().compute().items()}


def _rgb(images: Tensor) -> Tensor:
    """Images in [-1, 1] to what torchmetrics' feature metrics take: three channels in [0, 1]."""
    return ((images.clamp(-1, 1) + 1) / 2).expand(-1, 3, -1, -1)


def _fid() -> Metric:
    try:
        from torchmetrics.image.fid import FrechetInceptionDistance

        return FrechetInceptionDistance(normalize=True)
    except ModuleNotFoundError:
        raise _missing() from None


def _kid() -> Metric:
    try:
        from torchmetrics.image.kid import KernelInceptionDistance

        return KernelInceptionDistance(subset_size=50, normalize=True)
    except ModuleNotFoundError:
        raise _missing() from None


def _missing() -> ValueError:
    return ValueError("fid needs torch-fidelity: pip install 'crossdomain[fid]'.")
