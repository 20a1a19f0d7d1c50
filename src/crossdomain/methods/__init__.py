"""The methods of the zoo, one LightningModule a file."""

from crossdomain.methods.alignflow import AlignFlow
from crossdomain.methods.bicyclegan import BiCycleGAN
from crossdomain.methods.cyclegan import CycleGAN
from crossdomain.methods.discogan import DiscoGAN
from crossdomain.methods.distancegan import DistanceGAN
from crossdomain.methods.pix2pix import Pix2Pix
from crossdomain.methods.random_translation import RandomTranslation

__all__ = ["AlignFlow", "BiCycleGAN", "CycleGAN", "DiscoGAN", "DistanceGAN", "Pix2Pix", "RandomTranslation"]
