"""The zoo's probes: each file here holds those of one family of metrics, and is found by being here."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from crossdomain.evaluation.probe import Probe


def all_probes() -> list[type[Probe]]:
    """The classes, in the order of their files."""
    modules = [import_module(f"{__name__}.{found.name}") for found in iter_modules(__path__)]
    classes = [(module, what) for module in modules for what in vars(module).values() if inspect.isclass(what)]
    return [what for module, what in classes if issubclass(what, Probe) and what.__module__ == module.__name__]


def make_probes(options: Mapping[str, Any]) -> list[Probe]:
    """One of each; it gets those of the ``options`` that its ``__init__`` names."""
    return [cls(**{k: options[k] for k in inspect.signature(cls).parameters if k in options}) for cls in all_probes()]
