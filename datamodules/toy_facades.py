"""Facades drawn by rule, embedded: label maps in Facades' colours, each with several true photos."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from .base import DomainData
from .loading import DomainImages, fields_of
from .palettes import FACADES, Colour

SIZES = {"train": 4000, "val": 100, "test": 100}
PART = 128  # pictures that are photographed at once: more would leave the processor's cache
SMALLEST = 32  # below, a window has no room for its frame

CLASS = {name: number for number, name in enumerate(FACADES["names"])}
COLOURS = np.array(FACADES["colours"], np.uint8)


class Material(NamedTuple):
    """Colours of a house, 0 to 255, and the pattern of its walls."""

    wall: Colour
    trim: Colour
    wood: Colour
    pattern: str


class Light(NamedTuple):
    """What an hour does to colours: the sky from top to bottom, the glass, and the share of light that is left."""

    sky: tuple[Colour, Colour]
    glass: Colour
    tint: tuple[float, float, float]


MATERIALS = {
    "brick": Material((148, 38, 40), (238, 226, 200), (34, 84, 62), "bricks"),
    "plaster": Material((236, 236, 244), (140, 150, 176), (96, 62, 110), "mottled"),
    "tiles": Material((36, 134, 204), (246, 246, 250), (226, 170, 50), "tiles"),
    "timber": Material((240, 184, 36), (92, 54, 34), (206, 60, 34), "boards"),
}
LIGHTS = {
    "day": Light(((86, 158, 232), (206, 228, 246)), (64, 92, 116), (1.0, 1.0, 1.0)),
    "evening": Light(((26, 20, 70), (240, 130, 80)), (255, 214, 116), (0.8, 0.68, 0.8)),
}
STYLES = tuple((material, light) for light in LIGHTS for material in MATERIALS)
# More than half are of brick and seen by day, so that the median of all styles is one of them: what an L1 loss asks of
# a method with a single output is then a true answer, and no mixture.
FREQUENCIES = (3 / 5, *[2 / 35] * (len(STYLES) - 1))


def check_size(data: DomainData, image_size: int) -> None:
    """Refuse a size below :data:`SMALLEST`."""
    if image_size < SMALLEST:
        raise ValueError(
            f"data.image_size is {image_size}, but {type(data).__name__} cannot be drawn below {SMALLEST} px."
        )


def draw_labels(split: str, index: int, size: int) -> np.ndarray:
    """Draw one label map: a house of two or three floors above the ground floor, in two to five columns.

    Args:
        split: ``train``, ``val`` or ``test``; with ``index`` it decides everything.
        index: which picture of the split.
        size: height and width in pixels.

    Returns:
        Classes, uint8 (size, size), as numbers of Facades' palette.
    """
    random = np.random.default_rng([list(SIZES).index(split), index])
    classes = np.zeros((size, size), np.uint8)

    def fill(name: str, left: float, top: float, width: float, height: float) -> None:
        # Sizes are rounded apart from places, so that equal windows stay equal.
        x, y = max(round(left * size), 0), round(top * size)
        classes[y : y + max(round(height * size), 1), x : x + max(round(width * size), 1)] = CLASS[name]

    def chance(probability: float) -> bool:
        return bool(random.random() < probability)

    left, right = random.uniform(0.0, 0.12), 1 - random.uniform(0.0, 0.12)
    roof, ground = random.uniform(0.08, 0.22), 1 - random.uniform(0.22, 0.28)
    floors, columns = int(random.integers(2, 4)), int(random.integers(2, 6))
    fill("facade", left, roof, right - left, 1 - roof)
    if chance(0.3):
        fill("pillar", left, roof, 0.045, 1 - roof)
        fill("pillar", right - 0.045, roof, 0.045, 1 - roof)
    fill("cornice", left - 0.02, roof, right - left + 0.04, 0.05)
    if chance(0.7):
        fill("molding", left, ground, right - left, 0.03)

    pitch, storey = (right - left - 0.06) / columns, (ground - roof - 0.05) / floors
    centres = [left + 0.03 + pitch * (column + 0.5) for column in range(columns)]
    width, height = pitch * random.uniform(0.4, 0.55), storey * random.uniform(0.5, 0.65)
    sills, blinds, lintels = chance(0.5), chance(0.35), chance(0.3)
    for floor in range(floors):
        top = roof + 0.05 + storey * (floor + 0.5) - height / 2
        balconies = chance(0.4)
        for centre in centres:
            x = centre - width / 2
            fill("window", x, top, width, height)
            if blinds:
                fill("blind", x - width / 4, top, width / 4, height)
                fill("blind", x + width, top, width / 4, height)
            if lintels:
                fill("deco", x, top - 0.035, width, 0.02)
            if balconies:
                fill("balcony", x - 0.03, top + 0.6 * height, width + 0.06, 0.45 * height)
            elif sills:
                fill("sill", x - 0.02, top + height, width + 0.04, 0.02)

    entrance, shops = int(random.integers(columns)), chance(0.5)
    rest = 1 - ground
    for column, centre in enumerate(centres):
        if column == entrance:
            fill("door", centre - 0.225 * pitch, ground + 0.3 * rest, 0.45 * pitch, rest)
        elif shops:
            fill("shop", centre - 0.4 * pitch, ground + 0.3 * rest, 0.8 * pitch, 0.5 * rest)
        else:
            fill("window", centre - width / 2, ground + 0.3 * rest, width, 0.4 * rest)
    return classes


def draw_all_labels(split: str, indices: Iterable[int], size: int) -> np.ndarray:
    """Several label maps by :func:`draw_labels`, uint8 (N, size, size)."""
    return np.stack([draw_labels(split, index, size) for index in indices])


def draw_style(split: str, index: int) -> int:
    """Which of :data:`STYLES` the photo of this picture shows, drawn by :data:`FREQUENCIES`."""
    random = np.random.default_rng([list(SIZES).index(split), index, 1])
    return int(random.choice(len(STYLES), p=FREQUENCIES))


def photograph(classes: np.ndarray, style: int) -> np.ndarray:
    """Photos of houses: what the labels are in one style. There is no chance in it.

    Args:
        classes: label maps, (N, H, W).
        style: a place in :data:`STYLES`.

    Returns:
        uint8 (N, H, W, 3).
    """
    photos = np.empty((*classes.shape, 3), np.uint8)
    for first in range(0, len(classes), PART):
        photos[first : first + PART] = _photograph(classes[first : first + PART], style)
    return photos


def _photograph(classes: np.ndarray, style: int) -> np.ndarray:
    material, light = MATERIALS[STYLES[style][0]], LIGHTS[STYLES[style][1]]
    size = classes.shape[1]
    y, x = np.mgrid[:size, :size]
    trim = ("cornice", "sill", "deco", "molding")
    paint = {"facade": material.wall, "pillar": material.trim, **dict.fromkeys(trim, material.trim)}
    paint |= dict.fromkeys(("door", "blind", "balcony", "window", "shop"), material.wood)
    brightness = np.ones(classes.shape, np.float32)

    def shade(where: np.ndarray, factor: np.ndarray | float) -> None:
        np.multiply(brightness, factor, out=brightness, where=where)

    shade(classes == CLASS["facade"], _wall(material.pattern, y, x))
    shade(classes == CLASS["pillar"], np.where(x % 2, 0.9, 1.0))
    shade(classes == CLASS["cornice"], np.where(x % 4 < 2, 0.8, 1.0))
    shade(classes == CLASS["blind"], np.where(y % 2, 0.6, 1.0))
    balcony = classes == CLASS["balcony"]
    above, *_ = _borders(balcony)
    shade(balcony & (above > 1), np.where(x % 2, 0.35, 1.0))  # a rail, and bars below it
    door = classes == CLASS["door"]
    shade(door & (np.minimum.reduce(_borders(door)) == 1), 0.5)
    # Whatever stands out throws a shadow of one pixel.
    ledge = np.isin(classes, [CLASS[name] for name in (*trim, "balcony")])
    shade(np.pad(ledge, ((0, 0), (1, 0), (0, 0)))[:, :-1] & (classes == CLASS["facade"]), 0.65)
    colours = np.array([paint.get(name, (0, 0, 0)) for name in CLASS], np.float32) * np.array(light.tint, np.float32)
    photo = colours[classes] * brightness[..., None]

    glazed = np.isin(classes, [CLASS["window"], CLASS["shop"]])
    above, below, before, behind = _borders(glazed)
    bar = np.isin(before - behind, (0, 1)) & (before + behind > 5)  # in the middle of windows of 5 pixels and more
    frame = glazed & (bar | (np.minimum.reduce((above, below, before, behind)) == 1))
    photo[frame] = np.array(material.trim, np.float32) * np.array(light.tint, np.float32)
    glass = glazed & ~frame
    depth = above[glass] / (above[glass] + below[glass])
    photo[glass] = np.array(light.glass, np.float32) * (1.25 - 0.5 * depth)[:, None]
    top, bottom = np.array(light.sky, np.float32)
    sky = classes == CLASS["background"]
    photo[sky] = (top + (bottom - top) * np.minimum(y / (0.5 * size), 1)[..., None])[np.nonzero(sky)[1:]]
    return photo.clip(0, 255).round().astype(np.uint8)


def _wall(pattern: str, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """How bright each pixel of a wall is."""
    if pattern == "bricks":
        return np.where((y % 4 == 3) | ((x + 4 * (y // 4 % 2)) % 8 == 7), 1.3, 1.0)
    if pattern == "tiles":
        return np.where((x // 4 + y // 4) % 2, 0.85, 1.1)
    if pattern == "boards":
        return np.where(x % 4 == 3, 0.8, 1.0)
    return 1 + 0.05 * np.sin(2 * np.pi * x / 16) * np.sin(2 * np.pi * y / 8)


def _borders(inside: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """How many pixels it is from each pixel to the first one outside: upwards, downwards, left and right; 0 outside."""

    def steps(mask: np.ndarray) -> np.ndarray:
        counts = mask.astype(np.int16)
        for row in range(1, mask.shape[1]):
            counts[:, row] += counts[:, row - 1] * mask[:, row]
        return counts

    turned = inside.transpose(0, 2, 1)
    up, down = steps(inside), steps(inside[:, ::-1])[:, ::-1]
    left, right = steps(turned).transpose(0, 2, 1), steps(turned[:, ::-1])[:, ::-1].transpose(0, 2, 1)
    return up, down, left, right


def channels_first(images: np.ndarray) -> Tensor:
    """(..., H, W, C) to (..., C, H, W)."""
    return torch.from_numpy(np.moveaxis(images, -1, -3).copy())


class ToyFacades(DomainData):
    """Domain a: photos of houses. Domain b: their label maps, in the colours of CMP Facades. Both are drawn by rule.

    Labels to photo is ``b2a``, and it has several right answers: any label map can be photographed in the 8 styles of
    :data:`STYLES`, 4 materials by day and in the evening. Nothing in the labels tells which one a picture's photo
    shows; 3 of 5 are of brick and seen by day, the others are equally frequent (:data:`FREQUENCIES`). Any two styles
    of one label map are further apart than 0.4 (root mean squared distance on [-1, 1]). Val and test batches carry
    ``truths_b2a``, (N, 8, C, H, W): the photos of ``b`` in all styles, of which ``truth_b2a`` is one.

    There are 4,000 / 100 / 100 pictures in train / val / test. A picture is a function of its split and its index
    alone, whatever ``seed`` is. Being embedded, the data reads nothing from ``root`` and has nothing to ``download``:
    pictures are drawn into memory, about 2,000 a second at 64 px.

    Args:
        root: not read: the data is embedded.
        download: without effect: nothing is missing.
        batch_size: images of each domain in a batch, in every process.
        num_workers: processes that load.
        image_size: height and width in which pictures are drawn, at least 32.
        seed: decides the order of training images.
        paired: training draws pairs and knows their truth; False draws both domains independently, for unpaired
            methods, which are then still validated against the truth.
    """

    domains = ("photo", "labels")
    channels = 3
    image_size: int
    palette = FACADES

    def __init__(
        self,
        root: str | None = None,
        download: bool = False,
        batch_size: int = 16,
        num_workers: int = 0,
        image_size: int = 64,
        seed: int = 0,
        paired: bool = True,
    ) -> None:
        super().__init__(root, download, batch_size, num_workers, image_size, seed)
        check_size(self, image_size)
        self.paired = paired

    def split(self, name: str) -> DomainImages:
        """Draw one split."""
        count, training = SIZES[name], name == "train"
        classes = draw_all_labels(name, range(count), self.image_size)
        styles = np.array([draw_style(name, index) for index in range(count)])
        photos = np.empty((*classes.shape, 3), np.uint8)
        for style in range(len(STYLES)):
            photos[styles == style] = photograph(classes[styles == style], style)
        a, b = channels_first(photos), channels_first(COLOURS[classes])
        known = self.paired or not training
        paths_a, paths_b = ([f"{domain}/{index:04d}" for index in range(count)] for domain in self.domains)
        fields_a = fields_of("a", {"a": a, "b": b} if known else {"a": a}, path=paths_a)
        fields_b = fields_of("b", {"a": a, "b": b} if known else {"b": b}, path=paths_b)
        if not training:
            in_all_styles = [photograph(classes, style) for style in range(len(STYLES))]
            fields_b["truths_b2a"] = channels_first(np.stack(in_all_styles, 1))
        images = DomainImages(fields_a, fields_b)
        images.paired = self.paired
        return images
