"""Facades drawn by rule, embedded: each style of ToyFacades as a domain of its own."""

from __future__ import annotations

from collections.abc import Sequence

from .base import DomainData, chosen_domains
from .loading import DomainImages, fields_of
from .toy_facades import STYLES, channels_first, check_size, draw_all_labels, photograph

SIZES = {"train": 500, "val": 50, "test": 100}  # houses of each style
WORDS = {"day": "by day", "evening": "in the evening"}
NAMES = tuple(f"{material} {WORDS[light]}" for material, light in STYLES)
"""The names of :data:`~crossdomain.datamodules.toy_facades.STYLES`, ``brick by day`` to ``timber in the evening``."""


class FacadeStyles(DomainData):
    """Up to eight domains, each the photos of :class:`ToyFacades` in one style: a material, by day or in the evening.

    The styles are ``brick``, ``plaster``, ``tiles`` and ``timber``, each ``by day`` and ``in the evening``. What a
    photo should become in another style is known: the same house photographed in that style
    (:func:`~crossdomain.datamodules.toy_facades.photograph`). Val and test batches say so for every ordered pair of
    domains, as ``truth_a2b``, ``truth_a2c``, ``truth_b2a``, ...; training batches do not, and no house is seen in two
    domains or in two splits.

    Each style has 500 / 50 / 100 houses in train / val / test. They are the style's own: functions of split and index,
    the same ones whatever ``seed`` is and whichever other styles are asked for. Being embedded, the data reads nothing
    from ``root`` and has nothing to ``download``. At 64 px all eight styles take 49 MB in train, 39 MB in val and 79 MB
    in test, truths included, and are drawn in about three seconds each.

    Args:
        styles: names of two or more styles, the domains in this order; all eight when left out.
        root: not read: the data is embedded.
        download: without effect: nothing is missing.
        batch_size: images of each domain in a batch, in every process.
        num_workers: processes that load.
        image_size: height and width in which pictures are drawn, at least 32.
        seed: decides the order of training images.

    Raises:
        ValueError: fewer than two styles, unknown ones or the same twice, or too small an ``image_size``.
    """

    channels = 3
    image_size: int

    def __init__(
        self,
        styles: Sequence[str] = NAMES,
        root: str | None = None,
        download: bool = False,
        batch_size: int = 16,
        num_workers: int = 0,
        image_size: int = 64,
        seed: int = 0,
    ) -> None:
        super().__init__(root, download, batch_size, num_workers, image_size, seed)
        check_size(self, image_size)
        self.domains = chosen_domains("data.styles", styles, NAMES)

    def split(self, name: str) -> DomainImages:
        """Draw one split."""
        count = SIZES[name]
        styles = {letter: NAMES.index(style) for letter, style in zip(self.letters, self.domains, strict=True)}
        fields = []
        for letter, style in styles.items():
            houses = range(style * count, (style + 1) * count)
            classes = draw_all_labels(name, houses, self.image_size)
            shown = {letter: style} if name == "train" else styles
            photos = {other: channels_first(photograph(classes, place)) for other, place in shown.items()}
            fields.append(fields_of(letter, photos, path=[f"{NAMES[style]}/{house:04d}" for house in houses]))
        return DomainImages(*fields)
