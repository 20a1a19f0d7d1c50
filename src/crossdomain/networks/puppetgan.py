"""The networks of PuppetGAN's unofficial port: an image to one embedding, and an embedding to an image."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional as F

from crossdomain.checks import at_least
from crossdomain.networks.norms import Norm, has_shift, make_norm


def _shape(network: nn.Module, width: int, layers: int, size: int) -> tuple[list[int], int]:
    """Channels after each convolution of stride 2, and the side of the last features."""
    at_least(1, network, width=width, layers=layers)
    if size < 1 or size % 2**layers:
        raise ValueError(f"size is {size}, but {layers} layers halve it: it has to be a multiple of {2**layers}.")
    return [width * min(2**n, 8) for n in range(layers)], size // 2**layers


class PuppetEncoder(nn.Module):
    """4x4 convolutions of stride 2 with widths w, 2w, 4w, 8w, 8w, then one linear layer to the embedding.

    Norm from the second convolution on, leaky ReLUs of slope 0.3. Those of the paper (Usman et al., arXiv 1901.10024)
    are residual networks whose sizes are not known; this is the unofficial port of GiorgosKarantonis. At 3 channels,
    32 px and an embedding of 128 it has 7,018,432 parameters.

    Args:
        in_channels: channels of the images.
        out_channels: length of the embedding.
        width: w.
        layers: convolutions.
        size: height and width of the images; those of others are resized to it.
        norm: after each convolution but the first; ``instance`` needs features of more than one place, so fewer
            layers, or larger images.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        width: int = 64,
        layers: int = 5,
        size: int = 32,
        norm: Norm = "batch",
    ) -> None:
        super().__init__()
        widths, side = _shape(self, width, layers, size)
        self.size = size
        modules: list[nn.Module] = [nn.Conv2d(in_channels, width, 4, stride=2, padding=1), nn.LeakyReLU(0.3, True)]
        for channels, wider in pairwise(widths):
            convolution = nn.Conv2d(channels, wider, 4, stride=2, padding=1, bias=not has_shift(norm))
            modules += [convolution, make_norm(norm, wider), nn.LeakyReLU(0.3, True)]
        self.model = nn.Sequential(*modules, nn.Flatten(), nn.Linear(widths[-1] * side**2, out_channels))

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) in [-1, 1] to (N, out_channels)."""
        if x.shape[2:] != (self.size, self.size):
            x = F.interpolate(x, (self.size, self.size), mode="bilinear", antialias=True)
        return self.model(x)


class PuppetDecoder(nn.Module):
    """The way back: a linear layer, transposed 4x4 convolutions of stride 2 with norms and ReLUs, at last a tanh.

    Their widths are those of :class:`PuppetEncoder` in the opposite order. At 3 channels, 32 px and an embedding of
    128 it has 7,017,859 parameters.

    Args:
        in_channels: length of the embedding.
        out_channels: channels of the images.
        width: w, channels before the last convolution.
        layers: convolutions.
        size: height and width of the images.
        norm: after each convolution but the last.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        width: int = 64,
        layers: int = 5,
        size: int = 32,
        norm: Norm = "batch",
    ) -> None:
        super().__init__()
        widths, side = _shape(self, width, layers, size)
        self.size = size
        widest = widths[-1]
        modules: list[nn.Module] = [nn.Linear(in_channels, widest * side**2), nn.Unflatten(1, (widest, side, side))]
        for channels, narrower in pairwise(reversed(widths)):
            up = nn.ConvTranspose2d(channels, narrower, 4, stride=2, padding=1, bias=not has_shift(norm))
            modules += [up, make_norm(norm, narrower), nn.ReLU(True)]
        self.model = nn.Sequential(*modules, nn.ConvTranspose2d(width, out_channels, 4, 2, 1), nn.Tanh())

    def forward(self, code: Tensor) -> Tensor:
        """(N, in_channels) to images (N, out_channels, size, size) in [-1, 1]."""
        return self.model(code)
