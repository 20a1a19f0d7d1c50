"""crossdomain: a PyTorch Lightning model zoo for moving images between visual domains.

``crossdomain.load("alignflow-digits")`` loads a pretrained method, ``crossdomain.list_checkpoints()`` and
``crossdomain.list_methods()`` name what there is,
``crossdomain.init_from(method, "alignflow-digits")`` gives its weights to a new method. All are imported when they are
first used: listing needs no torch.
"""

from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from crossdomain.moved import find_moved_modules

if TYPE_CHECKING:
    from crossdomain.hub import init_from, list_checkpoints, list_methods, list_models, load

find_moved_modules()

try:
    __version__ = version("crossdomain")
except PackageNotFoundError:  # the sources are on the path, but were never installed
    __version__ = "0+unknown"

__all__ = ["__version__", "init_from", "list_checkpoints", "list_methods", "list_models", "load"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from crossdomain import hub

        return getattr(hub, name)
    raise AttributeError(f"module 'crossdomain' has no attribute {name!r}")
