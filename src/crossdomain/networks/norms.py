"""Normalisation layers by name."""

from __future__ import annotations

from typing import Literal

from torch import nn

Norm = Literal["instance", "batch", "none"]


def make_norm(norm: Norm, channels: int) -> nn.Module:
    """Return the normalisation of ``channels`` feature maps.

    ``instance`` has no learned scale and keeps no running statistics, so that training and evaluation mode are the
    same; ``batch`` has both; ``none`` is the identity.
    """
    if norm == "instance":
        return nn.InstanceNorm2d(channels)
    if norm == "batch":
        return nn.BatchNorm2d(channels)
    if norm == "none":
        return nn.Identity()
    raise ValueError(f"norm is {norm!r}, but has to be 'instance', 'batch' or 'none'.")
