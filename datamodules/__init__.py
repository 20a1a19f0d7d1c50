"""Datamodules: two domains each, one batch format, deterministic and resumable loading."""

from .base import DomainData
from .digit_pair import DigitPair
from .digits import Digits
from .loading import DomainImages, Draw, DrawSampler, ResumableLoader, make_loader

__all__ = ["DigitPair", "Digits", "DomainData", "DomainImages", "Draw", "DrawSampler", "ResumableLoader", "make_loader"]
