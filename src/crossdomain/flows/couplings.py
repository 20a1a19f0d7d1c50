"""Coupling layers: half of the channels decide how the other half moves (RealNVP, arXiv 1605.08803)."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor, nn

from crossdomain.checks import at_least
from crossdomain.flows.flow import Flow


class ConvConditioner(nn.Sequential):
    """The network inside an image coupling: 3x3, 1x1 and 3x3 convolutions with SiLU between them.

    The last layer starts at zero, so that a new coupling is the identity. It has no normalisation: its output
    for one image does not depend on the rest of the batch.

    Args:
        in_channels: channels of the half that stays.
        out_channels: channels of the parameters it predicts.
        width: channels in between.
    """

    def __init__(self, in_channels: int, out_channels: int, width: int = 64) -> None:
        at_least(1, self, width=width)
        last = nn.Conv2d(width, out_channels, 3, padding=1)
        for parameter in last.parameters():
            nn.init.zeros_(parameter)
        super().__init__(
            nn.Conv2d(in_channels, width, 3, padding=1),
            nn.SiLU(),
            nn.Conv2d(width, width, 1),
            nn.SiLU(),
            last,
        )


class MLPConditioner(nn.Sequential):
    """The network inside a vector coupling: hidden layers with an activation after each; the last layer starts at zero.

    Args:
        in_channels: length of the half that stays.
        out_channels: number of the parameters it predicts.
        width: units of each hidden layer.
        layers: hidden layers.
        activation: class of the activation.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        width: int = 64,
        layers: int = 2,
        activation: type[nn.Module] = nn.SiLU,
    ) -> None:
        at_least(1, self, width=width)
        at_least(0, self, layers=layers)
        sizes = [in_channels] + layers * [width]
        hidden = [module for pair in pairwise(sizes) for module in (nn.Linear(*pair), activation())]
        last = nn.Linear(sizes[-1], out_channels)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        super().__init__(*hidden, last)


class _Coupling(Flow):
    """The first half of axis 1 stays and decides, through a network, how the second moves."""

    def __init__(self, channels: int, conditioner: Callable[[int, int], nn.Module], parameters: int) -> None:
        super().__init__()
        if channels < 2:
            raise ValueError(f"A coupling splits channels in two halves, but got {channels} channel(s).")
        self.kept = channels // 2
        self.conditioner = conditioner(self.kept, parameters * (channels - self.kept))

    def initialize(self, x: Tensor) -> Tensor:
        """Initialise the conditioner, where it depends on data."""
        initialize = getattr(self.conditioner, "initialize", None)
        if initialize is not None:
            initialize(x[:, : self.kept])
        return self(x)[0]


class AffineCoupling(_Coupling):
    """``(k, m)`` to ``(k, m * exp(s(k)) + t(k))`` on the two halves of axis 1, for images and vectors.

    Args:
        channels: size of axis 1, at least 2; with an odd number the first half is the smaller one.
        conditioner: factory ``(channels in, channels out) -> network`` of the network that gives s and t; one with a
            method ``initialize`` is initialised by data.
        log_scale_bound: s is kept inside (-bound, bound) by a scaled tanh, so that a layer can stretch by at most
            ``exp(bound)`` and rounding errors stay small in a round trip.
    """

    def __init__(
        self,
        channels: int,
        conditioner: Callable[[int, int], nn.Module] = ConvConditioner,
        log_scale_bound: float = 1.0,
    ) -> None:
        super().__init__(channels, conditioner, parameters=2)
        self.log_scale_bound = log_scale_bound

    def _log_scale(self, raw: Tensor) -> Tensor:
        """s, from what the conditioner gives."""
        return self.log_scale_bound * torch.tanh(raw / self.log_scale_bound)

    def _split(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        kept, moved = x[:, : self.kept], x[:, self.kept :]
        # Convolutions may run in bfloat16 under autocast; scales and log-determinants never do.
        log_scale, shift = self.conditioner(kept).to(x.dtype).chunk(2, 1)
        return kept, moved, self._log_scale(log_scale), shift

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Scale, then shift the second half."""
        kept, moved, log_scale, shift = self._split(x)
        return torch.cat([kept, moved * log_scale.exp() + shift], 1), log_scale.flatten(1).sum(1)

    def inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Undo the shift, then the scale."""
        kept, moved, log_scale, shift = self._split(z)
        return torch.cat([kept, (moved - shift) * (-log_scale).exp()], 1), -log_scale.flatten(1).sum(1)


class AdditiveCoupling(_Coupling):
    """``(k, m)`` to ``(k, m + t(k))``: volume preserving (NICE, arXiv 1410.8516). Arguments as in AffineCoupling."""

    def __init__(self, channels: int, conditioner: Callable[[int, int], nn.Module] = ConvConditioner) -> None:
        super().__init__(channels, conditioner, parameters=1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Shift the second half."""
        kept, moved = x[:, : self.kept], x[:, self.kept :]
        return torch.cat([kept, moved + self.conditioner(kept).to(x.dtype)], 1), x.new_zeros(len(x))

    def inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Shift the second half back."""
        kept, moved = z[:, : self.kept], z[:, self.kept :]
        return torch.cat([kept, moved - self.conditioner(kept).to(z.dtype)], 1), z.new_zeros(len(z))
