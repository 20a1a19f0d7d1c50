"""Generators that see little around a pixel, so that they cannot carry what an image shows to another place."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from crossdomain.checks import at_least
from crossdomain.networks.initialization import initialize_kaiming
from crossdomain.networks.resnet import ResidualBlock


class LocalStyledGenerator(nn.Module):
    """A generator of images and style maps that sees little around each pixel, and where the pixel is.

    The input is an image, a style map and two channels of rows and columns in [-1, 1] (CoordConv, Liu et al., NeurIPS
    2018, arXiv 1807.03247). A 3x3 convolution, a 4x4 convolution of stride 2, residual blocks, a transposed 4x4
    convolution and a 3x3 convolution follow, without norm, since the statistics of an instance norm are those of the
    whole image. A pixel of the output is a function of those that are at most ``5 + 4 * blocks`` rows and columns away.

    :class:`StyledResNetGenerator` sees all of an image, and may write a hue that only one domain has into any surface
    whose hue only the other domain has, as a code for the way back. A generator that sees little cannot: it takes a
    surface's colour from that surface, in the image or in the style map. At 3 channels, width 24 and 2 blocks it has
    122,260 parameters and sees 13 pixels far.

    Args:
        in_channels: channels of the image that comes in.
        out_channels: channels of the image that goes out.
        width: channels after the first convolution, and half of those inside.
        blocks: residual blocks at half of the size; with each it sees 4 pixels farther.
        positions: whether rows and columns are seen.
    """

    total_stride = 2

    def __init__(
        self, in_channels: int, out_channels: int, width: int = 24, blocks: int = 2, positions: bool = True
    ) -> None:
        super().__init__()
        at_least(1, self, width=width)
        at_least(0, self, blocks=blocks)
        self.positions = positions
        self.encoder = nn.Sequential(
            nn.Conv2d(in_channels + 1 + 2 * positions, width, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, 2 * width, 4, stride=2, padding=1),
            nn.ReLU(inplace=True),
        )
        inside = [ResidualBlock(2 * width, "none") for _ in range(blocks)]
        self.blocks = nn.Sequential(*inside)
        to_image = nn.Conv2d(width, out_channels + 1, 3, padding=1)
        self.decoder = nn.Sequential(
            nn.ReLU(),
            nn.ConvTranspose2d(2 * width, width, 4, stride=2, padding=1),
            nn.ReLU(inplace=True),
            to_image,
            nn.Tanh(),
        )
        initialize_kaiming(self)
        # Without norms: blocks start as the identity, and images near grey, where tanh has its slope.
        for block in inside:
            nn.init.zeros_(block.conv_block[-2].get_parameter("weight"))
        nn.init.normal_(to_image.weight, 0.0, 0.02)

    def forward(self, x: Tensor, style: Tensor) -> tuple[Tensor, Tensor]:
        """(N, in_channels, H, W) and (N, 1, H, W) to (N, out_channels, H, W) and (N, 1, H, W), all in [-1, 1].

        H and W are even.
        """
        seen = [x, style]
        if self.positions:
            n, _, height, width = x.shape
            rows = torch.linspace(-1, 1, height, device=x.device, dtype=x.dtype)
            columns = torch.linspace(-1, 1, width, device=x.device, dtype=x.dtype)
            seen += [rows.view(1, 1, -1, 1).expand(n, 1, height, width), columns.expand(n, 1, height, width)]
        made = self.decoder(self.blocks(self.encoder(torch.cat(seen, 1))))
        return made[:, :-1], made[:, -1:]
