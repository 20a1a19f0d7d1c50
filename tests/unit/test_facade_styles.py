"""FacadeStyles: eight styles as domains, and the truth between any two of them."""

from functools import cache
from itertools import permutations

import numpy as np
import pytest
import torch

from crossdomain.datamodules import FacadeStyles
from crossdomain.datamodules.facade_styles import NAMES, SIZES
from crossdomain.datamodules.toy_facades import draw_labels, photograph

LETTERS = "abcdefgh"


@cache
def drawn(split):
    """The fields of a split of all eight styles at 32 px, stored images, drawn once."""
    return FacadeStyles(image_size=32).split(split).fields


def numbers(fields, domain):
    """Which houses a domain shows."""
    return [int(path.rpartition("/")[2]) for path in fields[f"path_{domain}"]]


def test_the_eight_styles_are_the_domains():
    assert NAMES == (
        "brick by day",
        "plaster by day",
        "tiles by day",
        "timber by day",
        "brick in the evening",
        "plaster in the evening",
        "tiles in the evening",
        "timber in the evening",
    )
    data = FacadeStyles()
    assert data.domains == NAMES
    assert data.spec()["channels"] == [3] * 8
    assert data.spec()["image_size"] == 64


@pytest.mark.parametrize("split", ["val", "test"])
def test_truths_are_the_same_labels_in_the_other_style(split):
    fields = drawn(split)
    for place, domain in enumerate(LETTERS):
        of_domain = fields[place]
        truths = {name for name in of_domain if name.startswith("truth")}
        assert truths == {f"truth_{domain}2{other}" for other in LETTERS if other != domain}
        index = (7 * place + 3) % SIZES[split]
        house = numbers(of_domain, domain)[index]
        classes = draw_labels(split, house, 32)[None]
        for style, shown in enumerate(LETTERS):
            photo = photograph(classes, style)[0]
            found = of_domain[domain if shown == domain else f"truth_{domain}2{shown}"][index]
            assert np.array_equal(found.permute(1, 2, 0), photo), (domain, shown)
        assert of_domain[f"path_{domain}"][index] == f"{NAMES[place]}/{house:04d}"


def test_no_truth_in_training():
    for domain, fields in zip(LETTERS, drawn("train"), strict=True):
        assert set(fields) == {domain, f"path_{domain}"}
        assert len(fields[domain]) == SIZES["train"]


def test_no_house_is_in_two_domains_or_two_splits():
    houses = []
    for split in SIZES:
        for domain, fields in zip(LETTERS, drawn(split), strict=True):
            houses += [(split, number) for number in numbers(fields, domain)]
    assert len(houses) == len(set(houses)) == 8 * sum(SIZES.values())
    maps = {draw_labels(split, number, 64).tobytes() for split, number in houses}
    assert len(maps) == len(houses)  # other numbers are other houses


def test_a_subset_has_the_same_houses_in_the_order_that_was_asked_for():
    chosen = ("timber in the evening", "brick by day", "tiles by day")
    data = FacadeStyles(styles=chosen, image_size=32)
    assert data.domains == chosen
    whole = drawn("val")
    for place, domain in enumerate("abc"):
        fields = data.split("val").fields[place]
        of_whole = LETTERS[NAMES.index(chosen[place])]
        assert torch.equal(fields[domain], whole[LETTERS.index(of_whole)][of_whole])
        assert fields[f"path_{domain}"] == whole[LETTERS.index(of_whole)][f"path_{of_whole}"]
        assert {name for name in fields if "truth" in name} == {f"truth_{domain}2{o}" for o in "abc" if o != domain}
    truth = whole[NAMES.index(chosen[1])]["truth_a2h"]
    assert torch.equal(data.split("val").fields[1]["truth_b2a"], truth)


def test_batches_of_eight_domains():
    data = FacadeStyles(image_size=32, batch_size=4)
    data.setup("fit")
    train, val = next(iter(data.train_dataloader())), next(iter(data.val_dataloader()))
    assert set(train) == {*LETTERS, *(f"path_{domain}" for domain in LETTERS)}
    assert set(val) == set(train) | {f"truth_{x}2{y}" for x, y in permutations(LETTERS, 2)}
    assert {val[f"truth_{x}2{y}"].shape for x, y in permutations(LETTERS, 2)} == {(4, 3, 32, 32)}
    assert len(data.train_dataloader()) == 125
    offsets = [np.array(numbers(train, domain)) % SIZES["train"] for domain in LETTERS]
    assert any((offsets[0] != other).any() for other in offsets[1:])  # domains are drawn independently
    # Brick is red and plaster is white.
    means = {domain: val[domain].mean((0, 2, 3)) for domain in LETTERS}
    assert (means["a"] - means["b"]).abs().max() > 0.3


@pytest.mark.parametrize(
    "styles", [("brick by day",), ("brick by day", "brick by day"), ("brick by day", "marble by day"), ()]
)
def test_styles_that_are_none_are_refused(styles):
    with pytest.raises(ValueError, match=r"data.styles is .*\nGive two or more different ones of: brick by day, ") as e:
        FacadeStyles(styles=styles)
    assert len(str(e.value).splitlines()) <= 3


def test_sizes():
    with pytest.raises(ValueError, match=r"data.image_size is 31, but FacadeStyles cannot be drawn below 32 px"):
        FacadeStyles(image_size=31)
    shown = FacadeStyles(styles=NAMES[:2], image_size=48).split("val")
    assert shown.fields[0]["truth_a2b"].shape == (50, 3, 48, 48)
