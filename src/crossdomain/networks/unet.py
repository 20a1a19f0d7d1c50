"""The U-Net generator of pix2pix, and its encoder-decoder ablation."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from crossdomain.checks import at_least
from crossdomain.networks.concatenation import concatenate
from crossdomain.networks.initialization import initialize_normal
from crossdomain.networks.norms import Norm, make_norm

Upsampling = Literal["transposed", "nearest"]


class _Level(nn.Module):
    """One level: down by 2, what lies below, up by 2; inside the outermost one, with the input beside the output."""

    def __init__(self, layers: list[nn.Module], skip: bool) -> None:
        super().__init__()
        self.model = nn.Sequential(*layers)
        self.skip = skip

    def forward(self, x: Tensor) -> Tensor:
        return concatenate(x, self.model(x)) if self.skip else self.model(x)


def doubled(inside: int, outside: int, how: Upsampling, bias: bool = True) -> nn.Module:
    """Twice the height and width: a 4x4 transposed convolution, or a 3x3 convolution of pixels that were repeated."""
    if how == "transposed":
        return nn.ConvTranspose2d(inside, outside, 4, stride=2, padding=1, bias=bias)
    if how == "nearest":
        return nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(inside, outside, 3, padding=1, bias=bias))
    raise ValueError(f"upsample is {how!r}, but has to be 'transposed' or 'nearest'.")


def to_image(inside: int, out_channels: int, norm: Norm, head: int, how: Upsampling) -> list[nn.Module]:
    """A U-Net's last layers: from ``inside`` channels at half size to the image, by way of ``head`` at full size."""
    if head < 0:
        raise ValueError(f"head is {head}, but is a number of channels, or 0 for no head.")
    layers = [doubled(inside, head or out_channels, how)]
    if head:
        layers += [make_norm(norm, head), nn.ReLU(inplace=True), nn.Conv2d(head, out_channels, 3, padding=1)]
    return [*layers, nn.Tanh()]


class UNetGenerator(nn.Module):
    """U-Net (Isola et al., arXiv 1611.07004): 4x4 convolutions of stride 2 down and up again, with skip connections.

    Widths are w, 2w, 4w, 8w, 8w, ... on the way down. Modules lie at the indices of the official code, so that its
    weights load. At 3 channels, width 64 and batch norm it has 54,413,955 parameters with 8 levels ("unet_256") and
    41,828,995 with 7 ("unet_128").

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output, which lies in [-1, 1].
        width: w.
        levels: how often the image is halved, at least 2; height and width must be multiples of ``2 ** levels``.
        norm: normalisation after each convolution but the first, the innermost and the last.
        dropout: probability of dropout after the decoder's levels of 8w channels, the innermost left out; the only
            source of noise in pix2pix.
        skips: False leaves out the skip connections: the paper's encoder-decoder.
        upsample: how the image is doubled: by ``transposed`` convolutions, as in the paper, or by convolutions of
            ``nearest`` pixels, which leave no checkerboard (Odena et al., doi 10.23915/distill.00003).
        head: channels at full size, from which a 3x3 convolution makes the image: details of one pixel are learned
            sooner. 0, as in the paper, has the last transposed convolution make the image.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        width: int = 64,
        levels: int = 8,
        norm: Norm = "batch",
        dropout: float = 0.5,
        skips: bool = True,
        upsample: Upsampling = "transposed",
        head: int = 0,
    ) -> None:
        super().__init__()
        at_least(1, self, width=width)
        at_least(2, self, levels=levels)
        self.total_stride = 2**levels
        self.upsample, self.head = upsample, head
        bias = norm == "instance"  # the official rule; the innermost convolution has none with batch norm either
        widths = [width * min(2**level, 8) for level in range(levels)]
        seen = 2 if skips else 1  # decoder layers see the skip beside what comes from below

        def down(inside: int, outside: int) -> nn.Module:
            return nn.Conv2d(outside, inside, 4, stride=2, padding=1, bias=bias)

        def up(inside: int, outside: int) -> nn.Module:
            return doubled(inside, outside, upsample, bias)

        inside, outside = widths[-1], widths[-2]
        block: nn.Module = _Level(
            [
                nn.LeakyReLU(0.2),
                down(inside, outside),
                nn.ReLU(inplace=True),
                up(inside, outside),
                make_norm(norm, outside),
            ],
            skips,
        )
        for level in range(levels - 2, 0, -1):
            inside, outside = widths[level], widths[level - 1]
            layers = [
                nn.LeakyReLU(0.2),
                down(inside, outside),
                make_norm(norm, inside),
                block,
                nn.ReLU(inplace=True),
                up(seen * inside, outside),
                make_norm(norm, outside),
            ]
            if dropout and level >= 4:
                layers.append(nn.Dropout(dropout))
            block = _Level(layers, skips)
        self.model = _Level(
            [
                down(width, in_channels),
                block,
                nn.ReLU(inplace=True),
                *to_image(seen * width, out_channels, norm, head, upsample),
            ],
            skip=False,
        )
        initialize_normal(self)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) in [-1, 1] to (N, out_channels, H, W) in [-1, 1]."""
        return self.model(x)
