"""A method that helps another one: judge, predictor, segmenter, classifier, translator."""

from __future__ import annotations

import os
from itertools import chain
from typing import Any

import torch

from crossdomain import serialization


class Companion:
    """The method of a checkpoint, frozen, in evaluation mode: read when it is first asked for.

    It is no module, so what holds it has neither its weights in its state nor its parameters among its own.

    Args:
        path: the checkpoint.
        option: whose value that is, for messages.
        capability: what it has to be able to do, one of :mod:`crossdomain.capabilities`.
    """

    def __init__(self, path: str | os.PathLike[str], option: str, capability: type) -> None:
        self.path = path
        self.option = option
        self.capability = capability
        self._method: Any = None

    def on(self, device: torch.device | str = "cpu") -> Any:
        """The method, on ``device``.

        Raises:
            FileNotFoundError: there is no such checkpoint.
            ValueError: it cannot be read, or its method cannot do what it is for.
        """
        if self._method is None:
            found = serialization.load(self.path)
            if not isinstance(found, self.capability):
                asked = next(name for name, what in vars(self.capability).items() if name[0] != "_" and callable(what))
                raise ValueError(
                    f"{self.option} is {str(self.path)!r}, a {type(found).__name__}, which cannot {asked}."
                )
            self._method = found.requires_grad_(False)
        # Module.to looks at every parameter, in every round; whoever moves the method moves the first tensor, too.
        held = next(chain(self._method.parameters(), self._method.buffers()), None)
        if held is not None and held.device != torch.device(device):
            self._method.to(device)
        return self._method
