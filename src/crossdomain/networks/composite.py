"""Networks that are hardly ever called themselves."""

from __future__ import annotations

from typing import Any

from torch import nn


class Composite(nn.Module):
    """A network whose methods, such as ``encode`` and ``decode``, call parts of it."""

    def compile(self, *args: Any, **options: Any) -> None:
        """Compile each part in place, since torch compiles no more than a module's ``forward``.

        Args:
            args: those of :func:`torch.compile`.
            options: likewise.
        """
        for part in self.children():
            lists = isinstance(part, (nn.ModuleList, nn.ModuleDict))
            for called in part.children() if lists else [part]:
                called.compile(*args, **options)
