"""ToyFacades: pictures by rule, their alignment, and the several truths of one label map."""

import inspect
from functools import cache

import numpy as np
import pytest
import torch

from crossdomain.datamodules import ToyFacades
from crossdomain.datamodules.toy_facades import (
    CLASS,
    COLOURS,
    FREQUENCIES,
    SIZES,
    STYLES,
    draw_labels,
    draw_style,
    photograph,
)
from crossdomain.evaluation import Evaluation
from crossdomain.metrics import ModeCoverage

RADIUS = inspect.signature(Evaluation).parameters["mode_radius"].default


@cache
def drawn(split):
    """The fields of a split, stored images, drawn once."""
    return ToyFacades().split(split).fields


def in_range(images):
    return images.float() / 127.5 - 1


def test_a_picture_depends_on_its_split_and_index_alone():
    state = torch.get_rng_state(), np.random.get_state()[1].copy()
    a, b = ToyFacades(seed=5).split("val").fields
    for index in (63, 7):  # by itself, in any order
        classes = draw_labels("val", index, 64)
        assert np.array_equal(b["b"][index].permute(1, 2, 0), COLOURS[classes])
        photo = photograph(classes[None], draw_style("val", index))[0]
        assert np.array_equal(a["a"][index].permute(1, 2, 0), photo)
    assert torch.equal(a["a"], drawn("val")[0]["a"])
    assert torch.equal(torch.get_rng_state(), state[0])
    assert np.array_equal(np.random.get_state()[1], state[1])


def test_splits_share_no_picture():
    maps = [draw_labels(split, i, 64).tobytes() for split, count in SIZES.items() for i in range(count)]
    assert len(maps) == len(set(maps)) == sum(SIZES.values()) == 4200


def test_photos_follow_their_labels_to_the_pixel():
    plain = np.full((1, 32, 32), CLASS["facade"], np.uint8)
    changed = np.zeros((32, 32), bool)
    changed[10:17, 5:12] = True
    for name in ("window", "door", "blind", "background", "shop"):
        classes = np.where(changed, CLASS[name], plain).astype(np.uint8)
        for style in range(len(STYLES)):
            differs = (photograph(classes, style) != photograph(plain, style)).any(-1)[0]
            assert np.array_equal(differs, changed), (name, STYLES[style])
    for style in range(len(STYLES)):  # a ledge also throws a shadow of one pixel
        classes = np.where(changed, CLASS["sill"], plain).astype(np.uint8)
        differs = (photograph(classes, style) != photograph(plain, style)).any(-1)[0]
        assert np.array_equal(differs, changed | np.roll(changed, 1, 0))


def test_glass_lies_in_a_frame():
    classes = np.full((1, 32, 32), CLASS["facade"], np.uint8)
    classes[0, 8:15, 8:15] = CLASS["window"]
    window = photograph(classes, 0)[0, 8:15, 8:15].astype(int)
    frame = np.zeros((7, 7), bool)
    frame[[0, -1]] = frame[:, [0, 3, -1]] = True
    assert (window[frame] == window[0, 0]).all()
    assert (window[~frame] != window[0, 0]).any(-1).all()
    assert (np.diff(window[1:-1, 1].sum(-1)) < 0).all()  # darker further down
    assert np.array_equal(window, window[:, ::-1])


def test_every_class_is_drawn_and_every_pixel_is_one_of_them():
    classes = torch.from_numpy(COLOURS).int()
    maps = drawn("val")[1]["b"].permute(0, 2, 3, 1).unsqueeze(3)
    is_class = (maps == classes).all(4)
    assert is_class.any(3).all()
    assert is_class.float().mean((0, 1, 2)).min() > 0.002


def test_truths_are_all_styles_of_the_label_map_and_the_photo_is_one_of_them():
    a, b = drawn("val")
    assert b["truths_b2a"].shape == (100, 8, 3, 64, 64)
    same = (b["truths_b2a"] == a["a"][:, None]).flatten(2).all(2)
    assert torch.equal(same.int().argmax(1), torch.tensor([draw_style("val", i) for i in range(100)]))
    assert (same.sum(1) == 1).all()
    assert torch.equal(b["truth_b2a"], a["a"])
    assert torch.equal(a["truth_a2b"], b["b"])


@pytest.mark.parametrize("size", [32, 64])
def test_styles_are_further_apart_than_twice_the_radius(size):
    truths = in_range(ToyFacades(image_size=size).split("test").fields[1]["truths_b2a"]).flatten(2)
    distances = torch.cdist(truths, truths) / truths.shape[2] ** 0.5 + 9 * torch.eye(8)
    assert distances.min() > 2 * RADIUS


def test_one_style_is_more_frequent_than_all_others():
    assert sum(FREQUENCIES) == pytest.approx(1)
    assert FREQUENCIES[0] > 0.5
    counts = np.bincount([draw_style("train", i) for i in range(4000)], minlength=8) / 4000
    assert counts == pytest.approx(FREQUENCIES, abs=0.05)
    assert counts.min() > 0.04
    walls = [(draw_labels("train", i, 64) == CLASS["facade"]).mean() for i in range(1000)]
    common = [draw_style("train", i) == 0 for i in range(1000)]
    assert abs(np.corrcoef(walls, common)[0, 1]) < 0.1  # the labels do not tell the style


def test_baselines_that_the_docs_state():
    truths = in_range(drawn("test")[1]["truths_b2a"])
    # The mean training photo; a quarter of the split is near enough, and quick.
    maps = np.stack([draw_labels("train", i, 64) for i in range(1000)])
    styles = np.array([draw_style("train", i) for i in range(1000)])
    photos = np.concatenate([photograph(maps[styles == style], style) for style in range(len(STYLES))])
    mean = in_range(torch.from_numpy(photos)).mean(0).permute(2, 0, 1)
    mixture = (truths * torch.tensor(FREQUENCIES).view(8, 1, 1, 1)).sum(1)  # what a squared error asks for
    for outputs, nearest in ((mean.expand(100, -1, -1, -1), 0.239), (mixture, 0.050)):
        metric = ModeCoverage(RADIUS)
        metric.update(outputs[:, None], truths)
        assert metric.compute()["nearest_mse"].item() == pytest.approx(nearest, abs=0.002)
        assert metric.compute()["modes_covered"] == 0


def test_batches_of_pairs_and_of_single_domains():
    paired, unpaired = ToyFacades(image_size=32), ToyFacades(image_size=32, paired=False)
    for data in (paired, unpaired):
        data.setup("fit")
    train, val = next(iter(paired.train_dataloader())), next(iter(paired.val_dataloader()))
    assert set(train) == {"a", "b", "path_a", "path_b", "truth_b2a", "truth_a2b"}
    assert set(val) == set(train) | {"truths_b2a"}
    assert train["a"].shape == (16, 3, 32, 32)
    assert val["truths_b2a"].shape == (16, 8, 3, 32, 32)
    assert val["truths_b2a"].dtype == torch.float32
    assert torch.equal(train["a"], train["truth_b2a"])
    assert [p.split("/")[1] for p in train["path_a"]] == [p.split("/")[1] for p in train["path_b"]]
    alone = next(iter(unpaired.train_dataloader()))
    assert set(alone) == {"a", "b", "path_a", "path_b"}
    assert [p.split("/")[1] for p in alone["path_a"]] != [p.split("/")[1] for p in alone["path_b"]]
    again = next(iter(unpaired.val_dataloader()))
    assert set(again) == set(val)
    assert torch.equal(again["truths_b2a"], val["truths_b2a"])


def test_sizes_and_what_the_checkpoint_notes():
    data = ToyFacades(image_size=48)
    assert data.split("test").fields[0]["a"].shape == (100, 3, 48, 48)
    assert data.spec()["domains"] == ["photo", "labels"]
    assert data.spec()["channels"] == [3, 3]
    with pytest.raises(ValueError, match=r"data.image_size is 31, but ToyFacades cannot be drawn below 32 px"):
        ToyFacades(image_size=31)
