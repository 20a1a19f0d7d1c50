"""The U-Net generator of BiCycleGAN: an image and a latent vector in, an image out."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from crossdomain.checks import at_least
from crossdomain.networks.concatenation import at_every_pixel, concatenate
from crossdomain.networks.initialization import initialize_xavier
from crossdomain.networks.norms import Norm, make_norm
from crossdomain.networks.unet import Upsampling, doubled, to_image


class _Level(nn.Module):
    """One level: down by 2, what lies below, up by 2; inside the outermost one, with the input beside the output."""

    def __init__(
        self, down: list[nn.Module], below: _Level | None, up: list[nn.Module], latent: bool, outermost: bool
    ) -> None:
        super().__init__()
        self.down = nn.Sequential(*down)
        self.submodule = below
        self.up = nn.Sequential(*up)
        self.latent = latent
        self.outermost = outermost

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        seen = concatenate(x, at_every_pixel(z, x)) if self.latent else x
        inside = self.down(seen)
        outside = self.up(inside if self.submodule is None else self.submodule(inside, z))
        return outside if self.outermost else concatenate(outside, x)


class LatentUNetGenerator(nn.Module):
    """U-Net with a latent vector beside the image (Zhu et al., arXiv 1711.11586).

    As :class:`UNetGenerator`, but every convolution has a bias, and z is repeated over all pixels and joins the
    channels before each convolution on the way down, or before the first alone. Modules have the names of the official
    code where z goes into all layers. At 3 channels, a latent of 8 and width 64 it has 54,794,627 parameters with 8
    levels and 42,145,155 with 7; with z into the input alone 54,417,795 and 41,833,859.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output, which lies in [-1, 1].
        latent: length of z.
        inject: where z goes in: ``all`` layers on the way down, or the ``input``.
        width: channels after the first convolution; widths are w, 2w, 4w, 8w, 8w, ... on the way down.
        levels: how often the image is halved, at least 2; height and width must be multiples of ``2 ** levels``.
        norm: normalisation after each convolution but the first, the innermost and the last.
        dropout: probability of dropout after the decoder's levels of 8w channels, the innermost left out.
        upsample: as for :class:`UNetGenerator`.
        head: as for :class:`UNetGenerator`.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        latent: int,
        inject: Literal["all", "input"] = "all",
        width: int = 64,
        levels: int = 8,
        norm: Norm = "instance",
        dropout: float = 0.5,
        upsample: Upsampling = "transposed",
        head: int = 0,
    ) -> None:
        super().__init__()
        at_least(1, self, latent=latent, width=width)
        at_least(2, self, levels=levels)
        if inject not in ("all", "input"):
            raise ValueError(f"inject is {inject!r}, but has to be 'all' or 'input'.")
        self.total_stride = 2**levels
        self.upsample, self.head = upsample, head
        widths = [width * min(2**level, 8) for level in range(levels)]
        block: _Level | None = None
        for level in range(levels - 1, -1, -1):
            outermost, innermost = level == 0, block is None
            inside = widths[level]
            outside = in_channels if outermost else widths[level - 1]
            inject_here = outermost or inject == "all"
            down: list[nn.Module] = [] if outermost else [nn.LeakyReLU(0.2)]
            down.append(nn.Conv2d(outside + latent * inject_here, inside, 4, stride=2, padding=1))
            if not (outermost or innermost):
                down.append(make_norm(norm, inside))
            below = inside if innermost else 2 * inside
            up: list[nn.Module] = [nn.ReLU(inplace=True)]
            if outermost:
                up += to_image(below, out_channels, norm, head, upsample)
            else:
                up += [doubled(below, outside, upsample), make_norm(norm, outside)]
            if dropout and level >= 4 and not innermost:
                up.append(nn.Dropout(dropout))
            block = _Level(down, block, up, inject_here, outermost)
        assert block is not None  # there are two levels at least
        self.model = block
        initialize_xavier(self)

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        """(N, in_channels, H, W) in [-1, 1] and z (N, latent) to (N, out_channels, H, W) in [-1, 1]."""
        return self.model(x, z)
