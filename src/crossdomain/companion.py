"""A method that helps another one: judge, predictor, segmenter, classifier, translator."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn

from crossdomain import serialization
from crossdomain.capabilities import Translates
from crossdomain.domains import clamped


class Helper(ABC):
    """What a method trains with, and is to be looked at before: it may need the checkpoint of another one."""

    @abstractmethod
    def check(self, device: torch.device | str = "cpu") -> None:
        """Load it.

        Args:
            device: where it will be asked for.

        Raises:
            FileNotFoundError: there is no such checkpoint.
            ValueError: what it holds is of no use here.
        """


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
                parts = (name for part in reversed(self.capability.__mro__[:-1])
                         for name in (*vars(part), *vars(part).get("__annotations__", ())))  # fmt: skip
                asked = next(name for name in parts if name[0] != "_" and not hasattr(found, name))
                raise ValueError(
                    f"{self.option} is {str(self.path)!r}, a {type(found).__name__}, which cannot {asked}."
                )
            self._method = found.requires_grad_(False)
            if found.channels_last:  # as it was trained
                found.to(memory_format=torch.channels_last)
        # Module.to looks at every parameter, in every round; whoever moves the method moves the first tensor, too.
        held = next(chain(self._method.parameters(), self._method.buffers()), None)
        if held is not None and held.device != torch.device(device):
            self._method.to(device)
        return self._method

    def hand_over(self, network: nn.Module) -> None:
        """Give ``network`` the weights of the one that this classifier answers with; then forget it.

        Raises:
            FileNotFoundError: there is no such checkpoint.
            ValueError: it cannot be read, or its network is another one.
        """
        found = self.on()
        theirs, mine = found.answering.state_dict(), network.state_dict()
        shapes = [{key: tuple(value.shape) for key, value in weights.items()} for weights in (mine, theirs)]
        if shapes[0] != shapes[1]:
            differing = next(key for key in {**mine, **theirs} if shapes[0].get(key) != shapes[1].get(key))
            here, there = (str(known.get(differing, "absent")) for known in shapes)
            raise ValueError(
                f"{self.option} is {str(self.path)!r}, whose {type(found).__name__} does not fit the "
                f"{type(network).__name__} here:\n{differing} is {there} there, {here} here.\n"
                "Give model.network, channels and classes as the checkpoint has them, or another checkpoint."
            )
        network.load_state_dict(theirs)
        self._method = None


class Translator(Companion, Helper):
    """A frozen method that translates what another one is trained on.

    Args:
        path: its checkpoint, the value of the option ``translator``.
        direction: the way it is to translate, such as ``a2b``.
    """

    def __init__(self, path: str | os.PathLike[str], direction: str) -> None:
        super().__init__(path, "translator", Translates)
        self.direction = direction

    def check(self, device: torch.device | str = "cpu") -> None:
        """Load it, before training.

        Raises:
            FileNotFoundError: there is no such checkpoint.
            ValueError: its method does not translate, or not in this direction, or not without a guide.
        """
        found = self.on(device)
        if self.direction not in found.directions:
            raise ValueError(f"The translator {self.path!r} has no direction {self.direction!r}.")
        if found.guide == "required":
            raise ValueError(
                f"translator is {str(self.path)!r}, a {type(found).__name__}, which needs a guide for each image.\n"
                "Give the checkpoint of a method that translates without one."
            )

    def __call__(self, images: Tensor) -> Tensor:
        """Images (N, C, H, W) of one domain as those of the other, in [-1, 1]; vectors unbounded."""
        return clamped(self.on(images.device).translate(images, self.direction))
