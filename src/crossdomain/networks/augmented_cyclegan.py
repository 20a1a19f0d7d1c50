"""The networks of Augmented CycleGAN: a generator whose norms take a latent vector, critics of images and vectors."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional as F

from crossdomain.checks import at_least
from crossdomain.networks.initialization import initialize_normal


class _ConditionalNorm(nn.InstanceNorm2d):
    """Instance norm whose scale and shift are linear functions of z, cut off at 0 (conditional instance norm).

    Both are never negative: z switches off the channels whose scale and shift it takes below 0. Without z they are
    learned numbers.
    """

    def __init__(self, channels: int, latent: int) -> None:
        super().__init__(channels, affine=latent == 0)
        self.given = nn.Linear(latent, 2 * channels) if latent else None

    # z is what this norm takes more.
    def forward(self, x: Tensor, z: Tensor) -> Tensor:  # type: ignore[override]
        """(N, C, H, W) and (N, latent) to (N, C, H, W)."""
        x = super().forward(x)
        if self.given is None:
            return x
        scale, shift = F.relu(self.given(z))[..., None, None].chunk(2, 1)
        return x * scale + shift


class _Stage(nn.Module):
    """A convolution, the norm and ReLU."""

    def __init__(self, convolution: nn.Conv2d | nn.ConvTranspose2d, latent: int) -> None:
        super().__init__()
        self.convolution = convolution
        self.norm = _ConditionalNorm(convolution.out_channels, latent)

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        return F.relu(self.norm(self.convolution(x), z))


class _Block(nn.Module):
    """A residual block with ReLU after the sum; z sets the norm of its first convolution, which has none without z."""

    def __init__(self, channels: int, latent: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1, padding_mode="reflect")
        self.norm = _ConditionalNorm(channels, latent) if latent else None
        self.second = nn.Conv2d(channels, channels, 3, padding=1, padding_mode="reflect")
        self.last_norm = nn.InstanceNorm2d(channels, affine=True)

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        inside = self.first(x)
        if self.norm is not None:
            inside = self.norm(inside, z)
        return F.relu(x + self.last_norm(self.second(F.relu(inside))))


class ConditionalResNetGenerator(nn.Module):
    """A residual generator of an image and a vector z, by conditional instance norm (Almahairi et al., 1802.10151).

    A 7x7 convolution, 3x3 convolutions to 2w and 4w channels, of which the last halves the image, residual blocks and
    the same way back. Every norm but a block's second one takes its scale and its shift from z, neither of them ever
    negative. A generator without z has instance norms that learn both, and none inside its blocks. At 3 channels and
    width 32 it has 1,104,259 parameters with a latent of 16, and 1,080,963 without.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output, which lies in [-1, 1].
        latent: length of z; 0 for none.
        width: w, channels after the first convolution.
        blocks: residual blocks.
        halvings: how often the image is halved before them; from 3 on, convolutions of 4w channels are added.
    """

    def __init__(
        self, in_channels: int, out_channels: int, latent: int, width: int = 32, blocks: int = 3, halvings: int = 1
    ) -> None:
        super().__init__()
        at_least(1, self, width=width)
        at_least(0, self, latent=latent, blocks=blocks, halvings=halvings)
        self.total_stride = 2**halvings
        depth = max(halvings, 2)
        pairs = list(pairwise(width * min(2**n, 4) for n in range(depth + 1)))
        widest = pairs[-1][1]
        convolutions: list[nn.Conv2d | nn.ConvTranspose2d]
        convolutions = [nn.Conv2d(in_channels, width, 7, padding=3, padding_mode="reflect")]
        for n, (c, wider) in enumerate(pairs):
            convolutions.append(nn.Conv2d(c, wider, 3, stride=1 if n < depth - halvings else 2, padding=1))
        self.down = nn.ModuleList(_Stage(convolution, latent) for convolution in convolutions)
        self.blocks = nn.ModuleList(_Block(widest, latent) for _ in range(blocks))
        convolutions = []
        for n, (c, wider) in reversed(list(enumerate(pairs))):
            if n < depth - halvings:
                convolutions.append(nn.Conv2d(wider, c, 3, padding=1))
            else:
                convolutions.append(nn.ConvTranspose2d(wider, c, 3, stride=2, padding=1, output_padding=1))
        self.up = nn.ModuleList(_Stage(convolution, latent) for convolution in convolutions)
        self.last = nn.Conv2d(width, out_channels, 7, padding=3)
        initialize_normal(self)
        for module in self.modules():
            if isinstance(module, _ConditionalNorm) and module.given is not None:
                # Scales near 1: from 0 on, variances would come under the norms' epsilon and contents be lost.
                nn.init.ones_(module.given.bias.data[: module.num_features])

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        """(N, in_channels, H, W) in [-1, 1] and z (N, latent) to (N, out_channels, H, W) in [-1, 1]."""
        for part in (*self.down, *self.blocks, *self.up):
            x = part(x, z)
        return self.last(x).tanh()


def _critic(channels: int, kernel: int, strides: Sequence[int], width: int, last: nn.Conv2d) -> nn.Sequential:
    """Convolutions of widths w, 2w, 4w, 4w, ... with instance norm from the second on, all of them with biases."""
    modules: list[nn.Module] = []
    for n, stride in enumerate(strides):
        wider = width * min(2**n, 4)
        modules.append(nn.Conv2d(channels, wider, kernel, stride, padding=1))
        if n > 0:
            modules.append(nn.InstanceNorm2d(wider, affine=True))
        modules.append(nn.LeakyReLU(0.2, inplace=True))
        channels = wider
    return nn.Sequential(*modules, last)


class AugCycleGANCritic(nn.Module):
    """One logit for each patch, by a longer network than :class:`PatchCritic` (Almahairi et al., 1802.10151).

    4x4 convolutions: ``halvings`` of stride 2, two of stride 1, one to the logits. At 3 channels, width 64 and 2
    halvings it has 1,713,089 parameters, and gives 13x13 logits for 64 px.

    Args:
        in_channels: channels of the image.
        out_channels: logits for each patch.
        width: w, channels after the first convolution.
        halvings: convolutions of stride 2.
    """

    def __init__(self, in_channels: int, out_channels: int, width: int = 64, halvings: int = 2) -> None:
        super().__init__()
        at_least(1, self, width=width, halvings=halvings)
        strides = [2] * halvings + [1, 1]
        last = nn.Conv2d(width * min(2 ** (halvings + 1), 4), out_channels, 4, padding=1)
        self.model = _critic(in_channels, 4, strides, width, last)
        initialize_normal(self)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) to logits (N, out_channels, h, w)."""
        return self.model(x)


class WholeImageCritic(nn.Module):
    """One logit for an image of 64 px: for domains of simple images, such as edges (Almahairi et al., 1802.10151).

    3x3 convolutions of stride 2, and a 4x4 convolution without padding to the logits, of which larger images have
    several. At 3 channels, width 32 and 4 halvings it has 243,521 parameters.

    Args:
        in_channels: channels of the image.
        out_channels: logits.
        width: w, channels after the first convolution.
        halvings: convolutions of stride 2; the image has at least ``4 * 2 ** halvings`` px.
    """

    def __init__(self, in_channels: int, out_channels: int, width: int = 32, halvings: int = 4) -> None:
        super().__init__()
        at_least(1, self, width=width, halvings=halvings)
        last = nn.Conv2d(width * min(2 ** (halvings - 1), 4), out_channels, 4)
        self.model = _critic(in_channels, 3, [2] * halvings, width, last)
        initialize_normal(self)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) to logits (N, out_channels, h, w)."""
        return self.model(x)


class LatentCritic(nn.Sequential):
    """Linear layers with batch norm and leaky ReLU: how real a latent vector looks (Almahairi et al., 1802.10151).

    Batch norm sees drawn and encoded vectors in batches of their own, and so takes away how they differ in mean and
    variance, which the critic then cannot judge; it needs batches of 2 and more. From 16 numbers, at width 64 and with
    3 layers, it has 9,857 parameters.

    Args:
        in_channels: length of the vectors.
        out_channels: logits.
        width: units of the hidden layers.
        layers: hidden layers.
        batch_norm: whether they have batch norm.
    """

    def __init__(
        self, in_channels: int, out_channels: int, width: int = 64, layers: int = 3, batch_norm: bool = True
    ) -> None:
        at_least(1, self, width=width, layers=layers)
        modules: list[nn.Module] = []
        for seen in [in_channels] + [width] * (layers - 1):
            norm = nn.BatchNorm1d(width) if batch_norm else nn.Identity()
            modules += [nn.Linear(seen, width), norm, nn.LeakyReLU(0.2, inplace=True)]
        super().__init__(*modules, nn.Linear(width, out_channels))
