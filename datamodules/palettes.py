"""Colours of the classes in pictures of labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Colour = tuple[int, int, int]


def _palette(domain: str, classes: dict[str, Colour], ignored: Sequence[Colour] = ()) -> dict[str, Any]:
    """The palette of :class:`DomainData`, in lists, as checkpoints hold it."""
    return {
        "domain": domain,
        "names": list(classes),
        "colours": [list(colour) for colour in classes.values()],
        "ignored": [list(colour) for colour in ignored],
    }


FACADES = _palette(
    "b",
    {
        "background": (0, 0, 222),
        "facade": (0, 48, 255),
        "window": (0, 128, 255),
        "door": (1, 207, 255),
        "cornice": (32, 255, 224),
        "sill": (112, 254, 142),
        "balcony": (192, 255, 63),
        "blind": (255, 240, 1),
        "deco": (255, 159, 0),
        "molding": (255, 80, 0),
        "pillar": (255, 0, 0),
        "shop": (174, 0, 1),
    },
)
"""The 12 classes of the CMP Facade Database (Tylecek, CTU-CMP-2012-24) in its order, with the colours measured in the
training files of pix2pix."""

CITYSCAPES = _palette(
    "b",
    {
        "road": (128, 64, 128),
        "sidewalk": (244, 35, 232),
        "building": (70, 70, 70),
        "wall": (102, 102, 156),
        "fence": (190, 153, 153),
        "pole": (153, 153, 153),
        "traffic light": (250, 170, 30),
        "traffic sign": (220, 220, 0),
        "vegetation": (107, 142, 35),
        "terrain": (152, 251, 152),
        "sky": (70, 130, 180),
        "person": (220, 20, 60),
        "rider": (255, 0, 0),
        "car": (0, 0, 142),
        "truck": (0, 0, 70),
        "bus": (0, 60, 100),
        "train": (0, 80, 100),
        "motorcycle": (0, 0, 230),
        "bicycle": (119, 11, 32),
    },
    ignored=[
        (0, 0, 0),  # unlabeled, ego vehicle, rectification border, out of roi, static
        (111, 74, 0),  # dynamic
        (81, 0, 81),  # ground
        (250, 170, 160),  # parking
        (230, 150, 140),  # rail track
        (180, 165, 180),  # guard rail
        (150, 100, 100),  # bridge
        (150, 120, 90),  # tunnel
        (0, 0, 90),  # caravan
        (0, 0, 110),  # trailer
    ],
)
"""The 19 classes that Cityscapes evaluates, in its order and its colours (``labels.py`` of cityscapesScripts). Its
other labels are ignored, but for polegroup and license plate, whose colours are those of pole and car."""
