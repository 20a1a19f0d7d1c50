"""MNIST, USPS and SVHN, any two of them as domains."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torchvision import datasets

from .base import DomainData
from .loading import DomainImages, fields_of

DigitSet = Literal["mnist", "usps", "svhn"]

# Folder below root, and torchvision's class with the test or train split chosen.
SOURCES: dict[str, tuple[str, Callable[..., Any]]] = {
    "mnist": ("", lambda root, train, download: datasets.MNIST(root, train, download=download)),
    "usps": ("USPS", lambda root, train, download: datasets.USPS(root, train, download=download)),
    "svhn": (
        "SVHN",
        lambda root, train, download: datasets.SVHN(root, "train" if train else "test", download=download),
    ),
}


def fetch_digits(names: Iterable[str], root: Path) -> None:
    """Let torchvision fetch what is missing of some of :data:`SOURCES` below ``root``."""
    for name in names:
        for train in (True, False):
            _open(name, root, train, download=True)


def read_digits(name: str, split: str, root: Path, size: int, channels: int) -> tuple[Tensor, Tensor, list[str]]:
    """One split of a dataset.

    Args:
        name: one of :data:`SOURCES`.
        split: ``test``, the official one; ``val``, a fixed tenth of the official train split; ``train``, its rest.
        root: folder with the data.
        size: height and width in pixels, to which images are resized with a bicubic filter.
        channels: 3, or 1 for grey images.

    Returns:
        Images uint8 (N, ``channels``, ``size``, ``size``), labels int64 (N,) and names.

    Raises:
        FileNotFoundError: the dataset is not below ``root``, or not complete.
    """
    values, labels = _open(name, root, train=split != "test", download=False)
    chosen = torch.arange(len(values))
    if split != "test":
        order = torch.randperm(len(values), generator=torch.Generator().manual_seed(0))
        held_out = len(values) // 10
        chosen = order[:held_out] if split == "val" else order[held_out:]
    images = torch.from_numpy(values)[chosen]
    images = images.unsqueeze(1) if images.ndim == 3 else images
    if images.shape[-1] != size:
        resized = [
            F.interpolate(part.float(), size, mode="bicubic", antialias=True).clamp(0, 255).round().byte()
            for part in images.split(4096)
        ]
        images = torch.cat(resized)
    file = "test" if split == "test" else "train"
    paths = [f"{name}/{file}/{i:05d}" for i in chosen.tolist()]
    return images.expand(-1, channels, -1, -1), torch.from_numpy(labels.astype(np.int64))[chosen], paths


def _open(name: str, root: Path, train: bool, download: bool) -> tuple[np.ndarray, np.ndarray]:
    """Images uint8 (N, H, W) or (N, 3, H, W) and labels (N,)."""
    folder, make = SOURCES[name]
    where = root / folder
    if download:
        where.mkdir(parents=True, exist_ok=True)
    try:
        dataset = make(str(where), train, download)
    except (RuntimeError, OSError) as error:
        files = where / "MNIST" / "raw" if name == "mnist" else where
        raise FileNotFoundError(
            f"The dataset {name} is not complete in {files.resolve()} ({str(error).splitlines()[0]})\n"
            "Set data.root or CROSSDOMAIN_DATA to where it is, or fetch it with --data.download true."
        ) from None
    labels = dataset.labels if name == "svhn" else dataset.targets
    return np.asarray(dataset.data), np.asarray(labels)


class DigitPair(DomainData):
    """Two of MNIST, USPS and SVHN, unpaired and labelled, at one size and number of channels.

    Images come from torchvision's datasets, resized with a bicubic filter; grey ones are repeated to three channels
    when the other domain is SVHN. A fixed tenth of each train split is held out as val; test is the official test
    split, never seen in training. For ``mnist`` the files lie in ``root/MNIST/raw``, for the others in ``root/USPS``
    and ``root/SVHN``.

    Args:
        source: dataset of domain a.
        target: dataset of domain b.
        root: folder with the data; the environment variable ``CROSSDOMAIN_DATA``, else ``data``, when left out.
        download: let torchvision fetch what is missing below ``root``.
        batch_size: images of each domain in a batch, in every process.
        num_workers: processes that load.
        image_size: height and width in pixels.
        seed: decides the order of training images.
        labelled: letters of the domains whose labels train and val hand out; None is both. Test always has them.
        frequencies_a: how often training draws each class of domain a, in relation to the others, such as the
            estimated frequencies of domain b's classes; None draws all images equally often.
    """

    channels: int
    image_size: int

    def __init__(
        self,
        source: DigitSet = "mnist",
        target: DigitSet = "usps",
        root: str | None = None,
        download: bool = False,
        batch_size: int = 64,
        num_workers: int = 0,
        image_size: int = 32,
        seed: int = 0,
        labelled: list[str] | None = None,
        frequencies_a: list[float] | None = None,
    ) -> None:
        super().__init__(root, download, batch_size, num_workers, image_size, seed)
        self.labelled, self.frequencies_a = labelled, frequencies_a
        if source == target or not {source, target} <= set(SOURCES):
            raise ValueError(
                f"data.source is {source!r} and data.target is {target!r}.\n"
                "Give two different ones of mnist, usps, svhn."
            )
        self.domains = (source, target)
        self.channels = 3 if "svhn" in self.domains else 1

    def prepare_data(self) -> None:
        """Download what is missing, if asked to; once on each machine."""
        if self.download:
            fetch_digits(self.domains, self.root)

    def split(self, name: str) -> DomainImages:
        """Read one split of both datasets."""
        fields = []
        for letter, dataset in zip(self.letters, self.domains, strict=True):
            images, labels, paths = read_digits(dataset, name, self.root, self.image_size, self.channels)
            fields.append(fields_of(letter, {letter: images}, label=labels, path=paths))
        return DomainImages(*fields)
