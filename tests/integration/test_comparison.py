"""Methods side by side: who takes part, what is measured, and what TensorBoard is given."""

import csv
import io
import json
from functools import partial

import pytest
import torch
from lightning.pytorch import LightningDataModule
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import crossdomain
from crossdomain import hub, serialization
from crossdomain.cli import crossdomain as command
from crossdomain.commands.compare import compare, find_members
from crossdomain.companions import DomainClassifier
from crossdomain.datamodules import Digits, Shapes, ToyFacades
from crossdomain.domains import DataSpec
from crossdomain.evaluation import Evaluation
from crossdomain.evaluation.grid import labelled_columns
from crossdomain.methods import Pix2Pix
from crossdomain.networks import ConvClassifier, UNetGenerator
from crossdomain.rivals import rivals


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def small_pix2pix(path, trainer):
    """A pix2pix that has seen a batch of ToyFacades."""
    method = Pix2Pix(3, direction="b2a", generator=partial(UNetGenerator, width=4, levels=6), test_dropout=False)
    run = trainer(limit_train_batches=1, limit_val_batches=0)
    run.fit(method, ToyFacades(batch_size=2))
    run.save_checkpoint(path)
    return str(path)


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """The zoo's two methods on Digits, compared once for all tests here."""
    logs = tmp_path_factory.mktemp("compare")
    return compare(["alignflow-digits", "cyclegan-digits"], Digits(), logs=logs, pictures=3)


def events(folder):
    found = EventAccumulator(str(folder), size_guidance={"images": 0})
    found.Reload()
    return found


def test_metrics_are_those_of_the_index(digits):
    assert list(digits.metrics) == ["alignflow-digits", "cyclegan-digits"]
    for name, metrics in digits.metrics.items():
        expected = crossdomain.hub.model_info(name)["metrics"]
        assert set(metrics) >= set(expected)  # those of later probes are not in the index yet
        for tag, value in expected.items():
            assert metrics[tag] == pytest.approx(value, rel=1e-3, abs=2e-4)


def test_tensorboard_gets_scalars_by_tag_a_row_each_and_the_panel(digits):
    for name, metrics in digits.metrics.items():
        found = events(digits.logs / name)
        scalars = {tag: found.Scalars(tag)[-1].value for tag in found.Tags()["scalars"]}
        assert scalars == pytest.approx({f"test/{tag}": value for tag, value in metrics.items()})
        summary = found.SummaryMetadata("_hparams_/session_start_info")
        assert name.encode() in summary.plugin_data.content
    panel = events(digits.logs / "panel")
    assert panel.Tags()["images"] == ["test/panel_a2b", "test/panel_b2a"]
    image = panel.Images("test/panel_a2b")[0]
    assert (image.width, image.height) == (4 * 99, 3 * 99 + 56)  # input, truth and two methods; three pictures, names


def test_columns_show_the_inputs_and_what_became_of_them(digits):
    images = torch.linspace(-1, 1, 2).view(2, 1, 1, 1).expand(2, 1, 48, 48)
    grid = labelled_columns([("first", images), ("second", -images)])
    assert grid.shape == (3, 2 * 99 + 56, 2 * 99)
    inside = grid[0, 56 + 10 :: 99, 10::99]
    assert inside.tolist() == [[0, 255], [255, 0]]
    assert (grid[:, :56] < 128).any()  # the names


def test_every_form_holds_every_number(digits):
    shown = digits.metrics | digits.rivals
    values = {name: f"{metrics['mse_a2b']:.4g}" for name, metrics in shown.items()}
    assert json.loads(digits.render("json"))["metrics"] == digits.metrics
    rows = list(csv.DictReader(io.StringIO(digits.render("csv"))))
    assert {row["method"]: row["mse_a2b"] for row in rows} == values
    assert rows[1]["bits_per_dim_a"] == ""
    assert json.loads(digits.render("json"))["rivals"] == digits.rivals
    header, line, *rows = digits.render("markdown").splitlines()
    assert header.split("|")[2].strip() == digits.tags()[0]
    assert set(line) <= set("|- ")
    assert [row.split("|")[1].strip() for row in rows] == list(values)
    (row,) = [line for line in digits.render().splitlines() if line.startswith("mse_a2b")]
    assert row.split()[1:] == list(values.values())


def test_rivals_of_unpaired_methods_are_a_copy_and_the_mean_image(digits):
    data = Digits()
    data.setup("fit")
    data.setup("test")
    batches = [batch for batch in data.test_dataloader() if "truth_a2b" in batch]
    truth = torch.cat([batch["truth_a2b"] for batch in batches])
    images = torch.cat([batch["a"][: len(batch["truth_a2b"])] for batch in batches])
    mean = torch.cat([batch["b"] for batch in data.train_dataloader()]).mean(0)
    errors = {"copy-input": images - truth, "mean-image": mean - truth}
    assert list(digits.rivals) == list(errors)
    for name, error in errors.items():
        assert digits.rivals[name]["mse_a2b"] == pytest.approx(error.square().mean().item(), rel=0.02)
        assert digits.rivals[name]["mse_a2b"] > 5 * digits.metrics["cyclegan-digits"]["mse_a2b"]
    assert digits.rivals["copy-input"]["cycle_max_a"] == 0  # a metric that a copy wins


def test_without_a_training_split_the_mean_image_is_said_to_be_missing(tmp_path):
    found = compare(["cyclegan-digits"], Digits(batch_size=1000), "val", logs=tmp_path / "logs", pictures=0)
    assert list(found.rivals) == ["copy-input"]
    reason = found.not_applicable["mean-image, random-image"]
    assert reason.startswith("The training split has 620 images, fewer than one batch of 1000")
    assert f"not applicable: mean-image, random-image: {reason}" in str(found)


def test_rivals_of_guided_methods_copy_the_guide_and_draw_images_too(tmp_path):
    data = Shapes(image_size=64, batch_size=100)
    found = compare(["rift-shapes"], data, "val", logs=tmp_path / "logs", pictures=0)
    assert list(found.rivals) == ["copy-input", "mean-image", "copy-guide", "random-image"]
    batch = next(iter(data.val_dataloader()))
    guided = rivals(DataSpec.from_plain(data.spec()), [hub.load("rift-shapes")], None)
    assert list(guided) == ["copy-input", "copy-guide"]  # the others need the training split
    assert torch.equal(guided["copy-guide"].translate(batch["a"], "a2b", guide=batch["b"]), batch["b"])
    assert torch.equal(guided["copy-input"].translate(batch["a"], "a2b"), batch["a"])
    paired = rivals(DataSpec.from_plain(ToyFacades().spec()), [hub.load("bicyclegan-toyfacades")], None)
    assert list(paired) == ["copy-input"]  # the photo beside labels is their truth


def test_who_does_not_fit_is_listed_with_the_reason(trainer, tmp_path, capsys):
    paired = small_pix2pix(tmp_path / "pix2pix-toy.ckpt", trainer)
    classifier = DomainClassifier(1, network=partial(ConvClassifier, width=4))
    classifier.spec = DataSpec.from_plain(Digits().spec())
    serialization.write(classifier, tmp_path / "classifier.ckpt")
    names = [paired, "cyclegan-digits", str(tmp_path / "classifier.ckpt")]
    command(["compare", *names, "--data", "ToyFacades", "--data.batch_size", "50", "--pictures", "2"])
    printed = capsys.readouterr().out
    assert "ToyFacades, test split" in printed
    assert "modes_covered_b2a" in printed
    assert "cyclegan-digits: trained on digits and photocopies, the data has photo and labels" in printed
    on_digits = compare(names, Digits(), logs=tmp_path / "logs", pictures=0)
    assert list(on_digits.metrics) == ["cyclegan-digits"]
    assert on_digits.not_applicable["classifier"] == "a DomainClassifier does not translate"
    assert not events(tmp_path / "logs" / "panel").Tags()["images"]


def test_data_that_does_not_say_what_it_is_like_is_refused(tmp_path):
    with pytest.raises(ValueError, match="LightningDataModule does not say what its data is like"):
        compare(["cyclegan-digits"], LightningDataModule(), logs=tmp_path / "logs")
    assert not (tmp_path / "logs").exists()


def test_options_of_the_evaluation_and_the_split(tmp_path, capsys):
    classifier = DomainClassifier(1, network=partial(ConvClassifier, width=4))
    serialization.write(classifier, tmp_path / "judge.ckpt")
    arguments = ["compare", "cyclegan-digits", "--data", "Digits", "--split", "val", "--format", "json"]
    command([*arguments, "--evaluation.judge_b", str(tmp_path / "judge.ckpt"), "--evaluation.cycle_noise", "0"])
    metrics = json.loads(capsys.readouterr().out)["metrics"]["cyclegan-digits"]
    judge = Evaluation(judge_b=str(tmp_path / "judge.ckpt"), cycle_noise=0, pictures=0)
    expected = compare(["cyclegan-digits"], Digits(), "val", judge, pictures=0).metrics["cyclegan-digits"]
    assert metrics == pytest.approx(expected)
    assert "accuracy_a2b" in metrics
    assert "sn_a" not in metrics


def test_members_are_names_files_and_runs(tmp_path, trainer):
    run = tmp_path / "runs" / "pix2pix" / "version_3"
    small_pix2pix(run / "checkpoints" / "last.ckpt", trainer)
    small_pix2pix(run / "checkpoints" / "epoch=1.ckpt", trainer)
    found = find_members([str(run), "cyclegan-digits", str(run / "checkpoints" / "last.ckpt"), str(run)])
    assert list(found) == ["pix2pix-version_3", "cyclegan-digits", "last", "pix2pix-version_3'"]
    assert found["pix2pix-version_3"].name == "last.ckpt"
    assert set(find_members([])) == set(crossdomain.list_models())
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match=r"The run 'empty' has no checkpoint.\nGive a folder such as"):
        find_members(["empty"])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nothing", "--data", "Digits"], ["no checkpoint 'nothing'", "Nearest in the zoo"]),
        (["--data", "Digts"], ["no class 'Digts'", "Nearest: Digits"]),
        (["cyclegan-digits", "--data", "ToyFacades"], ["No member fits ToyFacades", "the data has photo and labels"]),
        (["--data", "Digits", "--split", "train"], ["split", "test", "val"]),
        (["cyclegan-digits"], ["data"]),
    ],
)
def test_mistakes_get_three_lines(arguments, words, capsys):
    with pytest.raises(SystemExit):
        command(["compare", *arguments])
    said = capsys.readouterr().err
    assert len(said.strip().splitlines()) <= 3
    assert all(word in said for word in words)
