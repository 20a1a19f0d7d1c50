"""Image folders as domains: pairs side by side or in two folders, and unpaired ones."""

from __future__ import annotations

import os
from abc import abstractmethod
from pathlib import Path
from typing import Any

from torch import Tensor

from . import palettes
from .base import DomainData
from .downloads import fetch_folder
from .folder_images import DOMAINS, FolderImages, Source
from .image_files import levels_of, list_images

MIRROR = "CROSSDOMAIN_MIRROR"


class ImageFolder(DomainData):
    """What folders of images have in common; see :class:`PairedFolder` and :class:`UnpairedFolder`.

    Args:
        root: folder with the data; the environment variable ``CROSSDOMAIN_DATA``, else ``data``, when left out.
        folder: the dataset's folder below ``root``.
        download: fetch the folder while it is missing, where its name is one of ``archives``; others are refused.
        batch_size: training images of each domain in a batch, in every process; evaluation takes 8, or one at a time
            where images keep their sizes.
        num_workers: processes that load.
        image_size: side of the random square crop in training, in pixels; also the size in evaluation where
            ``load_size`` is given.
        load_size: images are resized to a square of this side before the crop; None crops from them as they are, and
            evaluation leaves them as they are.
        flip: mirror images at random in training.
        seed: decides order, crops and flips.
        expected_channels: channels of domain a and b; those of their first training images when left out. With a
            checkpoint, ``lightning`` gives those of its method.

    Attributes:
        archives: names of what can be downloaded.
        suffix: kind of the archives.
        mirrors: addresses below which the archives lie, the best first; the environment variable
            ``CROSSDOMAIN_MIRROR`` stands for all of them.
    """

    domains = ("a", "b")
    image_size: int
    folder = ""
    archives: tuple[str, ...] = ()
    suffix = ""
    mirrors: tuple[str, ...] = ()
    pairs = False  # image i of both domains belong together
    paired = False  # and training may know that

    def __init__(
        self,
        root: str | None = None,
        folder: str | None = None,
        download: bool = False,
        batch_size: int = 1,
        num_workers: int = 2,
        image_size: int = 256,
        load_size: int | None = None,
        flip: bool = True,
        seed: int = 0,
        expected_channels: tuple[int, int] | None = None,
    ) -> None:
        super().__init__(root, download, batch_size, num_workers, image_size, seed)
        if load_size is not None and load_size < image_size:
            raise ValueError(
                f"data.load_size is {load_size}, smaller than data.image_size, {image_size}, which is cropped from it."
            )
        self.path = self.root / (self.folder if folder is None else folder)
        self.load_size = load_size
        self.flip = flip
        self.evaluation_batch_size = 1 if load_size is None else 8
        self.expected_channels = expected_channels
        self._first: dict[str, Tensor | None] = {}

    @property
    def dataset(self) -> str:
        """The dataset's name: the class's own, or that of the folder."""
        return type(self).folder or self.path.name

    def prepare_data(self) -> None:
        """Download the folder when it is missing, if asked to; of several processes one does it.

        Raises:
            ConnectionError: it could not be fetched; another call resumes.
            ValueError: there is nothing to fetch it from, or the archive is damaged.
        """
        if not self.download or self.path.is_dir():
            return
        if self.dataset == "cityscapes":
            raise ValueError(
                "Cityscapes cannot be downloaded: for its licence, it is not passed on any more.\n"
                "Get leftImg8bit and gtFine from https://www.cityscapes-dataset.com, then build it by\n"
                f"crossdomain data cityscapes LEFTIMG8BIT GTFINE --output {self.path}"
            )
        if self.dataset not in self.archives:
            raise ValueError(
                f"{type(self).__name__} cannot download {self.dataset!r}, and there is no folder {str(self.path)!r}.\n"
                f"What can be downloaded: {', '.join(self.archives)}.\n"
                "Put your own images there, or set data.root and data.folder to where they are."
            )
        if "://" not in os.environ.get(MIRROR, "://"):
            raise ValueError(f"{MIRROR} is {os.environ[MIRROR]!r}, expected an address such as https://HOST/FOLDER.")
        mirrors = [os.environ[MIRROR]] if os.environ.get(MIRROR) else self.mirrors
        fetch_folder([f"{mirror.rstrip('/')}/{self.dataset}{self.suffix}" for mirror in mirrors], self.path)

    @abstractmethod
    def sources(self, name: str) -> tuple[list[Source], list[Source]]:
        """Images of both domains in the split ``train``, ``val`` or ``test``."""

    def _first_image(self, domain: str) -> Tensor | None:
        """The first training image of a domain, which tells channels and depth.

        Where there are no training images, as when a trained method is only applied, that of another split; None where
        there are such of the other domain alone.
        """
        if not self._first:
            try:
                found = self.sources("train")
            except FileNotFoundError as error:
                try:
                    found = self.sources("test")
                except FileNotFoundError:
                    raise error from None
            self._first = {d: images[0].read() if images else None for d, images in zip(DOMAINS, found, strict=True)}
        return self._first[domain]

    @property
    def channels(self) -> tuple[int, int]:  # type: ignore[override]  # the images', which nobody sets
        """Channels of both domains: those expected, else those of the first image, else those of the other domain.

        Raises:
            FileNotFoundError: the folder is not there, or not yet: ``prepare_data`` fetches what can be fetched.
        """
        if self.expected_channels is not None:
            a, b = self.expected_channels
            return a, b
        found = {domain: len(image) for domain in DOMAINS if (image := self._first_image(domain)) is not None}
        any_one = next(iter(found.values()))
        return found.get("a", any_one), found.get("b", any_one)

    @property
    def levels(self) -> int:  # type: ignore[override]  # the images'
        """How many values a pixel can take, in the deeper of the two domains."""
        return max(levels_of(image) for image in map(self._first_image, DOMAINS) if image is not None)

    def split(self, name: str) -> FolderImages:
        """List one split; images are read when a batch needs them."""
        a, b = self.sources(name)
        training = name == "train"
        return FolderImages(
            a,
            b,
            self.channels,
            self.image_size,
            self.load_size,
            self.flip,
            training,
            paired=self.paired,
            truth=self.paired if training else self.pairs,
            seed=self.seed,
        )

    def _folder_of(self, *names: str) -> Path:
        """The first of these folders that exists."""
        found = [self.path / name for name in names if (self.path / name).is_dir()]
        if not found:
            other = "."
            if not self.path.is_dir() and self.dataset == "cityscapes":
                other = ",\nor build it from your own copy by crossdomain data cityscapes."
            elif not self.path.is_dir() and self.dataset in self.archives:
                other = ",\nor fetch it with --data.download true."
            raise FileNotFoundError(
                f"There is no folder {' or '.join(names)} in {str(self.path.resolve())!r}.\n"
                f"Set data.root or CROSSDOMAIN_DATA to where the data is, and data.folder to its folder there{other}"
            )
        return found[0]


# Which folders may hold a split, the best first: not every dataset has all three.
SPLIT_FOLDERS = {"train": ("train",), "val": ("val", "test"), "test": ("test", "val")}


class PairedFolder(ImageFolder):
    """Pairs of images: one file for both, side by side, or folders ``A`` and ``B`` with files of the same names.

    Splits are the folders ``train``, ``val`` and ``test``; where one of the last two is missing the other one stands
    for it. In files that hold both, a is on the left and b on the right, as pix2pix has them. Evaluation batches carry
    ``truth_a2b`` and ``truth_b2a``. With ``download``, a folder named like one of pix2pix's archives is fetched from
    there.

    Args:
        paired: training draws pairs and knows their truth; False draws both domains independently, for unpaired
            methods, which are then still validated against the truth.
        options: those of :class:`ImageFolder`.
    """

    pairs = True
    archives = ("edges2handbags", "edges2shoes", "facades", "maps", "night2day")
    suffix = ".tar.gz"
    mirrors = ("http://efrosgans.eecs.berkeley.edu/pix2pix/datasets",)

    def __init__(self, paired: bool = True, **options: Any) -> None:
        super().__init__(**options)
        self.paired = paired

    def sources(self, name: str) -> tuple[list[Source], list[Source]]:
        """Pairs of the split, at the same place in both lists."""
        sources, problems = pairs_in(self._folder_of(*SPLIT_FOLDERS[name]))
        if problems:
            raise ValueError(
                f"{problems[0]} ({len(problems)} such files).\n"
                "Give both images of a pair the same name, which no other has, or use UnpairedFolder."
            )
        return sources


def pairs_in(folder: Path) -> tuple[tuple[list[Source], list[Source]], list[str]]:
    """The pairs of one split, at the same place in both lists, and what is wrong with other files, a line each.

    Raises:
        FileNotFoundError: there is no image in the folder, or in ``A`` or ``B`` where it has one of them.
    """
    if not any((folder / side).is_dir() for side in "AB"):
        files = list_images(folder)
        return ([Source(file, "left") for file in files], [Source(file, "right") for file in files]), []
    pairs, problems = _pair_up(folder / "A", folder / "B")
    return ([Source(a) for a, _ in pairs], [Source(b) for _, b in pairs]), problems


def _pair_up(folder_a: Path, folder_b: Path) -> tuple[list[tuple[Path, Path]], list[str]]:
    """Images of the same name in two folders, by name, and what is wrong with the others, a line each."""
    named: dict[str, tuple[list[Path], list[Path]]] = {}
    for side, folder in enumerate((folder_a, folder_b)):
        for file in list_images(folder):
            named.setdefault(file.stem, ([], []))[side].append(file)
    pairs, problems = [], []
    for name in sorted(named):
        files_a, files_b = named[name]
        if len(files_a) == len(files_b) == 1:
            pairs.append((files_a[0], files_b[0]))
        elif not files_a or not files_b:
            other = folder_a if files_b else folder_b
            problems += [f"{str(file)!r} has no partner in {other.name}" for file in files_a or files_b]
        else:
            first, second = (files_a if len(files_a) > 1 else files_b)[:2]
            problems.append(f"{str(first)!r} and {second.name!r} have one name, so their partners are not clear")
    return pairs, problems


class UnpairedFolder(ImageFolder):
    """Folders ``trainA``, ``trainB``, ``testA``, ``testB`` and, where there are, ``valA`` and ``valB``.

    Where val or test is missing, the other one stands for it; these may also hold one domain alone, whose translations
    are then tested or predicted. With ``download``, a folder named like one of CycleGAN's archives is fetched from
    there. Arguments are those of :class:`ImageFolder`.
    """

    archives = (
        "ae_photos",
        "apple2orange",
        "cezanne2photo",
        "facades",
        "horse2zebra",
        "iphone2dslr_flower",
        "maps",
        "monet2photo",
        "summer2winter_yosemite",
        "ukiyoe2photo",
        "vangogh2photo",
    )
    suffix = ".zip"
    mirrors = (
        "https://efrosgans.eecs.berkeley.edu/cyclegan/datasets",
        "https://people.eecs.berkeley.edu/~taesung_park/CycleGAN/datasets",
    )

    def sources(self, name: str) -> tuple[list[Source], list[Source]]:
        """Images of the split in both domains."""
        sides = {side: [f"{split}{side}" for split in SPLIT_FOLDERS[name]] for side in "AB"}
        there = [side for side, names in sides.items() if any((self.path / folder).is_dir() for folder in names)]
        needed = "AB" if name == "train" or not there else there
        a, b = (
            [Source(file) for file in list_images(self._folder_of(*names))] if side in needed else []
            for side, names in sides.items()
        )
        return a, b


class Facades(PairedFolder):
    """CMP Facades as pix2pix has them: a photo, b labels; 400 / 100 / 106 pairs of 256x256 px.

    The folders ``train``, ``val`` and ``test`` lie in ``root/facades``. Labels to photo is ``b2a``. Arguments are those
    of :class:`PairedFolder`.
    """

    domains = ("photo", "labels")
    folder = "facades"
    palette = palettes.FACADES


class Maps(PairedFolder):
    """Google Maps as pix2pix has them: a aerial photo, b map; 1,096 / 1,098 pairs of 600x600 px in train / val.

    The folders ``train`` and ``val`` lie in ``root/maps``. Arguments are those of :class:`PairedFolder`.
    """

    domains = ("aerial", "map")
    folder = "maps"


class Cityscapes(PairedFolder):
    """Cityscapes as pix2pix has them: a photo, b labels; 2,975 / 500 pairs of 256x256 px in train / val.

    The folders ``train`` and ``val`` lie in ``root/cityscapes``. They cannot be downloaded, but are built from the
    user's own copy by ``crossdomain data cityscapes``. Labels to photo is ``b2a``. Arguments are those of
    :class:`PairedFolder`.
    """

    domains = ("photo", "labels")
    folder = "cityscapes"
    palette = palettes.CITYSCAPES
