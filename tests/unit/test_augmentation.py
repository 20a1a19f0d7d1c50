"""Random changes of training images, against maps worked out by hand."""

import pytest
import torch

import crossdomain
from crossdomain import serialization
from crossdomain.augmentation import RandomAffine
from crossdomain.companions import DomainClassifier
from crossdomain.datamodules import Digits


def test_nothing_is_changed_at_zero():
    images = torch.rand(3, 2, 7, 9) * 2 - 1
    torch.testing.assert_close(RandomAffine(deviation=0.0, shift=0.0)(images), images, rtol=0, atol=1e-5)


def test_a_plane_is_moved_as_the_maps_say():
    """An image whose value is its place tells the place that each pixel took its value from."""
    side = 64
    axis = (2 * torch.arange(side) + 1) / side - 1
    places = torch.stack(torch.meshgrid(axis, axis, indexing="xy"))  # x and y of each pixel
    torch.manual_seed(5)
    moved = RandomAffine(deviation=0.1, shift=0.125)(places.expand(4, -1, -1, -1))
    torch.manual_seed(5)
    matrices = torch.eye(2) + 0.1 * torch.randn(4, 2, 2)
    shifts = 0.125 * (2 * torch.rand(4, 2) - 1)
    expected = torch.einsum("nij,jhw->nihw", matrices, places) + shifts[:, :, None, None]
    inside = (expected.abs() < 1 - 1 / side).all(1, keepdim=True).expand_as(expected)
    assert inside.float().mean() > 0.6
    torch.testing.assert_close(moved[inside], expected[inside], rtol=0, atol=1e-5)
    assert moved.abs().max() <= axis.max()  # beyond the edge the edge goes on


def test_what_it_cannot_change_is_refused():
    with pytest.raises(ValueError, match="RandomAffine: shift is -1, but has to be at least 0"):
        RandomAffine(shift=-1)
    with pytest.raises(ValueError, match=r"moves images .* have shape \(4, 2\).\nLeave the augmentation out"):
        RandomAffine()(torch.zeros(4, 2))


def test_a_classifier_is_trained_on_changed_images_and_asked_about_those_that_are(tmp_path):
    method = DomainClassifier(1, augmentation=RandomAffine)
    data = Digits(batch_size=8)
    data.setup("fit")
    batch = next(iter(data.train_dataloader()))
    method.eval()
    torch.manual_seed(3)
    logits = method.generate(batch)["logits"]
    torch.manual_seed(3)
    torch.testing.assert_close(logits, method.network(RandomAffine()(batch["a"])))
    assert torch.equal(method.classify(batch["a"], "a"), method.network(batch["a"]))
    serialization.write(method, tmp_path / "classifier.ckpt")
    stored = crossdomain.load(tmp_path / "classifier.ckpt").hparams["augmentation"]
    assert stored == {
        "class_path": "crossdomain.augmentation.RandomAffine",
        "init_args": {"deviation": 0.1, "shift": 0.125},
    }
