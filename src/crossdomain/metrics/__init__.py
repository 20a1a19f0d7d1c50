"""Metrics, as torchmetrics classes; they add up over batches and over processes."""

from crossdomain.metrics.attributes import (
    AttributeAccuracy,
    ManipulationAccuracy,
    TranslationCorrectness,
    relative_discrepancy,
)
from crossdomain.metrics.capacity import ChannelCapacity
from crossdomain.metrics.cycles import CycleError, NoiseSensitivity, ReconstructionHonesty
from crossdomain.metrics.features import FeatureDistance
from crossdomain.metrics.likelihood import BitsPerDim, JacobianExtremes
from crossdomain.metrics.manipulation import ClassPreservation, ReferenceCorrelation, RestDeviation
from crossdomain.metrics.neighbours import NeighbourAccuracy
from crossdomain.metrics.segmentation import SegmentationScore
from crossdomain.metrics.translation import Diversity, ModeCoverage, TranslationError

__all__ = [
    "AttributeAccuracy",
    "BitsPerDim",
    "ChannelCapacity",
    "ClassPreservation",
    "CycleError",
    "Diversity",
    "FeatureDistance",
    "JacobianExtremes",
    "ManipulationAccuracy",
    "ModeCoverage",
    "NeighbourAccuracy",
    "NoiseSensitivity",
    "ReconstructionHonesty",
    "ReferenceCorrelation",
    "RestDeviation",
    "SegmentationScore",
    "TranslationCorrectness",
    "TranslationError",
    "relative_discrepancy",
]
