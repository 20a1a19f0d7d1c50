"""Encoders: an image to the normal distribution of its latent vector."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

from torch import Tensor, nn

from crossdomain.checks import at_least
from crossdomain.networks.initialization import initialize_normal, initialize_xavier
from crossdomain.networks.norms import Norm, has_shift, make_norm

Padding = Literal["zeros", "reflect"]


class _Encoder(nn.Module):
    """Features, averaged over all pixels, to the mean and the logarithm of the variance of z."""

    def __init__(self, features: list[nn.Module], width: int, latent: int) -> None:
        super().__init__()
        # The official code pools 8x8 pixels, which is all there is at the size it was made for.
        self.conv = nn.Sequential(*features, nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.mean = nn.Linear(width, latent)
        self.log_variance = nn.Linear(width, latent)
        initialize_xavier(self)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(N, in_channels, H, W) to mean and log-variance of z, (N, latent) each."""
        features = self.conv(x)
        return self.mean(features), self.log_variance(features)


class _DownBlock(nn.Module):
    """A residual block that halves the image by averaging."""

    def __init__(self, channels: int, wider: int, norm: Norm, padding: Padding) -> None:
        super().__init__()
        self.conv = nn.Sequential(
            make_norm(norm, channels),
            nn.LeakyReLU(0.2),
            nn.Conv2d(channels, channels, 3, padding=1, padding_mode=padding),
            make_norm(norm, channels),
            nn.LeakyReLU(0.2),
            nn.Sequential(nn.Conv2d(channels, wider, 3, padding=1, padding_mode=padding), nn.AvgPool2d(2)),
        )
        self.shortcut = nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(channels, wider, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x) + self.shortcut(x)


class ResNetEncoder(_Encoder):
    """Residual encoder (E_ResNet of Zhu et al., arXiv 1711.11586), the paper's better one.

    A 4x4 convolution of stride 2, then residual blocks with widths 2w, 3w, 4w, 4w. At 3 channels, a latent of 8 and
    width 64 it has 2,590,032 parameters with 4 blocks ("resnet_256") and 1,344,080 with 3 ("resnet_128").

    Args:
        in_channels: channels of the image.
        latent: length of z.
        width: w, channels after the first convolution.
        blocks: residual blocks; the image is at least ``2 ** (blocks + 1)`` px.
        norm: normalisation inside the blocks.
        padding: what lies around images and features: ``zeros``, or their mirror image (``reflect``).
    """

    def __init__(
        self,
        in_channels: int,
        latent: int,
        width: int = 64,
        blocks: int = 4,
        norm: Norm = "instance",
        padding: Padding = "zeros",
    ) -> None:
        at_least(1, self, latent=latent, width=width)
        at_least(0, self, blocks=blocks)
        widths = [width * min(4, n + 1) for n in range(blocks + 1)]
        features: list[nn.Module] = [nn.Conv2d(in_channels, width, 4, stride=2, padding=1, padding_mode=padding)]
        features += [_DownBlock(*pair, norm, padding) for pair in pairwise(widths)]
        super().__init__([*features, nn.LeakyReLU(0.2)], widths[-1], latent)


class ConvEncoder(_Encoder):
    """Convolutional encoder (E_CNN of Zhu et al., arXiv 1711.11586).

    4x4 convolutions of stride 2, with widths w, 2w, 4w, 4w, ... At 3 channels, a latent of 8 and width 64 it has
    2,760,656 parameters with 5 layers ("conv_256") and 1,711,824 with 4 ("conv_128").

    Args:
        in_channels: channels of the image.
        latent: length of z.
        width: w, channels after the first convolution.
        layers: convolutions; the image is at least ``2 ** (layers + 1)`` px.
        norm: normalisation after each convolution but the first.
    """

    def __init__(
        self, in_channels: int, latent: int, width: int = 64, layers: int = 5, norm: Norm = "instance"
    ) -> None:
        at_least(1, self, latent=latent, width=width, layers=layers)
        widths = [width * min(2**n, 4) for n in range(layers)]
        features: list[nn.Module] = [nn.Conv2d(in_channels, width, 4, stride=2, padding=1), nn.LeakyReLU(0.2)]
        for channels, wider in pairwise(widths):
            convolution = nn.Conv2d(channels, wider, 4, stride=2, padding=1)
            features += [convolution, make_norm(norm, wider), nn.LeakyReLU(0.2)]
        super().__init__(features, widths[-1], latent)


class PairEncoder(_Encoder):
    """Convolutional encoder of an image beside its translation (Almahairi et al., arXiv 1802.10151).

    3x3 convolutions of stride 2 with widths w, 2w, 4w, ... and a 4x4 convolution without padding, with ReLU. At 64 px,
    what the paper's networks are made for, there is one place left; those of larger images are averaged. At a latent of
    16, width 32 and 4 halvings it has 1,447,040 parameters with 6 channels and 1,446,176 with 3.

    Args:
        in_channels: channels of both images together.
        latent: length of z.
        width: w, channels after the first convolution.
        halvings: convolutions of stride 2; images have at least ``4 * 2 ** halvings`` px.
        norm: normalisation after each convolution but the first.
    """

    def __init__(self, in_channels: int, latent: int, width: int = 32, halvings: int = 4, norm: Norm = "batch") -> None:
        at_least(1, self, latent=latent, width=width, halvings=halvings)
        widths = [width * 2**n for n in range(halvings)]
        convolutions = [nn.Conv2d(*pair, 3, stride=2, padding=1, bias=not has_shift(norm)) for pair in pairwise(widths)]
        convolutions.append(nn.Conv2d(widths[-1], widths[-1], 4, bias=not has_shift(norm)))
        features: list[nn.Module] = [nn.Conv2d(in_channels, width, 3, stride=2, padding=1), nn.ReLU(inplace=True)]
        for convolution in convolutions:
            features += [convolution, make_norm(norm, convolution.out_channels), nn.ReLU(inplace=True)]
        super().__init__(features, widths[-1], latent)
        initialize_normal(self)
