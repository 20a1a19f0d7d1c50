"""A critic of features, which tells from which domain they are."""

from __future__ import annotations

from torch import Tensor, nn

from crossdomain.checks import at_least
from crossdomain.networks.initialization import initialize_normal


class ContentCritic(nn.Module):
    """Says from which domain a map of features is (D^c of Lee et al., arXiv 1808.00948; official code).

    Reflection-padded convolutions of stride 2, one that is not padded and sees all that is left, all with leaky ReLUs
    of slope 0.01 and no norm, then a 1x1 convolution to the logit. At 256 channels, width 256, 3 layers and the kernels
    7 and 4 it has 10,683,649 parameters and needs features of 53 px; of 54, where images have 216, it makes one logit.
    Smaller ones take fewer layers, and a smaller ``kernel``.

    Args:
        in_channels: channels of the features.
        out_channels: logits for each place.
        width: channels of all convolutions but the last.
        layers: convolutions of stride 2.
        kernel: their side. Each makes of s px ``(s - kernel) // 2 + 2``.
        last_kernel: side of the convolution that is not padded.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        width: int = 256,
        layers: int = 3,
        kernel: int = 7,
        last_kernel: int = 4,
    ) -> None:
        super().__init__()
        at_least(1, self, width=width, kernel=kernel, last_kernel=last_kernel)
        at_least(0, self, layers=layers)
        modules: list[nn.Module] = []
        channels = in_channels
        for _ in range(layers):
            modules += [nn.ReflectionPad2d(1), nn.Conv2d(channels, width, kernel, stride=2), nn.LeakyReLU(0.01, True)]
            channels = width
        modules += [nn.Conv2d(channels, width, last_kernel), nn.LeakyReLU(0.01, True)]
        self.model = nn.Sequential(*modules, nn.Conv2d(width, out_channels, 1))
        initialize_normal(self)

    def forward(self, x: Tensor) -> Tensor:
        """Features (N, in_channels, h, w) to logits (N, out_channels, h', w')."""
        return self.model(x)
