"""The precision that training takes: the machine's, unless the user named one."""

import platform

import pytest
import torch

from crossdomain import hub
from crossdomain.commands.lightning import run
from crossdomain.precision import native_precision


@pytest.fixture
def cpu(monkeypatch):
    """Pretend that the processor has these units."""

    def pretend(onednn, amx=False, avx512_bf16=False, machine="x86_64"):
        monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: onednn)
        monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx512_bf16)
        monkeypatch.setattr(platform, "machine", lambda: machine)

    return pretend


@pytest.mark.parametrize(
    ("units", "precision", "said"),
    [
        ({"onednn": True, "amx": True, "avx512_bf16": True}, "bf16-mixed", "AMX and AVX512-BF16"),
        ({"onednn": True, "avx512_bf16": True}, "bf16-mixed", "AVX512-BF16"),
        ({"onednn": True, "machine": "aarch64"}, "bf16-mixed", "Arm"),
        ({"onednn": True}, "32-true", "does not multiply bfloat16"),  # AVX512 alone emulates it
        ({"onednn": False, "amx": True}, "32-true", "does not multiply bfloat16"),
        ({"onednn": False, "machine": "arm64"}, "32-true", "does not multiply bfloat16"),
        ({"onednn": False}, "32-true", "does not multiply bfloat16"),
    ],
)
def test_a_cpu_trains_in_bfloat16_where_it_multiplies_it(cpu, units, precision, said):
    cpu(**units)
    choice = native_precision("cpu")
    assert choice.precision == precision
    assert said in choice.reason


@pytest.mark.parametrize(
    ("capabilities", "precision"), [([(8, 0)], "bf16-mixed"), ([(9, 0), (7, 5)], "32-true"), ([(7, 0)], "32-true")]
)
def test_a_gpu_trains_in_bfloat16_from_capability_8_on(monkeypatch, capabilities, precision):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: len(capabilities))
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capabilities[device])
    assert native_precision("cuda").precision == precision


def test_other_devices_train_in_float32():
    assert native_precision("mps").precision == "32-true"


@pytest.mark.parametrize("recipe", sorted(hub.list_recipes()))
def test_no_recipe_names_a_precision(recipe):
    assert "precision" not in hub.read_recipe(hub.find_recipe(recipe)).get("trainer", {})


QUICK = ["--trainer.max_epochs", "1", "--trainer.limit_train_batches", "1", "--trainer.limit_val_batches", "0",
         "--trainer.logger", "false", "--trainer.enable_checkpointing", "false",
         "--trainer.accelerator", "cpu"]  # fmt: skip


@pytest.mark.parametrize(
    ("units", "options", "precision", "said"),
    [
        ({"onednn": False}, [], "32-true", "precision 32-true: this CPU does not multiply bfloat16 natively"),
        ({"onednn": True, "amx": True}, [], "bf16-mixed", "precision bf16-mixed: this CPU, with AMX, multiplies"),
        ({"onednn": True, "amx": True}, ["--trainer.precision", "32-true"], "32-true", ""),
        ({"onednn": False}, ["--trainer.precision", "bf16-mixed"], "bf16-mixed", "warning: this CPU does not multiply"),
    ],
)
def test_the_command_chooses_and_says_why(cpu, tmp_path, monkeypatch, capsys, units, options, precision, said):
    """In one line; what the user names is taken as it is, with a warning where it will be slow."""
    monkeypatch.chdir(tmp_path)
    cpu(**units)
    fitted = run(["fit", "--config", str(hub.find_recipe("classifier_source")), *QUICK, *options])
    assert fitted.trainer.precision == precision
    lines = [line for line in capsys.readouterr().err.splitlines() if "precision " in line or "bf16-mixed" in line]
    assert [line.startswith(said) for line in lines] == ([True] if said else [])


def test_evaluation_is_in_float32_on_every_machine(cpu, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cpu(onednn=True, amx=True)
    checkpoint = ["--ckpt_path", str(hub.find_checkpoint("alignflow-digits")), "--trainer.limit_test_batches", "1"]
    config = str(hub.find_recipe("alignflow"))
    tested = run(["test", "--config", config, *checkpoint, "--trainer.logger", "false", "--trainer.accelerator", "cpu"])
    assert tested.trainer.precision == "32-true"
