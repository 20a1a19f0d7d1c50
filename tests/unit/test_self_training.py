"""Classifiers that start where others ended, and that learn from images without labels."""

from functools import partial

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import crossdomain
from crossdomain import serialization
from crossdomain.augmentation import Augmentation, RandomAffine
from crossdomain.companions import DomainClassifier
from crossdomain.datamodules import Digits
from crossdomain.networks import ConvClassifier
from crossdomain.self_training import SelfTraining

NETWORK = partial(ConvClassifier, width=4, dropout=0.0)
MADE = partial(DomainClassifier, 1, network=NETWORK, augmentation=RandomAffine, self_training=SelfTraining)


class Shifts(Augmentation):
    """Adds 0, 1, 2, ... to the images of a batch, one after the other."""

    def __call__(self, images):
        return images + torch.arange(len(images)).view(-1, *[1] * (images.ndim - 1))


class Table(nn.Module):
    """Logits of two classes: the image's only value, and 0."""

    def forward(self, images):
        return F.pad(images.flatten(1), (0, 1))


def test_opinions_are_those_of_the_mean_over_views_where_it_is_sure():
    images = torch.tensor([-4.0, 0.5, 3.0]).view(3, 1, 1, 1)
    rule = SelfTraining(views=2, threshold=0.9)
    classes, sure = rule.opinions(Table(), images, Shifts())
    # the two views of image i are image + i and image + 3 + i
    first, second = (torch.sigmoid(torch.tensor(values)) for values in ([-4.0, 1.5, 5.0], [-1.0, 4.5, 8.0]))
    expected = (first + second) / 2  # probabilities of class 0: 0.143, 0.904, 0.997
    assert classes.tolist() == [1, 0, 0]
    assert sure.tolist() == [float(max(p, 1 - p) >= 0.9) for p in expected.tolist()] == [0.0, 1.0, 1.0]


def test_the_loss_counts_what_the_teacher_is_sure_of_and_divides_by_all():
    logits = torch.tensor([[2.0, 0.0], [0.0, 1.0], [0.0, 0.0]])
    loss = SelfTraining(weight=0.5).loss(logits, torch.tensor([0, 0, 1]), torch.tensor([1.0, 0.0, 1.0]))
    expected = 0.5 * (F.softplus(torch.tensor(-2.0)) + torch.log(torch.tensor(2.0))) / 3
    torch.testing.assert_close(loss, expected)


def test_the_teacher_is_the_moving_average_with_running_statistics_and_what_classify_asks(trainer):
    method = MADE()
    network = method.network
    averages = [{}]

    def remember(player):
        before = averages[-1] or {k: v.clone() for k, v in start.items()}
        averages.append(
            {k: 0.99 * before[k] + 0.01 * v for k, v in network.state_dict().items() if v.is_floating_point()}
        )
        DomainClassifier.after_step(method, player)

    start = {k: v.clone() for k, v in network.state_dict().items()}
    method.after_step = remember
    trainer(limit_train_batches=3, limit_val_batches=0).fit(method, Digits(batch_size=8))
    assert len(averages) == 4
    for name, value in averages[-1].items():
        torch.testing.assert_close(method.teacher.state_dict()[name], value)
    assert not torch.equal(method.teacher.model[0].weight, network.model[0].weight)
    assert not torch.equal(method.teacher.model[1].running_mean, start["model.1.running_mean"])
    images = torch.rand(2, 1, 16, 16)
    method.eval()
    assert torch.equal(method.classify(images, "b"), method.teacher(images))
    assert torch.equal(method.features(images, "b"), method.teacher.features(images))


def test_a_round_by_hand_and_no_label_of_the_other_domain_is_read(tensors, trainer):
    fields = {"a": torch.randint(256, (6, 1, 16, 16), dtype=torch.uint8), "label_a": torch.arange(6)}
    others = {"b": torch.randint(256, (6, 1, 16, 16), dtype=torch.uint8)}
    method = MADE(self_training=partial(SelfTraining, threshold=0.0, weight=0.5))
    seen = []
    generate = method.generate
    method.generate = lambda batch: seen.append((batch, generate(batch))) or seen[-1][1]
    trainer(limit_train_batches=1, limit_val_batches=0).fit(method, tensors(fields, others))
    batch, out = seen[0]
    terms = method.classifier_loss(batch, out)
    torch.testing.assert_close(terms["cross_entropy"], F.cross_entropy(out["logits"], batch["label_a"]))
    torch.testing.assert_close(terms["self_training"], 0.5 * F.cross_entropy(out["unlabelled"], out["opinions"]))
    assert set(method.last_terms) == {"classifier_cross_entropy", "classifier_self_training"}
    assert not any(p.requires_grad for p in method.teacher.parameters())
    assert not method.teacher.training


def test_a_checkpoint_has_the_teacher_and_answers_with_it(trainer, tmp_path):
    method = MADE()
    run = trainer(limit_train_batches=2, limit_val_batches=0)
    run.fit(method, Digits(batch_size=8))
    run.save_checkpoint(tmp_path / "self.ckpt")
    again, images = crossdomain.load(tmp_path / "self.ckpt"), torch.rand(2, 1, 16, 16)
    assert torch.equal(again.classify(images), method.eval().classify(images))
    assert not torch.equal(again.classify(images), again.network(images))


def test_it_starts_where_another_ended_and_resumes_without_its_file(trainer, tmp_path):
    first = DomainClassifier(1, network=NETWORK)
    serialization.write(first, tmp_path / "first.ckpt")
    method = MADE(start_from=str(tmp_path / "first.ckpt"))
    begun = []
    method.on_train_start = lambda: begun.append({k: v.clone() for k, v in method.state_dict().items()})
    run = trainer(limit_train_batches=1, limit_val_batches=0)
    run.fit(method, Digits(batch_size=8))
    for name, value in first.network.state_dict().items():
        assert torch.equal(begun[0][f"network.{name}"], value)
        assert torch.equal(begun[0][f"teacher.{name}"], value)
    run.save_checkpoint(tmp_path / "self.ckpt")
    (tmp_path / "first.ckpt").unlink()
    further = trainer(max_epochs=2, limit_train_batches=1, limit_val_batches=0)
    resumed = serialization.rebuild(serialization.read(tmp_path / "self.ckpt"))
    further.fit(resumed, Digits(batch_size=8), ckpt_path=tmp_path / "self.ckpt")
    assert resumed.rounds == 2


def test_it_starts_with_what_a_self_trained_one_answers_with(trainer, tmp_path):
    first = MADE()
    for p in first.teacher.parameters():
        p.data += 1.0
    serialization.write(first, tmp_path / "first.ckpt")
    method = DomainClassifier(1, network=NETWORK, start_from=str(tmp_path / "first.ckpt"))
    method.prepare([])
    for name, value in first.teacher.state_dict().items():
        assert torch.equal(method.network.state_dict()[name], value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"augmentation": None}, r"nothing to make them\.\nGive model\.augmentation"),
        ({"self_training": partial(SelfTraining, decay=1.0)}, "decay below 1 and a threshold of at most 1"),
        ({"self_training": partial(SelfTraining, views=0)}, "views is 0"),
        ({"self_training": partial(SelfTraining, domain="bb")}, r"self_training\.domain is 'bb'"),
        ({"self_training": partial(SelfTraining, domain="a")}, "the domain whose labels are trained on"),
        ({"train_on": "b2a", "translator": "x.ckpt"}, "domain is 'b', the domain whose labels are trained on"),
    ],
)
def test_options_that_do_not_go_together(options, message):
    with pytest.raises(ValueError, match=message):
        MADE(**options)


def test_a_start_of_another_network_is_refused(tmp_path):
    serialization.write(DomainClassifier(1, network=partial(ConvClassifier, width=8)), tmp_path / "wide.ckpt")
    method = DomainClassifier(1, network=NETWORK, start_from=str(tmp_path / "wide.ckpt"))
    with pytest.raises(ValueError, match=r"start_from is .*wide\.ckpt', whose DomainClassifier does not fit the ConvC"):
        method.prepare([])
    method = DomainClassifier(1, network=NETWORK, start_from=str(tmp_path / "none.ckpt"))
    with pytest.raises(FileNotFoundError, match=r"none\.ckpt"):
        method.prepare([])


def test_a_domain_that_there_is_not_is_refused(trainer):
    method = MADE(self_training=partial(SelfTraining, domain="c"))
    with pytest.raises(ValueError, match=r"domain is 'c', but the training batch has the domains a, b\.\nGive one"):
        trainer(limit_train_batches=1).fit(method, Digits(batch_size=8))
