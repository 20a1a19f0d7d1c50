"""DigitDomains: kinds of digits as domains, the truths between some of them, and what each shows."""

import os
from itertools import permutations
from pathlib import Path

import pytest
import torch
from torchvision import datasets

from crossdomain.datamodules import DigitDomains, DigitPair, Digits
from crossdomain.datamodules.clutter import BRIGHTNESS, CONTRAST, clutter
from crossdomain.datamodules.digit_domains import SIZES
from crossdomain.datamodules.digits import handwritten, invert, photocopy

REAL = Path(os.environ.get("CROSSDOMAIN_DATA", "nowhere"))
needs_real = pytest.mark.skipif(not (REAL / "USPS").is_dir(), reason="CROSSDOMAIN_DATA has no digits")
HANDWRITTEN = ("digits", "photocopies", "inverted")
MAKE = {"digits": lambda ink: ink, "photocopies": photocopy, "inverted": invert}


def truths(fields):
    return {name for name in fields if name.startswith("truth")}


def test_truths_are_what_the_formulas_make_of_the_same_digit():
    data = DigitDomains(HANDWRITTEN, image_size=16)
    ink, labels, _ = handwritten([1797])
    for split in ("val", "test"):
        for domain, fields in zip("abc", data.split(split).fields, strict=True):
            kind = data.domains["abc".index(domain)]
            indices = [int(path.removeprefix(f"{kind}/")) for path in fields[f"path_{domain}"]]
            assert len(indices) == SIZES[split]
            assert torch.equal(fields[f"label_{domain}"], labels[indices])
            for other, shown in zip("abc", data.domains, strict=True):
                found = fields[domain if other == domain else f"truth_{domain}2{other}"]
                expected = (MAKE[shown](ink[indices]) * 255).round()
                assert torch.equal(found.float(), expected), (kind, shown)


def test_truth_only_where_it_is_known():
    kinds = ("printed", "inverted", "digits")
    data = DigitDomains(kinds)
    for split, expected in (("train", [set()] * 3), ("val", [set(), {"truth_b2c"}, {"truth_c2b"}])):
        assert [truths(fields) for fields in data.split(split).fields] == expected
    assert truths(DigitDomains(("digits", "printed")).split("test").fields[0]) == set()


def test_no_digit_is_in_two_domains_or_two_splits():
    data = DigitDomains()
    seen = []
    for split in SIZES:
        for domain, fields in zip("abc", data.split(split).fields, strict=False):
            seen += [int(path.rpartition("/")[2]) for path in fields[f"path_{domain}"]]
            assert fields[f"label_{domain}"].unique().tolist() == list(range(10))
    assert sorted(seen) == list(range(1797))
    printed = [data.split(split).fields[3] for split in SIZES]
    paths = [path for fields in printed for path in fields["path_d"]]
    assert len(set(paths)) == len({image.numpy().tobytes() for fields in printed for image in fields["d"]}) == 800


def test_a_kind_holds_the_same_images_whatever_stands_beside_it():
    whole, few = DigitDomains(image_size=16), DigitDomains(("printed", "photocopies"), image_size=16)
    assert few.domains == ("printed", "photocopies")
    for split in SIZES:
        printed, copies = few.split(split).fields
        assert torch.equal(copies["b"], whole.split(split).fields[1]["b"])
        assert copies["path_b"] == whole.split(split).fields[1]["path_b"]
        of_digits = Digits(a="printed").split(split).fields[0]
        assert torch.equal(printed["a"], of_digits["a"])
        assert torch.equal(printed["label_a"], of_digits["label_a"])


def test_batches_sizes_and_colours(small_data):
    kinds = ("usps", "digits", "svhn", "inverted", "mnist")
    data = DigitDomains(kinds, root=str(small_data), batch_size=4, image_size=24)
    assert data.spec()["domains"] == list(kinds)
    assert data.spec()["channels"] == [3] * 5
    data.setup("fit")
    assert data.splits["train"].lengths() == (18, 440, 18, 440, 18)
    train, val = next(iter(data.train_dataloader())), next(iter(data.val_dataloader()))
    assert set(train) == {f"{kind}{domain}" for kind in ("", "label_", "path_") for domain in "abcde"}
    assert truths(val) == {"truth_b2d", "truth_d2b"}
    for domain in "abcde":
        assert train[domain].shape == (4, 3, 24, 24)
        assert train[f"label_{domain}"].dtype == torch.int64
    assert DigitDomains().spec()["channels"] == [1] * 4
    assert DigitDomains().split("val").fields[0]["a"].shape == (60, 1, 32, 32)


def test_real_kinds_are_those_of_digit_pair(small_data):
    options = {"root": str(small_data), "image_size": 16}
    pair = DigitPair("mnist", "usps", **options)
    many = DigitDomains(("usps", "mnist", "printed"), **options)
    for split in ("train", "val", "test"):
        mnist, usps = pair.split(split).fields
        assert torch.equal(many.split(split).fields[0]["a"], usps["b"])
        assert many.split(split).fields[1]["path_b"] == mnist["path_a"]


@pytest.mark.parametrize("names", [("digits",), ("digits", "digits"), ("digits", "runes"), "digits"])
def test_kinds_that_are_none_are_refused(names):
    message = r"data.names is .*\nGive two or more different ones of: digits, photocopies, inverted, printed, mnist"
    with pytest.raises(ValueError, match=message):
        DigitDomains(names)


def test_what_is_missing_is_named_and_only_that_is_fetched(tmp_path, monkeypatch):
    data = DigitDomains(("digits", "usps"), root=str(tmp_path))
    with pytest.raises(FileNotFoundError, match=r"dataset usps is not complete in .*USPS.*\n.*--data.download true"):
        data.setup("fit")
    asked = []

    class Fetched:
        def __init__(self, root, train, download):
            asked.append((Path(root).name, train, download))
            self.data, self.targets = [], []

    monkeypatch.setattr(datasets, "USPS", Fetched)
    data.prepare_data()
    assert asked == []
    DigitDomains(("digits", "usps"), root=str(tmp_path), download=True).prepare_data()
    assert asked == [("USPS", True, True), ("USPS", False, True)]
    DigitDomains(HANDWRITTEN, root=str(tmp_path), download=True).prepare_data()
    assert len(asked) == 2


@needs_real
def test_five_real_and_embedded_kinds():
    data = DigitDomains(("digits", "photocopies", "printed", "mnist", "usps"), root=str(REAL), image_size=16)
    data.setup("test")
    assert data.splits["test"].lengths() == (99, 99, 80, 10_000, 2_007)
    means = [fields[d].float().mean().item() for d, fields in zip("abcde", data.splits["test"].fields, strict=True)]
    assert max(means[0], *means[2:]) < 0.4 * 255 < means[1]  # white ink on black in all but the copies
    batches = list(data.test_dataloader())
    assert [sum(len(batch[d]) for batch in batches if d in batch) for d in "abcde"] == [99, 99, 80, 10_000, 2_007]
    found = set().union(*map(truths, batches))
    assert found == {f"truth_{x}2{y}" for x, y in permutations("ab", 2)}


# --- cluttered digits --------------------------------------------------------------------------------------------


def test_clutter_depends_on_the_index_alone():
    ink = handwritten([1797])[0][:6]
    images = clutter(ink, [5, 6, 7, 5, 8, 9])
    assert images.shape == (6, 3, 16, 16)
    assert (images.min(), images.max()) >= (0, 0)
    assert images.max() <= 1
    assert torch.equal(images, clutter(ink, [5, 6, 7, 5, 8, 9]))
    torch.manual_seed(3)
    assert torch.equal(clutter(ink, [50, 6, 70, 80, 90, 100])[1], images[1])
    # One index, so one ground, light and noise: what differs is ink, of the digits between the same neighbours.
    differ = (images[0] != images[3]).any(0)
    assert torch.equal(differ & ~(ink[0, 0] != ink[3, 0]), torch.zeros(16, 16, dtype=torch.bool))
    assert differ.any()


def test_clutter_has_colours_contrast_and_neighbours():
    blank = torch.zeros(40, 1, 16, 16)
    full = torch.ones(40, 1, 16, 16)
    ground, colour = clutter(blank, range(40)), clutter(full, range(40))
    weights = torch.tensor(BRIGHTNESS).float().view(3, 1, 1)
    contrast = ((colour - ground).mean((2, 3), keepdim=True) * weights).sum((1, 2, 3))
    assert contrast.abs().min() > 0.6 * CONTRAST  # some is lost where values are clamped
    assert (contrast > 0).float().mean().item() == pytest.approx(0.5, abs=0.3)
    assert (ground.mean((2, 3)).std(1) > 0.05).float().mean() > 0.8  # not grey
    assert ground.std((2, 3)).min() > 0.02  # noise and light
    bars = blank.clone()
    bars[..., 3] = bars[..., 12] = 1.0  # ten pixels and more to the side, one of them still is in the picture
    changed = (clutter(bars, range(40)) - ground).abs().amax((1, 2))
    assert changed[:, [3, 12]].min() > 0.1
    assert torch.equal(changed[:, 4:12], torch.zeros(40, 8))
    left, right = (changed[:, columns].amax(1) > 0.1 for columns in (slice(0, 3), slice(13, 16)))
    assert 30 <= left.sum() + right.sum() <= 65  # three of four places, without a gap of 13
    assert 0 < (left & right).sum() < 40


def test_cluttered_digits_are_those_of_photocopies_with_the_plain_one_as_truth():
    data = Digits(b="cluttered")
    assert data.spec()["channels"] == [3, 3]
    assert data.domains == ("digits", "cluttered")
    for split in ("train", "test"):
        (fields_a, fields_b), (plain_a, plain_b) = data.split(split).fields, Digits().split(split).fields
        assert torch.equal(fields_a["a"], plain_a["a"].expand(-1, 3, -1, -1))
        assert torch.equal(fields_b["label_b"], plain_b["label_b"])
        assert fields_b["b"].shape == (len(plain_b["b"]), 3, 16, 16)
        assert truths(fields_a) == set()
        assert truths(fields_b) == (set() if split == "train" else {"truth_b2a"})
    assert torch.equal(fields_b["truth_b2a"], plain_b["truth_b2a"].expand(-1, 3, -1, -1))
    assert Digits(b="cluttered", image_size=32).split("val").fields[1]["b"].shape == (97, 3, 32, 32)
    assert truths(Digits(a="printed", b="cluttered").split("test").fields[1]) == set()
    with pytest.raises(ValueError, match="cluttered digits have colours"):
        Digits(b="cluttered", channels=1)
