"""Networks for vectors: a classifier, or a critic."""

from __future__ import annotations

from torch import Tensor, nn

from crossdomain.checks import at_least


class VectorNetwork(nn.Sequential):
    """Linear layers with ReLU between them.

    Args:
        in_channels: length of the vectors.
        out_channels: number of classes, or 1 for a critic.
        width: units of the hidden layers.
        layers: hidden layers.
        dropout: probability of dropping a hidden unit.
    """

    def __init__(
        self, in_channels: int, out_channels: int, width: int = 128, layers: int = 2, dropout: float = 0.0
    ) -> None:
        at_least(1, self, width=width)
        at_least(0, self, layers=layers)
        modules: list[nn.Module] = []
        for _ in range(layers):
            modules += [nn.Linear(in_channels, width), nn.ReLU(), nn.Dropout(dropout)]
            in_channels = width
        super().__init__(*modules, nn.Linear(in_channels, out_channels))

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels) to (N, out_channels)."""
        return super().forward(x)


def score_critic(in_channels: int, out_channels: int) -> VectorNetwork:
    """ADDA's critic of class scores: two hidden layers of 500 units, 257,002 parameters from 10 scores to 2."""
    return VectorNetwork(in_channels, out_channels, width=500)
