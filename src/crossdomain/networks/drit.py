"""The networks of DRIT++: an autoencoder of content and attribute, which has parts in common with another's."""

from __future__ import annotations

from torch import Tensor, nn

from crossdomain.checks import at_least
from crossdomain.networks.composite import Composite
from crossdomain.networks.concatenation import at_every_pixel, concatenate
from crossdomain.networks.encoders import ResNetEncoder
from crossdomain.networks.initialization import initialize_kaiming, initialize_normal
from crossdomain.networks.munit import MUNITCritic
from crossdomain.networks.resnet import ResidualBlock


class DRITGenerator(Composite):
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
        super().__init__()
        at_least(1, self, latent=latent, width=width)
        at_least(0, self, blocks=blocks, halvings=halvings, attribute_blocks=attribute_blocks)
        self.total_stride = 2**halvings
        layers: list[nn.Module] = [nn.ReflectionPad2d(3), nn.Conv2d(channels, width, 7), nn.LeakyReLU(0.01, True)]
        for c in (width * 2**n for n in range(halvings)):
            layers += [nn.ReflectionPad2d(1), nn.Conv2d(c, 2 * c, 3, stride=2), nn.InstanceNorm2d(2 * c), nn.ReLU(True)]
        c = self.content_channels = width * 2**halvings
        self.content_encoder = nn.Sequential(*layers, *(ResidualBlock(c) for _ in range(blocks)))
        self.shared_encoding = ResidualBlock(c)
        self.attribute_encoder = ResNetEncoder(channels, latent, width, attribute_blocks, "none", "reflect")

        self.shared_decoding = ResidualBlock(c)
        c += latent
        stages: list[nn.Module] = [nn.Sequential(*(ResidualBlock(c) for _ in range(blocks)))]
        for _ in range(halvings):
            seen, c = c + latent, (c + latent) // 2
            up = nn.ConvTranspose2d(seen, c, 3, stride=2, padding=1, output_padding=1)
            stages.append(nn.Sequential(up, nn.GroupNorm(1, c), nn.ReLU(True)))
        stages.append(nn.Sequential(nn.Conv2d(c + latent, channels, 1), nn.Tanh()))
        self.stages = nn.ModuleList(stages)
        initialize_normal(self)
        # It has no norm: narrow weights leave next to nothing of an image, a millionth at width 12.
        initialize_kaiming(self.attribute_encoder.conv)

    def share(self, other: DRITGenerator) -> None:
        """Take the shared blocks, the last of the content encoder and the first of the decoder, from ``other``."""
        self.shared_encoding = other.shared_encoding
        self.shared_decoding = other.shared_decoding

    def content(self, x: Tensor) -> Tensor:
        """(N, channels, H, W) in [-1, 1] to the content (N, c, h, w), without noise."""
        return self.shared_encoding(self.content_encoder(x))

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


def drit_critic(in_channels: int, out_channels: int) -> MUNITCritic:
    """The critics of DRIT++, which are MUNIT's but for their leaky ReLUs, of slope 0.01."""
    return MUNITCritic(in_channels, out_channels, negative_slope=0.01)
