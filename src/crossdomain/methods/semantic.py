"""Semantic consistency: a classifier that ties the content of an image to its translation's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

from crossdomain.capabilities import Classifies
from crossdomain.companion import Companion
from crossdomain.domains import Direction
from crossdomain.method import Terms


class SemanticConsistency:
    """The term of CyCADA (Hoffman et al., ICML 2018, arXiv 1711.03213), for methods that see no pairs.

    A frozen classifier f, trained on domain a, shall think of a translation what it thinks of the image:

        lambda_s (CE(f(a2b(a)), argmax f(a)) + CE(f(b2a(b)), argmax f(b)))

    Args:
        path: checkpoint of f, read when training starts; None leaves the term out.
        weight: lambda_s; the paper's is not known.
        channels: channels of each domain, by letter; :meth:`check` asks that the classifier reads them all.
    """

    def __init__(self, path: str | None, weight: float, channels: Mapping[str, int]) -> None:
        self.weight = weight if path is not None else 0.0
        self.channels = dict(channels)
        self.classifier = None if path is None else Companion(path, "semantic_classifier", Classifies)

    def check(self) -> None:
        """Load the classifier, before training.

        Raises:
            FileNotFoundError: there is no such checkpoint.
            ValueError: it holds no classifier, or one of other channels.
        """
        if self.classifier is None:
            return
        read, given = (set(channels.values()) for channels in (self.classifier.on().channels, self.channels))
        if read != given or len(given) > 1:
            numbers, found = (" and ".join(map(str, sorted(channels))) for channels in (read, given))
            raise ValueError(
                f"semantic_classifier reads {numbers} channel(s), the data has {found}.\n"
                "Give data and classifier one number of channels, or leave model.semantic_classifier out."
            )

    def terms(self, directions: Iterable[Direction], images: Mapping[str, Tensor], out: Mapping[str, Tensor]) -> Terms:
        """The classifier's disagreement about images and their translations; nothing where the weight is 0.

        Args:
            directions: those that are translated.
            images: ``a``, ``b``, ..., as translated.
            out: translations ``fake_b``, ``fake_a``, ..., by the letter that they are to.

        Returns:
            ``semantic_b`` for translations to b, and so on.
        """
        terms: Terms = {}
        if self.classifier is None or not self.weight:
            return terms
        for direction in directions:
            image, target = images[direction.source], direction.target
            network = self.classifier.on(image.device).network  # classify() would stop the gradients
            with torch.no_grad():
                opinion = network(image).argmax(1)
            disagreement = F.cross_entropy(network(out[f"fake_{target}"]).float(), opinion)
            terms[f"semantic_{target}"] = self.weight * disagreement
        return terms
