"""PuppetDigits: triplets of demonstrations, sweeps of references, truths, and what pictures are functions of."""

import os
from pathlib import Path

import pytest
import torch

from crossdomain.datamodules import DigitPair, PuppetDigits
from crossdomain.datamodules.loading import ABSENT, Draw, images_of
from crossdomain.datamodules.puppet_digits import (
    BOXES,
    RANGES,
    SIZES,
    STEPS,
    UPRIGHT,
    Look,
    glyphs,
    print_looks,
    turn_and_scale,
)
from crossdomain.metrics.manipulation import rotation, size

REAL = Path(os.environ.get("CROSSDOMAIN_DATA", "nowhere"))
needs_real = pytest.mark.skipif(not (REAL / "MNIST").is_dir(), reason="CROSSDOMAIN_DATA has no MNIST")
ATTRIBUTES = ("rotation", "size")


def batch_of(data, split, indices, epoch=0, first=0):
    data.setup("fit" if split != "test" else "test")
    return data.splits[split].__getitems__([Draw(epoch, first + k, (i, i)) for k, i in enumerate(indices)])


def stored(ink):
    return (ink * 255).round() / 127.5 - 1


def test_a_pixel_by_hand():
    """Four samples a pixel, a quarter of a pixel off its middle: 9/16 is its own, and 1/16 that of a corner."""
    ink = torch.zeros(1, 1, 8, 8)
    ink[..., 3, 5] = 1
    same = turn_and_scale(ink, 0.5, [0.0], [0.5], 8)
    expected = torch.zeros(8, 8)
    expected[2:5, 4:7] = torch.tensor([0.125, 0.75, 0.125]).outer(torch.tensor([0.125, 0.75, 0.125]))
    assert torch.equal(same[0, 0], stored(expected))
    left = turn_and_scale(ink, 0.5, [90.0], [0.5], 8)  # a quarter turn counterclockwise
    assert torch.equal(left[0, 0], torch.rot90(stored(expected)))
    half = turn_and_scale(torch.ones(1, 1, 8, 8), 1.0, [0.0], [0.5], 8)  # the whole frame is the digit's box
    assert torch.equal(half[0, 0, 3:5, 3:5], torch.ones(2, 2))
    assert (half[0, 0, :2].max(), half[0, 0, :, 6:].max()) == (-1, -1)


def test_printed_digits_are_as_high_and_lean_as_they_are_said_to():
    sheet = glyphs()
    assert sheet.shape == (len(UPRIGHT), 10, 64, 64)
    rows = (sheet > 0).any(3)
    assert torch.equal(rows.sum(2), torch.full((len(UPRIGHT), 10), 48))  # 0.75 of 64
    assert torch.equal(rows, rows.flip(2))  # in the middle
    for font in range(len(UPRIGHT)):
        turned = print_looks([Look(d, font, t, 0.7) for d in range(10) for t in (-20, 20)], 64)
        lean = (rotation(turned).view(10, 2).diff() + 90) % 180 - 90
        torch.testing.assert_close(lean, torch.full((10, 1), 40.0).double(), atol=4.0, rtol=0)
        scaled = size(print_looks([Look(d, font, 10, s) for d in range(10) for s in (0.4, 0.8)], 64)).view(10, 2)
        torch.testing.assert_close(scaled[:, 1] / scaled[:, 0], torch.full((10,), 2.0).double(), atol=0.1, rtol=0)


@pytest.mark.parametrize("attribute", ATTRIBUTES)
def test_b_has_the_attribute_of_its_reference_and_all_the_rest_of_the_other(attribute):
    data = PuppetDigits(attribute)
    data.setup("fit")
    dataset, indices = data.splits["train"], range(40)
    batch = batch_of(data, "train", indices, epoch=3)
    triplets = [dataset._triplet(i, 3) for i in indices]
    for key, looks in zip(("reference_b", "rest_b", "b"), zip(*triplets, strict=True), strict=True):
        assert torch.equal(batch[key], print_looks(looks, 32)), key
    for first, second, both in triplets:
        other = next(name for name in ATTRIBUTES if name != attribute)
        assert getattr(both, attribute) == getattr(first, attribute) != getattr(second, attribute)
        assert getattr(both, other) == getattr(second, other) != getattr(first, other)
        assert (both.digit, both.font) == (second.digit, second.font)
    assert batch["label_b"].tolist() == [both.digit for *_, both in triplets]
    interest = torch.tensor([getattr(both, attribute) for *_, both in triplets])
    assert torch.equal(batch["attributes_b"][:, 0], interest)  # the attribute of interest comes first
    assert next(iter(data.spec()["attributes"])) == attribute
    for letter in "ab":
        for column, name in enumerate(data.attributes):
            low, high = RANGES[name]
            values = batch[f"attributes_{letter}"][:, column]
            assert low <= values.min() < low + 0.2 * (high - low) < high - 0.2 * (high - low) < values.max() <= high


@pytest.mark.parametrize("attribute", ATTRIBUTES)
def test_truths_are_one_digit_with_the_attribute_of_the_other(attribute):
    data = PuppetDigits(attribute)
    batch = batch_of(data, "val", range(12))
    dataset = data.splits["val"]
    columns = {name: k for k, name in enumerate(data.attributes)}

    def real(attributes):
        numbers = [attributes[:, columns[name]].tolist() for name in ("rotation", "size")]
        return turn_and_scale(dataset.ink[:12].float() / 255, BOXES["digits"], *numbers, 32)

    torch.testing.assert_close(real(batch["attributes_a"]), batch["a"], atol=0.01, rtol=0)
    swapped = torch.stack([batch["attributes_b"][:, 0], batch["attributes_a"][:, 1]], 1)
    torch.testing.assert_close(real(swapped), batch["truth_b2a"], atol=0.01, rtol=0)
    looks = [dataset._triplet(i, 0)[2] for i in range(12)]
    moved = [
        look._replace(**{attribute: value})
        for look, value in zip(looks, batch["attributes_a"][:, 0].tolist(), strict=True)
    ]
    torch.testing.assert_close(print_looks(moved, 32), batch["truth_a2b"], atol=0.01, rtol=0)
    assert not [key for key in batch_of(data, "train", range(2)) if key.startswith(("truth", "references"))]


@pytest.mark.parametrize("attribute", ATTRIBUTES)
def test_references_are_a_grid_of_the_attribute_and_of_rests(attribute):
    batch = batch_of(PuppetDigits(attribute), "val", [3, 7, 3])
    references, given = batch["references_a"], batch["references_attributes_a"]
    assert references.shape == (3, STEPS, STEPS, 1, 32, 32)
    assert torch.equal(references[0], references[1])  # the same for all images
    other = next(name for name in ATTRIBUTES if name != attribute)
    over, across = (torch.linspace(*RANGES[name], STEPS) for name in (attribute, other))
    torch.testing.assert_close(given[0, :, :, 0], over[:, None].expand(-1, STEPS))
    torch.testing.assert_close(given[0, :, :, 1], across[None].expand(STEPS, -1))
    measure = {"rotation": rotation, "size": size}[attribute]
    seen = measure(references[0].flatten(0, 1)).view(STEPS, STEPS)
    assert (seen.diff(dim=0) > 0).all()  # of every printed digit the attribute grows over the sweep
    assert len({image.numpy().tobytes() for image in references[0].flatten(0, 1)}) == STEPS**2


def test_a_picture_is_a_function_of_seed_epoch_and_index():
    data, other = PuppetDigits(), PuppetDigits(seed=1)
    one, again = batch_of(data, "train", [5, 9], epoch=2), batch_of(data, "train", [8, 5], epoch=2, first=30)
    for key in ("a", "b", "reference_b", "rest_b", "attributes_a", "attributes_b"):
        assert torch.equal(one[key][0], again[key][1]), key
        assert not torch.equal(one[key][0], batch_of(data, "train", [5], epoch=3)[key][0])
        assert not torch.equal(one[key][0], batch_of(other, "train", [5], epoch=2)[key][0])
        for epoch in (0, 4):
            held = batch_of(other, "val", [5], epoch=epoch)[key]
            assert torch.equal(held, batch_of(data, "val", [1, 5])[key][1:])
    assert torch.equal(one["label_a"][0], again["label_a"][1])
    assert one["path_a"][0] == again["path_a"][1]
    assert not torch.equal(batch_of(data, "val", [5])["b"], batch_of(data, "test", [5])["b"])
    loaders = [PuppetDigits(num_workers=workers, batch_size=300) for workers in (0, 1)]
    for loader in loaders:
        loader.setup("validate")
    first, second = (next(iter(loader.val_dataloader())) for loader in loaders)
    assert all(torch.equal(value, second[key]) for key, value in first.items() if isinstance(value, torch.Tensor))


def test_a_domain_may_be_absent():
    data = PuppetDigits()
    data.setup("validate")
    dataset = data.splits["val"]
    both = dataset.__getitems__([Draw(0, 0, (4, 4)), Draw(0, 1, (6, 6))])
    alone = dataset.__getitems__([Draw(0, 0, (ABSENT, 4)), Draw(0, 1, (ABSENT, 6))])
    assert {key for key in alone if key[-1] == "a" and not key.startswith("truth")} == set()
    assert all(torch.equal(alone[key], both[key]) for key in alone if key != "path_b")
    assert torch.equal(images_of(dataset, "a", [6]), both["a"][1:])


def test_splits_share_no_digit_and_hold_stored_values():
    data, seen = PuppetDigits(image_size=16), []
    for split, count in SIZES.items():
        batch = batch_of(data, split, range(count))
        seen += batch["path_a"]
        assert batch["label_a"].unique().tolist() == list(range(10))
        for key in ("a", "b"):
            assert batch[key].shape == (count, 1, 16, 16)
            levels = (batch[key] + 1) * 127.5
            torch.testing.assert_close(levels, levels.round(), atol=1e-4, rtol=0)
    assert len(set(seen)) == len(seen) == 1797
    assert (data.channels_a, data.channels_b, data.domains) == (1, 1, ("digits", "printed"))


def test_mnist_is_read_from_the_root(small_data, tmp_path):
    data = PuppetDigits(real="mnist", root=str(small_data), batch_size=4)
    data.setup("fit")
    assert data.domains == ("mnist", "printed")
    assert data.splits["train"].lengths() == (18, 18)
    expected = DigitPair(root=str(small_data), image_size=28).split("val").fields[0]
    assert data.splits["val"].paths == expected["path_a"]
    assert torch.equal(data.splits["val"].ink, expected["a"])
    assert next(iter(data.train_dataloader()))["a"].shape == (4, 1, 32, 32)
    with pytest.raises(FileNotFoundError, match="dataset mnist is not complete"):
        PuppetDigits(real="mnist", root=str(tmp_path / "nothing")).setup("fit")


@needs_real
def test_of_the_real_mnist_some_are_held_out():
    data = PuppetDigits(real="mnist", root=str(REAL))
    for stage in ("fit", "test"):
        data.setup(stage)
    assert {name: len(split) for name, split in data.splits.items()} == {"train": 54_000, "val": 200, "test": 1_000}
    assert data.splits["test"].paths[:2] == ["mnist/test/00000", "mnist/test/00001"]
    shown = batch_of(data, "test", range(100))
    upright = turn_and_scale(data.splits["test"].ink[:100].float() / 255, BOXES["mnist"], [0.0] * 100, [0.7] * 100, 32)
    lean = (rotation(shown["a"]) - rotation(upright) + 90) % 180 - 90  # what was turned, without the writer's slant
    assert (lean - shown["attributes_a"][:, 0]).abs().median() < 2


def test_what_there_is_not_is_refused():
    with pytest.raises(ValueError, match=r"data.attribute is 'slant' and data.real is 'digits'.\nGive the attribute"):
        PuppetDigits("slant")
    with pytest.raises(ValueError, match=r"data\.real is 'usps'"):
        PuppetDigits(real="usps")
    with pytest.raises(ValueError, match=r"data.image_size is 8, .*\nSet it to 16 or more"):
        PuppetDigits(image_size=8)
