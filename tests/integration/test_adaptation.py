"""The classifiers of domain adaptation."""

from functools import partial

import pytest
import torch
from torch.nn import functional as F

from crossdomain import serialization
from crossdomain.companions import DomainClassifier
from crossdomain.datamodules import Digits
from crossdomain.flows import ImageFlow
from crossdomain.methods import AlignFlow
from crossdomain.networks import ConvClassifier

NETWORK = partial(ConvClassifier, width=8)


@pytest.fixture
def translator(trainer, tmp_path):
    method = AlignFlow(1, flow=partial(ImageFlow, scales=1, steps=1, width=4), adversarial_weight=0.0)
    for p in method.parameters():
        p.data += 0.3 * torch.randn_like(p)
    method.prepare = lambda loader: None
    run = trainer(limit_train_batches=0, limit_val_batches=0)
    run.fit(method, Digits())
    run.save_checkpoint(tmp_path / "translator.ckpt")
    return str(tmp_path / "translator.ckpt"), method.eval()


@pytest.mark.parametrize("train_on", ["a", "b", "a2b", "b2a"])
def test_what_it_trains_on(train_on, translator, trainer):
    path, method = translator
    classifier = DomainClassifier(1, network=NETWORK, train_on=train_on, translator=path if "2" in train_on else None)
    classifier.trainer = trainer()
    classifier.trainer.strategy.connect(classifier)
    classifier.trainer.datamodule = Digits()
    classifier.setup("fit")
    batch = {d: 2 * torch.rand(4, 1, 16, 16) - 1 for d in "ab"} | {
        "label_a": torch.arange(4),
        "label_b": torch.arange(4, 8),
    }
    classifier.eval()
    out = classifier.generate(batch)
    images = method.translate(batch[train_on[0]], train_on).clamp(-1, 1) if "2" in train_on else batch[train_on]
    labels = batch[f"label_{train_on[0]}"]
    torch.testing.assert_close(out["logits"], classifier.network(images))
    expected = F.cross_entropy(classifier.network(images), labels)
    torch.testing.assert_close(classifier.classifier_loss(batch, out)["cross_entropy"], expected)


def test_translator_is_frozen_and_no_part_of_the_classifier(translator, trainer, tmp_path):
    path, method = translator
    classifier = DomainClassifier(1, network=NETWORK, train_on="a2b", translator=path)
    run = trainer()
    run.fit(classifier, Digits())
    assert set(classifier.state_dict()) == {f"network.{key}" for key in NETWORK(1, 10).state_dict()}
    used = classifier._translator.on()
    assert not any(p.requires_grad for p in used.parameters())
    for name, value in method.state_dict().items():
        assert torch.equal(used.state_dict()[name], value)
    run.save_checkpoint(tmp_path / "classifier.ckpt")
    (tmp_path / "translator.ckpt").unlink()
    again = serialization.rebuild(serialization.read(tmp_path / "classifier.ckpt"))  # the translator is gone
    images = torch.rand(2, 1, 16, 16)
    assert torch.equal(again.classify(images), classifier.eval().classify(images))


def test_it_learns_the_digits(trainer):
    """On real data: target only, a few epochs, far above the 10% of guessing."""
    classifier = DomainClassifier(1, train_on="b", optimizer=partial(torch.optim.Adam, lr=2e-3))
    run = trainer(max_epochs=8, limit_val_batches=0)
    run.fit(classifier, Digits())
    (metrics,) = run.test(classifier, Digits(), verbose=False)
    assert metrics["test/accuracy_b"] > 0.75


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"train_on": "a2b"}, "translator goes with 'a2b' and 'b2a'"),
        ({"train_on": "a", "translator": "x.ckpt"}, "translator goes with 'a2b' and 'b2a'"),
        ({"train_on": "abc"}, "train_on is 'abc', expected a domain, such as 'a', or a direction"),
        ({"channels_b": 3}, "1 and 3 channels, but one classifier reads all"),
    ],
)
def test_options_that_do_not_go_together(options, message):
    with pytest.raises(ValueError, match=message):
        DomainClassifier(1, **options)


def test_training_data_without_labels_is_refused(trainer, tensors):
    images = torch.zeros(4, 1, 16, 16, dtype=torch.uint8)
    with pytest.raises(ValueError, match="no labels of domain a"):
        trainer().fit(DomainClassifier(1, network=NETWORK), tensors({"a": images}, {"b": images}))


class WithoutFeatures(torch.nn.Sequential):
    def __init__(self, channels: int, classes: int) -> None:
        super().__init__(torch.nn.Flatten(), torch.nn.Linear(256 * channels, classes))


def test_features_are_those_of_the_network():
    images = 2 * torch.rand(3, 1, 16, 16) - 1
    classifier = DomainClassifier(1, network=NETWORK).eval()
    features = classifier.features(images)
    assert not features.requires_grad
    assert torch.equal(features, classifier.network.features(images))
    with pytest.raises(ValueError, match=r"a WithoutFeatures, has no method features\(images\)"):
        DomainClassifier(1, network=WithoutFeatures).features(images)
    with pytest.raises(ValueError, match="takes"):
        classifier.features(torch.zeros(1, 3, 16, 16))
