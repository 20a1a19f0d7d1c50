"""Datamodules: two domains each, one batch format, deterministic and resumable loading."""

from .base import DomainData
from .digit_pair import DigitPair
from .digits import Digits
from .folders import Cityscapes, Facades, Maps, PairedFolder, UnpairedFolder
from .loading import DomainImages, Draw, DrawSampler, ResumableLoader, make_loader
from .shapes import Shapes
from .toy_facades import ToyFacades
from .vectors import Embeddings, Gaussians, Moons, VectorData

__all__ = [
    "Cityscapes",
    "DigitPair",
    "Digits",
    "DomainData",
    "DomainImages",
    "Draw",
    "DrawSampler",
    "Embeddings",
    "Facades",
    "Gaussians",
    "Maps",
    "Moons",
    "PairedFolder",
    "ResumableLoader",
    "Shapes",
    "ToyFacades",
    "UnpairedFolder",
    "VectorData",
    "make_loader",
]
