"""Domain adaptation: a classifier that is tested on domain b, whatever it was trained on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from typing_extensions import Unpack

from crossdomain.augmentation import Augmentation
from crossdomain.capabilities import Translates
from crossdomain.checks import at_least
from crossdomain.companion import Companion
from crossdomain.domains import LETTERS, clamped, directions_between
from crossdomain.method import Batch, GameOptions, Method, NetworkFactory, Terms
from crossdomain.networks import ConvClassifier


class DomainClassifier(Method):
    """A classifier trained on labelled images, as the rows of a domain adaptation table need it.

    It minimises the cross-entropy E -log softmax(f(x))[y] where x is, by ``train_on``:

    - ``a``: images of domain a. Tested on b this is the row "source only".
    - ``a2b``: images of domain a, translated by a frozen method of the zoo: "adapted".
    - ``b``: images of domain b: "target only", the bound.
    - ``b2a``: images of domain b, translated: "adapted" in the other direction.

    Of data of more domains any other letter or direction may be named, of data of one domain ``a`` alone. Validation
    and test log ``accuracy_a`` and so on for each domain, on images as they are; ``test/accuracy_b`` is the row, or
    ``test/accuracy_a`` after ``b2a``.

    Args:
        channels_a: channels of domain a.
        channels_b: channels of domain b, the same number, as of all others that the data has.
        classes: number of classes.
        network: makes the classifier from the number of channels and of classes.
        train_on: ``a``, ``b``, ..., images of that domain as they are; ``a2b``, ``b2a``, ..., translated ones.
        translator: checkpoint of the method that translates, for a direction. Read when training starts; its
            weights are not part of this module.
        augmentation: makes what changes the training images at random, such as
            :class:`crossdomain.augmentation.RandomAffine`; None leaves them as they are.
        options: those of :class:`Game`.
    """

    generating_player = "classifier"
    any_domain = True

    def __init__(
        self,
        channels_a: int,
        channels_b: int | None = None,
        classes: int = 10,
        network: NetworkFactory = ConvClassifier,
        train_on: str = "a",
        translator: str | None = None,
        augmentation: Callable[[], Augmentation] | None = None,
        **options: Unpack[GameOptions],
    ) -> None:
        super().__init__(channels_a, channels_b, **options)
        at_least(1, self, classes=classes)
        self.save_hyperparameters()
        self.require_equal_channels("one classifier reads all")
        directions = directions_between(LETTERS)
        if train_on not in (*LETTERS, *directions):
            raise ValueError(
                f"train_on is {train_on!r}, expected a domain, such as 'a', or a direction, such as 'a2b'."
            )
        if (train_on in directions) != (translator is not None):
            raise ValueError(
                f"train_on is {train_on!r} and translator is {translator!r}; a translator goes with 'a2b' and 'b2a'.\n"
                "Give model.translator the checkpoint of a method, or train on 'a' or 'b'."
            )
        self.network = network(channels_a, classes)
        self.players = {"classifier": ("network",)}
        self.train_on = train_on
        self.augmentation = None if augmentation is None else augmentation()
        self._translator = None if translator is None else Companion(translator, "translator", Translates)

    def setup(self, stage: str) -> None:
        """Check the data; before training, load the translator."""
        super().setup(stage)
        if stage == "fit" and self._translator is not None:
            translator = self._translator.on(self.device)
            if self.train_on not in translator.directions:
                raise ValueError(f"The translator {self._translator.path!r} has no direction {self.train_on!r}.")

    def generate(self, batch: Batch) -> dict[str, Any]:
        """Logits and labels of the images that are trained on."""
        domain = self.train_on[0]  # of a direction, where it starts
        if f"label_{domain}" not in batch:
            raise ValueError(f"The training batch has no labels of domain {domain}; use a datamodule with labels.")
        images = batch[domain]
        if self._translator is not None:
            images = clamped(self._translator.on(self.device).translate(images, self.train_on))
        if self.augmentation is not None:
            images = self.augmentation(images)
        return {"logits": self.network(images), "labels": batch[f"label_{domain}"]}

    def classifier_loss(self, batch: Batch, out: dict[str, Any]) -> Terms:
        """Cross-entropy."""
        return {"cross_entropy": F.cross_entropy(out["logits"].float(), out["labels"])}

    @torch.no_grad()
    def classify(self, images: Tensor, domain: str = "a") -> Tensor:
        """Logits (N, classes) of images (N, C, H, W) in [-1, 1], or vectors (N, D), of any domain."""
        self.check_images(images, domain)
        with self.misfits_named(images):
            return self.network(images)

    @torch.no_grad()
    def features(self, images: Tensor, domain: str = "a") -> Tensor:
        """Features (N, D) of images (N, C, H, W) in [-1, 1] of any domain: what the network's last layer reads.

        Raises:
            ValueError: the network is one that does not tell.
        """
        self.check_images(images, domain)
        network: Any = self.network
        if not hasattr(network, "features"):
            raise ValueError(
                f"The classifier's network, a {type(network).__name__}, has no method features(images) -> (N, D)."
                "\nUse a classifier whose network is ConvClassifier or TimmClassifier."
            )
        with self.misfits_named(images):
            return network.features(images)
