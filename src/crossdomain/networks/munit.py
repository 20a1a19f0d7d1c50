"""The networks of MUNIT: an autoencoder that takes content and style apart, and its critic."""

from __future__ import annotations

import math

from torch import Tensor, nn
from torch.nn import functional as F

from crossdomain.checks import at_least
from crossdomain.networks.composite import Composite
from crossdomain.networks.critics import CriticPyramid
from crossdomain.networks.initialization import initialize_kaiming, initialize_normal
from crossdomain.networks.norms import Norm, make_norm
from crossdomain.networks.resnet import ResidualBlock


def _conv(seen: int, made: int, kernel: int, stride: int = 1, norm: Norm = "none") -> list[nn.Module]:
    """A reflection-padded convolution, norm and ReLU."""
    pad = nn.ReflectionPad2d((kernel - 1) // 2)
    return [pad, nn.Conv2d(seen, made, kernel, stride), make_norm(norm, made), nn.ReLU(inplace=True)]


def content_encoder(channels: int, width: int, blocks: int, halvings: int, norm: Norm = "instance") -> nn.Sequential:
    """What MUNIT and UNIT encode images with: (N, channels, H, W) to (N, c, h, w).

    A 7x7 convolution, 4x4 convolutions of stride 2, and residual blocks, the last modules of all.

    Args:
        channels: of the images.
        width: w, channels after the first convolution; c is w times 2 to the ``halvings``.
        blocks: residual blocks.
        halvings: how often h and w are smaller than H and W.
        norm: after each convolution.
    """
    widths = [width * 2**n for n in range(halvings + 1)]
    layers = _conv(channels, width, 7, norm=norm)
    for c in widths[:-1]:
        layers += _conv(c, 2 * c, 4, stride=2, norm=norm)
    return nn.Sequential(*layers, *(ResidualBlock(widths[-1], norm) for _ in range(blocks)))


def enlargement(channels: int, width: int, halvings: int) -> nn.Sequential:
    """The way back from the code's size: (N, c, h, w) to images (N, channels, H, W) in [-1, 1].

    Nearest neighbours, 5x5 convolutions and layer norm, and a 7x7 convolution at the end. Arguments are those of
    :func:`content_encoder`.
    """
    layers: list[nn.Module] = []
    for c in (width * 2**n for n in range(halvings, 0, -1)):
        layers += [nn.Upsample(scale_factor=2), nn.ReflectionPad2d(2), nn.Conv2d(c, c // 2, 5)]
        layers += [nn.GroupNorm(1, c // 2), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers, nn.ReflectionPad2d(3), nn.Conv2d(width, channels, 7), nn.Tanh())


def style_encoder(channels: int, latent: int, width: int, halvings: int) -> nn.Sequential:
    """What MUNIT reads styles with: (N, channels, H, W) to (N, latent), without norm.

    A 7x7 convolution, 4x4 convolutions of stride 2, from the third on without more channels, an average over all pixels
    and a linear layer.
    """
    layers, c = _conv(channels, width, 7), width
    for n in range(halvings):
        layers += _conv(c, wider := width * min(2 ** (n + 1), 4), 4, stride=2)
        c = wider
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(c, latent))


def linear_layers(latent: int, hidden: int, shape: tuple[int, ...]) -> nn.Sequential:
    """Three linear layers with ReLUs between them: (N, latent) to (N, *shape)."""
    return nn.Sequential(
        nn.Linear(latent, hidden),
        nn.ReLU(inplace=True),
        nn.Linear(hidden, hidden),
        nn.ReLU(inplace=True),
        nn.Linear(hidden, math.prod(shape)),
        nn.Unflatten(1, shape),
    )


class _AdaptiveBlock(nn.Module):
    """:class:`ResidualBlock` whose instance norms are given their shifts and scales."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        pad = nn.ReflectionPad2d(1)
        self.first = nn.Sequential(pad, nn.Conv2d(channels, channels, 3))
        self.second = nn.Sequential(pad, nn.Conv2d(channels, channels, 3))

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """(N, C, H, W) and (N, 4, C), shift and scale of both norms, to (N, C, H, W)."""
        shift, scale, second_shift, second_scale = style[..., None, None].unbind(1)
        inside = F.relu(F.instance_norm(self.first(x)) * scale + shift)
        return x + F.instance_norm(self.second(inside)) * second_scale + second_shift


class MUNITGenerator(Composite):
    """An autoencoder of one domain with a latent map, the content, and a latent vector, the style (1804.04732).

    Content: a 7x7 convolution, 4x4 convolutions of stride 2 and residual blocks, with instance norm. Style: a 7x7
    convolution, four 4x4 convolutions of stride 2 without norm, an average over all pixels and a linear layer. Decoder:
    residual blocks whose norms take shifts and scales from the style by a network of three linear layers (AdaIN), then
    enlargements by nearest neighbour with 5x5 convolutions and layer norm. At 3 channels, a style of 8 and width 64 it
    has 15,026,187 parameters: content encoder 5,385,856, style encoder 2,764,936, decoder 5,754,627, AdaIN 1,120,768.

    Args:
        channels: channels of the domain's images.
        latent: length of the style.
        width: w, channels after the first convolution; the content has w times 2 to the ``halvings``.
        blocks: residual blocks in the encoder, and in the decoder.
        halvings: how often the content is smaller than the image.
        style_halvings: convolutions of stride 2 of the style encoder, from the third on without more channels.
        hidden: width of the linear layers between style and norms.
    """

    def __init__(
        self,
        channels: int,
        latent: int,
        width: int = 64,
        blocks: int = 4,
        halvings: int = 2,
        style_halvings: int = 4,
        hidden: int = 256,
    ) -> None:
        super().__init__()
        at_least(1, self, latent=latent, width=width, blocks=blocks, hidden=hidden)
        at_least(0, self, halvings=halvings, style_halvings=style_halvings)
        self.total_stride = 2**halvings
        widest = width * 2**halvings
        self.content_encoder = content_encoder(channels, width, blocks, halvings)

        self.style_encoder = style_encoder(channels, latent, width, style_halvings)
        self.adaption = linear_layers(latent, hidden, (blocks, 4, widest))
        self.blocks = nn.ModuleList(_AdaptiveBlock(widest) for _ in range(blocks))
        self.enlarge = enlargement(channels, width, halvings)
        initialize_kaiming(self)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(N, channels, H, W) in [-1, 1] to content (N, c, h, w) and style (N, latent)."""
        return self.content_encoder(x), self.style_encoder(x)

    def decode(self, content: Tensor, style: Tensor) -> Tensor:
        """Content (N, c, h, w) and style (N, latent) to (N, channels, H, W) in [-1, 1]."""
        for block, given in zip(self.blocks, self.adaption(style).unbind(1), strict=True):
            content = block(content, given)
        return self.enlarge(content)

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, H, W) to its reconstruction."""
        return self.decode(*self.encode(x))


class MUNITCritic(CriticPyramid):
    """Critics of one architecture, each on images of half the size of the one before (Huang et al., 1804.04732).

    4x4 convolutions of stride 2 with widths w, 2w, 4w, ... and no norm, then a 1x1 convolution to the logits.
    Objectives add up the losses of all scales. At 3 channels, width 64, 4 layers and 3 scales it has 8,271,171
    parameters.

    Args:
        in_channels: channels of the image.
        out_channels: logits for each place.
        width: w.
        layers: convolutions of stride 2; the smallest image has at least ``2 ** layers`` px.
        scales: how many.
        negative_slope: of the leaky ReLUs.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        width: int = 64,
        layers: int = 4,
        scales: int = 3,
        negative_slope: float = 0.2,
    ) -> None:
        def critic() -> nn.Module:
            modules, c = [], in_channels
            for wider in (width * 2**n for n in range(layers)):
                modules += [nn.ReflectionPad2d(1), nn.Conv2d(c, wider, 4, stride=2)]
                modules.append(nn.LeakyReLU(negative_slope, True))
                c = wider
            return nn.Sequential(*modules, nn.Conv2d(c, out_channels, 1))

        at_least(1, self, width=width, layers=layers, scales=scales)
        super().__init__([critic() for _ in range(scales)])
        initialize_normal(self)
