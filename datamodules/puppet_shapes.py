"""Shapes for PuppetGAN: scenes in hues of their own, and triplets that tell one factor from all the rest."""

from __future__ import annotations

import torch
from torch import Tensor

from .base import DomainData
from .loading import DomainImages, fields_of
from .shapes import COUNT, FACTORS, GEOMETRY, HELD_OUT, SMALLEST, render, to_factors, to_rows

TRAIN = 4_000  # images of a, and triplets
HUES = 5  # of each surface in domain a; the others are those of b


class PuppetShapes(DomainData):
    """Domain a: scenes of :class:`Shapes` in warm hues. Domain b: scenes in cold ones, as triplets of demonstrations.

    As in :class:`PuppetDigits` images of a, the real domain, come without any supervision, and triplets of b, the
    synthetic one, tell one attribute of interest from all the rest. Here that is a factor of 3D Shapes. The first five
    hues of floor, wall and object are those of a, the last five those of b, so that no picture could be in both; the
    attribute of interest takes all of its values in both.

    Batches hold, beside images,

    - ``b``: the scene that has the attribute of interest of ``reference_b`` and all other factors of ``rest_b``;
    - ``attributes_a`` and ``attributes_b``, (N, 6): the factors, in the order of Shapes, so that a predictor that was
      trained on its split ``all`` tells them of both domains;
    - in val and test ``truth_b2a``: the ``a`` at the same place with the attribute of interest of ``b``, which is what
      manipulating it means, and ``truth_a2b``: this ``b`` with that of ``a``.

    The attribute of interest is shared, all others are the guide's (the role ``both``), so that ``acc_NAME_b2a`` says
    of each factor how often a manipulation of a has the right one. 4,000 images of a and as many triplets train, 250
    are val and 500 test. Those splits are fixed, whatever ``seed`` is, and have no picture of a and no ``b`` in common.

    Args:
        attribute: the attribute of interest, one of the six factors.
        root: without effect: everything is rendered.
        download: without effect.
        batch_size: images of each domain in a batch, in every process.
        num_workers: processes that load.
        image_size: height and width in pixels, at least 16.
        seed: decides the order of training images.
        same_hues: all hues in both domains, so that they do not differ.

    Raises:
        ValueError: an attribute that there is not, or too small a picture.
    """

    domains = ("warm", "cold")
    channels = 3
    image_size: int
    attributes = FACTORS
    roles: dict[str, str]

    def __init__(
        self,
        attribute: str = "orientation",
        root: str | None = None,
        download: bool = False,
        batch_size: int = 16,
        num_workers: int = 0,
        image_size: int = 32,
        seed: int = 0,
        same_hues: bool = False,
    ) -> None:
        super().__init__(root, download, batch_size, num_workers, image_size, seed)
        if attribute not in FACTORS:
            raise ValueError(f"data.attribute is {attribute!r}, but scenes have {', '.join(FACTORS)}.")
        if image_size < SMALLEST:
            raise ValueError(f"data.image_size is {image_size}, but scenes cannot be seen below {SMALLEST} px.")
        self.attribute = attribute
        self.same_hues = same_hues
        self.roles = dict.fromkeys(FACTORS, "both") | {attribute: "shared"}

    def combinations(self, letter: str) -> Tensor:
        """The factors (N, 6) of all pictures of a domain, shuffled."""
        factors = to_factors(torch.randperm(COUNT, generator=torch.Generator().manual_seed(0)))
        if self.same_hues:
            return factors[letter == "b" :: 2]
        own = [name != self.attribute for name in FACTORS]
        hues = factors[:, [own[k] and k < GEOMETRY for k in range(len(FACTORS))]]
        return factors[((hues < HUES) == (letter == "a")).all(1)]

    def split(self, name: str) -> DomainImages:
        """Render one split."""
        first = {"val": 0, "test": HELD_OUT["val"], "train": sum(HELD_OUT.values())}[name]
        count = HELD_OUT.get(name, TRAIN)
        a, every = self.combinations("a")[first : first + count], self.combinations("b")
        b = every[first : first + count]
        random = torch.Generator().manual_seed(first)
        other, lent = every[torch.randint(len(every), (2, count), generator=random)]
        images = {"a": {"a": a}, "b": {"b": b}}
        if name != "train":
            images["a"]["b"], images["b"]["a"] = self._moved(b, a), self._moved(a, b)
        triplet = {"reference": self._moved(other, b), "rest": self._moved(b, lent)}
        fields = [
            fields_of(
                letter,
                {shown: self.images(wanted) for shown, wanted in images[letter].items()},
                attributes=own.float(),
                path=[f"{self.attribute}/{row:06d}" for row in to_rows(own).tolist()],
                **{part: self.images(wanted) for part, wanted in triplet.items() if letter == "b"},
            )
            for letter, own in (("a", a), ("b", b))
        ]
        return DomainImages(*fields)

    def images(self, factors: Tensor) -> Tensor:
        """Pictures of factors (N, 6), uint8 (N, 3, H, W)."""
        return render(factors, self.image_size)

    def _moved(self, factors: Tensor, reference: Tensor) -> Tensor:
        """Factors with the attribute of interest of others."""
        place = list(FACTORS).index(self.attribute)
        return torch.cat([factors[:, :place], reference[:, place : place + 1], factors[:, place + 1 :]], 1)
