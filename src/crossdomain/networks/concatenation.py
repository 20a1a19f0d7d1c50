"""Images joined along their channels, as skip connections do, and vectors that join them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def memory_format(x: Tensor) -> torch.memory_format:
    """How ``x`` (N, C, H, W) is laid out: with channels last, or contiguous."""
    last = x.is_contiguous(memory_format=torch.channels_last)
    return torch.channels_last if last else torch.contiguous_format


def at_every_pixel(z: Tensor, x: Tensor) -> Tensor:
    """Vectors (N, latent) as images of the height, width, precision and layout of ``x``."""
    images = z.to(x.dtype)[:, :, None, None].expand(-1, -1, *x.shape[2:])
    return images.contiguous(memory_format=memory_format(x))


def concatenate(*parts: Tensor) -> Tensor:
    """Join images (N, C, H, W) along their channels, with gradients that are laid out densely.

    The gradients of ``torch.cat`` are slices of one tensor, and the gradient of a normalisation that receives such a
    slice takes about twenty times as long on a CPU.
    """
    return _Concatenation.apply(*parts)


class _Concatenation(torch.autograd.Function):
    @staticmethod
    def forward(*parts: Tensor) -> Tensor:
        return torch.cat(parts, 1)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        ctx.sizes = [part.shape[1] for part in inputs]

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, ...]:
        layout = memory_format(gradient)
        return tuple(part.contiguous(memory_format=layout) for part in gradient.split(ctx.sizes, 1))
