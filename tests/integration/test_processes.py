"""Two processes on the CPU, no strategy named."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

SAID = ["cpu, 2 processes", "Epoch 1/2", "Epoch 2/2"]  # each once, by the first process
SCRIPT = Path(__file__).parents[1] / "helpers" / "two_processes.py"


@pytest.mark.parametrize("name", ["alignflow", "cyclegan", "distancegan", "joint"])
def test_two_processes_end_with_one_method_and_measure_it_alike(name, tmp_path):
    for devices in ([], ["1"]):
        command = [sys.executable, str(SCRIPT), name, str(tmp_path), *devices]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        said = re.findall(r"^(\w+ on cpu, 2 processes|Epoch \d/\d)", done.stdout, re.MULTILINE)
        assert [line.partition(" on ")[2] or line for line in said] == ([] if devices else SAID)
    first, second = (torch.load(tmp_path / f"rank{rank}.pt") for rank in range(2))
    for key, value in first.items():
        assert torch.equal(value, second[key]), key
    if name == "distancegan":  # whose statistics one process computed for both
        assert all(first[f"deviation_{domain}"] not in (0, 1) for domain in "ab")
    one, two = (torch.load(tmp_path / f"metrics{n}.pt") for n in (1, 2))
    assert len(one) >= 10
    assert two == pytest.approx(one, rel=1e-6, abs=1e-6)
