"""The networks of UNIT: an autoencoder of one domain, whose middle may be that of another's as well."""

from __future__ import annotations

from torch import Tensor, nn

from crossdomain.checks import at_least
from crossdomain.networks.composite import Composite
from crossdomain.networks.initialization import initialize_kaiming
from crossdomain.networks.munit import content_encoder, enlargement
from crossdomain.networks.norms import Norm
from crossdomain.networks.resnet import ResidualBlock


class UNITGenerator(Composite):
    """An autoencoder of one domain whose code is a map of features (Liu, Breuel, Kautz, 1703.00848; official code).

    Encoder: a 7x7 convolution, 4x4 convolutions of stride 2 and residual blocks. Decoder: residual blocks, then
    enlargements by nearest neighbour with 5x5 convolutions and layer norm. At 3 channels and width 64 it has 11,140,483
    parameters: encoder 5,385,856, decoder 5,754,627.

    Args:
        in_channels: channels of the images that are encoded.
        out_channels: channels of those that are decoded; of one domain, as many.
        width: w, channels after the first convolution; the code has w times 2 to the ``halvings``.
        blocks: residual blocks in the encoder, and in the decoder.
        halvings: how often the code is smaller than the image.
        norm: after each convolution of the encoder, and in the decoder's blocks.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        width: int = 64,
        blocks: int = 4,
        halvings: int = 2,
        norm: Norm = "instance",
    ) -> None:
        super().__init__()
        at_least(1, self, width=width)
        at_least(0, self, blocks=blocks, halvings=halvings)
        self.total_stride = 2**halvings
        self.encoder = content_encoder(in_channels, width, blocks, halvings, norm)
        self.blocks = nn.Sequential(*(ResidualBlock(width * 2**halvings, norm) for _ in range(blocks)))
        self.enlarge = enlargement(out_channels, width, halvings)
        initialize_kaiming(self)

    def share_blocks(self, other: UNITGenerator, count: int) -> None:
        """Take the place of its own from ``other``: the encoder's last residual blocks, and the decoder's first ones.

        Args:
            other: an autoencoder of the same widths, from now on with the same modules there.
            count: how many of the encoder, and as many of the decoder.

        Raises:
            ValueError: there are fewer.
        """
        if count > len(self.blocks):
            raise ValueError(f"{count} residual blocks cannot be shared: there are {len(self.blocks)}.")
        for n in range(count):
            self.encoder[-1 - n] = other.encoder[-1 - n]
            self.blocks[n] = other.blocks[n]

    def encode(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) in [-1, 1] to the mean of the code, (N, c, h, w)."""
        return self.encoder(x)

    def decode(self, code: Tensor) -> Tensor:
        """A code (N, c, h, w) to (N, out_channels, H, W) in [-1, 1]."""
        return self.enlarge(self.blocks(code))

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) to its reconstruction, without noise."""
        return self.decode(self.encode(x))
