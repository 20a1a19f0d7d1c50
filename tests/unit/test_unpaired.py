"""Semantic consistency, the option of all unpaired methods."""

from functools import partial

import pytest
import torch
from torch.nn import functional as F

from crossdomain import serialization
from crossdomain.companions import DomainClassifier
from crossdomain.datamodules import Digits
from crossdomain.flows import ImageFlow
from crossdomain.methods import AlignFlow, CycleGAN, DistanceGAN
from crossdomain.networks import ConvClassifier, PatchCritic, ResNetGenerator

CRITIC = partial(PatchCritic, width=4, layers=1, norm="none")
METHODS = {
    "AlignFlow": partial(AlignFlow, 1, flow=partial(ImageFlow, scales=1, steps=1, width=4), critic=CRITIC),
    "AlignFlow without critics": partial(
        AlignFlow, 1, flow=partial(ImageFlow, scales=1, steps=1, width=4), adversarial_weight=0.0
    ),
    "CycleGAN": partial(CycleGAN, 1, generator=partial(ResNetGenerator, width=4, blocks=1), critic=CRITIC),
}


@pytest.fixture
def classifier(tmp_path):
    torch.manual_seed(3)
    made = DomainClassifier(1, network=partial(ConvClassifier, width=4))
    serialization.write(made, tmp_path / "classifier.ckpt")
    return made.eval(), str(tmp_path / "classifier.ckpt")


@pytest.mark.parametrize("name", METHODS)
def test_terms_by_hand(name, classifier, trainer):
    judge, path = classifier
    method = METHODS[name](semantic_classifier=path, semantic_weight=0.3)
    seen = {}
    loss = method.generator_loss
    method.generator_loss = lambda batch, out: seen.update(batch=batch, out=out) or loss(batch, out)
    run = trainer(limit_train_batches=1, limit_val_batches=1)
    run.fit(method, Digits(batch_size=8))
    out, real = seen["out"], {d: seen["out"].get(d, seen["batch"][d]) for d in "ab"}
    for source, target in (("a", "b"), ("b", "a")):
        opinion = judge.network(real[source]).argmax(1)
        expected = 0.3 * F.cross_entropy(judge.network(out[f"fake_{target}"]), opinion)
        torch.testing.assert_close(method.last_terms[f"generator_semantic_{target}"], expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", METHODS)
def test_it_moves_the_generator_and_neither_the_classifier_nor_the_checkpoint(name, classifier, trainer, tmp_path):
    judge, path = classifier
    method = METHODS[name](semantic_classifier=path)
    terms = []
    method.critic_loss = lambda batch, out: {"nothing": next(method.critic_a.parameters()).sum() * 0}
    loss = method.generator_loss
    method.generator_loss = lambda batch, out: (
        terms.append({k: v for k, v in loss(batch, out).items() if k.startswith("semantic")}) or terms[-1]
    )
    run = trainer(limit_train_batches=1, limit_val_batches=0)
    before = {n: p.detach().clone() for n, p in method.named_parameters()}
    run.fit(method, Digits(batch_size=8))
    assert set(terms[0]) == {"semantic_a", "semantic_b"}
    assert any(not torch.equal(p, before[n]) for n, p in method.named_parameters())
    loaded = method.semantic.classifier.on()
    for p, q in zip(loaded.parameters(), judge.parameters(), strict=True):
        assert torch.equal(p, q)
        assert not p.requires_grad
    assert not loaded.training
    run.save_checkpoint(tmp_path / "method.ckpt")
    checkpoint = serialization.read(tmp_path / "method.ckpt")
    assert not any("classifier" in name for name in checkpoint["state_dict"])
    (tmp_path / "classifier.ckpt").unlink()
    serialization.rebuild(checkpoint)  # translating needs no classifier


def test_one_direction_has_one_term(classifier, trainer):
    network = partial(ResNetGenerator, width=4, blocks=1)
    method = DistanceGAN(1, direction="b2a", generator=network, critic=CRITIC, semantic_classifier=classifier[1])
    trainer(limit_train_batches=1, limit_val_batches=0).fit(method, Digits(batch_size=8))
    assert {name for name in method.last_terms if "semantic" in name} == {"generator_semantic_a"}


def test_without_a_classifier_there_is_no_term(trainer):
    method = METHODS["CycleGAN"]()
    trainer(limit_train_batches=1, limit_val_batches=0).fit(method, Digits(batch_size=8))
    assert not any("semantic" in name for name in method.last_terms)


def test_classifiers_that_do_not_fit_are_refused(classifier, trainer, tmp_path):
    unequal = CycleGAN(1, 3, critic=CRITIC, identity_weight=0.0, semantic_classifier=classifier[1])
    with pytest.raises(ValueError, match=r"reads 1 channel\(s\), the data has 1 and 3\.\nGive data and classifier one"):
        unequal.semantic.check()
    serialization.write(METHODS["CycleGAN"](), tmp_path / "no_classifier.ckpt")
    method = METHODS["CycleGAN"](semantic_classifier=str(tmp_path / "no_classifier.ckpt"))
    with pytest.raises(ValueError, match="a CycleGAN, which cannot classify"):
        trainer(limit_train_batches=1).fit(method, Digits())
    colour = CycleGAN(3, generator=partial(ResNetGenerator, width=4, blocks=1), critic=CRITIC,
                      semantic_classifier=classifier[1])  # fmt: skip
    with pytest.raises(ValueError, match=r"reads 1 channel\(s\), the data has 3"):
        trainer(limit_train_batches=1).fit(colour, Digits(channels=3))
