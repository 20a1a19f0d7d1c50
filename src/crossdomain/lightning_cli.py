"""The ``lightning`` command: Lightning's own CLI, with the zoo's classes, recipes, loggers and error messages."""

from __future__ import annotations

import re
import sys
import warnings
from pathlib import Path
from typing import Any, NoReturn

from jsonargparse import ArgumentParser, Namespace
from lightning.pytorch import LightningDataModule, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.loggers import TensorBoardLogger

# Imported so that a recipe can name these classes without their modules.
import crossdomain.adaptation
import crossdomain.datamodules
import crossdomain.flows
import crossdomain.methods
import crossdomain.networks
import crossdomain.objectives
import crossdomain.optimization  # noqa: F401
from crossdomain import hub
from crossdomain.callbacks import PredictionWriter

CHECKPOINT_KEYS = ("ckpt_path", "translator", "judge_a", "judge_b")
KEYWORDS = ("best", "last", "hpc", "registry")  # what Lightning itself understands in place of a path


class ZooParser(LightningArgumentParser):
    """A parser whose errors are three lines at most: what was wrong, what was expected, what is near."""

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Print the essence of ``message`` and exit with status 2."""
        print("error: " + shorten(message, self), file=sys.stderr)
        sys.exit(2)


def shorten(message: str, parser: ArgumentParser) -> str:
    """The essence of one of jsonargparse's messages, in three lines at most."""
    key = match[1] if (match := re.search(r'[Kk]ey "([\w.]+)"', message)) else ""
    if match := re.search(r"class_path '([\w.]+)':\s+Option '([\w.]+)' is not accepted", message):
        name, option = match[1].rpartition(".")[2], match[2]
        choices = _options_of(match[1])
        return f"{key}.{option}: {name} has no option {option!r}.\nNearest: {hub.near(option, choices)}."
    if match := re.search(r"Expected a dot import path string: (\S+)|No module named '(\S+)'", message):
        wrong = match[1] or match[2]
        return f"{key}: there is no class {wrong!r}.\nNearest: {hub.near(wrong, _classes_for(key))}."
    if match := re.search(r"[Uu]nrecognized arguments?:? (?:--)?([\w.]+)|[Kk]ey '([\w.]+)' is not expected", message):
        wrong = match[1] or match[2]
        choices = [action.dest for action in parser._actions]
        return f"There is no option --{wrong}.\nNearest: {hub.near(wrong, choices)}."
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    return "\n".join(lines[:3])


def _options_of(class_path: str) -> list[str]:
    module, _, name = class_path.rpartition(".")
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(getattr(sys.modules[module], name), fail_untyped=False)
    return [action.dest for action in parser._actions if action.dest not in ("help", "print_config")]


def _classes_for(key: str) -> list[str]:
    base = {"model": LightningModule, "data": LightningDataModule}.get(key)
    found: set[str] = set()
    todo = [base] if base else []
    while todo:
        for cls in todo.pop().__subclasses__():
            todo.append(cls)
            if cls.__module__.startswith("crossdomain.") and not getattr(cls, "__abstractmethods__", None):
                found.add(cls.__name__)
    return sorted(found)


class ZooCLI(LightningCLI):
    """LightningCLI for any method and datamodule; channels go from the data to the method."""

    def __init__(self, args: list[str]) -> None:
        self.recipe = _recipe_name(args)
        super().__init__(
            LightningModule,
            LightningDataModule,
            subclass_mode_model=True,
            subclass_mode_data=True,
            auto_configure_optimizers=False,
            seed_everything_default=0,
            save_config_kwargs={"overwrite": True},
            parser_class=ZooParser,
            args=args,
        )

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Link the channels."""
        for name in ("channels_a", "channels_b"):
            parser.link_arguments(f"data.{name}", f"model.init_args.{name}", apply_on="instantiate")

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        """Parse, then turn names of the zoo into paths of checkpoints."""
        self.config = parser.parse_args(args)
        _resolve_checkpoints(self.config)

    def instantiate_trainer(self, **options: Any) -> Trainer:
        """Log to ``runs/<recipe>`` and keep the last checkpoint, unless told otherwise."""
        config = self.config_init[self.subcommand]["trainer"]
        if config["logger"] in (None, True):
            config["logger"] = TensorBoardLogger("runs", name=self.recipe, default_hp_metric=False)
        callbacks = config["callbacks"] = list(config["callbacks"] or [])
        if self.subcommand == "fit" and config["enable_checkpointing"] is not False:
            if not any(isinstance(callback, ModelCheckpoint) for callback in callbacks):
                callbacks.append(ModelCheckpoint(filename="last", save_on_train_epoch_end=True))
        if self.subcommand == "predict" and not any(isinstance(c, PredictionWriter) for c in callbacks):
            callbacks.append(PredictionWriter())
        return super().instantiate_trainer(**options)


def _recipe_name(args: list[str]) -> str:
    names = [Path(value).stem for flag, value in zip(args, args[1:], strict=False) if flag in ("--config", "-c")]
    return names[-1] if names else "run"


def _resolve_checkpoints(config: Namespace) -> None:
    for key, value in list(config.items()):
        if key.rpartition(".")[2] in CHECKPOINT_KEYS and isinstance(value, str) and value not in KEYWORDS:
            config[key] = str(hub.find_checkpoint(value))
    for key in ("fit", "validate", "test", "predict"):
        callbacks = config.get(f"{key}.trainer.callbacks") if key in config else None
        for callback in callbacks or []:
            if "init_args" in callback:
                _resolve_checkpoints(callback.init_args)


def run(args: list[str]) -> ZooCLI:
    """Run the command with these arguments; recipes are paths here.

    Returns:
        The command, with its ``trainer``, ``model`` and ``datamodule``.
    """
    # Known and harmless here: small data needs no loading processes.
    warnings.filterwarnings("ignore", ".*does not have many workers.*")
    return ZooCLI(args)
