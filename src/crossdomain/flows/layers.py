"""Invertible layers without networks inside: normalisation, squeezing, permutation, the logit."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from crossdomain.flows.flow import Flow


class ActNorm(Flow):
    """Per-channel scale and shift, ``z = (x + shift) * exp(log_scale)`` (Glow, arXiv 1807.03039).

    Works on images (N, C, H, W) and on vectors (N, C). ``initialize`` sets both so that each channel of the given
    batch leaves with mean zero and variance one; until then the layer is the identity. It never looks at batch
    statistics in ``forward``, so training and evaluation mode are the same and all ranks stay equal.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(channels))
        self.log_scale = nn.Parameter(torch.zeros(channels))

    def _per_channel(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        shape = (1, -1) + (1,) * (x.ndim - 2)
        log_det = self.log_scale.sum() * (x[0, 0].numel())
        return self.shift.view(shape), self.log_scale.view(shape), log_det.expand(len(x))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Shift, then scale."""
        shift, log_scale, log_det = self._per_channel(x)
        return (x + shift) * log_scale.exp(), log_det

    def inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Undo the scale, then the shift."""
        shift, log_scale, log_det = self._per_channel(z)
        return z * (-log_scale).exp() - shift, -log_det

    @torch.no_grad()
    def initialize(self, x: Tensor) -> Tensor:
        """Normalise each channel over the batch ``x``; a constant channel keeps its scale."""
        axes = [axis for axis in range(x.ndim) if axis != 1]
        deviation = x.std(axes, correction=0)
        self.shift.copy_(-x.mean(axes))
        self.log_scale.copy_(torch.where(deviation > 1e-6, -deviation.clamp_min(1e-6).log(), 0.0))
        return self(x)[0]


class Squeeze(Flow):
    """Trade space for channels: (N, C, H, W) to (N, 4C, H/2, W/2), volume preserving (RealNVP, arXiv 1605.08803).

    Channel ``4c + 2dy + dx`` of the result holds the pixels of channel ``c`` at offset (dy, dx) of each 2x2 block.
    """

    total_stride = 2

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Squeeze."""
        return F.pixel_unshuffle(x, 2), x.new_zeros(len(x))

    def inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Unsqueeze."""
        return F.pixel_shuffle(z, 2), z.new_zeros(len(z))


class Unsqueeze(Flow):
    """The inverse of :class:`Squeeze`: (N, 4C, H, W) to (N, C, 2H, 2W)."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Unsqueeze."""
        return F.pixel_shuffle(x, 2), x.new_zeros(len(x))

    def inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Squeeze."""
        return F.pixel_unshuffle(z, 2), z.new_zeros(len(z))


class Permutation(Flow):
    """A fixed permutation of the channels, stored with the weights; volume preserving.

    Args:
        channels: size of axis 1.
        seed: decides the permutation, where ``order`` is left out.
        order: the channel of the input that each channel of the output takes, int64 (channels,).
    """

    order: Tensor
    inverse_order: Tensor

    def __init__(self, channels: int, seed: int = 0, order: Tensor | None = None) -> None:
        super().__init__()
        if order is None:
            order = torch.randperm(channels, generator=torch.Generator().manual_seed(seed))
        self.register_buffer("order", order)
        self.register_buffer("inverse_order", order.argsort())

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Permute axis 1."""
        return x[:, self.order], x.new_zeros(len(x))

    def inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Permute axis 1 back."""
        return z[:, self.inverse_order], z.new_zeros(len(z))


class InvertibleConv(Flow):
    """A learned invertible mix of the channels, ``z = W x``, the same at every pixel (Glow, arXiv 1807.03039).

    A 1x1 convolution on images (N, C, H, W), a matrix on vectors (N, C). ``W = P L (U + diag(s))``: P is a permutation
    and stays, as do the signs of s; L is lower triangular with ones on its diagonal, U strictly upper triangular. So
    ``log|det W|`` is the sum of ``log|s|``, and the inverse takes two triangular solves. W starts as a rotation, and
    never runs in less than float32.

    Args:
        channels: size of axis 1.
        seed: decides the rotation.
    """

    permutation: Tensor
    sign: Tensor

    def __init__(self, channels: int, seed: int = 0) -> None:
        super().__init__()
        drawn = torch.randn(channels, channels, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        permutation, lower, upper = (m.float() for m in torch.linalg.lu(torch.linalg.qr(drawn).Q))
        diagonal = upper.diagonal()
        self.register_buffer("permutation", permutation)
        self.register_buffer("sign", diagonal.sign())
        self.lower = nn.Parameter(lower.tril(-1))
        self.upper = nn.Parameter(upper.triu(1))
        self.log_scale = nn.Parameter(diagonal.abs().log())

    def _triangular(self) -> tuple[Tensor, Tensor]:
        lower = self.lower.tril(-1) + torch.eye(len(self.lower), dtype=self.lower.dtype, device=self.lower.device)
        return lower, self.upper.triu(1) + torch.diag(self.sign * self.log_scale.exp())

    def _mixed(self, x: Tensor, matrix: Tensor) -> tuple[Tensor, Tensor]:
        """``matrix`` applied to axis 1 of ``x``, and log|det| of W on all pixels."""
        mixed = (matrix @ x.reshape(*x.shape[:2], -1)).view(x.shape)
        return mixed, (self.log_scale.sum() * x[0, 0].numel()).expand(len(x))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mix the channels."""
        with torch.autocast(x.device.type, enabled=False):
            lower, upper = self._triangular()
            return self._mixed(x, self.permutation @ lower @ upper)

    def inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Mix the channels back."""
        with torch.autocast(z.device.type, enabled=False):
            lower, upper = self._triangular()
            half = torch.linalg.solve_triangular(lower, self.permutation.T, upper=False, unitriangular=True)
            x, log_det = self._mixed(z, torch.linalg.solve_triangular(upper, half, upper=True))
            return x, -log_det


class Logit(Flow):
    """Images in [-1, 1] to the real line: ``y = logit(alpha + (1 - 2 alpha) (x + 1) / 2)``.

    The bound ``alpha`` (RealNVP takes 0.05) keeps ``y`` finite on all of [-1, 1]: ``|y| <= logit(1 - alpha)``.
    The inverse is exact; it maps the real line to the open interval ``(-1, 1) / (1 - 2 alpha)``, where a number that
    rounding would put on the end (from ``|y|`` of 17 on in float32) becomes the last one inside, so that the way back
    stays finite. Runs in float32 (or float64), never in a lower precision.
    """

    def __init__(self, alpha: float = 0.05) -> None:
        super().__init__()
        if not 0.0 < alpha < 0.5:
            raise ValueError(f"alpha is {alpha}, but the logit's bound lies between 0 and 0.5 (RealNVP takes 0.05).")
        self.scale = 1.0 - 2.0 * alpha

    def _log_det(self, y: Tensor) -> Tensor:
        # log dy/dx = log(2 scale) - log(1 - tanh(y/2)^2), written so that it neither overflows nor cancels.
        log_cosh = 0.5 * y.abs() + F.softplus(-y.abs()) - math.log(2.0)
        return (math.log(2.0 * self.scale) + 2.0 * log_cosh).flatten(1).sum(1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Pixels to logits; ``logit((1 + u) / 2)`` is ``2 artanh(u)``."""
        y = 2.0 * torch.atanh(_inside(self.scale * x))
        return y, self._log_det(y)

    def inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Logits to pixels."""
        return _inside(torch.tanh(0.5 * z)) / self.scale, -self._log_det(z)


def _inside(x: Tensor) -> Tensor:
    """``x`` in [-1, 1], with the ends moved to the next numbers inside."""
    end = 1.0 - 0.5 * torch.finfo(x.dtype).eps
    return x.clamp(-end, end)


def dequantize(images: Tensor, levels: int | None = 256, noise: Tensor | None = None) -> Tensor:
    """Spread each stored value over its bin: ``(v + u) / levels`` with u uniform in [0, 1), back in [-1, 1].

    Args:
        images: (N, C, H, W) in [-1, 1], whose values are ``2 v / (levels - 1) - 1`` for whole ``v``.
        levels: how many values a pixel can take; 256 for 8-bit images; None for vectors, which come back as they are.
        noise: u, of a shape that broadcasts to that of the images; drawn anew when left out.

    Returns:
        Images in [-1, 1) whose density bounds the probability of the stored ones (Theis et al., arXiv 1511.01844).
    """
    if levels is None:
        return images
    noise = torch.rand_like(images) if noise is None else noise
    values = ((images + 1.0) * (0.5 * (levels - 1))).round()
    return (values + noise) * (2.0 / levels) - 1.0


def bin_centre(levels: int | None = 256) -> float:
    """The factor that takes stored values to the middle of the bins that :func:`dequantize` spreads them over.

    Stored values are ``2 v / (levels - 1) - 1`` for whole ``v``, the middle of a bin is ``2 (v + 0.5) / levels - 1``. A
    flow that learned from dequantised images takes images without noise there: at the lower edge of its bin a value is
    on the very border of all that the flow has seen.

    Args:
        levels: how many values a pixel can take; None for vectors, which have no bins: 1.
    """
    return 1.0 if levels is None else (levels - 1) / levels
