"""Normalisation layers by name."""

from __future__ import annotations

from typing import Literal

from torch import nn
from torch.nn.utils import parametrizations

Norm = Literal["instance", "instance_affine", "batch", "none"]


def make_norm(norm: Norm, channels: int) -> nn.Module:
    """Return the normalisation of ``channels`` feature maps.

    ``instance`` has no learned scale and keeps no running statistics, so that training and evaluation mode are the
    same; ``instance_affine`` has a scale and a shift beside; ``batch`` has all of it; ``none`` is the identity.
    """
    if norm in ("instance", "instance_affine"):
        return nn.InstanceNorm2d(channels, affine=has_shift(norm))
    if norm == "batch":
        return nn.BatchNorm2d(channels)
    if norm == "none":
        return nn.Identity()
    raise ValueError(f"norm is {norm!r}, but has to be 'instance', 'instance_affine', 'batch' or 'none'.")


def has_shift(norm: Norm) -> bool:
    """Whether the normalisation learns a shift, beside which a convolution before it needs no bias."""
    return norm in ("instance_affine", "batch")


def normalize_spectrally(network: nn.Module) -> None:
    """Divide the weights of all convolutions and linear layers by their largest singular value (arXiv 1802.05957).

    A weight is taken as a matrix (channels out, rest), that of a transposed convolution also. Its singular vectors are
    buffers, which each pass in training mode brings nearer by one power iteration and none in evaluation mode does.
    Weights go by other names then (``parametrizations.weight.original``), and cannot be initialised any more: call
    this last.
    """
    for module in list(network.modules()):
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
            parametrizations.spectral_norm(module)
