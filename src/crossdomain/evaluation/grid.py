"""Labelled rows and columns of pictures, and plots of points, for people to look at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor
from torch.nn import functional as F

LABEL_WIDTH = 150
LABEL_HEIGHT = 56
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
    for name, images in rows:
        strip = _tiles(images, smallest).permute(1, 2, 0, 3).flatten(2)
        strips.append(torch.cat([_label(name, LABEL_WIDTH, strip.shape[1]), strip], 2))
    width = max(strip.shape[2] for strip in strips)
    padded = [F.pad(strip, (0, width - strip.shape[2]), value=255) for strip in strips]
    return torch.cat(padded, 1).round().to(torch.uint8)


def scatter_plots(
    plots: Mapping[str, Sequence[tuple[Tensor, Tensor | None]]], side: int = 320, first: int = 2
) -> Tensor:
    """Draw sets of vectors as points, one plot beside the other, on the same axes.

    The first plots decide the limits and, for vectors of more than two dimensions, the plane to project on (their
    principal axes), so that pictures of the same data can be compared.

    Args:
        plots: of each title the sets to draw over each other: vectors (N, D), and labels (N,) that colour them; sets
            without labels are grey.
        side: height and width of a plot in pixels.
        first: how many of the plots decide.

    Returns:
        uint8 (3, side, side * number of plots).
    """
    from matplotlib import colormaps  # slow to import, so only where it is needed
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    known = torch.cat([vectors for sets in list(plots.values())[:first] for vectors, _ in sets]).detach().float().cpu()
    centre, axes = torch.zeros(1), torch.eye(known.shape[1], 2)
    if known.shape[1] > 2:
        centre = known.mean(0)
        axes = torch.linalg.svd(known - centre, full_matrices=False).Vh[:2].T
    seen = (known - centre) @ axes
    margin = 0.15 * (seen.amax(0) - seen.amin(0)).max()
    low, high = (seen.amin(0) - margin).tolist(), (seen.amax(0) + margin).tolist()
    figure = Figure(figsize=(len(plots) * side / 100, side / 100), dpi=100, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(plots), sharex=True, sharey=True, squeeze=False)[0]
    for panel, (title, sets) in zip(panels, plots.items(), strict=True):
        panel.set_title(title, fontsize=10)
        panel.set(aspect="equal", xlim=(low[0], high[0]), ylim=(low[1], high[1]))
        for vectors, labels in sets:
            x, y = ((vectors.detach().float().cpu() - centre) @ axes).T.numpy()
            colours = "0.75" if labels is None else colormaps["tab10"](labels.cpu().numpy() % 10)
            panel.scatter(x, y, c=colours, s=4, linewidths=0)
    canvas.draw()  # type: ignore[no-untyped-call]
    pixels = np.asarray(canvas.buffer_rgba())[..., :3]  # type: ignore[no-untyped-call]
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1)


def labelled_columns(columns: Sequence[tuple[str, Tensor]], smallest: int = 96) -> Tensor:
    """Put columns of images beside each other, each below its name, which is broken at its hyphens.

    Arguments and result are those of :func:`labelled_grid`.
    """
    strips = []
    for name, images in columns:
        strip = _tiles(images, smallest).transpose(0, 1).flatten(1, 2)
        strips.append(torch.cat([_label(name.replace("-", "-\n"), strip.shape[2], LABEL_HEIGHT), strip], 1))
    height = max(strip.shape[1] for strip in strips)
    padded = [F.pad(strip, (0, 0, 0, height - strip.shape[1]), value=255) for strip in strips]
    return torch.cat(padded, 2).round().to(torch.uint8)


def _tiles(images: Tensor, smallest: int) -> Tensor:
    """(N, C, H, W) in [-1, 1] to (N, 3, h, w) in [0, 255], enlarged, with a gap to the right and below."""
    shown = images[:, : 3 if images.shape[1] >= 3 else 1]
    images = shown.detach().float().cpu().clamp(-1, 1).expand(-1, 3, -1, -1)
    factor = max(1, -(-smallest // max(images.shape[-2:])))
    images = F.interpolate(images, scale_factor=factor, mode="nearest")
    return F.pad((images + 1) * 127.5, (0, GAP, 0, GAP), value=255)


def _label(name: str, width: int, height: int) -> Tensor:
    """``name`` written on white, (3, height, width) in [0, 255]."""
    label = Image.new("RGB", (width, height), "white")
    ImageDraw.Draw(label).multiline_text((4, 4), name, fill="black", font=ImageFont.load_default(size=13))
    return torch.from_numpy(np.array(label)).permute(2, 0, 1).float()
