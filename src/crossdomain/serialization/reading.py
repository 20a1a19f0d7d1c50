"""Reading checkpoints, and making methods again from what they hold."""

from __future__ import annotations

import inspect
import os
import re
import warnings
import zipfile
from argparse import ArgumentError
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, get_type_hints

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.cli import instantiate_module

from crossdomain.checks import reason
from crossdomain.moved import current
from crossdomain.serialization.names import resolve
from crossdomain.serialization.plain import parameters
from crossdomain.serialization.writing import FORMAT


def read_plain(path: str | os.PathLike) -> Any:
    """Read a file that torch wrote onto the CPU, without running any code that it may contain.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is damaged, or holds more than plain values and tensors.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"There is no checkpoint {str(path)!r}.")
    try:
        if zipfile.is_zipfile(path):  # of its checksums torch looks at none
            with zipfile.ZipFile(path) as archive:
                if archive.testzip() is not None:
                    raise zipfile.BadZipFile
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of files that are refused anyway
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # damaged files make torch raise almost anything
        raise ValueError(
            f"{str(path)!r} cannot be read as a checkpoint: it is damaged, or holds more than plain values and weights."
        ) from error


def read(path: str | os.PathLike) -> dict[str, Any]:
    """Read a checkpoint of the zoo onto the CPU, without running any code that it may contain.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is damaged, or not a checkpoint of the zoo.
    """
    checkpoint = read_plain(path)
    if not isinstance(checkpoint, dict) or "crossdomain" not in checkpoint:
        raise ValueError(f"{str(path)!r} is not a checkpoint of crossdomain (it has no entry 'crossdomain').")
    written = checkpoint["crossdomain"].get("format") if isinstance(checkpoint["crossdomain"], dict) else None
    if isinstance(written, int) and written > FORMAT:
        raise ValueError(
            f"{str(path)!r} has format {written}, this crossdomain reads up to {FORMAT}.\n"
            "Update crossdomain to load it."
        )
    whole = all(isinstance(checkpoint.get(part), dict) for part in ("state_dict", "hyper_parameters"))
    if not (whole and isinstance(written, int) and "_class_path" in checkpoint["hyper_parameters"]):
        raise ValueError(
            f"{str(path)!r} is no whole checkpoint of crossdomain: parts of it are missing or of another kind.\n"
            "Take a file that crossdomain wrote, as it was written."
        )
    return checkpoint


def _of_today(plain: Any, written_by: str) -> Any:
    """Names of classes and functions as they are today, and the arguments that today's classes take.

    Raises:
        ValueError: a class path names anything but a class, or a class of the zoo has no such argument.
    """
    if isinstance(plain, str):
        return current(plain)
    if isinstance(plain, list):
        return [_of_today(item, written_by) for item in plain]
    if not isinstance(plain, dict):
        return plain
    found = {key: _of_today(item, written_by) for key, item in plain.items()}
    if "class_path" in plain:
        cls = resolve(plain["class_path"])
        if not isinstance(cls, type):
            raise ValueError(f"The checkpoint names {plain['class_path']!r} as a class, but it is none.")
        if given := _upgraded(cls, found.get("init_args", {}), written_by):
            found["init_args"] = given
    return found


def _upgraded(cls: type, given: dict[str, Any], written_by: str) -> dict[str, Any]:
    """Arguments of ``cls``, written by an earlier version, as today's class takes them.

    A class says by ``added_arguments`` which it got since, with the values that do what it did without them; and by the
    class method ``upgrade(arguments)`` what became of others.
    """
    given = {**getattr(cls, "added_arguments", {}), **given}
    if upgrade := getattr(cls, "upgrade", None):
        given = upgrade(given)
    _check_arguments(cls, given, written_by)
    return given


def _check_arguments(cls: type, given: Iterable[str], written_by: str) -> None:
    """Refuse arguments that a class of the zoo does not have. Of other classes a signature may not tell all."""
    unknown = sorted(set(given) - set(parameters(cls)))
    if unknown and cls.__module__.startswith("crossdomain."):
        raise ValueError(
            f"The checkpoint gives {cls.__name__} an argument that it does not have: {unknown[0]}.\n"
            f"It was written by crossdomain {written_by}; load it with that version."
        )


def arguments(checkpoint: Mapping[str, Any]) -> dict[str, Any]:
    """What the module that wrote ``checkpoint`` was made with, as plain values; its class is ``_class_path``.

    Arguments that a class got since then have the values that do what was done without them.

    Raises:
        ValueError: a class is unknown or not trusted, or has no such argument; ``_class_path`` is no LightningModule.
    """
    found = {key: value for key, value in checkpoint["hyper_parameters"].items() if key != "_instantiator"}
    written_by = checkpoint["crossdomain"]["version"]
    plain = _of_today(found, written_by)
    path = plain.pop("_class_path")
    cls = resolve(path)
    if not (isinstance(cls, type) and issubclass(cls, LightningModule)):
        raise ValueError(f"The checkpoint's class {path!r} is no LightningModule.")
    return {**_upgraded(cls, plain, written_by), "_class_path": path}


def rebuild(checkpoint: Mapping[str, Any]) -> LightningModule:
    """Make the module that wrote ``checkpoint`` and load its weights; it is returned in evaluation mode.

    Args:
        checkpoint: as :func:`read` returns it.

    Raises:
        ValueError: a class is unknown or not trusted, or the weights do not fit.
    """
    hyperparameters = arguments(checkpoint)
    cls = resolve(hyperparameters["_class_path"])
    hints = get_type_hints(cls.__init__)
    for name, value in hyperparameters.items():
        # A function is stored by its path alone; it must say that it returns what the argument asks for.
        if isinstance(value, str) and "." in value and "Callable" in str(hints.get(name)):
            _check_function(name, value)
    try:
        module = instantiate_module(cls, hyperparameters)
    except ArgumentError as error:
        keys = re.findall(r'[Kk]ey "(\w+)"', str(error))
        what = keys[-1] if keys else "arguments"
        raise ValueError(f"The checkpoint's {what} is nothing that {cls.__name__} takes.") from error
    module.on_load_checkpoint(dict(checkpoint))
    try:
        module.load_state_dict(checkpoint["state_dict"])
    except RuntimeError as error:
        first = str(error).splitlines()[1].strip() if "\n" in str(error) else str(error)
        raise ValueError(f"The checkpoint's weights do not fit {cls.__name__}: {first}") from None
    return module.eval()


def load(path: str | os.PathLike) -> LightningModule:
    """:func:`read` and :func:`rebuild`; errors name the file."""
    checkpoint = read(path)
    try:
        return rebuild(checkpoint)
    except ValueError as error:
        raise ValueError(f"The checkpoint {str(path)!r} cannot be loaded.\n{reason(error)}") from error


def _check_function(name: str, path: str) -> None:
    function = resolve(path)
    returned = get_type_hints(function).get("return") if inspect.isfunction(function) else None
    if not isinstance(returned, type):
        raise ValueError(f"The checkpoint's {name} is {path!r}, which is no function with an annotated result.")
