"""A run that is killed and resumed ends bit for bit where an uninterrupted one does."""

import random
import subprocess
import sys
from pathlib import Path

import pytest
import torch

SCRIPT = Path(__file__).parent / "killed_run.py"
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
