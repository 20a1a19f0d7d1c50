"""Companions: networks that help methods or score them, trained by recipes of their own.

But for the segmenter, one network reads the images of every domain that the data has, be they one, two or many.
"""

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
