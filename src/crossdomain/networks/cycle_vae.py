"""The networks of Cycle-VAE: an image to two codes at once, and two codes to an image."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from crossdomain.checks import at_least

SMALLEST = 24  # px: instance norm needs more than one place after three convolutions of stride 2


class CycleVAEEncoder(nn.Module):
    """Three 5x5 convolutions of stride 2 with instance norm and ReLU, then one linear layer to all codes.

    Of the first author's code (ananyahjha93/cycle-consistent-vae; Jha et al., ECCV 2018, arXiv 1804.10469). At 1
    channel, 28 px and two codes of 16 numbers, of which one has variances, so 48 in all, it has 76,848 parameters.

    Args:
        in_channels: channels of the images.
        out_channels: length of what comes out.
        width: channels after the first convolution; the others have twice and four times as many.
        size: height and width of the images; those of others are resized to it.
    """

    def __init__(self, in_channels: int, out_channels: int, width: int = 16, size: int = 32) -> None:
        super().__init__()
        at_least(1, self, width=width)
        at_least(SMALLEST, self, size=size)
        self.size = size
        layers: list[nn.Module] = []
        for seen, made in ((in_channels, width), (width, 2 * width), (2 * width, 4 * width)):
            layers += [nn.Conv2d(seen, made, 5, stride=2, padding=1), nn.InstanceNorm2d(made), nn.ReLU(inplace=True)]
        self.model = nn.Sequential(*layers, nn.Flatten(), nn.Linear(4 * width * features(size) ** 2, out_channels))

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) in [-1, 1] to (N, out_channels)."""
        if x.shape[2:] != (self.size, self.size):
            x = F.interpolate(x, (self.size, self.size), mode="bilinear", antialias=True)
        return self.model(x)


class CycleVAEDecoder(nn.Module):
    """A linear layer for each of two codes, then three transposed 4x4 convolutions of stride 2, at last a tanh.

    Instance norm and ReLU between them. At 1 channel, 28 px and two codes of 16 numbers it has 82,737 parameters.

    Args:
        in_channels: length of both codes together.
        out_channels: channels of the images.
        specified: length of the first code, the specified one.
        width: channels before the last convolution.
        size: height and width of the images, a multiple of 4.
    """

    def __init__(
        self, in_channels: int, out_channels: int, specified: int = 16, width: int = 16, size: int = 32
    ) -> None:
        super().__init__()
        at_least(1, self, width=width, specified=specified)
        at_least(SMALLEST, self, size=size)
        if size % 4 or not specified < in_channels:
            raise ValueError(
                f"size is {size} and specified is {specified} of {in_channels}.\n"
                "Set model.decoder.size to a multiple of 4, and model.decoder.specified to model.specified_latent."
            )
        self.size = size
        self.lengths = [specified, in_channels - specified]
        side = features(size)
        self.inputs = nn.ModuleList(nn.Linear(length, 4 * width * side**2) for length in self.lengths)
        self.unflatten = nn.Unflatten(1, (4 * width, side, side))
        layers: list[nn.Module] = []
        # 2 side + 2 after the first; the second one cuts off what is more than half of the size.
        for seen, made, padding in ((8 * width, 2 * width, 0), (2 * width, width, 2 * side + 3 - size // 4)):
            up = nn.ConvTranspose2d(seen, made, 4, stride=2, padding=padding)
            layers += [up, nn.InstanceNorm2d(made), nn.ReLU(inplace=True)]
        self.model = nn.Sequential(*layers, nn.ConvTranspose2d(width, out_channels, 4, 2, 1), nn.Tanh())

    def forward(self, codes: Tensor) -> Tensor:
        """(N, in_channels) to images (N, out_channels, size, size) in [-1, 1]."""
        parts = zip(self.inputs, codes.split(self.lengths, 1), strict=True)
        return self.model(torch.cat([self.unflatten(layer(code)) for layer, code in parts], 1))


def features(size: int) -> int:
    """Height and width of what three 5x5 convolutions of stride 2, padded by 1, leave of an image."""
    for _ in range(3):
        size = (size - 3) // 2 + 1
    return size
