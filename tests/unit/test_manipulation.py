"""Metrics of manipulation: attributes read off pictures, the four numbers by hand, and the probe beside copies."""

import math
from functools import partial

import numpy as np
import pytest
import torch

from crossdomain import serialization
from crossdomain.companions import DomainClassifier
from crossdomain.datamodules import Digits, Draw, PuppetDigits
from crossdomain.domains import BOTH
from crossdomain.evaluation import Evaluation
from crossdomain.method import Method
from crossdomain.metrics import ClassPreservation, ReferenceCorrelation, RestDeviation
from crossdomain.metrics.manipulation import rotation, size
from crossdomain.networks import ConvClassifier


def canvas(*shape):
    return torch.full((1, 1, *shape), -1.0)


# --- pictures --------------------------------------------------------------------------------------------------


def test_a_rectangle_by_hand():
    picture = canvas(40, 60)
    picture[..., 5:25, 10:16] = 0.5  # 20 high and 6 wide: variances 20^2 / 12 and 6^2 / 12
    area = 4 * math.pi * math.sqrt((20**2 / 12) * (6**2 / 12))
    assert size(picture).item() == pytest.approx(math.sqrt(area) / 40)
    assert rotation(picture).item() == pytest.approx(0)
    assert abs(rotation(picture.transpose(2, 3)).item()) == pytest.approx(90)
    assert size(picture.expand(-1, 3, -1, -1)).item() == pytest.approx(size(picture).item())


def test_a_disc_and_a_leaning_bar():
    y, x = torch.meshgrid(torch.arange(200.0) - 99.5, torch.arange(200.0) - 99.5, indexing="ij")
    disc = torch.where(x**2 + y**2 < 60**2, 1.0, -1.0)[None, None]
    assert size(disc).item() == pytest.approx(math.sqrt(math.pi) * 60 / 200, rel=1e-3)
    for degrees in (-80, -30, 0, 12, 45, 89):
        along = math.cos(math.radians(degrees)) * -y - math.sin(math.radians(degrees)) * x  # up, turned to the left
        across = math.sin(math.radians(degrees)) * -y + math.cos(math.radians(degrees)) * x
        bar = torch.where((along.abs() < 60) & (across.abs() < 10), 1.0, -1.0)[None, None]
        assert rotation(bar).item() == pytest.approx(degrees, abs=0.2)
        turned = rotation(torch.rot90(bar, dims=(2, 3))).item()
        assert (turned - degrees) % 180 == pytest.approx(90, abs=0.2)


def test_nothing_and_a_pixel():
    picture = torch.cat([canvas(16, 16), canvas(16, 16)])
    picture[1, 0, 3, 4] = 1
    assert rotation(picture).tolist() == [0, 0]
    expected = math.sqrt(4 * math.pi / 12) / 16
    assert size(picture).tolist() == pytest.approx([0, expected])


# --- the four numbers ------------------------------------------------------------------------------------------


def test_class_preservation_by_hand():
    metric = ClassPreservation()
    metric.update(torch.tensor([[1, 1, 2], [0, 0, 0]]), torch.tensor([1, 3]))
    metric.update(torch.tensor([[4, 4, 4]]), torch.tensor([4]))
    assert metric.compute().item() == pytest.approx(5 / 9)


def test_correlation_is_the_mean_of_pearsons_over_images():
    rng = np.random.default_rng(0)
    measured, given = rng.normal(size=(6, 10)), rng.normal(size=(6, 10, 2))
    expected = [[np.corrcoef(measured[i], given[i, :, k])[0, 1] for k in range(2)] for i in range(6)]
    given[..., 1] *= -1
    expected = [[r, -s] for r, s in expected]
    means = np.mean(expected, 0)
    assert means[0] < 0 < means[1]  # so that magnitudes matter
    for magnitude, wanted in ((False, means.mean()), (True, np.abs(means).mean())):
        metric = ReferenceCorrelation(attributes=2, magnitude=magnitude)
        for i in range(0, 6, 4):
            metric.update(*(torch.from_numpy(values[i : i + 4]) for values in (measured, given)))
        assert metric.compute().item() == pytest.approx(wanted, abs=1e-6)


def test_what_does_not_vary_has_no_correlation():
    metric, t = ReferenceCorrelation(), torch.linspace(-30, 30, 5)
    given = t.repeat(3, 1).unsqueeze(2)
    measured = torch.stack([torch.full((5,), 0.1), 2 * t + 7, -t])
    metric.update(measured, given)
    assert metric.compute().item() == pytest.approx(0)  # 0, 1 and -1
    metric.reset()
    metric.update(t.repeat(2, 1), torch.ones(2, 5, 1))
    assert metric.compute().item() == 0


def test_angles_do_not_jump():
    t = torch.linspace(-30, 30, 5)
    for offset in (0, 80, 90, -75):
        seen = (t + offset + 90) % 180 - 90  # as it is measured
        metric = ReferenceCorrelation(180.0)
        metric.update(seen.unsqueeze(0), t.view(1, -1, 1))
        assert metric.compute().item() == pytest.approx(1, abs=1e-6)
    jumping = ReferenceCorrelation()
    jumping.update(((t + 170) % 180 - 90).unsqueeze(0), t.view(1, -1, 1))
    assert jumping.compute().item() < 0.5


def test_deviation_by_hand():
    outputs = torch.zeros(2, 1, 2, 1, 1, 2)
    outputs[0, 0, :, 0, 0, 0] = torch.tensor([-1.0, 1.0])  # 0 and 1 on [0, 1]: a variance of 1/2
    outputs[1, 0, :, 0, 0, 1] = torch.tensor([0.0, 0.4])  # 0.5 and 0.7: 0.02
    metric = RestDeviation()
    for i in range(2):
        metric.update(outputs[i : i + 1])
    assert metric.compute().item() == pytest.approx(math.sqrt((0.5 + 0.02) / 4))
    metric.reset()
    metric.update(outputs[:, :, :1].expand(-1, -1, 3, -1, -1, -1))
    assert metric.compute().item() == 0
    with pytest.raises(ValueError, match="at least 2 of them"):
        metric.update(outputs[:, :, :1])


# --- the probe -------------------------------------------------------------------------------------------------


class Copies(Method):
    """Gives back the image, or its guide; which one is an option."""

    directions = BOTH

    def __init__(self, what="image", guide="required"):
        super().__init__(1, 1)
        self.players, self.what, self.guide = {}, what, guide

    def generate(self, batch):
        return {}

    def _translate(self, images, direction, guide, noise):
        return 3 * images if self.what == "image" else guide  # clamped, it is the image again where it is far from 0


@pytest.fixture
def judge(tmp_path):
    torch.manual_seed(0)
    classifier = DomainClassifier(1, 1, network=partial(ConvClassifier, width=4)).eval()
    serialization.write(classifier, tmp_path / "judge.ckpt")
    return classifier, str(tmp_path / "judge.ckpt")


def measured(trainer, method, data, **options):
    run = trainer(callbacks=[Evaluation(pictures=0, **options)], limit_val_batches=2)
    (found,) = run.validate(method, data, verbose=False)
    names = ("class_kept", "r_attr", "r_rest", "v_rest")
    return {k.removeprefix("val/"): v for k, v in found.items() if k.removeprefix("val/").startswith(names)}


@pytest.mark.parametrize("attribute", ["rotation", "size"])
def test_rows_of_copies(attribute, trainer, judge):
    classifier, path = judge
    data = PuppetDigits(attribute, batch_size=10)
    kept = measured(trainer, Copies("guide"), data, judge_a=path)
    names = ("class_kept", "r_attr", "r_rest", "v_rest")
    assert set(kept) == {f"{name}{row}_b2a" for name in names for row in ("", "_image", "_reference")}
    for row in ("", "_image"):
        assert [kept[f"{name}{row}_b2a"] for name in names] == [1, 0, 0, 0]

    data.setup("validate")
    batch = data.splits["val"].__getitems__([Draw(0, i, (i, i)) for i in range(20)])
    references, given = batch["references_a"][0], batch["references_attributes_a"][0].double()
    sees = (rotation if attribute == "rotation" else size)(references.flatten(0, 1))
    for column, name in enumerate(("r_attr", "r_rest")):
        expected = np.corrcoef(sees, given[..., column].flatten())[0, 1]
        assert kept[f"{name}_reference_b2a"] == pytest.approx(expected if column == 0 else abs(expected), abs=0.02)
    assert kept["r_attr_reference_b2a"] > 0.95
    assert kept["r_rest_reference_b2a"] < 0.2
    spread = ((references + 1) / 2).var(1).mean().sqrt()
    assert kept["v_rest_reference_b2a"] == pytest.approx(spread.item(), rel=1e-4)
    classes = classifier.classify(references.flatten(0, 1), "a").argmax(1)
    of_images = classifier.classify(batch["a"], "a").argmax(1)
    same = (classes[None] == of_images[:, None]).float().mean().item()
    assert kept["class_kept_reference_b2a"] == pytest.approx(same)

    moved = measured(trainer, Copies("image", guide="none"), data)  # a method without guides takes part
    assert not [name for name in moved if name.startswith("class_kept")]
    assert moved["r_attr_b2a"] > 0.95
    assert moved["v_rest_b2a"] > 0.1


def test_numbers_do_not_depend_on_batches(trainer, judge):
    options = {"judge_a": judge[1]}
    few = trainer(callbacks=[Evaluation(pictures=0, **options)], limit_val_batches=6)
    (first,) = few.validate(Copies("image"), PuppetDigits(batch_size=4), verbose=False)
    many = trainer(callbacks=[Evaluation(pictures=0, **options)], limit_val_batches=1)
    (second,) = many.validate(Copies("image"), PuppetDigits(batch_size=24), verbose=False)
    assert first == pytest.approx(second, abs=1e-6)


def test_other_data_is_passed_over_and_another_attribute_refused(trainer):
    assert measured(trainer, Copies("guide"), Digits(batch_size=10)) == {}
    method = Copies("guide")
    measured(trainer, method, PuppetDigits(batch_size=5))
    method.setup = lambda stage: None  # as of a checkpoint, which keeps to the data that it was trained on
    message = r"trained on references that show the rotation, but .* the size.\nSet data.attribute to rotation"
    with pytest.raises(ValueError, match=message):
        measured(trainer, method, PuppetDigits("size", batch_size=5))
