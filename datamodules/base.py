"""What all datamodules have in common."""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from string import ascii_lowercase
from typing import Any

import torch
from lightning.pytorch import LightningDataModule
from torch.utils.data import DataLoader

from .loading import DrawSampler, FixedDraws, letters_of, make_loader


class DomainData(LightningDataModule):
    """One domain, two or many, split into train, val and test.

    Domains have the letters ``a``, ``b``, ``c``, ... in the order of ``domains``. A batch is a dict with these entries
    for each of them; they are written for ``a`` here, and for ``b`` as its target:

    - ``a``: images, float32 (N, C, H, W) in [-1, 1], or vectors (N, D) of no particular range;
    - ``label_a``: classes, int64 (N,);
    - ``attributes_a``: what the images show, float32 (N, K);
    - ``path_a``: their names, a list of N str;
    - ``truth_a2b``: what ``a`` should become in b, like ``b``; ``truths_a2b``, (N, M, C, H, W), is all that it could
      become, where that is several.

    All but the first are there only where they are known. In training N is ``batch_size`` for every domain. In
    evaluation shorter domains end earlier, so a batch may hold less of some domains, or nothing.

    A subclass sets ``domains`` and ``channels`` and defines :meth:`split`. No property downloads: what is fetched is
    there after ``prepare_data``, and a property that looks into files which are missing raises FileNotFoundError.

    Args:
        root: folder with the data; the environment variable ``CROSSDOMAIN_DATA``, else ``data``, when left out.
        download: fetch what is missing below ``root``.
        batch_size: images of each domain in a batch, in every process.
        num_workers: processes that load; 0 loads in the training process.
        image_size: height and width in pixels; None for vectors.
        seed: decides the order of training images, together with the epoch.

    Attributes:
        domains: a name for each domain, 1 to 26 different ones.
        channels: channels of images, or the length of vectors: a number for all domains, or one for each.
        levels: how many values a pixel can take; None for vectors, which are no stored values.
        resize_filter: what brings images to ``image_size``.
        evaluation_batch_size: images in a batch of val and test; ``batch_size`` where None.
        palette: where one domain shows classes by colours: ``domain`` (its letter), ``names``, ``colours`` (red,
            green and blue of each class, 0 to 255) and ``ignored`` (the colours of what is no class).
        attributes: where images have attributes: name to number of values; 0 for a real number.
        roles: where a translation is to keep some attributes and to take others from a guide: name to ``shared``, or
            to the letter of the domain that the attribute is special to, which has one value in others, or to ``both``,
            where each domain has its own and all translations take it from the guide.
        labelled: letters of the domains whose labels train and val hand out, where there are labels; None is all. Test
            always has them.
        frequencies_a: how often training draws the classes of domain a, in relation to each other; None draws all
            images equally often.
    """

    domains: tuple[str, ...]
    channels: int | Sequence[int]
    levels: int | None = 256
    resize_filter: str = "bicubic"
    evaluation_batch_size: int | None = None
    palette: dict[str, Any] | None = None
    attributes: dict[str, int] | None = None
    roles: dict[str, str] | None = None
    labelled: Sequence[str] | None = None
    frequencies_a: Sequence[float] | None = None

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
    def letters(self) -> tuple[str, ...]:
        """The letter of each domain."""
        return letters_of(len(self.domains))

    @property
    def all_channels(self) -> tuple[int, ...]:
        """Channels of each domain: ``channels``, repeated where it is one number.

        Raises:
            ValueError: ``channels`` is several numbers, but not one for each domain.
        """
        channels, domains = self.channels, self.domains
        if isinstance(channels, int):
            return (channels,) * len(domains)
        if len(channels) != len(domains):
            raise ValueError(
                f"{type(self).__name__} has {len(domains)} domains, but its channels are {list(channels)}.\n"
                "Set its channels to one number for all domains, or to one for each."
            )
        return tuple(channels)

    @property
    def channels_a(self) -> int:
        """Channels of domain a."""
        return self.all_channels[0]

    @property
    def channels_b(self) -> int | None:
        """Channels of domain b; None where there is no second domain."""
        return self.all_channels[1] if len(self.domains) > 1 else None

    @abstractmethod
    def split(self, name: str) -> Any:
        """Open the split ``train``, ``val`` or ``test``, as a dataset with the methods of :class:`DomainImages`."""

    def spec(self) -> dict[str, Any]:
        """What a checkpoint notes, so that a user's picture can be prepared the way these were."""
        return {
            "domains": list(self.domains),
            "channels": list(self.all_channels),
            "image_size": self.image_size,
            "resize_filter": self.resize_filter,
            "levels": self.levels,
            "palette": self.palette,
            "attributes": self.attributes,
            "roles": self.roles,
        }

    def setup(self, stage: str) -> None:
        """Read the splits that ``stage`` needs; ``predict`` takes the test split.

        Raises:
            ValueError: ``domains`` are none, too many or of one name, a split holds another number of domains, or
            ``labelled`` names one that there is not.
        """
        count = len(self.domains)
        if not 1 <= count <= len(ascii_lowercase) or len(set(self.domains)) < count:
            raise ValueError(
                f"{type(self).__name__} has the domains {list(self.domains)}.\n"
                f"Set its domains to 1 to {len(ascii_lowercase)} different names."
            )
        if self.labelled is not None and not set(self.labelled) <= set(self.letters):
            raise ValueError(
                f"data.labelled is {self.labelled!r}.\nGive letters of domains: {', '.join(self.letters)}."
            )
        names = {"fit": ("train", "val"), "validate": ("val",)}.get(stage, ("test",))
        for name in names:
            if name not in self.splits:
                dataset = self.split(name)
                if len(dataset.lengths()) != count:
                    raise ValueError(
                        f"The split {name!r} of {type(self).__name__} holds {len(dataset.lengths())} domains, but its "
                        f"domains are {list(self.domains)}.\nGive the fields of each domain, in this order."
                    )
                if name != "test" and self.labelled is not None:
                    dataset = dataset.without_labels(set(self.letters) - set(self.labelled))
                self.splits[name] = dataset

    def _loader(self, name: str) -> DataLoader:
        dataset, training = self.splits[name], name == "train"
        world_size, rank = (1, 0) if self.trainer is None else (self.trainer.world_size, self.trainer.global_rank)
        fixed = getattr(self.trainer, "overfit_batches", 0) > 0
        weights = [None] * len(self.domains)
        if training and self.frequencies_a is not None:
            weights[0] = dataset.weights("a", self.frequencies_a)
        sampler = (FixedDraws if fixed else DrawSampler)(
            dataset.lengths(),
            training=training,
            paired=dataset.paired,
            seed=self.seed,
            rank=rank,
            world_size=world_size,
            weights=weights,
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


def chosen_domains(option: str, names: Sequence[str], known: Sequence[str]) -> tuple[str, ...]:
    """The domains that an option of a datamodule asks for.

    Args:
        option: its name, for the message.
        names: what was given.
        known: what there is to choose from.

    Raises:
        ValueError: fewer than two names, an unknown one, or the same twice.
    """
    if isinstance(names, str) or len(names) < 2 or len(set(names)) < len(names) or not set(names) <= set(known):
        raise ValueError(f"{option} is {names!r}.\nGive two or more different ones of: {', '.join(known)}.")
    return tuple(names)
