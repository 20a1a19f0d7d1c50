"""Shapes: geometry, what a picture depends on, the splits, their truths, and the real file."""

import math
import sys
from functools import cache

import numpy as np
import pytest
import torch

from crossdomain.cli import main
from crossdomain.datamodules import Shapes
from crossdomain.datamodules.shapes import (
    BODIES,
    CAPSULE,
    COUNT,
    CUBE,
    CYLINDER,
    FACTORS,
    HELD,
    LIGHT,
    SPHERE,
    Rays,
    _body,
    render,
    to_factors,
    to_rows,
)

NAMES = list(FACTORS)
SPLITS = {
    "A": ({"object", "shape"}, {"floor", "wall"}, {"size", "orientation"}, 3960, 4760),
    "B": ({"wall", "size"}, {"object", "orientation"}, {"floor", "shape"}, 11920, 3120),
    "C": ({"floor", "orientation"}, {"wall", "shape"}, {"object", "size"}, 5850, 11850),
}


def some_factors(count, seed=0):
    return to_factors(torch.randperm(COUNT, generator=torch.Generator().manual_seed(seed))[:count])


@cache
def val(split):
    return Shapes(split=split).split("val").fields


# --- rows and pictures -----------------------------------------------------------------------------------------


def test_rows_are_those_of_3d_shapes():
    assert COUNT == 480_000
    rows = torch.tensor([0, 1, 15, 60, 480, 4800, 48000, COUNT - 1])
    assert to_factors(rows).tolist() == [
        [0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 1], [0, 0, 0, 0, 1, 0], [0, 0, 0, 1, 0, 0],
        [0, 0, 1, 0, 0, 0], [0, 1, 0, 0, 0, 0], [1, 0, 0, 0, 0, 0], [9, 9, 9, 7, 3, 14],
    ]  # fmt: skip
    floor, wall, thing, size, shape, orientation = 3, 7, 2, 5, 1, 11
    row = ((((floor * 10 + wall) * 10 + thing) * 8 + size) * 4 + shape) * 15 + orientation
    assert to_rows(torch.tensor([[floor, wall, thing, size, shape, orientation]])).item() == row
    every = torch.randperm(COUNT)[:1000]
    assert torch.equal(to_rows(to_factors(every)), every)


def test_a_picture_depends_on_its_factors_alone():
    state = torch.get_rng_state()
    factors = some_factors(50)
    images = render(factors)
    assert images.shape == (50, 3, 64, 64)
    assert images.dtype == torch.uint8
    for index in (41, 7, 0):  # by itself, in any order
        assert torch.equal(render(factors[index : index + 1])[0], images[index])
    twice = factors[[3, 3, 9]]
    assert torch.equal(render(twice), images[[3, 3, 9]])
    assert torch.equal(torch.get_rng_state(), state)


def test_every_factor_is_visible_in_every_picture():
    factors = some_factors(150)
    images = render(factors).int()
    for k, values in enumerate(FACTORS.values()):
        changed = factors.clone()
        changed[:, k] = torch.where(factors[:, k] + 1 < values, factors[:, k] + 1, factors[:, k] - 1)
        pixels = ((render(changed).int() - images).abs().amax(1) > 10).flatten(1).sum(1)
        assert pixels.min() > 60, NAMES[k]


def test_equal_hues_are_different_colours_and_each_surface_has_its_own():
    image = render(torch.tensor([[3, 3, 3, 7, SPHERE, 7]]))[0].int()
    wall, thing, floor = image[:, 3, 32], image[:, 36, 32], image[:, 61, 8]
    for one, other in ((wall, thing), (thing, floor), (floor, wall)):
        assert (one - other).abs().max() > 30
    other = render(torch.tensor([[3, 3, 8, 7, SPHERE, 7]]))[0].int()
    changed = (other != image).any(0)
    assert changed[36, 32]
    assert not changed[3].any()
    assert not changed[61].any()


def inside(shape, p, r, h):
    """Whether points (..., 3) lie inside a body of float64 radius and height."""
    x, y, z = p.unbind(-1)
    around = (x * x + z * z).sqrt()
    if shape == CUBE:
        return (x.abs() < r) & (z.abs() < r) & (y > 0) & (y < 2 * r)
    if shape == CYLINDER:
        return (around < r) & (y > 0) & (y < h)
    if shape == SPHERE:
        return x * x + (y - r) ** 2 + z * z < r * r
    return x * x + z * z + (y - y.clamp(r, h - r)) ** 2 < r * r


@pytest.mark.parametrize("shape", [CUBE, CYLINDER, SPHERE, CAPSULE])
def test_rays_meet_bodies_where_they_first_enter_them(shape):
    """Against steps of a thousandth along each ray, and the light against normals by finite differences."""
    generator = torch.Generator().manual_seed(0)
    radius, height = BODIES[shape]
    origin = torch.tensor([1.0, 2.9, 4.4], dtype=torch.float64)
    aims = torch.rand(400, 3, generator=generator, dtype=torch.float64) * 3 - torch.tensor([1.5, 0.5, 1.5])
    direction = aims - origin
    direction = direction[direction[:, 1] < 0]
    rays = Rays(tuple(origin.view(3, 1, 1)), tuple(direction.T.unsqueeze(1)))
    as_tensor = torch.tensor([[radius]], dtype=torch.float64), torch.tensor([[height]], dtype=torch.float64)
    t, facing = (found[0] for found in _body(shape, rays, *as_tensor))
    steps = torch.arange(0, 2, 0.001, dtype=torch.float64)
    points = origin + steps[:, None, None] * direction
    within = inside(shape, points, radius, height)
    first = torch.where(within.any(0), steps[within.int().argmax(0)], torch.inf)
    agree = (t - first).abs() < 0.0011
    grazing = (t < torch.inf) & (first == torch.inf)  # in and out between two steps
    assert (agree | (t == first) | grazing).all()
    assert grazing.sum() < 6
    assert 50 < (t < torch.inf).sum() < len(t) - 50

    hit = t < torch.inf
    surface = origin + t[hit, None] * direction[hit]
    moved = 1e-4 * torch.randn(2000, 1, 3, generator=generator, dtype=torch.float64)
    outward = moved * (1 - 2 * inside(shape, surface + moved, radius, height).double()[..., None])
    normal = torch.nn.functional.normalize(outward.mean(0), dim=-1)  # the mean way out of a half space
    expected = normal @ torch.tensor(LIGHT, dtype=torch.float64)
    assert ((facing[hit] - expected).abs() < 0.1).float().mean() > 0.95  # edges have no normal


def test_bodies_grow_with_size_and_stand_on_the_floor():
    for shape in range(4):
        pixels = []
        for size in range(8):
            one, other = (render(torch.tensor([[0, 0, hue, size, shape, 7]]))[0].int() for hue in (3, 7))
            rows = (one != other).any(0).nonzero()[:, 0]
            pixels.append(len(rows))
        assert pixels == sorted(set(pixels))
        assert pixels[-1] > 2.2 * pixels[0]  # (1.25 / 0.75)^2 is 2.8


def test_other_sizes():
    images = Shapes(image_size=32).split("val").fields[0]["a"]
    assert images.shape == (250, 3, 32, 32)
    large = torch.nn.functional.avg_pool2d(val("A")[0]["a"].float(), 2)
    assert (images - large).abs().mean() < 3


# --- splits ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("split", "ABC")
def test_domains_hold_all_combinations_but_the_common_ones(split):
    shared, of_a, of_b, count_a, count_b = SPLITS[split]
    data = Shapes(split=split)
    assert data.roles == {n: "shared" if n in shared else "a" if n in of_a else "b" for n in NAMES}
    rows = data.combinations()
    assert [len(mine) for mine in rows] == [count_a, count_b]
    assert len(torch.cat(rows).unique()) == count_a + count_b
    for mine, varying in zip(rows, (shared | of_a, shared | of_b), strict=True):
        factors = to_factors(mine)
        for k, name in enumerate(NAMES):
            expected = list(range(FACTORS[name])) if name in varying else [HELD[name]]
            assert factors[:, k].unique().tolist() == expected
        assert len(mine) == math.prod(FACTORS[n] for n in varying) - math.prod(FACTORS[n] for n in shared)


def test_constants_of_split_a_are_the_authors():
    assert {name: HELD[name] for name in ("floor", "wall", "size", "orientation")} == {
        "floor": 0, "wall": 7, "size": 5, "orientation": 0,
    }  # fmt: skip


def test_every_factor_is_common_once_and_special_twice():
    for k in range(6):
        assert sorted([*Shapes(split=s).roles.values()][k] == "shared" for s in "ABC") == [False, False, True]


def test_train_val_and_test_share_no_combination(monkeypatch):
    monkeypatch.setattr(Shapes, "images", lambda self, factors: factors)
    for split in ("A", "C", "all"):
        data, other = Shapes(split=split), Shapes(split=split, seed=5)
        for domain in (0, 1):
            rows = {n: to_rows(data.split(n).fields[domain]["ab"[domain]]) for n in ("train", "val", "test")}
            assert (len(rows["val"]), len(rows["test"])) == (250, 500)
            every = torch.cat(list(rows.values()))
            assert len(every.unique()) == len(every)
            expected = 12_750 if split == "all" else SPLITS[split][3 + domain]
            assert len(every) == min(expected, 12_750)
            assert torch.equal(to_rows(other.split("val").fields[domain]["ab"[domain]]), rows["val"])


def test_split_all_shows_every_value_in_both_domains(monkeypatch):
    monkeypatch.setattr(Shapes, "images", lambda self, factors: factors)
    data = Shapes(split="all")
    a, b = (fields[d] for fields, d in zip(data.split("train").fields, "ab", strict=True))
    for k, values in enumerate(FACTORS.values()):
        for mine in (a, b):
            assert mine[:, k].bincount().min() > 0.7 * 12_000 / values
    assert len(to_rows(torch.cat([a, b])).unique()) == 24_000
    assert set(data.roles.values()) == {"shared"}


@pytest.mark.parametrize("split", "ABC")
def test_truths_keep_what_is_shared_and_take_the_rest_from_the_guide(split):
    shared, of_a, of_b, *_ = SPLITS[split]
    a, b = val(split)
    assert len(a["a"]) == len(b["b"]) == 250
    for place in (0, 17, 249):
        mine, guide = (
            dict(zip(NAMES, f[f"attributes_{d}"][place].long().tolist(), strict=True)) for f, d in ((a, "a"), (b, "b"))
        )
        to_b = {n: mine[n] if n in shared else guide[n] if n in of_b else HELD[n] for n in NAMES}
        to_a = {n: guide[n] if n in shared else mine[n] if n in of_a else HELD[n] for n in NAMES}
        for factors, found in ((mine, a["a"]), (guide, b["b"]), (to_b, a["truth_a2b"]), (to_a, b["truth_b2a"])):
            assert torch.equal(render(torch.tensor([list(factors.values())]))[0], found[place])


def test_batches():
    data = Shapes(batch_size=20)
    data.splits["train"] = data.split("val")
    data.setup("fit")
    train = next(iter(data.train_dataloader()))
    batch = next(iter(data.val_dataloader()))
    assert {"a", "b", "attributes_a", "attributes_b", "path_a", "path_b"} <= set(train)
    assert set(batch) == {"a", "b", "attributes_a", "attributes_b", "path_a", "path_b", "truth_b2a", "truth_a2b"}
    assert batch["a"].shape == batch["truth_a2b"].shape == (20, 3, 64, 64)
    assert batch["attributes_a"].shape == (20, 6)
    assert batch["attributes_a"].dtype == torch.float32
    row = int(batch["path_b"][4].removeprefix("A/"))
    assert batch["attributes_b"][4].tolist() == to_factors(torch.tensor([row]))[0].tolist()
    factors_a = [to_factors(torch.tensor([int(p[2:])]))[0] for p in train["path_a"]]
    assert torch.equal(train["attributes_a"], torch.stack(factors_a).float())  # fields stay together when shuffled


def test_training_batches_hold_no_truth(monkeypatch):
    monkeypatch.setattr(Shapes, "images", lambda self, factors: factors)
    a, b = Shapes().split("train").fields
    assert set(a) == {"a", "attributes_a", "path_a"}
    assert set(b) == {"b", "attributes_b", "path_b"}
    assert (len(a["a"]), len(b["b"])) == (3210, 4010)


def test_what_the_checkpoint_notes():
    spec = Shapes(split="B").spec()
    assert spec["domains"] == ["object+orientation", "floor+shape"]
    assert spec["attributes"] == FACTORS
    assert spec["roles"] == Shapes(split="B").roles


# --- the real file ---------------------------------------------------------------------------------------------


@pytest.fixture
def small_file(tmp_path):
    """A file in the layout of 3D Shapes that holds val of split A, and nothing in all other rows."""
    h5py = pytest.importorskip("h5py")
    a, b = val("A")
    with h5py.File(tmp_path / "3dshapes.h5", "w") as file:
        images = file.create_dataset("images", (COUNT, 64, 64, 3), np.uint8, chunks=(1, 64, 64, 3))
        for fields, domain in ((a, "a"), (b, "b")):
            for path, image in zip(fields[f"path_{domain}"], fields[domain], strict=True):
                images[int(path.removeprefix("A/"))] = image.permute(1, 2, 0).numpy()
    return tmp_path


def test_the_real_file_is_read_by_rows(small_file):
    assert (small_file / "3dshapes.h5").stat().st_size < 20e6
    a, b = Shapes(root=str(small_file), real=True).split("val").fields
    assert torch.equal(a["a"], val("A")[0]["a"])
    assert torch.equal(b["b"], val("A")[1]["b"])
    assert a["path_a"] == val("A")[0]["path_a"]
    assert Shapes(root=str(small_file), real=True, image_size=32).split("val").fields[0]["a"].shape[2:] == (32, 32)


def test_a_missing_or_wrong_file_is_one_clear_message(tmp_path):
    h5py = pytest.importorskip("h5py")
    data = Shapes(root=str(tmp_path), real=True)
    with pytest.raises(FileNotFoundError, match=r"3D Shapes is not at .*3dshapes\.h5\.\nFetch https") as raised:
        data.split("val")
    assert str(raised.value).count("\n") == 2
    (tmp_path / "3dshapes.h5").write_bytes(b"<html>")
    with pytest.raises(ValueError, match="cannot be read as HDF5"):
        data.split("val")
    with h5py.File(tmp_path / "3dshapes.h5", "w") as file:
        file["images"] = np.zeros((3, 64, 64, 3), np.uint8)
    with pytest.raises(ValueError, match=r"not 3D Shapes: its 'images' are \(3, 64, 64, 3\), expected \(480000,"):
        data.split("val")


def test_h5py_is_needed_for_the_real_file_alone(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(ValueError, match=r"needs h5py: pip install 'crossdomain\[shapes\]'"):
        Shapes(root=str(tmp_path), real=True).split("val")
    assert len(Shapes(root=str(tmp_path)).images(some_factors(2))) == 2


# --- mistakes --------------------------------------------------------------------------------------------------


def test_unknown_splits_and_sizes_are_refused(capsys, monkeypatch):
    with pytest.raises(ValueError, match=r"^data.split is 'D', but Shapes have the splits A, B, C, all\.$"):
        Shapes(split="D")
    with pytest.raises(ValueError, match="cannot be seen below 16 px"):
        Shapes(image_size=8)
    command = ["fit", "--config", "predictor_shapes", "--data.split", "D"]
    monkeypatch.setattr(sys, "argv", ["lightning", *command])
    with pytest.raises(SystemExit):
        main(command)
    assert capsys.readouterr().err == "error: data.split is 'D'.\nExpected: 'A', 'B', 'C', 'all'.\n"
