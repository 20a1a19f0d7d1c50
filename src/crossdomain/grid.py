"""Labelled rows of pictures, for people to look at."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor
from torch.nn import functional as F

LABEL_WIDTH = 150
GAP = 3


def labelled_grid(rows: Sequence[tuple[str, Tensor]], smallest: int = 48) -> Tensor:
    """Put rows of images above each other, each with its name to the left.

    Args:
        rows: names and images (N, C, H, W) in [-1, 1], which are clamped; of 2 channels the
            first is shown, of more than 3 the first three.
        smallest: images with smaller sides are enlarged by a whole factor, without smoothing.

    Returns:
        uint8 (3, height, width).
    """
    strips = []
    font = ImageFont.load_default(size=13)
    for name, images in rows:
        shown = images[:, : 3 if images.shape[1] >= 3 else 1]
        images = shown.detach().float().cpu().clamp(-1, 1).expand(-1, 3, -1, -1)
        factor = max(1, -(-smallest // max(images.shape[-2:])))
        images = F.interpolate(images, scale_factor=factor, mode="nearest")
        images = F.pad((images + 1) * 127.5, (0, GAP, 0, GAP), value=255)
        strip = images.permute(1, 2, 0, 3).flatten(2)
        label = Image.new("RGB", (LABEL_WIDTH, strip.shape[1]), "white")
        ImageDraw.Draw(label).multiline_text((4, 4), name, fill="black", font=font)
        left = torch.from_numpy(np.array(label)).permute(2, 0, 1).float()
        strips.append(torch.cat([left, strip], 2))
    width = max(strip.shape[2] for strip in strips)
    padded = [F.pad(strip, (0, width - strip.shape[2]), value=255) for strip in strips]
    return torch.cat(padded, 1).round().to(torch.uint8)
