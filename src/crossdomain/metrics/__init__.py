"""Metrics, as torchmetrics classes; they add up over batches and over processes."""

from crossdomain.metrics.attributes import (
    AttributeAccuracy,
    ManipulationAccuracy,
    TranslationCorrectness,
    relative_discrepancy,
)
from crossdomain.metrics.cycles import CycleError, NoiseSensitivity, ReconstructionHonesty
from crossdomain.metrics.likelihood import BitsPerDim
from crossdomain.metrics.segmentation import SegmentationScore
from crossdomain.metrics.translation import Diversity, ModeCoverage, TranslationError

__all__ = [
    "AttributeAccuracy",
    "BitsPerDim",
    "CycleError",
    "Diversity",
    "ManipulationAccuracy",
    "ModeCoverage",
    "NoiseSensitivity",
    "ReconstructionHonesty",
    "SegmentationScore",
    "TranslationCorrectness",
    "TranslationError",
    "relative_discrepancy",
]
