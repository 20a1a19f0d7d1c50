"""A probe of the user's own, in this one file: from Python, from a recipe, and from the command line."""

import json

import pytest
import yaml

import crossdomain
from crossdomain.cli import crossdomain as command
from crossdomain.commands.compare import compare
from crossdomain.commands.lightning import run as lightning
from crossdomain.datamodules import Digits
from crossdomain.evaluation import Evaluation, Probe, Tag


class Brightness(Probe):
    """Mean brightness of translations, on [-1, 1]."""

    tags = (Tag("brightness_{direction}", "the method translates", "mean of translated images, times ``scale``"),)

    def __init__(self, scale: float = 1.0) -> None:
        self.scale = scale

    def applies(self, method, spec, batch):
        return bool(method.directions)

    def update(self, batch):
        for direction in batch.directions:
            values = batch.output(direction).clamp(-1, 1).flatten(1).mean(1)
            self.metric("brightness", direction).update(self.scale * values)


class Bright(Brightness):
    """Another one, of the same tag."""


class Undeclared(Brightness):
    """Another one, which logs the same tag without saying so."""

    tags = (Tag("shine_{direction}", "never", "nothing"),)


@pytest.fixture(scope="module")
def method():
    return crossdomain.load("cyclegan-digits")


def brightness(method, data, split, direction):
    fields = {key: images for part in data.splits[split].fields for key, images in part.items()}
    translated = method.translate(fields[direction[0]].float() / 127.5 - 1, direction)
    return translated.clamp(-1, 1).mean().item()


@pytest.mark.parametrize("stage", ["val", "test"])
def test_it_measures_beside_the_zoos(stage, trainer, method):
    data = Digits(batch_size=48)  # 80 images of a are two batches of unequal size
    run = trainer(callbacks=[Evaluation(pictures=0, cycle_noise=0, probes=[Brightness()])])
    (metrics,) = (run.validate if stage == "val" else run.test)(method, data, verbose=False)
    for direction in ("a2b", "b2a"):
        expected = brightness(method, data, stage, direction)
        assert metrics[f"{stage}/brightness_{direction}"] == pytest.approx(expected, abs=1e-6)
        assert f"{stage}/mse_{direction}" in metrics
    (again,) = (run.validate if stage == "val" else run.test)(method, data, verbose=False)
    assert again == metrics  # it began anew


def test_it_costs_no_translation(trainer, method, monkeypatch):
    calls, translate = [], method.translate
    monkeypatch.setattr(method, "translate", lambda *a, **kw: calls.append(a[1]) or translate(*a, **kw))
    counts = []
    for probes in (None, [Brightness()]):
        evaluation = Evaluation(pictures=0, cycle_noise=0, probes=probes)
        trainer(callbacks=[evaluation], limit_test_batches=1).test(method, Digits(), verbose=False)
        counts.append(len(calls))
        calls.clear()
    assert counts == [4, 4]  # there and back, from both domains


def test_two_probes_of_one_tag_are_refused(trainer, method):
    with pytest.raises(ValueError, match="Brightness and Bright both measure 'brightness_"):
        Evaluation(probes=[Brightness(), Bright()])
    run = trainer(callbacks=[Evaluation(pictures=0, probes=[Brightness(), Undeclared()])], limit_test_batches=1)
    with pytest.raises(ValueError, match=r"Undeclared measures 'brightness_a2b', as another probe does\.\nRename one"):
        run.test(method, Digits(), verbose=False)


def test_it_is_compared(method, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    expected = brightness(method, _set_up(Digits()), "test", "a2b")
    found = compare(["cyclegan-digits"], Digits(), evaluation=Evaluation(pictures=0, probes=[Brightness()]), pictures=0)
    assert found.metrics["cyclegan-digits"]["brightness_a2b"] == pytest.approx(expected, abs=1e-6)
    probes = '[{"class_path": "test_own_probe.Brightness", "init_args": {"scale": 2.0}}]'
    arguments = ["cyclegan-digits", "--data", "Digits", "--pictures", "0", "--format", "json"]
    command(["compare", *arguments, "--evaluation.probes", probes])
    metrics = json.loads(capsys.readouterr().out)["metrics"]["cyclegan-digits"]
    assert metrics["brightness_a2b"] == pytest.approx(2 * expected, abs=1e-6)


def test_a_recipe_names_it(method, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    evaluation = {
        "class_path": "crossdomain.evaluation.Evaluation",
        "init_args": {"pictures": 0, "probes": [{"class_path": "test_own_probe.Brightness"}]},
    }
    (tmp_path / "mine.yaml").write_text(yaml.dump({"base": "cyclegan", "trainer": {"callbacks": [evaluation]}}))
    checkpoint = str(crossdomain.hub.find_checkpoint("cyclegan-digits"))
    done = lightning(["test", "--config", "mine.yaml", "--ckpt_path", checkpoint])
    expected = brightness(method, done.datamodule, "test", "b2a")
    assert float(done.trainer.callback_metrics["test/brightness_b2a"]) == pytest.approx(expected, abs=1e-6)


def _set_up(data):
    data.setup("test")
    return data
