"""Decoders: a latent vector to an image."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

from crossdomain.checks import at_least


class ConvDecoder(nn.Module):
    """A linear layer to 4x4 pixels, then transposed 4x4 convolutions that double them; batch norm, ReLU, at last tanh.

    Args:
        latent: length of the latent vector.
        out_channels: channels of the image.
        width: channels before the last convolution; each one before has twice as many, up to four times.
        layers: convolutions; the image has ``4 * 2 ** layers`` px.
    """

    def __init__(self, latent: int, out_channels: int, width: int = 32, layers: int = 2) -> None:
        super().__init__()
        at_least(1, self, latent=latent, width=width, layers=layers)
        widths = [width * min(2**n, 4) for n in reversed(range(layers))]
        modules: list[nn.Module] = [nn.Linear(latent, 16 * widths[0]), nn.Unflatten(1, (widths[0], 4, 4))]
        for channels, narrower in pairwise(widths):
            modules += [nn.BatchNorm2d(channels), nn.ReLU()]
            modules.append(nn.ConvTranspose2d(channels, narrower, 4, stride=2, padding=1))
        modules += [nn.BatchNorm2d(width), nn.ReLU(), nn.ConvTranspose2d(width, out_channels, 4, 2, 1), nn.Tanh()]
        self.model = nn.Sequential(*modules)

    def forward(self, z: Tensor) -> Tensor:
        """(N, latent) to images (N, out_channels, H, W) in [-1, 1]."""
        return self.model(z)
