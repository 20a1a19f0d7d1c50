"""PuppetShapes: what triplets and truths share, hues of each domain, fixed splits, the roles that its metrics read."""

import pytest
import torch

from crossdomain.datamodules import PuppetShapes
from crossdomain.datamodules.shapes import FACTORS, GEOMETRY, render
from crossdomain.domains import DataSpec
from crossdomain.methods import CycleVAE
from crossdomain.metrics import ManipulationAccuracy, TranslationCorrectness
from crossdomain.rivals import rivals

NAMES = list(FACTORS)


def a_batch(split="val", **options):
    data = PuppetShapes(**{"image_size": 16, "batch_size": 50, **options})
    data.setup("test" if split == "test" else "fit")
    return data, next(iter(getattr(data, f"{split}_dataloader")()))


def as_images(factors):
    return render(factors.long(), 16).float() / 127.5 - 1


def moved(factors, reference, attribute):
    k = NAMES.index(attribute)
    return torch.where(torch.arange(len(NAMES)) == k, reference, factors)


@pytest.mark.parametrize("attribute", ["orientation", "floor"])
def test_triplets_and_truths_differ_in_what_they_should(attribute):
    _, batch = a_batch(attribute=attribute)
    a, b = batch["attributes_a"], batch["attributes_b"]
    torch.testing.assert_close(batch["a"], as_images(a))
    torch.testing.assert_close(batch["b"], as_images(b))
    torch.testing.assert_close(batch["truth_b2a"], as_images(moved(a, b, attribute)))
    torch.testing.assert_close(batch["truth_a2b"], as_images(moved(b, a, attribute)))
    # rest_b is b but for the attribute of interest: one of its values gives the same picture
    found = torch.zeros(len(b), dtype=torch.bool)
    for value in range(FACTORS[attribute]):
        rest = as_images(moved(b, torch.full_like(b, value), attribute))
        found |= (rest - batch["rest_b"]).abs().amax((1, 2, 3)) < 1e-5
    assert found.all()
    assert ((batch["rest_b"] - batch["b"]).abs().amax((1, 2, 3)) > 1e-3).float().mean() > 0.8
    assert ((batch["reference_b"] - batch["b"]).abs().mean((1, 2, 3)) > 0.05).float().mean() > 0.9


def test_a_reference_has_the_attribute_of_interest_of_what_it_demonstrates():
    """Floors of one hue: their picture's lowest row is floor alone, of a colour that only the hue decides."""
    _, batch = a_batch(attribute="floor")
    colours = {key: batch[key][:, :, -1, 0] / batch[key][:, :, -1, 0].abs().amax(1, keepdim=True)
               for key in ("b", "reference_b", "rest_b")}  # fmt: skip
    assert (colours["reference_b"] - colours["b"]).abs().max() < 0.05
    assert (colours["rest_b"] - colours["b"]).abs().amax(1).gt(0.05).float().mean() > 0.7


def test_domains_have_hues_of_their_own():
    for attribute in ("orientation", "wall"):
        data = PuppetShapes(attribute=attribute)
        a, b = data.combinations("a"), data.combinations("b")
        for k in range(GEOMETRY):
            own = NAMES[k] != attribute
            assert a[:, k].unique().tolist() == list(range(5 if own else 10))
            assert b[:, k].unique().tolist() == list(range(5 if own else 0, 10))
        for k in range(GEOMETRY, len(NAMES)):
            assert a[:, k].unique().tolist() == b[:, k].unique().tolist() == list(range(list(FACTORS.values())[k]))
    data = PuppetShapes(same_hues=True)
    a, b = data.combinations("a"), data.combinations("b")
    assert len(a) == len(b) == 240_000
    assert len(torch.cat([a, b]).unique(dim=0)) == 480_000
    assert a[:, 0].unique().tolist() == list(range(10))


def test_splits_are_fixed_and_have_nothing_in_common():
    data = [PuppetShapes(image_size=16, seed=seed) for seed in (0, 1)]
    splits = [{name: one.split(name).fields for name in ("train", "val", "test")} for one in data]
    assert {name: len(of_a["a"]) for name, (of_a, _) in splits[0].items()} == {"train": 4000, "val": 250, "test": 500}
    for place, d in enumerate("ab"):
        every = torch.cat([fields[place][f"attributes_{d}"] for fields in splits[0].values()])
        assert len(every.unique(dim=0)) == len(every)
        for fields, others in zip(splits[0].values(), splits[1].values(), strict=True):
            assert torch.equal(fields[place][d], others[place][d])


def test_training_hands_out_triplets_without_truths():
    _, batch = a_batch("train", batch_size=4)
    assert {"a", "b", "reference_b", "rest_b", "attributes_a", "attributes_b"} <= set(batch)
    assert not any(key.startswith("truth") for key in batch)
    assert batch["reference_b"].shape == batch["rest_b"].shape == batch["a"].shape == (4, 3, 16, 16)


def test_a_manipulation_takes_one_attribute_of_the_reference_and_all_others_of_the_image():
    roles = PuppetShapes(attribute="orientation").roles
    assert roles == {name: "shared" if name == "orientation" else "both" for name in FACTORS}
    reference, image = torch.zeros(4, 6), torch.ones(4, 6)  # b2a: the reference is translated, the image is the guide
    right = moved(image, reference, "orientation")
    for direction in ("b2a", "a2b"):
        for output, orientation, others in ((right, 1, 1), (image, 0, 1), (reference, 1, 0)):
            accuracy = ManipulationAccuracy(FACTORS, roles, direction)
            accuracy.update(output, reference, image)
            found = accuracy.compute()
            assert found["acc_orientation"] == orientation
            assert {found[f"acc_{name}"].item() for name in FACTORS if name != "orientation"} == {others}
            correctness = TranslationCorrectness(FACTORS, roles, direction)
            correctness.update(output, reference, image)
            assert correctness.compute()["content_and_style"] == min(orientation, others)
    with pytest.raises(ValueError, match="is 'shared', 'a', 'b' or 'both'"):
        ManipulationAccuracy(FACTORS, {**roles, "floor": "guide"}, "b2a")


def test_copies_are_rows_of_its_tables():
    data, _ = a_batch("train", batch_size=4)
    found = rivals(DataSpec.from_plain(data.spec()), [CycleVAE(3)], data.train_dataloader())
    assert {"copy-input", "copy-guide", "random-image"} <= set(found)


def test_mistakes_are_named():
    with pytest.raises(ValueError, match=r"data\.attribute is 'hue', but scenes have floor, wall, object, size"):
        PuppetShapes(attribute="hue")
    with pytest.raises(ValueError, match=r"data\.image_size is 8, but scenes cannot be seen below 16 px"):
        PuppetShapes(image_size=8)
