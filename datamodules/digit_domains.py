"""Handwritten and printed digits of several kinds, each of them a domain."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from torch import Tensor

from .base import DomainData, chosen_domains
from .digit_pair import SOURCES, fetch_digits, read_digits
from .digits import handwritten, invert, photocopy, print_digits, to_pixels
from .loading import DomainImages, fields_of

DigitKind = Literal["digits", "photocopies", "inverted", "printed", "mnist", "usps", "svhn"]

SIZES = {"train": 440, "val": 60, "test": 99}  # of each of the following: a third of the 1,797 digits
VERSIONS = {"digits": lambda ink: ink, "photocopies": photocopy, "inverted": invert}


class DigitDomains(DomainData):
    """Two or more kinds of digits, unpaired and labelled, at one size and number of channels.

    ===============  =============================================================  =======================
    kind             what it shows                                                  train / val / test
    ===============  =============================================================  =======================
    ``digits``       the handwritten digits of :class:`Digits`, white ink on black  440 / 60 / 99
    ``photocopies``  copies of other such digits                                    440 / 60 / 99
    ``inverted``     still other ones, black on white                               440 / 60 / 99
    ``printed``      digits in 20 typefaces, white on black                         620 / 100 / 80
    ``mnist``        as :class:`DigitPair` has it                                   54,000 / 6,000 / 10,000
    ``usps``         likewise                                                       6,562 / 729 / 2,007
    ``svhn``         house numbers, in colours, likewise                            65,932 / 7,325 / 26,032
    ===============  =============================================================  =======================

    The first three are made by formulas of scikit-learn's 1,797 digits, a third each: no digit appears in two of them
    or in two splits. What each should become in the other two is therefore known, and val and test batches say so, as
    ``truth_a2b`` and so on; training batches do not, and between all other kinds nothing is known. A kind holds the
    same images whatever stands beside it, in splits that are fixed, whatever ``seed`` is.

    The first four are embedded; the others are read from ``root``, where :class:`DigitPair` has them, too.

    Args:
        names: the kinds, two or more, the domains in this order.
        root: folder with the data; the environment variable ``CROSSDOMAIN_DATA``, else ``data``, when left out.
        download: let torchvision fetch what is missing below ``root``.
        batch_size: images of each domain in a batch, in every process.
        num_workers: processes that load.
        image_size: height and width in pixels, to which images are resized with a bicubic filter; embedded digits are
            rendered at 16 px.
        seed: decides the order of training images.

    Attributes:
        channels: 3 where ``svhn`` is among the kinds, grey ones being repeated, and 1 elsewhere.

    Raises:
        ValueError: fewer than two kinds, unknown ones or the same twice.
    """

    channels: int
    image_size: int

    def __init__(
        self,
        names: Sequence[DigitKind] = ("digits", "photocopies", "inverted", "printed"),
        root: str | None = None,
        download: bool = False,
        batch_size: int = 64,
        num_workers: int = 0,
        image_size: int = 32,
        seed: int = 0,
    ) -> None:
        super().__init__(root, download, batch_size, num_workers, image_size, seed)
        self.domains = chosen_domains("data.names", names, (*VERSIONS, "printed", *SOURCES))
        self.channels = 3 if "svhn" in self.domains else 1

    def prepare_data(self) -> None:
        """Download what is missing, if asked to; once on each machine."""
        if self.download:
            fetch_digits([kind for kind in self.domains if kind in SOURCES], self.root)

    def split(self, name: str) -> DomainImages:
        """Render or read one split."""
        fields = []
        for letter, kind in zip(self.letters, self.domains, strict=True):
            versions, labels, paths = self._kind(kind, name)
            images = {
                other: versions[shown]
                for other, shown in zip(self.letters, self.domains, strict=True)
                if shown == kind or (shown in versions and name != "train")
            }
            fields.append(fields_of(letter, images, label=labels, path=paths))
        return DomainImages(*fields)

    def _kind(self, kind: str, split: str) -> tuple[dict[str, Tensor], Tensor, list[str]]:
        """Images of one kind, as they are and as the other kinds that are known show them; labels and names."""
        if kind in SOURCES:
            images, labels, paths = read_digits(kind, split, self.root, self.image_size, self.channels)
            return {kind: images}, labels, paths
        if kind == "printed":
            ink, labels = print_digits(split)
            return {kind: self._pixels(ink)}, labels, [f"printed/{split}/{i:04d}" for i in range(len(ink))]
        ink, labels, parts = handwritten([*SIZES.values()] * len(VERSIONS))
        chosen = parts[len(SIZES) * list(VERSIONS).index(kind) + list(SIZES).index(split)]
        versions = {other: self._pixels(make(ink[chosen])) for other, make in VERSIONS.items()}
        return versions, labels[chosen], [f"{kind}/{i:04d}" for i in chosen.tolist()]

    def _pixels(self, ink: Tensor) -> Tensor:
        return to_pixels(ink, self.image_size, self.channels)
