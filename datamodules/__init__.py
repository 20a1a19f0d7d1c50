"""Datamodules: any number of domains, one batch format, deterministic and resumable loading."""

from .base import DomainData
from .digit_domains import DigitDomains
from .digit_pair import DigitPair
from .digits import Digits
from .facade_styles import FacadeStyles
from .folders import Cityscapes, Facades, Maps, PairedFolder, UnpairedFolder
from .loading import DomainImages, Draw, DrawSampler, ResumableLoader, fields_of, images_of, make_loader
from .puppet_digits import PuppetDigits
from .puppet_shapes import PuppetShapes
from .shapes import Shapes
from .toy_facades import ToyFacades
from .vectors import Embeddings, Gaussians, Moons, VectorData

__all__ = [
    "Cityscapes",
    "DigitDomains",
    "DigitPair",
    "Digits",
    "DomainData",
    "DomainImages",
    "Draw",
    "DrawSampler",
    "Embeddings",
    "FacadeStyles",
    "Facades",
    "Gaussians",
    "Maps",
    "Moons",
    "PairedFolder",
    "PuppetDigits",
    "PuppetShapes",
    "ResumableLoader",
    "Shapes",
    "ToyFacades",
    "UnpairedFolder",
    "VectorData",
    "fields_of",
    "images_of",
    "make_loader",
]
