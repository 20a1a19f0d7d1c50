"""Data: splits, the photocopy's formula, deterministic and resumable loading."""

from itertools import islice

import pytest
import torch

from crossdomain.datamodules import Digits, DomainImages, DrawSampler, make_loader
from crossdomain.datamodules.digits import SPLITS, photocopy, print_digit


def numbers(start, n):
    return torch.arange(start, start + n)


def loader(length_a=10, length_b=7, training=True, workers=0, epoch=0, batch_size=3, seed=0, **options):
    dataset = DomainImages({"a": numbers(0, length_a)}, {"b": numbers(100, length_b)})
    sampler = DrawSampler((length_a, length_b), training=training, seed=seed, **options)
    sampler.set_epoch(epoch)
    return make_loader(dataset, sampler, batch_size=batch_size, num_workers=workers)


def drawn(batches, domain):
    return [int(i) for batch in batches if domain in batch for i in batch[domain]]


def test_photocopy_of_one_pixel_by_hand():
    ink = torch.zeros(1, 1, 16, 16)
    ink[..., 8, 8] = 1
    copy = photocopy(ink)
    weights = torch.exp(-0.5 * (torch.arange(-3, 4) / 0.7) ** 2)
    weights /= weights.sum()
    middle = weights[2:5].sum()  # the blur sees the 3x3 block that thickening made
    assert copy[0, 0, 8, 8].item() == pytest.approx(0.25 + 0.55 * (middle**2).item(), rel=1e-5)
    assert copy[0, 0, 0, 0].item() == pytest.approx(0.25)
    torch.testing.assert_close(photocopy(torch.ones(1, 1, 16, 16)), torch.full((1, 1, 16, 16), 0.80))


def test_digits_are_disjoint_and_labelled():
    data = Digits()
    seen: set[str] = set()
    for name in ("train", "val", "test"):
        fields_a, fields_b = data.split(name).fields
        for domain, fields in (("a", fields_a), ("b", fields_b)):
            assert len(fields[domain]) == SPLITS[domain][name] == len(fields[f"label_{domain}"])
            indices = {path.split("/")[1] for path in fields[f"path_{domain}"]}
            assert not indices & seen
            seen |= indices
            assert fields[f"label_{domain}"].unique().tolist() == list(range(10))
    assert len(seen) == 1797
    assert SPLITS["b"]["test"] >= 350


def test_digits_tell_the_truth_to_validation_and_not_to_training():
    data = Digits()
    data.setup("fit")
    train, val = next(iter(data.train_dataloader())), next(iter(data.val_dataloader()))
    assert set(train) == {"a", "b", "label_a", "label_b", "path_a", "path_b"}
    assert set(val) == set(train) | {"truth_b2a", "truth_a2b"}
    for domain in "ab":
        assert val[domain].shape == (64, 1, 16, 16)
        assert val[domain].dtype == torch.float32
        assert val[domain].min() >= -1
        assert val[domain].max() <= 1
        levels = (val[domain] + 1) * 127.5
        torch.testing.assert_close(levels, levels.round(), atol=1e-4, rtol=0)
    again = photocopy((val["a"] + 1) / 2) * 2 - 1
    assert (again - val["truth_a2b"]).abs().max() <= 1 / 127.5
    # What the docs say of the task: leaving pictures as they are, and the mean picture.
    assert (val["a"] - val["truth_a2b"]).square().mean().item() == pytest.approx(0.35, abs=0.03)
    assert (val["truth_a2b"] - val["truth_a2b"].mean(0)).square().mean().item() == pytest.approx(0.05, abs=0.01)


def test_digits_in_other_sizes_and_colours():
    data = Digits(image_size=32, channels=3)
    data.setup("test")
    assert next(iter(data.test_dataloader()))["a"].shape == (64, 3, 32, 32)
    assert data.spec() == {
        "domains": ["digits", "photocopies"],
        "channels": [3, 3],
        "image_size": 32,
        "resize_filter": "bicubic",
        "levels": 256,
        "palette": None,
        "attributes": None,
        "roles": None,
    }
    with pytest.raises(ValueError, match=r"data.channels is 2, but Digits come with 1 \(grey\) or 3"):
        Digits(channels=2)
    with pytest.raises(ValueError, match="batch_size is 0"):
        Digits(batch_size=0)


def test_root_comes_from_the_environment(monkeypatch):
    monkeypatch.setenv("CROSSDOMAIN_DATA", "/somewhere")
    assert str(Digits().root) == "/somewhere"
    monkeypatch.delenv("CROSSDOMAIN_DATA")
    assert str(Digits().root) == "data"
    assert str(Digits(root="here").root) == "here"


def test_training_epoch_is_as_long_as_the_longer_domain():
    batches = list(loader(batch_size=5))
    assert sorted(drawn(batches, "a")) == list(range(10))
    b = drawn(batches, "b")
    assert sorted(b[:7]) == list(range(100, 107))
    assert len(set(b[7:])) == 3


def test_order_depends_on_seed_and_epoch_alone():
    first = drawn(loader(), "a")
    assert first == drawn(loader(workers=2), "a")
    assert first != drawn(loader(epoch=1), "a")
    assert first != drawn(loader(seed=1), "a")
    pairs = list(zip(first, drawn(loader(), "b"), strict=True))
    assert any(b - 100 != a for a, b in pairs)  # the domains are drawn independently


def test_paired_draws_stay_together():
    batches = list(loader(length_b=10, paired=True))
    assert drawn(batches, "b") == [a + 100 for a in drawn(batches, "a")]


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("done", [1, 2, 3])
def test_loader_resumes_at_the_very_next_sample(workers, done):
    whole = drawn(loader(workers=workers, epoch=2), "a")
    first = loader(workers=workers, epoch=2)
    before = list(islice(first, done))
    second = loader(workers=workers)
    second.load_state_dict(first.state_dict())
    assert drawn(before, "a") + drawn(second, "a") == whole
    assert drawn(second, "a") == whole  # and the next iteration is a whole one


def test_loading_draws_nothing_from_the_global_generator():
    state = torch.get_rng_state()
    list(loader(workers=2))
    list(loader())
    assert torch.equal(state, torch.get_rng_state())


def test_evaluation_neither_pads_nor_drops():
    batches = list(loader(training=False))
    assert drawn(batches, "a") == list(range(10))
    assert drawn(batches, "b") == list(range(100, 107))
    assert "b" not in batches[-1]
    parts = [drawn(loader(training=False, rank=r, world_size=3), "a") for r in range(3)]
    assert [len(p) for p in parts] == [4, 3, 3]
    assert sorted(i for part in parts for i in part) == list(range(10))


def test_ranks_share_a_training_epoch_without_overlap():
    parts = [drawn(loader(rank=r, world_size=3, batch_size=1), "a") for r in range(3)]
    assert [len(p) for p in parts] == [3, 3, 3]
    assert len({i for part in parts for i in part}) == 9
    one = drawn(loader(batch_size=1), "a")
    assert parts[1] == one[1:9:3]


def test_batch_larger_than_the_split_is_refused():
    data = Digits(batch_size=1000)
    data.setup("fit")
    with pytest.raises(ValueError, match=r"620 images, fewer than one batch of 1000"):
        data.train_dataloader()


def test_inverted_digits_know_their_truth():
    data = Digits(b="inverted")
    assert data.domains == ("digits", "inverted")
    for split in ("train", "val"):
        data.splits[split] = data.split(split)
    plain = Digits().split("val")
    a, b = data.splits["val"].fields
    assert torch.equal(a["a"], plain.fields[0]["a"])
    for truth, image in ((a["truth_a2b"], a["a"]), (b["truth_b2a"], b["b"])):
        assert (truth.int() + image.int() - 255).abs().max() <= 1  # both were rounded to bytes
    assert "truth_a2b" not in data.splits["train"].fields[0]


def test_printed_digits_are_many_typefaces_without_truth():
    data = Digits(a="printed")
    assert data.domains == ("printed digits", "photocopies")
    seen = {split: data.split(split) for split in ("train", "val", "test")}
    assert [dataset.lengths() for dataset in seen.values()] == [(620, 540), (100, 97), (80, 360)]
    for dataset in seen.values():
        assert not {"truth_b2a", "truth_a2b"} & {name for fields in dataset.fields for name in fields}
    images, labels = seen["train"].fields[0]["a"], seen["train"].fields[0]["label_a"]
    assert labels.bincount(minlength=10).min() > 40
    assert len({image.numpy().tobytes() for dataset in seen.values() for image in dataset.fields[0]["a"]}) == 800
    ink = images.float().mean((1, 2, 3)) / 255
    assert ink.min() > 0.05  # none is empty, none has left the page
    assert ink.max() < 0.5
    border = torch.cat([images[:, :, 0], images[:, :, -1]], -1).float().mean() / 255
    assert border < 0.1
    assert torch.equal(print_digit(0)[0], print_digit(0)[0])
    assert (print_digit(0)[0] - print_digit(1)[0]).abs().max() > 0.5
    # Digits of one kind look alike: the mean picture of a class is nearest for most of its members.
    means = torch.stack([images[labels == k].float().mean(0) for k in range(10)])
    near = (images[:, None].float() - means).square().mean((2, 3, 4)).argmin(1)
    assert (near == labels).float().mean() > 0.7


def test_unknown_kinds_of_digits_are_refused():
    with pytest.raises(ValueError, match="a is handwritten or printed"):
        Digits(a="carved")
