"""Self-training: a classifier that learns from what its own average is sure of."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from crossdomain.augmentation import Augmentation
from crossdomain.checks import at_least
from crossdomain.domains import LETTERS


class SelfTraining:
    """Pseudo-labels of images without labels, by a teacher: the moving average of the classifier that learns from them.

    The teacher (Tarvainen and Valpola, NeurIPS 2017, arXiv 1703.01780) looks at several augmented views of each image
    and averages the probabilities that it tells. Where the highest is at least ``threshold``, the classifier, shown
    another view, minimises the cross-entropy of that class; other images count 0 (Sohn et al., NeurIPS 2020, arXiv
    2001.07685):

        weight E [max p >= threshold] CE(f(view(b)), argmax p),    p = mean over views of softmax(teacher(view(b)))

    One view and a teacher that is the classifier itself confirm their own mistakes.

    Args:
        domain: the letter of the domain whose images these are; their labels are never read.
        decay: d; after each update the teacher is d teacher + (1 - d) classifier, running statistics included.
        views: augmented views of an image that the teacher looks at.
        threshold: the lowest probability that counts, from 0 to 1.
        weight: of the term.
    """

    def __init__(
        self, domain: str = "b", decay: float = 0.99, views: int = 3, threshold: float = 0.95, weight: float = 1.0
    ) -> None:
        if domain not in LETTERS:
            raise ValueError(f"self_training.domain is {domain!r}.\nGive the letter of a domain without labels.")
        at_least(0, self, decay=decay, threshold=threshold, weight=weight)
        at_least(1, self, views=views)
        if decay >= 1 or threshold > 1:
            raise ValueError(
                f"SelfTraining has the decay {decay} and the threshold {threshold}.\n"
                "Give a decay below 1 and a threshold of at most 1."
            )
        self.domain = domain
        self.decay = decay
        self.views = views
        self.threshold = threshold
        self.weight = weight

    @torch.no_grad()
    def opinions(self, teacher: nn.Module, images: Tensor, augmentation: Augmentation) -> tuple[Tensor, Tensor]:
        """What the teacher thinks of images (N, C, H, W): classes (N,), and 1 where it is sure of them, else 0."""
        views = augmentation(images.repeat(self.views, *[1] * (images.ndim - 1)))
        probabilities = teacher(views).float().softmax(1).unflatten(0, (self.views, len(images))).mean(0)
        highest, classes = probabilities.max(1)
        return classes, (highest >= self.threshold).float()

    def loss(self, logits: Tensor, classes: Tensor, sure: Tensor) -> Tensor:
        """The term, of the classifier's logits (N, classes) and the teacher's opinions."""
        return self.weight * (sure * F.cross_entropy(logits.float(), classes, reduction="none")).mean()

    @torch.no_grad()
    def follow(self, teacher: nn.Module, network: nn.Module) -> None:
        """Move the teacher towards the classifier, by one step of the average."""
        pairs = zip(_values(teacher), _values(network), strict=True)
        held, aims = (list(values) for values in zip(*pairs, strict=True))
        torch._foreach_lerp_(held, aims, 1 - self.decay)


def _values(network: nn.Module) -> Iterable[Tensor]:
    """Parameters and running statistics; counts of batches are no values."""
    return (value for value in network.state_dict().values() if value.is_floating_point())
