"""Segmenters: what scores a translation by the classes that can be seen in it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from crossdomain.checks import at_least


class TimmSegmenter(nn.Module):
    """A feature pyramid (Lin et al., arXiv 1612.03144) on a backbone of the timm library.

    The backbone's maps, from coarse to fine, are each brought to ``width`` channels and added to what came from the
    coarser ones; classes are read off the sum at the finest map. Sums are interpolated to the size of the next map, so
    images may have any size.

    Args:
        in_channels: channels of the image.
        out_channels: number of classes.
        name: timm's name of a convolutional architecture, such as ``resnet10t``.
        stages: how many of the backbone's maps are used, the finest first; the rest of it is left out.
        width: channels of the pyramid.
        dropout: probability of dropping a feature before the last layer.
        pretrained: start from timm's weights, which timm downloads.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        name: str = "resnet10t",
        stages: int = 4,
        width: int = 64,
        dropout: float = 0.1,
        pretrained: bool = False,
    ) -> None:
        super().__init__()
        at_least(1, self, stages=stages, width=width)
        import timm  # takes a second to import, so only where it is used

        if not timm.is_model(name):
            close = timm.list_models(f"{name[:4]}*")[:5]
            raise ValueError(f"timm has no architecture {name!r}; near it: {', '.join(close) or 'none'}.")
        try:
            create: Callable[..., Any] = timm.create_model  # timm says of its networks that they are modules, no more
            self.backbone = create(
                name, pretrained=pretrained, features_only=True, in_chans=in_channels, out_indices=range(stages)
            )
        except (IndexError, RuntimeError):
            raise ValueError(
                f"timm's {name!r} does not give {stages} maps of features.\nUse fewer stages, or another architecture."
            ) from None
        channels = self.backbone.feature_info.channels()
        self.lateral = nn.ModuleList([nn.Conv2d(c, width, 1) for c in channels])
        self.head = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            nn.Dropout2d(dropout),
            nn.Conv2d(width, out_channels, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) in [-1, 1] to logits (N, out_channels, H, W)."""
        return _resized(self.head(self._pyramid(x)), x)

    def features(self, x: Tensor) -> Tensor:
        """What the last layer reads, without dropout, averaged over places: (N, in_channels, H, W) to (N, width)."""
        return self.head[:-2](self._pyramid(x)).mean((2, 3))

    def _pyramid(self, x: Tensor) -> Tensor:
        """The sum at the finest map, (N, width, h, w)."""
        *finer, pyramid = [lateral(f) for lateral, f in zip(self.lateral, self.backbone(x), strict=True)]
        for features in reversed(finer):
            pyramid = features + _resized(pyramid, features)
        return pyramid


def _resized(features: Tensor, like: Tensor) -> Tensor:
    """``features``, interpolated to the height and width of ``like``."""
    return F.interpolate(features, like.shape[2:], mode="bilinear")
