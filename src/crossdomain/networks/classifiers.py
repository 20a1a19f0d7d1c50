"""Classifiers: what domain adaptation trains, and what judges translations."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from torch import Tensor, nn

from crossdomain.checks import at_least


class ConvClassifier(nn.Module):
    """A small classifier: three 3x3 convolutions with batch norm, two poolings, dropout, one linear layer.

    Args:
        in_channels: channels of the image.
        out_channels: number of classes.
        width: channels of the first convolution; the others have twice as many.
        dropout: probability of dropping a feature before the linear layer.
    """

    def __init__(self, in_channels: int, out_channels: int, width: int = 32, dropout: float = 0.3) -> None:
        super().__init__()
        at_least(1, self, out_channels=out_channels, width=width)

        def stage(channels: int, wider: int) -> list[nn.Module]:
            conv = nn.Conv2d(channels, wider, 3, padding=1, bias=False)
            return [conv, nn.BatchNorm2d(wider), nn.ReLU(inplace=True)]

        self.model = nn.Sequential(
            *stage(in_channels, width),
            nn.MaxPool2d(2),
            *stage(width, 2 * width),
            nn.MaxPool2d(2),
            *stage(2 * width, 2 * width),
            nn.AdaptiveAvgPool2d(2),
            nn.Flatten(),
            nn.Dropout(dropout),
            nn.Linear(8 * width, out_channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) in [-1, 1], at least 8 px, to logits (N, out_channels)."""
        return self.model(x)

    def features(self, x: Tensor) -> Tensor:
        """What the linear layer reads, without dropout: (N, in_channels, H, W) to (N, 8 width)."""
        return self.model[:-2](x)


class LeNet(nn.Module):
    """LeNet as CyCADA (Hoffman et al., ICML 2018) has it between MNIST and USPS; 431,080 parameters at 28 px.

    Two 5x5 convolutions without padding, of 20 and 50 channels, each with a pooling, then a hidden layer of 500 units.

    Args:
        in_channels: channels of the image.
        out_channels: number of classes.
        size: height and width of the images, at least 16.
        dropout: probability of dropping a channel of the second convolution, and a hidden unit.
    """

    def __init__(self, in_channels: int, out_channels: int, size: int = 28, dropout: float = 0.5) -> None:
        super().__init__()
        at_least(1, self, out_channels=out_channels)
        at_least(16, self, size=size)
        side = ((size - 4) // 2 - 4) // 2
        self.model = nn.Sequential(
            nn.Conv2d(in_channels, 20, 5),
            nn.MaxPool2d(2),
            nn.ReLU(inplace=True),
            nn.Conv2d(20, 50, 5),
            nn.Dropout2d(dropout),
            nn.MaxPool2d(2),
            nn.ReLU(inplace=True),
            nn.Flatten(),
            nn.Linear(50 * side * side, 500),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Linear(500, out_channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, size, size) in [-1, 1] to logits (N, out_channels)."""
        return self.model(x)

    def features(self, x: Tensor) -> Tensor:
        """What the last layer reads, without its dropout: (N, in_channels, size, size) to (N, 500)."""
        return self.model[:-2](x)


class StridedClassifier(nn.Module):
    """A small classifier that keeps places: 4x4 convolutions of stride 2 with batch norm, then one hidden layer.

    Args:
        in_channels: channels of the image.
        out_channels: number of outputs.
        width: channels of the first convolution; the others have twice as many.
        layers: convolutions.
        grid: the last features are averaged to this many places in height and width.
        hidden: width of the hidden layer.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        width: int = 32,
        layers: int = 3,
        grid: int = 8,
        hidden: int = 256,
    ) -> None:
        super().__init__()
        at_least(1, self, width=width, layers=layers, grid=grid, hidden=hidden)
        widths = [in_channels, width, *[2 * width] * (layers - 1)]
        features: list[nn.Module] = []
        for channels, wider in pairwise(widths):
            conv = nn.Conv2d(channels, wider, 4, stride=2, padding=1, bias=False)
            features += [conv, nn.BatchNorm2d(wider), nn.ReLU(inplace=True)]
        self.model = nn.Sequential(
            *features,
            nn.AdaptiveAvgPool2d(grid),
            nn.Flatten(),
            nn.Linear(widths[-1] * grid * grid, hidden),
            nn.ReLU(inplace=True),
            nn.Linear(hidden, out_channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) in [-1, 1], at least ``2 ** layers`` px, to (N, out_channels)."""
        return self.model(x)


class TimmClassifier(nn.Module):
    """Any classifier of the timm library.

    Args:
        in_channels: channels of the image.
        out_channels: number of classes.
        name: timm's name of the architecture, such as ``resnet10t``.
        pretrained: start from timm's weights, which timm downloads.
    """

    def __init__(self, in_channels: int, out_channels: int, name: str = "resnet10t", pretrained: bool = False) -> None:
        super().__init__()
        import timm  # takes a second to import, so only where it is used

        if not timm.is_model(name):
            close = timm.list_models(f"{name[:4]}*")[:5]
            raise ValueError(f"timm has no architecture {name!r}; near it: {', '.join(close) or 'none'}.")
        self.model: Any = timm.create_model(name, pretrained=pretrained, in_chans=in_channels, num_classes=out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) in [-1, 1] to logits (N, out_channels)."""
        return self.model(x)

    def features(self, x: Tensor) -> Tensor:
        """What the last layer reads: (N, in_channels, H, W) to (N, D)."""
        return self.model.forward_head(self.model.forward_features(x), pre_logits=True).flatten(1)
