"""The networks of DRIT++: an autoencoder of content and attribute, which has parts in common with another's."""

from __future__ import annotations

from torch import Tensor, nn

from crossdomain.checks import at_least
from crossdomain.networks.composite import Composite
from crossdomain.networks.concatenation import at_every_pixel, concatenate
from crossdomain.networks.encoders import ResNetEncoder
from crossdomain.networks.initialization import initialize_kaiming, initialize_normal
from crossdomain.networks.munit import MUNITCritic, linear_layers, style_encoder
from crossdomain.networks.resnet import ResidualBlock


class _ContentAutoencoder(Composite):
    """What both generators of DRIT++ have: the content's encoder, and how two of them share its last block.

    A 7x7 convolution, 3x3 convolutions of stride 2 with instance norm, residual blocks, and one more that all domains
    share.
    """

    def __init__(self, channels: int, latent: int, width: int, blocks: int, halvings: int) -> None:
        super().__init__()
        at_least(1, self, latent=latent, width=width)
        at_least(0, self, blocks=blocks, halvings=halvings)
        self.total_stride = 2**halvings
        layers: list[nn.Module] = [nn.ReflectionPad2d(3), nn.Conv2d(channels, width, 7), nn.LeakyReLU(0.01, True)]
        for c in (width * 2**n for n in range(halvings)):
            layers += [nn.ReflectionPad2d(1), nn.Conv2d(c, 2 * c, 3, stride=2), nn.InstanceNorm2d(2 * c), nn.ReLU(True)]
        self.content_channels = width * 2**halvings
        self.content_encoder = nn.Sequential(*layers, *(ResidualBlock(self.content_channels) for _ in range(blocks)))
        self.shared_encoding = ResidualBlock(self.content_channels)

    def share(self, other: _ContentAutoencoder) -> None:
        """Take the shared block, the last of the content encoder, from ``other``."""
        self.shared_encoding = other.shared_encoding

    def content(self, x: Tensor) -> Tensor:
        """(N, channels, H, W) in [-1, 1] to the content (N, c, h, w), without noise."""
        return self.shared_encoding(self.content_encoder(x))


def _enlargement(seen: int, made: int) -> nn.Sequential:
    """A transposed 3x3 convolution to twice the size, layer norm and ReLU."""
    up = nn.ConvTranspose2d(seen, made, 3, stride=2, padding=1, output_padding=1)
    return nn.Sequential(up, nn.GroupNorm(1, made), nn.ReLU(True))


class DRITGenerator(_ContentAutoencoder):
    """An autoencoder of one domain with a content map and an attribute vector (1808.00948, 1905.01270; official code).

    Content: a 7x7 convolution, 3x3 convolutions of stride 2 with instance norm, residual blocks, and one more that all
    domains share. Attribute: :class:`ResNetEncoder` without norm, to a mean and the logarithm of a variance. Decoder: a
    residual block that all domains share; then the attribute, repeated over all pixels, joins the channels before the
    residual blocks, before each transposed 3x3 convolution with layer norm, and before the 1x1 convolution to the
    image. At 3 channels, an attribute of 8 and width 64, two of them that share their blocks have 21,270,982
    parameters: content encoders 9,018,112, attribute encoders 2,688,160, decoders 9,564,710.

    Args:
        channels: channels of the domain's images.
        latent: length of the attribute.
        width: w, channels after the first convolution of each encoder; the content has w times 2 to the ``halvings``.
        blocks: residual blocks of the content encoder, and of the decoder, beside the shared ones.
        halvings: how often the content is smaller than the image.
        attribute_blocks: residual blocks of the attribute's encoder; the image has ``2 ** (attribute_blocks + 1)`` px
            at least.
    """

    def __init__(
        self,
        channels: int,
        latent: int,
        width: int = 64,
        blocks: int = 3,
        halvings: int = 2,
        attribute_blocks: int = 3,
    ) -> None:
        super().__init__(channels, latent, width, blocks, halvings)
        at_least(0, self, attribute_blocks=attribute_blocks)
        self.attribute_encoder = ResNetEncoder(channels, latent, width, attribute_blocks, "none", "reflect")

        c = self.content_channels
        self.shared_decoding = ResidualBlock(c)
        c += latent
        stages: list[nn.Module] = [nn.Sequential(*(ResidualBlock(c) for _ in range(blocks)))]
        for _ in range(halvings):
            seen, c = c + latent, (c + latent) // 2
            stages.append(_enlargement(seen, c))
        stages.append(nn.Sequential(nn.Conv2d(c + latent, channels, 1), nn.Tanh()))
        self.stages = nn.ModuleList(stages)
        initialize_normal(self)
        # It has no norm: narrow weights leave next to nothing of an image, a millionth at width 12.
        initialize_kaiming(self.attribute_encoder.conv)

    def share(self, other: _ContentAutoencoder) -> None:
        """Take the shared blocks, the last of the content encoder and the first of the decoder, from ``other``."""
        assert isinstance(other, DRITGenerator)
        super().share(other)
        self.shared_decoding = other.shared_decoding

    def attribute(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(N, channels, H, W) in [-1, 1] to mean and log-variance of the attribute, (N, latent) each."""
        return self.attribute_encoder(x)

    def decode(self, content: Tensor, attribute: Tensor) -> Tensor:
        """Content (N, c, h, w) and attribute (N, latent) to (N, channels, H, W) in [-1, 1]."""
        x = self.shared_decoding(content)
        for stage in self.stages:
            x = stage(concatenate(x, at_every_pixel(attribute, x)))
        return x

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, H, W) to its reconstruction from content and mean attribute."""
        return self.decode(self.content(x), self.attribute(x)[0])


class _MixingBlock(nn.Module):
    """Two 3x3 convolutions with instance norm, each followed by two 1x1 convolutions that see a vector beside."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        both = 2 * channels

        def convolution() -> nn.Sequential:
            pad = nn.ReflectionPad2d(1)
            return nn.Sequential(pad, nn.Conv2d(channels, channels, 3), nn.InstanceNorm2d(channels))

        def mixture() -> nn.Sequential:
            return nn.Sequential(nn.Conv2d(both, both, 1), nn.ReLU(True), nn.Conv2d(both, channels, 1), nn.ReLU(True))

        self.first, self.first_mixture = convolution(), mixture()
        self.second, self.second_mixture = convolution(), mixture()

    def forward(self, x: Tensor, vector: Tensor) -> Tensor:
        """(N, C, H, W) and (N, C) to (N, C, H, W)."""
        vectors = at_every_pixel(vector, x)
        inside = self.first_mixture(concatenate(self.first(x), vectors))
        return x + self.second_mixture(concatenate(self.second(inside), vectors))


class DRITShapeGenerator(_ContentAutoencoder):
    """:class:`DRITGenerator` for domains that differ in shape: ``concat 0`` of the official code.

    Content: the same. Attribute: MUNIT's :func:`style_encoder`, not drawn. Decoder: a network of three linear layers
    makes a vector for each of four blocks, in which 3x3 convolutions with instance norm alternate with 1x1 convolutions
    of features and vector; then transposed 3x3 convolutions with layer norm, and a 1x1 convolution to the image. At 3
    channels, an attribute of 8 and width 64, two of them have content encoders of 9,018,112 parameters, which share a
    block, attribute encoders of 5,529,872, and decoders of 17,146,374, which share none.

    Args:
        channels: channels of the domain's images.
        latent: length of the attribute.
        width: w, channels after the first convolution of each encoder; the content has w times 2 to the ``halvings``.
        blocks: residual blocks of the content encoder, beside the shared one.
        halvings: how often the content is smaller than the image.
        attribute_halvings: convolutions of stride 2 of the attribute's encoder.
        mixing_blocks: blocks of the decoder that see the attribute.
        hidden: width of the linear layers between the attribute and these blocks.
    """

    def __init__(
        self,
        channels: int,
        latent: int,
        width: int = 64,
        blocks: int = 3,
        halvings: int = 2,
        attribute_halvings: int = 4,
        mixing_blocks: int = 4,
        hidden: int = 256,
    ) -> None:
        super().__init__(channels, latent, width, blocks, halvings)
        at_least(1, self, mixing_blocks=mixing_blocks, hidden=hidden)
        at_least(0, self, attribute_halvings=attribute_halvings)
        self.attribute_encoder = style_encoder(channels, latent, width, attribute_halvings)
        c = self.content_channels
        self.vectors = linear_layers(latent, hidden, (mixing_blocks, c))
        self.mixing_blocks = nn.ModuleList(_MixingBlock(c) for _ in range(mixing_blocks))
        layers: list[nn.Module] = [_enlargement(c // 2**n, c // 2 ** (n + 1)) for n in range(halvings)]
        self.enlarge = nn.Sequential(*layers, nn.Conv2d(width, channels, 1), nn.Tanh())
        initialize_normal(self)
        # What has no norm would be deaf with narrow weights: see DRITGenerator.
        for module in (self.attribute_encoder, self.vectors):
            initialize_kaiming(module)

    def attribute(self, x: Tensor) -> tuple[Tensor, None]:
        """(N, channels, H, W) in [-1, 1] to the attribute (N, latent), which is not drawn."""
        return self.attribute_encoder(x), None

    def decode(self, content: Tensor, attribute: Tensor) -> Tensor:
        """Content (N, c, h, w) and attribute (N, latent) to (N, channels, H, W) in [-1, 1]."""
        x = content
        for block, vector in zip(self.mixing_blocks, self.vectors(attribute).unbind(1), strict=True):
            x = block(x, vector)
        return self.enlarge(x)

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, H, W) to its reconstruction from content and attribute."""
        return self.decode(self.content(x), self.attribute(x)[0])


def drit_critic(in_channels: int, out_channels: int) -> MUNITCritic:
    """The critics of DRIT++, which are MUNIT's but for their leaky ReLUs, of slope 0.01."""
    return MUNITCritic(in_channels, out_channels, negative_slope=0.01)
