"""Handwritten digits and their photocopies, embedded: nothing is downloaded."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from .base import DomainData
from .loading import DomainImages

# How many of the 1,797 digits go where. The two domains and the three splits share none.
SPLITS = {
    "a": {"train": 620, "val": 100, "test": 80},
    "b": {"train": 540, "val": 97, "test": 360},
}
RENDER_SIZE = 16
FADE = (0.25, 0.80)
BLUR = 0.7


def photocopy(ink: Tensor) -> Tensor:
    """Copy digits the way a poor photocopier does: ``0.25 + 0.55 * blur(thicken(ink))``.

    ``thicken`` takes the maximum over 3x3 pixels, ``blur`` is a Gaussian with a deviation of 0.7 pixels (edges
    repeated), and the rest fades black to 0.80 and white to 0.25.

    Args:
        ink: (N, 1, H, W) in [0, 1], 1 where there is ink.

    Returns:
        The same shape, in [0.25, 0.80].
    """
    thick = F.max_pool2d(ink, 3, stride=1, padding=1)
    offsets = torch.arange(-3, 4, dtype=ink.dtype)
    kernel = torch.softmax(-0.5 * (offsets / BLUR) ** 2, 0)
    padded = F.pad(thick, (3, 3, 3, 3), mode="replicate")
    soft = F.conv2d(F.conv2d(padded, kernel.view(1, 1, 1, -1)), kernel.view(1, 1, -1, 1))
    low, high = FADE
    return low + (high - low) * soft


class Digits(DomainData):
    """Domain a: handwritten digits, white ink on black. Domain b: photocopies of other handwritten digits.

    The digits are the 1,797 of 8x8 pixels that scikit-learn ships (a copy of the test set of the UCI ML hand-written
    digits, CC BY 4.0), enlarged to 16x16. The photocopy's formula is known (:func:`photocopy`), so val and test
    batches carry the truth of every translation, ``truth_a`` and ``truth_b``; training batches do not. Both domains
    are labelled. No digit appears in both domains or in two splits: a has 620 / 100 / 80 images in train / val /
    test, b has 540 / 97 / 360. The split is fixed, whatever ``seed`` is.

    Being embedded, it reads nothing from ``root`` and has nothing to ``download``.

    Args:
        root: as everywhere.
        download: as everywhere.
        batch_size: images of each domain in a batch, in every process.
        num_workers: processes that load.
        image_size: height and width; images are rendered at 16 px and resized when it differs.
        channels: 1, or 3 with all channels alike.
        seed: decides the order of training images.
    """

    domains = ("digits", "photocopies")

    def __init__(
        self,
        root: str | None = None,
        download: bool = False,
        batch_size: int = 64,
        num_workers: int = 0,
        image_size: int = 16,
        channels: int = 1,
        seed: int = 0,
    ) -> None:
        super().__init__(root, download, batch_size, num_workers, image_size, seed)
        if channels not in (1, 3):
            raise ValueError(f"data.channels is {channels}, but Digits come with 1 (grey) or 3 (RGB) channels.")
        self.channels = channels

    def _stored(self, values: Tensor) -> Tensor:
        """(N, 1, 16, 16) in [0, 1] to uint8 at the asked size and channels."""
        if self.image_size != RENDER_SIZE:
            values = F.interpolate(values, self.image_size, mode="bicubic", antialias=True)
        return (values.clamp(0, 1) * 255).round().to(torch.uint8).expand(-1, self.channels, -1, -1)

    def split(self, name: str) -> DomainImages:
        """Render one split."""
        from sklearn.datasets import load_digits  # slow to import, so only where it is needed

        digits = load_digits()
        small = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1) / 16
        ink = F.interpolate(small, RENDER_SIZE, mode="bicubic", antialias=True).clamp(0, 1)
        order = torch.randperm(len(ink), generator=torch.Generator().manual_seed(0))
        first = 0
        fields: dict[str, dict[str, Tensor | list]] = {}
        for domain, sizes in SPLITS.items():
            for split, size in sizes.items():
                if split == name:
                    chosen = order[first : first + size]
                    images = {"a": self._stored(ink[chosen]), "b": self._stored(photocopy(ink[chosen]))}
                    other = "b" if domain == "a" else "a"
                    fields[domain] = {
                        domain: images[domain],
                        f"label_{domain}": torch.tensor(digits.target[chosen.numpy()], dtype=torch.int64),
                        f"path_{domain}": [f"{self.domains['ab'.index(domain)]}/{i:04d}" for i in chosen.tolist()],
                    }
                    if name != "train":
                        fields[domain][f"truth_{other}"] = images[other]
                first += size
        return DomainImages(fields["a"], fields["b"])
