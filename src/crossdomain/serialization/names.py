"""Names of classes and functions in checkpoints and recipes: promises, whatever file a thing stands in."""

from __future__ import annotations

import importlib
import sys
from typing import Any

from crossdomain.moved import current

# Classes below these packages may be imported on a checkpoint's word; any other must have been imported already.
_TRUSTED = ("crossdomain", "torch.optim", "torch.nn")


def class_path(thing: Any) -> str:
    """The public path of a class or function: the outermost package that exports it in ``__all__``, else its module.

    Raises:
        ValueError: it cannot be imported by any path (it was made within a function).
    """
    path = f"{thing.__module__}.{thing.__qualname__}"
    if "<" in path:
        raise ValueError(f"{path} has no import path.")
    name = thing.__name__
    parts = thing.__module__.split(".")
    for count in range(1, len(parts)):
        package = ".".join(parts[:count])
        module = sys.modules.get(package)
        if name in getattr(module, "__all__", ()) and getattr(module, name, None) is thing:
            return f"{package}.{name}"
    return path


def resolve(path: str) -> Any:
    """The class or function at ``path``: imported if its package is trusted, else found among what was imported.

    Raises:
        ValueError: there is no such thing, or it would have to be imported on a checkpoint's word.
    """
    module, _, name = current(path).rpartition(".")
    # A path by a file of the zoo, as version 0.1 wrote them, is one by its package: files may move within it.
    places = [
        module,
        *([module.rpartition(".")[0]] if module.count(".") > 1 and module.startswith("crossdomain.") else []),
    ]
    for place in places:
        try:
            trusted = any(place == root or place.startswith(root + ".") for root in _TRUSTED)
            return getattr(importlib.import_module(place) if trusted else sys.modules[place], name)
        except (ImportError, KeyError, AttributeError):
            continue
    raise ValueError(
        f"The checkpoint needs {path!r}, which is not part of this crossdomain and was not imported.\n"
        "If you trust it, import its module first and load again."
    )
