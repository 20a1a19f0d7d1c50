"""Pages of help that fit on a screen: of a command its common options, of a class its own, in a line or two each.

What jsonargparse prints, which has types and whole descriptions, is longer than anyone reads at once.
"""

from __future__ import annotations

import inspect
import re
import shutil
import textwrap
from argparse import SUPPRESS, Action
from collections.abc import Callable

from jsonargparse import ArgumentParser, DefaultHelpFormatter

from crossdomain.game import Game

# Of a command: the options that are shown, in our words.
COMMON = {
    "config": "a recipe: a file, or a name of the zoo",
    "model": "the method",
    "data": "the data",
    "ckpt_path": "a checkpoint, which fit resumes and the other commands use",
    "init_from": "a checkpoint whose weights a new training begins with",
    "seed_everything": "decides all that is random",
    "trainer.max_epochs": "the length of the training",
    "trainer.max_time": "the same in time, as DD:HH:MM:SS",
    "trainer.devices": "how many processors take part, or which",
    "trainer.accelerator": "cpu or gpu",
    "trainer.precision": "such as 32-true or bf16-mixed",
    "trainer.limit_train_batches": "fewer batches an epoch",
    "trainer.check_val_every_n_epoch": "how often the method is measured",
    "trainer.log_every_n_steps": "how often losses are logged, in rounds",
    "trainer.callbacks": "such as GeneratorEMA or RoundCheckpoint",
    "trainer.logger": "false writes no logs",
    "trainer.enable_progress_bar": "false shows no progress",
}


def page(parser: ArgumentParser, classes_for: Callable[[str], list[str]]) -> str:
    """The short page of a command, or of a class whose options ``parser`` holds.

    Args:
        parser: of a subcommand of ``lightning``, of ``crossdomain compare``, or of ``--model.help`` and the like.
        classes_for: names of the classes that ``model`` and ``data`` may be.
    """
    width = min(shutil.get_terminal_size().columns, 120)
    actions = {a.dest: a for a in parser._actions if a.option_strings and a.help != SUPPRESS and _is_option(a)}
    if "trainer.max_epochs" in actions:
        lines = [f"usage: lightning {parser.prog.split()[-1]} --config RECIPE [--OPTION VALUE ...]", ""]
        lines += _lines([(f"--{name}", what) for name, what in COMMON.items() if name in actions], width)
        for key in ("model", "data"):
            lines += ["", *textwrap.wrap(f"--{key} is one of {', '.join(classes_for(key))}.", width)]
            lines += [f"  its options: --{key}.help NAME"]
        return "\n".join([*lines, "", "All options: --help --all"]) + "\n"
    title = parser.description or ""
    if title.startswith("Help for --"):  # jsonargparse's; the class itself says more
        shown = actions.values()
        group = next(group for group in parser._action_groups if any(a in group._group_actions for a in shown))
        title = group.title or ""
    shared = _shared(actions)
    own = [(f"--{dest}", _what(action)) for dest, action in actions.items() if dest not in shared]
    lines = [*textwrap.wrap(title, width), ""]
    lines += _lines(own, width)
    if shared:
        names = ", ".join(dest.rpartition(".")[2] for dest in shared)
        lines += ["", *textwrap.wrap(f"Shared by all methods: {names}. Channels come from the data.", width)]
    if made := next((a for a in actions.values() if _class_of(a.default)), None):
        lines += ["", f"Options of a class: add --{made.dest}.help {_class_of(made.default)}"]
    return "\n".join([*lines, "", "All options, with types and classes: add --all"]) + "\n"


def _is_option(action: Action) -> bool:
    return not action.dest.endswith("help") and action.dest != "print_config"


def _shared(actions: dict[str, Action]) -> list[str]:
    """The options that a method has because all have them; none where ``actions`` are not those of a method."""
    every = set(inspect.signature(Game).parameters)
    channels = {"channels", "channels_a", "channels_b"}
    names = {dest.rpartition(".")[2] for dest in actions}
    return [dest for dest in actions if dest.rpartition(".")[2] in every | channels] if every <= names else []


def _lines(rows: list[tuple[str, str]], width: int) -> list[str]:
    """Names, and beside them what there is to say of each, wrapped."""
    wide = max((len(name) for name, _ in rows), default=0)
    lines: list[str] = []
    for name, what in rows:
        first, *others = textwrap.wrap(what, width - wide - 4) or [""]
        lines += [f"  {name:{wide}}  {first}".rstrip(), *(" " * (wide + 4) + other for other in others)]
    return lines


def _what(action: Action) -> str:
    """The first sentence of the description, and the default."""
    text = re.sub(r"\s+", " ", (action.help or "").replace("``", ""))
    sentence = re.split(r"\.(?:\s|$)", text)[0]
    default = _class_of(action.default) or action.default
    if default in (None, SUPPRESS):
        return sentence
    return f"{sentence} ({str(default).lower() if isinstance(default, bool) else default})"


def _class_of(default: object) -> str | None:
    """The name of the class or function that a default names."""
    path = default.get("class_path") if isinstance(default, dict) else default
    return path.rpartition(".")[2] if isinstance(path, str) and path.startswith("crossdomain.") else None


class LongHelp(DefaultHelpFormatter):
    """jsonargparse's page, but where classes of ours fit it names these, and not all of torch's."""

    def _get_help_string(self, action: Action) -> str:
        before, known, after = super()._get_help_string(action).partition("known subclasses: ")
        ours = [path for path in after.removesuffix(")").split(", ") if path.startswith("crossdomain.")]
        return f"{before}{known}{', '.join(ours)})" if ours else f"{before}{known}{after}"
