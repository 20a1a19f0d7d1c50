"""Arguments as plain values: what a checkpoint can hold of how a method was made."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from crossdomain.serialization.names import class_path, resolve

_PRIMITIVES = (type(None), bool, int, float, str)


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
        plain["init_args"] = complete_arguments(resolve(path), plain.get("init_args") or {})
    elif path.startswith("torch.") and plain.get("init_args"):
        defaults = _defaults(resolve(path))
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
        parameters = inspect.signature(vars(base)["__init__"]).parameters
        found = {**parameters, **found}
        if not any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
            break
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return {name: p for name, p in found.items() if p.kind in named and name != "self"}


def _defaults(cls: type) -> dict[str, Any]:
    """Defaults of the arguments of ``cls``, as plain values."""
    with_default = {name: p.default for name, p in parameters(cls).items() if p.default is not p.empty}
    return {name: complete(to_plain(default, name)) for name, default in with_default.items()}
