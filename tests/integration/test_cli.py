"""The commands, as a user types them."""

import os
import subprocess
import sys
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from jsonargparse import Namespace
from PIL import Image

import crossdomain
from crossdomain import hub, serialization
from crossdomain.cli import _guarded, main
from crossdomain.cli import crossdomain as crossdomain_command
from crossdomain.commands import option_checks
from crossdomain.commands.errors import Given
from crossdomain.commands.lightning import _end_with_launcher
from crossdomain.commands.run_logs import RunLogger, quieten
from crossdomain.datamodules import Digits
from crossdomain.losses import Wasserstein

QUICK = ["--trainer.max_epochs", "1", "--trainer.limit_train_batches", "2", "--trainer.limit_val_batches", "1",
         "--trainer.enable_progress_bar", "false", "--trainer.enable_model_summary", "false"]  # fmt: skip


ROWS = ("source", "augmented", "selftrained", "adapted", "target")
CLASSIFIERS = {f"classifier_{row}" for row in ROWS}
LRMF = {"lrmf", "lrmf_gaussians", "lrmf_digits"}
OWN_DATA = {
    "adda",
    "alignflow",
    "cyclegan",
    "discogan",
    "distancegan",
    "flowgan",
    "pix2pix",
    *LRMF,
    *CLASSIFIERS,
}  # embedded
# Full networks at full size take half a minute each.
SLIM = {
    "alignflow": ["--model.flow.width", "4", "--model.flow.blocks", "1"],
    "cyclegan": ["--model.generator.width", "4"],
    "discogan": [],
    "pix2pix": ["--model.generator", "UNetGenerator", "--model.generator.levels", "6", "--model.generator.width", "4"],
    "distancegan": ["--model.generator", "ResNetGenerator", "--model.generator.width", "4"],
}


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    """Run in a folder that is not the project's."""
    monkeypatch.chdir(tmp_path)


def lightning(*args):
    assert main(list(args)) is None


def latest(recipe):
    return Path("runs") / recipe / "version_0" / "checkpoints" / "last.ckpt"


def write_embeddings(path):
    """A file as ``crossdomain embed`` writes it, of twenty random vectors in each domain and split."""
    fields = {d: {d: torch.randn(20, 4), f"label_{d}": torch.arange(20) % 10} for d in "ab"}
    content = {"domains": ["mnist", "usps"], "splits": dict.fromkeys(("train", "val", "test"), fields)}
    serialization.write_plain(content, path)


@pytest.mark.parametrize("recipe", sorted(hub.list_recipes()))
def test_every_recipe_trains(recipe, small_data):
    pair = recipe.split("_", 2)[2:]  # classifier_adapted_mnist_usps: source and target
    options = [] if recipe in OWN_DATA else ["--data.root", str(small_data), "--data.batch_size", "4"]
    method, _, data = recipe.partition("_")
    if data == "folder":
        options[options.index("--data.root") + 1] = str(small_data / "own")
    if method in SLIM and data in ("facades", "maps", "cityscapes", "folder"):
        options += [*SLIM[method], "--data.image_size", "64", "--data.load_size", "64"]
    if recipe in ("drit_shapes", "munit_shapes", "munitx_shapes", "rift_shapes"):  # the papers' sizes
        options += ["--data.batch_size", "2"]
    if data.endswith("embeddings"):
        write_embeddings(small_data / "embeddings" / "mnist_usps.pt")
    if recipe.startswith("classifier_adapted_"):
        translator = "lrmf_embeddings" if data.endswith("embeddings") else f"cyclegan_{pair[0]}"
        lightning("fit", "--config", translator, *options, *QUICK)
        options += ["--model.translator", str(latest(translator))]
    if method == "adda":
        source = recipe.replace("adda", "classifier_source")
        lightning("fit", "--config", source, *options, *QUICK)
        options += ["--model.start_from", str(latest(source))]
    lightning("fit", "--config", f"zoo/{recipe}.yaml", *options, *QUICK)
    assert latest(recipe).parents[1].joinpath("config.yaml").is_file()
    checkpoint = serialization.read(latest(recipe))
    assert checkpoint["crossdomain"]["rounds"] == 2
    assert serialization.rebuild(checkpoint).rounds == 2


def test_a_run_without_logs_leaves_nothing_behind():
    options = ("--trainer.logger", "false", "--trainer.limit_test_batches", "1")
    lightning("test", "--config", "cyclegan", "--ckpt_path", "cyclegan-digits", *options)
    assert not list(Path().iterdir())


def test_checkpoint_of_the_command_is_rebuilt_with_nothing_else_at_hand():
    lightning("fit", "--config", "alignflow", "--model.flow.width", "8", "--model.pool_size", "7", *QUICK)
    path = Path("runs/alignflow/version_0/checkpoints/last.ckpt").absolute()
    code = (
        f"import crossdomain, torch; m = crossdomain.load({str(path)!r});"
        "print(type(m).__name__, m.hparams['pool_size'], m.translate(torch.zeros(1, 1, 16, 16), 'a2b').shape)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[0] == "AlignFlow 7 torch.Size([1, 1, 16, 16])"


def test_resume_goes_on_and_says_what_it_replaces(capsys):
    lightning("fit", "--config", "alignflow", "--model.flow.width", "8", *QUICK)
    path = "runs/alignflow/version_0/checkpoints/last.ckpt"
    more = [*QUICK, "--trainer.max_epochs", "2"]
    lightning("fit", "--config", "alignflow", "--model.pool_size", "3", "--ckpt_path", path, *more)
    again = serialization.read("runs/alignflow/version_1/checkpoints/last.ckpt")
    assert again["crossdomain"]["rounds"] == 4
    assert again["hyper_parameters"]["flow"]["init_args"]["width"] == 8
    assert again["hyper_parameters"]["pool_size"] == 3
    printed = capsys.readouterr()
    assert "resuming with options other than the checkpoint's: pool_size 3\n" in printed.err
    assert "warning: the checkpoint's own options replace those given for: flow.width\n" in printed.err
    assert printed.out.splitlines()[-1] == "last checkpoint: runs/alignflow/version_1/checkpoints/last.ckpt"


def test_what_a_recipe_leaves_open_is_not_said_to_be_replaced(capsys):
    Path("clipped.yaml").write_text("base: cyclegan\nmodel: {init_args: {gradient_clip: null}}\n")
    lightning("fit", "--config", "clipped.yaml", "--model.gradient_clip", "1", *QUICK)
    path = "runs/clipped/version_0/checkpoints/last.ckpt"
    lightning("test", "--config", "clipped.yaml", "--ckpt_path", path, "--trainer.limit_test_batches", "1")
    assert "replace those given" not in capsys.readouterr().err


def rates(version):
    states = serialization.read(f"runs/alignflow/version_{version}/checkpoints/last.ckpt")["optimizer_states"]
    return [state["param_groups"][0]["lr"] for state in states]


def test_a_resumed_run_takes_the_options_of_the_command_line(capsys):
    slim = ["--model.flow.width", "4", "--model.critic.width", "4", "--data.batch_size", "8"]
    short = ["--model.schedule.constant", "1", "--model.schedule.decay", "0"]
    lightning("fit", "--config", "alignflow", *slim, *short, *QUICK)
    resume = ["fit", "--config", "alignflow", "--ckpt_path", "runs/alignflow/version_0/checkpoints/last.ckpt"]
    resume += ["--data.batch_size", "8", *QUICK, "--trainer.max_epochs", "2"]
    with pytest.warns(UserWarning, match="leaves a learning rate of 0 in the last 1 of 1 epochs"):
        lightning(*resume)
    assert rates(1) == [0, 0]
    replaced = "critic.width, flow.width, schedule.constant, schedule.decay"
    warning = next(line for line in capsys.readouterr().err.splitlines() if line.startswith("warning:"))
    assert sorted(warning.partition("given for: ")[2].split(", ")) == replaced.split(", ")
    lightning(*resume, "--model.schedule.decay=9", "--model.optimizer.lr", "0.5")
    assert rates(2) == pytest.approx([0.5 * 0.8] * 2)
    assert "checkpoint's: optimizer.lr 0.5, schedule.decay 9\n" in capsys.readouterr().err
    lightning(*resume, "--model.schedule", "null", "--model.optimizer", "SGD", "--model.optimizer.lr", "0.25")
    assert rates(3) == [0.25, 0.25]
    with pytest.raises(SystemExit) as ending:
        lightning(*resume, "--model.flow.width", "5")
    assert ending.value.code == 1
    error = capsys.readouterr().err.partition("error: ")[2].splitlines()
    assert len(error) == 2
    assert error[0].endswith("so a training cannot go on with: model.flow.width.")
    lightning(*resume, "--trainer.max_epochs", "1")
    assert "nothing was trained: the checkpoint has done 1 epochs and 2 rounds already" in capsys.readouterr().err
    resume[2] = "cyclegan"  # the recipe of another method: what it gives is replaced, all of it
    lightning(*resume)
    warning = next(line for line in capsys.readouterr().err.splitlines() if line.startswith("warning:"))
    named = warning.partition("given for: ")[2].split(", ")
    assert {"model", "generator", "generator.width", "generator.norm", "identity_weight"} <= set(named)


def test_warnings_are_shown_without_the_place_where_they_were_raised(monkeypatch):
    monkeypatch.setattr(warnings, "formatwarning", warnings.formatwarning)  # given back after the test
    quieten()
    shown = warnings.formatwarning(UserWarning("The rate is 0."), UserWarning, "method.py", 7)
    assert shown == "warning: The rate is 0.\n"


def test_runs_that_start_together_have_folders_of_their_own(tmp_path):
    barrier = threading.Barrier(8)

    def start(_):
        logger = RunLogger(tmp_path, name="recipe")
        barrier.wait()
        return logger.version

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(start, range(8))) == list(range(8))
    assert RunLogger(tmp_path, name="recipe").version == 8


def test_the_loss_of_another_process_is_one_line(capsys):
    def lost():
        raise RuntimeError("[gloo/transport/tcp/pair.cc:545] Read error: Connection reset by peer")

    with pytest.raises(SystemExit) as ending:
        _guarded(lost)
    assert ending.value.code == 1
    assert capsys.readouterr().err.splitlines() == [
        "error: Another process of this run has ended, so this one ends too. Its own message says why."
    ]


def test_a_process_ends_with_the_one_that_started_it():
    read, write = os.pipe()
    launcher = os.fork()
    if launcher == 0:
        if os.fork() == 0:
            sys.stderr = os.fdopen(write, "w", buffering=1)
            _end_with_launcher()
            time.sleep(60)
        time.sleep(0.5)
        os._exit(0)
    os.close(write)
    os.waitpid(launcher, 0)
    with os.fdopen(read) as stream:
        assert stream.read() == "error: The process that started this one is gone, so this one ends too.\n"


@pytest.mark.parametrize("interrupted", [KeyboardInterrupt, None])
def test_an_interrupt_is_status_130(interrupted):
    def lightnings_way():
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt:
            if interrupted:
                raise
            sys.exit(1)

    with pytest.raises(SystemExit) as ending:
        _guarded(lightnings_way)
    assert ending.value.code == 130


def test_resume_from_before_an_argument_came(capsys):
    """An AlignFlow without spline goes on without, though the recipe's flow has one now."""
    lightning("fit", "--config", "alignflow", "--model.flow.width", "8", "--model.flow.bins", "0", *QUICK)
    path = "runs/alignflow/version_0/checkpoints/last.ckpt"
    checkpoint = torch.load(path)
    del checkpoint["hyper_parameters"]["flow"]["init_args"]["bins"]
    torch.save(checkpoint, "old.ckpt")
    lightning("fit", "--config", "alignflow", "--ckpt_path", "old.ckpt", *QUICK, "--trainer.max_epochs", "2")
    again = serialization.read("runs/alignflow/version_1/checkpoints/last.ckpt")
    assert again["crossdomain"]["rounds"] == 4
    assert again["hyper_parameters"]["flow"]["init_args"]["bins"] == 0
    assert "replace those given for: flow.width\n" in capsys.readouterr().err  # of bins the recipe says nothing


def test_validate_and_test_take_a_checkpoint(capsys):
    lightning("fit", "--config", "alignflow", *QUICK)
    for stage in ("validate", "test"):
        lightning(stage, "--config", "alignflow", "--ckpt_path", "runs/alignflow/version_0/checkpoints/last.ckpt")
    printed = capsys.readouterr().out
    assert "val/mse_a2b" in printed
    assert "test/bits_per_dim_b" in printed


def test_checkpoints_on_the_web_are_validated_and_translate(web, monkeypatch, capsys):
    monkeypatch.setenv("CROSSDOMAIN_CACHE", "cache")
    web.files["/weights.ckpt"] = hub.find_checkpoint("alignflow-digits").read_bytes()
    url = f"{web.address}/weights.ckpt#sha256={hub.model_info('alignflow-digits')['sha256']}"
    lightning("validate", "--config", "alignflow", "--ckpt_path", url, "--trainer.limit_val_batches", "1")
    assert "val/mse_a2b" in capsys.readouterr().out
    Image.new("L", (16, 16), 128).save("grey.png")
    crossdomain_command(["translate", url, "grey.png", "--direction", "a2b", "--output", "translated"])
    assert Path("translated/grey.png").is_file()
    assert len(web.log) == 1
    with pytest.raises(SystemExit):
        lightning("test", "--config", "alignflow", "--ckpt_path", f"{web.address}/weights.ckpt")
    error = capsys.readouterr().err.partition("error: ")[2]
    assert len(error.splitlines()) == 2
    assert f"{web.address}/weights.ckpt#sha256=HEX" in error


def test_fine_tuning_starts_from_the_weights_and_goes_on_without_them(capsys):
    slow = ["--model.optimizer", "torch.optim.SGD", "--model.optimizer.lr", "0"]
    lightning(
        "fit", "--config", "alignflow", "--init_from", "alignflow-digits", "--model.pool_size", "7", *slow, *QUICK
    )
    assert "init_from alignflow-digits: 182 of 182 weights loaded\n" in capsys.readouterr().err
    checkpoint = serialization.read(latest("alignflow"))
    expected = crossdomain.load("alignflow-digits").state_dict()
    for name, weight in checkpoint["state_dict"].items():
        assert torch.equal(weight, expected[name]), name
    assert checkpoint["crossdomain"]["rounds"] == 2
    assert checkpoint["hyper_parameters"]["pool_size"] == 7
    assert "init_from" not in checkpoint["hyper_parameters"]
    config = str(latest("alignflow").parents[1] / "config.yaml")
    assert "init_from: alignflow-digits\n" in Path(config).read_text()
    more = ["--trainer.max_epochs", "2"]
    lightning("fit", "--config", config, "--ckpt_path", str(latest("alignflow")), *more)
    assert "weights loaded" not in capsys.readouterr().err
    (resumed,) = Path("runs/config").glob("version_*")
    assert serialization.read(resumed / "checkpoints" / "last.ckpt")["crossdomain"]["rounds"] == 4
    assert "init_from: null\n" in (resumed / "config.yaml").read_text()
    lightning("validate", "--config", config, "--ckpt_path", str(latest("alignflow")))  # other commands read it, too


def test_fine_tuning_says_what_does_not_fit(capsys):
    lightning("fit", "--config", "alignflow", "--init_from", "alignflow-digits", "--model.flow.width", "8", *QUICK)
    error = capsys.readouterr().err
    lines = error[error.index("init_from alignflow-digits: ") :].splitlines()
    assert lines[0].endswith("102 of 182 weights loaded")
    assert lines[1].startswith(
        "  80 of another shape, so as they were: flow_a.flows.4.conditioner.0.weight (8, 2, 3, 3)"
    )


def test_one_batch_is_one_and_a_callback_needs_no_options():
    limits = ["--trainer.limit_train_batches", "1", "--trainer.callbacks", "GeneratorEMA"]
    lightning("fit", "--config", "cyclegan", *SLIM["cyclegan"], *QUICK, *limits)
    checkpoint = serialization.read(latest("cyclegan"))
    assert checkpoint["crossdomain"]["rounds"] == 1
    assert checkpoint["generator_ema"]


@pytest.mark.parametrize("name", option_checks.COUNTS)
@pytest.mark.parametrize(("typed", "meant"), [("1", int), ("1.0", float)])
def test_a_limit_of_1_is_a_batch_and_of_1_0_all_of_them(name, typed, meant):
    Path("recipe.yaml").write_text(f"trainer:\n  {name}: {typed}\n")
    for args in ([f"--trainer.{name}", typed], [f"--trainer.{name}={typed}"], ["--config", "recipe.yaml"]):
        trainer = Namespace({name: 1.0})
        option_checks.count_single_batches(trainer, Given(["fit", *args]))
        assert trainer[name] == 1
        assert type(trainer[name]) is meant


def test_untrained_methods_are_scored_when_asked_for(capsys):
    lightning("validate", "--config", "alignflow", "--untrained", "--trainer.limit_val_batches", "1")
    assert "val/mse_a2b" in capsys.readouterr().out


def test_predict_writes_pictures(capsys):
    lightning("predict", "--config", "alignflow", "--ckpt_path", "alignflow-digits")
    folder = Path("runs/alignflow/version_0/predictions")
    assert len(list((folder / "a2b").glob("*.png"))) == 80
    assert len(list((folder / "b2a").glob("*.png"))) == 360
    assert "Wrote 80 a2b, 360 b2a to" in capsys.readouterr().out
    data = Digits()
    data.setup("test")
    fields = data.splits["test"].fields[0]
    picture = Image.open(folder / "a2b" / f"{Path(fields['path_a'][3]).stem}.png")
    assert (picture.mode, picture.size) == ("L", (16, 16))
    output = crossdomain.load("alignflow-digits").translate(fields["a"][3:4].float() / 127.5 - 1, "a2b")
    expected = ((output.clamp(-1, 1) + 1) * 127.5).round()
    written = torch.from_numpy(np.array(picture, dtype=np.float32))
    assert (written - expected[0, 0]).abs().max() <= 1


def test_objective_and_penalty_are_chosen_by_name():
    objective = ["--model.objective", "Wasserstein", "--model.objective.penalty", "GradientPenalty"]
    turns = ["--model.critic_turns", "5", "--model.generator_interval", "2"]
    lightning("fit", "--config", "cyclegan", *objective, *turns, "--model.critic.spectral_norm", "true", *QUICK)
    method = serialization.rebuild(serialization.read(latest("cyclegan")))
    assert isinstance(method.objective, Wasserstein)
    assert method.objective.penalty.weight == 10
    assert (method.critic_turns, method.generator_interval, method.rounds) == (5, 2, 2)
    assert "critic_a.model.0.parametrizations.weight.original" in method.state_dict()


def test_mistakes_in_a_fresh_process_leave_nothing_else_on_stderr():
    command = [sys.executable, "-m", "crossdomain", "fit", "--config", "zoo/alignflow.yaml", "--data.image_size", "18"]
    done = subprocess.run(command, capture_output=True, text=True)
    errors = [line for line in done.stderr.splitlines() if not line.startswith(("Seed set", "precision"))]
    assert done.returncode == 1
    assert errors == [
        "error: data.image_size is 18, but the networks of AlignFlow need a multiple of 4.",
        "Nearest: 16 or 20.",
    ]


def test_own_recipe_on_disk_comes_first(monkeypatch):
    Path("zoo").mkdir()
    Path("zoo/alignflow.yaml").write_text("seed_everything: 7\n")
    assert hub.find_recipe("zoo/alignflow.yaml") == Path("zoo/alignflow.yaml")
    assert hub.find_recipe("alignflow").parent != Path("zoo")


def test_list_shows_the_zoo_without_torch():
    code = (
        "import sys; from crossdomain.cli import crossdomain as c; c(['list']);"
        "import crossdomain; crossdomain.list_models();"
        "assert not {'torch', 'lightning', 'numpy'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    for name in (*hub.list_recipes(), *hub.list_models()):
        assert f"  {name} " in done.stdout


def test_crossdomain_command_refuses_an_unknown_recipe(capsys):
    with pytest.raises(SystemExit) as exit_info:
        crossdomain_command(["adapt", "--config", "alinflow"])
    assert exit_info.value.code == 1
    assert capsys.readouterr().err.startswith("error: There is no recipe 'alinflow'")
