"""Networks. Each is made by ``(channels in, channels out) -> nn.Module`` and knows no loss.

Generators and encoders with a latent vector are made with its length as well.
A network that needs images whose sides are multiples of some number says so in its attribute ``total_stride``.
"""

from crossdomain.networks.classifiers import ConvClassifier, StridedClassifier, TimmClassifier
from crossdomain.networks.critics import MultiScaleCritic, PatchCritic, PixelCritic
from crossdomain.networks.disco import DiscoCritic, DiscoGenerator
from crossdomain.networks.encoders import ConvEncoder, ResNetEncoder
from crossdomain.networks.initialization import initialize_normal, initialize_xavier
from crossdomain.networks.latent_unet import LatentUNetGenerator
from crossdomain.networks.norms import Norm, make_norm
from crossdomain.networks.resnet import ResidualBlock, ResNetGenerator
from crossdomain.networks.segmenters import TimmSegmenter
from crossdomain.networks.unet import UNetGenerator

__all__ = [
    "ConvClassifier",
    "ConvEncoder",
    "DiscoCritic",
    "DiscoGenerator",
    "LatentUNetGenerator",
    "MultiScaleCritic",
    "Norm",
    "PatchCritic",
    "PixelCritic",
    "ResNetEncoder",
    "ResNetGenerator",
    "ResidualBlock",
    "StridedClassifier",
    "TimmClassifier",
    "TimmSegmenter",
    "UNetGenerator",
    "initialize_normal",
    "initialize_xavier",
    "make_norm",
]
