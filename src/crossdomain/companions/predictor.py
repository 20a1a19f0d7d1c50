"""Attributes: a network that sees what a picture shows, for scoring guided translations."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from typing_extensions import Unpack

from crossdomain.domains import domains_in
from crossdomain.method import Batch, GameOptions, Method, NetworkFactory, Terms
from crossdomain.networks import StridedClassifier


class AttributePredictor(Method):
    """Predicts all attributes of images of all domains, by one network with a head for each attribute.

    It minimises the sum over attributes k of the cross-entropy E -log softmax(f_k(x))[y_k], or of E |f_k(x) - y_k|^2
    where k is a real number, over the images x of all domains. As f_k it scores guided translations (manipulation
    accuracy, arXiv 2111.13279; correctness, arXiv 2103.15727). These can show any combination of attributes, so it
    should have seen them all: train it on a split that has them, such as ``all`` of Shapes.

    Validation and test log ``accuracy_NAME_a`` and ``accuracy_NAME_b``, or ``error_NAME_a``, on images as they are.

    Args:
        channels_a: channels of domain a.
        channels_b: channels of domain b, the same number, as of all others that the data has.
        attributes: name to number of values, 0 for a real number; those of the data, in their order.
        network: makes the network from the number of channels and of outputs: one for each value and real number.
        options: those of :class:`Game`.
    """

    generating_player = "predictor"
    any_domain = True

    def __init__(
        self,
        channels_a: int,
        channels_b: int | None = None,
        attributes: dict[str, int] | None = None,
        network: NetworkFactory = StridedClassifier,
        **options: Unpack[GameOptions],
    ) -> None:
        super().__init__(channels_a, channels_b, **options)
        self.save_hyperparameters()
        self.require_equal_channels("one predictor reads all")
        if not attributes or min(attributes.values()) < 0:
            raise ValueError(
                f"model.attributes is {attributes}, expected name: number of values, 0 for a real number.\n"
                "Give those of the data."
            )
        self.attributes = dict(attributes)
        self.heads = [max(values, 1) for values in attributes.values()]
        self.network = network(channels_a, sum(self.heads))
        self.players = {"predictor": ("network",)}

    def setup(self, stage: str) -> None:
        """Check that the data has these attributes."""
        super().setup(stage)
        if (found := self.spec.attributes) != self.attributes:
            raise ValueError(
                f"The data has the attributes {found}, but this {type(self).__name__} was made for {self.attributes}.\n"
                "Set model.attributes to those of the data."
            )

    def generate(self, batch: Batch) -> dict[str, Any]:
        """Outputs for the images of all domains, and their attributes."""
        domains = domains_in(batch)
        if not all(f"attributes_{domain}" in batch for domain in domains):
            raise ValueError("The training batch has no attributes; use data that has them, such as Shapes.")
        images = torch.cat([batch[domain] for domain in domains])
        truth = torch.cat([batch[f"attributes_{domain}"] for domain in domains])
        return {"outputs": self.network(images), "truth": truth}

    def predictor_loss(self, batch: Batch, out: dict[str, Any]) -> Terms:
        """A term for each attribute, named after it."""
        heads = zip(self.attributes, out["outputs"].float().split(self.heads, 1), out["truth"].T, strict=True)
        return {
            name: F.cross_entropy(head, truth.long()) if self.attributes[name] else F.mse_loss(head[:, 0], truth)
            for name, head, truth in heads
        }

    @torch.no_grad()
    def predict_attributes(self, images: Tensor) -> Tensor:
        """Attributes (N, K) of images (N, C, H, W) in [-1, 1] of any domain: numbers of values, or real numbers."""
        self.check_images(images, "a")  # any letter: the network reads all domains
        with self.misfits_named(images):
            heads = self.network(images).float().split(self.heads, 1)
        categorical = self.attributes.values()
        return torch.stack([head.argmax(1) if c else head[:, 0] for head, c in zip(heads, categorical, strict=True)], 1)
