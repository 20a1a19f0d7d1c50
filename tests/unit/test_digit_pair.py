"""MNIST, USPS and SVHN: the real files where CROSSDOMAIN_DATA has them, small ones of the same layout elsewhere."""

import os
import shutil
from pathlib import Path

import pytest
import scipy.io
import torch
from torchvision import datasets

from crossdomain.datamodules import DigitPair, Digits
from crossdomain.datamodules.digit_pair import read_digits

REAL = Path(os.environ.get("CROSSDOMAIN_DATA", "nowhere"))
needs_real = pytest.mark.skipif(not (REAL / "USPS").is_dir(), reason="CROSSDOMAIN_DATA has no digits")


@pytest.mark.parametrize(
    ("source", "target", "channels"), [("mnist", "usps", 1), ("usps", "mnist", 1), ("svhn", "mnist", 3)]
)
def test_any_two_become_domains(source, target, channels, small_data):
    data = DigitPair(source, target, root=str(small_data), batch_size=4, image_size=16)
    data.setup("fit")
    assert data.spec()["domains"] == [source, target]
    assert data.spec()["channels"] == [channels, channels]
    batch = next(iter(data.train_dataloader()))
    for domain in "ab":
        assert batch[domain].shape == (4, channels, 16, 16)
        assert batch[domain].abs().max() <= 1
        assert batch[f"label_{domain}"].max() <= 9
    assert "truth_a2b" not in batch


def test_val_is_held_out_of_train_and_test_is_the_official_one(small_data):
    data = DigitPair(root=str(small_data))
    names = {split: set(data.split(split).fields[0]["path_a"]) for split in ("train", "val", "test")}
    assert {split: len(of) for split, of in names.items()} == {"train": 18, "val": 2, "test": 20}
    assert not names["train"] & names["val"]
    assert all(name.startswith("mnist/test/") for name in names["test"])


def test_image_and_label_stay_together_and_zero_is_zero(small_data):
    fields = DigitPair("svhn", "mnist", root=str(small_data)).split("test").fields[0]
    stored = scipy.io.loadmat(small_data / "SVHN" / "test_32x32.mat")
    assert fields["label_a"].tolist() == [i % 10 for i in range(1, 21)]
    assert torch.equal(fields["a"][3], torch.tensor(stored["X"][..., 3]).permute(2, 0, 1))


def test_missing_dataset_names_the_path_and_the_way_out(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"dataset mnist is not complete in .*raw") as caught:
        DigitPair(root=str(tmp_path)).setup("fit")
    assert "--data.download true" in str(caught.value)
    with pytest.raises(ValueError, match="two different ones of mnist, usps, svhn"):
        DigitPair("mnist", "mnist")


@needs_real
def test_real_mnist_and_usps():
    data = DigitPair(root=str(REAL), image_size=16)
    data.setup("fit")
    data.setup("test")
    assert data.splits["train"].lengths() == (54_000, 6_562)
    assert data.splits["val"].lengths() == (6_000, 729)
    assert data.splits["test"].lengths() == (10_000, 2_007)
    fields_a, fields_b = data.splits["test"].fields
    assert fields_a["label_a"][:5].tolist() == [7, 2, 1, 0, 4]
    for domain, fields in (("a", fields_a), ("b", fields_b)):
        images = fields[domain].float() / 255
        assert images[..., :2, :2].mean() < 0.1  # white ink on black in both
        assert 0.1 < images.mean() < 0.4


@needs_real
def test_svhn_reads_real_images(tmp_path, monkeypatch):
    """The first 288 images of SVHN's train set; torchvision's checksum of the whole file is set aside here alone."""
    (tmp_path / "SVHN").mkdir()
    shutil.copy(REAL / "SVHN" / "train_32x32_first288.mat", tmp_path / "SVHN" / "train_32x32.mat")
    monkeypatch.setattr(datasets.SVHN, "_check_integrity", lambda self: True)
    images, labels, paths = read_digits("svhn", "train", tmp_path, 32, 3)
    assert images.shape == (260, 3, 32, 32)
    held_out = read_digits("svhn", "val", tmp_path, 32, 3)
    assert held_out[0].shape == (28, 3, 32, 32)
    assert not set(paths) & set(held_out[2])
    assert set(labels.tolist()) == set(range(10))
    stored = scipy.io.loadmat(REAL / "SVHN" / "train_32x32_first288.mat")
    place = int(paths[5].rpartition("/")[2])
    assert torch.equal(images[5], torch.tensor(stored["X"][..., place]).permute(2, 0, 1))
    assert labels[5] == stored["y"][place, 0] % 10


@pytest.mark.parametrize("make", [DigitPair, Digits])
def test_train_and_val_hand_out_the_labels_that_are_asked_for_and_test_all(make, small_data):
    data = make(root=str(small_data), image_size=16, batch_size=4, labelled=["a"], frequencies_a=[1.0] + [0.0] * 9)
    data.setup("fit")
    data.setup("test")
    batches = {name: next(iter(getattr(data, f"{name}_dataloader")())) for name in ("train", "val", "test")}
    assert {name: sorted(key for key in batch if "label" in key) for name, batch in batches.items()} == {
        "train": ["label_a"],
        "val": ["label_a"],
        "test": ["label_a", "label_b"],
    }
    assert not batches["train"]["label_a"].any()  # zeros alone were asked for
    with pytest.raises(ValueError, match=r"data\.labelled is \['mnist'\]\.\nGive letters of domains: a, b"):
        make(root=str(small_data), labelled=["mnist"]).setup("fit")
