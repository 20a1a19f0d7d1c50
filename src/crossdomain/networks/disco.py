"""The networks of DiscoGAN, which DistanceGAN takes as well."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

from crossdomain.checks import at_least
from crossdomain.networks.initialization import initialize_normal
from crossdomain.networks.norms import normalize_spectrally


class DiscoGenerator(nn.Module):
    """Encoder and decoder without skips (Kim et al., arXiv 1703.05192).

    4x4 convolutions of stride 2 with widths w, 2w, 4w, 8w, batch norm after all but the first, and as many transposed
    ones back. None has a bias. At 3 channels and width 64 it has 1,318,016 parameters with 3 layers, 5,513,856 with 4,
    and 7,153,480 with 5, of which the fifth takes the 4x4 pixels that are left of 64 to 100 numbers.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output, which lies in [-1, 1] (the official code has sigmoids and [0, 1]).
        width: w.
        layers: 2 to 5.
    """

    def __init__(self, in_channels: int, out_channels: int, width: int = 64, layers: int = 4) -> None:
        super().__init__()
        at_least(1, self, width=width)
        if not 2 <= layers <= 5:
            raise ValueError(f"layers is {layers}, but has to be 2 to 5.")
        halvings = min(layers, 4)
        self.total_stride = 2**halvings
        widths = [width * 2**n for n in range(halvings)]
        modules: list[nn.Module] = [
            nn.Conv2d(in_channels, width, 4, 2, 1, bias=False),
            nn.LeakyReLU(0.2, True),
        ]
        for channels, wider in pairwise(widths):
            modules += [nn.Conv2d(channels, wider, 4, 2, 1, bias=False), nn.BatchNorm2d(wider), nn.LeakyReLU(0.2, True)]
        if layers == 5:
            modules += [nn.Conv2d(widths[-1], 100, 4, bias=False), nn.BatchNorm2d(100), nn.LeakyReLU(0.2, True)]
            modules += [nn.ConvTranspose2d(100, widths[-1], 4, bias=False), nn.BatchNorm2d(widths[-1]), nn.ReLU(True)]
        for channels, narrower in pairwise(widths[::-1]):
            up = nn.ConvTranspose2d(channels, narrower, 4, 2, 1, bias=False)
            modules += [up, nn.BatchNorm2d(narrower), nn.ReLU(True)]
        modules += [nn.ConvTranspose2d(width, out_channels, 4, 2, 1, bias=False), nn.Tanh()]
        self.model = nn.Sequential(*modules)
        initialize_normal(self)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) in [-1, 1] to (N, out_channels, H, W) in [-1, 1]; with 5 layers at least 64 px."""
        return self.model(x)


class DiscoCritic(nn.Module):
    """A critic whose features can be compared (Kim et al., arXiv 1703.05192).

    4x4 convolutions of stride 2 with widths w, 2w, 4w, 8w, batch norm after all but the first, then one logit for each
    4x4 features: a single one at 64 px. None has a bias. At 3 channels and width 64 it has 2,765,568 parameters.

    Args:
        in_channels: channels of the image.
        out_channels: logits for each place.
        width: w.
        layers: convolutions of stride 2, 4 in the paper; fewer for images below 64 px.
        spectral_norm: whether weights are divided by their largest singular value.
    """

    def __init__(
        self, in_channels: int, out_channels: int, width: int = 64, layers: int = 4, spectral_norm: bool = False
    ) -> None:
        super().__init__()
        at_least(1, self, width=width, layers=layers)
        widths = [width * 2**n for n in range(layers)]
        first = nn.Sequential(nn.Conv2d(in_channels, width, 4, 2, 1, bias=False), nn.LeakyReLU(0.2, True))
        self.stages = nn.ModuleList([first])
        for channels, wider in pairwise(widths):
            conv = nn.Conv2d(channels, wider, 4, 2, 1, bias=False)
            self.stages.append(nn.Sequential(conv, nn.BatchNorm2d(wider), nn.LeakyReLU(0.2, True)))
        self.last = nn.Conv2d(widths[-1], out_channels, 4, bias=False)
        initialize_normal(self)
        if spectral_norm:
            normalize_spectrally(self)

    def features(self, x: Tensor) -> list[Tensor]:
        """Features of (N, in_channels, H, W) after each stage but the first, (N, c, h, w) each."""
        found = []
        for stage in self.stages:
            x = stage(x)
            found.append(x)
        return found[1:]

    def logits(self, features: list[Tensor]) -> Tensor:
        """Logits (N, out_channels, h, w) of images that have these features."""
        return self.last(features[-1])

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) to logits (N, out_channels, h, w)."""
        return self.logits(self.features(x))
