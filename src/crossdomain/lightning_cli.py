"""The ``lightning`` command: Lightning's own CLI, with the zoo's classes, recipes, loggers and error messages."""

from __future__ import annotations

import inspect
import logging
import re
import sys
import warnings
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, NoReturn

import torch
from jsonargparse import ArgumentParser, Namespace
from lightning.pytorch import LightningDataModule, LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI, SaveConfigCallback
from lightning.pytorch.loggers import TensorBoardLogger
from torch import nn
from torch.optim.lr_scheduler import LRScheduler

# Imported so that a recipe can name these classes without their modules.
import crossdomain.adaptation
import crossdomain.attributes
import crossdomain.autoencoder
import crossdomain.datamodules
import crossdomain.densities
import crossdomain.flows
import crossdomain.methods
import crossdomain.networks
import crossdomain.objectives
import crossdomain.optimization
import crossdomain.segmentation  # noqa: F401
from crossdomain import hub, serialization
from crossdomain.callbacks import NonFiniteGuard, PredictionWriter, RoundCheckpoint
from crossdomain.evaluation import Evaluation
from crossdomain.method import Method
from crossdomain.objectives import Objective, Penalty

CHECKPOINT_KEYS = ("ckpt_path", "translator", "semantic_classifier", "judge_a", "judge_b", "segmenter", "predictor")
# Remarks of Lightning that are known and harmless here.
NOISE = (
    ".*does not have many workers.*",  # small data needs no loading processes
    ".*smaller than the logging interval.*",  # rounds are counted across epochs
    ".*not supported by the model summary.*",
    ".*overridden `on_after_batch_transfer`.*",
    ".*isinstance.treespec, LeafSpec.*",
)
KEYWORDS = ("best", "last", "hpc", "registry")  # what Lightning itself understands in place of a path


class ZooParser(LightningArgumentParser):
    """A parser whose errors are three lines at most: what was wrong, what was expected, what is near."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, allow_abbrev=False, **kwargs)

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Print the essence of ``message`` and exit with status 2."""
        print("error: " + shorten(message, self), file=sys.stderr)
        sys.exit(2)


def shorten(message: str, parser: ArgumentParser) -> str:
    """The essence of one of jsonargparse's messages, in three lines at most."""
    keys = re.findall(r'[Kk]ey "([\w.]+)"', message)
    key = _as_given(keys[-1]) if keys else ""
    if match := re.search(r"Option '([\w.]+)' is not accepted", message):
        return f"There is no option {_as_given(match[1])}.\nNearest: {hub.near(match[1], _options_of_zoo())}."
    if match := re.search(r"Expected a dot import path string: (\S+)|No module named '(\S+)'", message):
        wrong = match[1] or match[2]
        return f"{key}: there is no class {wrong!r}.\nNearest: {hub.near(wrong, _classes_for(key))}."
    if match := re.search(r"[Uu]nrecognized arguments?:? (?:--)?([\w.]+)|[Kk]ey '([\w.]+)' is not expected", message):
        wrong = match[1] or match[2]
        choices = [action.dest for action in parser._actions if not action.dest.endswith(("help", "print_config"))]
        return f"There is no option --{wrong}.\nNearest: {hub.near(wrong, choices)}."
    if (match := re.search(r"Subtypes: \[(.*)\]\n", message)) and (value := re.search(r"Given value: (.*)", message)):
        return f"{key} is {value[1]!r}.\nExpected: {_readable(match[1])}."
    if match := re.search(r"Expected an? (.*)\. Got value: (.*)", message):
        return f"{key} is {match[2]!r}.\nExpected: {_readable(match[1])}."
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    return "\n".join(lines[:3])


def _readable(types: str) -> str:
    """Types as people write them: ``int, None`` for ``<class 'int'>, <class 'NoneType'>``."""
    types = re.sub(r"<class '(?:[\w]+\.)*(\w+)'>", r"\1", types).replace("NoneType", "None")
    return re.sub(r"(?:typing\.)?Literal\[(.*?)\]", r"\1", types)


def _as_given(key: str) -> str:
    """The option as it was typed: jsonargparse names nested ones by their last part alone."""
    typed = [arg.lstrip("-").partition("=")[0] for arg in sys.argv if arg.startswith("--")]
    return next((arg for arg in typed if arg == key or arg.endswith("." + key)), key)


def _zoo_classes(*bases: type) -> list[type]:
    found, todo = set(), list(bases)
    while todo:
        for cls in todo.pop().__subclasses__():
            todo.append(cls)
            if cls.__module__.startswith("crossdomain.") and not cls.__name__.startswith("_"):
                found.add(cls)
    return [cls for cls in found if not getattr(cls, "__abstractmethods__", None)]


def _options_of_zoo() -> list[str]:
    """Options of all classes that a recipe may name."""
    classes = _zoo_classes(nn.Module, LightningDataModule, Objective, Penalty, LRScheduler)
    return sorted({name for cls in [*classes, Method] for name in inspect.signature(cls).parameters})


def _classes_for(key: str) -> list[str]:
    """Names of the classes that may stand at ``key``."""
    last = key.rpartition(".")[2]
    if last in ("model", "data"):
        return sorted(cls.__name__ for cls in _zoo_classes({"model": Method, "data": LightningDataModule}[last]))
    if last.endswith("optimizer"):
        return [name for name, cls in vars(torch.optim).items() if isinstance(cls, type)]
    bases = {"objective": Objective, "penalty": Penalty}
    base = LRScheduler if last.endswith("schedule") else bases.get(last, nn.Module)
    return sorted(cls.__name__ for cls in _zoo_classes(base) if not issubclass(cls, Method))


class ConfigBesideLogs(SaveConfigCallback):
    """Saves a run's options as ``config.yaml`` beside its logs; a run without logs leaves nothing behind."""

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Save, if there is a logger."""
        if trainer.loggers:
            super().setup(trainer, pl_module, stage)


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
            save_config_callback=ConfigBesideLogs,
            save_config_kwargs={"overwrite": True},
            parser_class=ZooParser,
            args=args,
        )

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Link the channels; ``--init_from`` is known to all subcommands, so that all can read a run's config.yaml."""
        parser.add_argument(
            "--init_from",
            type=str | None,
            default=None,
            help="Fit only: start from the weights of this checkpoint, a path, a name of the zoo or a URL.",
        )
        for name in ("channels_a", "channels_b"):
            parser.link_arguments(f"data.{name}", f"model.init_args.{name}", apply_on="instantiate")

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        """Parse, then turn names of the zoo into paths of checkpoints."""
        self.config = parser.parse_args(args)
        config = self.config[self.config.subcommand]
        for name in ("channels_a", "channels_b"):
            if config.get(f"model.init_args.{name}") is not None:
                raise ValueError(f"model.{name} is given by the data.\nLeave it out, or choose other data.")
        _refuse_trainer_options(config.trainer)
        _check_init_from(config, self.config.subcommand, args)
        _resolve_checkpoints(self.config)
        self.init_from = None if config.init_from is None else hub.find_checkpoint(config.init_from)

    def _parse_ckpt_path(self) -> None:
        """Take the method's options from the checkpoint, and say which given ones that replaces."""
        subcommand = self.config.subcommand
        path = self.config[subcommand].get("ckpt_path")
        if path is None or not Path(path).is_file():
            return
        # Lightning's own way knows nothing of arguments that came after the checkpoint.
        given = serialization.arguments(serialization.read(path))
        _expect_channels(self.config[subcommand].get("data"), given)
        model = {"class_path": given.pop("_class_path"), "dict_kwargs": given}
        before = _flat(self.config[subcommand].get("model"))
        self.config = self.parser.parse_object({subcommand: {"model": model}}, self.config)
        after = _flat(self.config[subcommand].get("model"))
        replaced = sorted(key for key in before if key in after and before[key] != after[key])
        if replaced:
            names = ", ".join(key.replace("init_args.", "") for key in replaced[:6])
            print(f"warning: the checkpoint's own options replace those given for: {names}", file=sys.stderr)

    def before_fit(self) -> None:
        """Take the weights that ``--init_from`` names, and say which."""
        if self.init_from is not None:
            report = hub.init_from(self.model, self.init_from)
            if self.trainer.is_global_zero:
                print(f"init_from {self.config.fit.init_from}: {report}", file=sys.stderr)

    def instantiate_trainer(self, **options: Any) -> Trainer:
        """Log to ``runs/<recipe>`` and keep the last checkpoint, unless told otherwise."""
        config = self.config_init[self.subcommand]["trainer"]
        if config["logger"] in (None, True):
            config["logger"] = TensorBoardLogger("runs", name=self.recipe, default_hp_metric=False)
        callbacks = config["callbacks"] = list(config["callbacks"] or [])
        checkpointing = self.subcommand == "fit" and config["enable_checkpointing"] is not False
        if checkpointing and not any(isinstance(callback, Checkpoint) for callback in callbacks):
            callbacks.append(RoundCheckpoint())
        if self.subcommand == "fit":
            callbacks.append(NonFiniteGuard())
        if self.subcommand == "predict" and not any(isinstance(c, PredictionWriter) for c in callbacks):
            callbacks.append(PredictionWriter())
        return super().instantiate_trainer(**options)


def _recipe_name(args: list[str]) -> str:
    names = [Path(value).stem for flag, value in pairwise(args) if flag in ("--config", "-c")]
    return names[-1] if names else "run"


def _expect_channels(data: Namespace | None, arguments: dict[str, Any]) -> None:
    """Tell data that looks into its files for its channels those of a checkpoint's method."""
    options = {} if data is None else data.get("init_args", {})
    if "expected_channels" in options and options["expected_channels"] is None and "channels_a" in arguments:
        channels = arguments["channels_a"]
        options["expected_channels"] = [channels, arguments.get("channels_b") or channels]


def _flat(config: Namespace | None) -> dict[str, Any]:
    """The options of a method by dotted name, but for the channels, which come from the data."""
    if config is None:
        return {}
    flat = {k: v for k, v in config.items() if not k.endswith(("channels_a", "channels_b"))}
    # One class has several paths, such as crossdomain.methods.AlignFlow and ...methods.alignflow.AlignFlow.
    return {k: v.rpartition(".")[2] if k.endswith("class_path") else v for k, v in flat.items()}


def _refuse_trainer_options(trainer: Namespace) -> None:
    """Options that cannot work with several optimizers are refused before anything is built."""
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


def _check_init_from(config: Namespace, subcommand: str, args: list[str]) -> None:
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


def _resolve_checkpoints(config: Namespace) -> None:
    for key, value in list(config.items()):
        if key.rpartition(".")[2] in CHECKPOINT_KEYS and isinstance(value, str) and value not in KEYWORDS:
            config[key] = str(hub.find_checkpoint(value))
    for key in ("fit", "validate", "test", "predict"):
        callbacks = config.get(f"{key}.trainer.callbacks") if key in config else None
        for callback in callbacks or []:
            if "init_args" in callback:
                _resolve_checkpoints(callback.init_args)


def parse_comparison(args: list[str]) -> Namespace:
    """The options of ``crossdomain compare``; ``data`` and ``evaluation`` are made."""
    parser = ZooParser(prog="crossdomain compare", description="Evaluate methods on the same data, side by side.")
    parser.add_argument(
        "members",
        nargs="*",
        type=str,
        help="of the zoo, checkpoints, or folders of runs (default: all of the zoo)",
    )
    parser.add_subclass_arguments(LightningDataModule, "data", required=True)
    parser.add_argument("--split", type=Literal["test", "val"], default="test", help="of the data")
    parser.add_argument(
        "--format", type=Literal["table", "markdown", "csv", "json"], default="table", help="of what is printed"
    )
    parser.add_argument("--logs", type=str, default="runs/compare", help="folder for TensorBoard")
    parser.add_argument("--pictures", type=int, default=6, help="inputs in the panel")
    parser.add_argument("--device", type=str, default="cpu", help="accelerator: cpu or gpu")
    parser.add_class_arguments(Evaluation, "evaluation", skip={"pictures"})
    options = parser.parse_args(args)
    _resolve_checkpoints(options)
    return parser.instantiate_classes(options)


def run(args: list[str]) -> ZooCLI:
    """Run the command with these arguments; recipes are paths here.

    Returns:
        The command, with its ``trainer``, ``model`` and ``datamodule``.
    """
    for message in NOISE:
        warnings.filterwarnings("ignore", message)
    logging.getLogger("lightning.pytorch.utilities.rank_zero").addFilter(lambda record: "litlogger" not in record.msg)
    return ZooCLI(args)
