"""Semantic consistency: a classifier that ties the content of an image to its translation's."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from crossdomain.augmentation import Augmentation
from crossdomain.capabilities import TeachesClasses
from crossdomain.checks import at_least
from crossdomain.companion import Companion, Helper
from crossdomain.domains import Direction, labels_of
from crossdomain.method import Batch, Method, NetworkFactory, Terms
from crossdomain.networks import ConvClassifier
from crossdomain.optimization import OptimizerFactory


class SemanticConsistency(Helper):
    """The term of CyCADA (Hoffman et al., ICML 2018, arXiv 1711.03213), for methods that see no pairs.

    A frozen classifier f, trained on domain a, shall think of a translation what it thinks of the image:

        lambda_s (CE(f(a2b(a)), argmax f(a)) + CE(f(b2a(b)), argmax f(b)))

    where each CE is a mean over the batch. Three changes help where f is wrong or can be deceived: opinions that f is
    not sure of do not count; of images whose labels are known those stand in for opinions, as in the paper's official
    code; and f sees translations augmented, so that a pattern that deceives f in one place alone is of no use.

    Args:
        method: the method whose translations these are.
        path: checkpoint of f, read when training starts; None leaves the term out.
        weight: lambda_s; the paper's is not known, the official code's is 1.
        threshold: opinions of a lower probability than this count 0.
        labelled: the domain whose true labels are taken in place of opinions, such as ``a``; None for none.
        augmentation: makes what changes translations before f sees them; None for nothing.

    Attributes:
        weight: lambda_s; 0 where the term is left out.
    """

    def __init__(
        self,
        method: Method,
        path: str | None,
        weight: float,
        threshold: float = 0.0,
        labelled: str | None = None,
        augmentation: Callable[[], Augmentation] | None = None,
    ) -> None:
        at_least(0, method, **{"semantic.threshold": threshold})
        if threshold > 1:
            raise ValueError(f"semantic.threshold is {threshold}, but is a probability.\nGive one of at most 1.")
        if labelled is not None and labelled not in method.channels:
            known = ", ".join(method.channels)
            raise ValueError(
                f"semantic.labelled is {labelled!r}, but the domains are {known}.\nGive one of them, or null."
            )
        self.weight = weight if path is not None else 0.0
        self.threshold = threshold
        self.labelled = labelled
        self.augmentation = None if augmentation is None else augmentation()
        self.channels = dict(method.channels)
        self.classifier = None if path is None else Companion(path, "semantic_classifier", TeachesClasses)

    def check(self, device: torch.device | str = "cpu") -> None:
        """Load the classifier, before training.

        Raises:
            FileNotFoundError: there is no such checkpoint.
            ValueError: it holds no classifier, or one of other channels.
        """
        if self.classifier is None:
            return
        read, given = (set(channels.values()) for channels in (self.classifier.on(device).channels, self.channels))
        if read != given or len(given) > 1:
            numbers, found = (" and ".join(map(str, sorted(channels))) for channels in (read, given))
            raise ValueError(
                f"semantic_classifier reads {numbers} channel(s), the data has {found}.\n"
                "Give data and classifier one number of channels, or leave model.semantic_classifier out."
            )

    def logits(self, images: Tensor, domain: str) -> Tensor:
        """What f says of images of ``domain``, (N, classes)."""
        assert self.classifier is not None
        return self.classifier.on(images.device).logits(images, domain).float()

    def terms(self, directions: Iterable[Direction], batch: Batch, out: Mapping[str, Tensor]) -> Terms:
        """The classifier's disagreement about images and their translations; nothing where the weight is 0.

        Args:
            directions: those that are translated.
            batch: ``a``, ``b``, ..., as translated, and labels where true ones are to be taken.
            out: translations ``fake_b``, ``fake_a``, ..., by the letter that they are to.

        Returns:
            ``semantic_b`` for translations to b, and so on.

        Raises:
            ValueError: the labels of ``labelled`` are missing.
        """
        if not self.weight:
            return {}
        return {
            f"semantic_{way.target}": self.weight * self._disagreement(batch, way, out[f"fake_{way.target}"])
            for way in directions
        }

    def _disagreement(self, batch: Batch, way: Direction, translation: Tensor) -> Tensor:
        if self.augmentation is not None:
            translation = self.augmentation(translation)
        logits = self.logits(translation, way.target)
        if way.source == self.labelled:
            return F.cross_entropy(logits, labels_of(batch, way.source))
        with torch.no_grad():
            confidence, opinion = self.logits(batch[way.source], way.source).softmax(1).max(1)
        return (F.cross_entropy(logits, opinion, reduction="none") * (confidence >= self.threshold)).mean()


class JointSemantics(SemanticConsistency):
    """Semantic consistency with a classifier that is trained along, as in CyCADA's official code.

    The classifier f starts from scratch and learns from the true labels of domain a, as the player ``classifier`` that
    moves after all others. Translations of a have to show the true labels, those of b what f thinks of the image; both
    terms count 0 until f's last loss is at most ``gate``. Unlike there, f judges in evaluation mode (the official f has
    no dropout), its optimizer is the method's unless ``optimizer`` says another one (there Adam, 1e-3), and the other
    terms keep the method's weights (there L_GAN of a2b counts twice and cycles have the weight 1).

    Args:
        method: as above.
        path: None: f starts from scratch.
        weight: as above.
        threshold: as above.
        labelled: the domain that f learns from.
        augmentation: as above.
        classes: number of classes.
        network: makes f from channels and classes.
        optimizer: of f; None takes the method's.
        gate: the loss of f, in nats, above which the terms count 0.
    """

    def __init__(
        self,
        method: Method,
        path: str | None,
        weight: float,
        threshold: float = 0.0,
        labelled: str = "a",
        augmentation: Callable[[], Augmentation] | None = None,
        classes: int = 10,
        network: NetworkFactory = ConvClassifier,
        optimizer: OptimizerFactory | None = None,
        gate: float = 1.0,
    ) -> None:
        if path is not None:
            raise ValueError(
                f"semantic_classifier is {path!r}, but JointSemantics trains a classifier of its own.\n"
                "Leave model.semantic_classifier out, or take model.semantic SemanticConsistency."
            )
        if labelled is None:
            raise ValueError(
                "semantic.labelled is null, but JointSemantics learns from labels.\nGive a domain, such as a."
            )
        super().__init__(method, path, weight, threshold, labelled, augmentation)
        at_least(0, method, **{"semantic.gate": gate})
        at_least(1, method, **{"semantic.classes": classes})
        method.require_equal_channels("one classifier reads all", "Leave model.semantic out.")
        self.weight = weight
        self.gate = gate
        self.method: Any = method  # which keeps the network and the last loss, so that checkpoints have them
        method.add_module("semantic_network", network(method.channels["a"], classes))
        method.register_buffer("semantic_loss", torch.tensor(torch.inf))
        method.players["classifier"] = ("semantic_network",)
        method.classifier_loss = self.classifier_loss  # type: ignore[assignment]  # a player's loss, not a module
        method.classifier_optimizer = optimizer  # type: ignore[assignment]

    def check(self, device: torch.device | str = "cpu") -> None:
        """Nothing: there is no classifier to load."""

    def logits(self, images: Tensor, domain: str) -> Tensor:
        """What f says of images of ``domain``, (N, classes)."""
        return self.method.semantic_network(images).float()

    def terms(self, directions: Iterable[Direction], batch: Batch, out: Mapping[str, Tensor]) -> Terms:
        """As above, 0 while the gate is closed."""
        network, opened = self.method.semantic_network, self.method.semantic_loss <= self.gate
        training = network.training
        network.eval()  # it judges without dropout, and its statistics stay those of what it learns from
        terms = super().terms(directions, batch, out)
        network.train(training)
        return {name: torch.where(opened, term, torch.zeros_like(term)) for name, term in terms.items()}

    def classifier_loss(self, batch: Batch, out: Mapping[str, Tensor]) -> Terms:
        """Cross-entropy of f and the true labels."""
        assert self.labelled is not None
        loss = F.cross_entropy(self.logits(batch[self.labelled], self.labelled), labels_of(batch, self.labelled))
        last = loss.detach().clone()
        if self.method._trainer is not None:  # the gate opens on all processes, or on none
            last = self.method.trainer.strategy.reduce(last, reduce_op="mean")
        self.method.semantic_loss.copy_(last)
        return {"cross_entropy": loss}


SemanticFactory = Callable[[Method, str | None, float], SemanticConsistency]
"""Makes semantic consistency from the method, the path of a classifier and the weight."""
