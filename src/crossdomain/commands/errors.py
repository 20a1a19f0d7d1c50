"""What the command says of options that cannot be: which one, what was expected, what is near, in three lines at most.

jsonargparse names an option by the last part of its key and tells neither which class refuses it nor which of two
alike it means. :class:`Given` knows what the user wrote, on the command line and in recipes, so that messages name
options as they were typed and offer those of the class that stands there.
"""

from __future__ import annotations

import argparse
import inspect
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import torch
import yaml
from jsonargparse import ArgumentParser
from lightning.pytorch import Callback, LightningDataModule, Trainer
from lightning.pytorch.loggers import Logger
from torch import nn
from torch.optim.lr_scheduler import LRScheduler

from crossdomain import hub, methods, networks, serialization
from crossdomain.augmentation import Augmentation
from crossdomain.evaluation import Evaluation
from crossdomain.losses import Discrepancy, Objective, Penalty
from crossdomain.method import Method
from crossdomain.self_training import SelfTraining
from crossdomain.semantic import SemanticConsistency

# What a recipe can name by the name alone.
BASES = (
    nn.Module,
    LightningDataModule,
    Objective,
    Penalty,
    Discrepancy,
    Augmentation,
    SemanticConsistency,
    SelfTraining,
    torch.optim.Optimizer,
    LRScheduler,
    Callback,
    Logger,
)
TOP = {"model": Method, "data": LightningDataModule}
OPTIONS_OF = {"trainer": Trainer, "evaluation": Evaluation}  # classes that nobody has to name
FROM_DATA = ("channels_a", "channels_b", "channels", "in_channels", "out_channels")  # nobody gives these
PLAIN = ("int", "float", "bool", "str", "None")


class Given:
    """The options that a user gave: the command line's, and those of the recipes that it names.

    Args:
        args: the command line, with recipes as paths.

    Attributes:
        values: by key as the command line writes it (``model.flow.width``), in the order given; the value of a key
            where a class stands is the class's name. A later value of a key stands in the place of an earlier one.
        args: the command line.
    """

    def __init__(self, args: Sequence[str]) -> None:
        self.values: dict[str, Any] = {}
        self.args = args
        for name, value in _pairs(args):
            if name in ("config", "c") and Path(value or "").is_file():
                self._add("", hub.read_recipe(value))
            else:
                self._add(name, _plain(value))

    def _add(self, key: str, value: Any) -> None:
        if isinstance(value, list) and any(isinstance(item, dict) for item in value):
            for item in value:
                self._add(key, item)
            return
        if not isinstance(value, dict):
            self.values.pop(key, None)
            self.values[key] = value
            return
        if "class_path" in value:
            self._add(key, value["class_path"])
        for name, item in value.items():
            if name == "init_args" and isinstance(item, dict):
                for inner, deeper in item.items():
                    self._add(_joined(key, str(inner)), deeper)
            elif name != "class_path":
                self._add(_joined(key, str(name)), item)

    def keys(self, end: str) -> list[str]:
        """Given keys that are ``end`` or end in it."""
        return [key for key in self.values if key == end or key.endswith("." + end)]

    def key(self, end: str, value: str | None = None) -> str:
        """The given key that ends in ``end``, the one with this value where there are several; ``end`` if none is."""
        found = self.keys(end)
        alike = [key for key in found if value is not None and str(self.values[key]) == value]
        return (alike or found[::-1] or [end])[0]

    def class_at(self, key: str) -> type | None:
        """The class that stands at ``key``: the one given, else the default; None where that cannot be told."""
        if key in OPTIONS_OF:
            return OPTIONS_OF[key]
        if isinstance(name := self.values.get(key), str):
            return find_class(name)
        parent, _, last = key.rpartition(".")
        owner = self.class_at(parent) if parent else None
        parameter = serialization.parameters(owner).get(last) if owner is not None else None
        return None if parameter is None else _made_by(parameter.default)

    def refused(self, key: str) -> tuple[str, type] | None:
        """The first part of ``key`` that its class does not take, with that class; None where all are taken."""
        parts = key.split(".")
        for i in range(1, len(parts)):
            owner = self.class_at(".".join(parts[:i]))
            if owner is not None and (parts[i] in FROM_DATA or parts[i] not in serialization.parameters(owner)):
                return ".".join(parts[: i + 1]), owner
        return None


def _pairs(args: Sequence[str]) -> Iterator[tuple[str, Any]]:
    """Names, without dashes, and values of the options on a command line."""
    for i, arg in enumerate(args):
        if arg.startswith("-"):
            name, given, value = arg.lstrip("-").partition("=")
            following = args[i + 1] if i + 1 < len(args) and not args[i + 1].startswith("--") else None
            yield name, value if given else following


def _plain(value: Any) -> Any:
    """A value of the command line; options in braces are read, anything else stays as it was typed."""
    try:
        return yaml.safe_load(value) if str(value).startswith("{") else value
    except yaml.YAMLError:
        return value


def _joined(key: str, name: str) -> str:
    return f"{key}.{name}" if key else name


def _made_by(factory: Any) -> type | None:
    """The class that a default makes: itself, or what the function says that it returns."""
    if isinstance(factory, type):
        return factory if factory is not inspect.Parameter.empty else None
    returned = get_type_hints(factory).get("return") if inspect.isfunction(factory) else None
    return returned if isinstance(returned, type) else None


def _below(*bases: type) -> set[type]:
    found: set[type] = set()
    todo = list(bases)
    while todo:
        inner: list[type] = todo.pop().__subclasses__()
        for cls in inner:
            if cls not in found:
                found.add(cls)
                todo.append(cls)
    return found


def find_class(name: str) -> type | None:
    """The class that a recipe means by ``name``, which is a path or the name alone; None where none was imported."""
    module, _, last = name.rpartition(".")
    if module:
        found = getattr(sys.modules.get(module), last, None)
        return found if isinstance(found, type) else None
    alike = [cls for cls in {*BASES, *_below(*BASES)} if cls.__name__ == name]
    return min(alike, key=lambda cls: not cls.__module__.startswith("crossdomain."), default=None)


def _expected_at(key: str, given: Given) -> type | None:
    """What has to stand at ``key``, by the annotation of the class above; None where that is no class."""
    if key in TOP:
        return TOP[key]
    parent, _, last = key.rpartition(".")
    owner = given.class_at(parent) if parent else None
    for base in owner.__mro__ if owner is not None else ():
        if "__init__" in vars(base) and last in inspect.signature(vars(base)["__init__"]).parameters:
            return _class_in(get_type_hints(vars(base)["__init__"])[last])
    return None


def _class_in(hint: Any) -> type | None:
    """The class that an annotation asks for: of a union and a list the first one, of a factory what it makes."""
    if get_origin(hint) is not None:
        inner = get_args(hint)
        inner = inner[-1:] if get_origin(hint) is Callable else inner
        return next(filter(None, map(_class_in, inner)), None)
    return hint if isinstance(hint, type) and hint.__name__ not in PLAIN and hint is not type(None) else None


def names_below(base: type) -> list[str]:
    """Names of the classes that can stand where ``base`` has to."""
    if base is nn.Module:
        return list(networks.__all__)
    own = {base} if base.__module__.startswith("crossdomain.") and base is not Method else set()
    found = [
        cls
        for cls in own | _below(base)
        if cls.__module__.startswith(("crossdomain.", "torch.optim", "lightning.pytorch"))
        and not (cls.__name__.startswith(("_", "Base")) or cls.__module__.endswith("cli") or _unfinished(cls))
    ]
    found.sort(key=lambda cls: (not cls.__module__.startswith("crossdomain."), cls.__name__))
    return [cls.__name__ for cls in found]


def _unfinished(cls: type) -> bool:
    """Whether a class is there for others to be made of: one that leaves a method to them, be it an ``ABC`` or not."""
    if issubclass(cls, Method) and cls.__module__.startswith("crossdomain.methods."):
        return cls.__name__ not in methods.__all__
    return any(getattr(getattr(cls, name, None), "__isabstractmethod__", False) for name in dir(cls))


def explain(message: str, given: Given, parser: ArgumentParser) -> str:
    """The essence of one of jsonargparse's messages, in three lines at most.

    Args:
        message: jsonargparse's.
        given: what the user gave.
        parser: whose options are those of the command.
    """
    for find in (_wrong_place, _no_such_option, _options_of_none, _no_such_class, _wrong_value, _missing):
        if (found := find(message, given, parser)) is not None:
            return found
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    return "\n".join(lines[:3])


def _top(parser: ArgumentParser, given: Given) -> list[str]:
    """Keys of the command's own options, or of the subcommand's that was given."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            parser = next((action.choices[word] for word in given.args if word in action.choices), parser)
    return [action.dest for action in parser._actions if not action.dest.endswith(("help", "print_config"))]


def _wrong_place(message: str, given: Given, parser: ArgumentParser) -> str | None:
    """A subcommand that is missing, misspelt or not the first word, and an option with one dash."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            commands = list(action.choices)
            if not given.args:
                return f"The subcommand is missing, one of: {', '.join(commands)}."
            if (first := given.args[0]) not in commands:
                if not first.startswith("-"):
                    return f"There is no subcommand {first!r}.\nNearest: {hub.near(first, commands)}."
                if found := next((word for word in given.args if word in commands), None):
                    return f"The subcommand {found} comes first, before {first}."
    if wrong := next((arg for arg in given.args if re.match(r"-[A-Za-z]\w+", arg)), None):
        return f"There is no option {wrong}.\nNearest: -{wrong}."
    return None


def _no_such_option(message: str, given: Given, parser: ArgumentParser) -> str | None:
    match = re.search(
        r"does not accept option '([\w.]+)'|Option '([\w.]+)' is not accepted|[Kk]ey '([\w.]+)' is not expected|"
        r"[Uu]nrecognized arguments?:? (\S+)",
        message,
    )
    if match is None:
        return None
    end = next(filter(None, match.groups())).lstrip("-").partition("=")[0].removesuffix(".class_path")
    found = given.keys(end)
    for key in found:
        if (refused := given.refused(key)) is not None:
            wrong, owner = refused
            where, _, last = wrong.rpartition(".")
            if last in FROM_DATA:
                return f"{wrong} is given by the data.\nLeave it out, or choose other data."
            options = [name for name in serialization.parameters(owner) if name not in FROM_DATA]
            if last.startswith(("init", "class")):  # a recipe's own words, misspelt
                options = ["init_args", "class_path"]
            near = hub.near(last, options, within=f"{where}.", otherwise=f"none, see --{where}.help {owner.__name__}")
            return f"There is no option {wrong}: {owner.__name__} does not take it.\nNearest: {near}."
    if end in hub.list_recipes() or end.endswith((".yaml", ".yml")):
        return f"{end!r} stands alone.\nTo take a recipe, give --config {end}."
    if match[4] and not match[4].startswith("-"):
        near = hub.near(end, _top(parser, given), within="--")
        return f"{end!r} stands alone, expected --OPTION VALUE.\nNearest: {near}."
    key = (found or [end])[0]
    top = key.partition(".")[0]
    if top in TOP and "." in key:
        if (taker := given.class_at(top)) is None:
            return f"{key} is given, but no class for {top}.\nName one first: --{top} CLASS, or class_path in a recipe."
        return f"{key} comes before the class that takes it, {taker.__name__}.\nGive --{top} {taker.__name__} first."
    choices = sorted({part for name in _top(parser, given) for part in (name, name.partition(".")[0])})
    return f"There is no option {key}.\nNearest: {hub.near(key, choices)}."


def _options_of_none(message: str, given: Given, parser: ArgumentParser) -> str | None:
    """An option of something that is no class, or whose class was not named."""
    match = re.search(r"NestedArg\(key='([\w.]+)', val='(.*?)'\)", message)
    if match is None:
        return None
    key = given.key(match[1], match[2])
    parent = key.rpartition(".")[0]
    base = _expected_at(parent, given)
    if base is None:
        return f"There is no option {key}: {parent} takes a value, which has no options.\nGive --{parent} VALUE."
    return (
        f"{key} is given, but no class for {parent}.\nName one first: --{parent} {' or '.join(names_below(base)[:8])}."
    )


def _no_such_class(message: str, given: Given, parser: ArgumentParser) -> str | None:
    match = re.search(
        r"Expected a dot import path string: (\S+)|Expected '(\S+)' to be a |given class_path '(\S+)':\n +"
        r"(?:No module named|module .* has no attribute)|Import path does not correspond",
        message,
    )
    if match is None or _plain_types(message):
        return None
    whole = re.search(r"Given value: (\S+)", message)
    name = next(filter(None, match.groups()), whole[1] if whole else "")
    key = given.key(_last_key(message), name)
    base = _expected_at(key, given)
    names = [] if base is None else names_below(base)
    few = ", ".join(names[:8]) + (" and others" if len(names) > 8 else "")
    near = hub.near(name.rpartition(".")[2], names, otherwise=few or "none, see --help")
    if (found := find_class(name)) is not None and base is not None and not issubclass(found, base):
        return f"{key} is {name}, which is no {base.__name__}.\nNearest: {near}."
    return f"{key}: there is no class {name!r}.\nNearest: {near}."


def _wrong_value(message: str, given: Given, parser: ArgumentParser) -> str | None:
    subtypes = re.search(r"Subtypes: \[(.*)\]\n", message)
    if subtypes and (value := re.search(r"Given value: (.*)", message)):
        expected = ", ".join(_plain_types(message)) or _readable(subtypes[1])
        return f"{given.key(_last_key(message), value[1])} is {value[1]!r}.\nExpected: {expected}."
    if match := re.search(r"Expected an? (.*)\. Got value: (.*)", message):
        return f"{given.key(_last_key(message), match[2])} is {match[2]!r}.\nExpected: {_readable(match[1])}."
    return None


def _missing(message: str, given: Given, parser: ArgumentParser) -> str | None:
    if match := re.search(r"argument (\S+): expected one argument", message):
        options = match[1].split("/")
        names = [option.lstrip("-") for option in options]
        bare = [key for key, value in given.values.items() if value is None and {key, key.partition(".")[0]} & {*names}]
        return f"--{bare[0]} has no value.\nExpected: --{bare[0]} VALUE." if bare else f"{match[1]} has no value."
    match = re.search(r"the following arguments are required: (.*)", message)
    if match is None:
        return None
    names = [name.rpartition(".")[2] for name in match[1].split(", ")]
    for key in given.values:
        if (owner := given.class_at(key)) is None:
            continue
        parameter = serialization.parameters(owner).get(names[0])
        if parameter is not None and parameter.default is parameter.empty and f"{key}.{names[0]}" not in given.values:
            return f"{key}.{names[0]} is missing, and {owner.__name__} needs it.\nGive --{key}.{names[0]} VALUE."
    missing = " and ".join(f"--{name}" for name in names)
    recipe = "a recipe by --config, or " if "config" in _top(parser, given) else ""
    return f"Required: {missing}.\nGive {recipe}{' '.join(f'--{name} CLASS' for name in names)}."


def _last_key(message: str) -> str:
    keys = re.findall(r'[Kk]ey "([\w.]+)"', message)
    return keys[-1] if keys else ""


def _plain_types(message: str) -> list[str]:
    """Types of values, rather than classes with options, that jsonargparse would have taken."""
    subtypes = re.search(r"Subtypes: \[(.*)\]\n", message)
    names = re.split(r", (?![^\[(]*[\])])", _readable(subtypes[1])) if subtypes else []
    return [name for name in names if name in PLAIN] if {*names} & {*PLAIN} - {"None"} else []


def _readable(types: str) -> str:
    """Types as people write them: ``int, None`` for ``<class 'int'>, <class 'NoneType'>``."""
    types = re.sub(r"<class '(?:[\w]+\.)*(\w+)'>", r"\1", types).replace("NoneType", "None")
    return re.sub(r"(?:typing\.)?Literal\[(.*?)\]", r"\1", types)
