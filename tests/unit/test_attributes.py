"""Attributes: the metrics by hand, the predictor, its tags in evaluation, and the baseline of chance."""

from functools import partial
from pathlib import Path

import pytest
import torch
from helpers.conformance import SingleDomain
from torch import nn

import crossdomain
from crossdomain import hub, serialization
from crossdomain.capabilities import PredictsAttributes
from crossdomain.commands import lightning as lightning_cli
from crossdomain.companion import Companion
from crossdomain.companions import AttributePredictor
from crossdomain.datamodules import Digits, DomainData, DomainImages, Shapes
from crossdomain.datamodules.shapes import FACTORS, render
from crossdomain.domains import DataSpec
from crossdomain.evaluation import Evaluation
from crossdomain.evaluation.probes.attributes import TransferredAttributes
from crossdomain.method import Method
from crossdomain.methods import RandomTranslation
from crossdomain.metrics import AttributeAccuracy, ManipulationAccuracy, TranslationCorrectness, relative_discrepancy
from crossdomain.networks import StridedClassifier

NETWORK = partial(StridedClassifier, width=8, layers=2, grid=4, hidden=64)
SCORES = ("translation_quality", "content_preservation", "style_manipulation", "model_bias", "disentanglement",
          "content_and_style")  # fmt: skip


def numbers(scores):
    return {name: score.item() for name, score in scores.items()}


# --- metrics ---------------------------------------------------------------------------------------------------

# Shared, special to a, special to b, and shared real numbers; a to b.
VALUES = {"kind": 4, "room": 4, "pose": 4, "height": 0}
ROLES = {"kind": "shared", "room": "a", "pose": "b", "height": "shared"}
IMAGE = torch.tensor([[0, 1, 2, 1.0], [1, 2, 2, 2.0], [2, 3, 3, 5.0], [3, 0, 0, 4.0]])
GUIDE = torch.tensor([[1, 0, 0, 2.0], [1, 0, 1, 4.0], [0, 0, 2, 1.0], [1, 0, 0, 4.0]])
OUTPUT = torch.tensor([[0, 0, 0, 1.5], [3, 0, 2, 9.0], [0, 3, 2, 4.0], [3, 1, 0, 0.0]])
# kind: pairs 0, 2, 3 differ; 0 and 3 keep the image's. Pair 1 is equal, and changed.
# room: pairs 0, 1, 2 differ; 0 and 1 have the guide's. Pair 3 is equal, and changed.
# pose: pairs 0, 1, 2 differ; 0 and 2 have the guide's. Pair 3 is equal, and kept.
# height: 1.5 is as near to 1 as to 2, right; 9 is nearer to 4 than to 2, wrong; 4 is right; equal values, right.


def test_manipulation_accuracy_by_hand():
    metric = ManipulationAccuracy(VALUES, ROLES, "a2b")
    for i in range(4):  # one by one: counts add up, not shares
        metric.update(*(values[i : i + 1] for values in (OUTPUT, IMAGE, GUIDE)))
    expected = {"acc_kind": 2 / 3, "acc_pose": 2 / 3, "acc_height": 3 / 4, "acc": (2 / 3 + 2 / 3 + 3 / 4) / 3}
    assert numbers(metric.compute()) == pytest.approx(expected)


def test_correctness_by_hand():
    metric = TranslationCorrectness(VALUES, ROLES, "a2b")
    metric.update(OUTPUT, IMAGE, GUIDE)
    kept, taken = (2 / 3 + 3 / 4) / 2, 2 / 3
    expected = (2 / 3, kept, taken, (1 + 1 + 0) / 3, (kept + taken) / 2, min(kept, taken))
    assert numbers(metric.compute()) == pytest.approx(dict(zip(SCORES, expected, strict=True)))


@pytest.mark.parametrize("copied", [IMAGE, GUIDE], ids=["image", "guide"])
def test_copies_win_half_of_disentanglement_and_nothing_of_content_and_style(copied):
    metric = TranslationCorrectness({"kind": 4, "pose": 4}, {"kind": "shared", "pose": "b"}, "a2b")
    metric.update(copied[:, [0, 2]], IMAGE[:, [0, 2]], GUIDE[:, [0, 2]])
    found = numbers(metric.compute())
    assert found["disentanglement"] == 0.5
    assert found["content_and_style"] == 0


def test_the_way_back_exchanges_the_roles():
    metric = ManipulationAccuracy(VALUES, ROLES, "b2a")
    metric.update(OUTPUT, IMAGE, GUIDE)
    assert set(metric.compute()) == {"acc", "acc_kind", "acc_room", "acc_height"}
    assert metric.compute()["acc_room"].item() == pytest.approx(2 / 3)


def test_attributes_without_a_pair_are_left_out():
    for metric in (ManipulationAccuracy(VALUES, ROLES, "a2b"), TranslationCorrectness(VALUES, ROLES, "a2b")):
        image, guide = IMAGE[:, :4].clone(), GUIDE.clone()
        image[:, 0] = guide[:, 0]
        metric.update(OUTPUT, image, guide)
        found = numbers(metric.compute())
        assert not any(value != value for value in found.values())
        if "acc" in found:
            assert set(found) == {"acc", "acc_pose", "acc_height"}
            assert found["acc"] == pytest.approx((2 / 3 + 3 / 4) / 2)
        else:
            assert found["content_preservation"] == pytest.approx(3 / 4)


def test_perfect_copying_and_keeping():
    shared = torch.tensor([role == "shared" for role in ROLES.values()])
    for output, acc in ((torch.where(shared, IMAGE, GUIDE), 1), (torch.where(shared, GUIDE, IMAGE), 1 / 12)):
        metric = ManipulationAccuracy(VALUES, ROLES, "a2b")
        metric.update(output, IMAGE, GUIDE)
        assert metric.compute()["acc"].item() == pytest.approx(acc)  # 1/4 of height: the pair of equal values


def test_published_means_of_munit_follow_from_its_published_shares():
    """The paper's shares of each attribute on 3D Shapes, to its means (arXiv 2103.15727's published results)."""
    roles = Shapes(split="A").roles
    shares = {  # floor, wall, object, size, shape, orientation
        "a2b": [1.0, 1.0, 0.0008, 0.8813, 0.9625, 0.6463],
        "b2a": [0.9964, 0.9985, 0.0008, 0.9972, 0.9625, 0.7998],
    }
    found = {}
    for direction, wanted in shares.items():
        metric = TranslationCorrectness(FACTORS, roles, direction)
        image, guide = torch.zeros(10_000, 6), torch.ones(10_000, 6)
        shared = torch.tensor([role == "shared" for role in roles.values()])
        right = torch.arange(10_000)[:, None] < torch.tensor(wanted) * 10_000 - 0.5
        ideal = torch.where(shared, image, guide)
        metric.update(torch.where(right, ideal, 1 - ideal), image, guide)
        found[direction] = numbers(metric.compute())
    assert found["a2b"]["style_manipulation"] == pytest.approx(0.7638, abs=6e-5)
    assert found["b2a"]["style_manipulation"] == pytest.approx(0.9974, abs=6e-5)
    published = {"translation_quality": 0.9493, "content_preservation": 0.4817, "style_manipulation": 0.8806,
                 "disentanglement": 0.6811}  # fmt: skip
    means = {name: (found["a2b"][name] + found["b2a"][name]) / 2 for name in published}
    assert means == pytest.approx(published, abs=1e-4)


def test_roles_that_do_not_fit_are_refused():
    for roles in ({"kind": "shared"}, {**ROLES, "kind": "common"}):
        with pytest.raises(ValueError, match="each of kind, room, pose, height is 'shared', 'a', 'b' or 'both'"):
            ManipulationAccuracy(VALUES, roles, "a2b")


def test_relative_discrepancy_by_hand():
    specific, common = {"floor": 0.9, "size": 0.2}, {"floor": 0.5, "size": 0.4}
    assert relative_discrepancy(specific, common) == pytest.approx(100 * (0.4 + 0.2) / 2.0)
    assert relative_discrepancy(specific, specific) == 0
    assert relative_discrepancy({"floor": 1.0}, {"floor": torch.tensor(0.0)}) == 100
    with pytest.raises(ValueError, match="of floor, size cannot be compared with those of floor"):
        relative_discrepancy(specific, {"floor": 1.0})
    with pytest.raises(ValueError, match="All accuracies are 0"):
        relative_discrepancy({"floor": 0.0}, {"floor": 0.0})


def test_attribute_accuracy_by_hand():
    metric = AttributeAccuracy(VALUES)
    metric.update(OUTPUT[:2], IMAGE[:2])
    metric.update(OUTPUT[2:], IMAGE[2:])
    expected = {"accuracy_kind": 2 / 4, "accuracy_room": 1 / 4, "accuracy_pose": 2 / 4}
    assert numbers(metric.compute()) == pytest.approx({**expected, "error_height": (0.5 + 7 + 1 + 4) / 4})


# --- the predictor ---------------------------------------------------------------------------------------------


class Dots(DomainData):
    """16 px: the grey level of the background (3 values), the row of a white dot (2 values), and how dark it is."""

    domains = ("a", "b")
    channels = 1
    attributes = {"grey": 3, "row": 2, "ink": 0}  # noqa: RUF012
    roles = {"grey": "shared", "row": "b", "ink": "shared"}  # noqa: RUF012

    def __init__(self, images: int = 64):
        super().__init__(batch_size=16, image_size=16)
        self.images = images

    def split(self, name):
        generator = torch.Generator().manual_seed(["train", "val", "test"].index(name))
        fields = []
        for domain in "ab":
            grey, row = (torch.randint(n, (self.images,), generator=generator) for n in (3, 2))
            ink = torch.rand(self.images, generator=generator)
            pictures = (60 + 60 * grey).view(-1, 1, 1, 1).expand(-1, 1, 16, 16).clone()
            for i in range(self.images):
                pictures[i, :, 8 * row[i] + 2 : 8 * row[i] + 6, 4:12] = (40 * ink[i]).long()
            attributes = torch.stack([grey, row, ink], 1).float()
            fields.append({domain: pictures.to(torch.uint8), f"attributes_{domain}": attributes})
        return DomainImages(*fields)


def predictor(**options):
    return AttributePredictor(1, attributes=Dots.attributes, network=NETWORK, **options)


def test_loss_is_one_term_for_each_head():
    method = predictor()
    batch = {"a": torch.rand(2, 1, 16, 16), "b": torch.rand(1, 1, 16, 16)}
    batch |= {"attributes_a": torch.tensor([[2, 0, 0.5], [1, 1, -3.0]]), "attributes_b": torch.tensor([[0, 1, 2.0]])}
    with torch.no_grad():
        out = method.eval().generate(batch)
    assert out["outputs"].shape == (3, 3 + 2 + 1)
    outputs, truth = out["outputs"], torch.cat([batch["attributes_a"], batch["attributes_b"]])
    terms = method.predictor_loss(batch, out)
    rows = torch.arange(3)
    expected = {
        "grey": -outputs[:, :3].log_softmax(1)[rows, truth[:, 0].long()].mean(),
        "row": -outputs[:, 3:5].log_softmax(1)[rows, truth[:, 1].long()].mean(),
        "ink": (outputs[:, 5] - truth[:, 2]).square().mean(),
    }
    assert set(terms) == set(expected)
    for name, term in terms.items():
        torch.testing.assert_close(term, expected[name])
    heads = outputs[:2]
    expected = torch.stack([heads[:, :3].argmax(1), heads[:, 3:5].argmax(1), heads[:, 5]], 1)
    torch.testing.assert_close(method.predict_attributes(batch["a"]), expected)
    with pytest.raises(ValueError, match="no attributes"):
        method.generate({"a": batch["a"], "b": batch["b"]})


def test_it_learns_dots_and_comes_back_from_its_checkpoint(trainer, tmp_path):
    data, method = Dots(), predictor(optimizer=partial(torch.optim.Adam, lr=3e-3))
    run = trainer(max_epochs=15, limit_val_batches=0)
    run.fit(method, data)
    run.save_checkpoint(tmp_path / "predictor.ckpt")
    (metrics,) = trainer().test(method, data, verbose=False)
    names = ("accuracy_grey", "accuracy_row", "error_ink")
    assert set(metrics) == {f"test/{name}_{domain}" for name in names for domain in "ab"}
    assert min(v for k, v in metrics.items() if "accuracy" in k) > 0.95
    assert metrics["test/error_ink_a"] < 0.2  # a guess of 1/2 has 1/4
    again = crossdomain.load(tmp_path / "predictor.ckpt")
    assert again.spec.to_plain() == data.spec()
    a, _ = data.split("test").fields
    seen = again.predict_attributes(a["a"].float() / 127.5 - 1)
    right = (seen[:, 0] == a["attributes_a"][:, 0]).float().mean().item()
    assert metrics["test/accuracy_grey_a"] == pytest.approx(right, abs=1e-6)
    assert metrics["test/error_ink_a"] == pytest.approx((seen - a["attributes_a"])[:, 2].abs().mean().item(), rel=1e-4)


def test_predictors_that_do_not_fit_are_refused(trainer):
    with pytest.raises(ValueError, match="one predictor reads all"):
        AttributePredictor(1, 3, attributes={"grey": 3})
    for attributes in (None, {}, {"grey": -1}):
        with pytest.raises(ValueError, match="expected name: number of values, 0 for a real number"):
            AttributePredictor(1, attributes=attributes)
    with pytest.raises(ValueError, match=r"data has the attributes \{'grey': 3, .*made for \{'grey': 4\}"):
        trainer().validate(AttributePredictor(1, attributes={"grey": 4}, network=NETWORK), Dots())
    with pytest.raises(ValueError, match="data has the attributes None"):
        trainer().validate(predictor(), Digits())


@pytest.mark.parametrize("size", [(16, 16), (64, 64), (40, 24)])
def test_network_takes_any_size(size):
    network = StridedClassifier(3, 5, width=4, hidden=8)
    logits = network(torch.rand(2, 3, *size))
    assert logits.shape == (2, 5)
    logits.sum().backward()
    assert all(p.grad is not None for p in network.parameters())


# --- evaluation ------------------------------------------------------------------------------------------------


class Lookup(nn.Module):
    """Knows the attributes of the pictures of a split and of their truths; what it has not seen has none of them."""

    def __init__(self, data, name="val"):
        super().__init__()
        self.spec = DataSpec.from_plain(data.spec())
        self.known = {}
        fields = data.split(name).fields
        factors = [fields[i][f"attributes_{d}"] for i, d in enumerate("ab")]
        shared = torch.tensor([role == "shared" for role in data.roles.values()])
        truths = {"truth_a2b": torch.where(shared, *factors), "truth_b2a": torch.where(shared, *reversed(factors))}
        for of_domain, domain, values in zip(fields, "ab", factors, strict=True):
            for key, attributes in {domain: values, **truths}.items():
                if key in of_domain:
                    self.known |= {bytes_of(p): a for p, a in zip(of_domain[key], attributes, strict=True)}

    def predict_attributes(self, images):
        stored = ((images + 1) * 127.5).round().to(torch.uint8)
        return torch.stack([self.known.get(bytes_of(picture), torch.full((6,), -1.0)) for picture in stored])


def bytes_of(picture):
    return picture.numpy().tobytes()


class Known(Method):
    """Translates by the truth, or gives back the input or the guide."""

    directions = ("a2b", "b2a")
    guide = "required"

    def __init__(self, channels_a: int, channels_b: int | None = None, answer: str = "truth", **options):
        super().__init__(channels_a, channels_b, **options)
        self.save_hyperparameters()
        self.players = {}
        self.answer = answer
        self.lookup = []

    def generate(self, batch):
        return {}

    def _translate(self, images, direction, guide, noise):
        if self.answer != "truth":
            return {"input": images, "guide": guide}[self.answer]
        (lookup,) = self.lookup
        shared = torch.tensor([role == "shared" for role in lookup.spec.roles.values()])
        seen = [lookup.predict_attributes(shown) for shown in (images, guide)]
        return render(torch.where(shared, *seen).long(), images.shape[-1]).float() / 127.5 - 1


class Optional(Known):
    """The same, of a method that can do without a guide and is then wrong."""

    guide = "optional"

    def _translate(self, images, direction, guide, noise):
        return torch.zeros_like(images) if guide is None else super()._translate(images, direction, guide, noise)


def measured(method, data, trainer, lookup):
    evaluation = Evaluation(pictures=0, cycle_noise=0)
    (probe,) = (probe for probe in evaluation.probes if isinstance(probe, TransferredAttributes))
    probe.predictor = Companion("lookup", "predictor", PredictsAttributes)
    probe.predictor._method = lookup
    state = set(method.state_dict())
    (metrics,) = trainer(callbacks=[evaluation]).validate(method, data, verbose=False)
    assert set(method.state_dict()) == state
    return {k.removeprefix("val/"): v for k, v in metrics.items()}


@pytest.mark.parametrize("split", "ABC")
def test_perfect_translations_score_one(split, trainer):
    data = Shapes(split=split, batch_size=50, image_size=32)
    lookup = Lookup(data)
    kinds = (Known, Optional) if split == "A" else (Known,)
    for kind in kinds:
        method = kind(3)
        method.lookup.append(lookup)
        metrics = measured(method, data, trainer, lookup)
        for direction, source in (("a2b", "a"), ("b2a", "b")):
            scored = {name for name, role in data.roles.items() if role != source}
            assert {k for k in metrics if k.startswith("acc_") and k.endswith(direction)} == {
                f"acc_{direction}", *(f"acc_{name}_{direction}" for name in scored)
            }  # fmt: skip
            assert all(metrics[f"acc_{part}{direction}"] == 1 for part in ("", *(f"{n}_" for n in scored)))
            for name in SCORES:
                assert metrics[f"{name}_{direction}"] == (0 if name == "model_bias" else 1)
        if kind is Known:
            assert metrics["mse_a2b"] == metrics["mse_b2a"] == 0


def test_the_input_keeps_everything_and_the_guide_takes_everything(trainer):
    data = Shapes(batch_size=50, image_size=32)
    lookup = Lookup(data)
    metrics = measured(Known(3, answer="input"), data, trainer, lookup)
    for direction in ("a2b", "b2a"):
        assert [metrics[f"{name}_{direction}"] for name in SCORES] == [0, 1, 0, 0, 0.5, 0]
    metrics = measured(Known(3, answer="guide"), data, trainer, lookup)
    for direction in ("a2b", "b2a"):
        assert [metrics[f"{name}_{direction}"] for name in SCORES] == [1, 0, 1, 0, 0.5, 0]


def test_a_random_image_scores_as_chance_does(trainer):
    data = Shapes(batch_size=50, image_size=32)
    lookup = Lookup(data)
    method = RandomTranslation(3, image_size=32, memory=250)
    method.prepare(iter([{k: v for k, v in data_batch(data).items() if k in "ab"}]))
    metrics = measured(method, data, trainer, lookup)
    chance = {name: 1 / values for name, values in FACTORS.items()}
    for direction, source in (("a2b", "a"), ("b2a", "b")):
        scored = [name for name, role in data.roles.items() if role != source]
        expected = sum(chance[name] for name in scored) / len(scored)
        assert metrics[f"acc_{direction}"] == pytest.approx(expected, abs=0.06)
        for name in scored:
            assert metrics[f"acc_{name}_{direction}"] == pytest.approx(chance[name], abs=0.15)
        assert metrics[f"translation_quality_{direction}"] == 1  # it is an image of the target


def data_batch(data):
    a, b = data.split("val").fields
    return {"a": a["a"].float() / 127.5 - 1, "b": b["b"].float() / 127.5 - 1}


@pytest.fixture
def dots_predictor(trainer, tmp_path):
    """An untrained predictor of Dots and its checkpoint."""
    run = trainer(limit_train_batches=0, limit_val_batches=0)
    method = predictor()
    run.fit(method, Dots())
    run.save_checkpoint(tmp_path / "predictor.ckpt")
    return str(tmp_path / "predictor.ckpt"), method.eval()


def test_a_checkpoint_scores_translations(dots_predictor, trainer):
    path, network = dots_predictor
    data, method = Dots(), Known(1, answer="guide")
    (metrics,) = trainer(callbacks=[Evaluation(predictor=path, pictures=0)]).test(method, data, verbose=False)
    a, b = (f[d].float() / 127.5 - 1 for f, d in zip(data.split("test").fields, "ab", strict=True))
    expected = ManipulationAccuracy(Dots.attributes, Dots.roles, "a2b")
    expected.update(network.predict_attributes(b), network.predict_attributes(a), network.predict_attributes(b))
    for name, value in expected.compute().items():
        assert metrics[f"test/{name}_a2b"] == pytest.approx(value.item(), abs=1e-6)
    assert "test/acc_row_b2a" not in metrics  # special to b, which is then the source


def test_without_a_predictor_or_a_guide_nothing_is_scored(dots_predictor, trainer):
    (metrics,) = trainer().validate(Known(1, answer="guide"), Dots(), verbose=False)
    assert metrics == {}
    unguided = Known(1, answer="input")
    unguided.guide = "none"
    evaluation = Evaluation(predictor=dots_predictor[0], pictures=0, cycle_noise=0)
    (metrics,) = trainer(callbacks=[evaluation]).validate(unguided, Dots(), verbose=False)
    assert set(metrics) == {f"val/cycle_{kind}_{d}" for kind in ("max", "mean") for d in "ab"}


def test_predictors_of_other_attributes_are_refused(dots_predictor, trainer, tmp_path):
    path, _ = dots_predictor
    run = trainer(callbacks=[Evaluation(predictor=path)])
    with pytest.raises(ValueError, match=r"trained on the attributes \{'grey': 3, .*\n.*\{'floor': 10, "):
        run.validate(Known(3), Shapes())
    with pytest.raises(ValueError, match="data whose attributes have roles, such as Shapes; this data has none"):
        run.validate(Known(1), Digits())
    data, method = Dots(), Known(1, answer="guide")
    method.spec = DataSpec.from_plain(data.spec())
    serialization.write(method, tmp_path / "method.ckpt")
    data.roles = {**Dots.roles, "row": "a"}
    with pytest.raises(ValueError, match=r"trained for the roles .*\n.*\nTest it on the split that it was trained on"):
        run.validate(Known(1, answer="guide"), data, ckpt_path=tmp_path / "method.ckpt")
    run = trainer(callbacks=[Evaluation(predictor=str(tmp_path / "method.ckpt"))])
    with pytest.raises(ValueError, match=r"predictor is .* a Known, which cannot predict_attributes"):
        run.validate(Known(1), Dots())


def test_older_checkpoints_know_no_attributes(dots_predictor, tmp_path, trainer):
    checkpoint = serialization.read(dots_predictor[0])
    assert checkpoint["crossdomain"].pop("attributes") == Dots.attributes
    assert checkpoint["crossdomain"].pop("roles") == Dots.roles
    assert serialization.rebuild(checkpoint).spec.attributes is None
    torch.save(checkpoint, tmp_path / "older.ckpt")
    (metrics,) = trainer().validate(predictor(), Dots(), ckpt_path=tmp_path / "older.ckpt", verbose=False)
    assert "val/accuracy_grey_a" in metrics  # the data's attributes are used


def test_predictor_may_be_a_name_of_the_zoo(monkeypatch):
    monkeypatch.setattr(hub, "find_checkpoint", lambda name: Path("/zoo") / f"{name}.ckpt")
    callbacks = [lightning_cli.Namespace(init_args=lightning_cli.Namespace(predictor="predictor-shapes"))]
    config = lightning_cli.Namespace(
        {"test": lightning_cli.Namespace(trainer=lightning_cli.Namespace(callbacks=callbacks))}
    )
    lightning_cli._resolve_checkpoints(config)
    assert callbacks[0].init_args.predictor == str(Path("/zoo/predictor-shapes.ckpt"))


# --- the baseline of chance ------------------------------------------------------------------------------------


def test_random_translation_remembers_training_images_and_comes_back(trainer, tmp_path):
    data = Dots()
    method = RandomTranslation(1, image_size=16, memory=40)
    images = {d: f[d].float() / 127.5 - 1 for f, d in zip(data.split("train").fields, "ab", strict=True)}
    with pytest.raises(ValueError, match="remembers no images yet"):
        method.translate(images["a"], "a2b", guide=images["b"])
    run = trainer(limit_train_batches=2, limit_val_batches=1)
    run.fit(method, data)
    assert method.rounds == 2
    outputs = method.translate(images["a"], "a2b", guide=images["b"], samples=3, seed=1)
    assert outputs.shape == (64, 3, 1, 16, 16)
    known = {bytes_of(picture) for picture in images["b"]}
    assert all(bytes_of(picture) in known for picture in outputs.flatten(0, 1))
    assert len({bytes_of(picture) for picture in outputs[:, 0]}) > 20
    again = method.translate(images["a"], "a2b", guide=images["b"], seed=1)
    assert torch.equal(again, outputs[:, 0])
    assert not torch.equal(method.translate(images["a"], "a2b", guide=images["b"], seed=2), again)
    run.save_checkpoint(tmp_path / "random.ckpt")
    loaded = crossdomain.load(tmp_path / "random.ckpt")
    assert torch.equal(loaded.translate(images["a"], "a2b", guide=images["b"], seed=1), again)


def test_a_memory_of_another_size_is_refused(trainer):
    with pytest.raises(ValueError, match=r"have shape \(1, 16, 16\), but the memory is made for \(1, 64, 64\)"):
        trainer().fit(RandomTranslation(1), Dots())
    with pytest.raises(ValueError, match="memory is 0"):
        RandomTranslation(1, memory=0)


def test_a_round_in_which_no_player_moves_is_no_fault(trainer, tensors):
    from crossdomain.callbacks import NonFiniteGuard

    method = SingleDomain(1)
    method.turns = lambda player, round: 0
    images = torch.zeros(8, 1, 4, 4, dtype=torch.uint8)
    trainer(callbacks=[NonFiniteGuard()]).fit(method, tensors({"a": images}))
    assert method.rounds == 2
