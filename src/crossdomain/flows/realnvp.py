"""RealNVP as AlignFlow's experiments use it."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import weight_norm

from crossdomain.checks import at_least
from crossdomain.flows.flow import FirstHalf, Flow, FlowSequence
from crossdomain.flows.layers import Logit, Permutation, Squeeze, Unsqueeze


class ResidualBlock(nn.Module):
    """Two weight-normalised 3x3 convolutions, each after batch norm and ReLU, added to the input."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(width)
        self.conv1 = weight_norm(nn.Conv2d(width, width, 3, padding=1, bias=False))
        self.norm2 = nn.BatchNorm2d(width)
        self.conv2 = weight_norm(nn.Conv2d(width, width, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        """(N, width, H, W) to the same shape."""
        hidden = self.conv1(F.relu(self.norm1(x)))
        return x + self.conv2(F.relu(self.norm2(hidden)))


class ResidualConditioner(nn.Module):
    """The network inside RealNVP's couplings: residual blocks whose outputs all reach the last layer.

    Args:
        in_channels: channels of what decides.
        out_channels: channels of the parameters it predicts.
        width: channels in between.
        blocks: number of residual blocks.
    """

    def __init__(self, in_channels: int, out_channels: int, width: int = 64, blocks: int = 8) -> None:
        super().__init__()
        at_least(1, self, width=width)
        at_least(0, self, blocks=blocks)

        def pointwise(channels: int) -> nn.Module:
            return weight_norm(nn.Conv2d(width, channels, 1))

        self.first = weight_norm(nn.Conv2d(in_channels, width, 3, padding=1))
        self.blocks = nn.ModuleList(ResidualBlock(width) for _ in range(blocks))
        self.skips = nn.ModuleList(pointwise(width) for _ in range(blocks + 1))
        self.norm = nn.BatchNorm2d(width)
        self.last = pointwise(out_channels)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                nn.init.normal_(module.weight, 1.0, 0.02)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) to (N, out_channels, H, W)."""
        x = self.first(x)
        total = self.skips[0](x)
        for block, skip in zip(self.blocks, self.skips[1:], strict=True):
            x = block(x)
            total = total + skip(x)
        return self.last(F.relu(self.norm(total)))


class _BatchNormCoupling(Flow):
    """``y = (x + t) exp(s)`` on the part that moves, with ``s = scale tanh(.) + offset`` for two learned scalars."""

    def __init__(self, kept: int, seen: int, moved: int, width: int, blocks: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(kept, affine=False)
        self.conditioner = ResidualConditioner(seen, 2 * moved, width, blocks)
        self.scale = nn.Parameter(torch.ones(1))
        self.offset = nn.Parameter(torch.zeros(1))

    def _parameters_from(self, seen: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Log-scale and shift; both signs of ``seen`` pass the ReLU before the conditioner."""
        log_scale, shift = self.conditioner(F.relu(seen)).to(dtype).chunk(2, 1)
        return self.scale * torch.tanh(log_scale) + self.offset, shift


class CheckerboardCoupling(_BatchNormCoupling):
    """Pixels on one colour of a checkerboard decide how the others move (RealNVP, arXiv 1605.08803, section 3.4).

    Args:
        channels: channels of the image, (N, C, H, W).
        even: the pixels that stay: those with even row + column, or the odd ones.
        width: channels inside the conditioner.
        blocks: residual blocks of the conditioner.
    """

    def __init__(self, channels: int, even: bool, width: int = 64, blocks: int = 8) -> None:
        super().__init__(channels, 2 * channels + 1, channels, width, blocks)
        self.even = even

    def _split(self, x: Tensor) -> tuple[Tensor, Tensor]:
        rows, columns = (torch.arange(side, device=x.device) for side in x.shape[2:])
        stays = ((rows[:, None] + columns) % 2 == (0 if self.even else 1)).to(x.dtype)
        kept = 2.0 * self.norm(x * stays)
        seen = torch.cat([kept, -kept, stays.expand(len(x), 1, -1, -1)], 1)
        log_scale, shift = self._parameters_from(seen, x.dtype)
        return log_scale * (1.0 - stays), shift * (1.0 - stays)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Shift, then scale the pixels that move."""
        log_scale, shift = self._split(x)
        return (x + shift) * log_scale.exp(), log_scale.flatten(1).sum(1)

    def inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Undo the scale, then the shift."""
        log_scale, shift = self._split(z)
        return z * (-log_scale).exp() - shift, -log_scale.flatten(1).sum(1)


class ChannelCoupling(_BatchNormCoupling):
    """Half of the channels decide how the other half moves.

    Args:
        channels: an even number.
        first: whether the first half stays, or the second.
        width: channels inside the conditioner.
        blocks: residual blocks of the conditioner.
    """

    def __init__(self, channels: int, first: bool, width: int = 64, blocks: int = 8) -> None:
        super().__init__(channels // 2, channels, channels // 2, width, blocks)
        self.first = first

    def _split(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        halves = x.chunk(2, 1)
        kept, moved = halves if self.first else halves[::-1]
        normed = self.norm(kept)
        return kept, moved, *self._parameters_from(torch.cat([normed, -normed], 1), x.dtype)

    def _join(self, kept: Tensor, moved: Tensor) -> Tensor:
        return torch.cat([kept, moved] if self.first else [moved, kept], 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Shift, then scale the half that moves."""
        kept, moved, log_scale, shift = self._split(x)
        return self._join(kept, (moved + shift) * log_scale.exp()), log_scale.flatten(1).sum(1)

    def inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Undo the scale, then the shift."""
        kept, moved, log_scale, shift = self._split(z)
        return self._join(kept, moved * (-log_scale).exp() - shift), -log_scale.flatten(1).sum(1)


def _by_position(channels: int) -> Tensor:
    """The order that groups squeezed channels by their place in the 2x2 block: both diagonals, one after the other.

    After it, the first half of the channels holds one colour of the checkerboard.
    """
    places = torch.tensor([0, 3, 1, 2])  # (0, 0), (1, 1), (0, 1), (1, 0); a channel's index is 2 dy + dx
    return (places[:, None] + 4 * torch.arange(channels)).flatten()


class RealNVP(FlowSequence):
    """Images in [-1, 1] to latents of the same shape, as AlignFlow's experiments have it.

    After Dinh et al. (arXiv 1605.08803) and the official code of Grover et al. (arXiv 1905.12892). Logit; then on each
    scale three checkerboard couplings, a squeeze, three couplings of channels, and the next scale on half of the
    channels, twice as wide; four checkerboard couplings on the last scale. Nothing is factored out. At 3 channels and
    2 scales it has 2,530,048 parameters with width 32 and 4 blocks, the setting of AlignFlow's experiments, and
    19,637,792 with the defaults.

    Its batch norms see the part of a batch that stays, so in training mode a map and its inverse agree on one batch
    as a whole only. :class:`ImageFlow` does the same work without that, and faster.

    Args:
        channels: channels of the image.
        scales: number of scales; height and width must be multiples of ``2 ** (scales - 1)``.
        width: channels inside the first scale's conditioners; couplings of channels have twice as many.
        blocks: residual blocks of each conditioner.
        alpha: bound of the logit, see :class:`Logit`.
    """

    def __init__(self, channels: int, scales: int = 2, width: int = 64, blocks: int = 8, alpha: float = 0.05) -> None:
        at_least(1, self, scales=scales, width=width, blocks=blocks)
        super().__init__([Logit(alpha), *_scale(channels, scales, width, blocks)])
        self.total_stride = 2 ** (scales - 1)


def _scale(channels: int, scales: int, width: int, blocks: int) -> list[Flow]:
    """One scale and, inside it, all that follow."""
    stays_even = [False, True, False] if scales > 1 else [False, True, False, True]
    flows: list[Flow] = [CheckerboardCoupling(channels, even, width, blocks) for even in stays_even]
    if scales == 1:
        return flows
    order = _by_position(channels)
    following = _scale(2 * channels, scales - 1, 2 * width, blocks)
    return [
        *flows,
        Squeeze(),
        *[ChannelCoupling(4 * channels, first, 2 * width, blocks) for first in (False, True, False)],
        Permutation(4 * channels, order=order),
        FirstHalf(FlowSequence(following)),
        Permutation(4 * channels, order=order.argsort()),
        Unsqueeze(),
    ]
