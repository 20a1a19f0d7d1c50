"""Critics: networks that score how real an image looks."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from crossdomain.checks import at_least
from crossdomain.networks.initialization import initialize_normal, initialize_xavier
from crossdomain.networks.norms import Norm, has_shift, make_norm, normalize_spectrally


class PatchCritic(nn.Module):
    """PatchGAN: one logit for each patch of the image (Isola et al., arXiv 1611.07004).

    4x4 convolutions: C-w without norm, then ``layers`` - 1 of stride 2 and one of stride 1 with norm, their widths
    doubling up to 8w, then one logit. A logit sees 16, 34, 70, 142 or 286 pixels with 1 to 5 layers. Modules lie at
    the indices of the official code. At 3 channels, width 64 and 3 layers it has 2,764,737 parameters, and 2,765,633
    with ``instance_affine``.

    Args:
        in_channels: channels of the image.
        out_channels: logits for each patch.
        width: channels after the first convolution.
        layers: convolutions of stride 2.
        norm: normalisation after each convolution but the first and the last.
        spectral_norm: whether weights are divided by their largest singular value.
        noise: standard deviation of normal noise that is added to all images in training, real and generated, on their
            scale (instance noise, Sonderby et al., arXiv 1610.04490): what is finer, and fainter, cannot give a
            generated image away.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        width: int = 64,
        layers: int = 3,
        norm: Norm = "instance",
        spectral_norm: bool = False,
        noise: float = 0.0,
    ) -> None:
        super().__init__()
        at_least(1, self, width=width, layers=layers)
        at_least(0, self, noise=noise)
        self.noise = noise
        bias = not has_shift(norm)
        modules: list[nn.Module] = [
            nn.Conv2d(in_channels, width, 4, stride=2, padding=1),
            nn.LeakyReLU(0.2, True),
        ]
        channels = width
        for layer in range(1, layers + 1):
            wider = width * min(2**layer, 8)
            modules += [
                nn.Conv2d(channels, wider, 4, stride=2 if layer < layers else 1, padding=1, bias=bias),
                make_norm(norm, wider),
                nn.LeakyReLU(0.2, True),
            ]
            channels = wider
        modules.append(nn.Conv2d(channels, out_channels, 4, padding=1))
        self.model = nn.Sequential(*modules)
        initialize_normal(self)
        if spectral_norm:
            normalize_spectrally(self)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) to logits (N, out_channels, h, w)."""
        if self.training and self.noise > 0:
            x = x + self.noise * torch.randn_like(x)
        return self.model(x)


def batch_patch_critic(in_channels: int, out_channels: int) -> PatchCritic:
    """The 70x70 critic of pix2pix, with batch norm."""
    return PatchCritic(in_channels, out_channels, norm="batch")


def affine_patch_critic(in_channels: int, out_channels: int) -> PatchCritic:
    """The critic of RIFT, whose instance norms have scales."""
    return PatchCritic(in_channels, out_channels, norm="instance_affine")


class PixelCritic(nn.Module):
    """PixelGAN: one logit for each pixel, which sees no other (Isola et al., arXiv 1611.07004).

    1x1 convolutions: C-w without norm, C-2w with norm, one logit. Modules lie at the indices of the official code. At 6
    channels and width 64 it has 9,024 parameters with batch norm and 8,897 with instance norm.

    Args:
        in_channels: channels of the image.
        out_channels: logits for each pixel.
        width: w.
        norm: normalisation after the second convolution.
        spectral_norm: whether weights are divided by their largest singular value.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        width: int = 64,
        norm: Norm = "instance",
        spectral_norm: bool = False,
    ) -> None:
        super().__init__()
        at_least(1, self, width=width)
        bias = not has_shift(norm)
        self.net = nn.Sequential(
            nn.Conv2d(in_channels, width, 1),
            nn.LeakyReLU(0.2, True),
            nn.Conv2d(width, 2 * width, 1, bias=bias),
            make_norm(norm, 2 * width),
            nn.LeakyReLU(0.2, True),
            nn.Conv2d(2 * width, out_channels, 1, bias=bias),
        )
        initialize_normal(self)
        if spectral_norm:
            normalize_spectrally(self)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) to logits (N, out_channels, H, W)."""
        return self.net(x)


class CriticPyramid(nn.Module):
    """Several critics, each on images of half the size of the one before; objectives add up their losses.

    Args:
        critics: from the largest image to the smallest.
    """

    def __init__(self, critics: Iterable[nn.Module]) -> None:
        super().__init__()
        self.critics = nn.ModuleList(critics)
        at_least(1, self, scales=len(self.critics))

    def forward(self, x: Tensor) -> list[Tensor]:
        """(N, in_channels, H, W) to the logits of each scale, (N, out_channels, h, w)."""
        logits = []
        for scale, critic in enumerate(self.critics):
            if scale:
                x = F.avg_pool2d(x, 3, stride=2, padding=1, count_include_pad=False)
            logits.append(critic(x))
        return logits


class MultiScaleCritic(CriticPyramid):
    """Several :class:`PatchCritic`, each on images of half the size of the one before (Zhu et al., arXiv 1711.11586).

    Each has half the width of the one before. Objectives add up the losses of all scales. At 3 channels, width 64, 3
    layers and 2 scales it has 3,458,978 parameters.

    Args:
        in_channels: channels of the image.
        out_channels: logits for each patch.
        width: width of the critic of the full image.
        layers: convolutions of stride 2 in each.
        norm: normalisation in each.
        scales: how many.
        spectral_norm: whether weights are divided by their largest singular value.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        width: int = 64,
        layers: int = 3,
        norm: Norm = "instance",
        scales: int = 2,
        spectral_norm: bool = False,
    ) -> None:
        at_least(1, self, width=width, layers=layers, scales=scales)
        super().__init__(
            PatchCritic(in_channels, out_channels, max(1, width >> scale), layers, norm) for scale in range(scales)
        )
        initialize_xavier(self)
        if spectral_norm:
            normalize_spectrally(self)
