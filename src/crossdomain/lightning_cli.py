"""The ``lightning`` command: Lightning's own CLI, with the zoo's classes, recipes, loggers and error messages."""

from __future__ import annotations

import logging
import sys
import warnings
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, NoReturn

from jsonargparse import Namespace
from lightning.pytorch import LightningDataModule, LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI, SaveConfigCallback
from lightning.pytorch.loggers import TensorBoardLogger

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
from crossdomain import hub, option_checks, serialization
from crossdomain.callbacks import NonFiniteGuard, PredictionWriter, RoundCheckpoint
from crossdomain.evaluation import Evaluation
from crossdomain.messages import Given, explain

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


class Refusal(SystemExit):
    """What a parser says of options that it cannot take; an exit, so that jsonargparse tries nothing else."""

    def __init__(self, message: str) -> None:
        super().__init__(2)
        self.message = message


class ZooParser(LightningArgumentParser):
    """A parser whose errors are three lines at most: what was wrong, what was expected, what is near."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, allow_abbrev=False, **kwargs)

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """End parsing; jsonargparse makes parsers within parsers, so only :meth:`parse` knows what was given."""
        raise Refusal(message)

    def parse(self, args: list[str]) -> Namespace:
        """The options; of those that are not accepted the essence is printed, and the status is 2."""
        try:
            return self.parse_args(args)
        except Refusal as refusal:
            print("error: " + explain(refusal.message, Given(args), self), file=sys.stderr)
            sys.exit(2)


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
        self.first = args[0] if args else None
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

    def subcommands(self) -> dict[str, set[str]]:
        """Lightning's; the one that is given alone, for setting up all takes longer than the rest of parsing."""
        known = LightningCLI.subcommands()
        return {self.first: known[self.first]} if self.first in known else known

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Link the channels; all subcommands know the options of all, so that all can read a run's config.yaml."""
        parser.add_argument(
            "--untrained",
            action="store_true",
            help="Validate, test and predict: take the random weights of a new method, without a checkpoint.",
        )
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
        self.config = parser.parse(args)
        self.checkpoint_given = self.config[self.config.subcommand].ckpt_path
        config = self.config[self.config.subcommand]
        for name in ("channels_a", "channels_b"):
            if config.get(f"model.init_args.{name}") is not None:
                raise ValueError(f"model.{name} is given by the data.\nLeave it out, or choose other data.")
        option_checks.check_seed(config.seed_everything)
        option_checks.count_single_batches(config.trainer, Given(args))
        option_checks.refuse_trainer_options(config.trainer)
        option_checks.refuse_methods_as_networks(config)
        option_checks.check_init_from(config, self.config.subcommand, args)
        option_checks.check_trained(config, self.config.subcommand, args)
        _resolve_checkpoints(self.config)
        self.init_from = None if config.init_from is None else hub.find_checkpoint(config.init_from)

    def _parse_ckpt_path(self) -> None:
        """Take the method's options from the checkpoint, and say which given ones that replaces."""
        subcommand = self.config.subcommand
        path = self.config[subcommand].get("ckpt_path")
        if path is None or not Path(path).is_file():
            return
        # Lightning's own way knows nothing of arguments that came after the checkpoint.
        checkpoint = serialization.read(path)
        if subcommand == "fit" and "optimizer_states" not in checkpoint:
            raise ValueError(
                f"ckpt_path is {self.checkpoint_given!r}, which holds weights alone: no training can go on with it.\n"
                f"Use --init_from {self.checkpoint_given} to start a new training from these weights."
            )
        given = serialization.arguments(checkpoint)
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
        callbacks = config["callbacks"] = _as_list(config["callbacks"])
        checkpointing = self.subcommand == "fit" and config["enable_checkpointing"] is not False
        if checkpointing and not any(isinstance(callback, Checkpoint) for callback in callbacks):
            callbacks.append(RoundCheckpoint())
        if self.subcommand == "fit":
            callbacks.append(NonFiniteGuard())
        if self.subcommand == "predict" and not any(isinstance(c, PredictionWriter) for c in callbacks):
            callbacks.append(PredictionWriter())
        try:
            return super().instantiate_trainer(**options)
        except TypeError as error:  # Lightning's answer to some values of the wrong kind
            raise ValueError(f"The Trainer does not take its options: {error}") from error


def _recipe_name(args: list[str]) -> str:
    names = [Path(value).stem for flag, value in pairwise(args) if flag in ("--config", "-c")]
    return names[-1] if names else "run"


def _flat(config: Namespace | None) -> dict[str, Any]:
    """The options of a method by dotted name, but for the channels, which come from the data."""
    if config is None:
        return {}
    flat = {k: v for k, v in config.items() if not k.endswith(("channels_a", "channels_b"))}
    # One class has several paths, such as crossdomain.methods.AlignFlow and ...methods.alignflow.AlignFlow.
    return {k: v.rpartition(".")[2] if k.endswith("class_path") else v for k, v in flat.items()}


def _as_list(callbacks: Any) -> list[Any]:
    """Callbacks as a list: jsonargparse keeps one that was given by its name alone as it is."""
    if callbacks is None:
        return []
    return list(callbacks) if isinstance(callbacks, list) else [callbacks]


def _resolve_checkpoints(config: Namespace) -> None:
    for key, value in list(config.items()):
        if key.rpartition(".")[2] in CHECKPOINT_KEYS and isinstance(value, str) and value not in KEYWORDS:
            config[key] = str(hub.find_checkpoint(value))
    for key in ("fit", "validate", "test", "predict"):
        callbacks = config.get(f"{key}.trainer.callbacks") if key in config else None
        for callback in _as_list(callbacks):
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
    options = parser.parse(args)
    option_checks.refuse_absent_accelerator("device", options.device)
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
