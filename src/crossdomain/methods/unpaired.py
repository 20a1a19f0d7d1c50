"""What methods that learn from unpaired domains have in common."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional as F
from typing_extensions import Unpack

from crossdomain.capabilities import Classifies
from crossdomain.companion import Companion
from crossdomain.method import GameOptions, Method, Terms


class Unpaired(Method):
    """A method that sees no pairs, so that nothing in its losses ties the content of an image to its translation's.

    With a frozen classifier f of domain a, semantic consistency adds the term of CyCADA (Hoffman et al., ICML 2018,
    arXiv 1711.03213) to the generators' loss: f's opinion of an image and of its translation agree,

        lambda_s (CE(f(a2b(a)), argmax f(a)) + CE(f(b2a(b)), argmax f(b)))

    Args:
        channels_a: channels of domain a.
        channels_b: channels of domain b.
        semantic_classifier: checkpoint of the classifier f, read when training starts; None leaves the term out.
        semantic_weight: lambda_s; the paper's is not known.
        options: those of :class:`Method`.
    """

    def __init__(
        self,
        channels_a: int,
        channels_b: int | None = None,
        semantic_classifier: str | None = None,
        semantic_weight: float = 1.0,
        **options: Unpack[GameOptions],
    ) -> None:
        super().__init__(channels_a, channels_b, **options)
        if semantic_classifier is not None:
            self.require_equal_channels(
                "one classifier reads both",
                "Give both domains the same channels, or leave model.semantic_classifier out.",
            )
        self.semantic_classifier = semantic_classifier
        self.semantic_weight = semantic_weight if semantic_classifier is not None else 0.0
        self._classifier = None
        if semantic_classifier is not None:
            self._classifier = Companion(semantic_classifier, "semantic_classifier", Classifies)

    def setup(self, stage: str) -> None:
        """Check the data; before training, load the classifier."""
        super().setup(stage)
        if stage == "fit" and self._classifier is not None:
            classifier = self._classifier.on(self.device)
            if classifier.channels != self.channels:
                raise ValueError(
                    f"semantic_classifier reads {classifier.channels['a']} channel(s), the data has "
                    f"{self.channels['a']}.\nTrain the classifier on the same data."
                )

    def semantic_terms(self, images: Mapping[str, Tensor], out: Mapping[str, Tensor]) -> Terms:
        """The classifier's disagreement about images and their translations; nothing without a classifier.

        Args:
            images: ``a`` and ``b``, as translated.
            out: translations ``fake_b`` and ``fake_a``, of the directions that there are.
        """
        if not self.semantic_weight:
            return {}
        network = self._classifier.on(self.device).network
        terms: Terms = {}
        for source, target in ((direction.source, direction.target) for direction in self.directions):
            with torch.no_grad():
                opinion = network(images[source]).argmax(1)
            disagreement = F.cross_entropy(network(out[f"fake_{target}"]).float(), opinion)
            terms[f"semantic_{target}"] = self.semantic_weight * disagreement
        return terms
