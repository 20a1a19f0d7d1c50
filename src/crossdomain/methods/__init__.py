"""The methods of the zoo, one LightningModule a file."""

from crossdomain.methods.alignflow import AlignFlow
from crossdomain.methods.cyclegan import CycleGAN

__all__ = ["AlignFlow", "CycleGAN"]
