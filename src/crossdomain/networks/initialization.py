"""Initial weights."""

from __future__ import annotations

from torch import nn


def initialize_normal(network: nn.Module, deviation: float = 0.02) -> None:
    """Draw weights as DCGAN and its descendants do.

    Convolutions and linear layers from N(0, deviation^2) with zero bias; scales of affine norms from
    N(1, deviation^2) with zero shift.
    """
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
            nn.init.normal_(module.weight, 0.0, deviation)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, (nn.BatchNorm2d, nn.InstanceNorm2d)) and module.affine:
            nn.init.normal_(module.weight, 1.0, deviation)
            nn.init.zeros_(module.bias)
