"""The residual generator of CycleGAN."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from crossdomain.checks import at_least
from crossdomain.networks.initialization import initialize_normal
from crossdomain.networks.norms import Norm, has_shift, make_norm


class ResidualBlock(nn.Module):
    """``x + conv_block(x)`` with two reflection-padded 3x3 convolutions and no activation after the sum."""

    def __init__(self, channels: int, norm: Norm = "instance", dropout: float = 0.0) -> None:
        super().__init__()
        bias = not has_shift(norm)
        layers: list[nn.Module] = [
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3, bias=bias),
            make_norm(norm, channels),
            nn.ReLU(inplace=True),
        ]
        if dropout:
            layers.append(nn.Dropout(dropout))
        layers += [
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3, bias=bias),
            make_norm(norm, channels),
        ]
        self.conv_block = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the same shape."""
        return x + self.conv_block(x)


class ResNetGenerator(nn.Module):
    """Encoder, residual blocks and decoder (Zhu et al., arXiv 1703.10593; blocks of Johnson et al., 1603.08155).

    c7s1-w, d2w, d4w, R4w x blocks, u2w, uw, c7s1-out, tanh, in the paper's notation with w = ``width``. Modules lie
    at the indices of the official code, so that its weights load. At 3 channels and width 64 it has 11,378,179
    parameters with 9 blocks and 7,837,699 with 6.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output, which lies in [-1, 1].
        width: channels after the first convolution.
        blocks: residual blocks; the paper takes 6 at 128 px and 9 from 256 px on.
        norm: normalisation after each convolution but the last.
        dropout: probability of dropout inside the blocks; 0 leaves it out, as the paper does.
    """

    total_stride = 4

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        width: int = 64,
        blocks: int = 9,
        norm: Norm = "instance",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        at_least(1, self, width=width)
        at_least(0, self, blocks=blocks)
        bias = not has_shift(norm)

        def stage(conv: nn.Module, channels: int) -> list[nn.Module]:
            return [conv, make_norm(norm, channels), nn.ReLU(inplace=True)]

        layers = [nn.ReflectionPad2d(3), *stage(nn.Conv2d(in_channels, width, 7, bias=bias), width)]
        for c in (width, 2 * width):
            layers += stage(nn.Conv2d(c, 2 * c, 3, stride=2, padding=1, bias=bias), 2 * c)
        layers += [ResidualBlock(4 * width, norm, dropout) for _ in range(blocks)]
        for c in (4 * width, 2 * width):
            up = nn.ConvTranspose2d(c, c // 2, 3, stride=2, padding=1, output_padding=1, bias=bias)
            layers += stage(up, c // 2)
        layers += [nn.ReflectionPad2d(3), nn.Conv2d(width, out_channels, 7), nn.Tanh()]
        self.model = nn.Sequential(*layers)
        initialize_normal(self)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) in [-1, 1], H and W multiples of 4, to (N, out_channels, H, W) in [-1, 1]."""
        return self.model(x)


class StyledResNetGenerator(ResNetGenerator):
    """:class:`ResNetGenerator` of an image and a style map, to both (Usman et al., arXiv 2111.13279).

    The map is one more channel, in and out. As in the paper instance norms have scales, and no convolution but the last
    has a bias. At 3 channels, width 64 and 9 blocks it has 11,389,700 parameters.

    Args:
        in_channels: channels of the image that comes in.
        out_channels: channels of the image that goes out.
        width: channels after the first convolution.
        blocks: residual blocks.
        norm: normalisation after each convolution but the last.
        dropout: probability of dropout inside the blocks.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        width: int = 64,
        blocks: int = 9,
        norm: Norm = "instance_affine",
        dropout: float = 0.0,
    ) -> None:
        super().__init__(in_channels + 1, out_channels + 1, width, blocks, norm, dropout)

    # The style is what this generator has more, in and out.
    def forward(self, x: Tensor, style: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        """(N, in_channels, H, W) and (N, 1, H, W) to (N, out_channels, H, W) and (N, 1, H, W), all in [-1, 1]."""
        made = super().forward(torch.cat([x, style], 1))
        return made[:, :-1], made[:, -1:]
