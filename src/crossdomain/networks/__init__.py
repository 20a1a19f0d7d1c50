"""Networks. Each is made by ``(channels in, channels out) -> nn.Module`` and knows no loss.

A network that needs images whose sides are multiples of some number says so in its attribute ``total_stride``.
"""

from crossdomain.networks.classifiers import ConvClassifier, TimmClassifier
from crossdomain.networks.critics import PatchCritic, PixelCritic
from crossdomain.networks.initialization import initialize_normal
from crossdomain.networks.norms import Norm, make_norm
from crossdomain.networks.resnet import ResidualBlock, ResNetGenerator
from crossdomain.networks.segmenters import TimmSegmenter
from crossdomain.networks.unet import UNetGenerator

__all__ = [
    "ConvClassifier",
    "Norm",
    "PatchCritic",
    "PixelCritic",
    "ResNetGenerator",
    "ResidualBlock",
    "TimmClassifier",
    "TimmSegmenter",
    "UNetGenerator",
    "initialize_normal",
    "make_norm",
]
