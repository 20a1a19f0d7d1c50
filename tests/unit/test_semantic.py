"""Semantic consistency where the classifier is often wrong: thresholds, true labels, a classifier that learns along."""

from functools import partial

import pytest
import torch
from torch.nn import functional as F

import crossdomain
from crossdomain import methods, serialization
from crossdomain.augmentation import RandomAffine
from crossdomain.companions import DomainClassifier
from crossdomain.datamodules import Digits
from crossdomain.domains import BOTH
from crossdomain.flows import ImageFlow
from crossdomain.methods import (
    DRIT,
    MUNIT,
    RIFT,
    UNIT,
    AlignFlow,
    AugmentedCycleGAN,
    CycleGAN,
    DiscoGAN,
    DistanceGAN,
)
from crossdomain.networks import (
    ConditionalResNetGenerator,
    ContentCritic,
    ConvClassifier,
    DRITGenerator,
    MUNITGenerator,
    PairEncoder,
    PatchCritic,
    ResNetGenerator,
    StyledResNetGenerator,
    UNITGenerator,
)
from crossdomain.semantic import JointSemantics, SemanticConsistency
from crossdomain.serialization import parameters

CRITIC = partial(PatchCritic, width=4, layers=1, norm="none")
NETWORK = partial(ConvClassifier, width=4, dropout=0.0)
METHODS = {
    "AlignFlow": partial(AlignFlow, 1, flow=partial(ImageFlow, scales=1, steps=1, width=4), critic=CRITIC),
    "CycleGAN": partial(CycleGAN, 1, generator=partial(ResNetGenerator, width=4, blocks=1), critic=CRITIC),
}
JOINT = partial(JointSemantics, network=NETWORK)


@pytest.fixture
def classifier(tmp_path):
    made = DomainClassifier(1, network=NETWORK).eval()
    serialization.write(made, tmp_path / "classifier.ckpt")
    return made, str(tmp_path / "classifier.ckpt")


@pytest.fixture
def seen():
    """A batch with the labels of a alone, and translations."""
    batch = {d: 2 * torch.rand(8, 1, 16, 16) - 1 for d in "ab"} | {"label_a": torch.arange(8)}
    return batch, {f"fake_{d}": 2 * torch.rand(8, 1, 16, 16) - 1 for d in "ab"}


def test_opinions_below_the_threshold_count_nothing_and_are_counted(classifier, seen):
    judge, path = classifier
    batch, out = seen
    confidence, opinion = judge.classify(batch["b"]).softmax(1).max(1)
    threshold = float(confidence.median())
    method = METHODS["CycleGAN"](
        semantic_classifier=path, semantic_weight=0.5, semantic=partial(SemanticConsistency, threshold=threshold)
    )
    terms = method.semantic.terms(BOTH, batch, out)
    all_of_them = F.cross_entropy(judge.network(out["fake_a"]), opinion, reduction="none")
    sure = confidence >= threshold
    assert 0 < sure.sum() < 8
    torch.testing.assert_close(terms["semantic_a"], 0.5 * all_of_them[sure].sum() / 8)


def test_true_labels_stand_in_for_opinions_of_their_domain_alone(classifier, seen):
    judge, path = classifier
    batch, out = seen
    method = METHODS["CycleGAN"](semantic_classifier=path, semantic=partial(SemanticConsistency, labelled="a"))
    terms = method.semantic.terms(BOTH, batch, out)
    torch.testing.assert_close(terms["semantic_b"], F.cross_entropy(judge.network(out["fake_b"]), batch["label_a"]))
    opinion = judge.network(batch["b"]).argmax(1)
    torch.testing.assert_close(terms["semantic_a"], F.cross_entropy(judge.network(out["fake_a"]), opinion))
    with pytest.raises(ValueError, match="no labels of domain a"):
        method.semantic.terms(BOTH, {d: batch[d] for d in "ab"}, out)


def test_the_classifier_sees_translations_augmented_and_images_as_they_are(classifier, seen):
    judge, path = classifier
    batch, out = seen
    method = METHODS["CycleGAN"](
        semantic_classifier=path, semantic=partial(SemanticConsistency, augmentation=RandomAffine)
    )
    method.semantic.check()  # loading draws
    torch.manual_seed(1)
    terms = method.semantic.terms(BOTH, batch, out)
    torch.manual_seed(1)
    for source, target in ("ab", "ba"):
        opinion = judge.network(batch[source]).argmax(1)
        expected = F.cross_entropy(judge.network(RandomAffine()(out[f"fake_{target}"])), opinion)
        torch.testing.assert_close(terms[f"semantic_{target}"], expected)


@pytest.mark.parametrize("name", METHODS)
def test_true_labels_reach_the_term_in_training(name, classifier, trainer):
    method = METHODS[name](semantic_classifier=classifier[1], semantic=partial(SemanticConsistency, labelled="a"))
    trainer(limit_train_batches=1, limit_val_batches=0).fit(method, Digits(batch_size=8, labelled=["a"]))
    assert {"generator_semantic_a", "generator_semantic_b"} <= set(method.last_terms)


@pytest.mark.parametrize("name", METHODS)
def test_a_classifier_that_learns_along_moves_last_and_opens_its_gate(name, trainer, tmp_path):
    method = METHODS[name](semantic=JOINT)
    assert list(method.players) == ["generator", "critic", "classifier"]
    before = {n: p.detach().clone() for n, p in method.named_parameters()}
    seen = []
    loss = method.classifier_loss
    method.classifier_loss = lambda batch, out: (
        seen.append((batch, method.semantic_network(batch["a"]))) or loss(batch, out)
    )
    run = trainer(limit_train_batches=1, limit_val_batches=0)
    run.fit(method, Digits(batch_size=8, labelled=["a"]))
    batch, logits = seen[0]
    expected = F.cross_entropy(logits, batch["label_a"])
    torch.testing.assert_close(method.last_terms["classifier_cross_entropy"], expected.detach())
    assert method.last_terms["generator_semantic_a"] == method.last_terms["generator_semantic_b"] == 0
    assert method.semantic_loss == method.last_terms["classifier_cross_entropy"]
    moved = {n.partition(".")[0] for n, p in method.named_parameters() if not torch.equal(p, before[n])}
    assert moved == {name for names in method.players.values() for name in names}
    run.save_checkpoint(tmp_path / "joint.ckpt")
    again = crossdomain.load(tmp_path / "joint.ckpt")
    assert again.semantic_loss == method.semantic_loss
    assert torch.equal(again.semantic_network(batch["a"]), method.semantic_network.eval()(batch["a"]))


def test_the_gate_by_hand(seen):
    batch, out = seen
    method = METHODS["CycleGAN"](semantic=JOINT, semantic_weight=0.3).eval()
    network = method.semantic_network
    assert not any(method.semantic.terms(BOTH, batch, out).values())
    method.semantic_loss.fill_(1.001)
    assert not any(method.semantic.terms(BOTH, batch, out).values())
    method.semantic_loss.fill_(1.0)
    terms = method.semantic.terms(BOTH, batch, out)
    torch.testing.assert_close(terms["semantic_b"], 0.3 * F.cross_entropy(network(out["fake_b"]), batch["label_a"]))
    opinion = network(batch["b"]).argmax(1)
    torch.testing.assert_close(terms["semantic_a"], 0.3 * F.cross_entropy(network(out["fake_a"]), opinion))


def test_a_classifier_that_learns_along_judges_without_dropout_and_keeps_its_statistics(seen):
    batch, out = seen
    network = partial(ConvClassifier, width=4, dropout=0.5)
    method = METHODS["CycleGAN"](semantic=partial(JointSemantics, network=network)).train()
    method.semantic_loss.fill_(0.5)
    before = {name: value.clone() for name, value in method.semantic_network.state_dict().items()}
    first, second = (method.semantic.terms(BOTH, batch, out) for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert all(torch.equal(before[name], value) for name, value in method.semantic_network.state_dict().items())
    assert method.semantic_network.training


def test_its_optimizer_is_the_command_lines_on_resuming(trainer, tmp_path):
    def run(rate, **options):
        optimizer = partial(torch.optim.Adam, lr=rate)
        method = METHODS["CycleGAN"](semantic=partial(JointSemantics, network=NETWORK, optimizer=optimizer))
        run = trainer(limit_train_batches=2, limit_val_batches=0, **options)
        run.fit(method, Digits(batch_size=8, labelled=["a"]), ckpt_path=path if path.exists() else None)
        run.save_checkpoint(path)
        return run.optimizers[-1].param_groups[0]["lr"]

    path = tmp_path / "joint.ckpt"
    assert run(1e-3, max_epochs=1) == 1e-3
    assert run(5e-3, max_epochs=2) == 5e-3


def of_all_methods():
    """Those with the option, small."""
    one = partial(MUNITGenerator, width=4, blocks=1, hidden=8)
    residual = partial(ResNetGenerator, width=4, blocks=1)
    return METHODS | {
        "AugmentedCycleGAN": partial(
            AugmentedCycleGAN,
            1,
            latent_a=2,
            latent_b=2,
            generator=partial(ConditionalResNetGenerator, width=4, blocks=1),
            encoder=partial(PairEncoder, width=4, halvings=2),
            critic=CRITIC,
        ),
        "DiscoGAN": partial(DiscoGAN, 1, generator=residual, critic=CRITIC, feature_share=0.0),
        "DistanceGAN": partial(DistanceGAN, 1, generator=residual, critic=CRITIC, statistics_images=8),
        "DRIT": partial(
            DRIT,
            1,
            generator=partial(DRITGenerator, width=4, blocks=1, halvings=1, attribute_blocks=1),
            critic=CRITIC,
            content_critic=partial(ContentCritic, width=4, layers=1, kernel=3),
        ),
        "MUNIT": partial(MUNIT, 1, generator=one, critic=CRITIC),
        "RIFT": partial(RIFT, 1, generator=partial(StyledResNetGenerator, width=4, blocks=1), critic=CRITIC),
        "UNIT": partial(UNIT, 1, generator=partial(UNITGenerator, width=4, blocks=1), critic=CRITIC),
    }


@pytest.mark.parametrize("name", [n for n in methods.__all__ if "semantic" in parameters(getattr(methods, n))])
def test_every_method_with_the_option_trains_by_it(name, classifier, trainer):
    method = of_all_methods()[name](semantic_classifier=classifier[1])
    seen = set()
    method.on_train_batch_end = lambda *_: seen.update(method.last_terms)  # some sit out the first rounds
    trainer(limit_train_batches=3, limit_val_batches=0).fit(method, Digits(batch_size=8))
    assert {f"generator_semantic_{way.target}" for way in method.directions} <= seen


def test_options_that_do_not_go_together(classifier):
    with pytest.raises(ValueError, match=r"trains a classifier of its own\.\nLeave model\.semantic_classifier out"):
        METHODS["CycleGAN"](semantic=JOINT, semantic_classifier=classifier[1])
    for options, message in (
        ({"labelled": "source"}, r"semantic\.labelled is 'source', but the domains are a, b"),
        ({"labelled": "c"}, r"semantic\.labelled is 'c', but the domains are a, b"),
        ({"threshold": 95}, r"semantic\.threshold is 95, but is a probability"),
    ):
        with pytest.raises(ValueError, match=message):
            METHODS["CycleGAN"](semantic=partial(SemanticConsistency, **options))
    for options, message in (({"labelled": None}, "learns from labels"), ({"gate": -1}, r"semantic\.gate is -1")):
        with pytest.raises(ValueError, match=message):
            METHODS["CycleGAN"](semantic=partial(JOINT, **options))
    with pytest.raises(ValueError, match="one classifier reads all"):
        CycleGAN(1, 3, identity_weight=0.0, semantic=JOINT)
