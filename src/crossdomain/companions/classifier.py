"""Domain adaptation: a classifier that is tested on domain b, whatever it was trained on."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from typing_extensions import Unpack

from crossdomain.augmentation import Augmentation
from crossdomain.capabilities import TeachesClasses
from crossdomain.checks import at_least
from crossdomain.companion import Companion, Translator
from crossdomain.domains import LETTERS, directions_between, domains_in, labels_of
from crossdomain.method import Batch, GameOptions, Method, NetworkFactory, Terms
from crossdomain.misfits import features_of
from crossdomain.networks import ConvClassifier
from crossdomain.self_training import SelfTraining


class DomainClassifier(Method):
    """A classifier trained on labelled images, as the rows of a domain adaptation table need it.

    It minimises the cross-entropy E -log softmax(f(x))[y] where x is, by ``train_on``:

    - ``a``: images of domain a. Tested on b this is the row "source only".
    - ``a2b``: images of domain a, translated by a frozen method of the zoo: "adapted".
    - ``b``: images of domain b: "target only", the bound.
    - ``b2a``: images of domain b, translated: "adapted" in the other direction.

    With ``self_training`` it learns from another domain too, without labels (:class:`SelfTraining`): "self-trained".
    What it then answers with is the moving average of the network that is trained, its teacher.

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
        start_from: checkpoint of a classifier whose weights the network, made as there, starts with; read before the
            first round. None starts from scratch.
        self_training: makes what learns from images without labels; it needs an augmentation. None leaves it out.
        options: those of :class:`Game`.

    Attributes:
        network: the classifier that is trained.
        teacher: its moving average, where there is self-training.
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
        start_from: str | None = None,
        self_training: Callable[[], SelfTraining] | None = None,
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
        self.self_training = None if self_training is None else self_training()
        if self.self_training is not None:
            if self.augmentation is None:
                raise ValueError(
                    "self_training compares views of an image, but there is nothing to make them.\n"
                    "Give model.augmentation, such as RandomAffine."
                )
            if self.self_training.domain == self.train_on[0]:
                raise ValueError(
                    f"self_training.domain is {self.train_on[0]!r}, the domain whose labels are trained on.\n"
                    "Give the letter of another one."
                )
            self.teacher = deepcopy(self.network).requires_grad_(False).eval()
        self._translator = None if translator is None else Translator(translator, train_on)
        self._start = None if start_from is None else Companion(start_from, "start_from", TeachesClasses)

    @property
    def answering(self) -> nn.Module:
        """The network that :meth:`classify` asks: the teacher where there is one."""
        return self.network if self.self_training is None else self.teacher

    def train(self, mode: bool = True) -> DomainClassifier:
        """As PyTorch does it; a teacher stays in evaluation mode."""
        super().train(mode)
        if self.self_training is not None:
            self.teacher.eval()
        return self

    def prepare(self, loader: Iterable[Batch]) -> None:
        """Start where another classifier ended; let the teacher be the network."""
        if self._start is not None:
            self._start.hand_over(self.network)
        if self.self_training is not None:
            self.teacher.load_state_dict(self.network.state_dict())

    def generate(self, batch: Batch) -> dict[str, Any]:
        """Logits and labels of the images that are trained on, and what the teacher thinks of those without labels."""
        domain = self.train_on[0]  # of a direction, where it starts
        labels = labels_of(batch, domain)
        images = batch[domain]
        if self._translator is not None:
            images = self._translator(images)
        if self.augmentation is not None:
            images = self.augmentation(images)
        if self.self_training is None:
            return {"logits": self.network(images), "labels": labels}
        assert self.augmentation is not None
        if self.self_training.domain not in batch:
            raise ValueError(
                f"self_training.domain is {self.self_training.domain!r}, but the training batch has the domains "
                f"{', '.join(domains_in(batch))}.\nGive one of these, other than the labelled one."
            )
        unlabelled = batch[self.self_training.domain]
        classes, sure = self.self_training.opinions(self.teacher, unlabelled, self.augmentation)
        logits = self.network(torch.cat([images, self.augmentation(unlabelled)]))
        return {
            "logits": logits[: len(images)],
            "labels": labels,
            "unlabelled": logits[len(images) :],
            "opinions": classes,
            "sure": sure,
        }

    def classifier_loss(self, batch: Batch, out: dict[str, Any]) -> Terms:
        """Cross-entropy; agree with what the teacher is sure of."""
        terms = {"cross_entropy": F.cross_entropy(out["logits"].float(), out["labels"])}
        if self.self_training is not None:
            terms["self_training"] = self.self_training.loss(out["unlabelled"], out["opinions"], out["sure"])
        return terms

    def measures(self, batch: Batch, out: dict[str, Any]) -> Terms:
        """``sure``: of how many images without labels the teacher is sure, in [0, 1]."""
        return {"sure": out["sure"].mean()} if "sure" in out else {}

    def after_step(self, player: str) -> None:
        """Let the teacher follow."""
        super().after_step(player)
        if self.self_training is not None:
            self.self_training.follow(self.teacher, self.network)

    def logits(self, images: Tensor, domain: str = "a") -> Tensor:
        """As :meth:`classify`, and gradients pass to the images."""
        self.check_images(images, domain)
        with self.misfits_named(images):
            return self.answering(images)

    @torch.no_grad()
    def classify(self, images: Tensor, domain: str = "a") -> Tensor:
        """Logits (N, classes) of images (N, C, H, W) in [-1, 1], or vectors (N, D), of any domain."""
        return self.logits(images, domain)

    @torch.no_grad()
    def features(self, images: Tensor, domain: str = "a") -> Tensor:
        """Features (N, D) of images (N, C, H, W) in [-1, 1] of any domain: what the network's last layer reads.

        Raises:
            ValueError: the network is one that does not tell.
        """
        self.check_images(images, domain)
        features = features_of(
            self.answering, "The classifier's", "Use a classifier whose network is ConvClassifier or TimmClassifier."
        )
        with self.misfits_named(images):
            return features(images)
