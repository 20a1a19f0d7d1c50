"""``crossdomain adapt``: the whole table of a domain adaptation in one command."""

from pathlib import Path

import pytest
import torch
import yaml

from crossdomain import hub, serialization
from crossdomain.cli import crossdomain as crossdomain_command
from crossdomain.cli import main
from crossdomain.commands.adapt import class_frequencies, saved_by
from crossdomain.commands.lightning import run
from crossdomain.datamodules import DigitPair
from crossdomain.method import Method

QUICK = ["--trainer.max_epochs", "1", "--trainer.limit_train_batches", "2", "--trainer.limit_val_batches", "1",
         "--trainer.enable_progress_bar", "false", "--trainer.enable_model_summary", "false"]  # fmt: skip


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    """Run in a folder that is not the project's."""
    monkeypatch.chdir(tmp_path)


def latest(recipe):
    return Path("runs") / recipe / "version_0" / "checkpoints" / "last.ckpt"


@pytest.fixture
def quick_adaptation(monkeypatch):
    """Runs ``crossdomain adapt`` in a few batches; what the trainings were shown, by recipe."""
    from crossdomain.commands import adapt as pipeline

    run, step, shown = pipeline.run, Method.training_step, []

    def seen(method, batch, batch_idx):
        shown.append((type(method).__name__, method.hparams.get("train_on"), set(batch)))
        return step(method, batch, batch_idx)

    def adapt(*args, data=()):
        limits = {"fit": QUICK, "test": ["--trainer.limit_test_batches", "1"]}
        monkeypatch.setattr(pipeline, "run", lambda args: run([*args, *data, *limits[args[0]]]))
        crossdomain_command(["adapt", *args])
        return shown

    monkeypatch.setattr(Method, "training_step", seen)
    return adapt


def test_adaptation_table_has_its_rows_for_each_seed_and_hides_the_targets_labels(quick_adaptation, capsys):
    """The whole pipeline in a few batches, by the command; the numbers are those of its runs."""
    shown = quick_adaptation("--seeds", "3", "4")
    printed, said = capsys.readouterr()
    assert "warning" not in said  # of options that nobody gave
    lines = printed[printed.index("Accuracy on") :].splitlines()
    assert lines[0] == "Accuracy on the target's test split (360 images), seeds 3, 4: mean, standard deviation, each"
    rows = [line[2:29].strip() for line in lines[1 : lines.index("")]]
    own = ["by alignflow", "adapted", "adapted + feature stage", "adapted + self-training"]
    assert rows == ["source only", "+ augmentation", "self-trained", *own, "target only"]
    for line in lines[1 : lines.index("")]:
        if "by" not in line:
            average, deviation, *each = map(float, line[29:].split())
            assert len(each) == 2
            assert average == pytest.approx(sum(each) / 2, abs=2e-3)
            assert deviation == pytest.approx(abs(each[0] - each[1]) / 2**0.5, abs=2e-3)
    copied = lines[lines.index("") + 1 :]
    assert copied[0] == "a copy of the input on the test split, scale [-1, 1]"
    assert copied[1] == "  accuracy_b2a" + " " * 15 + lines[1][29:]  # of "source only", without a translation
    assert copied[2].startswith("  accuracy_a2b ")
    for tag in ("accuracy_a2b", "accuracy_b2a", "mse_a2b", "cycle_max_b", "bits_per_dim_a"):
        assert f"  {tag}" in printed
    assert "tensorboard --logdir runs" in printed
    assert [line for line in said.splitlines() if line.startswith("[")][::8] == [
        "[1/16] seed 3: source only (lightning fit --config classifier_source)",
        "[9/16] seed 4: source only (lightning fit --config classifier_source)",
    ]
    for name, train_on, keys in shown:  # no training but the bound's sees a label of the target
        assert ("label_b" in keys) == (train_on == "b"), name
        assert train_on != "a" or "label_a" in keys
    hyperparameters = {
        name: serialization.read(f"runs/{name}/checkpoints/last.ckpt")["hyper_parameters"]
        for name in ("classifier_adapted/version_1", "classifier_selftrained/version_3", "adda/version_1")
    }
    method, adapted = (f"runs/{name}/version_1/checkpoints/last.ckpt" for name in ("alignflow", "classifier_adapted"))
    assert all(each["translator"] == method for each in hyperparameters.values())
    assert [each["start_from"] for each in hyperparameters.values()] == [None, adapted, adapted]


def test_adaptation_guides_methods_by_the_classifier_and_the_frequencies_that_are_asked_for(
    quick_adaptation, small_data, capsys
):
    data = ["--data.root", str(small_data), "--data.batch_size", "4"]
    recipes = ["cyclegan_usps_mnist", "alignflow_usps_mnist"]
    quick_adaptation("--config", *recipes, "--semantic", "--match_frequencies", data=data)
    assert "(20 images), seed 0" in capsys.readouterr().out
    for recipe in recipes:
        checkpoint = serialization.read(latest(recipe))
        given = checkpoint["hyper_parameters"]["semantic_classifier"]
        assert given == str(latest("classifier_selftrained_usps_mnist"))
        frequencies = yaml.safe_load(latest(recipe).parents[1].joinpath("config.yaml").read_text())["data"]["init_args"]
        assert sum(frequencies["frequencies_a"]) == pytest.approx(1, abs=1e-3)
        assert len(frequencies["frequencies_a"]) == 10
    assert latest("classifier_target_usps_mnist").is_file()


def test_adaptation_takes_the_weak_classifier_as_a_control(quick_adaptation, small_data):
    data = ["--data.root", str(small_data), "--data.batch_size", "4"]
    quick_adaptation("--config", "cyclegan_usps_mnist", "--semantic", "source only", data=data)
    method = serialization.read(latest("cyclegan_usps_mnist"))["hyper_parameters"]
    assert method["semantic_classifier"] == str(latest("classifier_source_usps_mnist"))


def test_class_frequencies_are_the_mean_of_what_the_classifier_says(small_data):
    options = ["--data.root", str(small_data), "--data.batch_size", "4"]
    main(["fit", "--config", "classifier_source_mnist_usps", *options, *QUICK])
    data = DigitPair(root=str(small_data), image_size=16)
    found = class_frequencies(latest("classifier_source_mnist_usps"), data)
    images = data.split("train").fields[1]["b"].float() / 127.5 - 1
    expected = hub.load(latest("classifier_source_mnist_usps")).classify(images, "b").softmax(1).mean(0)
    torch.testing.assert_close(torch.tensor(found), expected, rtol=0, atol=1e-4)


def test_adaptation_of_several_data_at_once_is_refused(capsys):
    with pytest.raises(SystemExit):
        crossdomain_command(["adapt", "--config", "alignflow", "cyclegan_usps_mnist"])
    assert "recipes alignflow, cyclegan_usps_mnist are of different data" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        crossdomain_command(["adapt", "--config", "lrmf_embeddings", "--semantic"])
    assert "no recipe for the row 'self-trained', but for 'source only'" in capsys.readouterr().err


def test_adaptation_by_a_method_that_needs_guides_is_refused_before_any_training(tmp_path, capsys):
    (tmp_path / "rift.yaml").write_text("base: rift\ndata: {class_path: Digits}\nwithout: [data.init_args]\n")
    with pytest.raises(SystemExit):
        crossdomain_command(["adapt", "--config", str(tmp_path / "rift.yaml")])
    assert "rift translates after a guide, which the table has none of.\nGive" in capsys.readouterr().err


def test_adaptation_needs_the_checkpoints_of_the_zoo():
    kept = "--trainer.callbacks=ModelCheckpoint"
    fitted = run(["fit", "--config", str(hub.find_recipe("classifier_source")), *QUICK, kept])
    with pytest.raises(ValueError, match=r"no checkpoint by RoundCheckpoint, but by ModelCheckpoint"):
        saved_by(fitted)


def test_adaptation_needs_classifiers_for_the_recipes_data(tmp_path, capsys):
    recipe = tmp_path / "cyclegan_horses.yaml"
    recipe.write_text(hub.find_recipe("cyclegan").read_text())
    with pytest.raises(SystemExit):
        crossdomain_command(["adapt", "--config", str(recipe)])
    assert "no classifier recipes for 'cyclegan_horses.yaml'" in capsys.readouterr().err


def test_what_adaptation_cannot_do_is_said_before_anything_is_trained(capsys):
    for args, message in (
        (["--config", "lrmf_embeddings", "--semantic", "source only"], "lrmf_embeddings has no semantic consistency"),
        (["--seeds", "1", "1"], "--seeds names one twice: 1, 1"),
        (["--config", "alignflow", "zoo/alignflow.yaml"], "--config names one twice: alignflow, alignflow"),
    ):
        with pytest.raises(SystemExit):
            crossdomain_command(["adapt", *args])
        assert message in capsys.readouterr().err
    assert not list(Path().iterdir())
