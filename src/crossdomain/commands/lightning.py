"""The ``lightning`` command: Lightning's own CLI, with the zoo's classes, recipes, loggers and error messages."""

from __future__ import annotations

import os
import re
import sys
import threading
import time
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, NoReturn

from jsonargparse import ArgumentParser, Namespace
from jsonargparse import Path as ConfigPath
from lightning.pytorch import LightningDataModule, LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint, ModelCheckpoint, ModelSummary, ProgressBar
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.utilities import rank_zero_only

# Imported so that a recipe can name these classes without their modules.
import crossdomain.augmentation
import crossdomain.companions
import crossdomain.datamodules
import crossdomain.densities
import crossdomain.flows
import crossdomain.losses
import crossdomain.methods
import crossdomain.networks
import crossdomain.optimization  # noqa: F401
from crossdomain import hub, recipes, serialization
from crossdomain.callbacks import NonFiniteGuard, PlayerSummary, PredictionWriter, Progress, RoundCheckpoint
from crossdomain.commands import help_pages, option_checks
from crossdomain.commands.checkpoint_options import check_resumed, expect_channels, flat, options_of_model, shown
from crossdomain.commands.errors import TOP, Given, explain, names_below
from crossdomain.commands.run_logs import ConfigBesideLogs, RunLogger, quieten
from crossdomain.domains import Described
from crossdomain.evaluation import Evaluation
from crossdomain.moved import current
from crossdomain.precision import device_of, native_precision

CHECKPOINT_KEYS = (
    "ckpt_path", "translator", "semantic_classifier", "start_from", "judge_a", "judge_b", "segmenter", "predictor",
)  # fmt: skip
KEYWORDS = ("best", "last", "hpc", "registry")  # what Lightning itself understands in place of a path


class Refusal(SystemExit):
    """What a parser says of options that it cannot take; an exit, so that jsonargparse tries nothing else."""

    def __init__(self, message: str) -> None:
        super().__init__(2)
        self.message = message


class ZooParser(LightningArgumentParser):
    """A parser whose errors are three lines at most: what was wrong, what was expected, what is near.

    Its help is a short page, see :mod:`help_pages`.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, allow_abbrev=False, **kwargs)

    def format_help(self, *formatter: Any) -> str:
        """The page that ``--help`` prints."""
        return help_pages.page(self, lambda key: names_below(TOP[key]))

    def parse_path(self, path: str | os.PathLike, *args: Any, **how: Any) -> Namespace:
        """The options of a recipe; where it leans on others, the text that says the same by itself takes its place."""
        if recipes.is_whole(path):
            return super().parse_path(path, *args, **how)
        whole = recipes.standalone(path)
        with ConfigPath(path, mode="fr").relative_path_context():
            return self.parse_string(whole, os.path.basename(path), *args, **how)

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """End parsing; jsonargparse makes parsers within parsers, so only :meth:`parse` knows what was given."""
        raise Refusal(message)

    def parse(self, args: list[str], **how: Any) -> Namespace:
        """The options, as ``parse_args``; of those not accepted the essence is printed, and the status is 2."""
        try:
            return self.parse_args(args, **how)
        except Refusal as refusal:
            print("error: " + explain(refusal.message, Given(args), self), file=sys.stderr)
            sys.exit(2)


class LongHelpParser(ZooParser):
    """The same with jsonargparse's own pages of help, for ``--help --all``."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"formatter_class": help_pages.LongHelp, **kwargs})

    def format_help(self, *formatter: Any) -> str:
        """The page that ``--help`` prints."""
        return ArgumentParser.format_help(self, *formatter)


def _help_parser(args: list[str]) -> tuple[type[ZooParser], list[str]]:
    """The kind of parser that answers a call for help, and the arguments without ``--all``, which belongs to it."""
    asks = any(arg in ("-h", "--help") or arg.partition("=")[0].endswith(".help") for arg in args)
    if asks and "--all" in args:
        return LongHelpParser, [arg for arg in args if arg != "--all"]
    return ZooParser, args


class ZooCLI(LightningCLI):
    """LightningCLI for any method and datamodule; channels go from the data to the method."""

    parser: ZooParser

    def __init__(self, args: list[str]) -> None:
        self.recipe = _recipe_name(args)
        parser_class, args = _help_parser(args)
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
            parser_class=parser_class,
            args=args,
        )

    def subcommands(self) -> dict[str, set[str]]:  # type: ignore[override]  # Lightning's is static
        """Lightning's; the one that is given alone, for setting up all takes longer than the rest of parsing."""
        known = LightningCLI.subcommands()
        return {self.first: known[self.first]} if self.first is not None and self.first in known else known

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
        for name, of_data in (("channels_a", _first), ("channels_b", _second), ("channels", _channels)):
            parser.link_arguments("data", f"model.init_args.{name}", compute_fn=of_data, apply_on="instantiate")

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        """Parse, then turn names of the zoo into paths of checkpoints."""
        # Lightning has a class of this name too, for methods with one optimizer.
        args = [
            re.sub(r"^(--[\w.]+=)?ReduceLROnPlateau$", r"\1torch.optim.lr_scheduler.ReduceLROnPlateau", a) for a in args
        ]
        args = ["=".join(map(current, arg.split("=", 1))) for arg in args]
        self.args = args
        self.resumed: dict[str, Any] | None = None
        self.config = self.parser.parse(args)
        self.checkpoint_given = self.config[self.config.subcommand].ckpt_path
        config = self.config[self.config.subcommand]
        for name in ("channels_a", "channels_b", "channels"):
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
        """Take the method's options from the checkpoint, and say which given ones that replaces.

        A training that goes on takes the options that stand on the command line itself, as long as the checkpoint's
        weights fit.
        """
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
        expect_channels(self.config[subcommand].get("data"), given)
        model = {"class_path": given.pop("_class_path"), "dict_kwargs": given}
        before = flat(self.parser.parse(self.args, defaults=False)[subcommand].get("model"))
        # A checkpoint leaves out what is torch's default, where the values given would stay.
        del self.config[subcommand]["model"]
        self.config = self.parser.parse_object({subcommand: {"model": model}}, self.config)
        if subcommand == "fit":
            stored, options = flat(self.config.fit.model), options_of_model(self.args)
            self.config = self.parser.parse(["fit", *options], namespace=self.config)
            names = {option.removeprefix("--model.").partition("=")[0].replace("init_args.", "") for option in options}
            taken = {shown(key): (stored.get(key, ...), value) for key, value in flat(self.config.fit.model).items()}
            new = {name: now for name, (before_, now) in taken.items() if name in names and before_ != now}
            self.resumed = {"checkpoint": checkpoint, "new": new}
            if new:
                values = ", ".join(f"{key} {value}" for key, value in new.items())
                print(f"resuming with options other than the checkpoint's: {values}", file=sys.stderr)
        after = flat(self.config[subcommand].get("model"))
        said = {key: value for key, value in before.items() if value is not None}  # null is what a recipe leaves open
        if replaced := [shown(key) for key, value in said.items() if key not in after or after[key] != value]:
            keys = ", ".join(dict.fromkeys(replaced))
            print(f"warning: the checkpoint's own options replace those given for: {keys}", file=sys.stderr)

    def before_fit(self) -> None:
        """Take the weights that ``--init_from`` names, and say which; check that those of a checkpoint fit."""
        if self.init_from is not None:
            report = hub.init_from(self.model, self.init_from)
            if self.trainer.is_global_zero:
                print(f"init_from {self.config.fit.init_from}: {report}", file=sys.stderr)
        if self.resumed is not None:
            if self.resumed["new"]:
                check_resumed(self.model, **self.resumed)
            self.resumed = {"rounds": self.resumed["checkpoint"]["crossdomain"]["rounds"]}  # release memory

    def after_fit(self) -> None:
        """Say where the checkpoints are, or that nothing was left to do."""
        if self.resumed is not None and self.resumed["rounds"] == self.model.rounds:
            print(
                f"nothing was trained: the checkpoint has done {self.trainer.current_epoch} epochs and "
                f"{self.model.rounds} rounds already. Raise trainer.max_epochs, or the other budget.",
                file=sys.stderr,
            )
        for callback in self.trainer.checkpoint_callbacks if self.trainer.is_global_zero else []:
            for name, attribute in (("last", "path"), ("last", "last_model_path"), ("best", "best_path")):
                if path := getattr(callback, attribute, None):
                    print(f"{name} checkpoint: {path}")
            if isinstance(callback, ModelCheckpoint) and callback.best_model_path:
                print(f"best checkpoint: {callback.best_model_path}")

    def instantiate_trainer(self, **options: Any) -> Trainer:
        """Log to ``runs/<recipe>`` and keep the last checkpoint, unless told otherwise."""
        config = self.config_init[self.subcommand]["trainer"]
        if config["logger"] in (None, True):
            config["logger"] = RunLogger("runs", name=self.recipe, default_hp_metric=False)
        callbacks = config["callbacks"] = _as_list(config["callbacks"])
        checkpointing = self.subcommand == "fit" and config["enable_checkpointing"] is not False
        if checkpointing and not any(isinstance(callback, Checkpoint) for callback in callbacks):
            callbacks.append(RoundCheckpoint())
        if self.subcommand == "fit":
            callbacks.append(NonFiniteGuard())
            _choose_precision(config)
        if self.subcommand == "predict" and not any(isinstance(c, PredictionWriter) for c in callbacks):
            callbacks.append(PredictionWriter())
        if config["enable_progress_bar"] is not False and not any(isinstance(c, ProgressBar) for c in callbacks):
            callbacks.append(Progress())
        if config["enable_model_summary"] is not False and not any(isinstance(c, ModelSummary) for c in callbacks):
            callbacks.append(PlayerSummary())
            config["enable_model_summary"] = False  # Lightning's own
        try:
            return super().instantiate_trainer(**options)
        except TypeError as error:  # Lightning's answer to some values of the wrong kind
            raise ValueError(f"The Trainer does not take its options: {error}") from error

    def validate(self, **options: Any) -> None:
        """Measure on the val split, and print what was measured."""
        self._measure(**options)

    def test(self, **options: Any) -> None:
        """Measure on the test split, and print what was measured."""
        self._measure(**options)

    def _measure(self, verbose: bool = True, **options: Any) -> None:
        command: str = self.config.subcommand
        (metrics,) = getattr(self.trainer, command)(verbose=False, **options)
        if verbose and self.trainer.is_global_zero:
            split = {"validate": "val"}.get(command, command)
            print(f"{type(self.model).__name__} on the {split} split of {type(self.datamodule).__name__}")
            print(_table(metrics) or "  no metric applies")


def _channels(data: Any) -> list[int]:
    """Channels of all domains of a datamodule, which is fetched first where it may be."""
    if getattr(data, "download", False):
        data.prepare_data()
    return list(data.spec()["channels"]) if isinstance(data, Described) else [data.channels_a, data.channels_b]


def _first(data: LightningDataModule) -> int:
    return _channels(data)[0]


def _second(data: LightningDataModule) -> int | None:
    return next(iter(_channels(data)[1:2]), None)


def _table(metrics: Mapping[str, float]) -> str:
    """A line for each metric: its tag, and four significant digits."""
    width = max(map(len, metrics), default=0)
    return "\n".join(f"  {tag:{width}}  {value:.4g}" for tag, value in sorted(metrics.items()))


def _choose_precision(trainer: Namespace) -> None:
    """Train in the machine's own precision where none is named, and say which and why; warn of a slow one."""
    device = device_of(trainer.accelerator)
    choice = native_precision(device)
    if trainer.precision is None and not trainer.plugins:
        trainer.precision = choice.precision
        said = f"precision {choice.precision}: {choice.reason}"
    elif trainer.precision == "bf16-mixed" and choice.precision != "bf16-mixed" and device == "cpu":
        said = f"warning: {choice.reason}, so bf16-mixed can be 40 times as slow here as 32-true"
    else:
        return
    if getattr(rank_zero_only, "rank", 0) == 0:
        print(said, file=sys.stderr)


def _recipe_name(args: list[str]) -> str:
    names = [Path(value).stem for flag, value in pairwise(args) if flag in ("--config", "-c")]
    return names[-1] if names else "run"


def _as_list(callbacks: Any) -> list[Any]:
    """Callbacks as a list: jsonargparse keeps one that was given by its name alone as it is."""
    if callbacks is None:
        return []
    return list(callbacks) if isinstance(callbacks, list) else [callbacks]


def _resolve_checkpoints(config: Namespace) -> None:
    for key, value in list(config.items()):
        if key.rpartition(".")[2] in CHECKPOINT_KEYS and isinstance(value, str) and value not in KEYWORDS:
            config[key] = str(hub.find_checkpoint(value))
        if key.rpartition(".")[2] == "judges" and isinstance(value, dict):
            config[key] = {domain: str(hub.find_checkpoint(path)) for domain, path in value.items()}
    for key in ("fit", "validate", "test", "predict"):
        callbacks = config.get(f"{key}.trainer.callbacks") if key in config else None
        for callback in _as_list(callbacks):
            if "init_args" in callback:
                _resolve_checkpoints(callback.init_args)


def parse_comparison(args: list[str]) -> Namespace:
    """The options of ``crossdomain compare``; ``data`` and ``evaluation`` are made."""
    parser_class, args = _help_parser(args)
    parser = parser_class(prog="crossdomain compare", description="Evaluate methods on the same data, side by side.")
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


def _end_with_launcher() -> None:
    """Let this process end when the one that started it is gone, also while it waits for an answer from there."""
    launcher = os.getppid()

    def watch() -> None:
        while os.getppid() == launcher:
            time.sleep(2)
        print("error: The process that started this one is gone, so this one ends too.", file=sys.stderr)
        os._exit(1)

    threading.Thread(target=watch, daemon=True, name="end-with-launcher").start()


def run(args: list[str]) -> ZooCLI:
    """Run the command with these arguments; recipes are paths here.

    Returns:
        The command, with its ``trainer``, ``model`` and ``datamodule``.
    """
    if os.environ.get("LOCAL_RANK", "0") != "0":
        _end_with_launcher()
    quieten()
    return ZooCLI(args)
