"""Datamodules: two domains each, one batch format, deterministic and resumable loading."""

from .base import DomainData
from .digits import Digits
from .loading import DomainImages, Draw, DrawSampler, ResumableLoader

__all__ = ["Digits", "DomainData", "DomainImages", "Draw", "DrawSampler", "ResumableLoader"]
