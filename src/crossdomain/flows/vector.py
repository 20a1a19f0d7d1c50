"""Flows for vectors: planar, radial and autoregressive layers, and a stack of them or of couplings."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from crossdomain.checks import at_least
from crossdomain.flows.couplings import AffineCoupling, MLPConditioner
from crossdomain.flows.flow import Flow, FlowSequence
from crossdomain.flows.layers import ActNorm, InvertibleConv

# Halvings of an interval, after which it is as narrow as double precision can tell.
HALVINGS = 64


class Planar(Flow):
    """``z = x + u tanh(w.x + b)`` on vectors (N, channels) (Rezende and Mohamed, arXiv 1505.05770).

    The learned u is moved along w until ``w.u > -1``, which makes the map invertible. Its inverse has no closed form;
    along w it is one increasing function of one number, which is inverted by bisection. A last step of Newton's method
    gives the inverse its exact first derivatives; second derivatives it has not.

    Args:
        channels: length of the vectors.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(channels) / channels**0.5)
        self.direction = nn.Parameter(0.1 * torch.randn(channels))
        self.bias = nn.Parameter(torch.zeros(()))

    def _direction(self) -> tuple[Tensor, Tensor]:
        """u, and ``w.u``."""
        given = (self.weight * self.direction).sum()
        allowed = F.softplus(given) - 1.0
        return self.direction + (allowed - given) * self.weight / self.weight.square().sum(), allowed

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Move along u, by what each vector is along w."""
        direction, strength = self._direction()
        bend = torch.tanh((x * self.weight).sum(1) + self.bias)
        return x + bend[:, None] * direction, torch.log1p(strength * (1.0 - bend.square()))

    def inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Find ``w.x``, then move back."""
        direction, strength = self._direction()
        target = (z * self.weight).sum(1)

        def excess(along: Tensor) -> Tensor:
            return along + strength * torch.tanh(along + self.bias) - target

        along = _bisect(excess, target - strength.abs(), target + strength.abs())
        slope = 1.0 + strength * (1.0 - torch.tanh(along + self.bias).square())
        along = along - excess(along) / slope.detach()
        x = z - torch.tanh(along + self.bias)[:, None] * direction
        return x, -self(x)[1]


@torch.no_grad()
def _bisect(function: Callable[[Tensor], Tensor], low: Tensor, high: Tensor) -> Tensor:
    """Where increasing functions, one for each entry, are zero between ``low`` and ``high``; without gradients."""
    for _ in range(HALVINGS):
        middle = 0.5 * (low + high)
        below = function(middle) < 0.0
        low, high = torch.where(below, middle, low), torch.where(below, high, middle)
    return 0.5 * (low + high)


class Radial(Flow):
    """``z = x + beta (x - c) / (alpha + r)`` with ``r = |x - c|``, on vectors (Rezende and Mohamed, arXiv 1505.05770).

    Pulls towards a learned centre c or pushes away from it; ``alpha > 0`` and ``beta > -alpha`` by softplus, which
    makes it invertible. The inverse is exact: the old distance from the centre solves a quadratic equation.

    Args:
        channels: length of the vectors.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.centre = nn.Parameter(0.1 * torch.randn(channels))
        self.raw_alpha = nn.Parameter(torch.zeros(()))
        self.raw_beta = nn.Parameter(torch.zeros(()))

    def _stretch(self, distance: Tensor) -> tuple[Tensor, Tensor]:
        """How much longer ``x - c`` becomes, (N, 1), and ``log_det``, at ``distance`` (N, 1) from the centre."""
        alpha = F.softplus(self.raw_alpha)
        beta = F.softplus(self.raw_beta) - alpha
        across = beta / (alpha + distance)
        along = beta * alpha / (alpha + distance).square()
        log_det = (len(self.centre) - 1) * torch.log1p(across) + torch.log1p(along)
        return 1.0 + across, log_det.squeeze(1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Stretch the way from the centre."""
        stretch, log_det = self._stretch((x - self.centre).norm(dim=1, keepdim=True))
        return self.centre + stretch * (x - self.centre), log_det

    def inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Solve ``r^2 + (alpha + beta - R) r - alpha R = 0`` for the distance r that has become R."""
        distance = (z - self.centre).norm(dim=1, keepdim=True)
        linear = F.softplus(self.raw_beta) - distance
        root = (linear.square() + 4.0 * F.softplus(self.raw_alpha) * distance).sqrt()
        stretch, log_det = self._stretch(0.5 * (root - linear))
        return self.centre + (z - self.centre) / stretch, -log_det


class MaskedLinear(nn.Linear):
    """A linear layer without the connections that ``mask`` (out, in) forbids."""

    mask: Tensor

    def __init__(self, mask: Tensor) -> None:
        super().__init__(mask.shape[1], mask.shape[0])
        self.register_buffer("mask", mask.float())

    def forward(self, x: Tensor) -> Tensor:
        """(N, in) to (N, out)."""
        return F.linear(x, self.weight * self.mask, self.bias)


class MADE(nn.Sequential):
    """A masked network: parameter i of each kind sees entries 0 to i - 1 alone (Germain et al., arXiv 1502.03509).

    Args:
        channels: length of the vectors.
        width: units of each of the two hidden layers, at least ``channels - 1``.
        kinds: parameters for each entry; the output is (N, kinds * channels), kind by kind. It starts at zero.
    """

    def __init__(self, channels: int, width: int = 64, kinds: int = 2) -> None:
        at_least(1, self, kinds=kinds)
        if width < channels - 1:
            raise ValueError(f"width is {width}, but vectors of length {channels} need at least {channels - 1}.")
        entries = torch.arange(channels)
        sees = torch.arange(width) % max(channels - 1, 1)  # the last entry that each hidden unit depends on
        first, hidden = MaskedLinear(sees[:, None] >= entries), MaskedLinear(sees[:, None] >= sees)
        last = MaskedLinear(entries.repeat(kinds)[:, None] > sees)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        super().__init__(first, nn.SiLU(), hidden, nn.SiLU(), last)


class InverseAutoregressive(Flow):
    """Inverse autoregressive flow on vectors (N, channels) (Kingma et al., arXiv 1606.04934).

    ``x_i = s_i z_i + (1 - s_i) m_i`` with ``s_i = sigmoid(h_i + 2)``, where m and h are a :class:`MADE`'s functions of
    ``z_0 ... z_(i-1)``. So ``inverse``, which samples, takes one pass; ``forward``, the density of given data, is
    sequential and takes as many passes as vectors have entries.

    Args:
        channels: length of the vectors.
        width: units of each of the two hidden layers.
    """

    def __init__(self, channels: int, width: int = 64) -> None:
        super().__init__()
        self.network = MADE(channels, width)

    def _gate(self, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """s, ``(1 - s) m`` and ``log s``, (N, channels) each."""
        raw, mean = self.network(z).to(z.dtype).chunk(2, 1)
        scale = torch.sigmoid(raw + 2.0)
        return scale, (1.0 - scale) * mean, F.logsigmoid(raw + 2.0)

    def _at_once(self, z: Tensor) -> tuple[Tensor, Tensor]:
        scale, shift, log_scale = self._gate(z)
        return scale * z + shift, log_scale.sum(1)

    def _one_by_one(self, x: Tensor) -> tuple[Tensor, Tensor]:
        z = torch.zeros_like(x)
        for i in range(x.shape[1]):
            scale, shift, log_scale = self._gate(z)  # right up to entry i
            entry = (x[:, i] - shift[:, i]) / scale[:, i]
            z = torch.cat([z[:, :i], entry[:, None], z[:, i + 1 :]], 1)
        return z, -log_scale.sum(1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """One entry after the other."""
        return self._one_by_one(x)

    def inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """All entries at once."""
        return self._at_once(z)


class MaskedAutoregressive(InverseAutoregressive):
    """The same map the other way round: densities take one pass, and sampling is sequential (arXiv 1705.07057)."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """All entries at once."""
        return self._at_once(x)

    def inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """One entry after the other."""
        return self._one_by_one(z)


class VectorFlow(FlowSequence):
    """Vectors (N, channels) to latents of the same length: ActNorm, a learned mix of all entries and a layer, in turns.

    With couplings it is RealNVP (arXiv 1605.08803) without pixels.

    Args:
        channels: length of the vectors; at least 2 for couplings.
        steps: number of layers.
        width: units of the two hidden layers of a coupling's or an autoregressive layer's network.
        layer: ``coupling``, ``masked_autoregressive``, ``inverse_autoregressive``, ``planar`` or ``radial``.
        log_scale_bound: largest absolute log-scale of one coupling.
    """

    def __init__(
        self,
        channels: int,
        steps: int = 8,
        width: int = 64,
        layer: Literal["coupling", "masked_autoregressive", "inverse_autoregressive", "planar", "radial"] = "coupling",
        log_scale_bound: float = 1.0,
    ) -> None:
        at_least(1, self, steps=steps, width=width)
        at_least(0, self, log_scale_bound=log_scale_bound)
        conditioner = partial(MLPConditioner, width=width)
        layers: dict[str, Callable[[int], Flow]] = {
            "coupling": partial(AffineCoupling, conditioner=conditioner, log_scale_bound=log_scale_bound),
            "masked_autoregressive": partial(MaskedAutoregressive, width=width),
            "inverse_autoregressive": partial(InverseAutoregressive, width=width),
            "planar": Planar,
            "radial": Radial,
        }
        if layer not in layers:
            raise ValueError(f"layer is {layer!r}, but it is one of {', '.join(layers)}.")
        flows: list[Flow] = []
        for step in range(steps):
            flows += [ActNorm(channels), InvertibleConv(channels, seed=step), layers[layer](channels)]
        super().__init__([*flows, ActNorm(channels)])
