"""What stood elsewhere in earlier versions, where checkpoints, recipes and imports of modules still find it."""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

MOVED = {
    # modules, whose public names stand there today
    "crossdomain.adaptation": "crossdomain.companions",
    "crossdomain.alignment": "crossdomain.losses.alignment",
    "crossdomain.attributes": "crossdomain.companions",
    "crossdomain.autoencoder": "crossdomain.companions",
    "crossdomain.companions.self_training": "crossdomain.self_training",
    "crossdomain.checkpoint_options": "crossdomain.commands.checkpoint_options",
    "crossdomain.comparison": "crossdomain.commands.compare",
    "crossdomain.divergences": "crossdomain.losses",
    "crossdomain.grid": "crossdomain.evaluation.grid",
    "crossdomain.help_pages": "crossdomain.commands.help_pages",
    "crossdomain.lightning_cli": "crossdomain.commands.lightning",
    "crossdomain.methods.semantic": "crossdomain.semantic",
    "crossdomain.messages": "crossdomain.commands.errors",
    "crossdomain.objectives": "crossdomain.losses",
    "crossdomain.option_checks": "crossdomain.commands.option_checks",
    "crossdomain.palette": "crossdomain.metrics.palette",
    "crossdomain.pipeline": "crossdomain.commands.adapt",
    "crossdomain.pool": "crossdomain.losses",
    "crossdomain.run_logs": "crossdomain.commands.run_logs",
    "crossdomain.segmentation": "crossdomain.companions",
    "crossdomain.translation": "crossdomain.commands.translate",
    # single names
    "crossdomain.methods.discogan.halved_cross_entropy": "crossdomain.losses.halved_cross_entropy",
    "crossdomain.methods.flowgan.wasserstein_with_penalty": "crossdomain.losses.wasserstein_with_penalty",
    "crossdomain.methods.pix2pix.halved_cross_entropy": "crossdomain.losses.halved_cross_entropy",
    "crossdomain.methods.pix2pix.patch_critic": "crossdomain.networks.batch_patch_critic",
    "crossdomain.methods.rift.affine_patch_critic": "crossdomain.networks.affine_patch_critic",
}
"""Paths that were written once, to those of today."""


def current(path: str) -> str:
    """Today's path of what was written as ``path`` by this version or an earlier one."""
    if path in MOVED:
        return MOVED[path]
    module, _, name = path.rpartition(".")
    return f"{MOVED[module]}.{name}" if module in MOVED else path


class _MovedModules(MetaPathFinder, Loader):
    """Imports today's module where a program asks for the one of an earlier version, and says so."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        return ModuleSpec(name, self) if name in MOVED else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        warnings.warn(f"{spec.name} is {MOVED[spec.name]} now; import from there.", FutureWarning, stacklevel=2)
        return ModuleType(spec.name, f"Moved to {MOVED[spec.name]}.")

    def exec_module(self, module: ModuleType) -> None:
        today = importlib.import_module(MOVED[module.__name__])
        vars(module).update({name: value for name, value in vars(today).items() if not name.startswith("__")})


def find_moved_modules() -> None:
    """Let imports by the paths of earlier versions go on."""
    if not any(isinstance(finder, _MovedModules) for finder in sys.meta_path):
        sys.meta_path.append(_MovedModules())
