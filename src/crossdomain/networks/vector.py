"""Networks for vectors: a classifier, a critic, or a map."""

from __future__ import annotations

from torch import Tensor, nn

from crossdomain.checks import at_least


class VectorNetwork(nn.Sequential):
    """Linear layers with ReLU between them.

    Args:
        in_channels: length of the vectors.
        out_channels: number of classes, 1 for a critic, the length of what a map makes.
        width: units of the hidden layers.
        layers: hidden layers.
        dropout: probability of dropping a hidden unit.
        residual: the output is the input and what the layers add to it, at first nothing: a map starts as the identity.

    Raises:
        ValueError: ``residual``, but the output is to be of another length than the input.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        width: int = 128,
        layers: int = 2,
        dropout: float = 0.0,
        residual: bool = False,
    ) -> None:
        if residual and in_channels != out_channels:
            raise ValueError(
                f"VectorNetwork: residual adds to vectors of {in_channels} numbers, but is to make {out_channels}.\n"
                "Leave it out, or give the domains vectors of one length."
            )
        at_least(1, self, width=width)
        at_least(0, self, layers=layers)
        modules: list[nn.Module] = []
        for _ in range(layers):
            modules += [nn.Linear(in_channels, width), nn.ReLU(), nn.Dropout(dropout)]
            in_channels = width
        last = nn.Linear(in_channels, out_channels)
        super().__init__(*modules, last)
        self.residual = residual
        if residual:
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels) to (N, out_channels)."""
        return x + super().forward(x) if self.residual else super().forward(x)


def score_critic(in_channels: int, out_channels: int) -> VectorNetwork:
    """ADDA's critic of class scores: two hidden layers of 500 units, 257,002 parameters from 10 scores to 2."""
    return VectorNetwork(in_channels, out_channels, width=500)
