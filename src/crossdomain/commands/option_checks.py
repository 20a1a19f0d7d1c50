"""Options that were parsed: those that cannot work together, or here, are refused before anything is built."""

from __future__ import annotations

import re
from typing import Any

import torch
from jsonargparse import Namespace
from lightning.pytorch import LightningModule

from crossdomain.commands.errors import Given, find_class

COUNTS = ("limit_train_batches", "limit_val_batches", "limit_test_batches", "limit_predict_batches", "overfit_batches",
          "val_check_interval")  # fmt: skip


def check_seed(seed: int | None) -> None:
    """Refuse a seed that NumPy does not take."""
    if seed is not None and not 0 <= seed < 2**32:
        raise ValueError(f"seed_everything is {seed}, but has to be at least 0 and below {2**32}.")


def count_single_batches(trainer: Namespace, given: Given) -> None:
    """``1`` is one batch and ``1.0`` all of them, as Lightning has it in Python; both are parsed as 1.0."""
    for name in COUNTS:
        if str(given.values.get(f"trainer.{name}")) == "1":
            trainer[name] = 1


def refuse_methods_as_networks(config: Namespace) -> None:
    """A method, made from channels, passes for a network, and does nothing in the place of one."""
    for key, value in config.model.items():
        if key.endswith(".class_path") and isinstance(value, str):
            cls, where = find_class(value), "model." + key.removesuffix(".class_path").replace("init_args.", "")
            if cls is not None and issubclass(cls, LightningModule):
                raise ValueError(f"{where} is {cls.__name__}, a method.\nExpected a network, such as PatchCritic.")


def check_trained(config: Namespace, subcommand: str, args: list[str]) -> None:
    """Refuse to score or use random weights, unless that is asked for; and asking for it where it changes nothing."""
    if "--untrained" in args and (subcommand == "fit" or config.ckpt_path is not None):
        what = "fit, which trains" if subcommand == "fit" else "--ckpt_path, whose weights are trained"
        raise ValueError(f"--untrained cannot be combined with {what}.\nLeave it out.")
    if subcommand == "fit":
        return
    if config.ckpt_path is None and not config.untrained:
        raise ValueError(
            f"{subcommand} needs a trained method: --ckpt_path CHECKPOINT, a path or a name of the zoo.\n"
            "Give --untrained to take random weights."
        )
    if config.ckpt_path in ("best", "last"):
        raise ValueError(
            f"ckpt_path is {config.ckpt_path!r}, but {subcommand} follows no training whose checkpoint that could be.\n"
            "Give the path of a checkpoint, such as runs/alignflow/version_0/checkpoints/last.ckpt."
        )


def refuse_absent_accelerator(key: str, name: Any) -> None:
    """Refuse the accelerator ``name``, given as ``key``, where this machine has none of that kind."""
    offered = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name in ("gpu", *offered) and not offered.get(name, any(offered.values())):
        raise ValueError(
            f"{key} is {name!r}, but this machine has none, or no driver for it.\nUse --{key} cpu, or auto."
        )


def refuse_trainer_options(trainer: Namespace) -> None:
    """Options that cannot work are refused before anything is built."""
    if isinstance(trainer.devices, str) and not re.fullmatch(r"auto|-1|[1-9]\d*|\d+(,\d+)+|\d+,", trainer.devices):
        raise ValueError(
            f"trainer.devices is {trainer.devices!r}.\nExpected how many, at least 1, a list such as 0,2, or auto."
        )
    refuse_absent_accelerator("trainer.accelerator", trainer.accelerator)
    for name in ("check_val_every_n_epoch", "log_every_n_steps"):
        if trainer[name] is not None and trainer[name] < 1:
            raise ValueError(f"trainer.{name} is {trainer[name]}, but has to be at least 1.")
    if trainer.gradient_clip_val is not None:
        raise ValueError(
            "trainer.gradient_clip_val clips one optimizer, but methods have one for each player.\n"
            f"Use --model.gradient_clip {trainer.gradient_clip_val} instead."
        )
    if trainer.accumulate_grad_batches != 1:
        raise ValueError(
            "trainer.accumulate_grad_batches counts batches for one optimizer, but methods have one for each player.\n"
            f"Use --model.accumulate {trainer.accumulate_grad_batches} instead."
        )
    strategy = trainer.strategy if isinstance(trainer.strategy, str) else trainer.strategy.get("class_path", "")
    if "deepspeed" in strategy.lower() or "fsdp" in strategy.lower():
        raise ValueError(
            f"trainer.strategy {strategy!r} cannot run methods with several optimizers.\n"
            "Leave it out (several processes then use DDP), or give ddp_find_unused_parameters_true."
        )


def check_init_from(config: Namespace, subcommand: str, args: list[str]) -> None:
    """Refuse ``--init_from`` where it cannot play a part; one that a run's config.yaml has left behind is dropped."""
    if subcommand == "fit" and config.ckpt_path is None:
        return
    if any(arg.partition("=")[0] == "--init_from" for arg in args):
        if subcommand != "fit":
            raise ValueError(f"init_from starts a training, and {subcommand} is none.\nUse --ckpt_path instead.")
        raise ValueError(
            "init_from starts a new training from weights, ckpt_path goes on with an old one: they cannot be combined."
            "\nLeave one of them out."
        )
    config.init_from = None
