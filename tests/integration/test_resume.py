"""A run that is killed and resumed ends bit for bit where an uninterrupted one does."""

import random
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import torch
from helpers import stopped_runs
from helpers.stopped_runs import BATCH, IMAGES, Numbered, Served, same, stop_and_go_on, train

from crossdomain import serialization
from crossdomain.callbacks import RoundCheckpoint
from crossdomain.datamodules import Digits, DrawSampler, make_loader
from crossdomain.methods import CycleGAN
from crossdomain.optimization import LinearDecay

SCRIPT = Path(__file__).parents[1] / "helpers" / "killed_run.py"
ROUNDS = 30  # three epochs of ten rounds


def run(name, folder, kill_round, workers, devices):
    folder.mkdir(exist_ok=True)
    command = [sys.executable, str(SCRIPT), name, str(folder), *map(str, (kill_round, workers, devices))]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, start_new_session=True)


def assert_same(first, second):
    """Two nested dicts of tensors and numbers are equal to the bit."""
    assert first.keys() == second.keys()
    for key, value in first.items():
        if isinstance(value, dict):
            assert_same(value, second[key])
        elif isinstance(value, torch.Tensor):
            assert torch.equal(value, second[key]), key
        else:
            assert value == second[key], key


def kill_and_resume(name, tmp_path, kill_round, workers, devices):
    whole = run(name, tmp_path / "whole", -1, workers, devices)
    assert whole.returncode == 0, whole.stderr
    killed = run(name, tmp_path / "killed", kill_round, workers, devices)
    assert killed.returncode == -9, killed.stderr
    resumed = run(name, tmp_path / "killed", -1, workers, devices)
    assert resumed.returncode == 0, resumed.stderr
    for rank in range(devices):
        final = [torch.load(tmp_path / which / f"final{rank}.pt") for which in ("whole", "killed")]
        assert final[0]["rounds"] == ROUNDS
        assert_same(*final)


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("name", ["alignflow", "cyclegan"])
def test_killed_run_resumes_exactly(name, workers, tmp_path):
    kill_and_resume(name, tmp_path, random.SystemRandom().randint(4, ROUNDS - 1), workers, devices=1)


def test_killed_run_of_two_processes_resumes_exactly(tmp_path):
    kill_and_resume("cyclegan", tmp_path, random.SystemRandom().randint(4, ROUNDS - 1), workers=0, devices=2)
    first, second = (torch.load(tmp_path / "whole" / f"final{rank}.pt") for rank in range(2))
    assert_same(first["weights"], second["weights"])
    assert not torch.equal(first["random"], second["random"])
    assert not torch.equal(first["pools"]["pool_a"], second["pools"]["pool_a"])


# --- runs that end within an epoch, in this process ----------------------------------------------------------------


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """What a run of three epochs ends with, and the images that it saw."""
    return train(tmp_path_factory.mktemp("whole"))


@pytest.mark.parametrize(
    ("way", "round"),
    [
        ("should_stop", 4),
        ("max_steps", 13),
        ("max_steps again", 10),
        ("validation", 17),
        ("Ctrl-C", 24),
        ("SIGTERM", 20),
    ],
)
def test_a_run_that_ends_within_an_epoch_goes_on_at_the_next_batch(way, round, whole, tmp_path):
    state = stop_and_go_on(tmp_path, way, round)
    assert stopped_runs.differing(whole[1], state) == []


def test_what_a_stopped_run_has_done_is_what_its_checkpoint_counts(tmp_path):
    served, _ = train(tmp_path, callbacks=[Served(13)])
    fit = serialization.read(tmp_path / "last.ckpt")["loops"]["fit_loop"]
    assert fit["epoch_progress"]["current"]["processed"] == 1
    assert fit["state_dict"]["combined_loader"] == [{"epoch": 1, "positions": 3 * BATCH, "total": IMAGES}]
    served_again, _ = train(tmp_path, resume=True)
    assert len(set(served.epochs[1] + served_again.epochs[1])) == IMAGES


def test_killed_while_writing_leaves_a_whole_checkpoint(whole, tmp_path):
    stopped_runs.killed_while_writing(tmp_path, 7)
    assert serialization.read(tmp_path / "last.ckpt")["crossdomain"]["rounds"] in (6, 7)
    assert same(train(tmp_path, resume=True)[1], whole[1])


def test_other_batches_go_on_with_the_next_images(whole, tmp_path, recwarn):
    assert stopped_runs.images_of_both(tmp_path, whole[0], 14, batch_size=7)
    assert any("3 batches of its own to the epoch's end; it is not the run" in str(w.message) for w in recwarn.list)


def test_too_few_images_for_one_more_batch_end_the_epoch(whole, tmp_path):
    assert stopped_runs.images_of_both(tmp_path, whole[0], 8, batch_size=9)
    assert (
        serialization.read(tmp_path / "last.ckpt")["loops"]["fit_loop"]["epoch_progress"]["current"]["processed"] == 3
    )


@pytest.mark.parametrize(("position", "processes", "batch_size"), [(12, 2, 4), (16, 3, 2), (21, 1, 5), (38, 2, 1)])
def test_other_processes_go_on_with_the_next_images(whole, position, processes, batch_size):
    count = (IMAGES - position) // processes // batch_size * batch_size * processes
    drawn = stopped_runs.positions_of_all(position, processes, batch_size)
    assert drawn == whole[0].epochs[1][position : position + count]


def test_older_loader_states_count_batches(whole):
    loader = make_loader(Numbered().dataset, DrawSampler((IMAGES, IMAGES), training=True), batch_size=BATCH)
    loader.load_state_dict({"epoch": 1, "batches": 3})
    assert [n for batch in loader for n in batch["number_a"].tolist()] == whole[0].epochs[1][3 * BATCH :]


def test_on_data_of_another_size_the_epoch_starts_anew():
    loader = make_loader(Numbered().dataset, DrawSampler((IMAGES, IMAGES), training=True), batch_size=BATCH)
    with pytest.warns(UserWarning, match="epoch of 50 images, but this data has 40: the epoch starts anew"):
        loader.load_state_dict({"epoch": 1, "positions": 12, "total": 50})
    assert len(list(loader)) == IMAGES // BATCH


def test_gradients_in_between_are_part_of_a_checkpoint_and_outlast_validations(tmp_path):
    def accumulating():
        torch.manual_seed(0)
        return {"method": stopped_runs.make_method(accumulate=3), "max_epochs": 1}

    _, whole = train(tmp_path / "whole", **accumulating())
    train(tmp_path / "stopped", callbacks=[Served(5)], **accumulating())
    _, state = train(tmp_path / "stopped", resume=True, **accumulating())
    assert stopped_runs.differing(whole, state) == []
    _, validated = train(tmp_path / "validated", val_check_interval=1, **accumulating())
    assert same(validated["weights"], whole["weights"])


# --- new options ---------------------------------------------------------------------------------------------------


def test_a_resumed_method_takes_its_own_learning_rate_and_schedule(tmp_path):
    train(tmp_path, max_epochs=2)
    optimizer = partial(torch.optim.Adam, lr=0.5, betas=(0.5, 0.999))
    longer = partial(LinearDecay, constant=1, decay=9)
    before = serialization.read(tmp_path / "last.ckpt")["optimizer_states"][0]["state"][0]["step"]
    _, state = train(
        tmp_path, resume=True, method=stopped_runs.make_method(critic_optimizer=optimizer, schedule=longer)
    )
    factor = 1 - (3 + 1 - 1) / 10  # of the fourth epoch, which would be next
    assert state["rates"] == pytest.approx([2e-4 * factor, 0.5 * factor])
    assert [moments[0]["step"] for moments in state["moments"]] == [before + 10] * 2  # moments go on


def test_a_resumed_method_may_take_another_optimizer_and_no_schedule(tmp_path, recwarn):
    train(tmp_path, max_epochs=1)
    method = stopped_runs.make_method(generator_optimizer=partial(torch.optim.SGD, lr=0.25), schedule=None)
    _, state = train(tmp_path, resume=True, method=method, max_epochs=2)
    assert state["rates"] == [0.25, 2e-4]
    assert any("optimizer of generator is of another kind" in str(w.message) for w in recwarn.list)


def test_a_smaller_pool_keeps_what_fits(tmp_path):
    train(tmp_path, max_epochs=1)
    _, state = train(tmp_path, resume=True, method=stopped_runs.make_method(pool_size=2), max_epochs=2)
    assert len(state["pools"]["pool_a"]) == 2


def test_a_schedule_that_ends_before_the_run_is_told_before_training(tmp_path):
    method = stopped_runs.make_method(schedule=partial(LinearDecay, constant=1, decay=0))
    with pytest.warns(
        UserWarning, match="of generator and critic leaves a learning rate of 0 in the last 2 of 3 epochs"
    ):
        train(tmp_path, method=method, limit_train_batches=1)
    method = stopped_runs.make_method(schedule=partial(LinearDecay, constant=2, decay=3), schedule_interval="step")
    with pytest.warns(UserWarning, match="in the last 5 of 10 rounds"):
        train(tmp_path, method=method, max_epochs=1)


def test_a_schedule_that_lasts_is_not_told_of(tmp_path, recwarn):
    train(tmp_path, limit_train_batches=1)
    assert not [w for w in recwarn.list if "learning rate of 0" in str(w.message)]


# --- the best checkpoint -------------------------------------------------------------------------------------------


def test_the_best_checkpoint_is_kept_beside_the_last_across_resumed_runs(trainer, tmp_path):
    values = iter([3.0, 1.0, 2.0, 1.5, 0.5])

    def run(epochs, resume):
        checkpoint = RoundCheckpoint(directory=str(tmp_path), monitor="val/own", mode="min")
        method = stopped_runs.make_method()
        method.on_validation_epoch_end = lambda: method.log("val/own", next(values))
        options = {"callbacks": [checkpoint], "enable_checkpointing": True, "limit_val_batches": 1}
        trainer(max_epochs=epochs, **options).fit(
            method, Numbered(), ckpt_path=tmp_path / "last.ckpt" if resume else None, weights_only=True
        )
        return checkpoint, serialization.read(tmp_path / "best.ckpt")["crossdomain"]["rounds"]

    assert run(3, resume=False)[1] == 20
    checkpoint, rounds = run(4, resume=True)
    assert (checkpoint.best, rounds) == (1.0, 20)
    checkpoint, rounds = run(5, resume=True)
    assert (checkpoint.best, rounds) == (0.5, 50)
    assert checkpoint.best_model_path == str(tmp_path / "best.ckpt")
    assert sorted(path.name for path in tmp_path.glob("*.*")) == ["best.ckpt", "last.ckpt"]


def test_a_metric_that_is_not_there_and_a_mode_that_is_not_said_are_refused(trainer, tmp_path):
    with pytest.raises(ValueError, match=r"whether less or more of it is better is not said.\nGive mode"):
        RoundCheckpoint(monitor="val/x")
    checkpoint = RoundCheckpoint(directory=str(tmp_path), monitor="val/x", mode="max")
    run = trainer(callbacks=[checkpoint], enable_checkpointing=True, limit_val_batches=1, limit_train_batches=1)
    with pytest.raises(
        ValueError, match=r"monitor is 'val/x', but the validation has no such metric.\nIt has: val/cycle"
    ):
        run.fit(stopped_runs.make_method(), Numbered())


def test_a_second_interrupt_does_not_wait(trainer, tmp_path):
    class Twice(Served):
        def on_train_batch_end(self, *args):
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(SystemExit) as ending:
        train(tmp_path, callbacks=[Twice()])
    assert isinstance(ending.value.__context__, KeyboardInterrupt)  # of which the command makes status 130
    assert not (tmp_path / "last.ckpt").exists()


def test_overfit_batches_trains_on_the_same_images_in_every_epoch(trainer):
    seen = []
    method = CycleGAN(1, **stopped_runs.NETWORKS)
    method.on_train_batch_end = lambda outputs, batch, batch_idx: seen.append(batch["path_a"])
    trainer(overfit_batches=2, max_epochs=3, limit_val_batches=0).fit(method, Digits(batch_size=4))
    assert len(seen) == 6
    assert seen[:2] == seen[2:4] == seen[4:]
    assert seen[0] != seen[1]
