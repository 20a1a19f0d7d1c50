"""Companions: networks that help methods or score them, trained by recipes of their own."""

from crossdomain.companions.autoencoder import SharedAutoencoder
from crossdomain.companions.classifier import DomainClassifier
from crossdomain.companions.predictor import AttributePredictor
from crossdomain.companions.segmenter import DomainSegmenter

__all__ = [
    "AttributePredictor",
    "DomainClassifier",
    "DomainSegmenter",
    "SharedAutoencoder",
]
