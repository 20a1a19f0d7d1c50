"""What a checkpoint holds, how it is written, read and rebuilt.

A checkpoint is Lightning's, readable with ``weights_only=True``. Two of its entries are ours:

- ``hyper_parameters``: every argument of the method's ``__init__`` as plain values, classes as
  ``{class_path, init_args}``, and the method's own class as ``_class_path``. From these, and nothing else, the method
  is made again.
- ``crossdomain``: ``format``, ``version``, ``method``, the data's ``domains``, ``channels``, ``image_size``,
  ``resize_filter``, ``levels``, ``palette``, ``attributes`` and ``roles``, the counters ``rounds`` and ``images_seen``,
  and for each process the random states and image pools.
"""

from __future__ import annotations

import importlib
import inspect
import os
import random
import re
import sys
import warnings
import zipfile
from argparse import ArgumentError
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, get_type_hints

import numpy as np
import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.cli import instantiate_module

from crossdomain.checks import reason

FORMAT = 1
INSTANTIATOR = "lightning.pytorch.cli.instantiate_module"
_PRIMITIVES = (type(None), bool, int, float, str)
# Classes below these packages may be imported on a checkpoint's word; any other must have been imported already.
_TRUSTED = ("crossdomain", "torch.optim", "torch.nn")


# --- hyperparameters -------------------------------------------------------------------------------------------


def class_path(thing: Any) -> str:
    """The import path of a class or function; ValueError when it cannot be imported by that path."""
    path = f"{thing.__module__}.{thing.__qualname__}"
    if "<" in path:
        raise ValueError(f"{path} has no import path.")
    return path


def to_plain(value: Any, name: str = "value") -> Any:
    """Turn an argument into plain values that :func:`rebuild` can turn back.

    Numbers, strings, None, and lists, tuples and dicts of them stay; a class becomes ``{class_path}``, a
    ``functools.partial`` of a class with keyword arguments ``{class_path, init_args}``, a function its import path.

    Raises:
        ValueError: for anything else (a lambda, a network that was made already), naming the argument.
    """
    if isinstance(value, _PRIMITIVES):
        return value
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, (list, tuple)):
        return [to_plain(item, f"{name}[{i}]") for i, item in enumerate(value)]
    if isinstance(value, Mapping):
        return {str(key): to_plain(item, f"{name}.{key}") for key, item in value.items()}
    try:
        if isinstance(value, type):
            return {"class_path": class_path(value)}
        if isinstance(value, partial) and (cls := _made_by(value)) is not None:
            return {"class_path": class_path(cls), "init_args": to_plain(value.keywords, name)}
        if inspect.isfunction(value):
            return class_path(value)
    except ValueError:
        pass
    raise ValueError(
        f"{name} is {value!r}, which a checkpoint cannot store.\n"
        "Give a class, a functools.partial of a class with keyword arguments, or a function of an importable module."
    )


def _made_by(factory: partial) -> type | None:
    """The class that a partial makes, when all its arguments are keywords."""
    if isinstance(factory.func, type):
        return None if factory.args else factory.func
    # jsonargparse's factories are partials of its own function, with the class as the last positional argument.
    if factory.func.__module__.startswith("jsonargparse.") and isinstance(factory.args[-1], type):
        return factory.args[-1]
    return None


def complete(plain: Any) -> Any:
    """Write out the defaults of the zoo's classes, and leave out those of torch's.

    The zoo's defaults may change and a checkpoint may not, so it holds them all. Torch's arguments differ between
    its versions and a checkpoint has to load in older ones also, so it holds what differs from the defaults.
    """
    if isinstance(plain, list):
        return [complete(item) for item in plain]
    if not isinstance(plain, dict):
        return plain
    plain = {key: complete(value) for key, value in plain.items()}
    path = plain.get("class_path", "")
    if path.startswith("crossdomain."):
        plain["init_args"] = complete_arguments(_resolve(path), plain.get("init_args") or {})
    elif path.startswith("torch.") and plain.get("init_args"):
        defaults = _defaults(_resolve(path))
        given = plain["init_args"].items()
        plain["init_args"] = {key: value for key, value in given if key not in defaults or defaults[key] != value}
    return plain


def complete_arguments(cls: type, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """``arguments`` (plain values) of ``cls`` and the defaults of all others."""
    return {**_defaults(cls), **{key: complete(value) for key, value in arguments.items()}}


def parameters(cls: type) -> dict[str, inspect.Parameter]:
    """The named arguments of ``cls``, those of its bases also where it hands them on by ``**``."""
    found: dict[str, inspect.Parameter] = {}
    for base in cls.__mro__:
        if "__init__" not in vars(base):
            continue
        parameters = inspect.signature(base.__init__).parameters
        found = {**parameters, **found}
        if not any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
            break
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return {name: p for name, p in found.items() if p.kind in named and name != "self"}


def _defaults(cls: type) -> dict[str, Any]:
    """Defaults of the arguments of ``cls``, as plain values."""
    with_default = {name: p.default for name, p in parameters(cls).items() if p.default is not p.empty}
    return {name: complete(to_plain(default, name)) for name, default in with_default.items()}


# --- reading and rebuilding ------------------------------------------------------------------------------------


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


def _resolve(path: str) -> Any:
    """Import ``path`` if its package is trusted, or find it among what was imported already."""
    module_name, _, name = path.rpartition(".")
    trusted = any(module_name == package or module_name.startswith(package + ".") for package in _TRUSTED)
    try:
        module = importlib.import_module(module_name) if trusted else sys.modules[module_name]
        return getattr(module, name)
    except (ImportError, KeyError, AttributeError):
        raise ValueError(
            f"The checkpoint needs {path!r}, which is not part of this crossdomain and was not imported.\n"
            "If you trust it, import its module first and load again."
        ) from None


def _checked(plain: Any, written_by: str) -> Any:
    """Refuse class paths that name anything but classes; add the arguments that a class got after it was written.

    A class says by ``added_arguments`` which those are, and the values that do what it did without them.
    """
    if isinstance(plain, list):
        return [_checked(item, written_by) for item in plain]
    if not isinstance(plain, dict):
        return plain
    checked = {key: _checked(item, written_by) for key, item in plain.items()}
    if "class_path" in plain:
        cls = _resolve(plain["class_path"])
        if not isinstance(cls, type):
            raise ValueError(f"The checkpoint names {plain['class_path']!r} as a class, but it is none.")
        added = getattr(cls, "added_arguments", {})
        if given := {**added, **checked.get("init_args", {})}:
            checked["init_args"] = given
        _check_arguments(cls, given, written_by)
    return checked


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
    checked = _checked(found, written_by)
    cls = _resolve(checked["_class_path"])
    if not (isinstance(cls, type) and issubclass(cls, LightningModule)):
        raise ValueError(f"The checkpoint's class {checked['_class_path']!r} is no LightningModule.")
    _check_arguments(cls, checked.keys() - {"_class_path"}, written_by)
    return checked


def rebuild(checkpoint: Mapping[str, Any]) -> LightningModule:
    """Make the module that wrote ``checkpoint`` and load its weights; it is returned in evaluation mode.

    Args:
        checkpoint: as :func:`read` returns it.

    Raises:
        ValueError: a class is unknown or not trusted, or the weights do not fit.
    """
    hyperparameters = arguments(checkpoint)
    cls = _resolve(hyperparameters["_class_path"])
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
    function = _resolve(path)
    returned = get_type_hints(function).get("return") if inspect.isfunction(function) else None
    if not isinstance(returned, type):
        raise ValueError(f"The checkpoint's {name} is {path!r}, which is no function with an annotated result.")


def companion(path: str, option: str, offers: str) -> LightningModule:
    """The method of a checkpoint that helps another one: frozen, in evaluation mode.

    Args:
        path: the checkpoint.
        option: whose value it is, for the error message.
        offers: what it must be able to do, such as ``classify``.

    Raises:
        FileNotFoundError: there is no such checkpoint.
        ValueError: it cannot be read, or not do that.
    """
    found = load(path)
    if not hasattr(found, offers):
        raise ValueError(f"{option} is {path!r}, a {type(found).__name__}, which cannot {offers}.")
    return found.requires_grad_(False)


# --- starting from other weights -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Transfer:
    """What :func:`transfer` took from a checkpoint and what not, by the names of weights; ``str`` tells it briefly.

    Attributes:
        loaded: weights that the method has from the checkpoint now.
        missing: weights of the method that the checkpoint lacks; they stay as they were.
        unexpected: weights of the checkpoint that the method lacks; they are left out.
        reshaped: weights of both whose shapes differ, the method's and the checkpoint's; they stay as they were.
    """

    loaded: tuple[str, ...]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    reshaped: dict[str, tuple[torch.Size, torch.Size]]

    def __str__(self) -> str:
        total = len(self.loaded) + len(self.missing) + len(self.reshaped)
        shapes = [f"{name} {tuple(mine)}, there {tuple(theirs)}" for name, (mine, theirs) in self.reshaped.items()]
        rest = {
            "not in the checkpoint, so as they were": self.missing,
            "not in the method, so left out": self.unexpected,
            "of another shape, so as they were": shapes,
        }
        lines = [f"{len(self.loaded)} of {total} weights loaded"]
        lines += [f"{len(names)} {what}: {_first(names)}" for what, names in rest.items() if names]
        return "\n  ".join(lines)


def _first(names: Sequence[str], count: int = 3) -> str:
    return ", ".join([*names[:count], *(["..."] if len(names) > count else [])])


def transfer(checkpoint: Mapping[str, Any], method: Any) -> Transfer:
    """Load the weights of ``checkpoint`` into a method that was made otherwise, where names and shapes agree.

    Weights alone are taken: neither hyperparameters nor counters nor optimizers. What was loaded is entered in
    ``method.pretrained``, which ``prepare`` leaves as it is.

    Args:
        checkpoint: as :func:`read` returns it, of this method or another one.
        method: a :class:`crossdomain.method.Method`.

    Raises:
        ValueError: none of the method's parameters is in the checkpoint.
    """
    mine, theirs = method.state_dict(), checkpoint["state_dict"]
    common = [name for name in mine if name in theirs]
    fitting = {name: theirs[name] for name in common if mine[name].shape == theirs[name].shape}
    if not fitting.keys() & dict(method.named_parameters()).keys():
        entry = checkpoint["crossdomain"]
        raise ValueError(
            f"No weights fit: the checkpoint holds a {entry['method']} for {entry['channels']} channels,\n"
            f"this is a {type(method).__name__} for {list(method.channels.values())}.\n"
            "Start from a checkpoint whose networks are the same, or set the options of the networks to its own."
        )
    method.load_state_dict(fitting, strict=False)
    method.pretrained = frozenset(fitting)
    return Transfer(
        loaded=tuple(fitting),
        missing=tuple(name for name in mine if name not in theirs),
        unexpected=tuple(name for name in theirs if name not in mine),
        reshaped={name: (mine[name].shape, theirs[name].shape) for name in common if name not in fitting},
    )


# --- writing ---------------------------------------------------------------------------------------------------


def header(method: Any) -> dict[str, Any]:
    """The ``crossdomain`` entry of a checkpoint of ``method``, a :class:`crossdomain.method.Method`."""
    return {
        "format": FORMAT,
        "version": version("crossdomain"),
        "method": type(method).__name__,
        **method.data_spec,
        "rounds": method.rounds,
        "images_seen": method.images_seen,
    }


def write(method: Any, path: str | os.PathLike) -> None:
    """Write a method as it is, without a training around it: weights and what rebuilds it. Atomic.

    Args:
        method: a :class:`crossdomain.method.Method`.
        path: the file.
    """
    checkpoint = {
        "state_dict": method.state_dict(),
        "hyper_parameters": dict(method.hparams),
        "pytorch-lightning_version": version("lightning"),
        "crossdomain": header(method),
    }
    export(checkpoint, path)


def export(checkpoint: Mapping[str, Any], path: str | os.PathLike) -> None:
    """Write what loading needs and nothing that only resuming needs: hyperparameters, weights, header.

    Optimizers, loops, callbacks, random states and pools stay behind. The file is written atomically.
    """
    kept = {key: checkpoint[key] for key in ("state_dict", "hyper_parameters", "pytorch-lightning_version")}
    kept["crossdomain"] = {k: v for k, v in checkpoint["crossdomain"].items() if k != "processes"}
    write_plain(kept, path)


def write_plain(content: Any, path: str | os.PathLike) -> None:
    """Write plain values and tensors, for :func:`read_plain`. Atomic, and makes the folder."""
    if Path(path).is_dir():
        raise IsADirectoryError(f"{str(path)!r} is a folder, expected a file to write.")
    temporary = Path(f"{path}.part")
    temporary.parent.mkdir(parents=True, exist_ok=True)
    torch.save(content, temporary)
    temporary.replace(path)


# --- random states ---------------------------------------------------------------------------------------------


def random_state() -> dict[str, Any]:
    """The states of Python's, NumPy's and PyTorch's global generators in this process, as plain values."""
    release, words, gauss = random.getstate()
    name, keys, position, has_gauss, cached = np.random.get_state()
    return {
        "python": [release, list(words), gauss],
        "numpy": [name, keys.tolist(), int(position), int(has_gauss), float(cached)],
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state() if torch.cuda.is_available() else None,
    }


def set_random_state(state: Mapping[str, Any]) -> None:
    """Set the generators to what :func:`random_state` returned."""
    release, words, gauss = state["python"]
    random.setstate((release, tuple(words), gauss))
    name, keys, position, has_gauss, cached = state["numpy"]
    np.random.set_state((name, np.asarray(keys, dtype=np.uint32), position, has_gauss, cached))
    torch.set_rng_state(state["torch"])
    if state["cuda"] is not None and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"])
