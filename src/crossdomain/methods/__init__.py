"""The methods of the zoo, one LightningModule a file."""

from crossdomain.methods.adda import ADDA
from crossdomain.methods.alignflow import AlignFlow
from crossdomain.methods.augmented_cyclegan import AugmentedCycleGAN
from crossdomain.methods.bicyclegan import BiCycleGAN
from crossdomain.methods.cycle_vae import CycleVAE
from crossdomain.methods.cyclegan import CycleGAN
from crossdomain.methods.didd import DIDD
from crossdomain.methods.discogan import DiscoGAN
from crossdomain.methods.distancegan import DistanceGAN
from crossdomain.methods.distribution_matching import DistributionMatching
from crossdomain.methods.drit import DRIT
from crossdomain.methods.flowgan import FlowGAN
from crossdomain.methods.lrmf import LRMF
from crossdomain.methods.munit import MUNIT
from crossdomain.methods.pix2pix import Pix2Pix
from crossdomain.methods.puppetgan import PuppetGAN
from crossdomain.methods.random_translation import RandomTranslation
from crossdomain.methods.rift import RIFT
from crossdomain.methods.unit import UNIT

__all__ = [
    "ADDA",
    "DIDD",
    "DRIT",
    "LRMF",
    "MUNIT",
    "RIFT",
    "UNIT",
    "AlignFlow",
    "AugmentedCycleGAN",
    "BiCycleGAN",
    "CycleGAN",
    "CycleVAE",
    "DiscoGAN",
    "DistanceGAN",
    "DistributionMatching",
    "FlowGAN",
    "Pix2Pix",
    "PuppetGAN",
    "RandomTranslation",
]
