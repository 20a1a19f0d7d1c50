"""What a run shows: a bar in a terminal, a line an epoch elsewhere, players and metrics in tables, and nothing else."""

import fcntl
import io
import logging
import os
import re
import struct
import sys
import termios
from functools import partial
from types import SimpleNamespace

import pytest
import torch
from lightning.pytorch.callbacks import ModelSummary, ProgressBar, TQDMProgressBar
from tqdm import tqdm

from crossdomain.callbacks import PlayerSummary, Progress, progress
from crossdomain.commands.lightning import run
from crossdomain.datamodules import Digits
from crossdomain.flows import ImageFlow
from crossdomain.hub import find_recipe
from crossdomain.methods import AlignFlow
from crossdomain.networks import PatchCritic

SLIM = ["--model.flow.width", "4", "--model.flow.steps", "1", "--model.critic.width", "4"]
SHORT = ["--trainer.max_epochs", "1", "--trainer.limit_train_batches", "2", "--trainer.limit_val_batches", "2"]


class Terminal(io.StringIO):
    """Keeps what it was sent; asked how large it is, it answers as a terminal does."""

    def __init__(self, columns):
        super().__init__()
        self.ends = os.openpty()
        fcntl.ioctl(self.ends[1], termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))

    def isatty(self):
        return True

    def fileno(self):
        return self.ends[1]

    def frames(self):
        return [frame for frame in re.split(r"[\r\n]|\x1b\[A", self.getvalue()) if frame.strip()]


@pytest.fixture
def terminal(monkeypatch):
    """Makes stdout a terminal of so many columns."""

    def make(columns):
        monkeypatch.setattr(sys, "stdout", Terminal(columns))
        made.append(sys.stdout)
        return sys.stdout

    made = []
    yield make
    for end in (end for stream in made for end in stream.ends):
        os.close(end)


@pytest.fixture
def lines():
    """What Lightning says meanwhile."""
    said = []
    handler = logging.Handler()
    handler.emit = lambda record: said.append(record.getMessage())
    logger = logging.getLogger("lightning.pytorch")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield said
    logger.removeHandler(handler)
    logger.setLevel(level)


def alignflow():
    critic = partial(PatchCritic, width=4, layers=1, norm="none")
    return AlignFlow(1, flow=partial(ImageFlow, scales=1, steps=1, width=4), critic=critic)


@pytest.mark.parametrize("columns", [80, 160])
def test_bar_shows_losses_and_metrics_in_a_terminal(columns, terminal, trainer, monkeypatch):
    monkeypatch.setattr(progress, "EVERY", 0)
    shown, method = terminal(columns), alignflow()
    fitted = trainer(callbacks=[Progress()], enable_progress_bar=True, max_epochs=2, limit_train_batches=3)
    fitted.fit(method, Digits(batch_size=60))
    frames = [frame for frame in shown.frames() if frame.startswith("Epoch")]
    losses = {name: float(value) for name, value in method.last_losses.items()}
    metrics = {tag: float(value) for tag, value in fitted.callback_metrics.items()}
    assert set(losses) == {"generator", "critic"}
    assert max(map(len, shown.frames())) <= columns
    assert re.match(r"Epoch 1/2 .* +17% \d\d:\d\d generator -?[\d.e+]+ critic [\d.]+$", frames[1])
    expected = f"generator {losses['generator']:.3g} critic {losses['critic']:.3g} "
    expected += f"mse a2b {metrics['val/mse_a2b']:.3g} b2a {metrics['val/mse_b2a']:.3g}"
    assert frames[-1].startswith("Epoch 2/2 ")
    assert " 100% 00:00 " in frames[-1]
    assert expected in frames[-1]
    wide = f"bits_per_dim a {metrics['val/bits_per_dim_a']:.3g} b {metrics['val/bits_per_dim_b']:.3g}"
    assert (wide in frames[-1]) == (columns == 160)
    assert any(frame.startswith("Validating ") for frame in shown.frames())


def test_bar_of_a_resumed_run_begins_where_that_one_ended(terminal, trainer, tmp_path, monkeypatch):
    monkeypatch.setattr(progress, "EVERY", 0)
    path, options = tmp_path / "half.ckpt", {"limit_train_batches": 2, "limit_val_batches": 0}
    first = trainer(max_epochs=1, **options)
    first.fit(alignflow(), Digits(batch_size=60))
    first.save_checkpoint(path)
    shown = terminal(80)
    again = trainer(callbacks=[Progress()], enable_progress_bar=True, max_epochs=2, **options)
    again.fit(alignflow(), Digits(batch_size=60), ckpt_path=path, weights_only=False)
    percents = [int(frame.partition("%")[0].split()[-1]) for frame in shown.frames() if frame.startswith("Epoch 2/2")]
    assert percents == [50, 75, *[100] * (len(percents) - 2)]


def test_metrics_that_have_no_room_are_left_out_whole():
    bar = Progress()
    bar._losses = {"generator": torch.tensor(1234.5), "critic": torch.tensor(0.25)}
    bar._metrics = {"mse_a2b": 0.1, "mse_b2a": 0.2, "psnr_a2b": 20.0, "certificate": -0.0123456}
    whole = "generator 1234 critic 0.25 mse a2b 0.1 b2a 0.2 certificate -0.0123"
    assert bar._values(len(whole)) == whole
    assert bar._values(len(whole) - 1) == "generator 1234 critic 0.25 mse a2b 0.1 b2a 0.2"
    assert bar._values(30) == "generator 1234 critic 0.25"
    assert bar._values(3) == ""
    bar._metrics = {"accuracy_wall_b": 0.5, "accuracy_floor_a": 1.0}  # none is a headline
    assert bar._values(80).endswith("critic 0.25 accuracy_floor a 1 accuracy_wall b 0.5")


def test_losses_are_looked_at_when_they_are_shown_and_never_in_between(terminal, monkeypatch):
    class Untouched:
        def detach(self):
            raise AssertionError("looked at")

    monkeypatch.setattr(progress, "EVERY", 1000)
    counts = {"max_epochs": 2, "max_steps": -1, "global_step": 0, "current_epoch": 0, "num_training_batches": 100}
    trainer = SimpleNamespace(is_global_zero=True, **counts)
    module = SimpleNamespace(last_losses={"generator": Untouched()}, rounds=0)
    for stream in (terminal(80), io.StringIO()):
        monkeypatch.setattr(sys, "stdout", stream)
        bar = Progress()
        bar.setup(trainer, module, "fit")
        bar.on_train_start(trainer, module)
        for index in range(100):
            bar.on_train_batch_start(trainer, module, {}, index)
            bar.on_train_batch_end(trainer, module, None, {}, index)
        with pytest.raises(AssertionError, match="looked at"):
            bar.on_train_epoch_end(trainer, module)
        bar._losses = {}
        bar.on_train_end(trainer, module)


def test_a_line_for_each_epoch_goes_into_a_pipe(trainer, capsys):
    method = alignflow()
    options = {"enable_progress_bar": True, "max_epochs": 4, "limit_train_batches": 2, "check_val_every_n_epoch": 2}
    fitted = trainer(callbacks=[Progress()], **options)
    fitted.fit(method, Digits(batch_size=60))
    shown = capsys.readouterr().out
    assert "\r" not in shown
    lines = shown.splitlines()
    number = r"-?\d[\d.e+-]*"
    losses = rf"generator {number}  critic {number}"
    metrics = rf"val/mse_a2b {number}  val/mse_b2a {number}  val/bits_per_dim_a {number}  val/bits_per_dim_b {number}"
    assert len(lines) == 4
    for epoch, line in enumerate(lines, 1):
        measured = rf"  {metrics}  val/cycle_mean_a {number}  val/cycle_mean_b {number}" if epoch % 2 == 0 else ""
        assert re.fullmatch(rf"Epoch {epoch}/4  round {2 * epoch}  \d\d:\d\d  {losses}{measured}", line), line
    assert f"  critic {float(method.last_losses['critic']):.4g}  " in lines[-1]
    assert f"  val/mse_a2b {float(fitted.callback_metrics['val/mse_a2b']):.4g}  " in lines[-1]


def test_last_losses_are_sums_of_terms_and_outlast_rounds_in_which_a_player_rests(trainer):
    critic = partial(PatchCritic, width=4, layers=1, norm="none")
    flow = partial(ImageFlow, scales=1, steps=1, width=4)
    method = AlignFlow(1, flow=flow, critic=critic, generator_interval=2, likelihood_weight_a=0.1)
    seen = []

    class Watch(ProgressBar):
        def disable(self): ...

        def on_train_batch_end(self, trainer, pl_module, *_):
            seen.append((dict(pl_module.last_losses), dict(pl_module.last_terms)))

    options = {"enable_progress_bar": True, "limit_train_batches": 3, "limit_val_batches": 0}
    trainer(callbacks=[Watch()], **options).fit(method, Digits(batch_size=60))
    (first, _), (second, terms), (third, _) = seen
    assert set(first) == {"critic"}
    of_generator = [value for name, value in terms.items() if name.startswith("generator_")]
    assert len(of_generator) > 1
    assert second["generator"] == pytest.approx(float(sum(of_generator)), rel=1e-6)
    assert third["generator"] == second["generator"]
    assert third["critic"] != second["critic"]
    assert not any(loss.requires_grad for loss in third.values())


def test_players_are_listed_with_what_they_move(trainer, capsys):
    method = alignflow()
    method.fixed = torch.nn.Linear(3, 4)
    options = {"limit_train_batches": 1, "limit_val_batches": 0}
    trainer(callbacks=[PlayerSummary()], **options).fit(method, Digits(batch_size=60))
    flows, critics = (sum(p.numel() for p in method.player_parameters(player)) for player in method.players)
    assert [re.sub(" +", " ", line.strip()) for line in capsys.readouterr().out.splitlines()] == [
        "AlignFlow on cpu",
        f"generator {flows:,} parameters flow_a and flow_b: ImageFlow",
        f"critic {critics:,} parameters critic_a and critic_b: PatchCritic",
        "no player 16 parameters not trained",
    ]


def test_the_command_shows_players_and_epochs_and_no_advertising(capsys, lines, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fitted = run(["fit", "--config", str(find_recipe("alignflow")), *SLIM, *SHORT])
    shown = capsys.readouterr()
    expected = ["AlignFlow on cpu, logs in runs/alignflow/version_0", "  generator ", "  critic "]
    expected += ["Epoch 1/1  round 2  ", "last checkpoint: runs/alignflow/version_0/checkpoints/last.ckpt"]
    assert len(shown.out.splitlines()) == len(expected)
    assert all(line.startswith(start) for line, start in zip(shown.out.splitlines(), expected, strict=True))
    assert lines == ["`Trainer.fit` stopped: `max_epochs=1` reached."]
    said = [line for line in shown.err.splitlines() if line != "Seed set to 0"]
    assert [line.partition(" ")[0] for line in said] == ["precision"]
    bars = [callback for callback in fitted.trainer.callbacks if isinstance(callback, ProgressBar)]
    assert [type(bar) for bar in bars] == [Progress]


@pytest.mark.parametrize("option", ["false", "true"])
def test_own_bars_and_summaries_are_left_alone(option, capsys, tmp_path, monkeypatch):
    """Without any (``false``), or with the user's own."""
    monkeypatch.chdir(tmp_path)
    options = ["--trainer.enable_progress_bar", option, "--trainer.enable_model_summary", option]
    if option == "true":
        options += ["--trainer.callbacks+", "TQDMProgressBar", "--trainer.callbacks.refresh_rate", "2"]
        options += ["--trainer.callbacks+", "ModelSummary", "--trainer.callbacks.max_depth", "1"]
    fitted = run(["fit", "--config", str(find_recipe("alignflow")), *SLIM, *SHORT, *options])
    callbacks = fitted.trainer.callbacks
    assert not any(isinstance(callback, (Progress, PlayerSummary)) for callback in callbacks)
    own = [type(callback) for callback in callbacks if isinstance(callback, (ProgressBar, ModelSummary))]
    assert own == ([TQDMProgressBar, ModelSummary] if option == "true" else [])
    if option == "false":
        shown = capsys.readouterr().out.splitlines()
        assert [line.partition(":")[0] for line in shown] == ["last checkpoint"]


def test_metrics_are_printed_in_a_table(capsys, lines, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = ["--trainer.limit_test_batches", "2", "--trainer.precision", "32-true", "--trainer.logger", "false"]
    args = ["test", "--config", str(find_recipe("cyclegan")), "--ckpt_path", "cyclegan-digits", *options]
    measured = run(args).trainer.callback_metrics
    heading, *rows = capsys.readouterr().out.splitlines()
    assert heading == "CycleGAN on the test split of Digits"
    assert [row.split() for row in rows] == [[tag, f"{float(measured[tag]):.4g}"] for tag in sorted(measured)]
    assert len({row.rindex("  ") for row in rows}) == 1  # aligned
    assert max(map(len, rows)) < 60
    assert len(lines) == 1
    assert lines[0].startswith("Loaded model weights")
    run([*args, "--verbose", "false"])
    assert capsys.readouterr().out == ""


def test_a_bar_shares_no_lock_with_processes_that_are_forked():
    assert progress._Bar.get_lock() is not tqdm.get_lock()
    assert not hasattr(progress._Bar.get_lock(), "mp_lock")
