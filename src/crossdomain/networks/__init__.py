"""Networks. Each is made by ``(channels in, channels out) -> nn.Module`` and knows no loss.

Generators and encoders with a latent vector are made with its length as well.
A network that needs images whose sides are multiples of some number says so in its attribute ``total_stride``.
"""

from crossdomain.networks.augmented_cyclegan import (
    AugCycleGANCritic,
    ConditionalResNetGenerator,
    LatentCritic,
    WholeImageCritic,
)
from crossdomain.networks.classifiers import ConvClassifier, LeNet, StridedClassifier, TimmClassifier
from crossdomain.networks.content_critic import ContentCritic
from crossdomain.networks.critics import (
    CriticPyramid,
    MultiScaleCritic,
    PatchCritic,
    PixelCritic,
    affine_patch_critic,
    batch_patch_critic,
)
from crossdomain.networks.cycle_vae import CycleVAEDecoder, CycleVAEEncoder
from crossdomain.networks.decoders import ConvDecoder
from crossdomain.networks.didd import DIDDCritic, DIDDGenerator
from crossdomain.networks.disco import DiscoCritic, DiscoGenerator
from crossdomain.networks.drit import DRITGenerator, DRITShapeGenerator, drit_critic
from crossdomain.networks.encoders import ConvEncoder, PairEncoder, ResNetEncoder
from crossdomain.networks.initialization import initialize_kaiming, initialize_normal, initialize_xavier
from crossdomain.networks.latent_unet import LatentUNetGenerator
from crossdomain.networks.local import LocalStyledGenerator
from crossdomain.networks.munit import MUNITCritic, MUNITGenerator
from crossdomain.networks.norms import Norm, make_norm, normalize_spectrally
from crossdomain.networks.puppetgan import PuppetDecoder, PuppetEncoder
from crossdomain.networks.resnet import ResidualBlock, ResNetGenerator, StyledResNetGenerator
from crossdomain.networks.segmenters import TimmSegmenter
from crossdomain.networks.unet import UNetGenerator
from crossdomain.networks.unit import UNITGenerator
from crossdomain.networks.vector import VectorNetwork, score_critic

__all__ = [
    "AugCycleGANCritic",
    "ConditionalResNetGenerator",
    "ContentCritic",
    "ConvClassifier",
    "ConvDecoder",
    "ConvEncoder",
    "CriticPyramid",
    "CycleVAEDecoder",
    "CycleVAEEncoder",
    "DIDDCritic",
    "DIDDGenerator",
    "DRITGenerator",
    "DRITShapeGenerator",
    "DiscoCritic",
    "DiscoGenerator",
    "LatentCritic",
    "LatentUNetGenerator",
    "LeNet",
    "LocalStyledGenerator",
    "MUNITCritic",
    "MUNITGenerator",
    "MultiScaleCritic",
    "Norm",
    "PairEncoder",
    "PatchCritic",
    "PixelCritic",
    "PuppetDecoder",
    "PuppetEncoder",
    "ResNetEncoder",
    "ResNetGenerator",
    "ResidualBlock",
    "StridedClassifier",
    "StyledResNetGenerator",
    "TimmClassifier",
    "TimmSegmenter",
    "UNITGenerator",
    "UNetGenerator",
    "VectorNetwork",
    "WholeImageCritic",
    "affine_patch_critic",
    "batch_patch_critic",
    "drit_critic",
    "initialize_kaiming",
    "initialize_normal",
    "initialize_xavier",
    "make_norm",
    "normalize_spectrally",
    "score_critic",
]
