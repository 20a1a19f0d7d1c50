"""Monotone splines, which reshape how values are distributed."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from crossdomain.checks import at_least
from crossdomain.flows.flow import Flow

SMALLEST_SHARE = 1e-5  # of [-1, 1], in one bin; below, rounding errors in float32 would be as large as the bin
SMALLEST_SLOPE = 1e-3


class RationalQuadraticSpline(Flow):
    """A learned monotone curve from [-1, 1] to [-1, 1], the same for all values of a channel.

    Rational-quadratic pieces between knots whose places and slopes are learned (Durkan et al., NeurIPS 2019, arXiv
    1906.04032; here without a network, as each channel has one curve). Outside, values stay as they are. ``initialize``
    takes the batch's quantiles for knots, so that each bin holds as many values and leaves as wide as any other:
    histogram equalisation. Pictures that are mostly black gain by that, as a narrow peak of values is hard to widen for
    what follows. Until then the curve is the identity. Works on images (N, C, H, W) and on vectors (N, C), and never
    runs in less than float32.

    Args:
        channels: size of axis 1.
        bins: pieces of each curve.
    """

    def __init__(self, channels: int, bins: int = 32) -> None:
        super().__init__()
        at_least(1, self, bins=bins)
        self.bins = bins
        self.widths = nn.Parameter(torch.zeros(channels, bins))
        self.heights = nn.Parameter(torch.zeros(channels, bins))
        self.slopes = nn.Parameter(_softplus_inverse(torch.ones(channels, bins + 1) - SMALLEST_SLOPE))

    def _pieces(self) -> Tensor:
        """Of each piece: left and lower end, width, height, and the slopes at both ends: (6, channels * bins).

        Slopes are relative to the piece's mean slope.
        """
        x, y = (_knots(sizes) for sizes in (self.widths, self.heights))
        slopes = SMALLEST_SLOPE + F.softplus(self.slopes)
        width, height = x.diff(), y.diff()
        mean = height / width
        pieces = x[:, :-1], y[:, :-1], width, height, slopes[:, :-1] / mean, slopes[:, 1:] / mean
        return torch.stack(pieces).flatten(1)

    def _piece_of(self, values: Tensor, start: int) -> tuple[Tensor, ...]:
        """The six numbers of the piece that each of ``values`` (N, C, ...) lies in, by its end at ``start``."""
        pieces = self._pieces()
        with torch.no_grad():
            inner = pieces[start].view(-1, self.bins)[:, 1:].contiguous()
            by_channel = values.transpose(0, 1).flatten(1).contiguous()
            place = torch.searchsorted(inner, by_channel, right=True)
            place += self.bins * torch.arange(len(inner), device=values.device)[:, None]
            place = place.view(values.shape[1], len(values), *values.shape[2:]).transpose(0, 1)
        return pieces.index_select(1, place.flatten()).view(-1, *values.shape).unbind()

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Along the curve."""
        with torch.autocast(x.device.type, enabled=False):
            inside = x.clamp(-1, 1)
            left, bottom, width, height, first, last = self._piece_of(inside, start=0)
            t = ((inside - left) / width).clamp(0, 1)
            share, log_slope = _curve(t, first, last)
            log_det = torch.where(x == inside, log_slope + (height / width).log(), 0)
            return torch.addcmul(bottom, height, share) + (x - inside), log_det.flatten(1).sum(1)

    def inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Back along the curve: on each piece the root of a quadratic equation."""
        with torch.autocast(z.device.type, enabled=False):
            inside = z.clamp(-1, 1)
            left, bottom, width, height, first, last = self._piece_of(inside, start=1)
            share = ((inside - bottom) / height).clamp(0, 1)
            b = first - share * (first + last - 2)
            discriminant = b.square() + 4 * (1 - b) * share
            t = (2 * share / (b + discriminant.sqrt())).clamp_max(1)  # this form of the root does not cancel
            _, log_slope = _curve(t, first, last)
            log_det = torch.where(z == inside, log_slope + (height / width).log(), 0)
            return torch.addcmul(left, width, t) + (z - inside), -log_det.flatten(1).sum(1)

    @torch.no_grad()
    def initialize(self, x: Tensor) -> Tensor:
        """Equalise the values of each channel over the batch ``x``."""
        values = x.transpose(0, 1).flatten(1).sort(1).values
        places = torch.linspace(0, values.shape[1] - 1, self.bins + 1, device=x.device).long()
        knots = values[:, places].clamp(-1, 1)
        knots[:, 0], knots[:, -1] = -1, 1
        widths = knots.diff().clamp_min(1e-4)  # many values may be the same
        self.widths.copy_(widths.log())
        self.heights.zero_()
        slopes = widths.sum(1, keepdim=True) / (self.bins * widths)
        between = (slopes[:, 1:] * slopes[:, :-1]).sqrt()
        slopes = torch.cat([slopes[:, :1], between, slopes[:, -1:]], 1)
        self.slopes.copy_(_softplus_inverse((slopes - SMALLEST_SLOPE).clamp_min(SMALLEST_SLOPE)))
        return self(x)[0]


def _knots(sizes: Tensor) -> Tensor:
    """From -1 to 1, in steps whose logarithms are ``sizes`` (channels, bins) up to a constant."""
    shares = SMALLEST_SHARE + (1 - SMALLEST_SHARE * sizes.shape[1]) * torch.softmax(sizes, 1)
    return F.pad(2 * shares.cumsum(1), (1, 0)) - 1


def _softplus_inverse(y: Tensor) -> Tensor:
    return y + torch.log(-torch.expm1(-y))


def _curve(t: Tensor, first: Tensor, last: Tensor) -> tuple[Tensor, Tensor]:
    """The share of a piece's height that is reached at the share ``t`` of its width, and the log of the slope there.

    All slopes are relative to the piece's mean slope; ``first`` and ``last`` are those at its ends.
    """
    rest = 1 - t
    square, product = t.square(), t * rest
    denominator = 1 + (first + last - 2) * product
    slope = last * square + 2 * product + first * rest.square()
    return torch.addcmul(square, first, product) / denominator, slope.log() - 2 * denominator.log()
