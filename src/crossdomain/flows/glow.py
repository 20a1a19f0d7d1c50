"""Glow: flows of ActNorm, learned mixes of the channels, and couplings, on several scales."""

from __future__ import annotations

from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from crossdomain.checks import at_least
from crossdomain.flows.couplings import AdditiveCoupling, AffineCoupling
from crossdomain.flows.flow import FirstHalf, Flow, FlowSequence
from crossdomain.flows.layers import ActNorm, InvertibleConv, Logit, Squeeze, Unsqueeze

# Outputs of a ZeroConv are scaled by exp(3 g), so that g moves three times as fast as a plain log-scale would.
LOG_SCALE_FACTOR = 3.0


class ZeroConv(nn.Conv2d):
    """A 3x3 convolution that starts at zero, each of its outputs scaled by ``exp(3 g)`` with g learned, at first 0."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels, 3, padding=1)
        for parameter in self.parameters():
            nn.init.zeros_(parameter)
        self.log_scale = nn.Parameter(torch.zeros(out_channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) to (N, out_channels, H, W)."""
        return super().forward(x) * (LOG_SCALE_FACTOR * self.log_scale).exp()


class GlowConditioner(nn.Module):
    """The network inside Glow's couplings: 3x3, 1x1 and zero 3x3 convolutions, ActNorm and ReLU between them.

    Args:
        in_channels: channels of the half that stays.
        out_channels: channels of the parameters it predicts.
        width: channels in between; 512 in the paper.
    """

    def __init__(self, in_channels: int, out_channels: int, width: int = 512) -> None:
        super().__init__()
        at_least(1, self, width=width)
        self.conv1 = nn.Conv2d(in_channels, width, 3, padding=1, bias=False)
        self.norm1 = ActNorm(width)
        self.conv2 = nn.Conv2d(width, width, 1, bias=False)
        self.norm2 = ActNorm(width)
        self.last = ZeroConv(width, out_channels)
        nn.init.normal_(self.conv1.weight, 0.0, 0.05)
        nn.init.normal_(self.conv2.weight, 0.0, 0.05)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) to (N, out_channels, H, W)."""
        hidden = F.relu(self.norm1(self.conv1(x))[0])
        hidden = F.relu(self.norm2(self.conv2(hidden))[0])
        return self.last(hidden)

    def initialize(self, x: Tensor) -> None:
        """Set both ActNorms from the batch ``x``."""
        hidden = F.relu(self.norm1.initialize(self.conv1(x)))
        self.norm2.initialize(self.conv2(hidden))


class GlowCoupling(AffineCoupling):
    """Glow's affine coupling: the scale is ``sigmoid(h + 2)``, below 1, and 0.88 at the start.

    It has no lower bound, and the inverse divides by it.

    Args:
        channels: an even number.
        width: channels inside the conditioner.
    """

    def __init__(self, channels: int, width: int = 512) -> None:
        super().__init__(channels, partial(GlowConditioner, width=width))

    def _log_scale(self, raw: Tensor) -> Tensor:
        return F.logsigmoid(raw + 2.0)


class ConditionalPrior(Flow):
    """Glow's prior of the half that leaves: given the half that stays, N(mean, deviation^2), written as a flow.

    ``(k, m)`` to ``(k, (m - mean(k)) / deviation(k))``: under N(0, I) for what comes out, m has that very density. Mean
    and log-deviation are one :class:`ZeroConv` of k, so at first m is N(0, I) itself.

    Args:
        channels: an even number.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = ZeroConv(channels // 2, channels)

    def _split(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        kept, moved = x.chunk(2, 1)
        return kept, moved, *self.conv(kept).to(x.dtype).chunk(2, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Standardise the second half."""
        kept, moved, mean, log_deviation = self._split(x)
        return torch.cat([kept, (moved - mean) * (-log_deviation).exp()], 1), -log_deviation.flatten(1).sum(1)

    def inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Give the second half its mean and deviation."""
        kept, moved, mean, log_deviation = self._split(z)
        return torch.cat([kept, moved * log_deviation.exp() + mean], 1), log_deviation.flatten(1).sum(1)


class Glow(FlowSequence):
    """Images in [-1, 1] to latents of the same shape (Kingma and Dhariwal, arXiv 1807.03039).

    On each scale a squeeze, then ``steps`` times ActNorm, :class:`InvertibleConv` and a coupling; then half of the
    channels leaves, and the other half goes on to the next scale.

    What leaves has in the paper a learned prior, given what stays. Here it passes through a :class:`ConditionalPrior`
    instead, and is put back in the end. So all latents have the one prior N(0, I), which AlignFlow's two flows can
    share, nothing is dropped, and likelihoods are exactly the paper's. Latents drawn with a standard deviation below 1
    also give what the official code's ``eps_std`` does. As in the official default, the last scale's prior is not
    learned.

    The defaults are small enough for one core; the paper's setting at 32 px is ``scales=3, steps=32, width=512``.

    Args:
        channels: channels of the image.
        scales: how often the image is squeezed; height and width must be multiples of ``2 ** scales``.
        steps: couplings on each scale.
        width: channels inside the couplings' networks.
        coupling: ``affine`` or ``additive``. With the latter ``log_det`` is the same for all images, up to the learned
            priors and the logit.
        alpha: bound of a logit before all else, see :class:`Logit`; None, as in the paper, leaves the logit out, and
            then samples and translations may leave [-1, 1].
        recompute: see :class:`FlowSequence`.
    """

    def __init__(
        self,
        channels: int,
        scales: int = 2,
        steps: int = 8,
        width: int = 64,
        coupling: Literal["affine", "additive"] = "affine",
        alpha: float | None = None,
        recompute: bool = False,
    ) -> None:
        at_least(1, self, scales=scales, steps=steps, width=width)
        if coupling not in ("affine", "additive"):
            raise ValueError(f"coupling is {coupling!r}, but it is affine or additive.")
        additive = partial(AdditiveCoupling, conditioner=partial(GlowConditioner, width=width))
        make = additive if coupling == "additive" else partial(GlowCoupling, width=width)

        def scale(channels: int, index: int) -> list[Flow]:
            """One scale and, inside it, all that follow."""
            flows: list[Flow] = [Squeeze()]
            channels *= 4
            for step in range(steps):
                seed = index * steps + step
                flows += [ActNorm(channels), InvertibleConv(channels, seed), make(channels)]
            if index + 1 < scales:
                following = FlowSequence(scale(channels // 2, index + 1), recompute)
                flows += [ConditionalPrior(channels), FirstHalf(following)]
            return [*flows, Unsqueeze()]

        super().__init__([*([] if alpha is None else [Logit(alpha)]), *scale(channels, 0)], recompute)
        self.total_stride = 2**scales
