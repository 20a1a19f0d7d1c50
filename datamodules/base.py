"""What all datamodules have in common."""

from __future__ import annotations

import os
from abc import abstractmethod
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningDataModule
from torch.utils.data import DataLoader

from .loading import DrawSampler, FixedDraws, make_loader


class DomainData(LightningDataModule):
    """Two domains, split into train, val and test.

    A batch is a dict. ``a`` and ``b`` are float32 (N, C, H, W) in [-1, 1], or vectors (N, D); ``label_a`` and
    ``label_b`` int64 (N,); ``truth_b`` is what ``a`` should become and ``truth_a`` what ``b`` should become, where
    known, and ``truths_b`` and ``truths_a``, (N, M, C, H, W), are all that they could become, where that is several;
    ``attributes_a`` and ``attributes_b``, float32 (N, K), say what the images show; ``path_a`` and ``path_b`` are lists
    of str that name them.

    Args:
        root: folder with the data; the environment variable ``CROSSDOMAIN_DATA``, else ``data``, when left out.
        download: fetch what is missing below ``root``.
        batch_size: images of each domain in a batch, in every process.
        num_workers: processes that load; 0 loads in the training process.
        image_size: height and width in pixels; None for vectors.
        seed: decides the order of training images, together with the epoch.

    Attributes:
        domains: names of domain a and b.
        channels: channels of both domains.
        levels: how many values a pixel can take; None for vectors, which are no stored values.
        resize_filter: what brings images to ``image_size``.
        evaluation_batch_size: images in a batch of val and test; ``batch_size`` where None.
        palette: where one domain shows classes by colours: ``domain``, ``names``, ``colours`` (red, green and blue of
            each class, 0 to 255) and ``ignored`` (the colours of what is no class).
        attributes: where images have attributes: name to number of values; 0 for a real number.
        roles: where a translation is to keep some attributes and to take others from a guide: name to ``shared``, or
            to ``a`` or ``b``, the domain that the attribute is special to; in the other one it has one value.
    """

    domains: tuple[str, str]
    channels: int
    levels: int | None = 256
    resize_filter: str = "bicubic"
    evaluation_batch_size: int | None = None
    palette: dict[str, Any] | None = None
    attributes: dict[str, int] | None = None
    roles: dict[str, str] | None = None

    def __init__(
        self,
        root: str | None = None,
        download: bool = False,
        batch_size: int = 64,
        num_workers: int = 0,
        image_size: int | None = 32,
        seed: int = 0,
    ) -> None:
        super().__init__()
        least = {"batch_size": (batch_size, 1), "num_workers": (num_workers, 0), "seed": (seed, 0)}
        for name, (number, minimum) in {**least, "image_size": (image_size, 1)}.items():
            if number is not None and number < minimum:
                raise ValueError(f"data.{name} is {number}, but has to be at least {minimum}.")
        self.root = Path(root or os.environ.get("CROSSDOMAIN_DATA") or "data")
        self.download = download
        self.batch_size = batch_size
        self.num_workers = num_workers
        self.image_size = image_size
        self.seed = seed
        self.splits: dict[str, Any] = {}

    @property
    def channels_a(self) -> int:
        """Channels of domain a: ``channels``, unless a subclass has domains that differ."""
        return self.channels

    @property
    def channels_b(self) -> int:
        """Channels of domain b, likewise."""
        return self.channels

    @abstractmethod
    def split(self, name: str) -> Any:
        """Open the split ``train``, ``val`` or ``test``, as a dataset with the methods of :class:`DomainImages`."""

    def spec(self) -> dict[str, Any]:
        """What a checkpoint notes, so that a user's picture can be prepared the way these were."""
        return {
            "domains": list(self.domains),
            "channels": [self.channels_a, self.channels_b],
            "image_size": self.image_size,
            "resize_filter": self.resize_filter,
            "levels": self.levels,
            "palette": self.palette,
            "attributes": self.attributes,
            "roles": self.roles,
        }

    def setup(self, stage: str) -> None:
        """Read the splits that ``stage`` needs; ``predict`` takes the test split."""
        names = {"fit": ("train", "val"), "validate": ("val",)}.get(stage, ("test",))
        for name in names:
            if name not in self.splits:
                self.splits[name] = self.split(name)

    def _loader(self, name: str) -> DataLoader:
        dataset, training = self.splits[name], name == "train"
        world_size, rank = (1, 0) if self.trainer is None else (self.trainer.world_size, self.trainer.global_rank)
        fixed = self.trainer is not None and self.trainer.overfit_batches > 0
        sampler = (FixedDraws if fixed else DrawSampler)(
            *dataset.lengths(),
            training=training,
            paired=dataset.paired,
            seed=self.seed,
            rank=rank,
            world_size=world_size,
        )
        if training and len(sampler) < self.batch_size:
            raise ValueError(
                f"The training split has {len(dataset)} images, fewer than one batch of {self.batch_size} in each of "
                f"{world_size} process(es).\nLower data.batch_size to at most {len(sampler)}."
            )
        return make_loader(
            dataset,
            sampler,
            batch_size=self.batch_size if training else self.evaluation_batch_size or self.batch_size,
            num_workers=self.num_workers,
            persistent_workers=training and self.num_workers > 0,
            pin_memory=torch.cuda.is_available(),
        )

    def train_dataloader(self) -> DataLoader:
        """Shuffled batches, all of full size; domains are drawn independently."""
        return self._loader("train")

    def val_dataloader(self) -> DataLoader:
        """The val split in order."""
        return self._loader("val")

    def test_dataloader(self) -> DataLoader:
        """The test split in order."""
        return self._loader("test")

    def predict_dataloader(self) -> DataLoader:
        """The test split in order."""
        return self._loader("test")
