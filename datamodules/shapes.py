"""Shapes: simple 3-D scenes by their six factors, rendered or from DeepMind's 3D Shapes, as two domains."""

from __future__ import annotations

import math
from colorsys import hsv_to_rgb
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from .base import DomainData
from .loading import DomainImages, fields_of

FACTORS = {"floor": 10, "wall": 10, "object": 10, "size": 8, "shape": 4, "orientation": 15}
COUNT = math.prod(FACTORS.values())
GEOMETRY = list(FACTORS).index("size")  # the factors before this one are colours
CUBE, CYLINDER, SPHERE, CAPSULE = range(4)

# The factors that vary in domain a alone, and in domain b alone; all others are shared.
SPECIAL = {
    "A": (("floor", "wall"), ("size", "orientation")),
    "B": (("object", "orientation"), ("floor", "shape")),
    "C": (("wall", "shape"), ("object", "size")),
    "all": ((), ()),
}
# What a factor that is special to one domain is in the other. Floor, wall, size and orientation are those of the
# authors' split A; object and shape are ours.
HELD = {"floor": 0, "wall": 7, "object": 5, "size": 5, "shape": CUBE, "orientation": 0}
HELD_OUT = {"val": 250, "test": 500}  # images of each domain
MOST = 12_000  # training images of each domain

FILE = "3dshapes.h5"
FILE_SIZE = 64
SMALLEST = 16
PART = 4  # pictures that are rendered at once: more would leave the processor's cache

# The scene, in units of the middle size's half height: a room of square ground plan around the object, which stands
# on the floor at the origin, y upwards. The camera moves on a circle around it, and everything else stays.
WALL = 4.6
DISTANCE, HEIGHT, AIM = 4.5, 2.9, 1.05
FIELD = math.tan(math.radians(28.5))
WIDEST_TURN = math.radians(30)
LIGHT = tuple(part / math.hypot(-0.62, 0.70, 0.35) for part in (-0.62, 0.70, 0.35))
AMBIENT = 0.45
# Radius, or half the width of the cube, and height.
BODIES = {CUBE: (0.82, 1.64), CYLINDER: (0.82, 1.9), SPHERE: (1.0, 2.0), CAPSULE: (0.68, 2.4)}
# Saturation and value: equal hues on different surfaces stay different colours.
PAINT = {"floor": (0.65, 0.65), "wall": (0.45, 1.0), "object": (0.95, 1.0)}
COLOURS = torch.tensor([[hsv_to_rgb(hue / 10, *paint) for hue in range(10)] for paint in PAINT.values()])


class Rays(NamedTuple):
    """One ray for each picture and sample: origins, three of (N, 1), and directions, broadcastable to (N, samples)."""

    origin: tuple[Tensor, Tensor, Tensor]
    direction: tuple[Tensor, Tensor, Tensor]

    def at(self, t: Tensor) -> tuple[Tensor, ...]:
        """The points ``origin + t * direction``."""
        return tuple(o + t * d for o, d in zip(self.origin, self.direction, strict=True))


def to_factors(rows: Tensor) -> Tensor:
    """The factors (N, 6) of rows (N,) of 3D Shapes, where the last factor varies fastest."""
    strides = torch.tensor([math.prod(list(FACTORS.values())[k + 1 :]) for k in range(len(FACTORS))])
    return rows.unsqueeze(1) // strides % torch.tensor(list(FACTORS.values()))


def to_rows(factors: Tensor) -> Tensor:
    """The rows (N,) of 3D Shapes that have these factors (N, 6)."""
    row = torch.zeros(len(factors), dtype=torch.int64)
    for number, values in zip(factors.T, FACTORS.values(), strict=True):
        row = row * values + number
    return row


def render(factors: Tensor, size: int = FILE_SIZE) -> Tensor:
    """Render scenes. A picture depends on its own factors alone.

    Each pixel is linear in the colours of floor, wall and object. So light is cast once for each size, shape and
    orientation that occurs, through four samples of a pixel, and then painted.

    Args:
        factors: int64 (N, 6), numbers of the values of :data:`FACTORS`.
        size: height and width in pixels.

    Returns:
        uint8 (N, 3, size, size).
    """
    scenes, scene_of = factors[:, GEOMETRY:].unique(dim=0, return_inverse=True)
    light = torch.empty(len(scenes), 3, size, size)
    for shape, (radius, height) in BODIES.items():
        for some in (scenes[:, 1] == shape).nonzero()[:, 0].split(PART):
            scale = (0.75 + 0.5 * scenes[some, 0] / (FACTORS["size"] - 1)).unsqueeze(1)
            light[some] = _cast(shape, radius * scale, height * scale, scenes[some, 2], size)
    images = torch.empty(len(factors), 3, size, size, dtype=torch.uint8)
    parts = (part.split(PART) for part in (torch.arange(len(factors)), factors[:, :GEOMETRY], scene_of))
    for some, hues, scene in zip(*parts, strict=True):
        painted = torch.zeros(len(some), 3, size, size)
        for surface in range(GEOMETRY):
            painted += COLOURS[surface, hues[:, surface]].view(-1, 3, 1, 1) * light[scene, surface].unsqueeze(1)
        images[some] = painted.mul_(255).round_().to(torch.uint8)
    return images


def _cast(shape: int, radius: Tensor, height: Tensor, orientation: Tensor, size: int) -> Tensor:
    """How bright floor, walls and object are in each pixel, (N, 3, size, size) in [0, 1]; 0 where others are seen."""
    rays = _camera(orientation, 2 * size)
    (ox, oy, oz), (dx, dy, dz) = rays
    t_floor = torch.where(dy < 0, -oy / dy, torch.inf)
    t_side, t_back = (WALL * dx.sign() - ox) / dx, (WALL * dz.sign() - oz) / dz
    t_wall = torch.minimum(t_side, t_back)
    t_object, facing_object = _body(shape, rays, radius, height)

    is_object = t_object < torch.inf
    is_floor = ~is_object & (t_floor < t_wall)
    x, _, z = rays.at(t_floor)
    contact = (1 - (x * x + z * z) / (2 * radius).square()).clamp_min(0)
    floor = (1 - 0.6 * contact) * _lambert(torch.tensor(LIGHT[1]))
    wall = _lambert(torch.where(t_side < t_back, -LIGHT[0] * dx.sign(), -LIGHT[2] * dz.sign()))
    seen = ((is_floor, floor), (~is_object & ~is_floor, wall), (is_object, _lambert(facing_object)))
    light = torch.stack([torch.where(where, brightness, 0.0) for where, brightness in seen], 1)
    light = light.view(len(radius), 3, size, 2, size, 2)
    return (light[..., 0, :, 0] + light[..., 0, :, 1] + light[..., 1, :, 0] + light[..., 1, :, 1]) / 4


def _lambert(facing: Tensor) -> Tensor:
    """Brightness of a surface, from the cosine between its normal and the light."""
    return AMBIENT + (1 - AMBIENT) * facing.clamp_min(0)


def _camera(orientation: Tensor, side: int) -> Rays:
    """Rays through the middles of ``side`` x ``side`` samples, row by row, the top one first."""
    # By Python's sine: a vectorised one may differ in the last bit with the place in the batch.
    turns = [WIDEST_TURN * (2 * k / (FACTORS["orientation"] - 1) - 1) for k in range(FACTORS["orientation"])]
    sin, cos = (torch.tensor([[f(turn)] for turn in turns])[orientation] for f in (math.sin, math.cos))
    across = FIELD * ((2 * torch.arange(side) + 1) / side - 1)
    tilt = math.atan2(HEIGHT - AIM, DISTANCE)
    right, up = across.repeat(side), -across.repeat_interleave(side)
    ahead, up = math.cos(tilt) + up * math.sin(tilt), up * math.cos(tilt) - math.sin(tilt)
    origin = (DISTANCE * sin, torch.full_like(sin, HEIGHT), DISTANCE * cos)
    return Rays(origin, (cos * right - sin * ahead, up.unsqueeze(0), -sin * right - cos * ahead))


def _body(shape: int, rays: Rays, radius: Tensor, height: Tensor) -> tuple[Tensor, Tensor]:
    """Where rays meet the object, as ``t``, infinite where they miss it, and how much that place faces the light."""
    if shape == CUBE:
        return _cube(rays, radius)
    if shape == SPHERE:
        return _ball(rays, radius, radius)
    side = _tube(rays, radius, radius if shape == CAPSULE else 0 * radius, height - radius * (shape == CAPSULE))
    if shape == CYLINDER:
        return _nearest(side, _lid(rays, radius, height))
    return _nearest(side, _nearest(_ball(rays, radius, radius), _ball(rays, radius, height - radius)))


def _nearest(one: tuple[Tensor, Tensor], other: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    return torch.minimum(one[0], other[0]), torch.where(one[0] < other[0], one[1], other[1])


def _entry(a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """The smaller root of a t^2 + 2 b t + c, infinite where there is none."""
    square = b * b - a * c
    return torch.where(square > 0, (-b - square.clamp_min(0).sqrt()) / a, torch.inf)


def _ball(rays: Rays, radius: Tensor, centre: Tensor) -> tuple[Tensor, Tensor]:
    """A ball at the height ``centre``."""
    (ox, oy, oz), (dx, dy, dz) = rays
    above = oy - centre
    c = ox * ox + above * above + oz * oz - radius * radius
    t = _entry(dx * dx + dy * dy + dz * dz, ox * dx + above * dy + oz * dz, c)
    x, y, z = rays.at(t)
    return t, (LIGHT[0] * x + LIGHT[1] * (y - centre) + LIGHT[2] * z) / radius


def _tube(rays: Rays, radius: Tensor, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
    """The side of an upright cylinder."""
    (ox, _, oz), (dx, _, dz) = rays
    t = _entry(dx * dx + dz * dz, ox * dx + oz * dz, ox * ox + oz * oz - radius * radius)
    x, y, z = rays.at(t)
    return torch.where((y > low) & (y < high), t, torch.inf), (LIGHT[0] * x + LIGHT[2] * z) / radius


def _lid(rays: Rays, radius: Tensor, height: Tensor) -> tuple[Tensor, Tensor]:
    """A disc that lies at ``height``, seen from above."""
    t = torch.where(rays.direction[1] < 0, (height - rays.origin[1]) / rays.direction[1], torch.inf)
    x, _, z = rays.at(t)
    return torch.where(x * x + z * z < radius * radius, t, torch.inf), torch.full_like(t, LIGHT[1])


def _cube(rays: Rays, half: Tensor) -> tuple[Tensor, Tensor]:
    """A cube on the floor: the last of the three slabs that a ray enters, if it has left none by then."""
    enter, leave, facing = torch.tensor(-torch.inf), torch.tensor(torch.inf), torch.tensor(0.0)
    middles = (torch.zeros(()), half, torch.zeros(()))
    for o, d, middle, towards in zip(rays.origin, rays.direction, middles, LIGHT, strict=True):
        sign = d.sign()
        near, far = (middle - o - sign * half) / d, (middle - o + sign * half) / d
        facing = torch.where(near > enter, -towards * sign, facing)
        enter, leave = torch.maximum(enter, near), torch.minimum(leave, far)
    return torch.where(enter < leave, enter, torch.inf), facing


class Shapes(DomainData):
    """Simple scenes in two domains that share some of their six factors, after 3D Shapes (Burgess, Kim, 2018).

    A picture shows an object in a room, and is a function of its factors alone: the hues of floor, wall and object (10
    each), the object's size (8) and shape (cube, cylinder, sphere, capsule), and the orientation (15), which is where
    the camera stands. A split says which factors the domains share, and which vary in one of them alone; these are
    held at one value in the other. The splits are those of RIFT (Usman, Bashkirova, Saenko, arXiv 2111.13279):

    =====  ====================  ====================  ====================
    split  shared                special to a          special to b
    =====  ====================  ====================  ====================
    A      object, shape         floor, wall           size, orientation
    B      wall, size            object, orientation   floor, shape
    C      floor, orientation    wall, shape           object, size
    all    all                   none                  none
    =====  ====================  ====================  ====================

    So translation is many to many: the output keeps the shared factors of the image, takes those special to the target
    from a guide, and the others are held. Images that both domains would hold are in neither, which leaves 3,960 and
    4,760 in split A, 11,920 and 3,120 in B, 5,850 and 11,850 in C. Of each domain 250 images are val and 500 are test;
    no combination of factors is in two of the splits, which are fixed, whatever ``seed`` is. Split ``all`` draws 12,000
    training images for each domain from all 480,000 combinations, none twice; it is for what has to know any picture.

    Batches hold ``attributes_a`` and ``attributes_b``, (N, 6): the numbers of the factors' values. In val and test they
    hold ``truth_a2b``, what ``a`` becomes with the ``b`` at the same place as guide, and ``truth_b2a`` likewise.
    ``path_a`` and ``path_b`` are rows of 3D Shapes.

    By default pictures are rendered into memory and nothing is read. With ``real`` they are those of 3D Shapes, of the
    same factors, from ``root/3dshapes.h5``; this needs the extra ``[shapes]``, and the file has to be fetched by hand.

    Args:
        root: folder with 3D Shapes where ``real`` is given; the environment variable ``CROSSDOMAIN_DATA``, else
            ``data``, when left out.
        download: without effect: 3D Shapes has to be fetched by hand.
        batch_size: images of each domain in a batch, in every process.
        num_workers: processes that load.
        image_size: height and width in which pictures are rendered, at least 16; real ones are resized from 64 px.
        seed: decides the order of training images.
        split: which factors the domains share.
        real: read 3D Shapes instead of rendering.

    Raises:
        FileNotFoundError: there is no ``3dshapes.h5``.
        ValueError: an unknown split, h5py is missing, or the file is another one.
    """

    channels = 3
    image_size: int
    roles: dict[str, str]
    attributes = FACTORS

    def __init__(
        self,
        root: str | None = None,
        download: bool = False,
        batch_size: int = 16,
        num_workers: int = 0,
        image_size: int = FILE_SIZE,
        seed: int = 0,
        split: Literal["A", "B", "C", "all"] = "A",
        real: bool = False,
    ) -> None:
        super().__init__(root, download, batch_size, num_workers, image_size, seed)
        if split not in SPECIAL:
            raise ValueError(f"data.split is {split!r}, but Shapes have the splits {', '.join(SPECIAL)}.")
        if image_size < SMALLEST:
            raise ValueError(f"data.image_size is {image_size}, but Shapes cannot be seen below {SMALLEST} px.")
        self.split_name = split
        self.real = real
        special = SPECIAL[split]
        self.domains = tuple("+".join(names) or f"shapes {domain}" for domain, names in zip("ab", special, strict=True))
        self.roles = dict.fromkeys(FACTORS, "shared")
        for domain, names in zip("ab", special, strict=True):
            self.roles |= dict.fromkeys(names, domain)

    def combinations(self) -> tuple[Tensor, Tensor]:
        """Rows of all pictures of the domains, shuffled; both are the first of them that are held out."""
        order = torch.randperm(COUNT, generator=torch.Generator().manual_seed(0))
        if self.split_name == "all":
            return order[::2], order[1::2]
        factors = to_factors(order)
        in_a, in_b = (
            torch.stack([factors[:, k] == HELD[name] for k, name in enumerate(FACTORS) if self.roles[name] == other])
            for other in "ba"
        )
        in_a, in_b = in_a.all(0), in_b.all(0)
        return order[in_a & ~in_b], order[in_b & ~in_a]

    def split(self, name: str) -> DomainImages:
        """Render or read one split."""
        first = {"val": 0, "test": HELD_OUT["val"], "train": sum(HELD_OUT.values())}[name]
        rows = [mine[first : first + HELD_OUT.get(name, MOST)] for mine in self.combinations()]
        factors = [to_factors(mine) for mine in rows]
        images = [{"a": factors[0]}, {"b": factors[1]}]
        if name != "train":
            shared = torch.tensor([role == "shared" for role in self.roles.values()])
            # A factor that is special to a has one value in all of b, so what is not shared is as in the guide.
            images[0]["b"] = torch.where(shared, factors[0], factors[1])
            images[1]["a"] = torch.where(shared, factors[1], factors[0])
        fields = [
            fields_of(
                domain,
                {shown: self.images(wanted) for shown, wanted in images[place].items()},
                attributes=factors[place].float(),
                path=[f"{self.split_name}/{row:06d}" for row in rows[place].tolist()],
            )
            for place, domain in enumerate(self.letters)
        ]
        return DomainImages(*fields)

    def images(self, factors: Tensor) -> Tensor:
        """Pictures of factors (N, 6), uint8 (N, 3, H, W)."""
        if not self.real:
            return render(factors, self.image_size)
        images = _read(self.root / FILE, to_rows(factors))
        if self.image_size != FILE_SIZE:
            resized = F.interpolate(images.float(), self.image_size, mode="bicubic", antialias=True)
            images = resized.clamp(0, 255).round().to(torch.uint8)
        return images


def _read(path: Path, rows: Tensor) -> Tensor:
    """Pictures of 3D Shapes, uint8 (N, 3, 64, 64)."""
    try:
        import h5py
    except ModuleNotFoundError:
        raise ValueError(f"Reading {FILE} needs h5py: pip install 'crossdomain[shapes]'.") from None
    if not path.is_file():
        raise FileNotFoundError(
            f"3D Shapes is not at {path.resolve()}.\n"
            "Fetch https://storage.googleapis.com/3d-shapes/3dshapes.h5 (255 MB) and put it there,\n"
            "set data.root or CROSSDOMAIN_DATA to where it is, or leave out data.real to render."
        )
    try:
        with h5py.File(path) as file:
            expected, found = (COUNT, FILE_SIZE, FILE_SIZE, 3), getattr(file.get("images"), "shape", None)
            if found != expected:
                raise ValueError(f"{str(path)!r} is not 3D Shapes: its 'images' are {found}, expected {expected}.")
            ascending, place = rows.unique(return_inverse=True)  # HDF5 reads rows in ascending order, each once
            images = torch.from_numpy(np.ascontiguousarray(file["images"][ascending.numpy()].transpose(0, 3, 1, 2)))
    except OSError as error:
        raise ValueError(f"{str(path)!r} cannot be read as HDF5 ({error}).\nFetch it again.") from None
    return images[place]
