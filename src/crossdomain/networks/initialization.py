"""Initial weights."""

from __future__ import annotations

from torch import nn

_LAYERS = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)


def initialize_normal(network: nn.Module, deviation: float = 0.02) -> None:
    """Draw weights as DCGAN and its descendants do.

    Convolutions and linear layers from N(0, deviation^2) with zero bias; scales of affine norms from
    N(1, deviation^2) with zero shift.
    """
    for module in network.modules():
        if isinstance(module, _LAYERS):
            nn.init.normal_(module.weight, 0.0, deviation)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, (nn.BatchNorm2d, nn.InstanceNorm2d)) and module.affine:
            nn.init.normal_(module.weight, 1.0, deviation)
            nn.init.zeros_(module.bias)


def initialize_kaiming(network: nn.Module) -> None:
    """Draw weights as MUNIT's generators do: Kaiming's normal distribution for ReLUs, and zero bias."""
    for module in network.modules():
        if isinstance(module, _LAYERS):
            nn.init.kaiming_normal_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def initialize_xavier(network: nn.Module, gain: float = 0.02) -> None:
    """Draw weights as BiCycleGAN does: Xavier's normal distribution, far narrower than usual, and zero bias."""
    for module in network.modules():
        if isinstance(module, _LAYERS):
            nn.init.xavier_normal_(module.weight, gain)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
